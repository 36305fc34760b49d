//! Members of a group and what the rules allow them.

use super::{CP_NS, GI_NS, NS, RL_NS};
use crate::XmlError;
use crate::dom::{Element, parse_bool};

/// One `entry` of the member list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Member {
    /// MCPTT ID.
    pub uri: String,
    /// Name shown to users.
    pub display_name: Option<String>,
    /// Priority 0..=255, higher is more; absent is the lowest.
    pub user_priority: u8,
    /// Kind of participant.
    pub participant_type: Option<String>,
    /// A call waits for this member's acknowledgement.
    pub required: bool,
    /// The member only listens.
    pub receive_only: bool,
    /// The member must affiliate to take part.
    pub affiliation_required: bool,
    /// Elements not listed above, kept.
    pub other: Vec<Element>,
}

impl Member {
    /// A member with the default attributes.
    #[must_use]
    pub fn new(uri: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            ..Self::default()
        }
    }

    pub(super) fn read(entry: &Element) -> Result<Self, XmlError> {
        let mut member = Self::new(&entry.required_attribute("uri")?);
        for child in entry.elements() {
            let text = child.trimmed_text();
            match (child.ns.as_str(), child.local.as_str()) {
                (RL_NS, "display-name") => member.display_name = Some(text),
                (GI_NS, "user-priority") => {
                    member.user_priority = text
                        .parse()
                        .map_err(|_| XmlError::value("user-priority", &text))?;
                }
                (GI_NS, "participant-type") => member.participant_type = Some(text),
                (GI_NS, "on-network-required") => member.required = true,
                (GI_NS, "on-network-recvonly") => member.receive_only = true,
                (GI_NS, "on-network-affiliation-to-group-required") => {
                    // Seen as an empty element and as a boolean.
                    member.affiliation_required = parse_bool(&text).unwrap_or(text.is_empty());
                }
                _ => member.other.push(child.clone()),
            }
        }
        Ok(member)
    }

    pub(super) fn to_element(&self) -> Element {
        let gi = |local| Element::prefixed("mcpttgi", GI_NS, local);
        let mut entry = Element::new(NS, "entry").attr("uri", &self.uri);
        if let Some(name) = &self.display_name {
            entry.push(Element::prefixed("rl", RL_NS, "display-name").text(name));
        }
        if self.required {
            entry.push(gi("on-network-required"));
        }
        entry.push(gi("user-priority").text(&self.user_priority.to_string()));
        if let Some(kind) = &self.participant_type {
            entry.push(gi("participant-type").text(kind));
        }
        if self.receive_only {
            entry.push(gi("on-network-recvonly"));
        }
        if self.affiliation_required {
            entry.push(gi("on-network-affiliation-to-group-required").text("true"));
        }
        for element in &self.other {
            entry.push(element.clone());
        }
        entry
    }
}

/// The actions a user's matching rules allow; absent means no (RFC 4745: any rule may grant).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Actions {
    /// May start a call.
    pub initiate_conference: bool,
    /// May join a call.
    pub join: bool,
    /// May read the member list.
    pub member_list: bool,
    /// May start an emergency call.
    pub emergency_call: bool,
    /// May start an imminent peril call.
    pub imminent_peril_call: bool,
    /// May send an emergency alert.
    pub emergency_alert: bool,
    /// May read who is affiliated.
    pub affiliation_list: bool,
    /// May subscribe to the conference state.
    pub conference_state: bool,
}

impl Actions {
    pub(super) fn read(ruleset: Option<&Element>, uri: &str, is_member: bool) -> Self {
        let mut actions = Self::default();
        let rules = ruleset.into_iter().flat_map(|r| r.all(CP_NS, "rule"));
        for rule in rules.filter(|r| applies(r, uri, is_member)) {
            let Some(granted) = rule.find(CP_NS, "actions") else {
                continue;
            };
            for action in granted.elements() {
                let allowed = parse_bool(&action.trimmed_text()) == Some(true);
                match (action.ns.as_str(), action.local.as_str()) {
                    (NS, "allow-initiate-conference") => actions.initiate_conference |= allowed,
                    (NS, "join-handling") => {
                        actions.join |= allowed || action.trimmed_text() == "allow";
                    }
                    (GI_NS, local) => actions.grant(local, allowed),
                    _ => {}
                }
            }
        }
        actions
    }

    fn grant(&mut self, local: &str, allowed: bool) {
        let field = match local {
            "on-network-allow-getting-member-list" => &mut self.member_list,
            "allow-MCPTT-emergency-call" => &mut self.emergency_call,
            "allow-imminent-peril-call" => &mut self.imminent_peril_call,
            "allow-MCPTT-emergency-alert" => &mut self.emergency_alert,
            "on-network-allow-getting-affiliation-list" => &mut self.affiliation_list,
            "on-network-allow-conference-state" => &mut self.conference_state,
            _ => return,
        };
        *field |= allowed;
    }
}

/// Every condition must hold; one that is not understood does not.
fn applies(rule: &Element, uri: &str, is_member: bool) -> bool {
    let Some(conditions) = rule.find(CP_NS, "conditions") else {
        return true;
    };
    conditions.elements().all(|condition| {
        if condition.is(NS, "is-list-member") {
            return is_member;
        }
        condition.is(CP_NS, "identity")
            && condition
                .all(CP_NS, "one")
                .any(|one| one.attribute("id") == Some(uri))
    })
}
