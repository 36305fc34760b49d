//! The MC clients the lab runs itself: one for each user it needs, made of `mc_client`.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kms_protocol::RedirectNames;
use mc_client::keys::{KmsClient, KmsConfig};
use mc_client::login::{Login, LoginConfig, PTT_SCOPES, PartnerConfig, Session, TokenSource};
use mc_client::{
    Attachment, BodyConfig, CallId, ClientConfig, ClientError, ClientEvent, GmsConfig,
    Interconnection, InterconnectionConfig, McClient, MikeyConfig, ServerIdentities, SipLink,
    SpkConfig, SsrcShare, Step, StepFailure,
};
use mc_ids::{GroupId, IdentityPattern, KmsUri};
use mc_runtime::config::Secret;
use mc_runtime::http;
use mc_runtime::sip::SipConfig;
use mc_runtime::trace::{TraceConfig, Tracer};
use mc_runtime::{Clock as _, SharedClock, SystemClock};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;

use crate::state::StateError;
use crate::supervisor::Lab;
use crate::topology::{Domain, PortName};

/// Events a follower may lag behind: twenty seconds of speech.
const FOLLOWED: usize = 2048;

/// Why a party is not there.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Its client cannot start.
    #[error("client of {user}: {source}")]
    Client {
        /// Login name.
        user: String,
        /// The client's reason.
        source: ClientError,
    },
    /// A built-in name is none: a mistake in the lab itself.
    #[error("{0}")]
    Name(String),
    /// The trace file cannot be opened.
    #[error("trace: {0}")]
    Trace(std::io::Error),
}

/// Something that happened at a party, and when (Unix time in microseconds).
#[derive(Debug, Clone)]
pub struct Heard {
    /// When.
    pub at_us: u64,
    /// What.
    pub event: ClientEvent,
}

/// One MC client with everything it has told so far.
#[derive(Debug)]
pub struct Party {
    /// Login name.
    pub user: String,
    /// The client.
    pub client: McClient,
    /// Traces of this client.
    pub tracer: Tracer,
    heard: broadcast::Sender<Heard>,
    steps: Arc<Mutex<Steps>>,
    follower: JoinHandle<()>,
}

/// How far a client has come.
#[derive(Debug, Clone, Default)]
pub struct Steps {
    /// Each step's latest outcome.
    pub outcome: BTreeMap<Step, Result<(), StepFailure>>,
    /// Whether it can make and take calls.
    pub ready: bool,
    /// Calls the client is in.
    calls: BTreeSet<CallId>,
}

impl Steps {
    /// Whether the client is in this call.
    #[must_use]
    pub fn in_call(&self, call: &CallId) -> bool {
        self.calls.contains(call)
    }
}

impl Party {
    /// Starts the client of a user in a lab.
    ///
    /// # Errors
    /// [`PartyError`]; servers that are not there yet are waited for.
    pub async fn start(lab: &Lab, user: &str, groups: &[&str]) -> Result<Self, PartyError> {
        Self::start_as(lab, client_config(lab, user, groups)?).await
    }

    /// Starts a client with a configuration of its own, made from [`client_config`].
    ///
    /// # Errors
    /// [`PartyError`]; servers that are not there yet are waited for.
    pub async fn start_as(lab: &Lab, config: ClientConfig) -> Result<Self, PartyError> {
        Self::start_at(lab, Attachment::Registered, config).await
    }

    /// As [`Self::start_as`], for a client that is attached in this way.
    ///
    /// # Errors
    /// [`PartyError`]; servers that are not there yet are waited for.
    pub async fn start_at(
        lab: &Lab,
        attachment: Attachment,
        config: ClientConfig,
    ) -> Result<Self, PartyError> {
        let user = config.login.username.clone();
        let tracer = tracer(lab, &config.node)?;
        let clock = SystemClock::shared();
        let started = McClient::start_at(attachment, config, clock, tracer.clone()).await;
        let (client, mut events) = started.map_err(|source| PartyError::Client {
            user: user.clone(),
            source,
        })?;
        let (heard, steps) = (broadcast::Sender::new(FOLLOWED), Arc::default());
        let (sender, followed) = (heard.clone(), Arc::<Mutex<Steps>>::clone(&steps));
        let follower = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                note(&followed, &event);
                // Nobody has to listen.
                let at_us = now_us();
                let _unheard = sender.send(Heard { at_us, event });
            }
        });
        Ok(Self {
            user,
            client,
            tracer,
            heard,
            steps,
            follower,
        })
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn follow(&self) -> broadcast::Receiver<Heard> {
        self.heard.subscribe()
    }

    /// How far the client is.
    #[must_use]
    pub fn steps(&self) -> Steps {
        self.steps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits until the client can call and be called.
    ///
    /// # Errors
    /// The steps that have not passed when the patience ends.
    pub async fn until_ready(&self, patience: Duration) -> Result<(), Steps> {
        let mut heard = self.follow();
        let ready = async {
            while !self.steps().ready {
                // A lagging follower sees the state at the next turn.
                if matches!(heard.recv().await, Err(broadcast::error::RecvError::Closed)) {
                    return;
                }
            }
        };
        let _elapsed = tokio::time::timeout(patience, ready).await;
        let steps = self.steps();
        if steps.ready { Ok(()) } else { Err(steps) }
    }

    /// Leaves all calls, deregisters and stops.
    pub async fn stop(self) {
        self.client.stop().await;
        // The client has ended, so there is no event left.
        let _ended = self.follower.await;
        self.tracer.flush().await;
    }
}

