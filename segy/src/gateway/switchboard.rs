//! Private calls: each gets a bridge of its own, if both its parties are known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mc_client::Callee;
use mc_ids::McServiceId;
use mc_runtime::CancellationToken;
use mc_runtime::trace::Tracer;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use super::{Channel, Joined, Recorder};
use crate::audit::Audit;
use crate::bridge::{ExternalCommand, Failure, McCommand, Origin, PrivateCall, Timing};
use crate::config::Config;
use crate::encrypted::{Encrypted, McOffer, McPort};
use crate::status::GatewayStatus;
use crate::unencrypted::{ExternalOffer, ExternalPort, Unencrypted};
use crate::user_map::UserMap;

/// Joins private calls.
pub(crate) struct Switchboard {
    users: Arc<UserMap>,
    aliases: BTreeSet<String>,
    timing: Timing,
    answer_wait: Duration,
    most: usize,
    encrypted: Encrypted,
    external: Box<dyn Unencrypted>,
    audit: Audit,
    tracer: Tracer,
    status: Arc<GatewayStatus>,
    calls: TaskTracker,
    /// Calls so far.
    last: u64,
}

impl Switchboard {
    pub(crate) fn new(
        config: &Config,
        users: Arc<UserMap>,
        encrypted: Encrypted,
        external: Box<dyn Unencrypted>,
        records: (Audit, Tracer, Arc<GatewayStatus>),
    ) -> Self {
        let (audit, tracer, status) = records;
        Self {
            users,
            aliases: config.private_calls.functional_aliases.clone(),
            timing: config.limits.timing(),
            answer_wait: Duration::from_secs(config.private_calls.answer_s),
            most: config.private_calls.most,
            encrypted,
            external,
            audit,
            tracer,
            status,
            calls: TaskTracker::new(),
            last: 0,
        }
    }

    /// Joins calls until the shutdown, and waits for their end.
    pub(crate) async fn run(
        mut self,
        mut from_mc: mpsc::Receiver<McOffer>,
        mut from_outside: mpsc::Receiver<ExternalOffer>,
        shutdown: CancellationToken,
    ) {
        loop {
            tokio::select! {
                Some(offer) = from_mc.recv() => self.on_mc_offer(offer, &shutdown),
                Some(offer) = from_outside.recv() => self.on_external_offer(offer, &shutdown),
                () = shutdown.cancelled() => break,
                else => break,
            }
        }
        self.calls.close();
        self.calls.wait().await;
    }

    /// An MC user calls an external user.
    fn on_mc_offer(&mut self, offer: McOffer, shutdown: &CancellationToken) {
        self.status.counters.private_calls_to_external.add(1);
        let mc_user = offer.caller.shown().unwrap_or_default();
        let refuse = |failure| {
            // Its queue is empty.
            let _sent = offer.port.commands.try_send(McCommand::Reject(failure));
        };
        let Some(unit) = self.users.unit_of(&offer.called) else {
            let called = offer.called.shown();
            let mut recorder = self.recorder(String::new(), mc_user);
            recorder.turned_away(None, "unmapped", &format!("no unit is {called}"));
            return refuse(Failure::Unknown);
        };
        let unit = unit.to_owned();
        let recorder = self.recorder(unit.clone(), mc_user);
        let Some(mut recorder) = self.admitted(recorder, &unit) else {
            return refuse(Failure::Busy);
        };
        recorder.begun("to_external");
        let shown = self.users.shown(&offer.caller);
        let external = self.external.call(&unit, &shown);
        self.join(Origin::Mc, &unit, offer.port, external, recorder, shutdown);
    }

    /// An external user calls an MC user.
    fn on_external_offer(&mut self, offer: ExternalOffer, shutdown: &CancellationToken) {
        self.status.counters.private_calls_to_mc.add(1);
        let refuse = |failure| {
            let _sent = offer
                .port
                .commands
                .try_send(ExternalCommand::Reject(failure));
        };
        let unit = offer.unit;
        let mut recorder = self.recorder(unit.clone(), offer.dialled.clone());
        let Some(represented) = self.users.represent(Some(&unit)) else {
            let detail = "no MC identity may be asserted for this unit";
            recorder.turned_away(Some(&unit), "unmapped", detail);
            return refuse(Failure::Forbidden);
        };
        let Some(callee) = self.callee(&offer.dialled) else {
            let detail = format!("{} is no MC user", offer.dialled);
            recorder.turned_away(Some(&unit), "unknown_mc_user", &detail);
            return refuse(Failure::Unknown);
        };
        let Some(mut recorder) = self.admitted(recorder, &unit) else {
            return refuse(Failure::Busy);
        };
        recorder.begun("to_mc");
        let mc = self.encrypted.private_call(callee);
        let origin = Origin::External(represented);
        self.join(origin, &unit, mc, offer.port, recorder, shutdown);
    }

    /// Who is behind a dialled address: the MC user whose unit number it is, a functional alias, or
    /// an MCPTT ID.
    fn callee(&self, dialled: &str) -> Option<Callee> {
        let number = dialled.strip_prefix("unit").unwrap_or(dialled);
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let address = if is_number {
            self.users.mc_user(number)?
        } else {
            dialled
        };
        if self.aliases.contains(address) {
            return Some(Callee::FunctionalAlias(address.to_owned()));
        }
        McServiceId::new(address).ok().map(Callee::User)
    }

    fn admitted(&self, mut recorder: Recorder, unit: &str) -> Option<Recorder> {
        if self.calls.len() < self.most {
            return Some(recorder);
        }
        recorder.turned_away(Some(unit), "too_many_calls", "too many private calls");
        None
    }

    fn recorder(&mut self, unit: String, mc_user: String) -> Recorder {
        self.last += 1;
        let joined = Joined::Private {
            call: self.last,
            unit,
            mc_user,
        };
        Recorder::new(
            joined,
            self.users.clone(),
            self.audit.clone(),
            self.tracer.clone(),
            self.status.clone(),
        )
    }

    fn join(
        &self,
        origin: Origin,
        unit: &str,
        mc: McPort,
        external: ExternalPort,
        recorder: Recorder,
        shutdown: &CancellationToken,
    ) {
        let call = PrivateCall::new(
            origin,
            unit,
            self.timing,
            &self.users,
            self.answer_wait,
            Instant::now(),
        );
        let channel = Channel::new(Box::new(call), mc, external, recorder, self.status.clone());
        self.calls.spawn(channel.run(shutdown.clone()));
    }
}
