//! What goes wrong inside, and what the other side is told.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::form::FormError;
use crate::security_token::AssertionError;

/// An error of the token or userinfo endpoint.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is malformed (RFC 6749 5.2).
    #[error("invalid_request: {0}")]
    InvalidRequest(String),
    /// The client is unknown or did not authenticate (RFC 6749 5.2).
    #[error("invalid_client: {0}")]
    InvalidClient(&'static str),
    /// The code or refresh token is not usable (RFC 6749 5.2).
    #[error("invalid_grant: {0}")]
    InvalidGrant(&'static str),
    /// The scope goes beyond the original grant (RFC 6749 6).
    #[error("invalid_scope: {0}")]
    InvalidScope(&'static str),
    /// A `resource` that is no partner (RFC 8693 2.2.2).
    #[error("invalid_target: {0}")]
    InvalidTarget(&'static str),
    /// A partner's security token that does not hold (RFC 7523 3.1).
    #[error("invalid_grant: {0}")]
    Assertion(#[from] AssertionError),
    /// A grant type this server does not know (RFC 6749 5.2).
    #[error("unsupported_grant_type")]
    UnsupportedGrantType,
    /// No usable access token (RFC 6750 3.1).
    #[error("invalid_token: {0}")]
    InvalidToken(&'static str),
    /// The store failed.
    #[error("store: {0}")]
    Store(#[from] sqlx::Error),
    /// Something else of ours failed.
    #[error("{0}")]
    Local(String),
}

impl From<FormError> for Error {
    fn from(error: FormError) -> Self {
        Self::InvalidRequest(error.to_string())
    }
}

impl Error {
    /// Wraps a failure of this server.
    pub fn local(error: impl std::fmt::Display) -> Self {
        Self::Local(error.to_string())
    }

    /// The OAuth error code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidRequest(_) => "invalid_request",
            Self::InvalidClient(_) => "invalid_client",
            Self::InvalidGrant(_) | Self::Assertion(_) => "invalid_grant",
            Self::InvalidTarget(_) => "invalid_target",
            Self::InvalidScope(_) => "invalid_scope",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidToken(_) => "invalid_token",
            Self::Store(_) | Self::Local(_) => "server_error",
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::InvalidRequest(_)
            | Self::InvalidGrant(_)
            | Self::Assertion(_)
            | Self::InvalidTarget(_)
            | Self::InvalidScope(_)
            | Self::UnsupportedGrantType => StatusCode::BAD_REQUEST,
            Self::InvalidClient(_) | Self::InvalidToken(_) => StatusCode::UNAUTHORIZED,
            Self::Store(_) | Self::Local(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn challenge(&self) -> Option<HeaderValue> {
        match self {
            Self::InvalidClient(_) => Some(HeaderValue::from_static("Basic realm=\"idms\"")),
            Self::InvalidToken(_) => {
                Some(HeaderValue::from_static("Bearer error=\"invalid_token\""))
            }
            Self::InvalidRequest(_)
            | Self::InvalidGrant(_)
            | Self::Assertion(_)
            | Self::InvalidTarget(_)
            | Self::InvalidScope(_)
            | Self::UnsupportedGrantType
            | Self::Store(_)
            | Self::Local(_) => None,
        }
    }

    /// What the other side may read: nothing of our own failures.
    fn description(&self) -> String {
        match self {
            Self::InvalidRequest(text) => text.clone(),
            Self::InvalidClient(text)
            | Self::InvalidGrant(text)
            | Self::InvalidTarget(text)
            | Self::InvalidScope(text) => (*text).to_owned(),
            Self::Assertion(error) => error.to_string(),
            Self::UnsupportedGrantType => {
                "authorization_code, refresh_token, token-exchange or jwt-bearer".to_owned()
            }
            Self::InvalidToken(_) => "the access token is not valid here".to_owned(),
            Self::Store(_) | Self::Local(_) => "the server failed".to_owned(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        if self.status().is_server_error() {
            tracing::error!(error = %self, "request failed");
        } else {
            tracing::info!(error = %self, "refused");
        }
        let body = json!({"error": self.code(), "error_description": self.description()});
        let mut response = (self.status(), Json(body)).into_response();
        if let Some(challenge) = self.challenge() {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}
