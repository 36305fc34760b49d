//! All transactions of one element: matching, timers, CANCEL, merged requests.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Instant;

use super::client::ClientTransaction;
use super::server::ServerTransaction;
use super::{Output, Peer, TransactionConfig, TransactionError, TransactionId};
use crate::header::{CSeq, Headers, name};
use crate::message::{Request, Response, SipMessage};
use crate::method::Method;
use crate::status::StatusCode;

/// RFC 3261 17.1.3: branch and method of `CSeq`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ClientKey {
    branch: String,
    method: Method,
}

/// RFC 3261 17.2.3: branch, sent-by and method; ACK and CANCEL look for their INVITE.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ServerKey {
    branch: String,
    sent_by: String,
    method: Method,
}

/// RFC 3261 8.2.2.2: what a request keeps when it arrives over two paths.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct MergeKey {
    call_id: String,
    from_tag: String,
    cseq: CSeq,
}

#[derive(Debug)]
enum Transaction {
    Client(ClientKey, ClientTransaction),
    Server(ServerKey, MergeKey, ServerTransaction),
}

impl Transaction {
    fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Client(_, client) => client.next_timeout(),
            Self::Server(_, _, server) => server.next_timeout(),
        }
    }

    fn is_terminated(&self) -> bool {
        match self {
            Self::Client(_, client) => client.is_terminated(),
            Self::Server(_, _, server) => server.is_terminated(),
        }
    }
}

/// The transaction layer of one element.
#[derive(Debug, Default)]
pub struct TransactionLayer {
    config: TransactionConfig,
    last_id: u64,
    transactions: HashMap<TransactionId, (Transaction, Option<Instant>)>,
    clients: HashMap<ClientKey, TransactionId>,
    servers: HashMap<ServerKey, TransactionId>,
    merged: HashMap<MergeKey, TransactionId>,
    timers: BTreeSet<(Instant, TransactionId)>,
    outputs: VecDeque<Output>,
}

impl TransactionLayer {
    /// A layer without transactions.
    #[must_use]
    pub fn new(config: TransactionConfig) -> Self {
        Self {
            config,
            ..Self::default()
        }
    }

    /// Number of transactions that exist.
    #[must_use]
    pub fn len(&self) -> usize {
        self.transactions.len()
    }

