//! The media of one call: floor control in SRTCP under the CSK or an SPK, speech in SRTP under the GMK of the
//! group or the PCK of the private call (TS 24.380 6.2, TS 33.180 7.4 and 9.4); in clear, each, where the
//! group's document says so. Signalling is the caller's.

mod floor;
mod keys;
mod protection;
mod reorder;
mod talk;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Instant;

use floor_control::message::FloorIndicator;
use floor_control::participant::{self, FloorParticipant, Input, SetUp};
use mc_ids::McServiceId;
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use mc_trace::{Event, names};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

pub(crate) use crate::call::floor::FloorLeg;
pub(crate) use crate::call::keys::SpeechKeys;
pub(crate) use crate::call::protection::{CallProtection, SpeechProtection};

use crate::call::floor::FloorLink;
use crate::call::talk::{Listener, Talker};
use crate::call_id::CallId;
use crate::event::ClientEvent;
use crate::group_keys::GroupKeys;
use crate::state_dir::StateDir;

/// The largest packet that is read.
const MAX_PACKET: usize = 2048;
/// Most packets of speech that are read between two floor messages: half a second.
const MOST_WAITING: usize = 25;

/// What calls share with their client.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) clock: SharedClock,
    pub(crate) tracer: Tracer,
    pub(crate) node: String,
    pub(crate) mcptt_id: McServiceId,
    pub(crate) keys: Arc<RwLock<GroupKeys>>,
    pub(crate) state: Arc<Mutex<StateDir>>,
    pub(crate) events: EventSink,
}

/// Where events go; a user who does not read loses speech first.
#[derive(Debug, Clone)]
pub(crate) struct EventSink(pub(crate) mpsc::Sender<ClientEvent>);

/// Places kept free of speech.
const RESERVED: usize = 256;

impl EventSink {
    pub(crate) fn emit(&self, event: ClientEvent) {
        if matches!(event, ClientEvent::Speech(_)) && self.0.capacity() < RESERVED {
            return;
        }
        if let Err(error) = self.0.try_send(event) {
            tracing::debug!(%error, "client event not taken");
        }
    }
}

/// What a call is told.
#[derive(Debug)]
pub(crate) enum CallCommand {
    /// The user wants to talk, perhaps under a functional alias.
    Press(Option<String>),
    /// The user has finished.
    Release,
    /// One frame of the user's speech; when its packet leaves, the time is told.
    Speech(Vec<i16>, Option<oneshot::Sender<Instant>>),
    /// The call is one of an emergency, or no longer.
    Emergency(bool),
    /// The far end receives here now.
    Connect(Remote, SetUp),
    /// The call is over.
    End,
}

/// Where the far end receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) audio: SocketAddr,
    pub(crate) floor: Option<SocketAddr>,
    pub(crate) payload_type: u8,
    pub(crate) octet_align: bool,
}

/// The sockets of a call.
#[derive(Debug)]
pub(crate) struct Sockets {
    audio: UdpSocket,
    floor: UdpSocket,
}

impl Sockets {
    pub(crate) async fn bind(address: IpAddr) -> std::io::Result<Self> {
        let any = SocketAddr::new(address, 0);
        Ok(Self {
            audio: UdpSocket::bind(any).await?,
            floor: UdpSocket::bind(any).await?,
        })
    }

    pub(crate) fn addresses(&self) -> std::io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.audio.local_addr()?, self.floor.local_addr()?))
    }
}

/// The media task of one call.
pub(crate) struct Call {
    shared: Shared,
    call: CallId,
    sockets: Sockets,
    participant: FloorParticipant,
    floor: FloorLink,
    talker: Talker,
    listener: Listener,
    remote: Option<Remote>,
}

impl Call {
    /// Prepares a call; nothing is sent before [`CallCommand::Connect`].
    pub(crate) fn new(
        shared: Shared,
        call: CallId,
        protection: CallProtection,
        sockets: Sockets,
    ) -> Result<Self, String> {
        let CallProtection { speech, floor } = protection;
        let floor = FloorLink::new(&shared, &floor)?;
        let config = participant::Config::new(floor.ssrc(), shared.mcptt_id.as_str());
        Ok(Self {
            talker: Talker::new(shared.clone(), speech.clone()),
            listener: Listener::new(shared.clone(), call.clone(), speech),
            participant: FloorParticipant::new(config),
            floor,
            shared,
            call,
            sockets,
            remote: None,
        })
    }

