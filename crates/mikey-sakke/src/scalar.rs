//! Integers modulo the order q. Constant time.

use crate::inversion::Modulus;
use crate::params::{FIELD_OCTETS, Q_ORDER};
use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{CtSelect, U1024, const_monty_params};
use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroize;

const_monty_params!(Order, U1024, Q_ORDER, "The order q of parameter set 1.");

type Monty = ConstMontyForm<Order, { U1024::LIMBS }>;

/// Bits of the order q.
pub(crate) const ORDER_BITS: usize = 1022;

/// An integer modulo the group order q.
#[derive(Clone, Copy)]
pub(crate) struct Scalar(U1024);

impl Scalar {
    pub(crate) const ONE: Self = Self(U1024::ONE);
    const ORDER: U1024 = U1024::from_be_hex(Q_ORDER);

    /// The integer of an octet string of at most 128 octets that is below q.
    pub(crate) fn from_octets(octets: &[u8]) -> Option<Self> {
        let mut padded = [0; FIELD_OCTETS];
        let start = FIELD_OCTETS.checked_sub(octets.len())?;
        padded.get_mut(start..)?.copy_from_slice(octets);
        let scalar = Self(U1024::from_be_slice(&padded));
        padded.zeroize();
        (scalar.0 < Self::ORDER).then_some(scalar)
    }

    /// The remainder of any 1024-bit integer.
    pub(crate) fn reduce(octets: &[u8; FIELD_OCTETS]) -> Self {
        Self(Monty::new(&U1024::from_be_slice(octets)).retrieve())
    }

    pub(crate) fn to_octets(self) -> [u8; FIELD_OCTETS] {
        self.0.to_be_bytes().into()
    }

    pub(crate) fn is_zero(&self) -> Choice {
        self.ct_eq(&Self(U1024::ZERO))
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        Self(Monty::new(&self.0).add(&Monty::new(&other.0)).retrieve())
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        Self(Monty::new(&self.0).mul(&Monty::new(&other.0)).retrieve())
    }

    /// `1 / self`; `None` for zero.
    pub(crate) fn invert(&self) -> Option<Self> {
        static MODULUS: Modulus<{ U1024::LIMBS }, 17> =
            Modulus::new(*U1024::from_be_hex(Q_ORDER).as_words());
        let inverse = Self(U1024::from_words(MODULUS.invert(self.0.as_words())));
        (!bool::from(inverse.is_zero())).then_some(inverse)
    }

    /// The inverses of many integers, with one inversion; `None` if one is zero.
    pub(crate) fn invert_all<const N: usize>(scalars: &[Self; N]) -> Option<[Self; N]> {
        let mut product = Self::ONE;
        let mut inverses = [Self::ONE; N];
        for (inverse, scalar) in inverses.iter_mut().zip(scalars) {
            *inverse = product;
            product = product.mul(scalar);
        }
        let mut rest = product.invert()?;
        for (inverse, scalar) in inverses.iter_mut().zip(scalars).rev() {
            *inverse = inverse.mul(&rest);
            rest = rest.mul(scalar);
        }
        product.zeroize();
        rest.zeroize();
        Some(inverses)
    }

    /// The odd one of the integer and its negative modulo q, and whether it is the negative.
    pub(crate) fn odd(&self) -> ([u64; U1024::LIMBS], Choice) {
        let even = !self.0.is_odd();
        let negative = Self::ORDER.wrapping_sub(&self.0);
        (*self.0.ct_select(&negative, even).as_words(), even.into())
    }
}

impl ConstantTimeEq for Scalar {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_words().as_slice().ct_eq(other.0.as_words())
    }
}

impl Zeroize for Scalar {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// A number in non-adjacent form: digits -1, 0 and 1 from the most significant on, after the
/// leading one. Variable time: for public numbers.
pub(crate) fn non_adjacent(number: &U1024) -> Vec<i8> {
    let mut digits = Vec::with_capacity(ORDER_BITS + 1);
    let mut rest = *number;
    while rest != U1024::ZERO {
        let digit = match rest.as_words() {
            [low, ..] if low & 3 == 1 => 1,
            [low, ..] if low & 3 == 3 => -1,
            _ => 0,
        };
        rest = match digit {
            1 => rest.wrapping_sub(&U1024::ONE),
            -1 => rest.wrapping_add(&U1024::ONE),
            _ => rest,
        };
        rest = rest.shr(1);
        digits.push(digit);
    }
    digits.pop();
    digits.reverse();
    digits
}
