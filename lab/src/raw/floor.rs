//! Floor control messages (TS 24.380 8.2) and those of pre-established sessions (8.3) as JSON: one flat
//! object per message.

mod convert;
mod mcpc;

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::op::{Op, Results, hex, results};
use floor_control::mcpc::McpcPacket;
use floor_control::{DecodeError, FloorPacket};
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) const OPS: &[Op] = &[
    Op {
        name: "floor.decode",
        fields: &[Field::hex("packet")],
        either: &[],
        results: &[Field::new("messages", Type::Free)],
        about: "every message of a datagram, in order; one that must be ignored makes the answer \
                an error with its `index`",
        run: decode,
    },
    Op {
        name: "floor.encode",
        fields: &[Field::new("messages", Type::Free)],
        either: &[],
        results: &[Field::hex("packet")],
        about: "a datagram with these messages: objects as `floor.decode` answers; a field that \
                the message does not have is an error",
        run: encode,
    },
];

/// One message. Only the fields of its type are there.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flat {
    /// Title of the clause in lower case with dashes: `floor-request`.
    #[serde(rename = "type")]
    kind: String,
    /// SSRC of the sender, 8 hexadecimal digits.
    ssrc: String,
    #[serde(default, skip_serializing_if = "is_false")]
    ack_required: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phrase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_position: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted_party: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    may_request: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence_number: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_type: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    track_info: Option<Track>,
    #[serde(skip_serializing_if = "Option::is_none")]
    indicator: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    media_ssrc: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    granted_users: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    media_ssrcs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    functional_alias: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    functional_aliases: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    locations: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    purpose: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_users: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resume: Option<bool>,
}

/// Track Info.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Track {
    queueing_capability: u8,
    participant_type: String,
    references: Vec<u32>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

fn decode(args: &Args<'_>) -> Results {
    let octets = args.octets("packet")?;
    let mut messages = Vec::new();
    // Both find the same packets and read those of their own name.
    let both = FloorPacket::decode_all(&octets).zip(McpcPacket::decode_all(&octets));
    for (at, packets) in both.enumerate() {
        let malformed = |e: DecodeError| Error::new(Kind::Malformed, e.to_string()).at(at);
        messages.push(match packets {
            (Err(DecodeError::UnsupportedName(floor_control::mcpc::NAME)), session) => {
                mcpc::to_json(&session.map_err(malformed)?)?
            }
            (floor, _) => serde_json::to_value(Flat::of(&floor.map_err(malformed)?))
                .map_err(|e| Error::new(Kind::Internal, e.to_string()))?,
        });
    }
    results([("messages", messages.into())])
}

fn encode(args: &Args<'_>) -> Results {
    let Value::Array(messages) = args.value("messages") else {
        return Err(Error::field("messages", "a list is needed"));
    };
    let mut out = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        if message["type"].as_str().is_some_and(mcpc::is_type) {
            out.extend(mcpc::encode(message).map_err(|e| e.at(at))?);
            continue;
        }
        let packet = packet_of(message).map_err(|e| e.at(at))?;
        let encoded = packet.encode(&mut out);
        encoded.map_err(|e| Error::new(Kind::Length, e.to_string()).at(at))?;
    }
    results([("packet", hex(out))])
}

fn packet_of(message: &Value) -> Result<FloorPacket, Error> {
    let flat = Flat::deserialize(message).map_err(|e| Error::field("messages", e))?;
    let packet = flat.packet()?;
    let back = serde_json::to_value(Flat::of(&packet)).unwrap_or_default();
    all_came_back(&flat.kind, &flat, &back)?;
    Ok(packet)
}

/// What does not come back from the typed message was a field of another one.
fn all_came_back(kind: &str, given: &impl Serialize, back: &Value) -> Result<(), Error> {
    let given = serde_json::to_value(given).unwrap_or_default();
    let lost = given.as_object().into_iter().flatten();
    let mut lost = lost.filter(|(name, value)| back.get(name.as_str()) != Some(*value));
    match lost.next() {
        Some((name, _)) => {
            let detail = format!("not a field of {kind}, or not a value of it");
            Err(Error::field(name, detail))
        }
        None => Ok(()),
    }
}
