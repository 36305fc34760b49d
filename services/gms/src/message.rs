//! The SIP requests of this server, without sending them.

use mc_sip::{BodyPart, Method, Multipart, NameAddr, ParseError, Request, Uri, mcptt, name, token};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::xcap_diff::{self, XcapDiff};
use rand_core::CryptoRng;

/// The event package of document changes (RFC 5875).
pub const EVENT_PACKAGE: &str = "xcap-diff";

/// The MESSAGE that brings an I_MESSAGE to one member.
///
/// # Errors
/// [`ParseError`] when an identity is no URI.
pub fn key_delivery(
    gms: &str,
    impu: &str,
    mcptt_id: &str,
    i_message: Vec<u8>,
    rng: &mut impl CryptoRng,
) -> Result<Request, ParseError> {
    //= TS 33.180 7.3.2
    let from_uri: Uri = gms.parse()?;
    let target: Uri = impu.parse()?;
    let from = NameAddr::new(from_uri).with_tag(&token::tag(rng));
    let call_id = token::call_id(rng);
    let to = NameAddr::new(target.clone());
    let mut request = Request::new(Method::Message, target, &from, &to, &call_id, 1)
        .with(name::P_ASSERTED_SERVICE, mcptt::ICSI)
        .with(name::P_ASSERTED_IDENTITY, format!("<{gms}>"));
    mcptt::push_accept_contact(&mut request.headers);
    let info = McpttInfo {
        request_uri: Some(Content::uri_value(mcptt_id)),
        ..McpttInfo::default()
    };
    let body = Multipart::default()
        .with(BodyPart::new(mcptt::media::MCPTT_INFO, info.to_xml()))
        .with(BodyPart::new(mcptt::media::MIKEY, i_message));
    let (kind, octets) = body.write(&token::boundary(rng));
    Ok(request.with_body(&kind, octets))
}

/// Completes the NOTIFY of a dialog with what changed; `remaining_s` of 0 ends the subscription.
#[must_use]
pub fn notification(request: Request, diff: &XcapDiff, remaining_s: u64) -> Request {
    //= TS 24.481 6.3.13.3
    let state = match remaining_s {
        0 => "terminated;reason=timeout".to_owned(),
        seconds => format!("active;expires={seconds}"),
    };
    request
        .with(name::EVENT, EVENT_PACKAGE)
        .with(name::SUBSCRIPTION_STATE, state)
        .with_body(xcap_diff::MEDIA_TYPE, diff.to_xml().into_bytes())
}
