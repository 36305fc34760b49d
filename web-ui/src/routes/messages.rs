//! The remembered messages.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::history::Row;
use crate::state::Console;

/// Octets shown of a message; the capture has all of them.
const MAX_SHOWN: usize = 16_384;

/// A message with everything known about it.
#[derive(Debug, Serialize)]
pub(super) struct Detail {
    #[serde(flatten)]
    row: Row,
    protocol: Value,
    transport: Value,
    from_address: Option<String>,
    to_address: Option<String>,
    clause: Option<String>,
    correlation_id: Option<String>,
    key_ids: Vec<String>,
    decoded: Value,
    redacted: bool,
    octets: usize,
    text: Option<String>,
    hex: Option<String>,
    clear_hex: Option<String>,
}

pub(super) async fn list(State(console): State<Console>) -> Json<Vec<Row>> {
    Json(console.history().after(0).cloned().collect())
}

pub(super) async fn clear(State(console): State<Console>) -> StatusCode {
    console.history().clear();
    StatusCode::NO_CONTENT
}

pub(super) async fn one(
    State(console): State<Console>,
    Path(id): Path<u64>,
) -> Result<Json<Detail>, (StatusCode, &'static str)> {
    let row = console.history().find(id).cloned();
    let gone = (
        StatusCode::NOT_FOUND,
        "the message is no longer in the history",
    );
    row.map(|row| Json(detail(row))).ok_or(gone)
}

fn detail(row: Row) -> Detail {
    let event = row.event.clone();
    let (text, hex) = shown(&event.raw);
    let clear_hex = (!event.clear.is_empty()).then(|| dump(&event.clear));
    Detail {
        protocol: serde_json::to_value(event.protocol).unwrap_or_default(),
        transport: serde_json::to_value(event.transport).unwrap_or_default(),
        from_address: event.from.addr.map(|a| a.to_string()),
        to_address: event.to.addr.map(|a| a.to_string()),
        clause: event.clause,
        correlation_id: event.correlation_id,
        key_ids: event.key_ids,
        decoded: event.decoded,
        redacted: event.redacted,
        octets: event.raw.len(),
        text,
        hex,
        clear_hex,
        row,
    }
}

/// Text if it is readable as such, a dump otherwise.
fn shown(octets: &[u8]) -> (Option<String>, Option<String>) {
    if octets.is_empty() {
        return (None, None);
    }
    let part = octets.get(..MAX_SHOWN).unwrap_or(octets);
    let readable = |c: char| !c.is_control() || matches!(c, '\r' | '\n' | '\t');
    match std::str::from_utf8(part) {
        Ok(text) if text.chars().all(readable) => (Some(text.replace('\r', "")), None),
        _ => (None, Some(dump(part))),
    }
}

/// Sixteen octets a line: offset, hexadecimal, printable characters.
fn dump(octets: &[u8]) -> String {
    let mut out = String::new();
    let octets = octets.get(..MAX_SHOWN).unwrap_or(octets);
    for (n, line) in octets.chunks(16).enumerate() {
        let hex: Vec<String> = line.iter().map(|b| format!("{b:02x}")).collect();
        let printable = |b: &u8| {
            if b.is_ascii_graphic() {
                char::from(*b)
            } else {
                '.'
            }
        };
        let text: String = line.iter().map(printable).collect();
        out.push_str(&format!("{:04x}  {:<47}  {text}\n", n * 16, hex.join(" ")));
    }
    out
}
