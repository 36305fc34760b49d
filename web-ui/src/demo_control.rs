//! The client of the lab runner's control: `POST /calls/{approach}/{call}` and `GET /state`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The demo calls of every approach, with what a button says.
pub const CALLS: &[(&str, &str)] = &[
    ("group-lmr-to-mc", "Group call, radio → MC"),
    ("group-mc-to-lmr", "Group call, MC → radio"),
    ("private-lmr-to-mc", "Private call, radio → MC"),
    ("private-mc-to-lmr", "Private call, MC → radio"),
];

/// What the lab runner says of itself.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct LabState {
    /// `approach/call` of the running call.
    pub busy: Option<String>,
    /// The last result of each call, as rows of `mcbox demo --json`.
    pub calls: Vec<CallResult>,
    /// MC clients the lab runs.
    pub clients: Vec<Party>,
    /// Radios the lab runs.
    pub radios: Vec<Party>,
}

/// A row of `mcbox demo --json`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(default)]
pub struct CallResult {
    /// `7.1` and so on.
    pub approach: String,
    /// One of the names in [`CALLS`].
    pub call: String,
    /// `pass` or `fail`.
    pub verdict: String,
    /// Verdict of each step of the call: T K G S and P or C.
    pub steps: Value,
    /// Intelligibility of the received speech, 0 to 1.
    pub speech_score: f64,
    /// Milliseconds from push-to-talk to permission.
    pub access_ms: f64,
    /// Milliseconds from mouth to ear.
    pub mouth_to_ear_ms: f64,
    /// One sentence, above all on failure.
    pub detail: String,
}

/// A client or a radio.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Party {
    /// Name on the map.
    pub name: String,
    /// `ready`, `waiting` or `failed`.
    pub status: String,
    /// One sentence.
    pub detail: String,
    /// The radio network a radio belongs to.
    pub network: Option<String>,
}

/// Why a call was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartError {
    /// No such call or approach.
    Unknown,
    /// No lab runner is configured or it cannot be reached.
    Unreachable(String),
    /// The lab runner refused with this status and text.
    Refused(u16, String),
}

/// What a person can do where no lab runner is.
const NO_RUNNER: &str = "nobody runs calls here, because the lab was started detached or in containers. \
    `mcbox demo --attach` runs them in a terminal (containers: `docker compose run --rm demo`); or stop \
    the lab with `mcbox down` and start it with `mcbox up`, which runs them for these buttons";

/// Why the lab runner does not answer, and what to do.
fn unreachable(error: &reqwest::Error) -> String {
    if error.is_connect() {
        return NO_RUNNER.to_owned();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    format!("the lab runner does not answer: {cause}")
}

/// Talks to the lab runner.
#[derive(Debug, Clone)]
pub struct DemoControl {
    base: Option<String>,
    approaches: Vec<String>,
    client: reqwest::Client,
}

impl DemoControl {
    /// A control at a base URL, or none.
    #[must_use]
    pub fn new(base: Option<&str>, approaches: &[String], client: reqwest::Client) -> Self {
        Self {
            base: base.map(|b| b.trim_end_matches('/').to_owned()),
            approaches: approaches.to_vec(),
            client,
        }
    }

    /// Whether a call of this name exists.
    #[must_use]
    pub fn knows(&self, approach: &str, call: &str) -> bool {
        self.approaches.iter().any(|a| a == approach) && CALLS.iter().any(|(name, _)| *name == call)
    }

    /// Runs a call and returns its row; takes as long as the call.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(&self, approach: &str, call: &str) -> Result<CallResult, StartError> {
        if !self.knows(approach, call) {
            return Err(StartError::Unknown);
        }
        let none = || StartError::Unreachable(NO_RUNNER.to_owned());
        let base = self.base.as_ref().ok_or_else(none)?;
        let unreachable = |e: reqwest::Error| StartError::Unreachable(unreachable(&e));
        let response = self
            .client
            .post(format!("{base}/calls/{approach}/{call}"))
            .timeout(std::time::Duration::from_secs(180))
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status();
        if !status.is_success() {
            let text = response.text().await.unwrap_or_default();
            let text = text.chars().take(300).collect();
            return Err(StartError::Refused(status.as_u16(), text));
        }
        response.json().await.map_err(unreachable)
    }

    /// The lab's state.
    ///
    /// # Errors
    /// A sentence, if there is no lab runner or it does not answer.
    pub async fn state(&self) -> Result<LabState, String> {
        let base = self.base.as_ref().ok_or(NO_RUNNER)?;
        let response = self.client.get(format!("{base}/state")).send().await;
        let response = response.and_then(reqwest::Response::error_for_status);
        let response = response.map_err(|e| unreachable(&e))?;
        response.json().await.map_err(|e| unreachable(&e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_lab_runner_the_reason_says_what_to_do() {
        let client = mc_runtime::http::client(&mc_runtime::http::ClientConfig::default()).unwrap();
        // Nobody listens on a port that was just given back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", port.local_addr().unwrap());
        drop(port);
        for base in [None, Some(base.as_str())] {
            let control = DemoControl::new(base, &["7.1".to_owned()], client.clone());
            let reason = control.state().await.unwrap_err();
            assert!(reason.contains("mcbox demo --attach"), "{reason}");
            let started = control.start("7.1", "group-lmr-to-mc").await.unwrap_err();
            assert_eq!(started, StartError::Unreachable(reason));
        }
    }
}
