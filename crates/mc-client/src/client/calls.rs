//! Calls of an established client, group and private alike: media, answered, refreshed, ended
//! (TS 24.379 10.1.1, 11.1).

use std::net::SocketAddr;
use std::time::Instant;

use floor_control::participant::SetUp;
use mc_ids::McServiceId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{Commencement, ICSI, media};
use mc_sip::sdp::McpttMedia;
use mc_sip::{
    Dialog, DialogId, Headers, McWarning, Method, SessionTimer, SessionTimerAction,
    SessionTimerPolicy, StatusCode, Warning, name,
};
use tokio::sync::mpsc;

use crate::call::{Call, CallCommand, CallProtection, Remote, Sockets};
use crate::call_id::CallId;
use crate::client::established::Established;
use crate::event::{ClientEvent, Step};
use crate::handle::Rejection;
use crate::requests::{CallKind, IncomingCall, Refused, answer_media, emergency_of, incoming_call};

/// Host name in Warning header fields.
pub(crate) const AGENT: &str = "mc-client";
/// Commands a call may be behind: two seconds of speech.
const QUEUE: usize = 128;

/// The signalling side of a call.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) call: CallId,
    pub(super) dialog: Dialog,
    pub(super) timer: Option<SessionTimer>,
    /// Our description, repeated on a refresh.
    pub(super) description: Vec<u8>,
    /// Whether the call is one of an emergency.
    pub(super) emergency: bool,
    /// Whether its speech is protected.
    pub(super) is_protected: bool,
}

impl Established {
    pub(super) fn is_busy(&self, call: &CallId) -> bool {
        self.outgoing.contains_key(call) || self.legs.values().any(|leg| leg.call == *call)
    }

    /// Private calls that are up, offered or being made.
    pub(super) fn private_calls(&self) -> usize {
        let up = self.legs.values().filter(|leg| leg.call.is_private());
        let made = self.outgoing.keys().filter(|call| call.is_private());
        up.count() + made.count() + self.offered.len()
    }

    pub(super) async fn start_media(
        &self,
        call: &CallId,
        protection: CallProtection,
    ) -> Result<(SocketAddr, SocketAddr), String> {
        let sockets = Sockets::bind(self.config.media_address)
            .await
            .map_err(|e| e.to_string())?;
        let addresses = sockets.addresses().map_err(|error| error.to_string())?;
        let task = Call::new(self.shared.clone(), call.clone(), protection, sockets)?;
        let (commands, queue) = mpsc::channel(QUEUE);
        self.table.insert(call.clone(), commands);
        tokio::spawn(task.run(queue));
        Ok(addresses)
    }

    /// Ends the media of a call; `last` is told when nothing of the call can be heard any more.
    pub(super) fn end_media(&self, call: &CallId, last: Option<ClientEvent>) {
        let commands = self.table.remove(call);
        let events = self.shared.events.clone();
        tokio::spawn(async move {
            if let Some(commands) = commands
                && commands.send(CallCommand::End).await.is_ok()
            {
                // The media task holds its queue until it has told everything it heard.
                commands.closed().await;
            }
            if let Some(last) = last {
                events.emit(last);
            }
        });
    }

    pub(super) fn connect(&self, call: &CallId, far: &McpttMedia, set_up: SetUp) {
        let remote = Remote {
            audio: far.audio,
            floor: far.floor,
            payload_type: far.payload_type,
            octet_align: far.octet_align,
        };
        if let Some(commands) = self.table.get(call)
            && commands
                .try_send(CallCommand::Connect(remote, set_up))
                .is_err()
        {
            tracing::error!(%call, "media task of the call is gone");
        }
    }

    /// A call is up at both ends.
    pub(super) fn started(&mut self, leg: Leg, caller: Option<McServiceId>) {
        let (call, protected) = (leg.call.clone(), leg.is_protected);
        self.legs.insert(leg.dialog.id().clone(), leg);
        tracing::info!(node = self.config.node, %call, protected, "call started");
        // A call in clear is neither of the steps: both are calls that are protected.
        if protected {
            let step = if call.is_private() { Step::P } else { Step::C };
            self.emit(ClientEvent::StepPassed(step));
        }
        self.emit(ClientEvent::CallStarted {
            call,
            caller,
            protected,
        });
    }

    /// A call comes in.
    pub(super) async fn on_invite(&mut self, request: IncomingRequest) {
        match incoming_call(&request.request, self.demand(), &self.bodies) {
            Ok(incoming) => match incoming.kind.clone() {
                CallKind::Group(group) => {
                    self.on_group_invite(&request, CallId::Group(group), incoming)
                        .await;
                }
                CallKind::Private {
                    called_alias,
                    automatic,
                } => {
                    let automatic = automatic && self.answers_by_itself(&request.request.headers);
                    self.on_private_invite(request, incoming, called_alias, automatic)
                        .await;
                }
            },
            Err(refused) => refuse_invite(&request, refused),
        }
    }

