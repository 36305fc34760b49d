//! Arithmetic modulo the prime of P-256, `2^256 - 2^224 + 2^192 + 2^96 - 1`. Constant time.
//!
//! An element is held in Montgomery form, `x * 2^256 mod p`, as four limbs below p.

#![expect(
    clippy::indexing_slicing,
    reason = "every index runs over a fixed-size array of limbs"
)]
#![expect(
    clippy::cast_possible_truncation,
    reason = "a double limb is split into its halves"
)]

use crate::inversion::Modulus;
use crate::opaque::opaque;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

pub(super) type Limbs = [u64; 4];

pub(super) const P: Limbs = [u64::MAX, 0xFFFF_FFFF, 0, 0xFFFF_FFFF_0000_0001];
/// `2^512 mod p`: what brings an integer into Montgomery form.
const R2: Limbs = [
    3,
    0xFFFF_FFFB_FFFF_FFFF,
    0xFFFF_FFFF_FFFF_FFFE,
    0x4_FFFF_FFFD,
];

/// p, for inversion.
static MODULUS: Modulus<4, 5> = Modulus::new(P);

/// An element of the field of P-256.
#[derive(Clone, Copy)]
pub(super) struct Fe(pub(super) Limbs);

impl Fe {
    pub(super) const ZERO: Self = Self([0; 4]);
    pub(super) const ONE: Self = Self([1, 0xFFFF_FFFF_0000_0000, u64::MAX, 0xFFFF_FFFE]);

    /// The element of a big endian integer; `None` if it is not below p.
    pub(super) fn from_octets(octets: &[u8; 32]) -> Option<Self> {
        let mut limbs = [0; 4];
        for (limb, octets) in limbs.iter_mut().zip(octets.as_chunks().0.iter().rev()) {
            *limb = u64::from_be_bytes(*octets);
        }
        let (_, below) = sub(&limbs, &P);
        below.then(|| Self(limbs).mul(&Self(R2)))
    }

    /// The big endian integer.
    pub(super) fn to_octets(self) -> [u8; 32] {
        let integer = reduce([self.0[0], self.0[1], self.0[2], self.0[3], 0, 0, 0, 0]);
        let mut octets = [0; 32];
        for (limb, octets) in integer.0.iter().rev().zip(octets.as_chunks_mut().0) {
            *octets = limb.to_be_bytes();
        }
        octets
    }

    /// The element of a number below 2p, whose bit 256 is `top`, in Montgomery form already.
    pub(super) fn below_two_p(limbs: &Limbs, top: bool) -> Self {
        reduce_once(limbs, top)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = add(&self.0, &other.0);
        reduce_once(&sum, carry)
    }

    pub(super) fn double(&self) -> Self {
        self.add(self)
    }

    pub(super) fn triple(&self) -> Self {
        self.double().add(self)
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = sub(&self.0, &other.0);
        add_p_if(&difference, borrow)
    }

    pub(super) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        let (a, b) = (&self.0, &other.0);
        let mut wide = [0; 8];
        for i in 0..4 {
            let mut carry = 0;
            for j in 0..4 {
                (wide[i + j], carry) = mac(wide[i + j], a[i], b[j], carry);
            }
            wide[i + 4] = carry;
        }
        reduce(wide)
    }

    pub(super) fn square(&self) -> Self {
        let a = &self.0;
        // The products of different limbs, once, then doubled; the squares are added.
        let mut wide = [0; 8];
        for i in 0..3 {
            let mut carry = 0;
            for j in i + 1..4 {
                (wide[i + j], carry) = mac(wide[i + j], a[i], a[j], carry);
            }
            wide[i + 4] = carry;
        }
        for i in (1..8).rev() {
            wide[i] = wide[i] << 1 | wide[i - 1] >> 63;
        }
        let mut carry = false;
        for i in 0..4 {
            let (low, high) = mac(0, a[i], a[i], 0);
            (wide[2 * i], carry) = wide[2 * i].carrying_add(low, carry);
            (wide[2 * i + 1], carry) = wide[2 * i + 1].carrying_add(high, carry);
        }
        reduce(wide)
    }

    /// `1 / self`; zero for zero.
    pub(super) fn invert(&self) -> Self {
        let integer = reduce([self.0[0], self.0[1], self.0[2], self.0[3], 0, 0, 0, 0]);
        Self(MODULUS.invert(&integer.0)).mul(&Self(R2))
    }

    /// The pair at an index of a table, by reading all; zeros if there is none.
    pub(super) fn lookup(table: &[[Self; 2]], index: u8) -> [Self; 2] {
        let mut found = [[0; 4]; 2];
        for (at, entry) in (0_u64..).zip(table) {
            // Indices are small: only equal ones wrap below zero.
            let equal = (at ^ u64::from(index)).wrapping_sub(1) >> 63;
            let mask = opaque(equal.wrapping_neg());
            for (found, entry) in found.iter_mut().zip(entry) {
                for (found, limb) in found.iter_mut().zip(&entry.0) {
                    *found |= limb & mask;
                }
            }
        }
        found.map(Self)
    }

    pub(super) fn is_zero(&self) -> Choice {
        self.ct_eq(&Self::ZERO)
    }
}

/// `a + b * c + carry` as low and high limb; it never overflows.
#[inline(always)]
fn mac(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let wide = u128::from(a) + u128::from(b) * u128::from(c) + u128::from(carry);
    (wide as u64, (wide >> 64) as u64)
}

