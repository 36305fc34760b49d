//! Asking a service how it is.

use crate::topology::{Addresses, Service};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// How long a service may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a service says of itself at `GET /health`, or what the lab saw instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Name of the service.
    pub service: String,
    /// `ready`, `waiting`, `failed`, or `unreachable`.
    pub status: String,
    /// What it waits for.
    #[serde(default)]
    pub waits_for: Vec<String>,
    /// One sentence for a person.
    #[serde(default)]
    pub detail: String,
}

impl Health {
    fn unreachable(service: &str, detail: String) -> Self {
        let (service, status) = (service.to_owned(), "unreachable".to_owned());
        Self {
            service,
            status,
            waits_for: Vec::new(),
            detail,
        }
    }

    /// Whether the service does its work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.status == "ready"
    }
}

/// An HTTP client that trusts the lab's authority and nobody else.
///
/// # Errors
/// When the certificate cannot be read.
pub fn client(ca: &Path) -> anyhow::Result<reqwest::Client> {
    let ca = reqwest::Certificate::from_pem(&std::fs::read(ca)?)?;
    let client = reqwest::Client::builder()
        .tls_built_in_root_certs(false)
        .add_root_certificate(ca)
        .timeout(PATIENCE)
        .no_proxy();
    Ok(client.build()?)
}

/// Asks one service.
pub async fn ask(client: &reqwest::Client, service: &Service, addresses: &Addresses) -> Health {
    let url = service.health_url(addresses);
    let answer = match client.get(&url).send().await {
        Ok(answer) => answer,
        Err(error) => return Health::unreachable(service.name, cause(&error)),
    };
    match answer.json::<Health>().await {
        // A service names its program; several run the same.
        Ok(health) => Health {
            service: service.name.to_owned(),
            ..health
        },
        Err(error) => Health::unreachable(service.name, format!("{url}: {error}")),
    }
}

/// The innermost reason: "connection refused" says more than "error sending request".
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
