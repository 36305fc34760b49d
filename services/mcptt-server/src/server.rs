//! The server: its state, and which procedure a SIP event belongs to.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_runtime::revocations::Revoked;
use mc_runtime::sip::{Incoming, IncomingRequest, SipEndpoint};
use mc_runtime::{CancellationToken, SharedClock, Tracer};
use mc_sip::transaction::TransactionId;
use mc_sip::{DialogId, McWarning, Method, Peer, StatusCode, Uri, name};
use mc_trace::{Event, names};
use tokio::sync::{mpsc, watch};
use tracing::Instrument as _;

use crate::affiliation::Affiliations;
use crate::alias::FunctionalAliases;
use crate::assertions::Assertions;
use crate::authorisation::Authoriser;
use crate::call::session::SessionInput;
pub(crate) use crate::calls::Calls;
use crate::config::Config;
use crate::group_watch::{self, GroupWatch};
use crate::groups::{GroupSource, Homes};
use crate::interconnection::Partners;
use crate::interconnection::border::Hidden;
use crate::media_plane::{MediaEvent, MediaPlane};
use crate::refusal::Refusal;
use crate::registration::{Binding, Registrations};
use crate::store::Store;
use crate::subscription::Subscriptions;
use crate::{
    call, extensions, interconnection, options, publish, register, relay, revocation, subscribe,
};

/// What the server is built from.
#[expect(
    missing_debug_implementations,
    reason = "moved into the server at once"
)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The SIP endpoint.
    pub endpoint: SipEndpoint,
    /// Checks service authorisations.
    pub authoriser: Authoriser,
    /// Group documents.
    pub groups: Arc<dyn GroupSource>,
    /// Where groups are, and what this server shows there.
    pub homes: Arc<Homes>,
    /// Who is revoked, as other servers say.
    pub revoked: watch::Receiver<Revoked>,
    /// The media plane.
    pub media: Arc<dyn MediaPlane>,
    /// What survives a restart.
    pub store: Store,
    /// Where events go.
    pub tracer: Tracer,
    /// Wall-clock time.
    pub clock: SharedClock,
    /// Cancelled when the server stops.
    pub shutdown: CancellationToken,
}

/// The running server; shared by all its tasks.
pub struct Server {
    pub(crate) parts: Parts,
    pub(crate) participating: Uri,
    pub(crate) controlling: Uri,
    routes: Vec<(Uri, Peer)>,
    pub(crate) partners: Partners,
    pub(crate) assertions: Assertions,
    pub(crate) hidden: Hidden,
    registrations: Mutex<Registrations>,
    affiliations: Mutex<Affiliations>,
    aliases: Mutex<FunctionalAliases>,
    subscriptions: Arc<Mutex<Subscriptions>>,
    calls: Mutex<Calls>,
    pub(crate) watch: GroupWatch,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("participating", &self.participating)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held cannot leave these maps half-changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    /// Builds the server and loads what the store kept.
    ///
    /// # Errors
    /// A URI in the configuration or a row of the store that cannot be used.
    pub async fn new(parts: Parts) -> Result<Arc<Self>, crate::error::ServerError> {
        let mut routes = Vec::new();
        for (identity, target) in &parts.config.routes {
            let target = uri(target)?;
            let peer = SipEndpoint::resolve(&target).await.map_err(|source| {
                crate::error::ServerError::Route {
                    target: target.to_string(),
                    source,
                }
            })?;
            routes.push((uri(identity)?, peer));
        }
        let partners = &parts.config.partners;
        let partners = Partners::open(partners, &parts.store, &parts.tracer).await?;
        let mut registrations = Registrations::default();
        for binding in parts.store.registrations(parts.clock.unix_s()).await? {
            registrations.bind(binding);
        }
        let mut affiliations = Affiliations::default();
        for (client, groups) in parts.store.affiliations().await? {
            affiliations.replace(&client, groups);
        }
        let mut aliases = FunctionalAliases::default();
        for (client, active) in parts.store.functional_aliases().await? {
            // The store holds each alias once, so none is taken.
            let _taken = aliases.replace(&client, &active);
        }
        Ok(Arc::new(Self {
            participating: uri(&parts.config.identities.participating)?,
            controlling: uri(&parts.config.identities.controlling)?,
            routes,
            partners,
            hidden: Hidden::default(),
            registrations: Mutex::new(registrations),
            affiliations: Mutex::new(affiliations),
            aliases: Mutex::new(aliases),
            assertions: Assertions::of(&parts.config.users),
            subscriptions: Arc::default(),
            calls: Mutex::default(),
            watch: GroupWatch::default(),
            parts,
        }))
    }

