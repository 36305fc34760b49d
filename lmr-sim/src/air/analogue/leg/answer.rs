//! Answering an INVITE into a channel, and offers inside the call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mc_runtime::sip::{IncomingRequest, SipEndpoint};
use mc_sip::sdp::{PcmuMedia, Sdp};
use mc_sip::{Dialog, Headers, Multipart, Peer, Request, Response, StatusCode, name};
use rand_core::Rng;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::rtp::Sender;
use super::super::{allowed, socket, talkgroup_of};
use super::{INFO_QUEUE, Leg, SpeechIn, send_infos};
use crate::air::AirContext;
use crate::config::MediaConfig;
use crate::impair::Link;
use crate::talkgroup::Talker;

const SDP: &str = "application/sdp";

/// What an INVITE's body says.
enum Offer {
    /// Where the peer wants speech; none when it wants none now.
    Media(Option<SocketAddr>),
    /// There is none; the answer makes one.
    Absent,
}

impl Leg {
    /// Answers an INVITE into a channel; `None` when it was refused.
    pub(in super::super) async fn answer(
        context: &AirContext,
        endpoint: &SipEndpoint,
        media: &MediaConfig,
        incoming: IncomingRequest,
    ) -> Option<Self> {
        match Self::accept(context, endpoint, media, &incoming).await {
            Ok((leg, response)) => {
                incoming.respond(response);
                Some(leg)
            }
            Err(response) => {
                tracing::info!(
                    status = response.status.code(),
                    "INVITE into a channel refused"
                );
                incoming.respond(*response);
                None
            }
        }
    }

    async fn accept(
        context: &AirContext,
        endpoint: &SipEndpoint,
        media: &MediaConfig,
        incoming: &IncomingRequest,
    ) -> Result<(Self, Response), Box<Response>> {
        let refuse = |status: StatusCode| Box::new(incoming.response(status));
        let request = &incoming.request;
        unsupported(incoming)?;
        let talkgroup = talkgroup_of(request.uri.user.as_deref())
            .filter(|id| context.network.has_talkgroup(*id))
            .ok_or_else(|| refuse(StatusCode::NOT_FOUND))?;
        let offer = offer_of(incoming)?;
        let dialog =
            Dialog::uas(request, &incoming.to_tag).map_err(|_| refuse(StatusCode::BAD_REQUEST))?;
        let facing = endpoint.address_towards(incoming.from.address).ip();
        let bind = media.bind.unwrap_or_else(|| endpoint.local_address().ip());
        let udp = UdpSocket::bind((bind, 0))
            .await
            .map_err(|_| refuse(StatusCode::SERVICE_UNAVAILABLE))?;
        let port = udp
            .local_addr()
            .map_err(|_| refuse(StatusCode::SERVICE_UNAVAILABLE))?
            .port();
        let label = label(&request.headers);
        let (id, downlink) = context
            .network
            .join(talkgroup, &label)
            .map_err(|_| refuse(StatusCode::SERVICE_UNAVAILABLE))?;
        let mut rng = mc_runtime::rng();
        let talker = Talker {
            participant: id,
            unit: unit(&request.headers).unwrap_or_else(|| context.network.reserved_unit()),
            name: Some(label),
            emergency: false,
        };
        let (infos, queue) = mpsc::channel(INFO_QUEUE);
        let takes_info = Arc::new(AtomicBool::new(true));
        let senders = send_infos(
            endpoint.clone(),
            incoming.from,
            queue,
            Arc::clone(&takes_info),
        );
        tokio::spawn(senders);
        let mut impairments = context.impairments.clone();
        let link = Link::new(*impairments.borrow_and_update(), id.0);
        let leg = Self {
            context: context.clone(),
            endpoint: endpoint.clone(),
            peer: incoming.from,
            dialog,
            call_id: request.headers.call_id().unwrap_or_default().to_owned(),
            contact_user: format!("chan{talkgroup}"),
            socket: Arc::new(udp),
            audio: socket(media.advertised.unwrap_or(facing), port),
            remote: match offer {
                Offer::Media(remote) => remote,
                Offer::Absent => None,
            },
            sdp_version: 0,
            id,
            downlink,
            speech_in: SpeechIn::new(media, talker),
            sender: Sender::new(
                rng.next_u32(),
                (rng.next_u32() >> 16) as u16,
                rng.next_u32(),
            ),
            last_sent: Instant::now(),
            impairments,
            link,
            infos,
            takes_info,
        };
        let response = leg.ok(incoming);
        tracing::info!(call_id = leg.call_id, talkgroup, "leg joined the channel");
        Ok((leg, response))
    }

