//! What the gateway tells about itself: steps, groups, talkgroups, counters, delays.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use mc_client::Interconnection;
use mc_ids::{GmkId, GroupId, GukId, McServiceId};
use mc_runtime::Health;
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use mc_trace::{Event, names};
use serde::Serialize;

use crate::approach::Profile;
use crate::audit::rfc3339;
use crate::bridge;
use crate::encrypted::KeyIds;
use crate::passthrough::{BYPASSED, Protection};

/// Delays that are remembered: some 80 s of speech.
const REMEMBERED: usize = 4096;
/// What the MC side is called in `/health`.
const MC: &str = "mc";

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts `more` of them.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The last delays of one direction.
#[derive(Debug, Default)]
pub struct Delays(Mutex<VecDeque<Duration>>);

impl Delays {
    /// Remembers one.
    pub fn record(&self, delay: Duration) {
        let mut delays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if delays.len() == REMEMBERED {
            delays.pop_front();
        }
        delays.push_back(delay);
    }

    /// Percentiles of those remembered.
    #[must_use]
    pub fn report(&self) -> DelayReport {
        let delays = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sorted: Vec<Duration> = delays.iter().copied().collect();
        drop(delays);
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(index).map(|delay| delay.as_secs_f64() * 1000.0)
        };
        DelayReport {
            frames: sorted.len(),
            p50_ms: at(50),
            p95_ms: at(95),
        }
    }
}

/// Delays of one direction, from the frame's arrival to its packet's departure, without the time in
/// jitter buffers and in the wait for the floor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DelayReport {
    /// How many frames it is taken from.
    pub frames: usize,
    /// Median, milliseconds.
    pub p50_ms: Option<f64>,
    /// 95th percentile, milliseconds.
    pub p95_ms: Option<f64>,
}

/// What is counted.
#[derive(Debug, Default)]
pub struct Counters {
    /// Refusals of external users, by reason.
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    /// Group keys that were refused.
    pub keys_refused: Counter,
    /// Frames and floor messages of our own that came back.
    pub echoes: Counter,
    /// Further copies of speech that several identities got.
    pub merged: Counter,
    /// Frames made up for lost ones of the external side.
    pub concealed_from_external: Counter,
    /// Frames that could not be sent to the MC side.
    pub dropped_to_mc: Counter,
    /// Frames that could not be sent to the external side.
    pub dropped_to_external: Counter,
    /// Talk bursts carried to the MC side.
    pub talks_to_mc: Counter,
    /// Talk bursts carried to the external side.
    pub talks_to_external: Counter,
    /// Private calls that external users made.
    pub private_calls_to_mc: Counter,
    /// Private calls that MC users made.
    pub private_calls_to_external: Counter,
    /// Insertion delay to the MC side.
    pub delay_to_mc: Delays,
    /// Insertion delay to the external side.
    pub delay_to_external: Delays,
}

impl Counters {
    /// Counts a refusal.
    pub fn refused(&self, reason: &'static str) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(reason).or_default() += 1;
    }
}

#[derive(Debug, Clone, Serialize)]
struct StepStatus {
    state: &'static str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

#[derive(Debug, Clone, Default)]
struct GroupStatus {
    protection: Protection,
    gmk: Option<GmkId>,
    /// Each identity's own key under it.
    own: BTreeMap<McServiceId, GukId>,
    heard: Option<GukId>,
}

impl GroupStatus {
    /// The keys as an identity has them; without one, as the first has.
    fn keys(&self, identity: Option<&McServiceId>) -> KeyIds {
        let own = match identity {
            Some(identity) => self.own.get(identity),
            None => self.own.values().next(),
        };
        KeyIds {
            gmk: self.gmk,
            own: own.copied(),
            heard: self.heard,
        }
    }
}

/// One identity of the gateway.
#[derive(Debug, Clone, Default, Serialize)]
struct IdentityStatus {
    ready: bool,
    steps: BTreeMap<&'static str, StepStatus>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Groups that the GMS refuses it, and why.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    refused_groups: BTreeMap<GroupId, String>,
}

/// A private call.
#[derive(Debug, Clone, Serialize)]
struct CallStatus {
    call: u64,
    unit: String,
    mc_user: String,
    #[serde(flatten)]
    bridge: bridge::Status,
}

#[derive(Debug, Default)]
struct State {
    groups: BTreeMap<GroupId, GroupStatus>,
    identities: BTreeMap<McServiceId, IdentityStatus>,
    calls: BTreeMap<u64, CallStatus>,
    talkgroups: BTreeMap<String, TalkgroupStatus>,
    mc: McStatus,
}

impl State {
    fn mc(&self) -> McStatus {
        let lacking = self.identities.iter().find(|(_, i)| !i.ready);
        let detail = |(id, i): (&McServiceId, &IdentityStatus)| {
            let why = i.detail.as_deref().unwrap_or("still starting");
            format!("{id}: {why}")
        };
        McStatus {
            ready: lacking.is_none(),
            detail: lacking.map(detail),
            ..self.mc.clone()
        }
    }

