//! The URL table of the IdMS, and the headers every answer carries.

mod admin;
mod authorize;
mod exchange;
mod metadata;
mod token;
mod userinfo;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};
use mc_runtime::http::{HttpTrace, traced};
use mc_runtime::trace::Tracer;
use mc_trace::Interface;
use mc_trace::names::{self, Declared};

use crate::state::Idms;

/// Path of the authorization endpoint.
pub const AUTHORIZE: &str = "/idms/authorize";
/// Path the login form is posted to.
pub const LOGIN: &str = "/idms/login";
/// Path of the token endpoint.
pub const TOKEN: &str = "/idms/token";
/// Path of the userinfo endpoint.
pub const USERINFO: &str = "/idms/userinfo";
/// Path of the key set.
pub const JWKS: &str = "/idms/jwks.json";
/// Path of the discovery document.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";

/// All endpoints.
pub fn router(idms: Idms, tracer: Tracer) -> Router {
    let health = idms.health.router();
    let admin = idms.operator.clone();
    let admin = admin.map_or_else(Router::new, |operator| {
        admin::router(idms.clone(), operator)
    });
    let announcer = idms.announcer.clone();
    let revocations = announcer.map_or_else(Router::new, |told| told.router(idms.clone()));
    let trace = HttpTrace {
        tracer,
        interface: Interface::CSC_1,
        answer: answer_name,
    };
    let router = Router::new()
        .route(AUTHORIZE, get(authorize::by_query).post(authorize::by_form))
        .route(LOGIN, post(authorize::login))
        .route(TOKEN, post(token::token))
        .route(USERINFO, get(userinfo::userinfo).post(userinfo::userinfo))
        .route(JWKS, get(metadata::jwks))
        .route(DISCOVERY, get(metadata::discovery))
        .with_state(idms);
    traced(router, trace)
        .merge(admin)
        .merge(revocations)
        .layer(from_fn(security_headers))
        .merge(health)
}

/// Redirections lead back to the client: with a code after a login, otherwise with an error.
fn answer_name(_method: &Method, path: &str, status: StatusCode) -> Declared {
    match path {
        LOGIN if status == StatusCode::FOUND => names::IDMS_AUTHORIZED,
        TOKEN if status.is_success() => names::IDMS_TOKEN_ISSUED,
        _ if status.is_success() => names::HTTP_RESPONSE,
        _ => names::IDMS_REFUSED,
    }
}

/// Adds what keeps browsers from caching, framing, guessing types and leaking addresses.
async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::PRAGMA, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}
