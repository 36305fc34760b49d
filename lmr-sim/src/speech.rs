//! Sound of the radio side: G.711 mu-law, WAV, tones; 8 kHz, one channel.

use std::io::Cursor;

use crate::error::LmrError;
use crate::recorder::{FRAME, SAMPLE_RATE};

/// Longest WAV a radio plays, in samples at 8 kHz: two minutes.
const MAX_SAMPLES: usize = 120 * 8000;

/// Decodes one octet of G.711 mu-law.
#[must_use]
pub fn ulaw_decode(octet: u8) -> i16 {
    let octet = !octet;
    let exponent = (octet >> 4) & 0x07;
    let magnitude = ((i16::from(octet & 0x0f) << 3) + 0x84) << exponent;
    let sample = magnitude - 0x84;
    if octet & 0x80 == 0 { sample } else { -sample }
}

/// Encodes one sample as G.711 mu-law.
#[must_use]
pub fn ulaw_encode(sample: i16) -> u8 {
    let sign: u8 = if sample < 0 { 0x80 } else { 0 };
    let magnitude = sample.unsigned_abs().min(32_635) + 0x84;
    // 132..=32767: the highest set bit is 7 to 14.
    let exponent = (15 - magnitude.leading_zeros()).saturating_sub(7);
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    let exponent = u16::try_from(exponent).unwrap_or(7);
    let low = u8::try_from((exponent << 4) | mantissa).unwrap_or(0x7f);
    !(sign | low)
}

/// Reads a WAV of 8 or 16 kHz, 16 bit, one channel; 16 kHz is halved with a short low-pass.
///
/// # Errors
/// [`LmrError::Wav`] for any other format, a broken file or more than two minutes.
pub fn read_wav(octets: &[u8]) -> Result<Vec<i16>, LmrError> {
    let wav = |e: hound::Error| LmrError::Wav(e.to_string());
    let mut reader = hound::WavReader::new(Cursor::new(octets)).map_err(wav)?;
    let spec = reader.spec();
    if spec.channels != 1 || spec.bits_per_sample != 16 {
        return Err(LmrError::Wav(
            "one channel of 16 bit samples expected".to_owned(),
        ));
    }
    let rate = match spec.sample_rate {
        8000 => 1,
        16_000 => 2,
        other => return Err(LmrError::Wav(format!("{other} Hz; 8000 or 16000 expected"))),
    };
    let mut samples = Vec::new();
    for sample in reader.samples::<i16>() {
        if samples.len() >= MAX_SAMPLES * rate {
            return Err(LmrError::Wav("longer than two minutes".to_owned()));
        }
        samples.push(sample.map_err(wav)?);
    }
    Ok(if rate == 2 { halve(&samples) } else { samples })
}

/// Half the sample rate: 15 tap half-band low-pass, every second sample.
fn halve(samples: &[i16]) -> Vec<i16> {
    const HALF: [(usize, f32); 4] = [(1, 0.311), (3, -0.088), (5, 0.038), (7, -0.011)];
    let at = |i: Option<usize>| {
        i.and_then(|i| samples.get(i))
            .map_or(0.0, |sample| f32::from(*sample))
    };
    (0..samples.len())
        .step_by(2)
        .map(|i| {
            let side: f32 = HALF
                .iter()
                .map(|(d, tap)| tap * (at(i.checked_sub(*d)) + at(i.checked_add(*d))))
                .sum();
            clamp(0.5f32.mul_add(at(Some(i)), side))
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the range of i16 before"
)]
fn clamp(sample: f32) -> i16 {
    sample
        .round()
        .clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}

/// Writes a WAV of 8 kHz, 16 bit, one channel.
///
/// # Errors
/// [`LmrError::Wav`] when the file would be too large for its format.
pub fn write_wav(samples: &[i16]) -> Result<Vec<u8>, LmrError> {
    let wav = |e: hound::Error| LmrError::Wav(e.to_string());
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut octets = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut octets, spec).map_err(wav)?;
    for sample in samples {
        writer.write_sample(*sample).map_err(wav)?;
    }
    writer.finalize().map_err(wav)?;
    Ok(octets.into_inner())
}

/// The talk-prohibit tone: 300 ms of 400 Hz.
#[must_use]
pub fn denied_tone() -> Vec<i16> {
    (0..u16::try_from(15 * FRAME).unwrap_or(0))
        .map(|i| {
            let phase = std::f32::consts::TAU * 400.0 * f32::from(i) / 8000.0;
            clamp(8000.0 * phase.sin())
        })
        .collect()
}

/// Whether a frame is louder than `threshold` (root mean square, full scale 32767).
#[must_use]
pub fn is_louder(frame: &[i16], threshold: u16) -> bool {
    let energy: i64 = frame.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    let samples = i64::try_from(frame.len()).unwrap_or(i64::MAX).max(1);
    energy / samples > i64::from(threshold).pow(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_is_that_of_g_711() {
        // Decoded values of the standard's table: the ends, the zeros, a segment edge.
        for (octet, sample) in [
            (0x00, -32_124),
            (0x80, 32_124),
            (0x7f, 0),
            (0xff, 0),
            (0xf0, 120),
            (0x70, -120),
            (0xef, 132),
        ] {
            assert_eq!(ulaw_decode(octet), sample, "{octet:#x}");
        }
        for octet in 0..=255u8 {
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(ulaw_encode(ulaw_decode(octet)), expected, "{octet:#x}");
        }
        assert_eq!(ulaw_encode(i16::MIN), 0x00);
        assert_eq!(ulaw_encode(i16::MAX), 0x80);
    }

    #[test]
    fn wav_round_trip_and_refusals() {
        let tone = denied_tone();
        let wav = write_wav(&tone).unwrap();
        assert_eq!(read_wav(&wav).unwrap(), tone);
        assert!(is_louder(&tone, 1000) && !is_louder(&[0; FRAME], 10));
        assert!(read_wav(b"RIFF").is_err());
        assert!(read_wav(&wav[..wav.len() - 1]).is_err(), "truncated");
        let mut stereo = wav;
        stereo[22] = 2;
        assert!(read_wav(&stereo).is_err());
    }

    #[test]
    fn halving_keeps_speech_and_drops_what_would_alias() {
        let tone = |hz: f32| -> Vec<i16> {
            (0..3200u16)
                .map(|i| {
                    clamp(10_000.0 * (std::f32::consts::TAU * hz * f32::from(i) / 16_000.0).sin())
                })
                .collect()
        };
        assert!(is_louder(&halve(&tone(1000.0)), 6500));
        assert!(!is_louder(&halve(&tone(6500.0)), 700));
    }
}