    /// Each step as the identity has done it that is furthest behind.
    fn steps(&self) -> BTreeMap<&'static str, StepStatus> {
        let mut steps = BTreeMap::new();
        for step in ["T", "K", "G", "S"] {
            let done = self.identities.values().map(|i| i.steps.get(step));
            let Some(done) = done.collect::<Option<Vec<_>>>() else {
                continue;
            };
            let worst = done.iter().find(|step| step.state == "failed");
            if let Some(shown) = worst.or(done.last()) {
                steps.insert(step, (*shown).clone());
            }
        }
        steps
    }
}

#[derive(Debug, Clone, Serialize)]
struct TalkgroupStatus {
    talkgroup: String,
    group: String,
    protection: Protection,
    gmk_id: Option<String>,
    guk_id: Option<String>,
    concealed: u64,
    #[serde(flatten)]
    bridge: bridge::Status,
}

#[derive(Debug, Clone, Default, Serialize)]
struct McStatus {
    ready: bool,
    /// Functional aliases the server lets us speak under.
    functional_aliases: Vec<String>,
    /// Why it does not let us.
    #[serde(skip_serializing_if = "Option::is_none")]
    aliases_refused: Option<String>,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The interconnection of a gateway that has one.
#[derive(Debug, Clone, Serialize)]
struct InterconnectionStatus {
    /// Whether the host's server answers.
    up: bool,
    /// Why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Service identity by which the host knows the gateway.
    psi: String,
    spk_id: String,
    /// Clients that have a place at it.
    users: usize,
}

impl InterconnectionStatus {
    fn of(interconnection: &Interconnection) -> Self {
        let detail = interconnection.follow().borrow().clone();
        Self {
            up: detail.is_none(),
            detail,
            psi: interconnection.psi().to_string(),
            spk_id: hex_id(interconnection.spk_id().key_id()),
            users: interconnection.users(),
        }
    }
}

/// The body of `/status`.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    approach: &'static str,
    population: String,
    attachment: String,
    key_source: String,
    mc: McStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    interconnection: Option<InterconnectionStatus>,
    /// Each step of the set-up over all identities.
    steps: BTreeMap<&'static str, StepStatus>,
    identities: BTreeMap<McServiceId, IdentityStatus>,
    talkgroups: Vec<TalkgroupStatus>,
    private_calls: Vec<CallStatus>,
    counters: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    insertion_delay: BTreeMap<&'static str, DelayReport>,
}

/// What the gateway knows of itself.
#[derive(Debug)]
pub struct GatewayStatus {
    profile: Profile,
    health: Health,
    clock: SharedClock,
    tracer: Tracer,
    /// What is counted.
    pub counters: Arc<Counters>,
    state: Mutex<State>,
    interconnection: OnceLock<Interconnection>,
}

