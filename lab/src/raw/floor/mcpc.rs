//! Pre-established session call control (TS 24.380 8.3), the `MCPC` messages, as JSON.

use super::is_false;
use crate::raw::error::{Error, Kind};
use floor_control::mcpc::{Connect, McpcMessage, McpcPacket, SessionIdentity};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const CONNECT: &str = "connect";
const DISCONNECT: &str = "disconnect";
const ACKNOWLEDGEMENT: &str = "acknowledgement";

/// One message. Only the fields of its type are there.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    #[serde(rename = "type")]
    kind: String,
    ssrc: String,
    #[serde(default, skip_serializing_if = "is_false")]
    ack_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_stream: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    control_channel: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer_state: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inviting_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pck_i_message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<u16>,
}

/// Whether a message is one of these.
pub(super) fn is_type(kind: &str) -> bool {
    [CONNECT, DISCONNECT, ACKNOWLEDGEMENT].contains(&kind)
}

/// The message as an object.
pub(super) fn to_json(packet: &McpcPacket) -> Result<Value, Error> {
    serde_json::to_value(Flat::of(packet)).map_err(|e| Error::new(Kind::Internal, e.to_string()))
}

/// The octets of an object.
pub(super) fn encode(message: &Value) -> Result<Vec<u8>, Error> {
    let flat = Flat::deserialize(message).map_err(|e| Error::field("messages", e))?;
    let packet = flat.packet()?;
    super::all_came_back(&flat.kind, &flat, &to_json(&packet)?)?;
    let encoded = packet.to_bytes();
    encoded.map_err(|e| Error::new(Kind::Length, e.to_string()))
}

impl Flat {
    fn of(packet: &McpcPacket) -> Self {
        let common = |kind: &str| Self {
            kind: kind.to_owned(),
            ssrc: format!("{:08x}", packet.ssrc),
            ack_required: packet.ack_required,
            ..Self::default()
        };
        match &packet.message {
            McpcMessage::Connect(connect) => {
                let [media, control] = match connect.media_streams {
                    Some(both) => both.map(Some),
                    None => [None; 2],
                };
                let octets = connect.pck_i_message.as_ref();
                Self {
                    media_stream: media,
                    control_channel: control,
                    warning: connect.warning.clone(),
                    group: connect.group.clone(),
                    answer_state: connect.answer_state,
                    inviting_user: connect.inviting_user.clone(),
                    pck_i_message: octets.map(hex::encode),
                    ..common(CONNECT).with(connect.session.as_ref())
                }
            }
            McpcMessage::Disconnect { session } => common(DISCONNECT).with(Some(session)),
            McpcMessage::Acknowledgement { reason } => Self {
                reason: Some(*reason),
                ..common(ACKNOWLEDGEMENT)
            },
        }
    }

    fn with(self, session: Option<&SessionIdentity>) -> Self {
        Self {
            session_type: session.map(|session| session.session_type),
            session: session.map(|session| session.uri.clone()),
            ..self
        }
    }

    fn packet(&self) -> Result<McpcPacket, Error> {
        let needed = |name| Error::field(name, format!("{} needs it", self.kind));
        let session = match (self.session_type, &self.session) {
            (Some(session_type), Some(uri)) => Some(SessionIdentity {
                session_type,
                uri: uri.clone(),
            }),
            (None, None) => None,
            (None, Some(_)) => return Err(needed("session_type")),
            (Some(_), None) => return Err(needed("session")),
        };
        let message = match self.kind.as_str() {
            CONNECT => McpcMessage::Connect(self.connect(session)?),
            DISCONNECT => McpcMessage::Disconnect {
                session: session.ok_or_else(|| needed("session"))?,
            },
            ACKNOWLEDGEMENT => McpcMessage::Acknowledgement {
                reason: self.reason.ok_or_else(|| needed("reason"))?,
            },
            other => return Err(Error::field("type", format!("{other:?} is no message"))),
        };
        Ok(McpcPacket {
            ssrc: super::convert::ssrc_of("ssrc", &self.ssrc)?,
            ack_required: self.ack_required,
            message,
        })
    }

    fn connect(&self, session: Option<SessionIdentity>) -> Result<Connect, Error> {
        let needed = |name| Error::field(name, "both numbers of Media Streams are needed");
        let media_streams = match (self.media_stream, self.control_channel) {
            (Some(media), Some(control)) => Some([media, control]),
            (None, None) => None,
            (None, Some(_)) => return Err(needed("media_stream")),
            (Some(_), None) => return Err(needed("control_channel")),
        };
        let octets = self.pck_i_message.as_ref().map(hex::decode).transpose();
        Ok(Connect {
            media_streams,
            session,
            warning: self.warning.clone(),
            group: self.group.clone(),
            answer_state: self.answer_state,
            inviting_user: self.inviting_user.clone(),
            pck_i_message: octets.map_err(|e| Error::field("pck_i_message", e))?,
        })
    }
}
