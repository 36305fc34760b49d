//! Floor control messages in and out of SRTCP (TS 33.180 9.4) under the CSK or an SPK, or in clear where
//! the group's document writes that off.

use std::net::SocketAddr;

use floor_control::FloorPacket;
use mc_media::{OpenError, SRTCP_OVERHEAD, SrtcpLeg};
use mc_trace::{Direction, Endpoint, Event, names};

use crate::attachment::FloorKeys;
use crate::call::Shared;

/// The largest message that is sent, in octets.
const MAX_MESSAGE: usize = 1024;

/// How the messages of one call go over the wire.
#[derive(Debug)]
pub(crate) enum FloorLeg {
    /// Under a key.
    Srtcp(Box<SrtcpLeg>),
    /// In clear, from this SSRC.
    Clear(u32),
}

impl FloorLeg {
    const fn ssrc(&self) -> u32 {
        match self {
            Self::Srtcp(leg) => leg.ssrc(),
            Self::Clear(ssrc) => *ssrc,
        }
    }

    /// Writes the packet of a message into `out` and returns its length.
    fn write(&mut self, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        match self {
            Self::Srtcp(leg) => leg.seal(plain, out).ok(),
            Self::Clear(_) => {
                out.get_mut(..plain.len())?.copy_from_slice(plain);
                Some(plain.len())
            }
        }
    }

    fn open<'a>(&mut self, packet: &'a mut [u8]) -> Result<&'a [u8], OpenError> {
        match self {
            Self::Srtcp(leg) => leg.open(packet).map(|opened| opened.packet),
            Self::Clear(_) => Ok(packet),
        }
    }
}

/// The floor control link of one call.
pub(super) struct FloorLink {
    shared: Shared,
    leg: FloorLeg,
    out: Box<[u8; MAX_MESSAGE + SRTCP_OVERHEAD]>,
}

impl FloorLink {
    pub(super) fn new(shared: &Shared, keys: &FloorKeys) -> Result<Self, String> {
        Ok(Self {
            shared: shared.clone(),
            leg: keys.leg()?,
            out: Box::new([0; MAX_MESSAGE + SRTCP_OVERHEAD]),
        })
    }

    /// SSRC of our messages.
    pub(super) fn ssrc(&self) -> u32 {
        self.leg.ssrc()
    }

    /// The packet of a message.
    pub(super) fn seal(&mut self, packet: &FloorPacket, to: SocketAddr) -> Option<&[u8]> {
        let plain = packet.to_bytes().ok()?;
        let length = self.leg.write(&plain, self.out.as_mut_slice())?;
        let sealed = self.out.get(..length)?;
        trace(&self.shared, Direction::Sent, to, packet, sealed, &plain);
        Some(sealed)
    }

    /// The messages of a received packet; what does not prove authentic is dropped.
    pub(super) fn open(&mut self, packet: &mut [u8], from: SocketAddr) -> Vec<FloorPacket> {
        let raw = packet.to_vec();
        let plain = match self.leg.open(packet) {
            Ok(plain) => plain,
            Err(error) => {
                refuse(&self.shared, &error.to_string());
                return Vec::new();
            }
        };
        let mut messages = Vec::new();
        for message in FloorPacket::decode_all(plain) {
            match message {
                Ok(message) => {
                    trace(
                        &self.shared,
                        Direction::Received,
                        from,
                        &message,
                        &raw,
                        plain,
                    );
                    messages.push(message);
                }
                Err(error) => refuse(&self.shared, &error.to_string()),
            }
        }
        messages
    }
}

fn refuse(shared: &Shared, why: &str) {
    tracing::debug!(why, "floor control dropped");
    shared.tracer.emit(Event::local(&names::FLOOR_REFUSED, why));
}

fn trace(
    shared: &Shared,
    direction: Direction,
    peer: SocketAddr,
    packet: &FloorPacket,
    raw: &[u8],
    clear: &[u8],
) {
    if !shared.tracer.is_on() {
        return;
    }
    let (own, peer) = (
        Endpoint::named(shared.node.clone()),
        Endpoint::new("mcptt-server", peer),
    );
    let event = match direction {
        Direction::Received => Event::received(&names::FLOOR_RECEIVED, peer, own, raw),
        Direction::Sent | Direction::Local => Event::sent(&names::FLOOR_SENT, own, peer, raw),
    };
    let fields: serde_json::Map<String, serde_json::Value> = packet
        .fields()
        .into_iter()
        .map(|(name, value)| (name.to_owned(), serde_json::Value::String(value)))
        .collect();
    shared.tracer.emit(
        event
            .summary(packet.summary())
            .clear(clear)
            .decoded(fields.into()),
    );
}
