//! One call into a channel, from its INVITE to its end.

mod dialog;
mod offer;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mc_runtime::CancellationToken;
use mc_runtime::sip::IncomingRequest;
use mc_sip::ptt::{MEDIA_TYPE, Ptt, PttInfo};
use mc_sip::{Dialog, Method, StatusCode, name};
use mc_trace::{Endpoint, Event, names};
use rand_core::Rng;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use super::listener::Listener;
use super::speaker::Speaker;
use super::{ALLOWED, Shared};
use crate::bridge::{ExternalCommand, ExternalEvent, ExternalTalker};
use crate::unencrypted::AdapterPort;
use dialog::Requests;
pub(super) use dialog::{Audio, Established, Registered, Target, register};
pub(super) use offer::{SDP, description, remote_of};

/// The largest packet that is read.
const MAX_PACKET: usize = 2048;

/// How often the connection of a call is looked at.
const LOOK: Duration = Duration::from_millis(200);

/// Why a call is over.
#[derive(Debug)]
pub(super) enum End {
    /// We stop.
    Stopped,
    /// The radio system ended it or is gone.
    Lost(String),
}

/// A call that is up.
#[derive(Debug)]
pub(super) struct Session {
    shared: Shared,
    call_id: String,
    dialog: Dialog,
    incoming: mpsc::Receiver<IncomingRequest>,
    requests: Requests,
    socket: UdpSocket,
    /// Our audio address as the peer sees it.
    audio: SocketAddr,
    /// Where the peer wants speech; none while it holds the call.
    remote: Option<SocketAddr>,
    sdp_version: u64,
    listener: Listener,
    speaker: Speaker,
    /// Ends the call as the shutdown does.
    ended: CancellationToken,
    _registered: Registered,
}

impl Session {
    pub(super) fn new(
        shared: &Shared,
        established: Established,
        incoming: mpsc::Receiver<IncomingRequest>,
        registered: Registered,
    ) -> Self {
        let mut rng = mc_runtime::rng();
        let silence = Duration::from_millis(shared.config.silence_ms);
        let [ssrc, timestamp, sequence] = [rng.next_u32(), rng.next_u32(), rng.next_u32()];
        let sequence = u16::try_from(sequence >> 16).unwrap_or_default();
        Self {
            shared: shared.clone(),
            call_id: established.dialog.id().call_id.clone(),
            requests: Requests::start(shared.endpoint.clone(), established.peer),
            dialog: established.dialog,
            incoming,
            socket: established.audio.socket,
            audio: established.audio.address,
            remote: established.remote,
            sdp_version: 0,
            listener: Listener::new(silence, Instant::now()),
            speaker: Speaker::new(ssrc, sequence, timestamp),
            ended: CancellationToken::new(),
            _registered: registered,
        }
    }

    /// The same call, which this ends too.
    pub(super) fn ended_by(self, ended: CancellationToken) -> Self {
        Self { ended, ..self }
    }

