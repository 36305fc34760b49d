//! Why a request is refused, and the status that says so.

use axum::http::StatusCode;
use kms_protocol::{KmsDocumentError, KmsError};

/// Why an authenticated request is not served.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not a KMS request document.
    #[error("request malformed: {0}")]
    Malformed(KmsDocumentError),
    /// Longer than configured.
    #[error("request too large")]
    TooLarge,
    /// A `UserUri` that is not the authenticated user's.
    #[error("UserUri is not an identity of the authenticated user")]
    ForeignUser,
    /// Keys asked for an identity of somebody else.
    #[error("no keys for an identity of another user")]
    ForeignIdentity,
    /// An identity that another KMS answers for.
    #[error("the identity is of no domain of this KMS")]
    ForeignDomain,
    /// A user whose keys were taken out of use.
    #[error("the user is revoked")]
    Revoked,
    /// More users than the gateway may have.
    #[error("the gateway has as many users as it may")]
    TooManyUsers,
    /// A request meant for another KMS.
    #[error("KmsUri names another KMS")]
    OtherKms,
    /// A request made for another URL.
    #[error("ClientReqUrl is not the URL of this request")]
    OtherUrl,
    /// Too old, or from the future.
    #[error("Time is not recent")]
    Stale,
    /// A key period that is over or too far ahead.
    #[error("no keys for that time")]
    NoSuchPeriod,
    /// No certificate of that KMS.
    #[error("no certificate of that KMS")]
    UnknownKms,
    /// A path that is no resource.
    #[error("no such resource")]
    UnknownResource,
    /// Something failed here.
    #[error("internal error")]
    Internal(#[from] anyhow::Error),
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Internal(error.into())
    }
}

impl Refusal {
    /// The HTTP status, which is also the number in the `KmsError`.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Malformed(_) | Self::OtherKms | Self::OtherUrl | Self::Stale => {
                StatusCode::BAD_REQUEST
            }
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::ForeignUser
            | Self::ForeignIdentity
            | Self::ForeignDomain
            | Self::Revoked
            | Self::TooManyUsers => StatusCode::FORBIDDEN,
            Self::NoSuchPeriod | Self::UnknownKms | Self::UnknownResource => StatusCode::NOT_FOUND,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The element of the response.
    #[must_use]
    pub fn kms_error(&self) -> KmsError {
        KmsError {
            code: i64::from(self.status().as_u16()),
            message: self.to_string(),
        }
    }
}
