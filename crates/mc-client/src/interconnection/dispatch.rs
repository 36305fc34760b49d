//! Which client a request of the other system is for.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mc_ids::McServiceId;
use mc_runtime::sip::{Incoming, IncomingRequest};
use mc_sip::{McWarning, Method, Multipart, StatusCode, Warning, name};
use mc_xml::mcptt_info::Content;
use tokio::sync::mpsc;

use super::Interconnection;
use crate::bodies::BodyRefused;
use crate::client::AGENT;

/// The clients that have a place, by user and by the user part of their Contact.
#[derive(Debug, Default)]
pub(super) struct Clients(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    tokens: HashMap<McServiceId, String>,
    inboxes: HashMap<String, mpsc::Sender<Incoming>>,
}

impl Clients {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn join(&self, user: &McServiceId, token: &str, inbox: mpsc::Sender<Incoming>) {
        let mut table = self.table();
        table.tokens.insert(user.clone(), token.to_owned());
        table.inboxes.insert(token.to_owned(), inbox);
    }

    pub(super) fn leave(&self, token: &str) {
        let mut table = self.table();
        table.tokens.retain(|_, own| own != token);
        table.inboxes.remove(token);
    }

    pub(super) fn count(&self) -> usize {
        self.table().tokens.len()
    }

    fn of_user(&self, user: &McServiceId) -> Option<mpsc::Sender<Incoming>> {
        let table = self.table();
        table.inboxes.get(table.tokens.get(user)?).cloned()
    }

    fn of_token(&self, token: &str) -> Option<mpsc::Sender<Incoming>> {
        self.table().inboxes.get(token).cloned()
    }

    fn all(&self) -> Vec<mpsc::Sender<Incoming>> {
        self.table().inboxes.values().cloned().collect()
    }
}

/// Why a request is for nobody.
type Refused = (StatusCode, Option<McWarning>);

impl Interconnection {
    /// Hands requests to the clients they are for until the endpoint stops.
    pub(super) async fn dispatch(self, mut incoming: mpsc::Receiver<Incoming>) {
        loop {
            let message = tokio::select! {
                () = self.0.stop.cancelled() => return,
                message = incoming.recv() => message,
            };
            match message {
                Some(Incoming::Request(request)) => self.on_request(request),
                // A call is up with its answer, so an ACK tells nothing new.
                Some(Incoming::Ack { .. }) => {}
                // Only the client that has the transaction acts.
                Some(Incoming::Cancelled { transaction }) => {
                    for inbox in self.0.clients.all() {
                        deliver(&inbox, Incoming::Cancelled { transaction });
                    }
                }
                Some(Incoming::AckMissing { transaction }) => {
                    for inbox in self.0.clients.all() {
                        deliver(&inbox, Incoming::AckMissing { transaction });
                    }
                }
                None => return,
            }
        }
    }

    fn on_request(&self, request: IncomingRequest) {
        if request.from.address.ip() != self.0.server.address.ip() {
            tracing::warn!(from = %request.from.address, "request of a stranger refused");
            return request.respond_status(StatusCode::FORBIDDEN);
        }
        match self.addressed(&request) {
            Ok(Some(inbox)) => deliver(&inbox, Incoming::Request(request)),
            Ok(None) => {
                let response = request.response(StatusCode::OK);
                request.respond(response.with(name::ALLOW, Method::allow()));
            }
            Err((status, warning)) => {
                let node = self.0.node.as_str();
                let method = request.request.method;
                tracing::info!(node, %method, %status, "request of the other system refused");
                let mut response = request.response(status);
                if let Some(warning) = warning {
                    response = response.with_warning(&Warning::numbered(AGENT, warning));
                }
                request.respond(response);
            }
        }
    }

    /// The client a request is for; `None` when it is for the function itself.
    fn addressed(
        &self,
        request: &IncomingRequest,
    ) -> Result<Option<mpsc::Sender<Incoming>>, Refused> {
        let message = &request.request;
        if let Some(inbox) = message
            .uri
            .user
            .as_deref()
            .and_then(|token| self.0.clients.of_token(token))
        {
            return Ok(Some(inbox));
        }
        let tagged = message.headers.to().is_ok_and(|to| to.tag().is_some());
        if tagged {
            return Err((StatusCode::CALL_DOES_NOT_EXIST, None));
        }
        if !message.uri.same_identity(&self.0.psi) {
            return Err((StatusCode::NOT_FOUND, None));
        }
        match message.method {
            Method::Options => Ok(None),
            Method::Invite | Method::Message => {
                let user = self.invited(request)?;
                let inbox = self.0.clients.of_user(&user);
                let unknown = (StatusCode::NOT_FOUND, Some(McWarning::UserUnknown));
                inbox.map(Some).ok_or(unknown)
            }
            Method::Register
            | Method::Ack
            | Method::Bye
            | Method::Cancel
            | Method::Publish
            | Method::Subscribe
            | Method::Notify
            | Method::Info
            | Method::Update
            | Method::Prack
            | Method::Refer => Err((StatusCode::METHOD_NOT_ALLOWED, None)),
        }
    }

    /// The user whom the protected mcptt-info names.
    //= TS 24.379 6.3.2.2.3
    //= TS 33.180 9.3
    fn invited(&self, request: &IncomingRequest) -> Result<McServiceId, Refused> {
        let bad = (StatusCode::BAD_REQUEST, None);
        let message = &request.request;
        let parts = Multipart::of(&message.headers, &message.body).map_err(|_| bad)?;
        let opened = self.demand().open(&parts, Some(self.bodies()));
        let info = opened.map_err(BodyRefused::answer)?;
        let user = info.request_uri.as_ref().and_then(Content::uri);
        McServiceId::new(user.unwrap_or_default()).map_err(|_| bad)
    }
}

/// A client that does not read loses what is for it, and the sender hears 500 for a request.
fn deliver(inbox: &mpsc::Sender<Incoming>, message: Incoming) {
    if inbox.try_send(message).is_err() {
        tracing::warn!("a client of the interconnection does not read");
    }
}
