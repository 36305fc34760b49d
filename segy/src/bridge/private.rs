//! A private call: its set-up and its end. What is said in it is the bridge's.
//!
//! ```text
//!   external user calls: MC side asked ── alerted ── answered ─▶ answer him ─┐
//!                             │ refused, no answer                           ├─▶ Up ─▶ Over
//!   MC user calls:   external user asked ─ answered ─▶ answer him ─▶ started ┘
//!                             │ refused, no answer
//!                             └──────▶ the caller is told ─▶ Over
//! ```
//!
//! When either end leaves, the other one is told; dropping the external port hangs up there.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{
    Bridge, Carrier, ExternalCommand, ExternalEvent, Failure, Input, McCommand, McEvent, Output,
    Report, Timing,
};
use crate::user_map::{Represented, UserMap};

/// Who called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The external user.
    External(Represented),
    /// The MC user.
    Mc,
}

/// How far the call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The MC user is called.
    AskingMc,
    /// The external user is called; the MC side may have answered by itself.
    AskingExternal,
    /// The external user has answered; the MC side is told.
    Answering,
    Up,
    Over,
}

/// A private call between one external user and one MC user.
#[derive(Debug)]
pub struct PrivateCall {
    bridge: Bridge,
    unit: String,
    phase: Phase,
    mc_up: bool,
    /// When the set-up is given up.
    until: Instant,
    outputs: VecDeque<Output>,
}

impl PrivateCall {
    /// A call that begins now, of the external user `unit`; `users` says as whom he speaks, and
    /// nobody else may speak in it.
    #[must_use]
    pub fn new(
        origin: Origin,
        unit: &str,
        timing: Timing,
        users: &UserMap,
        answer_wait: Duration,
        now: Instant,
    ) -> Self {
        let users = Arc::new(users.only(unit));
        let mut call = Self {
            bridge: Bridge::new(timing, users, now),
            unit: unit.to_owned(),
            phase: Phase::AskingExternal,
            mc_up: false,
            until: now + answer_wait,
            outputs: VecDeque::new(),
        };
        call.bridge.handle(Input::Mc(McEvent::Up), now);
        if let Origin::External(represented) = origin {
            call.phase = Phase::AskingMc;
            //= TS 24.379 11.1.1.2.1.1
            call.tell_mc(McCommand::StartCall(represented));
        }
        call
    }

    fn tell_mc(&mut self, command: McCommand) {
        self.outputs.push_back(Output::Mc(command));
    }

    fn tell_external(&mut self, command: ExternalCommand) {
        self.outputs.push_back(Output::External(command));
    }

    fn on_external(&mut self, event: ExternalEvent, now: Instant) {
        match event {
            ExternalEvent::Up => self.on_external_up(now),
            ExternalEvent::Down => self.end(Failure::Unavailable, "ended by the radio side", now),
            ExternalEvent::Refused(failure) => {
                self.end(failure, "refused by the radio side", now);
            }
            ExternalEvent::PttOn(mut talker) => {
                // A system that does not tell who talks tells nothing new: there is only one.
                talker.unit.get_or_insert_with(|| self.unit.clone());
                self.carry(Input::External(ExternalEvent::PttOn(talker)), now);
            }
            // The MC side was told so when it called.
            ExternalEvent::Ringing => {}
            ExternalEvent::PttOff | ExternalEvent::Speech(_) | ExternalEvent::PressDenied => {
                self.carry(Input::External(event), now);
            }
        }
    }

    /// Hands to the bridge what belongs to a call that is up.
    fn carry(&mut self, input: Input, now: Instant) {
        if self.phase == Phase::Up {
            self.bridge.handle(input, now);
        }
    }

    fn on_external_up(&mut self, now: Instant) {
        self.bridge.handle(Input::External(ExternalEvent::Up), now);
        if self.phase != Phase::AskingExternal {
            return;
        }
        if self.mc_up {
            self.phase = Phase::Up;
        } else {
            self.phase = Phase::Answering;
            //= TS 24.379 11.1.1.2.1.2
            self.tell_mc(McCommand::Answer);
        }
    }

