//! The sum of products in 52-bit limbs with AVX-512 IFMA, chosen at run time. One or two
//! independent sums at once: two fill the multipliers that one leaves waiting.
//!
//! The intrinsics are `unsafe` to call only because the processor must have the instructions, which
//! [`products`] checks, and because loads and stores take addresses, which all are of arrays here.

#![expect(
    unsafe_code,
    reason = "the vector kernel; portable.rs is its twin and the tests compare them"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "wide products are split, and the intrinsics take signed integers for bit patterns"
)]
#![expect(
    clippy::needless_range_loop,
    reason = "one index runs over several arrays of registers"
)]

use super::{Fp, LIMBS, Limbs, P, P_NEG_INV, portable};
use std::arch::x86_64::*;

/// 52-bit limbs of a factor.
pub(super) const DIGITS: usize = 20;
/// Limbs of three vector registers.
const LANES: usize = 24;
const MASK: u64 = (1 << 52) - 1;

/// 24 limbs, 20 of them in use.
type Vector = [__m512i; 3];

/// p in 52-bit limbs, plain and one limb up.
pub(super) const P_DIGITS: [[u64; LANES]; 2] = {
    let (mut low, mut high, mut j) = ([0; LANES], [0; LANES], 0);
    while j < DIGITS {
        let (limb, shift) = (52 * j / 64, 52 * j % 64);
        let next = if limb + 1 < LIMBS { P[limb + 1] } else { 0 };
        let wide = (next as u128) << 64 | P[limb] as u128;
        low[j] = (wide >> shift) as u64 & MASK;
        high[j + 1] = low[j];
        j += 1;
    }
    [low, high]
};
/// `2^1040 - p` in 52-bit limbs.
const P_NEGATIVE: [u64; LANES] = {
    let (mut out, mut j) = ([0; LANES], 0);
    while j < DIGITS {
        // The lowest limb of p is not zero: no borrow comes in, each other limb is complemented.
        out[j] = MASK - P_DIGITS[0][j] + (j == 0) as u64;
        j += 1;
    }
    out
};
/// `-1 / p mod 2^52`.
pub(super) const INVERSE: u64 = P_NEG_INV & MASK;
/// `(p * INVERSE + 1) / 2^52`, plain and one limb up. `p * INVERSE` is -1 modulo 2^52, so that it
/// takes no product to find which multiple of it clears the lowest limb.
pub(super) const FRIENDLY: [[u64; LANES]; 2] = {
    let (mut low, mut high) = ([0; LANES], [0; LANES]);
    // The lowest limb of the product is all ones: adding one clears it and carries.
    let (mut carry, mut j) = (1, 0);
    while j <= DIGITS {
        let wide = P_DIGITS[0][j] as u128 * INVERSE as u128 + carry;
        carry = wide >> 52;
        if j > 0 {
            low[j - 1] = wide as u64 & MASK;
            high[j] = low[j - 1];
        }
        j += 1;
    }
    [low, high]
};

/// The sums of products, each divided by 2^1040, modulo p; `None` on a processor without the
/// instructions.
pub(super) fn products<const L: usize, const N: usize>(
    sums: [&[(&Limbs, &Limbs); N]; L],
) -> Option<[Limbs; L]> {
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { kernel(sums) })
}

/// [`portable::lookup`], compiled for wide registers.
pub(super) fn lookup<const K: usize>(table: &[[Fp; K]], index: u64) -> Option<[Fp; K]> {
    #[target_feature(enable = "avx512f")]
    fn wide<const K: usize>(table: &[[Fp; K]], index: u64) -> [Fp; K] {
        portable::lookup(table, index)
    }
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { wide(table, index) })
}

fn available() -> bool {
    is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512f")
}

