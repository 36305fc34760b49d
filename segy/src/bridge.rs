//! One external channel joined to one MC call: the only place with call logic.
//!
//! A talkgroup's channel stands, and calls of its group come and go by themselves: that is this file.
//! A private call has two ends that come and go together; `private` sets it up and ends it, and what
//! is said in it goes through here too.
//!
//! ```text
//!              PTT on                    Granted                  PTT off
//!       Idle ─────────▶ AwaitingFloor ─────────────▶ ToMc ──────────────▶ DrainingToMc ──▶ Idle
//!        │ ▲               │  ▲ PTT on                │ Revoked, limit         last frame
//!        │ └── Deny, wait ─┘  │                       └──▶ refused ──▶ Idle
//!  Taken │                    │
//!        ▼                    │              Idle, silence
//!   ToExternal ───────────────┴─────────────────────────▶ DrainingToExternal ──▶ Idle
//!        │ ▲  the external side does not carry it            last frame
//!        ▼ │
//!   NotRelayed
//! ```
//!
//! The external side's user speaks under a functional alias or an identity of its own ([`UserMap`]).
//! What he says before the floor is granted is kept and sent in real time afterwards, so the first
//! syllable is heard. When both sides talk at once the floor control server decides, and nobody
//! else: an external press is always a Floor Request, and only its refusal gives the external
//! channel back to the MC talker. Nothing is asked twice for one press, so there is no ping-pong.
//!
//! Feed [`Input`]s, then drain [`Bridge::poll_output`]; call `handle` with [`Input::Timeout`] no
//! later than [`Bridge::poll_timeout`].

mod downlink;
mod external;
mod private;
mod protected;
mod report;
mod timers;
mod types;
mod uplink;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::user_map::{Represented, UserMap};
use downlink::Downlink;
pub use private::{Origin, PrivateCall};
pub use report::{Direction, Refusal, Report, Status};
pub use types::{
    ExternalCommand, ExternalEvent, ExternalTalker, Failure, Input, McCommand, McEvent, McTalker,
    Output, Shown, Speech, Timing,
};
use uplink::Uplink;

/// Who talks, as seen from the bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody.
    Idle,
    /// An external user; the floor is asked for, what he says is kept.
    AwaitingFloor(Awaiting),
    /// An external user, heard on the MC side.
    ToMc(Talking),
    /// The external user has finished; the rest of what he said goes out.
    DrainingToMc(Talking),
    /// MC speech came that no Floor Taken has announced yet.
    Unannounced {
        /// Until when an announcement is awaited.
        until: Instant,
    },
    /// An MC user, heard on the external side.
    ToExternal {
        /// When the last frame came, or the floor was taken.
        heard: Instant,
    },
    /// The MC user has finished; the rest of what he said is played.
    DrainingToExternal {
        /// When he finished.
        since: Instant,
    },
    /// An MC user whom the external side does not carry: it refused, or is not there.
    NotRelayed,
}

/// An external user who waits for the floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Awaiting {
    talker: ExternalTalker,
    represented: Represented,
    /// The key was released already.
    ended: bool,
    /// The floor was asked for, in the call's set-up or by a Floor Request.
    asked: bool,
    /// A call that ended meanwhile was made again.
    retried: bool,
    queued: bool,
    /// When the wait is given up.
    until: Instant,
}

/// An external user who has the floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Talking {
    talker: ExternalTalker,
    represented: Represented,
    /// When he has talked long enough.
    until: Instant,
}

/// The MC call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// The MC side is not ready for calls.
    Unavailable,
    /// None is up.
    Down,
    /// We called.
    Calling,
    /// One is up.
    Up,
    /// We hung up.
    Leaving,
}

/// The bridge.
#[derive(Debug)]
pub struct Bridge {
    timing: Timing,
    users: Arc<UserMap>,
    state: State,
    call: Call,
    external_up: bool,
    /// Who has the floor on the MC side, if it is none of ours.
    mc_talker: Option<McTalker>,
    /// An emergency is in progress on the MC side.
    mc_emergency: bool,
    /// A Floor Release of ours is unconfirmed: until then, the floor cannot be asked for.
    releasing: Option<Instant>,
    /// When somebody talked last.
    active: Instant,
    uplink: Uplink,
    downlink: Downlink,
    outputs: VecDeque<Output>,
}

