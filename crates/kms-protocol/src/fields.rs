//! Reading the children of one element in the KMS namespace.

use mc_ids::KmsUri;
use mc_xml::{Element, Node, dom::parse_bool};
use time::OffsetDateTime;

use crate::date::parse_date;
use crate::{KMS_NS, KmsDocumentError};

/// Longest text of one element that is not a key, in octets.
const MAX_TEXT: usize = 2048;

#[derive(Clone, Copy)]
pub(crate) struct Fields<'a>(pub(crate) &'a Element);

impl<'a> Fields<'a> {
    pub(crate) fn element(
        self,
        name: &'static str,
    ) -> Result<Option<&'a Element>, KmsDocumentError> {
        let mut found = self.0.elements().filter(|e| e.is(KMS_NS, name));
        let first = found.next();
        if found.next().is_some() {
            return Err(KmsDocumentError::PeerDuplicate(name));
        }
        Ok(first)
    }

    pub(crate) fn needed(self, name: &'static str) -> Result<&'a Element, KmsDocumentError> {
        self.element(name)?
            .ok_or(KmsDocumentError::PeerMissing(name))
    }

    pub(crate) fn text(self, name: &'static str) -> Result<Option<String>, KmsDocumentError> {
        let Some(element) = self.element(name)? else {
            return Ok(None);
        };
        let text = element.trimmed_text();
        if text.len() > MAX_TEXT || element.elements().next().is_some() {
            return Err(KmsDocumentError::PeerValue(name));
        }
        Ok(Some(text))
    }

    pub(crate) fn needed_text(self, name: &'static str) -> Result<String, KmsDocumentError> {
        let text = self
            .text(name)?
            .ok_or(KmsDocumentError::PeerMissing(name))?;
        if text.is_empty() {
            Err(KmsDocumentError::PeerValue(name))
        } else {
            Ok(text)
        }
    }

    pub(crate) fn kms_uri(self) -> Result<KmsUri, KmsDocumentError> {
        let text = self.needed_text("KmsUri")?;
        KmsUri::new(text).map_err(|_| KmsDocumentError::PeerValue("KmsUri"))
    }

    pub(crate) fn date(
        self,
        name: &'static str,
    ) -> Result<Option<OffsetDateTime>, KmsDocumentError> {
        self.text(name)?
            .map(|text| parse_date(&text).ok_or(KmsDocumentError::PeerValue(name)))
            .transpose()
    }

    pub(crate) fn number(self, name: &'static str) -> Result<Option<u64>, KmsDocumentError> {
        self.text(name)?
            .map(|text| text.parse().map_err(|_| KmsDocumentError::PeerValue(name)))
            .transpose()
    }

    pub(crate) fn needed_number(self, name: &'static str) -> Result<u64, KmsDocumentError> {
        self.number(name)?
            .ok_or(KmsDocumentError::PeerMissing(name))
    }

    pub(crate) fn boolean(self, name: &'static str) -> Result<Option<bool>, KmsDocumentError> {
        self.text(name)?
            .map(|text| parse_bool(&text).ok_or(KmsDocumentError::PeerValue(name)))
            .transpose()
    }

    pub(crate) fn needed_hex(self, name: &'static str) -> Result<Vec<u8>, KmsDocumentError> {
        let text = self.needed_text(name)?;
        hex::decode(text).map_err(|_| KmsDocumentError::PeerValue(name))
    }

    pub(crate) fn attribute(self, name: &str) -> Option<String> {
        self.0.attribute(name).map(str::to_owned)
    }
}

/// An element of the KMS namespace with nothing in it.
pub(crate) fn kms(name: &str) -> Element {
    Element::new(KMS_NS, name)
}

/// Writing, in the order of the calls.
pub(crate) trait Append {
    fn with(self, name: &str, text: &str) -> Self;
    fn with_some(self, name: &str, text: Option<impl AsRef<str>>) -> Self;
    fn with_attr(self, name: &str, value: Option<impl AsRef<str>>) -> Self;
}

impl Append for Element {
    fn with(mut self, name: &str, text: &str) -> Self {
        self.children.push(Node::Element(kms(name).text(text)));
        self
    }

    fn with_some(self, name: &str, text: Option<impl AsRef<str>>) -> Self {
        match text {
            Some(text) => self.with(name, text.as_ref()),
            None => self,
        }
    }

    fn with_attr(self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.attr(name, value.as_ref()),
            None => self,
        }
    }
}
