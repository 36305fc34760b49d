//! `command-list`: changing another user's affiliation by MESSAGE (TS 24.379 9.2.1.4, F.4).

use crate::XmlError;
use crate::dom::Element;

/// Namespace as emitted.
pub const NS: &str = "urn:3gpp:ns:affiliationCommand:1.0";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/vnd.3gpp.mcptt-affiliation-command+xml";

/// The groups to affiliate to and to leave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AffiliationCommand {
    /// Groups to affiliate to.
    pub affiliate: Vec<String>,
    /// Groups to leave.
    pub deaffiliate: Vec<String>,
}

impl AffiliationCommand {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        //= TS 24.379 F.4
        let root = crate::parse(octets)?;
        root.expect(NS, "command-list")?;
        let groups = |local| -> Result<Vec<String>, XmlError> {
            root.all(NS, local)
                .map(|e| e.required_attribute("group"))
                .collect()
        };
        Ok(Self {
            affiliate: groups("affiliate")?,
            deaffiliate: groups("de-affiliate")?,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut root = Element::new(NS, "command-list");
        for group in &self.affiliate {
            root.push(Element::new(NS, "affiliate").attr("group", group));
        }
        for group in &self.deaffiliate {
            root.push(Element::new(NS, "de-affiliate").attr("group", group));
        }
        root.to_document()
    }
}
