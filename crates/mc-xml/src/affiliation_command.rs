//! `command-list`: changing another user's affiliation by MESSAGE (TS 24.379 9.2.1.4, F.4).

use crate::dom::Element;
use crate::{XmlError, XmlProfile};

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
    /// Reads a document; its namespace matters only to a strict profile.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8], profile: &XmlProfile) -> Result<Self, XmlError> {
        //= TS 24.379 F.4
        let root = crate::parse(octets)?;
        let ns = if profile.strict {
            &profile.affiliation_command_ns
        } else {
            &root.ns
        };
        root.expect(ns, "command-list")?;
        let groups = |local| -> Result<Vec<String>, XmlError> {
            root.all(ns, local)
                .map(|e| e.required_attribute("group"))
                .collect()
        };
        Ok(Self {
            affiliate: groups("affiliate")?,
            deaffiliate: groups("de-affiliate")?,
        })
    }

    /// The document, in the namespace of `profile`.
    #[must_use]
    pub fn to_xml(&self, profile: &XmlProfile) -> String {
        let ns = &profile.affiliation_command_ns;
        let mut root = Element::new(ns, "command-list");
        for group in &self.affiliate {
            root.push(Element::new(ns, "affiliate").attr("group", group));
        }
        for group in &self.deaffiliate {
            root.push(Element::new(ns, "de-affiliate").attr("group", group));
        }
        root.to_document()
    }
}
