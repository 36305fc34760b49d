//! Inter-domain authorisation at the token endpoint: the home domain's side (TS 33.180 B.7.2, B.7.3,
//! RFC 8693) and the partner's (B.7.4, B.7.5, RFC 7523).

use crate::config::Partner;
use crate::error::Error;
use crate::form::Parameters;
use crate::routes::TOKEN;
use crate::routes::token::{TokenResponse, required};
use crate::scopes::{OPENID, Scopes};
use crate::security_token::{Expected, SecurityTokenClaims};
use crate::state::Idms;
use crate::store::{AuditEntry, User};
use crate::tokens::{AccessTokenClaims, Grant, ServiceIds};

/// `grant_type` of RFC 8693.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// `grant_type` of RFC 7523.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// The token type of the profile; the general one of RFC 8693 for access tokens is read too, because
/// the sources of B.7.2 do not agree.
const TYPE_JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
const TYPE_ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// The access token of an exchange, if it is one of ours that is still valid.
pub(super) fn subject(idms: &Idms, form: &Parameters) -> Result<AccessTokenClaims, Error> {
    let token = required(form, "subject_token")?;
    let issuer = &idms.policy.issuer;
    idms.signing_key
        .verify(token, issuer, None, idms.now_s())
        .ok_or(Error::InvalidGrant("the subject_token is not valid here"))
}

/// A security token for one partner, for the user of an access token.
//= TS 33.180 B.7.2
pub(super) async fn by_exchange(
    idms: &Idms,
    form: &Parameters,
    client_id: &str,
    address: &str,
) -> Result<TokenResponse, Error> {
    let kind = required(form, "subject_token_type")?;
    if ![TYPE_JWT, TYPE_ACCESS_TOKEN].contains(&kind) {
        let text = "subject_token_type must be an access token (TS 33.180 B.7.2)";
        return Err(Error::InvalidRequest(text.to_owned()));
    }
    let resource = required(form, "resource")?;
    let partner = partner_at(idms, resource)?;
    let subject = subject(idms, form)?;
    if subject.client_id != client_id {
        return Err(Error::InvalidGrant(
            "the subject_token belongs to another client",
        ));
    }
    let user = user_of(idms, &subject).await?;
    let mcptt_id = subject.services.mcptt_id.as_deref();
    let mcptt_id = mcptt_id.filter(|id| user.services.mcptt_id.as_deref() == Some(id));
    let mcptt_id = mcptt_id.ok_or(Error::InvalidGrant("the subject_token has no MCPTT ID"))?;
    idms.refuse_revoked(mcptt_id).await?;
    let lifetime_s = idms.config.lifetimes.security_token_s;
    let now = idms.now_s();
    //= TS 33.180 B.8
    let claims = SecurityTokenClaims {
        iss: idms.policy.issuer.clone(),
        sub: mcptt_id.to_owned(),
        aud: vec![client_id.to_owned(), resource.to_owned()],
        exp: now.saturating_add(i64::from(lifetime_s)),
        iat: now,
        jti: uuid::Uuid::new_v4().to_string(),
    };
    idms.audit(AuditEntry {
        event: "security_token_issued",
        client_id: Some(client_id),
        sub: Some(&user.sub),
        address: Some(address),
        detail: Some(&partner.issuer),
    })
    .await;
    //= TS 33.180 B.7.3
    let token = idms.signing_key.sign(&claims).map_err(Error::local)?;
    Ok(TokenResponse::bearer(token, lifetime_s).of_type(TYPE_JWT))
}

fn partner_at<'a>(idms: &'a Idms, resource: &str) -> Result<&'a Partner, Error> {
    let mut partners = idms.config.partners.iter();
    partners
        .find(|partner| partner.token_endpoint == resource || partner.issuer == resource)
        .ok_or(Error::InvalidTarget(
            "resource is not the token endpoint of a partner domain (TS 33.180 B.7.2)",
        ))
}

async fn user_of(idms: &Idms, subject: &AccessTokenClaims) -> Result<User, Error> {
    let user = idms.store.user_by_sub(&subject.sub).await?;
    user.filter(|user| !user.disabled)
        .ok_or(Error::InvalidGrant("the account is disabled"))
}

/// An access token of this domain for a partner's user.
//= TS 33.180 B.7.4
pub(super) async fn by_assertion(
    idms: &Idms,
    form: &Parameters,
    client_id: &str,
    address: &str,
) -> Result<TokenResponse, Error> {
    let asked = Scopes::parse(required(form, "scope")?);
    let issuer = &idms.policy.issuer;
    let own_names = [issuer.clone(), format!("{issuer}{TOKEN}")];
    let expected = Expected {
        partners: &idms.config.partners,
        own_names: &own_names,
        client_id,
        now: idms.now_s(),
        longest_s: i64::from(idms.config.lifetimes.accepted_security_token_s),
    };
    let assertion = expected.check(required(form, "assertion")?)?;
    let partner = assertion.partner;
    let scopes = granted(&asked, partner)?;
    let assigned = partner.assigned.get(assertion.user.as_str());
    let mcptt_id = assigned.unwrap_or(&assertion.user).as_str();
    idms.refuse_revoked(mcptt_id).await?;
    let until_ms = assertion.expires.saturating_mul(1000);
    if !idms.store.put_assertion(&assertion.id, until_ms).await? {
        return Err(Error::InvalidGrant(
            "the security token was used before (TS 33.180 B.7.4)",
        ));
    }
    let scope = scopes.to_string();
    idms.audit(AuditEntry {
        event: "partner_token_issued",
        client_id: Some(client_id),
        sub: Some(mcptt_id),
        address: Some(address),
        detail: Some(&format!("{} {scope}", partner.issuer)),
    })
    .await;
    let token = partner_token(idms, client_id, mcptt_id, scopes);
    //= TS 33.180 B.7.5
    let token = idms.signing_key.sign(&token).map_err(Error::local)?;
    let response = TokenResponse::bearer(token, idms.config.lifetimes.access_token_s);
    Ok(response.for_scopes(scope))
}

/// What was asked for and partners' users may have; no ID token comes, so no `openid`.
fn granted(asked: &Scopes, partner: &Partner) -> Result<Scopes, Error> {
    let entitled: Scopes = partner.scopes.iter().cloned().collect();
    let granted = asked.grant(&entitled);
    let scopes: Scopes = granted.iter().filter(|scope| *scope != OPENID).collect();
    if scopes.is_empty() {
        return Err(Error::InvalidScope(
            "users of that domain may have none of these scopes",
        ));
    }
    Ok(scopes)
}

//= TS 33.180 B.9
fn partner_token(
    idms: &Idms,
    client_id: &str,
    mcptt_id: &str,
    scopes: Scopes,
) -> AccessTokenClaims {
    let grant = Grant {
        sub: mcptt_id.to_owned(),
        client_id: client_id.to_owned(),
        scopes,
        nonce: None,
        acr: String::new(),
        auth_time: 0,
    };
    let services = ServiceIds {
        mcptt_id: Some(mcptt_id.to_owned()),
        ..ServiceIds::default()
    };
    let jti = uuid::Uuid::new_v4().to_string();
    idms.policy
        .access_token(&grant, &services, idms.now_s(), jti)
}
