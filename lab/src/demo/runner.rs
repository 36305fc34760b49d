//! Everything a call of the demo needs, kept ready: MC clients, radios, speech; one call at a time.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mc_audio::wav::{Rate, Wav};
use mc_client::CallId;
use mc_ids::GroupId;
use serde::Serialize;
use tokio::sync::Mutex as Turn;

use super::talk::{self, Carried};
use super::{CALLS, Call, LOWEST_SCORE, Verdict, group_call, own_step, private_call};
use crate::gateway::{Gateway, GatewaySteps};
use crate::parties::{Party, PartyError, Steps};
use crate::radios::{NetworkStatus, Radio, RadioError, Radios};
use crate::site::Site;
use crate::speech::Speech;
use crate::supervisor::Lab;

/// How long clients and gateway may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is said of a call that came out well and is not protected, as its gateway says it.
const BYPASSED: &str = "protection bypassed: group policy";

/// Why the demo cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A client of the lab cannot start.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// The radio network cannot be asked.
    #[error(transparent)]
    Radio(#[from] RadioError),
    /// A built-in name is none: a mistake in the lab itself.
    #[error("{0}")]
    Name(String),
}

/// Why a call is not run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such call.
    #[error("there is no call {0} of approach {1}")]
    Unknown(String, String),
    /// Another call is running.
    #[error("{0} is running")]
    Busy(String),
}

/// What a call works with.
pub(super) struct Stage<'a> {
    pub(super) site: &'static Site,
    pub(super) radios: &'a Radios,
    pub(super) talker: &'a Party,
    pub(super) listener: &'a Party,
    pub(super) group: &'a GroupId,
    /// The group's call.
    pub(super) call: CallId,
    pub(super) speech: &'a Speech,
}

/// A site, ready to be worked.
#[derive(Debug)]
struct RunningSite {
    site: &'static Site,
    gateway: Gateway,
    radios: Radios,
    group: GroupId,
}

impl RunningSite {
    fn of(lab: &Lab, site: &'static Site) -> Result<Self, RunnerError> {
        let group = site.group.parse();
        Ok(Self {
            site,
            gateway: Gateway::of(lab, site.gateway()),
            radios: Radios::at(lab.addresses().of(site.radios().health))?,
            group: group.map_err(|e| RunnerError::Name(format!("{}: {e}", site.group)))?,
        })
    }
}

/// Runs calls in a lab.
#[derive(Debug)]
pub struct Runner {
    lab: Lab,
    alice: Party,
    bob: Party,
    sites: Vec<RunningSite>,
    speech: Speech,
    turn: Turn<()>,
    done: Mutex<Done>,
}

#[derive(Debug, Default)]
struct Done {
    busy: Option<String>,
    calls: BTreeMap<(String, &'static str), Call>,
}

/// What the console is told.
#[derive(Debug, Clone, Serialize)]
pub struct RunnerState {
    /// `approach/call` of the running call.
    pub busy: Option<String>,
    /// The last result of each call.
    pub calls: Vec<Call>,
    /// MC clients of the lab.
    pub clients: Vec<PartyState>,
    /// Radios of the lab.
    pub radios: Vec<PartyState>,
}

/// A client or a radio as the console shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartyState {
    /// Name on the map.
    pub name: String,
    /// `ready`, `waiting` or `failed`.
    pub status: &'static str,
    /// One sentence.
    pub detail: String,
    /// The radio network a radio belongs to.
    pub network: Option<&'static str>,
}

