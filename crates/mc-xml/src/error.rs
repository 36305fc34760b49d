//! Why a document was refused, grouped by whose fault it is.

use thiserror::Error;

/// Longest piece of a peer's document that an error repeats, in characters.
const QUOTED: usize = 64;

/// A peer's text shortened for an error message.
pub(crate) fn shortened(text: &str) -> String {
    if text.chars().count() <= QUOTED {
        text.to_owned()
    } else {
        let mut short: String = text.chars().take(QUOTED).collect();
        short.push('…');
        short
    }
}

/// Why an XML body was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum XmlError {
    /// The peer's document exceeds a bound of [`crate::Limits`].
    #[error("document exceeds the limit of {limit} {what}")]
    PeerTooLarge {
        /// Which bound: octets, depth, elements, attributes, ...
        what: &'static str,
        /// The bound.
        limit: usize,
    },
    /// The octets are not UTF-8, or the declaration names another encoding.
    #[error("document is not UTF-8")]
    PeerEncoding,
    /// A document type declaration: refused without reading it.
    #[error("document type declarations are refused")]
    PeerDoctype,
    /// A reference to an entity other than the five predefined ones.
    #[error("unknown entity reference '{0}'")]
    PeerEntity(String),
    /// Not well-formed XML 1.0.
    #[error("not well formed at octet {offset}: {reason}")]
    PeerNotWellFormed {
        /// Offset into the document in octets (after line-end normalisation).
        offset: u64,
        /// What is wrong.
        reason: String,
    },
    /// Not namespace well formed: undeclared prefix, duplicate expanded attribute name, misuse of xml/xmlns.
    #[error("namespace error: {0}")]
    PeerNamespace(String),
    /// The document element is not the expected one.
    #[error("expected {{{expected_ns}}}{expected_local}, found {{{found_ns}}}{found_local}")]
    UnexpectedRoot {
        /// Expected namespace.
        expected_ns: String,
        /// Expected local name.
        expected_local: String,
        /// Namespace found.
        found_ns: String,
        /// Local name found.
        found_local: String,
    },
    /// A required element or attribute is absent.
    #[error("{0} is missing")]
    PeerMissing(&'static str),
    /// An element or attribute appears more often than its schema allows.
    #[error("{0} appears more than once")]
    PeerDuplicate(String),
    /// A value is outside its type.
    #[error("{what} has the invalid value '{value}'")]
    PeerValue {
        /// Element or attribute.
        what: &'static str,
        /// Start of the value.
        value: String,
    },
}

impl XmlError {
    /// A value error quoting at most a short piece of the value.
    #[must_use]
    pub fn value(what: &'static str, value: &str) -> Self {
        Self::PeerValue {
            what,
            value: shortened(value),
        }
    }
}
