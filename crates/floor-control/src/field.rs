//! The field values of floor control messages (TS 24.380 8.2.3).

use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign};

use crate::error::{DecodeError, EncodeError};

/// Field IDs of Table 8.2.3.1-2.
pub(crate) mod id {
    pub(crate) const FLOOR_PRIORITY: u8 = 0;
    pub(crate) const DURATION: u8 = 1;
    pub(crate) const REJECT_CAUSE: u8 = 2;
    pub(crate) const QUEUE_INFO: u8 = 3;
    pub(crate) const GRANTED_PARTY: u8 = 4;
    pub(crate) const PERMISSION: u8 = 5;
    pub(crate) const USER_ID: u8 = 6;
    pub(crate) const SEQUENCE_NUMBER: u8 = 8;
    pub(crate) const SOURCE: u8 = 10;
    pub(crate) const TRACK_INFO: u8 = 11;
    pub(crate) const MESSAGE_TYPE: u8 = 12;
    pub(crate) const INDICATOR: u8 = 13;
    pub(crate) const SSRC: u8 = 14;
    pub(crate) const GRANTED_USERS: u8 = 15;
    pub(crate) const SSRCS: u8 = 16;
    pub(crate) const FUNCTIONAL_ALIAS: u8 = 17;
    pub(crate) const FUNCTIONAL_ALIASES: u8 = 18;
    pub(crate) const LOCATION: u8 = 19;
    pub(crate) const LOCATIONS: u8 = 20;
    pub(crate) const QUEUED_PURPOSE: u8 = 21;
    pub(crate) const QUEUED_USERS: u8 = 22;
    pub(crate) const QUEUED_RESULT: u8 = 23;
    pub(crate) const MEDIA_FLOW_CONTROL: u8 = 24;
    pub(crate) const REVOKE_USER_ID: u8 = 25;
}

/// Floor Indicator bits (TS 24.380 8.2.3.15): the kind of call and what the floor supports.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FloorIndicator(pub u16);

impl FloorIndicator {
    /// A normal call.
    pub const NORMAL: Self = Self(0x8000);
    /// A broadcast group call.
    pub const BROADCAST_GROUP: Self = Self(0x4000);
    /// A system call.
    pub const SYSTEM: Self = Self(0x2000);
    /// An emergency call.
    pub const EMERGENCY: Self = Self(0x1000);
    /// An imminent peril call.
    pub const IMMINENT_PERIL: Self = Self(0x0800);
    /// Queueing of floor requests is supported.
    pub const QUEUEING_SUPPORTED: Self = Self(0x0400);
    /// Dual floor, the G bit.
    pub const DUAL_FLOOR: Self = Self(0x0200);
    /// A call on a temporary group.
    pub const TEMPORARY_GROUP: Self = Self(0x0100);
    /// Several may talk at once.
    pub const MULTI_TALKER: Self = Self(0x0080);

    const NAMES: [(Self, &'static str); 9] = [
        (Self::NORMAL, "normal"),
        (Self::BROADCAST_GROUP, "broadcast group"),
        (Self::SYSTEM, "system"),
        (Self::EMERGENCY, "emergency"),
        (Self::IMMINENT_PERIL, "imminent peril"),
        (Self::QUEUEING_SUPPORTED, "queueing supported"),
        (Self::DUAL_FLOOR, "dual floor"),
        (Self::TEMPORARY_GROUP, "temporary group"),
        (Self::MULTI_TALKER, "multi-talker"),
    ];

    /// Whether every bit of `bits` is set.
    #[must_use]
    pub const fn contains(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }
}

impl BitOr for FloorIndicator {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for FloorIndicator {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for FloorIndicator {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for FloorIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (bit, name) in Self::NAMES {
            if self.contains(bit) {
                write!(f, "{separator}{name}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FloorIndicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#06x}({self})", self.0)
    }
}

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $value:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)*
            /// A value this release does not name.
            Unnamed(u16),
        }

        impl From<u16> for $name {
            fn from(value: u16) -> Self {
                match value {
                    $($value => Self::$variant,)*
                    other => Self::Unnamed(other),
                }
            }
        }

        impl From<$name> for u16 {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => $value,)*
                    $name::Unnamed(other) => other,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Unnamed(other) => write!(f, "{other}"),
                }
            }
        }
    };
}

