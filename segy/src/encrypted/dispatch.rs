//! The events of one client, to the bridges they are for.

use std::sync::Arc;

use mc_client::{CallId, ClientEvent, SpeechFrame, Step};
use mc_ids::McServiceId;
use tokio::sync::mpsc;

use super::roster::Roster;
use super::stamp::Sink;
use super::{McOffer, legs, port};
use crate::bridge::{McEvent, McTalker};
use crate::passthrough::Protection;
use crate::user_map::Represented;

/// Reads one client's events.
pub(super) struct Dispatcher {
    roster: Arc<Roster>,
    identity: McServiceId,
}

impl Dispatcher {
    pub(super) const fn new(roster: Arc<Roster>, identity: McServiceId) -> Self {
        Self { roster, identity }
    }

    pub(super) async fn run(self, mut events: mpsc::Receiver<ClientEvent>) {
        while let Some(event) = events.recv().await {
            if matches!(event, ClientEvent::Stopped) {
                break;
            }
            self.on_event(event).await;
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is about a call"
    )]
    async fn on_event(&self, event: ClientEvent) {
        let (status, identity) = (&self.roster.status, &self.identity);
        match event {
            ClientEvent::StepPassed(step) => self.step(step, None),
            ClientEvent::StepFailed(step, failure) => self.step(step, Some(failure.to_string())),
            ClientEvent::Registered { mcptt_id, .. } | ClientEvent::Interconnected { mcptt_id } => {
                status.known_as(identity, &mcptt_id);
            }
            ClientEvent::GroupKnown {
                group, protected, ..
            } => {
                let protection = Protection::of(&group, protected);
                status.group_known(&group, protection);
                status.group_refused(identity, &group, None);
            }
            ClientEvent::GroupRefused { group, failure } => {
                tracing::warn!(%identity, %group, %failure, "group refused");
                status.group_refused(identity, &group, Some(failure.to_string()));
            }
            ClientEvent::KeyReceived {
                groups,
                gmk_id,
                guk_id,
                ..
            } => {
                for group in groups {
                    status.key_received(&group, identity, gmk_id, guk_id);
                }
            }
            ClientEvent::KeyRefused { detail } => {
                tracing::warn!(detail, "key refused");
                status.counters.keys_refused.add(1);
            }
            ClientEvent::AliasesActive { aliases } => status.aliases(Ok(aliases)),
            ClientEvent::AliasesRefused { detail, .. } => status.aliases(Err(detail)),
            ClientEvent::Ready => {
                status.mc_up(identity);
                self.roster.is_ready(identity, true);
                self.tell_all(&McEvent::Up);
            }
            ClientEvent::Disconnected { detail } => {
                tracing::warn!(%identity, detail, "MC system lost");
                status.mc_down(identity, &detail);
                self.roster.is_ready(identity, false);
                self.tell_all(&McEvent::Down);
            }
            ClientEvent::Speech(frame) => self.on_speech(frame),
            ClientEvent::CallOffered {
                call,
                caller,
                functional_alias,
                called_alias,
                ..
            } => {
                let caller = McTalker {
                    id: Some(caller.as_str().to_owned()),
                    functional_alias,
                };
                self.offer(call, caller, called_alias);
            }
            event => {
                if let ClientEvent::CallStarted {
                    call, protected, ..
                } = &event
                {
                    self.call_step(call, *protected);
                }
                if let Some((call, event)) = of_call(event) {
                    self.tell(&call, event).await;
                }
            }
        }
    }

    fn step(&self, step: Step, failure: Option<String>) {
        let name = match step {
            Step::T => "T",
            Step::K => "K",
            Step::G => "G",
            Step::S => "S",
            // The calls themselves tell.
            Step::C | Step::P => return,
        };
        self.roster.status.step(&self.identity, name, failure);
    }

    /// The first protected call of each kind that comes up is a step.
    fn call_step(&self, call: &CallId, protected: bool) {
        let step = match call {
            CallId::Private(_) => "P",
            CallId::Group(_) => "C",
        };
        let status = &self.roster.status;
        status.first_call(&self.identity, step, protected);
    }

