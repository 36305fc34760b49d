//! How much of what was said is heard: intelligibility, delay, and whether the ends are there.

mod align;
mod ends;
mod follow;
mod fourier;
mod stoi;

use std::time::Duration;

pub use align::offset;
pub use ends::{Ends, first_and_last_heard};
pub use stoi::stoi;

/// Longest recording that is judged, sent or received.
pub const LONGEST: Duration = Duration::from_secs(120);

/// Samples a second of everything judged.
const RATE: usize = 16_000;

/// Samples before and behind the speech in which its ends are looked for: 200 ms.
const MARGIN: usize = RATE / 5;

/// Why there is no judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The sent sound is silence, or less speech than a judgement needs (about 0.4 s).
    #[error("too little speech was sent to judge it")]
    TooLittleSpeech,
    /// More than [`LONGEST`].
    #[error("recording longer than {} s", LONGEST.as_secs())]
    TooLong,
}

/// What arrived of speech.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    /// Intelligibility (STOI), 0 to 1; above 0.75 nearly every word is understood. Frames that a
    /// jitter buffer made up or skipped cost what they hide, not the place of what follows.
    pub score: f64,
    /// From a sound's place in the sent recording to its place in the received one, in
    /// microseconds; negative when the received recording begins later in the speech. None when
    /// nothing like the sent speech was found.
    ///
    /// Mouth to ear is the time of the first received sample, plus this, minus the time of the first
    /// sent sample.
    pub delay_us: Option<i64>,
    /// The first syllable is there from its onset on.
    pub first_heard: bool,
    /// The last syllable is there to its end.
    pub last_heard: bool,
}

/// Judges received speech against what was sent, both at 16 kHz.
///
/// # Errors
/// [`MeasureError`] when there is too little or too much to judge.
pub fn judge(sent: &[i16], received: &[i16]) -> Result<Report, MeasureError> {
    let most = usize::try_from(LONGEST.as_secs()).unwrap_or(0) * RATE;
    if sent.len().max(received.len()) > most {
        return Err(MeasureError::TooLong);
    }
    let Some(offset) = offset(sent, received) else {
        // Intelligibility of silence; fails when even the sent sound cannot be judged.
        stoi(sent, &vec![0; sent.len()])?;
        return Ok(Report {
            score: 0.0,
            delay_us: None,
            first_heard: false,
            last_heard: false,
        });
    };
    let aligned = follow::followed(sent, received, offset);
    let ends = ends_at(sent, received, offset)?;
    Ok(Report {
        score: stoi(sent, &aligned)?,
        delay_us: Some(offset * 125 / 2),
        first_heard: ends.first,
        last_heard: ends.last,
    })
}

/// Both ends with what surrounds them: what a jitter buffer stretched in the middle of the speech
/// puts an end before or behind its place, and speech may begin with the first sample.
fn ends_at(sent: &[i16], received: &[i16], offset: i64) -> Result<Ends, MeasureError> {
    let mut wide = vec![0; MARGIN];
    wide.extend_from_slice(sent);
    wide.resize(sent.len() + 2 * MARGIN, 0);
    let margin = i64::try_from(MARGIN).unwrap_or(0);
    let aligned = align::shifted(received, offset - margin, wide.len());
    first_and_last_heard(&wide, &aligned)
}

#[cfg(test)]
mod tests;
