//! Where in a received recording the sent one is.

use super::fourier::{Complex, transform, transform_back};
use crate::level::rms;
use crate::resample::to_8k;

/// Samples from one value of the envelope to the next: 4 ms.
pub(super) const BLOCK: usize = 64;
/// Samples of one value: 16 ms, so that the pitch does not show in it.
const WINDOW: usize = 4 * BLOCK;
/// Samples at 8 kHz around the best offset of the envelopes within which that of the waveforms is
/// looked for: 24 ms.
pub(super) const NEAR: i64 = 192;
/// Likeness of the waveforms from which their offset counts: below it a parametric codec may have
/// made sound that is only alike in its envelope.
const SAME_WAVE: f64 = 0.3;
/// Likeness of the envelopes that is enough without the waveform; another sentence reaches 0.5.
const SAME_ENVELOPE: f64 = 0.65;

/// Samples at 16 kHz from a sound's place in `sent` to its place in `received`; negative when the
/// received recording begins later. None when nothing like the sent sound is in it.
///
/// The envelopes are compared at every offset first, by their spectra; then the waveforms near the
/// best one, at 8 kHz and last at 16 kHz.
#[must_use]
pub fn offset(sent: &[i16], received: &[i16]) -> Option<i64> {
    let (blocks, alike) = best_blocks(&envelope(sent), &envelope(received))?;
    let coarse = blocks * to_i64(BLOCK);
    let (near, _) = best_near(&to_8k(sent), &to_8k(received), coarse / 2, NEAR)?;
    let (fine, wave) = best_near(sent, received, 2 * near, 2)?;
    if wave >= SAME_WAVE {
        Some(fine)
    } else {
        (alike >= SAME_ENVELOPE).then_some(coarse)
    }
}

/// The offset around `centre` at which the waveforms are most alike, and how much.
pub(super) fn best_near(
    sent: &[i16],
    received: &[i16],
    centre: i64,
    reach: i64,
) -> Option<(i64, f64)> {
    (centre - reach..=centre + reach)
        .map(|offset| (offset, likeness(sent, received, offset)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The part of `received` that answers to `length` samples of the sent sound; silence where none.
pub(super) fn shifted(received: &[i16], offset: i64, length: usize) -> Vec<i16> {
    let behind = usize::try_from(offset).unwrap_or(0);
    let missing = usize::try_from(-offset).unwrap_or(0).min(length);
    let mut aligned = vec![0; missing];
    aligned.extend_from_slice(received.get(behind..).unwrap_or_default());
    aligned.resize(length, 0);
    aligned
}

/// Levels above their mean.
pub(super) fn envelope(samples: &[i16]) -> Vec<f64> {
    let windows = samples.windows(WINDOW).step_by(BLOCK);
    let levels: Vec<f64> = windows.map(rms).collect();
    let mean = levels.iter().sum::<f64>() / count(levels.len().max(1));
    levels.iter().map(|level| level - mean).collect()
}

/// The offset in blocks at which the envelopes are most alike, and how much, up to 1.
fn best_blocks(sent: &[f64], received: &[f64]) -> Option<(i64, f64)> {
    let energy = |of: &[f64]| of.iter().map(|v| v * v).sum::<f64>();
    let scale = (energy(sent) * energy(received)).sqrt();
    if scale < 1.0 {
        return None;
    }
    let length = (sent.len() + received.len()).next_power_of_two();
    let spectrum = |of: &[f64]| {
        let mut values: Vec<Complex> = of.iter().copied().map(Complex::real).collect();
        values.resize(length, Complex::default());
        transform(&mut values);
        values
    };
    let mut product: Vec<Complex> = spectrum(sent)
        .into_iter()
        .zip(spectrum(received))
        .map(|(sent, received)| sent.conjugate() * received)
        .collect();
    transform_back(&mut product);
    let (place, best) = product
        .iter()
        .map(|value| value.re)
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    // Negative offsets are found at the end.
    let wrapped = if place < received.len() { 0 } else { length };
    let blocks = to_i64(place) - to_i64(wrapped);
    Some((blocks, best / count(length) / scale))
}

/// Correlation of the waveforms where they overlap at `offset`, up to 1.
pub(super) fn likeness(sent: &[i16], received: &[i16], offset: i64) -> f64 {
    let skip = |by: i64| usize::try_from(by).unwrap_or(0);
    let sent = sent.get(skip(-offset)..).unwrap_or_default();
    let received = received.get(skip(offset)..).unwrap_or_default();
    let overlap = sent.len().min(received.len());
    let (sent, received) = (
        sent.get(..overlap).unwrap_or_default(),
        received.get(..overlap).unwrap_or_default(),
    );
    let scale = (product(sent, sent) * product(received, received)).sqrt();
    product(sent, received) / scale.max(1.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of energies may be rounded"
)]
fn product(a: &[i16], b: &[i16]) -> f64 {
    let products = a.iter().zip(b).map(|(a, b)| i32::from(*a) * i32::from(*b));
    products.map(i64::from).sum::<i64>() as f64
}

pub(super) fn to_i64(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples, below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