    /// A private call to an external user.
    fn offer(&self, call: CallId, caller: McTalker, called_alias: Option<String>) {
        let (port, told, tell) = port();
        let key = (self.identity.clone(), call);
        self.roster.private().insert(key.clone(), Sink::new(tell));
        tokio::spawn(legs::offered(self.roster.clone(), key, told));
        let offer = McOffer {
            caller,
            called: Represented {
                identity: self.identity.clone(),
                functional_alias: called_alias,
            },
            port,
        };
        if let Err(error) = self.roster.offers.try_send(offer) {
            // Its port is dropped, which ends it.
            tracing::warn!(%error, "private call not taken");
        }
    }

    async fn tell(&self, call: &CallId, event: McEvent) {
        if let CallId::Group(id) = call {
            if let Some(group) = self.roster.groups().get_mut(id) {
                for event in group.merge.on_event(&self.identity, event) {
                    group.sink.tell(event);
                }
            }
            return;
        }
        let key = (self.identity.clone(), call.clone());
        if !self.roster.private().contains_key(&key) {
            // It may be one that is being made at this moment.
            drop(self.roster.making().await);
        }
        if let Some(sink) = self.roster.private().get(&key) {
            sink.tell(event);
        }
    }

    fn tell_all(&self, event: &McEvent) {
        for group in self.roster.groups().values_mut() {
            for event in group.merge.on_event(&self.identity, event.clone()) {
                group.sink.tell(event);
            }
        }
        for ((identity, _), sink) in self.roster.private().iter() {
            if *identity == self.identity {
                sink.tell(event.clone());
            }
        }
    }

    /// Speech of others; our own that comes back, and further copies, are dropped.
    fn on_speech(&self, frame: SpeechFrame) {
        let counters = &self.roster.status.counters;
        let taken = match &frame.call {
            CallId::Private(_) => {
                let key = (self.identity.clone(), frame.call.clone());
                let mut private = self.roster.private();
                private.get_mut(&key).is_none_or(|sink| sink.speech(frame))
            }
            CallId::Group(id) => {
                let id = id.clone();
                let talker = frame.guk_id;
                if talker.is_some_and(|talker| !self.roster.status.heard(&id, talker)) {
                    return counters.echoes.add(1);
                }
                let mut groups = self.roster.groups();
                let Some(group) = groups.get_mut(&id) else {
                    return;
                };
                if !group.merge.leads(&self.identity) {
                    return counters.merged.add(1);
                }
                group.sink.speech(frame)
            }
        };
        if !taken {
            counters.dropped_to_external.add(1);
        }
    }
}

/// What a client's event means to the bridge of its call.
fn of_call(event: ClientEvent) -> Option<(CallId, McEvent)> {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is about the client, or tells a bridge nothing"
    )]
    Some(match event {
        ClientEvent::CallRinging { call } => (call, McEvent::Ringing),
        ClientEvent::CallStarted { call, .. } => (call, McEvent::CallStarted),
        ClientEvent::Emergency { call, active } => (call, McEvent::Emergency(active)),
        ClientEvent::CallRefused {
            call,
            status,
            detail,
            ..
        } => (call, McEvent::CallRefused { status, detail }),
        ClientEvent::Released { call, reason } => (call, McEvent::CallReleased { reason }),
        ClientEvent::FloorGranted { call, duration } => (call, McEvent::FloorGranted { duration }),
        ClientEvent::FloorTaken {
            call,
            talker,
            functional_alias,
        } => {
            let talker = McTalker {
                id: talker,
                functional_alias,
            };
            (call, McEvent::FloorTaken(talker))
        }
        ClientEvent::FloorIdle { call } => (call, McEvent::FloorIdle),
        ClientEvent::FloorDenied {
            call,
            cause,
            phrase,
        } => (call, McEvent::FloorDenied { cause, phrase }),
        ClientEvent::FloorQueued { call } => (call, McEvent::FloorQueued),
        ClientEvent::FloorRevoked {
            call,
            cause,
            phrase,
        } => (call, McEvent::FloorRevoked { cause, phrase }),
        ClientEvent::FloorRequestTimedOut { call } => (call, McEvent::FloorRequestTimedOut),
        _ => return None,
    })
}
