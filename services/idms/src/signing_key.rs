//! The ES256 key that signs tokens: made at first start, sealed at rest, published as a JWK.

use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::EncodePrivateKey as _;
use rand_core::CryptoRng;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

/// Clock difference tolerated between the parties, seconds (TS 33.180: at most 30).
pub const LEEWAY_S: u64 = 30;

/// Why a key could not be used or a token not be made.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// The new key cannot be encoded.
    #[error("encoding the signing key: {0}")]
    Encode(#[from] p256::pkcs8::Error),
    /// The JWT library refuses the key or the claims.
    #[error("signing key: {0}")]
    Jwt(#[from] jsonwebtoken::errors::Error),
}

/// A P-256 private key with its key identifier.
#[derive(Clone)]
pub struct SigningKey {
    kid: String,
    private: EncodingKey,
    public: DecodingKey,
    jwk: Jwk,
}

impl SigningKey {
    /// Makes a new private key, PKCS#8 DER.
    ///
    /// # Errors
    /// [`SigningKeyError::Encode`].
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let secret = p256::SecretKey::generate_from_rng(rng);
        Ok(Zeroizing::new(secret.to_pkcs8_der()?.as_bytes().to_vec()))
    }

    /// Takes over a private key, PKCS#8 DER; its identifier is the RFC 7638 thumbprint.
    ///
    /// # Errors
    /// [`SigningKeyError::Jwt`] when the octets are not a P-256 key.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        let private = EncodingKey::from_ec_der(der);
        let mut jwk = Jwk::from_encoding_key(&private, Algorithm::ES256)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let public = DecodingKey::from_jwk(&jwk)?;
        Ok(Self {
            kid,
            private,
            public,
            jwk,
        })
    }

    /// The key identifier in token headers.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public key.
    #[must_use]
    pub fn jwk(&self) -> &Jwk {
        &self.jwk
    }

    /// Signs claims as a JWT with ES256.
    ///
    /// # Errors
    /// [`SigningKeyError::Jwt`].
    pub fn sign(&self, claims: &impl Serialize) -> Result<String, SigningKeyError> {
        //= TS 33.180 B.2.2
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        Ok(jsonwebtoken::encode(&header, claims, &self.private)?)
    }

    /// Checks a token of this server: algorithm, signature, issuer, audience if one is given, expiry
    /// at `now` (seconds since 1970).
    #[must_use]
    pub fn verify<T: DeserializeOwned>(
        &self,
        token: &str,
        issuer: &str,
        audience: Option<&str>,
        now: i64,
    ) -> Option<T> {
        let mut rules = Validation::new(Algorithm::ES256);
        rules.set_issuer(&[issuer]);
        match audience {
            Some(audience) => rules.set_audience(&[audience]),
            None => rules.validate_aud = false,
        }
        // Expiry is checked below against the caller's clock.
        rules.validate_exp = false;
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        let data = jsonwebtoken::decode::<serde_json::Value>(token, &self.public, &rules).ok()?;
        let expiry = data.claims.get("exp")?.as_i64()?;
        let leeway = i64::try_from(LEEWAY_S).ok()?;
        (now <= expiry.saturating_add(leeway))
            .then(|| serde_json::from_value(data.claims).ok())
            .flatten()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key() -> SigningKey {
        let der = SigningKey::generate(&mut mc_runtime::rng()).unwrap();
        SigningKey::from_pkcs8(&der).unwrap()
    }

    #[test]
    fn verifies_its_own_and_nothing_else() {
        let (key, other) = (key(), key());
        let claims = json!({"iss": "i", "aud": "a", "exp": 100, "scope": "openid"});
        let token = key.sign(&claims).unwrap();
        let check = |key: &SigningKey, issuer: &str, audience: &str, now: i64| {
            key.verify::<serde_json::Value>(&token, issuer, Some(audience), now)
        };
        assert_eq!(check(&key, "i", "a", 99), Some(claims));
        assert!(check(&key, "i", "a", 130).is_some(), "within the leeway");
        assert!(check(&key, "i", "a", 131).is_none(), "expired");
        assert!(check(&key, "x", "a", 99).is_none(), "issuer");
        assert!(check(&key, "i", "x", 99).is_none(), "audience");
        let any = key.verify::<serde_json::Value>(&token, "i", None, 99);
        assert!(any.is_some(), "no audience asked for");
        assert!(check(&other, "i", "a", 99).is_none(), "foreign key");
    }

    #[test]
    fn alg_none_is_refused() {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let token = format!(
            "{}.{}.",
            encode(r#"{"alg":"none"}"#),
            encode(r#"{"iss":"i","aud":"a","exp":9999999999}"#)
        );
        assert!(
            key()
                .verify::<serde_json::Value>(&token, "i", Some("a"), 0)
                .is_none()
        );
    }
}
