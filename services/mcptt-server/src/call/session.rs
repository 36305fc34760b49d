//! One call: the task that drives the controlling function's state machine, the SIP legs and the
//! media plane.

mod emergency;
mod late_entry;
mod legs;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mc_ids::{GroupId, McServiceId};
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{self, ISFOCUS};
use mc_sip::transaction::TransactionId;
use mc_sip::{McWarning, NameAddr, StatusCode, Uri, token};
use mc_trace::{Event as TraceEvent, names};
use mc_xml::group::GroupDocument;
use tokio::sync::mpsc;
use tokio::time::Instant;

use self::emergency::Emergency;
use self::legs::{Leg, Stage};
use super::controlling::{Action, Controlling, Event};
use super::emergency as call_emergency;
use super::originating::{self, Caller};
use super::subject::Subject;
use super::terminating::Answer;
use crate::affiliation::ClientKey;
use crate::media_plane::{LegId, SessionId};
use crate::refusal::Refusal;
use crate::server::{Calls, Server};
use crate::subscribe;

/// What reaches a session.
#[derive(Debug)]
pub enum SessionInput {
    /// A caller joins the ongoing call.
    Join(Box<Caller>),
    /// A client affiliated to the group, or did so again.
    LateEntry(ClientKey),
    /// A client is no longer affiliated.
    Leave(ClientKey),
    /// A user is revoked.
    Revoked(McServiceId),
    /// The group's document has changed; `None` when it is gone.
    Document(Option<Arc<GroupDocument>>),
    /// A client answered its invitation.
    MemberAnswered(LegId, Box<Answer>),
    /// The user of an invited client is alerted.
    MemberRinging(LegId),
    /// A client refused its invitation.
    MemberRefused(LegId, StatusCode, Option<McWarning>),
    /// A request inside the dialog of a leg.
    InDialog(LegId, Box<IncomingRequest>),
    /// The ACK for the answer to a caller.
    Acknowledged(TransactionId),
    /// A caller cancelled.
    Cancelled(TransactionId),
    /// A caller never acknowledged.
    AckMissing(TransactionId),
    /// What came of our session refresh on a leg.
    Refreshed(LegId, Refresh),
    /// T4 ran out.
    FloorIdle,
}

/// What came of a session refresh of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// The client is in the call.
    Alive,
    /// It knows nothing of the call (RFC 3261 12.2.1.2).
    Gone,
    /// It refused, or did not answer: its session timer decides.
    Open,
}

/// Whose call a session is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parties {
    /// The call of a group.
    Group(GroupId),
    /// A private call.
    Private {
        /// The calling user.
        caller: McServiceId,
        /// The called user.
        callee: McServiceId,
    },
}

/// Names a session and reaches its task.
#[derive(Debug, Clone)]
pub struct SessionHandle {
    /// The session in the media plane.
    pub id: SessionId,
    /// The MCPTT session identity.
    pub identity: Uri,
    /// Whose call it is.
    pub parties: Parties,
    participants: Arc<Mutex<Vec<McServiceId>>>,
    input: mpsc::UnboundedSender<SessionInput>,
}

impl SessionHandle {
    /// Hands an input over; a session that has ended forgets it.
    pub fn send(&self, input: SessionInput) {
        drop(self.try_send(input));
    }

    /// Hands an input over, or gives it back when the session has ended.
    #[must_use]
    pub fn try_send(&self, input: SessionInput) -> Option<SessionInput> {
        self.input.send(input).err().map(|error| error.0)
    }

