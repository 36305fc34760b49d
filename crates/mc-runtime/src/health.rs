//! What a service says about itself at `GET /health`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Whether a service can do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Fully working.
    Ready,
    /// Started, but something it needs is not there yet.
    Waiting,
    /// Will not become ready without intervention.
    Failed,
}

/// The JSON body of `GET /health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the service.
    pub service: String,
    /// Its state.
    pub status: Status,
    /// What it waits for, sorted; empty unless waiting.
    pub waits_for: BTreeSet<String>,
    /// One sentence for a person.
    pub detail: String,
}

/// A cheap handle through which the parts of a service report their state.
#[derive(Debug, Clone)]
pub struct Health {
    report: Arc<Mutex<Report>>,
    changed: watch::Sender<Status>,
}

impl Health {
    /// A service that is still starting.
    #[must_use]
    pub fn new(service: &str) -> Self {
        let report = Report {
            service: service.to_owned(),
            status: Status::Waiting,
            waits_for: BTreeSet::from(["start".to_owned()]),
            detail: "starting".to_owned(),
        };
        Self {
            report: Arc::new(Mutex::new(report)),
            changed: watch::Sender::new(Status::Waiting),
        }
    }

    /// Adds a thing the service needs and does not have; it is not ready until it arrived.
    pub fn waits_for(&self, what: &str) {
        self.update(|report| {
            report.waits_for.insert(what.to_owned());
        });
    }

    /// Marks one needed thing as present; with nothing left the service is ready.
    pub fn arrived(&self, what: &str) {
        self.update(|report| {
            report.waits_for.remove(what);
        });
    }

    /// Ends the starting phase; ready as soon as nothing else is missing.
    pub fn started(&self) {
        self.arrived("start");
    }

    /// Reports a condition that only a person can end.
    pub fn failed(&self, detail: &str) {
        self.update(|report| {
            report.status = Status::Failed;
            detail.clone_into(&mut report.detail);
        });
    }

    /// The present state.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns once the service is ready.
    pub async fn until_ready(&self) {
        let mut status = self.changed.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ready = status.wait_for(|status| *status == Status::Ready).await;
    }

    /// The route fragment `GET /health`: 200 when ready, 503 otherwise, JSON in both cases.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/health", get(answer))
            .with_state(self.clone())
    }

    fn update(&self, change: impl FnOnce(&mut Report)) {
        let mut report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        let before = report.status;
        change(&mut report);
        if report.status != Status::Failed {
            let ready = report.waits_for.is_empty();
            report.status = if ready {
                Status::Ready
            } else {
                Status::Waiting
            };
            report.detail = match ready {
                true => "ready".to_owned(),
                false => format!("waits for {}", join(&report.waits_for)),
            };
        }
        if report.status != before {
            tracing::info!(
                service = report.service,
                status = ?report.status,
                detail = report.detail,
                "health changed"
            );
        }
        self.changed.send_replace(report.status);
    }
}

fn join(names: &BTreeSet<String>) -> String {
    names
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ")
}

async fn answer(State(health): State<Health>) -> impl IntoResponse {
    let report = health.report();
    let status = match report.status {
        Status::Ready => StatusCode::OK,
        Status::Waiting | Status::Failed => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, [(header::CACHE_CONTROL, "no-store")], Json(report))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_only_when_nothing_is_missing() {
        let health = Health::new("kms");
        health.waits_for("idms");
        health.started();
        assert_eq!(health.report().status, Status::Waiting);
        assert_eq!(health.report().detail, "waits for idms");
        health.arrived("idms");
        health.until_ready().await;
        assert_eq!(
            serde_json::to_string(&health.report()).unwrap(),
            r#"{"service":"kms","status":"ready","waits_for":[],"detail":"ready"}"#
        );
    }

    #[test]
    fn failure_is_final() {
        let health = Health::new("kms");
        health.failed("master secret unreadable");
        health.started();
        assert_eq!(health.report().status, Status::Failed);
        assert_eq!(health.report().detail, "master secret unreadable");
    }
}
