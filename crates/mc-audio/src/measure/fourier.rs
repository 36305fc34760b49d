//! The discrete Fourier transform of a power of two of samples.

use std::f64::consts::PI;
use std::ops::{Add, Mul, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Complex {
    pub(super) re: f64,
    pub(super) im: f64,
}

impl Complex {
    /// `e` to the power of `i * angle`.
    fn unit(angle: f64) -> Self {
        let (im, re) = angle.sin_cos();
        Self { re, im }
    }

    pub(super) const fn real(re: f64) -> Self {
        Self { re, im: 0.0 }
    }

    pub(super) fn conjugate(self) -> Self {
        Self {
            im: -self.im,
            ..self
        }
    }

    /// The square of the magnitude.
    pub(super) fn power(self) -> f64 {
        self.re.mul_add(self.re, self.im * self.im)
    }
}

impl Add for Complex {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            re: self.re + other.re,
            im: self.im + other.im,
        }
    }
}

impl Sub for Complex {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            re: self.re - other.re,
            im: self.im - other.im,
        }
    }
}

impl Mul for Complex {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self {
            re: self.re.mul_add(other.re, -self.im * other.im),
            im: self.re.mul_add(other.im, self.im * other.re),
        }
    }
}

/// Transforms a power of two of values in place (Cooley and Tukey, radix 2).
pub(super) fn transform(values: &mut [Complex]) {
    let length = values.len();
    debug_assert!(length.is_power_of_two(), "{length}");
    reverse_order(values);
    let turns: Vec<Complex> = (0..length / 2)
        .map(|n| Complex::unit(-2.0 * PI * fraction(n, length)))
        .collect();
    let mut half = 1;
    while half < length {
        let stride = length / (2 * half);
        for block in values.chunks_exact_mut(2 * half) {
            let (low, high) = block.split_at_mut(half);
            let turns = turns.iter().step_by(stride);
            for ((low, high), turn) in low.iter_mut().zip(high).zip(turns) {
                let turned = *high * *turn;
                (*low, *high) = (*low + turned, *low - turned);
            }
        }
        half *= 2;
    }
}

/// The inverse, without the division by the length.
pub(super) fn transform_back(values: &mut [Complex]) {
    for value in values.iter_mut() {
        *value = value.conjugate();
    }
    transform(values);
    for value in values.iter_mut() {
        *value = value.conjugate();
    }
}

fn reverse_order(values: &mut [Complex]) {
    let bits = values.len().trailing_zeros();
    for n in 0..values.len() {
        let reversed = n.reverse_bits().unbounded_shr(usize::BITS - bits);
        if n < reversed {
            values.swap(n, reversed);
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples, below 2^52")]
fn fraction(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_sum_that_defines_it() {
        let values: Vec<Complex> = (0..16)
            .map(|n: i32| Complex {
                re: f64::from(n * n % 7),
                im: f64::from(n % 3),
            })
            .collect();
        let mut transformed = values.clone();
        transform(&mut transformed);
        for (k, found) in transformed.iter().enumerate() {
            let turn = |n: usize| Complex::unit(-2.0 * PI * fraction(n * k, 16));
            let terms = values.iter().enumerate().map(|(n, v)| *v * turn(n));
            let sum = terms.fold(Complex::default(), |sum, term| sum + term);
            assert!((sum - *found).power() < 1e-20, "{k}");
        }
        transform_back(&mut transformed);
        for (value, back) in values.iter().zip(&transformed) {
            assert!((*value * Complex::real(16.0) - *back).power() < 1e-20);
        }
        transform(&mut [Complex::real(3.0)]);
    }
}
