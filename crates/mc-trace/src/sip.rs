//! Events from SIP messages: the head is read just far enough to fill in the event.

use serde_json::{Value, json};

use crate::event::{Direction, Endpoint, Event, Protocol, Transport};
use crate::names::{self, Declared};

/// Header lines shown in the decoded view; more are counted, not shown.
const MAX_HEADERS: usize = 64;
/// Octets of one header value shown.
const MAX_VALUE: usize = 512;

impl Event {
    /// A SIP message this node sent; summary, Call-ID and decoded head come from the message.
    #[must_use]
    pub fn sip_sent(from: Endpoint, to: Endpoint, transport: Transport, raw: &[u8]) -> Self {
        Self::sip(&names::SIP_SENT, Direction::Sent, from, to, transport, raw)
    }

    /// A SIP message this node received.
    #[must_use]
    pub fn sip_received(from: Endpoint, to: Endpoint, transport: Transport, raw: &[u8]) -> Self {
        Self::sip(
            &names::SIP_RECEIVED,
            Direction::Received,
            from,
            to,
            transport,
            raw,
        )
    }

    /// The same under another declared name (the radio side has its own).
    #[must_use]
    pub fn sip(
        name: &Declared,
        direction: Direction,
        from: Endpoint,
        to: Endpoint,
        transport: Transport,
        raw: &[u8],
    ) -> Self {
        let mut event = match direction {
            Direction::Received => Self::received(name, from, to, raw),
            Direction::Sent | Direction::Local => Self::sent(name, from, to, raw),
        };
        event.protocol = Protocol::Sip;
        event.transport = transport;
        let head = Head::read(raw);
        event.summary = head.summary();
        event.call_id = head.value("call-id", "i").map(str::to_owned);
        event.decoded = head.decoded(raw.len());
        event
    }
}

struct Head {
    start_line: String,
    headers: Vec<(String, String)>,
    body_octets: usize,
}

impl Head {
    fn read(raw: &[u8]) -> Self {
        let end = raw.windows(4).position(|w| w == b"\r\n\r\n");
        let (head, body_octets) = end.map_or((raw, 0), |at| {
            (raw.get(..at).unwrap_or(raw), raw.len() - at - 4)
        });
        let head = String::from_utf8_lossy(head);
        let mut lines = head.split("\r\n");
        let start_line = clip(lines.next().unwrap_or_default());
        let mut headers: Vec<(String, String)> = Vec::new();
        for line in lines {
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = headers.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_owned(), clip(value.trim())));
            }
        }
        Self {
            start_line,
            headers,
            body_octets,
        }
    }

    fn value(&self, name: &str, compact: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name) || n.eq_ignore_ascii_case(compact))
            .map(|(_, v)| v.as_str())
    }

    /// `INVITE sip:bob@example.org` or `200 OK (INVITE)`.
    fn summary(&self) -> String {
        if let Some(status) = self.start_line.strip_prefix("SIP/2.0 ") {
            let method = self
                .value("cseq", "cseq")
                .and_then(|v| v.split_whitespace().nth(1))
                .unwrap_or("?");
            return format!("{status} ({method})");
        }
        self.start_line
            .strip_suffix(" SIP/2.0")
            .unwrap_or(&self.start_line)
            .to_owned()
    }

    fn decoded(&self, octets: usize) -> Value {
        let shown: Vec<Value> = self
            .headers
            .iter()
            .take(MAX_HEADERS)
            .map(|(name, value)| json!({ "name": name, "value": clip(value) }))
            .collect();
        json!({
            "start_line": self.start_line,
            "headers": shown,
            "headers_not_shown": self.headers.len().saturating_sub(MAX_HEADERS),
            "body_octets": self.body_octets,
            "octets": octets,
        })
    }
}

fn clip(text: &str) -> String {
    if text.len() <= MAX_VALUE {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(MAX_VALUE).collect();
    clipped.push('…');
    clipped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends() -> (Endpoint, Endpoint) {
        (
            Endpoint::named("alice"),
            Endpoint::new("mcptt-server", "127.0.0.1:5060".parse().unwrap()),
        )
    }

    #[test]
    fn a_request_fills_summary_call_id_and_head() {
        let (from, to) = ends();
        let raw = b"INVITE sip:mcptt@mc.example SIP/2.0\r\ni: abc@host\r\nSubject: a\r\n folded\r\n\r\nbody";
        let event = Event::sip_sent(from, to, Transport::Udp, raw);
        assert_eq!(event.summary, "INVITE sip:mcptt@mc.example");
        assert_eq!(event.call_id.as_deref(), Some("abc@host"));
        assert_eq!(event.transport, Transport::Udp);
        assert_eq!(event.decoded["headers"][1]["value"], "a folded");
        assert_eq!(event.decoded["body_octets"], 4);
    }

    #[test]
    fn a_response_names_its_method() {
        let (from, to) = ends();
        let raw = b"SIP/2.0 403 Forbidden\r\nCSeq: 2 REGISTER\r\nCall-ID: x\r\n\r\n";
        let event = Event::sip_received(to, from, Transport::Tcp, raw);
        assert_eq!(event.summary, "403 Forbidden (REGISTER)");
        assert_eq!(event.direction, Direction::Received);
    }

    #[test]
    fn bytes_that_are_not_sip_still_give_an_event() {
        let (from, to) = ends();
        let event = Event::sip_received(from, to, Transport::Udp, &[0xff, 0, 0xfe]);
        assert_eq!(event.call_id, None);
        assert_eq!(event.raw, [0xff, 0, 0xfe]);
    }
}
