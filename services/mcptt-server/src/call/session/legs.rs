//! The legs of a session: SIP dialogs, session timers and media of each participant.

use floor_control::server::FunctionalAliases;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::media;
use mc_sip::sdp::{FloorParameters, McpttMedia, Sdp};
use mc_sip::{
    Dialog, McWarning, Method, Multipart, Peer, Refresher, Response, SessionTimer,
    SessionTimerAction, SessionTimerPolicy, StatusCode, Warning, name,
};
use mc_trace::names;
use mc_xml::mcptt_info::Content;
use tokio_util::sync::CancellationToken;

use super::{Refresh, Session, now};
use crate::affiliation::ClientKey;
use crate::call::controlling::Event;
use crate::call::emergency;
use crate::call::originating::{Caller, allow, is_implicit_request};
use crate::call::subject::Subject;
use crate::call::terminating::{self, Answer, Invitation};
use crate::interconnection;
use crate::media_plane::{ImplicitRequest, LegFacts, LegId, LegPorts, RemoteMedia};
use crate::refusal::Refusal;
use crate::registration::Binding;

/// How far a leg has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Invited, or waiting for the answer to its own INVITE.
    Pending,
    /// In the call.
    Connected,
}

/// One participant's leg.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) client: ClientKey,
    pub(super) stage: Stage,
    /// The INVITE of a caller, until it is answered; kept afterwards for its transaction.
    pub(super) request: Option<IncomingRequest>,
    pub(super) timer: Option<SessionTimer>,
    pub(super) dialog: Option<Dialog>,
    pub(super) flow: Peer,
    cancel: Option<CancellationToken>,
    /// Our description on this leg.
    pub(super) local: McpttMedia,
    pub(super) version: u64,
    /// The caller's offer.
    remote: Option<McpttMedia>,
    pub(super) priority: u8,
}

impl Session {
    fn leg_facts(&self, leg: LegId, binding: &Binding, offered: Option<&McpttMedia>) -> LegFacts {
        let config = &self.server.parts.config;
        let standing = self.subject.standing(&binding.mcptt_id, &config.calls);
        let own = standing.priority;
        let asked = offered.and_then(|offer| offer.floor_parameters.priority);
        LegFacts {
            session: self.handle.id,
            leg,
            participant: binding.mcptt_id.clone(),
            priority: asked.map_or(own, |asked| asked.min(own)),
            priority_negotiated: asked.is_some(),
            queueing: offered.is_none_or(|offer| offer.floor_parameters.queueing),
            receive_only: standing.receive_only,
            functional_aliases: if config.policy.require_active_alias {
                FunctionalAliases::Active(self.server.aliases().of_user(&binding.mcptt_id))
            } else {
                FunctionalAliases::Any
            },
            calling_alias: self
                .functional_alias
                .clone()
                .filter(|_| leg == self.originator),
            floor_control: offered.is_none_or(|offer| offer.floor.is_some()),
            floor_key: binding.floor_key.clone(),
            local: binding
                .partner
                .as_ref()
                .and_then(|partner| partner.config().media_address)
                .unwrap_or(config.calls.media_address),
        }
    }

    fn local_media(&self, ports: LegPorts, parameters: FloorParameters) -> McpttMedia {
        let mut local = McpttMedia::new(ports.audio, ports.floor, parameters);
        (local.payload_type, local.octet_align, local.protocol) = self.format.clone();
        local
    }

    /// Takes a caller in; its INVITE is answered later. On an error it is refused already.
    pub(super) async fn admit_caller(&mut self, leg: LegId, caller: Caller) -> Result<(), Refusal> {
        let facts = self.leg_facts(leg, &caller.binding, Some(&caller.offer));
        let priority = facts.priority;
        let ports = match self.server.parts.media.open_leg(facts).await {
            Ok(ports) => ports,
            Err(error) => {
                tracing::warn!(%error, "media plane refused a leg");
                let refusal = Refusal::status(StatusCode::SERVER_INTERNAL_ERROR);
                self.server.refuse(&caller.request, &refusal);
                return Err(refusal);
            }
        };
        let entry = Leg {
            client: (caller.binding.mcptt_id, caller.binding.client_id),
            stage: Stage::Pending,
            flow: caller.request.from,
            request: Some(caller.request),
            timer: None,
            dialog: None,
            cancel: None,
            local: self.local_media(ports, FloorParameters::default()),
            version: 1,
            remote: Some(caller.offer),
            priority,
        };
        self.legs.insert(leg, entry);
        Ok(())
    }