    /// 200 with our description: an answer, or an offer when there was none.
    fn ok(&self, incoming: &IncomingRequest) -> Response {
        let media = PcmuMedia {
            audio: self.audio,
            telephone_event: None,
        };
        let body = media.to_sdp(self.id.0, self.sdp_version).to_string();
        incoming
            .response(StatusCode::OK)
            .with(name::CONTACT, self.contact(incoming.from))
            .with(name::ALLOW, allowed())
            .with_body(SDP, body.into_bytes())
    }

    fn contact(&self, peer: Peer) -> String {
        self.endpoint.contact(&self.contact_user, peer).to_string()
    }

    /// A re-INVITE or UPDATE: hold, resume, another address.
    pub(super) fn on_offer(&mut self, incoming: &IncomingRequest) {
        match offer_of(incoming) {
            Ok(Offer::Media(remote)) => {
                self.remote = remote;
                self.sdp_version += 1;
                incoming.respond(self.ok(incoming));
            }
            Ok(Offer::Absent) if incoming.request.method == mc_sip::Method::Update => {
                incoming.respond_status(StatusCode::OK);
            }
            Ok(Offer::Absent) => incoming.respond(self.ok(incoming)),
            Err(response) => incoming.respond(*response),
        }
    }

    /// The ACK brings the answer when our 200 brought the offer.
    pub(super) fn on_ack(&mut self, ack: &Request) {
        if let Some(Ok(media)) = sdp_of(&ack.headers, &ack.body).map(|sdp| remote_of(&sdp)) {
            self.remote = media;
        }
    }
}

fn unsupported(incoming: &IncomingRequest) -> Result<(), Box<Response>> {
    let required = incoming.request.headers.elements(name::REQUIRE);
    if required.is_empty() {
        return Ok(());
    }
    let status = StatusCode::new(420);
    Err(Box::new(
        incoming
            .response(status)
            .with(name::UNSUPPORTED, required.join(", ")),
    ))
}

fn offer_of(incoming: &IncomingRequest) -> Result<Offer, Box<Response>> {
    let request = &incoming.request;
    if request.body.is_empty() {
        return Ok(Offer::Absent);
    }
    let Some(sdp) = sdp_of(&request.headers, &request.body) else {
        let known = matches!(request.headers.content_type().as_deref(), Some(SDP));
        let refused = if known {
            incoming.response(StatusCode::BAD_REQUEST)
        } else {
            incoming
                .response(StatusCode::UNSUPPORTED_MEDIA_TYPE)
                .with(name::ACCEPT, SDP)
        };
        return Err(Box::new(refused));
    };
    remote_of(&sdp)
        .map(Offer::Media)
        .map_err(|()| Box::new(incoming.response(StatusCode::NOT_ACCEPTABLE_HERE)))
}

fn sdp_of(headers: &Headers, body: &[u8]) -> Option<Sdp> {
    let parts = Multipart::of(headers, body).ok()?;
    Sdp::parse(&parts.get(SDP)?.content).ok()
}

/// Where the description wants speech; none for port 0, a null address or `a=sendonly`.
fn remote_of(sdp: &Sdp) -> Result<Option<SocketAddr>, ()> {
    let media = PcmuMedia::from_sdp(sdp).map_err(|_| ())?;
    let muted = sdp
        .audio()
        .is_some_and(|m| m.attribute("inactive").is_some() || m.attribute("sendonly").is_some());
    let usable = media.audio.port() != 0 && !media.audio.ip().is_unspecified() && !muted;
    Ok(usable.then_some(media.audio))
}

/// The unit number in From, when its user part is one.
fn unit(headers: &Headers) -> Option<String> {
    let user = headers.from().ok()?.uri.user?;
    let number = (1..=16).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_digit());
    number.then_some(user)
}

fn label(headers: &Headers) -> String {
    headers
        .from()
        .map(|from| from.uri.identity().to_string())
        .unwrap_or_default()
}
