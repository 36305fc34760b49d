//! Identity management server: an OpenID Connect provider with the MCX profile of TS 33.180
//! Annex B (TS 24.482).
//!
//! Authorization code flow with PKCE S256 only, ES256 tokens with MC service IDs and scopes,
//! refresh with rotation, security tokens for and from partner domains. The pure rules are in [`authorization`], [`pkce`], [`scopes`],
//! [`security_token`] and [`tokens`]; everything kept is in [`store`].

pub mod authorization;
pub mod config;
pub mod error;
pub mod form;
pub mod login_ticket;
pub mod password;
pub mod pkce;
pub mod routes;
pub mod scopes;
pub mod security_token;
pub mod signing_key;
pub mod state;
pub mod store;
pub mod tokens;

use std::time::Duration;

use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;

pub use routes::router;

use crate::config::Config;
use crate::state::Idms;

/// How long codes and tokens are remembered after their end, so that a replay is recognised.
const REPLAY_MEMORY_MS: i64 = 3_600_000;

/// Runs the server until the context stops it.
///
/// # Errors
/// Whatever is wrong with configuration, store, keys or sockets.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    let http = config.http.clone();
    let tracer = Tracer::start("idms", &config.trace)?;
    let idms = Idms::open(config, context.clock, context.health.clone()).await?;
    if let Some(announcer) = &idms.announcer {
        announcer.close_with(context.shutdown.clone());
    }
    let router = router(idms.clone(), tracer.clone());
    let server = mc_runtime::http::serve(&http, router, context.shutdown.clone()).await?;
    tracing::info!(address = %server.address, "listening");
    let pruning = tokio::spawn(prune(idms));
    context.health.started();
    server.wait().await?;
    pruning.abort();
    tracer.flush().await;
    Ok(())
}

async fn prune(idms: Idms) {
    let mut tick = tokio::time::interval(Duration::from_secs(60));
    loop {
        tick.tick().await;
        let before = idms.clock.unix_ms().saturating_sub(REPLAY_MEMORY_MS);
        if let Err(error) = idms.store.prune(before).await {
            tracing::warn!(%error, "pruning failed");
        }
    }
}
