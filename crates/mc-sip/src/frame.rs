//! Cuts a byte stream into messages (RFC 3261 18.3, RFC 5626 3.5.1 keep-alives).

use crate::error::{ParseError, Rejected};
use crate::header::{Headers, canonical, name};
use crate::parse::{MAX_HEAD_SIZE, MAX_MESSAGE_SIZE, content_length, find, parse_message};

/// What a stream carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One complete message, byte exact.
    Message(Vec<u8>),
    /// A double CRLF ping; it is answered with a single CRLF.
    Ping,
}

/// Collects the bytes of one connection and yields its frames.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: Vec<u8>,
}

impl StreamFramer {
    /// An empty framer.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new() }
    }

    /// Appends received bytes; at most one read beyond the message limit is ever held.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Whether a message has begun that is not complete yet; line ends before one are not part of it
    /// (RFC 3261 7.5).
    #[must_use]
    pub fn is_in_message(&self) -> bool {
        self.buffer.iter().any(|b| !matches!(b, b'\r' | b'\n'))
    }

    /// The next frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// The stream can no longer be framed: send the reply, if any, and close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Rejected> {
        if self.buffer.starts_with(b"\r\n\r\n") {
            self.buffer.drain(..4);
            return Ok(Some(Frame::Ping));
        }
        while self.buffer.starts_with(b"\r\n") && self.buffer.get(2).is_some_and(|b| *b != b'\r') {
            self.buffer.drain(..2);
        }
        if self.buffer.starts_with(b"\r\n") || self.buffer.is_empty() {
            return Ok(None);
        }
        let Some(head_end) = find(&self.buffer, b"\r\n\r\n") else {
            if self.buffer.len() > MAX_HEAD_SIZE {
                return Err(self.refuse(ParseError::TooLarge(self.buffer.len())));
            }
            return Ok(None);
        };
        let length = match self.body_length(head_end) {
            Ok(length) => length,
            Err(error) => return Err(self.refuse(error)),
        };
        let total = head_end + 4 + length;
        if total > MAX_MESSAGE_SIZE {
            return Err(self.refuse(ParseError::TooLarge(total)));
        }
        if self.buffer.len() < total {
            return Ok(None);
        }
        Ok(Some(Frame::Message(self.buffer.drain(..total).collect())))
    }

    /// Content-Length is mandatory on a stream.
    fn body_length(&self, head_end: usize) -> Result<usize, ParseError> {
        let head = String::from_utf8_lossy(self.buffer.get(..head_end).unwrap_or_default());
        let mut lengths = Headers::new();
        for line in head.split("\r\n").skip(1) {
            if let Some((field, value)) = line.split_once(':')
                && canonical(field.trim()).eq_ignore_ascii_case(name::CONTENT_LENGTH)
            {
                lengths.push(name::CONTENT_LENGTH, value.trim());
            }
        }
        content_length(&lengths)?.ok_or(ParseError::MissingHeader(name::CONTENT_LENGTH))
    }

    /// Empties the buffer and builds the refusal from the head in it.
    fn refuse(&mut self, error: ParseError) -> Rejected {
        let buffer = std::mem::take(&mut self.buffer);
        let mut rejected = match parse_message(&buffer) {
            Err(rejected) => rejected,
            Ok(message) => Rejected {
                reply: match &message {
                    crate::SipMessage::Request(request) if request.method != crate::Method::Ack => {
                        Some(Box::new(request.response(error.status(), "")))
                    }
                    crate::SipMessage::Request(_) | crate::SipMessage::Response(_) => None,
                },
                error: error.clone(),
            },
        };
        if let Some(reply) = &mut rejected.reply {
            reply.status = error.status();
            error.status().reason().clone_into(&mut reply.reason);
        }
        rejected.error = error;
        rejected
    }
}
