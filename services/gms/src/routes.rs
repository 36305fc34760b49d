//! The URL table of the group management server.

mod administration;
mod documents;

use std::net::SocketAddr;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use mc_ids::McServiceId;
use mc_runtime::auth::bearer_token;
use mc_trace::{Direction, Endpoint, Event, Interface, names};

use crate::error::Refusal;
use crate::state::Gms;

/// The header in which a trusted peer names the user it acts for (TS 24.481 6.2).
const ASSERTED_IDENTITY: &str = "x-3gpp-asserted-identity";

/// All endpoints; every other path is an XCAP document address.
pub fn router(gms: Gms) -> Router {
    let health = gms.health.router();
    Router::new()
        .route("/admin/status", get(administration::status))
        .route("/admin/groups/{group}/rekey", post(administration::rekey))
        .route(
            "/admin/groups/{group}/members/{member}",
            put(administration::add_member).delete(administration::remove_member),
        )
        .fallback(documents::document)
        .layer(from_fn_with_state(gms.clone(), traced))
        .with_state(gms)
        .merge(health)
}

/// Who asks: the token's MCPTT ID, or one it may assert.
///
/// # Errors
/// [`Refusal`] without a valid token or with a foreign assertion.
async fn requester(gms: &Gms, headers: &HeaderMap) -> Result<McServiceId, Refusal> {
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
    gms.acting(&authenticated, value).await
}

/// Answers a refusal after counting it.
async fn refuse(gms: &Gms, refusal: Refusal, group: Option<&str>) -> Response {
    if !matches!(refusal, Refusal::Assertion(_)) {
        gms.refused(&refusal, None, group).await;
    }
    refusal.into_response()
}

/// Reports every request and answer, and adds the headers each answer carries.
async fn traced(State(gms): State<Gms>, request: Request, next: Next) -> Response {
    let peer = request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|info| info.0);
    let client = || peer.map_or_else(|| Endpoint::named("client"), |p| Endpoint::new("client", p));
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let Some((request, octets)) = whole_request(request).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    if gms.tracer.is_on() {
        let headers = shown(request.headers());
        let event = Event::http_request(
            &names::HTTP_REQUEST,
            Direction::Received,
            (client(), Endpoint::named("gms")),
            (method.as_str(), &path),
            &headers,
            &octets,
        );
        gms.tracer.emit(event.on(Interface::CSC_2));
    }
    let mut response = next.run(request).await;
    let cached = HeaderValue::from_static("private, no-cache");
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(cached);
    if !gms.tracer.is_on() {
        return response;
    }
    let (response, octets) = whole_response(response).await;
    let status = response.status();
    let name = if !status.is_success() && status.as_u16() != 304 {
        &names::GMS_REFUSED
    } else if method.is_safe() {
        &names::GMS_DOCUMENT_SERVED
    } else {
        &names::GMS_DOCUMENT_CHANGED
    };
    let headers = shown(response.headers());
    gms.tracer.emit(Event::http_response(
        name,
        Direction::Sent,
        (Endpoint::named("gms"), client()),
        (status.as_u16(), &path),
        &headers,
        &octets,
    ));
    response
}

fn shown(headers: &HeaderMap) -> Vec<(&str, &str)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect()
}

/// Reads a request's body; `None` when it is longer than the server's limit, which bounds it.
async fn whole_request(request: Request) -> Option<(Request, Bytes)> {
    let (parts, body) = request.into_parts();
    let octets = axum::body::to_bytes(body, usize::MAX).await.ok()?;
    Some((
        Request::from_parts(parts, Body::from(octets.clone())),
        octets,
    ))
}

async fn whole_response(response: Response) -> (Response, Bytes) {
    let (parts, body) = response.into_parts();
    let octets = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    (
        Response::from_parts(parts, Body::from(octets.clone())),
        octets,
    )
}
