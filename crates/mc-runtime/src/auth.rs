//! Access tokens at resource servers: TS 33.180 5.1.3 and B.10, RFC 6750, RFC 7519.
//!
//! A [`TokenVerifier`] fetches the identity management server's public keys, keeps them, and turns
//! a JWT into a [`VerifiedToken`]. The clock is injected, the issuer pinned, the list of algorithms
//! closed; there is no way to obtain a [`VerifiedToken`] without a checked signature.

mod bearer;
mod keys;

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mc_ids::McServiceId;
use serde::Deserialize;

pub use bearer::{BearerError, bearer_token};

use crate::auth::keys::KeyCache;
use crate::clock::SharedClock;

/// The scope that the KMS asks for.
pub const SCOPE_KMS: &str = "3gpp:mc:ptt_key_management_service";
/// The scope that the MCPTT server asks for.
pub const SCOPE_MCPTT: &str = "3gpp:mc:ptt_service";
/// The scope that the GMS asks for.
pub const SCOPE_GMS: &str = "3gpp:mc:ptt_group_management_service";
/// The scope that the CMS asks for.
pub const SCOPE_CMS: &str = "3gpp:mc:ptt_config_management_service";

/// The TS 33.179 (Release 13) names of the same four scopes.
const RELEASE_13_SCOPES: [(&str, &str); 4] = [
    (SCOPE_MCPTT, "3gpp:mcptt:ptt_server"),
    (SCOPE_KMS, "3gpp:mcptt:key_management_server"),
    (SCOPE_CMS, "3gpp:mcptt:config_management_server"),
    (SCOPE_GMS, "3gpp:mcptt:group_management_server"),
];

/// The largest token that is looked at, in octets.
const MAX_TOKEN: usize = 8192;

/// Whose tokens a service accepts; part of its configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifierConfig {
    /// The exact `iss` value.
    pub issuer: String,
    /// Where the issuer's public keys are (JWK set).
    pub jwks_url: String,
    /// Accepted signature algorithms (default `["ES256"]`; `RS256` for foreign servers).
    #[serde(default = "default_algorithms")]
    pub algorithms: Vec<Algorithm>,
    /// Names of this service: a token with an `aud` must name one of them. Empty (default): `aud` is not looked at.
    #[serde(default)]
    pub audiences: Vec<String>,
    /// Refuse tokens without `aud` (default false: TS 33.180 B.2.2 does not require the claim).
    #[serde(default)]
    pub require_audience: bool,
    /// Accepted `client_id` values; empty (default) accepts all.
    #[serde(default)]
    pub client_ids: Vec<String>,
    /// Clock difference tolerated, in seconds (default and maximum 30).
    #[serde(default = "default_leeway_s")]
    pub leeway_s: u64,
    /// Seconds between two fetches of the key set at most (default 5).
    #[serde(default = "default_refetch_s")]
    pub refetch_s: u64,
}

impl VerifierConfig {
    /// The defaults for one issuer.
    #[must_use]
    pub fn new(issuer: impl Into<String>, jwks_url: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            jwks_url: jwks_url.into(),
            algorithms: default_algorithms(),
            audiences: Vec::new(),
            require_audience: false,
            client_ids: Vec::new(),
            leeway_s: default_leeway_s(),
            refetch_s: default_refetch_s(),
        }
    }
}

fn default_algorithms() -> Vec<Algorithm> {
    vec![Algorithm::ES256]
}

fn default_leeway_s() -> u64 {
    30
}

fn default_refetch_s() -> u64 {
    5
}

/// Why a token is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not a JWT of tolerable size, or its claims are not those of TS 33.180 B.2.2.
    #[error("token malformed")]
    Malformed,
    /// Signed by the issuer, but no access token: it has no `scope`, as an ID token.
    #[error("no access token but another kind, such as an ID token: it has no scope")]
    OtherKind,
    /// `none`, or an algorithm outside the configured list.
    #[error("token signature algorithm not accepted")]
    Algorithm,
    /// No key of that id at the issuer.
    #[error("token signed with an unknown key")]
    UnknownKey,
    /// The signature does not fit.
    #[error("token signature wrong")]
    Signature,
    /// Past its `exp`, by more than the leeway.
    #[error("token expired")]
    Expired,
    /// Before its `nbf` or `iat`, by more than the leeway.
    #[error("token not valid yet")]
    NotYetValid,
    /// Another `iss`.
    #[error("token of another issuer")]
    Issuer,
    /// Meant for another service.
    #[error("token for another audience")]
    Audience,
    /// A `client_id` that is not admitted here.
    #[error("token of a client not admitted")]
    Client,
    /// No claim with an MC service ID.
    #[error("token without an MC service ID")]
    NoServiceId,
    /// Valid, but without the scope of this service.
    #[error("token lacks scope {0}")]
    Scope(String),
    /// The issuer's keys cannot be fetched.
    #[error("identity management server unreachable: {0}")]
    Unreachable(String),
}

/// The claims of an access token whose signature, issuer and lifetime were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    /// The MC service ID for MCPTT.
    pub mcptt_id: McServiceId,
    /// All MC service IDs of the token, those for MCPTT, `MCVideo` and `MCData`.
    pub service_ids: Vec<McServiceId>,
    /// The client the token was issued to.
    pub client_id: String,
    /// `sub`, if present.
    pub subject: Option<String>,
    /// Granted scopes.
    pub scopes: Vec<String>,
    /// End of validity, seconds since the Unix epoch.
    pub expires_unix_s: u64,
}

