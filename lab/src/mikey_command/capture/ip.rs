//! From a link-layer frame to the payload of a datagram or segment.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Most fragmented datagrams kept at a time, and most octets of one.
const MAX_FRAGMENTED: usize = 256;
const MAX_DATAGRAM: usize = 65_535;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Source and destination.
pub(super) type Flow = (SocketAddr, SocketAddr);

/// What carries a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    Udp,
    Tcp { sequence: u32 },
}

/// A payload with its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) flow: Flow,
    pub(super) transport: Transport,
    pub(super) payload: Vec<u8>,
}

/// What identifies the fragments of one datagram.
type FragmentKey = (IpAddr, IpAddr, u32, u8);

/// Puts fragments together: a SIP message with an I_MESSAGE is longer than an Ethernet frame.
#[derive(Debug, Default)]
pub(super) struct Reassembly(BTreeMap<FragmentKey, Fragments>);

#[derive(Debug, Default)]
struct Fragments {
    pieces: BTreeMap<usize, Vec<u8>>,
    total: Option<usize>,
}

/// An IP packet without its header.
struct Datagram<'p> {
    ends: (IpAddr, IpAddr),
    protocol: u8,
    payload: &'p [u8],
    /// Identification, offset in octets, whether more follow.
    fragment: Option<(u32, usize, bool)>,
}

impl Reassembly {
    /// The UDP datagram or TCP segment of a frame, if it is complete with it.
    pub(super) fn segment(&mut self, link: u32, frame: &[u8]) -> Option<Segment> {
        let packet = network_layer(link, frame)?;
        let datagram = match packet.first()? >> 4 {
            4 => ipv4(packet)?,
            6 => ipv6(packet)?,
            _ => return None,
        };
        let Some(fragment) = datagram.fragment else {
            return transport(datagram.ends, datagram.protocol, datagram.payload);
        };
        let whole = self.add(&datagram, fragment)?;
        transport(datagram.ends, datagram.protocol, &whole)
    }

    fn add(
        &mut self,
        datagram: &Datagram<'_>,
        (id, offset, more): (u32, usize, bool),
    ) -> Option<Vec<u8>> {
        let key = (datagram.ends.0, datagram.ends.1, id, datagram.protocol);
        if self.0.len() >= MAX_FRAGMENTED && !self.0.contains_key(&key) {
            self.0.pop_first();
        }
        let end = offset
            .checked_add(datagram.payload.len())
            .filter(|end| *end <= MAX_DATAGRAM)?;
        let fragments = self.0.entry(key).or_default();
        fragments.pieces.insert(offset, datagram.payload.to_vec());
        if !more {
            fragments.total = Some(end);
        }
        let whole = fragments.whole()?;
        self.0.remove(&key);
        Some(whole)
    }
}

impl Fragments {
    fn whole(&self) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        for (offset, piece) in &self.pieces {
            let known = whole.len().checked_sub(*offset)?;
            whole.extend(piece.get(known..).unwrap_or_default());
        }
        (whole.len() == self.total?).then_some(whole)
    }
}

/// The IP packet inside a frame of a link type.
fn network_layer(link: u32, frame: &[u8]) -> Option<&[u8]> {
    match link {
        // Null and loopback: four octets of address family.
        0 | 108 => frame.get(4..),
        1 => ethernet(frame),
        // Raw IP, and its numbers in the systems' own headers.
        12 | 14 | 101 | 228 | 229 => Some(frame),
        113 => frame.get(16..),
        276 => frame.get(20..),
        _ => None,
    }
}

fn ethernet(frame: &[u8]) -> Option<&[u8]> {
    let mut at = 12;
    loop {
        let kind: [u8; 2] = frame.get(at..at + 2)?.try_into().ok()?;
        match u16::from_be_bytes(kind) {
            // 802.1Q and 802.1ad tags.
            0x8100 | 0x88a8 => at += 4,
            0x0800 | 0x86dd => return frame.get(at + 2..),
            _ => return None,
        }
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    let octets = octets.get(at..at + 2)?.try_into().ok()?;
    Some(u16::from_be_bytes(octets))
}

fn ipv4(packet: &[u8]) -> Option<Datagram<'_>> {
    let header = usize::from(packet.first()? & 0x0F) * 4;
    let total = usize::from(u16_at(packet, 2)?);
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let flags = u16_at(packet, 6)?;
    let (more, offset) = (flags & 0x2000 != 0, usize::from(flags & 0x1FFF) * 8);
    // Offloading leaves the length zero; frames may have padding behind it.
    let end = if total == 0 { packet.len() } else { total };
    Some(Datagram {
        ends: (address(12)?, address(16)?),
        protocol: *packet.get(9)?,
        payload: packet.get(header..end)?,
        fragment: (more || offset > 0).then_some((u16_at(packet, 4)?.into(), offset, more)),
    })
}

fn ipv6(packet: &[u8]) -> Option<Datagram<'_>> {
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = packet.get(at..at + 16)?.try_into().ok()?;
        Some(octets.into())
    };
    let ends = (address(8)?, address(24)?);
    let length = usize::from(u16_at(packet, 4)?);
    let mut payload = packet.get(40..)?;
    payload = payload.get(..length).unwrap_or(payload);
    let (mut protocol, mut fragment) = (*packet.get(6)?, None);
    // Hop-by-hop options, routing, fragment, destination options.
    while matches!(protocol, 0 | 43 | 44 | 60) {
        let (next, size) = (*payload.first()?, usize::from(*payload.get(1)?));
        if protocol == 44 {
            let id: [u8; 4] = payload.get(4..8)?.try_into().ok()?;
            let flags = u16_at(payload, 2)?;
            fragment = Some((
                u32::from_be_bytes(id),
                usize::from(flags & 0xFFF8),
                flags & 1 != 0,
            ));
            payload = payload.get(8..)?;
        } else {
            payload = payload.get((size + 1) * 8..)?;
        }
        protocol = next;
    }
    Some(Datagram {
        ends,
        protocol,
        payload,
        fragment,
    })
}

fn transport((from, to): (IpAddr, IpAddr), protocol: u8, payload: &[u8]) -> Option<Segment> {
    let flow = (
        SocketAddr::new(from, u16_at(payload, 0)?),
        SocketAddr::new(to, u16_at(payload, 2)?),
    );
    let (transport, payload) = match protocol {
        UDP => (Transport::Udp, payload.get(8..)?),
        TCP => {
            let sequence: [u8; 4] = payload.get(4..8)?.try_into().ok()?;
            let header = usize::from(payload.get(12)? >> 4) * 4;
            let sequence = u32::from_be_bytes(sequence);
            (Transport::Tcp { sequence }, payload.get(header..)?)
        }
        _ => return None,
    };
    Some(Segment {
        flow,
        transport,
        payload: payload.to_vec(),
    })
}
