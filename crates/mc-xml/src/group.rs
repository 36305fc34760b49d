//! The group document (OMA XDM Group with the extensions of TS 24.481 7.2).
//!
//! The tree stays as it was read: what is not understood is stored and returned unchanged. Every
//! change goes through the tree, after which the typed view is derived again.

mod member;
mod settings;

pub use member::{Actions, Member};
pub use settings::{AcknowledgementAction, GroupSettings, Regrouped};

use crate::dom::{Element, Node};
use crate::{Limits, XmlError};

/// Namespace of the OMA list service.
pub const NS: &str = "urn:oma:xml:poc:list-service";
/// Namespace of the MCPTT group elements.
pub const GI_NS: &str = "urn:3gpp:ns:mcpttGroupInfo:1.0";
/// Namespace of resource lists (`display-name` of an entry).
pub const RL_NS: &str = crate::resource_lists::NS;
/// Namespace of common policy.
pub const CP_NS: &str = "urn:ietf:params:xml:ns:common-policy";
/// Namespace of the OMA extensions (supported services).
pub const OXE_NS: &str = "urn:oma:xml:xdm:extensions";
/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.oma.poc.groups+xml";
/// XCAP application usage.
pub const AUID: &str = "org.openmobilealliance.groups";
/// The service that makes a group an MCPTT group (7.2.8).
const ENABLER: &str = "urn:urn-7:3gpp-service.ims.icsi.mcptt";
/// Most members of a group.
const MAX_MEMBERS: usize = 4096;

/// A group document: the tree and what the server needs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupDocument {
    root: Element,
    members: Vec<Member>,
    settings: GroupSettings,
}

impl GroupDocument {
    /// A new prearranged MCPTT group with protection on and the usual rule for its members.
    ///
    /// # Errors
    /// [`XmlError`] never for a valid URI; kept for the derivation.
    pub fn new(uri: &str, display_name: &str) -> Result<Self, XmlError> {
        let gi = |local| Element::prefixed("mcpttgi", GI_NS, local);
        let allow = |local| gi(local).text("true");
        let actions = Element::prefixed("cp", CP_NS, "actions")
            .child(Element::new(NS, "allow-initiate-conference").text("true"))
            .child(Element::new(NS, "join-handling").text("true"))
            .child(allow("on-network-allow-getting-member-list"))
            .child(allow("allow-MCPTT-emergency-call"))
            .child(allow("allow-imminent-peril-call"))
            .child(allow("allow-MCPTT-emergency-alert"))
            .child(allow("on-network-allow-getting-affiliation-list"))
            .child(allow("on-network-allow-conference-state"));
        let rule = Element::prefixed("cp", CP_NS, "rule")
            .attr("id", "members")
            .child(
                Element::prefixed("cp", CP_NS, "conditions")
                    .child(Element::new(NS, "is-list-member")),
            )
            .child(actions);
        let service = Element::prefixed("oxe", OXE_NS, "service")
            .attr("enabler", ENABLER)
            .child(Element::prefixed("oxe", OXE_NS, "group-media").child(gi("mcptt-speech")));
        let list_service = Element::new(NS, "list-service")
            .attr("uri", uri)
            .child(Element::new(NS, "display-name").text(display_name))
            .child(Element::new(NS, "list"))
            .child(allow("on-network-invite-members"))
            .child(gi("on-network-maximum-duration").text("PT1H"))
            .child(Element::prefixed("cp", CP_NS, "ruleset").child(rule))
            .child(Element::prefixed("oxe", OXE_NS, "supported-services").child(service));
        let root = Element::new(NS, "group")
            .declare("", NS)
            .declare("rl", RL_NS)
            .declare("cp", CP_NS)
            .declare("oxe", OXE_NS)
            .declare("mcpttgi", GI_NS)
            .child(list_service);
        Self::from_element(root)
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        let limits = Limits {
            octets: 1024 * 1024,
            nodes: 100_000,
            ..Limits::default()
        };
        Self::from_element(crate::parse_with(octets, &limits)?)
    }

    /// Takes a tree.
    ///
    /// # Errors
    /// [`XmlError`] when the root is another or a value is invalid.
    pub fn from_element(root: Element) -> Result<Self, XmlError> {
        //= TS 24.481 7.2.4
        root.expect(NS, "group")?;
        let service = list_service(&root)?;
        service.required_attribute("uri")?;
        let members = Self::members_of(service)?;
        let settings = GroupSettings::read(service)?;
        let mut document = Self {
            root,
            members,
            settings,
        };
        document.write_protection();
        Ok(document)
    }

    fn members_of(service: &Element) -> Result<Vec<Member>, XmlError> {
        let mut members: Vec<Member> = Vec::new();
        for entry in service
            .find(NS, "list")
            .into_iter()
            .flat_map(|l| l.all(NS, "entry"))
        {
            if members.len() == MAX_MEMBERS {
                return Err(XmlError::PeerTooLarge {
                    what: "members",
                    limit: MAX_MEMBERS,
                });
            }
            let member = Member::read(entry)?;
            if members.iter().any(|m| m.uri == member.uri) {
                return Err(XmlError::PeerDuplicate(crate::error::shortened(
                    &member.uri,
                )));
            }
            members.push(member);
        }
        Ok(members)
    }

