//! The URL table of the IdMS, and the headers every answer carries.

mod admin;
mod authorize;
mod exchange;
mod metadata;
mod token;
mod userinfo;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, header};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::{get, post};

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
pub fn router(idms: Idms) -> Router {
    let health = idms.health.router();
    let admin = idms.operator.clone();
    let admin = admin.map_or_else(Router::new, |operator| {
        admin::router(idms.clone(), operator)
    });
    Router::new()
        .route(AUTHORIZE, get(authorize::by_query).post(authorize::by_form))
        .route(LOGIN, post(authorize::login))
        .route(TOKEN, post(token::token))
        .route(USERINFO, get(userinfo::userinfo).post(userinfo::userinfo))
        .route(JWKS, get(metadata::jwks))
        .route(DISCOVERY, get(metadata::discovery))
        .with_state(idms)
        .merge(admin)
        .layer(from_fn(security_headers))
        .merge(health)
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
