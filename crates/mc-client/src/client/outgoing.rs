//! Calls an established client makes (TS 24.379 10.1.1.2.1.1, 11.1.1.2.1.1).

use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use floor_control::participant::SetUp;
use mc_ids::{GroupId, Key128 as _, McServiceId};
use mc_runtime::CancellationToken;
use mc_runtime::sip::{ResponseStream, SipEndpoint};
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_sip::{Dialog, Method, Request, Response, SessionTimer, StatusCode};
use mc_trace::{KeyKind, KeyLogEntry};
use tokio::sync::mpsc;

use crate::call::{CallCommand, CallProtection};
use crate::call_id::CallId;
use crate::client::calls::Leg;
use crate::client::emergency::Asked;
use crate::client::established::{Established, described};
use crate::event::{ClientEvent, Step, StepFailure};
use crate::handle::{CallFloor, Callee, PrivateCall};
use crate::private_call_key::PrivateCallKey;
use crate::requests::{AliasUse, CalledAlias, answer_media};

const GROUP_CLAUSE: &str = "TS 24.379 10.1.1.2.1.1";
const PRIVATE_CLAUSE: &str = "TS 24.379 11.1.1.2.1.1";

/// A call of ours that is not answered yet.
#[derive(Debug)]
pub(super) struct Outgoing {
    cancel: CancellationToken,
    offer: McpttMedia,
    private: Option<PrivateSetUp>,
    emergency: bool,
    is_protected: bool,
}

/// What a private call needs while it is set up.
#[derive(Debug)]
struct PrivateSetUp {
    wanted: PrivateCall,
    key: PrivateCallKey,
}

/// What became of an INVITE of ours.
#[derive(Debug)]
pub(super) enum Progress {
    /// The called party is alerted.
    Ringing(CallId),
    /// A final answer came, or none will.
    Answered(CallId, Result<Box<Accepted>, Box<Refusal>>),
    /// An emergency, or its end, was answered.
    Emergency(Asked, Result<(), Box<Refusal>>),
}

#[derive(Debug)]
pub(super) struct Accepted {
    dialog: Dialog,
    timer: Option<SessionTimer>,
    media: McpttMedia,
}

/// Why a call of ours is not set up.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) detail: String,
    response: Option<Response>,
}

impl Refusal {
    /// Number of the MCPTT warning, if there is one.
    pub(super) fn warning(&self) -> Option<u16> {
        let warnings = self.response.as_ref()?.headers.warnings();
        warnings.iter().find_map(mc_sip::Warning::code)
    }

    pub(super) fn local(detail: impl Into<String>) -> Self {
        Self {
            status: 0,
            detail: detail.into(),
            response: None,
        }
    }
}

impl Established {
    /// Makes a group call.
    //= TS 24.379 10.1.1.2.1.1
    pub(super) async fn group_call(&mut self, group: &GroupId, wanted: CallFloor, emergency: bool) {
        let call = CallId::from(group);
        if self.is_busy(&call) {
            return self.refused(&call, &Refusal::local("a call is up in this group"));
        }
        if self.lacking().contains(group) {
            return self.refused(&call, &Refusal::local("no GMK for this group yet"));
        }
        let protection = self.of_group(group);
        let implicit_floor = wanted != CallFloor::Listen;
        let Some(offer) = self.offer(&call, protection, implicit_floor).await else {
            return;
        };
        let alias = match &wanted {
            CallFloor::RequestAs(alias) => Some(alias.as_str()),
            CallFloor::Listen | CallFloor::Request => None,
        };
        let priority = emergency.then_some(&self.config.emergency_resource_priority);
        let request = self.make(|r| r.invite(group, &offer, alias, priority));
        if emergency {
            self.tell_media(&call, CallCommand::Emergency(true));
        }
        self.send_invite(call, request, offer, (None, emergency));
    }

