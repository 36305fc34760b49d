//! What the operator and the group document decide about the floor.

use core::time::Duration;

use crate::timer;

/// Policy and timer values of one session.
#[derive(Debug, Clone)]
pub struct Config {
    /// SSRC of the floor control server in its messages.
    pub ssrc: u32,
    /// T1, silence after which a media burst has ended; 6 s at most.
    pub t1: Duration,
    /// T2, how long one may talk, counted from the first media packet.
    pub t2: Duration,
    /// T3, how long media is still forwarded after a revoke.
    pub t3: Duration,
    /// T4, silence of the whole call after which call control is told.
    pub t4: Duration,
    /// T7, time between repetitions of Floor Idle.
    pub t7: Duration,
    /// C7, how often Floor Idle is sent.
    pub c7: u8,
    /// T8, time between repetitions of Floor Revoke.
    pub t8: Duration,
    /// T9, how long a participant that talked too long may not ask again; zero: it may at once.
    pub t9: Duration,
    /// T20, time between repetitions of Floor Granted after queueing.
    pub t20: Duration,
    /// C20, how often Floor Granted is sent after queueing.
    pub c20: u8,
    /// Whether any new request takes the floor at once, without queue or grace.
    pub audio_cut_in: bool,
    /// Requests that may wait; zero switches queueing off.
    pub queue_capacity: usize,
    /// Whether Queue Info tells the place, or only that the request is queued.
    pub disclose_queue_position: bool,
    /// Lowest priority that may pre-empt a talker of the same condition and lower priority.
    pub preemptive_priority: u8,
    /// Whether a request is denied while nobody else is in the call.
    pub deny_when_alone: bool,
    /// Whether the call is on a temporary group.
    pub temporary_group: bool,
    /// Media already under way that is dropped without a revoke after the floor was lost.
    pub late_media: Duration,
}

impl Config {
    /// The timer values of clause 11 and no special policy.
    #[must_use]
    pub fn new(ssrc: u32) -> Self {
        let limit = |spec: timer::TimerSpec| spec.counter.map_or(1, |(_, limit)| limit);
        Self {
            ssrc,
            t1: timer::T1.default,
            t2: timer::T2.default,
            t3: timer::T3.default,
            t4: timer::T4.default,
            t7: timer::T7.default,
            c7: limit(timer::T7),
            t8: timer::T8.default,
            t9: timer::T9.default,
            t20: timer::T20.default,
            c20: limit(timer::T20),
            audio_cut_in: false,
            queue_capacity: 10,
            disclose_queue_position: true,
            preemptive_priority: 255,
            deny_when_alone: true,
            temporary_group: false,
            late_media: Duration::from_millis(200),
        }
    }
}

/// A participant of the session, numbered by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ParticipantId(pub u32);

/// What call control knows of a participant.
#[derive(Debug, Clone)]
pub struct Profile {
    /// MCPTT ID shown to the others when this participant talks.
    pub mcptt_id: String,
    /// Functional aliases this participant may be shown as.
    pub functional_aliases: FunctionalAliases,
    /// SSRC the participant's media is to carry, told in Floor Granted and Floor Taken.
    pub audio_ssrc: Option<u32>,
    /// `mc_priority` of the answer; absent: the Floor Priority field is ignored.
    pub negotiated_priority: Option<u8>,
    /// `user-priority` of the group document.
    pub default_priority: u8,
    /// Whether `mc_queueing` was negotiated.
    pub queueing: bool,
    /// Whether the group document lets this member listen only.
    pub receive_only: bool,
    /// Whether the talker asked not to be named.
    pub hide_identity: bool,
    /// The emergency or peril this user has declared.
    pub condition: Condition,
}

impl Profile {
    /// A member with ordinary rights and no negotiated parameters.
    #[must_use]
    pub fn new(mcptt_id: impl Into<String>) -> Self {
        Self {
            mcptt_id: mcptt_id.into(),
            functional_aliases: FunctionalAliases::Active(Vec::new()),
            audio_ssrc: None,
            negotiated_priority: None,
            default_priority: 0,
            queueing: false,
            receive_only: false,
            hide_identity: false,
            condition: Condition::Normal,
        }
    }
}

/// Functional aliases a talker may be shown as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FunctionalAliases {
    /// Any; for a gateway that speaks for users the system does not know.
    Any,
    /// Those the user has activated.
    Active(Vec<String>),
}

impl FunctionalAliases {
    pub(crate) fn permit(&self, alias: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Active(active) => active.iter().any(|one| one == alias),
        }
    }
}

/// How grave a user's situation is; the graver pre-empts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Condition {
    /// Nothing special.
    #[default]
    Normal,
    /// Imminent peril.
    ImminentPeril,
    /// Emergency.
    Emergency,
}

/// The kind of call, which call control may change while it lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallType {
    /// A normal call.
    #[default]
    Normal,
    /// A broadcast group call: only its initiator talks.
    Broadcast {
        /// Who started it.
        initiator: ParticipantId,
    },
    /// A system call.
    System,
    /// An imminent peril group call.
    ImminentPeril,
    /// An emergency call.
    Emergency,
}

impl CallType {
    pub(crate) const fn condition(self) -> Condition {
        match self {
            Self::Normal | Self::Broadcast { .. } | Self::System => Condition::Normal,
            Self::ImminentPeril => Condition::ImminentPeril,
            Self::Emergency => Condition::Emergency,
        }
    }
}
