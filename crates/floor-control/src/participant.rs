//! The floor participant state transition diagram for basic operation (TS 24.380 6.2.4).
//!
//! ```text
//!  Start-stop ──set-up──▶ has no permission ──PTT──▶ pending Request ──Granted──▶ has permission
//!                           ▲   ▲   ▲  ▲                │   │                       │
//!                           │   │   │  └──Deny, C101────┘   └─Queue Info─▶ queued ──┤ Granted
//!                           │   │   └───────────────Deny─────────────────────┘      │
//!                           │   └──────Idle, Taken by another───────────────────────┤
//!                           └──Idle, Taken, RTP, C100── pending Release ◀─PTT up, Revoke
//!  any ──call release──▶ Releasing ──released──▶ Start-stop
//! ```
//!
//! Feed [`Input`]s, then drain [`FloorParticipant::poll_output`]; call `handle` with
//! [`Input::Timeout`] no later than [`FloorParticipant::poll_timeout`].

mod config;

use core::time::Duration;
use std::collections::VecDeque;
use std::time::Instant;

use crate::message::{
    DenyCause, FloorAck, FloorDeny, FloorGranted, FloorIdle, FloorIndicator, FloorMessage,
    FloorPacket, FloorRelease, FloorRequest, FloorRevoke, FloorTaken, QueueInfo, QueuePosition,
    QueuePositionInfo, QueuePositionRequest, RevokeCause, Source,
};
use crate::timer::Timers;
pub use config::Config;

/// The states of 6.2.4.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No call.
    #[doc(alias = "Start-stop")]
    StartStop,
    /// Listening.
    #[doc(alias = "U: has no permission")]
    HasNoPermission,
    /// Asked for the floor, no answer yet.
    #[doc(alias = "U: pending Request")]
    PendingRequest {
        /// Requests sent.
        c101: u8,
    },
    /// May talk.
    #[doc(alias = "U: has permission")]
    HasPermission,
    /// Gave the floor back, not yet confirmed.
    #[doc(alias = "U: pending Release")]
    PendingRelease {
        /// Releases sent.
        c100: u8,
    },
    /// The request waits in the server's queue.
    #[doc(alias = "U: queued")]
    Queued {
        /// Position requests sent, 0 if none is pending.
        c104: u8,
        /// The grant, once it came and while the user has not begun to talk.
        granted: Option<Grant>,
    },
    /// The call is being released.
    Releasing,
}

impl State {
    /// The state's name in the standard.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StartStop => "Start-stop",
            Self::HasNoPermission => "U: has no permission",
            Self::PendingRequest { .. } => "U: pending Request",
            Self::HasPermission => "U: has permission",
            Self::PendingRelease { .. } => "U: pending Release",
            Self::Queued { .. } => "U: queued",
            Self::Releasing => "Releasing",
        }
    }
}

/// What comes with permission to talk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// How long the talker may talk; absent when granted in the SDP answer.
    pub duration: Option<Duration>,
    /// SSRC to use for the media, if the server assigns one.
    pub ssrc: Option<u32>,
    /// Priority granted.
    pub priority: Option<u8>,
}

/// How the call began (14.3, 14.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetUp {
    /// No implicit request; listening.
    Listening,
    /// The answer took our offer as a floor request.
    ImplicitRequest,
    /// The answer says the floor is granted.
    Granted,
}

/// What happens to a participant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The call is set up.
    SetUp(SetUp),
    /// The user wants to talk.
    PttPressed,
    /// The user has finished, or gives up waiting.
    PttReleased,
    /// The user wants to know the place in the queue.
    QueuePositionWanted,
    /// A message came from the floor control server.
    Received(FloorPacket),
    /// A media packet came.
    RtpReceived,
    /// `poll_timeout` has passed.
    Timeout,
    /// The call is being released; nothing more is sent.
    CallRelease,
    /// The call is gone.
    CallReleased,
}

impl Input {
    fn name(&self) -> &'static str {
        match self {
            Self::SetUp(_) => "call set-up",
            Self::PttPressed => "PTT pressed",
            Self::PttReleased => "PTT released",
            Self::QueuePositionWanted => "queue position wanted",
            Self::Received(packet) => packet.message.name(),
            Self::RtpReceived => "RTP media",
            Self::Timeout => "timeout",
            Self::CallRelease => "call release",
            Self::CallReleased => "call released",
        }
    }
}