    /// Whether the session has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.input.is_closed()
    }

    /// The MCPTT IDs of the connected participants.
    #[must_use]
    pub fn participants(&self) -> Vec<McServiceId> {
        self.participants
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The task of a session.
pub(crate) struct Session {
    server: Arc<Server>,
    handle: SessionHandle,
    subject: Subject,
    contact: NameAddr,
    call_id: String,
    legs: BTreeMap<LegId, Leg>,
    originator: LegId,
    controlling: Option<Controlling>,
    caller: McServiceId,
    functional_alias: Option<String>,
    format: (u8, bool, String),
    emergency: Option<Emergency>,
    inputs: mpsc::UnboundedReceiver<SessionInput>,
}

/// Makes the session of a caller's call; its task is to be run with the caller.
pub(crate) fn make(
    server: &Arc<Server>,
    calls: &mut Calls,
    caller: &Caller,
) -> (SessionHandle, Session) {
    let mut rng = mc_runtime::rng();
    let id = SessionId(calls.next_number());
    let originator = LegId(calls.next_number());
    // The session identity is a GRUU that reveals neither group nor user (TS 24.379 4.5).
    let name = format!("s-{}", token::hex(&mut rng, 8));
    let address = server
        .parts
        .endpoint
        .address_towards(caller.request.from.address);
    let transport = caller.request.from.transport.as_str().to_ascii_lowercase();
    let identity = Uri::of_address(address)
        .with_user(&name)
        .with_param("transport", Some(&transport))
        .with_param("gr", Some(&token::hex(&mut rng, 4)));
    let contact =
        mcptt::contact_features(NameAddr::new(identity.clone())).with_param(ISFOCUS, None);
    let (input, inputs) = mpsc::unbounded_channel();
    let parties = match &caller.subject {
        Subject::Group { group, .. } => Parties::Group(group.clone()),
        Subject::Private(private) => Parties::Private {
            caller: caller.binding.mcptt_id.clone(),
            callee: private.callee.mcptt_id.clone(),
        },
    };
    let handle = SessionHandle {
        id,
        identity,
        parties,
        participants: Arc::default(),
        input,
    };
    let session = Session {
        server: server.clone(),
        handle: handle.clone(),
        subject: caller.subject.clone(),
        contact,
        call_id: name,
        legs: BTreeMap::new(),
        originator,
        controlling: None,
        caller: caller.binding.mcptt_id.clone(),
        functional_alias: originating::calling_alias(server, caller),
        format: (
            caller.offer.payload_type,
            caller.offer.octet_align,
            caller.offer.protocol.clone(),
        ),
        emergency: None,
        inputs,
    };
    (handle, session)
}

impl Session {
    /// Runs the call from its first INVITE to its end.
    pub(crate) async fn run(mut self, caller: Caller) {
        if let Err(refusal) = self.start(caller).await {
            tracing::warn!(%refusal, about = self.subject.name(), "session was not started");
        }
        while !self.controlling.as_ref().is_none_or(Controlling::is_ended) {
            let wake = self.next_timeout();
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(Instant::from_std(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                input = self.inputs.recv() => match input {
                    Some(input) => self.on_input(input).await,
                    None => break,
                },
                () = timer => self.on_timer().await,
                () = self.server.parts.shutdown.cancelled() => {
                    self.apply(Event::FloorIdle).await;
                }
            }
        }
        self.finish().await;
    }

    async fn start(&mut self, caller: Caller) -> Result<(), Refusal> {
        let unavailable = || Refusal::status(StatusCode::SERVER_INTERNAL_ERROR);
        let calls = self.server.parts.config.calls.clone();
        let facts = self.subject.facts(self.handle.id, &self.call_id, &calls);
        let emergency = call_emergency::indicated(&caller.info) == Some(true);
        if let Err(error) = self.server.parts.media.open_session(facts).await {
            tracing::warn!(%error, "media plane refused the session");
            self.server.refuse(&caller.request, &unavailable());
            return Err(unavailable());
        }
        let originator = self.originator;
        self.admit_caller(originator, caller).await?;
        self.trace(
            &names::MCPTT_CALL_STARTED,
            &format!("{} calls {}", self.caller.as_str(), self.subject.name()),
        );
        if emergency {
            self.raise_emergency(originator).await;
        }
        let invited = match self.subject.clone() {
            Subject::Group { group, document } => self.invite_members(&group, &document).await,
            //= TS 24.379 11.1.1.4.2
            Subject::Private(private) => {
                let leg = self.invite_client(&private.callee).await;
                leg.map(|leg| (leg, true)).into_iter().collect()
            }
        };
        let rules = self.subject.rules(&calls, emergency);
        let (controlling, actions) = Controlling::start(rules, originator, &invited, now());
        self.controlling = Some(controlling);
        self.perform(actions).await;
        Ok(())
    }

    /// Invites every affiliated client of every member but the caller's own clients.
    //= TS 24.379 6.3.5.5
    async fn invite_members(
        &mut self,
        group: &GroupId,
        document: &GroupDocument,
    ) -> Vec<(LegId, bool)> {
        let mut invited = Vec::new();
        let mut users = HashSet::from([self.caller.clone()]);
        let maximum = document.settings().max_participants.unwrap_or(u32::MAX);
        let clients = self.server.affiliations().clients_of(group);
        for client in clients {
            let member = document
                .member(client.0.as_str())
                .map(|member| member.required);
            let Some(required) = member.filter(|_| client.0 != self.caller) else {
                continue;
            };
            if !users.contains(&client.0)
                && u32::try_from(users.len()).is_ok_and(|users| users >= maximum)
            {
                continue;
            }
            if let Some(leg) = self.invite(&client).await {
                users.insert(client.0);
                invited.push((leg, required));
            }
        }
        invited
    }

    async fn on_input(&mut self, input: SessionInput) {
        match input {
            SessionInput::Join(caller) => self.join(*caller).await,
            SessionInput::LateEntry(client) => self.late_entry(client).await,
            SessionInput::Leave(client) => self.take_out(|leg| leg.client == client).await,
            SessionInput::Revoked(user) => self.take_out(|leg| leg.client.0 == user).await,
            SessionInput::Document(document) => self.on_document(document).await,
            SessionInput::MemberAnswered(leg, answer) => self.on_answer(leg, *answer).await,
            SessionInput::MemberRinging(leg) => self.apply(Event::Ringing(leg)).await,
            SessionInput::MemberRefused(leg, status, warning) => {
                tracing::info!(about = self.subject.name(), %status, "client not reached");
                self.close_leg(leg).await;
                self.apply(Event::Refused(leg, status, warning)).await;
            }
            SessionInput::InDialog(leg, request) => self.on_in_dialog(leg, *request).await,
            SessionInput::Acknowledged(transaction) => {
                self.server.calls().invites.remove(&transaction);
            }
            SessionInput::Cancelled(transaction) => self.on_cancelled(transaction).await,
            SessionInput::AckMissing(transaction) => {
                self.server.calls().invites.remove(&transaction);
                if let Some(leg) = self.leg_of(transaction) {
                    self.release(leg).await;
                    self.apply(Event::Left(leg)).await;
                }
            }
            SessionInput::Refreshed(leg, outcome) => self.on_refreshed(leg, outcome).await,
            SessionInput::FloorIdle => self.apply(Event::FloorIdle).await,
        }
    }

    /// Goes on under a new document, without those who are no members any more; not at all when the
    /// protection is another.
    //= TS 24.379 10.1.1.4.4.3
    async fn on_document(&mut self, changed: Option<Arc<GroupDocument>>) {
        let Subject::Group { document, .. } = &mut self.subject else {
            return;
        };
        let protection = |document: &GroupDocument| {
            let settings = document.settings();
            (settings.protect_media, settings.protect_floor_control)
        };
        if let Some(changed) = &changed {
            let before = std::mem::replace(document, changed.clone());
            if protection(&before) != protection(changed) {
                tracing::info!(about = self.subject.name(), "protection has changed");
                return self.apply(Event::ProtectionChanged).await;
            }
        }
        let is_member = |leg: &Leg| {
            let user = leg.client.0.as_str();
            changed.as_ref().is_some_and(|d| d.member(user).is_some())
        };
        self.take_out(|leg| !is_member(leg)).await;
    }

    /// Ends the legs that are meant.
    async fn take_out(&mut self, is_meant: impl Fn(&Leg) -> bool) {
        let meant = self.legs.iter().filter(|(_, leg)| is_meant(leg));
        let meant: Vec<LegId> = meant.map(|(id, _)| *id).collect();
        for leg in meant {
            self.release(leg).await;
            self.apply(Event::Left(leg)).await;
        }
    }

    //= TS 24.379 10.1.1.4.2
    async fn join(&mut self, caller: Caller) {
        if (caller.offer.payload_type, caller.offer.octet_align) != (self.format.0, self.format.1) {
            // Media is forwarded untouched, so every leg must use one format.
            let refusal = Refusal::status(StatusCode::NOT_ACCEPTABLE_HERE)
                .because("the session has another audio format");
            return self.server.refuse(&caller.request, &refusal);
        }
        let client = (
            caller.binding.mcptt_id.clone(),
            caller.binding.client_id.clone(),
        );
        let twins: Vec<LegId> = self
            .legs
            .iter()
            .filter(|(_, leg)| leg.client == client)
            .map(|(id, _)| *id)
            .collect();
        let leg = LegId(self.server.calls().next_number());
        let emergency = call_emergency::indicated(&caller.info) == Some(true);
        if self.admit_caller(leg, caller).await.is_err() {
            return;
        }
        for twin in twins {
            // The client called while it was being invited, or lost its old leg.
            if twin != self.originator
                || self
                    .controlling
                    .as_ref()
                    .is_some_and(Controlling::is_ongoing)
            {
                self.release(twin).await;
                self.apply(Event::Left(twin)).await;
            }
        }
        if self
            .answer_caller(leg, Some(McWarning::SessionAlreadyExists))
            .await
        {
            self.apply(Event::Joined(leg)).await;
            if emergency {
                self.raise_emergency(leg).await;
            }
        }
    }

    async fn on_cancelled(&mut self, transaction: TransactionId) {
        self.server.calls().invites.remove(&transaction);
        let Some(leg) = self.leg_of(transaction) else {
            return;
        };
        if leg == self.originator {
            self.apply(Event::Cancelled).await;
        } else {
            self.close_leg(leg).await;
            self.apply(Event::Left(leg)).await;
        }
    }

    fn leg_of(&self, transaction: TransactionId) -> Option<LegId> {
        let mut legs = self.legs.iter();
        legs.find(|(_, leg)| {
            leg.request
                .as_ref()
                .is_some_and(|r| r.transaction == transaction)
        })
        .map(|(id, _)| *id)
    }

    async fn apply(&mut self, event: Event) {
        let actions = self
            .controlling
            .as_mut()
            .map(|c| c.handle(event, now()))
            .unwrap_or_default();
        // Boxed: a failed action is an event of its own.
        Box::pin(self.perform(actions)).await;
    }

    async fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::AnswerOriginator(warning) => {
                    let originator = self.originator;
                    if !self.answer_caller(originator, warning).await {
                        self.apply(Event::Left(originator)).await;
                    }
                }
                Action::RingOriginator => self.ring_caller(),
                Action::RefuseOriginator(status, warning) => {
                    self.refuse_originator(status, warning).await;
                }
                Action::Release(leg) => self.release(leg).await,
                Action::End => {}
            }
        }
        self.publish_participants();
    }

    async fn refuse_originator(&mut self, status: StatusCode, warning: Option<McWarning>) {
        let originator = self.originator;
        if let Some(request) = self
            .legs
            .get_mut(&originator)
            .and_then(|leg| leg.request.take())
        {
            self.server.calls().invites.remove(&request.transaction);
            let refusal = warning.map_or(Refusal::status(status), |w| Refusal::warned(status, w));
            let refusal = refusal.because("the call did not come about");
            self.server.refuse(&request, &refusal);
        }
        self.close_leg(originator).await;
    }

    async fn on_timer(&mut self) {
        let actions = self
            .controlling
            .as_mut()
            .map(|c| c.handle_timeout(now()))
            .unwrap_or_default();
        self.perform(actions).await;
        self.run_session_timers().await;
        self.run_emergency_timer().await;
    }

    fn next_timeout(&self) -> Option<std::time::Instant> {
        let controlling = self
            .controlling
            .as_ref()
            .and_then(Controlling::poll_timeout);
        let timers = self
            .legs
            .values()
            .filter_map(|leg| leg.timer.as_ref().map(mc_sip::SessionTimer::poll_timeout));
        timers
            .chain(controlling)
            .chain(self.emergency_until())
            .min()
    }

    fn publish_participants(&self) {
        let connected = self
            .legs
            .values()
            .filter(|leg| leg.stage == Stage::Connected);
        let mut participants: Vec<McServiceId> =
            connected.map(|leg| leg.client.0.clone()).collect();
        participants.sort();
        participants.dedup();
        let changed = {
            let mut shared = self
                .handle
                .participants
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            let changed = *shared != participants;
            *shared = participants;
            changed
        };
        if changed && let Some(group) = self.subject.group() {
            subscribe::notify_conference(&self.server, group);
        }
    }

    /// Releases whatever is left and forgets the session.
    async fn finish(mut self) {
        self.inputs.close();
        let legs: Vec<LegId> = self.legs.keys().copied().collect();
        for leg in legs {
            self.release(leg).await;
        }
        self.server.parts.media.close_session(self.handle.id).await;
        self.server.calls().remove(&self.handle);
        // What arrived while the session ended is answered here.
        while let Ok(input) = self.inputs.try_recv() {
            self.too_late(input).await;
        }
        if let Some(group) = self.subject.group() {
            subscribe::notify_conference(&self.server, group);
        }
        self.trace(
            &names::MCPTT_CALL_ENDED,
            &format!("call of {} ended", self.subject.name()),
        );
    }

    async fn too_late(&self, input: SessionInput) {
        match input {
            SessionInput::InDialog(_, request) => {
                request.respond_status(StatusCode::CALL_DOES_NOT_EXIST);
            }
            SessionInput::Join(caller) => {
                let refusal = Refusal::status(StatusCode::TEMPORARILY_UNAVAILABLE)
                    .because("the session is ending");
                self.server.refuse(&caller.request, &refusal);
            }
            SessionInput::MemberAnswered(_, answer) => {
                super::terminating::bye(&self.server, answer.dialog, answer.flow).await;
            }
            SessionInput::LateEntry(_)
            | SessionInput::Leave(_)
            | SessionInput::Revoked(_)
            | SessionInput::Document(_)
            | SessionInput::MemberRinging(_)
            | SessionInput::MemberRefused(..)
            | SessionInput::Acknowledged(_)
            | SessionInput::Cancelled(_)
            | SessionInput::AckMissing(_)
            | SessionInput::Refreshed(..)
            | SessionInput::FloorIdle => {}
        }
    }

    fn trace(&self, declared: &mc_trace::Declared, summary: &str) {
        tracing::info!(
            call = self.call_id,
            about = self.subject.name(),
            "{summary}"
        );
        self.server
            .parts
            .tracer
            .emit(TraceEvent::local(declared, summary).call(self.call_id.clone()));
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