    /// Whether no transaction exists.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`TransactionLayer::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Runs every timer that is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, id)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            let mut cancel = false;
            match self.transactions.get_mut(&id) {
                Some((Transaction::Client(_, client), _)) => {
                    cancel = client.on_timeout(&self.config, now, &mut self.outputs);
                }
                Some((Transaction::Server(_, _, server), _)) => {
                    server.on_timeout(&self.config, now, &mut self.outputs);
                }
                None => {
                    self.timers.pop_first();
                }
            }
            self.settle(id);
            if cancel {
                self.send_cancel(id, now);
            }
        }
    }

    /// Sends a request whose topmost Via carries a fresh branch.
    ///
    /// # Errors
    /// Too many transactions, a malformed request, or a branch already in use.
    pub fn send_request(
        &mut self,
        request: Request,
        to: Peer,
        now: Instant,
    ) -> Result<TransactionId, TransactionError> {
        if self.transactions.len() >= self.config.max_transactions {
            return Err(TransactionError::TooMany);
        }
        let key = client_key(&request.headers).ok_or(TransactionError::Malformed)?;
        if self.clients.contains_key(&key) {
            return Err(TransactionError::Malformed);
        }
        let id = self.next_id();
        let client =
            ClientTransaction::start(id, request, to, &self.config, now, &mut self.outputs);
        self.clients.insert(key.clone(), id);
        self.transactions
            .insert(id, (Transaction::Client(key, client), None));
        self.settle(id);
        Ok(id)
    }

    /// Answers a request.
    ///
    /// # Errors
    /// The transaction is gone or has its final response.
    pub fn respond(
        &mut self,
        id: TransactionId,
        response: Response,
        now: Instant,
    ) -> Result<(), TransactionError> {
        let Some((Transaction::Server(_, _, server), _)) = self.transactions.get_mut(&id) else {
            return Err(TransactionError::Unknown);
        };
        let result = server.respond(response, &self.config, now, &mut self.outputs);
        self.settle(id);
        result
    }

    /// Sends the ACK for a 2xx to the INVITE of this transaction, and again when the 2xx is repeated.
    ///
    /// # Errors
    /// The transaction is gone.
    pub fn ack(
        &mut self,
        id: TransactionId,
        ack: Request,
        to: Peer,
    ) -> Result<(), TransactionError> {
        let Some((Transaction::Client(_, client), _)) = self.transactions.get_mut(&id) else {
            return Err(TransactionError::Unknown);
        };
        client.ack(ack, to, &mut self.outputs);
        Ok(())
    }

    /// Cancels an INVITE as soon as a provisional response has come (RFC 3261 9.1).
    pub fn cancel(&mut self, id: TransactionId, now: Instant) {
        if let Some((Transaction::Client(_, client), _)) = self.transactions.get_mut(&id) {
            let send = client.cancel(&self.config, now);
            self.settle(id);
            if send {
                self.send_cancel(id, now);
            }
        }
    }

    /// Reports that nothing can be sent to a peer; its pending client transactions end.
    pub fn peer_unreachable(&mut self, peer: Peer) {
        let affected: Vec<TransactionId> = self
            .transactions
            .iter()
            .filter(|(_, (transaction, _))| matches!(transaction, Transaction::Client(_, c) if c.to == peer))
            .map(|(id, _)| *id)
            .collect();
        for id in affected {
            if let Some((Transaction::Client(_, client), _)) = self.transactions.get_mut(&id) {
                client.on_unreachable(&mut self.outputs);
            }
            self.settle(id);
        }
    }

    /// Takes in a received message.
    pub fn handle_message(&mut self, message: SipMessage, from: Peer, now: Instant) {
        match message {
            SipMessage::Response(response) => self.handle_response(&response, now),
            SipMessage::Request(request) => self.handle_request(request, from, now),
        }
    }

    fn handle_response(&mut self, response: &Response, now: Instant) {
        let id = client_key(&response.headers).and_then(|key| self.clients.get(&key).copied());
        let Some(id) = id else {
            return;
        };
        let mut cancel = false;
        if let Some((Transaction::Client(_, client), _)) = self.transactions.get_mut(&id) {
            cancel = client.on_response(response, &self.config, now, &mut self.outputs);
        }
        self.settle(id);
        if cancel {
            self.send_cancel(id, now);
        }
    }

    fn handle_request(&mut self, mut request: Request, from: Peer, now: Instant) {
        let Some(key) = server_key(&request) else {
            return;
        };
        if let Ok(mut via) = request.headers.top_via() {
            via.note_source(from.address);
            request.headers.set_top_via(&via);
        }
        let existing = self.servers.get(&key).copied();
        if request.method == Method::Ack {
            self.handle_ack(existing, request, now);
        } else if request.method == Method::Cancel && existing.is_none() {
            self.handle_cancel(key, request, from, now);
        } else if let Some(id) = existing {
            if let Some((Transaction::Server(_, _, server), _)) = self.transactions.get_mut(&id) {
                server.on_retransmission(&mut self.outputs);
            }
        } else {
            self.start_server(key, request, from, now);
        }
    }

    fn start_server(&mut self, key: ServerKey, request: Request, from: Peer, now: Instant) {
        let Some(merge) = merge_key(&request.headers) else {
            return;
        };
        let outside_dialog = request.headers.to().is_ok_and(|to| to.tag().is_none());
        //= RFC 3261 8.2.2.2
        if outside_dialog && self.merged.contains_key(&merge) {
            self.refuse(&request, from, StatusCode::LOOP_DETECTED);
            return;
        }
        if self.transactions.len() >= self.config.max_transactions {
            self.refuse(&request, from, StatusCode::SERVICE_UNAVAILABLE);
            return;
        }
        if request.headers.max_forwards() == Some(0) && request.method != Method::Options {
            self.refuse(&request, from, StatusCode::TOO_MANY_HOPS);
            return;
        }
        let id = self.next_id();
        let server = ServerTransaction::start(id, request.clone(), from, &mut self.outputs);
        self.outputs
            .push_back(Output::Request { id, request, from });
        self.servers.insert(key.clone(), id);
        self.merged.insert(merge.clone(), id);
        self.transactions
            .insert(id, (Transaction::Server(key, merge, server), None));
        self.settle(id);
        let _ = now;
    }

    fn refuse(&mut self, request: &Request, from: Peer, status: StatusCode) {
        let response = request.response(status, "");
        self.outputs.push_back(Output::Send {
            to: from,
            message: SipMessage::Response(response),
        });
    }

    fn handle_ack(&mut self, existing: Option<TransactionId>, ack: Request, now: Instant) {
        // The ACK for a 2xx has a branch of its own and is found by its dialog.
        let by_dialog = merge_key(&ack.headers).and_then(|key| {
            let cseq = CSeq {
                number: key.cseq.number,
                method: Method::Invite,
            };
            self.merged.get(&MergeKey { cseq, ..key }).copied()
        });
        let Some(id) = existing.or(by_dialog) else {
            return;
        };
        if let Some((Transaction::Server(_, _, server), _)) = self.transactions.get_mut(&id) {
            if existing.is_some() {
                server.on_ack_failure(&self.config, now);
            }
            server.on_ack_success(ack, &mut self.outputs);
        }
        self.settle(id);
    }

    //= RFC 3261 9.2
    fn handle_cancel(&mut self, key: ServerKey, cancel: Request, from: Peer, now: Instant) {
        let invite = ServerKey {
            method: Method::Invite,
            ..key.clone()
        };
        let target = self.servers.get(&invite).copied();
        let status = if target.is_some() {
            StatusCode::OK
        } else {
            StatusCode::CALL_DOES_NOT_EXIST
        };
        let response = cancel.response(status, "");
        let Some(merge) = merge_key(&cancel.headers) else {
            return;
        };
        let id = self.next_id();
        let mut server = ServerTransaction::start(id, cancel, from, &mut self.outputs);
        // A transaction that was just started accepts its first final response.
        let _ = server.respond(response, &self.config, now, &mut self.outputs);
        self.servers.insert(key.clone(), id);
        self.transactions
            .insert(id, (Transaction::Server(key, merge, server), None));
        self.settle(id);
        if let Some(id) = target
            && let Some((Transaction::Server(_, _, server), _)) = self.transactions.get(&id)
            && server.is_pending()
        {
            self.outputs.push_back(Output::Cancelled { id });
        }
    }

    fn send_cancel(&mut self, id: TransactionId, now: Instant) {
        let Some((Transaction::Client(_, client), _)) = self.transactions.get(&id) else {
            return;
        };
        let to = client.to;
        if let Ok(cancel) = client.request.cancel() {
            // A second CANCEL on the same branch is refused by send_request, as it should be.
            let _ = self.send_request(cancel, to, now);
        }
    }

    const fn next_id(&mut self) -> TransactionId {
        self.last_id += 1;
        TransactionId(self.last_id)
    }

    /// Brings the timer of a transaction up to date, or removes the transaction when it is over.
    fn settle(&mut self, id: TransactionId) {
        let Some((transaction, scheduled)) = self.transactions.get_mut(&id) else {
            return;
        };
        let next = if transaction.is_terminated() {
            None
        } else {
            transaction.next_timeout()
        };
        if *scheduled != next {
            if let Some(at) = scheduled.take() {
                self.timers.remove(&(at, id));
            }
            if let Some(at) = next {
                self.timers.insert((at, id));
            }
            *scheduled = next;
        }
        if transaction.is_terminated()
            && let Some((transaction, _)) = self.transactions.remove(&id)
        {
            match transaction {
                Transaction::Client(key, _) => {
                    self.clients.remove(&key);
                }
                Transaction::Server(key, merge, _) => {
                    self.servers.remove(&key);
                    if self.merged.get(&merge) == Some(&id) {
                        self.merged.remove(&merge);
                    }
                }
            }
        }
    }
}

