//! Bounded parsing: the limits and the refusals RFC 3261 asks for, around the parser of `rsipstack`.
//!
//! That parser tokenises the head (folding, compact names). It gives an empty body to a datagram
//! without Content-Length, stops silently at a line that is not UTF-8, and skips lines without a
//! colon; so the head is checked before it and the body is cut here.

use std::str;

use rsipstack::sip as stack;

use crate::error::{ParseError, Rejected};
use crate::header::{Headers, canonical, name};
use crate::message::{Request, Response, SipMessage};
use crate::method::Method;
use crate::status::StatusCode;
use crate::uri::{Scheme, Uri};

/// Largest message accepted, in octets.
pub const MAX_MESSAGE_SIZE: usize = 65_535;
/// Largest head accepted, in octets.
pub const MAX_HEAD_SIZE: usize = 16_384;
/// Most header fields accepted in one message.
pub const MAX_HEADERS: usize = 128;

/// Parses one UDP datagram; a missing Content-Length means "to the end" (RFC 3261 18.3).
///
/// # Errors
/// The defect and, for a request that names its sender, the response to send.
pub fn parse_datagram(data: &[u8]) -> Result<SipMessage, Rejected> {
    parse_message(data)
}

/// Parses one complete message.
///
/// # Errors
/// The defect and, for a request that names its sender, the response to send.
pub fn parse_message(data: &[u8]) -> Result<SipMessage, Rejected> {
    parse_inner(data).map_err(|error| {
        let reply = reply_to(data, &error).map(Box::new);
        Rejected { error, reply }
    })
}

fn parse_inner(data: &[u8]) -> Result<SipMessage, ParseError> {
    if data.len() > MAX_MESSAGE_SIZE {
        return Err(ParseError::TooLarge(data.len()));
    }
    let (head, body) = split_head(data)?;
    let start_line = check_head(head)?;
    let headers = tokenise(head, start_line)?;
    let body = cut_body(&headers, body)?;
    let message = start(start_line, without_length(headers), body)?;
    check_mandatory(&message)?;
    Ok(message)
}

