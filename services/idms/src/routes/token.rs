//! The token endpoint (TS 33.180 B.4.2.4, B.4.2.5, B.5; B.7 is in [`super::exchange`]).

use std::net::SocketAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use crate::error::Error;
use crate::form::Parameters;
use crate::routes::exchange::{self, JWT_BEARER, TOKEN_EXCHANGE};
use crate::scopes::Scopes;
use crate::state::{Idms, random_token};
use crate::store::{AuditEntry, Redemption, token_hash};
use crate::tokens::Grant;

/// A token response (TS 33.180 B.4.2.5).
#[derive(Serialize)]
pub(super) struct TokenResponse {
    access_token: String,
    token_type: &'static str,
    expires_in: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
}

impl TokenResponse {
    /// A token that goes on the wire as it is, without anything beside it.
    pub(super) fn bearer(access_token: String, expires_in: u32) -> Self {
        Self {
            access_token,
            token_type: "Bearer",
            expires_in,
            id_token: None,
            refresh_token: None,
            issued_token_type: None,
            scope: None,
        }
    }

    /// The same, telling what was issued (RFC 8693 2.2.1).
    pub(super) fn of_type(self, issued: &'static str) -> Self {
        Self {
            issued_token_type: Some(issued),
            ..self
        }
    }

    /// The same, telling what it is good for.
    pub(super) fn for_scopes(self, scope: String) -> Self {
        Self {
            scope: Some(scope),
            ..self
        }
    }
}

/// `POST /idms/token`.
pub(super) async fn token(
    State(idms): State<Idms>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<TokenResponse>, Error> {
    let address = peer.ip().to_string();
    let outcome = grant_tokens(&idms, &headers, &body, &address).await;
    if let Err(error) = &outcome {
        let detail = error.to_string();
        let (event, address, detail) = ("token_refused", Some(&*address), Some(&*detail));
        idms.audit(AuditEntry {
            event,
            address,
            detail,
            ..AuditEntry::default()
        })
        .await;
    }
    outcome.map(Json)
}

async fn grant_tokens(
    idms: &Idms,
    headers: &HeaderMap,
    body: &[u8],
    address: &str,
) -> Result<TokenResponse, Error> {
    if !is_form(headers) {
        let text = "the body must be application/x-www-form-urlencoded (RFC 6749 4.1.3)";
        return Err(Error::InvalidRequest(text.to_owned()));
    }
    let form = Parameters::parse(body)?;
    let grant_type = required(&form, "grant_type")?;
    let client_id = match grant_type {
        // B.7.2 lists no client_id: the access token says whose it is.
        TOKEN_EXCHANGE if !names_a_client(headers, &form) => {
            let subject = exchange::subject(idms, &form)?;
            allowed_client(idms, &subject.client_id, None)?
        }
        _ => authenticated_client(idms, headers, &form)?,
    };
    match grant_type {
        "authorization_code" => by_code(idms, &form, &client_id, address).await,
        "refresh_token" => by_refresh(idms, &form, &client_id, address).await,
        TOKEN_EXCHANGE => exchange::by_exchange(idms, &form, &client_id, address).await,
        JWT_BEARER => exchange::by_assertion(idms, &form, &client_id, address).await,
        _ => Err(Error::UnsupportedGrantType),
    }
}

async fn by_code(
    idms: &Idms,
    form: &Parameters,
    client_id: &str,
    address: &str,
) -> Result<TokenResponse, Error> {
    //= TS 33.180 B.4.2.4
    let redirect_uri = required(form, "redirect_uri")?;
    let verifier = required(form, "code_verifier")?;
    let now_ms = idms.clock.unix_ms();
    let code = match idms.store.redeem_code(required(form, "code")?).await? {
        Redemption::First(code) => code,
        Redemption::Again(family) => {
            idms.store.revoke_family(&family).await?;
            let (event, address) = ("code_replayed", Some(address));
            idms.audit(AuditEntry {
                event,
                address,
                ..AuditEntry::default()
            })
            .await;
            return Err(Error::InvalidGrant(
                "the code was used before (RFC 6749 4.1.2)",
            ));
        }
        Redemption::Unknown => return Err(Error::InvalidGrant("unknown code")),
    };
    let refuse = |text| Err(Error::InvalidGrant(text));
    let Some(grant) = idms.store.grant(&code.family, now_ms).await? else {
        return refuse("the login is over");
    };
    if code.expires_ms <= now_ms {
        return refuse("the code has expired");
    }
    if grant.client_id != client_id {
        return refuse("the code belongs to another client");
    }
    if code.redirect_uri != redirect_uri {
        return refuse("redirect_uri differs from the authorization request (RFC 6749 4.1.3)");
    }
    if code.challenge.verify(verifier).is_err() {
        return refuse("code_verifier does not match (RFC 7636 4.6)");
    }
    respond(idms, &code.family, &grant, &grant.scopes, address).await
}

async fn by_refresh(
    idms: &Idms,
    form: &Parameters,
    client_id: &str,
    address: &str,
) -> Result<TokenResponse, Error> {
    //= TS 33.180 B.5
    let token = required(form, "refresh_token")?;
    let now_ms = idms.clock.unix_ms();
    let unknown = || Error::InvalidGrant("unknown or expired refresh token");
    // Client and scope are checked first: a mistake there must not use the token up.
    let family = idms
        .store
        .refresh_family(token)
        .await?
        .ok_or_else(unknown)?;
    let grant = idms
        .store
        .grant(&family, now_ms)
        .await?
        .ok_or_else(unknown)?;
    if grant.client_id != client_id {
        return Err(Error::InvalidGrant(
            "the refresh token belongs to another client",
        ));
    }
    let scopes = match form.value("scope").map(Scopes::parse) {
        Some(asked) if !asked.narrows(&grant.scopes) => {
            return Err(Error::InvalidScope(
                "scope exceeds the original grant (RFC 6749 6)",
            ));
        }
        Some(asked) => asked.grant(&grant.scopes),
        None => grant.scopes.clone(),
    };
    match idms.store.redeem_refresh_token(token, now_ms).await? {
        Redemption::First(family) => respond(idms, &family, &grant, &scopes, address).await,
        Redemption::Again(family) => {
            idms.store.revoke_family(&family).await?;
            let (event, sub, address) = ("refresh_replayed", Some(&*grant.sub), Some(address));
            idms.audit(AuditEntry {
                event,
                sub,
                address,
                ..AuditEntry::default()
            })
            .await;
            Err(Error::InvalidGrant(
                "the refresh token was used before; the login is revoked",
            ))
        }
        Redemption::Unknown => Err(unknown()),
    }
}

/// Makes the tokens for `scopes`, which never exceed the grant or today's entitlement.
async fn respond(
    idms: &Idms,
    family: &str,
    grant: &Grant,
    scopes: &Scopes,
    address: &str,
) -> Result<TokenResponse, Error> {
    //= TS 33.180 B.4.2.5
    let user = idms
        .store
        .user_by_sub(&grant.sub)
        .await?
        .filter(|user| !user.disabled);
    let user = user.ok_or(Error::InvalidGrant("the account is disabled"))?;
    if let Some(mcptt_id) = &user.services.mcptt_id {
        idms.refuse_revoked(mcptt_id).await?;
    }
    let issued = Grant {
        scopes: scopes.grant(&user.scopes),
        ..grant.clone()
    };
    let now_s = idms.now_s();
    let jti = uuid::Uuid::new_v4().to_string();
    let access = idms
        .policy
        .access_token(&issued, &user.services, now_s, jti);
    let id = idms.policy.id_token(&issued, &user.services, now_s);
    let refresh_token = random_token();
    let lifetime_ms = i64::from(idms.config.lifetimes.refresh_token_s).saturating_mul(1000);
    let expires_ms = idms.clock.unix_ms().saturating_add(lifetime_ms);
    idms.store
        .put_refresh_token(&refresh_token, family, expires_ms)
        .await?;
    let scope = issued.scopes.to_string();
    idms.audit(AuditEntry {
        event: "token_issued",
        client_id: Some(&grant.client_id),
        sub: Some(&grant.sub),
        address: Some(address),
        detail: Some(&scope),
    })
    .await;
    Ok(TokenResponse {
        id_token: Some(idms.signing_key.sign(&id).map_err(Error::local)?),
        refresh_token: Some(refresh_token),
        scope: Some(scope),
        ..TokenResponse::bearer(
            idms.signing_key.sign(&access).map_err(Error::local)?,
            idms.config.lifetimes.access_token_s,
        )
    })
}

pub(super) fn required<'a>(form: &'a Parameters, name: &str) -> Result<&'a str, Error> {
    form.value(name)
        .ok_or_else(|| Error::InvalidRequest(format!("{name} is missing")))
}

fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|t| {
            t.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

/// The client of the request: by `client_id`, and by HTTP Basic where a secret was issued.
fn authenticated_client(
    idms: &Idms,
    headers: &HeaderMap,
    form: &Parameters,
) -> Result<String, Error> {
    let basic = headers.get(header::AUTHORIZATION).map(|value| {
        value
            .to_str()
            .ok()
            .and_then(basic_credentials)
            .ok_or(Error::InvalidClient("bad credentials"))
    });
    let basic = basic.transpose()?;
    let named = form
        .value("client_id")
        .or(basic.as_ref().map(|(id, _)| id.as_str()));
    let client_id = named.ok_or(Error::InvalidClient("client_id is missing"))?;
    allowed_client(idms, client_id, basic.as_ref())
}

fn names_a_client(headers: &HeaderMap, form: &Parameters) -> bool {
    headers.contains_key(header::AUTHORIZATION) || form.value("client_id").is_some()
}

fn allowed_client(
    idms: &Idms,
    client_id: &str,
    basic: Option<&(String, String)>,
) -> Result<String, Error> {
    let client = idms
        .client(client_id)
        .ok_or(Error::InvalidClient("unknown client"))?;
    let allowed = match (&client.secret, basic) {
        (None, None) => true,
        (Some(secret), Some((id, sent))) => id == client_id && same(secret.expose(), sent),
        (None, Some(_)) | (Some(_), None) => false,
    };
    allowed
        .then(|| client_id.to_owned())
        .ok_or(Error::InvalidClient("client authentication failed"))
}

fn same(secret: &str, sent: &str) -> bool {
    token_hash(secret)
        .as_bytes()
        .ct_eq(token_hash(sent).as_bytes())
        .into()
}

/// Identifier and secret of HTTP Basic, each form-encoded first (RFC 6749 2.3.1).
fn basic_credentials(value: &str) -> Option<(String, String)> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    let decode = |part: &str| {
        percent_encoding::percent_decode_str(&part.replace('+', " "))
            .decode_utf8()
            .ok()
            .map(std::borrow::Cow::into_owned)
    };
    Some((decode(id)?, decode(secret)?))
}
