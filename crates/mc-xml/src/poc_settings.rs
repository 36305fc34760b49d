//! `poc-settings`: service settings of a client (TS 24.379 7.2.1A, 7.2.2).

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the OMA document.
pub const NS: &str = "urn:oma:params:xml:ns:poc:poc-settings";
/// Namespace of the MCS extension.
pub const MCS_NS: &str = "urn:3gpp:mcsSettings:1.0";
/// Media type of the body.
pub const MEDIA_TYPE: &str = "application/poc-settings+xml";
const PREFIX: &str = "mcs10Set";

/// `answer-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerMode {
    /// Calls are answered at once.
    Automatic,
    /// The user answers.
    Manual,
}

/// The settings of one client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PocSettings {
    /// MCPTT client ID.
    pub client_id: String,
    /// Answer mode; a client without one cannot be called.
    pub answer_mode: Option<AnswerMode>,
    /// Index of the selected user profile.
    pub user_profile_index: Option<u8>,
}

impl PocSettings {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        let root = crate::parse(octets)?;
        root.expect(NS, "poc-settings")?;
        let entity = root
            .find(NS, "entity")
            .ok_or(XmlError::PeerMissing("entity"))?;
        let answer_mode = entity
            .descend(NS, &["am-settings", "answer-mode"])
            .map(|e| match e.trimmed_text().as_str() {
                "automatic" => Ok(AnswerMode::Automatic),
                "manual" => Ok(AnswerMode::Manual),
                other => Err(XmlError::value("answer-mode", other)),
            })
            .transpose()?;
        let index = entity.find(MCS_NS, "selected-user-profile-index");
        let user_profile_index = match index {
            Some(index) => index.child_number(MCS_NS, "user-profile-index")?,
            None => None,
        };
        Ok(Self {
            client_id: entity.required_attribute("id")?,
            answer_mode,
            user_profile_index,
        })
    }

    /// The document.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut entity = Element::new(NS, "entity").attr("id", &self.client_id);
        if let Some(mode) = self.answer_mode {
            let text = match mode {
                AnswerMode::Automatic => "automatic",
                AnswerMode::Manual => "manual",
            };
            entity.push(
                Element::new(NS, "am-settings").child(Element::new(NS, "answer-mode").text(text)),
            );
        }
        if let Some(index) = self.user_profile_index {
            let inner =
                Element::prefixed(PREFIX, MCS_NS, "user-profile-index").text(&index.to_string());
            let outer = Element::prefixed(PREFIX, MCS_NS, "selected-user-profile-index");
            entity.push(outer.child(inner));
        }
        Element::new(NS, "poc-settings")
            .declare("", NS)
            .declare(PREFIX, MCS_NS)
            .child(entity)
            .to_document()
    }
}
