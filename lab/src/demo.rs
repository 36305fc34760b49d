//! `mcbox demo`: the calls of the five approaches, step by step, each with a verdict.
//!
//! A step is `pass` or `fail` only when it was really done against the running services; what the
//! lab cannot do yet is `later`, and the demo as a whole does not pass.

use crate::parties::{kms_client, log_in};
use crate::supervisor::Lab;
use mc_runtime::SystemClock;
use serde::Serialize;
use std::collections::BTreeMap;

/// The calls of each approach (TR 33.880 7.8).
pub const CALLS: [&str; 4] = [
    "group-lmr-to-mc",
    "group-mc-to-lmr",
    "private-lmr-to-mc",
    "private-mc-to-lmr",
];
/// The steps of each call: token, keys, group, server key, private call, group call.
pub const STEPS: [&str; 6] = ["T", "K", "G", "S", "P", "C"];

/// How a step, a call or the demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Done, and as it must be.
    Pass,
    /// Done, and not as it must be.
    Fail,
    /// This lab cannot do it yet.
    Later,
}

/// One call of one approach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// Clause of TR 33.880 7.8, `7.1` to `7.5`.
    pub approach: &'static str,
    /// Name of the call.
    pub call: &'static str,
    /// The worst of the steps.
    pub verdict: Verdict,
    /// Each step by its letter.
    pub steps: BTreeMap<&'static str, Verdict>,
    /// Intelligibility of what arrived, 0 to 1; `None` until speech is carried.
    pub speech_score: Option<f64>,
    /// Push-to-talk to permission, in milliseconds.
    pub access_ms: Option<u64>,
    /// Speech in to speech out, in milliseconds.
    pub mouth_to_ear_ms: Option<u64>,
    /// What happened, for a person: service, clause and log file of a failure.
    pub detail: String,
}

/// All calls, and whether the demo passed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The calls in the order of the approaches.
    pub calls: Vec<Call>,
    /// `pass` only if every call passed.
    pub verdict: Verdict,
}

/// Runs the steps that this lab can do for approach 7.1, as the gateway's one user.
pub async fn run(lab: &Lab) -> Report {
    let mut steps: BTreeMap<_, _> = STEPS.iter().map(|step| (*step, Verdict::Later)).collect();
    let detail = match authorise(lab).await {
        Ok(done) => {
            steps.extend([("T", Verdict::Pass), ("K", Verdict::Pass)]);
            done
        }
        Err(Failure {
            step,
            service,
            detail,
        }) => {
            if step == "K" {
                steps.insert("T", Verdict::Pass);
            }
            steps.insert(step, Verdict::Fail);
            format!(
                "{service}: {detail}; its log is {}",
                lab.state().log(service).display()
            )
        }
    };
    let failed = steps.values().any(|v| *v == Verdict::Fail);
    let verdict = if failed {
        Verdict::Fail
    } else {
        Verdict::Later
    };
    let call = |call| Call {
        approach: "7.1",
        call,
        verdict,
        steps: steps.clone(),
        speech_score: None,
        access_ms: None,
        mouth_to_ear_ms: None,
        detail: detail.clone(),
    };
    Report {
        calls: CALLS.into_iter().map(call).collect(),
        verdict: Verdict::Fail,
    }
}

/// Which step failed, at which service.
struct Failure {
    step: &'static str,
    service: &'static str,
    detail: String,
}

/// Steps T and K: a token for the gateway's user, and its validated keys.
async fn authorise(lab: &Lab) -> Result<String, Failure> {
    let failure = |step, service| {
        move |error: &dyn std::fmt::Display| Failure {
            step,
            service,
            detail: error.to_string(),
        }
    };
    let (token, keys) = (failure("T", "idms"), failure("K", "kms"));
    let clock = SystemClock::shared();
    let session = log_in(lab, "segy", clock.clone())
        .await
        .map_err(|e| token(&e))?;
    let ring = kms_client(lab, clock).map_err(|e| keys(&e))?;
    let user = session.mcptt_id.as_str();
    let ring = ring
        .fetch(session.access_token.secret(), user)
        .await
        .map_err(|e| keys(&e))?;
    Ok(format!(
        "{user} has a token and {} validated key set(s)",
        ring.keys().len()
    ))
}

/// The report as a table for a terminal.
#[must_use]
pub fn table(report: &Report) -> String {
    let word = |verdict: &Verdict| match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Later => "later",
    };
    let mut lines = vec![format!(
        "{:<5} {:<18} {}  speech  access  m-to-e  verdict",
        "7.8",
        "call",
        STEPS.map(|s| format!("{s:<5}")).join(" ")
    )];
    for call in &report.calls {
        let steps = STEPS.map(|s| format!("{:<5}", call.steps.get(s).map_or("", word)));
        let number =
            |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v} ms"));
        let score = call
            .speech_score
            .map_or_else(|| "-".to_owned(), |s| format!("{s:.2}"));
        lines.push(format!(
            "{:<5} {:<18} {}  {score:<6}  {:<6}  {:<6}  {}",
            call.approach,
            call.call,
            steps.join(" "),
            number(call.access_ms),
            number(call.mouth_to_ear_ms),
            word(&call.verdict)
        ));
    }
    let details: std::collections::BTreeSet<_> = report.calls.iter().map(|c| &c.detail).collect();
    lines.extend(details.into_iter().cloned());
    lines.join("\n")
}
