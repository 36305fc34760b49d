//! Encrypted URIs for places that must stay a URI: attributes, list entries (9.3.4.3).

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine};
use mc_ids::KeyId;
use rand_core::CryptoRng;

use super::{SecurityError, XmlProtection, fresh_iv};
use crate::error::shortened;

const ALGORITHM: &str = "128-aes-gcm";

/// A URI carried encrypted in the user part of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedUri {
    /// The key's identifier, XPK-ID.
    pub key_id: KeyId,
    /// Initialisation vector.
    pub iv: [u8; 12],
    /// Ciphertext and tag.
    pub sealed: Vec<u8>,
    /// The domain agreed for confidentiality protection, by which peers recognise the form.
    pub domain: String,
}

impl EncryptedUri {
    /// Encrypts `uri`.
    #[must_use]
    pub fn seal(uri: &str, domain: &str, keys: &XmlProtection, rng: &mut impl CryptoRng) -> Self {
        Self::seal_with_iv(uri, domain, keys, fresh_iv(rng))
    }

    fn seal_with_iv(uri: &str, domain: &str, keys: &XmlProtection, iv: [u8; 12]) -> Self {
        //= TS 33.180 9.3.4.3
        let sealed = keys.seal(iv, uri.as_bytes());
        Self {
            key_id: keys.key_id(),
            iv,
            sealed,
            domain: domain.to_owned(),
        }
    }

    /// Decrypts the URI.
    ///
    /// # Errors
    /// [`SecurityError`] when the key is another or the text fails.
    pub fn open(&self, keys: &XmlProtection) -> Result<String, SecurityError> {
        if self.key_id != keys.key_id() {
            return Err(SecurityError::PeerUnknownKey(self.key_id.to_base64()));
        }
        String::from_utf8(keys.open(self.iv, &self.sealed)?)
            .map_err(|_| SecurityError::PeerIntegrity)
    }

    /// Whether `uri` has the encrypted form for `domain`.
    #[must_use]
    pub fn recognises(uri: &str, domain: &str) -> bool {
        uri.rsplit_once('@')
            .is_some_and(|(user, host)| host.eq_ignore_ascii_case(domain) && user.contains(";iv="))
    }

    /// Reads the form; base64 may be percent-escaped or of the URL alphabet.
    ///
    /// # Errors
    /// [`SecurityError`] when parts are missing or the algorithm is another.
    pub fn parse(uri: &str) -> Result<Self, SecurityError> {
        let form = SecurityError::PeerStructure("not an encrypted URI");
        let (user, domain) = uri
            .strip_prefix("sip:")
            .and_then(|rest| rest.rsplit_once('@'))
            .ok_or_else(|| form.clone())?;
        let mut parts = user.split(';');
        let sealed = parts
            .next()
            .and_then(lenient_base64)
            .ok_or_else(|| form.clone())?;
        let (mut iv, mut key_id, mut algorithm) = (None, None, None);
        for (name, value) in parts.filter_map(|p| p.split_once('=')) {
            match name {
                "iv" => iv = lenient_base64(value).and_then(|o| o.try_into().ok()),
                "key-id" => key_id = lenient_base64(value).and_then(|o| o.try_into().ok()),
                "alg" => algorithm = Some(value),
                _ => {}
            }
        }
        match algorithm {
            Some(ALGORITHM) => {}
            other => {
                let other = other.unwrap_or_default();
                return Err(SecurityError::UnsupportedAlgorithm(shortened(other)));
            }
        }
        let iv = iv.ok_or_else(|| form.clone())?;
        let key_id = key_id.map(u32::from_be_bytes).map(KeyId).ok_or(form)?;
        Ok(Self {
            key_id,
            iv,
            sealed,
            domain: domain.to_owned(),
        })
    }
}

impl std::fmt::Display for EncryptedUri {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "sip:{};iv={};key-id={};alg={ALGORITHM}@{}",
            BASE64_STANDARD.encode(&self.sealed),
            BASE64_STANDARD.encode(self.iv),
            self.key_id.to_base64(),
            self.domain
        )
    }
}

fn lenient_base64(text: &str) -> Option<Vec<u8>> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let octet = u8::from_str_radix(after.get(..2)?, 16).ok()?;
        plain.push(char::from(octet));
        rest = after.get(2..)?;
    }
    plain.push_str(rest);
    BASE64_STANDARD
        .decode(&plain)
        .or_else(|_| BASE64_URL_SAFE.decode(&plain))
        .ok()
}