    /// An absent protection element means "protected"; peers get that wrong, so both are always
    /// written out.
    fn write_protection(&mut self) {
        //= TS 24.481 7.2.4.2
        let wanted = [
            ("protect-media", self.settings.protect_media),
            (
                "protect-floor-control-signalling",
                self.settings.protect_floor_control,
            ),
        ];
        if let Some(service) = self.service_mut() {
            for (local, value) in wanted {
                if service.find(GI_NS, local).is_none() {
                    let text = value.to_string();
                    service.push(Element::prefixed("mcpttgi", GI_NS, local).text(&text));
                }
            }
        }
    }

    fn service(&self) -> Option<&Element> {
        self.root.find(NS, "list-service")
    }

    fn service_mut(&mut self) -> Option<&mut Element> {
        self.root.find_mut(NS, "list-service")
    }

    /// The group ID, `list-service@uri`.
    #[must_use]
    pub fn uri(&self) -> &str {
        self.service()
            .and_then(|s| s.attribute("uri"))
            .unwrap_or_default()
    }

    /// The name shown to users.
    #[must_use]
    pub fn display_name(&self) -> Option<String> {
        self.service()?.child_text(NS, "display-name")
    }

    /// Whether the document describes an MCPTT group (7.2.8).
    #[must_use]
    pub fn is_mcptt_group(&self) -> bool {
        //= TS 24.481 7.2.8
        let services = self
            .service()
            .and_then(|s| s.find(OXE_NS, "supported-services"));
        services.is_some_and(|s| {
            s.all(OXE_NS, "service").any(|service| {
                service.attribute("enabler") == Some(ENABLER)
                    && service
                        .find(OXE_NS, "group-media")
                        .is_some_and(|m| m.find(GI_NS, "mcptt-speech").is_some())
            })
        })
    }

    /// The members in document order.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this MCPTT ID.
    #[must_use]
    pub fn member(&self, uri: &str) -> Option<&Member> {
        self.members.iter().find(|m| m.uri == uri)
    }

    /// The settings with the right defaults for what is absent.
    #[must_use]
    pub const fn settings(&self) -> &GroupSettings {
        &self.settings
    }

    /// What the rules allow this MCPTT ID.
    #[must_use]
    pub fn actions_for(&self, uri: &str) -> Actions {
        let ruleset = self.service().and_then(|s| s.find(CP_NS, "ruleset"));
        Actions::read(ruleset, uri, self.member(uri).is_some())
    }

    /// Adds a member, or replaces the one with the same MCPTT ID.
    ///
    /// # Errors
    /// [`XmlError`] when the result is not a valid document; the document is unchanged then.
    pub fn put_member(&mut self, member: &Member) -> Result<(), XmlError> {
        let entry = member.to_element();
        self.edit(|service| {
            if service.find(NS, "list").is_none() {
                let at = service
                    .children
                    .iter()
                    .position(|n| matches!(n, Node::Element(e) if !e.is(NS, "display-name")))
                    .unwrap_or(service.children.len());
                service
                    .children
                    .insert(at, Node::Element(Element::new(NS, "list")));
            }
            let Some(list) = service.find_mut(NS, "list") else {
                return;
            };
            let same = |e: &Element| e.is(NS, "entry") && e.attribute("uri") == Some(&member.uri);
            if let Some(found) = list.elements_mut().find(|e| same(e)) {
                *found = entry;
            } else {
                list.push(entry);
            }
        })
    }

    /// Removes a member; returns whether there was one.
    ///
    /// # Errors
    /// [`XmlError`] when the result is not a valid document; the document is unchanged then.
    pub fn remove_member(&mut self, uri: &str) -> Result<bool, XmlError> {
        let known = self.member(uri).is_some();
        self.edit(|service| {
            if let Some(list) = service.find_mut(NS, "list") {
                list.children.retain(|n| {
                    !matches!(n, Node::Element(e) if e.is(NS, "entry") && e.attribute("uri") == Some(uri))
                });
            }
        })?;
        Ok(known)
    }

    /// Sets a setting of the MCPTT namespace to a text, or removes it.
    ///
    /// # Errors
    /// [`XmlError`] when the value is invalid; the document is unchanged then.
    pub fn set(&mut self, local: &str, value: Option<&str>) -> Result<(), XmlError> {
        self.edit(|service| match (value, service.find_mut(GI_NS, local)) {
            (Some(value), Some(element)) => element.set_text(value),
            (Some(value), None) => {
                service.push(Element::prefixed("mcpttgi", GI_NS, local).text(value));
            }
            (None, _) => {
                service.remove(GI_NS, local);
            }
        })
    }

    /// The document without its member list, for readers who may not see it (6.3.16).
    #[must_use]
    pub fn without_members(&self) -> Self {
        let mut copy = self.clone();
        if let Some(service) = copy.service_mut() {
            service.remove(NS, "list");
        }
        copy.members.clear();
        copy
    }

    fn edit(&mut self, change: impl FnOnce(&mut Element)) -> Result<(), XmlError> {
        let mut root = self.root.clone();
        if let Some(service) = root.find_mut(NS, "list-service") {
            change(service);
        }
        *self = Self::from_element(root)?;
        Ok(())
    }

    /// The tree.
    #[must_use]
    pub const fn root(&self) -> &Element {
        &self.root
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.root.to_document()
    }
}

fn list_service(root: &Element) -> Result<&Element, XmlError> {
    let mut all = root.all(NS, "list-service");
    match (all.next(), all.next()) {
        (Some(service), None) => Ok(service),
        (None, _) => Err(XmlError::PeerMissing("list-service")),
        (Some(_), Some(_)) => Err(XmlError::PeerDuplicate("list-service".to_owned())),
    }
}
