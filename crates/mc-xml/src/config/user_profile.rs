//! MCPTT user profile (TS 24.484 8.3): groups, limits and rights of one user.

use std::collections::BTreeSet;

use crate::XmlError;
use crate::dom::{Element, parse_bool};

/// Namespace of the document.
pub const NS: &str = "urn:3gpp:mcptt:user-profile:1.0";
/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.3gpp.mcptt-user-profile+xml";
/// XCAP application usage.
pub const AUID: &str = "org.3gpp.mcptt.user-profile";
const CP_NS: &str = "urn:ietf:params:xml:ns:common-policy";

/// A group of the profile's group list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileGroup {
    /// Group ID.
    pub uri: String,
    /// Name shown to the user.
    pub display_name: Option<String>,
    /// GMS that serves the group.
    pub gms: Option<String>,
    /// KMS of the group.
    pub kms: Option<String>,
}

/// The profile.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserProfile {
    /// `@user-profile-index`.
    pub index: u8,
    /// MCPTT ID.
    pub mcptt_id: Option<String>,
    /// Alias shown to others.
    pub alias: Option<String>,
    /// Users that may be called privately.
    pub private_call_list: Vec<String>,
    /// N6: most simultaneous group calls.
    pub max_simultaneous_calls: Option<u32>,
    /// Priority of the user's group calls.
    pub priority: Option<u16>,
    /// Mission critical organisation.
    pub organisation: Option<String>,
    /// Groups the user may affiliate to.
    pub groups: Vec<ProfileGroup>,
    /// N2: most affiliations.
    pub max_affiliations: Option<u32>,
    /// Groups affiliated at service authorisation.
    pub implicit_affiliations: Vec<String>,
    /// KMS of private call partners (`PrivateCallKMSURI`).
    pub private_call_kms: Option<String>,
    /// Names of the rights that are true; absent is false.
    pub rights: BTreeSet<String>,
}

impl UserProfile {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        //= TS 24.484 8.3.2
        let root = crate::parse(octets)?;
        root.expect(NS, "mcptt-user-profile")?;
        let index = root.required_attribute("user-profile-index")?;
        let index = index
            .parse()
            .map_err(|_| XmlError::value("user-profile-index", &index))?;
        let absent = Element::new(NS, "absent");
        let common = root.find(NS, "Common").unwrap_or(&absent);
        let network = root.find(NS, "OnNetwork").unwrap_or(&absent);
        let call = common.find(NS, "MCPTT-group-call").unwrap_or(&absent);
        let text = |e: &Element, path: &[&str]| e.descend(NS, path).map(Element::trimmed_text);
        Ok(Self {
            index,
            mcptt_id: text(common, &["MCPTTUserID", "uri-entry"]),
            alias: text(common, &["UserAlias", "alias-entry"]),
            private_call_list: private_calls(common),
            max_simultaneous_calls: call.child_number(NS, "MaxSimultaneousCallsN6")?,
            priority: call.child_number(NS, "Priority")?,
            organisation: common.child_text(NS, "MissionCriticalOrganization"),
            groups: groups(network),
            max_affiliations: network.child_number(NS, "MaxAffiliationsN2")?,
            implicit_affiliations: entries(network, "ImplicitAffiliations")
                .filter_map(|e| e.child_text(NS, "uri-entry"))
                .collect(),
            private_call_kms: deep(&root, "PrivateCallKMSURI")
                .and_then(|e| deep(e, "uri-entry"))
                .map(Element::trimmed_text),
            rights: rights(&root),
        })
    }

    /// Whether the right, such as `allow-private-call`, is granted.
    #[must_use]
    pub fn allows(&self, right: &str) -> bool {
        self.rights.contains(right)
    }
}

fn entries<'e>(network: &'e Element, local: &'e str) -> impl Iterator<Item = &'e Element> {
    network
        .find(NS, local)
        .into_iter()
        .flat_map(|l| l.all(NS, "entry"))
}

fn private_calls(common: &Element) -> Vec<String> {
    common
        .descend(NS, &["PrivateCall", "PrivateCallList"])
        .into_iter()
        .flat_map(|l| l.all(NS, "PrivateCallURI"))
        .filter_map(|e| e.child_text(NS, "uri-entry"))
        .collect()
}

fn groups(network: &Element) -> Vec<ProfileGroup> {
    entries(network, "MCPTTGroupInfo")
        .filter_map(|entry| {
            let server = |local| {
                deep(entry, local)
                    .and_then(|e| deep(e, "uri-entry"))
                    .map(Element::trimmed_text)
            };
            Some(ProfileGroup {
                uri: entry.child_text(NS, "uri-entry")?,
                display_name: entry.child_text(NS, "display-name"),
                gms: server("GMS-Serv-Id"),
                kms: server("KMS-URI"),
            })
        })
        .collect()
}

fn rights(root: &Element) -> BTreeSet<String> {
    root.find(CP_NS, "ruleset")
        .into_iter()
        .flat_map(|r| r.all(CP_NS, "rule"))
        .filter_map(|rule| rule.find(CP_NS, "actions"))
        .flat_map(Element::elements)
        .filter(|e| e.ns == NS && parse_bool(&e.trimmed_text()) == Some(true))
        .map(|e| e.local.clone())
        .collect()
}

fn deep<'e>(element: &'e Element, local: &str) -> Option<&'e Element> {
    element.elements().find_map(|e| {
        if e.local == local {
            Some(e)
        } else {
            deep(e, local)
        }
    })
}
