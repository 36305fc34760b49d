//! Multiples of points of P-256: fixed ones from tables, in constant or variable time, and any
//! point by a sliding window, in variable time for public data only.

use super::fe::Fe;
use super::point::{Affine, GENERATOR, Jacobian};
use p256::Scalar;
use p256::elliptic_curve::PrimeField;
use std::sync::LazyLock;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, Zeroizing};

/// Bits of a digit; digits are signed, from -31 to 32.
const WIDTH: usize = 6;
/// Digits of a scalar.
const DIGITS: usize = 43;
/// Positive digits.
const ENTRIES: usize = 1 << (WIDTH - 1);

/// Multiples of a fixed point: `[e 64^i]X` for each digit place i and e from 1 to 32; 88 kB.
pub(super) struct FixedBase(Vec<[Fe; 2]>);

/// The table of the base point.
pub(super) static BASE: LazyLock<Option<FixedBase>> = LazyLock::new(|| {
    let generator = Affine::from_octets(&GENERATOR, "G").ok()?;
    Some(FixedBase::new(&generator))
});

impl FixedBase {
    pub(super) fn new(point: &Affine) -> Self {
        let mut entries = Vec::with_capacity(DIGITS * ENTRIES);
        let mut first = *point;
        for _ in 0..DIGITS {
            let mut multiple = first.to_jacobian();
            for _ in 0..ENTRIES {
                entries.push(multiple);
                multiple = multiple.add_affine(&first);
            }
            // The next place's point is the double of the last entry.
            let next = entries.last().map(Jacobian::double);
            first = next.and_then(Jacobian::to_affine).unwrap_or(first);
        }
        let entries = Jacobian::to_affine_all(&entries);
        Self(entries.iter().map(|entry| [entry.x, entry.y]).collect())
    }

    /// `[scalar]X`, in time independent of the scalar.
    pub(super) fn times(&self, scalar: &Scalar) -> Jacobian {
        let digits = Zeroizing::new(signed_digits(scalar));
        let mut sum = Jacobian::INFINITY;
        for (place, digit) in self.0.chunks_exact(ENTRIES).zip(digits.iter()) {
            let negative = Choice::from(digit.to_ne_bytes()[0] >> 7);
            let size = i8::conditional_select(digit, &digit.wrapping_neg(), negative);
            // For zero this finds nothing, and the sum is not taken.
            let index = size.unsigned_abs().wrapping_sub(1);
            let [x, mut y] = Fe::lookup(place, index);
            y.conditional_assign(&y.neg(), negative);
            let with = sum.add_affine(&Affine { x, y });
            sum.conditional_assign(&with, !Choice::from(u8::from(size == 0)));
        }
        sum
    }

    /// Adds `[scalar]X` to a sum. Variable time: for public data.
    pub(super) fn add_public(&self, sum: Jacobian, scalar: &Scalar) -> Jacobian {
        let places = self.0.chunks_exact(ENTRIES).zip(signed_digits(scalar));
        places.fold(sum, |sum, (place, digit)| {
            let size = usize::from(digit.unsigned_abs());
            match size.checked_sub(1).and_then(|index| place.get(index)) {
                None => sum,
                Some([x, y]) if digit < 0 => sum.add_affine(&Affine { x: *x, y: y.neg() }),
                Some([x, y]) => sum.add_affine(&Affine { x: *x, y: *y }),
            }
        })
    }
}

/// `[scalar]point`. Variable time: for public data.
pub(super) fn times_public(point: &Affine, scalar: &Scalar) -> Jacobian {
    // Odd multiples up to 15.
    let mut odd = vec![point.to_jacobian()];
    if let Some(double) = point.to_jacobian().double().to_affine() {
        for index in 0..7 {
            let next = odd.get(index).map(|multiple| multiple.add_affine(&double));
            odd.extend(next);
        }
    }
    let odd = Jacobian::to_affine_all(&odd);
    let mut sum = Jacobian::INFINITY;
    for digit in sliding_digits(scalar).iter().rev() {
        sum = sum.double();
        let index = usize::from(digit.unsigned_abs() / 2);
        match (*digit, odd.get(index)) {
            (1.., Some(multiple)) => sum = sum.add_affine(multiple),
            (..=-1, Some(multiple)) => sum = sum.add_affine(&multiple.neg()),
            _ => {}
        }
    }
    sum
}

