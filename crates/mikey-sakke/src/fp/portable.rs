//! The sum of products in 64-bit limbs, for any processor: schoolbook products, then one Montgomery
//! reduction by 2^1040.

#![expect(
    clippy::cast_possible_truncation,
    reason = "a double limb is split into its halves"
)]

use super::{Fp, LIMBS, Limbs, P, P_NEG_INV};
use crate::opaque::opaque;
use std::hint::black_box;

/// A sum of products before reduction, with a limb of head room.
type Wide = [u64; 2 * LIMBS + 1];

/// `a + b * c + carry` as low and high limb; it never overflows.
const fn mac(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let wide = a as u128 + b as u128 * c as u128 + carry as u128;
    (wide as u64, (wide >> 64) as u64)
}

#[inline(always)]
pub(super) fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (mut out, mut carry) = ([0; LIMBS], false);
    for i in 0..LIMBS {
        (out[i], carry) = a[i].carrying_add(b[i], carry);
    }
    (out, carry)
}

/// The difference, and whether it is negative.
#[inline(always)]
pub(super) fn sub(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (mut out, mut borrow) = ([0; LIMBS], false);
    for i in 0..LIMBS {
        (out[i], borrow) = a[i].borrowing_sub(b[i], borrow);
    }
    (out, borrow)
}

/// Adds p if asked to; the carry is dropped.
#[inline(always)]
pub(super) fn add_p_if(a: &Limbs, condition: bool) -> Limbs {
    // The compiler must not see that the mask is a condition: it would branch on it.
    let mask = opaque(u64::from(condition).wrapping_neg());
    add(a, &P.map(|limb| limb & mask)).0
}

/// The remainder of a number below 2p, whose bit 1024 is `top`.
#[inline(always)]
pub(super) fn reduce_once(a: &Limbs, top: bool) -> Limbs {
    // Without the black box the compiler compares with each limb's value, which is slower.
    let (difference, borrow) = sub(a, black_box(&P));
    add_p_if(&difference, borrow & !top)
}

/// The sum of the products, divided by 2^1040, modulo p.
pub(super) fn products<const N: usize>(terms: &[(&Limbs, &Limbs); N]) -> Limbs {
    let mut wide = [0; 2 * LIMBS + 1];
    for (a, b) in terms {
        accumulate(&mut wide, a, b);
    }
    reduce(wide)
}

fn accumulate(wide: &mut Wide, a: &Limbs, b: &Limbs) {
    let mut top = false;
    for i in 0..LIMBS {
        let mut carry = 0;
        for j in 0..LIMBS {
            (wide[i + j], carry) = mac(wide[i + j], a[i], b[j], carry);
        }
        (wide[i + LIMBS], top) = wide[i + LIMBS].carrying_add(carry, top);
    }
    wide[2 * LIMBS] += u64::from(top);
}

fn reduce(mut wide: Wide) -> Limbs {
    let mut top = false;
    for i in 0..LIMBS {
        let m = wide[i].wrapping_mul(P_NEG_INV);
        let mut carry = 0;
        for j in 0..LIMBS {
            (wide[i + j], carry) = mac(wide[i + j], m, P[j], carry);
        }
        (wide[i + LIMBS], top) = wide[i + LIMBS].carrying_add(carry, top);
    }
    wide[2 * LIMBS] += u64::from(top);
    // 1024 of the 1040 bits are gone; sixteen more.
    let m = wide[LIMBS].wrapping_mul(P_NEG_INV) & 0xFFFF;
    let mut carry = 0;
    for j in 0..LIMBS {
        (wide[LIMBS + j], carry) = mac(wide[LIMBS + j], m, P[j], carry);
    }
    wide[2 * LIMBS] += carry;
    let mut out = [0; LIMBS];
    for i in 0..LIMBS {
        out[i] = wide[LIMBS + i] >> 16 | wide[LIMBS + i + 1] << 48;
    }
    reduce_once(&out, wide[2 * LIMBS] >> 16 == 1)
}

/// The entry at an index, by reading all; zeros if there is none.
#[inline(always)]
pub(super) fn lookup<const K: usize>(table: &[[Fp; K]], index: u64) -> [Fp; K] {
    let mut found = [[0; LIMBS]; K];
    for (at, entry) in (0_u64..).zip(table) {
        // Indices are small: only equal ones wrap below zero.
        let equal = (at ^ index).wrapping_sub(1) >> 63;
        let mask = opaque(equal.wrapping_neg());
        for (found, entry) in found.iter_mut().zip(entry) {
            for (found, limb) in found.iter_mut().zip(&entry.0) {
                *found |= limb & mask;
            }
        }
    }
    found.map(Fp)
}
