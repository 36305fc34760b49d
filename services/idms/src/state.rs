//! What the handlers share.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mc_runtime::operator::OperatorToken;
use mc_runtime::revocations::Announcer;
use mc_runtime::sealing::SealingKey;
use mc_runtime::{Health, SharedClock};
use rand_core::Rng as _;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::config::{Client, Config, Seeds, UserSeed};
use crate::error::Error;
use crate::password::Passwords;
use crate::scopes::Scopes;
use crate::signing_key::SigningKey;
use crate::store::{AuditEntry, Store, User};
use crate::tokens::{ServiceIds, TokenPolicy};

const SIGNING_KEY_PURPOSE: &str = "token signing key";
const SEALING_VARIABLE: &str = "IDMS_SEALING_KEY";

/// The running IdMS: configuration, store, keys, clock.
#[derive(Clone, Debug)]
pub struct Idms(Arc<Parts>);

/// The parts of an [`Idms`].
#[derive(Debug)]
pub struct Parts {
    /// The configuration, seeds included.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Seals the signing key and login tickets.
    pub sealing_key: SealingKey,
    /// Signs tokens.
    pub signing_key: SigningKey,
    /// Hashes passwords.
    pub passwords: Passwords,
    /// The operator's token, if the configuration asks for one.
    pub operator: Option<OperatorToken>,
    /// Tells others who is revoked, if the configuration asks for it.
    pub announcer: Option<Announcer>,
    /// Issuer, lifetimes, audiences.
    pub policy: TokenPolicy,
    /// Wall-clock time.
    pub clock: SharedClock,
    /// State for `/health`.
    pub health: Health,
}

