//! The interface to the MC system (TS 33.180 L.4): what the gateway is as an MC client.
//!
//! One [`McClient`] performs steps T, K, G and S and holds the keys; this module turns its events
//! into [`McEvent`]s for each group's bridge and carries out their [`McCommand`]s.

use std::collections::BTreeMap;
use std::sync::Arc;

use mc_audio::Frame16k;
use mc_audio::jitter::Stamp;
use mc_client::{CallId, ClientError, ClientEvent, McClient, Rejection, SpeechFrame, Step};
use mc_ids::{GmkId, GroupId, GukId, McServiceId};
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use tokio::sync::mpsc;

use crate::bridge::{McCommand, McEvent, McTalker, Speech};
use crate::config::Config;
use crate::passthrough::Protection;
use crate::status::GatewayStatus;
use crate::user_map::Represented;

/// Events and commands that may wait: some seconds of speech.
const QUEUE: usize = 512;
/// Places kept free of speech.
const RESERVED: usize = 64;

/// One MC group.
#[derive(Debug)]
pub struct McPort {
    /// What it is told to do.
    pub commands: mpsc::Sender<McCommand>,
    /// What happens in it.
    pub events: mpsc::Receiver<McEvent>,
}

/// Identifiers of the keys that protect a group's speech.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyIds {
    /// The GMK.
    pub gmk: Option<GmkId>,
    /// Our own GUK-ID under it.
    pub own: Option<GukId>,
    /// GUK-ID of the talker heard last.
    pub heard: Option<GukId>,
}

/// The MC side.
#[derive(Debug)]
pub struct Encrypted {
    client: Arc<McClient>,
    dispatch: tokio::task::JoinHandle<()>,
}