/// Splits the head (with the CRLF of its last line) from the rest.
pub(crate) fn split_head(data: &[u8]) -> Result<(&[u8], &[u8]), ParseError> {
    let at = find(data, b"\r\n\r\n").ok_or(if data.len() > MAX_HEAD_SIZE {
        ParseError::TooLarge(data.len())
    } else {
        ParseError::Unterminated
    })?;
    if at > MAX_HEAD_SIZE {
        return Err(ParseError::TooLarge(at));
    }
    let (head, rest) = data.split_at(at + 2);
    Ok((head, rest.get(2..).unwrap_or_default()))
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

/// Checks what the tokeniser does not: text, line structure and number of fields. Returns the start line.
fn check_head(head: &[u8]) -> Result<&str, ParseError> {
    let text = str::from_utf8(head).map_err(|_| ParseError::NotText)?;
    if text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\r' | '\n' | '\t'))
    {
        return Err(ParseError::NotText);
    }
    let mut lines = text.split_terminator("\r\n");
    let start_line = lines.next().ok_or(ParseError::StartLine)?;
    let mut count = 0;
    for line in lines {
        if line.contains(['\r', '\n']) {
            return Err(ParseError::NotText);
        }
        if line.starts_with([' ', '\t']) {
            if count == 0 {
                return Err(ParseError::StartLine);
            }
            continue;
        }
        let field = line
            .split_once(':')
            .ok_or(ParseError::MalformedHeader("name"))?
            .0
            .trim_end();
        let token = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
        if field.is_empty() || !field.chars().all(token) {
            return Err(ParseError::MalformedHeader("name"));
        }
        count += 1;
        if count > MAX_HEADERS {
            return Err(ParseError::TooManyHeaders(MAX_HEADERS));
        }
    }
    Ok(start_line)
}

/// Runs the foreign tokeniser over the head and takes its header fields over under canonical names.
fn tokenise(head: &[u8], start_line: &str) -> Result<Headers, ParseError> {
    // The start line is judged by this crate, so the tokeniser always sees one it accepts.
    let fields = head.get(start_line.len()..).unwrap_or_default();
    let mut neutral = b"SIP/2.0 200 OK".to_vec();
    neutral.extend_from_slice(fields);
    neutral.extend_from_slice(b"\r\n");
    let parsed =
        stack::parser::parse_message(&neutral).map_err(|_| ParseError::MalformedHeader("field"))?;
    let stack::SipMessage::Response(parsed) = parsed else {
        return Err(ParseError::StartLine);
    };
    let mut headers = Headers::new();
    for header in parsed.headers.iter() {
        let field = canonical(header.name());
        let spelled = if field.eq_ignore_ascii_case("MIME-Version") {
            "MIME-Version"
        } else {
            field
        };
        headers.push(spelled, header.value());
    }
    Ok(headers)
}

fn cut_body(headers: &Headers, body: &[u8]) -> Result<Vec<u8>, ParseError> {
    match content_length(headers)? {
        None => Ok(body.to_vec()),
        //= RFC 3261 18.3
        Some(want) => match body.get(..want) {
            Some(body) => Ok(body.to_vec()),
            None => Err(ParseError::Truncated {
                want,
                have: body.len(),
            }),
        },
    }
}

/// Content-Length; several values must agree, or the message could be framed in two ways.
pub(crate) fn content_length(headers: &Headers) -> Result<Option<usize>, ParseError> {
    let mut length = None;
    for value in headers.get_all(name::CONTENT_LENGTH) {
        let digits =
            !value.is_empty() && value.len() < 10 && value.bytes().all(|b| b.is_ascii_digit());
        let value = value.parse::<usize>().ok().filter(|_| digits);
        let value = value.ok_or(ParseError::MalformedHeader(name::CONTENT_LENGTH))?;
        if length.is_some_and(|seen| seen != value) {
            return Err(ParseError::MalformedHeader(name::CONTENT_LENGTH));
        }
        length = Some(value);
    }
    Ok(length)
}

fn without_length(mut headers: Headers) -> Headers {
    headers.remove(name::CONTENT_LENGTH);
    headers
}

fn start(line: &str, headers: Headers, body: Vec<u8>) -> Result<SipMessage, ParseError> {
    if let Some(rest) = line.strip_prefix("SIP/") {
        let (version, rest) = rest.split_once(' ').ok_or(ParseError::StartLine)?;
        if version != "2.0" {
            return Err(ParseError::Version);
        }
        let (code, reason) = rest.split_once(' ').unwrap_or((rest, ""));
        let code: u16 = code.parse().map_err(|_| ParseError::StartLine)?;
        if !(100..700).contains(&code) {
            return Err(ParseError::StartLine);
        }
        let reason = reason.trim().to_owned();
        return Ok(SipMessage::Response(Response {
            status: StatusCode::new(code),
            reason,
            headers,
            body,
        }));
    }
    let mut words = line.split(' ');
    let (Some(method), Some(uri), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(ParseError::StartLine);
    };
    if !version.starts_with("SIP/") || method.is_empty() {
        return Err(ParseError::StartLine);
    }
    if version != "SIP/2.0" {
        return Err(ParseError::Version);
    }
    let method: Method = method.parse()?;
    let uri: Uri = uri.parse()?;
    if let Scheme::Other(scheme) = &uri.scheme
        && !matches!(scheme.as_str(), "tel" | "urn")
    {
        return Err(ParseError::UriScheme);
    }
    Ok(SipMessage::Request(Request {
        method,
        uri,
        headers,
        body,
    }))
}

//= RFC 3261 8.1.1
fn check_mandatory(message: &SipMessage) -> Result<(), ParseError> {
    let headers = message.headers();
    for field in [name::FROM, name::TO, name::CALL_ID, name::CSEQ] {
        if headers.get_all(field).count() > 1 {
            return Err(ParseError::MalformedHeader(field));
        }
    }
    let via = headers.top_via()?;
    headers.from()?;
    headers.to()?;
    headers.call_id()?;
    let cseq = headers.cseq()?;
    headers.contacts()?;
    headers.routes()?;
    if let SipMessage::Request(request) = message {
        if cseq.method != request.method {
            return Err(ParseError::MalformedHeader(name::CSEQ));
        }
        if via.branch().is_none_or(str::is_empty) {
            return Err(ParseError::MalformedHeader(name::VIA));
        }
        let hops = headers.get(name::MAX_FORWARDS);
        if hops.is_some() && headers.max_forwards().is_none_or(|hops| hops > 255) {
            return Err(ParseError::MalformedHeader(name::MAX_FORWARDS));
        }
    }
    Ok(())
}

/// Builds the refusal of a request from whatever of its head can be read.
fn reply_to(data: &[u8], error: &ParseError) -> Option<Response> {
    let readable = data.get(..data.len().min(MAX_HEAD_SIZE))?;
    let end = find(readable, b"\r\n\r\n").unwrap_or(readable.len());
    let text = String::from_utf8_lossy(readable.get(..end)?).into_owned();
    if text.starts_with("SIP/") || text.starts_with("ACK ") {
        return None;
    }
    let mut response = Response {
        status: error.status(),
        reason: error.status().reason().to_owned(),
        headers: Headers::new(),
        body: Vec::new(),
    };
    let lines: Vec<&str> = text.split("\r\n").skip(1).take(MAX_HEADERS).collect();
    for wanted in [name::VIA, name::FROM, name::TO, name::CALL_ID, name::CSEQ] {
        let mut found = false;
        for line in &lines {
            if let Some((field, value)) = line.split_once(':')
                && canonical(field.trim()).eq_ignore_ascii_case(wanted)
                && (!found || wanted == name::VIA)
            {
                response.headers.push(wanted, value.trim());
                found = true;
            }
        }
        if !found {
            return None;
        }
    }
    response.headers.top_via().ok()?;
    if error.status() == StatusCode::NOT_IMPLEMENTED {
        response.headers.push(name::ALLOW, Method::allow());
    }
    Some(response)
}
