//! Access tokens on demand, one per service.

use std::collections::HashMap;
use std::sync::Arc;

use mc_ids::McServiceId;
use tokio::sync::Mutex;

use crate::login::{AccessToken, Login, LoginError, PartnerConfig, Session};

/// Seconds before its end at which a token is renewed.
const RENEWAL_MARGIN_S: u64 = 60;
/// Under which the token with all granted scopes is kept; no scope is empty.
const ALL_SCOPES: &str = "";

/// A log-in that lasts: hands out access tokens narrowed to one scope, renews them, and logs in
/// again when the refresh token is refused. Cheap to clone; clones share the session.
#[derive(Debug, Clone)]
pub struct TokenSource(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    login: Login,
    session: Session,
    by_scope: HashMap<String, AccessToken>,
}

impl TokenSource {
    /// Logs in.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn start(login: Login) -> Result<Self, LoginError> {
        let session = login.log_in().await?;
        let inner = Inner {
            login,
            session,
            by_scope: HashMap::new(),
        };
        Ok(Self(Arc::new(Mutex::new(inner))))
    }

    /// The MCPTT ID of the logged-in user.
    pub async fn mcptt_id(&self) -> McServiceId {
        self.0.lock().await.session.mcptt_id.clone()
    }

    /// A token for one `scope`, valid for at least a minute unless the provider gives shorter ones.
    ///
    /// # Errors
    /// [`LoginError`] when neither refresh nor a new log-in succeeds.
    pub async fn token(&self, scope: &str) -> Result<AccessToken, LoginError> {
        let mut inner = self.0.lock().await;
        if let Some(token) = inner.held(scope) {
            return Ok(token);
        }
        let token = inner.renewed(&[scope]).await?;
        inner.by_scope.insert(scope.to_owned(), token.clone());
        Ok(token)
    }

    /// An access token of a partner domain, valid as long as [`Self::token`]'s.
    ///
    /// # Errors
    /// [`LoginError`] of the own server or of the partner's.
    //= TS 33.180 5.1.4
    pub async fn partner_token(&self, partner: &PartnerConfig) -> Result<AccessToken, LoginError> {
        let key = format!("{} {}", partner.token_endpoint, partner.scopes.join(" "));
        let mut inner = self.0.lock().await;
        if let Some(token) = inner.held(&key) {
            return Ok(token);
        }
        let subject = match inner.held(ALL_SCOPES) {
            Some(token) => token,
            None => inner.renewed(&[]).await?,
        };
        inner
            .by_scope
            .insert(ALL_SCOPES.to_owned(), subject.clone());
        let token = inner.login.exchange(&subject, partner).await?;
        inner.by_scope.insert(key, token.clone());
        Ok(token)
    }
}

impl Inner {
    /// A token got earlier that is valid for a while yet.
    fn held(&self, key: &str) -> Option<AccessToken> {
        let soon = self.login.clock.unix_s().saturating_add(RENEWAL_MARGIN_S);
        let token = self.by_scope.get(key)?;
        (token.expires_unix_s > soon).then(|| token.clone())
    }

    async fn renewed(&mut self, scopes: &[&str]) -> Result<AccessToken, LoginError> {
        let Self { login, session, .. } = self;
        let renewed = match login.refresh(session, scopes).await {
            Err(LoginError::TokenRefused { error, .. }) if error == "invalid_grant" => {
                *session = login.log_in().await?;
                login.refresh(session, scopes).await
            }
            other => other,
        };
        match renewed {
            // A provider without refresh tokens: the wide token has to do.
            Err(LoginError::NoRefreshToken) => {
                *session = login.log_in().await?;
                Ok(session.access_token.clone())
            }
            other => other,
        }
    }
}
