//! Key management server of TS 33.180 Annex D.
//!
//! Certificates, key sets and the certificates of other domains over HTTPS, to whom an access token
//! entitles. The master secrets KSAK and z are made at the first start and kept sealed. The token,
//! never the XML, decides whose keys are issued, and never those of another KMS's domain. The KMS of a
//! gateway's domain is the same library under another configuration (Annex L).

pub mod config;
pub mod error;
pub mod issue;
pub mod master;
pub mod partners;
pub mod routes;
pub mod state;
pub mod store;
pub mod users;

use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;

pub use routes::router;

use crate::config::Config;
use crate::state::Kms;

/// Runs the server until the context stops it.
///
/// # Errors
/// Whatever is wrong with configuration, store, keys or sockets.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(mikey_sakke::self_test).await??;
    let http = config.http.clone();
    let tracer = Tracer::start("kms", &config.trace)?;
    let kms = Kms::open(config, &context, tracer).await?;
    let server =
        mc_runtime::http::serve(&http, router(kms.clone()), context.shutdown.clone()).await?;
    tracing::info!(address = %server.address, kms_uri = %kms.config().kms_uri, "listening");
    context.health.started();
    server.wait().await?;
    Ok(())
}

#[cfg(test)]
mod tests;
