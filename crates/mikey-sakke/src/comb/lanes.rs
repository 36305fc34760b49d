//! Combs eight lanes wide. For one multiple, each lane takes one run of the comb's columns and the
//! eight sums are added at the end; for eight multiples, each lane takes one whole.
//!
//! Points are held as `(X, Y, ZZ, ZZZ)` with `x = X / ZZ`, `y = Y / ZZZ` and `ZZ^3 = ZZZ^2`, the
//! fastest where there are more additions than doublings. The formulas fail for a point and itself
//! or its negative. The result then is zero in ZZ, and stays zero, which the caller must look for.

#![expect(
    clippy::indexing_slicing,
    reason = "every index runs over the lanes or over a fixed number of terms"
)]
#![expect(
    unsafe_code,
    reason = "calls the vector kernel after asking the processor for its instructions"
)]

use super::{BLOCKS, Digits, RUN, RUNS, Recoded, Step, block_of, blocks_of, steps};
use crate::curve::Jacobian;
use crate::fp::{Fp, Fp8};
use crate::fp2::Fp2;
use crate::vector::{LANES, available};

const _: () = assert!(RUNS == LANES);

impl Step {
    /// The same step in the run of a lane.
    const fn of_lane(&self, lane: usize) -> Self {
        Self {
            block: self.block + lane,
            column: self.column + lane * RUN,
            ..*self
        }
    }
}

/// Eight points.
#[derive(Clone, Copy)]
struct Points {
    x: Fp8,
    y: Fp8,
    zz: Fp8,
    zzz: Fp8,
}

/// Eight elements of F_p^2.
#[derive(Clone, Copy)]
struct Powers {
    a: Fp8,
    b: Fp8,
}

/// Which multiple a lane works on, and in which column of the comb.
type Lane<'a> = (&'a Recoded<'a>, Step);