impl GatewayStatus {
    /// A gateway that has done nothing yet.
    #[must_use]
    pub fn new(profile: Profile, health: Health, clock: SharedClock, tracer: Tracer) -> Self {
        Self {
            profile,
            health,
            clock,
            tracer,
            counters: Arc::default(),
            state: Mutex::default(),
            interconnection: OnceLock::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The gateway waits for these identities; without any it is ready at once.
    pub fn expect(&self, identities: impl Iterator<Item = McServiceId>) {
        let mut state = self.state();
        state.identities = identities
            .map(|identity| (identity, IdentityStatus::default()))
            .collect();
        drop(state);
        self.show_mc();
    }

    /// Tells the health whether all expected identities are ready.
    fn show_mc(&self) {
        if self.state().identities.values().all(|i| i.ready) {
            self.health.arrived(MC);
        } else {
            self.health.waits_for(MC);
        }
    }

    fn identity(&self, identity: &McServiceId, change: impl FnOnce(&mut IdentityStatus)) {
        change(self.state().identities.entry(identity.clone()).or_default());
    }

    /// A step of the approach was done by an identity, or failed for this reason.
    pub fn step(&self, identity: &McServiceId, step: &'static str, failure: Option<String>) {
        let state = match failure {
            None => "passed",
            Some(_) => "failed",
        };
        self.step_is(identity, step, state, failure);
    }

    fn step_is(
        &self,
        identity: &McServiceId,
        step: &'static str,
        state: &'static str,
        detail: Option<String>,
    ) {
        let who = identity.as_str();
        let summary = match &detail {
            None => format!("step {step} {state} by {who}"),
            Some(detail) => format!("step {step} {state} by {who}: {detail}"),
        };
        let event = Event::local(&names::SEGY_STEP, summary).decoded(serde_json::json!({
            "approach": self.profile.clause, "identity": who, "step": step, "state": state, "detail": detail,
        }));
        self.tracer.emit(event);
        let done = StepStatus {
            state,
            at: rfc3339(&self.clock),
            detail,
        };
        self.identity(identity, |i| drop(i.steps.insert(step, done)));
    }

    /// A call came up for an identity: the first of its kind is step P or C. Both are calls that are
    /// protected; one that is not passes neither.
    pub fn first_call(&self, identity: &McServiceId, step: &'static str, protected: bool) {
        let state = self.state();
        let known = state.identities.get(identity);
        let before = known.and_then(|i| i.steps.get(step)).map(|done| done.state);
        drop(state);
        match (before, protected) {
            (Some("passed"), _) | (Some("bypassed"), false) => {}
            (_, true) => self.step(identity, step, None),
            (_, false) => self.step_is(identity, step, "bypassed", Some(BYPASSED.to_owned())),
        }
    }

    /// The gateway has this interconnection; there is one at most.
    pub(crate) fn interconnected(&self, interconnection: Interconnection) {
        self.interconnection.get_or_init(|| interconnection);
    }

    /// The token of an identity named this one.
    pub fn known_as(&self, identity: &McServiceId, named: &McServiceId) {
        if identity != named {
            let detail = format!("the token of {identity} names {named}");
            tracing::error!(detail, "wrong identity");
            self.health.failed(&detail);
        }
    }

    /// An identity can make calls.
    pub fn mc_up(&self, identity: &McServiceId) {
        self.identity(identity, |i| {
            i.ready = true;
            i.detail = None;
        });
        self.show_mc();
    }

    /// It cannot.
    pub fn mc_down(&self, identity: &McServiceId, detail: &str) {
        self.identity(identity, |i| {
            i.ready = false;
            i.detail = Some(detail.to_owned());
        });
        self.show_mc();
    }

    /// The server took our functional aliases, or refused them for this reason.
    pub fn aliases(&self, aliases: Result<Vec<String>, String>) {
        let mut state = self.state();
        match aliases {
            Ok(aliases) => {
                state.mc.functional_aliases = aliases;
                state.mc.aliases_refused = None;
            }
            Err(detail) => {
                tracing::error!(detail, "functional aliases refused");
                state.mc.aliases_refused = Some(detail);
            }
        }
    }

    /// A talkgroup is connected, or not any more.
    pub(crate) fn external(&self, talkgroup: &str, up: bool) {
        let name = format!("talkgroup {talkgroup}");
        if up {
            self.health.arrived(&name);
        } else {
            self.health.waits_for(&name);
        }
    }

    /// A group's document came.
    pub fn group_known(&self, group: &GroupId, protection: Protection) {
        let mut state = self.state();
        state.groups.entry(group.clone()).or_default().protection = protection;
    }

    /// The GMS refuses a group to an identity, or does so no longer (`None`).
    pub fn group_refused(&self, identity: &McServiceId, group: &GroupId, detail: Option<String>) {
        self.identity(identity, |identity| {
            match detail {
                Some(detail) => identity.refused_groups.insert(group.clone(), detail),
                None => identity.refused_groups.remove(group),
            };
        });
    }

    /// A group's key came to an identity.
    pub fn key_received(&self, group: &GroupId, identity: &McServiceId, gmk: GmkId, own: GukId) {
        let mut state = self.state();
        let group = state.groups.entry(group.clone()).or_default();
        group.gmk = Some(gmk);
        group.own.insert(identity.clone(), own);
    }

    /// Speech under this GUK-ID came; false when it is one of our own.
    pub fn heard(&self, group: &GroupId, talker: GukId) -> bool {
        let mut state = self.state();
        let group = state.groups.entry(group.clone()).or_default();
        if group.own.values().any(|own| *own == talker) {
            return false;
        }
        group.heard = Some(talker);
        true
    }

    /// How a group is protected, with the keys of an identity.
    #[must_use]
    pub fn protection(
        &self,
        group: &GroupId,
        identity: Option<&McServiceId>,
    ) -> (Protection, KeyIds) {
        let state = self.state();
        let group = state.groups.get(group).cloned().unwrap_or_default();
        let keys = match group.protection {
            // A key of an earlier time protects nothing now.
            Protection::Bypassed => KeyIds::default(),
            Protection::Protected | Protection::Unknown => group.keys(identity),
        };
        (group.protection, keys)
    }

    /// What the bridge of a private call does now.
    pub(crate) fn private_call(
        &self,
        call: u64,
        unit: &str,
        mc_user: &str,
        bridge: bridge::Status,
    ) {
        let status = CallStatus {
            call,
            unit: unit.to_owned(),
            mc_user: mc_user.to_owned(),
            bridge,
        };
        self.state().calls.insert(call, status);
    }

    /// A private call is over.
    pub(crate) fn private_call_over(&self, call: u64) {
        self.state().calls.remove(&call);
    }

    /// What a bridge does now.
    pub(crate) fn bridged(
        &self,
        talkgroup: &str,
        group: &GroupId,
        bridge: bridge::Status,
        concealed: u64,
    ) {
        let (protection, keys) = self.protection(group, None);
        let status = TalkgroupStatus {
            talkgroup: talkgroup.to_owned(),
            group: group.as_str().to_owned(),
            protection,
            gmk_id: keys.gmk.map(|id| hex_id(id.key_id())),
            guk_id: keys.own.map(|id| hex_id(id.key_id())),
            concealed,
            bridge,
        };
        self.state().talkgroups.insert(talkgroup.to_owned(), status);
    }

    /// Everything.
    #[must_use]
    pub fn report(&self) -> StatusReport {
        let (state, counters) = (self.state(), &self.counters);
        let counted = [
            ("keys_refused", &counters.keys_refused),
            ("echoes", &counters.echoes),
            ("merged", &counters.merged),
            ("concealed_from_external", &counters.concealed_from_external),
            ("dropped_to_mc", &counters.dropped_to_mc),
            ("dropped_to_external", &counters.dropped_to_external),
            ("talks_to_mc", &counters.talks_to_mc),
            ("talks_to_external", &counters.talks_to_external),
            ("private_calls_to_mc", &counters.private_calls_to_mc),
            (
                "private_calls_to_external",
                &counters.private_calls_to_external,
            ),
        ];
        let refusals = counters.refusals.lock();
        StatusReport {
            approach: self.profile.clause,
            population: format!("{:?}", self.profile.population),
            attachment: format!("{:?}", self.profile.attachment),
            key_source: format!("{:?}", self.profile.key_source),
            mc: state.mc(),
            interconnection: self.interconnection.get().map(InterconnectionStatus::of),
            steps: state.steps(),
            identities: state.identities.clone(),
            private_calls: state.calls.values().cloned().collect(),
            talkgroups: state.talkgroups.values().cloned().collect(),
            counters: counted.map(|(name, count)| (name, count.total())).into(),
            refusals: refusals.unwrap_or_else(PoisonError::into_inner).clone(),
            insertion_delay: BTreeMap::from([
                ("to_mc", counters.delay_to_mc.report()),
                ("to_external", counters.delay_to_external.report()),
            ]),
        }
    }
}

/// A key identifier as traces write it.
pub(crate) fn hex_id(id: mc_ids::KeyId) -> String {
    format!("{:08x}", id.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_the_last_delays() {
        let delays = Delays::default();
        assert_eq!(delays.report().p95_ms, None);
        for ms in (1..=100).rev() {
            delays.record(Duration::from_millis(ms));
        }
        let report = delays.report();
        assert_eq!(
            (report.frames, report.p50_ms, report.p95_ms),
            (100, Some(50.0), Some(95.0))
        );
        for _ in 0..REMEMBERED {
            delays.record(Duration::from_millis(2));
        }
        assert_eq!(delays.report().p95_ms, Some(2.0), "old ones are forgotten");
    }
}
