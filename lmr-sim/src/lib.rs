//! A Land Mobile Radio network: radios, talkgroups, push-to-talk.
//!
//! The [`network`] core decides who talks on which talkgroup and passes speech on; radios live in
//! it and are worked through an HTTP API. Real equipment, softphones and the MC security gateway
//! meet the network through the adapters of [`air`]. Nothing here is protected: the radio side has
//! no security of its own, which is what the gateway is for.

pub mod air;
pub mod api;
pub mod config;
pub mod error;
pub mod impair;
pub mod network;
pub mod recorder;
mod routes;
pub mod talk;
pub mod talkgroup;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mc_runtime::CancellationToken;
use mc_runtime::http::{self, Server};
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use mc_trace::{Event, names};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use air::analogue::Analogue;
use air::{Air, AirContext, RunningAir};
use api::ApiState;
pub use config::LmrConfig;
use network::Network;
use talk::Talks;

/// Why the service could not start or run.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The HTTP side.
    #[error(transparent)]
    Http(#[from] http::HttpError),
    /// Sockets or files.
    #[error("{what}: {source}")]
    Io {
        /// Which part.
        what: &'static str,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> ServiceError {
    move |source| ServiceError::Io { what, source }
}

/// A network that runs, with its real addresses.
#[derive(Debug)]
pub struct Running {
    /// API.
    pub http: SocketAddr,
    /// SIP of the analogue air side.
    pub sip: SocketAddr,
    /// The network.
    pub network: Network,
    server: Server,
    air: RunningAir,
    ticker: JoinHandle<()>,
}

impl Running {
    /// Waits until everything has stopped.
    ///
    /// # Errors
    /// [`ServiceError`] when the HTTP server ended badly.
    pub async fn wait(self) -> Result<(), ServiceError> {
        self.server.wait().await.map_err(io("HTTP"))?;
        // A panic in one of these was logged; everything has stopped anyway.
        let _ended = self.air.task.await;
        let _ended = self.ticker.await;
        Ok(())
    }
}

/// Starts the network and returns once it listens.
///
/// # Errors
/// [`ServiceError`] when an address cannot be bound or a trace output opened.
pub async fn start(config: LmrConfig, context: Context) -> Result<Running, ServiceError> {
    let shutdown = context.shutdown.clone();
    let tracer = Tracer::start("lmr-sim", &config.trace).map_err(io("trace"))?;
    let network = Network::new(config.network);
    let ticker = tokio::spawn(tick(network.clone(), tracer.clone(), shutdown.clone()));
    let impairments = watch::Sender::new(config.impairments);
    let analogue = Analogue {
        sip: config.sip,
        media: config.media,
        unit_calls: config.unit_calls,
    };
    let air = analogue
        .start(AirContext {
            network: network.clone(),
            impairments: impairments.subscribe(),
            tracer,
            shutdown: shutdown.clone(),
        })
        .await
        .map_err(io("SIP"))?;
    let talks = Talks::new(network.clone());
    let state = ApiState {
        network: network.clone(),
        dialled: air.dialled.clone(),
        talks,
        impairments,
    };
    let mut http_config = config.http;
    http_config.max_body = http_config.max_body.max(config::MAX_WAV);
    let router = http::refuse_cross_site(routes::router(state)).merge(context.health.router());
    let server = http::serve(&http_config, router, shutdown).await?;
    tracing::info!(http = %server.address, sip = %air.address, "radio network is up");
    context.health.started();
    Ok(Running {
        http: server.address,
        sip: air.address,
        network,
        server,
        air,
        ticker,
    })
}

/// Runs the network until it is stopped.
///
/// # Errors
/// [`ServiceError`] of the start.
pub async fn run(config: LmrConfig, context: Context) -> Result<(), ServiceError> {
    start(config, context).await?.wait().await
}

/// Lets time pass in the network and reports presses.
async fn tick(network: Network, tracer: Tracer, shutdown: CancellationToken) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    clock.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let mut notices = network.notices();
    loop {
        tokio::select! {
            _ = clock.tick() => network.tick(Instant::now()),
            Ok(notice) = notices.recv() => tracer.emit(
                Event::local(&names::LMR_PTT, format!(
                    "unit {} on {}: {}",
                    notice.talker.unit, notice.channel, notice.what
                ))
                .decoded(serde_json::json!({
                    "talkgroup": notice.channel.talkgroup(),
                    "unit": notice.talker.unit,
                    "talker": notice.talker.name,
                    "emergency": notice.talker.emergency,
                    "ptt": notice.what,
                })),
            ),
            () = shutdown.cancelled() => return,
        }
    }
}
