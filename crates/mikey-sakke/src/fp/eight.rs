//! Eight elements of F_p at once, one in each lane of AVX-512 registers. [`ifma`](super::ifma) is
//! for products that wait for each other; where eight do not, this takes less than half its time.
//! Constant time.
//!
//! An element is held in the same Montgomery form, `x * 2^1040 mod p`, in twenty limbs below `2^52`,
//! but not below p: a bound, written as a multiple of p, goes with each. The product of elements
//! below ap and bp is below (1 + ab / 2^16)p.
//!
//! The intrinsics are `unsafe` to call only because the processor must have the instructions, which
//! whoever calls into this file has checked.

#![expect(
    unsafe_code,
    reason = "the vector kernel; portable.rs is its twin and the tests compare them"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "one index runs over several arrays of registers"
)]

use super::ifma::{DIGITS, FRIENDLY, INVERSE, P_DIGITS};
use super::{Fp, LIMBS, R1, portable};
use crate::vector::{LANES, MASK, secret_index, transposed};
use std::arch::x86_64::*;

/// Eight elements.
#[derive(Clone, Copy)]
pub(crate) struct Fp8([__m512i; DIGITS]);

/// The product of p and a small factor, in limbs.
const fn multiple_of_p(factor: u64) -> [u64; 24] {
    let (mut out, mut carry, mut i) = ([0; 24], 0, 0);
    while i < DIGITS {
        carry += P_DIGITS[0][i] * factor;
        out[i] = carry & MASK;
        carry >>= 52;
        i += 1;
    }
    out
}

