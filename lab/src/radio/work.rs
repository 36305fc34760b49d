//! One radio does what it is told, step by step, and says how each step went.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, bail};
use mc_audio::wav::Rate;
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::networks::{self, RadioNetwork};
use super::{Latch, RadioArgs, print_json};
use crate::radios::{NetworkStatus, Radio, Talk};
use crate::sound;

/// How long a call may ring.
const PATIENCE: Duration = Duration::from_secs(40);
/// How often a radio that calls is looked at.
const POLL: Duration = Duration::from_millis(50);

/// What came of it, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Outcome {
    unit: String,
    network: String,
    approach: Option<&'static str>,
    /// Talkgroup it was tuned to when it began.
    talkgroup: Option<u32>,
    emergency: bool,
    call: Option<Called>,
    talk: Option<Talk>,
    recording: Option<Recorded>,
}

#[derive(Debug, Serialize)]
struct Called {
    to: String,
    answered: bool,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Recorded {
    file: String,
    seconds: f64,
    first_sample_us: Option<u64>,
}

/// A radio, and what it has done so far.
struct Worker<'a> {
    network: RadioNetwork,
    status: NetworkStatus,
    args: &'a RadioArgs,
    outcome: Outcome,
}

/// Works a radio of one of the networks.
pub(super) async fn run(
    networks: Vec<RadioNetwork>,
    unit: &str,
    args: &RadioArgs,
) -> anyhow::Result<()> {
    // Files first: nobody presses a key for a file that cannot be said.
    let words = args.say.as_deref().map(sound::read).transpose()?;
    args.record.as_deref().map(sound::writable).transpose()?;
    let words = words.map(|words| words.write()).transpose()?;
    let (network, status) = networks::find(networks, unit).await?;
    let mut worker = Worker::new(network, status, unit, args)?;
    let done = worker.prepare().await;
    let done = match done {
        Ok(()) => worker.perform(words).await,
        Err(error) => Err(error),
    };
    let kept = worker.finish().await;
    worker.print()?;
    done.and(kept)
}

impl<'a> Worker<'a> {
    fn new(
        network: RadioNetwork,
        status: NetworkStatus,
        unit: &str,
        args: &'a RadioArgs,
    ) -> anyhow::Result<Self> {
        let radio = status.units.iter().find(|radio| radio.unit == unit);
        let Radio {
            talkgroup,
            emergency,
            ..
        } = radio.context("the radio is gone")?;
        let outcome = Outcome {
            unit: unit.to_owned(),
            network: network.name.clone(),
            approach: network.approach,
            talkgroup: *talkgroup,
            emergency: *emergency,
            call: None,
            talk: None,
            recording: None,
        };
        Ok(Self {
            network,
            status,
            args,
            outcome,
        })
    }

    /// Tunes, latches, starts to record.
    async fn prepare(&mut self) -> anyhow::Result<()> {
        let (radios, unit) = (&self.network.radios, &self.outcome.unit);
        if let Some(number) = self.args.talkgroup {
            let known: Vec<u32> = self.status.talkgroups.iter().map(|t| t.talkgroup).collect();
            if !known.contains(&number) {
                let known: Vec<String> = known.iter().map(u32::to_string).collect();
                let name = &self.network.name;
                bail!(
                    "{name} has no talkgroup {number}, only {}",
                    known.join(", ")
                );
            }
            radios.tune(unit, Some(number)).await?;
            self.outcome.talkgroup = Some(number);
        }
        if let Some(latch) = self.args.emergency {
            let active = latch == Latch::On;
            radios.emergency(unit, active).await?;
            self.outcome.emergency = active;
        }
        if self.args.record.is_some() {
            radios.record(unit).await?;
        }
        Ok(())
    }

    /// Calls, talks and listens; Ctrl-C ends it early.
    async fn perform(&mut self, words: Option<Vec<u8>>) -> anyhow::Result<()> {
        tokio::select! {
            stop = tokio::signal::ctrl_c() => {
                stop?;
                let _silent_already = self.network.radios.release(&self.outcome.unit).await;
                Ok(())
            }
            done = work(&self.network, self.args, &mut self.outcome, &self.status, words) => done,
        }
    }

    /// Hangs up and keeps what was heard.
    async fn finish(&mut self) -> anyhow::Result<()> {
        let (radios, unit) = (&self.network.radios, &self.outcome.unit);
        if self.outcome.call.as_ref().is_some_and(|call| call.answered) {
            // The far side may have ended it already.
            let _over = radios.hang_up(unit).await;
        }
        let Some(file) = &self.args.record else {
            return Ok(());
        };
        let heard = radios.recording(unit).await?;
        let first_sample_us = heard.as_ref().map(|heard| heard.first_sample_us);
        let samples = heard.map_or_else(Vec::new, |heard| heard.samples);
        let length = sound::write(file, Rate::Hz8000, samples)?;
        self.outcome.recording = Some(Recorded {
            file: file.display().to_string(),
            seconds: length.as_secs_f64(),
            first_sample_us,
        });
        Ok(())
    }

    fn print(&self) -> anyhow::Result<()> {
        if self.args.json {
            return print_json(&self.outcome);
        }
        Ok(write!(std::io::stdout(), "{}", text(&self.outcome))?)
    }
}

