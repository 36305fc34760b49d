//! `xcap-error`: why an XCAP request conflicts (RFC 4825 11).

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the document.
pub const NS: &str = "urn:ietf:params:xml:ns:xcap-error";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/xcap-error+xml";

/// The error element of the document.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum XcapError {
    /// The document is not well formed.
    NotWellFormed,
    /// The document is not valid for its schema.
    SchemaValidationError,
    /// A constraint of the application usage is broken.
    ConstraintFailure(String),
    /// A value is taken: field and a free alternative.
    UniquenessFailure {
        /// XPath-like name of the field.
        field: String,
        /// A value that is free.
        alt_value: Option<String>,
    },
    /// The document is not UTF-8.
    NotUtf8,
    /// No parent for the document.
    NoParent,
    /// Another element of the schema, by local name.
    Other(String),
}

impl XcapError {
    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let error = match self {
            Self::NotWellFormed => Element::new(NS, "not-well-formed"),
            Self::SchemaValidationError => Element::new(NS, "schema-validation-error"),
            Self::ConstraintFailure(phrase) => {
                Element::new(NS, "constraint-failure").attr("phrase", phrase)
            }
            Self::UniquenessFailure { field, alt_value } => {
                let mut exists = Element::new(NS, "exists").attr("field", field);
                if let Some(alt) = alt_value {
                    exists.push(Element::new(NS, "alt-value").text(alt));
                }
                Element::new(NS, "uniqueness-failure").child(exists)
            }
            Self::NotUtf8 => Element::new(NS, "not-utf-8"),
            Self::NoParent => Element::new(NS, "no-parent"),
            Self::Other(local) => Element::new(NS, local),
        };
        Element::new(NS, "xcap-error").child(error).to_document()
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader, or when no error element is inside.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        let root = crate::parse(octets)?;
        root.expect(NS, "xcap-error")?;
        let error = root
            .elements()
            .next()
            .ok_or(XmlError::PeerMissing("error element"))?;
        Ok(match error.local.as_str() {
            "not-well-formed" => Self::NotWellFormed,
            "schema-validation-error" => Self::SchemaValidationError,
            "not-utf-8" => Self::NotUtf8,
            "no-parent" => Self::NoParent,
            "constraint-failure" => {
                Self::ConstraintFailure(error.attribute("phrase").unwrap_or_default().to_owned())
            }
            "uniqueness-failure" => {
                let exists = error
                    .find(NS, "exists")
                    .ok_or(XmlError::PeerMissing("exists"))?;
                Self::UniquenessFailure {
                    field: exists.required_attribute("field")?,
                    alt_value: exists.child_text(NS, "alt-value"),
                }
            }
            other => Self::Other(other.to_owned()),
        })
    }
}

impl From<&XmlError> for XcapError {
    /// What a server answers when a PUT body was refused with this error.
    fn from(error: &XmlError) -> Self {
        match error {
            XmlError::PeerEncoding => Self::NotUtf8,
            XmlError::PeerNotWellFormed { .. }
            | XmlError::PeerDoctype
            | XmlError::PeerEntity(_)
            | XmlError::PeerNamespace(_) => Self::NotWellFormed,
            XmlError::PeerTooLarge { .. } => Self::ConstraintFailure(error.to_string()),
            XmlError::UnexpectedRoot { .. }
            | XmlError::PeerMissing(_)
            | XmlError::PeerDuplicate(_)
            | XmlError::PeerValue { .. } => Self::SchemaValidationError,
        }
    }
}
