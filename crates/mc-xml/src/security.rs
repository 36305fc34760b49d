//! Protection of XML bodies: TS 33.180 9.3 and the signature profile of its Annex D.

pub mod content;
pub mod keywrap;
pub mod signature;
pub mod signed_body;
pub mod uri;

use aes_gcm::aead::{Aead, KeyInit};
use aes_gcm::{Aes128Gcm, Key, Nonce};
use base64::prelude::{BASE64_STANDARD, Engine};
use mc_ids::annex_f::{self, XpkIdEncoding};
use mc_ids::{Key128, KeyId};
use rand_core::CryptoRng;
use thiserror::Error;

/// Namespace of XML Encryption.
pub const XENC_NS: &str = "http://www.w3.org/2001/04/xmlenc#";
/// Namespace of XML Signature.
pub const DSIG_NS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Why protected XML was refused. A failed check never says which octet was wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// The peer's protection structure does not have the required form.
    #[error("protection structure: {0}")]
    PeerStructure(&'static str),
    /// An algorithm outside the profile.
    #[error("algorithm '{0}' is outside the profile")]
    UnsupportedAlgorithm(String),
    /// The structure names another key than the one held.
    #[error("protected under key '{0}', which is not held")]
    PeerUnknownKey(String),
    /// Decryption or verification failed.
    #[error("protected content does not verify")]
    PeerIntegrity,
    /// The decrypted content is not acceptable XML.
    #[error("decrypted content: {0}")]
    PeerContent(#[from] crate::XmlError),
    /// A signature does not cover the thing it must cover.
    #[error("'{0}' is not signed")]
    PeerUnsigned(String),
    /// A length that the key wrap cannot take.
    #[error("{0} octets cannot be wrapped")]
    LocalLength(usize),
}

/// The two keys of TS 33.180 F.1.4 together with the identifier that names them (XPK-ID).
#[derive(Debug, Clone)]
pub struct XmlProtection {
    key_id: KeyId,
    keys: annex_f::XmlKeys,
}

impl XmlProtection {
    /// Derives both keys from a CSK or SPK and the MC service user ID (F.1.4).
    #[must_use]
    pub fn derive(xpk: &impl Key128, xpk_id: KeyId, user: &str, encoding: XpkIdEncoding) -> Self {
        Self {
            key_id: xpk_id,
            keys: annex_f::xml_keys(xpk, xpk_id, user, encoding),
        }
    }

    /// From keys derived before.
    #[must_use]
    pub fn from_keys(key_id: KeyId, keys: annex_f::XmlKeys) -> Self {
        Self { key_id, keys }
    }

    /// The key identifier, CSK-ID or SPK-ID.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// `KeyName` text: base64 of the four octets.
    #[must_use]
    pub fn key_name(&self) -> String {
        self.key_id.to_base64()
    }

    /// Key of the signature, 16 octets.
    #[must_use]
    pub fn integrity_key(&self) -> &[u8; 16] {
        &self.keys.integrity
    }

    /// `ciphertext || tag` under the confidentiality key.
    fn seal(&self, iv: [u8; 12], plain: &[u8]) -> Vec<u8> {
        self.cipher()
            .encrypt(&Nonce::from(iv), plain)
            .unwrap_or_default()
    }

    fn open(&self, iv: [u8; 12], sealed: &[u8]) -> Result<Vec<u8>, SecurityError> {
        self.cipher()
            .decrypt(&Nonce::from(iv), sealed)
            .map_err(|_| SecurityError::PeerIntegrity)
    }

    fn cipher(&self) -> Aes128Gcm {
        Aes128Gcm::new(&Key::<Aes128Gcm>::from(self.keys.confidentiality))
    }
}

fn fresh_iv(rng: &mut impl CryptoRng) -> [u8; 12] {
    let mut iv = [0; 12];
    rng.fill_bytes(&mut iv);
    iv
}

/// Base64 with white space allowed, as XML schema's `base64Binary`.
fn base64_binary(text: &str) -> Option<Vec<u8>> {
    let packed: String = text.split_ascii_whitespace().collect();
    BASE64_STANDARD.decode(packed).ok()
}
