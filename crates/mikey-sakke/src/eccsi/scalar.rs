//! Integers modulo the order of P-256 as limbs: what `p256` does not have fast or at all.

use super::{SCALAR_OCTETS, scalar_of};
use crate::inversion::Modulus;
use crate::opaque::opaque;
use p256::Scalar;
use p256::elliptic_curve::PrimeField;
use zeroize::{Zeroize, Zeroizing};

type Words = Zeroizing<[u64; 4]>;

/// The order n, least significant limb first.
const ORDER: [u64; 4] = [
    0xF3B9_CAC2_FC63_2551,
    0xBCE6_FAAD_A717_9E84,
    0xFFFF_FFFF_FFFF_FFFF,
    0xFFFF_FFFF_0000_0000,
];
static MODULUS: Modulus<4, 5> = Modulus::new(ORDER);

fn words_of(scalar: &Scalar) -> Words {
    let mut octets: [u8; SCALAR_OCTETS] = scalar.to_repr().into();
    let mut words = Words::default();
    for (word, octets) in words.iter_mut().zip(octets.as_chunks().0.iter().rev()) {
        *word = u64::from_be_bytes(*octets);
    }
    octets.zeroize();
    words
}

/// `1 / scalar`, in constant time; zero for zero.
pub(super) fn inverse_of(scalar: &Scalar) -> Scalar {
    let words = Zeroizing::new(MODULUS.invert(&words_of(scalar)));
    let mut octets = [0; SCALAR_OCTETS];
    for (word, octets) in words.iter().zip(octets.as_chunks_mut().0.iter_mut().rev()) {
        *octets = word.to_be_bytes();
    }
    let inverse = scalar_of(&octets);
    octets.zeroize();
    inverse
}

/// The odd one of k and n - k, and one if it is the latter. In constant time.
pub(super) fn odd(scalar: &Scalar) -> (Words, u8) {
    let mut words = words_of(scalar);
    let [low, ..] = *words;
    let even = opaque(!low & 1);
    let mut borrow = false;
    for (word, order) in words.iter_mut().zip(&ORDER) {
        let negative;
        (negative, borrow) = order.borrowing_sub(*word, borrow);
        *word ^= (*word ^ negative) & even.wrapping_neg();
    }
    (words, u8::from(even == 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inverses_are_those_of_the_reference() {
        for k in [1_u64, 2, 3, u64::MAX].map(Scalar::from) {
            for k in [k, -k, k * k * k * k, -(k * k * k) - Scalar::ONE] {
                assert_eq!(inverse_of(&k), k.invert().unwrap());
            }
        }
        assert_eq!(inverse_of(&Scalar::ZERO), Scalar::ZERO);
    }
}
