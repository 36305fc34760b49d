//! The `Authorization: Bearer` header and its refusals (RFC 6750 section 3).

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::auth::TokenError;

/// Why a request is refused before it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BearerError {
    /// No bearer token at all.
    #[error("access token missing")]
    Missing,
    /// A token that does not hold.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl BearerError {
    /// The status of RFC 6750 3.1.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Token(TokenError::Scope(_)) => StatusCode::FORBIDDEN,
            Self::Token(TokenError::Unreachable(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Missing | Self::Token(_) => StatusCode::UNAUTHORIZED,
        }
    }

    /// The value of `WWW-Authenticate`, absent for failures that are not the client's.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Missing => Some("Bearer".to_owned()),
            Self::Token(TokenError::Scope(scope)) => Some(format!(
                r#"Bearer error="insufficient_scope", scope="{scope}""#
            )),
            Self::Token(TokenError::Unreachable(_)) => None,
            Self::Token(error) => Some(format!(
                r#"Bearer error="invalid_token", error_description="{error}""#
            )),
        }
    }
}

impl IntoResponse for BearerError {
    fn into_response(self) -> Response {
        let headers = self
            .challenge()
            .map(|value| [(header::WWW_AUTHENTICATE, value)]);
        (self.status(), headers, self.to_string()).into_response()
    }
}

/// Reads the token of the `Authorization` header; the scheme is case-insensitive (RFC 9110 11.1).
///
/// # Errors
/// [`BearerError::Missing`] when there is none, or when the header occurs twice.
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, BearerError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Missing)?;
    if values.next().is_some() {
        return Err(BearerError::Missing);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or(BearerError::Missing)?;
    if scheme.eq_ignore_ascii_case("Bearer") {
        Ok(token.trim())
    } else {
        Err(BearerError::Missing)
    }
}
