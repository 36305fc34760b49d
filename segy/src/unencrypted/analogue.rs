//! Analogue channels: talkgroup N is the conference `sip:chanN@` of the radio system, speech is RTP
//! PCMU, push-to-talk travels as INFO in the dialog ([`mc_sip::ptt`]). The gateway is the calling party and
//! stays in each conference. Unit N is `sip:unitN@` of the radio system; what units dial comes as an
//! INVITE to the gateway (`unit_call`).

mod leg;
mod listener;
mod session;
mod speaker;
mod unit_call;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mc_runtime::CancellationToken;
use mc_runtime::sip::{Incoming, IncomingRequest, SipConfig, SipEndpoint, TracedSip};
use mc_sip::transaction::{TransactionConfig, TransactionId};
use mc_sip::{DialogId, Method, StatusCode, Uri, name};
use serde::Deserialize;
use tokio::sync::mpsc;

use super::{ExternalContext, ExternalPort, Unencrypted, port};
use crate::bridge::Shown;
use crate::config::ConfigError;
use leg::Leg;
use session::Target;

/// How the radio system is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnalogueConfig {
    /// SIP address of the radio system (`sip:127.0.0.1:5070;transport=tcp`).
    pub server: String,
    /// Domain of its channels: talkgroup N is `sip:chanN@<domain>` (default `lmr`).
    #[serde(default = "default_domain")]
    pub domain: String,
    /// Our own address in calls (default `sip:segy@lmr`).
    #[serde(default = "default_identity")]
    pub identity: String,
    /// Own SIP address and limits (default: any free port of 127.0.0.1).
    #[serde(default = "any_port")]
    pub sip: SipConfig,
    /// Address that RTP sockets are bound to (default: that of `sip.bind`).
    #[serde(default)]
    pub media_bind: Option<IpAddr>,
    /// Address written into SDP (default: the one that faces the radio system).
    #[serde(default)]
    pub media_advertised: Option<IpAddr>,
    /// Seconds between checks that a call is still there (default 2); a lost connection is noticed
    /// at once.
    #[serde(default = "default_keepalive_s")]
    pub keepalive_s: u64,
    /// Longest wait between attempts to connect, seconds (default 2); it begins with a quarter and
    /// doubles.
    #[serde(default = "default_retry_s")]
    pub retry_s: u64,
    /// Silence after which a user of a system that signals no push-to-talk has released,
    /// milliseconds (default 500).
    #[serde(default = "default_silence_ms")]
    pub silence_ms: u64,
}

fn default_domain() -> String {
    "lmr".to_owned()
}

fn default_identity() -> String {
    "sip:segy@lmr".to_owned()
}

fn any_port() -> SipConfig {
    SipConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        ..SipConfig::default()
    }
}

const fn default_keepalive_s() -> u64 {
    2
}

const fn default_retry_s() -> u64 {
    2
}

const fn default_silence_ms() -> u64 {
    500
}

impl AnalogueConfig {
    pub(super) fn check<'a>(
        &self,
        mut talkgroups: impl Iterator<Item = &'a str>,
    ) -> Result<(), ConfigError> {
        let field = |field, detail: String| Err(ConfigError::Field { field, detail });
        for (name, uri) in [
            ("external.server", &self.server),
            ("external.identity", &self.identity),
        ] {
            if uri.parse::<Uri>().is_err() {
                return field(name, format!("{uri:?} is no SIP URI"));
            }
        }
        if self.keepalive_s == 0 || self.retry_s == 0 {
            return field(
                "external",
                "keepalive_s and retry_s must be at least 1".to_owned(),
            );
        }
        let number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        match talkgroups.find(|name| !number(name)) {
            Some(name) => field(
                "talkgroups.talkgroup",
                format!("{name:?} is no channel number"),
            ),
            None => Ok(()),
        }
    }

    fn longest_retry(&self) -> Duration {
        Duration::from_secs(self.retry_s)
    }
}

/// What the legs share.
#[derive(Debug, Clone)]
struct Shared {
    config: Arc<AnalogueConfig>,
    context: ExternalContext,
    endpoint: SipEndpoint,
    dialogs: Dialogs,
}

/// Where requests in dialogs go: by Call-ID and our tag, which are known before the call is up, so
/// that a request which overtakes the answer to our INVITE finds its leg too.
#[derive(Debug, Clone, Default)]
struct Dialogs {
    legs: Arc<Mutex<HashMap<HalfDialog, mpsc::Sender<IncomingRequest>>>>,
    /// Calls to us that are not confirmed: what ends each.
    unconfirmed: Arc<Mutex<HashMap<TransactionId, CancellationToken>>>,
}

