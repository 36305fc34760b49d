//! The interconnection of this MC system with another one: one SIP endpoint, one SPK, shared by all
//! clients of this system that use the other one's MCPTT server (TS 24.379 6.8, TS 33.180 11.1).
//!
//! Towards the other system this side plays the participating MCPTT function of its clients and the
//! MC gateway server in front of it. Requests outside a dialog come to the function's public
//! service identity and are for the user that the protected mcptt-info names; requests inside one
//! come to the Contact of a client, which does not tell whose it is.

mod authorisation;
mod dispatch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use mc_ids::{McServiceId, SpkId};
use mc_media::{LedgerError, SrtcpContext, SsrcHalf, SsrcLease};
use mc_runtime::CancellationToken;
use mc_runtime::auth::TokenVerifier;
use mc_runtime::sip::{Incoming, SipConfig, SipEndpoint, TracedSip};
use mc_runtime::trace::Tracer;
use mc_sip::mcptt::{self, ISFOCUS};
use mc_sip::transaction::TransactionConfig;
use mc_sip::{Method, NameAddr, Peer, Request, Uri, name, token};
use serde::Deserialize;
use tokio::sync::{mpsc, watch};

use crate::bodies::{BodyProtection, Demand};
use crate::event::StepFailure;
use crate::handle::ClientError;
use crate::spk::{SpkAssociation, SpkConfig, SsrcShare};
use crate::state_dir::{StateDir, StateError};

pub use self::authorisation::AuthorisationConfig;
use self::dispatch::Clients;

/// The configuration of an interconnection.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterconnectionConfig {
    /// Name of this system in traces.
    pub node: String,
    /// Directory of what must survive a restart: the SSRCs used under the SPK.
    pub state_dir: PathBuf,
    /// SIP address of the other system (`sip:198.51.100.7:5060;transport=tcp`). Requests are taken
    /// from its host only.
    pub server: String,
    /// Public service identity of the other system's controlling function. Default
    /// `sip:mcptt-ctrl@mc.example`.
    #[serde(default = "default_controlling")]
    pub controlling: String,
    /// Public service identity of our participating function, by which the other system knows this
    /// one.
    pub psi: String,
    /// Our own SIP address and limits; the other system must be told the address.
    pub endpoint: SipConfig,
    /// The key of the interconnection.
    pub spk: SpkConfig,
    /// Which SSRCs this end takes under the SPK, `lower` or `upper`; the other end must take the
    /// others. Default upper, as the MCPTT server takes the lower ones by default.
    #[serde(default = "default_ssrcs")]
    pub ssrcs: SsrcShare,
    /// Whether mcptt-info in clear is refused. Default true.
    #[serde(default = "enabled")]
    pub require_protection: bool,
    /// Whether mcptt-info without a signature over it is refused. Default true.
    #[serde(default = "enabled")]
    pub require_signature: bool,
    /// Milliseconds between two OPTIONS that ask whether the other system is there; as long may an
    /// answer take. A lost connection, and a system that was not there, are asked about within half a
    /// second. Default 2000.
    #[serde(default = "default_keepalive_ms")]
    pub keepalive_ms: u64,
    /// How the function authorises its users before it serves them. Default none: they are those of
    /// its clients' configurations.
    #[serde(default)]
    pub authorisation: Option<AuthorisationConfig>,
}

fn default_controlling() -> String {
    "sip:mcptt-ctrl@mc.example".to_owned()
}

const fn default_ssrcs() -> SsrcShare {
    SsrcShare::Upper
}

const fn enabled() -> bool {
    true
}

const fn default_keepalive_ms() -> u64 {
    2000
}

/// Time between two questions to a system that was not there.
const RETRY: Duration = Duration::from_millis(500);
/// Time between two looks at the connection.
const LOOK: Duration = Duration::from_millis(200);

/// An interconnection; clones share it. It runs until [`Interconnection::close`].
#[derive(Debug, Clone)]
pub struct Interconnection(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    node: String,
    endpoint: SipEndpoint,
    server: Peer,
    controlling: Uri,
    psi: Uri,
    association: SpkAssociation,
    floor: Arc<SrtcpContext>,
    half: SsrcHalf,
    state: Mutex<StateDir>,
    require_protection: bool,
    require_signature: bool,
    keepalive: Duration,
    authorisation: Option<AuthorisationConfig>,
    verifier: OnceLock<TokenVerifier>,
    clients: Clients,
    /// Why the other system is not there; `None` while it is.
    down: watch::Sender<Option<String>>,
    /// How often it was lost.
    losses: AtomicU64,
    stop: CancellationToken,
}

