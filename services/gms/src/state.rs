//! What the parts of the server share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use mc_ids::{McServiceId, NtpTime};
use mc_runtime::auth::{SCOPE_GMS, TokenVerifier};
use mc_runtime::revocations::{self, Revoked};
use mc_runtime::sealing::SealingKey;
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use mc_runtime::{Health, SharedClock};
use mc_sip::Dialog;
use mc_trace::{Event, names};
use tokio::sync::{mpsc, watch};

use crate::access::acting_identity;
use crate::assertions::Assertions;
use crate::config::Config;
use crate::delivery::Job;
use crate::dialogs;
use crate::error::Refusal;
use crate::keys::KeyWatch;
use crate::store::Store;

const SEALING_VARIABLE: &str = "GMS_SEALING_KEY";

/// The running group management server; cheap to clone.
#[derive(Clone, Debug)]
pub struct Gms(Arc<Parts>);

/// The parts of a [`Gms`].
#[derive(Debug)]
pub struct Parts {
    /// The configuration.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Seals GMKs.
    pub sealing_key: SealingKey,
    /// Checks access tokens.
    pub verifier: TokenVerifier,
    /// This server's own key sets, once they came.
    pub keys: KeyWatch,
    /// Users who are revoked, as other servers say.
    pub revoked: watch::Receiver<Revoked>,
    /// Wall-clock time.
    pub clock: SharedClock,
    /// State for `/health`.
    pub health: Health,
    /// Trace outputs.
    pub tracer: Tracer,
    /// What members are to be told, in order.
    pub jobs: mpsc::UnboundedSender<Job>,
    /// Changes to groups and keys happen one at a time.
    pub changes: tokio::sync::Mutex<()>,
    dialogs: Mutex<HashMap<String, Dialog>>,
    last_time: AtomicU64,
    assertions: Assertions,
}

impl std::ops::Deref for Gms {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Gms {
    /// Opens the store; `keys` brings the server's own key sets. The returned queue holds what
    /// members are to be told.
    ///
    /// # Errors
    /// Whatever is wrong with configuration or store.
    pub async fn open(
        config: Config,
        context: &Context,
        tracer: Tracer,
        keys: KeyWatch,
    ) -> anyhow::Result<(Self, mpsc::UnboundedReceiver<Job>)> {
        let store = Store::open(&config.database_url).await?;
        let mut rng = mc_runtime::rng();
        let sealing_key = SealingKey::load(SEALING_VARIABLE, &config.sealing_key_file, &mut rng)?;
        let http = mc_runtime::http::client(&config.client)?;
        let revoked = revocations::follow(&config.revocations, &http, &context.shutdown);
        let verifier = TokenVerifier::new(config.tokens.clone(), http, context.clock.clone());
        let (jobs, mut queue) = mpsc::unbounded_channel();
        let assertions = Assertions::of(&config.representations);
        let gms = Self(Arc::new(Parts {
            config,
            store,
            sealing_key,
            verifier,
            keys,
            revoked,
            clock: context.clock.clone(),
            health: context.health.clone(),
            tracer,
            jobs,
            changes: tokio::sync::Mutex::new(()),
            dialogs: Mutex::default(),
            last_time: AtomicU64::new(0),
            assertions,
        }));
        gms.plant_groups().await?;
        // Nobody can have subscribed to a group before it was there.
        while queue.try_recv().is_ok() {}
        gms.restore_dialogs().await?;
        Ok((gms, queue))
    }

    async fn restore_dialogs(&self) -> anyhow::Result<()> {
        let subscriptions = self.store.subscriptions(self.clock.unix_ms()).await?;
        for subscription in &subscriptions {
            if let Some(dialog) = dialogs::restored(&subscription.dialog, self.clock.unix_s()) {
                self.put_dialog(&subscription.id, dialog);
            }
        }
        Ok(())
    }

    /// The subscriptions this process has a dialog of.
    pub(crate) fn subscribed(&self) -> Vec<String> {
        self.dialogs().keys().cloned().collect()
    }

