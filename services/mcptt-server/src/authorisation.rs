//! Service authorisation: from the bodies of a REGISTER to an authorised client (TS 24.379 7.3.2).

use std::sync::Arc;

use futures::future::BoxFuture;
use mc_client::{BodyConfig, BodyProtection, BodyRefused};
use mc_ids::{ClientId, Csk, CskId, McServiceId};
use mc_runtime::auth::{SCOPE_MCPTT, TokenVerifier};
use mc_sip::{McWarning, Multipart, mcptt::media};
use mc_xml::mcptt_info::{Content, McpttInfo};

use crate::config::Policy;
use crate::info;
use crate::media_plane::ClientCsk;
use crate::refusal::Refusal;

/// A CSK as its I_MESSAGE delivered it: verified, fresh, meant for this server.
#[derive(Debug, Clone)]
pub struct DeliveredCsk {
    /// The user who signed (`IDRi`).
    pub sender: McServiceId,
    /// CSK-ID.
    pub id: CskId,
    /// The key.
    pub key: Csk,
    /// RAND of the message.
    pub rand: Vec<u8>,
}

/// Why an I_MESSAGE was refused; the text is for logs only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("I_MESSAGE refused: {0}")]
pub struct CskRefused(pub String);

/// Opens I_MESSAGEs that carry a CSK for this server (TS 33.180 5.4).
pub trait CskOpener: Send + Sync + 'static {
    /// Verifies, decrypts and remembers (against replay) one message.
    fn open(&self, mikey: Vec<u8>) -> BoxFuture<'_, Result<DeliveredCsk, CskRefused>>;
}

/// An authorised client.
#[derive(Debug, Clone)]
pub struct Authorised {
    /// MCPTT ID of the token.
    pub mcptt_id: McServiceId,
    /// MCPTT client ID.
    pub client_id: ClientId,
    /// Its CSK.
    pub csk: Option<ClientCsk>,
    /// What protects XML bodies.
    pub bodies: Option<BodyProtection>,
}

/// Checks service authorisations.
#[derive(Clone)]
pub struct Authoriser {
    /// Checks access tokens.
    pub tokens: TokenVerifier,
    /// Opens CSK messages.
    pub csk: Arc<dyn CskOpener>,
    /// What is asked of clients.
    pub policy: Policy,
    /// How bodies are protected.
    pub bodies: BodyConfig,
}

impl std::fmt::Debug for Authoriser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authoriser")
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

impl Authoriser {
    /// Authorises a client from the bodies of its REGISTER or PUBLISH.
    ///
    /// # Errors
    /// 403 with Warning 136 (I_MESSAGE), 140 (decryption), 139 (signature) or 101 (token).
    //= TS 24.379 7.3.2
    pub async fn authorise(&self, parts: &Multipart) -> Result<Authorised, Refusal> {
        let failed =
            |why: &str| Refusal::forbidden(McWarning::ServiceAuthorisationFailed).because(why);
        let info = parts
            .get(media::MCPTT_INFO)
            .ok_or_else(|| failed("not one mcptt-info"))?;
        let clear = McpttInfo::parse(&info.content)
            .map_err(|error| failed(&format!("mcptt-info: {error}")))?;
        let token = clear
            .access_token
            .ok_or_else(|| failed("no access token"))?;
        let delivered = self.deliver(parts).await?;
        if self.policy.require_encrypted_token && !token.is_encrypted() {
            let refusal = Refusal::from(BodyRefused::Undecryptable);
            return Err(refusal.because("the access token is in clear"));
        }
        let bodies = delivered.as_ref().map(|csk| {
            let keys = info::keys(&csk.key, csk.id, csk.sender.as_str());
            BodyProtection::new(keys, &self.bodies)
        });
        let opened = self.bodies.demand().open(parts, bodies.as_ref())?;
        let token = opened
            .access_token
            .as_ref()
            .and_then(Content::string)
            .ok_or_else(|| failed("the access token is no string"))?;
        let verified = self
            .tokens
            .verify(token, SCOPE_MCPTT)
            .await
            .map_err(|error| failed(&error.to_string()))?;
        // The user of the token must be the one who signed the CSK (TS 33.180 5.4).
        if delivered
            .as_ref()
            .is_some_and(|csk| csk.sender != verified.mcptt_id)
        {
            return Err(failed("the CSK is signed by another user than the token's"));
        }
        let client_id = opened
            .client_id
            .as_ref()
            .and_then(Content::string)
            .ok_or_else(|| failed("no MCPTT client ID"))?;
        let client_id = ClientId::new(client_id).map_err(|error| failed(&error.to_string()))?;
        let csk = delivered.map(|csk| ClientCsk {
            id: csk.id,
            key: csk.key,
            rand: csk.rand,
        });
        Ok(Authorised {
            mcptt_id: verified.mcptt_id,
            client_id,
            csk,
            bodies,
        })
    }

    async fn deliver(&self, parts: &Multipart) -> Result<Option<DeliveredCsk>, Refusal> {
        let refused = |why: &dyn std::fmt::Display| {
            Refusal::forbidden(McWarning::MikeyAuthenticationFailed).because(why)
        };
        let Some(part) = parts.get(media::MIKEY) else {
            return if self.policy.require_csk {
                Err(refused(&"not one I_MESSAGE with a CSK"))
            } else {
                Ok(None)
            };
        };
        match self.csk.open(part.content.clone()).await {
            Ok(csk) => Ok(Some(csk)),
            Err(error) => Err(refused(&error)),
        }
    }
}
