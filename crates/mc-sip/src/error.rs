//! Why a message, a body or a session description was refused.

use crate::message::Response;
use crate::status::StatusCode;

/// Why a SIP message was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The message is larger than this element accepts.
    #[error("message of {0} octets is too large")]
    TooLarge(usize),
    /// The head has more header fields than this element accepts.
    #[error("more than {0} header fields")]
    TooManyHeaders(usize),
    /// The head is not terminated by an empty line.
    #[error("no empty line ends the head")]
    Unterminated,
    /// The head contains octets that are not UTF-8, or control characters.
    #[error("the head is not UTF-8 text")]
    NotText,
    /// The body is shorter than Content-Length says.
    #[error("body has {have} of {want} octets")]
    Truncated {
        /// Octets that Content-Length announces.
        want: usize,
        /// Octets that arrived.
        have: usize,
    },
    /// The request or status line is malformed.
    #[error("malformed start line")]
    StartLine,
    /// The version is not SIP/2.0.
    #[error("version is not SIP/2.0")]
    Version,
    /// The method is not one this element implements.
    #[error("method is not implemented")]
    UnknownMethod,
    /// The Request-URI is neither sip, sips, tel nor urn.
    #[error("URI scheme of the Request-URI is not supported")]
    UriScheme,
    /// A header field that every message must carry is absent.
    #[error("header field {0} is missing")]
    MissingHeader(&'static str),
    /// A header field does not follow its grammar.
    #[error("header field {0} is malformed")]
    MalformedHeader(&'static str),
    /// A URI does not follow the grammar of RFC 3261 19.1.
    #[error("malformed URI")]
    MalformedUri,
}

impl ParseError {
    /// The status code a request with this defect is answered with (RFC 3261 21.4, 21.5).
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::new(match self {
            Self::TooLarge(_) => 513,
            Self::UnknownMethod => 501,
            Self::Version => 505,
            Self::UriScheme => 416,
            Self::TooManyHeaders(_)
            | Self::Unterminated
            | Self::NotText
            | Self::Truncated { .. }
            | Self::StartLine
            | Self::MissingHeader(_)
            | Self::MalformedHeader(_)
            | Self::MalformedUri => 400,
        })
    }
}

/// A refused message together with the response that tells its sender why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct Rejected {
    /// The defect.
    pub error: ParseError,
    /// The response, absent when the message was a response, an ACK, or too broken to answer.
    pub reply: Option<Box<Response>>,
}

/// Why a message body was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The Content-Type is not multipart/mixed with a boundary.
    #[error("Content-Type names no usable boundary")]
    NoBoundary,
    /// The closing delimiter is missing.
    #[error("closing delimiter is missing")]
    Unterminated,
    /// There are more parts than this element accepts.
    #[error("too many body parts")]
    TooManyParts,
    /// Multipart bodies are nested deeper than this element accepts.
    #[error("multipart bodies are nested too deep")]
    TooDeep,
    /// A part header is malformed.
    #[error("malformed body part header")]
    PartHeader,
    /// The transfer encoding is unknown or its text cannot be decoded.
    #[error("body part cannot be decoded")]
    TransferEncoding,
}

/// Why a session description was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// The text is not UTF-8 or too long.
    #[error("session description is not acceptable text")]
    NotText,
    /// A line does not follow RFC 4566.
    #[error("malformed session description line {0}")]
    Line(usize),
    /// A line that every description must have is absent.
    #[error("session description lacks {0}=")]
    Missing(char),
    /// There are more media sections than this element accepts.
    #[error("too many media sections")]
    TooManyMedia,
    /// Media would go to no host, or to many.
    #[error("no media is sent to {0}")]
    Destination(std::net::IpAddr),
    /// No media section can be used (answered with 488).
    #[error("no acceptable media")]
    NotAcceptable,
}
