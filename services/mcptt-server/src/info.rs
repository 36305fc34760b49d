//! mcptt-info bodies: opened with and written under the CSK of one client.

use mc_ids::CskId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::{BodyPart, McWarning, Multipart, StatusCode, mcptt::media};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::security::XmlProtection;

use crate::refusal::Refusal;

/// The parts of a request, and its mcptt-info in clear.
#[derive(Debug)]
pub struct OpenedBody {
    /// All parts.
    pub parts: Multipart,
    /// The mcptt-info, decrypted.
    pub info: McpttInfo,
}

/// Opens the bodies of a request.
///
/// # Errors
/// 400 for bodies that cannot be read, 403 with Warning 140 for content under another key.
pub fn open(
    request: &IncomingRequest,
    keys: Option<&XmlProtection>,
    require_encrypted: bool,
) -> Result<OpenedBody, Refusal> {
    let parts = parts(request)?;
    let part = parts
        .get(media::MCPTT_INFO)
        .ok_or(Refusal::status(StatusCode::BAD_REQUEST))?;
    let info = read(part, keys, require_encrypted)?;
    Ok(OpenedBody { parts, info })
}

/// The parts of a request.
///
/// # Errors
/// 400 when the body cannot be split.
pub fn parts(request: &IncomingRequest) -> Result<Multipart, Refusal> {
    Multipart::of(&request.request.headers, &request.request.body)
        .map_err(|_| Refusal::status(StatusCode::BAD_REQUEST))
}

/// Reads one mcptt-info part.
///
/// # Errors
/// As [`open`].
//= TS 24.379 6.6.2
pub fn read(
    part: &BodyPart,
    keys: Option<&XmlProtection>,
    require_encrypted: bool,
) -> Result<McpttInfo, Refusal> {
    let mut info =
        McpttInfo::parse(&part.content).map_err(|_| Refusal::status(StatusCode::BAD_REQUEST))?;
    let undecryptable = || Refusal::forbidden(McWarning::UnableToDecryptXml);
    if info.is_protected() {
        let keys = keys.ok_or_else(undecryptable)?;
        info.decrypt(keys).map_err(|_| undecryptable())?;
    } else if require_encrypted {
        return Err(undecryptable());
    }
    Ok(info)
}

/// A URI value of an opened mcptt-info.
#[must_use]
pub fn uri(content: Option<&Content>) -> Option<&str> {
    content.and_then(Content::uri)
}

/// A part with this mcptt-info, encrypted when keys are given.
#[must_use]
pub fn write(mut info: McpttInfo, keys: Option<&XmlProtection>) -> BodyPart {
    if let Some(keys) = keys {
        info.encrypt(keys, &mut mc_runtime::rng());
    }
    BodyPart::new(media::MCPTT_INFO, info.to_xml())
}

/// The keys for XML bodies of a client (TS 33.180 9.3.2).
#[must_use]
pub fn protection(csk: &mc_ids::Csk, id: CskId, user: &str) -> XmlProtection {
    XmlProtection::derive(
        csk,
        id.key_id(),
        user,
        mc_ids::annex_f::XpkIdEncoding::default(),
    )
}
