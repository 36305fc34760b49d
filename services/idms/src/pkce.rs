//! Proof key for code exchange (RFC 7636) with S256, the only method of the MCX profile.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The challenge of an authorization request: BASE64URL(SHA-256(verifier)), 43 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeChallenge(String);

/// Why a challenge or a verifier was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PkceError {
    /// The request carries no `code_challenge`.
    #[error("code_challenge is missing (TS 33.180 B.4.2.2)")]
    MissingChallenge,
    /// The method is absent or not `S256`; an absent method means `plain`.
    #[error("code_challenge_method must be S256 (TS 33.180 B.4.2.2)")]
    MethodNotS256,
    /// The challenge is not the 43 characters of a base64url SHA-256 value.
    #[error("code_challenge is not a base64url SHA-256 value (RFC 7636 4.2)")]
    MalformedChallenge,
    /// The verifier is not 43 to 128 unreserved characters.
    #[error("code_verifier is malformed (RFC 7636 4.1)")]
    MalformedVerifier,
    /// The verifier does not hash to the challenge.
    #[error("code_verifier does not match (RFC 7636 4.6)")]
    Mismatch,
}

impl CodeChallenge {
    /// Reads the two parameters of an authorization request.
    ///
    /// # Errors
    /// [`PkceError`] when the challenge is absent or malformed or the method is not `S256`.
    pub fn from_request(challenge: Option<&str>, method: Option<&str>) -> Result<Self, PkceError> {
        //= TS 33.180 B.4.2.2
        let challenge = challenge.ok_or(PkceError::MissingChallenge)?;
        if method != Some("S256") {
            return Err(PkceError::MethodNotS256);
        }
        match URL_SAFE_NO_PAD.decode(challenge) {
            Ok(digest) if digest.len() == 32 => Ok(Self(challenge.to_owned())),
            Ok(_) | Err(_) => Err(PkceError::MalformedChallenge),
        }
    }

    /// The challenge stored with a code.
    #[must_use]
    pub fn from_stored(challenge: String) -> Self {
        Self(challenge)
    }

    /// The challenge as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Checks the verifier of a token request, in constant time.
    ///
    /// # Errors
    /// [`PkceError::MalformedVerifier`] or [`PkceError::Mismatch`].
    pub fn verify(&self, verifier: &str) -> Result<(), PkceError> {
        //= TS 33.180 B.4.2.4
        if !is_verifier(verifier) {
            return Err(PkceError::MalformedVerifier);
        }
        let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        if bool::from(computed.as_bytes().ct_eq(self.0.as_bytes())) {
            Ok(())
        } else {
            Err(PkceError::Mismatch)
        }
    }
}

fn is_verifier(verifier: &str) -> bool {
    (43..=128).contains(&verifier.len())
        && verifier
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 Appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn appendix_b_verifies() {
        let challenge = CodeChallenge::from_request(Some(CHALLENGE), Some("S256")).unwrap();
        assert_eq!(challenge.verify(VERIFIER), Ok(()));
    }

    #[test]
    fn another_verifier_is_refused() {
        let challenge = CodeChallenge::from_request(Some(CHALLENGE), Some("S256")).unwrap();
        assert_eq!(challenge.verify(&"a".repeat(43)), Err(PkceError::Mismatch));
        assert_eq!(challenge.verify("short"), Err(PkceError::MalformedVerifier));
        assert_eq!(
            challenge.verify(&"a".repeat(129)),
            Err(PkceError::MalformedVerifier)
        );
        assert_eq!(
            challenge.verify(&"é".repeat(30)),
            Err(PkceError::MalformedVerifier)
        );
    }

    #[test]
    fn plain_and_absent_methods_are_refused() {
        for method in [Some("plain"), Some("s256"), None] {
            let refused = CodeChallenge::from_request(Some(VERIFIER), method);
            assert_eq!(refused, Err(PkceError::MethodNotS256));
        }
        assert_eq!(
            CodeChallenge::from_request(None, None),
            Err(PkceError::MissingChallenge)
        );
    }

    #[test]
    fn a_challenge_that_is_no_digest_is_refused() {
        for challenge in ["", "abc", &"a".repeat(44), &format!("{CHALLENGE}=")] {
            let refused = CodeChallenge::from_request(Some(challenge), Some("S256"));
            assert_eq!(refused, Err(PkceError::MalformedChallenge), "{challenge}");
        }
    }
}
