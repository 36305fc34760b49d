//! The pairing with a fixed first argument: everything that depends on it alone is computed once.
//!
//! The Miller loop runs over base-4 digits of q - 1, from -1 to 2. A step takes v to `v^4 f`, where f
//! gathers all lines and verticals of the step: a function on the curve whose only pole is at
//! infinity, of order five to seven, hence `A(x) + y B(x)` with five to seven coefficients. B is scaled
//! to leading coefficient one, and dividing by the second argument's y leaves B free of
//! multiplications in most steps.

use crate::curve::{Affine, Jacobian};
use crate::fp::Fp;
use crate::fp2::Fp2;
use crate::params::Q_ORDER;
use crypto_bigint::U1024;
use std::sync::LazyLock;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The functions of the Miller loop of a fixed point: 390 kB.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct FixedPoint {
    /// The tangent at the point, for the leading digit.
    first: [Fp; 2],
    steps: Vec<Step>,
}

/// `A(x) + y B(x)` of a step, without B's leading coefficient, which is one.
#[derive(Clone, Copy, Zeroize)]
struct Step {
    a: [Fp; 4],
    b: [Fp; 2],
}

/// A function `A(x) + y B(x)` on the curve, lowest coefficients first.
#[derive(Clone, Copy)]
struct Function {
    a: [Fp; 5],
    b: [Fp; 5],
}

/// The line `y + s x + t`.
#[derive(Clone, Copy, Zeroize)]
struct Line {
    s: Fp,
    t: Fp,
}

/// The points of a step: C, 2C and 4C.
type Chain = [Affine; 3];

/// The base-4 digits of q - 1 after the leading one, which is two.
static DIGITS: LazyLock<Vec<i8>> = LazyLock::new(|| {
    let mut rest = U1024::from_be_hex(Q_ORDER).wrapping_sub(&U1024::ONE);
    let mut digits = Vec::new();
    while rest != U1024::ZERO {
        let digit = match rest.as_words() {
            [low, ..] if low & 3 == 3 => -1,
            [low, ..] if low & 3 == 2 => 2,
            [low, ..] if low & 3 == 1 => 1,
            _ => 0,
        };
        let carry = U1024::from_u8(u8::from(digit == -1));
        rest = rest.shr(2).wrapping_add(&carry);
        digits.push(digit);
    }
    digits.pop();
    digits.reverse();
    digits
});

impl FixedPoint {
    /// Computes the functions. `None` if the point is not of order q. Constant time for points of
    /// order q.
    pub(crate) fn new(r: &Affine) -> Option<Self> {
        let double = r.to_jacobian().double().to_affine()?;
        let multiples = [r.neg(), *r, *r, double];
        let addend = |digit: i8| multiples.get(usize::try_from(digit + 1).ok()?);
        let chains = chains(&double, addend)?;
        let (first, lines) = lines(r, &chains, addend)?;
        let mut functions = Zeroizing::new(Vec::with_capacity(chains.len()));
        for ((digit, chain), lines) in DIGITS.iter().zip(chains.iter()).zip(lines.iter()) {
            let [tangent, tangent2, chord] = lines;
            let [_, double_c, fourfold] = chain;
            let mut f = Function::ONE.times(tangent).times(tangent).times(tangent2);
            f = f.divided_by(&double_c.x).divided_by(&double_c.x);
            if *digit != 0 {
                f = f.times(chord).divided_by(&fourfold.x);
            }
            if *digit == 2 {
                f = f.times(&first).divided_by(&double.x);
            }
            functions.push(f);
        }
        Some(Self {
            first: [first.t, first.s],
            steps: normalised(&functions)?,
        })
    }

