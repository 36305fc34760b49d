//! What a party hears, on a time line.

use mc_client::SpeechFrame;

/// Longest that is kept: two minutes at 16 kHz.
const LIMIT: usize = 120 * 16_000;

/// Speech heard by an MC client: silence where nothing came, so that positions are times.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ear {
    /// Unix time of the first sample in microseconds.
    pub(crate) first_us: u64,
    first_timestamp: u32,
    /// 16 kHz.
    pub(crate) samples: Vec<i16>,
}

impl Ear {
    /// Takes a frame in that came at `at_us` (Unix microseconds). The RTP timestamp, which counts
    /// samples, gives its place; only the first frame's arrival counts.
    pub(crate) fn hear(&mut self, frame: &SpeechFrame, at_us: u64) {
        if self.samples.is_empty() {
            self.first_us = at_us;
            self.first_timestamp = frame.timestamp;
        }
        let place = frame.timestamp.wrapping_sub(self.first_timestamp);
        let place = usize::try_from(place).unwrap_or(LIMIT);
        let end = place.saturating_add(frame.samples.len());
        if end > LIMIT {
            return;
        }
        if self.samples.len() < end {
            self.samples.resize(end, 0);
        }
        if let Some(room) = self.samples.get_mut(place..end) {
            room.copy_from_slice(&frame.samples);
        }
    }
}
