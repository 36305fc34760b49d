//! Multiples of points of P-256: fixed ones from tables, in constant or variable time, and any
//! point by a sliding window, in variable time for public data only.

use super::fe::Fe;
#[cfg(target_arch = "x86_64")]
use super::lanes;
use super::point::{Affine, GENERATOR, Jacobian};
use super::scalar::odd;
use p256::Scalar;
use p256::elliptic_curve::PrimeField;
use std::sync::LazyLock;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bits of a digit.
const WIDTH: usize = 6;
/// Digits of a scalar: odd ones, from -63 to 63, so that none is zero.
pub(super) const DIGITS: usize = 43;
/// Positive digits.
pub(super) const ENTRIES: usize = 1 << (WIDTH - 1);

/// Multiples of a fixed point: `[(2e + 1) 64^i]X` for each digit place i and e from 0 to 31; 88 kB.
pub(super) struct FixedBase {
    point: Affine,
    entries: Entries,
}

/// The multiples, as the kernel reads them that this processor can run.
enum Entries {
    #[cfg(target_arch = "x86_64")]
    Lanes(lanes::Table),
    Portable(Vec<[Fe; 2]>),
}

/// The digits of a scalar.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct Digits {
    /// Each digit plus 63, halved.
    windows: [u8; DIGITS],
    /// One if the digits are of the negative scalar.
    negated: u8,
}

/// The table of the base point.
pub(super) static BASE: LazyLock<Option<FixedBase>> = LazyLock::new(|| {
    let generator = Affine::from_octets(&GENERATOR, "G").ok()?;
    Some(FixedBase::new(&generator))
});

impl FixedBase {
    pub(super) fn new(point: &Affine) -> Self {
        let portable = entries(point);
        #[cfg(target_arch = "x86_64")]
        let entries = match lanes::Table::new(&portable) {
            Some(table) => Entries::Lanes(table),
            None => Entries::Portable(portable),
        };
        #[cfg(not(target_arch = "x86_64"))]
        let entries = Entries::Portable(portable);
        let point = *point;
        Self { point, entries }
    }

    /// X.
    pub(super) const fn point(&self) -> &Affine {
        &self.point
    }

    /// `[scalar]X`, in time independent of the scalar.
    pub(super) fn times(&self, scalar: &Scalar) -> Jacobian {
        let digits = Digits::new(scalar);
        match &self.entries {
            #[cfg(target_arch = "x86_64")]
            Entries::Lanes(table) => {
                let [sum, _] = lanes::sums(&[(table, &digits)], &[]);
                self.or_slowly(sum, scalar)
            }
            Entries::Portable(table) => times_portable(table, &digits),
        }
    }

    /// `[a]X` and `[b]X`, in time independent of the scalars; on a vector kernel much cheaper than
    /// one after the other.
    pub(super) fn times_both(&self, a: &Scalar, b: &Scalar) -> [Jacobian; 2] {
        #[cfg(target_arch = "x86_64")]
        if let Entries::Lanes(table) = &self.entries {
            let (a_digits, b_digits) = (Digits::new(a), Digits::new(b));
            let [a_sum, b_sum] = lanes::sums(&[(table, &a_digits)], &[(table, &b_digits)]);
            return [self.or_slowly(a_sum, a), self.or_slowly(b_sum, b)];
        }
        [self.times(a), self.times(b)]
    }

    /// Infinity may be true or the vector kernel's failure: then the multiple is computed anew, in
    /// variable time. It happens for zero and a handful of scalars, never for a drawn one.
    #[cfg(target_arch = "x86_64")]
    fn or_slowly(&self, sum: Jacobian, scalar: &Scalar) -> Jacobian {
        if bool::from(sum.z.is_zero()) {
            times_public(&self.point, scalar)
        } else {
            sum
        }
    }

    /// Adds multiples of two fixed points to a sum. Variable time: for public data.
    pub(super) fn add_public(sum: &Jacobian, terms: [(&Self, &Scalar); 2]) -> Jacobian {
        let digits = terms.map(|(_, scalar)| Digits::new(scalar));
        let [(x, a), (y, b)] = terms;
        let [a_digits, b_digits] = &digits;
        match (&x.entries, &y.entries) {
            #[cfg(target_arch = "x86_64")]
            (Entries::Lanes(x_table), Entries::Lanes(y_table)) => {
                let both = lanes::public_sum(&[(x_table, a_digits), (y_table, b_digits)]);
                if !bool::from(both.z.is_zero()) {
                    return sum.add(&both);
                }
            }
            (Entries::Portable(x_table), Entries::Portable(y_table)) => {
                return add_portable(add_portable(*sum, x_table, a_digits), y_table, b_digits);
            }
            #[cfg(target_arch = "x86_64")]
            _ => {}
        }
        sum.add(&times_public(&x.point, a))
            .add(&times_public(&y.point, b))
    }
}