#[target_feature(enable = "avx512f,avx512bw,avx512ifma")]
fn kernel<const L: usize, const N: usize>(sums: [&[(&Limbs, &Limbs); N]; L]) -> [Limbs; L] {
    let [friendly, friendly_up] = [load(&FRIENDLY[0]), load(&FRIENDLY[1])];
    let zero = _mm512_setzero_si512();
    // The left factors are taken limb by limb, the right ones whole, plain and one limb up: the
    // high half of a product belongs there.
    let mut left = [[[0; LANES]; N]; L];
    let mut right = [[[[zero; 3]; 2]; N]; L];
    for l in 0..L {
        for n in 0..N {
            let (a, b) = sums[l][n];
            store(&mut left[l][n], &expand(a));
            let b = expand(b);
            right[l][n] = [b, up(&b)];
        }
    }
    let mut sum = [[zero; 3]; L];
    for i in 0..DIGITS {
        for l in 0..L {
            let acc = &mut sum[l];
            // What the next step waits for is kept short: the products are summed apart.
            let mut first = [zero; 2];
            for n in 0..N {
                let digit = _mm512_set1_epi64(left[l][n][i] as i64);
                let [b, b_up] = &right[l][n];
                for j in 0..2 {
                    first[j] = _mm512_madd52lo_epu64(first[j], digit, b[j]);
                    first[j] = _mm512_madd52hi_epu64(first[j], digit, b_up[j]);
                }
                acc[2] = _mm512_madd52lo_epu64(acc[2], digit, b[2]);
                acc[2] = _mm512_madd52hi_epu64(acc[2], digit, b_up[2]);
            }
            for j in 0..2 {
                acc[j] = _mm512_add_epi64(acc[j], first[j]);
            }
            if i + 1 == DIGITS {
                continue;
            }
            // The lowest limb's multiple of `p * INVERSE` clears it: what remains goes up, the
            // limb goes.
            let m = _mm512_broadcastq_epi64(_mm512_castsi512_si128(acc[0]));
            *acc = down(acc);
            for j in 0..3 {
                acc[j] = _mm512_madd52lo_epu64(acc[j], m, friendly[j]);
                acc[j] = _mm512_madd52hi_epu64(acc[j], m, friendly_up[j]);
            }
        }
    }
    // That leaves up to `p * INVERSE`. The last limb is cleared by a multiple of p: below 2p.
    let (p, p_up) = (load(&P_DIGITS[0]), load(&P_DIGITS[1]));
    let inverse = _mm512_set1_epi64(INVERSE as i64);
    let mut out = [[0; LIMBS]; L];
    for l in 0..L {
        let acc = &mut sum[l];
        let m = _mm512_madd52lo_epu64(zero, acc[0], inverse);
        let m = _mm512_broadcastq_epi64(_mm512_castsi512_si128(m));
        for j in 0..3 {
            acc[j] = _mm512_madd52lo_epu64(acc[j], m, p[j]);
            acc[j] = _mm512_madd52hi_epu64(acc[j], m, p_up[j]);
        }
        out[l] = contract(&remainder(&down(acc)));
    }
    out
}

#[target_feature(enable = "avx512f")]
fn load(from: &[u64; LANES]) -> Vector {
    let (parts, _) = from.as_chunks::<8>();
    // SAFETY: eight limbs are a register.
    [0, 1, 2].map(|j| unsafe { _mm512_loadu_epi64(parts[j].as_ptr().cast()) })
}

#[target_feature(enable = "avx512f")]
fn store(to: &mut [u64; LANES], from: &Vector) {
    let (parts, _) = to.as_chunks_mut::<8>();
    for (part, from) in parts.iter_mut().zip(from) {
        // SAFETY: eight limbs are a register.
        unsafe { _mm512_storeu_epi64(part.as_mut_ptr().cast(), *from) };
    }
}

/// The limbs one place down; the carry of the lowest stays.
#[target_feature(enable = "avx512f")]
fn down(a: &Vector) -> Vector {
    let carry = _mm512_srli_epi64::<52>(a[0]);
    let low = _mm512_alignr_epi64::<1>(a[1], a[0]);
    [
        _mm512_mask_add_epi64(low, 1, low, carry),
        _mm512_alignr_epi64::<1>(a[2], a[1]),
        _mm512_alignr_epi64::<1>(_mm512_setzero_si512(), a[2]),
    ]
}

/// The limbs one place up.
#[target_feature(enable = "avx512f")]
fn up(a: &Vector) -> Vector {
    let zero = _mm512_setzero_si512();
    [
        _mm512_alignr_epi64::<7>(a[0], zero),
        _mm512_alignr_epi64::<7>(a[1], a[0]),
        _mm512_alignr_epi64::<7>(a[2], a[1]),
    ]
}

/// 64-bit limbs to 52-bit limbs. Eight of the latter are 52 octets; a limb's bits lie in four
/// 16-bit words, up to twelve bits off.
#[target_feature(enable = "avx512f,avx512bw")]
fn expand(a: &Limbs) -> Vector {
    const fn words(first: u64) -> [u64; 8] {
        let (mut out, mut j) = ([0; 8], 0);
        while j < 8 {
            let word = first + 52 * j as u64 / 16;
            out[j] = word | (word + 1) << 16 | (word + 2) << 32 | (word + 3) << 48;
            j += 1;
        }
        out
    }
    const HEAD: [u64; 8] = words(0);
    const TAIL: [u64; 8] = words(20);
    let (parts, _) = a.as_chunks::<8>();
    // SAFETY: eight limbs are a register.
    let [first, last, head, tail] = [&parts[0], &parts[1], &HEAD, &TAIL]
        .map(|part| unsafe { _mm512_loadu_epi64(part.as_ptr().cast()) });
    // Octets 52 to 115.
    let middle = _mm512_alignr_epi32::<13>(last, first);
    let shift = _mm512_set_epi64(12, 8, 4, 0, 12, 8, 4, 0);
    let mask = _mm512_set1_epi64(MASK as i64);
    let trim = |words| _mm512_and_si512(_mm512_srlv_epi64(words, shift), mask);
    [
        trim(_mm512_permutexvar_epi16(head, first)),
        trim(_mm512_permutexvar_epi16(head, middle)),
        // Limbs 16 to 19; the last ends with the element, three words into its four.
        trim(_mm512_maskz_permutexvar_epi16(0x7FFF, tail, last)),
    ]
}

