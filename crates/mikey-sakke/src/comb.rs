//! Multiples of fixed points and powers of g from tables: a signed comb of seven teeth
//! (Lim and Lee, with digits of plus and minus one so that no column is empty).
//!
//! An odd scalar below `2^1029` is a sum of `±2^i` over all i. Column j takes the digits at
//! `j, j + 147, ..., j + 6 * 147`; its sum is, up to sign, one of 64 table entries. The 147 columns
//! are seven blocks of 21, each with its own table, so that 20 doublings serve all. Which entry is
//! taken stays secret: every entry is read.

use crate::curve::{Affine, Jacobian};
use crate::fp::Fp;
use crate::fp2::Fp2;
use crate::params::PAIRING_G;
use crate::scalar::Scalar;
use std::sync::LazyLock;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, ZeroizeOnDrop};

const TEETH: usize = 7;
const BLOCKS: usize = 7;
/// Columns of a block.
const SPAN: usize = 21;
/// Columns, and bits between two teeth.
const COLUMNS: usize = BLOCKS * SPAN;
/// Entries of a block's table: the sign of the highest tooth is factored out.
const ENTRIES: usize = 1 << (TEETH - 1);

/// Tables of a fixed point: 115 kB.
pub(crate) struct PointComb(Vec<[Fp; 2]>);

/// The table of the base point P.
pub(crate) static BASE: LazyLock<Option<PointComb>> =
    LazyLock::new(|| PointComb::new(&Affine::BASE));

/// The table of g: classes `b / a`.
static POWERS: LazyLock<Option<Vec<[Fp; 1]>>> = LazyLock::new(power_table);

/// The digits of a scalar.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Digits {
    /// The odd one of the scalar and its negative.
    words: [u64; 16],
    #[zeroize(skip)]
    negated: Choice,
}

impl Digits {
    fn new(scalar: &Scalar) -> Self {
        let (words, negated) = scalar.odd();
        Self { words, negated }
    }

    /// Whether the digit of `2^index` is plus one.
    fn is_plus(&self, index: usize) -> Choice {
        // k = sum of s_i 2^i with s_i = 2 b_(i+1) - 1, and plus one for the highest.
        if index + 1 == TEETH * COLUMNS {
            return Choice::from(1);
        }
        let word = self.words.get((index + 1) / 64).copied().unwrap_or(0);
        Choice::from(u8::from(word >> ((index + 1) % 64) & 1 == 1))
    }

    /// The table entry of a column, and whether it is to be negated.
    fn column(&self, column: usize) -> (u64, Choice) {
        let top = self.is_plus(column + (TEETH - 1) * COLUMNS);
        let index = (0..TEETH - 1).fold(0, |index, tooth| {
            let same = !(self.is_plus(column + tooth * COLUMNS) ^ top);
            index | u64::from(same.unwrap_u8()) << tooth
        });
        (index, !top ^ self.negated)
    }
}

impl PointComb {
    /// Computes the tables. `None` if a multiple that is needed is infinity, which does not happen
    /// in the subgroup of order q.
    pub(crate) fn new(point: &Affine) -> Option<Self> {
        // The points of each tooth and block, and their doubles.
        let mut powers = Vec::with_capacity(TEETH * COLUMNS);
        let mut power = point.to_jacobian();
        for _ in 0..TEETH * COLUMNS {
            powers.push(power);
            power = power.double();
        }
        let wanted = |block: usize| {
            (0..TEETH).flat_map(move |tooth| {
                let at = tooth * COLUMNS + block * SPAN;
                [at, at + 1]
            })
        };
        let wanted: Vec<_> = (0..BLOCKS)
            .flat_map(wanted)
            .filter_map(|at| powers.get(at).copied())
            .collect();
        let points = Jacobian::to_affine_all(&wanted)?;
        let entries: Option<Vec<_>> = points.chunks_exact(2 * TEETH).map(block_table).collect();
        let entries = Jacobian::to_affine_all(&entries?.concat())?;
        Some(Self(
            entries.iter().map(|entry| [entry.x, entry.y]).collect(),
        ))
    }

    fn entry(&self, block: usize, index: u64, negative: Choice) -> Affine {
        let [x, mut y] = Fp::lookup(block_of(&self.0, block), index);
        y.conditional_assign(&y.neg(), negative);
        Affine { x, y }
    }
}

/// The 64 entries of a block from the points of its teeth, each followed by its double.
fn block_table(teeth: &[Affine]) -> Option<Vec<Jacobian>> {
    let (pairs, _) = teeth.as_chunks::<2>();
    let [lower @ .., [top, _]] = pairs else {
        return None;
    };
    let mut first = top.to_jacobian();
    for [tooth, _] in lower {
        first = first.add_affine(&tooth.neg());
    }
    let mut entries = vec![first];
    for [_, double] in lower {
        let plus: Vec<_> = entries.iter().map(|e| e.add_affine(double)).collect();
        entries.extend(plus);
    }
    Some(entries)
}

/// The sum of multiples of fixed points, in time independent of the scalars.
pub(crate) fn multiply(terms: &[(&PointComb, &Scalar)]) -> Jacobian {
    let digits: Vec<_> = terms
        .iter()
        .map(|(_, scalar)| Digits::new(scalar))
        .collect();
    let mut sum = Jacobian::INFINITY;
    for column in (0..SPAN).rev() {
        sum = sum.double();
        for block in 0..BLOCKS {
            for ((comb, _), digits) in terms.iter().zip(&digits) {
                let (index, negative) = digits.column(block * SPAN + column);
                sum = sum.add_affine(&comb.entry(block, index, negative));
            }
        }
    }
    sum
}

