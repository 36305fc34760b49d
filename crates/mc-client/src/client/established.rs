//! A client with keys and an attachment: groups, calls, and the loop that keeps everything up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mc_ids::{GroupId, McServiceId};
use mc_runtime::CancellationToken;
use mc_runtime::sip::Incoming;
use mc_sip::{Dialog, DialogId, Request, Response, StatusCode};
use mikey::ReplayCache;
use tokio::sync::mpsc;

use crate::attachment::FloorKeys;
use crate::bodies::{BodyProtection, Demand, Seal};
use crate::call::Shared;
use crate::call_id::CallId;
use crate::client::affiliation::{Affiliations, WaitingCall};
use crate::client::calls::Leg;
use crate::client::offered::Offered;
use crate::client::outgoing::{Outgoing, Progress};
use crate::client::probe::Probe;
use crate::client::protection::GroupProtection;
use crate::client::{Credentials, Link, Lost};
use crate::config::ClientConfig;
use crate::event::{ClientEvent, Step, StepFailure};
use crate::group_documents::GroupDocuments;
use crate::handle::{CallTable, Command};
use crate::keys::{KeyRing, KmsClient};
use crate::login::TokenSource;
use crate::requests::Requests;

/// How often due things are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Messages remembered against replay.
const REPLAY_CAPACITY: usize = 4096;

/// The established client.
pub(crate) struct Established {
    pub(super) config: ClientConfig,
    pub(super) link: Link,
    pub(super) tokens: TokenSource,
    pub(super) kms: KmsClient,
    pub(super) ring: KeyRing,
    /// What protects XML bodies between this side and the server.
    pub(super) bodies: BodyProtection,
    pub(super) floor: FloorKeys,
    pub(super) documents: GroupDocuments,
    pub(super) etags: BTreeMap<GroupId, Option<String>>,
    /// What the documents ask for.
    pub(super) protection: BTreeMap<GroupId, GroupProtection>,
    pub(super) refused: BTreeMap<GroupId, StepFailure>,
    pub(super) refused_tried: Instant,
    pub(super) affiliation: Affiliations,
    pub(super) probe: Probe,
    /// Whether the server answered the last request.
    pub(super) answered: AtomicBool,
    pub(super) shared: Shared,
    pub(super) replay: ReplayCache,
    /// By the URI of the GMS.
    pub(super) subscriptions: BTreeMap<String, Dialog>,
    pub(super) table: CallTable,
    /// Functional aliases the user wants active; they outlive a loss of the server.
    pub(super) aliases: Arc<Mutex<Vec<String>>>,
    pub(super) legs: BTreeMap<DialogId, Leg>,
    pub(super) outgoing: BTreeMap<CallId, Outgoing>,
    pub(super) offered: BTreeMap<CallId, Offered>,
    pub(super) progress: (mpsc::Sender<Progress>, mpsc::Receiver<Progress>),
    /// When the registration or the service authorisation is renewed; `None`: never.
    pub(super) attachment_due: Option<Instant>,
    pub(super) keys_tried: Instant,
    pub(super) partners_tried: Option<Instant>,
    pub(super) groups_since: Instant,
    pub(super) ready: bool,
    pub(super) late: bool,
    /// A GMS did not take a subscription again; what is held stays in use meanwhile.
    unsubscribed: bool,
}

impl Established {
    #[expect(clippy::too_many_arguments, reason = "each is one part of the client")]
    pub(super) fn new(
        config: ClientConfig,
        link: Link,
        tokens: TokenSource,
        kms: KmsClient,
        ring: KeyRing,
        documents: GroupDocuments,
        table: CallTable,
        aliases: Arc<Mutex<Vec<String>>>,
        shared: impl FnOnce(McServiceId) -> Shared,
    ) -> Self {
        let (user, now) = (link.identity.mcptt_id.clone(), Instant::now());
        let shared = shared(user.clone());
        Self {
            bodies: link.attached.bodies(&user, &config.bodies),
            floor: link.attached.floor(&shared.state),
            shared,
            config,
            link,
            tokens,
            kms,
            ring,
            documents,
            etags: BTreeMap::new(),
            protection: BTreeMap::new(),
            refused: BTreeMap::new(),
            refused_tried: now,
            affiliation: Affiliations::default(),
            probe: Probe::new(now),
            answered: AtomicBool::new(true),
            replay: ReplayCache::new(REPLAY_CAPACITY),
            subscriptions: BTreeMap::new(),
            table,
            aliases,
            legs: BTreeMap::new(),
            outgoing: BTreeMap::new(),
            offered: BTreeMap::new(),
            progress: mpsc::channel(16),
            attachment_due: Some(now),
            keys_tried: now,
            partners_tried: None,
            groups_since: now,
            ready: false,
            late: false,
            unsubscribed: false,
        }
    }

    pub(super) fn emit(&self, event: ClientEvent) {
        self.shared.events.emit(event);
    }

