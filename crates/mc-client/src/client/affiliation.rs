//! Affiliation to the groups: asked for with a PUBLISH, learned from the NOTIFY it causes (TS 24.379
//! 9.2.1).
//!
//! The 200 to the PUBLISH says only that it was read; the server looks at the groups afterwards. So
//! a client is not ready before the NOTIFY, and a group call made meanwhile waits for it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mc_ids::{ClientId, GroupId};
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{EXPIRES_FOREVER, media};
use mc_sip::{Dialog, DialogId, Multipart, Request, StatusCode, name, token};
use mc_xml::affiliation::{AffiliationPresence, AffiliationStatus};

use crate::bodies::BodyRefused;
use crate::call_id::CallId;
use crate::client::established::Established;
use crate::client::outgoing::Refusal;
use crate::config::Role;
use crate::event::{ClientEvent, StepFailure};
use crate::handle::CallFloor;

const SERVICE: &str = "mcptt-server";
/// How long the NOTIFY is waited for. The server asks the group management server in between, which
/// takes milliseconds; after this the affiliation is taken for granted, and a call tells.
const WAIT: Duration = Duration::from_secs(5);

/// A call that waits for the affiliation to its group.
#[derive(Debug)]
pub(super) enum WaitingCall {
    Group(GroupId, CallFloor),
    Emergency(GroupId, Option<String>),
}

impl WaitingCall {
    pub(super) const fn group(&self) -> &GroupId {
        match self {
            Self::Group(group, _) | Self::Emergency(group, _) => group,
        }
    }
}

/// What is known of the own affiliations.
#[derive(Debug, Default)]
pub(super) struct Affiliations {
    subscription: Option<Dialog>,
    /// The last publication, while its result is not known.
    asked: Option<Asked>,
    in_force: BTreeSet<GroupId>,
    calls: Vec<WaitingCall>,
}

#[derive(Debug)]
struct Asked {
    p_id: String,
    groups: BTreeSet<GroupId>,
    since: Instant,
}

impl Affiliations {
    fn ask(&mut self, p_id: &str, groups: &[GroupId], since: Instant) {
        self.asked = Some(Asked {
            p_id: p_id.to_owned(),
            groups: groups.iter().cloned().collect(),
            since,
        });
    }

    /// Whether a result is waited for.
    pub(super) const fn is_pending(&self) -> bool {
        self.asked.is_some()
    }

    /// Whether a call in this group would come too early.
    pub(super) fn awaits(&self, group: &GroupId) -> bool {
        let asked = self.asked.as_ref();
        asked.is_some_and(|asked| asked.groups.contains(group)) && !self.in_force.contains(group)
    }

    /// Takes over what a notification says of this client; true when that is the awaited result: it
    /// answers the publication and leaves nothing open, or everything asked for is in force.
    fn learn(&mut self, presence: &AffiliationPresence, client: &ClientId) -> bool {
        let own = presence.tuples.iter().find(|t| t.id == client.as_str());
        let listed = own.map_or(&[][..], |tuple| &tuple.affiliations);
        let is_open = |status| status == Some(AffiliationStatus::Affiliating);
        let open = listed.iter().any(|a| is_open(a.status));
        self.in_force = listed
            .iter()
            .filter(|a| matches!(a.status, None | Some(AffiliationStatus::Affiliated)))
            .filter_map(|a| GroupId::new(a.group.as_deref()?).ok())
            .collect();
        let known = self.asked.take_if(|asked| {
            let answered = presence.p_id.as_ref() == Some(&asked.p_id) && !open;
            answered || asked.groups.is_subset(&self.in_force)
        });
        known.is_some()
    }

    /// Takes what was asked for as in force: nobody tells.
    fn presume(&mut self) {
        if let Some(asked) = self.asked.take() {
            self.in_force = asked.groups;
        }
    }
}

impl Established {
    /// Affiliates to all groups that are not refused.
    //= TS 24.379 9.2.1.2
    //= TS 24.379 9.2.2.2.6
    pub(super) async fn affiliate(&mut self) -> Result<(), StepFailure> {
        let groups = self.admitted();
        let p_id = token::hex(&mut mc_runtime::rng(), 4);
        if self.link.identity.role == Role::Client {
            self.subscribe_affiliations().await;
        }
        self.affiliation.ask(&p_id, &groups, Instant::now());
        for request in self.affiliations(&p_id, EXPIRES_FOREVER) {
            self.succeed(request, SERVICE, "TS 24.379 9.2.1.2").await?;
        }
        // A controlling function has looked before it answers.
        if self.affiliation.subscription.is_none() {
            self.affiliation.presume();
            self.affiliations_known().await;
        }
        Ok(())
    }

    /// The affiliation to all groups that are not refused, or with `expires_s` 0 its end: a client
    /// publishes them at once, a function each group to the function that controls it.
    pub(super) fn affiliations(&self, p_id: &str, expires_s: u32) -> Vec<Request> {
        let groups = &self.admitted();
        match self.link.identity.role {
            Role::Client => vec![self.make(|r| r.publish_affiliation(groups, p_id, expires_s))],
            Role::ParticipatingFunction => groups
                .iter()
                .map(|group| self.make(|r| r.publish_member(group, p_id, expires_s)))
                .collect(),
        }
    }

