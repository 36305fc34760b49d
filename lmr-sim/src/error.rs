//! What the API and the air side refuse, and how.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use mc_audio::wav::WavError;
use serde_json::json;

use crate::network::ChannelId;

/// Why a request to the radio network failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LmrError {
    /// No radio has this unit number.
    #[error("unit {0} does not exist")]
    UnknownUnit(String),
    /// No such talkgroup, or the call is over.
    #[error("{0} does not exist")]
    UnknownChannel(ChannelId),
    /// No such talk.
    #[error("talk {0} does not exist")]
    UnknownTalk(u64),
    /// The radio is tuned to no talkgroup.
    #[error("unit {0} is not affiliated to a talkgroup")]
    NotAffiliated(String),
    /// Somebody else holds the channel.
    #[error("{0} is busy")]
    ChannelBusy(ChannelId),
    /// The radio is in a call.
    #[error("unit {0} is in a call")]
    InCall(String),
    /// The radio's call is not answered yet.
    #[error("unit {0}: the call is not answered yet")]
    NotConnected(String),
    /// The radio is in no such call.
    #[error("unit {0} is in no call that could be answered or ended")]
    NoCall(String),

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
            | Self::UnknownChannel(_)
            | Self::UnknownTalk(_)
            | Self::NothingRecorded(_) => StatusCode::NOT_FOUND,
            Self::NotAffiliated(_)
            | Self::ChannelBusy(_)
            | Self::InCall(_)
            | Self::NotConnected(_)
            | Self::NoCall(_)
            | Self::Talking(_) => StatusCode::CONFLICT,
            Self::Wav(_) | Self::Value(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
