//! Arithmetic modulo the 1024-bit prime p. Constant time in all values unless a function says
//! otherwise.
//!
//! An element is held in Montgomery form, `x * 2^1040 mod p`, as sixteen 64-bit limbs below p. 2^1040
//! suits both kernels: it is twenty limbs of 52 bits, and its sixteen spare bits keep every sum of
//! up to [`MAX_TERMS`] products below 2p after reduction. The one expensive operation is the sum of
//! products; [`portable`] computes it anywhere, [`ifma`] on processors with AVX-512 IFMA, and the
//! results are equal bit for bit.

#![expect(
    clippy::indexing_slicing,
    reason = "every index runs over a fixed-size array of limbs"
)]

#[cfg(target_arch = "x86_64")]
mod eight;
#[cfg(target_arch = "x86_64")]
mod ifma;
mod portable;

use crate::inversion::Modulus;
use crate::opaque::opaque;
use crate::params::{FIELD_OCTETS, P_MODULUS};
use crypto_bigint::modular::ConstMontyForm;
use crypto_bigint::{U1024, const_monty_params};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

#[cfg(target_arch = "x86_64")]
pub(crate) use eight::Fp8;

/// 64-bit limbs of an element, least significant first.
pub(crate) const LIMBS: usize = 16;
/// Most products that one reduction may follow.
pub(crate) const MAX_TERMS: usize = 5;

type Limbs = [u64; LIMBS];

/// p.
const P: Limbs = *U1024::from_be_hex(P_MODULUS).as_words();
/// `-1 / p mod 2^64`; its low bits serve every smaller radix.
const P_NEG_INV: u64 = negated_inverse(P[0]);
/// `2^1040 mod p`: one in Montgomery form.
const R1: Limbs = *power_of_two(1040).retrieve().as_words();
/// `2^2080 mod p`: what brings an integer into Montgomery form.
const R2: Limbs = *power_of_two(2080).retrieve().as_words();

const_monty_params!(Prime, U1024, P_MODULUS, "The prime p.");

/// The field as crypto-bigint has it: for constants.
type Reference = ConstMontyForm<Prime, { U1024::LIMBS }>;

/// An element of F_p, aligned as cache lines and vector registers are.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(crate) struct Fp(Limbs);

/// A product to be summed.
pub(crate) type Term<'a> = (&'a Fp, &'a Fp);

impl Fp {
    pub(crate) const ZERO: Self = Self([0; LIMBS]);
    pub(crate) const ONE: Self = Self(R1);

    /// The element of an integer below p in big endian hex.
    pub(crate) const fn from_hex(hex: &str) -> Self {
        let integer = Reference::new(&U1024::from_be_hex(hex));
        Self(*integer.mul(&power_of_two(1040)).retrieve().as_words())
    }

    /// The element of this encoding; `None` if it is not reduced.
    pub(crate) fn from_octets(octets: &[u8; FIELD_OCTETS]) -> Option<Self> {
        let mut integer = [0; LIMBS];
        for (limb, octets) in integer.iter_mut().zip(octets.rchunks_exact(8)) {
            *limb = octets
                .iter()
                .fold(0, |limb, octet| limb << 8 | u64::from(*octet));
        }
        let (_, below) = portable::sub(&integer, &P);
        below.then(|| Self(integer).mul(&Self(R2)))
    }

    /// 128 octets, leading zeros kept.
    pub(crate) fn to_octets(self) -> [u8; FIELD_OCTETS] {
        let mut octets = [0; FIELD_OCTETS];
        let integer = self.retrieve();
        for (limb, octets) in integer.iter().zip(octets.rchunks_exact_mut(8)) {
            octets.copy_from_slice(&limb.to_be_bytes());
        }
        octets
    }

    /// The integer, out of Montgomery form.
    fn retrieve(&self) -> Limbs {
        let mut one = [0; LIMBS];
        one[0] = 1;
        self.mul(&Self(one)).0
    }

    pub(crate) fn add(&self, other: &Self) -> Self {
        let (sum, carry) = portable::add(&self.0, &other.0);
        Self(portable::reduce_once(&sum, carry))
    }