numbered! {
    /// Why a floor request is refused (TS 24.380 8.2.6.2).
    DenyCause {
        /// Somebody else has the floor.
        AnotherHasPermission = 1, "another MCPTT client has permission";
        /// The server failed.
        InternalError = 2, "internal floor control server error";
        /// Nobody is there to listen.
        OnlyOneParticipant = 3, "only one participant";
        /// The retry-after timer of this participant still runs.
        RetryAfterNotExpired = 4, "retry-after timer has not expired";
        /// The participant may only listen.
        ReceiveOnly = 5, "receive only";
        /// No media resources.
        NoResources = 6, "no resources available";
        /// The queue of requests is full.
        QueueFull = 7, "queue full";
        /// Any other reason.
        Other = 255, "other reason";
    }
}

numbered! {
    /// Why permission to talk is withdrawn (TS 24.380 8.2.10.2), a name space of its own.
    RevokeCause {
        /// Nobody is there to listen any more.
        OnlyOneClient = 1, "only one MCPTT client";
        /// The talk-time limit T2 passed.
        MediaBurstTooLong = 2, "media burst too long";
        /// Media came from somebody without permission.
        NoPermission = 3, "no permission to send a media burst";
        /// A request of higher priority came.
        PreEmpted = 4, "media burst pre-empted";
        /// No media resources.
        NoResources = 6, "no resources available";
        /// Another client withdrew it (release 19).
        RevokedByAnotherClient = 7, "revoked by another client";
        /// Any other reason.
        Other = 255, "other reason";
    }
}

numbered! {
    /// Who sends a Floor Ack (TS 24.380 8.2.3.12).
    Source {
        /// The floor participant.
        FloorParticipant = 0, "floor participant";
        /// The participating function.
        ParticipatingFunction = 1, "participating MCPTT function";
        /// The controlling function.
        ControllingFunction = 2, "controlling MCPTT function";
        /// The non-controlling function.
        NonControllingFunction = 3, "non-controlling MCPTT function";
    }
}

/// Queue Info (TS 24.380 8.2.3.5): place in the queue and the priority held there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct QueueInfo {
    /// Place in the queue.
    pub position: QueuePosition,
    /// Priority of the queued request, 0 to 255.
    pub priority: u8,
}

/// The position octet of Queue Info.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QueuePosition {
    /// 1 is next; 253 is the last that can be told.
    Place(u8),
    /// The participant has no request in the queue (254).
    NotQueued,
    /// Queued, place not told (255).
    Undisclosed,
}

impl From<u8> for QueuePosition {
    fn from(octet: u8) -> Self {
        match octet {
            254 => Self::NotQueued,
            255 => Self::Undisclosed,
            place => Self::Place(place),
        }
    }
}

impl From<QueuePosition> for u8 {
    fn from(position: QueuePosition) -> Self {
        match position {
            QueuePosition::Place(place) => place.min(253),
            QueuePosition::NotQueued => 254,
            QueuePosition::Undisclosed => 255,
        }
    }
}

impl fmt::Display for QueuePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Place(place) => write!(f, "{place}"),
            Self::NotQueued => f.write_str("not queued"),
            Self::Undisclosed => f.write_str("queued, place not told"),
        }
    }
}

/// Track Info (TS 24.380 8.2.3.13): the path through a non-controlling function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrackInfo {
    /// 1 when the participant negotiated queueing.
    pub queueing_capability: u8,
    /// Participant type, free text of the group configuration.
    pub participant_type: String,
    /// Floor participant references, outermost first.
    pub references: Vec<u32>,
}

impl TrackInfo {
    pub(crate) fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let bad = DecodeError::PeerFieldLength {
            id: id::TRACK_INFO,
            len: value.len(),
        };
        let &[queueing_capability, type_len, ref rest @ ..] = value else {
            return Err(bad);
        };
        let type_len = usize::from(type_len);
        let text = rest.get(..type_len).ok_or(bad)?;
        // A type without references may end without its padding.
        let references = rest.get(type_len.next_multiple_of(4)..).unwrap_or(&[]);
        Ok(Self {
            queueing_capability,
            participant_type: text_of(id::TRACK_INFO, text)?,
            references: references
                .chunks_exact(4)
                .filter_map(|word| word.try_into().ok().map(u32::from_be_bytes))
                .collect(),
        })
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let text = self.participant_type.as_bytes();
        let type_len = u8::try_from(text.len()).map_err(|_| EncodeError::FieldTooLong {
            id: id::TRACK_INFO,
            len: text.len(),
        })?;
        let mut value = vec![self.queueing_capability, type_len];
        value.extend_from_slice(text);
        value.resize(2 + text.len().next_multiple_of(4), 0);
        for reference in &self.references {
            value.extend_from_slice(&reference.to_be_bytes());
        }
        Ok(value)
    }
}

