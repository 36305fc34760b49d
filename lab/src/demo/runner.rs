//! Everything a call of the demo needs, kept ready: MC clients, radios, speech; one call at a time.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mc_audio::wav::{Rate, Wav};
use mc_client::CallId;
use mc_ids::GroupId;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::Mutex as Turn;

use super::group_call::{self, Carried};
use super::{CALLS, Call, LOWEST_SCORE, Verdict};
use crate::gateway::{Gateway, GatewaySteps};
use crate::parties::{Party, PartyError, Steps};
use crate::radios::{RadioError, Radios};
use crate::speech::{Speech, SpeechError};
use crate::supervisor::Lab;
use crate::topology::PortName;

/// The approaches whose calls the lab runs.
const APPROACHES: &[&str] = &["7.1"];
/// The group the gateway links to the talkgroup.
const GROUP: &str = "sip:fireground-1@mc.example";
/// Talkgroup of the radios.
const TALKGROUP: u32 = 1;
/// The radio that talks, and the one that listens.
const UNITS: [&str; 2] = ["1001", "1002"];
/// How long clients and gateway may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why the demo cannot run at all.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// A client of the lab cannot start.
    #[error(transparent)]
    Party(#[from] PartyError),
    /// The radio network cannot be asked.
    #[error(transparent)]
    Radio(#[from] RadioError),
    /// There is no speech to send.
    #[error(transparent)]
    Speech(#[from] SpeechError),
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
    pub(super) radios: &'a Radios,
    pub(super) talker: &'a Party,
    pub(super) listener: &'a Party,
    pub(super) group: &'a GroupId,
    pub(super) call: CallId,
    pub(super) unit: &'a str,
    pub(super) hearer: &'a str,
    pub(super) speech: &'a Speech,
}

impl Stage<'_> {
    /// Whether nobody talks on the talkgroup, from the radio network's status.
    pub(super) fn is_idle(&self, status: &Value) -> bool {
        let groups = status.get("talkgroups").and_then(Value::as_array);
        let ours = groups
            .into_iter()
            .flatten()
            .find(|group| group.get("talkgroup") == Some(&TALKGROUP.into()));
        ours.is_some_and(|group| group.get("talker").is_none_or(Value::is_null))
    }
}

/// Runs calls in a lab.
#[derive(Debug)]
pub struct Runner {
    lab: Lab,
    alice: Party,
    bob: Party,
    gateway: Gateway,
    radios: Radios,
    speech: Speech,
    group: GroupId,
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
}

impl Runner {
    /// Brings the lab's MC clients up and waits for the gateway. `progress` hears what is waited for.
    ///
    /// # Errors
    /// [`RunnerError`]; a step that a client or the gateway does not pass is no error here: each call
    /// reports it.
    pub async fn start(
        lab: Lab,
        speech: &Path,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, RunnerError> {
        let speech = Speech::load(speech)?;
        let radios = Radios::at(lab.addresses().of(PortName::LmrSim))?;
        let gateway = Gateway::of(&lab);
        progress("alice and bob");
        let alice = Party::start(&lab, "alice", &[GROUP]).await?;
        let bob = Party::start(&lab, "bob", &[GROUP]).await?;
        for party in [&alice, &bob] {
            if let Err(steps) = party.until_ready(PATIENCE).await {
                tracing::warn!(user = party.user, ?steps, "client is not ready");
            }
        }
        progress("segy");
        gateway.until_ready(PATIENCE).await;
        let group = GROUP
            .parse()
            .map_err(|e| RunnerError::Name(format!("{GROUP}: {e}")))?;
        Ok(Self {
            lab,
            alice,
            bob,
            gateway,
            radios,
            speech,
            group,
            turn: Turn::new(()),
            done: Mutex::default(),
        })
    }

    /// Every call the lab can run, in the order of the approaches.
    #[must_use]
    pub fn calls() -> Vec<(&'static str, &'static str)> {
        let of = |approach| CALLS.map(|call| (approach, call));
        APPROACHES
            .iter()
            .flat_map(|approach| of(*approach))
            .collect()
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
        let known = Self::calls();
        let (approach, call) = known
            .iter()
            .find(|(a, c)| *a == approach && *c == call)
            .ok_or_else(unknown)?;
        let Ok(_turn) = self.turn.try_lock() else {
            let busy = self.done().busy.clone();
            return Err(Refused::Busy(busy.unwrap_or_else(|| "a call".to_owned())));
        };
        self.done().busy = Some(format!("{approach}/{call}"));
        let result = self.carry(approach, call).await;
        let mut done = self.done();
        done.busy = None;
        done.calls
            .insert(((*approach).to_owned(), call), result.clone());
        Ok(result)
    }

    async fn carry(&self, approach: &'static str, call: &'static str) -> Call {
        let gateway = self.gateway.steps().await;
        let mut steps = BTreeMap::from([("P", Verdict::Later), ("C", Verdict::Later)]);
        steps.extend(gateway.verdicts());
        let mut row = Call {
            approach: approach.to_owned(),
            call,
            verdict: Verdict::Later,
            steps,
            speech_score: 0.0,
            access_ms: 0,
            mouth_to_ear_ms: 0,
            detail: String::new(),
        };
        if call.starts_with("private") {
            "private calls come later".clone_into(&mut row.detail);
            return row;
        }
        if let Some(failure) = self.missing(&gateway) {
            row.verdict = Verdict::Fail;
            row.detail = failure;
            return row;
        }
        let stage = self.stage();
        let carried = match call {
            "group-lmr-to-mc" => group_call::lmr_to_mc(&stage).await,
            _ => group_call::mc_to_lmr(&stage).await,
        };
        group_call::clear(&[&self.alice, &self.bob], &stage.call).await;
        self.judge(&mut row, carried);
        row
    }

    fn stage(&self) -> Stage<'_> {
        let [unit, hearer] = UNITS;
        Stage {
            radios: &self.radios,
            talker: &self.alice,
            listener: &self.bob,
            group: &self.group,
            call: CallId::from(&self.group),
            unit,
            hearer,
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
        row.steps.insert("C", row.verdict);
        if let Err(why) = outcome {
            let logs = self.lab.state().file("logs", "");
            row.detail = format!(
                "step C, TS 24.379 10.1.1: {why}; logs are in {}",
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
        let radios = self.radios.status().await;
        let clients = [&self.alice, &self.bob].map(party_state);
        let done = self.done();
        RunnerState {
            busy: done.busy.clone(),
            calls: done.calls.values().cloned().collect(),
            clients: clients.to_vec(),
            radios: radio_states(radios),
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
    }
}

fn radio_states(status: Result<Value, RadioError>) -> Vec<PartyState> {
    let Ok(status) = status else {
        return Vec::new();
    };
    let units = status.get("units").and_then(Value::as_array);
    let state = |unit: &Value| {
        let name = unit.get("unit").and_then(Value::as_str)?;
        let talkgroup = unit.get("talkgroup").and_then(Value::as_u64);
        let (status, detail) = talkgroup.map_or_else(
            || ("waiting", "on no talkgroup".to_owned()),
            |number| ("ready", format!("on talkgroup {number}")),
        );
        Some(PartyState {
            name: format!("radio {name}"),
            status,
            detail,
        })
    };
    units.into_iter().flatten().filter_map(state).collect()
}