    /// Has everybody who subscribed before the start told where things stand, once there are keys to
    /// do it with: changes may have been acknowledged that nobody heard of.
    pub(crate) async fn catch_up(self, known: Vec<String>, mut keys: KeyWatch) {
        while keys.now().is_none() {
            if keys.changed().await.is_err() {
                return;
            }
        }
        if !known.is_empty() {
            tracing::info!(
                subscriptions = known.len(),
                "telling subscribers where things stand"
            );
            self.tell(Job::Restarted(known));
        }
        if let Err(error) = self.resume_revocations().await {
            tracing::error!(%error, "revocations of before the start are not told");
        }
    }
}

impl Parts {
    /// The MCPTT ID of an access token that is valid here.
    ///
    /// # Errors
    /// [`Refusal::Token`].
    pub async fn identity_of(&self, token: &str) -> Result<McServiceId, Refusal> {
        let verified = self.verifier.verify(token, SCOPE_GMS).await;
        let verified = verified.map_err(|e| Refusal::Token(e.into()))?;
        self.refuse_revoked(&verified.mcptt_id)?;
        Ok(verified.mcptt_id)
    }

    /// Who is revoked, by a server that may say so, has no part here whatever token he holds.
    fn refuse_revoked(&self, user: &McServiceId) -> Result<(), Refusal> {
        match self.revoked.borrow().contains(user) {
            true => Err(Refusal::Forbidden("the user is revoked")),
            false => Ok(()),
        }
    }

    /// A time for a message: now, but later than every earlier one, because receivers take a
    /// repeated time of one sender for a replay (RFC 3830 5.4).
    pub fn message_time(&self) -> NtpTime {
        let now = NtpTime::from_unix(self.clock.unix()).0;
        let next = |last: u64| Some(now.max(last.wrapping_add(1)));
        let last = self
            .last_time
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, next)
            .unwrap_or_else(|last| last);
        NtpTime(now.max(last.wrapping_add(1)))
    }

    /// Counts, logs and audits a refusal.
    pub async fn refused(&self, refusal: &Refusal, actor: Option<&str>, group: Option<&str>) {
        let detail = refusal.to_string();
        tracing::info!(group, detail, "refused");
        let event = Event::local(&names::GMS_REFUSED, detail.clone());
        self.tracer.emit(event);
        self.audit("refused", actor, group, &detail).await;
    }

    /// Whom a request acts for: its token's user, or one that this may assert. A refusal is counted,
    /// logged and audited here.
    ///
    /// # Errors
    /// [`Refusal::Assertion`].
    pub async fn acting(
        &self,
        authenticated: &McServiceId,
        asserted: Option<&str>,
    ) -> Result<McServiceId, Refusal> {
        let lists = &self.config.representations;
        let acting = acting_identity(lists, authenticated, asserted);
        if let Some(asserted) = asserted {
            let accepted = acting.is_ok();
            self.assertions.count(authenticated, accepted);
            if !accepted {
                tracing::warn!(peer = %authenticated, asserted, "assertion outside the list");
            }
        }
        let refused = match acting {
            Ok(identity) => return self.refuse_revoked(&identity).map(|()| identity),
            Err(foreign) => Refusal::Assertion(foreign),
        };
        self.refused(&refused, Some(authenticated.as_str()), None)
            .await;
        Err(refused)
    }

    /// How often identities of others were asserted since the start, and by whom.
    #[must_use]
    pub const fn assertions(&self) -> &Assertions {
        &self.assertions
    }

    /// Writes to the audit log; a failing log is reported but does not stop the service.
    pub async fn audit(&self, event: &str, actor: Option<&str>, group: Option<&str>, detail: &str) {
        let now_ms = self.clock.unix_ms();
        if let Err(error) = self
            .store
            .put_audit(event, actor, group, detail, now_ms)
            .await
        {
            tracing::error!(%error, "audit log not written");
        }
    }

    /// Keeps the dialog of a subscription.
    pub fn put_dialog(&self, id: &str, dialog: Dialog) {
        self.dialogs().insert(id.to_owned(), dialog);
    }

    /// Forgets the dialog of a subscription.
    pub fn remove_dialog(&self, id: &str) -> Option<Dialog> {
        self.dialogs().remove(id)
    }

    /// Works on the dialog of a subscription, if this process has it.
    pub fn with_dialog<T>(&self, id: &str, work: impl FnOnce(&mut Dialog) -> T) -> Option<T> {
        self.dialogs().get_mut(id).map(work)
    }

    fn dialogs(&self) -> std::sync::MutexGuard<'_, HashMap<String, Dialog>> {
        self.dialogs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
