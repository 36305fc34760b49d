//! The URL table of the group management server.

mod administration;
mod documents;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use mc_ids::McServiceId;
use mc_runtime::auth::bearer_token;
use mc_runtime::http::{HttpTrace, traced};
use mc_trace::Interface;
use mc_trace::names::{self, Declared};

use crate::error::Refusal;
use crate::state::Gms;

/// The header in which a trusted peer names the user it acts for (TS 24.481 6.2).
const ASSERTED_IDENTITY: &str = "x-3gpp-asserted-identity";

/// All endpoints; every other path is an XCAP document address.
pub fn router(gms: Gms) -> Router {
    let health = gms.health.router();
    let trace = HttpTrace {
        tracer: gms.tracer.clone(),
        interface: Interface::CSC_2,
        answer: answer_name,
    };
    let router = Router::new()
        .route("/admin/status", get(administration::status))
        .route("/admin/groups/{group}/rekey", post(administration::rekey))
        .route(
            "/admin/groups/{group}/members/{member}",
            put(administration::add_member).delete(administration::remove_member),
        )
        .fallback(documents::document)
        .layer(from_fn(uncached))
        .with_state(gms);
    traced(router, trace).merge(health)
}

/// Who asks: the token's MCPTT ID, or one it may assert.
///
/// # Errors
/// [`Refusal`] without a valid token or with a foreign assertion.
async fn requester(gms: &Gms, headers: &HeaderMap) -> Result<McServiceId, Refusal> {
    Ok(peer_and_requester(gms, headers).await?.1)
}

/// The token's MCPTT ID, and who asks: the same, or one that it may assert.
async fn peer_and_requester(
    gms: &Gms,
    headers: &HeaderMap,
) -> Result<(McServiceId, McServiceId), Refusal> {
    //= TS 24.482 A.2.1.3
    let authenticated = gms.identity_of(bearer_token(headers)?).await?;
    let mut asserted = headers.get_all(ASSERTED_IDENTITY).iter();
    let first = asserted
        .next()
        .map(|value| value.to_str().unwrap_or_default());
    // Two values are no identity.
    let value = match asserted.next() {
        Some(_) => Some(""),
        None => first,
    };
    let acting = gms.acting(&authenticated, value).await?;
    Ok((authenticated, acting))
}

/// Answers a refusal after counting it.
async fn refuse(gms: &Gms, refusal: Refusal, group: Option<&str>) -> Response {
    if !matches!(refusal, Refusal::Assertion(_)) {
        gms.refused(&refusal, None, group).await;
    }
    refusal.into_response()
}

/// Groups are private and change at any time (TS 24.481 6.3.3).
async fn uncached(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let private = HeaderValue::from_static("private, no-cache");
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(private);
    response
}

fn answer_name(method: &Method, _path: &str, status: StatusCode) -> Declared {
    if status.is_client_error() || status.is_server_error() {
        names::GMS_REFUSED
    } else if method.is_safe() {
        names::GMS_DOCUMENT_SERVED
    } else {
        names::GMS_DOCUMENT_CHANGED
    }
}
