//! The supersingular curve `y^2 = x^3 - 3x` over F_p (RFC 6509 Appendix A).

use crate::CryptoError;
use crate::fp::Fp;
use crate::params::{BASE_X, BASE_Y, FIELD_OCTETS, POINT_OCTETS, Q_ORDER};
use crate::scalar::non_adjacent;
use crypto_bigint::U1024;
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

/// A point other than infinity, by its coordinates.
#[derive(Clone, Copy)]
pub(crate) struct Affine {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
}

/// A point in Jacobian coordinates: `(x / z^2, y / z^3)`, infinity with z = 0.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian {
    pub(crate) x: Fp,
    pub(crate) y: Fp,
    pub(crate) z: Fp,
}

impl Affine {
    /// The base point P.
    pub(crate) const BASE: Self = Self {
        x: Fp::from_hex(BASE_X),
        y: Fp::from_hex(BASE_Y),
    };

    /// Reads `04 || x || y` and checks that the point is on the curve.
    pub(crate) fn from_octets(octets: &[u8], what: &'static str) -> Result<Self, CryptoError> {
        let octets: [u8; POINT_OCTETS] = crate::sized(octets, what)?;
        let [4, coordinates @ ..] = &octets else {
            return Err(CryptoError::Encoding(what));
        };
        let (x, y) = coordinates.split_at(FIELD_OCTETS);
        let element = |octets: &[u8]| octets.try_into().ok().and_then(Fp::from_octets);
        let point = match (element(x), element(y)) {
            (Some(x), Some(y)) => Self { x, y },
            _ => return Err(CryptoError::Encoding(what)),
        };
        if bool::from(point.is_on_curve()) {
            Ok(point)
        } else {
            Err(CryptoError::OffCurve(what))
        }
    }

    /// As [`Affine::from_octets`], and `[q]X` must be infinity: rules out points of small order.
    pub(crate) fn of_subgroup(octets: &[u8], what: &'static str) -> Result<Self, CryptoError> {
        let point = Self::from_octets(octets, what)?;
        match bool::from(point.times_order().z.is_zero()) {
            true => Ok(point),
            false => Err(CryptoError::WrongSubgroup(what)),
        }
    }

    pub(crate) fn to_octets(self) -> [u8; POINT_OCTETS] {
        let mut octets = [4; POINT_OCTETS];
        let (_, coordinates) = octets.split_at_mut(1);
        let (x, y) = coordinates.split_at_mut(FIELD_OCTETS);
        x.copy_from_slice(&self.x.to_octets());
        y.copy_from_slice(&self.y.to_octets());
        octets
    }

    fn is_on_curve(&self) -> Choice {
        let right = self.x.square().sub(&Fp::ONE.triple()).mul(&self.x);
        self.y.square().ct_eq(&right)
    }

    pub(crate) fn neg(&self) -> Self {
        Self {
            x: self.x,
            y: self.y.neg(),
        }
    }

    pub(crate) fn to_jacobian(self) -> Jacobian {
        Jacobian {
            x: self.x,
            y: self.y,
            z: Fp::ONE,
        }
    }

    /// `[q]self`: infinity for the points of the subgroup.
    fn times_order(&self) -> Jacobian {
        let mut sum = self.to_jacobian();
        for digit in non_adjacent(&U1024::from_be_hex(Q_ORDER)) {
            sum = sum.double();
            match digit {
                1 => sum = sum.add_affine(self),
                -1 => sum = sum.add_affine(&self.neg()),
                _ => {}
            }
        }
        sum
    }
}

impl Jacobian {
    pub(crate) const INFINITY: Self = Self {
        x: Fp::ONE,
        y: Fp::ONE,
        z: Fp::ZERO,
    };

    pub(crate) fn double(&self) -> Self {
        let (yy, zz) = Fp::mul2((&self.y, &self.y), (&self.z, &self.z));
        self.double_with(&yy, &zz).0
    }

    /// The double and `3 (x^2 - z^4)`, the tangent's slope times `2 y z`, from `y^2` and `z^2`.
    pub(crate) fn double_with(&self, yy: &Fp, zz: &Fp) -> (Self, Fp) {
        let (plus, minus) = (self.x.add(zz), self.x.sub(zz));
        let (beta, m) = Fp::mul2((&self.x, yy), (&plus, &minus));
        let (m, beta) = (m.triple(), beta.double().double());
        let (mm, yz) = Fp::mul2((&m, &m), (&self.y, &self.z));
        let x = mm.sub(&beta.double());
        let eight = yy.double().double().double().neg();
        let y = Fp::dot(&[(&m, &beta.sub(&x)), (yy, &eight)]);
        let z = yz.double();
        (Self { x, y, z }, m)
    }

    /// The sum with another point.
    ///
    /// Constant time, but for a point added to itself, which takes a doubling: with scalars from a
    /// hash or a random source that does not happen.
    pub(crate) fn add_affine(&self, other: &Affine) -> Self {
        self.add_with(other).0
    }

