//! Every URL of the console.

mod control;
mod guard;
mod messages;
mod stream;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};

use crate::page;
use crate::state::Console;

const SCRIPT: &str = include_str!("../assets/console.js");
const STYLE: &str = include_str!("../assets/console.css");
const ICON: &str = include_str!("../assets/icon.svg");

pub(crate) fn router(console: Console) -> Router {
    Router::new()
        .route("/", get(index))
        .route(
            "/console.js",
            get(|| asset("text/javascript; charset=utf-8", SCRIPT)),
        )
        .route(
            "/console.css",
            get(|| asset("text/css; charset=utf-8", STYLE)),
        )
        .route("/icon.svg", get(|| asset("image/svg+xml", ICON)))
        .route("/api/stream", get(stream::stream))
        .route("/api/messages", get(messages::list).delete(messages::clear))
        .route("/api/messages/{id}", get(messages::one))
        .route("/api/calls/{approach}/{call}", post(control::start))
        .layer(middleware::from_fn_with_state(
            console.clone(),
            guard::guard,
        ))
        .with_state(console)
}

async fn index(State(console): State<Console>) -> Response {
    match page::page(&console) {
        Ok(page) => Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "page");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[expect(clippy::unused_async, reason = "a route is an async function")]
async fn asset(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], text)
}
