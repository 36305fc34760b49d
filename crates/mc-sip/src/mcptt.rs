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
