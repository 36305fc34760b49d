//! `mcpttinfo`: the MCPTT parameters of nearly every SIP request (TS 24.379 Annex F.1).

mod content;
mod protect;

pub use content::{Content, ContentValue};

use crate::XmlError;
use crate::dom::{Element, Node, parse_bool};

/// Namespace of the document.
pub const NS: &str = "urn:3gpp:ns:mcpttInfo:1.0";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/vnd.3gpp.mcptt-info+xml";

/// `session-type`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionType {
    /// Prearranged group call.
    Prearranged,
    /// Chat group call.
    Chat,
    /// Private call.
    Private,
    /// First-to-answer call (Rel-14).
    FirstToAnswer,
    /// Ambient listening call (Rel-14).
    AmbientListening,
    /// Ad hoc group call (Rel-18).
    Adhoc,
    /// A value of a later release, kept as it is.
    Other(String),
}

impl SessionType {
    /// The value as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Prearranged => "prearranged",
            Self::Chat => "chat",
            Self::Private => "private",
            Self::FirstToAnswer => "first-to-answer",
            Self::AmbientListening => "ambient-listening",
            Self::Adhoc => "adhoc",
            Self::Other(other) => other,
        }
    }
}

impl From<&str> for SessionType {
    fn from(text: &str) -> Self {
        match text {
            "prearranged" => Self::Prearranged,
            "chat" => Self::Chat,
            "private" => Self::Private,
            "first-to-answer" => Self::FirstToAnswer,
            "ambient-listening" => Self::AmbientListening,
            "adhoc" => Self::Adhoc,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// The children of `mcptt-Params`, in the order of the schema (F.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct McpttInfo {
    /// Access token.
    pub access_token: Option<Content>,
    /// Session type.
    pub session_type: Option<SessionType>,
    /// The group, the called or the own MCPTT ID, by procedure.
    pub request_uri: Option<Content>,
    /// MCPTT ID of the caller.
    pub calling_user_id: Option<Content>,
    /// MCPTT ID of the called party.
    pub called_party_id: Option<Content>,
    /// MCPTT group ID of the call.
    pub calling_group_id: Option<Content>,
    /// Whether the member's presence is required.
    pub required: Option<Content>,
    /// Emergency call.
    pub emergency_ind: Option<Content>,
    /// Emergency alert.
    pub alert_ind: Option<Content>,
    /// Imminent peril call.
    pub imminent_peril_ind: Option<Content>,
    /// Broadcast group call.
    pub broadcast_ind: Option<bool>,
    /// Mission critical organisation.
    pub mc_org: Option<String>,
    /// Floor state.
    pub floor_state: Option<String>,
    /// Associated group.
    pub associated_group_id: Option<Content>,
    /// MCPTT ID of the originator of a cancelled alert.
    pub originated_by: Option<Content>,
    /// Key material of multicast floor control, kept as a tree.
    pub mkfc_gktps: Option<Element>,
    /// MCPTT client ID.
    pub client_id: Option<Content>,
    /// Alert received.
    pub alert_ind_rcvd: Option<Content>,
    /// Gateway usage.
    pub gw_mcptt_usage: Option<bool>,
    /// Elements of other namespaces, kept.
    pub other: Vec<Element>,
    /// Later parameters inside `anyExt`, kept in order.
    pub any_ext: Vec<Element>,
}

/// Local names of the children of `mcptt-Params` in schema order, without `anyExt`.
const ORDER: [&str; 19] = [
    "mcptt-access-token",
    "session-type",
    "mcptt-request-uri",
    "mcptt-calling-user-id",
    "mcptt-called-party-id",
    "mcptt-calling-group-id",
    "required",
    "emergency-ind",
    "alert-ind",
    "imminentperil-ind",
    "broadcast-ind",
    "mc-org",
    "floor-state",
    "associated-group-id",
    "originated-by",
    "MKFC-GKTPs",
    "mcptt-client-id",
    "alert-ind-rcvd",
    "gw-mcptt-usage",
];

impl McpttInfo {
    /// Reads a document. Children out of schema order are accepted, repeated ones are not.
    ///
    /// # Errors
    /// [`XmlError`] of the reader, or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        Self::from_element(&crate::parse(octets)?)
    }

    /// Reads a tree.
    ///
    /// # Errors
    /// [`XmlError`] when the root is another or a value is invalid.
    pub fn from_element(root: &Element) -> Result<Self, XmlError> {
        //= TS 24.379 F.1
        root.expect(NS, "mcpttinfo")?;
        let params = root
            .find(NS, "mcptt-Params")
            .ok_or(XmlError::PeerMissing("mcptt-Params"))?;
        let mut info = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for child in params.elements() {
            if child.ns != NS {
                info.other.push(child.clone());
                continue;
            }
            if seen.contains(&child.local.as_str()) {
                return Err(XmlError::PeerDuplicate(crate::error::shortened(
                    &child.local,
                )));
            }
            seen.push(&child.local);
            info.take(child)?;
        }
        Ok(info)
    }

    fn take(&mut self, child: &Element) -> Result<(), XmlError> {
        let text = || child.trimmed_text();
        let boolean = |what| {
            parse_bool(&child.trimmed_text())
                .map(Some)
                .ok_or_else(|| XmlError::value(what, &child.trimmed_text()))
        };
        match child.local.as_str() {
            "session-type" => self.session_type = Some(text().as_str().into()),
            "broadcast-ind" => self.broadcast_ind = boolean("broadcast-ind")?,
            "gw-mcptt-usage" => self.gw_mcptt_usage = boolean("gw-mcptt-usage")?,
            "mc-org" => self.mc_org = Some(text()),
            "floor-state" => self.floor_state = Some(text()),
            "MKFC-GKTPs" => self.mkfc_gktps = Some(child.clone()),
            "anyExt" => self.any_ext = child.elements().cloned().collect(),
            local => match self.field_mut(local) {
                Some(field) => *field = Some(Content::from_element(child)?),
                None => self.other.push(child.clone()),
            },
        }
        Ok(())
    }

    /// The `contentType` field called `local`.
    fn field_mut(&mut self, local: &str) -> Option<&mut Option<Content>> {
        Some(match local {
            "mcptt-access-token" => &mut self.access_token,
            "mcptt-request-uri" => &mut self.request_uri,
            "mcptt-calling-user-id" => &mut self.calling_user_id,
            "mcptt-called-party-id" => &mut self.called_party_id,
            "mcptt-calling-group-id" => &mut self.calling_group_id,
            "required" => &mut self.required,
            "emergency-ind" => &mut self.emergency_ind,
            "alert-ind" => &mut self.alert_ind,
            "imminentperil-ind" => &mut self.imminent_peril_ind,
            "associated-group-id" => &mut self.associated_group_id,
            "originated-by" => &mut self.originated_by,
            "mcptt-client-id" => &mut self.client_id,
            "alert-ind-rcvd" => &mut self.alert_ind_rcvd,
            _ => return None,
        })
    }

    fn field(&self, local: &str) -> Option<&Content> {
        match local {
            "mcptt-access-token" => self.access_token.as_ref(),
            "mcptt-request-uri" => self.request_uri.as_ref(),
            "mcptt-calling-user-id" => self.calling_user_id.as_ref(),
            "mcptt-called-party-id" => self.called_party_id.as_ref(),
            "mcptt-calling-group-id" => self.calling_group_id.as_ref(),
            "required" => self.required.as_ref(),
            "emergency-ind" => self.emergency_ind.as_ref(),
            "alert-ind" => self.alert_ind.as_ref(),
            "imminentperil-ind" => self.imminent_peril_ind.as_ref(),
            "associated-group-id" => self.associated_group_id.as_ref(),
            "originated-by" => self.originated_by.as_ref(),
            "mcptt-client-id" => self.client_id.as_ref(),
            "alert-ind-rcvd" => self.alert_ind_rcvd.as_ref(),
            _ => None,
        }
    }

    /// The text of a child that is not of `contentType`.
    fn plain(&self, local: &str) -> Option<String> {
        match local {
            "session-type" => self.session_type.as_ref().map(|t| t.as_str().to_owned()),
            "broadcast-ind" => self.broadcast_ind.map(|b| b.to_string()),
            "gw-mcptt-usage" => self.gw_mcptt_usage.map(|b| b.to_string()),
            "mc-org" => self.mc_org.clone(),
            "floor-state" => self.floor_state.clone(),
            _ => None,
        }
    }

    /// The tree, children in schema order.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let mut params = Element::new(NS, "mcptt-Params");
        for local in ORDER {
            if let Some(content) = self.field(local) {
                params.push(content.to_element(local));
            } else if let Some(text) = self.plain(local) {
                params.push(Element::new(NS, local).text(&text));
            } else if local == "MKFC-GKTPs" {
                params
                    .children
                    .extend(self.mkfc_gktps.clone().map(Node::Element));
            }
        }
        params
            .children
            .extend(self.other.iter().cloned().map(Node::Element));
        if !self.any_ext.is_empty() {
            let mut any_ext = Element::new(NS, "anyExt");
            any_ext
                .children
                .extend(self.any_ext.iter().cloned().map(Node::Element));
            params.push(any_ext);
        }
        Element::new(NS, "mcpttinfo").child(params)
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        self.to_element().to_document()
    }

