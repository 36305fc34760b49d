//! Requests and responses.

use std::fmt;

use crate::error::ParseError;
use crate::header::{CSeq, Headers, name};
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::status::StatusCode;
use crate::uri::Uri;
use crate::warning::Warning;

/// A SIP request.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// Header fields without Content-Length, which is written from the body.
    pub headers: Headers,
    /// The body, byte exact.
    pub body: Vec<u8>,
}

/// A SIP response.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase.
    pub reason: String,
    /// Header fields without Content-Length, which is written from the body.
    pub headers: Headers,
    /// The body, byte exact.
    pub body: Vec<u8>,
}

/// A SIP message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SipMessage {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

impl Request {
    /// A request outside a dialog with the header fields RFC 3261 8.1.1 asks for, except Via.
    #[must_use]
    pub fn new(
        method: Method,
        uri: Uri,
        from: &NameAddr,
        to: &NameAddr,
        call_id: &str,
        cseq: u32,
    ) -> Self {
        let mut headers = Headers::new();
        headers.push(name::MAX_FORWARDS, "70");
        headers.push(name::FROM, from.to_string());
        headers.push(name::TO, to.to_string());
        headers.push(name::CALL_ID, call_id);
        headers.push(
            name::CSEQ,
            CSeq {
                number: cseq,
                method,
            }
            .to_string(),
        );
        Self {
            method,
            uri,
            headers,
            body: Vec::new(),
        }
    }

    /// Appends a header field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<String>) -> Self {
        self.headers.push(field, value);
        self
    }

    /// Sets the body and its Content-Type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.headers.set(name::CONTENT_TYPE, content_type);
        self.body = body;
        self
    }

    /// A response to this request with the header fields RFC 3261 8.2.6.2 asks for; To gets `to_tag`
    /// when it has none and the response is not 100.
    #[must_use]
    pub fn response(&self, status: StatusCode, to_tag: &str) -> Response {
        let mut headers = Headers::new();
        for via in self.headers.get_all(name::VIA) {
            headers.push(name::VIA, via);
        }
        headers.push(name::FROM, self.headers.get(name::FROM).unwrap_or_default());
        let to = self.headers.get(name::TO).unwrap_or_default();
        let tagged = self.headers.to().is_ok_and(|to| to.tag().is_some());
        if tagged || status == StatusCode::TRYING || to_tag.is_empty() {
            headers.push(name::TO, to);
        } else {
            headers.push(name::TO, format!("{to};tag={to_tag}"));
        }
        headers.push(
            name::CALL_ID,
            self.headers.get(name::CALL_ID).unwrap_or_default(),
        );
        headers.push(name::CSEQ, self.headers.get(name::CSEQ).unwrap_or_default());
        Response {
            status,
            reason: status.reason().to_owned(),
            headers,
            body: Vec::new(),
        }
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serialise(
            &format!("{} {} SIP/2.0", self.method, self.uri),
            &self.headers,
            &self.body,
        )
    }

    /// The CANCEL for this INVITE as it was sent (RFC 3261 9.1).
    ///
    /// # Errors
    /// The request lacks a mandatory header field.
    pub fn cancel(&self) -> Result<Self, ParseError> {
        let mut headers = Headers::new();
        headers.push(name::VIA, self.headers.top_via()?.to_string());
        for field in [
            name::MAX_FORWARDS,
            name::ROUTE,
            name::FROM,
            name::TO,
            name::CALL_ID,
        ] {
            for value in self.headers.get_all(field) {
                headers.push(field, value);
            }
        }
        let number = self.headers.cseq()?.number;
        headers.push(
            name::CSEQ,
            CSeq {
                number,
                method: Method::Cancel,
            }
            .to_string(),
        );
        Ok(Self {
            method: Method::Cancel,
            uri: self.uri.clone(),
            headers,
            body: Vec::new(),
        })
    }

    /// The ACK for a final response other than 2xx (RFC 3261 17.1.1.3).
    ///
    /// # Errors
    /// A message lacks a mandatory header field.
    pub fn ack_failure(&self, response: &Response) -> Result<Self, ParseError> {
        let mut ack = self.cancel()?;
        ack.method = Method::Ack;
        ack.headers
            .set(name::TO, response.headers.get(name::TO).unwrap_or_default());
        let number = self.headers.cseq()?.number;
        ack.headers.set(
            name::CSEQ,
            CSeq {
                number,
                method: Method::Ack,
            }
            .to_string(),
        );
        Ok(ack)
    }
}

impl Response {
    /// Appends a header field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<String>) -> Self {
        self.headers.push(field, value);
        self
    }

    /// Appends a Warning header field.
    #[must_use]
    pub fn with_warning(self, warning: &Warning) -> Self {
        self.with(name::WARNING, warning.to_string())
    }

    /// Sets the body and its Content-Type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: Vec<u8>) -> Self {
        self.headers.set(name::CONTENT_TYPE, content_type);
        self.body = body;
        self
    }

    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        serialise(
            &format!("SIP/2.0 {} {}", self.status, self.reason),
            &self.headers,
            &self.body,
        )
    }
}

fn serialise(start_line: &str, headers: &Headers, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "{start_line}\r\n{headers}{}: {}\r\n\r\n",
        name::CONTENT_LENGTH,
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

impl SipMessage {
    /// The bytes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// One line for logs and traces, without any body or credential: `INVITE sip:x` or `200 OK (INVITE)`.
    #[must_use]
    pub fn summary(&self) -> String {
        match self {
            Self::Request(request) => format!("{} {}", request.method, request.uri),
            Self::Response(response) => match response.headers.cseq() {
                Ok(cseq) => format!("{} {} ({})", response.status, response.reason, cseq.method),
                Err(_) => format!("{} {}", response.status, response.reason),
            },
        }
    }
}

// Bodies carry tokens and keys, so Debug shows their length only.
impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Request({} {} [{} bytes])",
            self.method,
            self.uri,
            self.body.len()
        )
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Response({} {} [{} bytes])",
            self.status,
            self.reason,
            self.body.len()
        )
    }
}
