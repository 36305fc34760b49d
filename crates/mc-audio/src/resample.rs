//! Between 8 kHz and 16 kHz, frame by frame.
//!
//! One half-band low-pass serves both ways: 63 taps, a Kaiser window (beta 7, 70 dB), flat to
//! 3.4 kHz and closed from 4.6 kHz. Its group delay is [`DELAY`], 31 samples of 16 kHz, in each
//! direction. Every second tap of a half-band is zero, so a sample costs 16 multiplications.

use std::collections::VecDeque;
use std::f64::consts::PI;
use std::time::Duration;

use crate::{Frame8k, Frame16k, SILENCE_8K, SILENCE_16K, to_sample};

/// Group delay of one conversion: 31 samples of 16 kHz.
pub const DELAY: Duration = Duration::from_nanos(1_937_500);

/// [`DELAY`] in samples of 16 kHz.
const DELAY_SAMPLES: usize = 31;
/// Taps on one side of the middle that are not zero.
const SIDE: usize = 16;
/// Shape of the Kaiser window: 70 dB.
const BETA: f64 = 7.0;

/// The taps at distances 1, 3, .. 31 of the middle one, which is 1/2; unity gain at 0 Hz.
fn side_taps() -> [f32; SIDE] {
    let mut distance = 1.0;
    let raw = [(); SIDE].map(|()| {
        let window = bessel_i0(BETA * (1.0 - (distance / 32.0_f64).powi(2)).sqrt());
        let tap = (PI * distance / 2.0).sin() / (PI * distance) * window / bessel_i0(BETA);
        distance += 2.0;
        tap
    });
    let scale = 0.25 / raw.iter().sum::<f64>();
    #[expect(clippy::cast_possible_truncation, reason = "f32 is exact enough here")]
    raw.map(|tap| (tap * scale) as f32)
}

/// The modified Bessel function of the first kind, order 0, by its series.
pub(crate) fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-12 {
        term *= (x / (2.0 * n)).powi(2);
        sum += term;
        n += 1.0;
    }
    sum
}

/// The last samples that the side taps need, oldest first.
#[derive(Debug, Clone)]
struct Line {
    taps: [f32; SIDE],
    samples: [f32; 2 * SIDE],
}

impl Line {
    fn new() -> Self {
        Self {
            taps: side_taps(),
            samples: [0.0; 2 * SIDE],
        }
    }

    /// Takes in the next sample and gives the sum of both sides.
    fn push(&mut self, sample: i16) -> f32 {
        self.samples.copy_within(1.., 0);
        if let Some(last) = self.samples.last_mut() {
            *last = f32::from(sample);
        }
        let (old, new) = self.samples.split_at(SIDE);
        let sides = old.iter().rev().zip(new).map(|(old, new)| old + new);
        sides.zip(&self.taps).map(|(side, tap)| side * tap).sum()
    }

    /// The sample at the place of the middle tap, for outputs of the other phase.
    const fn middle(&self) -> f32 {
        self.samples[SIDE]
    }
}

/// 8 kHz to 16 kHz for one stream.
#[derive(Debug, Clone)]
pub struct Upsampler(Line);

impl Default for Upsampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Upsampler {
    /// An upsampler that has heard silence.
    #[must_use]
    pub fn new() -> Self {
        Self(Line::new())
    }

    /// The next 20 ms.
    #[must_use]
    pub fn frame(&mut self, samples: &Frame8k) -> Frame16k {
        let mut frame = SILENCE_16K;
        let (pairs, _) = frame.as_chunks_mut::<2>();
        for (pair, sample) in pairs.iter_mut().zip(samples) {
            *pair = self.sample(*sample);
        }
        frame
    }

    /// Two samples for one. The inserted zeros halve the gain, which the factor 2 restores.
    fn sample(&mut self, sample: i16) -> [i16; 2] {
        let sides = self.0.push(sample);
        [to_sample(2.0 * sides), to_sample(self.0.middle())]
    }
}

/// 16 kHz to 8 kHz for one stream; what 8 kHz cannot carry is filtered out.
#[derive(Debug, Clone)]
pub struct Downsampler {
    sides: Line,
    /// The samples at the middle tap's phase, delayed to its place.
    middle: VecDeque<f32>,
}

impl Default for Downsampler {
    fn default() -> Self {
        Self::new()
    }
}

impl Downsampler {
    /// A downsampler that has heard silence.
    #[must_use]
    pub fn new() -> Self {
        Self {
            sides: Line::new(),
            middle: VecDeque::from([0.0; SIDE]),
        }
    }

    /// The next 20 ms.
    #[must_use]
    pub fn frame(&mut self, samples: &Frame16k) -> Frame8k {
        let mut frame = SILENCE_8K;
        let (pairs, _) = samples.as_chunks::<2>();
        for (sample, pair) in frame.iter_mut().zip(pairs) {
            *sample = self.pair(*pair);
        }
        frame
    }

    /// One sample for two.
    fn pair(&mut self, [first, second]: [i16; 2]) -> i16 {
        let middle = self.middle.pop_front().unwrap_or_default();
        self.middle.push_back(f32::from(second));
        let sides = self.sides.push(first);
        to_sample(0.5f32.mul_add(middle, sides))
    }
}

/// A whole recording at twice the rate, without the delay: sample 2n of it is at sample n's time.
#[must_use]
pub fn to_16k(samples: &[i16]) -> Vec<i16> {
    let mut up = Upsampler::new();
    let tail = [0; DELAY_SAMPLES / 2 + 1];
    let doubled = samples.iter().chain(&tail).flat_map(|s| up.sample(*s));
    doubled
        .skip(DELAY_SAMPLES)
        .take(samples.len() * 2)
        .collect()
}

/// A whole recording at half the rate, without the delay: sample n of it is at sample 2n's time.
#[must_use]
pub fn to_8k(samples: &[i16]) -> Vec<i16> {
    let mut down = Downsampler::new();
    // One sample ahead puts the delay of 31 on a sample of 8 kHz.
    let padded: Vec<i16> = std::iter::once(0)
        .chain(samples.iter().copied())
        .chain([0; DELAY_SAMPLES + 1])
        .collect();
    let (pairs, _) = padded.as_chunks::<2>();
    pairs
        .iter()
        .map(|pair| down.pair(*pair))
        .skip(DELAY_SAMPLES / 2 + 1)
        .take(samples.len().div_ceil(2))
        .collect()
}

#[cfg(test)]
mod tests;
