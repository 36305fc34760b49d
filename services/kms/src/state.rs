//! What the handlers share: configuration, master secrets, store, and the issuing of key sets.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use kms_protocol::{CertCache, KeySet, KmsCertificate, Role, UserIdEncoding, fingerprint};
use mc_ids::KeyPeriod;
use mc_ids::annex_f::Uid;
use mc_runtime::auth::{TokenVerifier, VerifiedToken};
use mc_runtime::clock::SharedClock;
use mc_runtime::health::Health;
use mc_runtime::operator::OperatorToken;
use mc_runtime::revocations::{self, Announcer, Revoked};
use mc_runtime::sealing::SealingKey;
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use time::OffsetDateTime;
use tokio::sync::{Mutex, Semaphore, watch};
use zeroize::Zeroizing;

use crate::config::{Config, RepeatedRequest, UserIdForm};
use crate::error::Refusal;
use crate::issue::Issue;
use crate::master::{IssuedKeys, Master};
use crate::partners::{Import, PartnerRefused};
use crate::store::{AuditEntry, MasterRow, Store, StoredPartner};

/// A partner domain, as it was taken over.
#[derive(Clone, Debug)]
pub struct Partner {
    /// Its certificate, bound to its domains.
    pub certificate: KmsCertificate,
    /// SHA-256 of the document the operator handed over.
    pub fingerprint: String,
    /// When that was, milliseconds since 1970.
    pub imported_ms: i64,
}

