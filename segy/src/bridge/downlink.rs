//! Speech of an MC user on its way to the external side.

use std::time::Instant;

use mc_audio::jitter::{JitterBuffer, PlayClock, Pulled, Settings, Stamp, Statistics};

use super::types::Speech;

/// A jitter buffer with its clock.
#[derive(Debug)]
pub(super) struct Downlink {
    buffer: JitterBuffer<Speech>,
    clock: PlayClock,
    /// Counts of the bursts before.
    before: Statistics,
}

impl Downlink {
    pub(super) fn new() -> Self {
        Self {
            buffer: JitterBuffer::new(Settings::amr_wb()),
            clock: PlayClock::default(),
            before: Statistics::default(),
        }
    }

    /// Forgets what waits.
    pub(super) fn clear(&mut self) {
        self.before = self.statistics();
        self.buffer = JitterBuffer::new(Settings::amr_wb());
        self.clock.stop();
    }

    /// The talker has ended: nothing is made up behind his last frame.
    pub(super) const fn end(&mut self) {
        self.buffer.end();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.buffer.len()
    }

    pub(super) fn push(&mut self, stamp: Stamp, speech: Speech, now: Instant) {
        self.clock.start(now);
        self.buffer.push(stamp, [speech.held(now)], now);
    }

    /// When [`Self::pull`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.clock.due()
    }

    /// What is to be played now; `None` while nothing is due.
    pub(super) fn pull(&mut self, now: Instant) -> Option<Pulled<Speech>> {
        let next = self.clock.tick(now, self.buffer.is_empty())?;
        Some(match self.buffer.pull(next) {
            Pulled::Frame(speech) => Pulled::Frame(speech.resumed(now)),
            Pulled::Lost => Pulled::Lost,
            Pulled::Silence => Pulled::Silence,
        })
    }

    /// What became of all frames so far.
    pub(super) fn statistics(&self) -> Statistics {
        let (a, b) = (self.before, self.buffer.statistics());
        Statistics {
            received: a.received + b.received,
            played: a.played + b.played,
            late: a.late + b.late,
            duplicate: a.duplicate + b.duplicate,
            skipped: a.skipped + b.skipped,
            stray: a.stray + b.stray,
            concealed: a.concealed + b.concealed,
        }
    }
}
