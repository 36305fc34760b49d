//! The MC Security Gateway (SeGy) of TR 33.880 clause 7.8: it ends MC security for external systems
//! that have none.
//!
//! ```text
//!   MC system ── encrypted ──┐                       ┌── unencrypted ── external system
//!     (mc-client: token,     ├── bridge (sans-IO) ───┤     (analogue radio; others later)
//!      keys, floor, SRTP)    │   one per talkgroup   │
//!                            └── user_map: who may speak as whom
//! ```
//!
//! An approach is data on a few axes ([`approach::Profile`]); what acts on it matches on the axes
//! and never on the approach. All call logic is in [`bridge`]; the two sides only translate.

pub mod approach;
pub mod audit;
pub mod bridge;
pub mod config;
pub mod encrypted;
mod gateway;
mod integrated;
pub mod passthrough;
mod routes;
pub mod status;
pub mod unencrypted;
pub mod user_map;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use mc_runtime::http::{self, Server};
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use crate::audit::Audit;
use crate::bridge::Bridge;
use crate::config::Config;
use crate::encrypted::{Encrypted, McSide};
use crate::gateway::{Channel, Joined, Recorder, Switchboard};
use crate::integrated::Integrated;
use crate::status::GatewayStatus;
use crate::unencrypted::ExternalContext;

/// Private calls of external users that may wait to be looked at.
const OFFERS: usize = 64;

/// A gateway that runs.
#[derive(Debug)]
pub struct Running {
    /// Where `/health` and `/status` are.
    pub http: SocketAddr,
    server: Server,
    encrypted: Encrypted,
    channels: TaskTracker,
    tracer: Tracer,
}

impl Running {
    /// Waits until the gateway was stopped and everything has ended.
    ///
    /// # Errors
    /// The HTTP server ended badly.
    pub async fn wait(self) -> std::io::Result<()> {
        self.server.wait().await?;
        self.channels.wait().await;
        self.encrypted.stop().await;
        self.tracer.flush().await;
        Ok(())
    }
}

/// Starts the gateway and returns once it listens; `/health` tells when it can carry calls.
///
/// # Errors
/// Whatever is wrong with configuration, files or sockets.
pub async fn start(config: Config, context: Context) -> anyhow::Result<Running> {
    config.check()?;
    let tracer = Tracer::start(&node(&config.mc.node), &config.trace)?;
    let audit = Audit::open(config.audit.as_deref(), context.clock.clone())?;
    let status = Arc::new(GatewayStatus::new(
        config.approach.profile(),
        context.health.clone(),
        context.clock.clone(),
        tracer.clone(),
    ));
    let router = routes::router(status.clone()).merge(context.health.router());
    let server = http::serve(&config.http, router, context.shutdown.clone()).await?;
    let (offers, from_outside) = mpsc::channel(OFFERS);
    let external = config.external.clone().start(ExternalContext {
        node: node(&config.mc.node),
        tracer: tracer.clone(),
        counters: status.counters.clone(),
        offers,
        shutdown: context.shutdown.clone(),
    });
    let external = external.await?;
    let clock = context.clock.clone();
    let (traced, told) = (tracer.clone(), status.clone());
    let side = Encrypted::start(&config, clock, traced, told, audit.clone()).await?;
    let McSide {
        encrypted,
        mut groups,
        offers: from_mc,
    } = side;
    let users = Arc::new(config.user_map());
    let channels = TaskTracker::new();
    for talkgroup in &config.talkgroups {
        let Some(mc) = groups.remove(&talkgroup.group) else {
            continue;
        };
        let joined = Joined::Talkgroup {
            talkgroup: talkgroup.talkgroup.clone(),
            group: talkgroup.group.clone(),
        };
        let port = external.connect(&talkgroup.talkgroup);
        let recorder = Recorder::new(
            joined,
            users.clone(),
            audit.clone(),
            tracer.clone(),
            status.clone(),
        );
        let bridge = Bridge::new(config.limits.timing(), users.clone(), Instant::now());
        let channel = Channel::new(Box::new(bridge), mc, port, recorder, status.clone());
        channels.spawn(channel.run(context.shutdown.clone()));
    }
    let records = (audit, tracer.clone(), status);
    let switchboard = Switchboard::new(&config, users, encrypted.clone(), external, records);
    channels.spawn(switchboard.run(from_mc, from_outside, context.shutdown.clone()));
    channels.close();
    tracing::info!(http = %server.address, approach = %config.approach, "gateway is up");
    context.health.started();
    Ok(Running {
        http: server.address,
        server,
        encrypted,
        channels,
        tracer,
    })
}

/// The gateway's own name in traces: that of its clients without their unit.
fn node(of_clients: &str) -> String {
    let name = of_clients.replace("{unit}", "");
    name.trim_end_matches('-').to_owned()
}

/// Runs the gateway, with the servers that its configuration integrates, until the context stops it.
///
/// # Errors
/// A known answer of the cryptography that is wrong; see [`start`]; what an integrated server ends with.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(mikey_sakke::self_test).await??;
    let servers = Integrated::start(&config.integrated, &context).await?;
    let shutdown = context.shutdown.clone();
    let gateway = async { Ok(start(config, context).await?.wait().await?) };
    servers.beside(gateway, &shutdown).await
}
