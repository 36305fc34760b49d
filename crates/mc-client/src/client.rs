//! The task of a client: its steps, then signalling until it stops or loses its servers.
//!
//! ```text
//!  T log in ─▶ K keys ─▶ S attach ─▶ G documents, subscription ─▶ affiliate ─▶ established
//!     ▲                                                                              │
//!     └──────────────── any failure: report, wait, begin again ◀─────────────────────┘
//! ```
//!
//! Who loses only the MCPTT server keeps its log-in and its keys and begins with S, so that a
//! restart of that server is not one of the others' busiest moment as well.
//!
//! To attach is to register with a CSK, or to find the interconnection up.

mod affiliation;
mod aliases;
mod attach;
mod calls;
mod emergency;
mod established;
mod keys;
mod offered;
mod outgoing;
mod partners;
mod probe;
mod protection;
mod refused_groups;
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
use mc_sip::{NameAddr, Peer, StatusCode, Uri, mcptt};
use tokio::sync::mpsc;

pub(crate) use crate::client::calls::AGENT;

use crate::Association;
use crate::attachment::{Attached, Attachment};
use crate::call::{EventSink, Shared};
use crate::client::established::Established;
use crate::config::{ClientConfig, Identity, Role, SipLink};
use crate::event::{ClientEvent, Step, StepFailure};
use crate::group_documents::GroupDocuments;
use crate::group_keys::GroupKeys;
use crate::handle::{CallTable, ClientError, Command};
use crate::interconnection::Interconnection;
use crate::keys::{KeyRing, KmsClient};
use crate::login::{Login, LoginError, TokenSource};
use crate::state_dir::StateDir;

/// Waits between attempts: whoever comes back is found again about a second later.
const RETRY: [Duration; 3] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// T2 of a client (RFC 3261 17.1.2.1): over UDP, a server that comes back hears of it by the next
/// repetition of its REGISTER, and the default of 4 s is most of what users should wait.
const REPEATED: Duration = Duration::from_secs(2);

/// Wait after a log-in whose name and password were refused: fewer attempts than lock an account.
const ACCOUNT_RETRY: Duration = Duration::from_secs(75);

/// A client that is not established yet.
pub(crate) struct Client {
    config: ClientConfig,
    clock: SharedClock,
    tracer: Tracer,
    events: EventSink,
    calls: CallTable,
    stop: CancellationToken,
    http: reqwest::Client,
    sip: Sip,
    incoming: mpsc::Receiver<Incoming>,
    state: Arc<Mutex<StateDir>>,
    client_id: mc_ids::ClientId,
    keys: Arc<RwLock<GroupKeys>>,
    aliases: Arc<Mutex<Vec<String>>>,
    /// Of an attachment that was lost, until a server refuses it.
    credentials: Option<Credentials>,
    /// Whether the last log-in was refused for its name and password.
    account_refused: bool,
}

/// What steps T and K gave.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    pub(crate) tokens: TokenSource,
    pub(crate) ring: KeyRing,
}

/// Why an established client is not any more, and what it still has.
#[derive(Debug)]
pub(crate) struct Lost {
    pub(crate) detail: String,
    pub(crate) credentials: Credentials,
}

/// The SIP side of a client.
enum Sip {
    /// An endpoint of its own, for a client that registers.
    Own {
        endpoint: SipEndpoint,
        link: Box<SipLink>,
    },
    /// That of an interconnection, which fills the inbox once the client has its place.
    Shared {
        interconnection: Interconnection,
        inbox: mpsc::Sender<Incoming>,
    },
}

/// Requests that may wait for a client behind an interconnection.
const INBOX: usize = 256;

/// A step and why it failed.
pub(crate) type Failed = (Step, StepFailure);

/// The SIP side once an identity is known.
pub(crate) struct Link {
    pub(crate) identity: Identity,
    pub(crate) endpoint: SipEndpoint,
    pub(crate) server: Peer,
    pub(crate) contact: NameAddr,
    pub(crate) attached: Attached,
}

