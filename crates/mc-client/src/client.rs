//! The task of a client: its steps, then signalling until it stops or loses its servers.
//!
//! ```text
//!  T log in ─▶ K keys ─▶ S CSK + register ─▶ G documents, subscription ─▶ affiliate ─▶ established
//!     ▲                                                                                    │
//!     └──────────────── any failure: report, wait, begin again ◀───────────────────────────┘
//! ```

mod aliases;
mod calls;
mod established;
mod keys;
mod offered;
mod outgoing;
mod partners;
mod signalling;

use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use mc_ids::McServiceId;
use mc_runtime::CancellationToken;
use mc_runtime::auth::{SCOPE_KMS, SCOPE_MCPTT};
use mc_runtime::clock::SharedClock;
use mc_runtime::sip::{Incoming, SipEndpoint, TracedSip};
use mc_runtime::trace::Tracer;
use mc_sip::transaction::TransactionConfig;
use mc_sip::{NameAddr, Peer, Uri, mcptt};
use tokio::sync::mpsc;

use crate::Association;
use crate::call::{EventSink, Shared};
use crate::client::established::Established;
use crate::config::{ClientConfig, Identity};
use crate::event::{ClientEvent, Step, StepFailure};
use crate::group_documents::GroupDocuments;
use crate::group_keys::GroupKeys;
use crate::handle::{CallTable, ClientError, Command};
use crate::keys::{KeyRing, KmsClient};
use crate::login::{Login, TokenSource};
use crate::state_dir::StateDir;

/// Waits between attempts.
const RETRY: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// A client that is not established yet.
pub(crate) struct Client {
    config: ClientConfig,
    clock: SharedClock,
    tracer: Tracer,
    events: EventSink,
    calls: CallTable,
    stop: CancellationToken,
    http: reqwest::Client,
    endpoint: SipEndpoint,
    incoming: mpsc::Receiver<Incoming>,
    state: Arc<Mutex<StateDir>>,
    client_id: mc_ids::ClientId,
    keys: Arc<RwLock<GroupKeys>>,
    aliases: Arc<Mutex<Vec<String>>>,
}

/// A step and why it failed.
pub(crate) type Failed = (Step, StepFailure);

/// The SIP side once an identity is known.
pub(crate) struct Link {
    pub(crate) identity: Identity,
    pub(crate) endpoint: SipEndpoint,
    pub(crate) server: Peer,
    pub(crate) contact: NameAddr,
}