    pub(crate) fn registrations(&self) -> MutexGuard<'_, Registrations> {
        locked(&self.registrations)
    }

    pub(crate) fn affiliations(&self) -> MutexGuard<'_, Affiliations> {
        locked(&self.affiliations)
    }

    pub(crate) fn aliases(&self) -> MutexGuard<'_, FunctionalAliases> {
        locked(&self.aliases)
    }

    /// Ends a subscription once it is known that its subscriber takes no more.
    pub(crate) fn end_subscription(&self, id: DialogId) -> impl FnOnce() + Send + use<> {
        let subscriptions = Arc::clone(&self.subscriptions);
        move || locked(&subscriptions).remove(&id)
    }

    pub(crate) fn subscriptions(&self) -> MutexGuard<'_, Subscriptions> {
        locked(&self.subscriptions)
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        locked(&self.calls)
    }

    pub(crate) fn now(&self) -> u64 {
        self.parts.clock.unix_s()
    }

    pub(crate) fn host(&self) -> &str {
        &self.parts.config.identities.host
    }

    /// The static route of an identity.
    pub(crate) fn route(&self, identity: &Uri) -> Option<Peer> {
        self.routes
            .iter()
            .find(|(uri, _)| uri.same_identity(identity))
            .map(|(_, peer)| *peer)
    }

    /// Whether an address is that of a static route: another server of this domain.
    pub(crate) fn is_route_target(&self, peer: Peer) -> bool {
        self.routes
            .iter()
            .any(|(_, target)| target.address == peer.address)
    }

    /// Whether a host is that of a static route.
    pub(crate) fn is_route_host(&self, host: IpAddr) -> bool {
        self.routes.iter().any(|(_, to)| to.address.ip() == host)
    }

    /// Whether a Request-URI is one of this server's functions.
    pub(crate) fn is_own(&self, identity: &Uri) -> bool {
        identity.same_identity(&self.participating) || identity.same_identity(&self.controlling)
    }

    /// The client a request comes from: a partner's user by what the partner asserts, or a
    /// registered one by its preferred identity or From and by the way it came.
    ///
    /// # Errors
    /// 404 with Warning 141 when it is not registered; 403 with Warning 139, 140 or 179 for what a
    /// partner may not send, with 101 for a user of his who is revoked.
    //= TS 24.379 6.3.2.1.1
    pub(crate) fn sender(&self, request: &IncomingRequest) -> Result<Binding, Refusal> {
        if let Some(sender) = interconnection::sender(self, request) {
            let sender = sender?;
            revocation::refuse(self, &sender.mcptt_id)?;
            return Ok(sender);
        }
        let unknown = |why| Refusal::not_found(McWarning::UserUnknown).because(why);
        let headers = &request.request.headers;
        let preferred = headers
            .get(name::P_PREFERRED_IDENTITY)
            .and_then(|v| v.parse::<mc_sip::NameAddr>().ok());
        let identity = match preferred {
            Some(identity) => identity.uri,
            None => headers.from().map_err(Refusal::malformed)?.uri,
        };
        let binding = self
            .registrations()
            .by_impu(&identity, self.now())
            .cloned()
            .ok_or_else(|| unknown(format!("{identity} is not registered")))?;
        if self.is_flow_of(&binding, request.from) {
            Ok(binding)
        } else {
            let impu = &binding.impu;
            Err(unknown(format!("not the flow {impu} registered over")))
        }
    }

    /// Whether a request came the way its user registered. This stands in for the SIP core, which
    /// lets nobody send under the identity of another (TS 33.203 6.1).
    pub(crate) fn is_flow_of(&self, binding: &Binding, from: Peer) -> bool {
        let by_server = self.is_route_target(binding.flow) && self.is_route_target(from);
        binding.flow == from || by_server
    }

    /// The client of a public user identity: registered here, or a partner's user.
    pub(crate) fn by_impu(&self, impu: &Uri) -> Option<Binding> {
        let registered = self.registrations().by_impu(impu, self.now()).cloned();
        registered.or_else(|| interconnection::by_identity(self, impu))
    }

    /// Emits an event about a refusal and answers with it.
    pub(crate) fn refuse(&self, request: &IncomingRequest, refusal: &Refusal) {
        let method = request.request.method;
        tracing::info!(%method, %refusal, from = %request.from, "refused");
        self.parts.tracer.emit(
            Event::local(&names::MCPTT_REFUSED, format!("{method}: {refusal}")).call(
                request
                    .request
                    .headers
                    .get(name::CALL_ID)
                    .unwrap_or_default(),
            ),
        );
        request.respond(refusal.response(request, self.host()));
    }

    /// Runs until the endpoint stops.
    pub async fn run(
        self: Arc<Self>,
        mut incoming: mpsc::Receiver<Incoming>,
        mut media: mpsc::UnboundedReceiver<MediaEvent>,
    ) {
        tokio::spawn(group_watch::keep(self.clone()));
        tokio::spawn(revocation::follow(self.clone()));
        let mut minute = tokio::time::interval(std::time::Duration::from_secs(30));
        loop {
            tokio::select! {
                event = incoming.recv() => match event {
                    Some(event) => self.on_sip(event),
                    None => break,
                },
                Some(event) = media.recv() => self.on_media(event),
                _ = minute.tick() => self.expire().await,
                () = self.parts.shutdown.cancelled() => break,
            }
        }
    }

    fn on_sip(self: &Arc<Self>, event: Incoming) {
        match event {
            Incoming::Request(request) => self.on_request(request),
            Incoming::Ack { transaction, .. } => {
                self.to_session(transaction, SessionInput::Acknowledged(transaction));
            }
            Incoming::Cancelled { transaction } => {
                self.to_session(transaction, SessionInput::Cancelled(transaction));
            }
            Incoming::AckMissing { transaction } => {
                self.to_session(transaction, SessionInput::AckMissing(transaction));
            }
        }
    }

    fn to_session(&self, transaction: TransactionId, input: SessionInput) {
        let session = self.calls().invites.get(&transaction).cloned();
        if let Some(session) = session {
            session.send(input);
        }
    }

    fn on_media(&self, event: MediaEvent) {
        let MediaEvent::FloorIdleTimeout { session } = event;
        let handle = self.calls().session(session);
        if let Some(handle) = handle {
            handle.send(SessionInput::FloorIdle);
        }
    }

    fn on_request(self: &Arc<Self>, request: IncomingRequest) {
        let span = request.span();
        tokio::spawn(self.clone().answer(request).instrument(span));
    }

    async fn answer(self: Arc<Self>, request: IncomingRequest) {
        let server = self;
        let method = request.request.method;
        let in_dialog = request
            .request
            .headers
            .to()
            .is_ok_and(|to| to.tag().is_some());
        let passed_on = !server.is_for_us(&request.request.uri)
            && matches!(
                method,
                Method::Message | Method::Subscribe | Method::Publish | Method::Options
            );
        let refused = extensions::refused(&request.request, passed_on);
        if let Some(refusal) = refused.filter(|_| !in_dialog) {
            return server.refuse(&request, &refusal);
        }
        match method {
            Method::Register => register::handle(&server, request).await,
            Method::Options if server.is_own(&request.request.uri) => {
                options::handle(&server, &request);
            }
            _ if in_dialog => server.on_in_dialog(request).await,
            Method::Invite => call::originating::handle(&server, request).await,
            Method::Publish if server.is_own(&request.request.uri) => {
                publish::handle(&server, request).await;
            }
            Method::Subscribe if server.is_for_us(&request.request.uri) => {
                subscribe::handle(&server, request).await;
            }
            Method::Message | Method::Subscribe | Method::Publish | Method::Options => {
                relay::handle(&server, request).await;
            }
            Method::Bye | Method::Notify | Method::Info | Method::Update | Method::Prack => {
                let refusal = Refusal::status(StatusCode::CALL_DOES_NOT_EXIST);
                server.refuse(&request, &refusal.because("outside of a dialog"));
            }
            Method::Refer | Method::Ack | Method::Cancel => {
                let refusal = Refusal::status(StatusCode::METHOD_NOT_ALLOWED)
                    .with(name::ALLOW, Method::allow());
                server.refuse(&request, &refusal);
            }
        }
    }

    fn is_for_us(&self, target: &Uri) -> bool {
        let session = self.calls().with_identity(target).is_some();
        self.is_own(target)
            || session
            || target
                .user
                .as_deref()
                .is_some_and(|user| user.starts_with("s-"))
    }

    async fn on_in_dialog(self: &Arc<Self>, request: IncomingRequest) {
        let Ok(Some(id)) = DialogId::of_request(&request.request) else {
            self.refuse(&request, &Refusal::malformed("no dialog can be read"));
            return;
        };
        let call = self.calls().dialogs.get(&id).cloned();
        if let Some((session, leg)) = call {
            session.send(SessionInput::InDialog(leg, Box::new(request)));
        } else if request.request.method == Method::Subscribe && self.subscriptions().has(&id) {
            subscribe::refresh(self, &id, &request);
        } else if let Some(group) = self.watch.group_of(&id)
            && request.request.method == Method::Notify
        {
            group_watch::on_notify(self, &group, &request).await;
        } else {
            relay::in_dialog(self, request).await;
        }
    }

    async fn expire(&self) {
        let expired = self.registrations().expire(self.now());
        for binding in expired {
            register::forget(self, &binding).await;
        }
        self.subscriptions().expire(self.now());
    }
}

fn uri(text: &str) -> Result<Uri, crate::error::ServerError> {
    Uri::from_str(text).map_err(|_| crate::error::ServerError::Uri(text.to_owned()))
}
