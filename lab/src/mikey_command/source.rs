//! I_MESSAGEs in whatever a person has at hand.

use super::capture;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_sip::{Multipart, SipMessage};
use mc_xml::gktp::GktpDocument;

/// Version 1, data type SAKKE: how every I_MESSAGE begins.
const BEGINNING: [u8; 2] = [0x01, 0x1a];

/// One message and where it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) origin: String,
    pub(super) octets: Vec<u8>,
}

impl Found {
    pub(super) fn new(origin: impl Into<String>, octets: Vec<u8>) -> Self {
        Self {
            origin: origin.into(),
            octets,
        }
    }
}

/// Every I_MESSAGE of the input.
///
/// # Errors
/// A sentence that says what the input is and why there is none.
pub(super) fn messages(input: &[u8]) -> Result<Vec<Found>, String> {
    if let Some(found) = capture::messages(input) {
        let none = || "the capture has no I_MESSAGE in clear (TLS hides SIP)".to_owned();
        return found.and_then(|found| {
            if found.is_empty() {
                Err(none())
            } else {
                Ok(found)
            }
        });
    }
    if input.starts_with(&BEGINNING) {
        return Ok(vec![Found::new("octets", input.to_vec())]);
    }
    let text = std::str::from_utf8(input).map_err(
        |_| "neither an I_MESSAGE (which begins 01 1a), nor text, nor a SIP message, nor a capture",
    );
    if is_sip(input) {
        // An application/mikey body is octets, as a rule.
        let found = text.map_or_else(|_| of_sip(input), of_sip_text)?;
        let none = || "the SIP message has no application/mikey body and no a=key-mgmt".to_owned();
        return if found.is_empty() {
            Err(none())
        } else {
            Ok(found)
        };
    }
    let text = text?;
    if text.trim_start().starts_with('<') {
        return of_gktp(input);
    }
    of_text(text)
}

fn is_sip(input: &[u8]) -> bool {
    let first = input.split(|octet| *octet == b'\n').next();
    let first = first.unwrap_or_default().trim_ascii_end();
    first.starts_with(b"SIP/2.0 ") || first.ends_with(b" SIP/2.0")
}

/// Files that went through an editor have lost their carriage returns.
fn of_sip_text(text: &str) -> Result<Vec<Found>, String> {
    if text.contains("\r\n") {
        return of_sip(text.as_bytes());
    }
    let restored = text.replace('\n', "\r\n");
    let (head, body) = restored.split_once("\r\n\r\n").unwrap_or((&restored, ""));
    let lines = head.split("\r\n").filter(|line| {
        let name = line.split(':').next().unwrap_or_default().trim();
        !name.eq_ignore_ascii_case("content-length") && !name.eq_ignore_ascii_case("l")
    });
    let head: Vec<&str> = lines.collect();
    let body_length = body.len();
    let whole = format!(
        "{}\r\nContent-Length: {body_length}\r\n\r\n{body}",
        head.join("\r\n")
    );
    of_sip(whole.as_bytes())
}

/// The I_MESSAGEs of one SIP message.
pub(super) fn of_sip(octets: &[u8]) -> Result<Vec<Found>, String> {
    let message = mc_sip::parse_message(octets).map_err(|e| format!("SIP: {}", e.error))?;
    let (headers, body) = match &message {
        SipMessage::Request(request) => (&request.headers, &request.body),
        SipMessage::Response(response) => (&response.headers, &response.body),
    };
    let parts = Multipart::of(headers, body)
        .map_err(|e| format!("SIP body: {e}"))?
        .parts;
    let found = crate::raw::mikey_of(&parts).into_iter();
    let found = found.filter_map(|text| BASE64_STANDARD.decode(text).ok());
    Ok(found
        .map(|octets| Found::new(message.summary(), octets))
        .collect())
}

fn of_gktp(input: &[u8]) -> Result<Vec<Found>, String> {
    let document = GktpDocument::parse(input).map_err(|e| format!("not a GKTP document: {e}"))?;
    let gktps = document.gmk.into_iter().flat_map(|gmk| gmk.gktps);
    let found: Vec<_> = gktps
        .map(|gktp| Found::new(format!("GKTP {}", gktp.id), gktp.mikey))
        .collect();
    match found.as_slice() {
        [] => Err("the GKTP document has no key".to_owned()),
        _ => Ok(found),
    }
}

/// Hexadecimal or base64, perhaps behind `a=key-mgmt:mikey`.
fn of_text(text: &str) -> Result<Vec<Found>, String> {
    let text = text.rsplit_once("mikey ").map_or(text, |(_, value)| value);
    let packed: String = text.split_ascii_whitespace().collect();
    if packed.is_empty() {
        return Err("the input is empty".to_owned());
    }
    if let Ok(octets) = hex::decode(&packed) {
        return Ok(vec![Found::new("hexadecimal", octets)]);
    }
    match BASE64_STANDARD.decode(&packed) {
        Ok(octets) => Ok(vec![Found::new("base64", octets)]),
        Err(error) => Err(format!("neither hexadecimal nor base64: {error}")),
    }
}
