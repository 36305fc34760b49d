//! Multiples of fixed points and powers of g from tables: a signed comb of seven teeth
//! (Lim and Lee, with digits of plus and minus one so that no column is empty).
//!
//! An odd scalar below `2^1064` is a sum of `±2^i` over all i. Column j takes the digits at
//! `j, j + 152, ..., j + 6 * 152`; its sum is, up to sign, one of 64 table entries. The 152 columns
//! are eight runs of 19. A run is one block, with a table of its own, or for P and g, whose tables
//! are made once, four blocks of at most five columns: then 4 doublings serve all and not 18. Which
//! entry is taken stays secret: every entry is read.
//!
//! Eight runs are the eight lanes of [`lanes`], which does the same on processors with AVX-512 IFMA;
//! what is here is its twin.

#[cfg(target_arch = "x86_64")]
mod lanes;

use crate::curve::{Affine, Jacobian};
use crate::fp::Fp;
use crate::fp2::Fp2;
use crate::params::PAIRING_G;
use crate::scalar::Scalar;
use std::sync::LazyLock;
use subtle::{Choice, ConditionallySelectable};
use zeroize::{Zeroize, ZeroizeOnDrop};

const TEETH: usize = 7;
/// Runs of columns, and columns of a run.
const RUNS: usize = 8;
const RUN: usize = 19;
/// Columns, and bits between two teeth.
const COLUMNS: usize = RUNS * RUN;
/// Blocks of the tables of P and g.
const BLOCKS: usize = 4 * RUNS;
/// Entries of a block's table: the sign of the highest tooth is factored out.
const ENTRIES: usize = 1 << (TEETH - 1);
/// 64-bit words of the digits, and the highest digit in the last.
const WORDS: usize = (TEETH * COLUMNS).div_ceil(64);
const HIGHEST: u64 = 1 << ((TEETH * COLUMNS - 1) % 64);

/// Tables of a fixed point: 131 kB, and 524 kB of P.
pub(crate) struct PointComb(Vec<[Fp; 2]>);

/// The table of the base point P.
pub(crate) static BASE: LazyLock<Option<PointComb>> =
    LazyLock::new(|| PointComb::in_blocks(&Affine::BASE, BLOCKS));

/// The table of g: classes `b / a`.
static POWERS: LazyLock<Option<Vec<[Fp; 1]>>> = LazyLock::new(power_table);

/// The digits of a scalar.
#[derive(Zeroize, ZeroizeOnDrop)]
struct Digits {
    /// Bit i is set where the digit of `2^i` is plus one.
    plus: [u64; WORDS],
    /// All ones if the digits are of the negative scalar.
    negated: u64,
}

impl Digits {
    fn new(scalar: &Scalar) -> Self {
        // k = sum of s_i 2^i with s_i = 2 b_(i+1) - 1, and plus one for the highest.
        let (words, negated) = scalar.odd();
        let mut plus = [0; WORDS];
        for (i, plus) in plus.iter_mut().enumerate() {
            let word = |index: usize| words.get(index).copied().unwrap_or(0);
            let highest = if i + 1 == WORDS { HIGHEST } else { 0 };
            *plus = word(i) >> 1 | word(i + 1) << 63 | highest;
        }
        let negated = u64::from(negated.unwrap_u8()).wrapping_neg();
        Self { plus, negated }
    }

    /// The table entry of a column, and one if it is to be negated.
    fn column(&self, column: usize) -> (u64, u64) {
        let bit = |tooth: usize| {
            let at = column + tooth * COLUMNS;
            self.plus.get(at / 64).map_or(0, |word| word >> (at % 64)) & 1
        };
        let minus = bit(TEETH - 1) ^ 1;
        let index = (0..TEETH - 1).fold(0, |index, tooth| index | (bit(tooth) ^ minus) << tooth);
        (index, minus ^ self.negated & 1)
    }
}

impl PointComb {
    /// Computes the tables. `None` if a multiple that is needed is infinity, which does not happen
    /// in the subgroup of order q.
    pub(crate) fn new(point: &Affine) -> Option<Self> {
        Self::in_blocks(point, RUNS)
    }

