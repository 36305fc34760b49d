//! The answer to a request whose body is announced too long.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::StreamExt as _;

/// Most octets taken in for nothing.
const MAX_DISCARDED: usize = 1024 * 1024;

/// Refuses a body that is announced longer than `max` octets with 413. What the client sends anyway
/// is taken in and thrown away: a client that is cut off while it still sends never sees the answer
/// (RFC 9112 9.6).
pub(super) async fn announced(State(max): State<usize>, request: Request, next: Next) -> Response {
    let announced = request.headers().get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_none_or(|length| length <= max) {
        return next.run(request).await;
    }
    discard(request.into_body()).await;
    StatusCode::PAYLOAD_TOO_LARGE.into_response()
}

async fn discard(body: Body) {
    let (mut stream, mut discarded) = (body.into_data_stream(), 0);
    while let Some(Ok(octets)) = stream.next().await {
        discarded += octets.len();
        if discarded > MAX_DISCARDED {
            return;
        }
    }
}
