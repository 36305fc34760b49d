//! A leg from what was negotiated: by our answer or the far end's, and offers inside the call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use mc_runtime::sip::IncomingRequest;
use mc_sip::sdp::{PcmuMedia, Sdp};
use mc_sip::{Dialog, Headers, Multipart, Peer, Request, Response, StatusCode, name};
use rand_core::Rng;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::rtp::{Playout, Sender};
use super::super::{Shared, allowed, channel_of};
use super::{INFO_QUEUE, Leg, SpeechIn, send_infos};
use crate::error::LmrError;
use crate::impair::Link;
use crate::network::ChannelId;
use crate::talkgroup::Talker;

const SDP: &str = "application/sdp";

/// What an INVITE's body says.
pub(in super::super) enum Offer {
    /// Where the peer wants speech; none when it wants none now.
    Media(Option<SocketAddr>),
    /// There is none; the answer makes one.
    Absent,
}

/// A socket for the speech of a leg.
pub(in super::super) struct AudioSocket {
    socket: UdpSocket,
    /// Its address as the peer sees it.
    pub(in super::super) audio: SocketAddr,
}

impl AudioSocket {
    pub(in super::super) async fn open(shared: &Shared, peer: Peer) -> std::io::Result<Self> {
        let (media, endpoint) = (&shared.media, &shared.endpoint);
        let facing = endpoint.address_towards(peer.address).ip();
        let bind = media.bind.unwrap_or_else(|| endpoint.local_address().ip());
        let socket = UdpSocket::bind((bind, 0)).await?;
        let port = socket.local_addr()?.port();
        let audio = super::super::socket(media.advertised.unwrap_or(facing), port);
        Ok(Self { socket, audio })
    }

    /// The description of it.
    pub(in super::super) fn description(&self) -> Vec<u8> {
        description(self.audio, 1, 0)
    }
}

/// The far end of a leg.
pub(in super::super) struct Far {
    pub(in super::super) peer: Peer,
    pub(in super::super) dialog: Dialog,
    /// Where it wants speech.
    pub(in super::super) remote: Option<SocketAddr>,
    /// Its address, for people.
    pub(in super::super) label: String,
    /// Its unit number, if its address is one.
    pub(in super::super) unit: Option<String>,
}

impl Leg {
    /// Answers an INVITE into a channel; `None` when it was refused.
    pub(in super::super) async fn answer(
        shared: &Shared,
        incoming: IncomingRequest,
    ) -> Option<Self> {
        match Self::accept(shared, &incoming).await {
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
        shared: &Shared,
        incoming: &IncomingRequest,
    ) -> Result<(Self, Response), Box<Response>> {
        let offer = acceptable(incoming)?;
        let network = &shared.context.network;
        let channel = channel_of(incoming.request.uri.user.as_deref())
            .filter(|id| network.has_channel(*id))
            .ok_or_else(|| Box::new(incoming.response(StatusCode::NOT_FOUND)))?;
        Self::accept_into(shared, incoming, offer, channel).await
    }

    /// The leg of an INVITE that is to be answered, and the answer.
    pub(in super::super) async fn accept_into(
        shared: &Shared,
        incoming: &IncomingRequest,
        offer: Offer,
        channel: ChannelId,
    ) -> Result<(Self, Response), Box<Response>> {
        let refuse = |status: StatusCode| Box::new(incoming.response(status));
        let request = &incoming.request;
        let dialog =
            Dialog::uas(request, &incoming.to_tag).map_err(|_| refuse(StatusCode::BAD_REQUEST))?;
        let full = || refuse(StatusCode::SERVICE_UNAVAILABLE);
        let audio = AudioSocket::open(shared, incoming.from).await;
        let audio = audio.map_err(|_| full())?;
        let far = Far {
            peer: incoming.from,
            dialog,
            remote: match offer {
                Offer::Media(remote) => remote,
                Offer::Absent => None,
            },
            label: label(&request.headers),
            unit: unit(&request.headers),
        };
        let user = request.uri.user.clone().unwrap_or_default();
        let leg = Self::join(shared, audio, far, channel, &user).map_err(|_| full())?;
        let response = leg.ok(incoming);
        Ok((leg, response))
    }

    /// A leg between the far end and a channel.
    pub(in super::super) fn join(
        shared: &Shared,
        socket: AudioSocket,
        far: Far,
        channel: ChannelId,
        contact_user: &str,
    ) -> Result<Self, LmrError> {
        let context = &shared.context;
        let (id, downlink) = context.network.join(channel, &far.label)?;
        let mut rng = mc_runtime::rng();
        let unit = far.unit;
        let talker = Talker {
            participant: id,
            unit: unit.unwrap_or_else(|| context.network.reserved_unit()),
            name: Some(far.label),
            emergency: false,
        };
        let (infos, queue) = mpsc::channel(INFO_QUEUE);
        let takes_info = Arc::new(AtomicBool::new(true));
        let endpoint = shared.endpoint.clone();
        let senders = send_infos(endpoint, far.peer, queue, Arc::clone(&takes_info));
        tokio::spawn(senders);
        let mut impairments = context.impairments.clone();
        let link = Link::new(*impairments.borrow_and_update(), id.0);
        let call_id = far.dialog.id().call_id.clone();
        tracing::info!(call_id, %channel, "leg joined");
        Ok(Self {
            context: context.clone(),
            endpoint: shared.endpoint.clone(),
            peer: far.peer,
            dialog: far.dialog,
            call_id,
            contact_user: contact_user.to_owned(),
            socket: Arc::new(socket.socket),
            audio: socket.audio,
            remote: far.remote,
            sdp_version: 0,
            id,
            downlink,
            played: Playout::default(),
            speech_in: SpeechIn::new(&shared.media, talker),
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
        })
    }

    /// 200 with our description: an answer, or an offer when there was none.
    fn ok(&self, incoming: &IncomingRequest) -> Response {
        let body = description(self.audio, self.id.0, self.sdp_version);
        incoming
            .response(StatusCode::OK)
            .with(name::CONTACT, self.contact(incoming.from))
            .with(name::ALLOW, allowed())
            .with_body(SDP, body)
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

fn description(audio: SocketAddr, session: u64, version: u64) -> Vec<u8> {
    let media = PcmuMedia {
        audio,
        telephone_event: None,
    };
    media.to_sdp(session, version).to_string().into_bytes()
}

/// What is offered, if it can be taken.
pub(in super::super) fn acceptable(incoming: &IncomingRequest) -> Result<Offer, Box<Response>> {
    unsupported(incoming)?;
    offer_of(incoming)
}

/// Where the answer to our INVITE wants speech.
pub(in super::super) fn answered(response: &Response) -> Result<Option<SocketAddr>, ()> {
    remote_of(&sdp_of(&response.headers, &response.body).ok_or(())?)
}

fn unsupported(incoming: &IncomingRequest) -> Result<(), Box<Response>> {
    let required = incoming.request.headers.elements(name::REQUIRE);
    if required.is_empty() {
        return Ok(());
    }
    Err(Box::new(
        incoming
            .response(StatusCode::BAD_EXTENSION)
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

/// The unit number in From, when its user part is one, plain or as `unitN`.
fn unit(headers: &Headers) -> Option<String> {
    let user = headers.from().ok()?.uri.user?;
    let user = user.strip_prefix("unit").unwrap_or(&user).to_owned();
    let number = (1..=16).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_digit());
    number.then_some(user)
}

/// Display name of the caller, else his address.
pub(in super::super) fn label(headers: &Headers) -> String {
    let Ok(from) = headers.from() else {
        return String::new();
    };
    from.display
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| from.uri.identity().to_string())
}