    fn in_blocks(point: &Affine, blocks: usize) -> Option<Self> {
        // The points of each tooth and block, and their doubles.
        let mut powers = Vec::with_capacity(TEETH * COLUMNS);
        let mut power = point.to_jacobian();
        for _ in 0..TEETH * COLUMNS {
            powers.push(power);
            power = power.double();
        }
        let wanted = |block: usize| {
            (0..TEETH).flat_map(move |tooth| {
                let at = tooth * COLUMNS + start_of(block, blocks);
                [at, at + 1]
            })
        };
        let wanted: Vec<_> = (0..blocks)
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

    fn entry(&self, block: usize, index: u64, negative: u64) -> Affine {
        let [x, mut y] = Fp::lookup(block_of(&self.0, block), index);
        y.conditional_assign(&y.neg(), choice(negative));
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

/// A multiple to be summed: of which point, and by which scalar.
pub(crate) type Term<'a> = (&'a PointComb, &'a Scalar);

type Recoded<'a> = (&'a PointComb, Digits);

/// Columns of all blocks of a run but the last, which may have fewer, of so many blocks in all.
const fn span_of(blocks: usize) -> usize {
    RUN.div_ceil(blocks / RUNS)
}

/// The first column of one of so many blocks: each run has its first, then each its second.
const fn start_of(block: usize, blocks: usize) -> usize {
    block % RUNS * RUN + block / RUNS * span_of(blocks)
}

/// One addition of a comb, before which the sum may have to be doubled.
#[derive(Clone, Copy)]
struct Step {
    doubles: bool,
    /// Which of the terms.
    term: usize,
    block: usize,
    column: usize,
}

/// The additions for terms with so many blocks each, `stride` blocks at a time.
fn steps<const N: usize>(blocks: [usize; N], stride: usize) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::with_capacity(N * COLUMNS / stride);
    for within in (0..RUN).rev() {
        let mut doubles = !steps.is_empty();
        for (term, blocks) in blocks.into_iter().enumerate() {
            let span = span_of(blocks);
            let has_column = |block: &usize| within < span && block / RUNS * span + within < RUN;
            for block in (0..blocks).step_by(stride).filter(has_column) {
                steps.push(Step {
                    doubles,
                    term,
                    block,
                    column: start_of(block, blocks) + within,
                });
                doubles = false;
            }
        }
    }
    steps
}

/// The sum of multiples of fixed points, in time independent of the scalars.
pub(crate) fn multiply<const N: usize>(terms: &[Term<'_>; N]) -> Jacobian {
    let [sum] = multiply_all([terms]);
    sum
}

/// One or two such sums: on a vector kernel, two are cheaper than one after the other.
pub(crate) fn multiply_all<const N: usize, const M: usize>(
    sums: [&[Term<'_>; N]; M],
) -> [Jacobian; M] {
    let sums = sums.map(recoded);
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = lanes::multiply(sums.each_ref()) {
        return found_or_portable(found, &sums);
    }
    sums.each_ref().map(multiply_portable)
}

/// Eight such sums, all of the same points.
pub(crate) fn multiply_eight<const N: usize>(sums: &[[Term<'_>; N]; 8]) -> [Jacobian; 8] {
    let sums = sums.each_ref().map(recoded);
    #[cfg(target_arch = "x86_64")]
    if let Some(found) = lanes::multiply_eight(&sums) {
        return found_or_portable(found, &sums);
    }
    sums.each_ref().map(multiply_portable)
}

fn recoded<'a, const N: usize>(terms: &[Term<'a>; N]) -> [Recoded<'a>; N] {
    terms.map(|(comb, scalar)| (comb, Digits::new(scalar)))
}

/// Infinity may be true or the vector kernel's failure, so it is computed anew. That happens for zero
/// and a handful of scalars, never for drawn ones.
#[cfg(target_arch = "x86_64")]
fn found_or_portable<const N: usize, const M: usize>(
    mut found: [Jacobian; M],
    sums: &[[Recoded<'_>; N]; M],
) -> [Jacobian; M] {
    for (found, terms) in found.iter_mut().zip(sums) {
        if bool::from(found.z.is_zero()) {
            *found = multiply_portable(terms);
        }
    }
    found
}

fn blocks_of<const N: usize>(terms: &[Recoded<'_>; N]) -> [usize; N] {
    terms.each_ref().map(|(comb, _)| comb.0.len() / ENTRIES)
}

fn multiply_portable<const N: usize>(terms: &[Recoded<'_>; N]) -> Jacobian {
    let mut sum = Jacobian::INFINITY;
    for step in steps(blocks_of(terms), 1) {
        if step.doubles {
            sum = sum.double();
        }
        let Some((comb, digits)) = terms.get(step.term) else {
            continue;
        };
        let (index, negative) = digits.column(step.column);
        sum = sum.add_affine(&comb.entry(step.block, index, negative));
    }
    sum
}

/// `g^r` in PF_p, in time independent of r. Not yet divided, so that the caller can share the
/// inversion.
pub(crate) fn base_power(r: &Scalar) -> Option<Fp2> {
    let (table, digits) = (POWERS.as_ref()?, Digits::new(r));
    #[cfg(target_arch = "x86_64")]
    if let Some(power) = lanes::power(table, &digits) {
        return Some(power);
    }
    Some(power_portable(table, &digits))
}

/// Eight such powers.
pub(crate) fn base_power_eight(r: &[&Scalar; 8]) -> Option<[Fp2; 8]> {
    let (table, digits) = (POWERS.as_ref()?, r.map(Digits::new));
    #[cfg(target_arch = "x86_64")]
    if let Some(powers) = lanes::power_eight(table, &digits) {
        return Some(powers);
    }
    Some(
        digits
            .each_ref()
            .map(|digits| power_portable(table, digits)),
    )
}

fn power_portable(table: &[[Fp; 1]], digits: &Digits) -> Fp2 {
    let mut power = Fp2::ONE;
    for step in steps([BLOCKS], 1) {
        if step.doubles {
            power = power.square();
        }
        let (index, negative) = digits.column(step.column);
        let [mut class] = Fp::lookup(block_of(table, step.block), index);
        // The inverse of 1 + it is 1 - it, up to a factor from F_p.
        class.conditional_assign(&class.neg(), choice(negative));
        power = power.mul_class(&class);
    }
    power
}

/// One or zero.
fn choice(bit: u64) -> Choice {
    Choice::from(u8::from(bit == 1))
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
        let start = start_of(block, BLOCKS);
        let at = |tooth: usize, more: usize| powers.get(tooth * COLUMNS + start + more);
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
            let portable = multiply_portable(&[(base, Digits::new(&a))]);
            assert!(same(&portable, &expected));
            let b = Scalar::from_octets(&[0x5C; 120]).unwrap();
            let terms = [(base, &a), (&comb, &b)];
            let [sum, swapped] = multiply_all([&terms, &[(&comb, &b), (base, &a)]]);
            assert!(same(&swapped, &sum));
            assert!(same(&multiply_portable(&recoded(&terms)), &sum));
            let expected = match expected.to_affine() {
                Some(affine) => slowly(&other, &b).add_affine(&affine),
                None => slowly(&other, &b),
            };
            assert!(same(&sum, &expected));
        }
    }

    #[test]
    fn eight_multiples_are_those_of_one_each() {
        let base = BASE.as_ref().unwrap();
        let point = slowly(&Affine::BASE, &Scalar::from_octets(&[7; 90]).unwrap());
        let comb = PointComb::new(&point.to_affine().unwrap()).unwrap();
        let scalars = scalars();
        for start in 0..scalars.len() {
            let scalar = |at: usize| &scalars[(start + at) % scalars.len()];
            let single: [_; 8] = std::array::from_fn(|i| [(base, scalar(i))]);
            let double: [_; 8] = std::array::from_fn(|i| [(base, scalar(i)), (&comb, scalar(3))]);
            let (singles, doubles) = (multiply_eight(&single), multiply_eight(&double));
            for i in 0..8 {
                assert!(same(&singles[i], &multiply_portable(&recoded(&single[i]))));
                assert!(same(&doubles[i], &multiply_portable(&recoded(&double[i]))));
            }
            let eight = base_power_eight(&std::array::from_fn(scalar)).unwrap();
            for (i, power) in eight.iter().enumerate() {
                let table = POWERS.as_ref().unwrap();
                let expected = power_portable(table, &Digits::new(scalar(i)));
                let (a, b) = (power.to_class().unwrap(), expected.to_class().unwrap());
                assert!(bool::from(a.ct_eq(&b)));
            }
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
