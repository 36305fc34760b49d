//! The general floor control operation of the floor control server (TS 24.380 6.3.4).
//!
//! ```text
//!  Start-stop ──start──▶ G: Floor Idle ──request──▶ G: Floor Taken ──T2, pre-emption──▶ G: pending
//!                          ▲    ▲                     │                                 Floor Revoke
//!                          │    └──release, T1, left──┘                                    │
//!                          └────release, T1, T3 (or the head of the queue is granted)──────┘
//!  any ──call release──▶ Releasing ──released──▶ Start-stop
//! ```
//!
//! One machine per session. It knows who is in the call and who may talk; what it wants told to a
//! participant goes through that participant's machine ([`super::participant`]).

mod tell;

use std::collections::VecDeque;
use std::time::Instant;

use super::config::{CallType, Condition, Config, ParticipantId, Profile};
use super::queue::{EffectivePriority, Queue, Request};
use crate::message::{
    DenyCause, FloorIndicator, FloorMessage, FloorRequest, FloorRevoke, RevokeCause,
};
use crate::timer::Timers;

/// The states of 6.3.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// No session.
    #[doc(alias = "Start-stop")]
    StartStop,
    /// Nobody may talk.
    #[doc(alias = "G: Floor Idle")]
    FloorIdle,
    /// One participant may talk.
    #[doc(alias = "G: Floor Taken")]
    FloorTaken {
        /// Who.
        holder: ParticipantId,
    },
    /// The permission was withdrawn and runs out.
    #[doc(alias = "G: pending Floor Revoke")]
    PendingFloorRevoke {
        /// Whose.
        holder: ParticipantId,
    },
    /// The session is being released.
    Releasing,
}

impl State {
    /// The state's name in the standard.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StartStop => "Start-stop",
            Self::FloorIdle => "G: Floor Idle",
            Self::FloorTaken { .. } => "G: Floor Taken",
            Self::PendingFloorRevoke { .. } => "G: pending Floor Revoke",
            Self::Releasing => "Releasing",
        }
    }

    /// Who may talk now.
    #[must_use]
    pub const fn holder(self) -> Option<ParticipantId> {
        match self {
            Self::FloorTaken { holder } | Self::PendingFloorRevoke { holder } => Some(holder),
            Self::StartStop | Self::FloorIdle | Self::Releasing => None,
        }
    }
}

/// What happens to the session.
#[derive(Debug, Clone)]
pub enum Input {
    /// The session is set up.
    Start,
    /// A participant's leg is established.
    Join {
        /// Its number.
        participant: ParticipantId,
        /// What call control knows of it.
        profile: Box<Profile>,
        /// The implicit floor request of its offer, if the answer accepted it.
        implicit_request: Option<Box<FloorRequest>>,
    },
    /// A participant's leg is gone.
    Leave {
        /// Its number.
        participant: ParticipantId,
    },
    /// A participant asks for the floor.
    FloorRequest {
        /// Who.
        from: ParticipantId,
        /// The message.
        request: Box<FloorRequest>,
    },
    /// A participant gives the floor or its queued request back.
    FloorRelease {
        /// Who.
        from: ParticipantId,
    },
    /// A participant asks for its place in the queue.
    QueuePositionRequest {
        /// Who.
        from: ParticipantId,
    },
    /// Media came from a participant that may send it.
    Rtp {
        /// Who.
        from: ParticipantId,
    },
    /// Call control changes the kind of call.
    SetCallType(CallType),
    /// Call control learns of a user's emergency or peril, or of its end.
    SetCondition {
        /// Who.
        participant: ParticipantId,
        /// The condition.
        condition: Condition,
    },
    /// Media resources were lost or came back.
    SetResources {
        /// Whether media can flow.
        available: bool,
    },
    /// Call control keeps the session although T4 expired.
    RestartInactivity,
    /// `poll_timeout` has passed.
    Timeout,
    /// The session is being released.
    Release,
    /// The session is gone.
    Released,
}

impl Input {
    const fn name(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Join { .. } => "join",
            Self::Leave { .. } => "leave",
            Self::FloorRequest { .. } => "Floor Request",
            Self::FloorRelease { .. } => "Floor Release",
            Self::QueuePositionRequest { .. } => "Floor Queue Position Request",
            Self::Rtp { .. } => "RTP media",
            Self::SetCallType(_) => "call type",
            Self::SetCondition { .. } => "condition",
            Self::SetResources { .. } => "resources",
            Self::RestartInactivity => "restart inactivity",
            Self::Timeout => "timeout",
            Self::Release => "call release",
            Self::Released => "call released",
        }
    }
}

