//! Analogue conventional: a channel is the conference `sip:chanN@lmr`, speech is RTP PCMU.
//!
//! A radio is `sip:unitN@lmr`: calls to it and what it dials go one to one (`unit_call`).
//!
//! Any softphone may INVITE into a channel. Its speech is its push-to-talk: a packet of speech
//! presses, 500 ms without release. A peer that also sends INFO ([`mc_sip::ptt`]) is taken at its word and
//! told who talks the same way.

mod leg;
mod rtp;
mod sip_trace;
mod unit_call;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use mc_runtime::sip::{Incoming, IncomingRequest, SipConfig, SipEndpoint};
use mc_sip::transaction::{TransactionConfig, TransactionId};
use mc_sip::{DialogId, Method, StatusCode, name, token};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{Air, AirContext, Dialled, RunningAir};
use crate::config::{MediaConfig, UnitCallConfig};
use crate::network::ChannelId;
use leg::{Leg, LegEvent};
use sip_trace::SipTracer;

/// The adapter.
#[derive(Debug, Clone)]
pub struct Analogue {
    /// SIP side.
    pub sip: SipConfig,
    /// Speech.
    pub media: MediaConfig,
    /// Calls of single radios.
    pub unit_calls: UnitCallConfig,
}

impl Air for Analogue {
    async fn start(self, context: AirContext) -> std::io::Result<RunningAir> {
        let trace = Arc::new(SipTracer::new(context.tracer.clone()));
        let (endpoint, incoming) = SipEndpoint::bind(
            &self.sip,
            TransactionConfig::default(),
            trace,
            &context.shutdown,
        )
        .await?;
        let address = endpoint.local_address();
        let (dialled, dials) = mpsc::channel(DIALLED);
        let shared = Shared {
            context,
            endpoint,
            media: Arc::new(self.media),
            unit_calls: Arc::new(self.unit_calls),
        };
        let channels = Channels {
            shared,
            legs: HashMap::new(),
            invites: HashMap::new(),
            tasks: TaskTracker::new(),
        };
        let task = tokio::spawn(channels.run(incoming, dials));
        Ok(RunningAir {
            name: "analogue",
            address,
            dialled,
            task,
        })
    }
}

/// Events a leg may be behind.
const LEG_EVENTS: usize = 64;

/// A leg is told what happens in its dialog through this.
type ToLeg = mpsc::Sender<LegEvent>;

/// Call-ID and our tag: known before the far side has answered.
type HalfDialog = (String, String);

/// Calls that may wait to be made.
const DIALLED: usize = 16;

/// What the legs share.
#[derive(Clone)]
struct Shared {
    context: AirContext,
    endpoint: SipEndpoint,
    media: Arc<MediaConfig>,
    unit_calls: Arc<UnitCallConfig>,
}

struct Channels {
    shared: Shared,
    legs: HashMap<HalfDialog, ToLeg>,
    /// INVITE transactions that are unanswered, or whose ACK is still to come.
    invites: HashMap<TransactionId, HalfDialog>,
    tasks: TaskTracker,
}

impl Channels {
    async fn run(
        mut self,
        mut incoming: mpsc::Receiver<Incoming>,
        mut dials: mpsc::Receiver<Dialled>,
    ) {
        let shutdown = self.shared.context.shutdown.clone();
        loop {
            let incoming = tokio::select! {
                incoming = incoming.recv() => incoming,
                Some(dialled) = dials.recv() => {
                    self.dial(dialled);
                    continue;
                }
                () = shutdown.cancelled() => None,
            };
            match incoming {
                Some(Incoming::Request(request)) => self.on_request(request).await,
                Some(Incoming::Ack {
                    transaction,
                    request,
                }) => {
                    if let Some(id) = self.invites.remove(&transaction) {
                        self.tell(&id, LegEvent::Acked(Box::new(request)));
                    }
                }
                Some(Incoming::AckMissing { transaction }) => {
                    if let Some(id) = self.invites.remove(&transaction) {
                        self.tell(&id, LegEvent::Hangup);
                    }
                }
                Some(Incoming::Cancelled { transaction }) => {
                    if let Some(id) = self.invites.get(&transaction) {
                        self.tell(id, LegEvent::Cancelled);
                    }
                }
                None => break,
            }
        }
        self.legs.clear();
        self.tasks.close();
        self.tasks.wait().await;
        self.shared.endpoint.close().await;
    }

