//! XML bodies: opened with and made under the CSK of a client, or the SPK of its system.

use mc_client::{Demand, Seal};
use mc_ids::CskId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::{Multipart, StatusCode};
use mc_xml::affiliation::AffiliationPresence;
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::security::XmlProtection;

use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;

/// The parts of a request, and its mcptt-info in clear.
#[derive(Debug)]
pub struct OpenedBody {
    /// All parts.
    pub parts: Multipart,
    /// The mcptt-info, decrypted.
    pub info: McpttInfo,
}

/// What bodies of a sender must be.
#[must_use]
pub(crate) fn demand(server: &Server, sender: &Binding) -> Demand {
    match &sender.partner {
        Some(partner) => partner.demand(),
        None => server.parts.config.bodies.demand(),
    }
}

/// How bodies for a client are made: those for another system always protected.
#[must_use]
pub(crate) fn seal<'a>(server: &Server, receiver: &'a Binding) -> Seal<'a> {
    match (&receiver.partner, &receiver.bodies) {
        (Some(_), Some(keys)) => Seal::full(keys),
        (_, keys) => Seal::configured(keys.as_ref(), &server.parts.config.bodies),
    }
}

/// Opens the bodies of a sender's request.
///
/// # Errors
/// 400 for bodies that cannot be read, 403 with Warning 140 for content in clear or under another
/// key, 403 with Warning 139 for a body that is not signed or was changed.
pub(crate) fn open(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
) -> Result<OpenedBody, Refusal> {
    let parts = parts(request)?;
    let info = demand(server, sender).open(&parts, sender.bodies.as_ref())?;
    Ok(OpenedBody { parts, info })
}

/// The parts of a request.
///
/// # Errors
/// 400 when the body cannot be split.
pub fn parts(request: &IncomingRequest) -> Result<Multipart, Refusal> {
    Multipart::of(&request.request.headers, &request.request.body)
        .map_err(|error| Refusal::malformed(format!("body: {error}")))
}

/// The pidf of a sender's request, its attributes in clear.
///
/// # Errors
/// 415 when there is none, else as [`open`].
pub(crate) fn presence(
    server: &Server,
    parts: &Multipart,
    sender: &Binding,
) -> Result<AffiliationPresence, Refusal> {
    let part = parts
        .get(mc_sip::mcptt::media::PIDF)
        .ok_or(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE).because("no pidf"))?;
    let opened = demand(server, sender).presence(part, sender.bodies.as_ref());
    Ok(opened?)
}

/// A URI value of an opened mcptt-info.
#[must_use]
pub fn uri(content: Option<&Content>) -> Option<&str> {
    content.and_then(Content::uri)
}

/// The keys for XML bodies of a client (TS 33.180 9.3.2).
#[must_use]
pub fn keys(csk: &mc_ids::Csk, id: CskId, user: &str) -> XmlProtection {
    XmlProtection::derive(
        csk,
        id.key_id(),
        user,
        mc_ids::annex_f::XpkIdEncoding::default(),
    )
}