impl Fp8 {
    /// Zero in all lanes.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn zero() -> Self {
        Self([_mm512_setzero_si512(); DIGITS])
    }

    /// One in all lanes; below p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn one() -> Self {
        Self::of(&[&Fp(R1); LANES])
    }

    /// The elements of eight lanes; below p.
    #[target_feature(enable = "avx512f")]
    pub(crate) fn of(lanes: &[&Fp; LANES]) -> Self {
        let [low, high] = [0, 1].map(|half| transposed(&lanes.map(|fp| fp.halves()[half])));
        Self::from_words(&low, &high)
    }

    /// For each lane the elements at a secret index of a table, by reading all; zeros if there are
    /// none. Below p.
    #[target_feature(enable = "avx512f")]
    pub(crate) fn find<const K: usize>(
        tables: &[&[[Fp; K]]; LANES],
        indices: &[u64; LANES],
    ) -> [Self; K] {
        let mut rows = [[[_mm512_setzero_si512(); LANES]; 2]; K];
        for (lane, (table, index)) in tables.iter().zip(indices).enumerate() {
            let wanted = secret_index(*index);
            let mut found = [[_mm512_setzero_si512(); 2]; K];
            let mut at = _mm512_setzero_si512();
            for entry in *table {
                let equal = _mm512_cmpeq_epi64_mask(at, wanted);
                for (found, fp) in found.iter_mut().zip(entry) {
                    let [low, high] = fp.halves();
                    found[0] = _mm512_mask_mov_epi64(found[0], equal, low);
                    found[1] = _mm512_mask_mov_epi64(found[1], equal, high);
                }
                at = _mm512_add_epi64(at, _mm512_set1_epi64(1));
            }
            for (rows, [low, high]) in rows.iter_mut().zip(found) {
                (rows[0][lane], rows[1][lane]) = (low, high);
            }
        }
        rows.map(|[low, high]| Self::from_words(&transposed(&low), &transposed(&high)))
    }

    /// From 64-bit limbs, eight lanes each.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn from_words(low: &[__m512i; LANES], high: &[__m512i; LANES]) -> Self {
        let mask = digit(MASK);
        let mut words = [_mm512_setzero_si512(); LIMBS + 1];
        for i in 0..LANES {
            (words[i], words[LANES + i]) = (low[i], high[i]);
        }
        // Written out, so that every shift is a constant.
        macro_rules! limbs {
            ($($i:literal)*) => {
                [$({
                    const AT: usize = 52 * $i / 64;
                    const SHIFT: u32 = 52 * $i % 64;
                    let start = _mm512_srli_epi64::<SHIFT>(words[AT]);
                    let rest = _mm512_slli_epi64::<{ 64 - SHIFT }>(words[AT + 1]);
                    _mm512_and_si512(_mm512_or_si512(start, rest), mask)
                }),*]
            };
        }
        Self(limbs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19))
    }

    /// The elements of the lanes.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn to_fp(self) -> [Fp; LANES] {
        // Below 2p.
        let digits = self.mul(&Self::one()).0;
        let mut words = [Fp::ZERO; LANES];
        for i in 0..LIMBS {
            let (at, shift) = (64 * i / 52, 64 * i % 52);
            let start = _mm512_srl_epi64(digits[at], count(shift));
            let middle = _mm512_sll_epi64(digits[at + 1], count(52 - shift));
            let mut word = _mm512_or_si512(start, middle);
            if let Some(end) = digits.get(at + 2) {
                word = _mm512_or_si512(word, _mm512_sll_epi64(*end, count(104 - shift)));
            }
            let mut lanes = Lanes([0; LANES]);
            // SAFETY: eight lanes are a register, aligned as one.
            unsafe { _mm512_store_epi64(lanes.0.as_mut_ptr().cast(), word) };
            for (fp, word) in words.iter_mut().zip(lanes.0) {
                fp.0[i] = word;
            }
        }
        // The highest limb starts at bit 988.
        let mut top = Lanes([0; LANES]);
        let bit = _mm512_srli_epi64::<36>(digits[DIGITS - 1]);
        // SAFETY: as above.
        unsafe { _mm512_store_epi64(top.0.as_mut_ptr().cast(), bit) };
        for (fp, top) in words.iter_mut().zip(top.0) {
            fp.0 = portable::reduce_once(&fp.0, top == 1);
        }
        words
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn mul(&self, other: &Self) -> Self {
        Self::dot(&[(self, other)])
    }

    /// The sum of products.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(crate) fn dot<const N: usize>(terms: &[(&Self, &Self); N]) -> Self {
        let zero = _mm512_setzero_si512();
        let mut sum = [zero; 2 * DIGITS];
        for i in 0..DIGITS - 1 {
            let left = std::array::from_fn(|n| terms[n].0.0[i]);
            let lowest = lowest(sum[i], &left, terms);
            // The multiple of `p * INVERSE` that clears the lowest limb is the limb itself; what
            // remains of the multiple goes up, as the limb's carry does.
            sum[i + 1] = _mm512_add_epi64(sum[i + 1], _mm512_srli_epi64::<52>(lowest));
            let row = Row {
                left,
                multiple: lowest,
                modulus: &FRIENDLY[0],
                below: zero,
            };
            let (_, place) = sum.split_at_mut(i + 1);
            let top = row.add_to(place, terms);
            place[DIGITS] = _mm512_madd52hi_epu64(place[DIGITS], lowest, top);
        }
        // That leaves up to `p * INVERSE`. The last limb is cleared by a multiple of p.
        let left = std::array::from_fn(|n| terms[n].0.0[DIGITS - 1]);
        let last = lowest(sum[DIGITS - 1], &left, terms);
        let multiple = _mm512_madd52lo_epu64(zero, last, digit(INVERSE));
        let below = digit(P_DIGITS[0][0]);
        let cleared = _mm512_madd52lo_epu64(last, multiple, below);
        let row = Row {
            left,
            multiple,
            modulus: &P_UP,
            below,
        };
        let (_, out) = sum.split_at_mut(DIGITS);
        out[0] = _mm512_add_epi64(out[0], _mm512_srli_epi64::<52>(cleared));
        row.add_to(out, terms);
        let (out, _) = out.as_chunks();
        carried(out[0])
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(crate) fn square(&self) -> Self {
        self.mul(self)
    }

    /// The sum.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn add(&self, other: &Self) -> Self {
        let mut out = self.0;
        for i in 0..DIGITS {
            out[i] = _mm512_add_epi64(out[i], other.0[i]);
        }
        carried(out)
    }

    /// Three times the element.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn triple(&self) -> Self {
        let mut out = self.0;
        for limb in &mut out {
            *limb = _mm512_add_epi64(*limb, _mm512_add_epi64(*limb, *limb));
        }
        carried(out)
    }

    /// The difference plus 16p, for a subtrahend below 16p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn sub(&self, other: &Self) -> Self {
        const SIXTEEN: [u64; 24] = multiple_of_p(16);
        let mut out = self.0;
        for i in 0..DIGITS {
            let sixteen = _mm512_set1_epi64(SIXTEEN[i].cast_signed());
            out[i] = _mm512_add_epi64(_mm512_sub_epi64(out[i], other.0[i]), sixteen);
        }
        carried(out)
    }

    /// `self - a - 2b + 4p`, for a and b below 4p / 3.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn sub_and_twice(&self, a: &Self, b: &Self) -> Self {
        const FOUR: [u64; 24] = multiple_of_p(4);
        let mut out = self.0;
        for i in 0..DIGITS {
            let four = _mm512_set1_epi64(FOUR[i].cast_signed());
            let less = _mm512_add_epi64(a.0[i], _mm512_add_epi64(b.0[i], b.0[i]));
            out[i] = _mm512_add_epi64(_mm512_sub_epi64(out[i], less), four);
        }
        carried(out)
    }

    /// p less the element in the lanes of the mask, for an element not above p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn negated_in(&self, lanes: u8) -> Self {
        let mut out = self.0;
        for i in 0..DIGITS {
            let p = _mm512_set1_epi64(P_DIGITS[0][i].cast_signed());
            out[i] = _mm512_mask_sub_epi64(out[i], lanes, p, out[i]);
        }
        carried(out)
    }

    /// The lower halves of both, and the upper halves of both.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn halves(&self, other: &Self) -> [Self; 2] {
        let (mut low, mut high) = (self.0, self.0);
        for i in 0..DIGITS {
            low[i] = _mm512_shuffle_i64x2::<0x44>(self.0[i], other.0[i]);
            high[i] = _mm512_shuffle_i64x2::<0xEE>(self.0[i], other.0[i]);
        }
        [Self(low), Self(high)]
    }

    /// Lane i from lane `i xor DISTANCE`, for a distance of one or two.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(crate) fn exchanged<const DISTANCE: i64>(&self) -> Self {
        let lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
        let from = _mm512_xor_si512(lanes, _mm512_set1_epi64(DISTANCE));
        let mut out = self.0;
        for limb in &mut out {
            *limb = _mm512_permutexvar_epi64(from, *limb);
        }
        Self(out)
    }
}

