//! The quadratic extension F_p^2 and the group PF_p (RFC 6508 2.1).

use crate::fp::Fp;
use zeroize::Zeroize;

/// An element `a + ib` of F_p^2, where `i^2 = -1`. In PF_p it stands for the class `b / a`: a factor
/// from F_p makes no difference.
#[derive(Clone, Copy)]
pub(crate) struct Fp2 {
    pub(crate) a: Fp,
    pub(crate) b: Fp,
}

impl Fp2 {
    pub(crate) const ONE: Self = Self {
        a: Fp::ONE,
        b: Fp::ZERO,
    };

    pub(crate) fn mul(&self, other: &Self) -> Self {
        let minus = other.b.neg();
        let (a, b) = Fp::dot2(
            &[(&self.a, &other.a), (&self.b, &minus)],
            &[(&self.a, &other.b), (&self.b, &other.a)],
        );
        Self { a, b }
    }

    pub(crate) fn square(&self) -> Self {
        let (sum, difference) = (self.a.add(&self.b), self.a.sub(&self.b));
        let (a, b) = Fp::mul2((&sum, &difference), (&self.a, &self.b));
        Self { a, b: b.double() }
    }

    /// The product with `1 + it`.
    pub(crate) fn mul_class(&self, t: &Fp) -> Self {
        let (at, bt) = Fp::mul2((&self.a, t), (&self.b, t));
        Self {
            a: self.a.sub(&bt),
            b: self.b.add(&at),
        }
    }

    /// The representative `b / a` of the class; `None` for the class of i, which has none.
    pub(crate) fn to_class(self) -> Option<Fp> {
        self.a.invert().map(|inverse| self.b.mul(&inverse))
    }
}

impl Zeroize for Fp2 {
    fn zeroize(&mut self) {
        self.a.zeroize();
        self.b.zeroize();
    }
}