    /// Whether a call that asks for automatic commencement gets it. A participating function has
    /// decided that for its client; behind an interconnection that function is this side.
    //= TS 24.379 11.1.1.3.2
    fn answers_by_itself(&self, headers: &Headers) -> bool {
        let forced = Commencement::read(headers) == Some(Commencement::ForcedAutomatic);
        self.link.attached.place().is_none() || forced || !self.config.manual_answer
    }

    /// Answers a group call automatically.
    //= TS 24.379 10.1.1.2.2.1
    async fn on_group_invite(
        &mut self,
        request: &IncomingRequest,
        call: CallId,
        incoming: IncomingCall,
    ) {
        let Some(group) = call
            .group()
            .filter(|group| self.config.groups.contains(group))
        else {
            return request.respond_status(StatusCode::NOT_FOUND);
        };
        if self.is_busy(&call) {
            return request.respond_status(StatusCode::BUSY_HERE);
        }
        let protection = self.of_group(group);
        //= TS 33.180 L.5.2
        if protection.speech.is_clear() && incoming.media.asks_for_srtp() {
            return refuse_invite(request, Refused::NotAcceptable);
        }
        let (caller, emergency) = (incoming.caller, incoming.emergency);
        self.answer(request, call.clone(), protection, &incoming.media, caller)
            .await;
        if emergency {
            self.put_emergency(&call, true);
        }
    }

    /// Answers a call: from here on it is up, or refused.
    pub(super) async fn answer(
        &mut self,
        request: &IncomingRequest,
        call: CallId,
        protection: CallProtection,
        far: &McpttMedia,
        caller: Option<McServiceId>,
    ) {
        let Ok(dialog) = Dialog::uas(&request.request, &request.to_tag) else {
            return request.respond_status(StatusCode::BAD_REQUEST);
        };
        let is_protected = !protection.speech.is_clear();
        let (audio, floor) = match self.start_media(&call, protection).await {
            Ok(addresses) => addresses,
            Err(detail) => {
                tracing::error!(detail, "call cannot be answered");
                return request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
            }
        };
        let parameters = far.floor_parameters.answer(u8::MAX, false, false);
        let answer = McpttMedia {
            payload_type: far.payload_type,
            octet_align: far.octet_align,
            protocol: far.protocol.clone(),
            ..McpttMedia::new(audio, far.floor.map(|_| floor), parameters)
        };
        let description = answer.to_sdp(1, 1).to_string().into_bytes();
        match self.accept_session(request, &description) {
            Some(timer) => {
                self.connect(&call, far, SetUp::Listening);
                let leg = Leg {
                    call,
                    dialog,
                    timer,
                    description,
                    emergency: false,
                    is_protected,
                };
                self.started(leg, caller);
            }
            None => self.end_media(&call, None),
        }
    }

    /// Sends the 200 with our description; `None` when the session interval is refused instead.
    fn accept_session(
        &self,
        request: &IncomingRequest,
        description: &[u8],
    ) -> Option<Option<SessionTimer>> {
        let mut response = request
            .response(StatusCode::OK)
            .with(name::CONTACT, self.link.contact.to_string())
            .with(self.link.identity.role.service_field(), ICSI)
            .with(name::SUPPORTED, "timer")
            .with(name::ALLOW, Method::allow());
        let policy = SessionTimerPolicy::default();
        match SessionTimer::accept(&request.request, &mut response, policy, Instant::now()) {
            Ok(timer) => {
                if request.request.method == Method::Invite {
                    response = response.with_body(media::SDP, description.to_vec());
                }
                request.respond(response);
                Some(timer)
            }
            Err(min_se) => {
                let response = request.response(StatusCode::SESSION_INTERVAL_TOO_SMALL);
                request.respond(response.with(name::MIN_SE, min_se.to_string()));
                None
            }
        }
    }

    /// BYE, refresh or INFO inside a call.
    pub(super) fn on_call_request(&mut self, id: &DialogId, request: &IncomingRequest) {
        let Some(leg) = self.legs.get_mut(id) else {
            return request.respond_status(StatusCode::CALL_DOES_NOT_EXIST);
        };
        if leg.dialog.on_request(&request.request).is_err() {
            return request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
        }
        let description = leg.description.clone();
        // Only the methods of `on_request` come here: what is no BYE and no refresh is an INFO.
        let method = request.request.method;
        if !matches!(method, Method::Bye | Method::Invite | Method::Update) {
            return request.respond_status(StatusCode::OK);
        }
        if method == Method::Bye {
            request.respond_status(StatusCode::OK);
            let reason = request.request.headers.get(name::REASON).map(str::to_owned);
            return self.end_leg(
                id,
                reason.unwrap_or_else(|| "released by the server".to_owned()),
            );
        }
        let offer = answer_media(&request.request.headers, &request.request.body);
        let call = leg.call.clone();
        let emergency = match emergency_of(&request.request, self.demand(), &self.bodies) {
            Ok(emergency) => emergency,
            Err(refused) => return refuse_invite(request, refused),
        };
        let Some(timer) = self.accept_session(request, &description) else {
            return;
        };
        if let Some(media) = offer {
            self.connect(&call, &media, SetUp::Listening);
        }
        if let Some(leg) = self.legs.get_mut(id) {
            leg.timer = timer;
        }
        if let Some(active) = emergency {
            self.put_emergency(&call, active);
        }
    }