    /// Serves the call until it ends.
    pub(super) async fn serve(mut self, port: &mut AdapterPort) -> End {
        let shutdown = self.shared.context.shutdown.clone();
        let mut buffer = vec![0; MAX_PACKET];
        let mut check = tokio::time::interval(Duration::from_secs(self.shared.config.keepalive_s));
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        check.tick().await;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = self.listener.due();
            let mut events = Vec::new();
            tokio::select! {
                command = port.commands.recv() => match command {
                    Some(command) => self.on_command(command),
                    None => {
                        self.bye().await;
                        return End::Stopped;
                    }
                },
                request = self.incoming.recv() => match request {
                    Some(request) => match self.on_request(&request) {
                        Ok(told) => events = told,
                        Err(end) => return end,
                    },
                    None => return End::Lost("SIP endpoint has stopped".to_owned()),
                },
                received = self.socket.recv_from(&mut buffer) => {
                    // An ICMP error of an earlier send shows up here; the call goes on.
                    if let Ok((length, from)) = received {
                        let packet = buffer.get(..length).unwrap_or_default();
                        events = self.on_packet(packet, from);
                    }
                }
                () = sleep_until(due) => events = self.listener.tick(Instant::now()),
                why = self.requests.lost() => return End::Lost(why),
                // A radio system that was started again knows no call of before.
                _ = look.tick() => if !self.requests.is_connected() {
                    return End::Lost("the connection was lost".to_owned());
                },
                _ = check.tick() => self.requests.send(self.dialog.request(Method::Options)),
                () = self.ended.cancelled() => {
                    self.bye().await;
                    return End::Lost("not confirmed".to_owned());
                }
                () = shutdown.cancelled() => {
                    self.bye().await;
                    return End::Stopped;
                }
            }
            self.shared
                .context
                .counters
                .concealed_from_external
                .add(self.listener.take_concealed());
            for event in events {
                if port.events.send(event).await.is_err() {
                    self.bye().await;
                    return End::Stopped;
                }
            }
        }
    }

    fn on_command(&mut self, command: ExternalCommand) {
        let now = Instant::now();
        match command {
            ExternalCommand::Press(shown) => {
                self.speaker.begin();
                self.info(&PttInfo {
                    unit: Some(shown.unit),
                    talker: shown.name,
                    emergency: shown.emergency,
                    ..PttInfo::bare(Ptt::On)
                });
            }
            ExternalCommand::Release => self.info(&PttInfo::bare(Ptt::Off)),
            ExternalCommand::Refuse => self.info(&PttInfo::bare(Ptt::Denied)),
            ExternalCommand::Speech(speech) => {
                let packet = self.speaker.speech(&speech.samples, now);
                if self.send(&packet) {
                    let delay = speech.worked(Instant::now());
                    self.shared.context.counters.delay_to_external.record(delay);
                }
            }
            ExternalCommand::Lost => {
                let packet = self.speaker.lost(now);
                self.send(&packet);
            }
            ExternalCommand::Silence => self.speaker.silence(),
            // The call is up.
            ExternalCommand::Alert | ExternalCommand::Answer | ExternalCommand::Reject(_) => {}
        }
    }

    fn info(&mut self, info: &PttInfo) {
        let request = self.dialog.request(Method::Info);
        self.requests
            .send(request.with_body(MEDIA_TYPE, info.to_body()));
    }

    /// Sends a packet of speech; a full socket loses it, as a radio link would.
    fn send(&self, packet: &[u8]) -> bool {
        let Some(remote) = self.remote else {
            return false;
        };
        let sent = self.socket.try_send_to(packet, remote).is_ok();
        if sent {
            self.trace(true, remote, packet);
        }
        sent
    }

    fn on_packet(&mut self, packet: &[u8], from: SocketAddr) -> Vec<ExternalEvent> {
        // Only the peer of the call is heard: the host it named, or the one it signals from.
        let named = self.remote.is_some_and(|remote| remote.ip() == from.ip());
        if !named && self.requests.peer().address.ip() != from.ip() {
            return Vec::new();
        }
        self.trace(false, from, packet);
        self.listener.packet(packet, Instant::now())
    }

    /// A request of the radio system in this call.
    fn on_request(&mut self, incoming: &IncomingRequest) -> Result<Vec<ExternalEvent>, End> {
        let request = &incoming.request;
        if self.dialog.on_request(request).is_err() {
            incoming.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
            return Ok(Vec::new());
        }
        match request.method {
            Method::Bye => {
                incoming.respond_status(StatusCode::OK);
                return Err(End::Lost("released by the radio system".to_owned()));
            }
            Method::Info => return Ok(self.on_info(incoming)),
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
                incoming.respond(refused.with(name::ALLOW, ALLOWED));
            }
        }
        Ok(Vec::new())
    }

    fn on_info(&mut self, incoming: &IncomingRequest) -> Vec<ExternalEvent> {
        let request = &incoming.request;
        if request.headers.content_type().as_deref() != Some(MEDIA_TYPE) {
            let refused = incoming.response(StatusCode::UNSUPPORTED_MEDIA_TYPE);
            incoming.respond(refused.with(name::ACCEPT, MEDIA_TYPE));
            return Vec::new();
        }
        let Some(info) = PttInfo::parse(&request.body) else {
            incoming.respond_status(StatusCode::BAD_REQUEST);
            return Vec::new();
        };
        incoming.respond_status(StatusCode::OK);
        let now = Instant::now();
        match info.ptt {
            Ptt::On => {
                let talker = ExternalTalker {
                    unit: info.unit.filter(|unit| !unit.is_empty()),
                    emergency: info.emergency,
                };
                self.listener.pressed(talker, now)
            }
            Ptt::Off => {
                self.listener.released(now);
                Vec::new()
            }
            Ptt::Denied => vec![ExternalEvent::PressDenied],
        }
    }

    async fn bye(&mut self) {
        let bye = self.dialog.request(Method::Bye);
        self.requests.bye(bye).await;
    }

    fn trace(&self, sent: bool, peer: SocketAddr, packet: &[u8]) {
        let context = &self.shared.context;
        if !context.tracer.wants_media() {
            return;
        }
        let (own, peer) = (
            Endpoint::new(context.node.clone(), self.audio),
            Endpoint::at(peer),
        );
        let event = if sent {
            Event::sent(&names::LMR_MEDIA_SENT, own, peer, packet)
        } else {
            Event::received(&names::LMR_MEDIA_RECEIVED, peer, own, packet)
        };
        context.tracer.emit(event.call(self.call_id.clone()));
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
