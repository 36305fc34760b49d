//! Eight elements of the field of P-256 at once, one in each lane of AVX-512 registers, in 52-bit
//! limbs for the IFMA multipliers. Constant time.
//!
//! An element is held in Montgomery form, `x * 2^260 mod p`, in five limbs below `2^52`, but not
//! below p: a bound, written as a multiple of p, goes with each. The product of elements below ap
//! and bp is below (ab / 16 + 1)p, and 16p is just below what five limbs hold.
//!
//! The intrinsics are `unsafe` to call only because the processor must have the instructions, which
//! whoever calls into this file has checked.

#![expect(
    unsafe_code,
    reason = "the vector kernel; fe.rs is its twin and the tests compare them"
)]
#![expect(
    clippy::indexing_slicing,
    reason = "every index runs over a fixed-size array of limbs"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "a double limb is split into its halves"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "one index runs over several arrays of registers"
)]

use super::fe::{Fe, P};
use crate::vector::{LANES, MASK, secret_index, transposed};
use std::arch::x86_64::*;

const DIGITS: usize = 5;

/// Eight elements.
#[derive(Clone, Copy)]
pub(super) struct Fe8([__m512i; DIGITS]);

/// A product before reduction.
type Wide = [__m512i; 2 * DIGITS];

/// A point's coordinates as 64-bit limbs of `x * 2^260 mod p`: one register, one cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Entry([u64; 8]);

/// A number below `2^260`, of 64-bit limbs, in limbs of 52 bits.
const fn digits(words: [u64; 5]) -> [u64; DIGITS] {
    let [a, b, c, d, e] = words;
    [
        a & MASK,
        (a >> 52 | b << 12) & MASK,
        (b >> 40 | c << 24) & MASK,
        (c >> 28 | d << 36) & MASK,
        d >> 16 | e << 48,
    ]
}

/// The product of four 64-bit limbs and a small factor.
const fn multiple(words: &[u64; 4], factor: u64) -> [u64; 5] {
    let (mut out, mut sum, mut i) = ([0; 5], 0, 0);
    while i < 4 {
        sum += words[i] as u128 * factor as u128;
        out[i] = sum as u64;
        sum >>= 64;
        i += 1;
    }
    out[4] = sum as u64;
    out
}

impl Entry {
    pub(super) fn new([x, y]: [Fe; 2]) -> Self {
        // From a factor 2^256 to 2^260.
        let sixteenfold = |fe: Fe| fe.double().double().double().double().0;
        let ([a, b, c, d], [e, f, g, h]) = (sixteenfold(x), sixteenfold(y));
        Self([a, b, c, d, e, f, g, h])
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn load(&self) -> __m512i {
        // SAFETY: an entry is a register's octets, aligned as one.
        unsafe { _mm512_load_epi64(self.0.as_ptr().cast()) }
    }

    /// The entry at a public index; zeros if there is none.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn at(place: &[Self], index: u8) -> __m512i {
        match place.get(usize::from(index)) {
            Some(entry) => entry.load(),
            None => _mm512_setzero_si512(),
        }
    }

    /// The entry at a secret index, by reading all; zeros if there is none.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn find(place: &[Self], index: u8) -> __m512i {
        let wanted = secret_index(u64::from(index));
        let (mut at, mut found) = (_mm512_setzero_si512(), _mm512_setzero_si512());
        for entry in place {
            let equal = _mm512_cmpeq_epi64_mask(at, wanted);
            found = _mm512_mask_mov_epi64(found, equal, entry.load());
            at = _mm512_add_epi64(at, _mm512_set1_epi64(1));
        }
        found
    }
}

