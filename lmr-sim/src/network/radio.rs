//! One radio: where it is tuned to, what it shows, what it recorded.

use std::time::Instant;

use serde::Serialize;

use super::{CallEnd, CallPhase, ChannelId, OwnCall};
use crate::config::UnitConfig;
use crate::recorder::Recorder;
use crate::talkgroup::{Channel, ParticipantId, Talkgroup};

/// What a radio shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RadioState {
    /// Affiliated to no talkgroup: off the air.
    Off,
    /// The user has dialled; the far side has not answered.
    Calling,
    /// Somebody calls.
    Ringing,
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

/// A press that was refused, or a channel that was taken away, while it is shown.
#[derive(Debug)]
pub(super) struct Denied {
    pub(super) until: Instant,
    pub(super) why: &'static str,
}

#[derive(Debug)]
pub(super) struct Radio {
    pub(super) id: ParticipantId,
    pub(super) talkgroup: Option<u32>,
    /// Latched by the button, cleared by the operator.
    pub(super) emergency: bool,
    pub(super) denied: Option<Denied>,
    pub(super) recorder: Recorder,
    pub(super) call: Option<OwnCall>,
    pub(super) last_call: Option<CallEnd>,
    /// Calls wait for the user to answer.
    pub(super) manual_answer: bool,
}

impl Radio {
    pub(super) fn new(id: ParticipantId, config: &UnitConfig) -> Self {
        let recorder = Recorder::default();
        Self {
            id,
            talkgroup: config.talkgroup,
            emergency: false,
            denied: None,
            recorder,
            call: None,
            last_call: None,
            manual_answer: config.manual_answer,
        }
    }

    /// What its key and loudspeaker belong to: its call, else its talkgroup; nothing while a call is
    /// set up.
    pub(super) fn channel(&self) -> Option<ChannelId> {
        match &self.call {
            Some(call) => (call.phase == CallPhase::Up).then_some(ChannelId::UnitCall(call.id)),
            None => self.talkgroup.map(ChannelId::Talkgroup),
        }
    }

    /// Whether a call is made or rings.
    pub(super) fn is_setting_up(&self) -> bool {
        self.call
            .as_ref()
            .is_some_and(|call| call.phase != CallPhase::Up)
    }

    pub(super) fn is_denied(&self, now: Instant) -> bool {
        self.denied
            .as_ref()
            .is_some_and(|denied| now < denied.until)
    }

    /// What the radio shows when `group` is its channel.
    pub(super) fn state(&self, group: Option<&Talkgroup>, now: Instant) -> RadioState {
        match self.call.as_ref().map(|call| call.phase) {
            Some(CallPhase::Calling | CallPhase::Alerting) => return RadioState::Calling,
            Some(CallPhase::Ringing) => return RadioState::Ringing,
            Some(CallPhase::Up) | None => {}
        }
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
