//! Points of P-256: `y^2 = x^3 - 3x + b`.

use super::fe::Fe;
use super::{POINT_OCTETS, SCALAR_OCTETS};
use crate::{CryptoError, sized};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

/// b, big endian.
const B: [u8; 32] = [
    0x5a, 0xc6, 0x35, 0xd8, 0xaa, 0x3a, 0x93, 0xe7, 0xb3, 0xeb, 0xbd, 0x55, 0x76, 0x98, 0x86, 0xbc,
    0x65, 0x1d, 0x06, 0xb0, 0xcc, 0x53, 0xb0, 0xf6, 0x3b, 0xce, 0x3c, 0x3e, 0x27, 0xd2, 0x60, 0x4b,
];

/// The base point G, encoded.
pub(super) const GENERATOR: [u8; POINT_OCTETS] = [
    0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
    0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2,
    0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
    0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51,
    0xf5,
];

/// A point other than infinity.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) x: Fe,
    pub(super) y: Fe,
}

/// A point in Jacobian coordinates: `(x / z^2, y / z^3)`, infinity with z = 0.
#[derive(Clone, Copy)]
pub(super) struct Jacobian {
    pub(super) x: Fe,
    pub(super) y: Fe,
    pub(super) z: Fe,
}

impl Affine {
    /// Reads `04 || x || y` and checks that the point is on the curve, whose order is prime.
    pub(super) fn from_octets(octets: &[u8], what: &'static str) -> Result<Self, CryptoError> {
        let octets: [u8; POINT_OCTETS] = sized(octets, what)?;
        let [4, coordinates @ ..] = &octets else {
            return Err(CryptoError::Encoding(what));
        };
        let (halves, _) = coordinates.as_chunks::<SCALAR_OCTETS>();
        let [x, y] = halves else {
            return Err(CryptoError::Encoding(what));
        };
        let (Some(x), Some(y)) = (Fe::from_octets(x), Fe::from_octets(y)) else {
            return Err(CryptoError::Encoding(what));
        };
        let b = Fe::from_octets(&B).ok_or(CryptoError::Fault)?;
        let right = x.square().sub(&Fe::ONE.triple()).mul(&x).add(&b);
        if bool::from(y.square().ct_eq(&right)) {
            Ok(Self { x, y })
        } else {
            Err(CryptoError::OffCurve(what))
        }
    }

    pub(super) fn to_octets(self) -> [u8; POINT_OCTETS] {
        let mut octets = [4; POINT_OCTETS];
        let (_, coordinates) = octets.split_at_mut(1);
        let (x, y) = coordinates.split_at_mut(SCALAR_OCTETS);
        x.copy_from_slice(&self.x.to_octets());
        y.copy_from_slice(&self.y.to_octets());
        octets
    }

    pub(super) fn neg(&self) -> Self {
        Self {
            x: self.x,
            y: self.y.neg(),
        }
    }

    pub(super) const fn to_jacobian(self) -> Jacobian {
        Jacobian {
            x: self.x,
            y: self.y,
            z: Fe::ONE,
        }
    }
}

impl Jacobian {
    pub(super) const INFINITY: Self = Self {
        x: Fe::ONE,
        y: Fe::ONE,
        z: Fe::ZERO,
    };

    pub(super) fn double(&self) -> Self {
        let (yy, zz) = (self.y.square(), self.z.square());
        let beta = self.x.mul(&yy).double().double();
        let m = self.x.sub(&zz).mul(&self.x.add(&zz)).triple();
        let x = m.square().sub(&beta.double());
        let z = self.y.add(&self.z).square().sub(&yy).sub(&zz);
        let eight = yy.double().square().double();
        let y = m.mul(&beta.sub(&x)).sub(&eight);
        Self { x, y, z }
    }

