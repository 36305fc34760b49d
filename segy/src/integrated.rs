//! The servers of the gateway's own domain inside the gateway's process (TR 33.880 7.8.4 and 7.8.5):
//! the libraries of the `idms`, `kms` and `gms` binaries under the same configuration files.
//!
//! Whether a server is integrated cannot be told on the wire: it has the addresses, the store and
//! the operator's resources of a server that is a process of its own.

use std::future::Future;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mc_runtime::clock::SharedClock;
use mc_runtime::config;
use mc_runtime::health::Health;
use mc_runtime::service::Context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// `[integrated]` of the gateway's configuration: the configuration file of each server that runs in
/// its process, as its own binary would read it with `--config`, overrides of the environment
/// (`KMS__…`) included. Only `[log]` of such a file has no effect: a process has one log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntegratedConfig {
    /// Identity management server (default none).
    pub idms: Option<PathBuf>,
    /// Key management server (default none).
    pub kms: Option<PathBuf>,
    /// Group management server (default none).
    pub gms: Option<PathBuf>,
}

/// Name of a server and how it ended.
type Ended = (&'static str, anyhow::Result<()>);

/// The servers that run beside a gateway.
#[derive(Debug)]
pub(crate) struct Integrated {
    clock: SharedClock,
    stop: CancellationToken,
    running: JoinSet<Ended>,
}

impl Integrated {
    /// Starts the servers; those that the gateway's clients ask first are ready on return.
    ///
    /// # Errors
    /// A configuration file that cannot be used, or a server that does not start.
    pub(crate) async fn start(
        config: &IntegratedConfig,
        context: &Context,
    ) -> anyhow::Result<Self> {
        let mut servers = Self {
            clock: context.clock.clone(),
            stop: CancellationToken::new(),
            running: JoinSet::new(),
        };
        let asked_first = [
            servers.launch("idms", config.idms.as_deref(), idms::run)?,
            servers.launch("kms", config.kms.as_deref(), kms::run)?,
        ];
        // The group management server waits for the other two by itself, as its members do for it.
        servers.launch("gms", config.gms.as_deref(), gms::run)?;
        for health in asked_first.into_iter().flatten() {
            tokio::select! {
                () = health.until_ready() => {}
                () = context.shutdown.cancelled() => break,
                Some(ended) = servers.running.join_next() => return Err(unexpected(ended)),
            }
        }
        Ok(servers)
    }

    fn launch<C, F, Fut>(
        &mut self,
        name: &'static str,
        file: Option<&Path>,
        run: F,
    ) -> anyhow::Result<Option<Health>>
    where
        C: DeserializeOwned,
        F: FnOnce(C, Context) -> Fut,
        Fut: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let Some(file) = file else { return Ok(None) };
        let settings = config::load(file, &name.to_ascii_uppercase())?;
        let health = Health::new(name);
        let server = run(
            settings,
            Context {
                clock: self.clock.clone(),
                shutdown: self.stop.clone(),
                health: health.clone(),
            },
        );
        tracing::info!(server = name, file = %file.display(), "integrated server starts");
        self.running.spawn(async move { (name, server.await) });
        Ok(Some(health))
    }

    /// Runs a gateway beside the servers and stops them after it. A server that ends before stops the
    /// gateway: neither keeps users without the other.
    ///
    /// # Errors
    /// What the gateway or a server ended with.
    pub(crate) async fn beside(
        mut self,
        gateway: impl Future<Output = anyhow::Result<()>>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<()> {
        tokio::pin!(gateway);
        let mut ended = tokio::select! {
            ended = &mut gateway => ended,
            Some(early) = self.running.join_next() => {
                shutdown.cancel();
                let early: anyhow::Result<()> = Err(unexpected(early));
                early.and(gateway.await)
            }
        };
        self.stop.cancel();
        while let Some(server) = self.running.join_next().await {
            ended = ended.and(after_stop(server));
        }
        ended
    }
}

fn unexpected(ended: Result<Ended, JoinError>) -> anyhow::Error {
    match ended {
        Ok((name, Ok(()))) => anyhow::anyhow!("the integrated {name} ended by itself"),
        Ok((name, Err(error))) => error.context(format!("the integrated {name} ended")),
        Err(error) => anyhow::Error::new(error).context("an integrated server ended"),
    }
}

fn after_stop(ended: Result<Ended, JoinError>) -> anyhow::Result<()> {
    let (name, ended) = ended.context("an integrated server")?;
    ended.with_context(|| format!("the integrated {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_that_cannot_start_is_named_with_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("own-kms.toml");
        std::fs::write(&file, "kms_uri = 7\n").unwrap();
        let config = IntegratedConfig {
            kms: Some(file),
            ..IntegratedConfig::default()
        };
        let error = Integrated::start(&config, &Context::new("segy")).await;
        let error = format!("{:#}", error.unwrap_err());
        assert!(
            error.contains("own-kms.toml") && error.contains("kms_uri"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_server_that_ends_stops_the_gateway_and_is_named() {
        let context = Context::new("segy");
        let mut servers = Integrated::start(&IntegratedConfig::default(), &context)
            .await
            .unwrap();
        servers
            .running
            .spawn(async { ("kms", Err(anyhow::anyhow!("disk full"))) });
        let (gateway, shutdown) = (context.shutdown.clone(), context.shutdown.clone());
        let gateway = async move {
            gateway.cancelled().await;
            Ok(())
        };
        let ended = servers.beside(gateway, &shutdown).await.unwrap_err();
        assert_eq!(format!("{ended:#}"), "the integrated kms ended: disk full");
    }

    #[tokio::test]
    async fn servers_end_after_the_gateway() {
        let context = Context::new("segy");
        let mut servers = Integrated::start(&IntegratedConfig::default(), &context)
            .await
            .unwrap();
        let (stop, before) = (servers.stop.clone(), servers.stop.clone());
        servers.running.spawn(async move {
            stop.cancelled().await;
            ("kms", Ok(()))
        });
        let gateway = async move {
            anyhow::ensure!(!before.is_cancelled(), "stopped before the gateway");
            Ok(())
        };
        servers.beside(gateway, &context.shutdown).await.unwrap();
    }
}