/// Brings every limb below 2^52.
#[target_feature(enable = "avx512f,avx512bw")]
fn carry_up(a: &Vector) -> Vector {
    let mask = _mm512_set1_epi64(MASK as i64);
    let carries = up(&a.map(|a| _mm512_srli_epi64::<52>(a)));
    let sum = [0, 1, 2].map(|j| _mm512_add_epi64(_mm512_and_si512(a[j], mask), carries[j]));
    // A limb is now at most a little above 2^52: it carries one, or passes on a one when it is all
    // ones.
    let over = bits(sum.map(|a| _mm512_cmpgt_epu64_mask(a, mask)));
    let full = bits(sum.map(|a| _mm512_cmpeq_epu64_mask(a, mask)));
    let carried = lanes(ripple(over, full) ^ full);
    let one = _mm512_set1_epi64(1);
    [0, 1, 2]
        .map(|j| _mm512_and_si512(_mm512_mask_add_epi64(sum[j], carried[j], sum[j], one), mask))
}

/// The remainder of a number below 2p, in limbs of up to 63 bits.
#[target_feature(enable = "avx512f,avx512bw")]
fn remainder(a: &Vector) -> Vector {
    let negative = load(&P_NEGATIVE);
    let reduced = carry_up(&[0, 1, 2].map(|j| _mm512_add_epi64(a[j], negative[j])));
    let plain = carry_up(a);
    // The reduced one is right if 2^1040 came out on top, in limb 20.
    let top = _mm512_permutexvar_epi64(_mm512_set1_epi64(4), reduced[2]);
    let right = _mm512_test_epi64_mask(top, top);
    [0, 1, 2].map(|j| _mm512_mask_mov_epi64(plain[j], right, reduced[j]))
}

/// Adds the limbs that carry, one place up, to the limbs that pass a carry on, as integers: the
/// carries ripple through all limbs at once.
fn ripple(over: u32, full: u32) -> u32 {
    (over << 1) + full
}

fn bits([low, middle, high]: [__mmask8; 3]) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

fn lanes(bits: u32) -> [__mmask8; 3] {
    let [low, middle, high, _] = bits.to_le_bytes();
    [low, middle, high]
}

/// Limbs of 52 bits to an element. A 64-bit limb is made of two or three.
#[target_feature(enable = "avx512f")]
fn contract(a: &Vector) -> Limbs {
    // A 64-bit limb w starts in limb 64w / 52, at bit 64w % 52.
    let low = gather(
        (a[0], a[1]),
        _mm512_set_epi64(8, 7, 6, 4, 3, 2, 1, 0),
        _mm512_set_epi64(32, 20, 8, 48, 36, 24, 12, 0),
    );
    let high = gather(
        (a[1], a[2]),
        _mm512_set_epi64(10, 9, 8, 6, 5, 4, 3, 1),
        _mm512_set_epi64(24, 12, 0, 40, 28, 16, 4, 44),
    );
    let mut out = [0; LIMBS];
    let (parts, _) = out.as_chunks_mut::<8>();
    // SAFETY: eight limbs are a register.
    unsafe {
        _mm512_storeu_epi64(parts[0].as_mut_ptr().cast(), low);
        _mm512_storeu_epi64(parts[1].as_mut_ptr().cast(), high);
    }
    out
}

/// Three limbs from `first` on, shifted into place.
#[target_feature(enable = "avx512f")]
fn gather((low, high): (__m512i, __m512i), first: __m512i, shift: __m512i) -> __m512i {
    let take = |offset| {
        let limb = _mm512_add_epi64(first, _mm512_set1_epi64(offset));
        _mm512_permutex2var_epi64(low, limb, high)
    };
    let left = |bits| _mm512_sub_epi64(_mm512_set1_epi64(bits), shift);
    let start = _mm512_srlv_epi64(take(0), shift);
    let middle = _mm512_sllv_epi64(take(1), left(52));
    // Counts of 64 and more give zero.
    let end = _mm512_sllv_epi64(take(2), left(104));
    _mm512_or_si512(start, _mm512_or_si512(middle, end))
}
