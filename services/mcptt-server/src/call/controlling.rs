//! The controlling function's session of a call, without IO (TS 24.379 10.1.1.4, 11.1.1.4).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mc_sip::{McWarning, StatusCode};

use crate::media_plane::LegId;

/// What the group document or the configuration say about setting up and ending the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Members that must answer before the originator is answered; at least one is always needed.
    pub minimum_to_start: u16,
    /// TNG1: how long required members may take, and whether the call then proceeds.
    pub acknowledgement: Option<(Duration, bool)>,
    /// The warning when it does not proceed then.
    pub abandoned: Option<McWarning>,
    /// TNG3: longest duration of the call.
    pub maximum_duration: Option<Duration>,
    /// Whether the call begins as an emergency call.
    pub emergency: bool,
}

/// What happens to the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A member's client answered 200.
    Answered(LegId),
    /// The user of an invited client is alerted.
    Ringing(LegId),
    /// A member's client refused, or could not be reached.
    Refused(LegId, StatusCode, Option<McWarning>),
    /// A client joined the ongoing call by its own INVITE.
    Joined(LegId),
    /// A newly affiliated client is invited (late entry).
    LateEntry(LegId),
    /// A participant sent BYE, or its leg failed.
    Left(LegId),
    /// The originator cancelled before it was answered.
    Cancelled,
    /// An emergency is declared, or over: as long as it lasts, TNG3 does not run.
    Emergency(bool),
    /// T4 ran out.
    FloorIdle,
    /// The group's media or floor control is protected now and was not, or the other way round: no call
    /// goes over from the one to the other.
    ProtectionChanged,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Answer the originator 200, with this warning if any.
    AnswerOriginator(Option<McWarning>),
    /// Tell the originator that somebody is alerted.
    RingOriginator,
    /// Refuse the originator.
    RefuseOriginator(StatusCode, Option<McWarning>),
    /// End a connected leg with BYE, or a pending one with CANCEL.
    Release(LegId),
    /// Nothing is left of the session.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    Inviting { required: bool },
    Connected,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The originator waits for its answer.
    SettingUp,
    Ongoing,
    Ended,
}

/// The session.
#[derive(Debug)]
pub struct Controlling {
    rules: Rules,
    originator: LegId,
    legs: BTreeMap<LegId, Leg>,
    state: State,
    best_refusal: Option<(StatusCode, Option<McWarning>)>,
    ringing: bool,
    /// TNG1 while setting up, TNG3 while ongoing.
    deadline: Option<Instant>,
    emergency: bool,
}

impl Controlling {
    /// Starts a session whose members (`true` = required) are being invited.
    #[must_use]
    pub fn start(
        rules: Rules,
        originator: LegId,
        invited: &[(LegId, bool)],
        now: Instant,
    ) -> (Self, Vec<Action>) {
        let mut session = Self {
            rules,
            originator,
            legs: invited
                .iter()
                .map(|(leg, required)| {
                    (
                        *leg,
                        Leg::Inviting {
                            required: *required,
                        },
                    )
                })
                .collect(),
            state: State::SettingUp,
            best_refusal: None,
            ringing: false,
            deadline: None,
            emergency: rules.emergency,
        };
        if invited.iter().any(|(_, required)| *required) {
            session.deadline = rules.acknowledgement.map(|(tng1, _)| now + tng1);
        }
        let actions = session.progress(now);
        (session, actions)
    }

    /// Whether the call is over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// Whether the originator was answered.
    #[must_use]
    pub fn is_ongoing(&self) -> bool {
        self.state == State::Ongoing
    }

    /// Number of connected participants, the originator included once it is answered.
    #[must_use]
    pub fn participants(&self) -> usize {
        self.legs
            .values()
            .filter(|leg| **leg == Leg::Connected)
            .count()
    }