    /// A server that does not tell of affiliations is used all the same.
    //= TS 24.379 9.2.1.3
    async fn subscribe_affiliations(&mut self) {
        if self.affiliation.subscription.is_some() {
            return;
        }
        let request = self.make(|r| r.subscribe_affiliations());
        let sent = request.clone();
        let subscribed = self.succeed(request, SERVICE, "TS 24.379 9.2.1.3").await;
        let dialog = subscribed
            .map_err(|failure| failure.to_string())
            .and_then(|response| Dialog::uac(&sent, &response).map_err(|e| e.to_string()));
        match dialog {
            Ok(dialog) => self.affiliation.subscription = Some(dialog),
            Err(detail) => {
                tracing::warn!(node = self.config.node, detail, "not told of affiliations");
            }
        }
    }

    /// Whether a NOTIFY with this dialog tells of affiliations.
    pub(super) fn tells_of_affiliations(&self, id: &DialogId) -> bool {
        let dialog = self.affiliation.subscription.as_ref();
        dialog.is_some_and(|dialog| dialog.id().call_id == id.call_id)
    }

    //= TS 24.379 9.2.1.3
    pub(super) async fn on_affiliations(&mut self, request: &IncomingRequest) {
        let Some(dialog) = &mut self.affiliation.subscription else {
            return;
        };
        if dialog.on_request(&request.request).is_err() {
            return request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
        }
        match self.presence_in(&request.request) {
            Ok(presence) => {
                request.respond_status(StatusCode::OK);
                let known = self
                    .affiliation
                    .learn(&presence, &self.link.identity.client_id);
                if known {
                    self.affiliations_known().await;
                }
            }
            Err(refused) => {
                tracing::warn!(node = self.config.node, %refused, "NOTIFY of affiliations refused");
                request.respond_status(refused.answer().0);
            }
        }
        let state = request.request.headers.get(name::SUBSCRIPTION_STATE);
        if state.is_some_and(is_terminated) {
            self.affiliation.subscription = None;
        }
    }

    fn presence_in(&self, request: &Request) -> Result<AffiliationPresence, BodyRefused> {
        let parts = Multipart::of(&request.headers, &request.body);
        let parts = parts.map_err(|_| BodyRefused::Malformed)?;
        let part = parts.get(media::PIDF).ok_or(BodyRefused::Malformed)?;
        let (demand, keys) = (self.demand(), Some(&self.bodies));
        demand.verify(&parts, keys)?;
        demand.presence(part, keys)
    }

    /// Does not wait for ever.
    pub(super) async fn expect_affiliations(&mut self, now: Instant) {
        let asked = self.affiliation.asked.as_ref();
        if asked.is_some_and(|asked| now.duration_since(asked.since) >= WAIT) {
            tracing::warn!(node = self.config.node, "nobody tells whether affiliated");
            self.affiliation.presume();
            self.affiliations_known().await;
        }
    }

    async fn affiliations_known(&mut self) {
        let (groups, left_out): (Vec<_>, Vec<_>) = self
            .admitted()
            .into_iter()
            .partition(|group| self.affiliation.in_force.contains(group));
        for group in left_out {
            tracing::warn!(node = self.config.node, %group, "affiliation not taken");
        }
        self.emit(ClientEvent::Affiliated { groups });
        self.check_ready();
        for call in std::mem::take(&mut self.affiliation.calls) {
            self.call_in_group(call).await;
        }
    }

    /// Makes a call in a group, once the server knows that this client takes part in it.
    pub(super) async fn call_in_group(&mut self, call: WaitingCall) {
        if self.affiliation.awaits(call.group()) {
            return self.affiliation.calls.push(call);
        }
        match call {
            WaitingCall::Group(group, floor) => self.group_call(&group, floor, false).await,
            WaitingCall::Emergency(group, alias) => self.emergency_call(&group, alias).await,
        }
    }

    /// Gives up calls that wait for the affiliation: one, or all. Whether there was one.
    pub(super) fn give_up_waiting(&mut self, call: Option<&CallId>, reason: &str) -> bool {
        let given_up: Vec<WaitingCall> = self
            .affiliation
            .calls
            .extract_if(.., |waiting| {
                call.is_none_or(|call| *call == CallId::from(waiting.group()))
            })
            .collect();
        for waiting in &given_up {
            self.refused(&CallId::from(waiting.group()), &Refusal::local(reason));
        }
        !given_up.is_empty()
    }
}

/// Whether a Subscription-State ends its subscription (RFC 6665 4.1.3).
pub(super) fn is_terminated(state: &str) -> bool {
    let state = state.split(';').next().unwrap_or_default();
    state.trim().eq_ignore_ascii_case("terminated")
}

#[cfg(test)]
mod tests;