    /// The sum with another point. Constant time, but for a point added to itself.
    pub(super) fn add_affine(&self, other: &Affine) -> Self {
        let zz = self.z.square();
        let h = other.x.mul(&zz).sub(&self.x);
        let r = other.y.mul(&zz).mul(&self.z).sub(&self.y);
        let hh = h.square();
        let (hhh, v) = (hh.mul(&h), self.x.mul(&hh));
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&self.y.mul(&hhh));
        let z = self.z.mul(&h);
        let at_infinity = self.z.is_zero();
        if bool::from(h.is_zero() & r.is_zero() & !at_infinity) {
            return other.to_jacobian().double();
        }
        Self::conditional_select(&Self { x, y, z }, &other.to_jacobian(), at_infinity)
    }

    /// The sum. Not constant time where one is infinity or both are the same point.
    pub(super) fn add(&self, other: &Self) -> Self {
        if bool::from(self.z.is_zero()) {
            return *other;
        }
        if bool::from(other.z.is_zero()) {
            return *self;
        }
        let (zz, other_zz) = (self.z.square(), other.z.square());
        let (u, other_u) = (self.x.mul(&other_zz), other.x.mul(&zz));
        let s = self.y.mul(&other_zz).mul(&other.z);
        let (h, r) = (other_u.sub(&u), other.y.mul(&zz).mul(&self.z).sub(&s));
        if bool::from(h.is_zero() & r.is_zero()) {
            return self.double();
        }
        let hh = h.square();
        let (hhh, v) = (hh.mul(&h), u.mul(&hh));
        let x = r.square().sub(&hhh).sub(&v.double());
        let y = r.mul(&v.sub(&x)).sub(&s.mul(&hhh));
        let z = self.z.mul(&other.z).mul(&h);
        Self { x, y, z }
    }

    /// The coordinates; `None` for infinity.
    pub(super) fn to_affine(self) -> Option<Affine> {
        let finite = !bool::from(self.z.is_zero());
        finite.then(|| self.scale(&self.z.invert()))
    }

    fn scale(&self, inverse: &Fe) -> Affine {
        let square = inverse.square();
        Affine {
            x: self.x.mul(&square),
            y: self.y.mul(&square).mul(inverse),
        }
    }

    /// The coordinates of many points, with one inversion. None may be infinity.
    pub(super) fn to_affine_all(points: &[Self]) -> Vec<Affine> {
        let mut product = Fe::ONE;
        let mut before = Vec::with_capacity(points.len());
        for point in points {
            before.push(product);
            product = product.mul(&point.z);
        }
        let mut rest = product.invert();
        let mut affine = Vec::with_capacity(points.len());
        for (point, before) in points.iter().zip(&before).rev() {
            affine.push(point.scale(&before.mul(&rest)));
            rest = rest.mul(&point.z);
        }
        affine.reverse();
        affine
    }

    /// Whether this is the given point.
    pub(super) fn is(&self, other: &Affine) -> Choice {
        let zz = self.z.square();
        let (x, y) = (other.x.mul(&zz), other.y.mul(&zz).mul(&self.z));
        !self.z.is_zero() & x.ct_eq(&self.x) & y.ct_eq(&self.y)
    }

    /// Whether this is not infinity and has the given x coordinate.
    pub(super) fn has_x(&self, x: &Fe) -> bool {
        bool::from(!self.z.is_zero() & x.mul(&self.z.square()).ct_eq(&self.x))
    }
}

impl ConditionallySelectable for Jacobian {
    fn conditional_select(a: &Self, b: &Self, choice: Choice) -> Self {
        Self {
            x: Fe::conditional_select(&a.x, &b.x, choice),
            y: Fe::conditional_select(&a.y, &b.y, choice),
            z: Fe::conditional_select(&a.z, &b.z, choice),
        }
    }
}

impl Zeroize for Jacobian {
    fn zeroize(&mut self) {
        self.x.zeroize();
        self.y.zeroize();
        self.z.zeroize();
    }
}
