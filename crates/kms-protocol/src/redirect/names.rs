//! How the children of a KMS redirect response are called.

use serde::Deserialize;

/// Names of the children. UNVERIFIED: our sources of TS 33.180 D.4 say what they are and not how they
/// are spelt. Both ends must be told the same; what is spelt otherwise is passed over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedirectNames {
    /// Who sent the message. Default `InitiatorUri`.
    pub initiator: XmlName,
    /// Whom it was for. Default `ReceiverUri`.
    pub receiver: XmlName,
    /// The sender's KMS, when it is the one that is not acceptable. Default
    /// `RejectedInitiatorKmsUri`.
    pub rejected_initiator: XmlName,
    /// The receiver's. Default `RejectedReceiverKmsUri`.
    pub rejected_receiver: XmlName,
    /// A KMS that would be acceptable, one element each. Default `AcceptableKmsUri`.
    pub acceptable: XmlName,
    /// When it was refused. Default `Time`.
    pub time: XmlName,
    /// Who refused it. Default `ProcessorUri`.
    pub processor: XmlName,
}

impl Default for RedirectNames {
    fn default() -> Self {
        let name = |name: &str| XmlName(name.to_owned());
        Self {
            initiator: name("InitiatorUri"),
            receiver: name("ReceiverUri"),
            rejected_initiator: name("RejectedInitiatorKmsUri"),
            rejected_receiver: name("RejectedReceiverKmsUri"),
            acceptable: name("AcceptableKmsUri"),
            time: name("Time"),
            processor: name("ProcessorUri"),
        }
    }
}

/// A local name of ASCII letters, digits, `_`, `-` and `.`, as schemas of 3GPP have them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct XmlName(String);

/// A text that is no such name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no XML name")]
pub struct NotAName(String);

impl XmlName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for XmlName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        let begins = |c: char| c.is_ascii_alphabetic() || c == '_';
        let goes_on = |c: char| begins(c) || c.is_ascii_digit() || matches!(c, '-' | '.');
        if text.starts_with(begins) && text.chars().all(goes_on) {
            Ok(Self(text))
        } else {
            Err(NotAName(text))
        }
    }
}