fn tracer(lab: &Lab, node: &str) -> Result<Tracer, PartyError> {
    let trace = TraceConfig {
        hep: vec![lab.addresses().of(PortName::ConsoleHep)],
        lines: Some(lab.state().file("logs", "trace.jsonl")),
        lab_keys: lab.lab_keys(),
        key_log: Some(lab.state().file("logs", "keys.jsonl")),
        ..TraceConfig::default()
    };
    Tracer::start(node, &trace).map_err(PartyError::Trace)
}

/// The interconnection that the lab's MCPTT server knows as `partner.example`.
///
/// # Errors
/// [`PartyError`]; a server that is not there yet is waited for.
pub async fn interconnect(lab: &Lab) -> Result<Interconnection, PartyError> {
    let node = "partner.example";
    let started = Interconnection::open(interconnection_config(lab)?, tracer(lab, node)?).await;
    started.map_err(|source| PartyError::Client {
        user: node.to_owned(),
        source,
    })
}

/// What the system behind that interconnection is told, to match `deploy/lab/mcptt-server.toml`.
///
/// # Errors
/// When the lab's secrets cannot be read.
pub fn interconnection_config(lab: &Lab) -> Result<InterconnectionConfig, PartyError> {
    let server = lab.addresses().of(PortName::McpttSip);
    Ok(InterconnectionConfig {
        node: "partner.example".to_owned(),
        state_dir: lab.state().file("data", "partner"),
        server: format!("sip:{server};transport=tcp"),
        controlling: "sip:mcptt-ctrl@mc.example".to_owned(),
        psi: "sip:mcptt@partner.example".to_owned(),
        endpoint: SipConfig {
            bind: lab.addresses().of(PortName::PartnerSip),
            ..SipConfig::default()
        },
        spk: SpkConfig::new(
            "3a7e0001",
            Secret::new(lab.state().secret("spk-partner-key")?),
            Secret::new(lab.state().secret("spk-partner-rand")?),
        ),
        ssrcs: SsrcShare::Upper,
        require_protection: true,
        require_signature: true,
        keepalive_ms: 2000,
        authorisation: None,
    })
}

/// Unix time in microseconds.
#[must_use]
pub fn now_us() -> u64 {
    u64::try_from(SystemClock.unix().as_micros()).unwrap_or(u64::MAX)
}

fn note(steps: &Mutex<Steps>, event: &ClientEvent) {
    let mut steps = steps.lock().unwrap_or_else(PoisonError::into_inner);
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is of the moment"
    )]
    match event {
        ClientEvent::StepPassed(step) => {
            steps.outcome.insert(*step, Ok(()));
        }
        ClientEvent::StepFailed(step, failure) => {
            steps.outcome.insert(*step, Err(failure.clone()));
        }
        ClientEvent::Ready => steps.ready = true,
        ClientEvent::CallStarted { call, .. } => {
            steps.calls.insert(call.clone());
        }
        ClientEvent::Released { call, .. } => {
            steps.calls.remove(call);
        }
        ClientEvent::Disconnected { .. } | ClientEvent::Stopped => steps.ready = false,
        _ => {}
    }
}

/// The configuration of a user's client: what `mcbox client` runs and a foreign client needs.
///
/// # Errors
/// When the lab's password cannot be read.
pub fn client_config(lab: &Lab, user: &str, groups: &[&str]) -> Result<ClientConfig, PartyError> {
    let name = |error: &dyn std::fmt::Display| PartyError::Name(error.to_string());
    let groups: Result<Vec<GroupId>, _> = groups.iter().map(|group| group.parse()).collect();
    let gateways = crate::site::host_users().map(|user| user.parse()).collect();
    let gateways: Result<Vec<IdentityPattern>, _> = gateways;
    let local = local_address(lab.addresses().of(PortName::McpttSip).ip());
    Ok(ClientConfig {
        node: user.to_owned(),
        state_dir: lab.state().file("data", &format!("client-{user}")),
        login: login_config(lab, user)?,
        kms: kms_config(lab)?,
        http: http_config(lab),
        sip: Some(SipLink {
            server: format!(
                "sip:{};transport=tcp",
                lab.addresses().of(PortName::McpttSip)
            ),
            impu: format!("sip:{user}@ims.mc.example"),
            endpoint: SipConfig {
                bind: (local, 0).into(),
                ..SipConfig::default()
            },
            registration_s: 600,
        }),
        servers: ServerIdentities::default(),
        gms: GmsConfig {
            xcap_root: format!("https://{}", lab.addresses().of(PortName::Gms)),
            partner: None,
            others: Vec::new(),
        },
        groups: groups.map_err(|error| name(&error))?,
        client_id: None,
        media_address: local,
        bodies: BodyConfig::default(),
        mikey: MikeyConfig::default(),
        kms_redirect: RedirectNames::default(),
        emergency_resource_priority: Some("mcpttp.15".to_owned()),
        gmk_wait_s: 20,
        functional_aliases: Vec::new(),
        manual_answer: false,
        max_private_calls: 1,
        security_gateway: false,
        gateways: gateways.map_err(|error| name(&error))?,
    })
}

