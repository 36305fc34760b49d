//! Short-time objective intelligibility: Taal, Hendriks, Heusdens, Jensen, "An Algorithm for
//! Intelligibility Prediction of Time-Frequency Weighted Noisy Speech", IEEE TASLP 19(7), 2011.
//!
//! Names and numbers are those of the paper; where it leaves a choice (the resampling filter, frame
//! edges, the overlap-add of what remains after the removal of silence) this makes the one of its
//! public reference code, so that scores can be compared.

use std::f64::consts::PI;

use super::MeasureError;
use super::fourier::{Complex, transform};

/// Samples of an analysis frame at 10 kHz; frames overlap by half.
const FRAME: usize = 256;
const HOP: usize = FRAME / 2;
/// Points of the transform.
const POINTS: usize = 512;
/// One-third octave bands.
const BANDS: usize = 15;
/// Centre of the lowest band in Hz.
const LOWEST_CENTRE: f64 = 150.0;
/// Frames of one intermediate measure: 384 ms.
const SEGMENT: usize = 30;
/// Frames this much quieter than the loudest one are silence.
const RANGE_DB: f64 = 40.0;
/// Nothing this quiet is speech: below half a step of 16 bit in one sample of a frame.
const SILENCE_DB: f64 = -100.0;
/// Lower bound of the signal-to-distortion ratio.
const BETA_DB: f64 = -15.0;

/// Levels of one frame in each band.
type Bands = [f64; BANDS];

/// Intelligibility of `degraded` against `clean`, both at 16 kHz and aligned: 0 to 1.
///
/// The shorter one counts as silent beyond its end.
///
/// # Errors
/// [`MeasureError::TooLittleSpeech`] when `clean` has less than 384 ms of speech.
pub fn stoi(clean: &[i16], degraded: &[i16]) -> Result<f64, MeasureError> {
    let length = clean.len().max(degraded.len());
    let at_10k = |samples: &[i16]| {
        let mut samples: Vec<f64> = samples.iter().map(|s| f64::from(*s) / 32_768.0).collect();
        samples.resize(length, 0.0);
        to_10k(&samples)
    };
    let (clean, degraded) = without_silence(&at_10k(clean), &at_10k(degraded));
    let (clean, degraded) = (bands(&clean), bands(&degraded));
    if clean.len() < SEGMENT {
        return Err(MeasureError::TooLittleSpeech);
    }
    let pairs = clean.windows(SEGMENT).zip(degraded.windows(SEGMENT));
    let measures: Vec<f64> = pairs
        .flat_map(|(x, y)| (0..BANDS).map(move |band| correlation(x, y, band)))
        .collect();
    Ok((measures.iter().sum::<f64>() / count(measures.len())).clamp(0.0, 1.0))
}

/// 16 kHz to 10 kHz: a polyphase low-pass (Kaiser, 60 dB, transition from 0.9 of 5 kHz).
fn to_10k(samples: &[f64]) -> Vec<f64> {
    const UP: usize = 5;
    const DOWN: usize = 8;
    const HALF: usize = 290;
    const CUTOFF: f64 = 1.0 / 16.0;
    const BETA: f64 = 0.1102 * (60.0 - 8.7);
    let taps: Vec<f64> = (0..=2 * HALF)
        .map(|n| {
            let t = count(n) - count(HALF);
            let x = PI * 2.0 * CUTOFF * t;
            let sinc = if n == HALF { 1.0 } else { x.sin() / x };
            let window =
                crate::resample::bessel_i0(BETA * (1.0 - (t / count(HALF)).powi(2)).sqrt());
            sinc * window
        })
        .collect();
    let scale = count(UP) / taps.iter().sum::<f64>();
    (0..(samples.len() * UP).div_ceil(DOWN))
        .map(|m| {
            // Tap k meets the sample that stands, with zeros between, at m * DOWN + HALF - k.
            let place = m * DOWN + HALF;
            let newest = (place / UP).min(samples.len().saturating_sub(1));
            let taps = taps.get(place - newest * UP..).unwrap_or_default();
            let met = samples.get(..=newest).unwrap_or_default().iter().rev();
            let sum: f64 = taps.iter().step_by(UP).zip(met).map(|(t, s)| t * s).sum();
            sum * scale
        })
        .collect()
}

/// The Hann window of the paper, without its zero ends.
fn window() -> [f64; FRAME] {
    let mut n = 0.0;
    [(); FRAME].map(|()| {
        n += 1.0;
        0.5 - 0.5 * (2.0 * PI * n / count(FRAME + 1)).cos()
    })
}

