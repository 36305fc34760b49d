//! The glue every binary shares: command line, configuration, logs, signals, health check.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::clock::{SharedClock, SystemClock};
use crate::health::Health;
use crate::logging::LogConfig;
use crate::{config, http, logging, shutdown};

/// What a service's `run` receives besides its configuration.
#[derive(Debug, Clone)]
pub struct Context {
    /// Wall-clock time.
    pub clock: SharedClock,
    /// Cancelled when the service must stop.
    pub shutdown: CancellationToken,
    /// The service's own health, served at `/health`.
    pub health: Health,
}

impl Context {
    /// A context on the machine's clock that nobody stops, for tests and embedded services.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self {
            clock: SystemClock::shared(),
            shutdown: CancellationToken::new(),
            health: Health::new(service),
        }
    }
}

/// The part of a configuration that the glue itself needs.
pub trait ServiceConfig: DeserializeOwned + std::fmt::Debug {
    /// Log settings.
    fn log(&self) -> &LogConfig;
}

#[derive(Debug, Parser)]
struct Arguments {
    /// Configuration file (TOML); fields can be overridden by `<NAME>__FIELD` variables.
    #[arg(long, short, env = "MCBOX_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Asks a running service for its health; exit code 0 when it is ready.
    Healthcheck {
        /// `http://` or `https://` address of the service's /health.
        url: String,
        /// PEM file of the CA that signed the service's certificate.
        #[arg(long, env = "MCBOX_CA")]
        ca: Option<PathBuf>,
    },
    /// Reads the configuration, prints nothing, and exits 0 if it is usable.
    CheckConfig,
}

/// Runs a service named `name` until a signal or until `run` ends.
///
/// # Errors
/// What `run` returns, or a configuration or environment problem with the file and field named.
pub fn run<C, F, Fut, E>(name: &str, run: F) -> anyhow::Result<ExitCode>
where
    C: ServiceConfig,
    F: FnOnce(C, Context) -> Fut,
    Fut: Future<Output = Result<(), E>>,
    E: Into<anyhow::Error>,
{
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    if let Some(Command::Healthcheck { url, ca }) = arguments.command {
        return runtime.block_on(healthcheck(&url, ca));
    }
    let path = arguments
        .config
        .unwrap_or_else(|| PathBuf::from(format!("{name}.toml")));
    let prefix = name.to_ascii_uppercase().replace('-', "_");
    let settings: C = config::load(&path, &prefix)?;
    if matches!(arguments.command, Some(Command::CheckConfig)) {
        return Ok(ExitCode::SUCCESS);
    }
    logging::install(settings.log());
    http::install_crypto_provider();
    tracing::info!(service = name, config = ?settings, "configuration");
    runtime.block_on(async {
        let context = Context {
            clock: SystemClock::shared(),
            shutdown: shutdown::on_signal()?,
            health: Health::new(name),
        };
        tokio::spawn(announce(name.to_owned(), context.health.clone()));
        run(settings, context).await.map_err(Into::into)
    })?;
    // Blocking work that ignores the stop must not hold the process.
    runtime.shutdown_timeout(Duration::from_secs(2));
    Ok(ExitCode::SUCCESS)
}

async fn announce(service: String, health: Health) {
    health.until_ready().await;
    tracing::info!(service, "ready");
}

async fn healthcheck(url: &str, ca: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    http::install_crypto_provider();
    let client = http::client(&http::ClientConfig {
        ca,
        ..http::ClientConfig::default()
    })?;
    let response = client.get(url).send().await?;
    Ok(if response.status().is_success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
