//! Asking the services for their health and the lab runner for its state, once a second.

use std::time::Duration;

use futures::future::join_all;
use mc_runtime::health::{Report, Status};
use mc_runtime::service::Context;

use crate::config::ServiceEntry;
use crate::map::{Light, NodeHealth};
use crate::state::Console;

const EVERY: Duration = Duration::from_secs(1);

/// Starts the two polling tasks.
pub(crate) fn start(console: Console, context: &Context) {
    let shutdown = context.shutdown.clone();
    let second = console.clone();
    tokio::spawn(
        shutdown
            .clone()
            .run_until_cancelled_owned(services(console)),
    );
    tokio::spawn(shutdown.run_until_cancelled_owned(lab(second)));
}

async fn services(console: Console) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let asked = console.services().iter().map(|s| ask(&console, s));
        let answers = join_all(asked).await;
        let mut changed = false;
        for (service, health) in console.services().iter().zip(answers) {
            changed |= console.map().health(&service.name, health);
        }
        // A lit connection must go dark when the speech ends.
        if changed || console.map().is_live() {
            console.changed();
        }
    }
}

async fn ask(console: &Console, service: &ServiceEntry) -> NodeHealth {
    let red = |reason: String| NodeHealth {
        light: Light::Red,
        reason,
    };
    let response = match console.client().get(&service.health).send().await {
        Ok(response) => response,
        Err(error) => return red(unreachable(&error)),
    };
    let status = response.status();
    let Ok(report) = response.json::<Report>().await else {
        return red(format!("/health answered {status} without a report"));
    };
    let light = match report.status {
        Status::Ready => Light::Green,
        Status::Waiting => Light::Amber,
        Status::Failed => Light::Red,
    };
    NodeHealth {
        light,
        reason: report.detail,
    }
}

/// The innermost cause is the one that helps ("Connection refused").
fn unreachable(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if error.is_timeout() {
        return "does not answer in time".to_owned();
    }
    format!("not reachable: {cause}")
}

async fn lab(console: Console) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        console.set_lab(console.control().state().await);
    }
}
