//! What a bridge tells logs, the audit and people.

use serde::Serialize;

use super::types::{ExternalTalker, Failure, McTalker};
use super::{Bridge, Call, State};
use crate::user_map::Represented;

/// Why an external user is not heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// He is not in the map (TR 33.880 D1-1, D5-2).
    #[error("no MC identity may be asserted for this unit")]
    Unmapped,
    /// The MC side is not ready.
    #[error("the MC side is not ready")]
    McUnavailable,
    /// The call came to nothing.
    #[error("call refused: {detail}")]
    CallRefused {
        /// SIP status, 0 when it was not sent.
        status: u16,
        /// Status and warnings as they came, or what failed here.
        detail: String,
    },
    /// The call ended under him.
    #[error("call released: {0}")]
    CallReleased(String),
    /// The floor control server refused (TS 24.380 8.2.6.2).
    #[error("floor denied: cause {cause} {phrase}")]
    FloorDenied {
        /// Cause.
        cause: u16,
        /// Text.
        phrase: String,
    },
    /// The floor control server took the floor away (TS 24.380 8.2.10.2).
    #[error("floor revoked: cause {cause} {phrase}")]
    FloorRevoked {
        /// Cause.
        cause: u16,
        /// Text.
        phrase: String,
    },
    /// No answer to the floor request, or none in time.
    #[error("the floor was not granted in time")]
    NoAnswer,
    /// He talked too long.
    #[error("talk limit reached")]
    TalkLimit,
}

impl Refusal {
    /// Name in counters.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Unmapped => "unmapped",
            Self::McUnavailable => "mc_unavailable",
            Self::CallRefused { .. } => "call_refused",
            Self::CallReleased(_) => "call_released",
            Self::FloorDenied { .. } => "floor_denied",
            Self::FloorRevoked { .. } => "floor_revoked",
            Self::NoAnswer => "no_answer",
            Self::TalkLimit => "talk_limit",
        }
    }
}

/// Whose speech is carried where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Direction {
    /// An external user's speech is protected and sent to the group.
    ToMc {
        /// Who.
        talker: ExternalTalker,
        /// As whom.
        represented: Represented,
    },
    /// An MC user's speech was opened and is played on the external side.
    ToExternal(McTalker),
}

impl Direction {
    pub(super) fn to_external(talker: &McTalker) -> Self {
        Self::ToExternal(talker.clone())
    }
}

/// Something worth recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// A call joins the two sides.
    CallBridged,
    /// It is over.
    CallEnded {
        /// Why.
        reason: String,
    },
    /// Somebody is heard on the other side.
    TalkStarted(Direction),
    /// He is not any more.
    TalkEnded,
    /// An external user is not heard.
    Refused {
        /// Who.
        talker: ExternalTalker,
        /// Why.
        refusal: Refusal,
    },
    /// A private call does not come up.
    NotReached {
        /// Why.
        failure: Failure,
        /// For people.
        detail: String,
    },
    /// The external side does not carry the MC user who talks.
    NotRelayed,
    /// Something of our own came back and was dropped.
    Echo,
    /// A frame was dropped because its buffer was full.
    Overflow,
}

/// What goes on, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Who talks: `idle`, `awaiting_floor`, `to_mc`, `draining_to_mc`, `unannounced`,
    /// `to_external`, `draining_to_external` or `not_relayed`.
    pub state: &'static str,
    /// The MC call: `unavailable`, `down`, `calling`, `up` or `leaving`.
    pub call: &'static str,
    /// Whether the external talkgroup is connected.
    pub external_up: bool,
    /// Unit of the external user who talks or waits.
    pub external_talker: Option<String>,
    /// Functional alias or identity he is shown under.
    pub represented: Option<String>,
    /// Whether it is an emergency.
    pub emergency: bool,
    /// Whether his request is in the server's queue.
    pub queued: bool,
    /// Functional alias or MCPTT ID of the MC user who talks.
    pub mc_talker: Option<String>,
}

impl Status {
    pub(super) fn of(bridge: &Bridge) -> Self {
        let (talker, represented, queued) = match &bridge.state {
            State::AwaitingFloor(a) => (Some(&a.talker), Some(&a.represented), a.queued),
            State::ToMc(t) | State::DrainingToMc(t) => {
                (Some(&t.talker), Some(&t.represented), false)
            }
            State::Idle
            | State::Unannounced { .. }
            | State::ToExternal { .. }
            | State::DrainingToExternal { .. }
            | State::NotRelayed => (None, None, false),
        };
        Self {
            state: bridge.state.name(),
            call: bridge.call.name(),
            external_up: bridge.external_up,
            external_talker: talker.map(|t| t.unit.clone().unwrap_or_default()),
            represented: represented.map(|r| r.shown().to_owned()),
            emergency: talker.is_some_and(|talker| talker.emergency),
            queued,
            mc_talker: bridge.mc_talker.as_ref().and_then(McTalker::shown),
        }
    }
}

impl State {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::AwaitingFloor(_) => "awaiting_floor",
            Self::ToMc(_) => "to_mc",
            Self::DrainingToMc(_) => "draining_to_mc",
            Self::Unannounced { .. } => "unannounced",
            Self::ToExternal { .. } => "to_external",
            Self::DrainingToExternal { .. } => "draining_to_external",
            Self::NotRelayed => "not_relayed",
        }
    }
}

impl Call {
    const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Down => "down",
            Self::Calling => "calling",
            Self::Up => "up",
            Self::Leaving => "leaving",
        }
    }
}