/// One or two sums of as many multiples each; `None` on a processor without the instructions.
/// Infinity if a sum is infinity or the formulas fail, which among secret scalars does not happen.
pub(super) fn multiply<const N: usize, const M: usize>(
    sums: [&[Recoded<'_>; N]; M],
) -> Option<[Jacobian; M]> {
    const { assert!(M == 1 || M == 2) };
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn kernel<const N: usize, const M: usize>(sums: [&[Recoded<'_>; N]; M]) -> [Jacobian; M] {
        let first = by_blocks(sums[0]);
        let both = match sums.get(1) {
            Some(second) => first.halved(&by_blocks(second)),
            None => first.halved(&first),
        };
        let sums = both.add(&both.exchanged::<2>());
        let sums = sums.add(&sums.exchanged::<1>()).to_jacobian();
        std::array::from_fn(|sum| sums[sum * LANES / 2])
    }
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { kernel(sums) })
}

/// Eight sums of as many multiples each; as [`multiply`].
pub(super) fn multiply_eight<const N: usize>(
    sums: &[[Recoded<'_>; N]; LANES],
) -> Option<[Jacobian; LANES]> {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn kernel<const N: usize>(sums: &[[Recoded<'_>; N]; LANES]) -> [Jacobian; LANES] {
        let lanes = |step: &Step| sums.each_ref().map(|terms| (&terms[step.term], *step));
        let steps = steps(blocks_of(&sums[0]), 1);
        let mut sum = Points::entries(&lanes(&steps[0]));
        for step in &steps[1..] {
            if step.doubles {
                sum = sum.double();
            }
            sum = sum.add_entries(&lanes(step));
        }
        sum.to_jacobian()
    }
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { kernel(sums) })
}

/// In each lane the part of a sum of multiples that belongs to a run.
#[target_feature(enable = "avx512f,avx512ifma")]
fn by_blocks<const N: usize>(terms: &[Recoded<'_>; N]) -> Points {
    let lanes = |step: &Step| std::array::from_fn(|lane| (&terms[step.term], step.of_lane(lane)));
    let steps = steps(blocks_of(terms), LANES);
    let mut sum = Points::entries(&lanes(&steps[0]));
    for step in &steps[1..] {
        if step.doubles {
            sum = sum.double();
        }
        sum = sum.add_entries(&lanes(step));
    }
    sum
}

/// A power of g from its table; `None` on a processor without the instructions.
pub(super) fn power(table: &[[Fp; 1]], digits: &Digits) -> Option<Fp2> {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn kernel(table: &[[Fp; 1]], digits: &Digits) -> Fp2 {
        let lanes = |step: &Step| std::array::from_fn(|lane| (digits, step.of_lane(lane)));
        let steps = steps([BLOCKS], LANES);
        let mut power = Powers::entries(table, &lanes(&steps[0]));
        for step in &steps[1..] {
            if step.doubles {
                power = power.square();
            }
            power = power.times_entries(table, &lanes(step));
        }
        let power = power.halved();
        let power = power.mul(&power.exchanged::<2>());
        let [power, ..] = power.mul(&power.exchanged::<1>()).to_fp2();
        power
    }
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { kernel(table, digits) })
}

/// Eight powers of g; as [`power`].
pub(super) fn power_eight(table: &[[Fp; 1]], digits: &[Digits; LANES]) -> Option<[Fp2; LANES]> {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn kernel(table: &[[Fp; 1]], digits: &[Digits; LANES]) -> [Fp2; LANES] {
        let lanes = |step: &Step| digits.each_ref().map(|digits| (digits, *step));
        let steps = steps([BLOCKS], 1);
        let mut power = Powers::entries(table, &lanes(&steps[0]));
        for step in &steps[1..] {
            if step.doubles {
                power = power.square();
            }
            power = power.times_entries(table, &lanes(step));
        }
        power.to_fp2()
    }
    // SAFETY: the processor has the instructions.
    available().then(|| unsafe { kernel(table, digits) })
}

/// The entries of a column, and the lanes in which they are to be negated.
#[target_feature(enable = "avx512f")]
fn find<const K: usize>(
    tables: [&[[Fp; K]]; LANES],
    digits: [(&Digits, Step); LANES],
) -> ([Fp8; K], u8) {
    let (mut indices, mut negative) = ([0; LANES], 0);
    let mut blocks = tables;
    for (lane, (digits, step)) in digits.iter().enumerate() {
        let (index, sign) = digits.column(step.column);
        indices[lane] = index;
        negative |= u8::from(sign == 1) << lane;
        blocks[lane] = block_of(tables[lane], step.block);
    }
    (Fp8::find(&blocks, &indices), negative)
}

/// X is below 6p, Y, ZZ and ZZZ below 2p; all stays so.
impl Points {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn entries(lanes: &[Lane<'_>; LANES]) -> Self {
        let [x, y] = coordinates(lanes);
        let (zz, zzz) = (Fp8::one(), Fp8::one());
        Self { x, y, zz, zzz }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn add_entries(&self, lanes: &[Lane<'_>; LANES]) -> Self {
        let [x, y] = coordinates(lanes);
        let p = x.mul(&self.zz).sub(&self.x);
        let r = y.mul(&self.zzz).sub(&self.y);
        let [x, y, pp, ppp] = join(&self.x, &self.y, &p, &r);
        let (zz, zzz) = (self.zz.mul(&pp), self.zzz.mul(&ppp));
        Self { x, y, zz, zzz }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn double(&self) -> Self {
        let u = self.y.add(&self.y);
        let v = u.square();
        let (w, s) = (u.mul(&v), self.x.mul(&v));
        let m = self.x.sub(&self.zz).mul(&self.x.add(&self.zz)).triple();
        let x = m.square().sub_and_twice(&Fp8::zero(), &s);
        let minus_y = Fp8::zero().sub(&self.y);
        let y = Fp8::dot(&[(&m, &s.sub(&x)), (&minus_y, &w)]);
        let (zz, zzz) = (self.zz.mul(&v), self.zzz.mul(&w));
        Self { x, y, zz, zzz }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn add(&self, other: &Self) -> Self {
        let (u, s) = (self.x.mul(&other.zz), self.y.mul(&other.zzz));
        let p = other.x.mul(&self.zz).sub(&u);
        let r = other.y.mul(&self.zzz).sub(&s);
        let [x, y, pp, ppp] = join(&u, &s, &p, &r);
        let zz = self.zz.mul(&other.zz).mul(&pp);
        let zzz = self.zzz.mul(&other.zzz).mul(&ppp);
        Self { x, y, zz, zzz }
    }

    /// The sums of lane i and lane i + 4, then those of the other points.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn halved(&self, other: &Self) -> Self {
        let ([x, high_x], [y, high_y]) = (self.x.halves(&other.x), self.y.halves(&other.y));
        let [zz, high_zz] = self.zz.halves(&other.zz);
        let [zzz, high_zzz] = self.zzz.halves(&other.zzz);
        Self { x, y, zz, zzz }.add(&Self {
            x: high_x,
            y: high_y,
            zz: high_zz,
            zzz: high_zzz,
        })
    }

    #[target_feature(enable = "avx512f")]
    fn exchanged<const DISTANCE: i64>(&self) -> Self {
        Self {
            x: self.x.exchanged::<DISTANCE>(),
            y: self.y.exchanged::<DISTANCE>(),
            zz: self.zz.exchanged::<DISTANCE>(),
            zzz: self.zzz.exchanged::<DISTANCE>(),
        }
    }

    /// With z = ZZ.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn to_jacobian(self) -> [Jacobian; LANES] {
        let (x, y) = (self.x.mul(&self.zz).to_fp(), self.y.mul(&self.zzz).to_fp());
        let z = self.zz.to_fp();
        std::array::from_fn(|lane| Jacobian {
            x: x[lane],
            y: y[lane],
            z: z[lane],
        })
    }
}

#[target_feature(enable = "avx512f")]
fn coordinates(lanes: &[Lane<'_>; LANES]) -> [Fp8; 2] {
    let tables = lanes.map(|((comb, _), _)| comb.0.as_slice());
    let digits = lanes.map(|((_, digits), step)| (digits, step));
    let ([x, y], negative) = find(tables, digits);
    [x, y.negated_in(negative)]
}

/// The sum of a point at `(x, y)` and one that is p and r away: X, Y, and the factors `p^2` and `p^3`
/// of ZZ and ZZZ.
#[target_feature(enable = "avx512f,avx512ifma")]
fn join(x: &Fp8, y: &Fp8, p: &Fp8, r: &Fp8) -> [Fp8; 4] {
    let pp = p.square();
    let ppp = p.mul(&pp);
    let q = x.mul(&pp);
    let x = r.square().sub_and_twice(&ppp, &q);
    let minus_y = Fp8::zero().sub(y);
    let y = Fp8::dot(&[(r, &q.sub(&x)), (&minus_y, &ppp)]);
    [x, y, pp, ppp]
}

/// a stays below 256p and b below 16p.
impl Powers {
    /// `1 + it` of the entries t.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn entries(table: &[[Fp; 1]], lanes: &[(&Digits, Step); LANES]) -> Self {
        let ([t], negative) = find([table; LANES], *lanes);
        // The inverse of 1 + it is 1 - it, up to a factor from F_p.
        let (a, b) = (Fp8::one(), t.negated_in(negative));
        Self { a, b }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn times_entries(&self, table: &[[Fp; 1]], lanes: &[(&Digits, Step); LANES]) -> Self {
        let t = Self::entries(table, lanes).b;
        Self {
            a: self.a.sub(&self.b.mul(&t)),
            b: self.b.add(&self.a.mul(&t)),
        }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn square(&self) -> Self {
        let b = self.a.mul(&self.b);
        Self {
            a: self.a.add(&self.b).mul(&self.a.sub(&self.b)),
            b: b.add(&b),
        }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn mul(&self, other: &Self) -> Self {
        let minus_b = Fp8::zero().sub(&self.b);
        Self {
            a: Fp8::dot(&[(&self.a, &other.a), (&minus_b, &other.b)]),
            b: Fp8::dot(&[(&self.a, &other.b), (&self.b, &other.a)]),
        }
    }

    /// The products of lane i and lane i + 4, twice.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn halved(&self) -> Self {
        let ([a, high_a], [b, high_b]) = (self.a.halves(&self.a), self.b.halves(&self.b));
        Self { a, b }.mul(&Self {
            a: high_a,
            b: high_b,
        })
    }

    #[target_feature(enable = "avx512f")]
    fn exchanged<const DISTANCE: i64>(&self) -> Self {
        Self {
            a: self.a.exchanged::<DISTANCE>(),
            b: self.b.exchanged::<DISTANCE>(),
        }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    fn to_fp2(self) -> [Fp2; LANES] {
        let (a, b) = (self.a.to_fp(), self.b.to_fp());
        std::array::from_fn(|lane| Fp2 {
            a: a[lane],
            b: b[lane],
        })
    }
}
