//! Access tokens on demand, one per service.

use std::collections::HashMap;
use std::sync::Arc;

use mc_ids::McServiceId;
use tokio::sync::Mutex;

use crate::login::{AccessToken, Login, LoginError, Session};

/// Seconds before its end at which a token is renewed.
const RENEWAL_MARGIN_S: u64 = 60;

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
        let soon = inner.login.clock.unix_s().saturating_add(RENEWAL_MARGIN_S);
        if let Some(token) = inner
            .by_scope
            .get(scope)
            .filter(|t| t.expires_unix_s > soon)
        {
            return Ok(token.clone());
        }
        let Inner {
            login,
            session,
            by_scope,
        } = &mut *inner;
        let renewed = match login.refresh(session, &[scope]).await {
            Err(LoginError::TokenRefused { error, .. }) if error == "invalid_grant" => {
                *session = login.log_in().await?;
                login.refresh(session, &[scope]).await
            }
            other => other,
        };
        let token = match renewed {
            // A provider without refresh tokens: the wide token has to do.
            Err(LoginError::NoRefreshToken) => {
                *session = login.log_in().await?;
                session.access_token.clone()
            }
            other => other?,
        };
        by_scope.insert(scope.to_owned(), token.clone());
        Ok(token)
    }
}
