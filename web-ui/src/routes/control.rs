//! Starting a demo call.

use axum::extract::{Path, State};
use axum::http::StatusCode;

use crate::demo_control::{CallResult, StartError};
use crate::state::Console;

/// Accepts at once; the row's progress and result arrive with the lab's state.
pub(super) async fn start(
    State(console): State<Console>,
    Path((approach, call)): Path<(String, String)>,
) -> (StatusCode, String) {
    if !console.control().knows(&approach, &call) {
        return (StatusCode::NOT_FOUND, "no such call".to_owned());
    }
    let lab = match console.lab() {
        Ok(lab) => lab,
        Err(reason) => return (StatusCode::BAD_GATEWAY, reason),
    };
    if let Some(busy) = lab.busy {
        return (StatusCode::CONFLICT, format!("{busy} is running"));
    }
    let name = format!("{approach}/{call}");
    let mut running = lab;
    running.busy = Some(name.clone());
    console.set_lab(Ok(running));
    tokio::spawn(async move {
        let result = console.control().start(&approach, &call).await;
        let row = match result {
            Ok(row) => row,
            Err(error) => failed(&approach, &call, error),
        };
        finish(&console, row);
    });
    (StatusCode::ACCEPTED, format!("{name} started"))
}

fn failed(approach: &str, call: &str, error: StartError) -> CallResult {
    let detail = match error {
        StartError::Unknown => "the lab runner does not know this call".to_owned(),
        StartError::Unreachable(reason) => reason,
        StartError::Refused(status, text) => format!("the lab runner refused ({status}): {text}"),
    };
    CallResult {
        approach: approach.to_owned(),
        call: call.to_owned(),
        verdict: "fail".to_owned(),
        detail,
        ..CallResult::default()
    }
}

fn finish(console: &Console, row: CallResult) {
    let mut lab = console.lab().unwrap_or_default();
    lab.busy = None;
    lab.calls
        .retain(|r| r.approach != row.approach || r.call != row.call);
    lab.calls.push(row);
    console.set_lab(Ok(lab));
}
