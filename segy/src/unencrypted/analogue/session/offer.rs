//! Descriptions of the media: ours, and what the radio system's mean.

use std::net::SocketAddr;

use mc_runtime::sip::IncomingRequest;
use mc_sip::sdp::{PcmuMedia, Sdp};
use mc_sip::{Headers, Multipart, StatusCode, name};

use super::super::ALLOWED;
use super::Session;

/// Media type of descriptions.
pub(in super::super) const SDP: &str = "application/sdp";

/// Our description.
pub(in super::super) fn description(audio: SocketAddr, version: u64) -> Vec<u8> {
    let media = PcmuMedia {
        audio,
        telephone_event: None,
    };
    media.to_sdp(1, version).to_string().into_bytes()
}

/// The description is missing, or has no PCMU.
#[derive(Debug)]
pub(in super::super) struct NotAcceptable;

/// Where the peer wants speech; none for port 0, a null address or while it only sends.
pub(in super::super) fn remote_of(
    headers: &Headers,
    body: &[u8],
) -> Result<Option<SocketAddr>, NotAcceptable> {
    let parts = Multipart::of(headers, body).map_err(|_| NotAcceptable)?;
    let part = parts.get(SDP).ok_or(NotAcceptable)?;
    let sdp = Sdp::parse(&part.content).map_err(|_| NotAcceptable)?;
    let media = PcmuMedia::from_sdp(&sdp).map_err(|_| NotAcceptable)?;
    let muted = sdp
        .audio()
        .is_some_and(|m| m.attribute("inactive").is_some() || m.attribute("sendonly").is_some());
    let usable = media.audio.port() != 0 && !media.audio.ip().is_unspecified() && !muted;
    Ok(usable.then_some(media.audio))
}

impl Session {
    /// A re-INVITE or UPDATE: hold, resume, another address, or a refresh.
    pub(super) fn on_offer(&mut self, incoming: &IncomingRequest) {
        let request = &incoming.request;
        if !request.body.is_empty() {
            match remote_of(&request.headers, &request.body) {
                Ok(remote) => self.remote = remote,
                Err(NotAcceptable) => {
                    return incoming.respond_status(StatusCode::NOT_ACCEPTABLE_HERE);
                }
            }
            self.sdp_version += 1;
        }
        let contact = self.shared.endpoint.contact("segy", self.requests.peer());
        let ok = incoming
            .response(StatusCode::OK)
            .with(name::CONTACT, contact.to_string())
            .with(name::ALLOW, ALLOWED);
        let bare_update = request.method == mc_sip::Method::Update && request.body.is_empty();
        incoming.respond(if bare_update {
            ok
        } else {
            ok.with_body(SDP, description(self.audio, self.sdp_version))
        });
    }
}
