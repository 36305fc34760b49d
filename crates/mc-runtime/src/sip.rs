//! A SIP endpoint: UDP and TCP on one address around the transactions of [`mc_sip`].
//!
//! One task owns all state; readers and connections are tasks of their own that stop with the
//! endpoint. Connections are reused in both directions, framed by Content-Length, and bounded in
//! number, size and rate.

mod core;
mod limits;
mod tcp;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_sip::transaction::{TransactionConfig, TransactionError, TransactionId};
use mc_sip::{NameAddr, Peer, Request, Response, StatusCode, Transport, Uri, Via, name, token};
use mc_trace::{Declared, Direction, Endpoint, Event, names};
use serde::Deserialize;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::trace::Tracer;

use self::core::{Command, Core};

/// Most seconds for one message over TCP. The largest has 64 KiB and needs less over any path that
/// carries speech; without a limit an octet now and then would hold a connection for ever.
const MESSAGE_TIMEOUT_S: u64 = 10;

/// The `[sip]` section of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SipConfig {
    /// Address of the UDP socket and the TCP listener. Default 127.0.0.1:5060.
    pub bind: SocketAddr,
    /// Address written into Via and Contact when it differs from `bind`. Default: `bind`, or for a
    /// wildcard address the local address that faces the peer.
    pub advertised: Option<SocketAddr>,
    /// Most TCP connections at a time. When they are all taken, one whose peer never completed a
    /// message is closed for the next; without such a one the next is closed. Default 512.
    pub max_connections: usize,
    /// Most messages accepted per second from one connection, or from one address over UDP;
    /// UDP messages above are dropped, TCP is read more slowly. Default 2000.
    pub max_messages_per_s: u32,
    /// Seconds a message may take over TCP from its first octet to its last, then its connection is
    /// closed. Default 10.
    pub message_timeout_s: u64,
    /// Seconds after which a silent TCP connection is closed. Default 3600.
    pub idle_timeout_s: u64,
    /// Requests that may wait for the application; more are answered with 503. Default 1024.
    pub queue: usize,
}

impl Default for SipConfig {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 5060)),
            advertised: None,
            max_connections: 512,
            max_messages_per_s: 2000,
            message_timeout_s: MESSAGE_TIMEOUT_S,
            idle_timeout_s: 3600,
            queue: 1024,
        }
    }
}

/// One message on the wire, as a tracer sees it.
#[derive(Debug, Clone, Copy)]
pub struct WireMessage<'a> {
    /// Whether this endpoint sent it.
    pub sent: bool,
    /// Our address.
    pub local: SocketAddr,
    /// The other end.
    pub peer: Peer,
    /// The octets.
    pub raw: &'a [u8],
}

