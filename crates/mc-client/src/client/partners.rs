//! Certificates of partner domains of an established client, and telling the user where end-to-end
//! protection ends (TS 33.180 5.2.7, Annex L).

use std::time::{Duration, Instant};

use mc_ids::McServiceId;
use mc_runtime::auth::SCOPE_KMS;

use crate::client::established::Established;
use crate::event::ClientEvent;

/// Time between two questions to the KMS: what misses a certificate comes from peers.
const PARTNERS_RETRY: Duration = Duration::from_secs(5);

impl Established {
    /// Asks the KMS for newer certificates, because one was missed: trust may have come since the last
    /// look.
    //= TS 33.180 D.2.5
    pub(super) async fn renew_partners(&mut self) {
        let now = Instant::now();
        let recently = |tried: Instant| now.duration_since(tried) < PARTNERS_RETRY;
        if self.partners_tried.is_some_and(recently) {
            return;
        }
        self.partners_tried = Some(now);
        let token = match self.tokens.token(SCOPE_KMS).await {
            Ok(token) => token,
            Err(error) => return tracing::warn!(%error, "no token for the KMS"),
        };
        let user = self.link.identity.mcptt_id.clone();
        let (token, user) = (token.secret(), user.as_str());
        match self.kms.renew_partners(token, user, &mut self.ring).await {
            Ok(true) => tracing::info!("certificates of partner domains changed"),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "certificates of partner domains not fetched"),
        }
    }

    /// Tells when end-to-end protection with a user ends at a security gateway.
    pub(super) fn tell_gateway(&self, user: &McServiceId) {
        if self.ring.ends_at_gateway(user.as_str()) {
            self.emit(ClientEvent::EndsAtGateway { user: user.clone() });
        }
    }
}
