//! `mcbox demo`: the calls of the approaches, step by step, each with a verdict.
//!
//! A step is `pass` only when it was really done against the running services.

mod group_call;
mod private_call;
mod runner;
mod talk;

use std::collections::BTreeMap;

use serde::Serialize;

pub use runner::{Failure, PartyState, Refused, Runner, RunnerError, RunnerState};

/// The calls of each approach (TR 33.880 7.8).
pub const CALLS: [&str; 4] = [
    "group-lmr-to-mc",
    "group-mc-to-lmr",
    "private-lmr-to-mc",
    "private-mc-to-lmr",
];
/// The steps of each call: token, keys, group, server key, private call, group call.
pub const STEPS: [&str; 6] = ["T", "K", "G", "S", "P", "C"];
/// Intelligibility (STOI) below which a call has failed. Two codecs in a row keep well above it.
pub const LOWEST_SCORE: f64 = 0.75;

/// How a step, a call or the demo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Done, and as it must be.
    Pass,
    /// Not done, or not as it must be.
    Fail,
}

/// One call of one approach.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Call {
    /// Clause of TR 33.880 7.8, `7.1` to `7.5`.
    pub approach: String,
    /// Name of the call.
    pub call: &'static str,
    /// Whether the call itself came out as it must.
    pub verdict: Verdict,
    /// Each step of the call by its letter: a group call has no `P`, a private call no `C`.
    pub steps: BTreeMap<&'static str, Verdict>,
    /// Intelligibility (STOI) of what arrived, 0 to 1; 0 when nothing was measured.
    pub speech_score: f64,
    /// Push-to-talk to permission, in milliseconds; 0 when not measured.
    pub access_ms: u64,
    /// Speech in to speech out, in milliseconds; 0 when not measured.
    pub mouth_to_ear_ms: u64,
    /// What happened, for a person: step, service, clause and log file of a failure.
    pub detail: String,
}

/// All calls, and whether the demo passed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The calls in the order of the approaches.
    pub calls: Vec<Call>,
    /// `pass` only if every call that was run passed.
    pub verdict: Verdict,
}

impl Report {
    /// The verdict over calls: every one must have passed, and there must be one.
    #[must_use]
    pub fn over(calls: Vec<Call>) -> Self {
        let passed = !calls.is_empty() && calls.iter().all(|c| c.verdict == Verdict::Pass);
        let verdict = if passed { Verdict::Pass } else { Verdict::Fail };
        Self { calls, verdict }
    }
}

/// The step that a call itself is: `P` or `C`.
#[must_use]
pub fn own_step(call: &str) -> &'static str {
    if call.starts_with("private") {
        "P"
    } else {
        "C"
    }
}

/// The report as a table for a terminal.
#[must_use]
pub fn table(report: &Report) -> String {
    let mut lines = vec![format!(
        "{:<5} {:<18} {}  speech  access   m-to-e   verdict",
        "7.8",
        "call",
        STEPS.map(|s| format!("{s:<5}")).join(" ")
    )];
    lines.extend(report.calls.iter().map(row));
    let details = report.calls.iter().filter(|call| !call.detail.is_empty());
    lines.extend(details.map(|call| format!("{} {}: {}", call.approach, call.call, call.detail)));
    lines.join("\n")
}

fn row(call: &Call) -> String {
    let steps = STEPS.map(|s| format!("{:<5}", call.steps.get(s).map_or("-", |v| word(*v))));
    let time = |ms: u64| {
        if ms == 0 {
            "-".to_owned()
        } else {
            format!("{ms} ms")
        }
    };
    let score = if call.speech_score > 0.0 {
        format!("{:.2}", call.speech_score)
    } else {
        "-".to_owned()
    };
    format!(
        "{:<5} {:<18} {}  {score:<6}  {:<7}  {:<7}  {}",
        call.approach,
        call.call,
        steps.join(" "),
        time(call.access_ms),
        time(call.mouth_to_ear_ms),
        word(call.verdict)
    )
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(verdict: Verdict) -> Call {
        Call {
            approach: "7.1".to_owned(),
            call: CALLS[0],
            verdict,
            steps: BTreeMap::from([("T", Verdict::Pass), ("C", verdict)]),
            speech_score: 0.93,
            access_ms: 120,
            mouth_to_ear_ms: 0,
            detail: "said so".to_owned(),
        }
    }

    #[test]
    fn one_call_that_did_not_pass_fails_the_demo_and_so_does_none() {
        assert_eq!(Report::over(Vec::new()).verdict, Verdict::Fail);
        let both = vec![call(Verdict::Pass), call(Verdict::Fail)];
        assert_eq!(Report::over(both).verdict, Verdict::Fail);
        assert_eq!(
            Report::over(vec![call(Verdict::Pass)]).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn the_table_and_the_json_are_as_documented() {
        let report = Report::over(vec![call(Verdict::Pass)]);
        assert_eq!(
            table(&report),
            "\
7.8   call               T     K     G     S     P     C      speech  access   m-to-e   verdict
7.1   group-lmr-to-mc    pass  -     -     -     -     pass   0.93    120 ms   -        pass
7.1 group-lmr-to-mc: said so"
        );
        let json = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "calls": [{
                "approach": "7.1", "call": "group-lmr-to-mc", "verdict": "pass",
                "steps": { "T": "pass", "C": "pass" }, "speech_score": 0.93,
                "access_ms": 120, "mouth_to_ear_ms": 0, "detail": "said so",
            }],
            "verdict": "pass",
        });
        assert_eq!(json, expected);
    }
}
