//! The server's own keys: the MDSI key set that opens CSKs (TS 33.180 5.4).

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::future::BoxFuture;
use mc_client::keys::{KeyRing, KeysError, KmsClient};
use mc_client::login::{PartnerConfig, TokenSource};
use mc_client::{MikeyConfig, log_variants};
use mc_ids::McServiceId;
use mc_runtime::auth::{SCOPE_GMS, SCOPE_KMS};
use mc_runtime::{CancellationToken, SharedClock};
use mikey::{DistributedKey, Opened, ReplayCache, Unverified};

use crate::authorisation::{CskOpener, CskRefused, DeliveredCsk};
use crate::groups::BearerToken;

/// Messages remembered against replay.
const REPLAY_CAPACITY: usize = 65_536;

/// Opens I_MESSAGEs with the server's key ring.
#[derive(Debug)]
pub struct ServerKeys {
    ring: RwLock<KeyRing>,
    replay: Mutex<ReplayCache>,
    max_skew: Duration,
    overlooked: MikeyConfig,
    clock: SharedClock,
}

impl ServerKeys {
    /// Keys of one ring, to open messages that were made at most `max_skew` from now.
    #[must_use]
    pub fn new(
        ring: KeyRing,
        max_skew: Duration,
        overlooked: MikeyConfig,
        clock: SharedClock,
    ) -> Arc<Self> {
        let replay = Mutex::new(ReplayCache::new(REPLAY_CAPACITY));
        Arc::new(Self {
            ring: RwLock::new(ring),
            replay,
            max_skew,
            overlooked,
            clock,
        })
    }

    /// Takes over newer key sets.
    pub fn renew(&self, newer: KeyRing) {
        let now = self.clock.ntp();
        self.ring
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .renew(newer, now);
    }

    /// Seconds until the current key period ends.
    #[must_use]
    pub fn seconds_left(&self) -> u64 {
        let now = self.clock.ntp();
        let end = self
            .ring
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .period_end(now);
        end.saturating_sub(now.0 >> 32)
    }

    //= TS 33.180 5.4
    fn open_now(&self, mikey: &[u8]) -> Result<DeliveredCsk, CskRefused> {
        let refused = |error: &dyn std::fmt::Display| CskRefused(error.to_string());
        let message = Unverified::parse(mikey).map_err(|e| refused(&e))?;
        let ring = self
            .ring
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let kms = ring
            .certificate(message.claimed_kms_responder())
            .ok_or_else(|| CskRefused("for another KMS".to_owned()))?
            .clone();
        let verified = {
            let mut replay = self.replay.lock().unwrap_or_else(PoisonError::into_inner);
            let policy = self.overlooked.verify_policy(Some(self.max_skew));
            let now = self.clock.ntp();
            let verified = message.verify(ring.certificates(), policy, now, &mut replay);
            verified.map_err(|e| refused(&e))?
        };
        let opened = verified.open_with(&kms, ring.keys(), self.overlooked.open_policy());
        let opened = opened.map_err(|e| refused(&e))?;
        log_variants(crate::NODE, &opened);
        delivered(&opened)
    }
}

fn delivered(opened: &Opened) -> Result<DeliveredCsk, CskRefused> {
    let DistributedKey::Csk { key, id } = &opened.key else {
        return Err(CskRefused("the message carries no CSK".to_owned()));
    };
    let sender = opened
        .initiator
        .uri
        .as_deref()
        .ok_or_else(|| CskRefused("the sender is hidden".to_owned()))?;
    let sender = McServiceId::new(sender).map_err(|e| CskRefused(e.to_string()))?;
    Ok(DeliveredCsk {
        sender,
        id: *id,
        key: key.clone(),
        rand: opened.rand.clone(),
    })
}

/// [`ServerKeys`] as shared by the server; opening runs outside the asynchronous workers.
#[derive(Debug, Clone)]
pub struct SharedKeys(pub Arc<ServerKeys>);

impl CskOpener for SharedKeys {
    fn open(&self, mikey: Vec<u8>) -> BoxFuture<'_, Result<DeliveredCsk, CskRefused>> {
        let keys = self.0.clone();
        Box::pin(async move {
            let opened = tokio::task::spawn_blocking(move || keys.open_now(&mikey)).await;
            opened.map_err(|e| CskRefused(e.to_string()))?
        })
    }
}

/// Fetches the server's key sets.
///
/// # Errors
/// See [`KeysError`]; a failed log-in is reported as a refusal of the KMS.
pub async fn fetch(kms: &KmsClient, tokens: &TokenSource) -> Result<KeyRing, KeysError> {
    let user = tokens.mcptt_id().await;
    let token = tokens
        .token(SCOPE_KMS)
        .await
        .map_err(|error| KeysError::Unreachable {
            url: "identity management server".to_owned(),
            detail: error.to_string(),
        })?;
    kms.fetch(token.secret(), user.as_str()).await
}

/// Renews the key sets in time for every key period until the server stops.
pub async fn keep_fresh(
    keys: Arc<ServerKeys>,
    kms: KmsClient,
    tokens: TokenSource,
    stop: CancellationToken,
) {
    loop {
        // Key sets of the next period are issued early; half an hour before its start is early enough.
        let wait = keys.seconds_left().saturating_sub(1800).clamp(60, 86_400);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(wait)) => {}
            () = stop.cancelled() => return,
        }
        match fetch(&kms, &tokens).await {
            Ok(ring) => keys.renew(ring),
            Err(error) => tracing::warn!(%error, "key sets were not renewed"),
        }
    }
}

/// Shows a token of a partner domain to its group management server (TS 33.180 B.7).
#[derive(Debug, Clone)]
pub struct PartnerToken(pub TokenSource, pub PartnerConfig);

impl BearerToken for PartnerToken {
    fn token(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            let token = self.0.partner_token(&self.1).await;
            Ok(token.map_err(|e| e.to_string())?.secret().to_owned())
        })
    }
}

/// Shows the server's own access token to the group management server.
#[derive(Debug, Clone)]
pub struct OwnToken(pub TokenSource);

impl BearerToken for OwnToken {
    fn token(&self) -> BoxFuture<'_, Result<String, String>> {
        Box::pin(async move {
            let token = self.0.token(SCOPE_GMS).await.map_err(|e| e.to_string())?;
            Ok(token.secret().to_owned())
        })
    }
}

#[cfg(test)]
mod tests;