/// Call-ID and our tag.
type HalfDialog = (String, String);

impl Dialogs {
    fn insert(&self, call_id: &str, tag: &str, leg: mpsc::Sender<IncomingRequest>) {
        let mut legs = lock(&self.legs);
        legs.insert((call_id.to_owned(), tag.to_owned()), leg);
    }

    fn remove(&self, call_id: &str, tag: &str) {
        let mut legs = lock(&self.legs);
        legs.remove(&(call_id.to_owned(), tag.to_owned()));
    }

    /// What ends the call of this INVITE until it is confirmed.
    fn unconfirmed(&self, invite: TransactionId) -> CancellationToken {
        let mut unconfirmed = lock(&self.unconfirmed);
        unconfirmed.entry(invite).or_default().clone()
    }

    fn confirmed(&self, invite: TransactionId) {
        lock(&self.unconfirmed).remove(&invite);
    }

    /// The call of this INVITE was cancelled, or its answer never confirmed.
    fn given_up(&self, invite: TransactionId) {
        if let Some(call) = lock(&self.unconfirmed).remove(&invite) {
            call.cancel();
        }
    }

    /// A request in a dialog; one outside comes back.
    fn dispatch(&self, request: IncomingRequest) -> Option<IncomingRequest> {
        let id = match DialogId::of_request(&request.request) {
            Ok(id) => id,
            Err(error) => {
                request.respond_status(error.status());
                return None;
            }
        };
        let Some(id) = id else {
            return Some(request);
        };
        let legs = lock(&self.legs);
        match legs.get(&(id.call_id, id.local_tag)) {
            // A leg that is flooded answers 500: a request that is dropped unanswered does.
            Some(leg) => drop(leg.try_send(request)),
            None => request.respond_status(StatusCode::CALL_DOES_NOT_EXIST),
        }
        None
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn outside_dialogs(shared: &Shared, request: IncomingRequest) {
    if request.request.method == Method::Invite {
        tokio::spawn(unit_call::incoming(shared.clone(), request));
        return;
    }
    let status = match request.request.method {
        Method::Options => StatusCode::OK,
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Info
        | Method::Update
        | Method::Register
        | Method::Message
        | Method::Publish
        | Method::Subscribe
        | Method::Notify
        | Method::Prack
        | Method::Refer => StatusCode::METHOD_NOT_ALLOWED,
    };
    request.respond(request.response(status).with(name::ALLOW, ALLOWED));
}

/// Methods of a leg.
const ALLOWED: &str = "INVITE, ACK, BYE, CANCEL, INFO, UPDATE, OPTIONS";

/// The adapter.
#[derive(Debug)]
pub struct Analogue {
    shared: Shared,
}

impl Analogue {
    /// Opens the SIP address.
    ///
    /// # Errors
    /// It cannot be bound.
    pub async fn start(config: AnalogueConfig, context: ExternalContext) -> std::io::Result<Self> {
        let trace = TracedSip::lmr(context.tracer.clone(), &context.node);
        let (endpoint, incoming) = SipEndpoint::bind(
            &config.sip,
            TransactionConfig::default(),
            trace,
            // It outlives the shutdown long enough to hang up; the process ends it.
            &CancellationToken::new(),
        )
        .await?;
        let shared = Shared {
            config: Arc::new(config),
            context,
            endpoint,
            dialogs: Dialogs::default(),
        };
        tokio::spawn(receive(shared.clone(), incoming));
        Ok(Self { shared })
    }
}

impl Unencrypted for Analogue {
    fn connect(&self, talkgroup: &str) -> ExternalPort {
        let (outer, inner) = port();
        tokio::spawn(Leg::new(self.shared.clone(), talkgroup, inner).run());
        outer
    }

    fn call(&self, unit: &str, caller: &Shown) -> ExternalPort {
        let (outer, inner) = port();
        let target = Target::unit(&self.shared.config, unit, caller);
        tokio::spawn(unit_call::outgoing(self.shared.clone(), target, inner));
        outer
    }
}

async fn receive(shared: Shared, mut incoming: mpsc::Receiver<Incoming>) {
    while let Some(incoming) = incoming.recv().await {
        match incoming {
            Incoming::Request(request) => {
                if let Some(request) = shared.dialogs.dispatch(request) {
                    outside_dialogs(&shared, request);
                }
            }
            Incoming::Ack { transaction, .. } => shared.dialogs.confirmed(transaction),
            // A re-INVITE whose ACK is missing shows in the next check of the call.
            Incoming::Cancelled { transaction } | Incoming::AckMissing { transaction } => {
                shared.dialogs.given_up(transaction);
            }
        }
    }
}
