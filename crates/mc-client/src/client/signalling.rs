//! Requests that come in: calls, keys, notifications.

use mc_runtime::sip::{Incoming, IncomingRequest};
use mc_sip::mcptt::media;
use mc_sip::{DialogId, McWarning, Method, Multipart, StatusCode, Warning, name};
use mc_xml::xcap_diff::XcapDiff;

use crate::client::affiliation::is_terminated;
use crate::client::calls::AGENT;
use crate::client::established::{Established, NOT_FOR_US};
use crate::client::partners::NotOpened;
use crate::group_documents::selector;

impl Established {
    pub(super) async fn on_incoming(&mut self, incoming: Incoming) {
        match incoming {
            Incoming::Request(request) => self.on_request(request).await,
            // A call is up with its answer, so an ACK tells nothing new.
            Incoming::Ack { .. } => {}
            Incoming::Cancelled { transaction } => self.on_cancelled(transaction),
            Incoming::AckMissing { transaction } => {
                tracing::warn!(?transaction, "no ACK for an answered call");
            }
        }
    }

    async fn on_request(&mut self, request: IncomingRequest) {
        // Behind an interconnection, its dispatcher knows where requests may come from.
        let own_flow = self.link.attached.place().is_none();
        if own_flow && request.from.address != self.link.server.address {
            tracing::warn!(from = %request.from.address, "request of a stranger refused");
            return request.respond_status(StatusCode::FORBIDDEN);
        }
        let dialog = DialogId::of_request(&request.request);
        let Ok(dialog) = dialog else {
            return request.respond_status(StatusCode::BAD_REQUEST);
        };
        match (request.request.method, dialog) {
            (Method::Invite, None) => self.on_invite(request).await,
            (Method::Message, None) => self.on_message(&request).await,
            (Method::Options, None) => request.respond_status(StatusCode::OK),
            (Method::Notify, Some(dialog)) => self.on_notify(&dialog, &request).await,
            (Method::Bye | Method::Invite | Method::Update | Method::Info, Some(dialog)) => {
                self.on_call_request(&dialog, &request);
            }
            _ => {
                let response = request.response(NOT_FOR_US);
                request.respond(response.with(name::ALLOW, Method::allow()));
            }
        }
    }

    /// A key message (sample 52 of the GMS).
    async fn on_message(&mut self, request: &IncomingRequest) {
        let message = &request.request;
        let Ok(parts) = Multipart::of(&message.headers, &message.body) else {
            return request.respond_status(StatusCode::BAD_REQUEST);
        };
        let Some(part) = parts.get(media::MIKEY) else {
            return request.respond_status(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        };
        match self.on_key_message(&part.content).await {
            Ok(()) => request.respond_status(StatusCode::OK),
            Err(NotOpened {
                redirect: Some(redirect),
                ..
            }) => self.respond_redirect(request, &redirect),
            Err(_) => {
                let warning = Warning::numbered(AGENT, McWarning::MikeyAuthenticationFailed);
                request.respond(
                    request
                        .response(StatusCode::FORBIDDEN)
                        .with_warning(&warning),
                );
            }
        }
    }

    /// Changes of group documents, or of the own affiliations.
    //= TS 24.481 6.3.13
    async fn on_notify(&mut self, id: &DialogId, request: &IncomingRequest) {
        if self.tells_of_affiliations(id) {
            return self.on_affiliations(request).await;
        }
        let mut subscriptions = self.subscriptions.iter();
        let ours = subscriptions.find(|(_, s)| s.id().call_id == id.call_id);
        let Some(gms) = ours.map(|(gms, _)| gms.clone()) else {
            return request.respond_status(StatusCode::CALL_DOES_NOT_EXIST);
        };
        request.respond_status(StatusCode::OK);
        let state = request.request.headers.get(name::SUBSCRIPTION_STATE);
        if state.is_some_and(is_terminated) {
            self.subscriptions.remove(&gms);
        }
        let Ok(diff) = XcapDiff::parse(&request.request.body) else {
            return;
        };
        for change in diff.documents {
            let changed = self.config.groups.iter().find(|group| {
                change.sel == selector(group)
                    && self.etags.get(*group).cloned().flatten() != change.new_etag
            });
            let Some(group) = changed.cloned() else {
                continue;
            };
            if let Err(failure) = self.learn(&group).await {
                tracing::warn!(%failure, "changed document not fetched");
            }
        }
        self.check_ready();
    }
}
