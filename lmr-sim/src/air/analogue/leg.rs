//! One call leg of an analogue channel: a softphone or the gateway.

mod answer;
mod speech_in;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mc_runtime::sip::{IncomingRequest, SipEndpoint};
use mc_sip::ptt::{MEDIA_TYPE, Ptt, PttInfo};
use mc_sip::{Dialog, Method, Peer, Request, StatusCode, name};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::rtp::{FRAME_US, Playout, Sender};
use super::sip_trace;
use crate::air::AirContext;
use crate::impair::{Impairments, Link};
use crate::network::{Downlink, Frame, unix_us};
use crate::talkgroup::{ParticipantId, Talker};
pub(super) use answer::{AudioSocket, Far, acceptable, answered, label as caller};
use speech_in::{Heard, SpeechIn, Spoken};

/// Longest packet that is read.
const MAX_PACKET: usize = 2048;
/// Most packets that are read before an INFO: half a second of speech.
const MOST_WAITING: usize = 25;
/// INFO requests that may wait for the answer to the one before.
const INFO_QUEUE: usize = 16;

/// How often the connection of a leg is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// What happens in a leg's dialog.
#[derive(Debug)]
pub(super) enum LegEvent {
    /// A request inside the dialog.
    Request(Box<IncomingRequest>),
    /// The ACK for our 200.
    Acked(Box<Request>),
    /// The caller gave up before the answer.
    Cancelled,
    /// The call must end.
    Hangup,
}

/// The call.
pub(super) struct Leg {
    context: AirContext,
    endpoint: SipEndpoint,
    peer: Peer,
    dialog: Dialog,
    call_id: String,
    contact_user: String,
    socket: Arc<UdpSocket>,
    /// Our audio address as the peer sees it.
    audio: SocketAddr,
    /// Where the peer wants speech; none while it holds the call.
    remote: Option<SocketAddr>,
    sdp_version: u64,
    id: ParticipantId,
    downlink: mpsc::Receiver<Downlink>,
    speech_in: SpeechIn,
    played: Playout,
    sender: Sender,
    last_sent: Instant,
    impairments: watch::Receiver<Impairments>,
    link: Link,
    infos: mpsc::Sender<Request>,
    takes_info: Arc<AtomicBool>,
}

