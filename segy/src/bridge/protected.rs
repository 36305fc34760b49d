//! What the MC side does.

use std::time::{Duration, Instant};

use mc_audio::jitter::Stamp;

use super::timers::A_TALKER;
use super::types::{McCommand, McTalker, Speech};
use super::{Bridge, Call, Direction, Refusal, Report, State, Talking};

/// Why calls end with the MC side.
const MC_DOWN: &str = "the MC side is down";

impl Bridge {
    pub(super) fn on_mc_up(&mut self) {
        if self.call == Call::Unavailable {
            self.call = Call::Down;
        }
    }

    pub(super) fn on_mc_down(&mut self, now: Instant) {
        if let State::AwaitingFloor(awaiting) = &mut self.state {
            // There is no other try without a server.
            awaiting.retried = true;
        }
        if matches!(self.call, Call::Up | Call::Leaving) {
            self.report(Report::CallEnded {
                reason: MC_DOWN.to_owned(),
            });
        }
        self.call = Call::Unavailable;
        self.end_call(MC_DOWN.to_owned(), now);
    }

    pub(super) fn on_call_started(&mut self, now: Instant) {
        self.active = now;
        if std::mem::replace(&mut self.call, Call::Up) != Call::Up {
            self.report(Report::CallBridged);
        }
        let State::AwaitingFloor(awaiting) = &self.state else {
            return;
        };
        if awaiting.asked {
            // Whether the server took the call itself as a request is not known; twice does no harm.
            let represented = awaiting.represented.clone();
            self.tell_mc(McCommand::RequestFloor(represented));
        } else {
            // The call asked for the floor for somebody else.
            self.release_floor(now);
        }
    }

    /// An MC user who talks is shown as one in an emergency, or no longer: the external system gives
    /// it its own priority.
    //= TS 23.283 10.6
    pub(super) fn on_emergency(&mut self, active: bool, now: Instant) {
        let changed = std::mem::replace(&mut self.mc_emergency, active) != active;
        match self.state {
            State::ToExternal { .. } if changed => {
                let talker = self.mc_talker.clone().unwrap_or_default();
                self.press(&talker);
            }
            // Refused before; now he may take the channel.
            State::NotRelayed if changed && active => self.relay(now),
            State::Idle
            | State::AwaitingFloor(_)
            | State::ToMc(_)
            | State::DrainingToMc(_)
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => {}
        }
    }

    pub(super) fn on_call_refused(&mut self, status: u16, detail: String, now: Instant) {
        if self.call != Call::Calling {
            return;
        }
        self.call = Call::Down;
        self.on_denied(Refusal::CallRefused { status, detail }, now);
        // A user who came while the call was made for another gets a call of his own.
        self.ask(now);
    }

    pub(super) fn on_call_released(&mut self, reason: String, now: Instant) {
        // The end of an earlier call says nothing about the one that is being made.
        if matches!(self.call, Call::Up | Call::Leaving) {
            self.report(Report::CallEnded {
                reason: reason.clone(),
            });
            self.call = Call::Down;
            self.end_call(reason, now);
        }
    }

    fn end_call(&mut self, reason: String, now: Instant) {
        self.mc_talker = None;
        self.mc_emergency = false;
        self.releasing = None;
        match &mut self.state {
            State::AwaitingFloor(awaiting) if awaiting.retried => {
                self.on_lost_floor(Refusal::CallReleased(reason), now);
            }
            // The call ended at the moment of the press: it is made anew, once.
            State::AwaitingFloor(awaiting) => {
                awaiting.retried = true;
                awaiting.asked = false;
                self.ask(now);
            }
            State::ToMc(_) | State::DrainingToMc(_) => {
                self.on_lost_floor(Refusal::CallReleased(reason), now);
            }
            State::ToExternal { .. } => self.finish_relaying(now),
            State::Unannounced { .. } | State::NotRelayed => {
                self.downlink.clear();
                self.state = State::Idle;
            }
            State::Idle | State::DrainingToExternal { .. } => {}
        }
    }

    pub(super) fn on_granted(&mut self, duration: Option<Duration>, now: Instant) {
        match &self.state {
            State::AwaitingFloor(awaiting) if awaiting.asked => {
                let longest = duration
                    .unwrap_or(Duration::MAX)
                    .min(self.timing.talk_limit);
                let talking = Talking {
                    talker: awaiting.talker.clone(),
                    represented: awaiting.represented.clone(),
                    until: now + longest,
                };
                let ended = awaiting.ended;
                let (talker, represented) = (talking.talker.clone(), talking.represented.clone());
                self.report(Report::TalkStarted(Direction::ToMc {
                    talker,
                    represented,
                }));
                self.uplink.start(now);
                if ended {
                    self.state = State::DrainingToMc(talking);
                    self.drain_uplink(now);
                } else {
                    self.state = State::ToMc(talking);
                    self.send_due(now);
                }
            }
            State::ToMc(_) | State::DrainingToMc(_) => {}
            // Too late: nobody wants it any more.
            State::Idle
            | State::AwaitingFloor(_)
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => self.release_floor(now),
        }
    }

