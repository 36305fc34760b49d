//! The messages general floor control has told to participants, with their fields.

use std::time::{Duration, Instant};

use super::{GeneralFloorControl, State, Timer};
use crate::message::{
    DenyCause, FloorDeny, FloorGranted, FloorIdle, FloorIndicator, FloorTaken, QueueInfo,
    QueuePosition, QueuePositionInfo,
};
use crate::server::config::{CallType, ParticipantId};

impl GeneralFloorControl {
    pub(super) fn tell_idle_to_all(&mut self) {
        let idle = self.idle_message();
        for index in 0..self.members.len() {
            if let Some(to) = self.members.get(index).map(|member| member.id) {
                self.tell(to, idle.clone());
            }
        }
    }

    pub(super) fn idle_message(&self) -> FloorIdle {
        FloorIdle {
            sequence_number: self.sequence_number,
            track_info: None,
            indicator: Some(self.indicator()),
        }
    }

    pub(super) fn tell_granted(&mut self, to: ParticipantId, now: Instant) {
        let expires = self.timers.expires(Timer::T2StopTalking);
        // A client stops by itself after this, so the rest of a second counts as a whole one.
        let rest = expires.map_or(self.config.t2, |at| at.saturating_duration_since(now));
        let seconds = rest.as_secs() + u64::from(rest.subsec_nanos() > 0);
        let granted = FloorGranted {
            duration: Duration::from_secs(seconds),
            ssrc: self.profile(to).and_then(|profile| profile.audio_ssrc),
            priority: self
                .current
                .as_ref()
                .map(|request| request.effective.priority),
            track_info: None,
            indicator: Some(self.indicator_for(to)),
        };
        self.tell(to, granted);
    }

    pub(super) fn tell_taken(&mut self, to: ParticipantId) {
        let Some(request) = &self.current else { return };
        let Some(talker) = self.profile(request.from) else {
            return;
        };
        let hidden = talker.hide_identity;
        let taken = FloorTaken {
            granted_party: (!hidden).then(|| talker.mcptt_id.clone()),
            may_request: self.may_request(to),
            sequence_number: self.sequence_number,
            indicator: Some(self.indicator()),
            ssrc: talker.audio_ssrc,
            functional_alias: request
                .functional_alias
                .clone()
                .filter(|alias| !hidden && talker.functional_aliases.permit(alias)),
            location: request.location.clone().filter(|_| !hidden),
            ..FloorTaken::default()
        };
        self.tell(to, taken);
    }

    pub(super) fn tell_state(&mut self, to: ParticipantId) {
        match self.state {
            State::FloorTaken { .. } | State::PendingFloorRevoke { .. } => self.tell_taken(to),
            State::FloorIdle => {
                let idle = self.idle_message();
                self.tell(to, idle);
            }
            State::StartStop | State::Releasing => {}
        }
    }

    pub(super) fn deny(&mut self, to: ParticipantId, cause: DenyCause) {
        let indicator = Some(self.indicator());
        let phrase = cause.to_string();
        self.tell(
            to,
            FloorDeny {
                cause,
                phrase,
                track_info: None,
                indicator,
            },
        );
    }

    pub(super) fn tell_queue_position(&mut self, to: ParticipantId) {
        let (position, priority) = match self.queue.place(to) {
            None => (QueuePosition::NotQueued, 0),
            Some((_, priority)) if !self.config.disclose_queue_position => {
                (QueuePosition::Undisclosed, priority)
            }
            Some((place, priority)) => (
                QueuePosition::Place(u8::try_from(place).unwrap_or(253).min(253)),
                priority,
            ),
        };
        let info = QueuePositionInfo {
            queue_info: QueueInfo { position, priority },
            track_info: None,
            indicator: Some(self.indicator_for(to)),
        };
        self.tell(to, info);
    }

    pub(super) fn indicator(&self) -> FloorIndicator {
        let mut bits = match self.call_type {
            CallType::Normal => FloorIndicator::NORMAL,
            CallType::Broadcast { .. } => FloorIndicator::BROADCAST_GROUP,
            CallType::System => FloorIndicator::SYSTEM,
            CallType::ImminentPeril => FloorIndicator::IMMINENT_PERIL,
            CallType::Emergency => FloorIndicator::EMERGENCY,
        };
        if self.config.temporary_group {
            bits |= FloorIndicator::TEMPORARY_GROUP;
        }
        bits
    }

    pub(super) fn indicator_for(&self, to: ParticipantId) -> FloorIndicator {
        if self.queueing(to) {
            self.indicator() | FloorIndicator::QUEUEING_SUPPORTED
        } else {
            self.indicator()
        }
    }
}
