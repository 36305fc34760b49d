//! Group calls of an established client: out, in, refreshed, ended (TS 24.379 10.1.1).

use std::time::Instant;

use floor_control::participant::SetUp;
use mc_ids::{GroupId, McServiceId};
use mc_runtime::CancellationToken;
use mc_runtime::sip::{IncomingRequest, ResponseStream, SipEndpoint};
use mc_sip::mcptt::{ICSI, media};
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_sip::{
    Dialog, DialogId, McWarning, Method, Request, SessionTimer, SessionTimerAction,
    SessionTimerPolicy, StatusCode, Warning, name,
};
use tokio::sync::mpsc;

use crate::call::{Call, CallCommand, Remote, Sockets};
use crate::client::established::{Established, described};
use crate::event::{ClientEvent, Step, StepFailure};
use crate::requests::{Refused, answer_media, incoming_call};

const CLAUSE: &str = "TS 24.379 10.1.1.2.1.1";
/// Commands a call may be behind: two seconds of speech.
const QUEUE: usize = 128;

/// The signalling side of a call.
#[derive(Debug)]
pub(super) struct Leg {
    group: GroupId,
    dialog: Dialog,
    timer: Option<SessionTimer>,
    /// Our description, repeated on a refresh.
    description: Vec<u8>,
}

/// What became of a call we made.
#[derive(Debug)]
pub(super) struct Answered {
    group: GroupId,
    description: Vec<u8>,
    result: Result<Accepted, Refusal>,
}

#[derive(Debug)]
struct Accepted {
    dialog: Dialog,
    timer: Option<SessionTimer>,
    media: McpttMedia,
}

#[derive(Debug)]
struct Refusal {
    status: u16,
    detail: String,
}

impl Established {
    /// Makes a call.
    //= TS 24.379 10.1.1.2.1.1
    pub(super) async fn call(&mut self, group: &GroupId, implicit_floor: bool) {
        if self.is_busy(group) {
            return self.refused(group, 0, "a call is up in this group".to_owned());
        }
        let protected = self.protected.contains(group);
        if protected && self.lacking().contains(group) {
            return self.refused(group, 0, "no GMK for this group yet".to_owned());
        }
        let (audio, floor) = match self.start_media(group).await {
            Ok(addresses) => addresses,
            Err(detail) => return self.refused(group, 0, detail),
        };
        //= TS 24.380 14.3.2
        let parameters = FloorParameters {
            queueing: true,
            granted: true,
            implicit_request: implicit_floor,
            ..FloorParameters::default()
        };
        let offer = McpttMedia::new(audio, Some(floor), parameters);
        let request = self.make(|r| r.invite(group, &offer));
        let description = offer.to_sdp(1, 1).to_string().into_bytes();
        let cancel = CancellationToken::new();
        self.outgoing.insert(group.clone(), cancel.clone());
        let responses = self
            .link
            .endpoint
            .request(request.clone(), self.link.server);
        let (answers, group) = (self.answers.0.clone(), group.clone());
        let endpoint = self.link.endpoint.clone();
        tokio::spawn(async move {
            let result = await_answer(&endpoint, responses, &request, &cancel).await;
            // A client that stopped meanwhile needs no answer.
            let _stopped = answers
                .send(Answered {
                    group,
                    description,
                    result,
                })
                .await;
        });
    }

    fn is_busy(&self, group: &GroupId) -> bool {
        self.outgoing.contains_key(group) || self.legs.values().any(|leg| leg.group == *group)
    }

    async fn start_media(
        &self,
        group: &GroupId,
    ) -> Result<(std::net::SocketAddr, std::net::SocketAddr), String> {
        let sockets = Sockets::bind(self.config.media_address)
            .await
            .map_err(|e| e.to_string())?;
        let addresses = sockets.addresses().map_err(|error| error.to_string())?;
        let call = Call::new(
            self.shared.clone(),
            group.clone(),
            sockets,
            &self.association,
        )?;
        let (commands, queue) = mpsc::channel(QUEUE);
        self.table.insert(group.clone(), commands);
        tokio::spawn(call.run(queue));
        Ok(addresses)
    }