    /// Answers a caller 200: its leg is connected from here on. False when it could not be.
    //= TS 24.379 6.3.3.2.3
    pub(super) async fn answer_caller(&mut self, id: LegId, warning: Option<McWarning>) -> bool {
        let Some(leg) = self.legs.get(&id) else {
            return false;
        };
        let (Some(request), Some(offer)) = (&leg.request, leg.remote.clone()) else {
            return false;
        };
        // An implicit request counts only when it makes the session (TS 24.380 14.3.5).
        let implicit = id == self.originator && is_implicit_request(&offer);
        let Ok(dialog) = Dialog::uas(&request.request, &request.to_tag) else {
            let refusal = Refusal::malformed("no dialog can be made");
            self.server.refuse(request, &refusal);
            return false;
        };
        let remote = RemoteMedia {
            audio: offer.audio,
            floor: offer.floor,
            implicit_request: implicit,
        };
        let outcome = match self.server.parts.media.connect_leg(id, remote).await {
            Ok(outcome) => outcome,
            Err(error) => {
                let refusal = Refusal::status(StatusCode::SERVER_INTERNAL_ERROR);
                self.server.refuse(request, &refusal.because(error));
                return false;
            }
        };
        let granted = outcome == ImplicitRequest::Granted;
        let parameters = offer
            .floor_parameters
            .answer(leg.priority, implicit, granted);
        let contact = self.contact.to_string();
        let (field, value) = allow();
        let mut response = request
            .response(StatusCode::OK)
            .with(name::CONTACT, contact)
            .with(
                name::P_ASSERTED_IDENTITY,
                format!("<{}>", self.server.controlling),
            )
            .with(
                name::SUPPORTED,
                "timer, tdialog, norefersub, explicitsub, nosub",
            )
            .with(field, value);
        if let Some(warning) = warning {
            response = response.with_warning(&Warning::numbered(self.server.host(), warning));
        }
        let timer =
            match SessionTimer::accept(&request.request, &mut response, self.timer_policy(), now())
            {
                Ok(timer) => timer,
                Err(min_se) => {
                    let refusal = Refusal::status(StatusCode::SESSION_INTERVAL_TOO_SMALL);
                    self.server
                        .refuse(request, &refusal.with(name::MIN_SE, min_se.to_string()));
                    return false;
                }
            };
        let handle = self.handle.clone();
        self.server
            .calls()
            .dialogs
            .insert(dialog.id().clone(), (handle, id));
        let Some(leg) = self.legs.get_mut(&id) else {
            return false;
        };
        leg.local.floor_parameters = parameters;
        let sdp = leg.local.to_sdp(id.0, leg.version).to_string();
        leg.dialog = Some(dialog);
        leg.timer = timer;
        leg.stage = Stage::Connected;
        let joined = format!("{} joined", leg.client.0.as_str());
        if let Some(request) = &leg.request {
            request.respond(response.with_body(media::SDP, sdp.into_bytes()));
        }
        self.trace(&names::MCPTT_CALL_JOINED, &joined);
        self.publish_participants();
        true
    }

    pub(super) fn timer_policy(&self) -> SessionTimerPolicy {
        let interval_s = self.server.parts.config.calls.session_expires_s;
        SessionTimerPolicy {
            interval_s,
            prefer: Refresher::Uac,
            ..SessionTimerPolicy::default()
        }
    }

    /// How a client is reached; `None` when it is neither registered nor a partner's.
    pub(super) fn binding(&self, client: &ClientKey) -> Option<Binding> {
        let now_unix_s = self.server.now();
        let registered = self
            .server
            .registrations()
            .of_user(&client.0, now_unix_s)
            .find(|b| b.client_id == client.1)
            .cloned();
        registered.or_else(|| interconnection::client(&self.server, client))
    }

