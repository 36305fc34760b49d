//! One session: its floor control server, its legs, and the packets between them.
//!
//! The tasks that read the sockets take the lock, let the packet be judged and give the lock back
//! before media is copied to the listeners. A media packet costs no heap allocation unless traces
//! are on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use floor_control::FloorPacket;
use floor_control::message::FloorRequest;
use floor_control::server::{
    CallType, Condition, FloorControlServer, Input, Output, ParticipantId, Verdict,
};
use mc_ids::McServiceId;
use mc_runtime::Tracer;
use tokio::net::UdpSocket;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::counters::{Counters, Refusal};
use super::leg::{Leg, Moved};
use super::protection::FloorContext;
use super::{ImplicitRequest, MediaEvent, MediaPlaneError, RemoteMedia, SessionFacts, trace};

/// Longest floor control datagram, protection included.
pub(super) const MAX_FLOOR_PACKET: usize = 2048;
/// Longest media datagram: as long as there are.
const MAX_MEDIA_PACKET: usize = 65_536;
/// Most media packets that are read between two floor messages: half a second of speech.
const MOST_WAITING: usize = 25;

/// A session shared by the tasks of its sockets.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) facts: SessionFacts,
    state: Mutex<State>,
    /// Wakes the timer task because a timer was started that expires before all others.
    rearm: Notify,
    pub(super) closed: CancellationToken,
    counters: Arc<Counters>,
    tracer: Tracer,
    events: mpsc::UnboundedSender<MediaEvent>,
}

#[derive(Debug)]
struct State {
    floor: FloorControlServer,
    legs: BTreeMap<ParticipantId, Leg>,
    next_participant: u32,
    /// Who has declared an emergency.
    emergency: Option<ParticipantId>,
    /// Where media goes; replaced as a whole when legs change.
    listeners: Arc<[Listener]>,
    /// When the timer task will wake.
    armed: Option<Instant>,
    /// A message before and after protection.
    plain: Vec<u8>,
    wire: Vec<u8>,
}

#[derive(Debug)]
struct Listener {
    participant: ParticipantId,
    name: String,
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    remote: SocketAddr,
}

