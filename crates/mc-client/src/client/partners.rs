//! Partner domains of an established client: their certificates, the answer to messages of domains
//! that are none, and telling the user where end-to-end protection ends (TS 33.180 5.2.7, 5.2.8,
//! Annex L).

use std::time::{Duration, Instant};

use kms_protocol::{KRR_MEDIA_TYPE, RedirectResponse, Rejected};
use mc_ids::McServiceId;
use mc_runtime::auth::SCOPE_KMS;
use mc_runtime::sip::IncomingRequest;
use mc_sip::StatusCode;
use mikey::{Unverified, VerifyError};
use time::OffsetDateTime;

use crate::client::established::Established;
use crate::event::ClientEvent;

/// Time between two questions to the KMS: what misses a certificate comes from peers.
const PARTNERS_RETRY: Duration = Duration::from_secs(5);

/// Why a key message was not opened.
#[derive(Debug)]
pub(super) struct NotOpened {
    /// In words, for the log.
    pub(super) detail: String,
    /// Its KMS is not acceptable here: what to tell the sender.
    pub(super) redirect: Option<Box<RedirectResponse>>,
}

impl NotOpened {
    pub(super) fn because(reason: &dyn std::fmt::Display) -> Self {
        Self {
            detail: reason.to_string(),
            redirect: None,
        }
    }
}

impl Established {
    /// The answer to a request whose key message names a KMS that is not acceptable here.
    //= TS 33.180 5.2.8
    pub(super) fn respond_redirect(&self, request: &IncomingRequest, redirect: &RedirectResponse) {
        let response = request.response(StatusCode::NOT_ACCEPTABLE_HERE);
        let body = redirect.to_xml(&self.config.kms_redirect).into_bytes();
        request.respond(response.with_body(KRR_MEDIA_TYPE, body));
    }

    /// What to tell the sender of a message that did not verify: nothing, unless the reason is its
    /// KMS.
    pub(super) fn redirect(
        &self,
        message: &Unverified,
        error: &VerifyError,
    ) -> Option<Box<RedirectResponse>> {
        let is_kms = matches!(
            error,
            VerifyError::UnknownKms(_) | VerifyError::ForeignInitiator { .. }
        );
        is_kms.then(|| {
            let kmss = self.ring.certificates().map(|kms| kms.kms_uri.clone());
            Box::new(RedirectResponse {
                initiator: message.claimed_initiator().uri.clone(),
                receiver: message.claimed_responder().uri.clone(),
                rejected: Some(Rejected::Initiator(message.claimed_kms_initiator().clone())),
                acceptable: kmss.collect(),
                time: Some(OffsetDateTime::UNIX_EPOCH + self.shared.clock.unix()),
                processor: Some(self.link.identity.mcptt_id.as_str().to_owned()),
            })
        })
    }

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

    /// Whether a user is behind a security gateway: by the certificate of his KMS, or by configuration.
    //= TS 33.180 L.3.2
    pub(super) fn ends_at_gateway(&self, user: &McServiceId) -> bool {
        let user = user.as_str();
        let listed = |pattern: &mc_ids::IdentityPattern| pattern.matches(user);
        self.ring.ends_at_gateway(user) || self.config.gateways.iter().any(listed)
    }

    /// Tells that end-to-end protection with a user ends at a security gateway.
    pub(super) fn tell_gateway(&self, user: &McServiceId) {
        self.emit(ClientEvent::EndsAtGateway { user: user.clone() });
    }
}