/// What a participant does or tells its user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message to the floor control server.
    Send(FloorPacket),
    /// Begin to send media.
    StartTalking(Grant),
    /// A queued request is granted; press within T132 to talk.
    GrantedAfterQueueing(Grant),
    /// Send no more media.
    StopTalking(StopReason),
    /// Somebody talks.
    FloorTaken(Box<FloorTaken>),
    /// Nobody talks.
    FloorIdle,
    /// The request is refused.
    Denied {
        /// Why.
        cause: DenyCause,
        /// Text of the server, may be empty.
        phrase: String,
    },
    /// Place in the queue.
    QueuePosition(QueueInfo),
    /// The server never answered the request.
    RequestTimedOut,
    /// The user pressed although this group lets us listen only, or the server forbids requests.
    RequestNotPermitted,
    /// The broadcast call we started has come to its end.
    ReleaseCall,
    /// The input means nothing in this state.
    Discarded {
        /// Name of the state.
        state: &'static str,
        /// Name of the input.
        input: &'static str,
    },
}

/// Why talking ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// The user let go.
    Released,
    /// The server revoked the floor.
    Revoked {
        /// Why.
        cause: RevokeCause,
        /// Text of the server, may be empty.
        phrase: String,
    },
    /// The server told that the floor is idle or somebody else's.
    FloorLost,
    /// The call ends.
    CallReleased,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timer {
    T100FloorRelease,
    T101FloorRequest,
    T103EndOfRtpMedia,
    T104QueuePositionRequest,
    T132QueuedGrantedUserAction,
}

/// The floor participant of one call.
#[derive(Debug)]
pub struct FloorParticipant {
    config: Config,
    state: State,
    ptt_pressed: bool,
    may_request: bool,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
}

impl FloorParticipant {
    /// A participant before the call is set up.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            state: State::StartStop,
            ptt_pressed: false,
            may_request: true,
            timers: Timers::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The current state.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Changes the kind of call for the next requests, as on an emergency upgrade.
    pub const fn set_indicator(&mut self, indicator: FloorIndicator) {
        self.config.indicator = indicator;
    }

    /// Changes the functional alias shown with the next request.
    pub fn set_functional_alias(&mut self, alias: Option<String>) {
        self.config.functional_alias = alias;
    }

    /// Changes the priority asked for in the next request.
    pub const fn set_priority(&mut self, priority: Option<u8>) {
        self.config.priority = priority;
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
        let waits = self.ptt_pressed && matches!(self.state, State::PendingRelease { .. });
        match input {
            Input::SetUp(set_up) => self.on_set_up(set_up, name, now),
            Input::PttPressed => self.on_ptt_pressed(name, now),
            Input::PttReleased => self.on_ptt_released(name, now),
            Input::QueuePositionWanted => self.on_queue_position_wanted(name, now),
            Input::Received(packet) => self.on_received(packet, now),
            Input::RtpReceived => self.on_rtp(now),
            Input::Timeout => {
                while let Some(timer) = self.timers.pop_expired(now) {
                    self.on_expiry(timer, now);
                }
            }
            Input::CallRelease => self.on_call_release(name),
            Input::CallReleased => self.on_call_released(name),
        }
        if waits && self.state == State::HasNoPermission {
            self.on_ptt_pressed(name, now);
        }
    }

    fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn discard(&mut self, input: &'static str) {
        let state = self.state.name();
        self.push(Output::Discarded { state, input });
    }

    fn send(&mut self, message: impl Into<FloorMessage>) {
        let packet = FloorPacket {
            ssrc: self.config.ssrc,
            ack_required: false,
            message: message.into(),
        };
        self.push(Output::Send(packet));
    }

    fn send_request(&mut self, c101: u8, now: Instant) {
        //= TS 24.380 6.2.4.3.2
        self.send(FloorRequest {
            priority: self.config.priority,
            track_info: None,
            indicator: Some(self.config.indicator),
            functional_alias: self.config.functional_alias.clone(),
            location: self.config.location.clone(),
        });
        self.await_answer(c101, now);
    }

    fn await_answer(&mut self, c101: u8, now: Instant) {
        self.timers
            .start(Timer::T101FloorRequest, now + self.config.t101);
        self.state = State::PendingRequest { c101 };
    }