impl Session {
    pub(super) fn new(
        facts: SessionFacts,
        floor: floor_control::server::Config,
        counters: Arc<Counters>,
        tracer: Tracer,
        events: mpsc::UnboundedSender<MediaEvent>,
    ) -> Arc<Self> {
        let mut floor = FloorControlServer::new(floor);
        floor.handle(Input::Start, now());
        let state = State {
            floor,
            legs: BTreeMap::new(),
            next_participant: 0,
            emergency: None,
            listeners: Arc::new([]),
            armed: None,
            plain: Vec::with_capacity(MAX_FLOOR_PACKET),
            wire: vec![0; MAX_FLOOR_PACKET],
        };
        let session = Arc::new(Self {
            facts,
            state: Mutex::new(state),
            rearm: Notify::new(),
            closed: CancellationToken::new(),
            counters,
            tracer,
            events,
        });
        tokio::spawn(run_timers(session.clone()));
        session
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Numbers the next participant.
    pub(super) fn next_participant(&self) -> ParticipantId {
        let mut state = self.state();
        state.next_participant += 1;
        ParticipantId(state.next_participant)
    }

    /// Takes a leg in and reads its sockets; nothing is sent to it yet.
    pub(super) fn add(self: &Arc<Self>, leg: Leg) {
        tokio::spawn(read_media(
            self.clone(),
            leg.participant,
            leg.audio.clone(),
            leg.closed.clone(),
        ));
        if let Some(floor) = &leg.floor {
            tokio::spawn(read_floor(
                self.clone(),
                leg.participant,
                floor.clone(),
                leg.audio.clone(),
                leg.closed.clone(),
            ));
        }
        self.state().legs.insert(leg.participant, leg);
    }

    /// Joins a leg to the floor, or moves one that has joined.
    pub(super) fn connect(
        &self,
        participant: ParticipantId,
        remote: RemoteMedia,
    ) -> Result<ImplicitRequest, MediaPlaneError> {
        let now = now();
        let mut state = self.state();
        let leg = state
            .legs
            .get_mut(&participant)
            .ok_or(MediaPlaneError::Unknown)?;
        let joins = leg.remote.replace(remote).is_none();
        let mut profile = Box::new(leg.profile());
        let functional_alias = leg.facts.calling_alias.clone();
        if state.emergency == Some(participant) {
            profile.condition = Condition::Emergency;
        }
        state.renew_listeners();
        if !joins {
            return Ok(ImplicitRequest::None);
        }
        let implicit_request = remote.implicit_request.then(|| {
            Box::new(FloorRequest {
                functional_alias,
                ..FloorRequest::default()
            })
        });
        state.floor.handle(
            Input::Join {
                participant,
                profile,
                implicit_request,
            },
            now,
        );
        let outcome = if !remote.implicit_request {
            ImplicitRequest::None
        } else if state.floor.holder() == Some(participant) {
            ImplicitRequest::Granted
        } else {
            ImplicitRequest::NotGranted
        };
        self.settle(&mut state);
        Ok(outcome)
    }

    /// Puts an emergency in force that a participant has declared, or ends it.
    //= TS 24.380 4.1.1.4
    pub(super) fn set_emergency(&self, by: Option<ParticipantId>) {
        let now = now();
        let mut state = self.state();
        let before = std::mem::replace(&mut state.emergency, by);
        let call_type = match by {
            Some(_) => CallType::Emergency,
            None => CallType::Normal,
        };
        state.floor.handle(Input::SetCallType(call_type), now);
        for (participant, condition) in [(before, Condition::Normal), (by, Condition::Emergency)] {
            if let Some(participant) = participant {
                let input = Input::SetCondition {
                    participant,
                    condition,
                };
                state.floor.handle(input, now);
            }
        }
        self.settle(&mut state);
    }

    /// Gives a leg's floor control a new key.
    pub(super) fn rekey(
        &self,
        participant: ParticipantId,
        context: Arc<FloorContext>,
    ) -> Result<(), MediaPlaneError> {
        let mut state = self.state();
        let leg = state
            .legs
            .get_mut(&participant)
            .ok_or(MediaPlaneError::Unknown)?;
        let Some(protection) = &mut leg.protection else {
            return Err(MediaPlaneError::Refused(
                "the leg's floor control is not protected",
            ));
        };
        protection.rekey(context)
    }

    /// Whose leg it is.
    pub(super) fn user(&self, participant: ParticipantId) -> Option<McServiceId> {
        self.state()
            .legs
            .get(&participant)
            .map(|leg| leg.facts.participant.clone())
    }

    /// Takes a leg out.
    pub(super) fn remove(&self, participant: ParticipantId) {
        let mut state = self.state();
        let Some(leg) = state.legs.remove(&participant) else {
            return;
        };
        leg.closed.cancel();
        state.renew_listeners();
        if leg.remote.is_some() {
            state.floor.handle(Input::Leave { participant }, now());
            self.settle(&mut state);
        }
    }

    /// Ends the session with all its legs; nothing more is sent.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.floor.handle(Input::Release, now());
        for leg in state.legs.values() {
            leg.closed.cancel();
        }
        state.legs.clear();
        state.renew_listeners();
        self.closed.cancel();
    }

    /// Judges a media packet and copies it to everybody else.
    fn on_media(&self, talker: ParticipantId, packet: &[u8], from: SocketAddr) {
        Counters::add(&self.counters.media_received, 1);
        let listeners = {
            let mut state = self.state();
            match self.judge_media(&mut state, talker, packet, from) {
                Ok(()) => state.listeners.clone(),
                Err(why) => {
                    self.counters.media_refused(why);
                    if let Some(leg) = state.legs.get_mut(&talker) {
                        self.report_media(leg, packet, from, why);
                    }
                    return;
                }
            }
        };
        let traced = self.tracer.wants_media();
        let mut copies = 0;
        for listener in listeners.iter().filter(|one| one.participant != talker) {
            if listener
                .socket
                .try_send_to(packet, listener.remote)
                .is_err()
            {
                Counters::add(&self.counters.send_failed, 1);
                continue;
            }
            copies += 1;
            if traced {
                let (name, call) = (&listener.name, &self.facts.call_id);
                let (from, to) = (listener.local, listener.remote);
                self.tracer
                    .emit(trace::media_forwarded(call, from, name, to, packet));
            }
        }
        Counters::add(&self.counters.media_forwarded, copies);
    }