impl Fe8 {
    /// Zero throughout.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn zero() -> Self {
        Self([_mm512_setzero_si512(); DIGITS])
    }

    /// The coordinates of eight table entries; below p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn coordinates(rows: &[__m512i; LANES]) -> [Self; 2] {
        let [x0, x1, x2, x3, y0, y1, y2, y3] = transposed(rows);
        [
            Self::from_words(x0, x1, x2, x3),
            Self::from_words(y0, y1, y2, y3),
        ]
    }

    /// From 64-bit limbs.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn from_words(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> Self {
        let mask = digit(MASK);
        let join = |low, high| _mm512_and_si512(_mm512_or_si512(low, high), mask);
        Self([
            _mm512_and_si512(a, mask),
            join(_mm512_srli_epi64::<52>(a), _mm512_slli_epi64::<12>(b)),
            join(_mm512_srli_epi64::<40>(b), _mm512_slli_epi64::<24>(c)),
            join(_mm512_srli_epi64::<28>(c), _mm512_slli_epi64::<36>(d)),
            _mm512_srli_epi64::<16>(d),
        ])
    }

    /// The lanes as elements of the scalar field.
    #[target_feature(enable = "avx512f,avx512ifma")]
    pub(super) fn to_fe(self) -> [Fe; LANES] {
        // 2^256 mod p: from a factor 2^260 to 2^256, and below 2p.
        const FACTOR: [u64; DIGITS] = digits(multiple(&Fe::ONE.0, 1));
        let limbs = self
            .mul(&Self(
                FACTOR.map(|digit| _mm512_set1_epi64(digit.cast_signed())),
            ))
            .0
            .map(|limb| {
                let mut lanes = Entry([0; LANES]);
                // SAFETY: eight lanes are a register, and an entry is aligned as one.
                unsafe { _mm512_store_epi64(lanes.0.as_mut_ptr().cast(), limb) };
                lanes.0
            });
        std::array::from_fn(|lane| {
            let [a, b, c, d, e] = limbs.map(|limb| limb[lane]);
            let words = [
                a | b << 52,
                b >> 12 | c << 40,
                c >> 24 | d << 28,
                d >> 36 | e << 16,
            ];
            Fe::below_two_p(&words, e >> 48 == 1)
        })
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn mul(&self, other: &Self) -> Self {
        let mut wide = [_mm512_setzero_si512(); 2 * DIGITS];
        accumulate(&mut wide, self, other);
        reduce(wide)
    }

    /// `self * other + a * b`.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn mul_add(&self, other: &Self, a: &Self, b: &Self) -> Self {
        let mut wide = [_mm512_setzero_si512(); 2 * DIGITS];
        accumulate(&mut wide, self, other);
        accumulate(&mut wide, a, b);
        reduce(wide)
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        let mut wide = [_mm512_setzero_si512(); 2 * DIGITS];
        // The products of different limbs, once, then doubled; the squares are added.
        for i in 0..DIGITS {
            for j in i + 1..DIGITS {
                wide[i + j] = _mm512_madd52lo_epu64(wide[i + j], a[i], a[j]);
                wide[i + j + 1] = _mm512_madd52hi_epu64(wide[i + j + 1], a[i], a[j]);
            }
        }
        for limb in &mut wide {
            *limb = _mm512_add_epi64(*limb, *limb);
        }
        for i in 0..DIGITS {
            wide[2 * i] = _mm512_madd52lo_epu64(wide[2 * i], a[i], a[i]);
            wide[2 * i + 1] = _mm512_madd52hi_epu64(wide[2 * i + 1], a[i], a[i]);
        }
        reduce(wide)
    }

    /// The difference plus 4p, for a subtrahend below 4p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn sub(&self, other: &Self) -> Self {
        const FOUR: [u64; DIGITS] = digits(multiple(&P, 4));
        let mut out = self.0;
        for i in 0..DIGITS {
            let four = digit(FOUR[i]);
            out[i] = _mm512_add_epi64(_mm512_sub_epi64(out[i], other.0[i]), four);
        }
        carried(out)
    }

    /// `self - a - 2b`, for a and 2b below 8p together and self below 4p; below 2.1p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn sub_and_twice(&self, a: &Self, b: &Self) -> Self {
        const NINE: [u64; DIGITS] = digits(multiple(&P, 9));
        let mut out = self.0;
        for i in 0..DIGITS {
            let twice = _mm512_add_epi64(b.0[i], b.0[i]);
            let less = _mm512_add_epi64(a.0[i], twice);
            out[i] = _mm512_add_epi64(out[i], _mm512_sub_epi64(digit(NINE[i]), less));
        }
        // One less than the number of times p goes into it, or one less than that: the limbs below
        // the highest count for next to nothing.
        let times = _mm512_srai_epi64::<48>(out[4]);
        let times = _mm512_sub_epi64(times, _mm512_set1_epi64(1));
        // p = 2^256 - 2^224 + 2^192 + 2^96 - 1.
        out[0] = _mm512_add_epi64(out[0], times);
        out[1] = _mm512_sub_epi64(out[1], _mm512_slli_epi64::<44>(times));
        out[3] = _mm512_sub_epi64(out[3], _mm512_slli_epi64::<36>(times));
        out[4] = _mm512_sub_epi64(out[4], _mm512_slli_epi64::<48>(times));
        out[4] = _mm512_add_epi64(out[4], _mm512_slli_epi64::<16>(times));
        carried(out)
    }

    /// The negative, plus p, of the lanes in the mask, for an element not above p.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn negated_in(&self, lanes: u8) -> Self {
        const ONCE: [u64; DIGITS] = digits(multiple(&P, 1));
        let mut out = self.0;
        for i in 0..DIGITS {
            out[i] = _mm512_mask_sub_epi64(out[i], lanes, digit(ONCE[i]), out[i]);
        }
        carried(out)
    }

    /// The lanes in the mask from another, the rest from here.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn with_lanes(&self, lanes: u8, other: &Self) -> Self {
        let mut out = self.0;
        for i in 0..DIGITS {
            out[i] = _mm512_mask_mov_epi64(out[i], lanes, other.0[i]);
        }
        Self(out)
    }

    /// The lower halves of both, and the upper halves of both.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn halves(&self, other: &Self) -> (Self, Self) {
        let (mut low, mut high) = (self.0, self.0);
        for i in 0..DIGITS {
            low[i] = _mm512_shuffle_i64x2::<0x44>(self.0[i], other.0[i]);
            high[i] = _mm512_shuffle_i64x2::<0xEE>(self.0[i], other.0[i]);
        }
        (Self(low), Self(high))
    }

    /// Lane i from lane `i xor DISTANCE`, for a distance of one or two.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn exchanged<const DISTANCE: i64>(&self) -> Self {
        let lanes = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
        let from = _mm512_xor_si512(lanes, _mm512_set1_epi64(DISTANCE));
        let mut out = self.0;
        for limb in &mut out {
            *limb = _mm512_permutexvar_epi64(from, *limb);
        }
        Self(out)
    }
}