/// Digits from -31 to 32, lowest first, in constant time.
fn signed_digits(scalar: &Scalar) -> [i8; DIGITS] {
    let mut octets = scalar.to_repr();
    let mut digits = [0; DIGITS];
    let mut carry = 0;
    for (index, digit) in digits.iter_mut().enumerate() {
        let window = bits(&octets, index * WIDTH) + carry;
        // 33 to 64 become -31 to 0 with a carry.
        carry = (window + 31) >> WIDTH;
        *digit = i8::from_ne_bytes([window.wrapping_sub(carry << WIDTH)]);
    }
    octets.zeroize();
    digits
}

/// Six bits of a big endian number.
fn bits(octets: &[u8], from: usize) -> u8 {
    let octet = |index: usize| {
        let place = octets.len().checked_sub(index + 1);
        u16::from(
            place
                .and_then(|place| octets.get(place))
                .copied()
                .unwrap_or(0),
        )
    };
    let pair = octet(from / 8) | octet(from / 8 + 1) << 8;
    let [low, _] = (pair >> (from % 8)).to_le_bytes();
    low & 0x3F
}

/// Width-five non-adjacent form, lowest first: zeros and odd digits from -15 to 15.
fn sliding_digits(scalar: &Scalar) -> Vec<i8> {
    let mut rest: [u8; 32] = scalar.to_repr().into();
    rest.reverse();
    let mut limbs = [0_u64; 5];
    for (limb, octets) in limbs.iter_mut().zip(rest.as_chunks().0) {
        *limb = u64::from_le_bytes(*octets);
    }
    let mut digits = Vec::with_capacity(257);
    while limbs != [0; 5] {
        let [low, ..] = limbs;
        let [window, ..] = (low & 31).to_le_bytes();
        let digit = match (low & 1, window) {
            (0, _) => 0,
            (_, window @ 0..16) => i8::from_ne_bytes([window]),
            (_, window) => i8::from_ne_bytes([window.wrapping_sub(32)]),
        };
        digits.push(digit);
        // Clear the window, carry if the digit was negative, and halve.
        let mut carry = digit < 0;
        if digit != 0 {
            limbs[0] &= !31;
            if carry {
                (limbs[0], carry) = limbs[0].overflowing_add(32);
            }
            for limb in limbs.iter_mut().skip(1) {
                (*limb, carry) = limb.overflowing_add(u64::from(carry));
            }
        }
        let mut above = 0;
        for limb in limbs.iter_mut().rev() {
            let low = *limb << 63;
            *limb = *limb >> 1 | above;
            above = low;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use p256::elliptic_curve::sec1::ToSec1Point;
    use p256::{FieldBytes, ProjectivePoint};
    use proptest::prelude::*;

    fn scalar(octets: [u8; 32]) -> Scalar {
        <Scalar as p256::elliptic_curve::ops::Reduce<FieldBytes>>::reduce(&octets.into())
    }

    fn same(ours: Jacobian, reference: ProjectivePoint) -> bool {
        let reference = reference.to_affine().to_sec1_point(false);
        match ours.to_affine() {
            Some(affine) => affine.to_octets()[..] == *reference.as_bytes(),
            None => reference.as_bytes() == [0],
        }
    }

    fn check(k: Scalar, l: Scalar) {
        let g = ProjectivePoint::GENERATOR;
        let base = BASE.as_ref().unwrap();
        assert!(same(base.times(&k), g * k));
        assert!(same(base.add_public(base.times(&l), &k), g * (k + l)));
        let Some(point) = base.times(&l).to_affine() else {
            return;
        };
        assert!(same(times_public(&point, &k), g * (k * l)));
        assert!(same(FixedBase::new(&point).times(&k), g * (k * l)));
    }

    #[test]
    fn edges() {
        let small = |n: u64| Scalar::from(n);
        let mut edges: Vec<_> = [0, 1, 2, 31, 32, 33, 63, 64, 65, u64::MAX]
            .map(small)
            .into();
        edges.extend([1, 2, 32, 33, 64].map(|n| -small(n)));
        // Digits of 32 and of -31 throughout.
        edges.extend([[0x82; 32], [0x7D; 32], [0xFF; 32], [0x80; 32]].map(scalar));
        for k in &edges {
            check(*k, Scalar::ONE);
            check(*k, *k);
            check(*k, -*k);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn multiples_are_those_of_the_reference(k: [u8; 32], l: [u8; 32]) {
            check(scalar(k), scalar(l));
        }
    }
}
