//! The task that owns the transactions and the connections.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mc_sip::transaction::{
    Output, TransactionConfig, TransactionError, TransactionId, TransactionLayer,
};
use mc_sip::{
    Method, Peer, Rejected, Request, Response, SipMessage, StatusCode, Transport, name,
    parse_datagram, parse_message, token,
};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::limits::Sources;
use super::tcp::{Connection, FromConnection};
use super::{
    Incoming, IncomingRequest, RequestError, SipConfig, SipEndpoint, SipTrace, WireMessage,
};
use crate::places::{Place, Places};

/// Messages that may wait in one connection's queue before it is given up.
const CONNECTION_QUEUE: usize = 512;

/// What handles ask of the core.
#[derive(Debug)]
pub(super) enum Command {
    Request {
        handle: u64,
        request: Request,
        to: Peer,
        responses: mpsc::UnboundedSender<Result<Response, RequestError>>,
    },
    Respond(TransactionId, Response),
    Ack(u64, Request, Peer),
    Cancel(u64),
}

#[derive(Debug)]
struct Pending {
    handle: u64,
    responses: mpsc::UnboundedSender<Result<Response, RequestError>>,
}

struct Link {
    number: u64,
    queue: mpsc::Sender<Vec<u8>>,
}

pub(super) struct Core {
    config: SipConfig,
    layer: TransactionLayer,
    trace: Arc<dyn SipTrace>,
    endpoint: SipEndpoint,
    incoming: mpsc::Sender<Incoming>,
    pending: HashMap<TransactionId, Pending>,
    handles: HashMap<u64, TransactionId>,
    links: HashMap<SocketAddr, Link>,
    places: Places,
    next_link: u64,
    to_core: mpsc::Sender<FromConnection>,
    from_connections: Option<mpsc::Receiver<FromConnection>>,
    datagrams: Vec<(Peer, Vec<u8>)>,
}

impl Core {
    pub(super) fn new(
        config: SipConfig,
        transactions: TransactionConfig,
        trace: Arc<dyn SipTrace>,
        endpoint: SipEndpoint,
        incoming: mpsc::Sender<Incoming>,
    ) -> Self {
        let (to_core, from_connections) = mpsc::channel(1024);
        let places = Places::new(config.max_connections);
        Self {
            config,
            layer: TransactionLayer::new(transactions),
            trace,
            endpoint,
            incoming,
            pending: HashMap::new(),
            handles: HashMap::new(),
            links: HashMap::new(),
            places,
            next_link: 0,
            to_core,
            from_connections: Some(from_connections),
            datagrams: Vec::new(),
        }
    }

