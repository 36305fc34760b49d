//! The handle through which a user drives a client.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use mc_ids::GroupId;
use mc_runtime::CancellationToken;
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::call::{CallCommand, EventSink};
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
    /// No call is up in this group.
    #[error("no call in group {0}")]
    NoCall(GroupId),
    /// The client has stopped.
    #[error("client has stopped")]
    Stopped,
}

/// What the user wants of the client's signalling.
#[derive(Debug)]
pub(crate) enum Command {
    /// Make a call.
    GroupCall {
        group: GroupId,
        implicit_floor: bool,
    },
    /// Leave a call.
    HangUp { group: GroupId },
}

/// The media tasks of the calls that are up, by group.
#[derive(Debug, Clone, Default)]
pub(crate) struct CallTable(Arc<Mutex<BTreeMap<GroupId, mpsc::Sender<CallCommand>>>>);

impl CallTable {
    pub(crate) fn insert(&self, group: GroupId, commands: mpsc::Sender<CallCommand>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(group, commands);
    }

    pub(crate) fn remove(&self, group: &GroupId) -> Option<mpsc::Sender<CallCommand>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(group)
    }

    pub(crate) fn get(&self, group: &GroupId) -> Option<mpsc::Sender<CallCommand>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(group)
            .cloned()
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
        let (events, receiver) = mpsc::channel(EVENTS);
        let (commands, queue) = mpsc::channel(64);
        let (stop, calls) = (CancellationToken::new(), CallTable::default());
        let sink = EventSink(events);
        let client = Client::open(config, clock, tracer, sink, calls.clone(), stop.clone()).await?;
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
        let command = Command::GroupCall {
            group: group.clone(),
            implicit_floor,
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| ClientError::Stopped)
    }

    /// Leaves the call of a group.
    ///
    /// # Errors
    /// [`ClientError::Stopped`].
    pub async fn hang_up(&self, group: &GroupId) -> Result<(), ClientError> {
        let command = Command::HangUp {
            group: group.clone(),
        };
        self.commands
            .send(command)
            .await
            .map_err(|_| ClientError::Stopped)
    }

    /// Asks for the floor.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn press_ptt(&self, group: &GroupId) -> Result<(), ClientError> {
        self.to_call(group, CallCommand::Press(None)).await
    }

    /// Asks for the floor under a functional alias, which the others are shown.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn press_ptt_as(&self, group: &GroupId, alias: &str) -> Result<(), ClientError> {
        self.to_call(group, CallCommand::Press(Some(alias.to_owned())))
            .await
    }

    /// Gives the floor back, or withdraws the request.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn release_ptt(&self, group: &GroupId) -> Result<(), ClientError> {
        self.to_call(group, CallCommand::Release).await
    }

    /// Sends 20 ms of speech, 320 samples at 16 kHz; without the floor they are dropped.
    ///
    /// # Errors
    /// [`ClientError::NoCall`].
    pub async fn send_speech(&self, group: &GroupId, frame: Vec<i16>) -> Result<(), ClientError> {
        self.to_call(group, CallCommand::Speech(frame)).await
    }

    /// Leaves all calls, deregisters and stops.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A task that ended otherwise has nothing left to stop.
            let _ended = task.await;
        }
    }

    async fn to_call(&self, group: &GroupId, command: CallCommand) -> Result<(), ClientError> {
        let no_call = || ClientError::NoCall(group.clone());
        let call = self.calls.get(group).ok_or_else(no_call)?;
        call.send(command).await.map_err(|_| no_call())
    }
}

impl Drop for McClient {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
