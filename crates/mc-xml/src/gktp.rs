//! `GKTPs`: group key transport payloads as a document (TS 24.481 7.7).

use crate::XmlError;
use crate::dom::{Element, Node};

/// Namespace of the document.
pub const NS: &str = "urn:3gpp:ns:mcpttGKTP:1.0";
/// XCAP application usage.
pub const AUID: &str = "org.3gpp.MCPTT-GKTP";
/// Longest MIKEY message accepted, in octets.
const MAX_MIKEY: usize = 16 * 1024;

/// One group key transport payload: a MIKEY message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gktp {
    /// `@id`.
    pub id: String,
    /// `@activationtime`, `xs:dateTime` as written.
    pub activation_time: Option<String>,
    /// The MIKEY I_MESSAGE (hexBinary on the wire).
    pub mikey: Vec<u8>,
}

/// Payloads of a temporary group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegroupedGktps {
    /// `@temporary-MCPTT-group-ID`.
    pub temporary_group: String,
    /// Payloads.
    pub gktps: Vec<Gktp>,
}

/// `singleTypeGKTPsType`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SingleTypeGktps {
    /// Payloads of the group.
    pub gktps: Vec<Gktp>,
    /// Payloads of temporary groups it is regrouped in.
    pub regrouped: Vec<RegroupedGktps>,
    /// Extensions, kept.
    pub other: Vec<Element>,
}

/// The document.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GktpDocument {
    /// `GMK-GKTPs`.
    pub gmk: Option<SingleTypeGktps>,
    /// `MKFC-GKTPs`.
    pub mkfc: Option<SingleTypeGktps>,
    /// Extensions, kept.
    pub other: Vec<Element>,
}

impl GktpDocument {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        //= TS 24.481 7.7.3
        let root = crate::parse(octets)?;
        root.expect(NS, "GKTPs")?;
        let mut document = Self::default();
        for child in root.elements() {
            match (child.ns.as_str(), child.local.as_str()) {
                (NS, "GMK-GKTPs") if document.gmk.is_none() => {
                    document.gmk = Some(SingleTypeGktps::from_element(child)?);
                }
                (NS, "MKFC-GKTPs") if document.mkfc.is_none() => {
                    document.mkfc = Some(SingleTypeGktps::from_element(child)?);
                }
                (NS, "GMK-GKTPs" | "MKFC-GKTPs") => {
                    return Err(XmlError::PeerDuplicate(child.local.clone()));
                }
                _ => document.other.push(child.clone()),
            }
        }
        Ok(document)
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut root = Element::new(NS, "GKTPs");
        for (local, single) in [("GMK-GKTPs", &self.gmk), ("MKFC-GKTPs", &self.mkfc)] {
            if let Some(single) = single {
                root.push(single.to_element(local));
            }
        }
        root.children
            .extend(self.other.iter().cloned().map(Node::Element));
        root.to_document()
    }
}

impl SingleTypeGktps {
    fn from_element(element: &Element) -> Result<Self, XmlError> {
        let mut single = Self::default();
        for child in element.elements() {
            if child.is(NS, "GKTP") {
                single.gktps.push(Gktp::from_element(child)?);
            } else if child.is(NS, "on-network-regrouped-GKTPs") {
                single.regrouped.push(RegroupedGktps {
                    temporary_group: child.required_attribute("temporary-MCPTT-group-ID")?,
                    gktps: child
                        .all(NS, "GKTP")
                        .map(Gktp::from_element)
                        .collect::<Result<_, _>>()?,
                });
            } else {
                single.other.push(child.clone());
            }
        }
        Ok(single)
    }

    fn to_element(&self, local: &str) -> Element {
        let mut element = Element::new(NS, local);
        for gktp in &self.gktps {
            element.push(gktp.to_element());
        }
        for regrouped in &self.regrouped {
            let mut inner = Element::new(NS, "on-network-regrouped-GKTPs")
                .attr("temporary-MCPTT-group-ID", &regrouped.temporary_group);
            for gktp in &regrouped.gktps {
                inner.push(gktp.to_element());
            }
            element.push(inner);
        }
        element
            .children
            .extend(self.other.iter().cloned().map(Node::Element));
        element
    }
}

impl Gktp {
    fn from_element(element: &Element) -> Result<Self, XmlError> {
        let text = element.trimmed_text();
        if text.len() > 2 * MAX_MIKEY {
            return Err(XmlError::PeerTooLarge {
                what: "octets of MIKEY",
                limit: MAX_MIKEY,
            });
        }
        Ok(Self {
            id: element.required_attribute("id")?,
            activation_time: element.attribute("activationtime").map(str::to_owned),
            mikey: hex::decode(&text).map_err(|_| XmlError::value("GKTP", &text))?,
        })
    }

    fn to_element(&self) -> Element {
        let mut element = Element::new(NS, "GKTP").attr("id", &self.id);
        if let Some(time) = &self.activation_time {
            element.set_attribute("activationtime", time);
        }
        element.text(&hex::encode(&self.mikey))
    }
}
