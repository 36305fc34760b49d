//! One event of the trace stream.

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::Declared;

/// What one node saw of one protocol message, or one decision it took.
///
/// The JSON form is stable: fields are only added, absent means the default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unix time in microseconds; 0 means "the tracer stamps it".
    pub time_us: u64,
    /// The reporting node, for example `mcptt-server`; empty means "the tracer fills it in".
    pub node: String,
    /// The declared name, for example `kms:keyprov_issued` (see [`crate::names`]).
    pub name: String,
    /// The reference point the message belongs to.
    pub interface: Interface,
    /// The protocol of `raw`.
    pub protocol: Protocol,
    /// What carried it.
    pub transport: Transport,
    /// Whether the reporting node sent it, received it or decided it.
    pub direction: Direction,
    /// Sender.
    pub from: Endpoint,
    /// Receiver.
    pub to: Endpoint,
    /// One line for a person; never a secret.
    pub summary: String,
    /// The clause of the procedure, for example `TS 24.379 7.2.1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// The call it belongs to (SIP Call-ID, or the identifier a leg was given).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call_id: Option<String>,
    /// Joins events of several nodes and legs that serve one purpose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Identifiers (never values) of the keys used, eight hexadecimal digits each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub key_ids: Vec<String>,
    /// The octets on the wire, secrets masked unless the lab exports keys.
    #[serde(default, with = "base64_octets", skip_serializing_if = "Vec::is_empty")]
    pub raw: Vec<u8>,
    /// The same message after removal of its protection, if the node holds the key.
    #[serde(default, with = "base64_octets", skip_serializing_if = "Vec::is_empty")]
    pub clear: Vec<u8>,
    /// The message taken apart; never a secret.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub decoded: Value,
    /// True for a packet of speech: fifty a second, so views collapse them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub media: bool,
    /// True if a secret was masked in this event.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

impl Event {
    /// A message this node sent.
    #[must_use]
    pub fn sent(name: &Declared, from: Endpoint, to: Endpoint, raw: impl Into<Vec<u8>>) -> Self {
        Self::message(name, Direction::Sent, from, to, raw.into())
    }

    /// A message this node received.
    #[must_use]
    pub fn received(
        name: &Declared,
        from: Endpoint,
        to: Endpoint,
        raw: impl Into<Vec<u8>>,
    ) -> Self {
        Self::message(name, Direction::Received, from, to, raw.into())
    }

    /// A decision this node took (a key issued, a request refused, a call bridged).
    #[must_use]
    pub fn local(name: &Declared, summary: impl Into<String>) -> Self {
        let mut event = Self::message(
            name,
            Direction::Local,
            Endpoint::default(),
            Endpoint::default(),
            Vec::new(),
        );
        event.transport = Transport::None;
        event.summary = summary.into();
        event
    }

    fn message(
        name: &Declared,
        direction: Direction,
        from: Endpoint,
        to: Endpoint,
        raw: Vec<u8>,
    ) -> Self {
        Self {
            time_us: 0,
            node: String::new(),
            name: name.name.to_owned(),
            interface: name.interface.clone(),
            protocol: name.protocol,
            transport: name.protocol.usual_transport(),
            direction,
            from,
            to,
            summary: name.meaning.to_owned(),
            clause: Some(name.clause.to_owned()),
            call_id: None,
            correlation_id: None,
            key_ids: Vec::new(),
            raw,
            clear: Vec::new(),
            decoded: Value::Null,
            media: name.protocol == Protocol::Rtp,
            redacted: false,
        }
    }

    /// Sets the one-line summary.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Sets the clause where it is narrower than the declared one.
    #[must_use]
    pub fn clause(mut self, clause: impl Into<String>) -> Self {
        self.clause = Some(clause.into());
        self
    }

    /// Sets the reference point where it differs from the declared one.
    #[must_use]
    pub fn on(mut self, interface: Interface) -> Self {
        self.interface = interface;
        self
    }

    /// Sets the transport where it differs from the protocol's usual one.
    #[must_use]
    pub const fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Sets the call the event belongs to.
    #[must_use]
    pub fn call(mut self, call_id: impl Into<String>) -> Self {
        self.call_id = Some(call_id.into());
        self
    }

    /// Sets the identifier that joins legs and nodes.
    #[must_use]
    pub fn correlation(mut self, correlation_id: impl Into<String>) -> Self {
        self.correlation_id = Some(correlation_id.into());
        self
    }

