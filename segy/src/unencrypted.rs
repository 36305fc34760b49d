//! The interface to systems without MC security (TS 33.180 L.4): one adapter for each protocol.
//!
//! An adapter turns its protocol into [`ExternalEvent`]s and [`ExternalCommand`]s: who presses and
//! releases, and 20 ms of speech at 16 kHz. It keeps its connections up by itself, plays jitter and
//! loss out, and hands over a user's last speech before his release. The first adapter is
//! [`analogue`].

pub mod analogue;

use std::sync::Arc;

use mc_runtime::CancellationToken;
use mc_runtime::trace::Tracer;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::bridge::{ExternalCommand, ExternalEvent, Shown};
use crate::config::ConfigError;
use crate::status::Counters;
use analogue::{Analogue, AnalogueConfig};

/// Events and commands that may wait between an adapter and a bridge: some seconds of speech.
const QUEUE: usize = 512;

/// Which system is outside.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "protocol", rename_all = "lowercase")]
pub enum ExternalConfig {
    /// Analogue channels: SIP and PCMU.
    Analogue(AnalogueConfig),
}

impl ExternalConfig {
    /// Checks values, and the names of the talkgroups.
    ///
    /// # Errors
    /// The field that is wrong.
    pub fn check<'a>(&self, talkgroups: impl Iterator<Item = &'a str>) -> Result<(), ConfigError> {
        match self {
            Self::Analogue(config) => config.check(talkgroups),
        }
    }

    /// Opens the adapter's addresses.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub async fn start(self, context: ExternalContext) -> std::io::Result<Box<dyn Unencrypted>> {
        match self {
            Self::Analogue(config) => Ok(Box::new(Analogue::start(config, context).await?)),
        }
    }
}

/// What every adapter gets.
#[derive(Debug, Clone)]
pub struct ExternalContext {
    /// Name of this gateway in traces.
    pub node: String,
    /// Where protocol messages are reported.
    pub tracer: Tracer,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Calls that external users make.
    pub offers: mpsc::Sender<ExternalOffer>,
    /// Ends the adapter.
    pub shutdown: CancellationToken,
}

/// One talkgroup, or one call of an external user.
#[derive(Debug)]
pub struct ExternalPort {
    /// What it is told to do.
    pub commands: mpsc::Sender<ExternalCommand>,
    /// What happens on it.
    pub events: mpsc::Receiver<ExternalEvent>,
}

/// The adapter's ends of a port.
#[derive(Debug)]
pub struct AdapterPort {
    commands: mpsc::Receiver<ExternalCommand>,
    events: mpsc::Sender<ExternalEvent>,
}

/// Both ends of a port.
#[must_use]
pub fn port() -> (ExternalPort, AdapterPort) {
    let (commands, told) = mpsc::channel(QUEUE);
    let (tell, events) = mpsc::channel(QUEUE);
    let port = ExternalPort { commands, events };
    (
        port,
        AdapterPort {
            commands: told,
            events: tell,
        },
    )
}

/// A call that an external user makes to an MC user.
#[derive(Debug)]
pub struct ExternalOffer {
    /// Unit number of the caller.
    pub unit: String,
    /// What he dialled: a SIP URI, or a number of the external system.
    pub dialled: String,
    /// The call; it is answered and refused through it, and ends when it is dropped.
    pub port: ExternalPort,
}

/// A protocol of external systems.
pub trait Unencrypted: Send + Sync {
    /// Connects a talkgroup and keeps it connected until the shutdown.
    fn connect(&self, talkgroup: &str) -> ExternalPort;

    /// Calls an external user; he is shown who calls. The call ends when the port is dropped.
    fn call(&self, unit: &str, caller: &Shown) -> ExternalPort;
}
