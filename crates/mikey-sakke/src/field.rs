//! Arithmetic modulo the 1024-bit prime p and modulo the order q: the one place a faster kernel
//! would replace. Constant time in all values.

use crate::params::{FIELD_OCTETS, P_MODULUS, Q_ORDER};
use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{Choice, CtEq, CtSelect, U1024, const_monty_params};
use zeroize::Zeroize;

const_monty_params!(Prime, U1024, P_MODULUS, "The prime p of parameter set 1.");
const_monty_params!(Order, U1024, Q_ORDER, "The order q of parameter set 1.");

type Monty<M> = ConstMontyForm<M, { U1024::LIMBS }>;

/// Bits of the order q: the length every scalar multiplication walks.
pub(crate) const ORDER_BITS: u32 = 1022;

/// An element of F_p.
#[derive(Clone, Copy)]
pub(crate) struct Fp(Monty<Prime>);

impl Fp {
    pub(crate) const ZERO: Self = Self(Monty::<Prime>::ZERO);
    pub(crate) const ONE: Self = Self(Monty::<Prime>::ONE);

    pub(crate) const fn from_hex(hex: &str) -> Self {
        Self(Monty::<Prime>::new(&U1024::from_be_hex(hex)))
    }

    /// The element of this encoding; `None` if it is not reduced.
    pub(crate) fn from_octets(octets: &[u8; FIELD_OCTETS]) -> Option<Self> {
        let integer = U1024::from_be_slice(octets);
        (integer < U1024::from_be_hex(P_MODULUS)).then(|| Self(Monty::<Prime>::new(&integer)))
    }

    /// 128 octets, leading zeros kept.
    pub(crate) fn to_octets(self) -> [u8; FIELD_OCTETS] {
        self.0.retrieve().to_be_bytes().into()
    }

    pub(crate) const fn add(&self, other: &Self) -> Self {
        Self(self.0.add(&other.0))
    }

    pub(crate) const fn double(&self) -> Self {
        Self(self.0.double())
    }

    pub(crate) const fn sub(&self, other: &Self) -> Self {
        Self(self.0.sub(&other.0))
    }

    pub(crate) const fn mul(&self, other: &Self) -> Self {
        Self(self.0.mul(&other.0))
    }

    pub(crate) const fn square(&self) -> Self {
        Self(self.0.square())
    }

    pub(crate) const fn triple(&self) -> Self {
        self.double().add(self)
    }

    pub(crate) fn invert(&self) -> Option<Self> {
        self.0.invert().into_option().map(Self)
    }

    pub(crate) fn is_zero(&self) -> Choice {
        self.ct_eq(&Self::ZERO)
    }

    pub(crate) fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_montgomery().ct_eq(other.0.as_montgomery())
    }

    /// `self` or, when chosen, `other`.
    pub(crate) fn select(&self, other: &Self, choice: Choice) -> Self {
        let (a, b) = (self.0.as_montgomery(), other.0.as_montgomery());
        Self(Monty::<Prime>::from_montgomery(a.ct_select(b, choice)))
    }
}

impl Zeroize for Fp {
    fn zeroize(&mut self) {
        self.0.as_montgomery_mut().zeroize();
    }
}

/// An integer modulo the group order q.
#[derive(Clone, Copy)]
pub(crate) struct Scalar(U1024);

impl Scalar {
    pub(crate) const ORDER: Self = Self(U1024::from_be_hex(Q_ORDER));

    /// The integer of an octet string of at most 128 octets that is below q.
    pub(crate) fn from_octets(octets: &[u8]) -> Option<Self> {
        let mut padded = [0; FIELD_OCTETS];
        let start = FIELD_OCTETS.checked_sub(octets.len())?;
        padded.get_mut(start..)?.copy_from_slice(octets);
        let scalar = Self(U1024::from_be_slice(&padded));
        padded.zeroize();
        (scalar.0 < Self::ORDER.0).then_some(scalar)
    }

    /// The remainder of any 1024-bit integer.
    pub(crate) fn reduce(octets: &[u8; FIELD_OCTETS]) -> Self {
        Self(Monty::<Order>::new(&U1024::from_be_slice(octets)).retrieve())
    }

    pub(crate) fn to_octets(self) -> [u8; FIELD_OCTETS] {
        self.0.to_be_bytes().into()
    }

    pub(crate) fn is_zero(&self) -> Choice {
        self.0.ct_eq(&U1024::ZERO)
    }

    /// `1 / (self + other)`; `None` when the sum is zero.
    pub(crate) fn inverse_of_sum(&self, other: &Self) -> Option<Self> {
        let mut sum = Monty::<Order>::new(&self.0).add(&Monty::<Order>::new(&other.0));
        let inverse = sum.invert().into_option().map(|i| Self(i.retrieve()));
        sum.as_montgomery_mut().zeroize();
        inverse
    }

    /// Bit `index`, counted from the least significant.
    pub(crate) fn bit(&self, index: u32) -> Choice {
        self.0.bit(index)
    }
}

impl Zeroize for Scalar {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_keep_leading_zeros_and_refuse_unreduced_values() {
        assert_eq!(Fp::ONE.to_octets()[..127], [0; 127]);
        let p = U1024::from_be_hex(P_MODULUS);
        assert!(Fp::from_octets(&p.to_be_bytes().into()).is_none());
        assert!(Fp::from_octets(&[0xFF; 128]).is_none());
        let largest = p.wrapping_sub(&U1024::ONE);
        let minus_one = Fp::from_octets(&largest.to_be_bytes().into()).unwrap();
        assert!(bool::from(minus_one.add(&Fp::ONE).is_zero()));
    }

    #[test]
    fn scalars_are_below_the_order() {
        assert!(Scalar::from_octets(&Scalar::ORDER.to_octets()).is_none());
        assert!(bool::from(
            Scalar::reduce(&Scalar::ORDER.to_octets()).is_zero()
        ));
        assert!(Scalar::from_octets(&[0; 129]).is_none());
    }
}