    /// The sum, and the slope of the line through both points times the sum's z.
    pub(crate) fn add_with(&self, other: &Affine) -> (Self, Fp) {
        let (zz, yz) = Fp::mul2((&self.z, &self.z), (&other.y, &self.z));
        let (u, s) = Fp::mul2((&other.x, &zz), (&yz, &zz));
        let (h, r) = (u.sub(&self.x), s.sub(&self.y));
        let (hh, rr) = Fp::mul2((&h, &h), (&r, &r));
        let (hhh, v) = Fp::mul2((&hh, &h), (&self.x, &hh));
        let x = rr.sub(&hhh).sub(&v.double());
        let (y, z) = Fp::dot2(
            &[(&r, &v.sub(&x)), (&self.y, &hhh.neg())],
            &[(&self.z, &h), (&Fp::ZERO, &Fp::ZERO)],
        );
        let at_infinity = self.z.is_zero();
        if bool::from(h.is_zero() & r.is_zero() & !at_infinity) {
            return (other.to_jacobian().double(), r);
        }
        let sum = Self::conditional_select(&Self { x, y, z }, &other.to_jacobian(), at_infinity);
        (sum, r)
    }

    /// The coordinates of many points, with one inversion; `None` if one is infinity.
    pub(crate) fn to_affine_all(points: &[Self]) -> Option<Vec<Affine>> {
        let zs: Vec<Fp> = points.iter().map(|point| point.z).collect();
        let inverses = Fp::invert_all(&zs)?;
        let scale = |(point, inverse): (&Self, &Fp)| point.scale(inverse);
        Some(points.iter().zip(&inverses).map(scale).collect())
    }

    /// The coordinates, given the inverse of z.
    pub(crate) fn scale(&self, inverse: &Fp) -> Affine {
        let square = inverse.square();
        let (x, cube) = Fp::mul2((&self.x, &square), (inverse, &square));
        let y = self.y.mul(&cube);
        Affine { x, y }
    }

    /// The coordinates; `None` for infinity.
    pub(crate) fn to_affine(self) -> Option<Affine> {
        Some(self.scale(&self.z.invert()?))
    }
}

#[cfg(test)]
impl PartialEq for Affine {
    fn eq(&self, other: &Self) -> bool {
        bool::from(self.x.ct_eq(&other.x) & self.y.ct_eq(&other.y))
    }
}

impl ConstantTimeEq for Jacobian {
    /// Equality of points, infinity included.
    fn ct_eq(&self, other: &Self) -> Choice {
        let (zz, other_zz) = Fp::mul2((&self.z, &self.z), (&other.z, &other.z));
        let (x, other_x) = Fp::mul2((&self.x, &other_zz), (&other.x, &zz));
        let (zzz, other_zzz) = Fp::mul2((&self.z, &zz), (&other.z, &other_zz));
        let (y, other_y) = Fp::mul2((&self.y, &other_zzz), (&other.y, &zzz));
        let both_infinity = self.z.is_zero() & other.z.is_zero();
        let neither = !self.z.is_zero() & !other.z.is_zero();
        both_infinity | neither & x.ct_eq(&other_x) & y.ct_eq(&other_y)
    }
}

impl ConditionallySelectable for Affine {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self {
            x: Fp::conditional_select(&a.x, &b.x, choice),
            y: Fp::conditional_select(&a.y, &b.y, choice),
        }
    }
}

impl ConditionallySelectable for Jacobian {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self {
            x: Fp::conditional_select(&a.x, &b.x, choice),
            y: Fp::conditional_select(&a.y, &b.y, choice),
            z: Fp::conditional_select(&a.z, &b.z, choice),
        }
    }
}

impl Zeroize for Affine {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
    }
}

impl Zeroize for Jacobian {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_point_generates_the_subgroup() {
        let octets = Affine::BASE.to_octets();
        assert!(Affine::of_subgroup(&octets, "P").is_ok());
    }

    #[test]
    fn sums_are_complete() {
        let base = Affine::BASE;
        let double = base.to_jacobian().add_affine(&base).to_affine().unwrap();
        let expected = base.to_jacobian().double().to_affine().unwrap();
        assert!(double == expected);
        let none = base.to_jacobian().add_affine(&base.neg());
        assert!(none.to_affine().is_none());
        assert!(bool::from(none.double().z.is_zero()));
        let again = none.add_affine(&base).to_affine().unwrap();
        assert!(again == base);
    }

    #[test]
    fn points_of_small_order_are_refused() {
        // (0, 0) is on the curve and has order two; P + (0, 0) has order 2q.
        let mut two = [0; POINT_OCTETS];
        two[0] = 4;
        assert!(Affine::from_octets(&two, "X").is_ok());
        let wrong = Err(CryptoError::WrongSubgroup("X"));
        assert_eq!(Affine::of_subgroup(&two, "X").map(|_| ()), wrong);
        let two = Affine {
            x: Fp::ZERO,
            y: Fp::ZERO,
        };
        let base = Affine::BASE.to_jacobian();
        let sum = base.add_affine(&two).to_affine().unwrap();
        assert_eq!(
            Affine::of_subgroup(&sum.to_octets(), "X").map(|_| ()),
            wrong
        );
    }

    #[test]
    fn every_malformed_point_is_refused() {
        let good = Affine::BASE.to_octets();
        let refused = |octets: &[u8]| Affine::from_octets(octets, "X").map(|_| ()).unwrap_err();
        assert!(matches!(
            refused(&good[1..]),
            CryptoError::Length { found: 256, .. }
        ));
        for (at, value) in [(0, 2), (0, 0)] {
            let mut bad = good;
            bad[at] = value;
            assert_eq!(refused(&bad), CryptoError::Encoding("X"));
        }
        let mut off = good;
        off[POINT_OCTETS - 1] ^= 1;
        assert_eq!(refused(&off), CryptoError::OffCurve("X"));
        let mut unreduced = good;
        unreduced[1..129].fill(0xFF);
        assert_eq!(refused(&unreduced), CryptoError::Encoding("X"));
    }
}
