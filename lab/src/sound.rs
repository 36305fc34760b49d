//! WAV files that a person names on the command line: read and checked before anything is pressed.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use mc_audio::wav::{Rate, Wav};

/// Longest file that is said.
const LONGEST: Duration = Duration::from_secs(120);

/// Reads a file that is to be said.
///
/// # Errors
/// The file, what is wrong with it, and how to make one that is right.
pub(crate) fn read(file: &Path) -> anyhow::Result<Wav> {
    let octets = std::fs::read(file).with_context(|| file.display().to_string())?;
    let wav = Wav::read(&octets, LONGEST).with_context(|| {
        format!(
            "{0}: a WAV of 8000 or 16000 Hz, 16 bit, one channel, at most {1} s is needed; \
             `sox {0} -r 16000 -b 16 -c 1 out.wav` makes one",
            file.display(),
            LONGEST.as_secs()
        )
    })?;
    anyhow::ensure!(
        !wav.samples.is_empty(),
        "{}: no sound in it",
        file.display()
    );
    Ok(wav)
}

/// Writes what was heard; returns its length.
///
/// # Errors
/// The file that cannot be written.
pub(crate) fn write(file: &Path, rate: Rate, samples: Vec<i16>) -> anyhow::Result<Duration> {
    let length = duration(rate, samples.len());
    let octets = Wav { rate, samples }.write()?;
    std::fs::write(file, octets).with_context(|| file.display().to_string())?;
    Ok(length)
}

/// Refuses a file that could not be written at the end, before anything is said.
///
/// # Errors
/// The directory that does not exist.
pub(crate) fn writable(file: &Path) -> anyhow::Result<()> {
    let parent = file
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let exists = parent.is_none_or(Path::is_dir) && !file.is_dir();
    anyhow::ensure!(exists, "{}: cannot be written there", file.display());
    Ok(())
}

/// How long so many samples last.
pub(crate) fn duration(rate: Rate, samples: usize) -> Duration {
    Duration::from_micros(samples as u64 * 1_000_000 / u64::from(rate as u32))
}
