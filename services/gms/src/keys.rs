//! The server's own key sets and the certificates of partner domains: fetched at start, kept current.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mc_client::keys::{KeyRing, KmsClient};
use mc_client::login::{Login, TokenSource};
use mc_runtime::auth::SCOPE_KMS;
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use tokio::sync::{Notify, watch};

use crate::config::Config;

/// Seconds between two attempts while something is missing.
const RETRY: Duration = Duration::from_secs(1);
/// Time between two questions for certificates that are missed: a group may have members whose
/// domain is not trusted for a long time.
const ASK_PAUSE: Duration = Duration::from_secs(1);
/// Seconds between two looks at a working key ring.
const WATCH: Duration = Duration::from_secs(60);

/// The key ring as it comes, and the means to ask for newer certificates of partner domains.
#[derive(Clone, Debug)]
pub struct KeyWatch {
    ring: watch::Receiver<Option<Arc<KeyRing>>>,
    missed: Arc<Notify>,
    asked: Arc<Mutex<Option<Question>>>,
}

/// When a newer key ring was asked for, and which there was then.
#[derive(Debug)]
struct Question {
    at: Instant,
    held: Arc<KeyRing>,
}

/// What is to be done about certificates that are missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missed {
    /// Ask for them.
    Ask,
    /// They have been asked for, and the answer is not there yet.
    Await,
    /// The answer came a moment ago.
    Answered,
}

/// The other end of a [`KeyWatch`].
#[derive(Debug)]
pub struct KeySender {
    ring: watch::Sender<Option<Arc<KeyRing>>>,
    missed: Arc<Notify>,
}

/// Both ends, without a key ring yet.
#[must_use]
pub fn channel() -> (KeySender, KeyWatch) {
    let (sender, receiver) = watch::channel(None);
    let missed = Arc::new(Notify::new());
    let watch = KeyWatch {
        ring: receiver,
        missed: missed.clone(),
        asked: Arc::default(),
    };
    let ring = sender;
    (KeySender { ring, missed }, watch)
}

impl KeySender {
    /// Hands out a key ring.
    pub fn send(&self, ring: KeyRing) {
        self.ring.send_replace(Some(Arc::new(ring)));
    }

    /// Waits until somebody misses a certificate.
    pub async fn missed(&self) {
        self.missed.notified().await;
    }

    fn held(&self) -> Option<Arc<KeyRing>> {
        self.ring.borrow().clone()
    }
}

impl KeyWatch {
    /// The key ring, if it came.
    #[must_use]
    pub fn now(&self) -> Option<Arc<KeyRing>> {
        self.ring.borrow().clone()
    }

    /// The next key ring.
    ///
    /// # Errors
    /// When no more will come.
    pub async fn changed(&mut self) -> Result<(), watch::error::RecvError> {
        self.ring.changed().await
    }

    /// The key ring for a message to one of a group's members: when it lacks the certificate of a KMS
    /// that answers for the receiver or another member, the KMS is asked, because trust may have come
    /// since the last look. `None` when there is no key ring within `patience`.
    pub async fn ring_for(
        &self,
        receiver: &str,
        members: &[&str],
        patience: Duration,
    ) -> Option<Arc<KeyRing>> {
        let mut ring = self.ring.clone();
        let found = async {
            let first = ring.wait_for(Option::is_some).await.ok()?.clone()?;
            let known = |user: &str| first.certificate_for(user).is_some();
            let all = known(receiver) && members.iter().all(|member| known(member));
            if all {
                return Some(first);
            }
            match self.about_missed(&first) {
                // The receiver gets no key without one; about others the question can wait.
                Missed::Answered if known(receiver) => return Some(first),
                Missed::Await => {}
                Missed::Answered | Missed::Ask => self.missed.notify_one(),
            }
            // Nobody to ask: what is there has to do.
            let _asked = tokio::time::timeout(patience / 2, ring.changed()).await;
            let newer = ring.borrow().clone();
            newer.or(Some(first))
        };
        tokio::time::timeout(patience, found).await.ok().flatten()
    }

    /// What to do, and notes that it is done.
    fn about_missed(&self, held: &Arc<KeyRing>) -> Missed {
        let now = Instant::now();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let recent = asked
            .as_ref()
            .filter(|question| now.duration_since(question.at) < ASK_PAUSE);
        match recent {
            Some(question) if Arc::ptr_eq(&question.held, held) => Missed::Await,
            Some(_) => Missed::Answered,
            None => {
                *asked = Some(Question {
                    at: now,
                    held: held.clone(),
                });
                Missed::Ask
            }
        }
    }
}

/// Logs in, fetches key sets and renews them until the context stops it. Health tells what is
/// missing.
pub async fn keep(config: Config, context: Context, tracer: Tracer, sender: KeySender) {
    let stop = context.shutdown.clone();
    let work = async {
        let tokens = loop {
            match log_in(&config, &context).await {
                Ok(tokens) => break tokens,
                Err(error) => tracing::warn!(%error, "log-in failed, trying again"),
            }
            tokio::time::sleep(RETRY).await;
        };
        context.health.arrived("idms");
        let source = Source {
            config,
            context,
            tracer,
            tokens,
        };
        loop {
            match source.newer(sender.held().as_deref()).await {
                Ok(ring) => {
                    sender.send(ring);
                    source.context.health.arrived("kms");
                }
                Err(error) => tracing::warn!(%error, "no key sets, trying again"),
            }
            let pause = match sender.held() {
                Some(_) => WATCH,
                None => RETRY,
            };
            // In time, or when a certificate is missed.
            let _elapsed = tokio::time::timeout(pause, sender.missed()).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

struct Source {
    config: Config,
    context: Context,
    tracer: Tracer,
    tokens: TokenSource,
}

impl Source {
    /// The key ring there is with the partners' certificates of now, or a new one when its key
    /// period is over.
    async fn newer(&self, held: Option<&KeyRing>) -> anyhow::Result<KeyRing> {
        let token = self.tokens.token(SCOPE_KMS).await?;
        let http = mc_runtime::http::client(&self.config.client)?;
        let clock = self.context.clock.clone();
        let (config, tracer) = (self.config.kms.clone(), self.tracer.clone());
        let node = tracer.node().to_owned();
        let kms = KmsClient::new(config, http, clock.clone(), tracer, &node);
        let user = self.config.uri.as_str();
        let current = held.filter(|ring| ring.current(user, clock.ntp()).is_some());
        let Some(current) = current else {
            let ring = kms.fetch(token.secret(), user).await?;
            tracing::info!("key sets validated");
            return Ok(ring);
        };
        let mut ring = current.clone();
        if kms.renew_partners(token.secret(), user, &mut ring).await? {
            tracing::info!("certificates of partner domains changed");
        }
        Ok(ring)
    }
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
