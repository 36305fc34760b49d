//! A refusal: the status and the Warning the standard gives for it, and the reason for the log.

use std::fmt;

use mc_client::BodyRefused;
use mc_runtime::sip::IncomingRequest;
use mc_sip::{McWarning, Response, StatusCode, Warning, name};

/// Why a request is refused, in the terms of TS 24.379 4.4.
#[derive(Debug, Clone, thiserror::Error)]
pub struct Refusal {
    /// The status code.
    pub status: StatusCode,
    /// The numbered warning, if one fits.
    pub warning: Option<McWarning>,
    /// Further header fields (`Min-Expires`, `Allow-Events` ...).
    pub headers: Vec<(&'static str, String)>,
    /// What the peer is not told: the very reason, for log and trace.
    why: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(warning) = self.warning {
            write!(f, " (Warning {} {})", warning.code(), warning.text())?;
        }
        match &self.why {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}

/// Two are the same when the peer sees the same.
impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        let seen = |refusal: &Self| (refusal.status, refusal.warning);
        seen(self) == seen(other) && self.headers == other.headers
    }
}

impl Eq for Refusal {}

impl Refusal {
    /// A refusal without numbered warning.
    #[must_use]
    pub const fn status(status: StatusCode) -> Self {
        Self {
            status,
            warning: None,
            headers: Vec::new(),
            why: None,
        }
    }

    /// A 400 and why, for the log.
    pub fn malformed(why: impl fmt::Display) -> Self {
        Self::status(StatusCode::BAD_REQUEST).because(why)
    }

    /// A 403 with a numbered warning.
    #[must_use]
    pub const fn forbidden(warning: McWarning) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            warning: Some(warning),
            headers: Vec::new(),
            why: None,
        }
    }

    /// A 404 with a numbered warning.
    #[must_use]
    pub const fn not_found(warning: McWarning) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            warning: Some(warning),
            headers: Vec::new(),
            why: None,
        }
    }

    /// Any status with a numbered warning.
    #[must_use]
    pub const fn warned(status: StatusCode, warning: McWarning) -> Self {
        Self {
            status,
            warning: Some(warning),
            headers: Vec::new(),
            why: None,
        }
    }

    /// The same refusal with one more header field.
    #[must_use]
    pub fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((field, value.into()));
        self
    }

    /// The same refusal with its reason, for the log.
    #[must_use]
    pub fn because(mut self, why: impl fmt::Display) -> Self {
        self.why = Some(why.to_string());
        self
    }

    /// The response to a request.
    #[must_use]
    pub fn response(&self, request: &IncomingRequest, host: &str) -> Response {
        let mut response = request.response(self.status);
        for (field, value) in &self.headers {
            response.headers.push(field, value.clone());
        }
        if let Some(warning) = self.warning {
            response
                .headers
                .push(name::WARNING, Warning::numbered(host, warning).to_string());
        }
        response
    }
}

impl From<BodyRefused> for Refusal {
    fn from(refused: BodyRefused) -> Self {
        let (status, warning) = refused.answer();
        Self {
            status,
            warning,
            headers: Vec::new(),
            why: Some(refused.to_string()),
        }
    }
}
