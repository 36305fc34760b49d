//! Group management server: group documents by XCAP (TS 24.481) and the delivery of group master
//! keys (TS 33.180 5.7).
//!
//! The pure rules are in [`address`], [`access`], [`group_key`] and [`message`]; [`groups`] changes
//! documents and keys, [`subscription`] takes subscriptions and `dialogs` keeps them across a restart,
//! [`delivery`] tells members, [`partners`] follows what other domains are trusted, [`revocations`]
//! who is trusted no longer. The server of a gateway's domain is the same library under
//! another configuration (Annex L).

pub mod access;
pub mod address;
pub mod assertions;
pub mod config;
pub mod delivery;
mod dialogs;
pub mod error;
pub mod group_key;
pub mod groups;
pub mod keys;
pub mod message;
pub mod partners;
pub mod revocations;
pub mod routes;
pub mod state;
pub mod store;
pub mod subscription;

use mc_runtime::service::Context;
use mc_runtime::sip::{SipEndpoint, TracedSip};
use mc_runtime::trace::Tracer;
use mc_sip::transaction::TransactionConfig;

pub use routes::router;

use crate::config::Config;
use crate::keys::KeyWatch;
use crate::state::Gms;

/// Runs the server until the context stops it.
///
/// # Errors
/// Whatever is wrong with cryptography, configuration, store or sockets.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(mikey_sakke::self_test).await??;
    let tracer = Tracer::start("gms", &config.trace)?;
    let (sender, keys) = keys::channel();
    for what in ["idms", "kms"] {
        context.health.waits_for(what);
    }
    let running = start(config.clone(), &context, tracer.clone(), keys).await?;
    let keeping = tokio::spawn(keys::keep(config, context.clone(), tracer, sender));
    context.health.started();
    running.http.wait().await?;
    running.sip.close().await;
    keeping.await?;
    Ok(())
}

/// A server that answers.
#[derive(Debug)]
pub struct Running {
    /// Its state.
    pub gms: Gms,
    /// Its HTTPS side.
    pub http: mc_runtime::http::Server,
    /// Its SIP side.
    pub sip: SipEndpoint,
}

/// Starts all parts but the fetching of the server's own keys, which come by `keys`.
///
/// # Errors
/// Whatever is wrong with configuration, store or sockets.
pub async fn start(
    config: Config,
    context: &Context,
    tracer: Tracer,
    keys: KeyWatch,
) -> anyhow::Result<Running> {
    let (http, sip) = (config.http.clone(), config.sip.clone());
    let (gms, jobs) = Gms::open(config, context, tracer.clone(), keys).await?;
    let node = tracer.node().to_owned();
    let trace = TracedSip::shared(tracer, &node);
    let (endpoint, incoming) =
        SipEndpoint::bind(&sip, TransactionConfig::default(), trace, &context.shutdown).await?;
    tokio::spawn(delivery::work(gms.clone(), endpoint.clone(), jobs));
    tokio::spawn(subscription::serve(gms.clone(), endpoint.clone(), incoming));
    tokio::spawn(partners::follow(gms.clone(), gms.keys.clone()));
    tokio::spawn(revocations::follow(gms.clone()));
    let before = gms.subscribed();
    tokio::spawn(gms.clone().catch_up(before, gms.keys.clone()));
    let http =
        mc_runtime::http::serve(&http, router(gms.clone()), context.shutdown.clone()).await?;
    tracing::info!(http = %http.address, sip = %endpoint.local_address(), "listening");
    Ok(Running {
        gms,
        http,
        sip: endpoint,
    })
}