impl Encrypted {
    /// Starts the client; what it does shows in `status`.
    ///
    /// # Errors
    /// See [`ClientError`]; servers that are not there yet are no error.
    pub async fn start(
        config: &Config,
        clock: SharedClock,
        tracer: Tracer,
        status: Arc<GatewayStatus>,
    ) -> Result<(Self, BTreeMap<GroupId, McPort>), ClientError> {
        let (client, events) = McClient::start(config.client(), clock, tracer).await?;
        let client = Arc::new(client);
        let (mut ports, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for talkgroup in &config.talkgroups {
            let group = talkgroup.group.clone();
            let (commands, told) = mpsc::channel(QUEUE);
            let (tell, heard) = mpsc::channel(QUEUE);
            tokio::spawn(obey(
                client.clone(),
                group.clone(),
                told,
                tell.clone(),
                status.clone(),
            ));
            groups.insert(
                group.clone(),
                Group {
                    events: tell,
                    last: None,
                },
            );
            ports.insert(
                group,
                McPort {
                    commands,
                    events: heard,
                },
            );
        }
        let dispatcher = Dispatcher {
            client: client.clone(),
            groups,
            status,
        };
        let dispatch = tokio::spawn(dispatcher.run(events));
        Ok((Self { client, dispatch }, ports))
    }

    /// Leaves all calls, deregisters and stops.
    pub async fn stop(self) {
        self.client.shut_down();
        // It ends when the client has told that it has stopped.
        let _ended = self.dispatch.await;
    }
}

/// Carries out a group's commands.
async fn obey(
    client: Arc<McClient>,
    group: GroupId,
    mut commands: mpsc::Receiver<McCommand>,
    events: mpsc::Sender<McEvent>,
    status: Arc<GatewayStatus>,
) {
    while let Some(command) = commands.recv().await {
        let starts = matches!(command, McCommand::StartCall(_));
        let done = match command {
            McCommand::StartCall(represented) => start_call(&client, &group, &represented).await,
            McCommand::RequestFloor(represented) => press(&client, &group, &represented).await,
            McCommand::ReleaseFloor => client.release_ptt(&group).await,
            McCommand::LeaveCall => client.hang_up(&group).await,
            McCommand::Speech(speech) => send(&client, &group, speech, &status).await,
        };
        if let Err(error) = done {
            tracing::debug!(%group, %error, "MC side did not take a command");
            if starts {
                let detail = error.to_string();
                // The bridge may be gone.
                let _gone = events
                    .send(McEvent::CallRefused { status: 0, detail })
                    .await;
            }
        }
    }
}

async fn start_call(
    client: &McClient,
    group: &GroupId,
    represented: &Represented,
) -> Result<(), ClientError> {
    match &represented.functional_alias {
        Some(alias) => client.group_call_as(group, alias).await,
        None => client.group_call(group, true).await,
    }
}

async fn press(
    client: &McClient,
    group: &GroupId,
    represented: &Represented,
) -> Result<(), ClientError> {
    match &represented.functional_alias {
        Some(alias) => client.press_ptt_as(group, alias).await,
        None => client.press_ptt(group).await,
    }
}

async fn send(
    client: &McClient,
    group: &GroupId,
    speech: Speech,
    status: &GatewayStatus,
) -> Result<(), ClientError> {
    let frame = speech.samples.to_vec();
    match client.send_speech_timed(group, frame).await? {
        Some(left) => status.counters.delay_to_mc.record(speech.worked(left)),
        None => status.counters.dropped_to_mc.add(1),
    }
    Ok(())
}

/// A group's bridge, and the frame it got last.
struct Group {
    events: mpsc::Sender<McEvent>,
    last: Option<Stamp>,
}

/// Reads the client's events.
struct Dispatcher {
    client: Arc<McClient>,
    groups: BTreeMap<GroupId, Group>,
    status: Arc<GatewayStatus>,
}

impl Dispatcher {
    async fn run(mut self, mut events: mpsc::Receiver<ClientEvent>) {
        while let Some(event) = events.recv().await {
            if matches!(event, ClientEvent::Stopped) {
                break;
            }
            self.on_event(event).await;
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is about a call"
    )]
    async fn on_event(&mut self, event: ClientEvent) {
        match event {
            ClientEvent::StepPassed(step) => self.step(step, None),
            ClientEvent::StepFailed(step, failure) => self.step(step, Some(failure.to_string())),
            ClientEvent::Registered { mcptt_id, .. } => self.status.registered(&mcptt_id),
            ClientEvent::GroupKnown {
                group, protected, ..
            } => {
                let protection = Protection::of(&group, protected);
                self.status.group_known(&group, protection);
            }
            ClientEvent::KeyReceived {
                groups,
                gmk_id,
                guk_id,
                ..
            } => {
                for group in groups {
                    self.status.key_received(&group, gmk_id, guk_id);
                }
            }
            ClientEvent::KeyRefused { detail } => {
                tracing::warn!(detail, "group key refused");
                self.status.counters.keys_refused.add(1);
            }
            ClientEvent::AliasesActive { aliases } => self.status.aliases(Ok(aliases)),
            ClientEvent::AliasesRefused { detail, .. } => self.status.aliases(Err(detail)),
            ClientEvent::Ready => {
                self.status.mc_up();
                self.tell_all(&McEvent::Up).await;
            }
            ClientEvent::Disconnected { detail } => {
                tracing::warn!(detail, "MC system lost");
                self.status.mc_down(&detail);
                self.tell_all(&McEvent::Down).await;
            }
            ClientEvent::Speech(frame) => self.on_speech(frame),
            ClientEvent::CallOffered { call, caller, .. } => self.turn_down(&call, &caller).await,
            event => {
                if let Some((call, event)) = of_call(event) {
                    self.tell(&call, event).await;
                }
            }
        }
    }

    /// A private call: there is no bridge for it.
    async fn turn_down(&self, call: &CallId, caller: &McServiceId) {
        tracing::info!(%caller, "private call turned down");
        self.status.counters.refused("private_call");
        if let Err(error) = self.client.reject(call, Rejection::Unavailable).await {
            tracing::debug!(%error, "private call not turned down");
        }
    }

