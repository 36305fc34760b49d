//! The claims of ID tokens and access tokens and the grant they are made from.
//!
//! TS 33.180 B.2.1 (ID token) and B.2.2 (access token). Both are JWS-signed JWTs (RFC 7515); the
//! signature is in [`crate::signing_key`].

use serde::{Deserialize, Serialize};

use crate::scopes::Scopes;

/// The claims of an ID token (TS 33.180 B.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdTokenClaims {
    /// URL of this IdMS.
    pub iss: String,
    /// The user, unique and never reassigned in this server's domain.
    pub sub: String,
    /// The client the token is for.
    pub aud: String,
    /// Expiry, seconds since 1970.
    pub exp: i64,
    /// Issue time, seconds since 1970.
    pub iat: i64,
    /// When the user authenticated, seconds since 1970.
    pub auth_time: i64,
    /// The authentication context reached.
    pub acr: String,
    /// The nonce of the authorization request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
    /// The user's MC service IDs.
    #[serde(flatten)]
    pub services: ServiceIds,
}

/// The claims of an access token (TS 33.180 B.2.2); `iss`, `sub`, `aud`, `iat` and `jti` are more
/// than the table asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccessTokenClaims {
    /// URL of this IdMS.
    pub iss: String,
    /// The user.
    pub sub: String,
    /// The resource servers the scopes lead to.
    pub aud: Vec<String>,
    /// Expiry, seconds since 1970.
    pub exp: i64,
    /// Issue time, seconds since 1970.
    pub iat: i64,
    /// Unique token number.
    pub jti: String,
    /// Granted scopes, space separated.
    pub scope: String,
    /// The client the token was given to.
    pub client_id: String,
    /// The user's MC service IDs.
    #[serde(flatten)]
    pub services: ServiceIds,
}

/// MC service IDs of a user, as claims.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceIds {
    /// MCPTT ID, a URI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mcptt_id: Option<String>,
    /// `MCVideo` ID, a URI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mcvideo_id: Option<String>,
    /// `MCData` ID, a URI.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mcdata_id: Option<String>,
}

impl ServiceIds {
    /// The service IDs the granted scopes call for.
    #[must_use]
    pub fn for_scopes(&self, scopes: &Scopes) -> Self {
        //= TS 33.180 B.2.2.3
        let claims = scopes.service_claims();
        let keep = |wanted: bool, id: &Option<String>| id.clone().filter(|_| wanted);
        Self {
            mcptt_id: keep(claims.ptt, &self.mcptt_id),
            mcvideo_id: keep(claims.video, &self.mcvideo_id),
            mcdata_id: keep(claims.data, &self.mcdata_id),
        }
    }
}

/// What a code or a refresh token stands for: who, through which client, how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The user's `sub`.
    pub sub: String,
    /// The client.
    pub client_id: String,
    /// Granted scopes.
    pub scopes: Scopes,
    /// The nonce of the authorization request, for the ID token.
    pub nonce: Option<String>,
    /// The authentication context reached.
    pub acr: String,
    /// When the user authenticated, seconds since 1970.
    pub auth_time: i64,
}

/// Issuer and lifetimes that go into every token.
#[derive(Clone, Debug)]
pub struct TokenPolicy {
    /// URL of this IdMS.
    pub issuer: String,
    /// Lifetime of access and ID tokens, seconds.
    pub access_token_lifetime_s: i64,
    /// Scope to audience, for the `aud` claim of access tokens.
    pub audiences: Vec<(String, String)>,
}

impl TokenPolicy {
    /// The ID token of a grant made at `now` (seconds since 1970).
    #[must_use]
    pub fn id_token(&self, grant: &Grant, services: &ServiceIds, now: i64) -> IdTokenClaims {
        //= TS 33.180 B.2.1
        IdTokenClaims {
            iss: self.issuer.clone(),
            sub: grant.sub.clone(),
            aud: grant.client_id.clone(),
            exp: now.saturating_add(self.access_token_lifetime_s),
            iat: now,
            auth_time: grant.auth_time,
            acr: grant.acr.clone(),
            nonce: grant.nonce.clone(),
            services: services.for_scopes(&grant.scopes),
        }
    }

    /// The access token of a grant made at `now` (seconds since 1970) under the number `jti`.
    #[must_use]
    pub fn access_token(
        &self,
        grant: &Grant,
        services: &ServiceIds,
        now: i64,
        jti: String,
    ) -> AccessTokenClaims {
        //= TS 33.180 B.2.2
        AccessTokenClaims {
            iss: self.issuer.clone(),
            sub: grant.sub.clone(),
            aud: self.audience(&grant.scopes),
            exp: now.saturating_add(self.access_token_lifetime_s),
            iat: now,
            jti,
            scope: grant.scopes.to_string(),
            client_id: grant.client_id.clone(),
            services: services.for_scopes(&grant.scopes),
        }
    }

    /// The resource servers the scopes lead to; the issuer itself (userinfo) with `openid`.
    fn audience(&self, scopes: &Scopes) -> Vec<String> {
        let mut audience: Vec<String> = Vec::new();
        for (scope, name) in &self.audiences {
            if scopes.contains(scope) && !audience.contains(name) {
                audience.push(name.clone());
            }
        }
        if scopes.contains(crate::scopes::OPENID) || audience.is_empty() {
            audience.push(self.issuer.clone());
        }
        audience
    }
}

#[cfg(test)]
mod tests;
