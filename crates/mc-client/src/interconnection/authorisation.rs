//! Whether the participating function serves a user: his access token decides (TS 24.379 7.3.2,
//! TS 33.180 5.1.3).
//!
//! A user of another domain brings no token of this one. He exchanges his own for a security token and
//! that for an access token here (TS 33.180 5.1.4, B.7). No text at hand says how a migrated user
//! presents it to the function that serves him, so whether he must is told in the configuration.

use std::time::Duration;

use mc_ids::McServiceId;
use mc_runtime::auth::{SCOPE_MCPTT, TokenError, TokenVerifier, VerifierConfig};
use mc_runtime::clock::SharedClock;
use serde::Deserialize;

use super::Interconnection;
use crate::event::StepFailure;
use crate::login::{LoginError, PartnerConfig, TokenSource};

/// The procedure of the function that serves a user.
const CLAUSE: &str = "TS 24.379 7.3.2";

/// Whom the function serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationConfig {
    /// Whose access tokens are taken: issuer, keys, audiences.
    pub tokens: VerifierConfig,
    /// Where users get such a token for one of their own domain. Default none: their own domain's is
    /// presented.
    #[serde(default)]
    pub exchange: Option<PartnerConfig>,
}

/// Why a user is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotServed {
    /// He gets no token.
    #[error("no access token for this system: {0}")]
    NoToken(#[from] LoginError),
    /// His token does not hold.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// His token names somebody else.
    #[error("the access token is of {0}")]
    OtherUser(McServiceId),
}

impl From<NotServed> for StepFailure {
    fn from(error: NotServed) -> Self {
        let service = match error {
            NotServed::NoToken(_) => "idms",
            NotServed::Token(_) | NotServed::OtherUser(_) => "mcptt-server",
        };
        Self {
            service,
            clause: CLAUSE,
            detail: error.to_string(),
        }
    }
}

impl Interconnection {
    /// Checks that a user may be served here; how long it holds, or `None` when nothing is checked.
    //= TS 24.379 7.3.2
    //= TS 33.180 5.1.3
    pub(crate) async fn authorise(
        &self,
        user: &McServiceId,
        tokens: &TokenSource,
        http: &reqwest::Client,
        clock: &SharedClock,
    ) -> Result<Option<Duration>, NotServed> {
        let Some(config) = &self.0.authorisation else {
            return Ok(None);
        };
        let token = match &config.exchange {
            Some(partner) => tokens.partner_token(partner).await?,
            None => tokens.token(SCOPE_MCPTT).await?,
        };
        // One for all users, so that the keys are fetched once.
        let verifier = self
            .0
            .verifier
            .get_or_init(|| TokenVerifier::new(config.tokens.clone(), http.clone(), clock.clone()));
        let verified = verifier.verify(token.secret(), SCOPE_MCPTT).await?;
        if verified.mcptt_id != *user {
            return Err(NotServed::OtherUser(verified.mcptt_id));
        }
        let left = verified.expires_unix_s.saturating_sub(clock.unix_s());
        tracing::info!(
            node = self.0.node,
            user = user.as_str(),
            "service authorised"
        );
        Ok(Some(Duration::from_secs(left)))
    }
}
