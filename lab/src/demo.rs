//! `mcbox demo`: the calls of the approaches, step by step, each with a verdict.
//!
//! A step is `pass` or `fail` only when it was really done against the running services; what the
//! lab cannot do yet is `later`, and the demo as a whole does not pass on it.

mod group_call;
mod private_call;
mod runner;
mod site;
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
    /// Done, and not as it must be.
    Fail,
    /// Not done: this lab cannot do it yet, or no call that was run has it.
    Later,
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
    /// Each step by its letter.
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
    /// The verdict over calls: every one must have passed, and there must be one. A step that is not
    /// a call's own, the private call of a group call or the other way round, is shown as the calls
    /// of its approach came out that have it.
    #[must_use]
    pub fn over(mut calls: Vec<Call>) -> Self {
        let of_approach = calls.clone();
        for call in &mut calls {
            for (step, verdict) in &mut call.steps {
                if *verdict == Verdict::Later {
                    let others = of_approach.iter().filter(|o| o.approach == call.approach);
                    let verdicts = others.filter_map(|other| other.steps.get(step)).copied();
                    *verdict = worst(verdicts.filter(|v| *v != Verdict::Later));
                }
            }
        }
        let passed = !calls.is_empty() && calls.iter().all(|c| c.verdict == Verdict::Pass);
        let verdict = if passed { Verdict::Pass } else { Verdict::Fail };
        Self { calls, verdict }
    }
}

fn worst(verdicts: impl Iterator<Item = Verdict>) -> Verdict {
    verdicts.fold(Verdict::Later, |worst, verdict| match worst {
        Verdict::Fail => worst,
        Verdict::Pass | Verdict::Later => verdict,
    })
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
    let steps = STEPS.map(|s| format!("{:<5}", call.steps.get(s).map_or("", |v| word(*v))));
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
        Verdict::Later => "later",
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
            steps: BTreeMap::from([("T", Verdict::Pass), ("P", Verdict::Later)]),
            speech_score: 0.93,
            access_ms: 120,
            mouth_to_ear_ms: 0,
            detail: "said so".to_owned(),
        }
    }

    #[test]
    fn one_call_that_did_not_pass_fails_the_demo_and_so_does_none() {
        assert_eq!(Report::over(Vec::new()).verdict, Verdict::Fail);
        let both = vec![call(Verdict::Pass), call(Verdict::Later)];
        assert_eq!(Report::over(both).verdict, Verdict::Fail);
        assert_eq!(
            Report::over(vec![call(Verdict::Pass)]).verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn a_step_of_other_calls_is_shown_as_they_came_out() {
        let private = |approach: &str, verdict| Call {
            approach: approach.to_owned(),
            call: CALLS[2],
            steps: BTreeMap::from([("P", verdict)]),
            ..call(verdict)
        };
        let p = |others: Vec<Call>| {
            let calls = std::iter::once(call(Verdict::Pass)).chain(others);
            Report::over(calls.collect()).calls[0].steps["P"]
        };
        let (pass, fail) = (Verdict::Pass, Verdict::Fail);
        assert_eq!(p(vec![private("7.2", pass)]), Verdict::Later);
        assert_eq!(p(vec![private("7.1", pass), private("7.2", fail)]), pass);
        assert_eq!(p(vec![private("7.1", fail), private("7.1", pass)]), fail);
    }

    #[test]
    fn the_table_and_the_json_are_as_documented() {
        let report = Report::over(vec![call(Verdict::Pass)]);
        assert_eq!(
            table(&report),
            "\
7.8   call               T     K     G     S     P     C      speech  access   m-to-e   verdict
7.1   group-lmr-to-mc    pass                    later        0.93    120 ms   -        pass
7.1 group-lmr-to-mc: said so"
        );
        let json = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "calls": [{
                "approach": "7.1", "call": "group-lmr-to-mc", "verdict": "pass",
                "steps": { "T": "pass", "P": "later" }, "speech_score": 0.93,
                "access_ms": 120, "mouth_to_ear_ms": 0, "detail": "said so",
            }],
            "verdict": "pass",
        });
        assert_eq!(json, expected);
    }
}
