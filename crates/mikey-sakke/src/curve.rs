//! The supersingular curve `y^2 = x^3 - 3x` over F_p (RFC 6509 Appendix A).

use crate::CryptoError;
use crate::field::{Fp, ORDER_BITS, Scalar};
use crate::params::{BASE_X, BASE_Y, FIELD_OCTETS, POINT_OCTETS};
use crypto_bigint::Choice;
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
        match bool::from(point.times(&Scalar::ORDER).z.is_zero()) {
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

    pub(crate) fn ct_eq(&self, other: &Self) -> Choice {
        self.x.ct_eq(&other.x) & self.y.ct_eq(&other.y)
    }

    /// `[scalar]self`, in time independent of the scalar.
    pub(crate) fn times(&self, scalar: &Scalar) -> Jacobian {
        let mut sum = Jacobian::INFINITY;
        for index in (0..ORDER_BITS).rev() {
            sum = sum.double();
            let with = sum.add_affine(self);
            sum = sum.select(&with, scalar.bit(index));
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
        let (yy, zz) = (self.y.square(), self.z.square());
        let m = self.x.sub(&zz).mul(&self.x.add(&zz)).triple();
        let s = self.x.mul(&yy).double().double();
        let x = m.square().sub(&s.double());
        let y = m
            .mul(&s.sub(&x))
            .sub(&yy.square().double().double().double());
        Self {
            x,
            y,
            z: self.y.mul(&self.z).double(),
        }
    }

    /// The sum with another point. Adding a point to itself gives infinity: the callers' scalars
    /// are below q, so that case does not occur in the subgroup, and outside it the caller rejects.
    pub(crate) fn add_affine(&self, other: &Affine) -> Self {
        let zz = self.z.square();
        let h = other.x.mul(&zz).sub(&self.x);
        let r = other.y.mul(&zz).mul(&self.z).sub(&self.y);
        let hh = h.square();
        let (hhh, v) = (hh.mul(&h), self.x.mul(&hh));
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&self.y.mul(&hhh));
        let sum = Self {
            x,
            y,
            z: self.z.mul(&h),
        };
        let alone = Self {
            x: other.x,
            y: other.y,
            z: Fp::ONE,
        };
        sum.select(&alone, self.z.is_zero())
    }

    fn select(&self, other: &Self, choice: Choice) -> Self {
        Self {
            x: self.x.select(&other.x, choice),
            y: self.y.select(&other.y, choice),
            z: self.z.select(&other.z, choice),
        }
    }

    /// The coordinates; `None` for infinity.
    pub(crate) fn to_affine(self) -> Option<Affine> {
        let inverse = self.z.invert()?;
        let square = inverse.square();
        Some(Affine {
            x: self.x.mul(&square),
            y: self.y.mul(&square).mul(&inverse),
        })
    }
}

impl Zeroize for Affine {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
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
        let base = Jacobian {
            x: Affine::BASE.x,
            y: Affine::BASE.y,
            z: Fp::ONE,
        };
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