impl Runner {
    /// Brings the lab's MC clients up and waits for the gateway. `progress` hears what is waited for.
    ///
    /// # Errors
    /// [`RunnerError`]; a step that a client or the gateway does not pass is no error here: each call
    /// reports it.
    pub async fn start(
        lab: Lab,
        speech: Speech,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, RunnerError> {
        let sites = lab.setup().sites().map(|site| RunningSite::of(&lab, site));
        let sites: Vec<RunningSite> = sites.collect::<Result<_, _>>()?;
        let groups: Vec<&str> = sites.iter().map(|site| site.site.group).collect();
        progress("alice and bob");
        let alice = Party::start(&lab, "alice", &groups).await?;
        let bob = Party::start(&lab, "bob", &groups).await?;
        for party in [&alice, &bob] {
            if let Err(steps) = party.until_ready(PATIENCE).await {
                tracing::warn!(user = party.user, ?steps, "client is not ready");
            }
        }
        for site in &sites {
            progress(site.site.gateway().name);
            site.gateway.until_ready(PATIENCE).await;
        }
        Ok(Self {
            lab,
            alice,
            bob,
            sites,
            speech,
            turn: Turn::new(()),
            done: Mutex::default(),
        })
    }

    /// The lab the calls run in.
    #[must_use]
    pub const fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Runs one call to its end.
    ///
    /// # Errors
    /// [`Refused`]; a call that fails is a [`Call`] that says so.
    pub async fn run(&self, approach: &str, call: &str) -> Result<Call, Refused> {
        let unknown = || Refused::Unknown(call.to_owned(), approach.to_owned());
        let mut sites = self.sites.iter();
        let site = sites.find(|site| site.site.approach == approach);
        let site = site.ok_or_else(unknown)?;
        let call = CALLS.into_iter().find(|known| *known == call);
        let call = call.ok_or_else(unknown)?;
        let Ok(_turn) = self.turn.try_lock() else {
            let busy = self.done().busy.clone();
            return Err(Refused::Busy(busy.unwrap_or_else(|| "a call".to_owned())));
        };
        self.done().busy = Some(format!("{approach}/{call}"));
        let result = self.carry(site, call).await;
        let mut done = self.done();
        done.busy = None;
        done.calls
            .insert((approach.to_owned(), call), result.clone());
        Ok(result)
    }

    async fn carry(&self, site: &RunningSite, call: &'static str) -> Call {
        let mut row = Call {
            approach: site.site.approach.to_owned(),
            call,
            verdict: Verdict::Fail,
            steps: BTreeMap::from([(own_step(call), Verdict::Fail)]),
            speech_score: 0.0,
            access_ms: 0,
            mouth_to_ear_ms: 0,
            detail: String::new(),
        };
        let gateway = site.gateway.steps().await;
        row.steps.extend(gateway.verdicts());
        if let Some(failure) = self.missing(&gateway) {
            row.detail = failure;
            return row;
        }
        let stage = self.stage(site);
        // Somebody else may have called the group, and these two answered.
        talk::clear(&[&self.alice, &self.bob], &stage.call).await;
        let carried = match call {
            "group-lmr-to-mc" => group_call::lmr_to_mc(&stage).await,
            "group-mc-to-lmr" => group_call::mc_to_lmr(&stage).await,
            "private-lmr-to-mc" => private_call::lmr_to_mc(&stage).await,
            _ => private_call::mc_to_lmr(&stage).await,
        };
        talk::clear(&[&self.alice, &self.bob], &stage.call).await;
        self.judge(&mut row, carried);
        let is_clear = site.gateway.steps().await.bypasses(&site.group);
        if is_clear && row.verdict == Verdict::Pass && row.steps.remove("C").is_some() {
            // The step is a protected call, and this is none.
            BYPASSED.clone_into(&mut row.detail);
        }
        row
    }

    fn stage<'a>(&'a self, site: &'a RunningSite) -> Stage<'a> {
        Stage {
            site: site.site,
            radios: &site.radios,
            talker: &self.alice,
            listener: &self.bob,
            group: &site.group,
            call: CallId::from(&site.group),
            speech: &self.speech,
        }
    }

    /// What keeps any call from being made: step, service, clause and log file.
    fn missing(&self, gateway: &GatewaySteps) -> Option<String> {
        let of_clients = [&self.alice, &self.bob]
            .into_iter()
            .find_map(|party| failure_of(&party.user, &party.steps()));
        let failure = of_clients.or_else(|| gateway.failure())?;
        let log = failure.service.as_deref().map_or_else(String::new, |name| {
            format!("; its log is {}", self.lab.state().log(name).display())
        });
        Some(format!("{}{log}", failure.text))
    }

    fn judge(&self, row: &mut Call, carried: Result<Carried, String>) {
        let outcome = carried.and_then(|carried| {
            self.keep(row, &carried.heard);
            row.speech_score = (carried.speech.score * 1000.0).round() / 1000.0;
            row.access_ms = carried.access_ms;
            row.mouth_to_ear_ms = carried.mouth_to_ear_ms;
            whole(&carried)
        });
        row.verdict = match &outcome {
            Ok(()) => Verdict::Pass,
            Err(_) => Verdict::Fail,
        };
        let step = own_step(row.call);
        let clause = match step {
            "P" => "TS 24.379 11.1",
            _ => "TS 24.379 10.1.1",
        };
        row.steps.insert(step, row.verdict);
        if let Err(why) = outcome {
            let logs = self.lab.state().file("logs", "");
            row.detail = format!(
                "step {step}, {clause}: {why}; logs are in {}",
                logs.display()
            );
        }
    }

    /// Keeps what was heard, for a person to listen to: `runs/7.1/group-lmr-to-mc.wav`.
    fn keep(&self, row: &Call, heard: &[i16]) {
        let folder = self.lab.state().file("runs", &row.approach);
        let path = folder.join(format!("{}.wav", row.call));
        let wav = Wav {
            rate: Rate::Hz16000,
            samples: heard.to_vec(),
        };
        let written = wav.write().map_err(|e| e.to_string()).and_then(|octets| {
            std::fs::create_dir_all(&folder)
                .and_then(|()| std::fs::write(&path, octets))
                .map_err(|e| e.to_string())
        });
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), error, "speech not kept");
        }
    }

    fn done(&self) -> std::sync::MutexGuard<'_, Done> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the console is told.
    pub async fn state(&self) -> RunnerState {
        let mut radios = Vec::new();
        for site in &self.sites {
            let network = site.site.radios().name;
            radios.extend(radio_states(network, site.radios.network().await));
        }
        let clients = [&self.alice, &self.bob].map(party_state);
        let done = self.done();
        RunnerState {
            busy: done.busy.clone(),
            calls: done.calls.values().cloned().collect(),
            clients: clients.to_vec(),
            radios,
        }
    }

    /// Stops the clients and gives the lab back.
    pub async fn stop(self) -> Lab {
        self.alice.stop().await;
        self.bob.stop().await;
        self.lab
    }
}