impl VerifiedToken {
    /// Whether the scope was granted, under its present or its Release 13 name.
    #[must_use]
    pub fn has_scope(&self, scope: &str) -> bool {
        let old = RELEASE_13_SCOPES
            .iter()
            .find(|(new, _)| *new == scope)
            .map(|(_, old)| *old);
        self.scopes
            .iter()
            .any(|granted| granted == scope || Some(granted.as_str()) == old)
    }
}

#[derive(Debug, Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<OneOrMany>,
    exp: u64,
    nbf: Option<u64>,
    iat: Option<u64>,
    scope: Option<String>,
    client_id: Option<String>,
    mcptt_id: Option<McServiceId>,
    mcvideo_id: Option<McServiceId>,
    mcdata_id: Option<McServiceId>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn contains(&self, value: &str) -> bool {
        match self {
            Self::One(one) => one == value,
            Self::Many(many) => many.iter().any(|one| one == value),
        }
    }
}

/// Checks access tokens of one issuer; cheap to clone.
#[derive(Debug, Clone)]
pub struct TokenVerifier {
    config: VerifierConfig,
    clock: SharedClock,
    keys: KeyCache,
}

impl TokenVerifier {
    /// A verifier that fetches keys with `http` when it first needs one.
    #[must_use]
    pub fn new(config: VerifierConfig, http: reqwest::Client, clock: SharedClock) -> Self {
        let spacing = Duration::from_secs(config.refetch_s);
        let keys = KeyCache::new(config.jwks_url.clone(), http, clock.clone(), spacing);
        Self {
            config,
            clock,
            keys,
        }
    }

    /// Fetches the issuer's keys now, so that start-up can wait for them.
    ///
    /// # Errors
    /// [`TokenError::Unreachable`].
    pub async fn fetch_keys(&self) -> Result<(), TokenError> {
        self.keys.fetch().await
    }

    /// Checks a token and that it grants `scope`.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub async fn verify(&self, token: &str, scope: &str) -> Result<VerifiedToken, TokenError> {
        let claims = self.checked_claims(token).await?;
        // Of a token that is not meant for servers, its audience and age say nothing.
        let granted = claims.scope.clone().ok_or(TokenError::OtherKind)?;
        self.check_times(&claims)?;
        self.check_parties(&claims)?;
        let verified = accepted(claims, &granted)?;
        if !verified.has_scope(scope) {
            return Err(TokenError::Scope(scope.to_owned()));
        }
        Ok(verified)
    }

    async fn checked_claims(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > MAX_TOKEN || token.split('.').count() != 3 {
            return Err(TokenError::Malformed);
        }
        // `none` and unknown algorithms do not parse as a header.
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Algorithm)?;
        if !self.config.algorithms.contains(&header.alg) || header.crit.is_some() {
            return Err(TokenError::Algorithm);
        }
        let jwk = self
            .keys
            .find(header.kid.as_deref())
            .await?
            .ok_or(TokenError::UnknownKey)?;
        let key = DecodingKey::from_jwk(&jwk).map_err(|_| TokenError::UnknownKey)?;
        let mut validation = Validation::new(header.alg);
        // The library reads the machine's clock; ours is injected, so times are checked here.
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map(|data| data.claims)
            .map_err(|error| verification_error(&error))
    }

    //= TS 33.180 B.2.1
    fn check_times(&self, claims: &Claims) -> Result<(), TokenError> {
        let now = self.clock.unix_s();
        let leeway = self.config.leeway_s.min(30);
        if claims.exp.saturating_add(leeway) <= now {
            return Err(TokenError::Expired);
        }
        let earliest = claims.nbf.max(claims.iat).unwrap_or(0);
        if earliest > now.saturating_add(leeway) {
            return Err(TokenError::NotYetValid);
        }
        Ok(())
    }

    fn check_parties(&self, claims: &Claims) -> Result<(), TokenError> {
        if claims.iss.as_deref() != Some(self.config.issuer.as_str()) {
            return Err(TokenError::Issuer);
        }
        let clients = &self.config.client_ids;
        let admitted = |client| clients.contains(client);
        if !clients.is_empty() && !claims.client_id.as_ref().is_some_and(admitted) {
            return Err(TokenError::Client);
        }
        match &claims.aud {
            None if self.config.require_audience => Err(TokenError::Audience),
            Some(audience)
                if !self.config.audiences.is_empty()
                    && !self
                        .config
                        .audiences
                        .iter()
                        .any(|mine| audience.contains(mine)) =>
            {
                Err(TokenError::Audience)
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The claims are read only after the signature was found good.
fn verification_error(error: &jsonwebtoken::errors::Error) -> TokenError {
    if matches!(error.kind(), jsonwebtoken::errors::ErrorKind::Json(_)) {
        TokenError::Malformed
    } else {
        TokenError::Signature
    }
}

//= TS 33.180 B.2.2
fn accepted(claims: Claims, granted: &str) -> Result<VerifiedToken, TokenError> {
    let client_id = claims.client_id.ok_or(TokenError::Malformed)?;
    let service_ids: Vec<_> = [claims.mcptt_id, claims.mcvideo_id, claims.mcdata_id]
        .into_iter()
        .flatten()
        .collect();
    let mcptt_id = service_ids
        .first()
        .cloned()
        .ok_or(TokenError::NoServiceId)?;
    Ok(VerifiedToken {
        mcptt_id,
        service_ids,
        client_id,
        subject: claims.sub,
        scopes: granted
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
        expires_unix_s: claims.exp,
    })
}

#[cfg(test)]
mod tests;
