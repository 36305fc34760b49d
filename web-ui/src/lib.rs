//! The browser console: live map, running list of protocol messages, buttons for the demo calls.
//!
//! Messages come as HEP3 datagrams from every service, the health of services from polling their
//! `/health`. Browsers get both as server-sent events. The console decides nothing in the lab: a
//! button asks the lab runner, and the console shows what the runner answers.

mod collector;
pub mod config;
pub mod demo_control;
pub mod history;
pub mod map;
mod page;
mod poll;
mod routes;
mod state;

use mc_runtime::http;
use mc_runtime::service::Context;

pub use config::Config;
pub use state::Console;

/// Runs the console until the context is cancelled.
///
/// # Errors
/// If an address cannot be bound or the HTTP client cannot be built.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let console = start(&config, &context).await?;
    console.server.wait().await?;
    Ok(())
}

/// A started console.
#[derive(Debug)]
pub struct Started {
    /// The HTTP server.
    pub server: http::Server,
    /// Where HEP3 datagrams are taken.
    pub hep: std::net::SocketAddr,
    /// What it shows.
    pub console: Console,
}

/// Starts the console and returns once it listens.
///
/// # Errors
/// If an address cannot be bound or the HTTP client cannot be built.
pub async fn start(config: &Config, context: &Context) -> anyhow::Result<Started> {
    let client = http::client(&http::ClientConfig {
        ca: config.ca.clone(),
        timeout_s: 3,
        ..http::ClientConfig::default()
    })?;
    let console = Console::new(config, client);
    let hep = collector::start(config.hep_listen, console.clone(), context).await?;
    poll::start(console.clone(), context);
    let router = routes::router(console.clone()).merge(context.health.router());
    let server = http::serve(&config.http, router, context.shutdown.clone()).await?;
    context.health.started();
    tracing::info!(address = %server.address, hep = %hep, "console open");
    Ok(Started {
        server,
        hep,
        console,
    })
}