    /// Invites one client; `None` when it is neither registered nor a partner's, or the media plane
    /// refuses.
    pub(super) async fn invite(&mut self, client: &ClientKey) -> Option<LegId> {
        let binding = self.binding(client)?;
        interconnection::permits(&binding, &self.subject).ok()?;
        //= TS 24.379 10.1.1.3.2
        if self.server.parts.config.policy.require_settings && binding.answer_mode.is_none() {
            return None;
        }
        self.invite_client(&binding).await
    }

    /// Invites the client of a binding; `None` when it has no CSK that is needed, or the media
    /// plane refuses.
    pub(super) async fn invite_client(&mut self, binding: &Binding) -> Option<LegId> {
        let calls = self.server.parts.config.calls.clone();
        if self.subject.protects_floor_control(&calls) && binding.floor_key.is_none() {
            let user = binding.mcptt_id.as_str();
            tracing::info!(user, "client has no CSK and is not invited");
            return None;
        }
        let id = LegId(self.server.calls().next_number());
        let facts = self.leg_facts(id, binding, None);
        let priority = facts.priority;
        let ports = match self.server.parts.media.open_leg(facts).await {
            Ok(ports) => ports,
            Err(error) => {
                tracing::warn!(%error, "media plane refused a leg");
                return None;
            }
        };
        let parameters = FloorParameters {
            queueing: calls.queue_depth > 0,
            priority: (priority > 0).then_some(priority),
            ..FloorParameters::default()
        };
        let local = self.local_media(ports, parameters);
        let request = terminating::invite(&self.server, binding, self.invitation(binding, &local));
        let cancel = CancellationToken::new();
        let leg = Leg {
            client: (binding.mcptt_id.clone(), binding.client_id.clone()),
            stage: Stage::Pending,
            request: None,
            timer: None,
            dialog: None,
            flow: binding.flow,
            cancel: Some(cancel.clone()),
            local,
            version: 1,
            remote: None,
            priority,
        };
        self.legs.insert(id, leg);
        let (server, handle) = (self.server.clone(), self.handle.clone());
        tokio::spawn(terminating::run(
            server,
            handle,
            id,
            request,
            binding.flow,
            cancel,
        ));
        Some(id)
    }

    fn invitation(&self, binding: &Binding, local: &McpttMedia) -> Invitation {
        let mut info = self.subject.info(&self.caller, &binding.mcptt_id);
        if let Some(alias) = &self.functional_alias {
            info.set_ext_content("functional-alias-URI", &Content::uri_value(alias));
        }
        //= TS 24.379 6.3.3.1.17
        if self.emergency.is_some() {
            emergency::indicate(&mut info, true);
        }
        let key_mgmt = match &self.subject {
            Subject::Group { .. } => None,
            Subject::Private(private) => private.key_mgmt.clone(),
        };
        Invitation {
            info,
            commencement: self.subject.commencement(),
            offer: McpttMedia {
                key_mgmt,
                ..local.clone()
            },
            contact: self.contact.clone(),
            session_expires_s: self.server.parts.config.calls.session_expires_s,
            resource_priority: self.resource_priority(),
        }
    }

    /// Tells the caller that the called user is alerted.
    //= TS 24.379 11.1.1.4.2
    pub(super) fn ring_caller(&self) {
        let caller = self.legs.get(&self.originator);
        if let Some(request) = caller.and_then(|leg| leg.request.as_ref()) {
            let own = format!("<{}>", self.server.controlling);
            request.respond(
                request
                    .response(StatusCode::RINGING)
                    .with(name::CONTACT, self.contact.to_string())
                    .with(name::P_ASSERTED_IDENTITY, own),
            );
        }
    }