/// Location (TS 24.380 8.2.3.21): a type octet and the octets that type defines.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Location {
    /// What the value is.
    pub kind: LocationKind,
    /// The octets as that kind codes them.
    pub value: Vec<u8>,
}

/// The type octet of Location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LocationKind {
    /// No location.
    NotProvided,
    /// E-UTRAN cell.
    Ecgi,
    /// Tracking area.
    TrackingArea,
    /// Network.
    PlmnId,
    /// MBMS service area.
    MbmsServiceArea,
    /// MBSFN area.
    MbsfnArea,
    /// Latitude and longitude, three octets each.
    Coordinates,
    /// A value this release does not name.
    Unnamed(u8),
}

impl From<u8> for LocationKind {
    fn from(octet: u8) -> Self {
        match octet {
            0 => Self::NotProvided,
            1 => Self::Ecgi,
            2 => Self::TrackingArea,
            3 => Self::PlmnId,
            4 => Self::MbmsServiceArea,
            5 => Self::MbsfnArea,
            6 => Self::Coordinates,
            other => Self::Unnamed(other),
        }
    }
}

impl From<LocationKind> for u8 {
    fn from(kind: LocationKind) -> Self {
        match kind {
            LocationKind::NotProvided => 0,
            LocationKind::Ecgi => 1,
            LocationKind::TrackingArea => 2,
            LocationKind::PlmnId => 3,
            LocationKind::MbmsServiceArea => 4,
            LocationKind::MbsfnArea => 5,
            LocationKind::Coordinates => 6,
            LocationKind::Unnamed(other) => other,
        }
    }
}

impl Location {
    pub(crate) fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (&kind, value) = value.split_first().ok_or(DecodeError::PeerFieldLength {
            id: id::LOCATION,
            len: 0,
        })?;
        Ok(Self {
            kind: kind.into(),
            value: value.to_vec(),
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = vec![u8::from(self.kind)];
        value.extend_from_slice(&self.value);
        value
    }
}

/// Reads the text of a field.
pub(crate) fn text_of(id: u8, value: &[u8]) -> Result<String, DecodeError> {
    core::str::from_utf8(value)
        .map(str::to_owned)
        .map_err(|_| DecodeError::PeerFieldNotUtf8(id))
}

/// Reads a list of texts: a count octet, then length octet and text each.
pub(crate) fn texts_of(id: u8, value: &[u8]) -> Result<Vec<String>, DecodeError> {
    let bad = || DecodeError::PeerFieldLength {
        id,
        len: value.len(),
    };
    let (&count, mut rest) = value.split_first().ok_or_else(bad)?;
    let mut texts = Vec::new();
    for _ in 0..count {
        let (&len, after) = rest.split_first().ok_or_else(bad)?;
        let (text, after) = after.split_at_checked(usize::from(len)).ok_or_else(bad)?;
        texts.push(text_of(id, text)?);
        rest = after;
    }
    Ok(texts)
}

/// Writes a list of texts.
pub(crate) fn texts_to(id: u8, texts: &[String]) -> Result<Vec<u8>, EncodeError> {
    let count = u8::try_from(texts.len()).map_err(|_| EncodeError::TooManyEntries {
        id,
        count: texts.len(),
    })?;
    let mut value = vec![count];
    for text in texts {
        let len = u8::try_from(text.len()).map_err(|_| EncodeError::FieldTooLong {
            id,
            len: text.len(),
        })?;
        value.push(len);
        value.extend_from_slice(text.as_bytes());
    }
    Ok(value)
}

/// Reads a list of SSRCs: a count octet, two spare octets, four octets each.
pub(crate) fn ssrcs_of(value: &[u8]) -> Result<Vec<u32>, DecodeError> {
    let bad = || DecodeError::PeerFieldLength {
        id: id::SSRCS,
        len: value.len(),
    };
    let &[count, _, _, ref rest @ ..] = value else {
        return Err(bad());
    };
    let words = rest.get(..usize::from(count) * 4).ok_or_else(bad)?;
    Ok(words
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok().map(u32::from_be_bytes))
        .collect())
}

/// Writes a list of SSRCs.
pub(crate) fn ssrcs_to(ssrcs: &[u32]) -> Result<Vec<u8>, EncodeError> {
    let count = u8::try_from(ssrcs.len()).map_err(|_| EncodeError::TooManyEntries {
        id: id::SSRCS,
        count: ssrcs.len(),
    })?;
    let mut value = vec![count, 0, 0];
    for ssrc in ssrcs {
        value.extend_from_slice(&ssrc.to_be_bytes());
    }
    Ok(value)
}
