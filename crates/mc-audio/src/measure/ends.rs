//! Whether the first and the last syllable arrived.
//!
//! Both recordings are taken in the telephone band, for the radio side carries no more, as levels of
//! 10 ms. Speech in the sent one is at least 30 ms within 25 dB of its loudest 10 ms. Of the received
//! one the noise is taken away (twice the median power where the sent one is silent), and it is
//! brought to the same level. Its first syllable is **heard** when
//!
//! - speech begins in it no later than 60 ms behind its place, up to 6 dB softer; and
//! - the levels of the 60 ms before and 300 ms after that place run like the sent ones: a
//!   correlation of at least 0.6 at some shift up to 60 ms. This is what tells a syllable from
//!   other sound in its place.
//!
//! The last syllable is the first one of both recordings played backwards.

use super::MeasureError;
use crate::level::rms;
use crate::resample::to_8k;

/// Samples of one level at 8 kHz: 10 ms.
const STEP: usize = 80;
/// Levels that an end may be out of place, 60 ms.
const SHIFT: usize = 6;
/// Levels of a syllable, 300 ms.
const SYLLABLE: usize = 30;
/// Levels of speech that are no click, 30 ms.
const SHORTEST: usize = 3;
/// Speech in the sent recording is above this share of its loudest level: -25 dB.
const SENT_SHARE: f64 = 0.056;
/// In the received one it may be 6 dB softer.
const RECEIVED_SHARE: f64 = SENT_SHARE / 2.0;
/// Correlation of levels from which they are of the same syllable.
const SAME: f64 = 0.6;

/// Which end of the speech is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The first syllable.
    pub first: bool,
    /// The last one.
    pub last: bool,
}

/// Looks for both ends of the sent speech in the received one, both at 16 kHz and aligned.
///
/// # Errors
/// [`MeasureError::TooLittleSpeech`] when nothing was said.
pub fn first_and_last_heard(sent: &[i16], received: &[i16]) -> Result<Ends, MeasureError> {
    let mut sent = levels(sent);
    let mut received = levels(received);
    received.resize(sent.len(), 0.0);
    let loudest = sent.iter().copied().fold(0.0, f64::max);
    remove_noise(&sent, &mut received, RECEIVED_SHARE * loudest);
    let energy = |of: &[f64]| of.iter().map(|l| l * l).sum::<f64>();
    let gain = (energy(&sent) / energy(&received).max(f64::MIN_POSITIVE)).sqrt();
    received.iter_mut().for_each(|level| *level *= gain);
    let first = is_first_heard(&sent, &received, loudest)?;
    sent.reverse();
    received.reverse();
    let last = is_first_heard(&sent, &received, loudest)?;
    Ok(Ends { first, last })
}

fn levels(samples: &[i16]) -> Vec<f64> {
    to_8k(samples).chunks(STEP).map(rms).collect()
}

/// Takes the noise away that is heard where levels of `sent` are below `silence`.
fn remove_noise(sent: &[f64], received: &mut [f64], silence: f64) {
    let silent = sent
        .iter()
        .zip(&*received)
        .filter(|(sent, _)| **sent < silence);
    let mut noise: Vec<f64> = silent.map(|(_, level)| level * level).collect();
    noise.sort_by(f64::total_cmp);
    let median = noise.get(noise.len() / 2).copied().unwrap_or(0.0);
    for level in received {
        *level = 2.0_f64.mul_add(-median, *level * *level).max(0.0).sqrt();
    }
}

fn is_first_heard(sent: &[f64], received: &[f64], loudest: f64) -> Result<bool, MeasureError> {
    let onset = onset(sent, SENT_SHARE * loudest).ok_or(MeasureError::TooLittleSpeech)?;
    let begin = onset.saturating_sub(SHIFT);
    let there = received.get(begin..).unwrap_or_default();
    let came = self::onset(there, RECEIVED_SHARE * loudest).map(|place| begin + place);
    if came.is_none_or(|came| came > onset + SHIFT) {
        return Ok(false);
    }
    let syllable = sent.get(begin..).unwrap_or_default();
    let syllable = syllable.get(..SHIFT + SYLLABLE).unwrap_or(syllable);
    let alike = (begin.saturating_sub(SHIFT)..=begin + SHIFT)
        .filter_map(|place| received.get(place..))
        .map(|there| correlation(syllable, there));
    Ok(alike.fold(0.0, f64::max) >= SAME)
}

/// Where speech begins.
fn onset(levels: &[f64], threshold: f64) -> Option<usize> {
    levels
        .windows(SHORTEST)
        .position(|run| threshold > 0.0 && run.iter().all(|level| *level > threshold))
}

/// Correlation over the length of the shorter one.
pub(super) fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let pairs = || a.iter().zip(b);
    let length = pairs().fold(0.0, |length: f64, _| length + 1.0).max(1.0);
    let mean_a = pairs().map(|(a, _)| a).sum::<f64>() / length;
    let mean_b = pairs().map(|(_, b)| b).sum::<f64>() / length;
    let (mut both, mut of_a, mut of_b) = (0.0, 0.0, 0.0);
    for (a, b) in pairs().map(|(a, b)| (a - mean_a, b - mean_b)) {
        both += a * b;
        of_a += a * a;
        of_b += b * b;
    }
    both / (of_a * of_b).sqrt().max(f64::MIN_POSITIVE)
}