impl Client {
    pub(crate) async fn open(
        attachment: Attachment,
        mut config: ClientConfig,
        clock: SharedClock,
        tracer: Tracer,
        events: EventSink,
        calls: CallTable,
        stop: CancellationToken,
    ) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Configuration(error.to_string());
        let others = config.gms.others.iter().map(|gms| gms.uri.clone());
        config.servers.partner_gms.extend(others);
        let state = StateDir::open(&config.state_dir).map_err(|e| wrong(&e))?;
        let client_id = state
            .client_id(config.client_id.as_ref())
            .map_err(|e| wrong(&e))?;
        let http = mc_runtime::http::client(&config.http).map_err(|e| wrong(&e))?;
        let (sip, incoming) = match attachment {
            Attachment::Registered => own_endpoint(&config, &tracer).await?,
            Attachment::Interconnected(interconnection) => {
                let (inbox, incoming) = mpsc::channel(INBOX);
                let sip = Sip::Shared {
                    interconnection,
                    inbox,
                };
                (sip, incoming)
            }
        };
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
            sip,
            incoming,
            state,
            client_id,
            keys,
            credentials: None,
            account_refused: false,
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
                        Err(lost) => {
                            let Lost {
                                detail,
                                credentials,
                            } = *lost;
                            tracing::warn!(node = self.config.node, detail, "servers lost");
                            self.credentials = Some(credentials);
                            self.events.emit(ClientEvent::Disconnected { detail });
                        }
                    }
                }
                Err((step, failure)) => {
                    tracing::warn!(node = self.config.node, ?step, %failure, "step failed");
                    self.events.emit(ClientEvent::StepFailed(step, failure));
                }
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(self.wait(attempt)) => {}
            }
            attempt += 1;
        }
        self.turn_away();
        if let Sip::Own { endpoint, .. } = &self.sip {
            endpoint.close().await;
        }
        self.events.emit(ClientEvent::Stopped);
    }

    /// How long to wait after so many attempts.
    fn wait(&self, attempt: usize) -> Duration {
        if self.account_refused {
            return ACCOUNT_RETRY;
        }
        let wait = RETRY.get(attempt).or(RETRY.last());
        wait.copied().unwrap_or_default()
    }

    /// Answers what came after all calls were left.
    fn turn_away(&mut self) {
        self.incoming.close();
        while let Ok(message) = self.incoming.try_recv() {
            if let Incoming::Request(request) = message {
                request.respond_status(StatusCode::CALL_DOES_NOT_EXIST);
            }
        }
    }

    /// Steps T and K.
    async fn identify(&mut self, kms: &KmsClient) -> Result<Credentials, Failed> {
        let tokens = self.log_in().await.map_err(|failure| (Step::T, failure))?;
        self.passed(Step::T);
        let user = tokens.mcptt_id().await;
        let ring = fetch_keys(&tokens, kms, &user)
            .await
            .map_err(|failure| (Step::K, failure))?;
        self.passed(Step::K);
        Ok(Credentials { tokens, ring })
    }

    async fn establish(&mut self) -> Result<Established, Failed> {
        let kms = KmsClient::new(
            self.config.kms.clone(),
            self.http.clone(),
            self.clock.clone(),
            self.tracer.clone(),
            &self.config.node,
        );
        let credentials = match self.credentials.clone() {
            Some(held) => held,
            None => self.identify(&kms).await?,
        };
        self.credentials = Some(credentials.clone());
        let Credentials { tokens, ring } = credentials;
        let user = tokens.mcptt_id().await;
        let link = self
            .link(user)
            .await
            .map_err(|failure| (Step::S, failure))?;
        let mut established = Established::new(
            self.config.clone(),
            link,
            tokens,
            kms,
            ring,
            self.documents(),
            self.calls.clone(),
            self.aliases.clone(),
            self.shared_for(),
        );
        if let Err(failure) = established.attach().await {
            // Who was refused proves anew who it is; who reached nobody need not.
            if established.reaches_server() {
                self.credentials = None;
            }
            return Err((Step::S, failure));
        }
        self.passed(Step::S);
        if let Err(failure) = established.join_groups().await {
            self.credentials = None;
            return Err((Step::G, failure));
        }
        Ok(established)
    }

    fn passed(&self, step: Step) {
        tracing::info!(node = self.config.node, ?step, "step passed");
        self.events.emit(ClientEvent::StepPassed(step));
    }

    //= TS 33.180 5.1.2
    async fn log_in(&mut self) -> Result<TokenSource, StepFailure> {
        let (config, http) = (self.config.login.clone(), self.config.http.clone());
        let tokens = async {
            let login = Login::discover(config, http, self.clock.clone()).await?;
            TokenSource::start(login).await
        };
        let tokens = tokens.await;
        self.account_refused = tokens.as_ref().is_err_and(LoginError::is_of_account);
        tokens.map_err(|error| {
            let detail = error.to_string();
            if self.account_refused {
                let detail = detail.clone();
                self.events.emit(ClientEvent::AccountRefused { detail });
            }
            StepFailure {
                service: "idms",
                clause: "TS 33.180 5.1.2",
                detail,
            }
        })
    }

    async fn link(&self, mcptt_id: McServiceId) -> Result<Link, StepFailure> {
        let uri = |text: &str| -> Result<Uri, StepFailure> {
            text.parse()
                .map_err(|_| client_failure(format!("{text:?} is no SIP URI")))
        };
        let servers = &self.config.servers;
        let client_id = self.client_id.clone();
        match &self.sip {
            Sip::Own { endpoint, link } => {
                let identity = Identity {
                    role: Role::Client,
                    impu: uri(&link.impu)?,
                    mcptt_id,
                    client_id,
                    function: uri(&servers.participating)?,
                };
                let server = SipEndpoint::resolve(&uri(&link.server)?).await;
                let server = server.map_err(|e| client_failure(format!("{}: {e}", link.server)))?;
                let user = identity.impu.user.clone().unwrap_or_default();
                let contact = mcptt::contact_features(endpoint.contact(&user, server));
                Ok(Link {
                    identity,
                    endpoint: endpoint.clone(),
                    server,
                    contact,
                    attached: Attached::Registered(Association::new(&mut mc_runtime::rng())),
                })
            }
            Sip::Shared {
                interconnection,
                inbox,
            } => {
                let place = interconnection.join(&mcptt_id, inbox.clone());
                let identity = Identity {
                    role: Role::ParticipatingFunction,
                    impu: interconnection.psi().clone(),
                    mcptt_id,
                    client_id,
                    function: interconnection.controlling().clone(),
                };
                Ok(Link {
                    identity,
                    endpoint: interconnection.endpoint().clone(),
                    server: interconnection.server(),
                    contact: place.contact(),
                    attached: Attached::Interconnected(place),
                })
            }
        }
    }

    fn documents(&self) -> GroupDocuments {
        GroupDocuments {
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

/// Binds the endpoint of a client that registers.
async fn own_endpoint(
    config: &ClientConfig,
    tracer: &Tracer,
) -> Result<(Sip, mpsc::Receiver<Incoming>), ClientError> {
    let link = config.sip.clone().ok_or_else(|| {
        ClientError::Configuration("a client that registers needs `sip`".to_owned())
    })?;
    // The endpoint outlives the stop long enough to deregister.
    let (endpoint, incoming) = SipEndpoint::bind(
        &link.endpoint,
        TransactionConfig {
            t2: REPEATED,
            ..TransactionConfig::default()
        },
        TracedSip::shared(tracer.clone(), &config.node),
        &CancellationToken::new(),
    )
    .await?;
    let link = Box::new(link);
    Ok((Sip::Own { endpoint, link }, incoming))
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
    let failed = |error: LoginError| StepFailure {
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
