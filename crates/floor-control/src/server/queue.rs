//! The queue of floor requests (TS 24.380 4.1.1.5): by condition, then priority, then age.

use super::config::{Condition, ParticipantId};
use crate::message::{FloorRequest, Location};

/// What decides between two requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EffectivePriority {
    pub(crate) condition: Condition,
    pub(crate) priority: u8,
}

/// A request as it will be granted.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) from: ParticipantId,
    pub(crate) effective: EffectivePriority,
    pub(crate) functional_alias: Option<String>,
    pub(crate) location: Option<Location>,
}

impl Request {
    pub(crate) fn new(
        from: ParticipantId,
        effective: EffectivePriority,
        request: FloorRequest,
    ) -> Self {
        let FloorRequest {
            functional_alias,
            location,
            ..
        } = request;
        Self {
            from,
            effective,
            functional_alias,
            location,
        }
    }
}

/// Requests waiting for the floor, next first, one per participant.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    requests: Vec<Request>,
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.requests.len()
    }

    /// Place of a participant's request, 1 for the next.
    pub(crate) fn place(&self, of: ParticipantId) -> Option<(usize, u8)> {
        let index = self
            .requests
            .iter()
            .position(|request| request.from == of)?;
        Some((index + 1, self.requests.get(index)?.effective.priority))
    }

    /// Inserts behind all of the same or a higher priority.
    pub(crate) fn insert(&mut self, request: Request) {
        let index = self
            .requests
            .partition_point(|one| one.effective >= request.effective);
        self.requests.insert(index, request);
    }

    /// Puts a pre-emptive request in front, wherever it was before.
    pub(crate) fn insert_front(&mut self, request: Request) {
        self.remove(request.from);
        self.requests.insert(0, request);
    }

    pub(crate) fn remove(&mut self, of: ParticipantId) -> bool {
        let before = self.requests.len();
        self.requests.retain(|request| request.from != of);
        self.requests.len() != before
    }

    pub(crate) fn pop(&mut self) -> Option<Request> {
        if self.requests.is_empty() {
            None
        } else {
            Some(self.requests.remove(0))
        }
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}
