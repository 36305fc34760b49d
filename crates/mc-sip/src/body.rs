//! `multipart/mixed` bodies (RFC 2046 5.1) and their transfer encodings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::BodyError;
use crate::header::{Headers, name};
use crate::params::Params;
use crate::parse::find;

/// Most parts accepted in one body, nested ones included.
const MAX_PARTS: usize = 16;
/// Deepest nesting of multipart bodies accepted.
const MAX_DEPTH: u8 = 2;
/// Name of the header field that tells how a part is encoded.
const TRANSFER_ENCODING: &str = "Content-Transfer-Encoding";

/// Media types that carry binary content and are written in base64.
const BINARY: &[&str] = &[crate::mcptt::media::MIKEY];

/// One body part, already decoded.
#[derive(Clone, PartialEq, Eq)]
pub struct BodyPart {
    /// Media type, lower case, without parameters.
    pub media_type: String,
    /// The part's header fields as received or as they will be written.
    pub headers: Headers,
    /// Decoded content.
    pub content: Vec<u8>,
    /// The octets as they were transmitted, for signatures over the body (TS 24.379 6.6.3).
    pub transmitted: Vec<u8>,
}

impl std::fmt::Debug for BodyPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "BodyPart({} [{} bytes])",
            self.media_type,
            self.content.len()
        )
    }
}

impl BodyPart {
    /// A part to send; binary media types are written in base64.
    #[must_use]
    pub fn new(media_type: &str, content: impl Into<Vec<u8>>) -> Self {
        let content = content.into();
        let mut headers = Headers::new();
        headers.push(name::CONTENT_TYPE, media_type);
        let bare = media_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .to_ascii_lowercase();
        let transmitted = if BINARY.contains(&bare.as_str()) {
            headers.push(TRANSFER_ENCODING, "base64");
            STANDARD.encode(&content).into_bytes()
        } else {
            content.clone()
        };
        Self {
            media_type: bare,
            headers,
            content,
            transmitted,
        }
    }

    /// The same part with one more header field (`Content-ID`, `Content-Disposition`).
    #[must_use]
    pub fn with(mut self, field: &str, value: &str) -> Self {
        self.headers.push(field, value);
        self
    }

    fn parse(raw: &[u8]) -> Result<Self, BodyError> {
        // A part without header fields starts with the empty line itself.
        let (head, content) = if raw.is_empty() {
            (&[][..], &[][..])
        } else if let Some(content) = raw.strip_prefix(b"\r\n") {
            (&[][..], content)
        } else {
            let at = find(raw, b"\r\n\r\n").ok_or(BodyError::PartHeader)?;
            (
                raw.get(..at).unwrap_or_default(),
                raw.get(at + 4..).unwrap_or_default(),
            )
        };
        let headers = part_headers(head)?;
        let media_type = headers
            .content_type()
            .unwrap_or_else(|| "text/plain".to_owned());
        let encoding = headers
            .get(TRANSFER_ENCODING)
            .unwrap_or("binary")
            .trim()
            .to_ascii_lowercase();
        let decoded = match encoding.as_str() {
            "binary" | "8bit" | "7bit" => content.to_vec(),
            "base64" => decode_base64(content)?,
            _ => return Err(BodyError::TransferEncoding),
        };
        Ok(Self {
            media_type,
            headers,
            content: decoded,
            transmitted: content.to_vec(),
        })
    }
}

fn part_headers(head: &[u8]) -> Result<Headers, BodyError> {
    let text = std::str::from_utf8(head)
        .map_err(|_| BodyError::PartHeader)?
        .replace("\r\n ", " ")
        .replace("\r\n\t", " ");
    let mut headers = Headers::new();
    for line in text.split("\r\n").filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').ok_or(BodyError::PartHeader)?;
        headers.push(field.trim(), value.trim());
    }
    if headers.len() > 16 {
        Err(BodyError::PartHeader)
    } else {
        Ok(headers)
    }
}

fn decode_base64(content: &[u8]) -> Result<Vec<u8>, BodyError> {
    let text: Vec<u8> = content
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .collect();
    STANDARD
        .decode(text)
        .map_err(|_| BodyError::TransferEncoding)
}

/// The body parts of a message: those of its multipart body, or its only body.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Multipart {
    /// The parts in order; nested multipart bodies are flattened.
    pub parts: Vec<BodyPart>,
}

