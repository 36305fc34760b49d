//! Encrypted element content: `xenc:EncryptedData` in place of an element's children (9.3.4.2).

use base64::prelude::{BASE64_STANDARD, Engine};
use rand_core::CryptoRng;

use super::{DSIG_NS, SecurityError, XENC_NS, XmlProtection, base64_binary, fresh_iv};
use crate::dom::{Element, Node};
use crate::error::shortened;
use crate::writer;

/// `EncryptionMethod` of the profile.
pub const AES128_GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
/// `Type` of the encrypted data.
pub const TYPE_CONTENT: &str = "http://www.w3.org/2001/04/xmlenc#Content";

/// One `EncryptedData` of the profile: who can open it, and the octets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedData {
    /// `KeyName`: base64 of the XPK-ID.
    pub key_name: String,
    /// Initialisation vector (12 octets), ciphertext and tag (16 octets).
    pub cipher_value: Vec<u8>,
}

impl EncryptedData {
    /// Encrypts the serialised content of an element.
    #[must_use]
    pub fn seal(plain: &str, keys: &XmlProtection, rng: &mut impl CryptoRng) -> Self {
        Self::seal_with_iv(plain, keys, fresh_iv(rng))
    }

    fn seal_with_iv(plain: &str, keys: &XmlProtection, iv: [u8; 12]) -> Self {
        //= TS 33.180 9.3.4.2
        let mut cipher_value = iv.to_vec();
        cipher_value.extend(keys.seal(iv, plain.as_bytes()));
        Self {
            key_name: keys.key_name(),
            cipher_value,
        }
    }

    /// Decrypts the content, in the default namespace `ns` when it declares none itself.
    ///
    /// # Errors
    /// [`SecurityError`] when the key is another, the content fails or is not XML.
    pub fn open(&self, keys: &XmlProtection, ns: &str) -> Result<Vec<Node>, SecurityError> {
        if self.key_name != keys.key_name() {
            return Err(SecurityError::PeerUnknownKey(shortened(&self.key_name)));
        }
        let (iv, sealed) = self
            .cipher_value
            .split_first_chunk::<12>()
            .ok_or(SecurityError::PeerStructure("CipherValue is too short"))?;
        let plain = keys.open(*iv, sealed)?;
        // The fragment may hold several nodes and lean on the namespace in scope: give it a parent.
        let mut wrapped = b"<content xmlns=\"".to_vec();
        let mut escaped = String::new();
        writer::escape_attribute(ns, &mut escaped);
        wrapped.extend(escaped.as_bytes());
        wrapped.extend(b"\">");
        wrapped.extend(&plain);
        wrapped.extend(b"</content>");
        Ok(crate::parse(&wrapped)?.children)
    }

    /// The `xenc:EncryptedData` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let key_info = Element::prefixed("ds", DSIG_NS, "KeyInfo")
            .child(Element::prefixed("ds", DSIG_NS, "KeyName").text(&self.key_name));
        let value = BASE64_STANDARD.encode(&self.cipher_value);
        Element::new(XENC_NS, "EncryptedData")
            .attr("Type", TYPE_CONTENT)
            .child(Element::new(XENC_NS, "EncryptionMethod").attr("Algorithm", AES128_GCM))
            .child(key_info)
            .child(
                Element::new(XENC_NS, "CipherData")
                    .child(Element::new(XENC_NS, "CipherValue").text(&value)),
            )
    }

    /// Reads an `xenc:EncryptedData` element.
    ///
    /// # Errors
    /// [`SecurityError`] when the structure or the algorithm is not the profile's.
    pub fn from_element(element: &Element) -> Result<Self, SecurityError> {
        if !element.is(XENC_NS, "EncryptedData") {
            return Err(SecurityError::PeerStructure("EncryptedData expected"));
        }
        let algorithm = element
            .find(XENC_NS, "EncryptionMethod")
            .and_then(|m| m.attribute("Algorithm"))
            .ok_or(SecurityError::PeerStructure("EncryptionMethod is missing"))?;
        if algorithm != AES128_GCM {
            return Err(SecurityError::UnsupportedAlgorithm(shortened(algorithm)));
        }
        let key_name = element
            .descend_dsig(&["KeyInfo", "KeyName"])
            .ok_or(SecurityError::PeerStructure("KeyName is missing"))?;
        let cipher_value = element
            .descend(XENC_NS, &["CipherData", "CipherValue"])
            .and_then(|v| base64_binary(&v.raw_text()))
            .ok_or(SecurityError::PeerStructure(
                "CipherValue is missing or not base64",
            ))?;
        Ok(Self {
            key_name,
            cipher_value,
        })
    }
}

impl Element {
    fn descend_dsig(&self, path: &[&str]) -> Option<String> {
        self.descend(DSIG_NS, path).map(Self::trimmed_text)
    }

    /// Replaces the children by their encryption and sets `type="Encrypted"` (24.379 4.8).
    pub fn encrypt_content(&mut self, keys: &XmlProtection, rng: &mut impl CryptoRng) {
        let plain = writer::content(self);
        let sealed = EncryptedData::seal(&plain, keys, rng);
        self.set_attribute("type", "Encrypted");
        self.children = vec![Node::Element(sealed.to_element())];
    }

    /// Replaces an `EncryptedData` child by its plain content and sets `type="Normal"`.
    ///
    /// Returns whether there was something to decrypt; on an error nothing changes.
    ///
    /// # Errors
    /// [`SecurityError`] of the structure, the key or the content.
    pub fn decrypt_content(&mut self, keys: &XmlProtection) -> Result<bool, SecurityError> {
        let Some(sealed) = self.find(XENC_NS, "EncryptedData") else {
            return Ok(false);
        };
        let children = EncryptedData::from_element(sealed)?.open(keys, &self.ns)?;
        self.children = children;
        self.set_attribute("type", "Normal");
        Ok(true)
    }
}
