//! Configuration of the console.

use std::net::SocketAddr;
use std::path::PathBuf;

use mc_runtime::http::ServerConfig;
use mc_runtime::logging::LogConfig;
use mc_runtime::service::ServiceConfig;
use serde::Deserialize;

/// The console's configuration file.
///
/// ```
/// let config: web_ui::Config = toml::from_str(r#"
///     lab_control = "http://127.0.0.1:8448"
///     [http]
///     listen = "127.0.0.1:8080"
///     [[services]]
///     name = "kms"
///     health = "https://127.0.0.1:8442/health"
/// "#).unwrap();
/// assert_eq!(config.services[0].name, "kms");
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// HTTP server of the console itself.
    pub http: ServerConfig,
    /// UDP address that takes HEP3 datagrams. Default `127.0.0.1:9060`.
    #[serde(default = "default_hep_listen")]
    pub hep_listen: SocketAddr,
    /// The services on the map, asked for their health once a second. Default none.
    #[serde(default)]
    pub services: Vec<ServiceEntry>,
    /// PEM file of the lab's CA, for the services' HTTPS. Default: the public web's CAs.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Base URL of the lab runner's control, which starts demo calls. Default none: no buttons.
    #[serde(default)]
    pub lab_control: Option<String>,
    /// Approaches whose calls get buttons. Default `["7.1"]`.
    #[serde(default = "default_approaches")]
    pub approaches: Vec<String>,
    /// Whether the lab exports its keys; shows the banner. Default false.
    #[serde(default)]
    pub lab_keys: bool,
    /// The lab's domain, left out where identities are shown. Default `mc.example`.
    #[serde(default = "default_domain")]
    pub domain: String,
    /// Messages kept, oldest dropped first. Default 5000.
    #[serde(default = "default_history")]
    pub history: usize,
    /// Further host names under which a browser may reach the console (IP addresses and
    /// `localhost` always may). Default none.
    #[serde(default)]
    pub host_names: Vec<String>,
    /// Log settings.
    #[serde(default)]
    pub log: LogConfig,
}

/// A service on the map.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEntry {
    /// Name, as the service calls itself in traces (`kms`).
    pub name: String,
    /// URL of its `/health`.
    pub health: String,
}

impl ServiceConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn default_hep_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9060))
}

fn default_approaches() -> Vec<String> {
    vec!["7.1".to_owned()]
}

fn default_domain() -> String {
    "mc.example".to_owned()
}

const fn default_history() -> usize {
    5000
}
