//! One talkgroup of a half-duplex radio channel: who may talk, and for how long.
//!
//! ```text
//!          press                 release, limit, revoke
//!   Idle ---------> Granted(talker) ---------> Hang --- hang time ---> Idle
//!                     ^  press by an emergency      |
//!                     +-----------------------------+  press (anybody)
//! ```

use std::time::{Duration, Instant};

/// Names a participant of the network: a radio or a call leg of the air side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParticipantId(pub(crate) u64);

/// The one who talks, as the others see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Talker {
    /// The participant that sends the speech.
    pub participant: ParticipantId,
    /// Unit number shown on radios; the reserved unit for a talker without one.
    pub unit: String,
    /// Name or address behind the unit, such as an MCPTT ID the gateway reports.
    pub name: Option<String>,
    /// Emergency call.
    pub emergency: bool,
}

/// What a press of the push-to-talk key got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The channel is the talker's; an emergency may have taken it from somebody.
    Granted {
        /// Who lost the channel.
        preempted: Option<Talker>,
    },
    /// The participant holds the channel already; its description was updated.
    Held,
    /// Somebody else holds the channel.
    Denied {
        /// Who.
        holder: Talker,
    },
}

/// What the passing of time did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expiry {
    /// The talker used up the talk time.
    TalkLimit(Talker),
    /// The hang time is over.
    Idle,
}

/// The state of the channel (spec: idle, granted, hang).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// Nobody talks.
    Idle,
    /// One talks.
    Granted {
        /// Who.
        talker: Talker,
        /// Since when.
        since: Instant,
    },
    /// Nobody talks, the channel is still up; anybody may press.
    Hang {
        /// Until when.
        until: Instant,
    },
}

/// Arbitration of one talkgroup: the first talker holds, an emergency takes.
#[derive(Debug, Clone)]
pub struct Talkgroup {
    channel: Channel,
    hang_time: Duration,
    talk_limit: Duration,
}

impl Talkgroup {
    /// An idle talkgroup.
    #[must_use]
    pub const fn new(hang_time: Duration, talk_limit: Duration) -> Self {
        Self {
            channel: Channel::Idle,
            hang_time,
            talk_limit,
        }
    }

    /// The state of the channel.
    #[must_use]
    pub const fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Who talks.
    #[must_use]
    pub const fn holder(&self) -> Option<&Talker> {
        match &self.channel {
            Channel::Granted { talker, .. } => Some(talker),
            Channel::Idle | Channel::Hang { .. } => None,
        }
    }

    /// A participant presses.
    pub fn press(&mut self, talker: Talker, now: Instant) -> Decision {
        if let Channel::Granted { talker: holder, .. } = &mut self.channel {
            if holder.participant == talker.participant {
                *holder = talker;
                return Decision::Held;
            }
            if holder.emergency || !talker.emergency {
                return Decision::Denied {
                    holder: holder.clone(),
                };
            }
        }
        let preempted = self.holder().cloned();
        self.channel = Channel::Granted { talker, since: now };
        Decision::Granted { preempted }
    }

    /// A participant releases, leaves or is cut off; returns the talker if it held the channel.
    pub fn release(&mut self, participant: ParticipantId, now: Instant) -> Option<Talker> {
        let talker = self
            .holder()
            .filter(|t| t.participant == participant)
            .cloned()?;
        self.channel = Channel::Hang {
            until: now + self.hang_time,
        };
        Some(talker)
    }

    /// Lets time pass.
    pub fn tick(&mut self, now: Instant) -> Option<Expiry> {
        match &self.channel {
            Channel::Granted { talker, since } if now >= *since + self.talk_limit => {
                let talker = talker.clone();
                self.release(talker.participant, now);
                Some(Expiry::TalkLimit(talker))
            }
            Channel::Hang { until } if now >= *until => {
                self.channel = Channel::Idle;
                Some(Expiry::Idle)
            }
            Channel::Granted { .. } | Channel::Hang { .. } | Channel::Idle => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talker(id: u64, emergency: bool) -> Talker {
        let unit = id.to_string();
        Talker {
            participant: ParticipantId(id),
            unit,
            name: None,
            emergency,
        }
    }

    fn group() -> Talkgroup {
        Talkgroup::new(Duration::from_secs(1), Duration::from_secs(30))
    }

    #[test]
    fn the_first_talker_holds_until_release_and_hang_lets_others_in() {
        let (mut group, t0) = (group(), Instant::now());
        assert_eq!(
            group.press(talker(1, false), t0),
            Decision::Granted { preempted: None }
        );
        assert_eq!(
            group.press(talker(2, false), t0),
            Decision::Denied {
                holder: talker(1, false)
            }
        );
        assert_eq!(
            group.release(ParticipantId(2), t0),
            None,
            "only the holder releases"
        );
        assert_eq!(group.release(ParticipantId(1), t0), Some(talker(1, false)));
        assert!(matches!(group.channel(), Channel::Hang { .. }));
        assert_eq!(
            group.press(talker(2, false), t0),
            Decision::Granted { preempted: None }
        );
        group.release(ParticipantId(2), t0);
        assert_eq!(group.tick(t0 + Duration::from_millis(999)), None);
        assert_eq!(group.tick(t0 + Duration::from_secs(1)), Some(Expiry::Idle));
        assert_eq!(group.channel(), &Channel::Idle);
    }

    #[test]
    fn an_emergency_takes_the_channel_from_all_but_an_emergency() {
        let (mut group, t0) = (group(), Instant::now());
        group.press(talker(1, false), t0);
        assert_eq!(
            group.press(talker(2, true), t0),
            Decision::Granted {
                preempted: Some(talker(1, false))
            }
        );
        assert!(matches!(
            group.press(talker(3, true), t0),
            Decision::Denied { .. }
        ));
        assert_eq!(group.holder().map(|t| t.unit.as_str()), Some("2"));
    }

    #[test]
    fn a_talker_may_be_described_later_and_is_cut_off_at_the_limit() {
        let (mut group, t0) = (group(), Instant::now());
        group.press(talker(1, false), t0);
        let named = Talker {
            name: Some("alice".into()),
            ..talker(1, false)
        };
        assert_eq!(
            group.press(named.clone(), t0 + Duration::from_secs(5)),
            Decision::Held
        );
        assert_eq!(group.tick(t0 + Duration::from_secs(29)), None);
        assert_eq!(
            group.tick(t0 + Duration::from_secs(30)),
            Some(Expiry::TalkLimit(named))
        );
        assert_eq!(group.holder(), None);
    }
}
