//! MCPTT server: registrar stand-in, participating and controlling functions, floor and media.

pub mod affiliation;
pub mod alias;
pub mod assertions;
pub mod authorisation;
pub mod call;
mod calls;
pub mod config;
pub mod error;
mod extensions;
mod group_watch;
pub mod groups;
pub mod info;
pub mod interconnection;
pub mod keys;
pub mod media_plane;
mod options;
mod publish;
pub mod refusal;
mod register;
pub mod registration;
mod relay;
mod revocation;
pub mod routes;
pub mod server;
pub mod store;
mod subscribe;
pub mod subscription;
pub mod users;

use std::sync::Arc;
use std::time::Duration;

use mc_client::keys::{KeyRing, KmsClient};
use mc_client::login::{Login, TokenSource};
use mc_runtime::Tracer;
use mc_runtime::auth::TokenVerifier;
use mc_runtime::revocations;
use mc_runtime::service::Context;
use mc_runtime::sip::{SipEndpoint, TracedSip};
use mc_sip::transaction::TransactionConfig;
use tokio::sync::mpsc;

pub use config::Config;
pub use error::ServerError;
pub use server::{Parts, Server};

use authorisation::Authoriser;
use config::PartnerGroups;
use groups::{Home, Homes, XcapGroups};
use keys::{OwnToken, PartnerToken, ServerKeys, SharedKeys};
use media_plane::MediaDistribution;

/// Name of this node in traces.
const NODE: &str = "mcptt-server";

/// Runs the server until the context stops it.
///
/// # Errors
/// Configuration, store or sockets that cannot be used. Servers it needs are waited for.
pub async fn run(config: Config, context: Context) -> anyhow::Result<()> {
    tokio::task::spawn_blocking(mikey_sakke::self_test).await??;
    let tracer = Tracer::start(NODE, &config.trace).map_err(ServerError::Trace)?;
    let store = store::Store::open(&config.database_url).await?;
    context.health.waits_for("idms");
    context.health.waits_for("kms");
    // Health and liveness are served from the start, the status as soon as there is one.
    let late = Arc::new(std::sync::OnceLock::new());
    let router = context.health.router().merge(routes::status(late.clone()));
    let http = mc_runtime::http::serve(&config.http, router, context.shutdown.clone()).await?;
    tracing::info!(address = %http.address, "listening for HTTP");
    let Some((tokens, ring, kms)) = start_keys(&config, &context, &tracer).await else {
        http.wait().await?;
        return Ok(());
    };
    let max_skew = Duration::from_secs(config.policy.csk_skew_s);
    let server_keys = ServerKeys::new(ring, max_skew, config.mikey, context.clock.clone());
    tokio::spawn(keys::keep_fresh(
        server_keys.clone(),
        kms,
        tokens.clone(),
        context.shutdown.clone(),
    ));
    let client = mc_runtime::http::client(&config.http_client)?;
    let revoked = revocations::follow(&config.revocations, &client, &context.shutdown);
    let verifier = TokenVerifier::new(config.tokens.clone(), client.clone(), context.clock.clone());
    let homes = Arc::new(homes(&config, &tokens));
    let max_age_s = config.groups.max_age_s;
    let groups = XcapGroups::new(homes.clone(), max_age_s, client, context.clock.clone());
    let trace = TracedSip::shared(tracer.clone(), NODE);
    let bound = SipEndpoint::bind(
        &config.sip,
        TransactionConfig::default(),
        trace,
        &context.shutdown,
    )
    .await;
    let (endpoint, incoming) = bound.map_err(|source| ServerError::Bind {
        address: config.sip.bind,
        source,
    })?;
    tracing::info!(address = %endpoint.local_address(), "listening for SIP");
    let (events, media_events) = mpsc::unbounded_channel();
    let media = Arc::new(MediaDistribution::new(config.media, tracer.clone(), events));
    let authoriser = Authoriser {
        tokens: verifier,
        csk: Arc::new(SharedKeys(server_keys)),
        policy: config.policy,
        bodies: config.bodies.clone(),
    };
    let server = Server::new(Parts {
        config,
        endpoint: endpoint.clone(),
        authoriser,
        groups: Arc::new(groups),
        homes,
        revoked,
        media,
        store,
        tracer: tracer.clone(),
        clock: context.clock.clone(),
        shutdown: context.shutdown.clone(),
    })
    .await?;
    // The first and only server of this process.
    let _ = late.set(server.clone());
    context.health.started();
    server.run(incoming, media_events).await;
    endpoint.close().await;
    tracer.flush().await;
    http.wait().await?;
    Ok(())
}

/// The own GMS, and those of partner domains.
fn homes(config: &Config, tokens: &TokenSource) -> Homes {
    let own = Home {
        root: config.groups.xcap_root.clone(),
        gms: config.groups.gms.clone(),
        bearer: Arc::new(OwnToken(tokens.clone())),
    };
    let with = |homes: Homes, partner: &PartnerGroups| {
        let home = Home {
            root: partner.xcap_root.clone(),
            gms: partner.gms.clone(),
            bearer: Arc::new(PartnerToken(tokens.clone(), partner.token.clone())),
        };
        homes.with_partner(&partner.domain, home)
    };
    config.groups.partners.iter().fold(Homes::new(own), with)
}

/// Logs in and fetches the key sets, again and again until it works; `None` when stopped meanwhile.
async fn start_keys(
    config: &Config,
    context: &Context,
    tracer: &Tracer,
) -> Option<(TokenSource, KeyRing, KmsClient)> {
    let mut wait = Duration::from_millis(200);
    loop {
        match try_keys(config, context, tracer).await {
            Ok(started) => return Some(started),
            Err(error) => tracing::info!(%error, "not ready, trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(5)),
            () = context.shutdown.cancelled() => return None,
        }
    }
}

async fn try_keys(
    config: &Config,
    context: &Context,
    tracer: &Tracer,
) -> anyhow::Result<(TokenSource, KeyRing, KmsClient)> {
    let login = Login::discover(
        config.login.clone(),
        config.http_client.clone(),
        context.clock.clone(),
    )
    .await?;
    let tokens = TokenSource::start(login).await?;
    context.health.arrived("idms");
    let http = mc_runtime::http::client(&config.http_client)?;
    let kms = KmsClient::new(
        config.kms.clone(),
        http,
        context.clock.clone(),
        tracer.clone(),
        NODE,
    );
    let ring = keys::fetch(&kms, &tokens).await?;
    context.health.arrived("kms");
    Ok((tokens, ring, kms))
}
