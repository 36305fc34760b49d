//! SIP messages with their bodies (RFC 3261, RFC 2046, TS 24.379).

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::op::{Op, Results, hex, results};
use mc_sip::{BodyPart, Headers, Multipart, SipMessage, mcptt, sdp::Sdp};
use serde_json::{Value, json};

pub(super) const OPS: &[Op] = &[Op {
    name: "sip.parse",
    fields: &[Field::new("message", Type::Document)],
    either: &[],
    results: &[
        Field::new("kind", Type::Word(&["request", "response"])),
        Field::new("method", Type::Text).optional(),
        Field::new("uri", Type::Text).optional(),
        Field::new("status", Type::Integer).optional(),
        Field::new("reason", Type::Text).optional(),
        Field::new("headers", Type::Free),
        Field::hex("body"),
        Field::new("parts", Type::Free),
        Field::new("mikey", Type::TextList),
    ],
    about: "one message; `headers` are pairs in order, `parts` the decoded body parts \
            (media_type, headers, content), `mikey` every I_MESSAGE in it (base64), from SDP too. \
            A refusal names the status code that would answer it",
    run: parse,
}];

fn parse(args: &Args<'_>) -> Results {
    let octets = args.document("message")?;
    let message = mc_sip::parse_message(&octets).map_err(|rejected| {
        let status = rejected.error.status();
        Error::new(
            Kind::Malformed,
            format!("{} (answered with {status})", rejected.error),
        )
    })?;
    let (headers, body) = match &message {
        SipMessage::Request(request) => (&request.headers, &request.body),
        SipMessage::Response(response) => (&response.headers, &response.body),
    };
    let parts = Multipart::of(headers, body);
    let parts = parts
        .map_err(|e| Error::new(Kind::Malformed, e.to_string()))?
        .parts;
    let mut fields = results([
        ("headers", pairs(headers)),
        ("body", hex(body)),
        ("parts", parts.iter().map(part).collect::<Vec<_>>().into()),
        ("mikey", mikey_of(&parts).into()),
    ])?;
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    match &message {
        SipMessage::Request(request) => {
            put("kind", "request".into());
            put("method", request.method.to_string().into());
            put("uri", request.uri.to_string().into());
        }
        SipMessage::Response(response) => {
            put("kind", "response".into());
            put("status", response.status.code().into());
            put("reason", response.reason.as_str().into());
        }
    }
    Ok(fields)
}

fn pairs(headers: &Headers) -> Value {
    let pairs = headers.iter().map(|(name, value)| json!([name, value]));
    pairs.collect::<Vec<_>>().into()
}

fn part(part: &BodyPart) -> Value {
    json!({
        "media_type": part.media_type,
        "headers": pairs(&part.headers),
        "content": hex(&part.content),
    })
}

/// Every I_MESSAGE of the parts, in base64: of key messages and of session descriptions.
pub(crate) fn mikey_of(parts: &[BodyPart]) -> Vec<String> {
    use base64::Engine as _;
    let of_part = |part: &BodyPart| -> Vec<String> {
        if part.media_type == mcptt::media::MIKEY {
            return vec![base64::prelude::BASE64_STANDARD.encode(&part.content)];
        }
        if part.media_type != "application/sdp" {
            return Vec::new();
        }
        let sdp = Sdp::parse(&part.content);
        sdp.map(|sdp| sdp.all_key_mgmt().map(str::to_owned).collect())
            .unwrap_or_default()
    };
    parts.iter().flat_map(of_part).collect()
}