    /// Makes a request as this client.
    pub(super) fn make(
        &self,
        make: impl FnOnce(&mut Requests<'_, mc_runtime::OsRng>) -> Request,
    ) -> Request {
        make(&mut Requests {
            identity: &self.link.identity,
            contact: &self.link.contact,
            seal: Seal::configured(Some(&self.bodies), &self.config.bodies),
            rng: &mut mc_runtime::rng(),
        })
    }

    /// What bodies of the server must be.
    pub(super) fn demand(&self) -> Demand {
        match self.link.attached.place() {
            Some(place) => place.interconnection().demand(),
            None => self.config.bodies.demand(),
        }
    }

    /// Sends a request to the first hop and waits for its final response.
    pub(super) async fn transact(&self, request: Request) -> Result<Response, String> {
        let mut responses = self.link.endpoint.request(request, self.link.server);
        let response = responses.final_response().await;
        self.answered.store(response.is_ok(), Ordering::Relaxed);
        response.map_err(|error| error.to_string())
    }

    /// As [`Self::transact`]; anything but success is a failure of `service`.
    pub(super) async fn succeed(
        &self,
        request: Request,
        service: &'static str,
        clause: &'static str,
    ) -> Result<Response, StepFailure> {
        let method = request.method;
        let failed = |detail| StepFailure {
            service,
            clause,
            detail,
        };
        let response = self.transact(request).await.map_err(failed)?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(failed(format!(
            "{method} answered {}",
            described(&response)
        )))
    }

    /// Keeps everything up until the stop (`Ok`) or until a server is lost.
    pub(super) async fn run(
        mut self,
        commands: &mut mpsc::Receiver<Command>,
        incoming: &mut mpsc::Receiver<Incoming>,
        stop: &CancellationToken,
    ) -> Result<(), Box<Lost>> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let lost = loop {
            tokio::select! {
                () = stop.cancelled() => break None,
                command = commands.recv() => match command {
                    Some(command) => self.on_command(command).await,
                    None => break None,
                },
                message = incoming.recv() => match message {
                    Some(message) => self.on_incoming(message).await,
                    None => break Some("SIP endpoint has stopped".to_owned()),
                },
                Some(progress) = self.progress.1.recv() => self.on_progress(progress).await,
                _ = tick.tick() => if let Err(detail) = self.on_tick().await {
                    break Some(detail);
                },
            }
        };
        self.end_all().await;
        match lost {
            None => {
                self.detach().await;
                Ok(())
            }
            Some(detail) => Err(Box::new(Lost {
                detail,
                credentials: Credentials {
                    tokens: self.tokens,
                    ring: self.ring,
                },
            })),
        }
    }

    async fn on_command(&mut self, command: Command) {
        match command {
            Command::GroupCall { group, floor } => {
                self.call_in_group(WaitingCall::Group(group, floor)).await;
            }
            Command::Emergency { group, alias } => {
                self.call_in_group(WaitingCall::Emergency(group, alias))
                    .await;
            }
            Command::EndEmergency { group } => self.end_emergency(&group),
            Command::PrivateCall { call, wanted } => self.private_call(call, wanted).await,
            Command::Accept { call } => self.accept(call).await,
            Command::Reject { call, how } => {
                self.reject(&call, how);
            }
            Command::HangUp { call } => self.hang_up(&call),
            Command::Aliases { aliases } => self.set_aliases(aliases).await,
        }
    }

    async fn on_tick(&mut self) -> Result<(), String> {
        let now = Instant::now();
        self.stay_attached(now).await?;
        self.renew_keys_if_due(now).await;
        self.refresh_sessions(now);
        self.expect_affiliations(now).await;
        self.ask_again(now).await;
        self.stay_subscribed().await;
        let waited = now.duration_since(self.groups_since);
        if !self.ready && !self.late && waited.as_secs() >= self.config.gmk_wait_s {
            self.late = true;
            let lacking = self.lacking();
            let names: Vec<&str> = lacking.iter().map(GroupId::as_str).collect();
            let detail = format!("no GMK for {} yet", names.join(", "));
            let failure = StepFailure {
                service: "gms",
                clause: "TS 33.180 5.7",
                detail,
            };
            self.emit(ClientEvent::StepFailed(Step::G, failure));
        }
        Ok(())
    }

    /// Subscribes again where a subscription has ended. A GMS that is away costs nobody a call.
    async fn stay_subscribed(&mut self) {
        match self.subscribe().await {
            Ok(()) if self.unsubscribed => {
                self.unsubscribed = false;
                self.emit(ClientEvent::StepPassed(Step::G));
            }
            Ok(()) => {}
            Err(failure) if self.unsubscribed => {
                tracing::debug!(%failure, "still not subscribed");
            }
            Err(failure) => {
                tracing::warn!(node = self.config.node, %failure, "not subscribed any more");
                self.unsubscribed = true;
                self.emit(ClientEvent::StepFailed(Step::G, failure));
            }
        }
    }

    pub(super) fn lacking(&self) -> Vec<GroupId> {
        let keys = self
            .shared
            .keys
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let protected = self.protection.iter().filter(|(_, asked)| asked.media);
        let protected: Vec<GroupId> = protected.map(|(group, _)| group.clone()).collect();
        keys.lacking(&protected, self.shared.clock.unix())
    }

    /// Tells once that all groups have what they need, and the server knows of them.
    pub(super) fn check_ready(&mut self) {
        if !self.ready && !self.affiliation.is_pending() && self.lacking().is_empty() {
            self.ready = true;
            tracing::info!(node = self.config.node, "step G passed, ready");
            self.emit(ClientEvent::StepPassed(Step::G));
            self.emit(ClientEvent::Ready);
        }
    }
}

/// Status and warnings of a response.
pub(super) fn described(response: &Response) -> String {
    let warnings = response.headers.warnings();
    let mut text = format!("{} {}", response.status.code(), response.reason);
    for warning in warnings {
        text.push_str("; ");
        text.push_str(&warning.text);
    }
    text
}

/// The status that answers a request this client does not take.
pub(super) const NOT_FOR_US: StatusCode = StatusCode::METHOD_NOT_ALLOWED;
