//! Discovery document and key set (OpenID Connect Discovery 1.0).

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::authorization::ACR_PASSWORD;
use crate::routes::exchange::{JWT_BEARER, TOKEN_EXCHANGE};
use crate::routes::{AUTHORIZE, JWKS, TOKEN, USERINFO};
use crate::scopes::{CATALOGUE, OPENID};
use crate::state::Idms;

/// `GET /.well-known/openid-configuration`.
pub(super) async fn discovery(State(idms): State<Idms>) -> Json<Value> {
    let issuer = &idms.policy.issuer;
    let scopes: Vec<&str> = std::iter::once(OPENID).chain(CATALOGUE).collect();
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}{AUTHORIZE}"),
        "token_endpoint": format!("{issuer}{TOKEN}"),
        "userinfo_endpoint": format!("{issuer}{USERINFO}"),
        "jwks_uri": format!("{issuer}{JWKS}"),
        "scopes_supported": scopes,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", TOKEN_EXCHANGE, JWT_BEARER],
        "acr_values_supported": [ACR_PASSWORD],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "acr", "nonce",
            "mcptt_id", "mcvideo_id", "mcdata_id"],
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// `GET /idms/jwks.json`.
pub(super) async fn jwks(State(idms): State<Idms>) -> Json<Value> {
    Json(json!({"keys": [idms.signing_key.jwk()]}))
}