    /// A `contentType` parameter carried in `anyExt`, such as `functional-alias-URI`.
    ///
    /// # Errors
    /// [`XmlError`] when its content is invalid.
    pub fn ext_content(&self, local: &str) -> Result<Option<Content>, XmlError> {
        self.ext(local).map(Content::from_element).transpose()
    }

    /// The text of a parameter carried in `anyExt`, such as `release-reason`.
    #[must_use]
    pub fn ext_text(&self, local: &str) -> Option<String> {
        self.ext(local).map(Element::trimmed_text)
    }

    fn ext(&self, local: &str) -> Option<&Element> {
        self.any_ext.iter().find(|e| e.is(NS, local))
    }

    /// Sets a `contentType` parameter in `anyExt`.
    pub fn set_ext_content(&mut self, local: &str, content: &Content) {
        self.any_ext.retain(|e| !e.is(NS, local));
        self.any_ext.push(content.to_element(local));
    }

    /// Sets a text parameter in `anyExt`.
    pub fn set_ext_text(&mut self, local: &str, text: &str) {
        self.any_ext.retain(|e| !e.is(NS, local));
        self.any_ext.push(Element::new(NS, local).text(text));
    }

    /// The functional alias of the sender, when given in clear.
    #[must_use]
    pub fn functional_alias(&self) -> Option<String> {
        let content = self.ext_content("functional-alias-URI").ok()??;
        content.uri().map(str::to_owned)
    }
}
