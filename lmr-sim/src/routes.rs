//! The whole URL table.

use axum::Router;
use axum::routing::{get, post};

use crate::api::{self, ApiState};

/// The API.
pub(crate) fn router(state: ApiState) -> Router {
    Router::new()
        .route("/api/status", get(api::status))
        .route(
            "/api/units/{unit}/ptt",
            post(api::ptt_on).delete(api::ptt_off),
        )
        .route("/api/units/{unit}/affiliate", post(api::affiliate))
        .route("/api/units/{unit}/call", post(api::call))
        .route("/api/units/{unit}/answer", post(api::answer))
        .route("/api/units/{unit}/hangup", post(api::hang_up))
        .route("/api/units/{unit}/answering", post(api::answering))
        .route("/api/units/{unit}/emergency", post(api::emergency))
        .route(
            "/api/units/{unit}/record",
            post(api::record_start).delete(api::record_stop),
        )
        .route("/api/units/{unit}/recording", get(api::recording))
        .route("/api/units/{unit}/recording.wav", get(api::recording_wav))
        .route("/api/talks/{id}", get(api::talk))
        .route(
            "/api/impairments",
            get(api::impairments).put(api::set_impairments),
        )
        .with_state(state)
}