/// A limb in all lanes.
#[target_feature(enable = "avx512f")]
#[inline]
fn digit(digit: u64) -> __m512i {
    _mm512_set1_epi64(digit.cast_signed())
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn accumulate(wide: &mut Wide, a: &Fe8, b: &Fe8) {
    for i in 0..DIGITS {
        for j in 0..DIGITS {
            wide[i + j] = _mm512_madd52lo_epu64(wide[i + j], a.0[i], b.0[j]);
            wide[i + j + 1] = _mm512_madd52hi_epu64(wide[i + j + 1], a.0[i], b.0[j]);
        }
    }
}

/// Montgomery reduction: p is -1 modulo 2^52, so the limb to clear is itself the multiple of p.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn reduce(mut wide: Wide) -> Fe8 {
    // m p = m (2^256 - 2^224 + 2^192 + 2^96) - m, and the limb's low bits are m.
    let limb1 = _mm512_set1_epi64(1 << 44);
    let limb3 = _mm512_set1_epi64(1 << 36);
    let limb4 = _mm512_set1_epi64((1 << 48) - (1 << 16));
    for i in 0..DIGITS {
        // The multipliers take the low 52 bits; the others go up.
        let m = wide[i];
        wide[i + 1] = _mm512_add_epi64(wide[i + 1], _mm512_srli_epi64::<52>(m));
        wide[i + 1] = _mm512_madd52lo_epu64(wide[i + 1], m, limb1);
        wide[i + 2] = _mm512_madd52hi_epu64(wide[i + 2], m, limb1);
        wide[i + 3] = _mm512_madd52lo_epu64(wide[i + 3], m, limb3);
        wide[i + 4] = _mm512_madd52hi_epu64(wide[i + 4], m, limb3);
        wide[i + 4] = _mm512_madd52lo_epu64(wide[i + 4], m, limb4);
        wide[i + 5] = _mm512_madd52hi_epu64(wide[i + 5], m, limb4);
    }
    let [.., a, b, c, d, e] = wide;
    carried([a, b, c, d, e])
}