    /// A client answered 200.
    pub(super) async fn on_answer(&mut self, id: LegId, answer: Answer) {
        let Some(leg) = self.legs.get_mut(&id) else {
            terminating::bye(&self.server, answer.dialog, answer.flow).await;
            return;
        };
        leg.timer = SessionTimer::accepted(&answer.response, now());
        leg.dialog = Some(answer.dialog);
        leg.cancel = None;
        leg.stage = Stage::Connected;
        let user = leg.client.0.as_str().to_owned();
        let same_format = (leg.local.payload_type, leg.local.octet_align);
        let media = answered_media(&answer.response);
        let media = media.filter(|media| self.subject.fits(media));
        let media = media.filter(|media| (media.payload_type, media.octet_align) == same_format);
        let connected = match media {
            Some(media) => {
                let remote = RemoteMedia {
                    audio: media.audio,
                    floor: media.floor,
                    implicit_request: false,
                };
                self.server
                    .parts
                    .media
                    .connect_leg(id, remote)
                    .await
                    .is_ok()
            }
            None => false,
        };
        if !connected {
            tracing::info!(user, "member answered without usable media");
            self.release(id).await;
            self.apply(Event::Refused(id, StatusCode::NOT_ACCEPTABLE_HERE, None))
                .await;
            return;
        }
        self.trace(&names::MCPTT_CALL_JOINED, &format!("{user} joined"));
        self.apply(Event::Answered(id)).await;
    }

