//! The seam between call control and the media plane (floor control server and media distribution).
//!
//! Call control opens a session per call and a leg per participant, tells each leg where its client
//! receives, and closes both. The media plane owns the sockets, the floor arbitration (TS 24.380)
//! and the forwarding; it tells call control only what call control must act on.

mod config;
mod counters;
mod distribution;
mod leg;
mod protection;
mod rate;
mod session;
mod trace;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use floor_control::server::FunctionalAliases;
use futures::future::BoxFuture;
use mc_ids::{Csk, CskId, KeyId, McServiceId};

pub use config::MediaConfig;
pub use counters::MediaCounters;
pub use distribution::MediaDistribution;
pub use protection::FloorContext;

/// Names a session (one call) in the media plane; chosen by call control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(pub u64);

/// Names a leg (one participant's media and floor control); chosen by call control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// What the group document or the service configuration say about a session's floor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionFacts {
    /// The session.
    pub session: SessionId,
    /// Call identifier for traces: the MCPTT session identity.
    pub call_id: String,
    /// T4: how long the floor may stay idle before call control hears of it (`on-network-hang-timer`).
    pub hang_time: Duration,
    /// T2: longest talk burst (`transmit-time/time-limit`).
    pub talk_limit: Duration,
    /// Most queued floor requests; 0 = no queueing (`floor-control-queue/depth`).
    pub queue_depth: u16,
    /// Whether floor control is protected with each participant's CSK or SPK.
    pub protect_floor_control: bool,
    /// Whether a new request always takes the floor (`on-network-audio-cut-in`).
    pub audio_cut_in: bool,
}

/// What floor control of a leg is protected with.
#[derive(Debug, Clone)]
pub enum FloorKey {
    /// The CSK of a client.
    Csk(ClientCsk),
    /// The SPK of the system that serves the user.
    Spk(Arc<FloorContext>),
}

impl FloorKey {
    /// CSK-ID or SPK-ID, the MKI of every packet.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        match self {
            Self::Csk(key) => key.id.key_id(),
            Self::Spk(context) => context.key_id(),
        }
    }
}

/// Keeps the SSRCs used under a key that outlives the process.
pub trait SsrcStore: Send + Sync + 'static {
    /// Keeps one for good; it is used only when this succeeds.
    fn keep(&self, key_id: KeyId, ssrc: u32) -> BoxFuture<'_, Result<(), String>>;
}

/// A client's CSK with what the derivation of its SRTCP keys needs (TS 33.180 7.4, CS-ID 6).
#[derive(Debug, Clone)]
pub struct ClientCsk {
    /// CSK-ID, the MKI of every packet.
    pub id: CskId,
    /// The key.
    pub key: Csk,
    /// RAND of the I_MESSAGE that carried it.
    pub rand: Vec<u8>,
}

/// One participant as the floor sees it.
#[derive(Debug, Clone)]
pub struct LegFacts {
    /// The session it belongs to.
    pub session: SessionId,
    /// The leg.
    pub leg: LegId,
    /// The participant's MCPTT ID, told to the others in Floor Taken.
    pub participant: McServiceId,
    /// Floor priority agreed for this participant (`mc_priority`; else the member's `user-priority`).
    pub priority: u8,
    /// Whether the priority was negotiated, so that the Floor Priority field of a request counts.
    pub priority_negotiated: bool,
    /// Whether the client supports queueing (`mc_queueing`).
    pub queueing: bool,
    /// Whether the member may only listen.
    pub receive_only: bool,
    /// The functional aliases the participant may speak under.
    pub functional_aliases: FunctionalAliases,
    /// The functional alias of an INVITE that is a floor request (TS 24.380 14.3.5).
    pub calling_alias: Option<String>,
    /// Whether the leg has a floor control stream at all.
    pub floor_control: bool,
    /// The CSK of the client or the SPK of its system; `None` only when floor control is not
    /// protected.
    pub floor_key: Option<FloorKey>,
    /// Local address to open the sockets on.
    pub local: IpAddr,
}

/// Where the server receives for one leg; goes into its SDP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LegPorts {
    /// RTP.
    pub audio: SocketAddr,
    /// Floor control.
    pub floor: Option<SocketAddr>,
}

/// Where the client receives and what its offer or answer asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteMedia {
    /// RTP.
    pub audio: SocketAddr,
    /// Floor control.
    pub floor: Option<SocketAddr>,
    /// Whether its INVITE is a floor request that counts (TS 24.380 14.3.5).
    pub implicit_request: bool,
}

/// What became of an implicit floor request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImplicitRequest {
    /// There was none.
    None,
    /// It is granted: Floor Granted follows, the answer may say `mc_granted`.
    Granted,
    /// It is queued or denied; the client is told by a floor control message.
    NotGranted,
}

/// What call control must act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaEvent {
    /// T4 ran out: release the call or leave it, by policy (TS 24.380 6.3.4.3.5).
    FloorIdleTimeout {
        /// The session.
        session: SessionId,
    },
}

/// Why the media plane refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MediaPlaneError {
    /// The session or leg is not known.
    #[error("no such session or leg")]
    Unknown,
    /// No port is free.
    #[error("no media port is free")]
    NoPort,
    /// A floor key is needed and missing, or the facts contradict each other.
    #[error("leg cannot be opened: {0}")]
    Refused(&'static str),
}

/// The media plane. Events come out of the channel handed over at its construction.
pub trait MediaPlane: Send + Sync + 'static {
    /// Starts the floor of a session.
    fn open_session(&self, facts: SessionFacts) -> BoxFuture<'_, Result<(), MediaPlaneError>>;

    /// Opens the sockets of a leg; nothing is sent or forwarded yet.
    fn open_leg(&self, facts: LegFacts) -> BoxFuture<'_, Result<LegPorts, MediaPlaneError>>;

    /// Starts a leg, or moves it when the client sent a new address. The floor server takes the
    /// participant in (Floor Idle or Taken is sent to it) and decides an implicit request.
    fn connect_leg(
        &self,
        leg: LegId,
        remote: RemoteMedia,
    ) -> BoxFuture<'_, Result<ImplicitRequest, MediaPlaneError>>;

    /// Makes the session one of an emergency that the participant of a leg has declared, or with
    /// `None` a normal one again.
    fn set_emergency(
        &self,
        session: SessionId,
        by: Option<LegId>,
    ) -> BoxFuture<'_, Result<(), MediaPlaneError>>;

    /// Replaces the floor key of a leg after the client uploaded a new CSK.
    fn rekey_leg(&self, leg: LegId, key: ClientCsk) -> BoxFuture<'_, Result<(), MediaPlaneError>>;

    /// Closes a leg; the floor is taken from it if it has it. Unknown legs are ignored.
    fn close_leg(&self, leg: LegId) -> BoxFuture<'_, ()>;

    /// Ends a session with all its legs. Unknown sessions are ignored.
    fn close_session(&self, session: SessionId) -> BoxFuture<'_, ()>;
}
