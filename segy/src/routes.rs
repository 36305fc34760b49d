//! The whole URL table (`/health` is the runtime's).

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};

use crate::status::{GatewayStatus, StatusReport};

/// `GET /status`.
pub(crate) fn router(status: Arc<GatewayStatus>) -> Router {
    Router::new()
        .route("/status", get(report))
        .with_state(status)
}

async fn report(State(status): State<Arc<GatewayStatus>>) -> Json<StatusReport> {
    Json(status.report())
}