    fn judge_media(
        &self,
        state: &mut State,
        talker: ParticipantId,
        packet: &[u8],
        from: SocketAddr,
    ) -> Result<(), Refusal> {
        let now = now();
        let leg = state.legs.get_mut(&talker).ok_or(Refusal::NotConnected)?;
        if leg.admit_media(packet, from, now)? == Moved::Yes {
            state.renew_listeners();
        }
        //= TS 24.380 6.3.5
        let verdict = if state.without_floor_control() {
            Verdict::Forward
        } else {
            state.floor.media(talker, now)
        };
        self.settle(state);
        if verdict == Verdict::Drop {
            return Err(Refusal::NoPermission);
        }
        if self.tracer.wants_media()
            && let Some(leg) = state.legs.get(&talker)
        {
            self.tracer.emit(trace::media_received(
                leg,
                &self.facts.call_id,
                from,
                packet,
            ));
        }
        Ok(())
    }

    fn report_media(&self, leg: &mut Leg, packet: &[u8], from: SocketAddr, why: Refusal) {
        self.warn_once(leg, from, "media", why.text());
        if self.tracer.wants_media() {
            let call = &self.facts.call_id;
            self.tracer
                .emit(trace::media_refused(leg, call, from, packet, why));
        }
    }

    /// One line of log per leg: whoever floods us must not fill the disk too.
    fn warn_once(&self, leg: &mut Leg, from: SocketAddr, what: &'static str, why: &'static str) {
        if !leg.warned {
            leg.warned = true;
            let call = self.facts.call_id.as_str();
            tracing::warn!(call, leg = leg.facts.leg.0, %from, what, why, "packet refused");
        }
    }

    /// Opens a floor control datagram and gives its messages to the floor control server.
    fn on_floor(&self, sender: ParticipantId, packet: &mut [u8], from: SocketAddr) {
        Counters::add(&self.counters.floor_received, 1);
        let now = now();
        let mut state = self.state();
        let Some(leg) = state.legs.get_mut(&sender) else {
            return;
        };
        let wire = if self.tracer.is_on() {
            packet.to_vec()
        } else {
            Vec::new()
        };
        let length = match leg.admit_floor(packet, from, now) {
            Ok(length) => length,
            Err(why) => {
                self.counters.floor_refused(why);
                self.warn_once(leg, from, "floor control", why.text());
                self.report_floor(leg, from, &wire, why.text());
                return;
            }
        };
        let clear = packet.get(..length).unwrap_or(&[]);
        for message in FloorPacket::decode_all(clear) {
            let Some(leg) = state.legs.get(&sender) else {
                return;
            };
            match message {
                Ok(packet) => {
                    if self.tracer.is_on() {
                        let (call, octets) = (&self.facts.call_id, (&wire[..], clear));
                        trace::floor_received(leg, call, from, &packet, octets)
                            .into_iter()
                            .for_each(|event| self.tracer.emit(event));
                    }
                    state.floor.handle(
                        Input::Received {
                            from: sender,
                            packet,
                        },
                        now,
                    );
                }
                Err(error) => {
                    self.counters.floor_refused(Refusal::Malformed);
                    self.report_floor(leg, from, &wire, &error.to_string());
                }
            }
            self.settle(&mut state);
        }
    }

    fn report_floor(&self, leg: &Leg, from: SocketAddr, wire: &[u8], why: &str) {
        tracing::debug!(
            call = self.facts.call_id,
            leg = leg.facts.leg.0,
            why,
            "floor control refused"
        );
        if self.tracer.is_on() {
            let event = trace::floor_refused(leg, &self.facts.call_id, from, wire, why);
            event.into_iter().for_each(|event| self.tracer.emit(event));
        }
    }

    fn on_timeout(&self) {
        let mut state = self.state();
        state.floor.handle(Input::Timeout, now());
        self.settle(&mut state);
    }

    /// When the timer task has to wake.
    fn arm(&self) -> Option<Instant> {
        let mut state = self.state();
        state.armed = state.floor.poll_timeout();
        state.armed
    }

    /// Carries out what the floor control server wants done.
    fn settle(&self, state: &mut State) {
        let mut changed = false;
        while let Some(output) = state.floor.poll_output() {
            changed = true;
            match output {
                Output::Send { to, packet } => self.send(state, to, packet),
                Output::TalkerChanged(talker) => {
                    let talker = talker.map(|talker| talker.0);
                    tracing::debug!(call = self.facts.call_id, talker, "floor");
                }
                Output::Inactive => {
                    let session = self.facts.session;
                    // Nobody listens any more only while the process stops.
                    let _ = self.events.send(MediaEvent::FloorIdleTimeout { session });
                    // Call control that keeps the session hears of it again after another T4.
                    state.floor.handle(Input::RestartInactivity, now());
                }
                Output::Discarded {
                    participant,
                    state,
                    input,
                } => {
                    let participant = participant.map(|participant| participant.0);
                    let call = self.facts.call_id.as_str();
                    tracing::debug!(call, participant, state, input, "floor input discarded");
                }
            }
        }
        // A media packet of the talker only puts timers off.
        if changed
            && let Some(next) = state.floor.poll_timeout()
            && state.armed.is_none_or(|armed| next < armed)
        {
            self.rearm.notify_one();
        }
    }