/// The table of a point.
fn entries(point: &Affine) -> Vec<[Fe; 2]> {
    let mut entries = Vec::with_capacity(DIGITS * ENTRIES);
    let mut first = point.to_jacobian();
    for _ in 0..DIGITS {
        let Some(double) = first.double().to_affine() else {
            break;
        };
        let mut multiple = first;
        for _ in 0..ENTRIES {
            entries.push(multiple);
            multiple = multiple.add_affine(&double);
        }
        first = (1..WIDTH).fold(double.to_jacobian(), |sum, _| sum.double());
    }
    let entries = Jacobian::to_affine_all(&entries);
    entries.iter().map(|entry| [entry.x, entry.y]).collect()
}

fn times_portable(table: &[[Fe; 2]], digits: &Digits) -> Jacobian {
    let mut sum = Jacobian::INFINITY;
    for (place, entries) in table.chunks_exact(ENTRIES).enumerate() {
        let (index, negative) = digits.at(place);
        let [x, mut y] = Fe::lookup(entries, index);
        y.conditional_assign(&y.neg(), Choice::from(negative));
        sum = sum.add_affine(&Affine { x, y });
    }
    sum
}

fn add_portable(sum: Jacobian, table: &[[Fe; 2]], digits: &Digits) -> Jacobian {
    let places = table.chunks_exact(ENTRIES).enumerate();
    places.fold(sum, |sum, (place, entries)| {
        let (index, negative) = digits.at(place);
        match entries.get(usize::from(index)) {
            None => sum,
            Some([x, y]) if negative == 1 => sum.add_affine(&Affine { x: *x, y: y.neg() }),
            Some([x, y]) => sum.add_affine(&Affine { x: *x, y: *y }),
        }
    })
}

impl Digits {
    /// In constant time.
    pub(super) fn new(scalar: &Scalar) -> Self {
        // The sum of ±2^i over all i below 258 is any odd number: the digit of 2^i is plus one
        // where bit i + 1 of the number is set, and for the highest. A window gathers six.
        let (words, negated) = odd(scalar);
        let mut windows = [0; DIGITS];
        for (place, window) in windows.iter_mut().enumerate() {
            *window = bits(&words, place * WIDTH + 1);
        }
        windows[DIGITS - 1] |= 1 << (WIDTH - 1);
        Self { windows, negated }
    }

    /// The index of a place's entry, and one if it is to be negated.
    pub(super) fn at(&self, place: usize) -> (u8, u8) {
        let window = self.windows.get(place).copied().unwrap_or(0);
        let minus = window >> (WIDTH - 1) ^ 1;
        let index = (window ^ minus.wrapping_neg()) & ((1 << (WIDTH - 1)) - 1);
        (index, minus ^ self.negated)
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

/// Six bits of a number.
fn bits(words: &[u64; 4], from: usize) -> u8 {
    let word = |index: usize| words.get(index).copied().unwrap_or(0);
    let pair = u128::from(word(from / 64 + 1)) << 64 | u128::from(word(from / 64));
    let [low, ..] = (pair >> (from % 64)).to_le_bytes();
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
        let [twice, again] = base.times_both(&(k + k), &l);
        assert!(same(twice, g * (k + k)) && same(again, g * l));
        let Some(point) = base.times(&l).to_affine() else {
            return;
        };
        assert!(same(times_public(&point, &k), g * (k * l)));
        let table = FixedBase::new(&point);
        assert!(same(table.times(&k), g * (k * l)));
        let portable = FixedBase {
            point,
            entries: Entries::Portable(entries(&point)),
        };
        assert!(same(portable.times(&k), g * (k * l)));
        for [x, y] in [[base, &table], [&portable, &portable], [base, &portable]] {
            let sum = FixedBase::add_public(&base.times(&k), [(x, &k), (y, &l)]);
            let dl = |f: &FixedBase| {
                if std::ptr::eq(f, base) {
                    Scalar::ONE
                } else {
                    l
                }
            };
            assert!(same(sum, g * (k + dl(x) * k + dl(y) * l)));
        }
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