impl Bridge {
    /// A bridge whose sides are both down.
    #[must_use]
    pub fn new(timing: Timing, users: Arc<UserMap>, now: Instant) -> Self {
        Self {
            uplink: Uplink::new(timing.grant_wait),
            downlink: Downlink::new(),
            timing,
            users,
            state: State::Idle,
            call: Call::Unavailable,
            external_up: false,
            mc_talker: None,
            mc_emergency: false,
            releasing: None,
            active: now,
            outputs: VecDeque::new(),
        }
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes one input at the time `now`.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::External(event) => self.on_external(event, now),
            Input::Mc(event) => self.on_mc(event, now),
            Input::Timeout => self.on_timeout(now),
        }
    }

    fn on_external(&mut self, event: ExternalEvent, now: Instant) {
        match event {
            ExternalEvent::Up => self.on_external_up(now),
            ExternalEvent::Down => self.on_external_down(now),
            ExternalEvent::PttOn(talker) => self.on_ptt_on(talker, now),
            ExternalEvent::PttOff => self.on_ptt_off(now),
            ExternalEvent::Speech(speech) => self.on_external_speech(speech, now),
            ExternalEvent::PressDenied => self.on_press_denied(now),
            // A talkgroup is not called.
            ExternalEvent::Ringing | ExternalEvent::Refused(_) => {}
        }
    }

    fn on_mc(&mut self, event: McEvent, now: Instant) {
        match event {
            McEvent::Up => self.on_mc_up(),
            McEvent::Down => self.on_mc_down(now),
            McEvent::Ringing => {}
            McEvent::CallStarted => self.on_call_started(now),
            McEvent::Emergency(active) => self.on_emergency(active, now),
            McEvent::CallRefused { status, detail } => self.on_call_refused(status, detail, now),
            McEvent::CallReleased { reason } => self.on_call_released(reason, now),
            McEvent::FloorGranted { duration } => self.on_granted(duration, now),
            McEvent::FloorTaken(talker) => self.on_taken(talker, now),
            McEvent::FloorIdle => self.on_idle(now),
            McEvent::FloorDenied { cause, phrase } => {
                self.on_denied(Refusal::FloorDenied { cause, phrase }, now);
            }
            McEvent::FloorQueued => self.on_queued(),
            McEvent::FloorRevoked { cause, phrase } => self.on_revoked(cause, phrase, now),
            McEvent::FloorRequestTimedOut => self.on_denied(Refusal::NoAnswer, now),
            McEvent::Speech(stamp, speech) => self.on_mc_speech(stamp, speech, now),
        }
    }

    fn tell_external(&mut self, command: ExternalCommand) {
        self.outputs.push_back(Output::External(command));
    }

    fn tell_mc(&mut self, command: McCommand) {
        self.outputs.push_back(Output::Mc(command));
    }

    fn report(&mut self, report: Report) {
        self.outputs.push_back(Output::Report(report));
    }

    /// Asks for the floor as soon as that is possible, once for each press.
    fn ask(&mut self, now: Instant) {
        let State::AwaitingFloor(awaiting) = &mut self.state else {
            return;
        };
        if awaiting.asked {
            return;
        }
        let (represented, emergency) = (awaiting.represented.clone(), awaiting.talker.emergency);
        match self.call {
            Call::Up if self.releasing.is_none() => {
                awaiting.asked = true;
                self.tell_mc(match emergency {
                    true => McCommand::DeclareEmergency(represented),
                    false => McCommand::RequestFloor(represented),
                });
            }
            Call::Down => {
                awaiting.asked = true;
                self.call = Call::Calling;
                //= TS 24.379 10.1.1.2.1.1
                self.tell_mc(match emergency {
                    true => McCommand::DeclareEmergency(represented),
                    false => McCommand::StartCall(represented),
                });
            }
            // The call's answer, its end, the confirmation of a release bring us back here.
            Call::Up | Call::Calling | Call::Leaving | Call::Unavailable => {}
        }
        self.active = now;
    }

    fn release_floor(&mut self, now: Instant) {
        //= TS 24.380 6.2.4.5.3
        self.tell_mc(McCommand::ReleaseFloor);
        self.releasing = Some(now + self.timing.release_wait);
    }

    /// Tells the external side that its user is not heard.
    fn refuse(&mut self, talker: ExternalTalker, refusal: Refusal) {
        self.tell_external(ExternalCommand::Refuse);
        self.report(Report::Refused { talker, refusal });
    }

    /// The external channel is free of its own users: an MC user who talks gets it.
    fn settle(&mut self, now: Instant) {
        self.uplink.clear();
        self.active = now;
        if self.mc_talker.is_some() {
            self.relay(now);
        } else {
            self.state = State::Idle;
        }
    }

    /// Presses on the external side for the MC user who talks.
    fn relay(&mut self, now: Instant) {
        let talker = self.mc_talker.clone().unwrap_or_default();
        if self.external_up {
            self.press(&talker);
            self.report(Report::TalkStarted(Direction::to_external(&talker)));
            self.state = State::ToExternal { heard: now };
        } else {
            self.state = State::NotRelayed;
        }
    }

    fn press(&mut self, talker: &McTalker) {
        let shown = Shown {
            emergency: self.mc_emergency,
            ..self.users.shown(talker)
        };
        self.tell_external(ExternalCommand::Press(shown));
    }

    /// The MC user is heard on the external side no more.
    fn stop_relaying(&mut self, release: bool) {
        self.downlink.clear();
        if release {
            self.tell_external(ExternalCommand::Release);
        }
        self.report(Report::TalkEnded);
    }

    /// Frames of MC users made up for lost ones so far.
    #[must_use]
    pub fn concealed(&self) -> u64 {
        self.downlink.statistics().concealed
    }

    /// What goes on, for people.
    #[must_use]
    pub fn status(&self) -> Status {
        Status::of(self)
    }
}

/// What carries a call: a bridge, with or without a set-up of its own.
pub trait Carrier: Send {
    /// Takes one input at the time `now`.
    fn handle(&mut self, input: Input, now: Instant);
    /// The next thing to do, oldest first.
    fn poll_output(&mut self) -> Option<Output>;
    /// When [`Input::Timeout`] is due.
    fn poll_timeout(&self) -> Option<Instant>;
    /// The bridge, for status.
    fn bridge(&self) -> &Bridge;
    /// Whether nothing will happen any more.
    fn is_over(&self) -> bool;
}

impl Carrier for Bridge {
    fn handle(&mut self, input: Input, now: Instant) {
        Self::handle(self, input, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn bridge(&self) -> &Bridge {
        self
    }

    /// A talkgroup stays joined.
    fn is_over(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