    /// The pairing of the fixed point and Q, as its representative in F_p, in constant time; `None`
    /// when there is none.
    pub(crate) fn pairing(&self, q: &Affine) -> Option<Fp> {
        // The distorted Q is (-x, iy). All is divided by y, which vanishes in PF_p.
        let x = q.x.neg();
        let w = q.y.invert()?;
        let (wx, xx) = Fp::mul2((&w, &x), (&x, &x));
        let (wxx, wxxx) = Fp::mul2((&w, &xx), (&wx, &xx));
        let mut v = Fp2 {
            a: Fp::dot(&[(&self.first[0], &w), (&self.first[1], &wx)]),
            b: Fp::ONE,
        };
        for (digit, Step { a, b }) in DIGITS.iter().zip(&self.steps) {
            let [a0, a1, a2, a3] = a;
            let [b0, b1] = b;
            let low = [(a0, &w), (a1, &wx), (a2, &wxx)];
            let [low0, low1, low2] = low;
            let value = match digit {
                0 => Fp2 {
                    a: Fp::dot(&low),
                    b: b0.add(&x),
                },
                1 | -1 => Fp2 {
                    a: Fp::dot(&[low0, low1, low2, (a3, &wxxx)]),
                    b: b0.add(&x),
                },
                _ => {
                    let (linear, a) = Fp::dot2(
                        &[(b1, &x), (&Fp::ZERO, b1), (&Fp::ZERO, b1), (&Fp::ZERO, b1)],
                        &[low0, low1, low2, (a3, &wxxx)],
                    );
                    let b = linear.add(b0).add(&xx);
                    Fp2 { a, b }
                }
            };
            v = v.square().square().mul(&value);
        }
        let class = v.square().square().to_class();
        v.zeroize();
        class
    }
}

/// C, 2C and 4C of every step.
fn chains<'a>(
    double: &Affine,
    addend: impl Fn(i8) -> Option<&'a Affine>,
) -> Option<Zeroizing<Vec<Chain>>> {
    let mut points = Zeroizing::new(Vec::with_capacity(3 * DIGITS.len()));
    let mut c = double.to_jacobian();
    for digit in DIGITS.iter() {
        let twofold = c.double();
        let fourfold = twofold.double();
        points.extend([c, twofold, fourfold]);
        c = match digit {
            0 => fourfold,
            digit => fourfold.add_affine(addend(*digit)?),
        };
    }
    // `[q - 1]R`, which is -R for a point of order q only.
    let is_of_order = c.ct_eq(&addend(-1)?.to_jacobian());
    c.zeroize();
    let points = Zeroizing::new(Jacobian::to_affine_all(&points)?);
    bool::from(is_of_order).then(|| Zeroizing::new(points.as_chunks().0.to_vec()))
}

/// The tangent at R, and of every step the tangents at C and 2C and the line through 4C and the
/// multiple of R that is added.
fn lines<'a>(
    r: &Affine,
    chains: &[Chain],
    addend: impl Fn(i8) -> Option<&'a Affine>,
) -> Option<(Line, Zeroizing<Vec<[Line; 3]>>)> {
    // Slopes as fractions, for one common inversion.
    let tangent = |p: &Affine| (p.x.square().sub(&Fp::ONE).triple(), p.y.double());
    let mut slopes = Zeroizing::new(vec![tangent(r)]);
    for (digit, [c, twofold, fourfold]) in DIGITS.iter().zip(chains) {
        let other = match digit {
            0 => &r.neg(),
            digit => addend(*digit)?,
        };
        let chord = (fourfold.y.sub(&other.y), fourfold.x.sub(&other.x));
        slopes.extend([tangent(c), tangent(twofold), chord]);
    }
    let denominators: Zeroizing<Vec<_>> = Zeroizing::new(slopes.iter().map(|s| s.1).collect());
    let inverses = Zeroizing::new(Fp::invert_all(&denominators)?);
    let points = std::iter::once(r).chain(chains.as_flattened());
    let mut lines = slopes.iter().zip(inverses.iter()).zip(points);
    let line = |(((numerator, _), inverse), point): ((&(Fp, Fp), &Fp), &Affine)| {
        let slope = numerator.mul(inverse);
        let t = slope.mul(&point.x).sub(&point.y);
        let s = slope.neg();
        Line { s, t }
    };
    let first = line(lines.next()?);
    let rest: Zeroizing<Vec<_>> = Zeroizing::new(lines.map(line).collect());
    Some((first, Zeroizing::new(rest.as_chunks().0.to_vec())))
}

/// The functions with B scaled to leading coefficient one.
fn normalised(functions: &[Function]) -> Option<Vec<Step>> {
    let leading = |(digit, f): (&i8, &Function)| if *digit == 2 { f.b[2] } else { f.b[1] };
    let leading: Vec<_> = DIGITS.iter().zip(functions).map(leading).collect();
    let leading = Zeroizing::new(leading);
    let inverses = Zeroizing::new(Fp::invert_all(&leading)?);
    let scaled = functions.iter().zip(inverses.iter()).map(|(f, inverse)| {
        let [a0, a1, a2, a3, _] = f.a.map(|a| a.mul(inverse));
        let [b0, b1, ..] = f.b.map(|b| b.mul(inverse));
        Step {
            a: [a0, a1, a2, a3],
            b: [b0, b1],
        }
    });
    Some(scaled.collect())
}