/// A client's place at an interconnection; dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Place {
    interconnection: Interconnection,
    /// User part of the client's Contact.
    token: String,
    /// How often the other system had been lost when the place was taken.
    losses: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.interconnection.0.clients.leave(&self.token);
    }
}

impl Interconnection {
    /// Opens the SIP endpoint and keeps asking whether the other system is there; it need not be.
    ///
    /// # Errors
    /// [`ClientError`] for a configuration, a state directory or an address that cannot be used.
    pub async fn open(config: InterconnectionConfig, tracer: Tracer) -> Result<Self, ClientError> {
        let wrong = |error: &dyn std::fmt::Display| ClientError::Configuration(error.to_string());
        let uri = |text: &str| -> Result<Uri, ClientError> {
            text.parse()
                .map_err(|_| wrong(&format!("{text:?} is no SIP URI")))
        };
        let association = SpkAssociation::new(&config.spk).map_err(|e| wrong(&e))?;
        let state = StateDir::open(&config.state_dir).map_err(|e| wrong(&e))?;
        let server = SipEndpoint::resolve(&uri(&config.server)?).await;
        let server = server.map_err(|e| wrong(&format!("{}: {e}", config.server)))?;
        let (controlling, psi) = (uri(&config.controlling)?, uri(&config.psi)?);
        // Clients leave their calls after the stop, so the endpoint outlives it.
        let (endpoint, incoming) = SipEndpoint::bind(
            &config.endpoint,
            TransactionConfig::default(),
            TracedSip::shared(tracer.clone(), &config.node),
            &CancellationToken::new(),
        )
        .await?;
        for entry in association.log_entries() {
            tracer.key(entry);
        }
        let interconnection = Self(Arc::new(Shared {
            node: config.node,
            endpoint,
            server,
            controlling,
            psi,
            floor: association.floor_context(),
            association,
            half: config.ssrcs.into(),
            state: Mutex::new(state),
            require_protection: config.require_protection,
            require_signature: config.require_signature,
            keepalive: Duration::from_millis(config.keepalive_ms.max(100)),
            authorisation: config.authorisation,
            verifier: OnceLock::new(),
            clients: Clients::default(),
            down: watch::Sender::new(Some("not asked yet".to_owned())),
            losses: AtomicU64::new(0),
            stop: CancellationToken::new(),
        }));
        tokio::spawn(interconnection.clone().dispatch(incoming));
        tokio::spawn(interconnection.clone().keep_asking());
        Ok(interconnection)
    }

    /// Our own SIP address.
    #[must_use]
    pub fn local_address(&self) -> std::net::SocketAddr {
        self.0.endpoint.local_address()
    }

    /// Public service identity of our participating function.
    #[must_use]
    pub fn psi(&self) -> &Uri {
        &self.0.psi
    }

    /// SPK-ID.
    #[must_use]
    pub fn spk_id(&self) -> SpkId {
        self.0.association.id()
    }

