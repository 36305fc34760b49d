//! The Tate-Lindner pairing (RFC 6508 3.2).

use crate::curve::{Affine, Jacobian};
use crate::fp::Fp;
use crate::fp2::Fp2;
use crate::params::Q_ORDER;
use crate::scalar::non_adjacent;
use crypto_bigint::U1024;
use std::sync::LazyLock;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The digits of q - 1. The loop runs to q - 1 and not to q, whose last line would be vertical.
static DIGITS: LazyLock<Vec<i8>> =
    LazyLock::new(|| non_adjacent(&U1024::from_be_hex(Q_ORDER).wrapping_sub(&U1024::ONE)));

/// The pairing `<R, Q>`, as its representative in F_p. `None` when R is not of the order q, inside
/// when the result has no representative, because Q is not. Constant time for points of that order.
///
/// A component of small order in R would not change the result, but the Miller loop ends at
/// `[q - 1]R`, which must be -R.
///
/// The Miller loop runs in Jacobian coordinates with signed digits. Each line is scaled by its
/// denominator, and a subtraction leaves out the vertical line through R: both lie in F_p and
/// therefore vanish in PF_p.
//= RFC 6508 3.2
pub(crate) fn pairing(r: &Affine, q: &Affine) -> Option<Option<Fp>> {
    let (mut v, mut last) = miller(r, q);
    let is_of_order = last.ct_eq(&r.neg().to_jacobian());
    last.zeroize();
    let class = v.square().square().to_class();
    v.zeroize();
    bool::from(is_of_order).then_some(class)
}

/// The Miller loop: its value before the final power, and `[q - 1]R`.
fn miller(r: &Affine, q: &Affine) -> (Fp2, Jacobian) {
    let mut v = Fp2::ONE;
    let mut c = r.to_jacobian();
    let minus_r = r.neg();
    for digit in DIGITS.iter() {
        let line;
        (c, line) = tangent(&c, q);
        v = v.square().mul(&line);
        let addend = match digit {
            1 => r,
            -1 => &minus_r,
            _ => continue,
        };
        let line;
        (c, line) = chord(&c, addend, q);
        v = v.mul(&line);
    }
    (v, c)
}

/// The double of C, and the tangent at C, evaluated at the distorted Q and scaled by `2 y z^3`.
fn tangent(c: &Jacobian, q: &Affine) -> (Jacobian, Fp2) {
    let (yy, zz) = Fp::mul2((&c.y, &c.y), (&c.z, &c.z));
    let (double, m) = c.double_with(&yy, &zz);
    let (x, y) = Fp::mul2((&q.x, &zz), (&q.y, &zz));
    let (a, b) = Fp::mul2((&m, &x.add(&c.x)), (&double.z, &y));
    let a = a.sub(&yy.double());
    (double, Fp2 { a, b })
}

/// The sum of C and R, and the line through them, evaluated at the distorted Q and scaled by the z
/// of the sum.
fn chord(c: &Jacobian, r: &Affine, q: &Affine) -> (Jacobian, Fp2) {
    let (sum, slope) = c.add_with(r);
    let (a, b) = Fp::dot2(
        &[(&slope, &q.x.add(&r.x)), (&sum.z, &r.y.neg())],
        &[(&sum.z, &q.y), (&Fp::ZERO, &Fp::ZERO)],
    );
    (sum, Fp2 { a, b })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comb::{BASE, base_power, multiply};
    use crate::params::PAIRING_G;
    use crate::scalar::Scalar;

    #[test]
    fn the_base_point_pairs_to_g() {
        let g = pairing(&Affine::BASE, &Affine::BASE).flatten().unwrap();
        assert!(bool::from(g.ct_eq(&Fp::from_hex(PAIRING_G))));
    }

    #[test]
    fn the_pairing_is_bilinear() {
        let scalar = |octet| Scalar::from_octets(&[octet]).unwrap();
        let multiple = |octet| {
            let product = multiply(&[(BASE.as_ref().unwrap(), &scalar(octet))]);
            product.to_affine().unwrap()
        };
        let (p2, p3) = (multiple(2), multiple(3));
        let six = base_power(&scalar(6)).unwrap().to_class().unwrap();
        for (r, q) in [(p2, p3), (p3, p2)] {
            assert!(bool::from(pairing(&r, &q).flatten().unwrap().ct_eq(&six)));
        }
    }
}
