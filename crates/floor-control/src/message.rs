//! The floor control messages (TS 24.380 8.2) as types.
//!
//! [`FloorPacket::decode_all`] reads a datagram, [`FloorPacket::encode`] appends one message to a
//! buffer. Unknown fields are skipped; a message that cannot be understood is reported and does
//! not hide the next one in the same datagram.

mod decode;
mod encode;
mod summary;

use core::time::Duration;

pub use summary::NamedFields;

pub use crate::field::{
    DenyCause, FloorIndicator, Location, LocationKind, QueueInfo, QueuePosition, RevokeCause,
    Source, TrackInfo,
};

/// The RTCP APP name of floor control messages.
pub const NAME: [u8; 4] = *b"MCPT";
/// The bit of the subtype that asks for a Floor Ack.
pub(crate) const ACK_BIT: u8 = 0x10;

/// One floor control message with what its RTCP header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloorPacket {
    /// SSRC of the sender of this message, not of the talker.
    pub ssrc: u32,
    /// Whether the sender wants a Floor Ack.
    pub ack_required: bool,
    /// The message.
    pub message: FloorMessage,
}

/// The messages of Table 8.2.2.1-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FloorMessage {
    /// Asks for permission to talk.
    FloorRequest(FloorRequest),
    /// Gives permission to talk.
    FloorGranted(FloorGranted),
    /// Tells that somebody got permission to talk.
    FloorTaken(Box<FloorTaken>),
    /// Refuses a request.
    FloorDeny(FloorDeny),
    /// Gives the permission back, or withdraws a queued request.
    FloorRelease(FloorRelease),
    /// Tells that nobody has permission to talk.
    FloorIdle(FloorIdle),
    /// Takes the permission away.
    FloorRevoke(FloorRevoke),
    /// Asks the server to revoke another talker (release 19).
    FloorRevokeRequest(FloorRevokeRequest),
    /// Asks for the place in the queue.
    QueuePositionRequest(QueuePositionRequest),
    /// Tells the place in the queue.
    QueuePositionInfo(QueuePositionInfo),
    /// Confirms a message that asked for it.
    FloorAck(FloorAck),
    /// Stops or resumes the unicast media towards the sender (release 17).
    UnicastMediaFlowControl(UnicastMediaFlowControl),
    /// Cancels queued requests (release 17) or lists them (release 18).
    QueuedFloorRequests(QueuedFloorRequests),
    /// Tells that one of several talkers stopped.
    FloorReleaseMultiTalker(FloorReleaseMultiTalker),
}

/// Floor Request (8.2.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorRequest {
    /// Requested priority; counts only if `mc_priority` was negotiated.
    pub priority: Option<u8>,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
    /// Functional alias the talker wants shown.
    pub functional_alias: Option<String>,
    /// Where the talker is.
    pub location: Option<Location>,
}

/// Floor Granted (8.2.5).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorGranted {
    /// How long the talker may talk, whole seconds up to 65535.
    pub duration: Duration,
    /// SSRC the talker is to use for its media (release 18).
    pub ssrc: Option<u32>,
    /// Priority granted; absent from peers that forget this mandatory field.
    pub priority: Option<u8>,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

/// Floor Taken (8.2.9).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorTaken {
    /// MCPTT ID of the talker, empty or absent when hidden or in a list.
    pub granted_party: Option<String>,
    /// Whether the receiver may request the floor.
    pub may_request: bool,
    /// Counts Taken and Idle messages, modulo 65536.
    pub sequence_number: u16,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
    /// SSRC of the talker's media (release 18).
    pub ssrc: Option<u32>,
    /// MCPTT IDs of several talkers.
    pub granted_users: Vec<String>,
    /// Their SSRCs, in the same order.
    pub ssrcs: Vec<u32>,
    /// Functional alias of the talker.
    pub functional_alias: Option<String>,
    /// Functional aliases of several talkers.
    pub functional_aliases: Vec<String>,
    /// Where the talker is.
    pub location: Option<Location>,
    /// List of Locations of several talkers, octets as received.
    pub locations: Option<Vec<u8>>,
}

/// Floor Deny (8.2.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloorDeny {
    /// Why.
    pub cause: DenyCause,
    /// Text for the user, may be empty.
    pub phrase: String,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

/// Floor Release (8.2.7).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorRelease {
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

/// Floor Idle (8.2.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorIdle {
    /// Counts Taken and Idle messages, modulo 65536.
    pub sequence_number: u16,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

/// Floor Revoke (8.2.10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloorRevoke {
    /// Why.
    pub cause: RevokeCause,
    /// Text for the user, may be empty.
    pub phrase: String,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

/// Floor Revoke Request (release 19).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloorRevokeRequest {
    /// MCPTT ID of the talker to revoke.
    pub user_id: String,
}

/// Floor Queue Position Request (8.2.11).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuePositionRequest {
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
}

/// Floor Queue Position Info (8.2.12).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePositionInfo {
    /// Place and priority.
    pub queue_info: QueueInfo,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

