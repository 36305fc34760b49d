//! The server's own key sets: fetched at start, kept current.

use std::time::Duration;

use mc_client::keys::{KeyRing, KmsClient};
use mc_client::login::{Login, TokenSource};
use mc_ids::NtpTime;
use mc_runtime::auth::SCOPE_KMS;
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use mikey::{KmsCertificate, UserKeys};
use tokio::sync::watch;

use crate::config::Config;

/// Seconds between two attempts while something is missing.
const RETRY: Duration = Duration::from_secs(1);
/// Seconds between two looks at a working key ring.
const WATCH: Duration = Duration::from_secs(60);

/// What signs and addresses the messages of this server.
#[derive(Clone, Debug)]
pub struct SenderKeys {
    /// Certificate of the KMS.
    pub certificate: KmsCertificate,
    /// Key sets of this server's identity, several periods.
    pub keys: Vec<UserKeys>,
}

impl SenderKeys {
    /// The key set for the key period of `time`.
    #[must_use]
    pub fn at(&self, time: NtpTime) -> Option<(&UserKeys, &KmsCertificate)> {
        let fits = |keys: &&UserKeys| *keys.uid() == self.certificate.uid(keys.identity(), time);
        Some((self.keys.iter().find(fits)?, &self.certificate))
    }
}

impl From<&KeyRing> for SenderKeys {
    fn from(ring: &KeyRing) -> Self {
        Self {
            certificate: ring.root().clone(),
            keys: ring.keys().to_vec(),
        }
    }
}

/// Receives the key sets as they come.
pub type KeyWatch = watch::Receiver<Option<SenderKeys>>;

/// Logs in, fetches key sets and renews them until the context stops it. Health tells what is
/// missing.
pub async fn keep(
    config: Config,
    context: Context,
    tracer: Tracer,
    sender: watch::Sender<Option<SenderKeys>>,
) {
    let work = async {
        let tokens = loop {
            match log_in(&config, &context).await {
                Ok(tokens) => break tokens,
                Err(error) => tracing::warn!(%error, "log-in failed, trying again"),
            }
            tokio::time::sleep(RETRY).await;
        };
        context.health.arrived("idms");
        loop {
            let now = NtpTime::from_unix(context.clock.unix());
            let current = sender
                .borrow()
                .as_ref()
                .is_some_and(|keys| keys.at(now).is_some());
            if !current {
                match fetch(&config, &context, &tracer, &tokens).await {
                    Ok(keys) => {
                        sender.send_replace(Some(keys));
                        context.health.arrived("kms");
                        tracing::info!("key sets validated");
                    }
                    Err(error) => tracing::warn!(%error, "no key sets yet, trying again"),
                }
            }
            let have = sender.borrow().is_some();
            tokio::time::sleep(if have { WATCH } else { RETRY }).await;
        }
    };
    context.shutdown.run_until_cancelled(work).await;
}

async fn log_in(config: &Config, context: &Context) -> anyhow::Result<TokenSource> {
    let (login, client) = (config.login.clone(), config.client.clone());
    let login = Login::discover(login, client, context.clock.clone()).await?;
    let tokens = TokenSource::start(login).await?;
    let identity = tokens.mcptt_id().await;
    anyhow::ensure!(
        identity == config.uri,
        "the account's mcptt_id is {}, not {}",
        identity.as_str(),
        config.uri.as_str()
    );
    Ok(tokens)
}

async fn fetch(
    config: &Config,
    context: &Context,
    tracer: &Tracer,
    tokens: &TokenSource,
) -> anyhow::Result<SenderKeys> {
    let token = tokens.token(SCOPE_KMS).await?;
    let http = mc_runtime::http::client(&config.client)?;
    let clock = context.clock.clone();
    let kms = KmsClient::new(config.kms.clone(), http, clock, tracer.clone(), "gms");
    let ring = kms.fetch(token.secret(), config.uri.as_str()).await?;
    Ok(SenderKeys::from(&ring))
}
