//! Errors of the wire format, grouped by who is to blame.

/// Why a received message is ignored (TS 24.380 8.1.4: the receiver stays in its state).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The datagram ends inside a packet, so neither it nor anything after it can be read.
    #[error("the datagram ends inside an RTCP packet")]
    PeerTruncated,
    /// The RTCP version is not 2.
    #[error("RTCP version {0} instead of 2")]
    PeerVersion(u8),
    /// The RTCP padding bit is set, which floor control does not use.
    #[error("RTCP padding bit set in a floor control packet")]
    PeerPaddingBit,
    /// A field reaches beyond its packet.
    #[error("a field reaches beyond the end of its packet")]
    PeerFieldTruncated,
    /// A known field is too short for its type or holds an impossible inner length.
    #[error("field {id} has the impossible length {len}")]
    PeerFieldLength {
        /// Field ID.
        id: u8,
        /// Length octets as received.
        len: usize,
    },
    /// A text field is not UTF-8.
    #[error("field {0} is not UTF-8")]
    PeerFieldNotUtf8(u8),
    /// A mandatory field is absent.
    #[error("field {field} is missing in message type {subtype}")]
    PeerFieldMissing {
        /// Message subtype without the acknowledgement bit.
        subtype: u8,
        /// Field ID.
        field: u8,
    },
    /// An RTCP packet other than APP, such as a sender report.
    #[error("RTCP packet type {0} is not floor control")]
    UnsupportedPacketType(u8),
    /// An APP packet of another application.
    #[error("RTCP APP name {0:02x?} is not the one expected")]
    UnsupportedName([u8; 4]),
    /// A subtype, or an acknowledged variant of one, that no release defines.
    #[error("message subtype {0:#04x} is not defined")]
    UnsupportedSubtype(u8),
}

/// Why a message cannot be written; always the caller's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A value does not fit the length octet of its field.
    #[error("field {id} would hold {len} octets")]
    FieldTooLong {
        /// Field ID.
        id: u8,
        /// Octets the value would need.
        len: usize,
    },
    /// A list has more entries than its count octet can say.
    #[error("field {id} would list {count} entries")]
    TooManyEntries {
        /// Field ID.
        id: u8,
        /// Entries in the list.
        count: usize,
    },
    /// The packet does not fit the RTCP length field.
    #[error("the message would be {0} octets long")]
    MessageTooLong(usize),
}