/// The address of this machine that faces a service.
fn local_address(service: IpAddr) -> IpAddr {
    let facing = || {
        let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
        socket.connect((service, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    facing().unwrap_or(service)
}

/// How a user of the lab logs in.
///
/// # Errors
/// When the lab's password cannot be read.
pub fn login_config(lab: &Lab, user: &str) -> Result<LoginConfig, StateError> {
    login_config_in(lab, Domain::Primary, user)
}

/// How a user of one domain of the lab logs in.
///
/// # Errors
/// When the lab's password cannot be read.
pub fn login_config_in(lab: &Lab, domain: Domain, user: &str) -> Result<LoginConfig, StateError> {
    Ok(LoginConfig {
        issuer: format!("https://{}", lab.addresses().of(domain.idms())),
        client_id: "mcptt_client".to_owned(),
        client_secret: None,
        redirect_uri: "http://127.0.0.1/callback".to_owned(),
        username: user.to_owned(),
        password: Secret::new(lab.state().password()?),
        scopes: PTT_SCOPES.map(str::to_owned).to_vec(),
    })
}

/// Where users of other domains get tokens of one domain of the lab.
#[must_use]
pub fn partner_config(lab: &Lab, domain: Domain, scopes: &[&str]) -> PartnerConfig {
    let idms = lab.addresses().of(domain.idms());
    PartnerConfig {
        token_endpoint: format!("https://{idms}/idms/token"),
        client_id: "mcptt_client".to_owned(),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    }
}

/// Where the lab's KMS is.
///
/// # Errors
/// Never: the name is valid.
pub fn kms_config(lab: &Lab) -> Result<KmsConfig, PartyError> {
    kms_config_in(lab, Domain::Primary)
}

/// Where the KMS of one domain of the lab is.
///
/// # Errors
/// Never: the name is valid.
pub fn kms_config_in(lab: &Lab, domain: Domain) -> Result<KmsConfig, PartyError> {
    let name = |e: mc_ids::IdentityError| PartyError::Name(e.to_string());
    Ok(KmsConfig {
        url: format!("https://{}", lab.addresses().of(domain.kms())),
        kms_uri: KmsUri::new(domain.kms_uri()).map_err(name)?,
        client_id: None,
        device_id: None,
    })
}

/// HTTPS with the lab's certificate.
#[must_use]
pub fn http_config(lab: &Lab) -> http::ClientConfig {
    http::ClientConfig {
        ca: Some(lab.state().file("certificates", "ca.pem")),
        ..http::ClientConfig::default()
    }
}

/// Logs a user of the lab in.
///
/// # Errors
/// What kept the user from a token, with the clause.
pub async fn log_in(lab: &Lab, user: &str, clock: SharedClock) -> anyhow::Result<Session> {
    let config = login_config(lab, user)?;
    let login = Login::discover(config, http_config(lab), clock).await?;
    Ok(login.log_in().await?)
}

/// A log-in that lasts, of a user of one domain.
///
/// # Errors
/// What kept the user from a token, with the clause.
pub async fn tokens_in(
    lab: &Lab,
    domain: Domain,
    user: &str,
    clock: SharedClock,
) -> anyhow::Result<TokenSource> {
    let config = login_config_in(lab, domain, user)?;
    let login = Login::discover(config, http_config(lab), clock).await?;
    Ok(TokenSource::start(login).await?)
}

/// A client of the lab's KMS.
///
/// # Errors
/// When the lab's certificate cannot be read.
pub fn kms_client(lab: &Lab, clock: SharedClock) -> anyhow::Result<KmsClient> {
    kms_client_in(lab, Domain::Primary, clock)
}

/// A client of the KMS of one domain.
///
/// # Errors
/// When the lab's certificate cannot be read.
pub fn kms_client_in(lab: &Lab, domain: Domain, clock: SharedClock) -> anyhow::Result<KmsClient> {
    let http = http::client(&http_config(lab))?;
    Ok(KmsClient::new(
        kms_config_in(lab, domain)?,
        http,
        clock,
        Tracer::off(),
        "mcbox",
    ))
}
