//! Both kernels against crypto-bigint, on extremes and at random.

use super::*;
use proptest::prelude::*;

fn integer(limbs: Limbs) -> U1024 {
    U1024::from_words(limbs)
}

fn minus(a: Limbs, small: u64) -> Limbs {
    *integer(a).wrapping_sub(&U1024::from_u64(small)).as_words()
}

/// Elements in Montgomery form as raw limbs: where carries and borrows are longest.
pub(super) fn extremes() -> Vec<Limbs> {
    let mut one = [0; LIMBS];
    one[0] = 1;
    let mut top = [0; LIMBS];
    top[LIMBS - 1] = 1 << 63;
    let mut full = [u64::MAX; LIMBS];
    full[LIMBS - 1] = P[LIMBS - 1] - 1;
    let half = *integer(P).shr(1).as_words();
    let list = [
        [0; LIMBS],
        one,
        minus(P, 1),
        minus(P, 2),
        top,
        full,
        half,
        R1,
        R2,
    ];
    list.into()
}

/// `sum(a * b) / 2^1040 mod p` by the reference.
fn expected(terms: &[(&Limbs, &Limbs)]) -> Limbs {
    let shrink = Reference::new(&integer(R1)).invert().unwrap();
    let mut sum = Reference::ZERO;
    for (a, b) in terms {
        sum += Reference::new(&integer(**a)) * Reference::new(&integer(**b));
    }
    *(sum * shrink).retrieve().as_words()
}

fn check<const N: usize>(a: &[(&Limbs, &Limbs); N], b: &[(&Limbs, &Limbs); N]) {
    assert_eq!(portable::products(a), expected(a));
    assert_eq!(portable::products(b), expected(b));
    #[cfg(target_arch = "x86_64")]
    if let Some(sums) = ifma::products([a, b]) {
        assert_eq!(sums, [expected(a), expected(b)]);
        assert_eq!(ifma::products([a]), Some([expected(a)]));
    }
}

#[test]
fn products_of_extremes() {
    let extremes = extremes();
    for a in &extremes {
        for b in &extremes {
            check(&[(a, b)], &[(b, b)]);
            check(&[(a, b); MAX_TERMS], &[(b, b); MAX_TERMS]);
            check(&[(a, b), (b, a), (a, a)], &[(b, b), (a, b), (b, b)]);
        }
    }
}

pub(super) fn limbs() -> impl Strategy<Value = Limbs> {
    // Whole limbs of zeros and ones make long carries.
    let limb = prop_oneof![Just(0), Just(u64::MAX), any::<u64>()];
    prop::array::uniform16(limb)
        .prop_map(|limbs| *integer(limbs).rem(&integer(P).to_nz().unwrap()).as_words())
}

proptest! {
    #[test]
    fn products_at_random(f in prop::array::uniform10(limbs())) {
        check(&[(&f[0], &f[1])], &[(&f[2], &f[3])]);
        check(&[(&f[0], &f[1]), (&f[2], &f[3])], &[(&f[4], &f[5]), (&f[6], &f[7])]);
        check(
            &[(&f[0], &f[1]), (&f[2], &f[3]), (&f[4], &f[5]), (&f[6], &f[7]), (&f[8], &f[9])],
            &[(&f[0], &f[2]), (&f[1], &f[3]), (&f[4], &f[6]), (&f[5], &f[7]), (&f[8], &f[8])],
        );
    }

    #[test]
    fn sums_and_inverses(a in limbs(), b in limbs()) {
        let (ra, rb) = (Reference::new(&integer(a)), Reference::new(&integer(b)));
        let raw = |r: Reference| *r.retrieve().as_words();
        prop_assert_eq!(Fp(a).add(&Fp(b)).0, raw(ra + rb));
        prop_assert_eq!(Fp(a).sub(&Fp(b)).0, raw(ra - rb));
        prop_assert_eq!(Fp(a).neg().0, raw(-ra));
        prop_assert_eq!(Fp(a).triple().0, raw(ra + ra + ra));
        if let Some(inverse) = Fp(a).invert() {
            prop_assert_eq!(inverse.mul(&Fp(a)).0, R1);
        }
        prop_assert_eq!(Fp::from_octets(&Fp(a).to_octets()).unwrap().0, a);
        let select = |bit| Fp::conditional_select(&Fp(a), &Fp(b), Choice::from(bit)).0;
        prop_assert_eq!((select(0), select(1)), (a, b));
    }
}

#[test]
fn encodings_keep_leading_zeros_and_refuse_unreduced_values() {
    assert_eq!(Fp::ONE.to_octets()[..127], [0; 127]);
    assert!(Fp::from_octets(&integer(P).to_be_bytes().into()).is_none());
    assert!(Fp::from_octets(&[0xFF; 128]).is_none());
    let largest = integer(minus(P, 1));
    let minus_one = Fp::from_octets(&largest.to_be_bytes().into()).unwrap();
    assert!(bool::from(minus_one.add(&Fp::ONE).is_zero()));
    assert!(Fp::ZERO.invert().is_none());
}