    fn send(&self, state: &mut State, to: ParticipantId, mut packet: FloorPacket) {
        let State {
            legs, plain, wire, ..
        } = state;
        let Some(leg) = legs.get_mut(&to) else { return };
        let remote = leg.remote.and_then(|remote| remote.floor);
        let (Some(remote), Some(socket)) = (remote, leg.floor.clone()) else {
            return;
        };
        plain.clear();
        if let Some(protection) = &leg.protection {
            packet.ssrc = protection.ssrc();
        }
        if let Err(error) = packet.encode(plain) {
            tracing::warn!(call = self.facts.call_id, %error, "floor message not sent");
            return;
        }
        let octets = match &mut leg.protection {
            Some(protection) => {
                let length = protection.seal(plain, wire);
                length.and_then(|length| wire.get(..length))
            }
            None => Some(&plain[..]),
        };
        let sent = octets.is_some_and(|octets| socket.try_send_to(octets, remote).is_ok());
        let counter: &AtomicU64 = if sent {
            &self.counters.floor_sent
        } else {
            &self.counters.send_failed
        };
        Counters::add(counter, 1);
        if let Some(octets) = octets.filter(|_| self.tracer.is_on()) {
            let call = &self.facts.call_id;
            trace::floor_sent(leg, call, remote, &packet, (octets, plain))
                .into_iter()
                .for_each(|event| self.tracer.emit(event));
        }
    }
}

impl State {
    fn renew_listeners(&mut self) {
        self.listeners = self
            .legs
            .values()
            .filter_map(|leg| {
                Some(Listener {
                    participant: leg.participant,
                    name: leg.facts.participant.as_str().to_owned(),
                    socket: leg.audio.clone(),
                    local: leg.ports.audio,
                    remote: leg.remote?.audio,
                })
            })
            .collect();
    }

    /// Whether this is a call without floor control (a full-duplex private call).
    fn without_floor_control(&self) -> bool {
        self.legs.values().all(|leg| !leg.facts.floor_control)
    }
}

/// The time the machines are given; follows a paused runtime clock in tests.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

async fn run_timers(session: Arc<Session>) {
    loop {
        let next = session.arm();
        let expiry = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = session.closed.cancelled() => return,
            () = session.rearm.notified() => {}
            () = expiry => session.on_timeout(),
        }
    }
}

async fn read_media(
    session: Arc<Session>,
    leg: ParticipantId,
    socket: Arc<UdpSocket>,
    closed: CancellationToken,
) {
    let mut buffer = vec![0; MAX_MEDIA_PACKET];
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            received = socket.recv_from(&mut buffer) => {
                // An error is a listener's port that is gone, told by ICMP: not this leg's affair.
                let Ok((length, from)) = received else {
                    tokio::task::yield_now().await;
                    continue;
                };
                session.on_media(leg, buffer.get(..length).unwrap_or(&[]), from);
            }
        }
    }
}

async fn read_floor(
    session: Arc<Session>,
    leg: ParticipantId,
    socket: Arc<UdpSocket>,
    audio: Arc<UdpSocket>,
    closed: CancellationToken,
) {
    let (mut buffer, mut media) = (vec![0; MAX_FLOOR_PACKET], vec![0; MAX_MEDIA_PACKET]);
    loop {
        tokio::select! {
            () = closed.cancelled() => return,
            received = socket.recv_from(&mut buffer) => {
                let Ok((length, from)) = received else {
                    tokio::task::yield_now().await;
                    continue;
                };
                hear_out(&session, leg, &audio, &mut media);
                session.on_floor(leg, buffer.get_mut(..length).unwrap_or(&mut []), from);
            }
        }
    }
}

/// Judges the media that waits: a Floor Release that is read before it must not cut off what was
/// said before the release.
fn hear_out(session: &Session, leg: ParticipantId, audio: &UdpSocket, buffer: &mut [u8]) {
    for _ in 0..MOST_WAITING {
        let Ok((length, from)) = audio.try_recv_from(buffer) else {
            return;
        };
        session.on_media(leg, buffer.get(..length).unwrap_or(&[]), from);
    }
}