    fn tell(&self, id: &HalfDialog, event: LegEvent) {
        if let Some(leg) = self.legs.get(id) {
            // A leg that ended at this moment or is flooded loses the event; requests in it are
            // answered with 500 when dropped.
            let _lost = leg.try_send(event);
        }
    }

    async fn on_request(&mut self, incoming: IncomingRequest) {
        self.legs.retain(|_, leg| !leg.is_closed());
        let legs = &self.legs;
        self.invites.retain(|_, id| legs.contains_key(id));
        let dialog = match DialogId::of_request(&incoming.request) {
            Ok(dialog) => dialog.map(|id| (id.call_id, id.local_tag)),
            Err(error) => return incoming.respond_status(error.status()),
        };
        match (dialog, incoming.request.method) {
            (Some(id), _) if self.legs.contains_key(&id) => {
                if incoming.request.method == Method::Invite {
                    self.invites.insert(incoming.transaction, id.clone());
                }
                self.tell(&id, LegEvent::Request(Box::new(incoming)));
            }
            (Some(_), _) => incoming.respond_status(StatusCode::CALL_DOES_NOT_EXIST),
            (None, Method::Invite) => self.on_invite(incoming).await,
            (None, Method::Options) => {
                let ok = incoming
                    .response(StatusCode::OK)
                    .with(name::ALLOW, allowed());
                incoming.respond(ok.with(name::ACCEPT, "application/sdp"));
            }
            (None, Method::Register) => register(&incoming),
            (None, _) => {
                let refused = incoming.response(StatusCode::METHOD_NOT_ALLOWED);
                incoming.respond(refused.with(name::ALLOW, allowed()));
            }
        }
    }

    async fn on_invite(&mut self, incoming: IncomingRequest) {
        let call_id = incoming.request.headers.call_id().unwrap_or_default();
        let id = (call_id.to_owned(), incoming.to_tag.clone());
        let transaction = incoming.transaction;
        let (to_leg, events) = mpsc::channel(LEG_EVENTS);
        let user = incoming.request.uri.user.as_deref();
        if let Some(unit) = unit_of(user).map(str::to_owned) {
            let shared = self.shared.clone();
            let call = unit_call::incoming(shared, unit, incoming, (to_leg.clone(), events));
            self.tasks.spawn(call);
        } else {
            let leg = Leg::answer(&self.shared, incoming).await;
            let Some(leg) = leg else { return };
            self.tasks.spawn(leg.run(events));
        }
        self.legs.insert(id.clone(), to_leg);
        self.invites.insert(transaction, id);
    }

    fn dial(&mut self, dialled: Dialled) {
        let mut rng = mc_runtime::rng();
        let id = (token::call_id(&mut rng), token::tag(&mut rng));
        let (to_leg, events) = mpsc::channel(LEG_EVENTS);
        self.legs.insert(id.clone(), to_leg.clone());
        let shared = self.shared.clone();
        let call = unit_call::outgoing(shared, dialled, id, (to_leg, events));
        self.tasks.spawn(call);
    }
}

/// Methods a channel serves.
fn allowed() -> String {
    "INVITE, ACK, BYE, CANCEL, INFO, UPDATE, OPTIONS, REGISTER".to_owned()
}

/// There is no registrar in an analogue network; softphones that insist are humoured.
fn register(incoming: &IncomingRequest) {
    let expires = incoming.request.headers.expires().unwrap_or(3600).min(3600);
    let mut ok = incoming
        .response(StatusCode::OK)
        .with(name::EXPIRES, expires.to_string());
    if let Some(contact) = incoming.request.headers.contact() {
        ok = ok.with(name::CONTACT, contact.to_string());
    }
    incoming.respond(ok);
}

/// The channel in the user part `chanN`.
fn channel_of(user: Option<&str>) -> Option<ChannelId> {
    let digits = user?.strip_prefix("chan")?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    let number = plain.then(|| digits.parse().ok()).flatten();
    number.map(ChannelId::Talkgroup)
}

/// The unit in the user part `unitN`.
fn unit_of(user: Option<&str>) -> Option<&str> {
    let digits = user?.strip_prefix("unit")?;
    let plain = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then_some(digits)
}

/// An IP address and port without a name.
fn socket(ip: std::net::IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}
