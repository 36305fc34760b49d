//! The in-progress emergency of a group's call: raised, told to every participant, over
//! (TS 24.379 6.2.8.1, 6.3.3.1.13 to 6.3.3.1.20).

use std::time::{Duration, Instant};

use mc_ids::McServiceId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{ICSI, media};
use mc_sip::sdp::FloorParameters;
use mc_sip::{
    BodyPart, McWarning, Method, Multipart, NameAddr, Request, SessionTimer, name, token,
};
use mc_trace::names;

use super::legs::Stage;
use super::{Refresh, Session, SessionInput, now};
use crate::call::controlling::Event;
use crate::call::emergency;
use crate::call::subject::Subject;
use crate::info;
use crate::media_plane::LegId;
use crate::refusal::Refusal;
use crate::registration::Binding;

/// An emergency in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Emergency {
    /// Who declared it.
    by: McServiceId,
    /// TNG2: when it is over by itself.
    until: Instant,
}

impl Session {
    /// Declares an emergency for the user of a leg; the others are told when they are in the call.
    //= TS 24.379 6.3.3.1.16
    pub(super) async fn raise_emergency(&mut self, leg: LegId) {
        let Subject::Group { document, .. } = &self.subject else {
            return;
        };
        let Some(by) = self.legs.get(&leg).map(|leg| leg.client.0.clone()) else {
            return;
        };
        let configured = Duration::from_secs(self.server.parts.config.calls.emergency_limit_s);
        let limit = document.settings().emergency_cancellation;
        let summary = format!("{} declares an emergency", by.as_str());
        let until = now() + limit.unwrap_or(configured);
        self.emergency = Some(Emergency { by, until });
        let media = self.server.parts.media.clone();
        if let Err(error) = media.set_emergency(self.handle.id, Some(leg)).await {
            tracing::warn!(%error, "media plane does not know of the emergency");
        }
        self.trace(&names::MCPTT_EMERGENCY, &summary);
        self.apply(Event::Emergency(true)).await;
        self.tell_emergency(Some(leg));
    }

    /// Ends the emergency; the call goes on.
    //= TS 24.379 6.3.3.1.15
    pub(super) async fn end_emergency(&mut self, by: Option<LegId>) {
        let Some(emergency) = self.emergency.take() else {
            return;
        };
        let media = self.server.parts.media.clone();
        if let Err(error) = media.set_emergency(self.handle.id, None).await {
            tracing::warn!(%error, "media plane does not know of the end of the emergency");
        }
        let summary = format!("the emergency of {} is over", emergency.by.as_str());
        self.trace(&names::MCPTT_EMERGENCY, &summary);
        self.apply(Event::Emergency(false)).await;
        self.tell_emergency(by);
    }

    /// When TNG2 runs out.
    pub(super) fn emergency_until(&self) -> Option<Instant> {
        self.emergency.as_ref().map(|emergency| emergency.until)
    }

    /// Runs TNG2.
    //= TS 24.379 B.2.1
    pub(super) async fn run_emergency_timer(&mut self) {
        if self.emergency_until().is_some_and(|until| until <= now()) {
            self.end_emergency(None).await;
        }
    }

    /// What a re-INVITE of a participant says of an emergency is put in force; on an error it is
    /// answered already.
    //= TS 24.379 6.3.3.1.13
    pub(super) async fn on_emergency_indicator(
        &mut self,
        leg: LegId,
        request: &IncomingRequest,
    ) -> Result<(), ()> {
        let has_info = Multipart::of(&request.request.headers, &request.request.body)
            .is_ok_and(|parts| parts.get(media::MCPTT_INFO).is_some());
        if !has_info {
            return Ok(());
        }
        let sender = self.server.sender(request);
        let opened = sender.and_then(|sender| {
            let opened = info::open(&self.server, request, &sender)?;
            Ok((sender, opened))
        });
        let (sender, opened) = match opened {
            Ok(opened) => opened,
            Err(refusal) => {
                self.server.refuse(request, &refusal);
                return Err(());
            }
        };
        let verdict = match (emergency::indicated(&opened.info), &self.emergency) {
            (Some(true), _) => emergency::admit(&self.server, &sender, &self.subject, &opened.info),
            (Some(false), Some(emergency)) => self.may_end(&sender, emergency),
            (Some(false), None) | (None, _) => return Ok(()),
        };
        if let Err(refusal) = verdict {
            emergency::refuse(&self.server, request, &sender, &refusal);
            return Err(());
        }
        if emergency::indicated(&opened.info) == Some(true) {
            self.raise_emergency(leg).await;
        } else {
            self.end_emergency(Some(leg)).await;
        }
        Ok(())
    }

