//! The page and its live parts, rendered by templates that escape everything.

use askama::Template;

use crate::demo_control::{CALLS, CallResult};
use crate::map::Drawing;
use crate::state::{Console, now_us};

/// The whole page.
#[derive(Debug, Template)]
#[template(path = "console.html")]
pub(crate) struct Page {
    pub(crate) lab_keys: bool,
    pub(crate) map: String,
    pub(crate) calls: String,
    pub(crate) history: usize,
}

/// The map as inline SVG.
#[derive(Debug, Template)]
#[template(path = "map.html")]
struct MapView {
    drawing: Drawing,
    calls: Vec<CallView>,
}

#[derive(Debug)]
struct CallView {
    from: String,
    target: String,
    phase: &'static str,
    class: &'static str,
}

/// The demo calls with their buttons and results.
#[derive(Debug, Template)]
#[template(path = "calls.html")]
struct CallsView {
    unavailable: Option<String>,
    busy: bool,
    rows: Vec<DemoRow>,
}

#[derive(Debug)]
struct DemoRow {
    approach: String,
    call: &'static str,
    label: &'static str,
    running: bool,
    verdict: String,
    class: &'static str,
    steps: Vec<(String, &'static str, String)>,
    numbers: String,
    detail: String,
}

pub(crate) fn page(console: &Console) -> askama::Result<String> {
    Page {
        lab_keys: console.config().lab_keys,
        map: map(console)?,
        calls: calls(console)?,
        history: console.config().history,
    }
    .render()
}

pub(crate) fn map(console: &Console) -> askama::Result<String> {
    let mut map = console.map();
    let drawing = map.draw(now_us());
    let calls = map.calls().into_iter().take(4).map(|call| CallView {
        from: call.from.clone(),
        target: call.target.clone(),
        phase: call.phase.word(),
        class: call.phase.class(),
    });
    let calls = calls.collect();
    drop(map);
    MapView { drawing, calls }.render()
}

pub(crate) fn calls(console: &Console) -> askama::Result<String> {
    let lab = console.lab();
    let unavailable = lab.as_ref().err().cloned();
    let lab = lab.unwrap_or_default();
    let mut rows = Vec::new();
    for approach in &console.config().approaches {
        for (call, label) in CALLS {
            let result = lab
                .calls
                .iter()
                .rev()
                .find(|r| r.approach == *approach && r.call == *call);
            let running = lab.busy.as_deref() == Some(&format!("{approach}/{call}"));
            rows.push(demo_row(approach, (call, label), running, result));
        }
    }
    CallsView {
        unavailable,
        busy: lab.busy.is_some(),
        rows,
    }
    .render()
}

fn demo_row(
    approach: &str,
    (call, label): (&'static str, &'static str),
    running: bool,
    result: Option<&CallResult>,
) -> DemoRow {
    let verdict = match (running, result) {
        (true, _) => "running",
        (false, Some(result)) => result.verdict.as_str(),
        (false, None) => "",
    };
    DemoRow {
        approach: approach.to_owned(),
        call,
        label,
        running,
        verdict: verdict.to_owned(),
        class: class(verdict),
        steps: result.map_or_else(Vec::new, steps),
        numbers: result
            .filter(|_| !running)
            .map_or_else(String::new, numbers),
        detail: result.map_or_else(String::new, |r| r.detail.clone()),
    }
}

fn class(verdict: &str) -> &'static str {
    match verdict {
        "pass" => "green",
        "fail" => "red",
        "running" => "amber",
        _ => "grey",
    }
}

/// T K G S P C in their order, whatever the order of the JSON.
fn steps(result: &CallResult) -> Vec<(String, &'static str, String)> {
    const NAMES: [(&str, &str); 6] = [
        ("T", "token"),
        ("K", "keys"),
        ("G", "group key"),
        ("S", "key towards the server"),
        ("P", "private call"),
        ("C", "group call"),
    ];
    NAMES
        .iter()
        .filter_map(|(step, meaning)| {
            let verdict = result.steps.get(step)?.as_str()?;
            let title = format!("{meaning}: {verdict}");
            Some(((*step).to_owned(), class(verdict), title))
        })
        .collect()
}

fn numbers(result: &CallResult) -> String {
    if result.verdict != "pass" {
        return String::new();
    }
    format!(
        "speech {:.2} · access {:.0} ms · mouth to ear {:.0} ms",
        result.speech_score, result.access_ms, result.mouth_to_ear_ms
    )
}