    /// The request came to nothing.
    pub(super) fn on_denied(&mut self, refusal: Refusal, now: Instant) {
        if let State::AwaitingFloor(awaiting) = &self.state
            && awaiting.asked
        {
            self.on_lost_floor(refusal, now);
        }
    }

    pub(super) fn on_queued(&mut self) {
        if let State::AwaitingFloor(awaiting) = &mut self.state {
            // A radio cannot be told to wait: it is refused when the wait becomes too long.
            awaiting.queued = awaiting.asked;
        }
    }

    //= TS 24.380 6.2.4.5.4
    pub(super) fn on_revoked(&mut self, cause: u16, phrase: String, now: Instant) {
        let asked = match &self.state {
            State::AwaitingFloor(awaiting) => awaiting.asked,
            State::ToMc(_) | State::DrainingToMc(_) => true,
            State::Idle
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => false,
        };
        if asked {
            // The client answers with a Floor Release of its own.
            self.releasing = Some(now + self.timing.release_wait);
            self.on_lost_floor(Refusal::FloorRevoked { cause, phrase }, now);
        }
    }

    /// An external user is not heard, or no longer; an MC user who talks is.
    pub(super) fn on_lost_floor(&mut self, refusal: Refusal, now: Instant) {
        let (talker, pressed, heard) = match &self.state {
            State::AwaitingFloor(awaiting) => (awaiting.talker.clone(), !awaiting.ended, false),
            State::ToMc(talking) => (talking.talker.clone(), true, true),
            State::DrainingToMc(talking) => (talking.talker.clone(), false, true),
            State::Idle
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => return,
        };
        if heard {
            self.report(Report::TalkEnded);
        }
        if pressed {
            self.refuse(talker, refusal);
        } else {
            self.report(Report::Refused { talker, refusal });
        }
        self.settle(now);
    }

    pub(super) fn on_taken(&mut self, talker: McTalker, now: Instant) {
        if talker.id.as_deref().is_some_and(|id| self.users.is_own(id)) {
            return self.report(Report::Echo);
        }
        let changed = self.mc_talker.as_ref() != Some(&talker);
        self.mc_talker = Some(talker);
        self.releasing = None;
        match self.state {
            State::Idle | State::Unannounced { .. } => self.relay(now),
            State::ToExternal { .. } | State::DrainingToExternal { .. } if changed => {
                // His words may still be played; the next talker's follow them.
                self.report(Report::TalkEnded);
                self.relay(now);
            }
            State::NotRelayed if changed => self.relay(now),
            State::AwaitingFloor(_) => self.ask(now),
            // Two at a time (dual floor): a half-duplex external user hears neither.
            State::ToMc(_) | State::DrainingToMc(_) => {}
            State::ToExternal { .. } | State::DrainingToExternal { .. } | State::NotRelayed => {}
        }
    }

    pub(super) fn on_idle(&mut self, now: Instant) {
        self.releasing = None;
        self.active = now;
        match self.state {
            State::ToExternal { .. } => self.finish_relaying(now),
            State::Unannounced { .. } if self.downlink.len() >= A_TALKER => {
                self.relay(now);
                self.finish_relaying(now);
            }
            State::Unannounced { .. } => {
                self.downlink.clear();
                self.state = State::Idle;
            }
            State::NotRelayed => self.state = State::Idle,
            State::AwaitingFloor(_) => self.ask(now),
            State::Idle
            | State::ToMc(_)
            | State::DrainingToMc(_)
            | State::DrainingToExternal { .. } => {}
        }
        self.mc_talker = None;
    }

    /// The MC user has finished; what he said is played to its end.
    pub(super) fn finish_relaying(&mut self, now: Instant) {
        self.mc_talker = None;
        self.downlink.end();
        self.state = State::DrainingToExternal { since: now };
    }

    pub(super) fn on_mc_speech(&mut self, stamp: Stamp, speech: Speech, now: Instant) {
        match &mut self.state {
            State::ToExternal { heard } => *heard = now,
            State::Idle if self.call == Call::Up && self.external_up => {
                let until = now + self.timing.announce_wait;
                self.state = State::Unannounced { until };
            }
            State::Unannounced { .. } | State::DrainingToExternal { .. } => {}
            // The external channel is not ours: what is said is lost there.
            State::Idle
            | State::AwaitingFloor(_)
            | State::ToMc(_)
            | State::DrainingToMc(_)
            | State::NotRelayed => return,
        }
        self.downlink.push(stamp, speech, now);
    }
}