/// A register's lanes.
#[repr(align(64))]
struct Lanes([u64; LANES]);

impl Fp {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn halves(&self) -> [__m512i; 2] {
        let limbs = self.0.as_ptr().cast::<i64>();
        // SAFETY: sixteen limbs are two registers, and an element is aligned as they are.
        unsafe {
            [
                _mm512_load_epi64(limbs),
                _mm512_load_epi64(limbs.add(LANES)),
            ]
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn count(bits: usize) -> __m128i {
    _mm_cvtsi64_si128(i64::try_from(bits).unwrap_or(64))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn digit(digit: u64) -> __m512i {
    _mm512_set1_epi64(digit.cast_signed())
}

/// p without its lowest limb.
const P_UP: [u64; 24] = {
    let (mut out, mut i) = ([0; 24], 1);
    while i < DIGITS {
        out[i - 1] = P_DIGITS[0][i];
        i += 1;
    }
    out
};

/// One limb of each left factor, and the multiple of the modulus that clears the limb they reach.
struct Row<const N: usize> {
    left: [__m512i; N],
    multiple: __m512i,
    /// The modulus, divided by a limb.
    modulus: &'static [u64; 24],
    /// The limb of the modulus below that.
    below: __m512i,
}

impl<const N: usize> Row<N> {
    /// Adds the products to the limbs above the cleared one; returns the highest limb of the modulus.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn add_to(&self, sum: &mut [__m512i], terms: &[(&Fp8, &Fp8); N]) -> __m512i {
        // Each limb of a right factor and of the modulus is read once, for its low and its high
        // products: reading is what limits the loop.
        let mut right: [__m512i; N] = std::array::from_fn(|n| terms[n].1.0[0]);
        let mut below = self.below;
        for j in 0..DIGITS {
            // The multiple is known last.
            let mut limb = sum[j];
            for n in 0..N {
                limb = _mm512_madd52hi_epu64(limb, self.left[n], right[n]);
                if j + 1 < DIGITS {
                    right[n] = terms[n].1.0[j + 1];
                    limb = _mm512_madd52lo_epu64(limb, self.left[n], right[n]);
                }
            }
            let modulus = digit(self.modulus[j]);
            limb = _mm512_madd52hi_epu64(limb, self.multiple, below);
            limb = _mm512_madd52lo_epu64(limb, self.multiple, modulus);
            sum[j] = limb;
            below = modulus;
        }
        below
    }
}

/// The sum's lowest limb with the left factors' limbs times the right factors.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn lowest<const N: usize>(
    mut limb: __m512i,
    left: &[__m512i; N],
    terms: &[(&Fp8, &Fp8); N],
) -> __m512i {
    for n in 0..N {
        limb = _mm512_madd52lo_epu64(limb, left[n], terms[n].1.0[0]);
    }
    limb
}

/// Brings signed limbs between 0 and 2^52.
#[target_feature(enable = "avx512f")]
#[inline]
fn carried(mut limbs: [__m512i; DIGITS]) -> Fp8 {
    let mask = _mm512_set1_epi64(MASK.cast_signed());
    for i in 1..DIGITS {
        limbs[i] = _mm512_add_epi64(limbs[i], _mm512_srai_epi64::<52>(limbs[i - 1]));
        limbs[i - 1] = _mm512_and_si512(limbs[i - 1], mask);
    }
    Fp8(limbs)
}

#[cfg(test)]
mod tests;