    fn end_media(&self, group: &GroupId) {
        if let Some(commands) = self.table.remove(group) {
            tokio::spawn(async move { commands.send(CallCommand::End).await });
        }
    }

    fn connect(&self, group: &GroupId, far: &McpttMedia, set_up: SetUp) {
        let remote = Remote {
            audio: far.audio,
            floor: far.floor,
            payload_type: far.payload_type,
            octet_align: far.octet_align,
        };
        if let Some(commands) = self.table.get(group)
            && commands
                .try_send(CallCommand::Connect(remote, set_up))
                .is_err()
        {
            tracing::error!(%group, "media task of the call is gone");
        }
    }

    pub(super) fn on_answered(&mut self, answered: Answered) {
        let Answered {
            group,
            description,
            result,
        } = answered;
        self.outgoing.remove(&group);
        match result {
            Ok(Accepted {
                dialog,
                timer,
                media,
            }) => {
                let parameters = &media.floor_parameters;
                let set_up = match (parameters.granted, parameters.implicit_request) {
                    (true, _) => SetUp::Granted,
                    (false, true) => SetUp::ImplicitRequest,
                    (false, false) => SetUp::Listening,
                };
                self.connect(&group, &media, set_up);
                let leg = Leg {
                    group: group.clone(),
                    dialog,
                    timer,
                    description,
                };
                self.legs.insert(leg.dialog.id().clone(), leg);
                self.started(group, None);
            }
            Err(Refusal { status, detail }) => {
                self.end_media(&group);
                self.refused(&group, status, detail);
            }
        }
    }

    fn started(&self, group: GroupId, caller: Option<McServiceId>) {
        tracing::info!(node = self.config.node, %group, "call started");
        self.emit(ClientEvent::StepPassed(Step::C));
        self.emit(ClientEvent::CallStarted { group, caller });
    }

    fn refused(&self, group: &GroupId, status: u16, detail: String) {
        let service = if status == 0 {
            "client"
        } else {
            "mcptt-server"
        };
        let failure = StepFailure {
            service,
            clause: CLAUSE,
            detail: detail.clone(),
        };
        self.emit(ClientEvent::StepFailed(Step::C, failure));
        self.emit(ClientEvent::CallRefused {
            group: group.clone(),
            status,
            detail,
        });
    }

