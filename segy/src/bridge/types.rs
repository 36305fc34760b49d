//! What goes into a bridge and comes out of it.

use std::time::{Duration, Instant};

use mc_audio::Frame16k;
use mc_audio::jitter::Stamp;
use serde::Serialize;

use super::report::Report;
use crate::user_map::Represented;

/// 20 ms of speech on its way through.
#[derive(Clone, PartialEq, Eq)]
pub struct Speech {
    /// The sound.
    pub samples: Box<Frame16k>,
    /// Work done on it before the last buffer.
    spent: Duration,
    /// When work on it began, or began again after a buffer.
    since: Instant,
}

impl Speech {
    /// Speech that came in at `received`.
    #[must_use]
    pub const fn new(samples: Box<Frame16k>, received: Instant) -> Self {
        Self {
            samples,
            spent: Duration::ZERO,
            since: received,
        }
    }

    /// How long the gateway has worked on it at `now`; waiting in buffers does not count.
    #[must_use]
    pub fn worked(&self, now: Instant) -> Duration {
        self.spent + now.saturating_duration_since(self.since)
    }

    /// It goes into a buffer.
    pub(super) fn held(mut self, now: Instant) -> Self {
        self.spent = self.worked(now);
        self
    }

    /// It comes out of a buffer.
    pub(super) const fn resumed(mut self, now: Instant) -> Self {
        self.since = now;
        self
    }
}

impl std::fmt::Debug for Speech {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[speech]")
    }
}

/// A user of the external system, as that system describes him.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalTalker {
    /// Unit number; none when the system does not tell.
    pub unit: Option<String>,
    /// Emergency call: it is declared on the MC side too, whose server decides.
    pub emergency: bool,
}

/// A user of the MC system, as Floor Taken describes him.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McTalker {
    /// MCPTT ID; none when he hides it.
    pub id: Option<String>,
    /// Functional alias.
    pub functional_alias: Option<String>,
}

impl McTalker {
    /// Functional alias, else MCPTT ID.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        self.functional_alias.clone().or_else(|| self.id.clone())
    }
}

/// An MC user as the external system is to show him.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Unit number.
    pub unit: String,
    /// Functional alias or MCPTT ID.
    pub name: Option<String>,
    /// He speaks in an emergency.
    pub emergency: bool,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// On the external side.
    External(ExternalEvent),
    /// On the MC side.
    Mc(McEvent),
    /// [`super::Bridge::poll_timeout`] has passed.
    Timeout,
}

/// Why the called party of a private call is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// There is no such party.
    Unknown,
    /// The call is not allowed.
    Forbidden,
    /// It is in a call.
    Busy,
    /// It does not answer, or is not there now.
    Unavailable,
    /// It does not want the call.
    Declined,
    /// Something else went wrong.
    Failed,
}

impl Failure {
    /// What a SIP status means for the call.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            404 | 410 | 484 | 604 => Self::Unknown,
            401 | 403 | 407 => Self::Forbidden,
            486 | 600 => Self::Busy,
            408 | 480 | 487 => Self::Unavailable,
            603 => Self::Declined,
            _ => Self::Failed,
        }
    }

    /// The SIP status that says so.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Unknown => 404,
            Self::Forbidden => 403,
            Self::Busy => 486,
            Self::Unavailable => 480,
            Self::Declined => 603,
            Self::Failed => 500,
        }
    }
}

/// What the external side tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalEvent {
    /// The talkgroup is connected.
    Up,
    /// It is not any more.
    Down,
    /// A user pressed, or is described better than before.
    PttOn(ExternalTalker),
    /// He released; all of his speech has been handed over.
    PttOff,
    /// 20 ms of his speech, one every 20 ms.
    Speech(Speech),
    /// The MC user we press for is not carried, or no longer.
    PressDenied,
    /// The external user we call is alerted.
    Ringing,
    /// The external user we call is not reached.
    Refused(Failure),
}

/// What the MC side tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McEvent {
    /// Calls can be made.
    Up,
    /// They cannot any more; a call is gone.
    Down,
    /// The MC user we call is alerted.
    Ringing,
    /// A call is up, made by us or by others.
    CallStarted,
    /// An emergency is declared in the call, or is over.
    Emergency(bool),
    /// Our call came to nothing.
    CallRefused {
        /// SIP status, 0 when it was not sent.
        status: u16,
        /// Status and warnings as they came, or what failed here.
        detail: String,
    },
    /// The call is over.
    CallReleased {
        /// Why.
        reason: String,
    },
    /// We may talk.
    FloorGranted {
        /// For how long, if the server says so.
        duration: Option<Duration>,
    },
    /// Somebody else talks.
    FloorTaken(McTalker),
    /// Nobody talks.
    FloorIdle,
    /// Our request is refused.
    FloorDenied {
        /// Cause of TS 24.380 8.2.6.2.
        cause: u16,
        /// Text, may be empty.
        phrase: String,
    },
    /// Our request waits.
    FloorQueued,
    /// The floor was taken from us.
    FloorRevoked {
        /// Cause of TS 24.380 8.2.10.2.
        cause: u16,
        /// Text, may be empty.
        phrase: String,
    },
    /// The floor control server does not answer.
    FloorRequestTimedOut,
    /// 20 ms of the talker's speech, as it comes from the network.
    Speech(Stamp, Speech),
}

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// On the external side.
    External(ExternalCommand),
    /// On the MC side.
    Mc(McCommand),
    /// For logs, audit and status.
    Report(Report),
}

/// What the external side is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalCommand {
    /// Press for this MC user, or describe him better.
    Press(Shown),
    /// Release.
    Release,
    /// Tell the user who presses that he is not heard.
    Refuse,
    /// Play 20 ms of speech.
    Speech(Speech),
    /// A frame did not come in time.
    Lost,
    /// Nothing was said for 20 ms.
    Silence,
    /// Tell the external user who calls that the MC user is alerted.
    Alert,
    /// Answer the external user who calls.
    Answer,
    /// Tell the external user who calls that the MC user is not reached.
    Reject(Failure),
}

/// What the MC side is told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McCommand {
    /// Make the call; a group call asks for the floor for this user.
    StartCall(Represented),
    /// Answer the MC user who calls.
    Answer,
    /// Tell the MC user who calls that the external user is not reached.
    Reject(Failure),
    /// Ask for the floor for this user.
    RequestFloor(Represented),
    /// Declare an emergency for this user and ask for the floor: the call is made, or raised.
    DeclareEmergency(Represented),
    /// Give the floor back, or withdraw the request.
    ReleaseFloor,
    /// Leave the call.
    LeaveCall,
    /// Send 20 ms of speech to the group.
    Speech(Speech),
}

/// Times of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Longest wait for the floor; as much speech is kept meanwhile.
    pub grant_wait: Duration,
    /// Longest talk burst of an external user.
    pub talk_limit: Duration,
    /// How long a call in which nobody talks is kept.
    pub hang: Duration,
    /// Silence after which an MC user has finished although no Floor Idle came (T103).
    pub speech_end: Duration,
    /// How long unannounced MC speech waits for its Floor Taken.
    pub announce_wait: Duration,
    /// How long the confirmation of a Floor Release is awaited (T100 and C100).
    pub release_wait: Duration,
    /// How long packets are awaited that Floor Idle has overtaken.
    pub tail: Duration,
}
