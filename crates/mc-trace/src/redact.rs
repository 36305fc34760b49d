//! Masking of secrets, length-preserving so that framing and offsets stay true.

use serde_json::Value;

use crate::event::{Event, Protocol};

/// What stands where a secret stood in a decoded view.
const MASK: &str = "[redacted]";

/// Fields of JSON documents and forms whose values are secret.
const SECRET_FIELDS: &[&str] = &[
    "access_token",
    "refresh_token",
    "id_token",
    "assertion",
    "client_assertion",
    "password",
    "code",
    "code_verifier",
    "client_secret",
    "subject_token",
    "actor_token",
];

/// XML elements whose content is secret: tokens in mcptt-info, private keys in a key set.
const SECRET_ELEMENTS: &[&str] = &[
    "mcptt-access-token",
    "UserDecryptKey",
    "UserSigningKeySSK",
    "NewTransportKey",
];

/// HTTP headers whose value is secret.
const SECRET_HEADERS: &[&str] = &["authorization", "cookie", "set-cookie", "location"];

impl Event {
    /// Masks every secret: in the summary and the decoded view always, in the octets unless
    /// `keep_octets` (a lab that exports its keys wants captures it can decrypt).
    pub fn redact(&mut self, keep_octets: bool) {
        let mut summary = std::mem::take(&mut self.summary).into_bytes();
        self.redacted |= mask_all(&mut summary);
        self.summary = String::from_utf8_lossy(&summary).into_owned();
        self.redacted |= mask_value(&mut self.decoded, 0);
        if keep_octets {
            return;
        }
        if matches!(self.protocol, Protocol::Http | Protocol::Sip) {
            self.redacted |= mask_all(&mut self.raw);
            self.redacted |= mask_all(&mut self.clear);
        }
        if self.media && !self.clear.is_empty() {
            self.clear = Vec::new();
            self.redacted = true;
        }
    }
}

