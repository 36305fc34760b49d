//! Where radios of other makes meet the network: one adapter per air-side protocol.
//!
//! An adapter turns its protocol's calls into legs of a [`Network`]: [`Network::join`] for a call
//! into a talkgroup, [`Network::press`], [`Network::voice`] and [`Network::release`] for what comes
//! in, and the leg's [`Downlink`](crate::network::Downlink) for what goes out. Arbitration stays
//! with the network. The first adapter is [`analogue`]; P25 ISSI is the next.

pub mod analogue;

use std::net::SocketAddr;

use mc_runtime::CancellationToken;
use mc_runtime::trace::Tracer;
use mc_sip::Uri;
use tokio::sync::mpsc;

use crate::impair::Impairments;
use crate::network::{Network, UnitCall};

/// What every adapter gets.
#[derive(Debug, Clone)]
pub struct AirContext {
    /// The network it serves.
    pub network: Network,
    /// The present impairments of the link.
    pub impairments: tokio::sync::watch::Receiver<Impairments>,
    /// Where protocol messages are reported.
    pub tracer: Tracer,
    /// Ends the adapter.
    pub shutdown: CancellationToken,
}

/// A call that a radio's user has dialled.
#[derive(Debug)]
pub struct Dialled {
    /// The call.
    pub call: UnitCall,
    /// The address that was dialled.
    pub to: Uri,
}

/// An adapter that runs.
#[derive(Debug)]
pub struct RunningAir {
    /// Its name in logs.
    pub name: &'static str,
    /// The address it listens on.
    pub address: SocketAddr,
    /// Takes what radios dial.
    pub dialled: mpsc::Sender<Dialled>,
    /// Ends when the adapter has ended.
    pub task: tokio::task::JoinHandle<()>,
}

/// One air-side protocol.
pub trait Air {
    /// Opens the sockets and serves calls until the context's shutdown.
    ///
    /// # Errors
    /// An address cannot be bound.
    fn start(self, context: AirContext)
    -> impl Future<Output = std::io::Result<RunningAir>> + Send;
}