/// What the arbitration decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell a participant.
    Tell {
        /// Whom.
        to: ParticipantId,
        /// What.
        message: FloorMessage,
    },
    /// Who may talk changed.
    TalkerChanged(Option<ParticipantId>),
    /// T4 expired: call control releases the call or sends [`Input::RestartInactivity`].
    Inactive,
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
    T1EndOfRtpMedia,
    T2StopTalking,
    T3StopTalkingGrace,
    T4Inactivity,
    T7FloorIdle,
    T20FloorGranted,
}

#[derive(Debug)]
struct Member {
    id: ParticipantId,
    profile: Profile,
}

/// General floor control of one session.
#[derive(Debug)]
pub struct GeneralFloorControl {
    config: Config,
    state: State,
    call_type: CallType,
    resources: bool,
    members: Vec<Member>,
    queue: Queue,
    /// The request that holds the floor.
    current: Option<Request>,
    /// Whether the talker's first media packet has come, so that T2 runs.
    media_seen: bool,
    c7: u8,
    c20: u8,
    sequence_number: u16,
    timers: Timers<Timer>,
    outputs: VecDeque<Output>,
}

impl GeneralFloorControl {
    /// A session that has not started.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            config,
            state: State::StartStop,
            call_type: CallType::Normal,
            resources: true,
            members: Vec::new(),
            queue: Queue::default(),
            current: None,
            media_seen: false,
            c7: 0,
            c20: 0,
            sequence_number: 0,
            timers: Timers::new(),
            outputs: VecDeque::new(),
        }
    }

    /// The current state.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Number of requests waiting.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// The next decision, oldest first.
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
            Input::Start => self.on_start(name, now),
            Input::Join {
                participant,
                profile,
                implicit_request,
            } => {
                self.on_join(participant, *profile, implicit_request, name, now);
            }
            Input::Leave { participant } => self.on_leave(participant, name, now),
            Input::FloorRequest { from, request } => self.on_request(from, *request, name, now),
            Input::FloorRelease { from } => self.on_release(from, name, now),
            Input::QueuePositionRequest { from } => self.on_queue_position_request(from, name),
            Input::Rtp { from } => self.on_rtp(from, name, now),
            Input::SetCallType(call_type) => self.call_type = call_type,
            Input::SetCondition {
                participant,
                condition,
            } => {
                if let Some(member) = self.members.iter_mut().find(|m| m.id == participant) {
                    member.profile.condition = condition;
                }
            }
            Input::SetResources { available } => self.on_resources(available, now),
            Input::RestartInactivity => match self.state {
                State::FloorIdle => {
                    self.timers.start(Timer::T4Inactivity, now + self.config.t4);
                }
                State::StartStop
                | State::FloorTaken { .. }
                | State::PendingFloorRevoke { .. }
                | State::Releasing => self.discard(name),
            },
            Input::Timeout => {
                while let Some(timer) = self.timers.pop_expired(now) {
                    self.on_expiry(timer, now);
                }
            }
            Input::Release => self.on_call_release(name),
            Input::Released => match self.state {
                State::Releasing => self.state = State::StartStop,
                State::StartStop
                | State::FloorIdle
                | State::FloorTaken { .. }
                | State::PendingFloorRevoke { .. } => self.discard(name),
            },
        }
    }

    fn discard(&mut self, input: &'static str) {
        let state = self.state.name();
        self.outputs.push_back(Output::Discarded { state, input });
    }

    fn tell(&mut self, to: ParticipantId, message: impl Into<FloorMessage>) {
        self.outputs.push_back(Output::Tell {
            to,
            message: message.into(),
        });
    }

    fn profile(&self, id: ParticipantId) -> Option<&Profile> {
        self.members
            .iter()
            .find(|member| member.id == id)
            .map(|member| &member.profile)
    }

    fn on_start(&mut self, name: &'static str, now: Instant) {
        match self.state {
            State::StartStop => self.enter_idle(now),
            State::FloorIdle
            | State::FloorTaken { .. }
            | State::PendingFloorRevoke { .. }
            | State::Releasing => self.discard(name),
        }
    }

    //= TS 24.380 6.3.4.3.2
    fn enter_idle(&mut self, now: Instant) {
        self.timers.stop_all();
        self.media_seen = false;
        while let Some(next) = self.queue.pop() {
            if self.alone() {
                self.deny(next.from, DenyCause::OnlyOneParticipant);
                continue;
            }
            return self.enter_taken(next, true, now);
        }
        if self.current.take().is_some() {
            self.outputs.push_back(Output::TalkerChanged(None));
        }
        self.state = State::FloorIdle;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.c7 = 1;
        self.timers.start(Timer::T7FloorIdle, now + self.config.t7);
        self.timers.start(Timer::T4Inactivity, now + self.config.t4);
        self.tell_idle_to_all();
    }

    //= TS 24.380 6.3.4.4.2
    fn enter_taken(&mut self, request: Request, was_queued: bool, now: Instant) {
        let holder = request.from;
        self.timers.stop_all();
        self.state = State::FloorTaken { holder };
        self.current = Some(request);
        self.media_seen = false;
        self.timers
            .start(Timer::T1EndOfRtpMedia, now + self.config.t1);
        if was_queued {
            self.c20 = 1;
            self.timers
                .start(Timer::T20FloorGranted, now + self.config.t20);
        }
        self.outputs.push_back(Output::TalkerChanged(Some(holder)));
        self.sequence_number = self.sequence_number.wrapping_add(1);
        self.tell_granted(holder, now);
        for index in 0..self.members.len() {
            if let Some(to) = self
                .members
                .get(index)
                .map(|m| m.id)
                .filter(|id| *id != holder)
            {
                self.tell_taken(to);
            }
        }
    }

    fn queueing(&self, id: ParticipantId) -> bool {
        self.config.queue_capacity > 0
            && !self.config.audio_cut_in
            && self.profile(id).is_some_and(|profile| profile.queueing)
    }

    fn may_request(&self, id: ParticipantId) -> bool {
        let broadcast_listener = match self.call_type {
            CallType::Broadcast { initiator } => initiator != id,
            CallType::Normal | CallType::System | CallType::ImminentPeril | CallType::Emergency => {
                false
            }
        };
        !broadcast_listener
            && self
                .profile(id)
                .is_some_and(|profile| !profile.receive_only)
    }

    fn alone(&self) -> bool {
        self.config.deny_when_alone && self.members.len() < 2
    }

    //= TS 24.380 4.1.1.4
    fn effective(&self, from: ParticipantId, request: &FloorRequest) -> EffectivePriority {
        let Some(profile) = self.profile(from) else {
            return EffectivePriority {
                condition: Condition::Normal,
                priority: 0,
            };
        };
        let priority = match profile.negotiated_priority {
            Some(most) => request
                .priority
                .unwrap_or(profile.default_priority)
                .min(most),
            None => profile.default_priority,
        };
        let bits = request.indicator.unwrap_or_default();
        let asked = if bits.contains(FloorIndicator::EMERGENCY) {
            Condition::Emergency
        } else if bits.contains(FloorIndicator::IMMINENT_PERIL) {
            Condition::ImminentPeril
        } else {
            Condition::Normal
        };
        // A bit in a message raises nobody above what call control has authorised.
        let condition = profile.condition.max(asked.min(self.call_type.condition()));
        EffectivePriority {
            condition,
            priority,
        }
    }

    fn preempts(&self, new: EffectivePriority, holder: EffectivePriority) -> bool {
        new.condition > holder.condition
            || (new.condition == holder.condition
                && new.priority > holder.priority
                && new.priority >= self.config.preemptive_priority)
    }

    fn on_join(
        &mut self,
        id: ParticipantId,
        profile: Profile,
        implicit: Option<Box<FloorRequest>>,
        name: &'static str,
        now: Instant,
    ) {
        if matches!(self.state, State::StartStop | State::Releasing) {
            return self.discard(name);
        }
        // A leg that is set up anew replaces the old one and keeps its place.
        if let Some(member) = self.members.iter_mut().find(|member| member.id == id) {
            member.profile = profile;
        } else {
            self.members.push(Member { id, profile });
        }
        match (self.state, implicit) {
            //= TS 24.380 6.3.4.2.2
            (State::FloorIdle, Some(request)) if self.resources && self.may_request(id) => {
                let effective = self.effective(id, &request);
                self.enter_taken(Request::new(id, effective, *request), false, now);
            }
            (_, Some(request)) => {
                self.tell_state(id);
                self.on_request(id, *request, name, now);
            }
            (_, None) => self.tell_state(id),
        }
    }

    fn on_leave(&mut self, id: ParticipantId, name: &'static str, now: Instant) {
        let before = self.members.len();
        self.members.retain(|member| member.id != id);
        if self.members.len() == before {
            return self.discard(name);
        }
        self.queue.remove(id);
        match self.state {
            State::FloorTaken { holder } | State::PendingFloorRevoke { holder } if holder == id => {
                self.enter_idle(now);
            }
            State::FloorTaken { .. } if self.alone() => {
                self.revoke(RevokeCause::OnlyOneClient, now);
            }
            State::StartStop
            | State::FloorIdle
            | State::FloorTaken { .. }
            | State::PendingFloorRevoke { .. }
            | State::Releasing => {}
        }
    }

    fn on_request(
        &mut self,
        from: ParticipantId,
        request: FloorRequest,
        name: &'static str,
        now: Instant,
    ) {
        if self.profile(from).is_none() {
            return self.discard(name);
        }
        let refusal = if !self.may_request(from) {
            Some(DenyCause::ReceiveOnly)
        } else if !self.resources {
            Some(DenyCause::NoResources)
        } else {
            None
        };
        if let Some(cause) = refusal {
            return self.deny(from, cause);
        }
        let effective = self.effective(from, &request);
        let request = Request::new(from, effective, request);
        match self.state {
            //= TS 24.380 6.3.4.3.3
            State::FloorIdle if self.alone() => self.deny(from, DenyCause::OnlyOneParticipant),
            State::FloorIdle => self.enter_taken(request, false, now),
            //= TS 24.380 6.3.4.4.5
            State::FloorTaken { holder } if holder == from => self.tell_granted(from, now),
            State::FloorTaken { .. } => self.on_request_while_taken(request, now),
            //= TS 24.380 6.3.4.5.4
            State::PendingFloorRevoke { holder } if holder == from => {
                self.deny(from, DenyCause::AnotherHasPermission);
            }
            State::PendingFloorRevoke { .. } => self.enqueue(request),
            State::StartStop | State::Releasing => self.discard(name),
        }
    }

    fn on_request_while_taken(&mut self, request: Request, now: Instant) {
        let from = request.from;
        let holder = self.current.as_ref().map(|current| current.effective);
        if self.config.audio_cut_in {
            //= TS 24.380 6.3.4.4.7a
            self.queue.insert_front(request);
            return self.revoke(RevokeCause::PreEmpted, now);
        }
        if holder.is_some_and(|holder| self.preempts(request.effective, holder)) {
            //= TS 24.380 6.3.4.4.7
            self.queue.insert_front(request);
            self.revoke(RevokeCause::PreEmpted, now);
            if self.queueing(from) {
                self.tell_queue_position(from);
            }
            return;
        }
        self.enqueue(request);
    }

    //= TS 24.380 6.3.4.4.6
    fn enqueue(&mut self, request: Request) {
        let from = request.from;
        if self.queue.place(from).is_some() {
            return self.tell_queue_position(from);
        }
        if !self.queueing(from) {
            return self.deny(from, DenyCause::AnotherHasPermission);
        }
        if self.queue.len() >= self.config.queue_capacity {
            return self.deny(from, DenyCause::QueueFull);
        }
        self.queue.insert(request);
        self.tell_queue_position(from);
    }

    fn revoke(&mut self, cause: RevokeCause, now: Instant) {
        let State::FloorTaken { holder } = self.state else {
            return;
        };
        //= TS 24.380 6.3.4.5.2
        for timer in [Timer::T2StopTalking, Timer::T20FloorGranted] {
            self.timers.stop(timer);
        }
        let indicator = Some(self.indicator());
        let phrase = cause.to_string();
        self.tell(
            holder,
            FloorRevoke {
                cause,
                phrase,
                track_info: None,
                indicator,
            },
        );
        self.state = State::PendingFloorRevoke { holder };
        if self.config.audio_cut_in && cause == RevokeCause::PreEmpted {
            self.enter_idle(now);
        } else {
            self.timers
                .start(Timer::T3StopTalkingGrace, now + self.config.t3);
        }
    }

    fn on_release(&mut self, from: ParticipantId, name: &'static str, now: Instant) {
        if self.profile(from).is_none() {
            return self.discard(name);
        }
        match self.state {
            //= TS 24.380 6.3.4.4.4
            State::FloorTaken { holder } | State::PendingFloorRevoke { holder }
                if holder == from =>
            {
                self.enter_idle(now);
            }
            State::FloorIdle | State::FloorTaken { .. } | State::PendingFloorRevoke { .. } => {
                self.queue.remove(from);
                // Also answers a repeated release whose Floor Idle was lost.
                self.tell_state(from);
            }
            State::StartStop | State::Releasing => self.discard(name),
        }
    }

    fn on_queue_position_request(&mut self, from: ParticipantId, name: &'static str) {
        match self.state {
            State::FloorIdle | State::FloorTaken { .. } | State::PendingFloorRevoke { .. }
                if self.profile(from).is_some() =>
            {
                self.tell_queue_position(from);
            }
            State::StartStop
            | State::FloorIdle
            | State::FloorTaken { .. }
            | State::PendingFloorRevoke { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_rtp(&mut self, from: ParticipantId, name: &'static str, now: Instant) {
        match self.state {
            State::FloorTaken { holder } if holder == from => {
                //= TS 24.380 6.3.4.4.3
                self.timers
                    .start(Timer::T1EndOfRtpMedia, now + self.config.t1);
                if !self.media_seen {
                    self.media_seen = true;
                    self.timers.stop(Timer::T20FloorGranted);
                    self.timers
                        .start(Timer::T2StopTalking, now + self.config.t2);
                }
            }
            State::PendingFloorRevoke { holder } if holder == from => {
                self.timers
                    .start(Timer::T1EndOfRtpMedia, now + self.config.t1);
            }
            State::StartStop
            | State::FloorIdle
            | State::FloorTaken { .. }
            | State::PendingFloorRevoke { .. }
            | State::Releasing => self.discard(name),
        }
    }

    fn on_resources(&mut self, available: bool, now: Instant) {
        self.resources = available;
        if !available {
            self.revoke(RevokeCause::NoResources, now);
        }
    }

    fn on_expiry(&mut self, timer: Timer, now: Instant) {
        match (timer, self.state) {
            //= TS 24.380 6.3.4.4.9
            (
                Timer::T1EndOfRtpMedia,
                State::FloorTaken { .. } | State::PendingFloorRevoke { .. },
            )
            | (Timer::T3StopTalkingGrace, State::PendingFloorRevoke { .. }) => {
                self.enter_idle(now);
            }
            //= TS 24.380 6.3.4.4.10
            (Timer::T2StopTalking, State::FloorTaken { .. }) => {
                self.revoke(RevokeCause::MediaBurstTooLong, now);
            }
            (Timer::T20FloorGranted, State::FloorTaken { holder }) => {
                if self.c20 < self.config.c20 {
                    self.c20 += 1;
                    self.timers
                        .start(Timer::T20FloorGranted, now + self.config.t20);
                    self.tell_granted(holder, now);
                }
            }
            //= TS 24.380 6.3.4.3.4
            (Timer::T7FloorIdle, State::FloorIdle) => {
                if self.c7 < self.config.c7 {
                    self.c7 += 1;
                    self.timers.start(Timer::T7FloorIdle, now + self.config.t7);
                    self.tell_idle_to_all();
                }
            }
            //= TS 24.380 6.3.4.3.5
            (Timer::T4Inactivity, State::FloorIdle) => self.outputs.push_back(Output::Inactive),
            (
                Timer::T1EndOfRtpMedia
                | Timer::T2StopTalking
                | Timer::T3StopTalkingGrace
                | Timer::T4Inactivity
                | Timer::T7FloorIdle
                | Timer::T20FloorGranted,
                _,
            ) => self.discard("expiry of a timer of another state"),
        }
    }

    fn on_call_release(&mut self, name: &'static str) {
        match self.state {
            //= TS 24.380 6.3.4.6.2
            State::FloorIdle | State::FloorTaken { .. } | State::PendingFloorRevoke { .. } => {
                self.timers.stop_all();
                self.queue.clear();
                self.members.clear();
                if self.current.take().is_some() {
                    self.outputs.push_back(Output::TalkerChanged(None));
                }
                self.state = State::Releasing;
            }
            State::StartStop | State::Releasing => self.discard(name),
        }
    }
}

#[cfg(test)]
mod tests;
