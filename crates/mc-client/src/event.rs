//! What a client tells its user.

use std::time::Duration;

use mc_ids::{GmkId, GroupId, GukId, McServiceId};

/// The steps of an approach that a client performs (calls P and C are the caller's to judge).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Step {
    /// Token from the identity management server (TS 33.180 5.1).
    T,
    /// Key sets from the KMS, validated (TS 33.180 5.3).
    K,
    /// Group documents and GMKs from the GMS (TS 24.481, TS 33.180 5.7).
    G,
    /// CSK to the MCX server, registration (TS 24.379 7.2, TS 33.180 5.4).
    S,
    /// A protected group call (TS 24.379 10.1.1).
    C,
}

/// Why a step failed: which service, by which clause, what it said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{service}: {detail} ({clause})")]
pub struct StepFailure {
    /// `idms`, `kms`, `gms`, `mcptt-server` or `client`.
    pub service: &'static str,
    /// The procedure's clause.
    pub clause: &'static str,
    /// What happened.
    pub detail: String,
}

/// One frame of received speech, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechFrame {
    /// The group.
    pub group: GroupId,
    /// GUK-ID of the talker, from the MKI.
    pub guk_id: GukId,
    /// The talker's stream.
    pub ssrc: u32,
    /// RTP sequence number.
    pub sequence: u16,
    /// RTP timestamp, 16 kHz.
    pub timestamp: u32,
    /// Whether the frame is the first of a talk burst.
    pub marker: bool,
    /// Whether the samples were made up for a lost packet.
    pub concealed: bool,
    /// 320 samples of 16 kHz speech.
    pub samples: Vec<i16>,
}

/// Something that happened at a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientEvent {
    /// A step succeeded.
    StepPassed(Step),
    /// A step failed; the client tries again.
    StepFailed(Step, StepFailure),
    /// Registered and authorised for the MCPTT service.
    Registered {
        /// Granted lifetime.
        expires: Duration,
    },
    /// A group document arrived or changed.
    GroupKnown {
        /// The group.
        group: GroupId,
        /// Name for people.
        display_name: Option<String>,
        /// Whether its media is protected with a GMK.
        protected: bool,
    },
    /// A GMK arrived and was verified.
    KeyReceived {
        /// Groups it is for.
        groups: Vec<GroupId>,
        /// Its identifier.
        gmk_id: GmkId,
        /// Our own GUK-ID under it.
        guk_id: GukId,
    },
    /// A key message was refused.
    KeyRefused {
        /// Why, for the log.
        detail: String,
    },
    /// The server took the affiliations.
    Affiliated {
        /// All groups.
        groups: Vec<GroupId>,
    },
    /// All steps but the call passed: calls can be made and received.
    Ready,
    /// A group call is up.
    CallStarted {
        /// The group.
        group: GroupId,
        /// The caller, if it is somebody else.
        caller: Option<McServiceId>,
    },
    /// A group call could not be set up.
    CallRefused {
        /// The group.
        group: GroupId,
        /// SIP status.
        status: u16,
        /// Warning texts, or the reason.
        detail: String,
    },
    /// We may talk.
    FloorGranted {
        /// The group.
        group: GroupId,
        /// For how long, if the server says so.
        duration: Option<Duration>,
    },
    /// Somebody else talks.
    FloorTaken {
        /// The group.
        group: GroupId,
        /// Who.
        talker: Option<String>,
        /// Under which functional alias.
        functional_alias: Option<String>,
    },
    /// Nobody talks.
    FloorIdle {
        /// The group.
        group: GroupId,
    },
    /// The request is refused.
    FloorDenied {
        /// The group.
        group: GroupId,
        /// Cause value of TS 24.380 8.2.6.2.
        cause: u16,
        /// Text, may be empty.
        phrase: String,
    },
    /// The request waits.
    FloorQueued {
        /// The group.
        group: GroupId,
    },
    /// The floor was taken away.
    FloorRevoked {
        /// The group.
        group: GroupId,
        /// Cause value of TS 24.380 8.2.10.2.
        cause: u16,
        /// Text, may be empty.
        phrase: String,
    },
    /// We stopped talking.
    FloorReleased {
        /// The group.
        group: GroupId,
    },
    /// The floor control server does not answer.
    FloorRequestTimedOut {
        /// The group.
        group: GroupId,
    },
    /// Received speech.
    Speech(SpeechFrame),
    /// A call is over.
    Released {
        /// The group.
        group: GroupId,
        /// Why.
        reason: String,
    },
    /// The client lost its servers and starts again.
    Disconnected {
        /// Why.
        detail: String,
    },
    /// The client has stopped; nothing follows.
    Stopped,
}