    pub(crate) fn double(&self) -> Self {
        self.add(self)
    }

    pub(crate) fn triple(&self) -> Self {
        self.double().add(self)
    }

    pub(crate) fn sub(&self, other: &Self) -> Self {
        let (difference, borrow) = portable::sub(&self.0, &other.0);
        Self(portable::add_p_if(&difference, borrow))
    }

    pub(crate) fn neg(&self) -> Self {
        Self::ZERO.sub(self)
    }

    pub(crate) fn mul(&self, other: &Self) -> Self {
        Self::dot(&[(self, other)])
    }

    pub(crate) fn square(&self) -> Self {
        self.mul(self)
    }

    /// Two independent products: on a vector kernel hardly dearer than one.
    pub(crate) fn mul2(a: Term<'_>, b: Term<'_>) -> (Self, Self) {
        Self::dot2(&[a], &[b])
    }

    /// The sum of products, with a single reduction.
    pub(crate) fn dot<const N: usize>(terms: &[Term<'_>; N]) -> Self {
        const { assert!(N <= MAX_TERMS) };
        let terms = terms.map(|(a, b)| (&a.0, &b.0));
        #[cfg(target_arch = "x86_64")]
        if let Some([sum]) = ifma::products([&terms]) {
            return Self(sum);
        }
        Self(portable::products(&terms))
    }

    /// Two independent sums of products.
    pub(crate) fn dot2<const N: usize>(a: &[Term<'_>; N], b: &[Term<'_>; N]) -> (Self, Self) {
        const { assert!(N <= MAX_TERMS) };
        let (a, b) = (a.map(|(a, b)| (&a.0, &b.0)), b.map(|(a, b)| (&a.0, &b.0)));
        #[cfg(target_arch = "x86_64")]
        if let Some([a, b]) = ifma::products([&a, &b]) {
            return (Self(a), Self(b));
        }
        (Self(portable::products(&a)), Self(portable::products(&b)))
    }

    /// `1 / self`; `None` for zero.
    pub(crate) fn invert(&self) -> Option<Self> {
        static MODULUS: Modulus<LIMBS, 17> = Modulus::new(P);
        let inverse = Self(MODULUS.invert(&self.retrieve())).mul(&Self(R2));
        (!bool::from(self.is_zero())).then_some(inverse)
    }

    /// The inverses of many elements, with one inversion; `None` if one is zero.
    pub(crate) fn invert_all(elements: &[Self]) -> Option<Vec<Self>> {
        let mut product = Self::ONE;
        let mut inverses = Vec::with_capacity(elements.len());
        for element in elements {
            inverses.push(product);
            product = product.mul(element);
        }
        let mut rest = product.invert()?;
        for (inverse, element) in inverses.iter_mut().zip(elements).rev() {
            (*inverse, rest) = Self::mul2((inverse, &rest), (element, &rest));
        }
        Some(inverses)
    }

    /// The elements at a secret index of a table; zeros past its end. Reads the whole table.
    pub(crate) fn lookup<const K: usize>(table: &[[Self; K]], index: u64) -> [Self; K] {
        #[cfg(target_arch = "x86_64")]
        if let Some(found) = ifma::lookup(table, index) {
            return found;
        }
        portable::lookup(table, index)
    }

    pub(crate) fn is_zero(&self) -> Choice {
        self.ct_eq(&Self::ZERO)
    }
}

impl ConstantTimeEq for Fp {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_slice().ct_eq(other.0.as_slice())
    }
}

impl ConditionallySelectable for Fp {
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

impl Zeroize for Fp {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

/// `-1 / p mod 2^64`, by Newton's iteration: each step doubles the number of right bits.
const fn negated_inverse(p: u64) -> u64 {
    let mut inverse = 1_u64;
    let mut step = 0;
    while step < 6 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(p.wrapping_mul(inverse)));
        step += 1;
    }
    inverse.wrapping_neg()
}

const fn power_of_two(n: usize) -> Reference {
    let (mut power, mut step) = (Reference::ONE, 0);
    while step < n {
        power = power.double();
        step += 1;
    }
    power
}

#[cfg(test)]
mod tests;
