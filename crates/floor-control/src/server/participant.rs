//! Basic floor control operation towards the floor participant (TS 24.380 6.3.5).
//!
//! ```text
//!  Start-stop ──join──▶ U: not permitted and initiating ──first message──▶ one of the three below
//!  U: not permitted and Floor Idle ◀──Idle / Taken──▶ U: not permitted and Floor Taken
//!        │ ▲                 Granted ▼   ▲ Idle, Taken              │ ▲
//!        │ │                     U: permitted ──Revoke──▶ U: pending Floor Revoke
//!        └─┴──media───▶ U: not permitted but sends media ◀──media───┴─┘
//!  any ──call release──▶ Releasing ──released──▶ Start-stop
//! ```
//!
//! One machine per participant. It carries the decisions of [`super::general`] to the participant
//! and the participant's messages to it, answers acknowledgement requests, repeats Floor Revoke,
//! and says of every media packet whether it may pass.

use std::collections::VecDeque;
use std::time::Instant;

use super::config::Config;
use crate::message::{
    DenyCause, FloorAck, FloorDeny, FloorMessage, FloorPacket, FloorRequest, FloorRevoke,
    RevokeCause, Source,
};
use crate::timer::Timers;

/// What the others do while this participant may not talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Floor {
    /// Nobody talks.
    Idle,
    /// Somebody talks.
    Taken,
}

/// The states of 6.3.5.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not in the call.
    #[doc(alias = "Start-stop")]
    StartStop,
    /// Joined, nothing told yet.
    #[doc(alias = "U: not permitted and initiating")]
    NotPermittedInitiating,
    /// Listening, nobody talks.
    #[doc(alias = "U: not permitted and Floor Idle")]
    NotPermittedFloorIdle,
    /// Listening, somebody talks.
    #[doc(alias = "U: not permitted and Floor Taken")]
    NotPermittedFloorTaken,
    /// May talk.
    #[doc(alias = "U: permitted")]
    Permitted,
    /// May finish the sentence.
    #[doc(alias = "U: pending Floor Revoke")]
    PendingFloorRevoke {
        /// The cause told.
        cause: RevokeCause,
    },
    /// Sends media without permission.
    #[doc(alias = "U: not permitted but sends media")]
    NotPermittedSendsMedia {
        /// The state of the floor.
        floor: Floor,
    },
    /// The leg is being released.
    Releasing,
}

impl State {
    /// The state's name in the standard.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartStop => "Start-stop",
            Self::NotPermittedInitiating => "U: not permitted and initiating",
            Self::NotPermittedFloorIdle => "U: not permitted and Floor Idle",
            Self::NotPermittedFloorTaken => "U: not permitted and Floor Taken",
            Self::Permitted => "U: permitted",
            Self::PendingFloorRevoke { .. } => "U: pending Floor Revoke",
            Self::NotPermittedSendsMedia { .. } => "U: not permitted but sends media",
            Self::Releasing => "Releasing",
        }
    }
}

/// What happens on one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The leg is established.
    Join,
    /// General floor control wants this told.
    Tell(FloorMessage),
    /// A message came from the participant.
    Received(FloorPacket),
    /// A media packet came from the participant.
    Rtp,
    /// `poll_timeout` has passed.
    Timeout,
    /// The leg is being released.
    Release,
    /// The leg is gone.
    Released,
}

impl Input {
    const fn name(&self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Tell(message) => message.name(),
            Self::Received(packet) => packet.message.name(),
            Self::Rtp => "RTP media",
            Self::Timeout => "timeout",
            Self::Release => "call release",
            Self::Released => "call released",
        }
    }
}

/// What the machine does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message to the participant.
    Send(FloorPacket),
    /// The participant asks for the floor.
    Request(Box<FloorRequest>),
    /// The participant gives the floor or its queued request back.
    Release,
    /// The participant asks for its place in the queue.
    QueuePositionRequest,
    /// The media packet may pass; general floor control is to know.
    ForwardMedia,
    /// The media packet must not pass.
    DropMedia,
    /// The input means nothing in this state.
    Discarded {
        /// Name of the state.
        state: &'static str,
        /// Name of the input.
        input: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    T8FloorRevoke,
    T9RetryAfter,
}

/// Floor control towards one participant.
#[derive(Debug)]
pub struct TowardsParticipant {
    ssrc: u32,
    t8: core::time::Duration,
    t9: core::time::Duration,
    late_media: core::time::Duration,
    state: State,
    /// Until when media may still be under way from the time of the last permission.
    late_until: Option<Instant>,
    /// Whether media came since T8 was started.
    media_since_revoke: bool,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
}

