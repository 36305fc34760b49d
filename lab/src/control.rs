//! The lab runner's control: what the console's buttons call.
//!
//! `POST /calls/{approach}/{call}` runs a call and answers with its row when it has ended;
//! `GET /state` tells what is running, the last results, clients and radios.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mc_runtime::CancellationToken;
use mc_runtime::http::{self, HttpError, Server, ServerConfig};

use crate::demo::{Refused, Runner};

/// Longest a call may take before the button's request is given up.
const PATIENCE_S: u64 = 180;

/// Serves the control until the stop.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve(
    address: SocketAddr,
    runner: Arc<Runner>,
    stop: CancellationToken,
) -> Result<Server, HttpError> {
    let config = ServerConfig {
        request_timeout_s: PATIENCE_S,
        ..ServerConfig::plain(address)
    };
    let router = Router::new()
        .route("/calls/{approach}/{call}", post(call))
        .route("/state", get(state))
        .with_state(runner);
    http::serve(&config, http::refuse_cross_site(router), stop).await
}

async fn call(
    State(runner): State<Arc<Runner>>,
    Path((approach, call)): Path<(String, String)>,
) -> Response {
    match runner.run(&approach, &call).await {
        Ok(row) => Json(row).into_response(),
        Err(refused) => {
            let status = match refused {
                Refused::Unknown(..) => StatusCode::NOT_FOUND,
                Refused::Busy(_) => StatusCode::CONFLICT,
            };
            (status, refused.to_string()).into_response()
        }
    }
}

async fn state(State(runner): State<Arc<Runner>>) -> Response {
    Json(runner.state().await).into_response()
}
