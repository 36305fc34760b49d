//! The Tate-Lindner pairing (RFC 6508 3.2) and the group PF_p it maps to (2.1).

use crate::curve::{Affine, Jacobian};
use crate::field::{Fp, ORDER_BITS, Scalar};
use crate::params::PAIRING_G;
use zeroize::Zeroize;

/// An element `a + ib` of `F_p^2`, where `i^2 = -1`, standing for the class `b / a` of PF_p: a factor
/// from F_p makes no difference.
#[derive(Clone, Copy)]
struct Projective {
    a: Fp,
    b: Fp,
}

impl Projective {
    const ONE: Self = Self {
        a: Fp::ONE,
        b: Fp::ZERO,
    };

    fn mul(&self, other: &Self) -> Self {
        let (aa, bb) = (self.a.mul(&other.a), self.b.mul(&other.b));
        let cross = self.a.add(&self.b).mul(&other.a.add(&other.b));
        Self {
            a: aa.sub(&bb),
            b: cross.sub(&aa).sub(&bb),
        }
    }

    fn square(&self) -> Self {
        let a = self.a.add(&self.b).mul(&self.a.sub(&self.b));
        Self {
            a,
            b: self.a.mul(&self.b).double(),
        }
    }

    /// The representative `b / a`; `None` for the class of i, which has none.
    fn to_element(self) -> Option<Fp> {
        self.a.invert().map(|inverse| self.b.mul(&inverse))
    }
}

/// The pairing `<R, Q>`, as its representative in F_p. `None` when the points are not of the
/// subgroup and the result has no representative.
///
/// The Miller loop runs over the bits of q - 1 in Jacobian coordinates. Each line value is scaled by
/// its denominator, which lies in F_p and therefore vanishes in PF_p.
//= RFC 6508 3.2
pub(crate) fn pairing(r: &Affine, q: &Affine) -> Option<Fp> {
    let mut v = Projective::ONE;
    let mut c = Jacobian {
        x: r.x,
        y: r.y,
        z: Fp::ONE,
    };
    for index in (0..ORDER_BITS - 1).rev() {
        v = v.square().mul(&tangent(&c, q));
        c = c.double();
        // q is odd, so q - 1 differs from it in bit 0 only.
        if index > 0 && bool::from(Scalar::ORDER.bit(index)) {
            let next = c.add_affine(r);
            v = v.mul(&chord(&c, r, &next, q));
            c = next;
        }
    }
    let t = v.square().square();
    t.to_element()
}

/// The tangent at C, evaluated at the distorted Q and scaled by `2 y z^3`.
fn tangent(c: &Jacobian, q: &Affine) -> Projective {
    let zz = c.z.square();
    let m = c.x.sub(&zz).mul(&c.x.add(&zz)).triple();
    let scale = c.y.mul(&c.z).double().mul(&zz);
    let a = m.mul(&q.x.mul(&zz).add(&c.x)).sub(&c.y.square().double());
    Projective {
        a,
        b: scale.mul(&q.y),
    }
}

/// The line through C and R, evaluated at the distorted Q and scaled by the z of their sum.
fn chord(c: &Jacobian, r: &Affine, sum: &Jacobian, q: &Affine) -> Projective {
    let slope = r.y.mul(&c.z.square()).mul(&c.z).sub(&c.y);
    let a = slope.mul(&q.x.add(&r.x)).sub(&sum.z.mul(&r.y));
    Projective {
        a,
        b: sum.z.mul(&q.y),
    }
}

/// `g^r` in PF_p, as its representative, in time independent of r.
pub(crate) fn base_power(r: &Scalar) -> Option<Fp> {
    let g = Projective {
        a: Fp::ONE,
        b: Fp::from_hex(PAIRING_G),
    };
    let mut power = Projective::ONE;
    for index in (0..ORDER_BITS).rev() {
        power = power.square();
        let with = power.mul(&g);
        let bit = r.bit(index);
        power = Projective {
            a: power.a.select(&with.a, bit),
            b: power.b.select(&with.b, bit),
        };
    }
    let element = power.to_element();
    power.a.zeroize();
    power.b.zeroize();
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_point_pairs_to_g() {
        let g = pairing(&Affine::BASE, &Affine::BASE).unwrap();
        assert!(bool::from(g.ct_eq(&Fp::from_hex(PAIRING_G))));
    }

    #[test]
    fn the_pairing_is_bilinear() {
        let (two, three) = (
            Scalar::from_octets(&[2]).unwrap(),
            Scalar::from_octets(&[3]).unwrap(),
        );
        let p2 = Affine::BASE.times(&two).to_affine().unwrap();
        let p3 = Affine::BASE.times(&three).to_affine().unwrap();
        let six = base_power(&Scalar::from_octets(&[6]).unwrap()).unwrap();
        assert!(bool::from(pairing(&p2, &p3).unwrap().ct_eq(&six)));
        assert!(bool::from(pairing(&p3, &p2).unwrap().ct_eq(&six)));
    }
}
