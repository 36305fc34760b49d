//! Why a log-in failed, with the step and the clause.

use openidconnect::core::CoreErrorResponseType;
use openidconnect::{DiscoveryError, RequestTokenError, StandardErrorResponse};

/// Why a log-in failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoginError {
    /// The provider does not answer.
    #[error("identity management server unreachable: {detail}")]
    Unreachable {
        /// The transport's reason.
        detail: String,
    },
    /// The provider's metadata or keys are not usable.
    #[error("discovery failed (OpenID Connect Discovery 4): {detail}")]
    Discovery {
        /// What is wrong.
        detail: String,
    },
    /// The login page has no form with a user name and a password field.
    #[error("the authorization endpoint shows no login form (TS 33.180 B.4.2.2)")]
    NoLoginForm,
    /// The login page is not usable.
    #[error("login page (TS 33.180 B.4.2.3): {detail}")]
    Page {
        /// What is wrong.
        detail: String,
    },
    /// User name or password is wrong.
    #[error("user name or password refused")]
    CredentialsRefused,
    /// Too many failed log-ins.
    #[error("too many failed log-ins: the account is locked{}", until(*retry_after_s))]
    TooManyAttempts {
        /// Seconds to wait, if the server tells.
        retry_after_s: Option<u64>,
    },
    /// The provider refuses the authorization request.
    #[error("authorization refused (RFC 6749 4.1.2.1): {error} {description}")]
    AuthorizationRefused {
        /// Error code.
        error: String,
        /// The provider's explanation.
        description: String,
    },
    /// The answer carries another `state` than ours: it may belong to somebody else's log-in.
    #[error("the authorization response has a foreign state (TS 33.180 B.4.2.3)")]
    StateMismatch,
    /// The answer carries neither code nor error.
    #[error("the authorization response has no code (TS 33.180 B.4.2.3)")]
    NoCode,
    /// The token endpoint refuses the code or the refresh token.
    #[error("token refused (RFC 6749 5.2): {error} {description}")]
    TokenRefused {
        /// Error code.
        error: String,
        /// The provider's explanation.
        description: String,
    },
    /// The token response is not one.
    #[error("token response malformed (TS 33.180 B.4.2.5): {detail}")]
    TokenResponse {
        /// What is wrong.
        detail: String,
    },
    /// The ID token is absent or not valid.
    #[error("ID token refused (TS 33.180 B.2.1): {detail}")]
    IdToken {
        /// What is wrong.
        detail: String,
    },
    /// The provider did not grant a scope this client needs.
    #[error("scope {scope} was not granted (TS 33.180 B.4.2.5)")]
    ScopeNotGranted {
        /// The missing scope.
        scope: String,
    },
    /// The provider gave no refresh token.
    #[error("no refresh token was issued (TS 33.180 B.5)")]
    NoRefreshToken,
    /// Our own configuration is not usable.
    #[error("log-in configuration: {detail}")]
    Configuration {
        /// What is wrong.
        detail: String,
    },
}

/// For how long, if it is known.
fn until(retry_after_s: Option<u64>) -> String {
    retry_after_s.map_or_else(String::new, |seconds| format!(" for another {seconds} s"))
}

impl LoginError {
    /// Whether the account itself is refused, so that trying again soon makes it worse.
    #[must_use]
    pub const fn is_of_account(&self) -> bool {
        matches!(
            self,
            Self::CredentialsRefused | Self::TooManyAttempts { .. }
        )
    }

    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        // The URL may carry a state or a code.
        Self::Unreachable {
            detail: chain(&error.without_url()),
        }
    }

    pub(super) fn discovery<E: std::error::Error + 'static>(error: &DiscoveryError<E>) -> Self {
        if let DiscoveryError::Request(cause) = error {
            return Self::Unreachable {
                detail: chain(cause),
            };
        }
        Self::Discovery {
            detail: chain(error),
        }
    }

    pub(super) fn token<E: std::error::Error + 'static>(
        error: RequestTokenError<E, StandardErrorResponse<CoreErrorResponseType>>,
    ) -> Self {
        match error {
            RequestTokenError::ServerResponse(refusal) => Self::TokenRefused {
                error: refusal.error().to_string(),
                description: refusal.error_description().cloned().unwrap_or_default(),
            },
            RequestTokenError::Request(e) => Self::Unreachable { detail: chain(&e) },
            RequestTokenError::Parse(e, _) => Self::TokenResponse {
                detail: e.to_string(),
            },
            RequestTokenError::Other(detail) => Self::TokenResponse { detail },
        }
    }
}

/// An error with its causes, outermost first.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_account_says_for_how_long_in_words() {
        let locked = |retry_after_s| LoginError::TooManyAttempts { retry_after_s }.to_string();
        assert_eq!(
            locked(Some(296)),
            "too many failed log-ins: the account is locked for another 296 s"
        );
        assert!(locked(None).ends_with("locked"));
    }
}
