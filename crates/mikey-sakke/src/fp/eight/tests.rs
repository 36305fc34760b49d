//! The eight-wide kernel against the portable one, on extremes and at random.

use super::super::tests::{extremes, limbs};
use super::*;
use crate::vector::available;
use proptest::prelude::*;

/// Every operation on all lanes.
#[target_feature(enable = "avx512f,avx512ifma")]
fn check_lanes(a: &[Fp; LANES], b: &[Fp; LANES]) {
    let (x, y) = (Fp8::of(&a.each_ref()), Fp8::of(&b.each_ref()));
    let same = |what, ours: Fp8, expected: fn(Fp, Fp) -> Fp| {
        let ours = ours.to_fp();
        for lane in 0..LANES {
            assert_eq!(
                ours[lane].0,
                expected(a[lane], b[lane]).0,
                "{what}, lane {lane}"
            );
        }
    };
    same("x", x, |a, _| a);
    same("y", y, |_, b| b);
    same("product", x.mul(&y), |a, b| {
        Fp(portable::products(&[(&a.0, &b.0)]))
    });
    same("square", x.square(), |a, _| {
        Fp(portable::products(&[(&a.0, &a.0)]))
    });
    same("dot", Fp8::dot(&[(&x, &y), (&y, &y)]), |a, b| {
        Fp(portable::products(&[(&a.0, &b.0), (&b.0, &b.0)]))
    });
    same("sum", x.add(&y), |a, b| a.add(&b));
    same("triple", x.triple(), |a, _| a.triple());
    same("difference", x.sub(&y), |a, b| a.sub(&b));
    same("negative", y.negated_in(u8::MAX), |_, b| b.neg());
    same("of one and twice", y.sub_and_twice(&x, &y), |a, b| {
        b.sub(&a).sub(&b.double())
    });
    // Far above p.
    let (d, e) = (x.sub(&y), y.sub(&x).add(&y).add(&y));
    same("product of sums", d.mul(&e), |a, b| {
        a.sub(&b).mul(&b.sub(&a).add(&b).add(&b))
    });
    same("square of a difference", d.square(), |a, b| {
        a.sub(&b).square()
    });
}

fn check(a: &[Fp; LANES], b: &[Fp; LANES]) {
    if available() {
        // SAFETY: the processor has the instructions.
        unsafe { check_lanes(a, b) };
    }
}

#[test]
fn extremes_in_every_combination() {
    let extremes = extremes();
    let all = |start: usize| std::array::from_fn(|i| Fp(extremes[(start + i) % extremes.len()]));
    for start in 0..extremes.len() {
        check(&all(0), &all(start));
        check(&all(1), &all(start));
    }
}

#[test]
fn lanes_change_places_and_are_found() {
    #[target_feature(enable = "avx512f,avx512ifma")]
    fn run() {
        let table: Vec<[Fp; 2]> = extremes().iter().map(|e| [Fp(*e), Fp(*e).neg()]).collect();
        let found = Fp8::find(&[&table; LANES], &[0, 1, 2, 3, 4, 5, 6, 7]);
        let [x, y] = found;
        let lanes = |fp: Fp8| fp.to_fp().map(|fp| fp.0);
        let at = |from: [usize; LANES]| from.map(|at| table[at][0].0);
        assert_eq!(lanes(x), at([0, 1, 2, 3, 4, 5, 6, 7]));
        assert_eq!(lanes(y)[3], table[3][1].0);
        assert_eq!(lanes(y.negated_in(0x0F))[3], table[3][0].0);
        assert_eq!(lanes(y.negated_in(0x0F))[4], table[4][1].0);
        assert_eq!(lanes(x.exchanged::<1>()), at([1, 0, 3, 2, 5, 4, 7, 6]));
        assert_eq!(lanes(x.exchanged::<2>()), at([2, 3, 0, 1, 6, 7, 4, 5]));
        let [low, high] = x.halves(&x);
        assert_eq!(lanes(low), at([0, 1, 2, 3, 0, 1, 2, 3]));
        assert_eq!(lanes(high), at([4, 5, 6, 7, 4, 5, 6, 7]));
        let [none, _] = Fp8::find(&[&table; LANES], &[u64::MAX; LANES]);
        assert_eq!(lanes(none), [[0; LIMBS]; LANES]);
    }
    if available() {
        // SAFETY: the processor has the instructions.
        unsafe { run() };
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn lanes_at_random(numbers in prop::collection::vec(limbs(), 2 * LANES)) {
        let lanes = |from: usize| std::array::from_fn(|lane| Fp(numbers[from + lane]));
        check(&lanes(0), &lanes(LANES));
    }
}