/// Sees every message sent and received.
pub trait SipTrace: Send + Sync + 'static {
    /// Called for each message; must not wait.
    fn message(&self, message: WireMessage<'_>);

    /// Called after [`SipTrace::message`] for a message that could not be read, with the reason.
    fn rejected(&self, _message: WireMessage<'_>, _why: &str, _call_id: Option<&str>) {}
}

/// Emits every message as an event; an event's own end carries the node's name.
#[derive(Debug, Clone)]
pub struct TracedSip {
    /// Where events go.
    pub tracer: Tracer,
    /// Name of this node in the events.
    pub node: String,
    /// Name of the event for a message sent.
    pub sent: Declared,
    /// Name of the event for a message received.
    pub received: Declared,
}

impl TracedSip {
    /// Traces the MC side of a node.
    #[must_use]
    pub fn shared(tracer: Tracer, node: &str) -> Arc<dyn SipTrace> {
        let node = node.to_owned();
        Arc::new(Self {
            tracer,
            node,
            sent: names::SIP_SENT,
            received: names::SIP_RECEIVED,
        })
    }

    /// Traces the radio side of a node.
    #[must_use]
    pub fn lmr(tracer: Tracer, node: &str) -> Arc<dyn SipTrace> {
        let (sent, received) = (names::LMR_SIP_SENT, names::LMR_SIP_RECEIVED);
        Arc::new(Self {
            tracer,
            node: node.to_owned(),
            sent,
            received,
        })
    }
}

impl SipTrace for TracedSip {
    fn message(&self, message: WireMessage<'_>) {
        if !self.tracer.is_on() {
            return;
        }
        let own = Endpoint::new(self.node.clone(), message.local);
        let other = Endpoint::at(message.peer.address);
        let transport = match message.peer.transport {
            Transport::Udp => mc_trace::Transport::Udp,
            Transport::Tcp => mc_trace::Transport::Tcp,
        };
        let (name, direction, from, to) = if message.sent {
            (&self.sent, Direction::Sent, own, other)
        } else {
            (&self.received, Direction::Received, other, own)
        };
        self.tracer.emit(Event::sip(
            name,
            direction,
            from,
            to,
            transport,
            message.raw,
        ));
    }

    fn rejected(&self, message: WireMessage<'_>, why: &str, call_id: Option<&str>) {
        let peer = message.peer;
        let event = Event::local(&names::SIP_REJECTED, format!("message of {peer}: {why}"));
        self.tracer.emit(match call_id {
            Some(call_id) => event.call(call_id),
            None => event,
        });
    }
}

impl SipTrace for () {
    fn message(&self, _message: WireMessage<'_>) {}
}

/// Why a request got no response from its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No final response came in time.
    #[error("no final response in time")]
    TimedOut,
    /// The peer cannot be reached.
    #[error("peer cannot be reached")]
    Unreachable,
    /// The request was not accepted for sending.
    #[error(transparent)]
    NotSent(#[from] TransactionError),
    /// The endpoint has stopped.
    #[error("endpoint has stopped")]
    Stopped,
}

impl RequestError {
    /// The status code this failure is treated as (RFC 3261 8.1.3.1).
    #[must_use]
    pub const fn status(self) -> StatusCode {
        match self {
            Self::TimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Unreachable | Self::NotSent(_) | Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What reaches the application.
#[derive(Debug)]
pub enum Incoming {
    /// A new request.
    Request(IncomingRequest),
    /// The ACK for a 2xx that answered the INVITE of this transaction.
    Ack {
        /// The INVITE transaction.
        transaction: TransactionId,
        /// The ACK.
        request: Request,
    },
    /// The INVITE of this transaction was cancelled; answer it with 487.
    Cancelled {
        /// The INVITE transaction.
        transaction: TransactionId,
    },
    /// No ACK came for the 2xx of this transaction: end the session.
    AckMissing {
        /// The INVITE transaction.
        transaction: TransactionId,
    },
}

/// A request to answer; dropped without a final response it is answered with 500.
#[derive(Debug)]
pub struct IncomingRequest {
    /// The request.
    pub request: Request,
    /// Who sent it; the flow to send requests back over.
    pub from: Peer,
    /// Its transaction.
    pub transaction: TransactionId,
    /// The To tag of every response made by [`IncomingRequest::response`].
    pub to_tag: String,
    answered: AtomicBool,
    commands: mpsc::UnboundedSender<Command>,
}

impl IncomingRequest {
    /// A response with this request's To tag.
    #[must_use]
    pub fn response(&self, status: StatusCode) -> Response {
        self.request.response(status, &self.to_tag)
    }

    /// Sends a response; after a final one further ones are ignored.
    pub fn respond(&self, response: Response) {
        if response.status.is_final() && self.answered.swap(true, Ordering::SeqCst) {
            return;
        }
        // A stopped endpoint sends nothing any more.
        let _ = self
            .commands
            .send(Command::Respond(self.transaction, response));
    }

    /// Sends a response without body and further header fields.
    pub fn respond_status(&self, status: StatusCode) {
        self.respond(self.response(status));
    }

    /// The span of everything done for this request, so that its log lines carry the Call-ID.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        let call_id = self.request.headers.get(name::CALL_ID);
        tracing::info_span!("sip", call_id)
    }

    /// Whether a final response was sent.
    #[must_use]
    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::SeqCst)
    }
}

impl Drop for IncomingRequest {
    fn drop(&mut self) {
        if !self.is_answered() {
            self.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
        }
    }
}

/// The responses to one request.
#[derive(Debug)]
pub struct ResponseStream {
    /// The request as it was sent, with its Via.
    pub request: Request,
    /// Where it was sent.
    pub to: Peer,
    responses: mpsc::UnboundedReceiver<Result<Response, RequestError>>,
    handle: u64,
    endpoint: SipEndpoint,
}

impl ResponseStream {
    /// The next provisional or final response; `None` after the final one.
    pub async fn next(&mut self) -> Option<Result<Response, RequestError>> {
        self.responses.recv().await
    }

    /// Waits for the final response.
    ///
    /// # Errors
    /// No response came from the peer.
    pub async fn final_response(&mut self) -> Result<Response, RequestError> {
        loop {
            match self.next().await {
                Some(Ok(response)) if response.status.is_provisional() => {}
                Some(result) => return result,
                None => return Err(RequestError::Stopped),
            }
        }
    }

    /// Sends the ACK for the 2xx over the flow of the INVITE; it is repeated when the 2xx is.
    pub fn ack(&self, ack: Request) {
        self.ack_to(ack, self.to);
    }

    /// Sends the ACK for the 2xx to another next hop.
    pub fn ack_to(&self, ack: Request, to: Peer) {
        let ack = self.endpoint.with_via(ack, to);
        let _ = self
            .endpoint
            .commands
            .send(Command::Ack(self.handle, ack, to));
    }

    /// Cancels the INVITE as soon as a provisional response has come.
    pub fn cancel(&self) {
        let _ = self.endpoint.commands.send(Command::Cancel(self.handle));
    }
}

/// A SIP endpoint; clones share it.
#[derive(Debug, Clone)]
pub struct SipEndpoint {
    commands: mpsc::UnboundedSender<Command>,
    local: SocketAddr,
    advertised: Option<SocketAddr>,
    shutdown: CancellationToken,
    tasks: TaskTracker,
    next_handle: Arc<std::sync::atomic::AtomicU64>,
    connected: Arc<Mutex<HashSet<SocketAddr>>>,
}

impl SipEndpoint {
    /// Opens UDP and TCP on `config.bind` (port 0 = any free one) and starts the endpoint; it stops
    /// with `shutdown`.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(
        config: &SipConfig,
        transactions: TransactionConfig,
        trace: Arc<dyn SipTrace>,
        shutdown: &CancellationToken,
    ) -> std::io::Result<(Self, mpsc::Receiver<Incoming>)> {
        let (listener, socket) = bind_both(config.bind).await?;
        let local = listener.local_addr()?;
        let (commands, command_queue) = mpsc::unbounded_channel();
        let (incoming, incoming_queue) = mpsc::channel(config.queue.max(1));
        let endpoint = Self {
            commands,
            local,
            advertised: config.advertised,
            shutdown: shutdown.child_token(),
            tasks: TaskTracker::new(),
            next_handle: Arc::default(),
            connected: Arc::default(),
        };
        let core = Core::new(
            config.clone(),
            transactions,
            trace,
            endpoint.clone(),
            incoming,
        );
        endpoint
            .tasks
            .spawn(core.run(listener, socket, command_queue));
        endpoint.tasks.close();
        Ok((endpoint, incoming_queue))
    }

    /// The bound address.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// Whether there is a connection to a peer; one over UDP needs none.
    #[must_use]
    pub fn is_connected(&self, peer: Peer) -> bool {
        match peer.transport {
            Transport::Udp => true,
            Transport::Tcp => self.connected().contains(&peer.address),
        }
    }

    fn connected(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The address a peer reaches us at.
    #[must_use]
    pub fn address_towards(&self, peer: SocketAddr) -> SocketAddr {
        if let Some(advertised) = self.advertised {
            return advertised;
        }
        if !self.local.ip().is_unspecified() {
            return self.local;
        }
        // Connecting a datagram socket sends nothing; it only asks the routing table.
        let facing = std::net::UdpSocket::bind(SocketAddr::new(self.local.ip(), 0))
            .and_then(|socket| socket.connect(peer).and_then(|()| socket.local_addr()));
        facing.map_or(self.local, |facing| {
            SocketAddr::new(facing.ip(), self.local.port())
        })
    }

    /// A Contact with this user part that a peer can reach us at.
    #[must_use]
    pub fn contact(&self, user: &str, towards: Peer) -> NameAddr {
        let transport = towards.transport.as_str().to_ascii_lowercase();
        let uri = Uri::of_address(self.address_towards(towards.address)).with_user(user);
        NameAddr::new(uri.with_param("transport", Some(&transport)))
    }

    /// The next hop of a URI: `transport=udp` selects UDP, everything else TCP.
    ///
    /// # Errors
    /// The host name cannot be resolved.
    pub async fn resolve(uri: &Uri) -> std::io::Result<Peer> {
        let udp = uri
            .params
            .get("transport")
            .is_some_and(|t| t.eq_ignore_ascii_case("udp"));
        let transport = if udp { Transport::Udp } else { Transport::Tcp };
        if let Some(address) = uri.socket_address() {
            return Ok(Peer { transport, address });
        }
        let mut found =
            tokio::net::lookup_host((uri.host.as_str(), uri.port.unwrap_or(5060))).await?;
        let address = found.next().ok_or(std::io::ErrorKind::NotFound)?;
        Ok(Peer { transport, address })
    }

    /// Sends a request (not an ACK) to a next hop; a Via is added.
    #[must_use]
    pub fn request(&self, request: Request, to: Peer) -> ResponseStream {
        let request = self.with_via(request, to);
        let (responses, queue) = mpsc::unbounded_channel();
        let handle = self.next_handle.fetch_add(1, Ordering::Relaxed);
        let command = Command::Request {
            handle,
            request: request.clone(),
            to,
            responses: responses.clone(),
        };
        if self.commands.send(command).is_err() {
            let _ = responses.send(Err(RequestError::Stopped));
        }
        ResponseStream {
            request,
            to,
            responses: queue,
            handle,
            endpoint: self.clone(),
        }
    }

    fn with_via(&self, mut request: Request, to: Peer) -> Request {
        let branch = token::branch(&mut crate::rng());
        let via = Via::new(
            to.transport.as_str(),
            self.address_towards(to.address),
            &branch,
        );
        request.headers.push_front(name::VIA, via.to_string());
        request
    }

    /// Stops the endpoint and waits until every task of it has ended.
    pub async fn close(&self) {
        self.shutdown.cancel();
        self.tasks.wait().await;
    }
}

/// Binds TCP and UDP to one address; with port 0 both get the same free port.
async fn bind_both(address: SocketAddr) -> std::io::Result<(TcpListener, UdpSocket)> {
    let mut attempts = 0;
    loop {
        let listener = TcpListener::bind(address).await?;
        match UdpSocket::bind(listener.local_addr()?).await {
            Ok(socket) => return Ok((listener, socket)),
            Err(error) if address.port() != 0 || attempts == 32 => return Err(error),
            Err(_) => attempts += 1,
        }
    }
}

#[cfg(test)]
mod tests;
