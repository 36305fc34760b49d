//! The handle through which a user drives a client.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use mc_ids::{GroupId, McServiceId};
use mc_runtime::CancellationToken;
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use mc_sip::mcptt::Commencement;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::attachment::Attachment;
use crate::call::{CallCommand, EventSink};
use crate::call_id::CallId;
use crate::client::Client;
use crate::config::ClientConfig;
use crate::event::ClientEvent;

/// Events a user may leave unread.
const EVENTS: usize = 4096;

/// Why a request to a client comes to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration or the state directory cannot be used.
    #[error("client: {0}")]
    Configuration(String),
    /// The SIP address cannot be bound.
    #[error("client SIP address: {0}")]
    Bind(#[from] std::io::Error),
    /// The call is not up.
    #[error("no call {0}")]
    NoCall(CallId),
    /// The client has stopped.
    #[error("client has stopped")]
    Stopped,
}

/// Whom a private call is made to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callee {
    /// A user.
    User(McServiceId),
    /// Whoever has this functional alias active (TS 24.379 9A).
    FunctionalAlias(String),
}

/// A private call with floor control that a user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateCall {
    /// The called party.
    pub callee: Callee,
    /// How it begins.
    pub commencement: Commencement,
    /// Whether the call itself asks for the floor.
    pub implicit_floor: bool,
    /// The active functional alias of ours that we call under.
    pub functional_alias: Option<String>,
}

/// Whether a group call asks for the floor by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CallFloor {
    /// It does not.
    Listen,
    /// It does.
    Request,
    /// It does, for this functional alias.
    RequestAs(String),
}

/// How an offered call is turned down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The user does not want it: 480 with Warning 110.
    Declined,
    /// 486.
    Busy,
    /// Nobody answers, or cannot be reached now: 480.
    Unavailable,
    /// There is no such party behind this client: 404.
    Unknown,
}

/// What the user wants of the client's signalling.
#[derive(Debug)]
pub(crate) enum Command {
    /// Make a group call.
    GroupCall { group: GroupId, floor: CallFloor },
    /// Declare an emergency in a group and ask for the floor, perhaps under a functional alias.
    Emergency {
        group: GroupId,
        alias: Option<String>,
    },
    /// End the emergency of a group.
    EndEmergency { group: GroupId },
    /// Make a private call.
    PrivateCall { call: CallId, wanted: PrivateCall },
    /// Answer an offered call.
    Accept { call: CallId },
    /// Turn an offered call down.
    Reject { call: CallId, how: Rejection },
    /// Leave a call.
    HangUp { call: CallId },
    /// Have exactly these functional aliases active.
    Aliases { aliases: Vec<String> },
}

/// The media tasks of the calls that are up.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallTable {
    calls: Arc<Mutex<BTreeMap<CallId, mpsc::Sender<CallCommand>>>>,
    last_private: Arc<AtomicU64>,
}