    fn send_release(&mut self, c100: u8, now: Instant) {
        //= TS 24.380 6.2.4.5.3
        for timer in [
            Timer::T101FloorRequest,
            Timer::T104QueuePositionRequest,
            Timer::T132QueuedGrantedUserAction,
        ] {
            self.timers.stop(timer);
        }
        self.send(FloorRelease {
            track_info: None,
            indicator: Some(self.config.indicator),
        });
        self.timers
            .start(Timer::T100FloorRelease, now + self.config.t100);
        if c100 == 1 {
            // A press from now on is another one.
            self.ptt_pressed = false;
        }
        self.state = State::PendingRelease { c100 };
    }

    fn start_talking(&mut self, grant: Grant) {
        self.timers.stop_all();
        self.state = State::HasPermission;
        self.push(Output::StartTalking(grant));
    }

    fn on_set_up(&mut self, set_up: SetUp, name: &'static str, now: Instant) {
        if self.state != State::StartStop {
            return self.discard(name);
        }
        //= TS 24.380 6.2.4.2.2
        match set_up {
            SetUp::Listening => self.state = State::HasNoPermission,
            SetUp::ImplicitRequest => self.await_answer(1, now),
            SetUp::Granted => {
                self.start_talking(Grant {
                    duration: None,
                    ssrc: None,
                    priority: None,
                });
            }
        }
    }

    fn on_ptt_pressed(&mut self, name: &'static str, now: Instant) {
        match &mut self.state {
            State::HasNoPermission if self.config.receive_only || !self.may_request => {
                self.push(Output::RequestNotPermitted);
            }
            State::HasNoPermission => {
                self.ptt_pressed = true;
                self.send_request(1, now);
            }
            // After a release it is asked for once that is confirmed: a user who presses again at
            // once is not forgotten.
            State::PendingRequest { .. } | State::PendingRelease { .. } => self.ptt_pressed = true,
            State::Queued { granted, .. } => {
                self.ptt_pressed = true;
                //= TS 24.380 6.2.4.9
                if let Some(grant) = granted.take() {
                    self.start_talking(grant);
                }
            }
            State::StartStop | State::HasPermission | State::Releasing => self.discard(name),
        }
    }