/// Brings signed limbs between 0 and 2^52.
#[target_feature(enable = "avx512f")]
#[inline]
fn carried(mut limbs: [__m512i; DIGITS]) -> Fe8 {
    let mask = _mm512_set1_epi64(MASK.cast_signed());
    for i in 1..DIGITS {
        limbs[i] = _mm512_add_epi64(limbs[i], _mm512_srai_epi64::<52>(limbs[i - 1]));
        limbs[i - 1] = _mm512_and_si512(limbs[i - 1], mask);
    }
    Fe8(limbs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::available;
    use proptest::prelude::*;

    /// Elements as limbs in Montgomery form, where carries and borrows are longest.
    fn extremes() -> [Fe; LANES] {
        let [p0, p1, p2, p3] = P;
        [
            [0; 4],
            [1, 0, 0, 0],
            [p0 - 1, p1, p2, p3],
            [p0 - 2, p1, p2, p3],
            [u64::MAX, u64::MAX, u64::MAX, p3 - 1],
            [0, 0, 0, 1 << 63],
            Fe::ONE.0,
            [u64::MAX, 0, u64::MAX, 0],
        ]
        .map(Fe)
    }

    /// Every operation on all lanes, against the scalar field. The second factor's lanes go once
    /// round.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn check_lanes(a: [Fe; LANES], b: [Fe; LANES]) {
        let rows = std::array::from_fn(|lane| Entry::new([a[lane], b[lane]]).load());
        let [x, y] = Fe8::coordinates(&rows);
        let same = |what, ours: Fe8, expected: fn(Fe, Fe) -> Fe| {
            let expected: [Fe; LANES] = std::array::from_fn(|lane| expected(a[lane], b[lane]));
            assert_eq!(
                ours.to_fe().map(|fe| fe.0),
                expected.map(|fe| fe.0),
                "{what}"
            );
        };
        same("x", x, |a, _| a);
        same("y", y, |_, b| b);
        same("product", x.mul(&y), |a, b| a.mul(&b));
        same("square", x.square(), |a, _| a.square());
        same("difference", x.sub(&y), |a, b| a.sub(&b));
        same("negative", y.negated_in(u8::MAX), |_, b| b.neg());
        same("sum of products", x.mul_add(&y, &x, &x), |a, b| {
            a.mul(&b).add(&a.square())
        });
        same("of two and twice", y.sub_and_twice(&x, &y), |a, b| {
            b.sub(&a).sub(&b.double())
        });
        // At the bounds: factors of 5p, what is subtracted 4p.
        let (d, e) = (x.sub(&y), y.sub(&x));
        same("product of differences", d.mul(&e), |a, b| {
            a.sub(&b).mul(&b.sub(&a))
        });
        same("square of a difference", d.square(), |a, b| {
            a.sub(&b).square()
        });
        let product = d.mul_add(&e, &d, &d);
        let far = product.sub_and_twice(&x, &y);
        same("chain", x.sub(&far).square(), |a, b| {
            let (d, e) = (a.sub(&b), b.sub(&a));
            let product = d.mul(&e).add(&d.square());
            a.sub(&product.sub(&a).sub(&b.double())).square()
        });
    }

    fn check(a: [Fe; LANES], b: [Fe; LANES]) {
        if available() {
            // SAFETY: the processor has the instructions.
            unsafe { check_lanes(a, b) };
        }
    }

    #[test]
    fn extremes_in_every_combination() {
        let (a, mut b) = (extremes(), extremes());
        for _ in 0..LANES {
            check(a, b);
            b.rotate_left(1);
        }
    }

    #[test]
    fn lanes_change_places() {
        #[target_feature(enable = "avx512f,avx512ifma")]
        fn run() {
            let numbers: [Fe; LANES] = extremes();
            let rows = numbers.map(|fe| Entry::new([fe, Fe::ONE]).load());
            let [x, y] = Fe8::coordinates(&rows);
            let lanes = |fe: Fe8| fe.to_fe().map(|fe| fe.0);
            let at = |from: [usize; LANES]| from.map(|lane| numbers[lane].0);
            assert_eq!(lanes(x.exchanged::<1>()), at([1, 0, 3, 2, 5, 4, 7, 6]));
            assert_eq!(lanes(x.exchanged::<2>()), at([2, 3, 0, 1, 6, 7, 4, 5]));
            let (low, high) = x.halves(&x);
            assert_eq!(lanes(low), at([0, 1, 2, 3, 0, 1, 2, 3]));
            assert_eq!(lanes(high), at([4, 5, 6, 7, 4, 5, 6, 7]));
            let some = lanes(x.with_lanes(0b1000_0001, &y));
            assert_eq!((some[0], some[1]), (Fe::ONE.0, numbers[1].0));
            assert_eq!((some[6], some[7]), (numbers[6].0, Fe::ONE.0));
        }
        if available() {
            // SAFETY: the processor has the instructions.
            unsafe { run() };
        }
    }

    proptest! {
        #[test]
        fn lanes_at_random(a: [[u8; 32]; LANES], b: [[u8; 32]; LANES]) {
            let element = |mut octets: [u8; 32]| {
                octets[0] &= 0x7F;
                Fe::from_octets(&octets).unwrap()
            };
            check(a.map(element), b.map(element));
        }
    }
}