    fn step(&self, step: Step, failure: Option<String>) {
        let name = match step {
            Step::T => "T",
            Step::K => "K",
            Step::G => "G",
            Step::S => "S",
            // Calls are no steps of the set-up; the bridge reports them.
            Step::C | Step::P => return,
        };
        self.status.step(name, failure);
    }

    async fn tell(&self, call: &CallId, event: McEvent) {
        if let Some(group) = call.group().and_then(|group| self.groups.get(group)) {
            // A bridge ends with the gateway only.
            let _ended = group.events.send(event).await;
        }
    }

    async fn tell_all(&self, event: &McEvent) {
        for group in self.groups.values() {
            let _ended = group.events.send(event.clone()).await;
        }
    }

    /// Speech of others; our own that comes back is dropped.
    fn on_speech(&mut self, frame: SpeechFrame) {
        let Some(id) = frame.call.group().cloned() else {
            return;
        };
        if frame
            .guk_id
            .is_some_and(|talker| !self.status.heard(&id, talker))
        {
            return self.status.counters.echoes.add(1);
        }
        let Some(group) = self.groups.get_mut(&id) else {
            return;
        };
        let stamp = group.stamp(&frame);
        let Ok(samples) = Box::<Frame16k>::try_from(frame.samples.into_boxed_slice()) else {
            return;
        };
        let speech = Speech::new(samples, frame.received);
        let full = group.events.capacity() < RESERVED;
        if full
            || group
                .events
                .try_send(McEvent::Speech(stamp, speech))
                .is_err()
        {
            self.status.counters.dropped_to_external.add(1);
        }
    }
}

/// What a client's event means to the bridge of its call.
fn of_call(event: ClientEvent) -> Option<(CallId, McEvent)> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is about the client, or tells a bridge nothing"
    )]
    Some(match event {
        ClientEvent::CallStarted { call, .. } => (call, McEvent::CallStarted),
        ClientEvent::CallRefused {
            call,
            status,
            detail,
            ..
        } => (call, McEvent::CallRefused { status, detail }),
        ClientEvent::Released { call, reason } => (call, McEvent::CallReleased { reason }),
        ClientEvent::FloorGranted { call, duration } => (call, McEvent::FloorGranted { duration }),
        ClientEvent::FloorTaken {
            call,
            talker,
            functional_alias,
        } => {
            let talker = McTalker {
                id: talker,
                functional_alias,
            };
            (call, McEvent::FloorTaken(talker))
        }
        ClientEvent::FloorIdle { call } => (call, McEvent::FloorIdle),
        ClientEvent::FloorDenied {
            call,
            cause,
            phrase,
        } => (call, McEvent::FloorDenied { cause, phrase }),
        ClientEvent::FloorQueued { call } => (call, McEvent::FloorQueued),
        ClientEvent::FloorRevoked {
            call,
            cause,
            phrase,
        } => (call, McEvent::FloorRevoked { cause, phrase }),
        ClientEvent::FloorRequestTimedOut { call } => (call, McEvent::FloorRequestTimedOut),
        _ => return None,
    })
}

impl Group {
    /// Where a frame belongs. One made up for a lost packet carries the numbers of the packet that
    /// showed the loss; it follows the frame before it.
    fn stamp(&mut self, frame: &SpeechFrame) -> Stamp {
        let own = Stamp {
            ssrc: frame.ssrc,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
        };
        let stamp = match self
            .last
            .filter(|last| last.ssrc == frame.ssrc && frame.concealed)
        {
            Some(last) => Stamp {
                sequence: last.sequence.wrapping_add(1),
                timestamp: last.timestamp.wrapping_add(320),
                ..own
            },
            None => own,
        };
        self.last = Some(stamp);
        stamp
    }
}

#[cfg(test)]
mod tests;
