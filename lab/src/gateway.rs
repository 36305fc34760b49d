//! What the gateway says of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use mc_ids::GroupId;
use serde::Deserialize;
use tokio::time::Instant;

use crate::demo::{Failure, Verdict};
use crate::health;
use crate::supervisor::Lab;
use crate::topology::Service;

/// The steps it goes through before any call.
const STEPS: [&str; 4] = ["T", "K", "G", "S"];
/// How often a gateway that comes up is asked.
const POLL: Duration = Duration::from_millis(100);

/// The gateway's `/status`.
#[derive(Debug, Clone)]
pub struct Gateway {
    /// Name of its service and log.
    name: &'static str,
    url: String,
    /// `None` when the lab's certificate cannot be read; every question then says so.
    http: Option<reqwest::Client>,
}

/// The part of `/status` that the lab looks at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    mc: Mc,
    steps: BTreeMap<String, Step>,
    talkgroups: Vec<Talkgroup>,
}

#[derive(Debug, Clone, Deserialize)]
struct Talkgroup {
    group: String,
    protection: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Mc {
    ready: bool,
    detail: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Step {
    state: String,
    #[serde(default)]
    detail: Option<String>,
}

/// How far the gateway has come.
#[derive(Debug, Clone)]
pub struct GatewaySteps {
    gateway: &'static str,
    status: Result<Status, String>,
}

impl Gateway {
    /// A gateway of a lab, which is this service.
    #[must_use]
    pub fn of(lab: &Lab, service: &'static Service) -> Self {
        let ca = lab.state().file("certificates", "ca.pem");
        Self {
            name: service.name,
            url: format!("https://{}/status", lab.addresses().of(service.health)),
            http: health::client(&ca).ok(),
        }
    }

    /// What it says now.
    pub async fn steps(&self) -> GatewaySteps {
        GatewaySteps {
            gateway: self.name,
            status: self.ask().await,
        }
    }

    async fn ask(&self) -> Result<Status, String> {
        let http = self.http.as_ref();
        let http = http.ok_or_else(|| "the lab's certificate cannot be read".to_owned())?;
        let text = |e: reqwest::Error| e.without_url().to_string();
        let answer = http.get(&self.url).send().await.map_err(text)?;
        answer.json().await.map_err(text)
    }

    /// Waits until it can carry calls, or the patience ends.
    pub async fn until_ready(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.steps().await.failure().is_some() && Instant::now() < deadline {
            tokio::time::sleep(POLL).await;
        }
    }
}

impl GatewaySteps {
    /// Each step's verdict; a step that has not been reached has failed.
    #[must_use]
    pub fn verdicts(&self) -> BTreeMap<&'static str, Verdict> {
        let of = |step: &&'static str| {
            let passed = self.step(step).is_some_and(|s| s.state == "passed");
            (*step, if passed { Verdict::Pass } else { Verdict::Fail })
        };
        STEPS.iter().map(of).collect()
    }

    /// Whether the calls of a group pass without protection, as its document says (TS 33.180 L.5.2).
    #[must_use]
    pub fn bypasses(&self, group: &GroupId) -> bool {
        let talkgroups = self.status.as_ref().map(|status| &status.talkgroups);
        let mut talkgroups = talkgroups.into_iter().flatten();
        talkgroups.any(|t| t.group == group.as_str() && t.protection == "bypassed")
    }

    fn step(&self, step: &str) -> Option<&Step> {
        self.status.as_ref().ok()?.steps.get(step)
    }

    /// What keeps the gateway from carrying calls.
    #[must_use]
    pub fn failure(&self) -> Option<Failure> {
        let name = self.gateway;
        let failure = |text: String| Failure {
            service: Some(name.to_owned()),
            text,
        };
        let status = match &self.status {
            Ok(status) => status,
            Err(error) => return Some(failure(format!("{name} does not answer: {error}"))),
        };
        let failed = status.steps.iter().find(|(_, step)| step.state == "failed");
        if let Some((step, failed)) = failed {
            let detail = failed.detail.as_deref().unwrap_or("no reason given");
            return Some(failure(format!("{name}, step {step}: {detail}")));
        }
        (!status.mc.ready).then(|| {
            let detail = status.mc.detail.as_deref().unwrap_or("still starting");
            failure(format!("{name} is not ready: {detail}"))
        })
    }
}