fn client_key(headers: &Headers) -> Option<ClientKey> {
    let branch = headers.top_via().ok()?.branch()?.to_owned();
    Some(ClientKey {
        branch,
        method: headers.cseq().ok()?.method,
    })
}

fn server_key(request: &Request) -> Option<ServerKey> {
    let via = request.headers.top_via().ok()?;
    let method = if request.method == Method::Ack {
        Method::Invite
    } else {
        request.method
    };
    if via.has_cookie() {
        return Some(ServerKey {
            branch: via.branch()?.to_owned(),
            sent_by: via.sent_by(),
            method,
        });
    }
    // RFC 2543 peers: the request is recognised by its dialog, number and Via (RFC 3261 17.2.3).
    let merge = merge_key(&request.headers)?;
    let branch = format!("{} {} {}", merge.call_id, merge.from_tag, merge.cseq.number);
    Some(ServerKey {
        branch,
        sent_by: format!("{} {}", via.sent_by(), request.uri),
        method,
    })
}

fn merge_key(headers: &Headers) -> Option<MergeKey> {
    Some(MergeKey {
        call_id: headers.get(name::CALL_ID)?.to_owned(),
        from_tag: headers.from().ok()?.tag().unwrap_or_default().to_owned(),
        cseq: headers.cseq().ok()?,
    })
}