    fn on_ptt_released(&mut self, name: &'static str, now: Instant) {
        self.ptt_pressed = false;
        match self.state {
            State::HasPermission => {
                self.push(Output::StopTalking(StopReason::Released));
                self.send_release(1, now);
            }
            State::PendingRequest { .. } | State::Queued { .. } => self.send_release(1, now),
            State::StartStop
            | State::HasNoPermission
            | State::PendingRelease { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_queue_position_wanted(&mut self, name: &'static str, now: Instant) {
        match self.state {
            State::Queued { granted: None, .. } => self.send_queue_position_request(1, now),
            State::Queued {
                granted: Some(_), ..
            }
            | State::StartStop
            | State::HasNoPermission
            | State::PendingRequest { .. }
            | State::HasPermission
            | State::PendingRelease { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn send_queue_position_request(&mut self, count: u8, now: Instant) {
        self.send(QueuePositionRequest::default());
        self.timers
            .start(Timer::T104QueuePositionRequest, now + self.config.t104);
        self.state = State::Queued {
            c104: count,
            granted: None,
        };
    }

    fn on_rtp(&mut self, now: Instant) {
        match self.state {
            State::HasNoPermission | State::PendingRequest { .. } | State::Queued { .. } => {
                self.timers
                    .start(Timer::T103EndOfRtpMedia, now + self.config.t103);
            }
            State::PendingRelease { .. } => {
                self.enter_no_permission();
                self.timers
                    .start(Timer::T103EndOfRtpMedia, now + self.config.t103);
            }
            // Media still under way when the floor changed hands means nothing.
            State::StartStop | State::HasPermission | State::Releasing => {}
        }
    }

    fn enter_no_permission(&mut self) {
        for timer in [
            Timer::T100FloorRelease,
            Timer::T101FloorRequest,
            Timer::T104QueuePositionRequest,
            Timer::T132QueuedGrantedUserAction,
        ] {
            self.timers.stop(timer);
        }
        self.ptt_pressed = false;
        self.state = State::HasNoPermission;
    }

    fn on_received(&mut self, packet: FloorPacket, now: Instant) {
        let name = packet.message.name();
        if matches!(self.state, State::StartStop | State::Releasing) {
            return self.discard(name);
        }
        if packet.ack_required {
            //= TS 24.380 6.2.4.1
            self.send(FloorAck {
                source: Source::FloorParticipant,
                message_type: packet.message.subtype(),
                track_info: None,
            });
        }
        match packet.message {
            FloorMessage::FloorGranted(granted) => self.on_granted(&granted, name, now),
            FloorMessage::FloorTaken(taken) => self.on_taken(taken, now),
            FloorMessage::FloorDeny(deny) => self.on_deny(deny, name),
            FloorMessage::FloorIdle(idle) => self.on_idle(&idle),
            FloorMessage::FloorRevoke(revoke) => self.on_revoke(revoke, name, now),
            FloorMessage::QueuePositionInfo(info) => self.on_queue_info(&info, name),
            // Confirmations need no action: T100 and T101 wait for the floor message itself.
            FloorMessage::FloorAck(_) | FloorMessage::FloorReleaseMultiTalker(_) => {}
            FloorMessage::FloorRequest(_)
            | FloorMessage::FloorRelease(_)
            | FloorMessage::FloorRevokeRequest(_)
            | FloorMessage::QueuePositionRequest(_)
            | FloorMessage::UnicastMediaFlowControl(_)
            | FloorMessage::QueuedFloorRequests(_) => self.discard(name),
        }
    }

    fn on_granted(&mut self, granted: &FloorGranted, name: &'static str, now: Instant) {
        let grant = Grant {
            duration: Some(granted.duration),
            ssrc: granted.ssrc,
            priority: granted.priority,
        };
        match &mut self.state {
            State::PendingRequest { .. } => self.start_talking(grant),
            State::Queued { .. } if self.ptt_pressed => self.start_talking(grant),
            State::Queued {
                granted: Some(_), ..
            } => {}
            State::Queued {
                granted: pending, ..
            } => {
                *pending = Some(grant.clone());
                self.timers.stop(Timer::T104QueuePositionRequest);
                self.timers
                    .start(Timer::T132QueuedGrantedUserAction, now + self.config.t132);
                self.push(Output::GrantedAfterQueueing(grant));
            }
            // A repetition, because our first media packet has not reached the server.
            State::HasPermission => {}
            State::StartStop
            | State::HasNoPermission
            | State::PendingRelease { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_taken(&mut self, taken: Box<FloorTaken>, now: Instant) {
        let dual = taken
            .indicator
            .is_some_and(|bits| bits.contains(FloorIndicator::DUAL_FLOOR));
        let me = &self.config.mcptt_id;
        let mine = taken.granted_party.as_ref() == Some(me) || taken.granted_users.contains(me);
        match self.state {
            State::HasPermission if dual || mine => {}
            State::HasPermission => {
                self.push(Output::StopTalking(StopReason::FloorLost));
                self.enter_no_permission();
            }
            State::PendingRelease { .. } => self.enter_no_permission(),
            State::HasNoPermission
            | State::PendingRequest { .. }
            | State::Queued { .. }
            | State::StartStop
            | State::Releasing => {}
        }
        //= TS 24.380 6.2.4.3.4
        self.may_request = taken.may_request;
        if !mine {
            if self.state != State::HasPermission {
                self.timers
                    .start(Timer::T103EndOfRtpMedia, now + self.config.t103);
            }
            self.push(Output::FloorTaken(taken));
        }
    }

    fn on_idle(&mut self, idle: &FloorIdle) {
        self.timers.stop(Timer::T103EndOfRtpMedia);
        self.may_request = true;
        match self.state {
            State::HasPermission => {
                self.push(Output::StopTalking(StopReason::FloorLost));
                self.enter_no_permission();
            }
            State::PendingRelease { .. } => self.enter_no_permission(),
            State::HasNoPermission
            | State::PendingRequest { .. }
            | State::Queued { .. }
            | State::StartStop
            | State::Releasing => {}
        }
        self.push(Output::FloorIdle);
        let broadcast = idle
            .indicator
            .is_some_and(|bits| bits.contains(FloorIndicator::BROADCAST_GROUP));
        if broadcast && self.config.broadcast_initiator && self.state == State::HasNoPermission {
            self.push(Output::ReleaseCall);
        }
    }

    fn on_deny(&mut self, deny: FloorDeny, name: &'static str) {
        match self.state {
            State::PendingRequest { .. } | State::Queued { .. } => {
                //= TS 24.380 6.2.4.4.3
                self.enter_no_permission();
                self.push(Output::Denied {
                    cause: deny.cause,
                    phrase: deny.phrase,
                });
            }
            State::StartStop
            | State::HasNoPermission
            | State::HasPermission
            | State::PendingRelease { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_revoke(&mut self, revoke: FloorRevoke, name: &'static str, now: Instant) {
        let FloorRevoke { cause, phrase, .. } = revoke;
        match self.state {
            State::HasPermission | State::PendingRequest { .. } | State::Queued { .. } => {
                //= TS 24.380 6.2.4.5.4
                self.push(Output::StopTalking(StopReason::Revoked { cause, phrase }));
                self.send_release(1, now);
            }
            State::StartStop
            | State::HasNoPermission
            | State::PendingRelease { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_queue_info(&mut self, info: &QueuePositionInfo, name: &'static str) {
        match &mut self.state {
            State::PendingRequest { .. } => {
                if info.queue_info.position != QueuePosition::NotQueued {
                    //= TS 24.380 6.2.4.4.5
                    self.timers.stop(Timer::T101FloorRequest);
                    self.state = State::Queued {
                        c104: 0,
                        granted: None,
                    };
                }
                self.push(Output::QueuePosition(info.queue_info));
            }
            State::Queued { c104, .. } => {
                *c104 = 0;
                self.timers.stop(Timer::T104QueuePositionRequest);
                self.push(Output::QueuePosition(info.queue_info));
            }
            State::StartStop
            | State::HasNoPermission
            | State::HasPermission
            | State::PendingRelease { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_expiry(&mut self, timer: Timer, now: Instant) {
        match (timer, &self.state) {
            (Timer::T101FloorRequest, State::PendingRequest { c101 }) => {
                //= TS 24.380 6.2.4.4.6
                if *c101 < self.config.c101 {
                    self.send_request(c101 + 1, now);
                } else {
                    self.enter_no_permission();
                    self.push(Output::RequestTimedOut);
                }
            }
            (Timer::T100FloorRelease, State::PendingRelease { c100 }) => {
                //= TS 24.380 6.2.4.6.5
                if *c100 < self.config.c100 {
                    self.send_release(c100 + 1, now);
                } else {
                    self.enter_no_permission();
                }
            }
            (
                Timer::T104QueuePositionRequest,
                State::Queued {
                    c104,
                    granted: None,
                },
            ) => {
                if *c104 < self.config.c104 {
                    self.send_queue_position_request(c104 + 1, now);
                } else {
                    self.state = State::Queued {
                        c104: 0,
                        granted: None,
                    };
                }
            }
            (Timer::T132QueuedGrantedUserAction, State::Queued { .. }) => {
                self.send_release(1, now);
            }
            (Timer::T103EndOfRtpMedia, _) => {
                //= TS 24.380 6.2.4.3.6
                self.may_request = true;
                self.push(Output::FloorIdle);
            }
            (
                Timer::T100FloorRelease
                | Timer::T101FloorRequest
                | Timer::T104QueuePositionRequest
                | Timer::T132QueuedGrantedUserAction,
                _,
            ) => self.discard("expiry of a timer of another state"),
        }
    }

    fn on_call_release(&mut self, name: &'static str) {
        //= TS 24.380 6.2.4.8.2
        match self.state {
            State::StartStop | State::Releasing => return self.discard(name),
            State::HasPermission => {
                self.push(Output::StopTalking(StopReason::CallReleased));
            }
            State::HasNoPermission
            | State::PendingRequest { .. }
            | State::PendingRelease { .. }
            | State::Queued { .. } => {}
        }
        self.timers.stop_all();
        self.ptt_pressed = false;
        self.state = State::Releasing;
    }

    fn on_call_released(&mut self, name: &'static str) {
        if self.state != State::Releasing {
            return self.discard(name);
        }
        self.may_request = true;
        self.state = State::StartStop;
    }
}

#[cfg(test)]
mod tests;
