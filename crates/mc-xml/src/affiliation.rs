//! Affiliation as PIDF presence: PUBLISH and NOTIFY of TS 24.379 9.2 and 9.3.1.

use crate::XmlError;
use crate::dom::Element;

/// Namespace of PIDF.
pub const NS: &str = "urn:ietf:params:xml:ns:pidf";
/// Namespace of the MCPTT extension of 9.3.1.
pub const MCPTT_NS: &str = "urn:3gpp:ns:mcpttPresInfo:1.0";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/pidf+xml";
const PREFIX: &str = "mcpttPI10";

/// `affiliation@status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AffiliationStatus {
    /// Asked for, not yet accepted by the controlling function.
    Affiliating,
    /// In force.
    Affiliated,
    /// Being withdrawn.
    Deaffiliating,
}

impl AffiliationStatus {
    /// The value as written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Affiliating => "affiliating",
            Self::Affiliated => "affiliated",
            Self::Deaffiliating => "deaffiliating",
        }
    }

    fn parse(text: &str) -> Result<Self, XmlError> {
        [Self::Affiliating, Self::Affiliated, Self::Deaffiliating]
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| XmlError::value("affiliation status", text))
    }
}

/// One `affiliation` of a client or, between servers, of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Affiliation {
    /// Group ID; absent between participating and controlling function.
    pub group: Option<String>,
    /// Client ID; only between participating and controlling function.
    pub client: Option<String>,
    /// State, in notifications.
    pub status: Option<AffiliationStatus>,
    /// End of the affiliation, `xs:dateTime`.
    pub expires: Option<String>,
}

/// One `tuple`: an MCPTT client, or between servers an MCPTT user.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tuple {
    /// MCPTT client ID, or MCPTT ID between servers.
    pub id: String,
    /// The whole set of affiliations.
    pub affiliations: Vec<Affiliation>,
    /// Functional aliases in the same body (9A), kept as values of `functionalAliasID`.
    pub functional_aliases: Vec<String>,
}

/// A `presence` document of the affiliation and functional alias procedures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AffiliationPresence {
    /// MCPTT ID, or group ID between servers.
    pub entity: String,
    /// Clients.
    pub tuples: Vec<Tuple>,
    /// Opaque identifier echoed in the notification the PUBLISH causes.
    pub p_id: Option<String>,
    /// The same of a change of functional aliases (9A.2.1.2); its presence tells that this is one.
    pub p_id_fa: Option<String>,
}

impl AffiliationPresence {
    /// Whether this is about functional aliases, not affiliations.
    #[must_use]
    pub fn is_about_aliases(&self) -> bool {
        self.p_id_fa.is_some() || self.tuples.iter().any(|t| !t.functional_aliases.is_empty())
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        //= TS 24.379 9.3.1
        let root = crate::parse(octets)?;
        root.expect(NS, "presence")?;
        let tuples = root.all(NS, "tuple").map(tuple).collect::<Result<_, _>>()?;
        let entity = root.required_attribute("entity")?;
        Ok(Self {
            entity,
            tuples,
            p_id: root.child_text(MCPTT_NS, "p-id"),
            p_id_fa: root.child_text(MCPTT_NS, "p-id-fa"),
        })
    }

    /// The tree.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut root = Element::new(NS, "presence")
            .declare("", NS)
            .declare(PREFIX, MCPTT_NS)
            .attr("entity", &self.entity);
        for tuple in &self.tuples {
            let mut status = Element::new(NS, "status");
            for affiliation in &tuple.affiliations {
                let mut element = Element::prefixed(PREFIX, MCPTT_NS, "affiliation");
                let values = [
                    ("group", affiliation.group.as_deref()),
                    ("client", affiliation.client.as_deref()),
                    ("status", affiliation.status.map(AffiliationStatus::as_str)),
                    ("expires", affiliation.expires.as_deref()),
                ];
                for (name, value) in values {
                    if let Some(value) = value {
                        element.set_attribute(name, value);
                    }
                }
                status.push(element);
            }
            for alias in &tuple.functional_aliases {
                let element = Element::prefixed(PREFIX, MCPTT_NS, "functionalAlias")
                    .attr("functionalAliasID", alias);
                status.push(element);
            }
            root.push(
                Element::new(NS, "tuple")
                    .attr("id", &tuple.id)
                    .child(status),
            );
        }
        for (local, id) in [("p-id", &self.p_id), ("p-id-fa", &self.p_id_fa)] {
            if let Some(id) = id {
                root.push(Element::prefixed(PREFIX, MCPTT_NS, local).text(id));
            }
        }
        root
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.to_element().to_document()
    }
}

fn tuple(element: &Element) -> Result<Tuple, XmlError> {
    let mut tuple = Tuple {
        id: element.required_attribute("id")?,
        ..Tuple::default()
    };
    let Some(status) = element.find(NS, "status") else {
        return Ok(tuple);
    };
    for child in status.all(MCPTT_NS, "affiliation") {
        let affiliation = Affiliation {
            group: child.attribute("group").map(str::to_owned),
            client: child.attribute("client").map(str::to_owned),
            status: child
                .attribute("status")
                .map(AffiliationStatus::parse)
                .transpose()?,
            expires: child.attribute("expires").map(str::to_owned),
        };
        if affiliation.group.is_none() && affiliation.client.is_none() {
            return Err(XmlError::PeerMissing("affiliation group or client"));
        }
        tuple.affiliations.push(affiliation);
    }
    tuple.functional_aliases = status
        .all(MCPTT_NS, "functionalAlias")
        .filter_map(|e| e.attribute("functionalAliasID"))
        .map(str::to_owned)
        .collect();
    Ok(tuple)
}