#[inline(always)]
fn add(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (mut out, mut carry) = ([0; 4], false);
    for i in 0..4 {
        (out[i], carry) = a[i].carrying_add(b[i], carry);
    }
    (out, carry)
}

#[inline(always)]
fn sub(a: &Limbs, b: &Limbs) -> (Limbs, bool) {
    let (mut out, mut borrow) = ([0; 4], false);
    for i in 0..4 {
        (out[i], borrow) = a[i].borrowing_sub(b[i], borrow);
    }
    (out, borrow)
}

#[inline(always)]
fn add_p_if(a: &Limbs, condition: bool) -> Fe {
    let mask = u64::from(condition).wrapping_neg();
    let [p0, p1, p2, p3] = P;
    Fe(add(a, &[p0 & mask, p1 & mask, p2 & mask, p3 & mask]).0)
}

/// The remainder of a number below 2p, whose bit 256 is `top`.
#[inline(always)]
fn reduce_once(a: &Limbs, top: bool) -> Fe {
    let (difference, borrow) = sub(a, &P);
    let (_, borrow) = u64::from(top).borrowing_sub(0, borrow);
    add_p_if(&difference, borrow)
}

/// Montgomery reduction: p is -1 modulo 2^64, so the limb to clear is itself the multiple of p.
#[inline(always)]
fn reduce(wide: [u64; 8]) -> Fe {
    let [a0, a1, a2, a3, b0, b1, b2, b3] = wide;
    let mut low = [a0, a1, a2, a3];
    for _ in 0..4 {
        // m p + m = m 2^96 + m (2^64 - 2^32 + 1) 2^192.
        let [m, l1, l2, l3] = low;
        let top = u128::from(m) * u128::from(P[3]);
        let (l1, carry) = l1.carrying_add(m << 32, false);
        let (l2, carry) = l2.carrying_add(m >> 32, carry);
        let (l3, carry) = l3.carrying_add(top as u64, carry);
        low = [l1, l2, l3, (top >> 64) as u64 + u64::from(carry)];
    }
    let (sum, carry) = add(&low, &[b0, b1, b2, b3]);
    reduce_once(&sum, carry)
}

impl ConstantTimeEq for Fe {
    fn ct_eq(&self, other: &Self) -> Choice {
        let difference = (0..4).fold(0, |all, i| all | (self.0[i] ^ other.0[i]));
        difference.ct_eq(&0)
    }
}

impl ConditionallySelectable for Fe {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        // The compiler must not see that the mask is a condition: it would branch on it.
        let mask = opaque(u64::from(choice.unwrap_u8()).wrapping_neg());
        let mut out = a.0;
        for (out, b) in out.iter_mut().zip(&b.0) {
            *out ^= (*out ^ b) & mask;
        }
        Self(out)
    }
}

impl Zeroize for Fe {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crypto_bigint::{NonZero, U256, U512};
    use proptest::prelude::*;

    const PRIME: &str = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";

    fn octets(limbs: Limbs) -> [u8; 32] {
        U256::from_words(limbs).to_be_bytes().into()
    }

    /// Integers below p, many of them with long runs of zeros or ones.
    fn integer() -> impl Strategy<Value = U256> {
        let limb = prop_oneof![
            Just(0),
            Just(1),
            Just(u64::MAX),
            Just(0xFFFF_FFFF),
            any::<u64>()
        ];
        let p = NonZero::new(U256::from_be_hex(PRIME)).unwrap();
        prop::array::uniform4(limb).prop_map(move |limbs| U256::from_words(limbs).rem(&p))
    }

    fn product(a: &U256, b: &U256) -> U256 {
        let p = U512::from(&U256::from_be_hex(PRIME));
        let wide: U512 = a.concatenating_mul(b);
        wide.rem(&NonZero::new(p).unwrap()).resize()
    }

    fn element(integer: &U256) -> Fe {
        Fe::from_octets(&integer.to_be_bytes().into()).unwrap()
    }

    fn value(element: Fe) -> U256 {
        U256::from_be_slice(&element.to_octets())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn arithmetic_is_that_of_integers(a in integer(), b in integer()) {
            let p = NonZero::new(U256::from_be_hex(PRIME)).unwrap();
            let (x, y) = (element(&a), element(&b));
            prop_assert_eq!(value(x), a);
            prop_assert_eq!(value(x.mul(&y)), product(&a, &b));
            prop_assert_eq!(value(x.square()), product(&a, &a));
            prop_assert_eq!(value(x.add(&y)), a.add_mod(&b, &p));
            prop_assert_eq!(value(x.sub(&y)), a.sub_mod(&b, &p));
            prop_assert_eq!(value(x.neg()), a.neg_mod(&p));
            prop_assert_eq!(value(x.triple()), a.add_mod(&a, &p).add_mod(&a, &p));
        }

        #[test]
        fn inverses_invert(a in integer()) {
            let x = element(&a);
            let one = if a == U256::ZERO { Fe::ZERO } else { Fe::ONE };
            prop_assert!(bool::from(x.invert().mul(&x).ct_eq(&one)));
        }
    }

    #[test]
    fn unreduced_encodings_are_refused() {
        assert!(Fe::from_octets(&octets(P)).is_none());
        assert!(Fe::from_octets(&[0xFF; 32]).is_none());
        let mut last = P;
        last[0] -= 1;
        assert!(Fe::from_octets(&octets(last)).is_some());
    }
}
