//! What a radio's loudspeaker played, on a time line.

/// Samples a second on the radio side.
pub const SAMPLE_RATE: u32 = 8000;
/// Lateness up to which a frame is taken as following the one before, in microseconds.
const SLACK_US: u64 = 60_000;
/// Longest recording, in samples: ten minutes.
const LIMIT: usize = 600 * 8000;

/// A recording: silence where nothing was heard, so that positions are times.
#[derive(Debug, Clone, Default)]
pub struct Recorder {
    running: bool,
    first_sample_us: Option<u64>,
    samples: Vec<i16>,
}

impl Recorder {
    /// Forgets what was recorded and records from now on.
    pub fn start(&mut self) {
        *self = Self {
            running: true,
            ..Self::default()
        };
    }

    /// Ends recording and keeps what was recorded.
    pub const fn stop(&mut self) {
        self.running = false;
    }

    /// Whether it records.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running
    }

    /// Adds sound that starts at `now_us` (Unix microseconds).
    pub fn hear(&mut self, samples: &[i16], now_us: u64) {
        if !self.running || self.samples.len() + samples.len() > LIMIT {
            return;
        }
        let first = *self.first_sample_us.get_or_insert(now_us);
        let played_us = micros(self.samples.len());
        let late_us = now_us.saturating_sub(first + played_us);
        if late_us > SLACK_US {
            let gap = usize::try_from(late_us * 8 / 1000).unwrap_or(LIMIT);
            let silent = self.samples.len().saturating_add(gap).min(LIMIT);
            self.samples.resize(silent, 0);
        }
        self.samples.extend_from_slice(samples);
    }

    /// Unix time of the first sample in microseconds.
    #[must_use]
    pub const fn first_sample_us(&self) -> Option<u64> {
        self.first_sample_us
    }

    /// The samples, 8 kHz.
    #[must_use]
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }
}

/// Duration of samples in microseconds.
fn micros(samples: usize) -> u64 {
    samples as u64 * 125
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_audio::FRAME_8K as FRAME;

    #[test]
    fn positions_are_times() {
        let mut recorder = Recorder::default();
        recorder.hear(&[1; FRAME], 0);
        assert!(recorder.samples().is_empty(), "not started");
        recorder.start();
        recorder.hear(&[1; FRAME], 1_000_000);
        recorder.hear(&[2; FRAME], 1_035_000);
        assert_eq!(recorder.samples().len(), 2 * FRAME, "jitter does not tear");
        recorder.hear(&[3; FRAME], 2_000_000);
        assert_eq!(recorder.first_sample_us(), Some(1_000_000));
        assert_eq!(recorder.samples().len(), 8000 + FRAME);
        assert_eq!(recorder.samples()[8000], 3);
        assert_eq!(recorder.samples()[7999], 0);
        recorder.stop();
        recorder.hear(&[4; FRAME], 3_000_000);
        assert_eq!(recorder.samples().len(), 8000 + FRAME);
    }

    #[test]
    fn a_recording_is_bounded() {
        let mut recorder = Recorder::default();
        recorder.start();
        recorder.hear(&[1; FRAME], 0);
        recorder.hear(&[1; FRAME], u64::MAX / 16);
        assert!(recorder.samples().len() <= LIMIT + FRAME);
        recorder.hear(&vec![1; LIMIT], u64::MAX / 16);
        assert!(recorder.samples().len() <= LIMIT + FRAME);
    }
}