    /// Who declared it ends it, and whoever may end those of others.
    fn may_end(&self, sender: &Binding, emergency: &Emergency) -> Result<(), Refusal> {
        let policy = self.server.parts.config.users.of(&sender.mcptt_id);
        if emergency.by == sender.mcptt_id || policy.allow_cancel_group_emergency {
            return Ok(());
        }
        Err(Refusal::forbidden(McWarning::FunctionNotAllowed))
    }

    /// The value of Resource-Priority for the call as it stands.
    pub(super) fn resource_priority(&self) -> Option<String> {
        let calls = &self.server.parts.config.calls;
        match self.emergency {
            Some(_) => calls.emergency_resource_priority.clone(),
            None => calls.normal_resource_priority.clone(),
        }
    }

    /// Tells every participant but one, by re-INVITE.
    //= TS 24.379 6.3.3.1.17
    fn tell_emergency(&mut self, except: Option<LegId>) {
        let connected = self.legs.iter();
        let connected = connected.filter(|(_, leg)| leg.stage == Stage::Connected);
        let told: Vec<LegId> = connected
            .map(|(id, _)| *id)
            .filter(|id| Some(*id) != except)
            .collect();
        for id in told {
            self.re_invite(id);
        }
    }

    fn re_invite(&mut self, id: LegId) {
        let client = self.legs.get(&id).map(|leg| leg.client.clone());
        let Some(binding) = client.and_then(|client| self.binding(&client)) else {
            return;
        };
        let Some(request) = self.re_invitation(id, &binding) else {
            return;
        };
        let Some(leg) = self.legs.get(&id) else {
            return;
        };
        let (Some(dialog), flow) = (leg.dialog.clone(), leg.flow) else {
            return;
        };
        let cseq = request.headers.cseq().map_or(1, |cseq| cseq.number);
        let mut responses = self.server.parts.endpoint.request(request, flow);
        let handle = self.handle.clone();
        tokio::spawn(async move {
            let answer = responses.final_response().await;
            let outcome = answer.map_or(Refresh::Open, |response| Refresh::of(response.status));
            if outcome == Refresh::Alive {
                responses.ack(dialog.ack(cseq));
            }
            handle.send(SessionInput::Refreshed(id, outcome));
        });
    }

    fn re_invitation(&mut self, id: LegId, binding: &Binding) -> Option<Request> {
        let (policy, queueing) = (
            self.timer_policy(),
            self.server.parts.config.calls.queue_depth > 0,
        );
        let mut info = self.subject.info(&self.caller, &binding.mcptt_id);
        emergency::indicate(&mut info, self.emergency.is_some());
        let (contact, priority) = (self.contact.to_string(), self.resource_priority());
        let function = match &binding.partner {
            Some(_) => &self.server.controlling,
            None => &self.server.participating,
        };
        let own = NameAddr::new(function.clone()).to_string();
        let leg = self.legs.get_mut(&id)?;
        leg.version += 1;
        let mut offer = leg.local.clone();
        offer.floor_parameters = FloorParameters {
            queueing,
            priority: (leg.priority > 0).then_some(leg.priority),
            ..FloorParameters::default()
        };
        let sdp = offer.to_sdp(id.0, leg.version).to_string();
        let mut request = leg
            .dialog
            .as_mut()?
            .request(Method::Invite)
            .with(name::CONTACT, contact)
            .with(name::P_ASSERTED_IDENTITY, own)
            .with(name::P_ASSERTED_SERVICE, ICSI)
            .with(name::SUPPORTED, "timer");
        if let Some(priority) = priority {
            request.headers.push(name::RESOURCE_PRIORITY, priority);
        }
        SessionTimer::offer(&mut request.headers, policy);
        let (rng, seal) = (&mut mc_runtime::rng(), info::seal(&self.server, binding));
        let parts = Multipart::default()
            .with(BodyPart::new(media::SDP, sdp))
            .with(seal.info(info, rng));
        let (content_type, body) = seal.sign(parts, rng).write(&token::boundary(rng));
        Some(request.with_body(&content_type, body))
    }
}
