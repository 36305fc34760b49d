//! When the frames of a jitter buffer are due.

use std::time::{Duration, Instant};

use crate::FRAME;

/// Lateness of our own clock at which frames that seem missing may still wait in our sockets.
const HELD_UP: Duration = Duration::from_millis(40);

/// The clock of one who plays: a frame every 20 ms from the first one on, and all that are due at once
/// when this process was held up.
///
/// A process that was held up serves its timers before it has read its sockets. So when nothing is
/// buffered and the clock is late, it waits for one frame's time more before frames are taken as
/// missing.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlayClock {
    next: Option<Instant>,
    held_up: Option<Instant>,
}

impl PlayClock {
    /// Starts, unless it runs.
    pub fn start(&mut self, now: Instant) {
        self.next.get_or_insert(now);
    }

    /// Starts anew.
    pub const fn restart(&mut self, now: Instant) {
        *self = Self {
            next: Some(now),
            held_up: None,
        };
    }

    /// Stops.
    pub const fn stop(&mut self) {
        *self = Self {
            next: None,
            held_up: None,
        };
    }

    /// When [`Self::tick`] is due.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.held_up.or(self.next)
    }

    /// The time of the next frame that is due, `None` while none is; `dry` says that nothing is
    /// buffered.
    pub fn tick(&mut self, now: Instant, dry: bool) -> Option<Instant> {
        let next = self.next.filter(|next| *next <= now)?;
        if dry && next + HELD_UP <= now && now < *self.held_up.get_or_insert(now + FRAME) {
            return None;
        }
        self.held_up = None;
        self.next = Some(next + FRAME);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_due_one_by_one_and_all_at_once_after_a_hold_up() {
        let (mut clock, start) = (PlayClock::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(clock.due(), None);
        assert_eq!(clock.tick(at(0), false), None);
        clock.start(at(0));
        clock.start(at(7));
        assert_eq!(clock.tick(at(1), true), Some(at(0)));
        assert_eq!(clock.tick(at(1), true), None);
        assert_eq!(clock.due(), Some(at(20)));
        assert_eq!(clock.tick(at(125), true), None, "what came is not read");
        assert_eq!(clock.due(), Some(at(145)));
        let due: Vec<_> = std::iter::from_fn(|| clock.tick(at(126), false)).collect();
        assert_eq!(due, [20, 40, 60, 80, 100, 120].map(at));
        assert_eq!(clock.tick(at(225), true), None);
        assert_eq!(clock.tick(at(245), true), Some(at(140)), "nothing came");
        clock.stop();
        assert_eq!((clock.due(), clock.tick(at(300), false)), (None, None));
    }
}
