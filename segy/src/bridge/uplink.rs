//! Speech of an external user on its way to the MC group.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mc_audio::FRAME;

use super::types::Speech;

/// Kept until the floor is granted, then sent in real time.
#[derive(Debug)]
pub(super) struct Uplink {
    queue: VecDeque<Speech>,
    room: usize,
    /// When the next frame may go out; none while none may.
    next: Option<Instant>,
}

impl Uplink {
    /// Keeps at most `longest` of speech.
    pub(super) fn new(longest: Duration) -> Self {
        let frames = longest.as_millis() / FRAME.as_millis();
        Self {
            queue: VecDeque::new(),
            room: usize::try_from(frames).unwrap_or(usize::MAX).max(1),
            next: None,
        }
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
        self.next = None;
    }

    /// Takes in a frame; false when the oldest had to go for it.
    pub(super) fn push(&mut self, speech: Speech, now: Instant) -> bool {
        self.queue.push_back(speech.held(now));
        let fits = self.queue.len() <= self.room;
        if !fits {
            self.queue.pop_front();
        }
        fits
    }

    /// The floor is ours.
    pub(super) const fn start(&mut self, now: Instant) {
        self.next = Some(now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// When the last frame sent has been heard: the floor is not given back before.
    pub(super) fn end(&self) -> Option<Instant> {
        self.next.filter(|_| self.queue.is_empty())
    }

    /// When there is something to send.
    pub(super) fn due(&self) -> Option<Instant> {
        self.next.filter(|_| !self.queue.is_empty())
    }

    /// A frame whose time has come.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Speech> {
        let next = self.next.filter(|next| *next <= now)?;
        let speech = self.queue.pop_front()?;
        // Twenty milliseconds after the last one; after a pause, the pace begins anew.
        let late = now.saturating_duration_since(next);
        let from = if late < FRAME { next } else { now };
        self.next = Some(from + FRAME);
        Some(speech.resumed(now))
    }
}