    /// Makes a private call: to a user at once, to a functional alias once it is known who has it
    /// active, because the PCK is made for a user.
    //= TS 24.379 11.1.1.2.1.1
    pub(super) async fn private_call(&mut self, call: CallId, wanted: PrivateCall) {
        if self.private_calls() >= self.config.max_private_calls {
            let refusal = Refusal::local("no further private call is configured");
            return self.refused(&call, &refusal);
        }
        let key = PrivateCallKey::draw(&mut mc_runtime::rng());
        let protection = self.of_private(key.clone());
        let offer = self.offer(&call, protection, wanted.implicit_floor);
        let Some(offer) = offer.await else {
            return;
        };
        self.export_pck(&key);
        let callee = wanted.callee.clone();
        let set_up = PrivateSetUp { wanted, key };
        match callee {
            Callee::User(user) => self.invite_user(call, offer, set_up, &user).await,
            Callee::FunctionalAlias(alias) => {
                let wanted = &set_up.wanted;
                let uses = AliasUse {
                    calling: wanted.functional_alias.as_deref(),
                    called: CalledAlias::ToResolve,
                };
                let request =
                    self.make(|r| r.private_invite(&alias, uses, wanted.commencement, &offer));
                self.send_invite(call, request, offer, (Some(set_up), false));
            }
        }
    }

    /// Opens the media of a call and describes it; refused when that is not possible.
    async fn offer(
        &self,
        call: &CallId,
        protection: CallProtection,
        implicit_floor: bool,
    ) -> Option<McpttMedia> {
        let (audio, floor) = match self.start_media(call, protection).await {
            Ok(addresses) => addresses,
            Err(detail) => {
                self.refused(call, &Refusal::local(detail));
                return None;
            }
        };
        //= TS 24.380 14.3.2
        let parameters = FloorParameters {
            queueing: true,
            granted: true,
            implicit_request: implicit_floor,
            ..FloorParameters::default()
        };
        Some(McpttMedia::new(audio, Some(floor), parameters))
    }

    async fn invite_user(
        &mut self,
        call: CallId,
        mut offer: McpttMedia,
        set_up: PrivateSetUp,
        user: &McServiceId,
    ) {
        match self.pck_message(&set_up.key, user).await {
            Ok(message) => offer.key_mgmt = Some(STANDARD.encode(message)),
            Err(detail) => {
                self.end_media(&call, None);
                return self.refused(&call, &Refusal::local(detail));
            }
        }
        let wanted = &set_up.wanted;
        let uses = AliasUse {
            calling: wanted.functional_alias.as_deref(),
            called: match &wanted.callee {
                Callee::User(_) => CalledAlias::None,
                Callee::FunctionalAlias(alias) => CalledAlias::Resolved(alias),
            },
        };
        let entry = user.as_str();
        let request = self.make(|r| r.private_invite(entry, uses, wanted.commencement, &offer));
        self.send_invite(call, request, offer, (Some(set_up), false));
    }

    /// The I_MESSAGE with the PCK for a user.
    //= TS 33.180 5.6
    async fn pck_message(
        &mut self,
        key: &PrivateCallKey,
        callee: &McServiceId,
    ) -> Result<Vec<u8>, String> {
        let time = self.shared.clock.ntp();
        let keys = self
            .ring
            .current(self.link.identity.mcptt_id.as_str(), time);
        let keys = keys
            .cloned()
            .ok_or_else(|| "no keys for this key period".to_owned())?;
        if self.ring.certificate_for(callee.as_str()).is_none() {
            self.renew_partners().await;
        }
        let kms = self.ring.certificate_for(callee.as_str()).cloned();
        let kms = kms.ok_or_else(|| format!("no KMS is known that answers for {callee}"))?;
        let ends_at_gateway = self.ends_at_gateway(callee);
        if ends_at_gateway {
            self.tell_gateway(callee);
        }
        let mut key = key.clone();
        if ends_at_gateway || self.config.security_gateway {
            key = key.shared_with_gateway();
        }
        let (root, callee) = (self.ring.root().clone(), callee.clone());
        let make = move || {
            let rng = &mut mc_runtime::rng();
            key.i_message(&keys, &root, (&callee, &kms), time, rng)
        };
        let made = tokio::task::spawn_blocking(make).await;
        let made = made.map_err(|error| error.to_string())?;
        made.map_err(|error| format!("PCK message: {error}"))
    }