    fn end_leg(&mut self, id: &DialogId, reason: String) {
        if let Some(leg) = self.legs.remove(id) {
            let call = leg.call;
            tracing::info!(node = self.config.node, %call, reason, "call released");
            self.end_media(&call.clone(), Some(ClientEvent::Released { call, reason }));
        }
    }

    /// Leaves a call, gives up one that is not answered yet, or declines one that is offered.
    //= TS 24.379 10.1.1.2.3
    //= TS 24.379 11.1.3.1.1.1
    pub(super) fn hang_up(&mut self, call: &CallId) {
        self.leave(call, "hung up");
    }

    /// The same for another reason.
    pub(super) fn leave(&mut self, call: &CallId, reason: &str) {
        let waited = self.give_up_waiting(Some(call), reason);
        if waited || self.cancel_outgoing(call) || self.reject(call, Rejection::Declined) {
            return;
        }
        let id = self
            .legs
            .iter()
            .find(|(_, leg)| leg.call == *call)
            .map(|(id, _)| id.clone());
        if let Some(id) = id {
            self.bye(&id, reason);
        }
    }

    pub(super) fn bye(&mut self, id: &DialogId, reason: &str) {
        if let Some(leg) = self.legs.get_mut(id) {
            let bye = leg.dialog.request(Method::Bye);
            let mut responses = self.link.endpoint.request(bye, self.link.server);
            tokio::spawn(async move {
                if let Err(error) = responses.final_response().await {
                    tracing::debug!(%error, "BYE not answered");
                }
            });
        }
        self.end_leg(id, reason.to_owned());
    }

    /// RFC 4028: refreshes sessions of ours, ends those that nobody refreshed.
    pub(super) fn refresh_sessions(&mut self, now: Instant) {
        let mut expired = Vec::new();
        for (id, leg) in &mut self.legs {
            match leg
                .timer
                .as_mut()
                .and_then(|timer| timer.handle_timeout(now))
            {
                Some(SessionTimerAction::Refresh) => {
                    let mut update = leg
                        .dialog
                        .request(Method::Update)
                        .with(name::CONTACT, self.link.contact.to_string());
                    SessionTimer::offer(&mut update.headers, SessionTimerPolicy::default());
                    let mut responses = self.link.endpoint.request(update, self.link.server);
                    tokio::spawn(async move {
                        if let Err(error) = responses.final_response().await {
                            tracing::warn!(%error, "session refresh not answered");
                        }
                    });
                }
                Some(SessionTimerAction::Expired) => expired.push(id.clone()),
                None => {}
            }
        }
        for id in expired {
            self.bye(&id, "session timer expired");
        }
    }

    pub(super) async fn end_all(&mut self) {
        self.give_up_waiting(None, "the client has left the server");
        for call in self.outgoing.keys().cloned().collect::<Vec<_>>() {
            self.cancel_outgoing(&call);
            self.end_media(&call, None);
        }
        for call in self.offered.keys().cloned().collect::<Vec<_>>() {
            self.reject(&call, Rejection::Unavailable);
        }
        for id in self.legs.keys().cloned().collect::<Vec<_>>() {
            self.bye(&id, "client stops");
        }
        // BYEs leave before the endpoint closes.
        tokio::task::yield_now().await;
    }
}

pub(super) fn refuse_invite(request: &IncomingRequest, refused: Refused) {
    let (status, warning) = match refused {
        Refused::Malformed => (StatusCode::BAD_REQUEST, None),
        Refused::NotAcceptable => (StatusCode::NOT_ACCEPTABLE_HERE, None),
        Refused::Body(refused) => refused.answer(),
        //= TS 33.180 5.6
        Refused::NotAuthentic => (
            StatusCode::TEMPORARILY_UNAVAILABLE,
            Some(McWarning::MikeyAuthenticationFailed),
        ),
    };
    let mut response = request.response(status);
    if let Some(warning) = warning {
        response = response.with_warning(&Warning::numbered(AGENT, warning));
    }
    request.respond(response);
}
