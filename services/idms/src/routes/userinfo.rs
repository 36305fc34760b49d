//! The userinfo endpoint (OpenID Connect Core 5.3).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use serde_json::Value;

use crate::error::Error;
use crate::scopes::{OPENID, Scopes};
use crate::state::Idms;
use crate::tokens::AccessTokenClaims;

/// `GET|POST /idms/userinfo` with a bearer token.
pub(super) async fn userinfo(
    State(idms): State<Idms>,
    headers: HeaderMap,
) -> Result<Json<Value>, Error> {
    let token = bearer(&headers).ok_or(Error::InvalidToken("none"))?;
    let issuer = &idms.policy.issuer;
    let claims: AccessTokenClaims = idms
        .signing_key
        .verify(token, issuer, Some(issuer), idms.now_s())
        .ok_or(Error::InvalidToken(
            "no access token of this server that holds",
        ))?;
    if !Scopes::parse(&claims.scope).contains(OPENID) {
        return Err(Error::InvalidToken("without the scope openid"));
    }
    let user = idms.store.user_by_sub(&claims.sub).await?;
    if user.is_none_or(|user| user.disabled) {
        return Err(Error::InvalidToken("of a user who is gone or disabled"));
    }
    let mut info = serde_json::to_value(&claims.services).map_err(Error::local)?;
    if let Some(members) = info.as_object_mut() {
        members.insert("sub".to_owned(), Value::String(claims.sub));
    }
    Ok(Json(info))
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