    /// Runs until the end; the floor machine hears of the release first.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<CallCommand>) {
        let (mut audio, mut floor) = (vec![0; MAX_PACKET], vec![0; MAX_PACKET]);
        loop {
            let timeout = self.participant.poll_timeout();
            // What the far end sends before its answer arrives waits in the sockets.
            let connected = self.remote.is_some();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(CallCommand::End) | None => break,
                    Some(command) => self.on_command(command).await,
                },
                Ok((length, from)) = self.sockets.audio.recv_from(&mut audio), if connected => {
                    let received = Instant::now();
                    self.on_audio(audio.get_mut(..length).unwrap_or_default(), from, received);
                }
                Ok((length, from)) = self.sockets.floor.recv_from(&mut floor), if connected => {
                    self.hear_out(&mut audio).await;
                    self.on_floor(floor.get_mut(..length).unwrap_or_default(), from);
                }
                () = until(self.listener.poll_timeout()) => self.listener.release(Instant::now()),
                () = until(timeout) => self.participant.handle(Input::Timeout, Instant::now()),
            }
            self.drain().await;
        }
        self.listener.release_all();
        self.participant.handle(Input::CallRelease, Instant::now());
        self.drain().await;
    }

    /// Takes in the speech that waits: a Floor Idle that is read before it must not end a talker who
    /// is still to be heard.
    async fn hear_out(&mut self, buffer: &mut [u8]) {
        for _ in 0..MOST_WAITING {
            let Ok((length, from)) = self.sockets.audio.try_recv_from(buffer) else {
                break;
            };
            self.on_audio(
                buffer.get_mut(..length).unwrap_or_default(),
                from,
                Instant::now(),
            );
            self.drain().await;
        }
        self.listener.release_all();
    }

    async fn on_command(&mut self, command: CallCommand) {
        let now = Instant::now();
        match command {
            CallCommand::Press(alias) => {
                if alias.is_some() {
                    self.participant.set_functional_alias(alias);
                }
                self.participant.handle(Input::PttPressed, now);
            }
            CallCommand::Release => self.participant.handle(Input::PttReleased, now),
            CallCommand::Speech(samples, left) => self.speak(&samples, left).await,
            CallCommand::Connect(remote, set_up) => {
                let first = self.remote.is_none();
                self.remote = Some(remote);
                self.listener
                    .expect(remote.payload_type, remote.octet_align);
                if first {
                    self.participant.handle(Input::SetUp(set_up), now);
                }
            }
            CallCommand::Emergency(active) => self.participant.set_indicator(match active {
                true => FloorIndicator::EMERGENCY,
                false => FloorIndicator::NORMAL,
            }),
            CallCommand::End => {}
        }
    }

    async fn speak(&mut self, samples: &[i16], left: Option<oneshot::Sender<Instant>>) {
        let Some(remote) = self.remote else { return };
        let Some(packet) = self.talker.packet(samples, remote) else {
            return;
        };
        if let Err(error) = self.sockets.audio.send_to(packet, remote.audio).await {
            tracing::debug!(%error, "speech not sent");
        } else if let Some(left) = left {
            // Who asked may be gone.
            let _gone = left.send(Instant::now());
        }
    }

    fn on_audio(&mut self, packet: &mut [u8], from: SocketAddr, received: Instant) {
        // Media of strangers is not even tried; the far end sends from where it receives.
        if self.remote.is_none_or(|remote| remote.audio != from) {
            let why = format!("packet of a stranger at {from}");
            let event = Event::local(&names::MEDIA_REFUSED, why);
            return self.shared.tracer.emit(event);
        }
        if self.listener.packet(packet, received) {
            self.participant.handle(Input::RtpReceived, received);
        }
    }

    fn on_floor(&mut self, packet: &mut [u8], from: SocketAddr) {
        if self.remote.is_none_or(|remote| remote.floor != Some(from)) {
            return;
        }
        for message in self.floor.open(packet, from) {
            self.participant
                .handle(Input::Received(message), Instant::now());
        }
    }

    async fn drain(&mut self) {
        while let Some(output) = self.participant.poll_output() {
            self.on_output(output).await;
        }
    }

    async fn on_output(&mut self, output: participant::Output) {
        use participant::Output;
        let call = self.call.clone();
        let event = match output {
            Output::Send(packet) => return self.send_floor(&packet).await,
            Output::StartTalking(grant) | Output::GrantedAfterQueueing(grant) => {
                self.talker.start();
                ClientEvent::FloorGranted {
                    call,
                    duration: grant.duration,
                }
            }
            Output::StopTalking(reason) => {
                self.talker.stop();
                stopped(call, reason)
            }
            Output::FloorTaken(taken) => ClientEvent::FloorTaken {
                call,
                talker: taken.granted_party,
                functional_alias: taken.functional_alias,
            },
            Output::FloorIdle => ClientEvent::FloorIdle { call },
            Output::Denied { cause, phrase } => ClientEvent::FloorDenied {
                call,
                cause: cause.into(),
                phrase,
            },
            Output::QueuePosition(_) => ClientEvent::FloorQueued { call },
            Output::RequestTimedOut => ClientEvent::FloorRequestTimedOut { call },
            Output::RequestNotPermitted => ClientEvent::FloorDenied {
                call,
                cause: floor_control::message::DenyCause::ReceiveOnly.into(),
                phrase: "requests are not permitted".to_owned(),
            },
            Output::ReleaseCall => return,
            Output::Discarded { state, input } => {
                tracing::debug!(state, input, "floor input discarded");
                return;
            }
        };
        self.shared.events.emit(event);
    }

    async fn send_floor(&mut self, packet: &floor_control::FloorPacket) {
        let Some(to) = self.remote.and_then(|remote| remote.floor) else {
            return;
        };
        let Some(octets) = self.floor.seal(packet, to) else {
            return;
        };
        if let Err(error) = self.sockets.floor.send_to(octets, to).await {
            tracing::debug!(%error, "floor control not sent");
        }
    }
}

fn stopped(call: CallId, reason: participant::StopReason) -> ClientEvent {
    use participant::StopReason;
    match reason {
        StopReason::Revoked { cause, phrase } => ClientEvent::FloorRevoked {
            call,
            cause: cause.into(),
            phrase,
        },
        StopReason::FloorLost => ClientEvent::FloorRevoked {
            call,
            cause: floor_control::message::RevokeCause::Other.into(),
            phrase: "the floor went to somebody else".to_owned(),
        },
        StopReason::Released | StopReason::CallReleased => ClientEvent::FloorReleased { call },
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
