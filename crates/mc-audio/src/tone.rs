//! Tones a radio plays to its user.

use std::f64::consts::TAU;

use crate::to_sample;

/// The talk-prohibit tone: 300 ms of 400 Hz at 8 kHz.
#[must_use]
pub fn denied() -> Vec<i16> {
    sine(400.0, 8000.0, 8000, 2400)
}

/// A sine of `hz` with peaks of `amplitude`, `samples` at `rate` samples a second.
#[must_use]
pub fn sine(hz: f64, amplitude: f64, rate: u32, samples: usize) -> Vec<i16> {
    let samples = u32::try_from(samples).unwrap_or(u32::MAX);
    (0..samples)
        .map(|n| {
            let phase = TAU * hz * f64::from(n) / f64::from(rate);
            #[expect(clippy::cast_possible_truncation, reason = "f32 is exact enough here")]
            let value = (amplitude * phase.sin()) as f32;
            to_sample(value)
        })
        .collect()
}