/// `g^r` in PF_p, in time independent of r. Not yet divided, so that the caller can share the
/// inversion.
pub(crate) fn base_power(r: &Scalar) -> Option<Fp2> {
    let table = POWERS.as_ref()?;
    let digits = Digits::new(r);
    let mut power = Fp2::ONE;
    for column in (0..SPAN).rev() {
        power = power.square();
        for block in 0..BLOCKS {
            let (index, negative) = digits.column(block * SPAN + column);
            let [mut class] = Fp::lookup(block_of(table, block), index);
            // The inverse of 1 + it is 1 - it, up to a factor from F_p.
            class.conditional_assign(&class.neg(), negative);
            power = power.mul_class(&class);
        }
    }
    Some(power)
}

fn power_table() -> Option<Vec<[Fp; 1]>> {
    let mut powers = Vec::with_capacity(TEETH * COLUMNS);
    let mut power = Fp2 {
        a: Fp::ONE,
        b: Fp::from_hex(PAIRING_G),
    };
    for _ in 0..TEETH * COLUMNS {
        powers.push(power);
        power = power.square();
    }
    let mut entries = Vec::with_capacity(BLOCKS * ENTRIES);
    for block in 0..BLOCKS {
        let at = |tooth: usize, more: usize| powers.get(tooth * COLUMNS + block * SPAN + more);
        let mut first = *at(TEETH - 1, 0)?;
        for tooth in 0..TEETH - 1 {
            let tooth = at(tooth, 0)?;
            first = first.mul(&Fp2 {
                a: tooth.a,
                b: tooth.b.neg(),
            });
        }
        let mut table = vec![first];
        for tooth in 0..TEETH - 1 {
            let double = at(tooth, 1)?;
            let plus: Vec<_> = table.iter().map(|e| e.mul(double)).collect();
            table.extend(plus);
        }
        entries.extend(table);
    }
    let denominators: Vec<_> = entries.iter().map(|entry| entry.a).collect();
    let inverses = Fp::invert_all(&denominators)?;
    let classes = entries.iter().zip(&inverses);
    Some(
        classes
            .map(|(entry, inverse)| [entry.b.mul(inverse)])
            .collect(),
    )
}

/// The part of a table that belongs to a block.
fn block_of<T>(table: &[T], block: usize) -> &[T] {
    let start = block * ENTRIES;
    table.get(start..start + ENTRIES).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::Q_ORDER;
    use crypto_bigint::U1024;
    use subtle::ConstantTimeEq;

    /// The multiple by double and add.
    fn slowly(point: &Affine, scalar: &Scalar) -> Jacobian {
        let octets = scalar.to_octets();
        let bits = octets
            .iter()
            .flat_map(|o| (0..8).rev().map(move |b| o >> b & 1));
        bits.fold(Jacobian::INFINITY, |sum, bit| match bit {
            1 => sum.double().add_affine(point),
            _ => sum.double(),
        })
    }

    fn scalars() -> Vec<Scalar> {
        let q = U1024::from_be_hex(Q_ORDER);
        let below = |n: u64| q.wrapping_sub(&U1024::from_u64(n)).to_be_bytes().to_vec();
        let mut list = vec![
            vec![0],
            vec![1],
            vec![2],
            vec![3],
            vec![4],
            vec![0xFF; 32],
            vec![0xFF; 127],
        ];
        list.extend([below(1), below(2), below(3)]);
        list.push(
            (0..127u8)
                .map(|i| i.wrapping_mul(41).wrapping_add(7))
                .collect(),
        );
        list.iter()
            .map(|octets| Scalar::from_octets(octets).unwrap())
            .collect()
    }

    fn same(a: &Jacobian, b: &Jacobian) -> bool {
        a.to_affine() == b.to_affine()
    }

    #[test]
    fn multiples_are_those_of_double_and_add() {
        let base = BASE.as_ref().unwrap();
        let other = slowly(&Affine::BASE, &Scalar::from_octets(&[9; 90]).unwrap())
            .to_affine()
            .unwrap();
        let comb = PointComb::new(&other).unwrap();
        for a in scalars() {
            let expected = slowly(&Affine::BASE, &a);
            assert!(same(&multiply(&[(base, &a)]), &expected));
            let b = Scalar::from_octets(&[0x5C; 120]).unwrap();
            let sum = multiply(&[(base, &a), (&comb, &b)]);
            let expected = match expected.to_affine() {
                Some(affine) => slowly(&other, &b).add_affine(&affine),
                None => slowly(&other, &b),
            };
            assert!(same(&sum, &expected));
        }
    }

    #[test]
    fn powers_are_those_of_square_and_multiply() {
        for scalar in scalars() {
            let octets = scalar.to_octets();
            let bits = octets
                .iter()
                .flat_map(|o| (0..8).rev().map(move |b| o >> b & 1));
            let g = Fp::from_hex(PAIRING_G);
            let expected = bits.fold(Fp2::ONE, |power, bit| match bit {
                1 => power.square().mul_class(&g),
                _ => power.square(),
            });
            let power = base_power(&scalar).unwrap().to_class().unwrap();
            assert!(bool::from(power.ct_eq(&expected.to_class().unwrap())));
        }
    }
}
