//! What a client tells its user.

use std::time::{Duration, Instant};

use mc_ids::{GmkId, GroupId, GukId, McServiceId};

use crate::call_id::CallId;

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
    /// A protected private call (TS 24.379 11.1, TS 33.180 5.6).
    P,
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

/// One frame of received speech, decoded. Those of a stream come in the order they were sent in, as
/// soon as they can; who plays them in real time smooths their jitter (`mc_audio::jitter`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechFrame {
    /// The call.
    pub call: CallId,
    /// GUK-ID of the talker, from the MKI of a group call.
    pub guk_id: Option<GukId>,
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
    /// When the packet came off the socket; for a lost one, the packet that showed the loss.
    pub received: Instant,
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
    /// The identity management server refuses this user's name and password: a person has to help.
    /// The client tries again so seldom that it locks no account.
    AccountRefused {
        /// What the server said.
        detail: String,
    },
    /// Registered and authorised for the MCPTT service.
    Registered {
        /// The identity the token names.
        mcptt_id: McServiceId,
        /// Granted lifetime.
        expires: Duration,
    },
    /// Reachable over an interconnection, as the other system's server answers (TS 24.379 6.8).
    Interconnected {
        /// The identity the token names.
        mcptt_id: McServiceId,
    },
    /// A group document arrived or changed.
    GroupKnown {
        /// The group.
        group: GroupId,
        /// Name for people.
        display_name: Option<String>,
        /// Whether its media is protected with a GMK.
        protected: bool,
        /// Whether protection ends at a security gateway, because a member is behind one (TS 33.180
        /// Annex L).
        ends_at_gateway: bool,
    },
    /// The document of a group is refused: the client serves its other groups, and asks again from
    /// time to time.
    GroupRefused {
        /// The group.
        group: GroupId,
        /// Why.
        failure: StepFailure,
    },
    /// A GMK arrived and was verified.
    KeyReceived {
        /// Groups it is for.
        groups: Vec<GroupId>,
        /// Its identifier.
        gmk_id: GmkId,
        /// Our own GUK-ID under it.
        guk_id: GukId,
        /// Whether a security gateway holds it too (TS 33.180 E.6.9).
        ends_at_gateway: bool,
    },
    /// A key message was refused.
    KeyRefused {
        /// Why, for the log.
        detail: String,
    },
    /// The server tells which affiliations are in force (TS 24.379 9.2.1.3).
    Affiliated {
        /// The groups, without those it left out.
        groups: Vec<GroupId>,
    },
    /// All steps but the call passed: calls can be made and received in all groups that are not
    /// refused.
    Ready,
    /// The server took the functional aliases of this client; these are active now.
    AliasesActive {
        /// All of them.
        aliases: Vec<String>,
    },
    /// The server refused a change of functional aliases; nothing has changed.
    AliasesRefused {
        /// What was asked for.
        aliases: Vec<String>,
        /// Status and warnings.
        detail: String,
    },
    /// Somebody makes a private call to us; its PCK is verified. With automatic commencement
    /// [`ClientEvent::CallStarted`] follows, else [`crate::McClient::accept`] or
    /// [`crate::McClient::reject`] is waited for.
    CallOffered {
        /// The call.
        call: CallId,
        /// The caller.
        caller: McServiceId,
        /// The functional alias the caller calls under.
        functional_alias: Option<String>,
        /// The functional alias of ours that was called.
        called_alias: Option<String>,
        /// Whether this client answers by itself.
        automatic: bool,
    },
    /// End-to-end protection of a private call with this user ends at a security gateway (TS 33.180
    /// Annex L).
    EndsAtGateway {
        /// The other party.
        user: McServiceId,
    },
    /// The called party is being alerted.
    CallRinging {
        /// The call.
        call: CallId,
    },
    /// A call is up.
    CallStarted {
        /// The call.
        call: CallId,
        /// The caller, if it is somebody else.
        caller: Option<McServiceId>,
        /// Whether its speech is protected; if not, it is in clear, as the group's document says
        /// (`protect-media`).
        protected: bool,
    },
    /// A call of ours could not be set up.
    CallRefused {
        /// The call.
        call: CallId,
        /// SIP status; 0 when this client did not even try.
        status: u16,
        /// Number of the MCPTT warning (TS 24.379 4.4.2), if there is one.
        warning: Option<u16>,
        /// Status and warnings as they came, or what failed here.
        detail: String,
    },
    /// An emergency is declared in a group call, or is over.
    Emergency {
        /// The call.
        call: CallId,
        /// Whether it lasts.
        active: bool,
    },
    /// The server refused an emergency of ours in a call that is up, or its end; nothing has
    /// changed.
    EmergencyRefused {
        /// The call.
        call: CallId,
        /// SIP status; 0 when there was no answer.
        status: u16,
        /// Number of the MCPTT warning (TS 24.379 4.4.2), if there is one.
        warning: Option<u16>,
        /// Warning texts, or the reason.
        detail: String,
    },
    /// We may talk.
    FloorGranted {
        /// The call.
        call: CallId,
        /// For how long, if the server says so.
        duration: Option<Duration>,
    },
    /// Somebody else talks.
    FloorTaken {
        /// The call.
        call: CallId,
        /// Who.
        talker: Option<String>,
        /// Under which functional alias.
        functional_alias: Option<String>,
    },
    /// Nobody talks.
    FloorIdle {
        /// The call.
        call: CallId,
    },
    /// The request is refused.
    FloorDenied {
        /// The call.
        call: CallId,
        /// Cause value of TS 24.380 8.2.6.2.
        cause: u16,
        /// Text, may be empty.
        phrase: String,
    },
    /// The request waits.
    FloorQueued {
        /// The call.
        call: CallId,
    },
    /// The floor was taken away.
    FloorRevoked {
        /// The call.
        call: CallId,
        /// Cause value of TS 24.380 8.2.10.2.
        cause: u16,
        /// Text, may be empty.
        phrase: String,
    },
    /// We stopped talking.
    FloorReleased {
        /// The call.
        call: CallId,
    },
    /// The floor control server does not answer.
    FloorRequestTimedOut {
        /// The call.
        call: CallId,
    },
    /// Received speech.
    Speech(SpeechFrame),
    /// A call is over.
    Released {
        /// The call.
        call: CallId,
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
