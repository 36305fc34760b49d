//! The sentences that the demo's calls carry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mc_audio::wav::{Wav, WavError};

/// Longest sentence.
const LONGEST: Duration = Duration::from_secs(60);

/// Why there is no speech.
#[derive(Debug, thiserror::Error)]
pub enum SpeechError {
    /// A file cannot be read.
    #[error(
        "{path}: {source}; `make demo` generates the sentences, --speech names another directory"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// It is no speech file.
    #[error("{path}: {source}")]
    Wav {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: WavError,
    },
}

/// One sentence, as the file and as samples.
#[derive(Debug, Clone)]
pub struct Sentence {
    /// The file.
    pub wav: Vec<u8>,
    /// 16 kHz.
    pub samples: Vec<i16>,
}

/// Both sentences: what radios say and what MC clients say.
#[derive(Debug, Clone)]
pub struct Speech {
    /// Spoken by radios.
    pub lmr: Sentence,
    /// Spoken by MC clients.
    pub mc: Sentence,
}

impl Speech {
    /// Reads `lmr.wav` and `mc.wav` of a directory.
    ///
    /// # Errors
    /// [`SpeechError`] with the file that is missing or wrong.
    pub fn load(directory: &Path) -> Result<Self, SpeechError> {
        Ok(Self {
            lmr: sentence(&directory.join("lmr.wav"))?,
            mc: sentence(&directory.join("mc.wav"))?,
        })
    }
}

fn sentence(path: &Path) -> Result<Sentence, SpeechError> {
    let wav = std::fs::read(path).map_err(|source| SpeechError::File {
        path: path.to_owned(),
        source,
    })?;
    let sound = Wav::read(&wav, LONGEST).map_err(|source| SpeechError::Wav {
        path: path.to_owned(),
        source,
    })?;
    let samples = sound.into_16k();
    Ok(Sentence { wav, samples })
}