    pub(super) fn export_pck(&self, key: &PrivateCallKey) {
        let (id, octets) = (key.id().key_id().0, key.pck().octets());
        let entry = KeyLogEntry::distributed(KeyKind::Pck, id, octets, key.rand());
        self.shared.tracer.key(entry);
    }

    fn send_invite(
        &mut self,
        call: CallId,
        request: Request,
        offer: McpttMedia,
        (private, emergency): (Option<PrivateSetUp>, bool),
    ) {
        let cancel = CancellationToken::new();
        let outgoing = Outgoing {
            cancel: cancel.clone(),
            offer,
            private,
            emergency,
            is_protected: call.group().is_none_or(|group| self.is_protected(group)),
        };
        self.outgoing.insert(call.clone(), outgoing);
        let endpoint = self.link.endpoint.clone();
        let responses = endpoint.request(request.clone(), self.link.server);
        let progress = self.progress.0.clone();
        tokio::spawn(async move {
            let waiting = Waiting {
                endpoint: &endpoint,
                request: &request,
                call: &call,
                progress: &progress,
            };
            let result = waiting.for_answer(responses, &cancel).await;
            // A client that stopped meanwhile needs no answer.
            let _stopped = progress.send(Progress::Answered(call, result)).await;
        });
    }

    /// Gives up a call that is not answered yet; false when there is none.
    pub(super) fn cancel_outgoing(&self, call: &CallId) -> bool {
        let outgoing = self.outgoing.get(call);
        if let Some(outgoing) = outgoing {
            outgoing.cancel.cancel();
        }
        outgoing.is_some()
    }

    pub(super) async fn on_progress(&mut self, progress: Progress) {
        match progress {
            Progress::Ringing(call) => self.emit(ClientEvent::CallRinging { call }),
            Progress::Emergency(asked, result) => self.on_emergency_answer(asked, result),
            Progress::Answered(call, result) => {
                let Some(outgoing) = self.outgoing.remove(&call) else {
                    return;
                };
                match result {
                    Ok(accepted) => self.on_accepted(&call, &outgoing, *accepted),
                    Err(refusal) => self.on_refused(call, outgoing, *refusal).await,
                }
            }
        }
    }

    fn on_accepted(&mut self, call: &CallId, outgoing: &Outgoing, accepted: Accepted) {
        let parameters = &accepted.media.floor_parameters;
        let set_up = match (parameters.granted, parameters.implicit_request) {
            (true, _) => SetUp::Granted,
            (false, true) => SetUp::ImplicitRequest,
            (false, false) => SetUp::Listening,
        };
        self.connect(call, &accepted.media, set_up);
        let leg = Leg {
            call: call.clone(),
            emergency: false,
            dialog: accepted.dialog,
            timer: accepted.timer,
            description: outgoing.offer.to_sdp(1, 1).to_string().into_bytes(),
            is_protected: outgoing.is_protected,
        };
        self.started(leg, None);
        if outgoing.emergency {
            self.put_emergency(call, true);
        }
    }

