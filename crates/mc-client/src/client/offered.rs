//! Private calls that come in: verified, offered to the user, answered or turned down
//! (TS 24.379 11.1.1.2.1.2).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::McServiceId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::sdp::McpttMedia;
use mc_sip::transaction::TransactionId;
use mc_sip::{McWarning, Method, StatusCode, Warning, name};
use mc_trace::{Event, names};

use crate::call_id::CallId;
use crate::client::calls::{AGENT, refuse_invite};
use crate::client::established::Established;
use crate::client::partners::NotOpened;
use crate::event::ClientEvent;
use crate::handle::Rejection;
use crate::private_call_key::PrivateCallKey;
use crate::requests::{IncomingCall, Refused};

/// A call that waits for the user's answer.
#[derive(Debug)]
pub(super) struct Offered {
    request: IncomingRequest,
    key: PrivateCallKey,
    media: McpttMedia,
    caller: McServiceId,
}

impl Established {
    //= TS 24.379 11.1.1.2.1.2
    pub(super) async fn on_private_invite(
        &mut self,
        request: IncomingRequest,
        incoming: IncomingCall,
        called_alias: Option<String>,
        automatic: bool,
    ) {
        let Some(caller) = incoming.caller else {
            return refuse_invite(&request, Refused::Malformed);
        };
        if self.private_calls() >= self.config.max_private_calls {
            return request.respond_status(StatusCode::BUSY_HERE);
        }
        // Without PCK or floor control it is a call this client does not take.
        let (Some(message), Some(_)) = (&incoming.media.key_mgmt, incoming.media.floor) else {
            return refuse_invite(&request, Refused::NotAcceptable);
        };
        let key = match self.delivered_pck(message, &caller).await {
            Ok(key) => key,
            Err(not_opened) => {
                self.key_refused(not_opened.detail);
                return match not_opened.redirect {
                    Some(redirect) => self.respond_redirect(&request, &redirect),
                    None => refuse_invite(&request, Refused::NotAuthentic),
                };
            }
        };
        let call = self.table.next_private();
        self.emit(ClientEvent::CallOffered {
            call: call.clone(),
            caller: caller.clone(),
            functional_alias: incoming.functional_alias,
            called_alias,
            automatic,
        });
        let offered = Offered {
            request,
            key,
            media: incoming.media,
            caller,
        };
        if automatic {
            return self.take(call, offered).await;
        }
        //= TS 24.379 6.2.3.2.1
        let ringing = offered.request.response(StatusCode::RINGING);
        offered.request.respond(
            ringing
                .with(name::CONTACT, self.link.contact.to_string())
                .with(name::ALLOW, Method::allow()),
        );
        self.offered.insert(call, offered);
    }

    /// The PCK of an I_MESSAGE, verified and meant for us, of this caller.
    //= TS 33.180 5.6
    async fn delivered_pck(
        &mut self,
        message: &str,
        caller: &McServiceId,
    ) -> Result<PrivateCallKey, NotOpened> {
        let octets = STANDARD
            .decode(message)
            .map_err(|_| NotOpened::because(&"the key management message is no base64"))?;
        let opened = self.open(&octets).await?;
        let kms = self
            .ring
            .certificate(&opened.kms_initiator)
            .ok_or_else(|| {
                NotOpened::because(&format!("no certificate of {}", opened.kms_initiator))
            })?;
        let key = PrivateCallKey::delivered(&opened, caller, kms);
        let key = key.map_err(|error| NotOpened::because(&error))?;
        self.export_pck(&key);
        // At a gateway that it is shared with one is nothing new.
        let told = key.is_shared_with_gateway() && !self.config.security_gateway;
        if told || self.ends_at_gateway(caller) {
            self.tell_gateway(caller);
        }
        let summary = format!("PCK {} of {} accepted", key.id(), caller.as_str());
        let event = Event::local(&names::MIKEY_VERIFIED, summary);
        self.shared.tracer.emit(event.key(key.id().key_id().0));
        Ok(key)
    }

    async fn take(&mut self, call: CallId, offered: Offered) {
        let Offered {
            request,
            key,
            media,
            caller,
        } = offered;
        let protection = self.of_private(key);
        self.answer(&request, call, protection, &media, Some(caller))
            .await;
    }

    /// The user answers an offered call.
    pub(super) async fn accept(&mut self, call: CallId) {
        if let Some(offered) = self.offered.remove(&call) {
            self.take(call, offered).await;
        }
    }

    /// The user turns an offered call down; false when there is none.
    pub(super) fn reject(&mut self, call: &CallId, how: Rejection) -> bool {
        let Some(offered) = self.offered.remove(call) else {
            return false;
        };
        let (status, reason) = match how {
            Rejection::Declined => (StatusCode::TEMPORARILY_UNAVAILABLE, "declined"),
            Rejection::Busy => (StatusCode::BUSY_HERE, "busy"),
            Rejection::Unavailable => (StatusCode::TEMPORARILY_UNAVAILABLE, "unavailable"),
            Rejection::Unknown => (StatusCode::NOT_FOUND, "unknown"),
        };
        let mut response = offered.request.response(status);
        //= TS 24.379 6.2.3.2.1
        if how == Rejection::Declined {
            let warning = Warning::numbered(AGENT, McWarning::UserDeclined);
            response = response.with_warning(&warning);
        }
        offered.request.respond(response);
        self.withdrawn(call.clone(), reason);
        true
    }

    /// The caller gave up.
    pub(super) fn on_cancelled(&mut self, transaction: TransactionId) {
        let cancelled = self
            .offered
            .iter()
            .find(|(_, offered)| offered.request.transaction == transaction)
            .map(|(call, _)| call.clone());
        let Some(call) = cancelled else { return };
        if let Some(offered) = self.offered.remove(&call) {
            offered
                .request
                .respond_status(StatusCode::REQUEST_TERMINATED);
        }
        self.withdrawn(call, "cancelled by the caller");
    }

    fn withdrawn(&self, call: CallId, reason: &str) {
        tracing::info!(node = self.config.node, %call, reason, "call not taken");
        let reason = reason.to_owned();
        self.emit(ClientEvent::Released { call, reason });
    }
}