    /// Adds the identifier of a key that was used.
    #[must_use]
    pub fn key(mut self, key_id: u32) -> Self {
        self.key_ids.push(format!("{key_id:08x}"));
        self
    }

    /// Sets the message taken apart.
    #[must_use]
    pub fn decoded(mut self, decoded: Value) -> Self {
        self.decoded = decoded;
        self
    }

    /// Sets the message without its protection (the RTCP inside SRTCP, the RTP inside SRTP).
    #[must_use]
    pub fn clear(mut self, clear: impl Into<Vec<u8>>) -> Self {
        self.clear = clear.into();
        self
    }
}

/// One end of a message: a name for people and the socket address on the wire.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Endpoint {
    /// Node name (`kms`) or, for a peer not known by name, what it calls itself.
    pub name: String,
    /// Socket address, if the message crossed a socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub addr: Option<SocketAddr>,
}

impl Endpoint {
    /// An end known by name and address.
    #[must_use]
    pub fn new(name: impl Into<String>, addr: SocketAddr) -> Self {
        Self {
            name: name.into(),
            addr: Some(addr),
        }
    }

    /// An end known only by its address.
    #[must_use]
    pub const fn at(addr: SocketAddr) -> Self {
        Self {
            name: String::new(),
            addr: Some(addr),
        }
    }

    /// An end known only by its name.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            addr: None,
        }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(addr: SocketAddr) -> Self {
        Self::at(addr)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.addr) {
            (name, _) if !name.is_empty() => f.write_str(name),
            (_, Some(addr)) => write!(f, "{addr}"),
            (_, None) => f.write_str("?"),
        }
    }
}

/// A reference point of TS 23.280, TS 23.379 or TS 33.180, or the external side.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Interface(pub Cow<'static, str>);

impl Interface {
    /// Identity management client to server.
    pub const CSC_1: Self = Self::of("CSC-1");
    /// Group management client to server.
    pub const CSC_2: Self = Self::of("CSC-2");
    /// MC service server to group management server.
    pub const CSC_3: Self = Self::of("CSC-3");
    /// Configuration management client to server.
    pub const CSC_4: Self = Self::of("CSC-4");
    /// Key management client to server.
    pub const CSC_8: Self = Self::of("CSC-8");
    /// MC service server to key management server.
    pub const CSC_9: Self = Self::of("CSC-9");
    /// Group management server to key management server.
    pub const CSC_10: Self = Self::of("CSC-10");
    /// Signalling user agent to SIP core.
    pub const SIP_1: Self = Self::of("SIP-1");
    /// SIP core to a server.
    pub const SIP_2: Self = Self::of("SIP-2");
    /// SIP core to SIP core.
    pub const SIP_3: Self = Self::of("SIP-3");
    /// MCPTT client to MCPTT server, call control.
    pub const MCPTT_1: Self = Self::of("MCPTT-1");
    /// MCPTT server to MCPTT server.
    pub const MCPTT_3: Self = Self::of("MCPTT-3");
    /// Floor control between client and server, unicast.
    pub const MCPTT_4: Self = Self::of("MCPTT-4");
    /// Media between client and media distribution, unicast.
    pub const MCPTT_7: Self = Self::of("MCPTT-7");
    /// The gateway's external side: a radio network.
    pub const LMR: Self = Self::of("LMR");
    /// Inside one node.
    pub const INTERNAL: Self = Self::of("internal");

    /// A reference point known at compile time.
    #[must_use]
    pub const fn of(name: &'static str) -> Self {
        Self(Cow::Borrowed(name))
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The protocol of an event's octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// SIP (RFC 3261).
    Sip,
    /// HTTP (identity, key, group and configuration management).
    Http,
    /// Floor control: SRTCP or RTCP APP packets of TS 24.380.
    Rtcp,
    /// Media: SRTP or RTP.
    Rtp,
    /// A MIKEY message by itself (RFC 3830, RFC 6509).
    Mikey,
    /// No octets: a decision of a node.
    None,
}

impl Protocol {
    const fn usual_transport(self) -> Transport {
        match self {
            Self::Sip => Transport::Tcp,
            Self::Http => Transport::Tls,
            Self::Rtcp | Self::Rtp => Transport::Udp,
            Self::Mikey | Self::None => Transport::None,
        }
    }
}

/// What carried a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP; `raw` is what was inside.
    Tls,
    /// Nothing: it happened inside the node.
    None,
}

/// The reporting node's part in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// It sent the message.
    Sent,
    /// It received the message.
    Received,
    /// It took a decision.
    Local,
}

mod base64_octets {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(octets: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(octets))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
