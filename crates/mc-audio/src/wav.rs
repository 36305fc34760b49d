//! WAV files of 8 or 16 kHz, 16 bit, one channel.

use std::io::Cursor;
use std::time::Duration;

use crate::resample::{to_8k, to_16k};

/// Why a WAV cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// The octets are no WAV, or one that ends early; the text is the reader's.
    #[error("{0}")]
    Broken(String),
    /// More channels than one, or other samples than 16 bit.
    #[error("one channel of 16 bit samples expected")]
    Format,
    /// Another rate.
    #[error("{0} Hz; 8000 or 16000 expected")]
    Rate(u32),
    /// More sound than the caller takes.
    #[error("longer than {} s", .0.as_secs())]
    TooLong(Duration),
}

impl From<hound::Error> for WavError {
    fn from(error: hound::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

/// Samples a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Rate {
    /// The radio side.
    Hz8000 = 8000,
    /// The MC side.
    Hz16000 = 16_000,
}

impl TryFrom<u32> for Rate {
    type Error = WavError;

    fn try_from(hz: u32) -> Result<Self, WavError> {
        match hz {
            8000 => Ok(Self::Hz8000),
            16_000 => Ok(Self::Hz16000),
            other => Err(WavError::Rate(other)),
        }
    }
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wav {
    /// Samples a second.
    pub rate: Rate,
    /// The sound.
    pub samples: Vec<i16>,
}

impl Wav {
    /// Reads a file of at most `longest`.
    ///
    /// # Errors
    /// [`WavError`] for any other format, a broken file or a longer one.
    pub fn read(octets: &[u8], longest: Duration) -> Result<Self, WavError> {
        let mut reader = hound::WavReader::new(Cursor::new(octets))?;
        let spec = reader.spec();
        if spec.channels != 1
            || spec.bits_per_sample != 16
            || spec.sample_format != hound::SampleFormat::Int
        {
            return Err(WavError::Format);
        }
        let rate = Rate::try_from(spec.sample_rate)?;
        let most = longest.as_millis() * u128::from(spec.sample_rate) / 1000;
        if u128::from(reader.duration()) > most {
            return Err(WavError::TooLong(longest));
        }
        let samples = reader.samples().collect::<Result<_, _>>()?;
        Ok(Self { rate, samples })
    }

    /// The file.
    ///
    /// # Errors
    /// [`WavError::Broken`] when it would be too large for its format.
    pub fn write(&self) -> Result<Vec<u8>, WavError> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: self.rate as u32,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut octets = Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut octets, spec)?;
        for sample in &self.samples {
            writer.write_sample(*sample)?;
        }
        writer.finalize()?;
        Ok(octets.into_inner())
    }

    /// The sound at 8 kHz.
    #[must_use]
    pub fn into_8k(self) -> Vec<i16> {
        match self.rate {
            Rate::Hz8000 => self.samples,
            Rate::Hz16000 => to_8k(&self.samples),
        }
    }

    /// The sound at 16 kHz.
    #[must_use]
    pub fn into_16k(self) -> Vec<i16> {
        match self.rate {
            Rate::Hz8000 => to_16k(&self.samples),
            Rate::Hz16000 => self.samples,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::is_louder;
    use crate::tone;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_written_is_read() {
        for rate in [Rate::Hz8000, Rate::Hz16000] {
            let samples = tone::denied();
            let wav = Wav { rate, samples };
            let octets = wav.write().unwrap();
            assert_eq!(octets[..4], *b"RIFF");
            assert_eq!(octets[24..28], (rate as u32).to_le_bytes());
            assert_eq!(Wav::read(&octets, MINUTE).unwrap(), wav);
            let exact = Duration::from_millis(2_400_000 / u64::from(rate as u32));
            assert!(Wav::read(&octets, exact).is_ok());
            let shorter = exact - Duration::from_millis(1);
            assert_eq!(Wav::read(&octets, shorter), Err(WavError::TooLong(shorter)));
            let other = wav.clone();
            assert_eq!(wav.into_8k().len() * 2, other.into_16k().len());
        }
        assert!(is_louder(&tone::denied(), 5000));
    }

    #[test]
    fn other_files_are_refused() {
        let wav = Wav {
            rate: Rate::Hz8000,
            samples: vec![1; 100],
        };
        let good = wav.write().unwrap();
        assert!(matches!(
            Wav::read(&good[1..], MINUTE),
            Err(WavError::Broken(_))
        ));
        // The number of channels, with the fields that must agree with it, and the rate.
        let mut stereo = good.clone();
        (stereo[22], stereo[32]) = (2, 4);
        stereo[28..32].copy_from_slice(&32_000_u32.to_le_bytes());
        assert_eq!(Wav::read(&stereo, MINUTE), Err(WavError::Format));
        let mut fast = good.clone();
        fast[24..28].copy_from_slice(&44_100_u32.to_le_bytes());
        fast[28..32].copy_from_slice(&88_200_u32.to_le_bytes());
        assert_eq!(Wav::read(&fast, MINUTE), Err(WavError::Rate(44_100)));
        assert!(matches!(
            Wav::read(&good[..good.len() - 1], MINUTE),
            Err(WavError::Broken(_))
        ));
        assert!(Wav::read(b"", MINUTE).is_err());
        // A header that promises four gigabytes brings none.
        let mut long = good;
        long[40..44].fill(0xff);
        assert!(Wav::read(&long, MINUTE).is_err());
    }
}
