//! Sums of table entries of P-256, eight at a time: the entries are dealt to the lanes of a vector,
//! each lane sums its own, and the eight sums are added at the end.
//!
//! Points are held as `(X, Y, ZZ, ZZZ)` with `x = X / ZZ`, `y = Y / ZZZ` and `ZZ^3 = ZZZ^2`, the
//! fastest where nothing is doubled. The formulas fail for a point and itself or its negative. The
//! result then is zero in ZZ, and stays zero, which the caller must look for.

#![expect(
    unsafe_code,
    reason = "calls the vector kernel after asking the processor for its instructions"
)]

use super::fe::Fe;
use super::fe8::{Entry, Fe8};
use super::point::Jacobian;
use super::tables::{DIGITS, Digits, ENTRIES};
use crate::vector::{LANES, available};
use std::arch::x86_64::_mm512_setzero_si512;

/// The table of a fixed point, as the kernel reads it.
pub(super) struct Table(Vec<Entry>);

/// A multiple to be summed: of which point, and by which scalar.
pub(super) type Term<'a> = (&'a Table, &'a Digits);

/// Eight points.
#[derive(Clone, Copy)]
struct Points {
    x: Fe8,
    y: Fe8,
    zz: Fe8,
    zzz: Fe8,
}

impl Table {
    /// Takes a table; `None` on a processor without the instructions.
    pub(super) fn new(entries: &[[Fe; 2]]) -> Option<Self> {
        available().then(|| Self(entries.iter().map(|entry| Entry::new(*entry)).collect()))
    }

    fn place(&self, place: usize) -> &[Entry] {
        let start = place * ENTRIES;
        self.0.get(start..start + ENTRIES).unwrap_or_default()
    }
}

/// Two sums of multiples, in time independent of the scalars; infinity if a sum is infinity or the
/// formulas fail, which among secret scalars does not happen.
pub(super) fn sums(a: &[Term<'_>], b: &[Term<'_>]) -> [Jacobian; 2] {
    // SAFETY: there are tables only where the processor has the instructions.
    unsafe { kernel::<true>(a, b) }
}

