//! Log output: human lines or JSON on standard error, filtered by `MCBOX_LOG` or the config.

use tracing_subscriber::EnvFilter;

/// The filter of a service that configures none; `rsipstack` prints whole messages at `info`,
/// which would put keys and tokens into the log.
pub const DEFAULT_FILTER: &str = "info,rsipstack=warn,sqlx=warn,hyper=warn";

/// Log settings, part of every service's configuration.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `tracing` filter directives; the environment variable `MCBOX_LOG` wins.
    pub filter: String,
    /// One JSON object a line instead of human text.
    pub json: bool,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            filter: DEFAULT_FILTER.to_owned(),
            json: false,
        }
    }
}

/// Installs the process-wide subscriber; a second call changes nothing.
pub fn install(config: &LogConfig) {
    let directives = std::env::var("MCBOX_LOG").unwrap_or_else(|_| config.filter.clone());
    let filter = EnvFilter::try_new(&directives).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // An error means that a subscriber is already there, as in tests that start several services.
    let _already_there = if config.json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(false).try_init()
    };
}