impl Multipart {
    /// The parts of a message body given its header fields; an empty body has none.
    ///
    /// # Errors
    /// No boundary, no closing delimiter, too many or too deep parts, undecodable parts.
    pub fn of(headers: &Headers, body: &[u8]) -> Result<Self, BodyError> {
        let mut multipart = Self::default();
        if body.is_empty() {
            return Ok(multipart);
        }
        let content_type = headers.get(name::CONTENT_TYPE).unwrap_or("text/plain");
        if headers
            .content_type()
            .is_some_and(|media| media.starts_with("multipart/"))
        {
            multipart.collect(content_type, body, 1)?;
        } else {
            let mut raw = format!("{}: {content_type}\r\n", name::CONTENT_TYPE).into_bytes();
            for field in [TRANSFER_ENCODING, name::CONTENT_DISPOSITION, "Content-ID"] {
                if let Some(value) = headers.get(field) {
                    raw.extend_from_slice(format!("{field}: {value}\r\n").as_bytes());
                }
            }
            raw.extend_from_slice(b"\r\n");
            raw.extend_from_slice(body);
            multipart.parts.push(BodyPart::parse(&raw)?);
        }
        Ok(multipart)
    }

    fn collect(&mut self, content_type: &str, body: &[u8], depth: u8) -> Result<(), BodyError> {
        if depth > MAX_DEPTH {
            return Err(BodyError::TooDeep);
        }
        let boundary = boundary_of(content_type)?;
        for raw in split_parts(body, &boundary)? {
            let part = BodyPart::parse(raw)?;
            if part.media_type.starts_with("multipart/") {
                let inner = part
                    .headers
                    .get(name::CONTENT_TYPE)
                    .unwrap_or_default()
                    .to_owned();
                self.collect(&inner, &part.content, depth + 1)?;
            } else if self.parts.len() < MAX_PARTS {
                self.parts.push(part);
            } else {
                return Err(BodyError::TooManyParts);
            }
        }
        Ok(())
    }

    /// The only part of a media type; `None` when absent or ambiguous.
    #[must_use]
    pub fn get(&self, media_type: &str) -> Option<&BodyPart> {
        let mut found = self
            .parts
            .iter()
            .filter(|part| part.media_type == media_type);
        let part = found.next()?;
        found.next().is_none().then_some(part)
    }

    /// Appends a part.
    #[must_use]
    pub fn with(mut self, part: BodyPart) -> Self {
        self.parts.push(part);
        self
    }

    /// The Content-Type and the body to send: a single part stands alone, several are `multipart/mixed`.
    #[must_use]
    pub fn write(&self, boundary: &str) -> (String, Vec<u8>) {
        if let [only] = self.parts.as_slice()
            && only.headers.len() == 1
        {
            return (
                only.headers
                    .get(name::CONTENT_TYPE)
                    .unwrap_or_default()
                    .to_owned(),
                only.transmitted.clone(),
            );
        }
        let mut body = Vec::new();
        for part in &self.parts {
            body.extend_from_slice(format!("--{boundary}\r\n{}\r\n", part.headers).as_bytes());
            body.extend_from_slice(&part.transmitted);
            // The CRLF before a delimiter belongs to the delimiter (RFC 2046 5.1.1).
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        (content_type("multipart/mixed", boundary), body)
    }
}

/// A multipart Content-Type with its boundary.
#[must_use]
pub fn content_type(media_type: &str, boundary: &str) -> String {
    format!("{media_type};boundary={boundary}")
}

fn boundary_of(content_type: &str) -> Result<String, BodyError> {
    let params = content_type.split_once(';').ok_or(BodyError::NoBoundary)?.1;
    let params = Params::parse(params).map_err(|_| BodyError::NoBoundary)?;
    let boundary = params.get_unquoted("boundary").unwrap_or_default();
    if boundary.is_empty() || boundary.len() > 70 || boundary.chars().any(char::is_control) {
        return Err(BodyError::NoBoundary);
    }
    Ok(boundary)
}

/// Splits at the delimiter lines; what is before the first and after the closing one is ignored.
fn split_parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, BodyError> {
    let delimiter = format!("--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let (mut part_start, mut position) = (None, 0);
    loop {
        let rest = body.get(position..).unwrap_or_default();
        let offset = find(rest, &delimiter).ok_or(BodyError::Unterminated)?;
        let at = position + offset;
        let before = body.get(..at).unwrap_or_default();
        let at_line_start = before.is_empty() || before.ends_with(b"\r\n");
        let after = body.get(at + delimiter.len()..).unwrap_or_default();
        let closing = after.starts_with(b"--");
        let padding = after
            .iter()
            .take_while(|b| matches!(b, b' ' | b'\t'))
            .count();
        let line_ends = after
            .get(padding..)
            .is_some_and(|rest| rest.starts_with(b"\r\n"));
        if !at_line_start || !(closing || line_ends) {
            position = at + delimiter.len();
            continue;
        }
        if let Some(start) = part_start {
            // An empty part: its delimiter CRLF is the one that ended the previous delimiter line.
            let end = (at.saturating_sub(2)).max(start);
            parts.push(body.get(start..end).unwrap_or_default());
            if parts.len() > MAX_PARTS {
                return Err(BodyError::TooManyParts);
            }
        }
        if closing {
            return Ok(parts);
        }
        position = at + delimiter.len() + padding + 2;
        part_start = Some(position);
    }
}
