//! The clients the gateway is, and the bridges they serve.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_client::{Attachment, CallId, ClientConfig, ClientError, McClient};
use mc_ids::{GroupId, McServiceId};
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::McOffer;
use super::dispatch::Dispatcher;
use super::merge::Merge;
use super::stamp::Sink;
use crate::bridge::McEvent;
use crate::config::{Config, Provisioning};
use crate::status::GatewayStatus;

/// A group's bridge and its clients.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) merge: Merge,
    pub(super) sink: Sink,
}

/// All clients by their identity.
#[derive(Debug)]
pub(super) struct Roster {
    configs: BTreeMap<McServiceId, ClientConfig>,
    /// The same for all clients.
    attachment: Attachment,
    provisioning: Provisioning,
    clock: SharedClock,
    tracer: Tracer,
    pub(super) status: Arc<GatewayStatus>,
    pub(super) offers: mpsc::Sender<McOffer>,
    clients: tokio::sync::Mutex<BTreeMap<McServiceId, Arc<McClient>>>,
    groups: Mutex<BTreeMap<GroupId, Group>>,
    private: Mutex<BTreeMap<(McServiceId, CallId), Sink>>,
    /// Held while a call is made: its events may come before it is known here.
    making: tokio::sync::Mutex<()>,
    dispatchers: TaskTracker,
}

impl Roster {
    pub(super) fn new(
        config: &Config,
        attachment: Attachment,
        clock: SharedClock,
        tracer: Tracer,
        status: Arc<GatewayStatus>,
        offers: mpsc::Sender<McOffer>,
    ) -> Self {
        Self {
            configs: config.clients(),
            attachment,
            provisioning: config.provisioning,
            clock,
            tracer,
            status,
            offers,
            clients: tokio::sync::Mutex::default(),
            groups: Mutex::default(),
            private: Mutex::default(),
            making: tokio::sync::Mutex::default(),
            dispatchers: TaskTracker::new(),
        }
    }

    pub(super) fn open_group(&self, group: &GroupId, events: mpsc::Sender<McEvent>) {
        let on_demand = self.provisioning == Provisioning::OnDemand;
        let sink = Sink::new(events);
        if on_demand {
            // Who speaks first brings his client in.
            sink.tell(McEvent::Up);
        }
        let merge = Merge::new(on_demand);
        self.groups().insert(group.clone(), Group { merge, sink });
    }

    /// Starts all clients, unless they come on demand.
    pub(super) async fn start(self: &Arc<Self>) -> Result<(), ClientError> {
        if self.provisioning == Provisioning::OnDemand {
            return Ok(());
        }
        self.status.expect(self.configs.keys().cloned());
        for identity in self.configs.keys() {
            self.client(identity).await?;
        }
        Ok(())
    }

    /// The client of an identity, started when it is not there yet; what it is told waits until it
    /// is ready.
    pub(super) async fn client(
        self: &Arc<Self>,
        identity: &McServiceId,
    ) -> Result<Arc<McClient>, ClientError> {
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(identity) {
            return Ok(client.clone());
        }
        let unknown = || ClientError::Configuration(format!("no client is {identity}"));
        let config = self.configs.get(identity).ok_or_else(unknown)?;
        let (clock, tracer) = (self.clock.clone(), self.tracer.clone());
        let (at, config) = (self.attachment.clone(), config.clone());
        let (client, events) = McClient::start_at(at, config, clock, tracer).await?;
        let client = Arc::new(client);
        clients.insert(identity.clone(), client.clone());
        let dispatcher = Dispatcher::new(self.clone(), identity.clone());
        self.dispatchers.spawn(dispatcher.run(events));
        Ok(client)
    }

    /// The clients that run.
    pub(super) async fn running(&self) -> Vec<Arc<McClient>> {
        self.clients.lock().await.values().cloned().collect()
    }

    pub(super) fn groups(&self) -> MutexGuard<'_, BTreeMap<GroupId, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn private(&self) -> MutexGuard<'_, BTreeMap<(McServiceId, CallId), Sink>> {
        self.private.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is told of calls that are being made until the guard is dropped.
    pub(super) async fn making(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.making.lock().await
    }

    pub(super) async fn stop(&self) {
        for client in self.running().await {
            client.shut_down();
        }
        // Each ends when its client has told that it has stopped.
        self.dispatchers.close();
        self.dispatchers.wait().await;
        if let Attachment::Interconnected(interconnection) = &self.attachment {
            interconnection.close().await;
        }
    }
}