    /// When [`Controlling::handle_timeout`] wants to be called.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes in an event.
    pub fn handle(&mut self, event: Event, now: Instant) -> Vec<Action> {
        if self.state == State::Ended {
            return match event {
                // Answers that crossed the end of the call.
                Event::Answered(leg) | Event::Joined(leg) => vec![Action::Release(leg)],
                Event::Ringing(_)
                | Event::Refused(..)
                | Event::LateEntry(_)
                | Event::Left(_)
                | Event::Cancelled
                | Event::Emergency(_)
                | Event::FloorIdle
                | Event::ProtectionChanged => Vec::new(),
            };
        }
        match event {
            Event::Answered(leg) | Event::Joined(leg) => {
                self.legs.insert(leg, Leg::Connected);
                self.progress(now)
            }
            Event::LateEntry(leg) => {
                self.legs.insert(leg, Leg::Inviting { required: false });
                Vec::new()
            }
            //= TS 24.379 11.1.1.4.2
            Event::Ringing(_) if self.state == State::SettingUp && !self.ringing => {
                self.ringing = true;
                vec![Action::RingOriginator]
            }
            Event::Ringing(_) => Vec::new(),
            Event::Refused(leg, status, warning) => {
                self.legs.remove(&leg);
                self.best_refusal = Some(better(self.best_refusal, (status, warning)));
                self.progress(now)
            }
            Event::Left(leg) => {
                self.legs.remove(&leg);
                self.progress(now)
            }
            Event::Cancelled => self.end(Some(Action::RefuseOriginator(
                StatusCode::REQUEST_TERMINATED,
                None,
            ))),
            Event::Emergency(emergency) => {
                self.emergency = emergency;
                if self.state == State::Ongoing {
                    self.deadline = self.call_end(now);
                }
                Vec::new()
            }
            //= TS 24.379 6.3.8.1
            Event::FloorIdle => self.end(None),
            //= TS 33.180 L.5.2
            Event::ProtectionChanged => {
                let refusal = Action::RefuseOriginator(StatusCode::NOT_ACCEPTABLE_HERE, None);
                self.end((self.state == State::SettingUp).then_some(refusal))
            }
        }
    }

    /// Runs TNG1 or TNG3 if it is due.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Action> {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        self.deadline = None;
        match self.state {
            State::Ended => Vec::new(),
            State::Ongoing => self.end(None),
            //= TS 24.379 6.3.3.3
            State::SettingUp => {
                let proceed = self
                    .rules
                    .acknowledgement
                    .is_some_and(|(_, proceed)| proceed);
                if proceed && self.participants() > 0 {
                    return self.answer(Some(McWarning::ProceededWithoutRequiredMembers), now);
                }
                let refusal = Action::RefuseOriginator(
                    StatusCode::TEMPORARILY_UNAVAILABLE,
                    self.rules.abandoned,
                );
                self.end(Some(refusal))
            }
        }
    }

    fn progress(&mut self, now: Instant) -> Vec<Action> {
        match self.state {
            State::Ended => Vec::new(),
            State::Ongoing => {
                let pending = self
                    .legs
                    .values()
                    .any(|leg| matches!(leg, Leg::Inviting { .. }));
                if self.participants() <= 1 && !pending {
                    self.end(None)
                } else {
                    Vec::new()
                }
            }
            State::SettingUp => {
                let answered = self.participants();
                let waits = self
                    .legs
                    .values()
                    .any(|leg| *leg == Leg::Inviting { required: true });
                if answered >= usize::from(self.rules.minimum_to_start.max(1)) && !waits {
                    return self.answer(None, now);
                }
                let pending = self
                    .legs
                    .values()
                    .any(|leg| matches!(leg, Leg::Inviting { .. }));
                if pending {
                    return Vec::new();
                }
                // Everybody answered or refused and it is not enough.
                let (status, warning) = self
                    .best_refusal
                    .unwrap_or((StatusCode::TEMPORARILY_UNAVAILABLE, None));
                self.end(Some(Action::RefuseOriginator(status, warning)))
            }
        }
    }

    fn answer(&mut self, warning: Option<McWarning>, now: Instant) -> Vec<Action> {
        self.state = State::Ongoing;
        self.legs.insert(self.originator, Leg::Connected);
        self.deadline = self.call_end(now);
        vec![Action::AnswerOriginator(warning)]
    }

    /// When TNG3 runs out; in an emergency it does not run.
    //= TS 24.379 B.2.1
    fn call_end(&self, now: Instant) -> Option<Instant> {
        let longest = self.rules.maximum_duration.filter(|_| !self.emergency);
        longest.map(|tng3| now + tng3)
    }

    fn end(&mut self, first: Option<Action>) -> Vec<Action> {
        self.state = State::Ended;
        self.deadline = None;
        let legs = std::mem::take(&mut self.legs);
        first
            .into_iter()
            .chain(legs.into_keys().map(Action::Release))
            .chain([Action::End])
            .collect()
    }
}

/// The better of two refusals: 6xx first, then the lower class, then the first seen (RFC 3261 16.7).
fn better(
    seen: Option<(StatusCode, Option<McWarning>)>,
    new: (StatusCode, Option<McWarning>),
) -> (StatusCode, Option<McWarning>) {
    let Some(seen) = seen else { return new };
    match (seen.0.code() / 100, new.0.code() / 100) {
        (6, _) => seen,
        (_, 6) => new,
        (a, b) if b < a => new,
        _ => seen,
    }
}

#[cfg(test)]
mod tests;
