//! Why a request is refused, and the status that says so (RFC 4825 8 and 11, TS 24.481 6).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use mc_runtime::auth::BearerError;
use mc_xml::XmlError;
use mc_xml::xcap_error::{self, XcapError};

use crate::access::ForeignAssertion;
use crate::address::AddressError;
use crate::store::ChangeError;

/// Why a request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No access token.
    #[error("access token missing (TS 24.482 Annex A)")]
    NoToken,
    /// An access token that does not hold.
    #[error(transparent)]
    Token(BearerError),
    /// An asserted identity outside the peer's list.
    #[error(transparent)]
    Assertion(#[from] ForeignAssertion),
    /// The user may not do this.
    #[error("not allowed: {0}")]
    Forbidden(&'static str),
    /// No such document.
    #[error("no such document")]
    NotFound,
    /// Part of a document addressed.
    #[error("node selectors are not supported")]
    NodeSelector,
    /// The method does not exist here.
    #[error("method not allowed")]
    Method,
    /// `If-Match` or `If-None-Match` does not hold, or somebody was faster.
    #[error("the document is another version (RFC 9110 13)")]
    Precondition,
    /// Not a group document by its media type.
    #[error("media type is not {}", mc_xml::group::MEDIA_TYPE)]
    MediaType,
    /// The document is not acceptable.
    #[error("document refused: {0}")]
    Document(XmlError),
    /// The document is valid but breaks a rule.
    #[error("constraint broken: {0}")]
    Constraint(&'static str),
    /// Keys are not available yet.
    #[error("the server has no keys yet")]
    NoKeys,
    /// The KMS of a member's domain is not trusted here.
    #[error("no KMS is known that answers for {0} (TS 33.180 5.2.7)")]
    UnknownKms(String),
    /// Something failed here.
    #[error("internal error: {0}")]
    Internal(anyhow::Error),
}

impl From<AddressError> for Refusal {
    fn from(error: AddressError) -> Self {
        match error {
            AddressError::Unknown => Self::NotFound,
            AddressError::NodeSelector => Self::NodeSelector,
        }
    }
}

impl From<BearerError> for Refusal {
    fn from(error: BearerError) -> Self {
        match error {
            BearerError::Missing => Self::NoToken,
            BearerError::Token(_) => Self::Token(error),
        }
    }
}

impl From<XmlError> for Refusal {
    fn from(error: XmlError) -> Self {
        Self::Document(error)
    }
}

impl From<ChangeError> for Refusal {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Conflict => Self::Precondition,
            ChangeError::Database(error) => Self::Internal(error.into()),
        }
    }
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}

impl Refusal {
    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Token(error) => error.status(),
            Self::NoToken | Self::Assertion(_) | Self::Forbidden(_) | Self::UnknownKms(_) => {
                StatusCode::FORBIDDEN
            }
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NodeSelector => StatusCode::NOT_IMPLEMENTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Precondition => StatusCode::PRECONDITION_FAILED,
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Document(_) | Self::Constraint(_) => StatusCode::CONFLICT,
            Self::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn xcap_error(&self) -> Option<XcapError> {
        match self {
            Self::Document(error) => Some(XcapError::from(error)),
            Self::Constraint(phrase) => Some(XcapError::ConstraintFailure((*phrase).to_owned())),
            Self::NoToken
            | Self::Token(_)
            | Self::Assertion(_)
            | Self::Forbidden(_)
            | Self::NotFound
            | Self::NodeSelector
            | Self::Method
            | Self::Precondition
            | Self::MediaType
            | Self::NoKeys
            | Self::UnknownKms(_)
            | Self::Internal(_) => None,
        }
    }

    fn challenge(&self) -> Option<String> {
        match self {
            Self::Token(error) => error.challenge(),
            Self::NoToken => Some("Bearer".to_owned()),
            Self::Assertion(_)
            | Self::Forbidden(_)
            | Self::NotFound
            | Self::NodeSelector
            | Self::Method
            | Self::Precondition
            | Self::MediaType
            | Self::Document(_)
            | Self::Constraint(_)
            | Self::NoKeys
            | Self::UnknownKms(_)
            | Self::Internal(_) => None,
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut response = match self.xcap_error() {
            Some(error) => {
                let kind = [(header::CONTENT_TYPE, xcap_error::MEDIA_TYPE)];
                (status, kind, error.to_xml()).into_response()
            }
            None if status.is_server_error() => {
                tracing::error!(error = %self, "request failed");
                status.into_response()
            }
            None => (status, self.to_string()).into_response(),
        };
        let challenge = self
            .challenge()
            .and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(value) = challenge {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, value);
        }
        if matches!(self, Self::Method) {
            let allow = HeaderValue::from_static("GET, HEAD, PUT, DELETE");
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}