async fn work(
    network: &RadioNetwork,
    args: &RadioArgs,
    outcome: &mut Outcome,
    status: &NetworkStatus,
    words: Option<Vec<u8>>,
) -> anyhow::Result<()> {
    if let Some(to) = &args.call {
        call(network, outcome, &address(to)).await?;
    }
    let talks = words.is_some();
    if let Some(words) = words {
        if args.call.is_none() {
            warn_if_alone(network, status, outcome.talkgroup)?;
        }
        talk(network, outcome, words).await?;
    }
    if args.record.is_some() || (args.call.is_some() && !talks) {
        sleep(Duration::from_secs(args.seconds)).await;
    }
    Ok(())
}

/// What a radio dials for what a person typed: a number is one of the radio network.
fn address(to: &str) -> String {
    if to.contains(':') {
        return to.to_owned();
    }
    let is_number = !to.is_empty() && to.bytes().all(|b| b.is_ascii_digit());
    match (is_number, to.contains('@')) {
        (true, _) => format!("sip:{to}@lmr"),
        (false, true) => format!("sip:{to}"),
        (false, false) => format!("sip:{to}@mc.example"),
    }
}

async fn call(network: &RadioNetwork, outcome: &mut Outcome, to: &str) -> anyhow::Result<()> {
    let unit = outcome.unit.clone();
    let audit = network.audit();
    network.radios.call(&unit, to).await?;
    let called = |answered, detail: &str| {
        Some(Called {
            to: to.to_owned(),
            answered,
            detail: detail.to_owned(),
        })
    };
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let radio = network.radios.unit(&unit).await?;
        match &radio.call {
            Some(call) if call.state == "up" => {
                outcome.call = called(true, "answered");
                return Ok(());
            }
            Some(_) => sleep(POLL).await,
            None => {
                let why = radio.last_call_reason();
                outcome.call = called(false, &why);
                let said = audit.refusal(&unit);
                bail!("unit {unit} called {to}: {why}{said}");
            }
        }
    }
    outcome.call = called(false, "no answer");
    // It may be answered just now.
    let _over = network.radios.hang_up(&unit).await;
    bail!(
        "unit {unit} called {to}: no answer in {} s",
        PATIENCE.as_secs()
    )
}

async fn talk(network: &RadioNetwork, outcome: &mut Outcome, words: Vec<u8>) -> anyhow::Result<()> {
    let unit = outcome.unit.clone();
    let audit = network.audit();
    let begun = network.radios.talk(&unit, words).await;
    let begun = begun.map_err(|error| match outcome.talkgroup {
        None => anyhow::anyhow!("{error}; --talkgroup N tunes the radio"),
        Some(_) => error.into(),
    })?;
    let talk = network.radios.until_ended(begun.id).await?;
    let denied = (talk.state != "done").then(|| {
        let why = talk.reason.as_deref().unwrap_or("no reason given");
        format!("unit {unit} was cut off: {why}{}", audit.refusal(&unit))
    });
    outcome.talk = Some(talk);
    match denied {
        Some(denied) => bail!(denied),
        None => Ok(()),
    }
}

/// A talkgroup without a gateway is a mistake more often than not.
fn warn_if_alone(
    network: &RadioNetwork,
    status: &NetworkStatus,
    tuned: Option<u32>,
) -> anyhow::Result<()> {
    let mut groups = status.talkgroups.iter();
    let group = groups.find(|group| Some(group.talkgroup) == tuned);
    let Some(group) = group.filter(|group| group.legs.is_empty()) else {
        return Ok(());
    };
    let number = group.talkgroup;
    let linked: Vec<String> = status
        .talkgroups
        .iter()
        .filter(|group| !group.legs.is_empty())
        .map(|group| group.talkgroup.to_string())
        .collect();
    let cure = match linked.is_empty() {
        true => "`mcbox status` shows whether the gateway runs".to_owned(),
        false => format!("the gateway is on {}", linked.join(", ")),
    };
    writeln!(
        std::io::stderr(),
        "note: only radios of {} hear talkgroup {number}; {cure}",
        network.name
    )?;
    Ok(())
}

fn text(outcome: &Outcome) -> String {
    let Outcome { unit, network, .. } = outcome;
    let mut lines = Vec::new();
    if let Some(call) = &outcome.call {
        lines.push(format!(
            "unit {unit} ({network}) called {}: {}",
            call.to, call.detail
        ));
    }
    if let Some(talk) = &outcome.talk {
        let seconds = Duration::from_millis(talk.frames * 20).as_secs_f64();
        let place = match (&outcome.call, outcome.talkgroup) {
            (Some(_), _) | (None, None) => "in the call".to_owned(),
            (None, Some(number)) => format!("on talkgroup {number}"),
        };
        let emergency = if outcome.emergency {
            ", in emergency"
        } else {
            ""
        };
        lines.push(format!(
            "unit {unit} ({network}) talked for {seconds:.1} s {place}{emergency}: {}",
            talk.state
        ));
    }
    if let Some(Recorded { file, seconds, .. }) = &outcome.recording {
        lines.push(match *seconds > 0.0 {
            true => format!("{file}: unit {unit} heard {seconds:.1} s"),
            false => format!("{file}: unit {unit} heard nothing"),
        });
    }
    if lines.is_empty() {
        let place = outcome.talkgroup.map_or_else(
            || "on no talkgroup".to_owned(),
            |number| format!("on talkgroup {number}"),
        );
        let emergency = if outcome.emergency { "latched" } else { "off" };
        lines.push(format!(
            "unit {unit} ({network}): {place}, emergency {emergency}"
        ));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}