/// Floor Ack (8.2.13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FloorAck {
    /// Who confirms.
    pub source: Source,
    /// Subtype of the confirmed message, acknowledgement bit cleared.
    pub message_type: u8,
    /// Path through a non-controlling function.
    pub track_info: Option<TrackInfo>,
}

/// Unicast Media Flow Control (8.2.16). The layout of its field is unverified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnicastMediaFlowControl {
    /// Whether media is to flow again; else it is to stop.
    pub resume: bool,
}

/// Queued Floor Requests, in release 17 Floor Queued Cancel (8.2.15).
///
/// The layout of its fields is unverified, so they stay octets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueuedFloorRequests {
    /// 0 cancel request, 1 cancel result, 2 cancel notification.
    pub purpose: Option<u16>,
    /// List of Queued Users, octets as received.
    pub users: Option<Vec<u8>>,
    /// Response State or Result.
    pub result: Option<u16>,
}

/// Floor Release Multi Talker (8.2.14).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FloorReleaseMultiTalker {
    /// SSRC of the talker that stopped.
    pub ssrc: Option<u32>,
    /// Its MCPTT ID.
    pub user_id: Option<String>,
    /// Kind of call.
    pub indicator: Option<FloorIndicator>,
}

impl FloorMessage {
    /// The subtype without the acknowledgement bit.
    #[must_use]
    pub const fn subtype(&self) -> u8 {
        match self {
            Self::FloorRequest(_) => 0,
            Self::FloorGranted(_) => 1,
            Self::FloorTaken(_) => 2,
            Self::FloorDeny(_) => 3,
            Self::FloorRelease(_) => 4,
            Self::FloorIdle(_) => 5,
            Self::FloorRevoke(_) => 6,
            Self::FloorRevokeRequest(_) => 7,
            Self::QueuePositionRequest(_) => 8,
            Self::QueuePositionInfo(_) => 9,
            Self::FloorAck(_) => 10,
            Self::UnicastMediaFlowControl(_) => 11,
            Self::QueuedFloorRequests(_) => 14,
            Self::FloorReleaseMultiTalker(_) => 15,
        }
    }

    /// Whether Table 8.2.2.1-1 gives `subtype` a variant that asks for a Floor Ack.
    #[must_use]
    pub const fn subtype_may_ask_ack(subtype: u8) -> bool {
        matches!(subtype, 1..=5 | 9 | 11 | 14)
    }

    /// The name of the message as in its clause title.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::FloorRequest(_) => "Floor Request",
            Self::FloorGranted(_) => "Floor Granted",
            Self::FloorTaken(_) => "Floor Taken",
            Self::FloorDeny(_) => "Floor Deny",
            Self::FloorRelease(_) => "Floor Release",
            Self::FloorIdle(_) => "Floor Idle",
            Self::FloorRevoke(_) => "Floor Revoke",
            Self::FloorRevokeRequest(_) => "Floor Revoke Request",
            Self::QueuePositionRequest(_) => "Floor Queue Position Request",
            Self::QueuePositionInfo(_) => "Floor Queue Position Info",
            Self::FloorAck(_) => "Floor Ack",
            Self::UnicastMediaFlowControl(_) => "Unicast Media Flow Control",
            Self::QueuedFloorRequests(_) => "Queued Floor Requests",
            Self::FloorReleaseMultiTalker(_) => "Floor Release Multi Talker",
        }
    }

    /// The clause of TS 24.380 that defines the message.
    #[must_use]
    pub const fn clause(&self) -> &'static str {
        match self {
            Self::FloorRequest(_) => "8.2.4",
            Self::FloorGranted(_) => "8.2.5",
            Self::FloorTaken(_) => "8.2.9",
            Self::FloorDeny(_) => "8.2.6",
            Self::FloorRelease(_) => "8.2.7",
            Self::FloorIdle(_) => "8.2.8",
            Self::FloorRevoke(_) => "8.2.10",
            Self::FloorRevokeRequest(_) => "8.2",
            Self::QueuePositionRequest(_) => "8.2.11",
            Self::QueuePositionInfo(_) => "8.2.12",
            Self::FloorAck(_) => "8.2.13",
            Self::UnicastMediaFlowControl(_) => "8.2.16",
            Self::QueuedFloorRequests(_) => "8.2.15",
            Self::FloorReleaseMultiTalker(_) => "8.2.14",
        }
    }
}

impl From<FloorTaken> for FloorMessage {
    fn from(message: FloorTaken) -> Self {
        Self::FloorTaken(Box::new(message))
    }
}

macro_rules! into_message {
    ($($name:ident),*) => {$(
        impl From<$name> for FloorMessage {
            fn from(message: $name) -> Self {
                Self::$name(message)
            }
        }
    )*};
}

into_message!(
    FloorRequest,
    FloorGranted,
    FloorDeny,
    FloorRelease,
    FloorIdle,
    FloorRevoke,
    FloorRevokeRequest,
    QueuePositionRequest,
    QueuePositionInfo,
    FloorAck,
    UnicastMediaFlowControl,
    QueuedFloorRequests,
    FloorReleaseMultiTalker
);

#[cfg(test)]
mod tests;
