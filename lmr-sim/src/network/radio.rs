//! One radio: where it is tuned to, what it shows, what it recorded.

use std::time::Instant;

use serde::Serialize;

use crate::recorder::Recorder;
use crate::talkgroup::{Channel, ParticipantId, Talkgroup};

/// What a radio shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RadioState {
    /// Affiliated to no talkgroup.
    Off,
    /// Nobody talks.
    Idle,
    /// The key is pressed, nothing is decided (an air side with a slow grant).
    Requesting,
    /// This radio talks.
    Talking,
    /// The last press was refused, or the channel was taken away.
    Denied,
    /// The channel is still up after a talk spurt.
    Hang,
    /// Somebody else talks.
    Receiving,
}

#[derive(Debug)]
pub(super) struct Radio {
    pub(super) id: ParticipantId,
    pub(super) talkgroup: Option<u32>,
    /// Latched by the button, cleared by the operator.
    pub(super) emergency: bool,
    pub(super) denied_until: Option<Instant>,
    pub(super) recorder: Recorder,
}

impl Radio {
    pub(super) fn new(id: ParticipantId, talkgroup: Option<u32>) -> Self {
        let recorder = Recorder::default();
        Self {
            id,
            talkgroup,
            emergency: false,
            denied_until: None,
            recorder,
        }
    }

    pub(super) fn is_denied(&self, now: Instant) -> bool {
        self.denied_until.is_some_and(|until| now < until)
    }

    /// What the radio shows when its talkgroup is `group`.
    pub(super) fn state(&self, group: Option<&Talkgroup>, now: Instant) -> RadioState {
        let Some(group) = group else {
            return RadioState::Off;
        };
        if self.is_denied(now) {
            return RadioState::Denied;
        }
        match group.channel() {
            Channel::Granted { talker, .. } if talker.participant == self.id => RadioState::Talking,
            Channel::Granted { .. } => RadioState::Receiving,
            Channel::Hang { .. } => RadioState::Hang,
            Channel::Idle => RadioState::Idle,
        }
    }
}
