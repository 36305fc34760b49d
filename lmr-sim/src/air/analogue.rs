//! Analogue conventional: a channel is the conference `sip:chanN@lmr`, speech is RTP PCMU.
//!
//! Any softphone may INVITE into a channel. Its speech is its push-to-talk: a packet of speech
//! presses, 500 ms without release. A peer that also sends INFO ([`ptt`]) is taken at its word and
//! told who talks the same way.

mod leg;
pub mod ptt;
mod rtp;
mod sip_trace;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use mc_runtime::sip::{Incoming, IncomingRequest, SipConfig, SipEndpoint};
use mc_sip::transaction::{TransactionConfig, TransactionId};
use mc_sip::{DialogId, Method, StatusCode, name};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{Air, AirContext, RunningAir};
use crate::config::MediaConfig;
use leg::{Leg, LegEvent};
use sip_trace::SipTracer;

/// The adapter.
#[derive(Debug, Clone)]
pub struct Analogue {
    /// SIP side.
    pub sip: SipConfig,
    /// Speech.
    pub media: MediaConfig,
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
        let channels = Channels {
            context,
            endpoint,
            media: self.media,
            legs: HashMap::new(),
            invites: HashMap::new(),
            tasks: TaskTracker::new(),
        };
        let task = tokio::spawn(channels.run(incoming));
        Ok(RunningAir {
            name: "analogue",
            address,
            task,
        })
    }
}

/// A leg is told what happens in its dialog through this.
type ToLeg = mpsc::Sender<LegEvent>;

struct Channels {
    context: AirContext,
    endpoint: SipEndpoint,
    media: MediaConfig,
    legs: HashMap<DialogId, ToLeg>,
    /// INVITE transactions whose ACK is still to come.
    invites: HashMap<TransactionId, DialogId>,
    tasks: TaskTracker,
}

impl Channels {
    async fn run(mut self, mut incoming: mpsc::Receiver<Incoming>) {
        let shutdown = self.context.shutdown.clone();
        loop {
            let incoming = tokio::select! {
                incoming = incoming.recv() => incoming,
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
                // The INVITE was answered at once, so its cancellation comes too late.
                Some(Incoming::Cancelled { .. }) => {}
                None => break,
            }
        }
        self.legs.clear();
        self.tasks.close();
        self.tasks.wait().await;
        self.endpoint.close().await;
    }

    fn tell(&self, id: &DialogId, event: LegEvent) {
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
            Ok(dialog) => dialog,
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
        let id = match DialogId::of_request(&incoming.request) {
            Ok(_) => DialogId {
                call_id: incoming
                    .request
                    .headers
                    .call_id()
                    .unwrap_or_default()
                    .to_owned(),
                local_tag: incoming.to_tag.clone(),
                remote_tag: incoming
                    .request
                    .headers
                    .from()
                    .ok()
                    .and_then(|from| from.tag().map(str::to_owned))
                    .unwrap_or_default(),
            },
            Err(error) => return incoming.respond_status(error.status()),
        };
        let transaction = incoming.transaction;
        let leg = Leg::answer(&self.context, &self.endpoint, &self.media, incoming).await;
        if let Some(leg) = leg {
            let (to_leg, events) = mpsc::channel(64);
            self.legs.insert(id.clone(), to_leg);
            self.invites.insert(transaction, id);
            self.tasks.spawn(leg.run(events));
        }
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

/// The talkgroup in the user part `chanN`.
fn talkgroup_of(user: Option<&str>) -> Option<u32> {
    let digits = user?.strip_prefix("chan")?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// An IP address and port without a name.
fn socket(ip: std::net::IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(ip, port)
}