fn mask_value(value: &mut Value, depth: u8) -> bool {
    if depth > 16 {
        *value = Value::String(MASK.to_owned());
        return true;
    }
    match value {
        Value::Object(map) => map.iter_mut().fold(false, |hit, (name, inner)| {
            let secret = SECRET_FIELDS
                .iter()
                .chain(SECRET_ELEMENTS)
                .chain(&["authorization", "cookie", "set-cookie"])
                .any(|s| name.eq_ignore_ascii_case(s));
            if secret && inner.is_string() {
                *inner = Value::String(MASK.to_owned());
                return true;
            }
            mask_value(inner, depth + 1) | hit
        }),
        Value::Array(items) => items
            .iter_mut()
            .fold(false, |hit, inner| mask_value(inner, depth + 1) | hit),
        Value::String(text) => {
            let mut octets = std::mem::take(text).into_bytes();
            let hit = mask_all(&mut octets);
            *text = String::from_utf8_lossy(&octets).into_owned();
            hit
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn mask_all(octets: &mut [u8]) -> bool {
    let mut hit = mask_tokens(octets);
    for element in SECRET_ELEMENTS {
        hit |= mask_element(octets, element);
    }
    for field in SECRET_FIELDS {
        hit |= mask_field(octets, field);
    }
    for header in SECRET_HEADERS {
        hit |= mask_header(octets, header);
    }
    hit
}

/// Anything of the shape of a JSON Web Token, wherever it stands.
fn mask_tokens(octets: &mut [u8]) -> bool {
    let mut hit = false;
    let mut from = 0;
    while let Some(at) = find(octets, b"eyJ", from) {
        let end = run_end(octets, at, |c| {
            c.is_ascii_alphanumeric() || b"-_.".contains(&c)
        });
        let dots = octets
            .get(at..end)
            .map_or(0, |t| t.iter().filter(|c| **c == b'.').count());
        if dots >= 2 {
            hit |= fill(octets, at, end);
        }
        from = end.max(at + 3);
    }
    hit
}

/// `<p:Name ...>content</p:Name>`, any prefix; nested content is masked with it.
fn mask_element(octets: &mut [u8], name: &str) -> bool {
    let mut hit = false;
    let mut from = 0;
    while let Some(at) = find(octets, name.as_bytes(), from) {
        from = at + name.len();
        let Some(open) = find(octets, b">", from) else {
            break;
        };
        if octets.get(open.wrapping_sub(1)) == Some(&b'/') || is_closing(octets, at) {
            continue;
        }
        let close = find_closing(octets, name, open + 1).unwrap_or(octets.len());
        hit |= fill(octets, open + 1, close);
        from = close;
    }
    hit
}

fn is_closing(octets: &[u8], name_at: usize) -> bool {
    let before = octets
        .get(name_at.saturating_sub(32)..name_at)
        .unwrap_or_default();
    before
        .iter()
        .rposition(|c| *c == b'<')
        .is_some_and(|lt| before.get(lt + 1) == Some(&b'/'))
}

fn find_closing(octets: &[u8], name: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(next) = find(octets, name.as_bytes(), at) {
        if is_closing(octets, next) {
            return octets.get(..next)?.iter().rposition(|c| *c == b'<');
        }
        at = next + name.len();
    }
    None
}

/// `"name": "value"` and `name=value`.
fn mask_field(octets: &mut [u8], name: &str) -> bool {
    let mut hit = false;
    let mut from = 0;
    while let Some(at) = find(octets, name.as_bytes(), from) {
        let end = at + name.len();
        from = end;
        let before = at.checked_sub(1).and_then(|i| octets.get(i)).copied();
        match octets.get(end) {
            Some(b'=') if matches!(before, None | Some(b'&' | b'?' | b'\n' | b' ' | b'"')) => {
                let stop = run_end(octets, end + 1, |c| !b"& \r\n\"#;".contains(&c));
                hit |= fill(octets, end + 1, stop);
            }
            Some(b'"') if before == Some(b'"') => {
                let colon = run_end(octets, end + 1, |c| b" \t\r\n:".contains(&c));
                if octets.get(colon) == Some(&b'"') {
                    let stop = run_end(octets, colon + 1, |c| c != b'"');
                    hit |= fill(octets, colon + 1, stop);
                }
            }
            _ => {}
        }
    }
    hit
}

/// `Name: value` at the start of a line; `Location` only after its question mark.
fn mask_header(octets: &mut [u8], name: &str) -> bool {
    let mut hit = false;
    let mut line = 0;
    while line < octets.len() {
        let end = run_end(octets, line, |c| c != b'\n');
        let named = octets
            .get(line..line + name.len())
            .is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()))
            && octets.get(line + name.len()) == Some(&b':');
        if named {
            let stop = run_end(octets, line, |c| c != b'\r' && c != b'\n');
            let start = if name == "location" {
                find(octets, b"?", line).map_or(stop, |at| at + 1).min(stop)
            } else {
                let value = line + name.len() + 1;
                scheme_end(octets, value, stop)
            };
            hit |= fill(octets, start, stop);
        }
        line = end + 1;
    }
    hit
}

/// Keeps the scheme word (`Bearer`, `Basic`) readable.
fn scheme_end(octets: &[u8], value: usize, stop: usize) -> usize {
    let start = run_end(octets, value, |c| c == b' ');
    let word = run_end(octets, start, |c| c.is_ascii_alphabetic());
    if word < stop && octets.get(word) == Some(&b' ') {
        word + 1
    } else {
        start.min(stop)
    }
}

fn find(octets: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    octets
        .get(from..)?
        .windows(needle.len())
        .position(|w| w == needle)
        .map(|at| at + from)
}

fn run_end(octets: &[u8], from: usize, keep: impl Fn(u8) -> bool) -> usize {
    octets
        .get(from..)
        .and_then(|rest| rest.iter().position(|c| !keep(*c)))
        .map_or(octets.len(), |n| from + n)
}

fn fill(octets: &mut [u8], from: usize, to: usize) -> bool {
    match octets.get_mut(from..to) {
        Some(secret) if !secret.is_empty() => {
            secret.fill(b'*');
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
