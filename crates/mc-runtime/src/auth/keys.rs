//! The issuer's public keys, fetched when needed and kept.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::jwk::{Jwk, JwkSet};
use tokio::sync::Mutex;

use crate::auth::TokenError;
use crate::clock::SharedClock;

/// Keys that the issuer withdrew are forgotten after this time.
const LIFETIME: Duration = Duration::from_secs(600);
/// The largest key set that is read, in octets.
const MAX_BODY: usize = 65_536;

#[derive(Debug, Clone)]
pub(super) struct KeyCache {
    url: String,
    http: reqwest::Client,
    clock: SharedClock,
    spacing: Duration,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    keys: Vec<Jwk>,
    fetched: Option<Duration>,
    attempted: Option<Duration>,
}

impl KeyCache {
    pub(super) fn new(
        url: String,
        http: reqwest::Client,
        clock: SharedClock,
        spacing: Duration,
    ) -> Self {
        Self {
            url,
            http,
            clock,
            spacing,
            state: Arc::default(),
        }
    }

    pub(super) async fn fetch(&self) -> Result<(), TokenError> {
        let mut state = self.state.lock().await;
        self.refresh(&mut state).await
    }

    /// The key of that id; a token without `kid` fits only a set with a single key.
    ///
    /// An unknown id makes the set be fetched again, but not more often than the spacing: a
    /// stranger's tokens must not turn into load on the issuer.
    pub(super) async fn find(&self, kid: Option<&str>) -> Result<Option<Jwk>, TokenError> {
        let mut state = self.state.lock().await;
        let now = self.clock.unix();
        let stale = state
            .fetched
            .is_none_or(|at| now.saturating_sub(at) > LIFETIME);
        let found = select(&state.keys, kid);
        if found.is_some() && !stale {
            return Ok(found);
        }
        let too_soon = state
            .attempted
            .is_some_and(|at| now.saturating_sub(at) < self.spacing && now >= at);
        if too_soon {
            return Ok(found);
        }
        match self.refresh(&mut state).await {
            Ok(()) => Ok(select(&state.keys, kid)),
            // An unreachable issuer must not stop a service that knows the key.
            Err(_) if found.is_some() => Ok(found),
            Err(error) => Err(error),
        }
    }

    async fn refresh(&self, state: &mut State) -> Result<(), TokenError> {
        let now = self.clock.unix();
        state.attempted = Some(now);
        let set = self.download().await.map_err(TokenError::Unreachable)?;
        state.keys = set.keys;
        state.fetched = Some(now);
        tracing::debug!(
            url = self.url,
            keys = state.keys.len(),
            "token keys fetched"
        );
        Ok(())
    }

    async fn download(&self) -> Result<JwkSet, String> {
        let text = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.http.get(&self.url).send().await.map_err(text)?;
        if !response.status().is_success() {
            return Err(format!("key set answered {}", response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(text)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                return Err("key set too large".to_owned());
            }
        }
        serde_json::from_slice(&body).map_err(|error| format!("key set: {error}"))
    }
}

fn select(keys: &[Jwk], kid: Option<&str>) -> Option<Jwk> {
    match (kid, keys) {
        (Some(kid), _) => keys
            .iter()
            .find(|key| key.common.key_id.as_deref() == Some(kid)),
        (None, [only]) => Some(only),
        (None, _) => None,
    }
    .cloned()
}
