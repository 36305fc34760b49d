//! What every request passes: the host it names, where it comes from, and the response headers.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::state::Console;

/// Nothing but our own files; nobody may frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, HeaderValue); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(POLICY),
    ),
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    ),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// A header no other site's form or script can set without our consent.
const OWN_HEADER: &str = "x-mcbox-console";

pub(super) async fn guard(
    State(console): State<Console>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match check(&console, &request) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    response.headers_mut().extend(HEADERS);
    response
}

fn check(console: &Console, request: &Request) -> Result<(), (StatusCode, &'static str)> {
    if !is_our_host(request, &console.config().host_names) {
        return Err((StatusCode::MISDIRECTED_REQUEST, "unknown host name"));
    }
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !reads && !request.headers().contains_key(OWN_HEADER) {
        return Err((StatusCode::FORBIDDEN, "not from the console's own page"));
    }
    Ok(())
}

/// A name we do not know may be another site's that points at us (DNS rebinding).
fn is_our_host(request: &Request, names: &[String]) -> bool {
    let from_uri = request.uri().authority().map(|a| a.as_str());
    let Some(host) = from_uri.or_else(|| host(request.headers())) else {
        return false;
    };
    let name = host
        .rsplit_once(':')
        .filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()))
        .map_or(host, |(name, _)| name);
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok()
        || names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn host(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::HOST)?.to_str().ok()
}
