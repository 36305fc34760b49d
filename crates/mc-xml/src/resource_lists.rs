//! `resource-lists`: URI lists of RFC 4826, for callees (RFC 5366) and subscriptions (RFC 5875).

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the document.
pub const NS: &str = "urn:ietf:params:xml:ns:resource-lists";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/resource-lists+xml";

/// The URIs of the entries of all lists, in document order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceLists {
    /// `entry@uri` values.
    pub uris: Vec<String>,
}

impl ResourceLists {
    /// Reads a document; entries of nested lists count, references to other lists do not.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        let root = crate::parse(octets)?;
        root.expect(NS, "resource-lists")?;
        let mut uris = Vec::new();
        for list in root.all(NS, "list") {
            collect(list, &mut uris)?;
        }
        Ok(Self { uris })
    }

    /// The document, one list.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let list = self
            .uris
            .iter()
            .fold(Element::new(NS, "list"), |list, uri| {
                list.child(Element::new(NS, "entry").attr("uri", uri))
            });
        Element::new(NS, "resource-lists").child(list).to_document()
    }
}

fn collect(list: &Element, uris: &mut Vec<String>) -> Result<(), XmlError> {
    for child in list.elements() {
        if child.is(NS, "entry") {
            uris.push(child.required_attribute("uri")?);
        } else if child.is(NS, "list") {
            collect(child, uris)?;
        }
    }
    Ok(())
}
