//! The clients the gateway is, and the bridges they serve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mc_client::{Attachment, CallId, ClientConfig, ClientError, McClient};
use mc_ids::{GroupId, McServiceId};
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::McOffer;
use super::dispatch::Dispatcher;
use super::merge::Merge;
use super::provision::{NotMade, Provisioner};
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
    /// Makes those that are in no list.
    provisioner: Option<Arc<Provisioner>>,
    /// The same for all clients.
    attachment: Attachment,
    provisioning: Provisioning,
    /// How long one that comes on demand may take.
    patience: Duration,
    clock: SharedClock,
    tracer: Tracer,
    pub(super) status: Arc<GatewayStatus>,
    pub(super) offers: mpsc::Sender<McOffer>,
    clients: tokio::sync::Mutex<BTreeMap<McServiceId, Arc<McClient>>>,
    /// Those that can make calls, with their groups' keys.
    ready: watch::Sender<BTreeSet<McServiceId>>,
    groups: Mutex<BTreeMap<GroupId, Group>>,
    private: Mutex<BTreeMap<(McServiceId, CallId), Sink>>,
    /// Held while a call is made: its events may come before it is known here.
    making: tokio::sync::Mutex<()>,
    dispatchers: TaskTracker,
}

impl Roster {
    pub(super) fn new(
        config: &Config,
        provisioner: Option<Provisioner>,
        attachment: Attachment,
        clock: SharedClock,
        tracer: Tracer,
        status: Arc<GatewayStatus>,
        offers: mpsc::Sender<McOffer>,
    ) -> Self {
        Self {
            configs: config.clients(),
            provisioner: provisioner.map(Arc::new),
            attachment,
            provisioning: config.provisioning,
            patience: Duration::from_millis(config.limits.grant_wait_ms),
            clock,
            tracer,
            status,
            offers,
            clients: tokio::sync::Mutex::default(),
            ready: watch::Sender::default(),
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
        if let Some(provisioner) = self.provisioner.clone() {
            tokio::spawn(async move { provisioner.log_in().await });
        }
        if self.provisioning == Provisioning::OnDemand {
            return Ok(());
        }
        self.status.expect(self.configs.keys().cloned());
        for identity in self.configs.keys() {
            self.client(identity).await?;
        }
        Ok(())
    }

    /// The client of an identity. One that comes on demand is started, and waited for as long as a call
    /// may take to set up: before, it has no group keys.
    pub(super) async fn client(
        self: &Arc<Self>,
        identity: &McServiceId,
    ) -> Result<Arc<McClient>, ClientError> {
        if let Some(client) = self.clients.lock().await.get(identity) {
            return Ok(client.clone());
        }
        // Calls of others go on meanwhile.
        let config = self.config_of(identity).await?;
        let mut clients = self.clients.lock().await;
        if let Some(client) = clients.get(identity) {
            return Ok(client.clone());
        }
        let (clock, tracer) = (self.clock.clone(), self.tracer.clone());
        let at = self.attachment.clone();
        let (client, events) = McClient::start_at(at, config, clock, tracer).await?;
        let client = Arc::new(client);
        clients.insert(identity.clone(), client.clone());
        drop(clients);
        let dispatcher = Dispatcher::new(self.clone(), identity.clone());
        self.dispatchers.spawn(dispatcher.run(events));
        let listed = self.configs.contains_key(identity);
        if !listed || self.provisioning == Provisioning::OnDemand {
            let mut ready = self.ready.subscribe();
            let there = ready.wait_for(|ready| ready.contains(identity));
            // Too late is told by the call it is for.
            let _elapsed = tokio::time::timeout(self.patience, there).await;
        }
        Ok(client)
    }

    /// What the client of an identity is told; who is in no list is made, if that is allowed.
    async fn config_of(&self, identity: &McServiceId) -> Result<ClientConfig, ClientError> {
        if let Some(config) = self.configs.get(identity) {
            return Ok(config.clone());
        }
        let failed = |error: NotMade| ClientError::Configuration(error.to_string());
        match &self.provisioner {
            Some(provisioner) => provisioner.make(identity).await.map_err(failed),
            None => Err(failed(NotMade::Unknown(identity.clone()))),
        }
    }

    /// A client can make calls, or cannot any more.
    pub(super) fn is_ready(&self, identity: &McServiceId, ready: bool) {
        self.ready.send_modify(|all| {
            if ready {
                all.insert(identity.clone());
            } else {
                all.remove(identity);
            }
        });
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
