//! HEP3, the encapsulation Homer, heplify and sngrep read.
//!
//! A SIP message travels as HEP type 1 with its octets as payload, a media packet as type 4. Other
//! events travel as type 100 (log) whose payload is the summary line. Our own event, without the
//! octets already in the payload, is in a chunk under [`VENDOR`]; foreign collectors skip it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::Value;

use crate::event::{Direction, Endpoint, Event, Protocol, Transport};
use crate::names;

/// Vendor identifier of our chunks (`mc`).
pub const VENDOR: u16 = 0x6d63;
/// The largest datagram written or read, in octets.
pub const MAX_DATAGRAM: usize = 65_507;

const MAGIC: &[u8; 4] = b"HEP3";
const OURS_EVENT: u16 = 1;
const OURS_RAW: u16 = 2;

const TYPE_SIP: u8 = 1;
const TYPE_RTP: u8 = 4;
const TYPE_LOG: u8 = 100;

/// A datagram that is not HEP3.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HepError {
    /// It does not start with `HEP3`.
    #[error("no HEP3 header")]
    NotHep3,
    /// The total length or a chunk length does not fit the datagram.
    #[error("a length points outside the datagram at octet {0}")]
    Length(usize),
    /// A chunk has the wrong size for its type.
    #[error("chunk {0:#06x} has a wrong size")]
    ChunkSize(u16),
    /// Our own chunk does not hold an event.
    #[error("the event chunk is not an event")]
    Event,
    /// There is nothing to show: neither a payload nor our event.
    #[error("no payload")]
    Empty,
}

/// Encodes an event as one HEP3 datagram; `agent` is the capture agent identifier.
///
/// An event that does not fit loses its decoded view first, then its octets.
#[must_use]
pub fn encode(event: &Event, agent: u32) -> Vec<u8> {
    let full = encode_whole(event, agent);
    if full.len() <= MAX_DATAGRAM {
        return full;
    }
    let mut smaller = event.clone();
    smaller.decoded = Value::Null;
    let without_view = encode_whole(&smaller, agent);
    if without_view.len() <= MAX_DATAGRAM {
        return without_view;
    }
    smaller.raw = Vec::new();
    smaller.clear = Vec::new();
    smaller.summary = smaller.summary.chars().take(1024).collect();
    encode_whole(&smaller, agent)
}

fn encode_whole(event: &Event, agent: u32) -> Vec<u8> {
    let mut out = Chunks::new();
    let (from, to) = addresses(event);
    let both_v4 = from.is_ipv4() && to.is_ipv4();
    out.chunk(0, 1, &[if both_v4 { 2 } else { 10 }]);
    let tcp = matches!(event.transport, Transport::Tcp | Transport::Tls);
    out.chunk(0, 2, &[if tcp { 6 } else { 17 }]);
    for (address, v4, v6, port) in [(from, 3, 5, 7), (to, 4, 6, 8)] {
        match (both_v4, address.ip()) {
            (true, IpAddr::V4(ip)) => out.chunk(0, v4, &ip.octets()),
            (_, IpAddr::V4(ip)) => out.chunk(0, v6, &ip.to_ipv6_mapped().octets()),
            (_, IpAddr::V6(ip)) => out.chunk(0, v6, &ip.octets()),
        }
        out.chunk(0, port, &address.port().to_be_bytes());
    }
    let seconds = u32::try_from(event.time_us / 1_000_000).unwrap_or(u32::MAX);
    out.chunk(0, 9, &seconds.to_be_bytes());
    let micros = u32::try_from(event.time_us % 1_000_000).unwrap_or(0);
    out.chunk(0, 10, &micros.to_be_bytes());
    let (kind, payload) = match event.protocol {
        Protocol::Sip if !event.raw.is_empty() => (TYPE_SIP, event.raw.as_slice()),
        Protocol::Rtp if !event.raw.is_empty() => (TYPE_RTP, event.raw.as_slice()),
        Protocol::Sip
        | Protocol::Rtp
        | Protocol::Http
        | Protocol::Rtcp
        | Protocol::Mikey
        | Protocol::None => (TYPE_LOG, event.summary.as_bytes()),
    };
    out.chunk(0, 11, &[kind]);
    out.chunk(0, 12, &agent.to_be_bytes());
    if let Some(id) = event.correlation_id.as_ref().or(event.call_id.as_ref()) {
        out.chunk(0, 17, id.as_bytes());
    }
    out.chunk(0, 19, event.node.as_bytes());
    out.chunk(0, 15, payload);
    let mut ours = event.clone();
    let raw = std::mem::take(&mut ours.raw);
    out.chunk(
        VENDOR,
        OURS_EVENT,
        &serde_json::to_vec(&ours).unwrap_or_default(),
    );
    if kind == TYPE_LOG && !raw.is_empty() {
        out.chunk(VENDOR, OURS_RAW, &raw);
    }
    out.finish()
}

fn addresses(event: &Event) -> (SocketAddr, SocketAddr) {
    let unknown = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    (
        event.from.addr.unwrap_or(unknown),
        event.to.addr.unwrap_or(unknown),
    )
}

struct Chunks(Vec<u8>);

impl Chunks {
    fn new() -> Self {
        let mut out = MAGIC.to_vec();
        out.extend_from_slice(&[0, 0]);
        Self(out)
    }

