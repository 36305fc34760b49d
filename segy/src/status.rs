//! What the gateway tells about itself: steps, groups, talkgroups, counters, delays.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
use crate::passthrough::Protection;

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
    keys: KeyIds,
}

#[derive(Debug, Default)]
struct State {
    steps: BTreeMap<&'static str, StepStatus>,
    groups: BTreeMap<GroupId, GroupStatus>,
    talkgroups: BTreeMap<String, TalkgroupStatus>,
    mc: McStatus,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// The body of `/status`.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    approach: &'static str,
    population: String,
    attachment: String,
    key_source: String,
    mcptt_id: McServiceId,
    mc: McStatus,
    steps: BTreeMap<&'static str, StepStatus>,
    talkgroups: Vec<TalkgroupStatus>,
    counters: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    insertion_delay: BTreeMap<&'static str, DelayReport>,
}

/// What the gateway knows of itself.
#[derive(Debug)]
pub struct GatewayStatus {
    profile: Profile,
    mcptt_id: McServiceId,
    health: Health,
    clock: SharedClock,
    tracer: Tracer,
    /// What is counted.
    pub counters: Arc<Counters>,
    state: Mutex<State>,
}

impl GatewayStatus {
    /// A gateway that has done nothing yet: it waits for the MC side and for its talkgroups.
    #[must_use]
    pub fn new(
        profile: Profile,
        mcptt_id: McServiceId,
        health: Health,
        clock: SharedClock,
        tracer: Tracer,
    ) -> Self {
        health.waits_for(MC);
        Self {
            profile,
            mcptt_id,
            health,
            clock,
            tracer,
            counters: Arc::default(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step of the approach was done, or failed for this reason.
    pub fn step(&self, step: &'static str, failure: Option<String>) {
        let state = match failure {
            None => "passed",
            Some(_) => "failed",
        };
        let summary = match &failure {
            None => format!("step {step} passed"),
            Some(detail) => format!("step {step} failed: {detail}"),
        };
        let event = Event::local(&names::SEGY_STEP, summary).decoded(serde_json::json!({
            "approach": self.profile.clause, "step": step, "state": state, "detail": failure,
        }));
        self.tracer.emit(event);
        let done = StepStatus {
            state,
            at: rfc3339(&self.clock),
            detail: failure,
        };
        self.state().steps.insert(step, done);
    }

    /// The token named this identity.
    pub fn registered(&self, mcptt_id: &McServiceId) {
        if *mcptt_id != self.mcptt_id {
            let detail = format!(
                "mcptt_id is {} and the token names {mcptt_id}",
                self.mcptt_id
            );
            tracing::error!(detail, "wrong identity");
            self.health.failed(&detail);
        }
    }

    /// The MC side can make calls.
    pub fn mc_up(&self) {
        self.health.arrived(MC);
        let mut state = self.state();
        state.mc.ready = true;
        state.mc.detail = None;
    }

    /// The MC side cannot.
    pub fn mc_down(&self, detail: &str) {
        self.health.waits_for(MC);
        let mut state = self.state();
        state.mc.ready = false;
        state.mc.detail = Some(detail.to_owned());
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

    /// A group's key came.
    pub fn key_received(&self, group: &GroupId, gmk: GmkId, own: GukId) {
        let mut state = self.state();
        let keys = &mut state.groups.entry(group.clone()).or_default().keys;
        (keys.gmk, keys.own) = (Some(gmk), Some(own));
    }

    /// Speech under this GUK-ID came; false when it is our own.
    pub fn heard(&self, group: &GroupId, talker: GukId) -> bool {
        let mut state = self.state();
        let keys = &mut state.groups.entry(group.clone()).or_default().keys;
        if keys.own == Some(talker) {
            return false;
        }
        keys.heard = Some(talker);
        true
    }

    /// How a group is protected.
    #[must_use]
    pub fn protection(&self, group: &GroupId) -> (Protection, KeyIds) {
        let state = self.state();
        let group = state.groups.get(group).cloned().unwrap_or_default();
        (group.protection, group.keys)
    }

    /// What a bridge does now.
    pub(crate) fn bridged(
        &self,
        talkgroup: &str,
        group: &GroupId,
        bridge: bridge::Status,
        concealed: u64,
    ) {
        let (protection, keys) = self.protection(group);
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
            ("concealed_from_external", &counters.concealed_from_external),
            ("dropped_to_mc", &counters.dropped_to_mc),
            ("dropped_to_external", &counters.dropped_to_external),
            ("talks_to_mc", &counters.talks_to_mc),
            ("talks_to_external", &counters.talks_to_external),
        ];
        let refusals = counters.refusals.lock();
        StatusReport {
            approach: self.profile.clause,
            population: format!("{:?}", self.profile.population),
            attachment: format!("{:?}", self.profile.attachment),
            key_source: format!("{:?}", self.profile.key_source),
            mcptt_id: self.mcptt_id.clone(),
            mc: state.mc.clone(),
            steps: state.steps.clone(),
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