impl Leg {
    /// Serves the call until it ends.
    pub(super) async fn run(mut self, mut events: mpsc::Receiver<LegEvent>) {
        let shutdown = self.context.shutdown.clone();
        let mut buffer = vec![0; MAX_PACKET];
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let silence = self.speech_in.deadline();
            tokio::select! {
                event = events.recv() => match event {
                    Some(LegEvent::Request(request)) => {
                        if self.on_request(&request) {
                            break;
                        }
                    }
                    Some(LegEvent::Acked(ack)) => self.on_ack(&ack),
                    // It crossed the answer.
                    Some(LegEvent::Cancelled) => {}
                    Some(LegEvent::Hangup) | None => {
                        self.bye();
                        break;
                    }
                },
                received = self.socket.recv_from(&mut buffer) => {
                    // An ICMP error of an earlier send shows up here; the call goes on.
                    if let Ok((length, from)) = received {
                        let packet = buffer.get(..length).unwrap_or_default();
                        self.on_packet(packet, from);
                    }
                }
                Some(downlink) = self.downlink.recv() => self.on_downlink(downlink),
                () = tokio::time::sleep_until(silence.unwrap_or_else(far)), if silence.is_some() => {
                    if self.speech_in.silence() {
                        self.context.network.release(self.id);
                    }
                }
                // A peer that is gone without a word must not hold the channel.
                _ = look.tick() => if !self.endpoint.is_connected(self.peer) {
                    tracing::warn!(call_id = self.call_id, "the connection of a leg was lost");
                    break;
                },
                () = shutdown.cancelled() => {
                    self.bye();
                    break;
                }
            }
        }
        self.context.network.leave(self.id);
        tracing::info!(call_id = self.call_id, "leg left the channel");
    }

    /// A request inside the dialog; true when the call is over.
    fn on_request(&mut self, incoming: &IncomingRequest) -> bool {
        if self.dialog.on_request(&incoming.request).is_err() {
            incoming.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
            return false;
        }
        match incoming.request.method {
            Method::Bye => {
                incoming.respond_status(StatusCode::OK);
                return true;
            }
            Method::Info => self.on_info(incoming),
            Method::Invite | Method::Update => self.on_offer(incoming),
            Method::Options => incoming.respond_status(StatusCode::OK),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Message
            | Method::Publish
            | Method::Subscribe
            | Method::Notify
            | Method::Prack
            | Method::Refer => {
                let refused = incoming.response(StatusCode::METHOD_NOT_ALLOWED);
                incoming.respond(refused.with(name::ALLOW, super::allowed()));
            }
        }
        false
    }

    fn on_info(&mut self, incoming: &IncomingRequest) {
        let request = &incoming.request;
        if request.headers.content_type().as_deref() != Some(MEDIA_TYPE) {
            let refused = incoming.response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            return incoming.respond(refused.with(name::ACCEPT, MEDIA_TYPE));
        }
        let Some(info) = PttInfo::parse(&request.body) else {
            return incoming.respond_status(StatusCode::BAD_REQUEST);
        };
        incoming.respond_status(StatusCode::OK);
        match info.ptt {
            Ptt::On => {
                let talker = self.talker(&info);
                self.speech_in.signalled(true);
                if !self.context.network.press(talker) {
                    self.speech_in.refused();
                }
            }
            Ptt::Off => {
                self.hear_out();
                self.speech_in.signalled(false);
                self.context.network.release(self.id);
            }
            Ptt::Denied => self.context.network.refuse_talker(self.id),
        }
    }

    /// Takes in the speech that waits: an INFO that is read before it must not cut off what was said
    /// before the release.
    fn hear_out(&mut self) {
        let mut buffer = [0; MAX_PACKET];
        for _ in 0..MOST_WAITING {
            let Ok((length, from)) = self.socket.try_recv_from(&mut buffer) else {
                return;
            };
            self.on_packet(buffer.get(..length).unwrap_or_default(), from);
        }
    }

    fn talker(&self, info: &PttInfo) -> Talker {
        let number = |unit: &&String| !unit.is_empty() && unit.bytes().all(|b| b.is_ascii_digit());
        Talker {
            participant: self.id,
            unit: info
                .unit
                .as_ref()
                .filter(number)
                .cloned()
                .unwrap_or_else(|| self.context.network.reserved_unit()),
            name: info.talker.clone(),
            emergency: info.emergency,
        }
    }

    fn on_packet(&mut self, packet: &[u8], from: SocketAddr) {
        // Only the peer of the call is heard: the address it named, or the one it signals from.
        let Some(remote) = self.remote else { return };
        if remote.ip() != from.ip() && self.peer.address.ip() != from.ip() {
            return;
        }
        // Symmetric RTP (RFC 4961): a peer behind a translator is answered where it sends from.
        self.remote = Some(from);
        self.follow_impairments();
        if self.link.loses() {
            return;
        }
        sip_trace::media(
            &self.context.tracer,
            false,
            self.audio,
            from,
            &self.call_id,
            packet,
        );
        match self.speech_in.packet(packet) {
            Heard::Nothing => {}
            Heard::Press(spoken) => {
                let talker = self.speech_in.talker.clone();
                if self.context.network.press(talker) {
                    self.pass_on(&spoken);
                } else {
                    self.speech_in.refused();
                }
            }
            Heard::Speech(spoken) => self.pass_on(&spoken),
        }
    }

    fn pass_on(&mut self, spoken: &Spoken) {
        let mut at_us = self.played.at(spoken.stamp, unix_us());
        for frame in &spoken.frames {
            self.context.network.voice(self.id, frame, at_us);
            at_us += FRAME_US;
        }
    }

    fn on_downlink(&mut self, downlink: Downlink) {
        match downlink {
            Downlink::TalkerOn(talker) => {
                let paused = self.last_sent.elapsed().as_millis().saturating_mul(8);
                self.sender.begin(u32::try_from(paused).unwrap_or(u32::MAX));
                self.info(Ptt::On, &talker);
            }
            Downlink::TalkerOff(talker) => self.info(Ptt::Off, &talker),
            Downlink::Voice(frame) => self.send(&frame),
            Downlink::Denied => {
                self.speech_in.refused();
                let talker = self.speech_in.talker.clone();
                self.info(Ptt::Denied, &talker);
            }
        }
    }

    fn send(&mut self, frame: &Frame) {
        let Some(remote) = self.remote else { return };
        let packet = self.sender.packet(frame);
        self.last_sent = Instant::now();
        self.follow_impairments();
        if self.link.loses() {
            return;
        }
        let delay = self.link.delay();
        sip_trace::media(
            &self.context.tracer,
            true,
            self.audio,
            remote,
            &self.call_id,
            &packet,
        );
        if delay.is_zero() {
            // A full socket buffer or a vanished peer loses the packet, as a radio link would.
            let _lost = self.socket.try_send_to(&packet, remote);
            return;
        }
        let socket = Arc::clone(&self.socket);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _lost = socket.send_to(&packet, remote).await;
        });
    }

    fn follow_impairments(&mut self) {
        if self.impairments.has_changed().unwrap_or(false) {
            self.link = Link::new(*self.impairments.borrow_and_update(), self.id.0);
        }
    }

    fn info(&mut self, ptt: Ptt, talker: &Talker) {
        if !self.takes_info.load(Ordering::Relaxed) {
            return;
        }
        let info = PttInfo {
            ptt,
            unit: Some(talker.unit.clone()),
            emergency: talker.emergency,
            talker: talker.name.clone(),
        };
        let request = self
            .dialog
            .request(Method::Info)
            .with_body(MEDIA_TYPE, info.to_body());
        if self.infos.try_send(request).is_err() {
            tracing::debug!(
                call_id = self.call_id,
                "push-to-talk INFO dropped: peer is slow"
            );
        }
    }

    fn bye(&mut self) {
        let request = self.dialog.request(Method::Bye);
        let mut stream = self.endpoint.request(request, self.peer);
        tokio::spawn(async move {
            // The call is over whatever the peer says.
            let _answer = stream.final_response().await;
        });
    }
}

/// Sends INFOs one after the other; a peer that refuses one gets no more.
async fn send_infos(
    endpoint: SipEndpoint,
    peer: Peer,
    mut infos: mpsc::Receiver<Request>,
    takes_info: Arc<AtomicBool>,
) {
    while let Some(request) = infos.recv().await {
        if !takes_info.load(Ordering::Relaxed) {
            return;
        }
        let mut stream = endpoint.request(request, peer);
        let answer = tokio::time::timeout(Duration::from_secs(4), stream.final_response()).await;
        if !matches!(&answer, Ok(Ok(response)) if response.status.is_success()) {
            tracing::debug!(%peer, "peer takes no push-to-talk INFO");
            takes_info.store(false, Ordering::Relaxed);
        }
    }
}

/// A time that does not come, for a branch that is switched off.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}