    /// A request of a client inside its dialog.
    pub(super) async fn on_in_dialog(&mut self, id: LegId, request: IncomingRequest) {
        let Some(leg) = self.legs.get_mut(&id) else {
            let refusal = Refusal::status(StatusCode::CALL_DOES_NOT_EXIST);
            return self
                .server
                .refuse(&request, &refusal.because("the leg has ended"));
        };
        if leg
            .dialog
            .as_mut()
            .is_some_and(|dialog| dialog.on_request(&request.request).is_err())
        {
            let refusal = Refusal::status(StatusCode::SERVER_INTERNAL_ERROR);
            return self
                .server
                .refuse(&request, &refusal.because("CSeq out of order"));
        }
        leg.flow = request.from;
        match request.request.method {
            Method::Bye => {
                request.respond_status(StatusCode::OK);
                let left = format!("{} left", leg.client.0.as_str());
                self.close_leg(id).await;
                self.trace(&names::MCPTT_CALL_LEFT, &left);
                self.apply(Event::Left(id)).await;
            }
            Method::Invite | Method::Update => self.refresh(id, &request).await,
            Method::Info => request.respond_status(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Method::Options => request.respond_status(StatusCode::OK),
            Method::Ack
            | Method::Cancel
            | Method::Register
            | Method::Message
            | Method::Publish
            | Method::Subscribe
            | Method::Notify
            | Method::Prack
            | Method::Refer => request.respond_status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// A re-INVITE or UPDATE: session refresh, an emergency, and a new address when it carries an
    /// offer.
    async fn refresh(&mut self, id: LegId, request: &IncomingRequest) {
        if self.on_emergency_indicator(id, request).await.is_err() {
            return;
        }
        let (field, value) = allow();
        let mut response = request
            .response(StatusCode::OK)
            .with(name::CONTACT, self.contact.to_string())
            .with(field, value);
        match SessionTimer::accept(&request.request, &mut response, self.timer_policy(), now()) {
            Ok(timer) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.timer = timer;
                }
            }
            Err(min_se) => {
                let refusal = Refusal::status(StatusCode::SESSION_INTERVAL_TOO_SMALL);
                self.server
                    .refuse(request, &refusal.with(name::MIN_SE, min_se.to_string()));
                return;
            }
        }
        let Ok(parts) = Multipart::of(&request.request.headers, &request.request.body) else {
            let refusal = Refusal::malformed("the body cannot be split");
            return self.server.refuse(request, &refusal);
        };
        let is_invite = request.request.method == Method::Invite;
        let offer = parts
            .get(media::SDP)
            .map(|part| Sdp::parse(&part.content).and_then(|sdp| McpttMedia::from_sdp(&sdp)));
        let acceptable = match &offer {
            Some(Ok(offer)) => {
                let format = (offer.payload_type, offer.octet_align);
                format == (self.format.0, self.format.1) && self.subject.fits(offer)
            }
            Some(Err(_)) => false,
            None => true,
        };
        if !acceptable {
            let refusal = Refusal::status(StatusCode::NOT_ACCEPTABLE_HERE);
            let why = "an offer that cannot be read, of another format or protection";
            return self.server.refuse(request, &refusal.because(why));
        }
        if let Some(Ok(offer)) = &offer {
            let remote = RemoteMedia {
                audio: offer.audio,
                floor: offer.floor,
                implicit_request: false,
            };
            if self
                .server
                .parts
                .media
                .connect_leg(id, remote)
                .await
                .is_err()
            {
                request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
                return;
            }
        }
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        if offer.is_some() || is_invite {
            leg.version += 1;
            let sdp = leg.local.to_sdp(id.0, leg.version).to_string();
            response = response.with_body(media::SDP, sdp.into_bytes());
        }
        request.respond(response);
    }

    /// Refreshes sessions whose client cannot, and ends those that were not refreshed.
    pub(super) async fn run_session_timers(&mut self) {
        let due: Vec<(LegId, SessionTimerAction)> = self
            .legs
            .iter_mut()
            .filter_map(|(id, leg)| Some((*id, leg.timer.as_mut()?.handle_timeout(now())?)))
            .collect();
        for (id, action) in due {
            match action {
                SessionTimerAction::Refresh => self.send_refresh(id, Refresh::Open),
                SessionTimerAction::Expired => {
                    let about = self.subject.name();
                    tracing::info!(about, "session of a participant expired");
                    self.release(id).await;
                    self.apply(Event::Left(id)).await;
                }
            }
        }
    }

    /// Refreshes a session; `unreached` is what it means when the client cannot be reached.
    pub(super) fn send_refresh(&mut self, id: LegId, unreached: Refresh) {
        let policy = self.timer_policy();
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        let Some(dialog) = leg.dialog.as_mut() else {
            return;
        };
        let mut update = dialog
            .request(Method::Update)
            .with(name::CONTACT, self.contact.to_string());
        SessionTimer::offer(&mut update.headers, policy);
        let mut responses = self.server.parts.endpoint.request(update, leg.flow);
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let outcome = match responses.final_response().await {
                Ok(response) => Refresh::of(response.status),
                Err(_) => unreached,
            };
            handle.send(super::SessionInput::Refreshed(id, outcome));
        });
    }

    /// Ends a leg: CANCEL while it is being invited, BYE in a dialog, a refusal while it waits.
    pub(super) async fn release(&mut self, id: LegId) {
        let Some(leg) = self.legs.remove(&id) else {
            return;
        };
        self.server.parts.media.close_leg(id).await;
        if let Some(cancel) = leg.cancel {
            cancel.cancel();
        }
        if let Some(request) = leg.request {
            self.server.calls().invites.remove(&request.transaction);
            if !request.is_answered() {
                request.respond_status(StatusCode::TEMPORARILY_UNAVAILABLE);
            }
        }
        if let Some(dialog) = leg.dialog {
            let server = self.server.clone();
            let flow = leg.flow;
            tokio::spawn(async move { terminating::bye(&server, dialog, flow).await });
        }
    }

    /// Forgets a leg whose client has already gone.
    pub(super) async fn close_leg(&mut self, id: LegId) {
        let Some(leg) = self.legs.remove(&id) else {
            return;
        };
        self.server.parts.media.close_leg(id).await;
        if let Some(dialog) = leg.dialog {
            self.server.calls().dialogs.remove(dialog.id());
        }
        if let Some(request) = leg.request {
            self.server.calls().invites.remove(&request.transaction);
            if !request.is_answered() {
                request.respond_status(StatusCode::REQUEST_TERMINATED);
            }
        }
    }
}

fn answered_media(response: &Response) -> Option<McpttMedia> {
    let parts = Multipart::of(&response.headers, &response.body).ok()?;
    let sdp = Sdp::parse(&parts.get(media::SDP)?.content).ok()?;
    McpttMedia::from_sdp(&sdp).ok()
}
