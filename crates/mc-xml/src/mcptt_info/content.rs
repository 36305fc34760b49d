//! `contentType`: a value in clear or encrypted (F.1, 4.8).

use std::fmt;

use super::NS;
use crate::XmlError;
use crate::dom::{Element, parse_bool};
use crate::security::XENC_NS;
use crate::security::content::EncryptedData;

/// A value of `contentType`, `type="Normal"` or `type="Encrypted"`.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// In clear.
    Normal(ContentValue),
    /// Encrypted under the CSK or SPK.
    Encrypted(EncryptedData),
}

/// The value in clear: the child element decides the type.
#[derive(Clone, PartialEq, Eq)]
pub enum ContentValue {
    /// `mcpttURI`.
    Uri(String),
    /// `mcpttString`.
    String(String),
    /// `mcpttBoolean`.
    Boolean(bool),
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Normal(ContentValue::Uri(uri)) => write!(f, "Uri({uri})"),
            // A string may be an access token.
            Self::Normal(ContentValue::String(s)) => write!(f, "String[{} bytes]", s.len()),
            Self::Normal(ContentValue::Boolean(b)) => write!(f, "Boolean({b})"),
            Self::Encrypted(data) => write!(f, "Encrypted({})", data.key_name),
        }
    }
}

impl fmt::Debug for ContentValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Content::Normal(self.clone()).fmt(f)
    }
}

impl Content {
    /// A URI in clear.
    #[must_use]
    pub fn uri_value(uri: &str) -> Self {
        Self::Normal(ContentValue::Uri(uri.to_owned()))
    }

    /// A string in clear.
    #[must_use]
    pub fn string_value(text: &str) -> Self {
        Self::Normal(ContentValue::String(text.to_owned()))
    }

    /// A boolean in clear.
    #[must_use]
    pub const fn boolean_value(value: bool) -> Self {
        Self::Normal(ContentValue::Boolean(value))
    }

    /// The URI, when this is one in clear.
    #[must_use]
    pub fn uri(&self) -> Option<&str> {
        match self {
            Self::Normal(ContentValue::Uri(uri)) => Some(uri),
            Self::Normal(ContentValue::String(_) | ContentValue::Boolean(_))
            | Self::Encrypted(_) => None,
        }
    }

    /// The string, when this is one in clear.
    #[must_use]
    pub fn string(&self) -> Option<&str> {
        match self {
            Self::Normal(ContentValue::String(text)) => Some(text),
            Self::Normal(ContentValue::Uri(_) | ContentValue::Boolean(_)) | Self::Encrypted(_) => {
                None
            }
        }
    }

    /// The boolean, when this is one in clear.
    #[must_use]
    pub const fn boolean(&self) -> Option<bool> {
        match self {
            Self::Normal(ContentValue::Boolean(value)) => Some(*value),
            Self::Normal(ContentValue::Uri(_) | ContentValue::String(_)) | Self::Encrypted(_) => {
                None
            }
        }
    }

    /// Whether this is encrypted.
    #[must_use]
    pub const fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }

    /// Reads an element of `contentType`. Plain text is taken where Rel-13 had a simple type.
    pub(super) fn from_element(element: &Element) -> Result<Self, XmlError> {
        let kind = element.attribute("type").unwrap_or("Normal");
        if let Some(data) = element.find(XENC_NS, "EncryptedData") {
            return EncryptedData::from_element(data)
                .map(Self::Encrypted)
                .map_err(|e| XmlError::value("EncryptedData", &e.to_string()));
        }
        if kind != "Normal" {
            return Err(XmlError::value("type", kind));
        }
        let mut children = element.elements();
        let (first, second) = (children.next(), children.next());
        let Some(child) = first else {
            return Self::simple(element);
        };
        if second.is_some() {
            return Err(XmlError::PeerDuplicate("value of contentType".to_owned()));
        }
        let text = child.trimmed_text();
        let value = match (child.ns.as_str(), child.local.as_str()) {
            (NS, "mcpttURI") => ContentValue::Uri(text),
            (NS, "mcpttString") => ContentValue::String(text),
            (NS, "mcpttBoolean") => ContentValue::Boolean(
                parse_bool(&text).ok_or_else(|| XmlError::value("mcpttBoolean", &text))?,
            ),
            (_, other) => return Err(XmlError::value("contentType", other)),
        };
        Ok(Self::Normal(value))
    }

    fn simple(element: &Element) -> Result<Self, XmlError> {
        let text = element.trimmed_text();
        match element.local.as_str() {
            "associated-group-id" if !text.is_empty() => Ok(Self::uri_value(&text)),
            "imminentperil-ind" => parse_bool(&text)
                .map(Self::boolean_value)
                .ok_or_else(|| XmlError::value("imminentperil-ind", &text)),
            _ => Err(XmlError::PeerMissing(
                "mcpttURI, mcpttString or mcpttBoolean",
            )),
        }
    }

    /// The element `local` with this content.
    pub(super) fn to_element(&self, local: &str) -> Element {
        let element = Element::new(NS, local);
        match self {
            Self::Normal(value) => {
                let (name, text) = match value {
                    ContentValue::Uri(uri) => ("mcpttURI", uri.clone()),
                    ContentValue::String(text) => ("mcpttString", text.clone()),
                    ContentValue::Boolean(value) => ("mcpttBoolean", value.to_string()),
                };
                element
                    .attr("type", "Normal")
                    .child(Element::new(NS, name).text(&text))
            }
            Self::Encrypted(data) => element.attr("type", "Encrypted").child(data.to_element()),
        }
    }
}