impl CallTable {
    fn calls(&self) -> MutexGuard<'_, BTreeMap<CallId, mpsc::Sender<CallCommand>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, call: CallId, commands: mpsc::Sender<CallCommand>) {
        self.calls().insert(call, commands);
    }

    pub(crate) fn remove(&self, call: &CallId) -> Option<mpsc::Sender<CallCommand>> {
        self.calls().remove(call)
    }

    pub(crate) fn get(&self, call: &CallId) -> Option<mpsc::Sender<CallCommand>> {
        self.calls().get(call).cloned()
    }

    /// Names the next private call.
    pub(crate) fn next_private(&self) -> CallId {
        CallId::Private(self.last_private.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A running client; dropping it stops the client.
#[derive(Debug)]
pub struct McClient {
    commands: mpsc::Sender<Command>,
    calls: CallTable,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl McClient {
    /// Starts a client, which goes through its steps, and starts again when it loses its servers,
    /// until it is stopped. What happens comes out of the receiver; it must be read.
    ///
    /// # Errors
    /// See [`ClientError`]; servers that are not there yet are no error.
    pub async fn start(
        config: ClientConfig,
        clock: SharedClock,
        tracer: Tracer,
    ) -> Result<(Self, mpsc::Receiver<ClientEvent>), ClientError> {
        Self::start_at(Attachment::Registered, config, clock, tracer).await
    }

    /// As [`Self::start`], for a client that is attached in this way.
    ///
    /// # Errors
    /// See [`ClientError`]; servers that are not there yet are no error.
    pub async fn start_at(
        attachment: Attachment,
        config: ClientConfig,
        clock: SharedClock,
        tracer: Tracer,
    ) -> Result<(Self, mpsc::Receiver<ClientEvent>), ClientError> {
        let (events, receiver) = mpsc::channel(EVENTS);
        let (commands, queue) = mpsc::channel(64);
        let (stop, calls) = (CancellationToken::new(), CallTable::default());
        let sink = EventSink(events);
        let (calls_of, stopped) = (calls.clone(), stop.clone());
        let opened = Client::open(attachment, config, clock, tracer, sink, calls_of, stopped);
        let client = opened.await?;
        let task = Some(tokio::spawn(client.run(queue)));
        Ok((
            Self {
                commands,
                calls,
                stop,
                task,
            },
            receiver,
        ))
    }

    /// Calls a group; with `implicit_floor` the call itself asks for the floor. The outcome is
    /// [`ClientEvent::CallStarted`] or [`ClientEvent::CallRefused`].
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn group_call(
        &self,
        group: &GroupId,
        implicit_floor: bool,
    ) -> Result<(), ClientError> {
        let floor = match implicit_floor {
            true => CallFloor::Request,
            false => CallFloor::Listen,
        };
        let group = group.clone();
        self.command(Command::GroupCall { group, floor }).await
    }

    /// Calls a group and asks for the floor under a functional alias.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn group_call_as(&self, group: &GroupId, alias: &str) -> Result<(), ClientError> {
        let floor = CallFloor::RequestAs(alias.to_owned());
        let group = group.clone();
        self.command(Command::GroupCall { group, floor }).await
    }

    /// Declares an emergency in a group and asks for the floor, perhaps under a functional alias:
    /// makes an emergency call, or raises the call that is up. The outcome is
    /// [`ClientEvent::Emergency`], else [`ClientEvent::CallRefused`] or
    /// [`ClientEvent::EmergencyRefused`].
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    //= TS 24.379 6.2.8.1
    pub async fn emergency_call(
        &self,
        group: &GroupId,
        alias: Option<&str>,
    ) -> Result<(), ClientError> {
        let (group, alias) = (group.clone(), alias.map(str::to_owned));
        self.command(Command::Emergency { group, alias }).await
    }

    /// Ends the emergency of a group; its call goes on. The outcome is [`ClientEvent::Emergency`]
    /// or [`ClientEvent::EmergencyRefused`].
    ///
    /// # Errors
    /// [`ClientError::Stopped`]; without a call in this group nothing happens.
    pub async fn end_emergency(&self, group: &GroupId) -> Result<(), ClientError> {
        let group = group.clone();
        self.command(Command::EndEmergency { group }).await
    }

    /// Makes a private call. The outcome is [`ClientEvent::CallStarted`], perhaps after
    /// [`ClientEvent::CallRinging`], or [`ClientEvent::CallRefused`].
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn private_call(&self, wanted: PrivateCall) -> Result<CallId, ClientError> {
        let call = self.calls.next_private();
        let command = Command::PrivateCall {
            call: call.clone(),
            wanted,
        };
        self.command(command).await?;
        Ok(call)
    }

    /// Answers a call that [`ClientEvent::CallOffered`] told of.
    ///
    /// # Errors
    /// [`ClientError::Stopped`]; a call that is not offered any more is ignored.
    pub async fn accept(&self, call: &CallId) -> Result<(), ClientError> {
        let call = call.clone();
        self.command(Command::Accept { call }).await
    }

    /// Turns down a call that [`ClientEvent::CallOffered`] told of.
    ///
    /// # Errors
    /// [`ClientError::Stopped`]; a call that is not offered any more is ignored.
    pub async fn reject(&self, call: &CallId, how: Rejection) -> Result<(), ClientError> {
        let call = call.clone();
        self.command(Command::Reject { call, how }).await
    }

    /// Leaves a call, gives up one that is not answered yet, or declines one that is offered.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn hang_up(&self, call: impl Into<CallId>) -> Result<(), ClientError> {
        let call = call.into();
        self.command(Command::HangUp { call }).await
    }

    /// Has exactly these functional aliases active, those of the configuration included only if
    /// they are named again. The outcome is [`ClientEvent::AliasesActive`] or
    /// [`ClientEvent::AliasesRefused`].
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn set_functional_aliases(&self, aliases: Vec<String>) -> Result<(), ClientError> {
        self.command(Command::Aliases { aliases }).await
    }

    /// Asks for the floor.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn press_ptt(&self, call: impl Into<CallId>) -> Result<(), ClientError> {
        self.to_call(call.into(), CallCommand::Press(None)).await
    }

    /// Asks for the floor under a functional alias, which the others are shown.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn press_ptt_as(
        &self,
        call: impl Into<CallId>,
        alias: &str,
    ) -> Result<(), ClientError> {
        self.to_call(call.into(), CallCommand::Press(Some(alias.to_owned())))
            .await
    }

    /// Gives the floor back, or withdraws the request.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn release_ptt(&self, call: impl Into<CallId>) -> Result<(), ClientError> {
        self.to_call(call.into(), CallCommand::Release).await
    }

    /// Sends 20 ms of speech, 320 samples at 16 kHz; without the floor they are dropped.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn send_speech(
        &self,
        call: impl Into<CallId>,
        frame: Vec<i16>,
    ) -> Result<(), ClientError> {
        let command = CallCommand::Speech(frame, None);
        self.to_call(call.into(), command).await
    }

    /// As [`Self::send_speech`], and waits until the packet has left; `None` when the frame was
    /// dropped.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn send_speech_timed(
        &self,
        call: impl Into<CallId>,
        frame: Vec<i16>,
    ) -> Result<Option<Instant>, ClientError> {
        let (left, when) = oneshot::channel();
        let command = CallCommand::Speech(frame, Some(left));
        self.to_call(call.into(), command).await?;
        Ok(when.await.ok())
    }

    /// Leaves all calls, deregisters and stops, without waiting: [`ClientEvent::Stopped`] tells
    /// when it is done.
    pub fn shut_down(&self) {
        self.stop.cancel();
    }

    /// Leaves all calls, deregisters and stops.
    pub async fn stop(mut self) {
        self.shut_down();
        if let Some(task) = self.task.take() {
            // A task that ended otherwise has nothing left to stop.
            let _ended = task.await;
        }
    }

    async fn command(&self, command: Command) -> Result<(), ClientError> {
        let sent = self.commands.send(command).await;
        sent.map_err(|_| ClientError::Stopped)
    }

    async fn to_call(&self, call: CallId, command: CallCommand) -> Result<(), ClientError> {
        let Some(commands) = self.calls.get(&call) else {
            return Err(ClientError::NoCall(call));
        };
        let sent = commands.send(command).await;
        sent.map_err(|_| ClientError::NoCall(call))
    }
}

impl Drop for McClient {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
