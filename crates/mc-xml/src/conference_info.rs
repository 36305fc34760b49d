//! `conference-info`: who is in a session (RFC 4575, TS 24.379 10.1.3).

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the document.
pub const NS: &str = "urn:ietf:params:xml:ns:conference-info";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/conference-info+xml";

/// One participant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConferenceUser {
    /// MCPTT ID.
    pub entity: String,
    /// `endpoint/status`, such as `connected` or `disconnected`.
    pub status: Option<String>,
}

/// A conference document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConferenceInfo {
    /// The group or session.
    pub entity: String,
    /// `full`, `partial` or `deleted`.
    pub state: Option<String>,
    /// Version, counting up.
    pub version: Option<u32>,
    /// Participants.
    pub users: Vec<ConferenceUser>,
}

impl ConferenceInfo {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        let root = crate::parse(octets)?;
        root.expect(NS, "conference-info")?;
        let version = root
            .attribute("version")
            .map(|v| v.parse().map_err(|_| XmlError::value("version", v)))
            .transpose()?;
        let mut users = Vec::new();
        for user in root
            .find(NS, "users")
            .into_iter()
            .flat_map(|u| u.all(NS, "user"))
        {
            let status = user
                .descend(NS, &["endpoint", "status"])
                .map(Element::trimmed_text);
            users.push(ConferenceUser {
                entity: user.required_attribute("entity")?,
                status,
            });
        }
        let state = root.attribute("state").map(str::to_owned);
        Ok(Self {
            entity: root.required_attribute("entity")?,
            state,
            version,
            users,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut root = Element::new(NS, "conference-info").attr("entity", &self.entity);
        if let Some(state) = &self.state {
            root.set_attribute("state", state);
        }
        if let Some(version) = self.version {
            root.set_attribute("version", &version.to_string());
        }
        let mut users = Element::new(NS, "users");
        for user in &self.users {
            let mut element = Element::new(NS, "user")
                .attr("entity", &user.entity)
                .attr("state", "full");
            if let Some(status) = &user.status {
                let status = Element::new(NS, "status").text(status);
                element.push(
                    Element::new(NS, "endpoint")
                        .attr("entity", &user.entity)
                        .child(status),
                );
            }
            users.push(element);
        }
        root.child(users).to_document()
    }
}