    /// A refusal; a 300 says who has the called functional alias active, who is called then.
    async fn on_refused(&mut self, call: CallId, outgoing: Outgoing, refusal: Refusal) {
        let redirected = refusal
            .response
            .as_ref()
            .filter(|response| response.status == StatusCode::MULTIPLE_CHOICES)
            .and_then(|response| {
                let form = self.config.bodies.resolved_alias;
                form.read(
                    &response.headers,
                    &response.body,
                    self.demand(),
                    &self.bodies,
                )
            });
        let Outgoing {
            cancel,
            offer,
            private,
            ..
        } = outgoing;
        match (redirected, private) {
            // An offer that has a PCK already was made for a user, so there is no second time.
            (Some(user), Some(set_up)) if offer.key_mgmt.is_none() && !cancel.is_cancelled() => {
                self.invite_user(call, offer, set_up, &user).await;
            }
            _ => {
                self.end_media(&call, None);
                self.refused(&call, &refusal);
            }
        }
    }

    pub(super) fn refused(&self, call: &CallId, refusal: &Refusal) {
        let (step, clause) = if call.is_private() {
            (Step::P, PRIVATE_CLAUSE)
        } else {
            (Step::C, GROUP_CLAUSE)
        };
        let service = if refusal.status == 0 {
            "client"
        } else {
            "mcptt-server"
        };
        let failure = StepFailure {
            service,
            clause,
            detail: refusal.detail.clone(),
        };
        self.emit(ClientEvent::StepFailed(step, failure));
        self.emit(ClientEvent::CallRefused {
            call: call.clone(),
            status: refusal.status,
            warning: refusal.warning(),
            detail: refusal.detail.clone(),
        });
    }
}

/// The task that waits for the answer to one INVITE.
struct Waiting<'a> {
    endpoint: &'a SipEndpoint,
    request: &'a Request,
    call: &'a CallId,
    progress: &'a mpsc::Sender<Progress>,
}

impl Waiting<'_> {
    async fn for_answer(
        &self,
        mut responses: ResponseStream,
        cancel: &CancellationToken,
    ) -> Result<Box<Accepted>, Box<Refusal>> {
        let mut cancelled = false;
        let response = loop {
            tokio::select! {
                () = cancel.cancelled(), if !cancelled => {
                    cancelled = true;
                    responses.cancel();
                }
                response = responses.next() => match response {
                    Some(Ok(response)) if response.status.is_provisional() => {
                        self.on_provisional(&response).await;
                    }
                    Some(Ok(response)) => break response,
                    Some(Err(error)) => {
                        let status = error.status().code();
                        return Err(refusal(status, error.to_string(), None));
                    }
                    None => return Err(refusal(408, "no answer".to_owned(), None)),
                },
            }
        };
        let status = response.status.code();
        if !response.status.is_success() {
            return Err(refusal(status, described(&response), Some(response)));
        }
        let unusable = |detail: &str| refusal(status, detail.to_owned(), None);
        let mut dialog =
            Dialog::uac(self.request, &response).map_err(|_| unusable("answer makes no dialog"))?;
        let cseq = self.request.headers.cseq().map_or(1, |cseq| cseq.number);
        responses.ack(dialog.ack(cseq));
        let media = answer_media(&response.headers, &response.body);
        let Some(media) = media.filter(|_| !cancelled) else {
            // The call is up at the far end: it must hear that it is not here.
            let bye = dialog.request(Method::Bye);
            let mut ended = self.endpoint.request(bye, responses.to);
            if let Err(error) = ended.final_response().await {
                tracing::debug!(%error, "BYE not answered");
            }
            return Err(unusable(
                "answer has no usable description, or came after the hang-up",
            ));
        };
        Ok(Box::new(Accepted {
            timer: SessionTimer::accepted(&response, Instant::now()),
            dialog,
            media,
        }))
    }

    async fn on_provisional(&self, response: &Response) {
        if response.status == StatusCode::RINGING {
            // A client that stopped meanwhile does not care.
            let _stopped = self
                .progress
                .send(Progress::Ringing(self.call.clone()))
                .await;
        }
    }
}

pub(super) fn refusal(status: u16, detail: String, response: Option<Response>) -> Box<Refusal> {
    Box::new(Refusal {
        status,
        detail,
        response,
    })
}