impl std::ops::Deref for Idms {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

impl Idms {
    /// Opens store and keys, making them at first start, and plants the seeds.
    ///
    /// # Errors
    /// Whatever is wrong with configuration, store or keys.
    pub async fn open(
        mut config: Config,
        clock: SharedClock,
        health: Health,
    ) -> anyhow::Result<Self> {
        if let Some(path) = &config.seed_file {
            let seeds: Seeds = mc_runtime::config::load(path, "IDMS_SEEDS")?;
            config.clients.extend(seeds.clients);
            config.users.extend(seeds.users);
        }
        config.check()?;
        let store = Store::open(&config.database_url).await?;
        let sealing_key = SealingKey::load(
            SEALING_VARIABLE,
            &config.sealing_key_file,
            &mut mc_runtime::rng(),
        )?;
        let signing_key = open_signing_key(&store, &sealing_key, clock.unix_ms()).await?;
        let operator = config.operator_token_file.as_deref();
        let operator = operator.map(|file| OperatorToken::load(file, &mut mc_runtime::rng()));
        let operator = operator.transpose()?;
        let announcer = config.revocation_token_file.as_deref();
        let announcer = announcer.map(|file| Announcer::load(file, &mut mc_runtime::rng()));
        let announcer = announcer.transpose()?;
        let passwords =
            Passwords::new(usize::try_from(config.login.parallel).unwrap_or(usize::MAX))?;
        for seed in &config.users {
            plant_user(&store, &passwords, seed).await?;
        }
        let policy = TokenPolicy {
            issuer: config.issuer(),
            access_token_lifetime_s: i64::from(config.lifetimes.access_token_s),
            audiences: config
                .resource_servers
                .iter()
                .flat_map(|server| {
                    server
                        .scopes
                        .iter()
                        .map(|s| (s.clone(), server.audience.clone()))
                })
                .collect(),
        };
        tracing::info!(
            kid = signing_key.kid(),
            issuer = policy.issuer,
            "signing key in use"
        );
        Ok(Self(Arc::new(Parts {
            config,
            store,
            sealing_key,
            signing_key,
            passwords,
            operator,
            announcer,
            policy,
            clock,
            health,
        })))
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn now_s(&self) -> i64 {
        self.clock.unix_ms().div_euclid(1000)
    }

    /// The registered client of that identifier.
    #[must_use]
    pub fn client(&self, client_id: &str) -> Option<&Client> {
        self.config
            .clients
            .iter()
            .find(|client| client.client_id == client_id)
    }

    /// Makes an account, or updates all but the password of the one with that name.
    ///
    /// # Errors
    /// The store's, or a password that cannot be hashed.
    pub async fn plant_user(&self, seed: &UserSeed) -> anyhow::Result<()> {
        plant_user(&self.store, &self.passwords, seed).await
    }

    /// Who is revoked has changed: others are told.
    pub(crate) fn tell_revocations(&self) {
        if let Some(announcer) = &self.announcer {
            announcer.changed();
        }
    }

    /// Refuses an MC service ID that gets no token any more.
    ///
    /// # Errors
    /// [`Error::InvalidGrant`], or the store's.
    pub async fn refuse_revoked(&self, mcptt_id: &str) -> Result<(), Error> {
        match self.store.is_revoked(mcptt_id).await? {
            true => Err(Error::InvalidGrant("the user is revoked")),
            false => Ok(()),
        }
    }

    /// Writes to the audit log; a failing log is reported but does not stop the service.
    pub async fn audit(&self, entry: AuditEntry<'_>) {
        tracing::info!(
            event = entry.event,
            client = entry.client_id,
            detail = entry.detail,
            "audit"
        );
        tracing::debug!(
            event = entry.event,
            sub = entry.sub,
            address = entry.address,
            "audit"
        );
        if let Err(error) = self.store.put_audit(&entry, self.clock.unix_ms()).await {
            tracing::error!(%error, "audit log not written");
        }
    }
}

/// A fresh unguessable value, 256 bits as base64url.
#[must_use]
pub fn random_token() -> String {
    let mut octets = Zeroizing::new([0u8; 32]);
    mc_runtime::rng().fill_bytes(octets.as_mut());
    URL_SAFE_NO_PAD.encode(octets.as_slice())
}

async fn open_signing_key(
    store: &Store,
    sealing_key: &SealingKey,
    now_ms: i64,
) -> anyhow::Result<SigningKey> {
    if store.signing_key().await?.is_none() {
        let der = SigningKey::generate(&mut mc_runtime::rng())?;
        let kid = SigningKey::from_pkcs8(&der)?.kid().to_owned();
        let sealed = sealing_key.seal(SIGNING_KEY_PURPOSE, &der, &mut mc_runtime::rng())?;
        store.put_signing_key(&kid, &sealed, now_ms).await?;
        tracing::info!(kid, "signing key made");
    }
    let sealed = store.signing_key().await?.unwrap_or_default();
    Ok(SigningKey::from_pkcs8(
        &sealing_key.open(SIGNING_KEY_PURPOSE, &sealed)?,
    )?)
}

async fn plant_user(store: &Store, passwords: &Passwords, seed: &UserSeed) -> anyhow::Result<()> {
    let known = store.user_by_name(&seed.username).await?;
    let password_hash = match (known, &seed.password_hash, &seed.password) {
        (Some(user), _, _) => user.password_hash,
        (None, Some(hash), _) => hash.clone(),
        (None, None, password) => {
            let text = password
                .as_ref()
                .map(|p| p.expose().to_owned())
                .unwrap_or_default();
            passwords.hash(Zeroizing::new(text)).await?
        }
    };
    let user = User {
        sub: Uuid::new_v4().to_string(),
        username: seed.username.clone(),
        password_hash,
        services: ServiceIds {
            mcptt_id: seed.mcptt_id.clone(),
            mcvideo_id: seed.mcvideo_id.clone(),
            mcdata_id: seed.mcdata_id.clone(),
        },
        scopes: seed.scopes.iter().cloned().collect::<Scopes>(),
        disabled: seed.disabled,
    };
    Ok(store.put_user(&user).await?)
}