    /// Whether the other system answered when it was asked last.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.0.down.borrow().is_none()
    }

    /// How many users have a place here.
    #[must_use]
    pub fn users(&self) -> usize {
        self.0.clients.count()
    }

    /// Follows whether the other system is there: `None`, or why it is not.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Option<String>> {
        self.0.down.subscribe()
    }

    /// Stops for good; its clients should have been stopped before.
    pub async fn close(&self) {
        self.0.stop.cancel();
        self.0.endpoint.close().await;
    }

    /// Asks the other system whether it is there.
    //= RFC 3261 11
    pub(crate) async fn ask(&self) -> Result<(), StepFailure> {
        let shared = &self.0;
        let mut rng = mc_runtime::rng();
        let own = NameAddr::new(shared.psi.clone());
        let request = Request::new(
            Method::Options,
            shared.controlling.clone(),
            &own.clone().with_tag(&token::tag(&mut rng)),
            &NameAddr::new(shared.controlling.clone()),
            &token::call_id(&mut rng),
            1,
        )
        .with(name::P_ASSERTED_IDENTITY, own.to_string());
        let mut responses = shared.endpoint.request(request, shared.server);
        let answer = tokio::time::timeout(shared.keepalive, responses.final_response()).await;
        let detail = match answer {
            Ok(Ok(response)) if response.status.is_success() => None,
            Ok(Ok(response)) => Some(format!(
                "OPTIONS answered {} {}",
                response.status.code(),
                response.reason
            )),
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("no answer to OPTIONS".to_owned()),
        };
        self.note(detail.as_deref());
        let failed = |detail| StepFailure {
            service: "mcptt-server",
            clause: "TS 24.379 6.8",
            detail,
        };
        detail.map_or(Ok(()), |detail| Err(failed(detail)))
    }

    /// Takes in whether the other system is there.
    fn note(&self, detail: Option<&str>) {
        let shared = &self.0;
        let changed = shared.down.send_if_modified(|down| {
            let changed = down.is_some() != detail.is_some();
            if changed && detail.is_some() {
                shared.losses.fetch_add(1, Ordering::Relaxed);
            }
            *down = detail.map(str::to_owned);
            changed
        });
        if changed {
            let node = shared.node.as_str();
            match detail {
                None => tracing::info!(node, server = %shared.server, "interconnection is up"),
                Some(detail) => tracing::warn!(node, detail, "interconnection is down"),
            }
        }
    }

    async fn keep_asking(self) {
        let shared = &self.0;
        loop {
            // What it found shows in the state.
            let _outcome = self.ask().await;
            let pause = match self.is_up() {
                true => shared.keepalive,
                false => shared.keepalive.min(RETRY),
            };
            tokio::select! {
                () = shared.stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                // The other system may be back before it is asked, and know no call of ours.
                () = self.connection_lost(), if self.is_up() => {
                    self.note(Some("the connection was lost"));
                }
            }
        }
    }

    /// Waits until there is no connection to the other system any more.
    //= RFC 5626 4.5
    async fn connection_lost(&self) {
        loop {
            tokio::time::sleep(LOOK).await;
            if !self.0.endpoint.is_connected(self.0.server) {
                return;
            }
        }
    }

    /// Gives the client of a user a place: what is for the user goes into `incoming`. A later
    /// client of the same user takes the place over.
    pub(crate) fn join(&self, user: &McServiceId, incoming: mpsc::Sender<Incoming>) -> Place {
        let token = format!("u-{}", token::hex(&mut mc_runtime::rng(), 8));
        self.0.clients.join(user, &token, incoming);
        Place {
            losses: self.0.losses.load(Ordering::Relaxed),
            interconnection: self.clone(),
            token,
        }
    }

    /// Permission to send floor control on one leg under the SPK.
    pub(crate) fn lease(&self) -> Result<SsrcLease, LedgerError<StateError>> {
        let (mki, taken) = (self.0.floor.mki(), self.0.floor.taken());
        let state = &self.0.state;
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.lease_of(self.0.half, mki, &taken)
    }

    pub(crate) fn floor(&self) -> &Arc<SrtcpContext> {
        &self.0.floor
    }

    pub(crate) fn bodies(&self) -> &BodyProtection {
        self.0.association.bodies()
    }

    /// What bodies of the other system must be.
    pub(crate) fn demand(&self) -> Demand {
        Demand {
            encryption: self.0.require_protection,
            signature: self.0.require_signature,
        }
    }

    pub(crate) fn endpoint(&self) -> &SipEndpoint {
        &self.0.endpoint
    }

    pub(crate) fn server(&self) -> Peer {
        self.0.server
    }

    pub(crate) fn controlling(&self) -> &Uri {
        &self.0.controlling
    }
}

impl Place {
    /// Whether the other system is there and has been since the place was taken: one that was lost
    /// knows no call any more.
    pub(crate) fn is_held(&self) -> bool {
        let losses = self.interconnection.0.losses.load(Ordering::Relaxed);
        losses == self.losses && self.interconnection.is_up()
    }

    pub(crate) const fn interconnection(&self) -> &Interconnection {
        &self.interconnection
    }

    /// Contact of the client: the function's, with the MCPTT features (sample of TS 24.379
    /// 6.3.2.1.3).
    pub(crate) fn contact(&self) -> NameAddr {
        let shared = &self.interconnection.0;
        let contact = shared.endpoint.contact(&self.token, shared.server);
        mcptt::contact_features(contact).with_param(ISFOCUS, None)
    }
}
