//! `xcap-diff`: which documents changed (RFC 5874, TS 24.481 6.3.13).

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the document.
pub const NS: &str = "urn:ietf:params:xml:ns:xcap-diff";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/xcap-diff+xml";

/// One `document` of the diff. Only a previous tag means the document is gone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DocumentChange {
    /// Exactly the selector that was subscribed to.
    pub sel: String,
    /// HTTP entity tag now.
    pub new_etag: Option<String>,
    /// HTTP entity tag before.
    pub previous_etag: Option<String>,
}

/// A diff document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct XcapDiff {
    /// Root of the XCAP server that the selectors are relative to.
    pub xcap_root: String,
    /// Changed documents.
    pub documents: Vec<DocumentChange>,
}

impl XcapDiff {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        let root = crate::parse(octets)?;
        root.expect(NS, "xcap-diff")?;
        let documents = root
            .all(NS, "document")
            .map(|e| {
                Ok(DocumentChange {
                    sel: e.required_attribute("sel")?,
                    new_etag: e.attribute("new-etag").map(str::to_owned),
                    previous_etag: e.attribute("previous-etag").map(str::to_owned),
                })
            })
            .collect::<Result<_, XmlError>>()?;
        Ok(Self {
            xcap_root: root.required_attribute("xcap-root")?,
            documents,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut root = Element::new(NS, "xcap-diff").attr("xcap-root", &self.xcap_root);
        for document in &self.documents {
            let mut element = Element::new(NS, "document").attr("sel", &document.sel);
            if let Some(etag) = &document.new_etag {
                element.set_attribute("new-etag", etag);
            }
            if let Some(etag) = &document.previous_etag {
                element.set_attribute("previous-etag", etag);
            }
            root.push(element);
        }
        root.to_document()
    }
}
