//! What the API and the air side refuse, and how.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mc_audio::wav::WavError;
use serde_json::json;

/// Why a request to the radio network failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LmrError {
    /// No radio has this unit number.
    #[error("unit {0} does not exist")]
    UnknownUnit(String),
    /// No such talkgroup.
    #[error("talkgroup {0} does not exist")]
    UnknownTalkgroup(u32),
    /// No such talk.
    #[error("talk {0} does not exist")]
    UnknownTalk(u64),
    /// The radio is tuned to no talkgroup.
    #[error("unit {0} is not affiliated to a talkgroup")]
    NotAffiliated(String),
    /// Somebody else holds the channel.
    #[error("talkgroup {0} is busy")]
    ChannelBusy(u32),
    /// The radio talks already.
    #[error("unit {0} talks already")]
    Talking(String),
    /// The WAV cannot be played.
    #[error("WAV: {0}")]
    Wav(#[from] WavError),
    /// A value of the request is out of range.
    #[error("{0}")]
    Value(&'static str),
    /// Nothing was recorded.
    #[error("unit {0} has recorded nothing")]
    NothingRecorded(String),
    /// No room for another leg.
    #[error("too many legs")]
    Full,
}

impl IntoResponse for LmrError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::UnknownUnit(_)
            | Self::UnknownTalkgroup(_)
            | Self::UnknownTalk(_)
            | Self::NothingRecorded(_) => StatusCode::NOT_FOUND,
            Self::NotAffiliated(_) | Self::ChannelBusy(_) | Self::Talking(_) => {
                StatusCode::CONFLICT
            }
            Self::Wav(_) | Self::Value(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