/// Speech that is intelligible and whole.
fn whole(carried: &Carried) -> Result<(), String> {
    let speech = &carried.speech;
    if speech.score < LOWEST_SCORE {
        return Err(format!(
            "speech score {:.2} is below {LOWEST_SCORE}",
            speech.score
        ));
    }
    match (speech.first_heard, speech.last_heard) {
        (true, true) => Ok(()),
        (false, _) => Err("the first syllable was lost".to_owned()),
        (true, false) => Err("the last syllable was lost".to_owned()),
    }
}

/// A failure and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The service whose log to read.
    pub service: Option<String>,
    /// What failed.
    pub text: String,
}

fn failure_of(user: &str, steps: &Steps) -> Option<Failure> {
    if steps.ready {
        return None;
    }
    let failed = steps.outcome.iter().find_map(|(step, outcome)| {
        let failure = outcome.as_ref().err()?;
        Some(Failure {
            service: Some(failure.service.to_owned()),
            text: format!("{user}, step {step:?}: {failure}"),
        })
    });
    Some(failed.unwrap_or_else(|| Failure {
        service: None,
        text: format!("{user} is not ready"),
    }))
}

fn party_state(party: &Party) -> PartyState {
    let steps = party.steps();
    let (status, detail) = match failure_of(&party.user, &steps) {
        None => ("ready", "registered and affiliated".to_owned()),
        Some(Failure { text, .. }) => ("waiting", text),
    };
    PartyState {
        name: party.user.clone(),
        status,
        detail,
        network: None,
    }
}

fn radio_states(
    network: &'static str,
    status: Result<NetworkStatus, RadioError>,
) -> Vec<PartyState> {
    let Ok(status) = status else {
        return Vec::new();
    };
    let state = |radio: Radio| {
        let (status, detail) = radio.talkgroup.map_or_else(
            || ("waiting", "on no talkgroup".to_owned()),
            |number| ("ready", format!("on talkgroup {number}")),
        );
        PartyState {
            name: format!("radio {}", radio.unit),
            status,
            detail,
            network: Some(network),
        }
    };
    status.units.into_iter().map(state).collect()
}