    /// Answers a call automatically.
    //= TS 24.379 10.1.1.2.2.1
    pub(super) async fn on_invite(&mut self, request: &IncomingRequest) {
        let call = match incoming_call(&request.request, Some(&self.xml)) {
            Ok(call) => call,
            Err(refused) => return refuse_invite(request, refused),
        };
        if !self.config.groups.contains(&call.group) {
            return request.respond_status(StatusCode::NOT_FOUND);
        }
        if self.is_busy(&call.group) {
            return request.respond_status(StatusCode::BUSY_HERE);
        }
        let Ok(dialog) = Dialog::uas(&request.request, &request.to_tag) else {
            return request.respond_status(StatusCode::BAD_REQUEST);
        };
        let (audio, floor) = match self.start_media(&call.group).await {
            Ok(addresses) => addresses,
            Err(detail) => {
                tracing::error!(detail, "call cannot be answered");
                return request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
            }
        };
        let parameters = call.media.floor_parameters.answer(u8::MAX, false, false);
        let answer = McpttMedia {
            payload_type: call.media.payload_type,
            octet_align: call.media.octet_align,
            protocol: call.media.protocol.clone(),
            ..McpttMedia::new(audio, call.media.floor.map(|_| floor), parameters)
        };
        let description = answer.to_sdp(1, 1).to_string().into_bytes();
        match self.accept_session(request, &description) {
            Some(timer) => {
                self.connect(&call.group, &call.media, SetUp::Listening);
                let leg = Leg {
                    group: call.group.clone(),
                    dialog,
                    timer,
                    description,
                };
                self.legs.insert(leg.dialog.id().clone(), leg);
                self.started(call.group, call.caller);
            }
            None => self.end_media(&call.group),
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
            .with("P-Preferred-Service", ICSI)
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
        let group = leg.group.clone();
        let Some(timer) = self.accept_session(request, &description) else {
            return;
        };
        if let Some(media) = offer {
            self.connect(&group, &media, SetUp::Listening);
        }
        if let Some(leg) = self.legs.get_mut(id) {
            leg.timer = timer;
        }
    }

    fn end_leg(&mut self, id: &DialogId, reason: String) {
        if let Some(leg) = self.legs.remove(id) {
            self.end_media(&leg.group);
            tracing::info!(node = self.config.node, group = %leg.group, reason, "call released");
            self.emit(ClientEvent::Released {
                group: leg.group,
                reason,
            });
        }
    }

    /// Leaves a call, or gives up one that is not answered yet.
    //= TS 24.379 10.1.1.2.3
    pub(super) fn hang_up(&mut self, group: &GroupId) {
        if let Some(cancel) = self.outgoing.get(group) {
            return cancel.cancel();
        }
        let id = self
            .legs
            .iter()
            .find(|(_, leg)| leg.group == *group)
            .map(|(id, _)| id.clone());
        if let Some(id) = id {
            self.bye(&id, "hung up");
        }
    }

    fn bye(&mut self, id: &DialogId, reason: &str) {
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
        for cancel in self.outgoing.values() {
            cancel.cancel();
        }
        let ids: Vec<DialogId> = self.legs.keys().cloned().collect();
        for id in ids {
            self.bye(&id, "client stops");
        }
        let waiting: Vec<GroupId> = self.outgoing.keys().cloned().collect();
        for group in waiting {
            self.end_media(&group);
        }
        // BYEs leave before the endpoint closes.
        tokio::task::yield_now().await;
    }
}

async fn await_answer(
    endpoint: &SipEndpoint,
    mut responses: ResponseStream,
    request: &Request,
    cancel: &CancellationToken,
) -> Result<Accepted, Refusal> {
    let mut cancelled = false;
    let response = loop {
        tokio::select! {
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                responses.cancel();
            }
            response = responses.next() => match response {
                Some(Ok(response)) if response.status.is_provisional() => {}
                Some(Ok(response)) => break response,
                Some(Err(error)) => {
                    let status = error.status().code();
                    return Err(Refusal { status, detail: error.to_string() });
                }
                None => {
                    let detail = "no answer".to_owned();
                    return Err(Refusal { status: 408, detail });
                }
            },
        }
    };
    let status = response.status.code();
    if !response.status.is_success() {
        return Err(Refusal {
            status,
            detail: described(&response),
        });
    }
    let unusable = |detail: &str| Refusal {
        status,
        detail: detail.to_owned(),
    };
    let mut dialog =
        Dialog::uac(request, &response).map_err(|_| unusable("answer makes no dialog"))?;
    let cseq = request.headers.cseq().map_or(1, |cseq| cseq.number);
    responses.ack(dialog.ack(cseq));
    let media = answer_media(&response.headers, &response.body);
    let Some(media) = media.filter(|_| !cancelled) else {
        // The call is up at the far end: it must hear that it is not here.
        let bye = dialog.request(Method::Bye);
        let mut ended = endpoint.request(bye, responses.to);
        if let Err(error) = ended.final_response().await {
            tracing::debug!(%error, "BYE not answered");
        }
        return Err(unusable(
            "answer has no usable description, or came after the hang-up",
        ));
    };
    Ok(Accepted {
        timer: SessionTimer::accepted(&response, Instant::now()),
        dialog,
        media,
    })
}

fn refuse_invite(request: &IncomingRequest, refused: Refused) {
    const AGENT: &str = "mc-client";
    match refused {
        Refused::Malformed => request.respond_status(StatusCode::BAD_REQUEST),
        Refused::NotAcceptable => request.respond_status(StatusCode::NOT_ACCEPTABLE_HERE),
        Refused::Undecryptable => {
            let warning = Warning::numbered(AGENT, McWarning::UnableToDecryptXml);
            request.respond(
                request
                    .response(StatusCode::FORBIDDEN)
                    .with_warning(&warning),
            );
        }
    }
}
