//! Constants and header fields of TS 24.379.

use crate::header::{Headers, name};
use crate::name_addr::NameAddr;
use crate::params::{Params, split_unquoted};

/// The media feature tag of MCPTT clients and functions, with the RFC 3840 prefix for non-base tags.
pub const FEATURE_TAG: &str = "+g.3gpp.mcptt";
/// The media feature tag that carries the communication service identifier.
pub const ICSI_REF: &str = "+g.3gpp.icsi-ref";
/// The MCPTT communication service identifier.
pub const ICSI: &str = "urn:urn-7:3gpp-service.ims.icsi.mcptt";
/// The same, percent-encoded and quoted as it stands in a feature tag value.
pub const ICSI_FEATURE_VALUE: &str = "\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mcptt\"";
/// Feature tag of a conference focus; a base tag, so it has no prefix.
pub const ISFOCUS: &str = "isfocus";
/// Expires of affiliation and settings publications and subscriptions (TS 24.379 9.2.1.2).
pub const EXPIRES_FOREVER: u32 = u32::MAX;

/// Media types of the bodies of TS 24.379.
pub mod media {
    /// MCPTT information, Annex F.1.
    pub const MCPTT_INFO: &str = "application/vnd.3gpp.mcptt-info+xml";
    /// XML signatures, clause 6.6.3.
    pub const MCPTT_SIGNED: &str = "application/vnd.3gpp.mcptt-signed+xml";
    /// Session description.
    pub const SDP: &str = "application/sdp";
    /// MIKEY message.
    pub const MIKEY: &str = "application/mikey";
    /// Presence document with affiliations.
    pub const PIDF: &str = "application/pidf+xml";
    /// Service settings.
    pub const POC_SETTINGS: &str = "application/poc-settings+xml";
    /// Resource lists.
    pub const RESOURCE_LISTS: &str = "application/resource-lists+xml";
    /// Conference state.
    pub const CONFERENCE_INFO: &str = "application/conference-info+xml";
    /// XCAP differences.
    pub const XCAP_DIFF: &str = "application/xcap-diff+xml";
}

/// How a private call begins at the called party (TS 24.379 6.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commencement {
    /// The client answers by itself, if its user has set that.
    Automatic,
    /// The user is alerted and answers.
    Manual,
    /// The client answers by itself, whatever its user has set; needs a right of its own.
    ForcedAutomatic,
}

impl Commencement {
    /// What Answer-Mode and Priv-Answer-Mode ask for (RFC 5373); `None` when they ask for nothing
    /// that is known. `Automatic`, which TS 24.379 11.1.1.2.2.1 writes, is taken for `Auto`.
    #[must_use]
    pub fn read(headers: &Headers) -> Option<Self> {
        let mode = |field| {
            let value = headers.get(field)?.split(';').next()?.trim();
            match value.to_ascii_lowercase().as_str() {
                "auto" | "automatic" => Some(Self::Automatic),
                "manual" => Some(Self::Manual),
                _ => None,
            }
        };
        match mode(name::PRIV_ANSWER_MODE) {
            Some(Self::Automatic | Self::ForcedAutomatic) => Some(Self::ForcedAutomatic),
            Some(Self::Manual) => Some(Self::Manual),
            None => mode(name::ANSWER_MODE),
        }
    }

    /// The header field that asks for it.
    //= TS 24.379 6.2.3
    #[must_use]
    pub const fn header(self) -> (&'static str, &'static str) {
        match self {
            Self::Automatic => (name::ANSWER_MODE, "Auto"),
            Self::Manual => (name::ANSWER_MODE, "Manual"),
            Self::ForcedAutomatic => (name::PRIV_ANSWER_MODE, "Auto"),
        }
    }

    /// Whether the client answers by itself.
    #[must_use]
    pub const fn is_automatic(self) -> bool {
        matches!(self, Self::Automatic | Self::ForcedAutomatic)
    }
}

/// Adds the MCPTT feature tag and the service identifier to a Contact.
#[must_use]
pub fn contact_features(contact: NameAddr) -> NameAddr {
    contact
        .with_param(FEATURE_TAG, None)
        .with_param(ICSI_REF, Some(ICSI_FEATURE_VALUE))
}

/// Adds the two Accept-Contact header fields of an MCPTT request.
//= TS 24.379 6.2.4.1
pub fn push_accept_contact(headers: &mut Headers) {
    headers.push(
        name::ACCEPT_CONTACT,
        format!("*;{FEATURE_TAG};require;explicit"),
    );
    headers.push(
        name::ACCEPT_CONTACT,
        format!("*;{ICSI_REF}={ICSI_FEATURE_VALUE};require;explicit"),
    );
}

/// Whether Accept-Contact asks for the MCPTT feature tag; a missing `+` is tolerated.
#[must_use]
pub fn accepts_mcptt(headers: &Headers) -> bool {
    headers.elements(name::ACCEPT_CONTACT).iter().any(|value| {
        let params = split_unquoted(value, ';')
            .into_iter()
            .skip(1)
            .collect::<Vec<_>>()
            .join(";");
        Params::parse(&params).is_ok_and(|params| has_mcptt(&params))
    })
}

/// Whether contact parameters carry the MCPTT feature tag; a missing `+` is tolerated.
#[must_use]
pub fn has_mcptt(params: &Params) -> bool {
    params.has(FEATURE_TAG) || params.has("g.3gpp.mcptt")
}

/// Whether a Contact is that of a conference focus.
#[must_use]
pub fn is_focus(contact: &NameAddr) -> bool {
    contact.params.has(ISFOCUS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commencement_survives_its_header_field_and_both_spellings_are_read() {
        for commencement in [
            Commencement::Automatic,
            Commencement::Manual,
            Commencement::ForcedAutomatic,
        ] {
            let (field, value) = commencement.header();
            let mut headers = Headers::default();
            headers.push(field, value);
            assert_eq!(Commencement::read(&headers), Some(commencement));
        }
        let mut headers = Headers::default();
        assert_eq!(Commencement::read(&headers), None);
        headers.push(name::ANSWER_MODE, "Automatic;require");
        assert_eq!(Commencement::read(&headers), Some(Commencement::Automatic));
        headers.push(name::PRIV_ANSWER_MODE, "Manual");
        assert_eq!(Commencement::read(&headers), Some(Commencement::Manual));
        headers.set(name::PRIV_ANSWER_MODE, "perhaps");
        assert_eq!(Commencement::read(&headers), Some(Commencement::Automatic));
    }
}