/// As [`sums`], for public scalars.
pub(super) fn public_sum(terms: &[Term<'_>]) -> Jacobian {
    // SAFETY: as above.
    let [sum, _] = unsafe { kernel::<false>(terms, &[]) };
    sum
}

#[target_feature(enable = "avx512f,avx512ifma")]
fn kernel<const SECRET: bool>(a: &[Term<'_>], b: &[Term<'_>]) -> [Jacobian; 2] {
    let first = lane_sums::<SECRET>(a);
    let second = if b.is_empty() {
        first
    } else {
        lane_sums::<SECRET>(b)
    };
    let sums = first.halved(&second);
    let sums = sums.add(&sums.exchanged::<2>());
    let sums = sums.add(&sums.exchanged::<1>());
    let ends = |[first, _, _, _, second, ..]: [Fe; LANES]| [first, second];
    let [x, y, zz, zzz] = [sums.x, sums.y, sums.zz, sums.zzz].map(|fe| ends(fe.to_fe()));
    let jacobian = |x: Fe, y: Fe, zz: Fe, zzz: Fe| Jacobian {
        x: x.mul(&zz),
        y: y.mul(&zzz),
        z: zz,
    };
    [
        jacobian(x[0], y[0], zz[0], zzz[0]),
        jacobian(x[1], y[1], zz[1], zzz[1]),
    ]
}

/// The sum of the terms' entries in each lane.
#[target_feature(enable = "avx512f,avx512ifma")]
fn lane_sums<const SECRET: bool>(terms: &[Term<'_>]) -> Points {
    let entries = terms.len() * DIGITS;
    let (first, second) = (deal::<SECRET>(terms, 0), deal::<SECRET>(terms, LANES));
    let mut sum = Points::of_two(&first, &second);
    for first in (2 * LANES..entries).step_by(LANES) {
        let with = sum.add_affine(&deal::<SECRET>(terms, first));
        // The last deal may not reach all lanes.
        let dealt = u8::MAX >> (LANES - LANES.min(entries - first));
        sum = sum.with_lanes(dealt, &with);
    }
    sum
}

/// The next entry of each lane.
#[target_feature(enable = "avx512f")]
fn deal<const SECRET: bool>(terms: &[Term<'_>], first: usize) -> [Fe8; 2] {
    let mut rows = [_mm512_setzero_si512(); LANES];
    let mut negative = 0;
    for (lane, row) in rows.iter_mut().enumerate() {
        let (term, place) = ((first + lane) / DIGITS, (first + lane) % DIGITS);
        let Some((table, digits)) = terms.get(term) else {
            break;
        };
        let (index, sign) = digits.at(place);
        negative |= sign << lane;
        *row = match SECRET {
            true => Entry::find(table.place(place), index),
            false => Entry::at(table.place(place), index),
        };
    }
    let [x, y] = Fe8::coordinates(&rows);
    [x, y.negated_in(negative)]
}

/// The sum of a point at `(x, y)` and one that is p and r away, up to the factors of its ZZ and ZZZ:
/// X, Y, `p^2` and `p^3`. X is below 2.1p and Y below 4p, for x below 2.1p, y below 4p, p and r below
/// 5.4p.
#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn join(x: &Fe8, y: &Fe8, p: &Fe8, r: &Fe8) -> [Fe8; 4] {
    let pp = p.square();
    let ppp = p.mul(&pp);
    let q = x.mul(&pp);
    let x = r.square().sub_and_twice(&ppp, &q);
    let minus_y = Fe8::zero().sub(y);
    let y = r.mul_add(&q.sub(&x), &minus_y, &ppp);
    [x, y, pp, ppp]
}

/// X is below 2.1p, Y below 4p, ZZ and ZZZ below 3p; all stays so.
impl Points {
    /// The sums of points by their coordinates, below p.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn of_two([x, y]: &[Fe8; 2], [other_x, other_y]: &[Fe8; 2]) -> Self {
        let [x, y, zz, zzz] = join(x, y, &other_x.sub(x), &other_y.sub(y));
        Self { x, y, zz, zzz }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn add_affine(&self, [x, y]: &[Fe8; 2]) -> Self {
        let p = x.mul(&self.zz).sub(&self.x);
        let r = y.mul(&self.zzz).sub(&self.y);
        let [x, y, pp, ppp] = join(&self.x, &self.y, &p, &r);
        let (zz, zzz) = (self.zz.mul(&pp), self.zzz.mul(&ppp));
        Self { x, y, zz, zzz }
    }

    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn add(&self, other: &Self) -> Self {
        let (u, s) = (self.x.mul(&other.zz), self.y.mul(&other.zzz));
        let p = other.x.mul(&self.zz).sub(&u);
        let r = other.y.mul(&self.zzz).sub(&s);
        let [x, y, pp, ppp] = join(&u, &s, &p, &r);
        let zz = self.zz.mul(&other.zz).mul(&pp);
        let zzz = self.zzz.mul(&other.zzz).mul(&ppp);
        Self { x, y, zz, zzz }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn with_lanes(&self, lanes: u8, other: &Self) -> Self {
        Self {
            x: self.x.with_lanes(lanes, &other.x),
            y: self.y.with_lanes(lanes, &other.y),
            zz: self.zz.with_lanes(lanes, &other.zz),
            zzz: self.zzz.with_lanes(lanes, &other.zzz),
        }
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

    /// The sums of lane i here and lane i + 4 here, then those of the other points.
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn halved(&self, other: &Self) -> Self {
        let (x, y) = (self.x.halves(&other.x), self.y.halves(&other.y));
        let (zz, zzz) = (self.zz.halves(&other.zz), self.zzz.halves(&other.zzz));
        let [low, high] = [
            Self {
                x: x.0,
                y: y.0,
                zz: zz.0,
                zzz: zzz.0,
            },
            Self {
                x: x.1,
                y: y.1,
                zz: zz.1,
                zzz: zzz.1,
            },
        ];
        low.add(&high)
    }
}
