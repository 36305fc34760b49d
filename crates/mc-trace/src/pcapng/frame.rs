//! IP, UDP and TCP frames around octets that were captured above them.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// Octets of one TCP segment; below the largest IPv4 packet with both headers.
const SEGMENT: usize = 60_000;

const TCP: u8 = 6;
const UDP: u8 = 17;
const SYN: u8 = 0x02;
const PSH_ACK: u8 = 0x18;
const ACK: u8 = 0x10;

/// Next sequence number of each direction of each TCP connection seen.
#[derive(Debug, Default)]
pub(super) struct Flows(HashMap<(SocketAddr, SocketAddr), u32>);

impl Flows {
    /// The segments that carry `octets`, after a handshake if the connection is new.
    pub(super) fn tcp(&mut self, from: SocketAddr, to: SocketAddr, octets: &[u8]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        if !self.0.contains_key(&(from, to)) {
            frames.push(segment(from, to, (0, 0), SYN, &[]));
            frames.push(segment(to, from, (0, 1), SYN | ACK, &[]));
            frames.push(segment(from, to, (1, 1), ACK, &[]));
            self.0.insert((from, to), 1);
            self.0.insert((to, from), 1);
        }
        for part in octets.chunks(SEGMENT) {
            let acknowledged = self.0.get(&(to, from)).copied().unwrap_or(1);
            let next = self.0.entry((from, to)).or_insert(1);
            frames.push(segment(from, to, (*next, acknowledged), PSH_ACK, part));
            *next = next.wrapping_add(u32::try_from(part.len()).unwrap_or(0));
        }
        frames
    }
}

/// One UDP datagram in its IP packet.
pub(super) fn udp(from: SocketAddr, to: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let length = u16::try_from(octets.len() + 8).unwrap_or(u16::MAX);
    let mut datagram = ports(from, to);
    datagram.extend_from_slice(&length.to_be_bytes());
    datagram.extend_from_slice(&[0, 0]);
    datagram.extend_from_slice(octets);
    packet(from.ip(), to.ip(), UDP, datagram, 6)
}

fn segment(
    from: SocketAddr,
    to: SocketAddr,
    (sequence, acknowledged): (u32, u32),
    flags: u8,
    octets: &[u8],
) -> Vec<u8> {
    let mut segment = ports(from, to);
    segment.extend_from_slice(&sequence.to_be_bytes());
    segment.extend_from_slice(&acknowledged.to_be_bytes());
    segment.extend_from_slice(&[0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(octets);
    packet(from.ip(), to.ip(), TCP, segment, 16)
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

/// Fills the transport checksum at `checksum_at` and puts the IP header in front.
fn packet(
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    mut upper: Vec<u8>,
    checksum_at: usize,
) -> Vec<u8> {
    let length = u16::try_from(upper.len()).unwrap_or(u16::MAX);
    let (addresses, v4) = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => ([from.octets(), to.octets()].concat(), true),
        (from, to) => ([v6(from), v6(to)].concat(), false),
    };
    let mut pseudo = addresses.clone();
    pseudo.extend_from_slice(&[0, protocol]);
    pseudo.extend_from_slice(&length.to_be_bytes());
    pseudo.extend_from_slice(&upper);
    let sum = match checksum(&pseudo) {
        0 if protocol == UDP => 0xffff,
        sum => sum,
    };
    if let Some(field) = upper.get_mut(checksum_at..checksum_at + 2) {
        field.copy_from_slice(&sum.to_be_bytes());
    }
    let mut out = if v4 {
        let total = length.saturating_add(20).to_be_bytes();
        let mut header = vec![
            0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, protocol, 0, 0,
        ];
        header.extend_from_slice(&addresses);
        let sum = checksum(&header).to_be_bytes();
        if let Some(field) = header.get_mut(10..12) {
            field.copy_from_slice(&sum);
        }
        header
    } else {
        let length = length.to_be_bytes();
        let mut header = vec![0x60, 0, 0, 0, length[0], length[1], protocol, 64];
        header.extend_from_slice(&addresses);
        header
    };
    out.extend_from_slice(&upper);
    out
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

/// The Internet checksum (RFC 1071).
fn checksum(octets: &[u8]) -> u16 {
    let mut sum: u32 = octets
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u32::from(u16::from_be_bytes([*high, *low])),
            [high] => u32::from(*high) << 8,
            _ => 0,
        })
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}