/// Windowed frames; a last one that ends with the signal does not count.
fn frames(signal: &[f64]) -> impl Iterator<Item = [f64; FRAME]> {
    let window = window();
    let last = signal.len().saturating_sub(1);
    signal
        .get(..last)
        .unwrap_or_default()
        .windows(FRAME)
        .step_by(HOP)
        .map(move |frame| {
            let mut windowed = window;
            windowed.iter_mut().zip(frame).for_each(|(w, s)| *w *= s);
            windowed
        })
}

/// Both signals without the frames in which the clean one is silent.
fn without_silence(clean: &[f64], degraded: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let level = |frame: &[f64; FRAME]| {
        let energy: f64 = frame.iter().map(|s| s * s).sum();
        20.0 * (energy.sqrt() + f64::EPSILON).log10()
    };
    let loudest = frames(clean).map(|f| level(&f)).fold(f64::MIN, f64::max);
    // Digital silence has a level too, the smallest number's.
    let threshold = (loudest - RANGE_DB).max(SILENCE_DB);
    let speech: Vec<bool> = frames(clean).map(|f| level(&f) > threshold).collect();
    let kept = |signal| {
        let frames = frames(signal).zip(&speech);
        overlap_add(frames.filter_map(|(frame, speech)| speech.then_some(frame)))
    };
    (kept(clean), kept(degraded))
}

fn overlap_add(frames: impl Iterator<Item = [f64; FRAME]>) -> Vec<f64> {
    let mut signal = Vec::new();
    for frame in frames {
        let begin = signal.len().saturating_sub(HOP);
        signal.resize(begin + FRAME, 0.0);
        let place = signal.iter_mut().skip(begin);
        place.zip(frame).for_each(|(to, s)| *to += s);
    }
    signal
}

/// The one-third octave levels of each frame (paper, equation 1).
fn bands(signal: &[f64]) -> Vec<Bands> {
    let edges = band_edges();
    frames(signal)
        .map(|frame| {
            let mut points = [Complex::default(); POINTS];
            let begin = points.iter_mut().zip(frame);
            begin.for_each(|(point, sample)| *point = Complex::real(sample));
            transform(&mut points);
            edges.map(|(low, high)| {
                let band = points.get(low..high).unwrap_or_default();
                band.iter().map(|p| p.power()).sum::<f64>().sqrt()
            })
        })
        .collect()
}

/// First point of each band and of what is above it.
fn band_edges() -> [(usize, usize); BANDS] {
    let nearest = |hz: f64| {
        let distance = |point: usize| (count(point) * 10_000.0 / count(POINTS) - hz).abs();
        let points = 0..=POINTS / 2;
        points
            .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
            .unwrap_or(0)
    };
    let mut third = 0.0;
    [(); BANDS].map(|()| {
        let edge = |sixths: f64| LOWEST_CENTRE * (sixths / 6.0).exp2();
        let band = (
            nearest(edge(2.0 * third - 1.0)),
            nearest(edge(2.0 * third + 1.0)),
        );
        third += 1.0;
        band
    })
}

/// The intermediate measure of one band (paper, equations 2 to 5): the degraded levels are brought
/// to the energy of the clean ones, clipped, and correlated with them.
fn correlation(clean: &[Bands], degraded: &[Bands], band: usize) -> f64 {
    let levels = |of: &[Bands]| -> [f64; SEGMENT] {
        let mut levels = [0.0; SEGMENT];
        let of = of.iter().filter_map(|frame| frame.get(band));
        levels.iter_mut().zip(of).for_each(|(to, l)| *to = *l);
        levels
    };
    let (x, mut y) = (levels(clean), levels(degraded));
    let scale = norm(&x) / (norm(&y) + f64::EPSILON);
    let most = 1.0 + 10.0_f64.powf(-BETA_DB / 20.0);
    for (y, x) in y.iter_mut().zip(&x) {
        *y = (*y * scale).min(x * most);
    }
    let (x, y) = (centred(x), centred(y));
    let product: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
    product / ((norm(&x) + f64::EPSILON) * (norm(&y) + f64::EPSILON))
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|v| v * v).sum::<f64>().sqrt()
}

fn centred(values: [f64; SEGMENT]) -> [f64; SEGMENT] {
    let mean = values.iter().sum::<f64>() / count(SEGMENT);
    values.map(|v| v - mean)
}

#[expect(clippy::cast_precision_loss, reason = "counts of samples, below 2^52")]
fn count(n: usize) -> f64 {
    n as f64
}
