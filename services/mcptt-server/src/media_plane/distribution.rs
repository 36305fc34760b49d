//! The media plane of this process: floor control server and media distribution on UDP sockets.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use floor_control::server::ParticipantId;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use mc_runtime::{Tracer, rng};
use rand_core::Rng as _;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::config::MediaConfig;
use super::counters::{Counters, MediaCounters};
use super::leg::Leg;
use super::protection::{CskContexts, FloorProtection};
use super::session::Session;
use super::{
    ClientCsk, ImplicitRequest, LegFacts, LegId, LegPorts, MediaEvent, MediaPlane, MediaPlaneError,
    RemoteMedia, SessionFacts, SessionId,
};

/// Floor control server and media distribution function, all sessions of one process.
#[derive(Debug)]
pub struct MediaDistribution {
    config: MediaConfig,
    tracer: Tracer,
    events: mpsc::UnboundedSender<MediaEvent>,
    counters: Arc<Counters>,
    contexts: CskContexts,
    next_port: AtomicU16,
    calls: Mutex<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    sessions: HashMap<SessionId, Arc<Session>>,
    legs: HashMap<LegId, (Arc<Session>, ParticipantId)>,
}

impl MediaDistribution {
    /// A media plane without sessions; what call control must act on goes into `events`.
    #[must_use]
    pub fn new(
        config: MediaConfig,
        tracer: Tracer,
        events: mpsc::UnboundedSender<MediaEvent>,
    ) -> Self {
        Self {
            next_port: AtomicU16::new(config.first_port),
            config,
            tracer,
            events,
            counters: Arc::default(),
            contexts: CskContexts::default(),
            calls: Mutex::default(),
        }
    }

    /// What has been done so far.
    #[must_use]
    pub fn counters(&self) -> MediaCounters {
        self.counters.read()
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leg(&self, leg: LegId) -> Result<(Arc<Session>, ParticipantId), MediaPlaneError> {
        self.calls()
            .legs
            .get(&leg)
            .cloned()
            .ok_or(MediaPlaneError::Unknown)
    }

    fn start_session(&self, facts: SessionFacts) -> Result<(), MediaPlaneError> {
        let mut calls = self.calls();
        if calls.sessions.contains_key(&facts.session) {
            return Err(MediaPlaneError::Refused("the session is open already"));
        }
        let floor = self.config.floor(rng().next_u32(), &facts);
        let id = facts.session;
        let (counters, tracer) = (self.counters.clone(), self.tracer.clone());
        let session = Session::new(facts, floor, counters, tracer, self.events.clone());
        calls.sessions.insert(id, session);
        Ok(())
    }

    async fn start_leg(&self, facts: LegFacts) -> Result<LegPorts, MediaPlaneError> {
        let session = self.calls().sessions.get(&facts.session).cloned();
        let session = session.ok_or(MediaPlaneError::Unknown)?;
        let protected = session.facts.protect_floor_control && facts.floor_control;
        let protection = match (&facts.floor_key, protected) {
            (Some(key), true) => {
                let context = self.contexts.of(&facts.participant, key);
                Some(FloorProtection::new(context).await?)
            }
            (None, true) => {
                return Err(MediaPlaneError::Refused(
                    "no key to protect floor control with",
                ));
            }
            (_, false) => None,
        };
        let audio = self.bind(facts.local).await?;
        let floor = if facts.floor_control {
            Some(self.bind(facts.local).await?)
        } else {
            None
        };
        let (id, participant) = (facts.leg, session.next_participant());
        let leg = Leg::new(participant, facts, (audio, floor), protection, &self.config)
            .map_err(|_| MediaPlaneError::NoPort)?;
        let ports = leg.ports;
        let mut calls = self.calls();
        if session.closed.is_cancelled() {
            return Err(MediaPlaneError::Unknown);
        }
        if calls.legs.contains_key(&id) {
            return Err(MediaPlaneError::Refused("the leg is open already"));
        }
        session.add(leg);
        calls.legs.insert(id, (session.clone(), participant));
        Ok(ports)
    }

    /// A socket of the configured range, ready to send.
    async fn bind(&self, local: IpAddr) -> Result<UdpSocket, MediaPlaneError> {
        let (first, last) = (self.config.first_port, self.config.last_port);
        let socket = if first == 0 {
            UdpSocket::bind(SocketAddr::new(local, 0)).await
        } else {
            let mut bound = Err(io::Error::from(io::ErrorKind::AddrInUse));
            for _ in first..=last {
                let turn = |port: u16| Some(if port >= last { first } else { port + 1 });
                let port = self
                    .next_port
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, turn)
                    .unwrap_or(first);
                bound = UdpSocket::bind(SocketAddr::new(local, port)).await;
                if bound.is_ok() {
                    break;
                }
            }
            bound
        };
        let socket = socket.map_err(|_| MediaPlaneError::NoPort)?;
        // Later sends do not wait, so the socket must be known to be writable.
        socket
            .writable()
            .await
            .map_err(|_| MediaPlaneError::NoPort)?;
        Ok(socket)
    }

    fn replace_key(&self, leg: LegId, key: &ClientCsk) -> Result<(), MediaPlaneError> {
        let (session, participant) = self.leg(leg)?;
        let user = session.user(participant).ok_or(MediaPlaneError::Unknown)?;
        session.rekey(participant, self.contexts.of_csk(&user, key))
    }
}

impl MediaPlane for MediaDistribution {
    fn open_session(&self, facts: SessionFacts) -> BoxFuture<'_, Result<(), MediaPlaneError>> {
        async move { self.start_session(facts) }.boxed()
    }

    fn open_leg(&self, facts: LegFacts) -> BoxFuture<'_, Result<LegPorts, MediaPlaneError>> {
        self.start_leg(facts).boxed()
    }

    fn connect_leg(
        &self,
        leg: LegId,
        remote: RemoteMedia,
    ) -> BoxFuture<'_, Result<ImplicitRequest, MediaPlaneError>> {
        async move {
            let (session, participant) = self.leg(leg)?;
            session.connect(participant, remote)
        }
        .boxed()
    }

    fn set_emergency(
        &self,
        session: SessionId,
        by: Option<LegId>,
    ) -> BoxFuture<'_, Result<(), MediaPlaneError>> {
        async move {
            let by = by.map(|leg| self.leg(leg)).transpose()?;
            let found = self.calls().sessions.get(&session).cloned();
            let session = found.ok_or(MediaPlaneError::Unknown)?;
            session.set_emergency(by.map(|(_, participant)| participant));
            Ok(())
        }
        .boxed()
    }

    fn rekey_leg(&self, leg: LegId, key: ClientCsk) -> BoxFuture<'_, Result<(), MediaPlaneError>> {
        async move { self.replace_key(leg, &key) }.boxed()
    }

    fn close_leg(&self, leg: LegId) -> BoxFuture<'_, ()> {
        async move {
            let removed = self.calls().legs.remove(&leg);
            if let Some((session, participant)) = removed {
                session.remove(participant);
            }
        }
        .boxed()
    }

    fn close_session(&self, session: SessionId) -> BoxFuture<'_, ()> {
        async move {
            let mut calls = self.calls();
            if let Some(closed) = calls.sessions.remove(&session) {
                calls.legs.retain(|_, (of, _)| !Arc::ptr_eq(of, &closed));
                closed.close();
            }
        }
        .boxed()
    }
}