impl Client {
    pub(crate) async fn open(
        config: ClientConfig,
        clock: SharedClock,
        tracer: Tracer,
        events: EventSink,
        calls: CallTable,
        stop: CancellationToken,
    ) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Configuration(error.to_string());
        let state = StateDir::open(&config.state_dir).map_err(|e| wrong(&e))?;
        let client_id = state
            .client_id(config.client_id.as_ref())
            .map_err(|e| wrong(&e))?;
        let http = mc_runtime::http::client(&config.http).map_err(|e| wrong(&e))?;
        let trace = TracedSip::shared(tracer.clone(), &config.node);
        // The endpoint outlives the stop long enough to deregister.
        let (endpoint, incoming) = SipEndpoint::bind(
            &config.sip.endpoint,
            TransactionConfig::default(),
            trace,
            &CancellationToken::new(),
        )
        .await?;
        let (state, keys) = (Arc::new(Mutex::new(state)), Arc::default());
        let aliases = Arc::new(Mutex::new(config.functional_aliases.clone()));
        Ok(Self {
            aliases,
            config,
            clock,
            tracer,
            events,
            calls,
            stop,
            http,
            endpoint,
            incoming,
            state,
            client_id,
            keys,
        })
    }

    /// Runs until the stop.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let stop = self.stop.clone();
        let mut attempt = 0;
        loop {
            let established = tokio::select! {
                () = stop.cancelled() => break,
                established = self.establish() => established,
            };
            match established {
                Ok(established) => {
                    attempt = 0;
                    let incoming = &mut self.incoming;
                    match established.run(&mut commands, incoming, &stop).await {
                        Ok(()) => break,
                        Err(detail) => self.events.emit(ClientEvent::Disconnected { detail }),
                    }
                }
                Err((step, failure)) => {
                    tracing::warn!(node = self.config.node, ?step, %failure, "step failed");
                    self.events.emit(ClientEvent::StepFailed(step, failure));
                }
            }
            let wait = RETRY
                .get(attempt)
                .or(RETRY.last())
                .copied()
                .unwrap_or_default();
            attempt += 1;
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.endpoint.close().await;
        self.events.emit(ClientEvent::Stopped);
    }

    async fn establish(&mut self) -> Result<Established, Failed> {
        let tokens = self.log_in().await.map_err(|failure| (Step::T, failure))?;
        self.passed(Step::T);
        let user = tokens.mcptt_id().await;
        let kms = KmsClient::new(
            self.config.kms.clone(),
            self.http.clone(),
            self.clock.clone(),
            self.tracer.clone(),
            &self.config.node,
        );
        let ring = fetch_keys(&tokens, &kms, &user)
            .await
            .map_err(|failure| (Step::K, failure))?;
        self.passed(Step::K);
        let link = self
            .link(user)
            .await
            .map_err(|failure| (Step::S, failure))?;
        let association = Association::new(&mut mc_runtime::rng());
        let mut established = Established::new(
            self.config.clone(),
            link,
            tokens,
            kms,
            ring,
            association,
            self.documents(),
            self.calls.clone(),
            self.aliases.clone(),
            self.shared_for(),
        );
        established
            .register()
            .await
            .map_err(|failure| (Step::S, failure))?;
        self.passed(Step::S);
        established
            .join_groups()
            .await
            .map_err(|failure| (Step::G, failure))?;
        Ok(established)
    }

    fn passed(&self, step: Step) {
        tracing::info!(node = self.config.node, ?step, "step passed");
        self.events.emit(ClientEvent::StepPassed(step));
    }

    //= TS 33.180 5.1.2
    async fn log_in(&self) -> Result<TokenSource, StepFailure> {
        let failed = |detail: String| StepFailure {
            service: "idms",
            clause: "TS 33.180 5.1.2",
            detail,
        };
        let (config, http) = (self.config.login.clone(), self.config.http.clone());
        let login = Login::discover(config, http, self.clock.clone()).await;
        let login = login.map_err(|error| failed(error.to_string()))?;
        TokenSource::start(login)
            .await
            .map_err(|error| failed(error.to_string()))
    }

    async fn link(&self, mcptt_id: McServiceId) -> Result<Link, StepFailure> {
        let uri = |text: &str| -> Result<Uri, StepFailure> {
            text.parse()
                .map_err(|_| client_failure(format!("{text:?} is no SIP URI")))
        };
        let (sip, servers) = (&self.config.sip, &self.config.servers);
        let identity = Identity {
            impu: uri(&sip.impu)?,
            mcptt_id,
            client_id: self.client_id.clone(),
            participating: uri(&servers.participating)?,
            gms: uri(&servers.gms)?,
        };
        let server = SipEndpoint::resolve(&uri(&sip.server)?).await;
        let server = server.map_err(|e| client_failure(format!("{}: {e}", sip.server)))?;
        let user = identity.impu.user.clone().unwrap_or_default();
        let contact = mcptt::contact_features(self.endpoint.contact(&user, server));
        Ok(Link {
            identity,
            endpoint: self.endpoint.clone(),
            server,
            contact,
        })
    }

    fn documents(&self) -> GroupDocuments {
        GroupDocuments {
            xcap_root: self.config.gms.xcap_root.clone(),
            http: self.http.clone(),
            tracer: self.tracer.clone(),
            node: self.config.node.clone(),
        }
    }

    fn shared_for(&self) -> impl FnOnce(McServiceId) -> Shared + use<> {
        let (clock, tracer, node) = (
            self.clock.clone(),
            self.tracer.clone(),
            self.config.node.clone(),
        );
        let (keys, state, events) = (self.keys.clone(), self.state.clone(), self.events.clone());
        move |mcptt_id| Shared {
            clock,
            tracer,
            node,
            mcptt_id,
            keys,
            state,
            events,
        }
    }
}

/// A failure on this side.
pub(crate) fn client_failure(detail: String) -> StepFailure {
    StepFailure {
        service: "client",
        clause: "TS 24.379 7.2.1",
        detail,
    }
}

//= TS 33.180 5.3.3
pub(crate) async fn fetch_keys(
    tokens: &TokenSource,
    kms: &KmsClient,
    user: &McServiceId,
) -> Result<KeyRing, StepFailure> {
    let failed = |service, detail: String| StepFailure {
        service,
        clause: "TS 33.180 5.3.3",
        detail,
    };
    let token = tokens
        .token(SCOPE_KMS)
        .await
        .map_err(|e| failed("idms", e.to_string()))?;
    let ring = kms.fetch(token.secret(), user.as_str()).await;
    ring.map_err(|error| failed("kms", error.to_string()))
}

/// A token for the MCPTT server.
pub(crate) async fn mcptt_token(tokens: &TokenSource) -> Result<String, StepFailure> {
    let failed = |error: crate::login::LoginError| StepFailure {
        service: "idms",
        clause: "TS 33.180 B.5",
        detail: error.to_string(),
    };
    Ok(tokens
        .token(SCOPE_MCPTT)
        .await
        .map_err(failed)?
        .secret()
        .to_owned())
}