    pub(super) async fn run(
        mut self,
        listener: TcpListener,
        socket: UdpSocket,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let Some(mut from_connections) = self.from_connections.take() else {
            return;
        };
        let shutdown = self.endpoint.shutdown.clone();
        let mut sources = Sources::new(self.config.max_messages_per_s);
        let mut buffer = vec![0; 65_536];
        loop {
            let wake = self.layer.poll_timeout().map(Instant::from_std);
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(command) = commands.recv() => self.on_command(command),
                Some(event) = from_connections.recv() => self.on_connection(event),
                received = socket.recv_from(&mut buffer) => {
                    self.on_datagram(&received, &buffer, &mut sources);
                }
                accepted = listener.accept() => self.on_accept(accepted).await,
                () = timer => self.layer.handle_timeout(now()),
            }
            self.drain();
            for (peer, bytes) in self.datagrams.drain(..) {
                if let Err(error) = socket.send_to(&bytes, peer.address).await {
                    tracing::debug!(%peer, %error, "datagram was not sent");
                    self.layer.peer_unreachable(peer);
                }
            }
            self.drain();
        }
        for pending in self.pending.values() {
            let _ = pending.responses.send(Err(RequestError::Stopped));
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Request {
                handle,
                request,
                to,
                responses,
            } => match self.layer.send_request(request, to, now()) {
                Ok(id) => {
                    self.handles.insert(handle, id);
                    self.pending.insert(id, Pending { handle, responses });
                }
                Err(error) => drop(responses.send(Err(error.into()))),
            },
            Command::Respond(id, response) => match self.layer.respond(id, response, now()) {
                Ok(()) | Err(TransactionError::Unknown | TransactionError::AlreadyAnswered) => {}
                Err(error) => tracing::warn!(%error, "response was not sent"),
            },
            Command::Ack(handle, ack, to) => {
                let known = self.handles.remove(&handle);
                // After 64 T1 the transaction is gone; a late ACK is still worth sending.
                if known.is_none_or(|id| self.layer.ack(id, ack.clone(), to).is_err()) {
                    self.send(to, &SipMessage::Request(ack));
                }
            }
            Command::Cancel(handle) => {
                if let Some(id) = self.handles.get(&handle) {
                    self.layer.cancel(*id, now());
                }
            }
        }
    }

    fn on_datagram(
        &mut self,
        received: &io::Result<(usize, SocketAddr)>,
        buffer: &[u8],
        sources: &mut Sources,
    ) {
        let Ok((length, address)) = *received else {
            return;
        };
        let bytes = buffer.get(..length).unwrap_or_default();
        // Keep-alives (RFC 5626 4.4.2) carry no message.
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return;
        }
        if !sources.allow(address.ip(), Instant::now()) {
            tracing::debug!(source = %address.ip(), "too many datagrams");
            return;
        }
        self.on_bytes(Peer::udp(address), bytes, parse_datagram(bytes));
    }

    fn on_connection(&mut self, event: FromConnection) {
        match event {
            FromConnection::Message(address, bytes) => {
                self.on_bytes(Peer::tcp(address), &bytes, parse_message(&bytes));
            }
            FromConnection::Unframeable(address, rejected) => {
                self.reject(Peer::tcp(address), &[], *rejected);
            }
            FromConnection::Ended {
                address,
                number,
                reached,
            } => {
                if self
                    .links
                    .get(&address)
                    .is_some_and(|link| link.number == number)
                {
                    self.links.remove(&address);
                    self.endpoint.connected().remove(&address);
                }
                if !reached {
                    tracing::debug!(peer = %address, "connection failed");
                    self.layer.peer_unreachable(Peer::tcp(address));
                }
            }
        }
    }

    fn on_bytes(&mut self, peer: Peer, raw: &[u8], parsed: Result<SipMessage, Rejected>) {
        let local = self.endpoint.local;
        self.trace.message(WireMessage {
            sent: false,
            local,
            peer,
            raw,
        });
        match parsed {
            Ok(message) => {
                tracing::debug!(%peer, message = message.summary(), "SIP received");
                self.layer.handle_message(message, peer, now());
            }
            Err(rejected) => self.reject(peer, raw, rejected),
        }
    }

    fn reject(&mut self, peer: Peer, raw: &[u8], rejected: Rejected) {
        let reply = rejected.reply.as_ref();
        let status = reply.map(|reply| reply.status.code());
        let call_id = reply.and_then(|reply| reply.headers.get(name::CALL_ID));
        let error = rejected.error.to_string();
        tracing::info!(%peer, call_id, error, status, "SIP message refused");
        let local = self.endpoint.local;
        let message = WireMessage {
            sent: false,
            local,
            peer,
            raw,
        };
        self.trace.rejected(message, &error, call_id);
        if let Some(reply) = rejected.reply {
            self.send(peer, &SipMessage::Response(*reply));
        }
    }

    async fn on_accept(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        match accepted {
            Ok((stream, address)) => {
                let Some(place) = self.places.admit(address.ip()) else {
                    tracing::info!(peer = %address, "too many connections");
                    return;
                };
                let (connection, queue) = self.link(address, place);
                self.endpoint
                    .tasks
                    .spawn(connection.accepted(stream, queue));
            }
            Err(error) => {
                tracing::warn!(%error, "connection was not accepted");
                // Out of file descriptors: accepting again at once would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }

    fn link(&mut self, address: SocketAddr, place: Place) -> (Connection, mpsc::Receiver<Vec<u8>>) {
        let (queue, out) = mpsc::channel(CONNECTION_QUEUE);
        self.next_link += 1;
        let number = self.next_link;
        self.links.insert(address, Link { number, queue });
        self.endpoint.connected().insert(address);
        let connection = Connection {
            address,
            number,
            place,
            rate: self.config.max_messages_per_s,
            idle: Duration::from_secs(self.config.idle_timeout_s.max(1)),
            message_timeout: Duration::from_secs(self.config.message_timeout_s.max(1)),
            to_core: self.to_core.clone(),
            shutdown: self.endpoint.shutdown.clone(),
        };
        (connection, out)
    }

    fn drain(&mut self) {
        while let Some(output) = self.layer.poll_output() {
            match output {
                Output::Send { to, message } => self.send(to, &message),
                Output::Request { id, request, from } => self.deliver_request(id, request, from),
                Output::Ack { id, request } => self.deliver(Incoming::Ack {
                    transaction: id,
                    request,
                }),
                Output::Cancelled { id } => self.deliver(Incoming::Cancelled { transaction: id }),
                Output::AckMissing { id } => self.deliver(Incoming::AckMissing { transaction: id }),
                Output::Response { id, response } => self.deliver_response(id, response),
                Output::TimedOut { id } => self.fail(id, RequestError::TimedOut),
                Output::Unreachable { id } => self.fail(id, RequestError::Unreachable),
            }
        }
    }

    fn deliver_request(&mut self, id: TransactionId, request: Request, from: Peer) {
        let to_tag = token::tag(&mut crate::rng());
        let overloaded = request.response(StatusCode::SERVICE_UNAVAILABLE, &to_tag);
        let incoming = Incoming::Request(IncomingRequest {
            request,
            from,
            transaction: id,
            to_tag,
            answered: AtomicBool::new(false),
            commands: self.endpoint.commands.clone(),
        });
        if let Err(error) = self.incoming.try_send(incoming) {
            tracing::warn!("request queue is full or gone");
            if let mpsc::error::TrySendError::Full(Incoming::Request(refused))
            | mpsc::error::TrySendError::Closed(Incoming::Request(refused)) = error
            {
                refused
                    .answered
                    .store(true, std::sync::atomic::Ordering::SeqCst);
            }
            // The transaction was made in this very step, so it accepts a response.
            let _ = self.layer.respond(id, overloaded, now());
        }
    }

    fn deliver(&self, incoming: Incoming) {
        if self.incoming.try_send(incoming).is_err() {
            tracing::warn!("event queue is full or gone");
        }
    }

    fn deliver_response(&mut self, id: TransactionId, response: Response) {
        let Some(pending) = self.pending.get(&id) else {
            return;
        };
        let is_final = response.status.is_final();
        let invite_ok = response.status.is_success()
            && response
                .headers
                .cseq()
                .is_ok_and(|cseq| cseq.method == Method::Invite);
        let _ = pending.responses.send(Ok(response));
        if is_final {
            let pending = self.pending.remove(&id);
            // The handle of an answered INVITE is kept for its ACK.
            if let Some(pending) = pending.filter(|_| !invite_ok) {
                self.handles.remove(&pending.handle);
            }
        }
    }

    fn fail(&mut self, id: TransactionId, error: RequestError) {
        if let Some(pending) = self.pending.remove(&id) {
            self.handles.remove(&pending.handle);
            let _ = pending.responses.send(Err(error));
        }
    }

    fn send(&mut self, to: Peer, message: &SipMessage) {
        let raw = message.to_bytes();
        let to = self.reachable(to, message);
        let local = self.endpoint.local;
        self.trace.message(WireMessage {
            sent: true,
            local,
            peer: to,
            raw: &raw,
        });
        tracing::debug!(peer = %to, message = message.summary(), "SIP sent");
        match to.transport {
            Transport::Udp => self.datagrams.push((to, raw)),
            Transport::Tcp => self.send_tcp(to.address, raw),
        }
    }

    /// A response whose connection is gone goes to the address of its Via (RFC 3261 18.2.2).
    fn reachable(&self, to: Peer, message: &SipMessage) -> Peer {
        if let SipMessage::Response(response) = message
            && to.transport == Transport::Tcp
            && !self.links.contains_key(&to.address)
            && let Ok(via) = response.headers.top_via()
        {
            let host = via.params.get("received").unwrap_or(&via.host);
            if let Ok(ip) = host.parse() {
                return Peer::tcp(SocketAddr::new(ip, via.port.unwrap_or(5060)));
            }
        }
        to
    }

    fn send_tcp(&mut self, address: SocketAddr, raw: Vec<u8>) {
        if !self.links.contains_key(&address) {
            let place = self.places.take(address.ip());
            let (connection, queue) = self.link(address, place);
            self.endpoint.tasks.spawn(connection.dialled(queue));
        }
        let full = self
            .links
            .get(&address)
            .is_some_and(|link| link.queue.try_send(raw).is_err());
        if full {
            tracing::warn!(peer = %address, "connection does not take messages, closing it");
            self.links.remove(&address);
            self.endpoint.connected().remove(&address);
            self.layer.peer_unreachable(Peer::tcp(address));
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}
