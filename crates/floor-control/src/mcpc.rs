//! Pre-established session call control messages (TS 24.380 8.3), the `MCPC` application.
//!
//! On-demand calls do not need them; the lab decodes and builds them for peers that do.

use crate::error::{DecodeError, EncodeError};
use crate::field::text_of;
use crate::message::ACK_BIT;
use crate::wire::{AppPacket, AppPackets, Fields, PacketWriter};

/// The RTCP APP name of pre-established session call control.
pub const NAME: [u8; 4] = *b"MCPC";

const MEDIA_STREAMS: u8 = 0;
const SESSION_IDENTITY: u8 = 1;
const WARNING_TEXT: u8 = 2;
const GROUP_IDENTITY: u8 = 3;
const ANSWER_STATE: u8 = 4;
const INVITING_USER: u8 = 5;
const REASON_CODE: u8 = 6;
const PCK_I_MESSAGE: u8 = 192;

/// One message with what its RTCP header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct McpcPacket {
    /// SSRC of the sender of this message.
    pub ssrc: u32,
    /// Whether the sender wants an Acknowledgement.
    pub ack_required: bool,
    /// The message.
    pub message: McpcMessage,
}

/// The messages of Table 8.3.2-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum McpcMessage {
    /// Joins the pre-established session to a call (8.3.4).
    Connect(Connect),
    /// Takes it out of the call (8.3.5).
    Disconnect {
        /// The session to leave.
        session: SessionIdentity,
    },
    /// Answers either (8.3.6): 0 accepted, 1 busy, 2 not accepted.
    Acknowledgement {
        /// Reason code.
        reason: u16,
    },
}

/// Connect (8.3.4).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connect {
    /// Media stream number and control channel number in the session's SDP.
    pub media_streams: Option<[u8; 2]>,
    /// The MCPTT session.
    pub session: Option<SessionIdentity>,
    /// Warning text for the user.
    pub warning: Option<String>,
    /// The group.
    pub group: Option<String>,
    /// 0 unconfirmed, 1 confirmed.
    pub answer_state: Option<u16>,
    /// MCPTT ID of the caller.
    pub inviting_user: Option<String>,
    /// `I_MESSAGE` carrying the PCK; the 16-bit length of this field is unverified.
    pub pck_i_message: Option<Vec<u8>>,
}

/// MCPTT Session Identity (8.3.3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionIdentity {
    /// 0 none, 1 private, 3 prearranged, 4 chat.
    pub session_type: u8,
    /// SIP URI of the session.
    pub uri: String,
}

impl McpcPacket {
    /// Reads every message of one datagram, in order.
    ///
    /// # Errors
    ///
    /// Each item is an error if that message is malformed, incomplete or of an unknown type.
    pub fn decode_all(datagram: &[u8]) -> impl Iterator<Item = Result<Self, DecodeError>> + '_ {
        AppPackets::new(datagram).map(|packet| packet.and_then(|packet| Self::decode(&packet)))
    }

    fn decode(packet: &AppPacket<'_>) -> Result<Self, DecodeError> {
        if packet.name != NAME {
            return Err(DecodeError::UnsupportedName(packet.name));
        }
        let (mut fields, mut reason) = (Connect::default(), None);
        for field in Fields::new(packet.fields) {
            let (id, value) = field?;
            let octets = || -> Result<[u8; 2], DecodeError> {
                let bad = DecodeError::PeerFieldLength {
                    id,
                    len: value.len(),
                };
                value.first_chunk::<2>().copied().ok_or(bad)
            };
            match id {
                MEDIA_STREAMS => fields.media_streams = Some(octets()?),
                SESSION_IDENTITY => fields.session = Some(SessionIdentity::decode(value)?),
                WARNING_TEXT => fields.warning = Some(text_of(id, value)?),
                GROUP_IDENTITY => fields.group = Some(text_of(id, value)?),
                ANSWER_STATE => fields.answer_state = Some(u16::from_be_bytes(octets()?)),
                INVITING_USER => fields.inviting_user = Some(text_of(id, value)?),
                REASON_CODE => reason = Some(u16::from_be_bytes(octets()?)),
                PCK_I_MESSAGE => fields.pck_i_message = Some(value.to_vec()),
                _ => {}
            }
        }
        let subtype = packet.subtype & !ACK_BIT;
        let missing = |field| DecodeError::PeerFieldMissing { subtype, field };
        let message = match subtype {
            0 => McpcMessage::Connect(fields),
            1 => McpcMessage::Disconnect {
                session: fields.session.ok_or_else(|| missing(SESSION_IDENTITY))?,
            },
            2 => McpcMessage::Acknowledgement {
                reason: reason.ok_or_else(|| missing(REASON_CODE))?,
            },
            undefined => return Err(DecodeError::UnsupportedSubtype(undefined)),
        };
        Ok(Self {
            ssrc: packet.ssrc,
            ack_required: packet.subtype & ACK_BIT != 0,
            message,
        })
    }

    /// The message as a datagram of its own.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a text does not fit its field.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut packet = PacketWriter::default();
        let subtype = match &self.message {
            McpcMessage::Connect(connect) => {
                connect.write(&mut packet)?;
                0
            }
            McpcMessage::Disconnect { session } => {
                packet.field(SESSION_IDENTITY, &session.encode())?;
                1
            }
            McpcMessage::Acknowledgement { reason } => {
                packet.u16(REASON_CODE, *reason)?;
                2
            }
        };
        let ack = if self.ack_required { ACK_BIT } else { 0 };
        let mut out = Vec::new();
        packet.finish(subtype | ack, self.ssrc, NAME, &mut out)?;
        Ok(out)
    }
}

impl Connect {
    fn write(&self, packet: &mut PacketWriter) -> Result<(), EncodeError> {
        if let Some(streams) = &self.media_streams {
            packet.field(MEDIA_STREAMS, streams)?;
        }
        if let Some(session) = &self.session {
            packet.field(SESSION_IDENTITY, &session.encode())?;
        }
        for (id, text) in [(WARNING_TEXT, &self.warning), (GROUP_IDENTITY, &self.group)] {
            if let Some(text) = text {
                packet.field(id, text.as_bytes())?;
            }
        }
        if let Some(state) = self.answer_state {
            packet.u16(ANSWER_STATE, state)?;
        }
        if let Some(user) = &self.inviting_user {
            packet.field(INVITING_USER, user.as_bytes())?;
        }
        if let Some(i_message) = &self.pck_i_message {
            packet.field(PCK_I_MESSAGE, i_message)?;
        }
        Ok(())
    }
}

impl SessionIdentity {
    fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let (&session_type, uri) = value.split_first().ok_or(DecodeError::PeerFieldLength {
            id: SESSION_IDENTITY,
            len: 0,
        })?;
        Ok(Self {
            session_type,
            uri: text_of(SESSION_IDENTITY, uri)?,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut value = vec![self.session_type];
        value.extend_from_slice(self.uri.as_bytes());
        value
    }
}
