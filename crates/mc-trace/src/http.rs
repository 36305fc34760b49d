//! Events from HTTP messages, which are traced above TLS.

use serde_json::{Value, json};

use crate::event::{Direction, Endpoint, Event};
use crate::names::Declared;

/// Octets of a body kept in an event.
const MAX_BODY: usize = 48 * 1024;

/// The octets of an HTTP/1.1 message, put together from its parts.
///
/// `Content-Length` is written from the body; a given one, and any `Transfer-Encoding`, is dropped.
#[must_use]
pub fn http_message(start_line: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + body.len());
    out.extend_from_slice(one_line(start_line).as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        let framing = ["content-length", "transfer-encoding"];
        if framing.iter().any(|f| name.eq_ignore_ascii_case(f)) {
            continue;
        }
        out.extend_from_slice(format!("{}: {}\r\n", one_line(name), one_line(value)).as_bytes());
    }
    let body = body.get(..MAX_BODY).unwrap_or(body);
    out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
    out.extend_from_slice(body);
    out
}

fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).collect()
}

impl Event {
    /// An HTTP request under a declared name (`http:request` for a client).
    ///
    /// `target` is the path with its query; the query is left out of summary and decoded view
    /// because authorization responses carry codes there.
    #[must_use]
    pub fn http_request(
        name: &Declared,
        direction: Direction,
        (from, to): (Endpoint, Endpoint),
        (method, target): (&str, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let path = target.split('?').next().unwrap_or_default();
        let raw = http_message(&format!("{method} {target} HTTP/1.1"), headers, body);
        let mut event = Self::message_in(name, direction, from, to, raw);
        event.summary = format!("{method} {path}");
        event.decoded = json!({
            "method": method, "path": path,
            "headers": shown(headers), "body_octets": body.len(),
        });
        event
    }

    /// An HTTP response under a declared name.
    #[must_use]
    pub fn http_response(
        name: &Declared,
        direction: Direction,
        (from, to): (Endpoint, Endpoint),
        (status, to_request): (u16, &str),
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let raw = http_message(
            &format!("HTTP/1.1 {status} {}", reason(status)),
            headers,
            body,
        );
        let mut event = Self::message_in(name, direction, from, to, raw);
        let to_request = to_request.split('?').next().unwrap_or_default();
        event.summary = format!("{status} {} ({to_request})", reason(status));
        event.decoded = json!({
            "status": status, "request": to_request,
            "headers": shown(headers), "body_octets": body.len(),
        });
        event
    }

    fn message_in(
        name: &Declared,
        direction: Direction,
        from: Endpoint,
        to: Endpoint,
        raw: Vec<u8>,
    ) -> Self {
        match direction {
            Direction::Received => Self::received(name, from, to, raw),
            Direction::Sent | Direction::Local => Self::sent(name, from, to, raw),
        }
    }
}

fn shown(headers: &[(&str, &str)]) -> Vec<Value> {
    let public = |name: &str| {
        [
            "content-type",
            "etag",
            "if-match",
            "if-none-match",
            "www-authenticate",
            "host",
        ]
        .iter()
        .any(|p| name.eq_ignore_ascii_case(p))
    };
    headers
        .iter()
        .filter(|(name, _)| public(name))
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        409 => "Conflict",
        412 => "Precondition Failed",
        413 => "Content Too Large",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names;

    #[test]
    fn a_request_keeps_no_query_and_no_authorization_in_its_view() {
        let event = Event::http_request(
            &names::HTTP_REQUEST,
            Direction::Sent,
            (Endpoint::named("alice"), Endpoint::named("kms")),
            ("POST", "/keymanagement/identity/v1/init?code=s3cret"),
            &[
                ("Authorization", "Bearer s3cret"),
                ("Content-Type", "application/xml"),
            ],
            b"<KmsRequest/>",
        );
        assert_eq!(event.summary, "POST /keymanagement/identity/v1/init");
        assert!(!event.decoded.to_string().contains("s3cret"));
        let raw = String::from_utf8(event.raw).unwrap();
        assert!(
            raw.ends_with("Content-Length: 13\r\n\r\n<KmsRequest/>"),
            "{raw}"
        );
    }

    #[test]
    fn a_header_value_cannot_add_a_header() {
        let raw = http_message("GET / HTTP/1.1", &[("A", "b\r\nEvil: 1")], b"");
        assert_eq!(
            raw,
            b"GET / HTTP/1.1\r\nA: bEvil: 1\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
