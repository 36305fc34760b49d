//! The floor control server of one session (TS 24.380 6.3): general arbitration, one machine per
//! participant, and the wiring between them.

pub mod config;
pub mod general;
pub mod participant;
mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

pub use config::{CallType, Condition, Config, FunctionalAliases, ParticipantId, Profile};
use general::GeneralFloorControl;
use participant::TowardsParticipant;

use crate::message::{FloorPacket, FloorRequest};

/// What happens to the session.
#[derive(Debug, Clone)]
pub enum Input {
    /// The session is set up.
    Start,
    /// A participant's leg is established.
    Join {
        /// Its number, chosen by the caller.
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
    /// A message came on a participant's leg.
    Received {
        /// Whose leg.
        from: ParticipantId,
        /// The message.
        packet: FloorPacket,
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
}

/// What the session does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message on a participant's leg.
    Send {
        /// Whose leg.
        to: ParticipantId,
        /// The message.
        packet: FloorPacket,
    },
    /// Who may talk changed.
    TalkerChanged(Option<ParticipantId>),
    /// T4 expired: call control releases the call or sends [`Input::RestartInactivity`].
    Inactive,
    /// A message meant nothing in the state it met.
    Discarded {
        /// Whose, if of one participant.
        participant: Option<ParticipantId>,
        /// Name of the state.
        state: &'static str,
        /// Name of the input.
        input: &'static str,
    },
}

/// Whether a media packet goes to the other participants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Forward,
    /// It does not.
    Drop,
}

/// The floor control server of one session.
#[derive(Debug)]
pub struct FloorControlServer {
    config: Config,
    general: GeneralFloorControl,
    participants: BTreeMap<ParticipantId, TowardsParticipant>,
    outputs: VecDeque<Output>,
}

impl FloorControlServer {
    /// A session that has not started.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            general: GeneralFloorControl::new(config.clone()),
            config,
            participants: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Who may talk now.
    #[must_use]
    pub const fn holder(&self) -> Option<ParticipantId> {
        self.general.state().holder()
    }

    /// State of the general arbitration.
    #[must_use]
    pub const fn state(&self) -> general::State {
        self.general.state()
    }

    /// State towards one participant, if it is in the call.
    #[must_use]
    pub fn participant_state(&self, id: ParticipantId) -> Option<participant::State> {
        self.participants.get(&id).map(TowardsParticipant::state)
    }

    /// The next thing to do, oldest first.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let participants = self
            .participants
            .values()
            .filter_map(TowardsParticipant::poll_timeout);
        self.general
            .poll_timeout()
            .into_iter()
            .chain(participants)
            .min()
    }

    /// Takes one input at the time `now`.
    pub fn handle(&mut self, input: Input, now: Instant) {
        match input {
            Input::Start => self.decide(general::Input::Start, now),
            Input::Join {
                participant,
                profile,
                implicit_request,
            } => {
                let mut towards = TowardsParticipant::new(&self.config);
                towards.handle(participant::Input::Join, now);
                self.participants.insert(participant, towards);
                self.decide(
                    general::Input::Join {
                        participant,
                        profile,
                        implicit_request,
                    },
                    now,
                );
            }
            Input::Leave { participant } => {
                self.participants.remove(&participant);
                self.decide(general::Input::Leave { participant }, now);
            }
            Input::Received { from, packet } => {
                self.towards(from, participant::Input::Received(packet), now);
            }
            Input::SetCallType(call_type) => {
                self.decide(general::Input::SetCallType(call_type), now);
            }
            Input::SetCondition {
                participant,
                condition,
            } => {
                self.decide(
                    general::Input::SetCondition {
                        participant,
                        condition,
                    },
                    now,
                );
            }
            Input::SetResources { available } => {
                self.decide(general::Input::SetResources { available }, now);
            }
            Input::RestartInactivity => self.decide(general::Input::RestartInactivity, now),
            Input::Timeout => self.on_timeout(now),
            Input::Release => {
                self.decide(general::Input::Release, now);
                self.participants.clear();
            }
        }
    }

    /// Judges one media packet of a participant; allocates nothing once warm.
    pub fn media(&mut self, from: ParticipantId, now: Instant) -> Verdict {
        self.towards(from, participant::Input::Rtp, now)
    }

    fn on_timeout(&mut self, now: Instant) {
        self.decide(general::Input::Timeout, now);
        while let Some(due) = self
            .participants
            .iter()
            .find(|(_, towards)| towards.poll_timeout().is_some_and(|at| at <= now))
            .map(|(id, _)| *id)
        {
            self.towards(due, participant::Input::Timeout, now);
        }
    }

    /// Gives an input to the general arbitration and carries its decisions out.
    fn decide(&mut self, input: general::Input, now: Instant) {
        self.general.handle(input, now);
        while let Some(output) = self.general.poll_output() {
            match output {
                general::Output::Tell { to, message } => {
                    if let Some(towards) = self.participants.get_mut(&to) {
                        towards.handle(participant::Input::Tell(message), now);
                        self.send_all(to);
                    }
                }
                general::Output::TalkerChanged(talker) => {
                    self.outputs.push_back(Output::TalkerChanged(talker));
                }
                general::Output::Inactive => self.outputs.push_back(Output::Inactive),
                general::Output::Discarded { state, input } => {
                    self.outputs.push_back(Output::Discarded {
                        participant: None,
                        state,
                        input,
                    });
                }
            }
        }
    }

    /// Takes out what a participant's machine says after being told something.
    fn send_all(&mut self, id: ParticipantId) {
        while let Some(output) = self
            .participants
            .get_mut(&id)
            .and_then(TowardsParticipant::poll_output)
        {
            self.on_participant_output(id, output);
        }
    }

    /// Gives an input to a participant's machine and what it answers to the general arbitration.
    fn towards(&mut self, id: ParticipantId, input: participant::Input, now: Instant) -> Verdict {
        let mut verdict = Verdict::Drop;
        let Some(towards) = self.participants.get_mut(&id) else {
            return verdict;
        };
        towards.handle(input, now);
        while let Some(output) = self
            .participants
            .get_mut(&id)
            .and_then(TowardsParticipant::poll_output)
        {
            if output == participant::Output::ForwardMedia {
                verdict = Verdict::Forward;
            }
            if let Some(input) = self.on_participant_output(id, output) {
                self.decide(input, now);
            }
        }
        verdict
    }

    fn on_participant_output(
        &mut self,
        id: ParticipantId,
        output: participant::Output,
    ) -> Option<general::Input> {
        match output {
            participant::Output::Send(packet) => {
                self.outputs.push_back(Output::Send { to: id, packet });
                None
            }
            participant::Output::Request(request) => {
                Some(general::Input::FloorRequest { from: id, request })
            }
            participant::Output::Release => Some(general::Input::FloorRelease { from: id }),
            participant::Output::QueuePositionRequest => {
                Some(general::Input::QueuePositionRequest { from: id })
            }
            participant::Output::ForwardMedia => Some(general::Input::Rtp { from: id }),
            participant::Output::DropMedia => None,
            participant::Output::Discarded { state, input } => {
                self.outputs.push_back(Output::Discarded {
                    participant: Some(id),
                    state,
                    input,
                });
                None
            }
        }
    }
}

#[cfg(test)]
mod tests;
