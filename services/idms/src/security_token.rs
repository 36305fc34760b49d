//! Security tokens: how a user of one domain is authorised by another domain's server (TS 33.180
//! 5.1.4, B.7 to B.9).
//!
//! The home domain's server makes one from an access token (RFC 8693); the client takes it to the
//! partner's, which gives an access token of its own for it (RFC 7523). The two servers never talk:
//! each has the other's public keys in a file, put there by its operator.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use mc_ids::McServiceId;
use serde::{Deserialize, Serialize};

use crate::config::Partner;
use crate::signing_key::LEEWAY_S;
use crate::store::token_hash;

/// Largest security token looked at, octets.
const MAX_TOKEN: usize = 4096;
/// Largest key file read, octets.
const MAX_KEYS: u64 = 64 * 1024;

/// The claims of a security token (TS 33.180 B.8); `jti` is more than the table asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityTokenClaims {
    /// The home domain's server.
    pub iss: String,
    /// The user's MC service ID.
    pub sub: String,
    /// The client, and the partner's server.
    pub aud: Vec<String>,
    /// Expiry, seconds since 1970.
    pub exp: i64,
    /// Issue time, seconds since 1970.
    pub iat: i64,
    /// Unique token number.
    pub jti: String,
}

/// Why a security token of a partner is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssertionError {
    /// Not a JWT of tolerable size, or claims are missing.
    #[error("the security token is malformed (TS 33.180 B.8)")]
    Malformed,
    /// An issuer that is no partner.
    #[error("the security token is of an issuer not trusted here (TS 33.180 5.1.4)")]
    Issuer,
    /// The partner's keys were not taken over.
    #[error("no keys of that issuer were taken over here (TS 33.180 5.1.4)")]
    NoKeys,
    /// `none`, another algorithm, another key, or changed.
    #[error("the security token's signature does not hold (TS 33.180 B.8)")]
    Signature,
    /// Not for this server, or not for this client.
    #[error("the security token is for another audience (TS 33.180 B.8)")]
    Audience,
    /// Past its expiry.
    #[error("the security token has expired (TS 33.180 B.8)")]
    Expired,
    /// Issued in the future.
    #[error("the security token is not valid yet (TS 33.180 B.8)")]
    NotYetValid,
    /// Valid for longer than security tokens are here.
    #[error("the security token is valid for too long (TS 33.180 B.8)")]
    Lifetime,
    /// A user the partner may not speak for.
    #[error("the issuer may not assert this identity (TS 33.180 5.1.4)")]
    Identity,
}

/// What a security token is checked against.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The partners.
    pub partners: &'a [Partner],
    /// Names of this server, one of which must be in `aud`.
    pub own_names: &'a [String],
    /// The client that presents the token, which must be in `aud` too.
    pub client_id: &'a str,
    /// Now, seconds since 1970.
    pub now: i64,
    /// Longest validity accepted, seconds.
    pub longest_s: i64,
}

/// A security token that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assertion<'a> {
    /// Who issued it.
    pub partner: &'a Partner,
    /// The user, as the partner names it.
    pub user: McServiceId,
    /// The same for every copy of the token, whatever is done to its signature.
    pub id: String,
    /// Expiry, seconds since 1970.
    pub expires: i64,
}

/// The claims as a partner's server may write them.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: OneOrMany,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    jti: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn has(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

impl<'a> Expected<'a> {
    /// Checks issuer, signature, audience, times and identity, in this order. Whether the token was
    /// used before is the store's to say.
    ///
    /// # Errors
    /// [`AssertionError`].
    //= TS 33.180 B.7.4
    pub fn check(&self, token: &str) -> Result<Assertion<'a>, AssertionError> {
        let (signed, claims) = unverified(token)?;
        let mut partners = self.partners.iter();
        let partner = partners
            .find(|partner| partner.issuer == claims.iss)
            .ok_or(AssertionError::Issuer)?;
        let claims = verified(token, partner)?;
        let for_us = self.own_names.iter().any(|name| claims.aud.has(name));
        if !for_us || !claims.aud.has(self.client_id) {
            return Err(AssertionError::Audience);
        }
        self.check_times(&claims)?;
        let user: McServiceId = claims.sub.parse().map_err(|_| AssertionError::Identity)?;
        if !partner.may_assert.iter().any(|p| p.matches(user.as_str())) {
            return Err(AssertionError::Identity);
        }
        // ECDSA signatures are malleable, so a token without a number is known by what is signed.
        let number = claims.jti.as_deref().unwrap_or(signed);
        Ok(Assertion {
            partner,
            user,
            id: token_hash(&format!("{} {number}", claims.iss)),
            expires: claims.exp,
        })
    }

    fn check_times(&self, claims: &Claims) -> Result<(), AssertionError> {
        let leeway = i64::try_from(LEEWAY_S).unwrap_or_default();
        if self.now > claims.exp.saturating_add(leeway) {
            return Err(AssertionError::Expired);
        }
        let starts = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
        if self.now < starts.saturating_sub(leeway) {
            return Err(AssertionError::NotYetValid);
        }
        if claims.exp.saturating_sub(claims.iat) > self.longest_s {
            return Err(AssertionError::Lifetime);
        }
        Ok(())
    }
}

/// What is signed, and the claims, to find out whose key to check it with.
fn unverified(token: &str) -> Result<(&str, Claims), AssertionError> {
    let malformed = || AssertionError::Malformed;
    if token.len() > MAX_TOKEN {
        return Err(malformed());
    }
    let (signed, _) = token.rsplit_once('.').ok_or_else(malformed)?;
    let (_, payload) = signed.split_once('.').ok_or_else(malformed)?;
    let octets = URL_SAFE_NO_PAD.decode(payload).map_err(|_| malformed())?;
    let claims = serde_json::from_slice(&octets).map_err(|_| malformed())?;
    Ok((signed, claims))
}

fn verified(token: &str, partner: &Partner) -> Result<Claims, AssertionError> {
    let bad = |_| AssertionError::Signature;
    let header = jsonwebtoken::decode_header(token).map_err(bad)?;
    let keys = partner.jwks_file.as_deref().and_then(read_keys);
    let keys = keys.ok_or(AssertionError::NoKeys)?;
    let jwk = match &header.kid {
        Some(kid) => keys.find(kid),
        None => keys.keys.first().filter(|_| keys.keys.len() == 1),
    };
    let key = DecodingKey::from_jwk(jwk.ok_or(AssertionError::Signature)?).map_err(bad)?;
    // ES256 only: a closed list keeps `none` and a public key taken for an HMAC secret out.
    let mut rules = Validation::new(Algorithm::ES256);
    rules.validate_aud = false;
    rules.validate_exp = false;
    rules.set_required_spec_claims::<&str>(&[]);
    Ok(jsonwebtoken::decode::<Claims>(token, &key, &rules)
        .map_err(bad)?
        .claims)
}

/// The keys as they are in the file now: an operator puts them there while the server runs.
fn read_keys(file: &Path) -> Option<JwkSet> {
    let length = std::fs::metadata(file).ok()?.len();
    if length > MAX_KEYS {
        tracing::warn!(file = %file.display(), "key file too large");
        return None;
    }
    let text = std::fs::read(file).ok()?;
    serde_json::from_slice(&text)
        .inspect_err(|error| tracing::warn!(file = %file.display(), %error, "not a JWK set"))
        .ok()
}