impl Function {
    const ONE: Self = Self {
        a: [Fp::ONE, Fp::ZERO, Fp::ZERO, Fp::ZERO, Fp::ZERO],
        b: [Fp::ZERO; 5],
    };

    /// The product with a line. B is of degree one at most.
    fn times(&self, Line { s, t }: &Line) -> Self {
        let mut product = Self::ONE;
        let (mut below_a, mut below_b) = (Fp::ZERO, Fp::ZERO);
        let coefficients = self.a.iter().zip(&self.b);
        let places = product.a.iter_mut().zip(&mut product.b);
        for ((a, b), (out_a, out_b)) in coefficients.zip(places) {
            (*out_a, *out_b) = Fp::dot2(&[(t, a), (s, &below_a)], &[(t, b), (s, &below_b)]);
            *out_b = out_b.add(a);
            (below_a, below_b) = (*a, *b);
        }
        // y B y = (x^3 - 3x) B.
        let [b0, b1, ..] = &self.b;
        let [_, a1, a2, a3, a4] = &mut product.a;
        (*a1, *a2) = (a1.sub(&b0.triple()), a2.sub(&b1.triple()));
        (*a3, *a4) = (a3.add(b0), a4.add(b1));
        product
    }

    /// The quotient by `x - root`, which divides the function.
    fn divided_by(&self, root: &Fp) -> Self {
        let mut quotient = Self::ONE;
        let (mut above_a, mut above_b) = (Fp::ZERO, Fp::ZERO);
        let coefficients = self.a.iter().zip(&self.b).rev();
        let places = quotient.a.iter_mut().zip(&mut quotient.b).rev();
        for ((a, b), (out_a, out_b)) in coefficients.zip(places) {
            (*out_a, *out_b) = (above_a, above_b);
            let (a_root, b_root) = Fp::mul2((&above_a, root), (&above_b, root));
            (above_a, above_b) = (a.add(&a_root), b.add(&b_root));
        }
        quotient
    }
}

impl Zeroize for Function {
    fn zeroize(&mut self) {
        self.a.zeroize();
        self.b.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comb::{BASE, multiply};
    use crate::pairing::pairing;
    use crate::scalar::Scalar;

    #[test]
    fn the_digits_are_those_of_q_minus_one() {
        let number = DIGITS.iter().fold(U1024::from_u8(2), |number, digit| {
            let four = number.shl(2);
            match digit {
                -1 => four.wrapping_sub(&U1024::ONE),
                digit => four.wrapping_add(&U1024::from_u8(u8::try_from(*digit).unwrap())),
            }
        });
        assert_eq!(
            number,
            U1024::from_be_hex(Q_ORDER).wrapping_sub(&U1024::ONE)
        );
    }

    #[test]
    fn the_pairing_is_that_of_the_plain_loop() {
        let multiple = |octet| {
            let scalar = Scalar::from_octets(&[octet; 100]).unwrap();
            let product = multiply(&[(BASE.as_ref().unwrap(), &scalar)]);
            product.to_affine().unwrap()
        };
        for (a, b) in [(3, 5), (7, 7), (200, 1)] {
            let (a, b) = (multiple(a), multiple(b));
            let fixed = FixedPoint::new(&a).unwrap().pairing(&b).unwrap();
            assert!(bool::from(fixed.ct_eq(&pairing(&a, &b).flatten().unwrap())));
        }
    }

    #[test]
    fn points_of_other_orders_have_no_functions_and_no_pairing() {
        let two = Affine {
            x: Fp::ZERO,
            y: Fp::ZERO,
        };
        let shifted = Affine::BASE.to_jacobian().add_affine(&two);
        for other in [two, shifted.to_affine().unwrap()] {
            assert!(FixedPoint::new(&other).is_none());
        }
        let fixed = FixedPoint::new(&Affine::BASE).unwrap();
        assert!(fixed.pairing(&two).is_none());
    }
}