    /// A chunk whose length field overflows is written so that the datagram is too long too, and
    /// the caller then drops parts of the event.
    fn chunk(&mut self, vendor: u16, kind: u16, value: &[u8]) {
        self.0.extend_from_slice(&vendor.to_be_bytes());
        self.0.extend_from_slice(&kind.to_be_bytes());
        let length = u16::try_from(value.len() + 6).unwrap_or(u16::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
    }

    fn finish(mut self) -> Vec<u8> {
        let total = u16::try_from(self.0.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes();
        if let Some(field) = self.0.get_mut(4..6) {
            field.copy_from_slice(&total);
        }
        self.0
    }
}

/// Decodes one HEP3 datagram, ours or a foreign agent's (which gives an event with the octets, the
/// addresses and, for SIP, the decoded head).
///
/// # Errors
/// If the datagram is not well-formed HEP3 or holds nothing.
pub fn decode(datagram: &[u8]) -> Result<Event, HepError> {
    let mut read = Read::default();
    let total = match datagram {
        [b'H', b'E', b'P', b'3', hi, lo, ..] => usize::from(u16::from_be_bytes([*hi, *lo])),
        _ => return Err(HepError::NotHep3),
    };
    let body = datagram.get(6..total).ok_or(HepError::Length(4))?;
    let mut at = 0;
    while at < body.len() {
        let Some([v1, v2, t1, t2, l1, l2]) = body.get(at..at + 6) else {
            return Err(HepError::Length(at + 6));
        };
        let length = usize::from(u16::from_be_bytes([*l1, *l2]));
        let value = (length >= 6)
            .then(|| body.get(at + 6..at + length))
            .flatten()
            .ok_or(HepError::Length(at + 10))?;
        read.chunk(
            u16::from_be_bytes([*v1, *v2]),
            u16::from_be_bytes([*t1, *t2]),
            value,
        )?;
        at += length;
    }
    read.event()
}

#[derive(Default)]
struct Read {
    tcp: bool,
    from: (Option<IpAddr>, u16),
    to: (Option<IpAddr>, u16),
    seconds: u64,
    micros: u64,
    kind: u8,
    payload: Vec<u8>,
    correlation_id: Option<String>,
    node: String,
    event: Option<Event>,
    raw: Option<Vec<u8>>,
}

impl Read {
    fn chunk(&mut self, vendor: u16, kind: u16, value: &[u8]) -> Result<(), HepError> {
        match (vendor, kind) {
            (0, 2) => self.tcp = fixed::<1>(kind, value)? == [6],
            (0, 3) => self.from.0 = Some(IpAddr::from(fixed::<4>(kind, value)?)),
            (0, 4) => self.to.0 = Some(IpAddr::from(fixed::<4>(kind, value)?)),
            (0, 5) => self.from.0 = Some(IpAddr::from(fixed::<16>(kind, value)?)),
            (0, 6) => self.to.0 = Some(IpAddr::from(fixed::<16>(kind, value)?)),
            (0, 7) => self.from.1 = u16::from_be_bytes(fixed(kind, value)?),
            (0, 8) => self.to.1 = u16::from_be_bytes(fixed(kind, value)?),
            (0, 9) => self.seconds = u32::from_be_bytes(fixed(kind, value)?).into(),
            (0, 10) => self.micros = u32::from_be_bytes(fixed(kind, value)?).into(),
            (0, 11) => [self.kind] = fixed(kind, value)?,
            (0, 15) => self.payload = value.to_vec(),
            (0, 17) => self.correlation_id = Some(String::from_utf8_lossy(value).into_owned()),
            (0, 19) => self.node = String::from_utf8_lossy(value).into_owned(),
            (VENDOR, OURS_EVENT) => {
                let event = serde_json::from_slice(value).map_err(|_| HepError::Event)?;
                self.event = Some(event);
            }
            (VENDOR, OURS_RAW) => self.raw = Some(value.to_vec()),
            _ => {}
        }
        Ok(())
    }

    fn event(self) -> Result<Event, HepError> {
        if let Some(mut event) = self.event {
            event.raw = match self.kind {
                TYPE_LOG => self.raw.unwrap_or_default(),
                _ => self.payload,
            };
            return Ok(event);
        }
        if self.payload.is_empty() {
            return Err(HepError::Empty);
        }
        Ok(self.foreign())
    }

    fn foreign(self) -> Event {
        let end = |(ip, port): (Option<IpAddr>, u16)| {
            ip.map_or_else(Endpoint::default, |ip| SocketAddr::new(ip, port).into())
        };
        let (from, to) = (end(self.from), end(self.to));
        let transport = if self.tcp {
            Transport::Tcp
        } else {
            Transport::Udp
        };
        let mut event = match self.kind {
            TYPE_SIP => Event::sip(
                &names::SIP_RECEIVED,
                Direction::Received,
                from,
                to,
                transport,
                &self.payload,
            ),
            TYPE_RTP => Event::received(&names::MEDIA_RECEIVED, from, to, self.payload),
            _ => {
                let summary: String = String::from_utf8_lossy(&self.payload)
                    .chars()
                    .take(256)
                    .collect();
                let mut event = Event::received(&names::HTTP_REQUEST, from, to, Vec::new());
                "foreign:log".clone_into(&mut event.name);
                event.protocol = Protocol::None;
                event.clause = None;
                event.summary(summary)
            }
        };
        event.transport = transport;
        event.time_us = self.seconds * 1_000_000 + self.micros;
        event.node = self.node;
        event.correlation_id = self.correlation_id;
        event
    }
}

fn fixed<const N: usize>(kind: u16, value: &[u8]) -> Result<[u8; N], HepError> {
    value.try_into().map_err(|_| HepError::ChunkSize(kind))
}

#[cfg(test)]
mod tests;
