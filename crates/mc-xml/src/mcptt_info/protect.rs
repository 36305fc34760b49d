//! Encrypting and decrypting the parameters of `mcpttinfo` (24.379 4.8, 6.6.2).

use rand_core::CryptoRng;

use super::{Content, McpttInfo, NS, ORDER};
use crate::dom::{Element, Node};
use crate::security::content::EncryptedData;
use crate::security::{SecurityError, XmlProtection};
use crate::writer;

impl McpttInfo {
    /// Encrypts every parameter of `contentType`, those in `anyExt` included.
    pub fn encrypt(&mut self, keys: &XmlProtection, rng: &mut impl CryptoRng) {
        //= TS 24.379 6.6.2
        for local in ORDER {
            if let Some(Some(content)) = self.field_mut(local)
                && !content.is_encrypted()
            {
                let plain = writer::content(&content.to_element(local));
                *content = Content::Encrypted(EncryptedData::seal(&plain, keys, rng));
            }
        }
        for element in &mut self.any_ext {
            if element.ns == NS && element.attribute("type") == Some("Normal") {
                element.encrypt_content(keys, rng);
            }
        }
    }

    /// Decrypts every encrypted parameter; returns whether there was any. On an error nothing
    /// changes.
    ///
    /// # Errors
    /// [`SecurityError`] of the first parameter that fails.
    pub fn decrypt(&mut self, keys: &XmlProtection) -> Result<bool, SecurityError> {
        let mut plain = self.clone();
        let mut any = false;
        for local in ORDER {
            if let Some(Some(content)) = plain.field_mut(local)
                && let Content::Encrypted(data) = content
            {
                let mut element = Element::new(NS, local);
                element.children = data.open(keys, NS)?;
                // Only white space may stand beside the one value.
                element.children.retain(|n| matches!(n, Node::Element(_)));
                *content = Content::from_element(&element)?;
                any = true;
            }
        }
        for element in &mut plain.any_ext {
            any |= element.decrypt_content(keys)?;
        }
        *self = plain;
        Ok(any)
    }

    /// Whether any parameter of `contentType` is in clear, those in `anyExt` included.
    #[must_use]
    pub fn has_clear(&self) -> bool {
        let values = ["mcpttURI", "mcpttString", "mcpttBoolean"];
        let clear = |element: &Element| values.iter().any(|v| element.find(NS, v).is_some());
        ORDER
            .iter()
            .any(|local| self.field(local).is_some_and(|c| !c.is_encrypted()))
            || self.any_ext.iter().any(clear)
    }

    /// Whether any parameter is encrypted.
    #[must_use]
    pub fn is_protected(&self) -> bool {
        ORDER
            .iter()
            .any(|local| self.field(local).is_some_and(Content::is_encrypted))
            || self
                .any_ext
                .iter()
                .any(|e| e.attribute("type") == Some("Encrypted"))
    }
}
