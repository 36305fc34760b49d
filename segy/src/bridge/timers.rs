//! What time does.

use std::time::Instant;

use mc_audio::jitter::Pulled;

use super::types::{ExternalCommand, McCommand};
use super::{Bridge, Call, Refusal, Report, State};

/// Frames of unannounced speech that count as a talker rather than as stragglers.
pub(super) const A_TALKER: usize = 3;

impl Bridge {
    /// When [`super::Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (state, media) = match &self.state {
            State::Idle => (self.hang_end(), None),
            State::AwaitingFloor(awaiting) => (Some(awaiting.until), None),
            State::ToMc(talking) => (Some(talking.until), self.uplink.due()),
            State::DrainingToMc(_) => (None, self.uplink.due().or(self.uplink.end())),
            State::Unannounced { until } => (Some(*until), None),
            State::ToExternal { heard } => {
                (Some(*heard + self.timing.speech_end), self.downlink.due())
            }
            State::DrainingToExternal { since } if self.downlink.is_empty() => {
                let end = *since + self.timing.tail;
                (
                    None,
                    Some(self.downlink.due().map_or(end, |due| due.max(end))),
                )
            }
            State::DrainingToExternal { .. } => (None, self.downlink.due()),
            State::NotRelayed => (None, None),
        };
        [state, media, self.releasing].into_iter().flatten().min()
    }

    fn hang_end(&self) -> Option<Instant> {
        (self.call == Call::Up).then(|| self.active + self.timing.hang)
    }

    pub(super) fn on_timeout(&mut self, now: Instant) {
        if self.releasing.is_some_and(|due| due <= now) {
            self.releasing = None;
            self.ask(now);
        }
        match self.state {
            State::Idle => {
                if self.hang_end().is_some_and(|end| end <= now) {
                    self.call = Call::Leaving;
                    self.tell_mc(McCommand::LeaveCall);
                }
            }
            State::AwaitingFloor(ref awaiting) if awaiting.until <= now => self.on_no_grant(now),
            State::ToMc(ref talking) if talking.until <= now => self.on_talk_limit(now),
            State::ToMc(_) => self.send_due(now),
            State::DrainingToMc(_) => self.drain_uplink(now),
            State::Unannounced { until } if until <= now => self.on_unannounced(now),
            State::ToExternal { heard } => {
                self.play_due(now);
                if heard + self.timing.speech_end <= now {
                    self.finish_relaying(now);
                }
            }
            State::DrainingToExternal { since } => self.drain_downlink(since, now),
            State::AwaitingFloor(_) | State::Unannounced { .. } | State::NotRelayed => {}
        }
    }

    fn on_no_grant(&mut self, now: Instant) {
        if let State::AwaitingFloor(awaiting) = &self.state {
            let (talker, ended) = (awaiting.talker.clone(), awaiting.ended);
            let refusal = Refusal::NoAnswer;
            if ended {
                self.report(Report::Refused { talker, refusal });
            } else {
                self.refuse(talker, refusal);
            }
        }
        self.give_up(now);
    }

    fn on_talk_limit(&mut self, now: Instant) {
        self.release_floor(now);
        self.on_lost_floor(Refusal::TalkLimit, now);
    }

    fn on_unannounced(&mut self, now: Instant) {
        if self.downlink.len() >= A_TALKER {
            self.relay(now);
        } else {
            self.downlink.clear();
            self.state = State::Idle;
        }
    }

    /// Plays what is due.
    fn play_due(&mut self, now: Instant) {
        while let Some(pulled) = self.downlink.pull(now) {
            match pulled {
                Pulled::Frame(speech) => self.tell_external(ExternalCommand::Speech(speech)),
                Pulled::Lost => self.tell_external(ExternalCommand::Lost),
                Pulled::Silence => self.tell_external(ExternalCommand::Silence),
            }
        }
    }

    /// Plays the rest, and releases when the last frame has been heard.
    fn drain_downlink(&mut self, since: Instant, now: Instant) {
        if !self.downlink.is_empty() {
            return self.play_due(now);
        }
        let heard = self.downlink.due().is_none_or(|due| due <= now);
        if heard && since + self.timing.tail <= now {
            self.stop_relaying(true);
            self.settle(now);
        }
    }
}
