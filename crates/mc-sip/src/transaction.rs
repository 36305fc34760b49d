//! Transactions (RFC 3261 17 with RFC 6026) as one state machine without IO.
//!
//! Feed it messages, requests and the time; take out what is to be sent and what concerns the user
//! of the transactions. 2xx to INVITE are retransmitted here until their ACK arrives, and ACKs to
//! 2xx are repeated here, so the user sees each event once.

mod client;
mod layer;
mod server;

pub use layer::TransactionLayer;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::message::{Request, Response, SipMessage};

/// A transport this stack runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams; the transactions retransmit.
    Udp,
    /// A stream framed by Content-Length.
    Tcp,
}

impl Transport {
    /// The token in Via and in `transport=`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// Whether the transport itself repeats what is lost.
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        matches!(self, Self::Tcp)
    }
}

/// The other end of a hop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// How it is reached.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

impl Peer {
    /// A UDP peer.
    #[must_use]
    pub const fn udp(address: SocketAddr) -> Self {
        Self {
            transport: Transport::Udp,
            address,
        }
    }

    /// A TCP peer.
    #[must_use]
    pub const fn tcp(address: SocketAddr) -> Self {
        Self {
            transport: Transport::Tcp,
            address,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.transport.as_str())
    }
}

/// Names a transaction in one [`TransactionLayer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransactionId(pub(crate) u64);

/// Timer values and limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionConfig {
    /// Round-trip estimate, 500 ms.
    pub t1: Duration,
    /// Largest retransmission interval, 4 s.
    pub t2: Duration,
    /// Longest life of a message in the network, 5 s.
    pub t4: Duration,
    /// How long an INVITE may stay without a final response after a provisional one, 180 s.
    pub timer_c: Duration,
    /// Most transactions at a time; more requests are answered with 503.
    pub max_transactions: usize,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            timer_c: Duration::from_secs(180),
            max_transactions: 20_000,
        }
    }
}

impl TransactionConfig {
    /// 64 times T1: timers B, F, H, L and M.
    pub(crate) fn give_up(&self) -> Duration {
        self.t1 * 64
    }
}

/// What comes out of the layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this message.
    Send {
        /// To whom.
        to: Peer,
        /// What.
        message: SipMessage,
    },
    /// A new request for the user; answer it with [`TransactionLayer::respond`].
    Request {
        /// Its transaction.
        id: TransactionId,
        /// The request, its Via completed with the source address.
        request: Request,
        /// Who sent it.
        from: Peer,
    },
    /// The ACK for a 2xx the user sent.
    Ack {
        /// The INVITE transaction it acknowledges.
        id: TransactionId,
        /// The ACK, which may carry an SDP answer.
        request: Request,
    },
    /// The INVITE was cancelled; the CANCEL is answered, the user still answers the INVITE with 487.
    Cancelled {
        /// The INVITE transaction.
        id: TransactionId,
    },
    /// No ACK came for a 2xx within 64 T1: the user ends the session (RFC 3261 13.3.1.4).
    AckMissing {
        /// The INVITE transaction.
        id: TransactionId,
    },
    /// A response to a request of the user.
    Response {
        /// The transaction of the request.
        id: TransactionId,
        /// The response.
        response: Response,
    },
    /// No final response came in time: treated as 408.
    TimedOut {
        /// The transaction of the request.
        id: TransactionId,
    },
    /// The request could not be sent: treated as 503.
    Unreachable {
        /// The transaction of the request.
        id: TransactionId,
    },
}

/// Why the layer refuses a call of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The transaction does not exist any more.
    #[error("no such transaction")]
    Unknown,
    /// The transaction already sent a final response.
    #[error("a final response was already sent")]
    AlreadyAnswered,
    /// There are too many transactions.
    #[error("too many transactions")]
    TooMany,
    /// The request lacks a mandatory header field.
    #[error("request is malformed")]
    Malformed,
}