/// Why a partner's certificate was not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is not acceptable.
    #[error(transparent)]
    Refused(#[from] PartnerRefused),
    /// Something failed here.
    #[error(transparent)]
    Store(#[from] anyhow::Error),
}

const SEAL_KSAK: &str = "kms master ksak";
const SEAL_Z: &str = "kms master z";

/// Issues computed at the same time; each takes a core.
const PARALLEL_ISSUES: usize = 4;

/// The state of the KMS; cheap to clone.
#[derive(Clone, Debug)]
pub struct Kms(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    period: KeyPeriod,
    clock: SharedClock,
    health: Health,
    tracer: Tracer,
    store: Store,
    seal: SealingKey,
    master: Arc<Master>,
    certificate: KmsCertificate,
    verifier: TokenVerifier,
    operator: Option<OperatorToken>,
    announcer: Option<Announcer>,
    revoked: watch::Receiver<Revoked>,
    importing: Mutex<()>,
    computing: Semaphore,
}

impl Kms {
    /// Opens the store, makes or reads the master secrets, and checks them.
    ///
    /// # Errors
    /// Whatever is wrong with configuration, store or keys.
    pub async fn open(config: Config, context: &Context, tracer: Tracer) -> anyhow::Result<Self> {
        config.check()?;
        let mut rng = mc_runtime::rng();
        let seal = SealingKey::load("KMS_SEALING_KEY", &config.sealing_key_file, &mut rng)?;
        let periods = &config.key_period;
        let period = KeyPeriod::new(periods.user_key_period_s, periods.user_key_offset_s)?;
        let store = Store::open(&config.database_url).await?;
        let row = master_row(&store, &seal, &config, period, &context.clock).await?;
        let master = Arc::new(open_master(&seal, &row)?);
        let checked = master.clone();
        tokio::task::spawn_blocking(move || self_test(&checked)).await??;
        let certificate = certificate(&config, period, &master, &row)?;
        let operator = config.operator_token_file.as_deref();
        let operator = operator.map(|file| OperatorToken::load(file, &mut rng));
        let operator = operator.transpose()?;
        let announcer = config.revocation_token_file.as_deref();
        let announcer = announcer.map(|file| Announcer::load(file, &mut rng));
        let announcer = announcer.transpose()?;
        if let Some(announcer) = &announcer {
            announcer.close_with(context.shutdown.clone());
        }
        let http = mc_runtime::http::client(&config.client)?;
        let revoked = revocations::follow(&config.revocations, &http, &context.shutdown);
        let verifier = TokenVerifier::new(config.tokens.clone(), http, context.clock.clone());
        Ok(Self(Arc::new(Inner {
            config,
            period,
            clock: context.clock.clone(),
            health: context.health.clone(),
            tracer,
            store,
            seal,
            master,
            certificate,
            verifier,
            operator,
            announcer,
            revoked,
            importing: Mutex::new(()),
            computing: Semaphore::new(PARALLEL_ISSUES),
        })))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// Wall-clock time.
    #[must_use]
    pub fn clock(&self) -> &SharedClock {
        &self.0.clock
    }

    /// Now as a date.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + self.0.clock.unix()
    }

    /// Now in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.clock.unix_ms()
    }

    /// The operator's token, if the configuration asks for one.
    #[must_use]
    pub fn operator(&self) -> Option<&OperatorToken> {
        self.0.operator.as_ref()
    }

    /// Tells others who is revoked, if the configuration asks for it.
    #[must_use]
    pub fn announcer(&self) -> Option<&Announcer> {
        self.0.announcer.as_ref()
    }

    /// Whether another server has revoked a user.
    pub(crate) fn is_revoked_elsewhere(&self, identity: &str) -> bool {
        let revoked = self.0.revoked.borrow();
        revoked.iter().any(|user| user.as_str() == identity)
    }

    /// Own health.
    #[must_use]
    pub fn health(&self) -> &Health {
        &self.0.health
    }

    /// Where protocol messages are reported.
    #[must_use]
    pub fn tracer(&self) -> &Tracer {
        &self.0.tracer
    }

    /// The database.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Key periods.
    #[must_use]
    pub fn period(&self) -> KeyPeriod {
        self.0.period
    }

    /// Own certificate.
    #[must_use]
    pub fn certificate(&self) -> &KmsCertificate {
        &self.0.certificate
    }

    /// Own certificate as partners import it: the same octets at every call.
    #[must_use]
    pub fn certificate_document(&self) -> String {
        let mut certificate = self.0.certificate.clone();
        certificate.role = Some(Role::External);
        certificate.to_element().to_document()
    }

    /// Checker of access tokens.
    #[must_use]
    pub fn verifier(&self) -> &TokenVerifier {
        &self.0.verifier
    }

    /// The identities a token entitles to: its MC service IDs and what is bound to them.
    #[must_use]
    pub fn identities(&self, token: &VerifiedToken) -> BTreeSet<String> {
        let own = token.service_ids.iter().map(|id| id.as_str().to_owned());
        let bound = self.0.config.bound_identities.iter();
        let bound = bound.filter(|bound| token.service_ids.contains(&bound.mcptt_id));
        own.chain(bound.flat_map(|bound| bound.identities.iter().cloned()))
            .collect()
    }

    /// The key sets of identities for some key periods, made when they are asked for the first time.
    ///
    /// # Errors
    /// [`Refusal`] for an identity of another domain or a revoked one; the store's or the
    /// computation's.
    pub async fn key_sets(
        &self,
        identities: &BTreeSet<String>,
        periods: &[u64],
    ) -> Result<Vec<KeySet>, Refusal> {
        let inner = &*self.0;
        let mut issues = Vec::new();
        for user_uri in identities {
            self.admit(user_uri).await?;
            issues.extend(periods.iter().map(|number| Issue {
                kms_uri: &inner.config.kms_uri,
                cert_uri: inner.certificate.cert_uri.as_deref().unwrap_or_default(),
                period: inner.period,
                user_uri,
                number: *number,
            }));
        }
        let keys = self.keys(&issues).await?;
        // Whoever was revoked while the keys were computed does not get them either.
        for user_uri in identities {
            self.admit(user_uri).await?;
        }
        let encoding = match inner.config.profile.user_id {
            UserIdForm::Base64 => UserIdEncoding::Base64,
            UserIdForm::Hex => UserIdEncoding::Hex,
        };
        let issued = issues.iter().zip(&keys);
        Ok(issued
            .map(|(issue, keys)| issue.key_set(keys, encoding))
            .collect())
    }

    /// The stored keys; those that there are none of are computed together.
    async fn keys(&self, issues: &[Issue<'_>]) -> anyhow::Result<Vec<IssuedKeys>> {
        let replace = self.0.config.profile.repeated_request == RepeatedRequest::Fresh;
        let mut all = Vec::with_capacity(issues.len());
        let mut missing = Vec::new();
        for issue in issues {
            let stored = match replace {
                true => None,
                false => self.stored(issue).await?,
            };
            if stored.is_none() {
                missing.push(issue.uid());
            }
            all.push(stored);
        }
        let mut computed = self.compute(missing).await?.into_iter();
        for (issue, keys) in issues.iter().zip(&mut all) {
            if keys.is_none() {
                let new = computed.next().context("keys not computed")?;
                *keys = Some(self.kept(issue, new, replace).await?);
            }
        }
        let all: Option<Vec<_>> = all.into_iter().collect();
        all.context("keys not computed")
    }

    async fn stored(&self, issue: &Issue<'_>) -> anyhow::Result<Option<IssuedKeys>> {
        let (name, purpose) = names(issue);
        let sealed = self.0.store.issued(&name).await?;
        let open = |sealed: Vec<u8>| opened(&self.0.seal, &purpose, &sealed);
        sealed.map(open).transpose()
    }

    /// Stores new keys; what is to be handed out afterwards.
    async fn kept(
        &self,
        issue: &Issue<'_>,
        keys: IssuedKeys,
        replace: bool,
    ) -> anyhow::Result<IssuedKeys> {
        let inner = &*self.0;
        let (name, purpose) = names(issue);
        let mut rng = mc_runtime::rng();
        let sealed = inner.seal.seal(&purpose, keys.octets(), &mut rng)?;
        let number = i64::try_from(issue.number)?;
        let row = (name.as_str(), issue.user_uri, number);
        let now_ms = inner.clock.unix_ms();
        inner.store.put_issued(row, sealed, now_ms, replace).await?;
        if replace {
            return Ok(keys);
        }
        // Two requests at once: both answer with what was stored first.
        let stored = self.stored(issue).await?;
        stored.context("keys not stored")
    }

    async fn compute(&self, uids: Vec<Uid>) -> anyhow::Result<Vec<IssuedKeys>> {
        if uids.is_empty() {
            return Ok(Vec::new());
        }
        let _permit = self.0.computing.acquire().await?;
        let master = self.0.master.clone();
        let compute = move || master.issue(&uids, &mut mc_runtime::rng());
        Ok(tokio::task::spawn_blocking(compute).await??)
    }

    /// Certificates of other domains, none when the client holds the current version.
    ///
    /// # Errors
    /// The store's.
    pub async fn cert_cache(&self, held: Option<u64>) -> anyhow::Result<CertCache> {
        let (version, stored) = self.0.store.external_certificates().await?;
        let version = u64::try_from(version)?;
        let certificates = if held == Some(version) {
            Vec::new()
        } else {
            let read = |one: &StoredPartner| KmsCertificate::parse(one.document.as_bytes());
            stored.iter().map(read).collect::<Result<_, _>>()?
        };
        Ok(CertCache {
            cache_num: Some(version),
            certificates,
        })
    }

    /// The partner domains, revoked ones included.
    ///
    /// # Errors
    /// The store's.
    pub async fn partners(&self) -> Result<Vec<Partner>, Refusal> {
        let (_, stored) = self.0.store.external_certificates().await?;
        let read = |one: StoredPartner| -> anyhow::Result<Partner> {
            Ok(Partner {
                certificate: KmsCertificate::parse(one.document.as_bytes())?,
                fingerprint: one.fingerprint,
                imported_ms: one.imported_ms,
            })
        };
        Ok(stored.into_iter().map(read).collect::<Result<_, _>>()?)
    }

    /// Takes over the certificate of a partner domain; clients get it with their next look at the
    /// cache.
    ///
    /// # Errors
    /// [`ImportError`]; nothing changed then.
    //= TS 33.180 L.3.2
    pub async fn import_partner(&self, import: &Import<'_>) -> Result<KmsCertificate, ImportError> {
        // One at a time: the next one is compared with this one's domains.
        let _importing = self.0.importing.lock().await;
        let known = self.partners().await.map_err(anyhow::Error::from)?;
        let known: Vec<_> = known.into_iter().map(|p| p.certificate).collect();
        let certificate = import.check(&self.0.config, &known, self.now())?;
        self.keep_partner(&certificate, fingerprint(import.document))
            .await?;
        tracing::warn!(kms_uri = %certificate.kms_uri, "partner domain trusted");
        Ok(certificate)
    }

    /// Ends the trust in a partner domain; whether there was one. Clients get its certificate marked
    /// as revoked.
    ///
    /// # Errors
    /// The store's.
    //= TS 33.180 D.3.2.2
    pub async fn revoke_partner(&self, kms_uri: &str) -> Result<bool, Refusal> {
        let _importing = self.0.importing.lock().await;
        let mut all = self.partners().await?.into_iter();
        let Some(mut partner) = all.find(|p| p.certificate.kms_uri.as_str() == kms_uri) else {
            return Ok(false);
        };
        partner.certificate.revoked = true;
        self.keep_partner(&partner.certificate, partner.fingerprint)
            .await?;
        tracing::warn!(kms_uri, "partner domain no longer trusted");
        Ok(true)
    }

    async fn keep_partner(
        &self,
        certificate: &KmsCertificate,
        fingerprint: String,
    ) -> anyhow::Result<()> {
        let stored = StoredPartner {
            document: certificate.to_element().to_document(),
            fingerprint,
            imported_ms: self.now_ms(),
        };
        let (store, kms_uri) = (&self.0.store, certificate.kms_uri.as_str());
        Ok(store.put_external_certificate(kms_uri, &stored).await?)
    }

    /// Writes to log and audit table; a failing table is reported but does not stop the service.
    pub async fn audit(&self, entry: AuditEntry<'_>) {
        let AuditEntry {
            correlation_id,
            action,
            outcome,
            actor,
        } = &entry;
        tracing::info!(correlation_id, action, outcome, "request");
        tracing::debug!(correlation_id, actor, "request");
        if let Err(error) = self.0.store.put_audit(&entry, self.0.clock.unix_ms()).await {
            tracing::error!(%error, "audit log not written");
        }
    }
}

fn opened(seal: &SealingKey, purpose: &str, sealed: &[u8]) -> anyhow::Result<IssuedKeys> {
    let octets = seal.open(purpose, sealed)?;
    IssuedKeys::from_octets(octets).ok_or_else(|| anyhow!("stored keys have a wrong length"))
}

async fn master_row(
    store: &Store,
    seal: &SealingKey,
    config: &Config,
    period: KeyPeriod,
    clock: &SharedClock,
) -> anyhow::Result<MasterRow> {
    if let Some(row) = store.master().await? {
        return Ok(row);
    }
    let mut rng = mc_runtime::rng();
    let master = Master::generate(&mut rng)?;
    let start = period.start_of(period.number_at(clock.ntp()));
    let start = crate::issue::date_of_ntp_s(start).context("start of the key period")?;
    let lifetime_ms = i64::try_from(config.key_period.certificate_lifetime_s)?.saturating_mul(1000);
    let row = MasterRow {
        ksak: seal.seal(SEAL_KSAK, &master.ksak_octets(), &mut rng)?,
        z: seal.seal(SEAL_Z, &master.z_octets(), &mut rng)?,
        cert_uri: format!("cert1.{}", config.kms_uri),
        valid_from_ms: start.unix_timestamp().saturating_mul(1000),
        valid_to_ms: clock.unix_ms().saturating_add(lifetime_ms),
    };
    store.put_master(&row).await?;
    tracing::info!(cert_uri = row.cert_uri, "master secrets generated");
    store.master().await?.context("master secrets not stored")
}

/// What the keys of a UID are stored under, and what their sealing is for.
fn names(issue: &Issue<'_>) -> (String, String) {
    let name = hex::encode(issue.uid().octets());
    let purpose = format!("kms issued {name}");
    (name, purpose)
}

fn open_master(seal: &SealingKey, row: &MasterRow) -> anyhow::Result<Master> {
    let open = |purpose: &str, sealed: &[u8]| -> anyhow::Result<Zeroizing<Vec<u8>>> {
        seal.open(purpose, sealed)
            .context("the master secrets were sealed under another key")
    };
    Ok(Master::from_octets(
        &open(SEAL_KSAK, &row.ksak)?,
        &open(SEAL_Z, &row.z)?,
    )?)
}

/// Issues to an identity nobody has, and checks the result as a client would.
fn self_test(master: &Master) -> anyhow::Result<()> {
    let uid = Uid([0x5a; 32]);
    let keys = master.issue(&[uid], &mut mc_runtime::rng())?;
    let keys = keys.first().context("no keys issued")?;
    master
        .validate(&uid, keys)
        .context("issued keys do not validate")
}

fn certificate(
    config: &Config,
    period: KeyPeriod,
    master: &Master,
    row: &MasterRow,
) -> anyhow::Result<KmsCertificate> {
    let date = |ms: i64| OffsetDateTime::from_unix_timestamp(ms / 1000);
    Ok(KmsCertificate {
        role: Some(Role::Root),
        is_security_gateway: config.is_security_gateway,
        id: None,
        cert_uri: Some(row.cert_uri.clone()),
        kms_uri: config.kms_uri.clone(),
        issuer: Some(config.kms_uri.as_str().to_owned()),
        valid_from: Some(date(row.valid_from_ms)?),
        valid_to: Some(date(row.valid_to_ms)?),
        revoked: false,
        user_id_format: "2".to_owned(),
        period,
        pub_enc_key: master.pub_enc_key(),
        pub_auth_key: master.pub_auth_key(),
        parameter_set: Some(1),
        domains: config.domains.clone(),
    })
}
