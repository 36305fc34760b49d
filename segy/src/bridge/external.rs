//! What the external side does.

use std::time::Instant;

use super::types::{ExternalTalker, McCommand, Speech};
use super::{Awaiting, Bridge, Call, Refusal, Report, State, Talking};
use crate::user_map::Represented;

impl Bridge {
    pub(super) fn on_external_up(&mut self, now: Instant) {
        self.external_up = true;
        if self.state == State::NotRelayed {
            self.relay(now);
        }
    }

    pub(super) fn on_external_down(&mut self, now: Instant) {
        self.external_up = false;
        match self.state {
            State::AwaitingFloor(_) | State::ToMc(_) => self.on_ptt_off(now),
            State::ToExternal { .. } => {
                self.stop_relaying(false);
                self.state = State::NotRelayed;
            }
            State::DrainingToExternal { .. } => {
                self.stop_relaying(false);
                self.settle(now);
            }
            State::Unannounced { .. } => {
                self.downlink.clear();
                self.state = State::Idle;
            }
            State::Idle | State::DrainingToMc(_) | State::NotRelayed => {}
        }
    }

    /// A press; whether it is heard is decided by the map, then by the floor control server.
    pub(super) fn on_ptt_on(&mut self, talker: ExternalTalker, now: Instant) {
        match &mut self.state {
            // The same user, described better, or pressing again before he was heard out.
            State::AwaitingFloor(awaiting) if awaiting.talker.unit == talker.unit => {
                awaiting.ended = false;
                awaiting.talker = talker;
                return;
            }
            State::ToMc(talking) if talking.talker.unit == talker.unit => {
                talking.talker = talker;
                return;
            }
            State::DrainingToMc(talking) if talking.talker.unit == talker.unit => {
                let talking = Talking {
                    talker,
                    ..talking.clone()
                };
                self.state = State::ToMc(talking);
                return;
            }
            State::Idle
            | State::AwaitingFloor(_)
            | State::ToMc(_)
            | State::DrainingToMc(_)
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => {}
        }
        self.clear_for_press(now);
        match self.users.represent(talker.unit.as_deref()) {
            _ if self.call == Call::Unavailable => {
                self.turn_away(talker, Refusal::McUnavailable, now);
            }
            None => self.turn_away(talker, Refusal::Unmapped, now),
            Some(represented) => self.await_floor(talker, represented, now),
        }
    }

    /// The external channel is a new user's: whoever had it before has it no more.
    fn clear_for_press(&mut self, now: Instant) {
        match &self.state {
            State::AwaitingFloor(awaiting) => {
                if awaiting.asked && self.call == Call::Up {
                    self.release_floor(now);
                }
            }
            State::ToMc(_) | State::DrainingToMc(_) => {
                self.report(Report::TalkEnded);
                self.release_floor(now);
            }
            State::ToExternal { .. } | State::DrainingToExternal { .. } => {
                self.stop_relaying(true);
            }
            State::Unannounced { .. } => self.downlink.clear(),
            State::Idle | State::NotRelayed => {}
        }
    }

    fn turn_away(&mut self, talker: ExternalTalker, refusal: Refusal, now: Instant) {
        self.refuse(talker, refusal);
        self.settle(now);
    }

    fn await_floor(&mut self, talker: ExternalTalker, represented: Represented, now: Instant) {
        self.uplink.clear();
        self.state = State::AwaitingFloor(Awaiting {
            talker,
            represented,
            ended: false,
            asked: false,
            retried: false,
            queued: false,
            until: now + self.timing.grant_wait,
        });
        self.ask(now);
    }

    pub(super) fn on_ptt_off(&mut self, now: Instant) {
        match &mut self.state {
            State::AwaitingFloor(awaiting) => {
                awaiting.ended = true;
                if self.uplink.is_empty() {
                    self.give_up(now);
                }
            }
            State::ToMc(talking) => {
                let talking = talking.clone();
                self.state = State::DrainingToMc(talking);
                self.drain_uplink(now);
            }
            // The external channel is free again.
            State::NotRelayed => self.relay(now),
            State::Idle
            | State::DrainingToMc(_)
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. } => {}
        }
    }

    /// Withdraws the request for the floor.
    pub(super) fn give_up(&mut self, now: Instant) {
        if let State::AwaitingFloor(awaiting) = &self.state
            && awaiting.asked
            && self.call == Call::Up
        {
            self.release_floor(now);
        }
        self.settle(now);
    }

    pub(super) fn on_external_speech(&mut self, speech: Speech, now: Instant) {
        let fits = match &self.state {
            State::AwaitingFloor(awaiting) if !awaiting.ended => self.uplink.push(speech, now),
            State::ToMc(_) => {
                let fits = self.uplink.push(speech, now);
                self.send_due(now);
                fits
            }
            // A user who was refused and goes on talking.
            State::Idle
            | State::AwaitingFloor(_)
            | State::DrainingToMc(_)
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => true,
        };
        if !fits {
            self.report(Report::Overflow);
        }
    }

    /// The external side does not carry the MC user; the press is not repeated.
    pub(super) fn on_press_denied(&mut self, now: Instant) {
        match self.state {
            State::ToExternal { .. } => {
                self.stop_relaying(false);
                self.report(Report::NotRelayed);
                self.state = State::NotRelayed;
            }
            State::DrainingToExternal { .. } => {
                self.stop_relaying(false);
                self.settle(now);
            }
            // Told already by the press of the external user who has the channel now.
            State::Idle
            | State::AwaitingFloor(_)
            | State::ToMc(_)
            | State::DrainingToMc(_)
            | State::Unannounced { .. }
            | State::NotRelayed => {}
        }
    }

    /// Sends the frames whose time has come.
    pub(super) fn send_due(&mut self, now: Instant) {
        while let Some(speech) = self.uplink.pop(now) {
            self.tell_mc(McCommand::Speech(speech));
        }
        self.active = now;
    }

    /// Sends what is due and gives the floor back after the last frame.
    pub(super) fn drain_uplink(&mut self, now: Instant) {
        self.send_due(now);
        if self.uplink.end().is_some_and(|end| end <= now) {
            self.report(Report::TalkEnded);
            self.release_floor(now);
            self.settle(now);
        }
    }
}