impl TowardsParticipant {
    /// A participant that has not joined.
    #[must_use]
    pub const fn new(config: &Config) -> Self {
        Self {
            ssrc: config.ssrc,
            t8: config.t8,
            t9: config.t9,
            late_media: config.late_media,
            state: State::StartStop,
            late_until: None,
            media_since_revoke: false,
            timers: Timers::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The current state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Takes one input at the time `now`.
    pub fn handle(&mut self, input: Input, now: Instant) {
        let name = input.name();
        match input {
            Input::Join => match self.state {
                //= TS 24.380 6.3.5.2.2
                State::StartStop => self.state = State::NotPermittedInitiating,
                State::NotPermittedInitiating
                | State::NotPermittedFloorIdle
                | State::NotPermittedFloorTaken
                | State::Permitted
                | State::PendingFloorRevoke { .. }
                | State::NotPermittedSendsMedia { .. }
                | State::Releasing => self.discard(name),
            },
            Input::Tell(message) => self.on_tell(message, name, now),
            Input::Received(packet) => self.on_received(packet, name, now),
            Input::Rtp => self.on_rtp(now),
            Input::Timeout => {
                while let Some(timer) = self.timers.pop_expired(now) {
                    self.on_expiry(timer, now);
                }
            }
            Input::Release => match self.state {
                State::StartStop | State::Releasing => self.discard(name),
                State::NotPermittedInitiating
                | State::NotPermittedFloorIdle
                | State::NotPermittedFloorTaken
                | State::Permitted
                | State::PendingFloorRevoke { .. }
                | State::NotPermittedSendsMedia { .. } => {
                    //= TS 24.380 6.3.5.8.2
                    self.timers.stop_all();
                    self.state = State::Releasing;
                }
            },
            Input::Released => match self.state {
                State::Releasing => self.state = State::StartStop,
                State::StartStop
                | State::NotPermittedInitiating
                | State::NotPermittedFloorIdle
                | State::NotPermittedFloorTaken
                | State::Permitted
                | State::PendingFloorRevoke { .. }
                | State::NotPermittedSendsMedia { .. } => self.discard(name),
            },
        }
    }

    fn discard(&mut self, input: &'static str) {
        let state = self.state.name();
        self.outputs.push_back(Output::Discarded { state, input });
    }

    fn send(&mut self, message: impl Into<FloorMessage>) {
        let packet = FloorPacket {
            ssrc: self.ssrc,
            ack_required: false,
            message: message.into(),
        };
        self.outputs.push_back(Output::Send(packet));
    }

    fn on_tell(&mut self, message: FloorMessage, name: &'static str, now: Instant) {
        if matches!(self.state, State::StartStop | State::Releasing) {
            return self.discard(name);
        }
        match &message {
            //= TS 24.380 6.3.5.3.3
            FloorMessage::FloorIdle(_) => self.lose_permission(Floor::Idle, now),
            //= TS 24.380 6.3.5.3.2
            FloorMessage::FloorTaken(_) => self.lose_permission(Floor::Taken, now),
            //= TS 24.380 6.3.5.3.5
            FloorMessage::FloorGranted(_) => {
                self.timers.stop(Timer::T8FloorRevoke);
                self.late_until = None;
                self.state = State::Permitted;
            }
            FloorMessage::FloorRevoke(revoke) => {
                let cause = revoke.cause;
                if self.state != State::Permitted {
                    return self.discard(name);
                }
                //= TS 24.380 6.3.5.5.4
                self.state = State::PendingFloorRevoke { cause };
                self.timers.start(Timer::T8FloorRevoke, now + self.t8);
                if cause == RevokeCause::MediaBurstTooLong && !self.t9.is_zero() {
                    self.timers.start(Timer::T9RetryAfter, now + self.t9);
                }
            }
            FloorMessage::FloorDeny(_) | FloorMessage::QueuePositionInfo(_) => {}
            FloorMessage::FloorRequest(_)
            | FloorMessage::FloorRelease(_)
            | FloorMessage::FloorRevokeRequest(_)
            | FloorMessage::QueuePositionRequest(_)
            | FloorMessage::FloorAck(_)
            | FloorMessage::UnicastMediaFlowControl(_)
            | FloorMessage::QueuedFloorRequests(_)
            | FloorMessage::FloorReleaseMultiTalker(_) => return self.discard(name),
        }
        self.send(message);
    }

    fn lose_permission(&mut self, floor: Floor, now: Instant) {
        match self.state {
            // T8 goes on until the participant is silent.
            State::NotPermittedSendsMedia { .. } => {
                self.state = State::NotPermittedSendsMedia { floor };
                return;
            }
            State::Permitted | State::PendingFloorRevoke { .. } => {
                self.late_until = Some(now + self.late_media);
            }
            State::StartStop
            | State::NotPermittedInitiating
            | State::NotPermittedFloorIdle
            | State::NotPermittedFloorTaken
            | State::Releasing => {}
        }
        self.timers.stop(Timer::T8FloorRevoke);
        self.state = not_permitted(floor);
    }

    fn on_received(&mut self, packet: FloorPacket, name: &'static str, now: Instant) {
        if matches!(self.state, State::StartStop | State::Releasing) {
            return self.discard(name);
        }
        if packet.ack_required {
            //= TS 24.380 6.3.5.3.7
            self.send(FloorAck {
                source: Source::ControllingFunction,
                message_type: packet.message.subtype(),
                track_info: None,
            });
        }
        match packet.message {
            FloorMessage::FloorRequest(request) => self.on_request(request),
            FloorMessage::FloorRelease(_) => self.on_release(now),
            FloorMessage::QueuePositionRequest(_) => {
                self.outputs.push_back(Output::QueuePositionRequest);
            }
            FloorMessage::FloorAck(_) => {}
            FloorMessage::FloorGranted(_)
            | FloorMessage::FloorTaken(_)
            | FloorMessage::FloorDeny(_)
            | FloorMessage::FloorIdle(_)
            | FloorMessage::FloorRevoke(_)
            | FloorMessage::FloorRevokeRequest(_)
            | FloorMessage::QueuePositionInfo(_)
            | FloorMessage::UnicastMediaFlowControl(_)
            | FloorMessage::QueuedFloorRequests(_)
            | FloorMessage::FloorReleaseMultiTalker(_) => self.discard(name),
        }
    }

    fn on_request(&mut self, request: FloorRequest) {
        if self.timers.expires(Timer::T9RetryAfter).is_some() {
            //= TS 24.380 6.3.5.4.4
            let cause = DenyCause::RetryAfterNotExpired;
            let indicator = request.indicator;
            self.send(FloorDeny {
                cause,
                phrase: cause.to_string(),
                track_info: None,
                indicator,
            });
        } else {
            self.outputs.push_back(Output::Request(Box::new(request)));
        }
    }

    fn on_release(&mut self, now: Instant) {
        if let State::NotPermittedSendsMedia { floor } = self.state {
            //= TS 24.380 6.3.5.7.3
            self.timers.stop(Timer::T8FloorRevoke);
            self.late_until = Some(now + self.late_media);
            self.state = not_permitted(floor);
        }
        self.outputs.push_back(Output::Release);
    }

    fn on_rtp(&mut self, now: Instant) {
        match self.state {
            //= TS 24.380 6.3.5.5.6
            State::Permitted | State::PendingFloorRevoke { .. } => {
                self.outputs.push_back(Output::ForwardMedia);
            }
            State::NotPermittedInitiating
            | State::NotPermittedFloorIdle
            | State::NotPermittedFloorTaken => self.on_unpermitted_rtp(now),
            State::NotPermittedSendsMedia { .. } => {
                self.media_since_revoke = true;
                self.outputs.push_back(Output::DropMedia);
            }
            State::StartStop | State::Releasing => self.outputs.push_back(Output::DropMedia),
        }
    }

    fn on_unpermitted_rtp(&mut self, now: Instant) {
        self.outputs.push_back(Output::DropMedia);
        if self.late_until.is_some_and(|until| now < until) {
            return;
        }
        //= TS 24.380 6.3.5.3.8
        let floor = if self.state == State::NotPermittedFloorTaken {
            Floor::Taken
        } else {
            Floor::Idle
        };
        self.state = State::NotPermittedSendsMedia { floor };
        self.send_revoke(RevokeCause::NoPermission, now);
    }

    fn send_revoke(&mut self, cause: RevokeCause, now: Instant) {
        self.media_since_revoke = false;
        self.timers.start(Timer::T8FloorRevoke, now + self.t8);
        let phrase = cause.to_string();
        self.send(FloorRevoke {
            cause,
            phrase,
            track_info: None,
            indicator: None,
        });
    }

    fn on_expiry(&mut self, timer: Timer, now: Instant) {
        match (timer, self.state) {
            (Timer::T9RetryAfter, _) => {}
            //= TS 24.380 6.3.5.6.3
            (Timer::T8FloorRevoke, State::PendingFloorRevoke { cause }) => {
                self.send_revoke(cause, now);
            }
            //= TS 24.380 6.3.5.7.2
            (Timer::T8FloorRevoke, State::NotPermittedSendsMedia { floor }) => {
                if self.media_since_revoke {
                    self.send_revoke(RevokeCause::NoPermission, now);
                } else {
                    self.state = not_permitted(floor);
                }
            }
            (
                Timer::T8FloorRevoke,
                State::StartStop
                | State::NotPermittedInitiating
                | State::NotPermittedFloorIdle
                | State::NotPermittedFloorTaken
                | State::Permitted
                | State::Releasing,
            ) => self.discard("expiry of a timer of another state"),
        }
    }
}

const fn not_permitted(floor: Floor) -> State {
    match floor {
        Floor::Idle => State::NotPermittedFloorIdle,
        Floor::Taken => State::NotPermittedFloorTaken,
    }
}

#[cfg(test)]
mod tests;