    fn on_mc(&mut self, event: McEvent, now: Instant) {
        match event {
            McEvent::Ringing if self.phase == Phase::AskingMc => {
                self.tell_external(ExternalCommand::Alert);
            }
            McEvent::Ringing | McEvent::Up => {}
            McEvent::CallStarted => self.on_started(now),
            McEvent::CallRefused { status, ref detail } => {
                self.end(Failure::of_status(status), &detail.clone(), now);
            }
            McEvent::CallReleased { ref reason } => {
                self.end(Failure::Unavailable, &reason.clone(), now);
            }
            McEvent::Down => self.end(Failure::Unavailable, "the MC side is down", now),
            McEvent::FloorGranted { .. }
            | McEvent::FloorTaken(_)
            | McEvent::FloorIdle
            | McEvent::FloorDenied { .. }
            | McEvent::FloorQueued
            | McEvent::Emergency(_)
            | McEvent::FloorRevoked { .. }
            | McEvent::FloorRequestTimedOut
            | McEvent::Speech(..) => self.bridge.handle(Input::Mc(event), now),
        }
    }

    fn on_started(&mut self, now: Instant) {
        self.mc_up = true;
        self.bridge.handle(Input::Mc(McEvent::CallStarted), now);
        match self.phase {
            Phase::AskingMc => {
                self.phase = Phase::Up;
                self.tell_external(ExternalCommand::Answer);
            }
            Phase::Answering => self.phase = Phase::Up,
            // Answered by itself, because the caller forces it: the external user is still called.
            Phase::AskingExternal | Phase::Up | Phase::Over => {}
        }
    }

    /// Ends what is there of the call; the caller hears why it did not come up.
    fn end(&mut self, failure: Failure, detail: &str, now: Instant) {
        let before = std::mem::replace(&mut self.phase, Phase::Over);
        match before {
            Phase::Over => return,
            Phase::AskingMc => self.tell_external(ExternalCommand::Reject(failure)),
            Phase::AskingExternal if !self.mc_up => self.tell_mc(McCommand::Reject(failure)),
            Phase::AskingExternal | Phase::Answering | Phase::Up => {}
        }
        if before != Phase::Up {
            let detail = detail.to_owned();
            let report = Report::NotReached { failure, detail };
            self.outputs.push_back(Output::Report(report));
        }
        // Whoever talks is heard no more, and that is recorded.
        let reason = detail.to_owned();
        self.bridge
            .handle(Input::Mc(McEvent::CallReleased { reason }), now);
        self.tell_mc(McCommand::LeaveCall);
    }

    /// What the bridge wants; of a call that is over only what it reports.
    fn take_outputs(&mut self) {
        while let Some(output) = self.bridge.poll_output() {
            match output {
                Output::Mc(McCommand::LeaveCall) if self.phase == Phase::Up => {
                    self.phase = Phase::Over;
                    self.outputs.push_back(output);
                }
                Output::Report(_) => self.outputs.push_back(output),
                Output::Mc(_) | Output::External(_) if self.phase == Phase::Over => {}
                Output::Mc(_) | Output::External(_) => self.outputs.push_back(output),
            }
        }
    }
}

impl Carrier for PrivateCall {
    fn handle(&mut self, input: Input, now: Instant) {
        if self.phase == Phase::Over {
            return;
        }
        match input {
            Input::External(event) => self.on_external(event, now),
            Input::Mc(event) => self.on_mc(event, now),
            Input::Timeout => {
                let setting_up = self.phase != Phase::Up;
                if setting_up && self.until <= now {
                    self.end(Failure::Unavailable, "not answered in time", now);
                }
                self.bridge.handle(Input::Timeout, now);
            }
        }
        self.take_outputs();
    }

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let set_up = (self.phase != Phase::Up).then_some(self.until);
        [set_up, self.bridge.poll_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    fn bridge(&self) -> &Bridge {
        &self.bridge
    }

    fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }
}

#[cfg(test)]
mod tests;
