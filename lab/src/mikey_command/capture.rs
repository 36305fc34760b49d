//! Packets of a capture (pcap, pcapng) down to SIP: link layer, IP with fragments, UDP, TCP streams.

mod file;
mod ip;

use super::source::{Found, of_sip};
use ip::{Reassembly, Transport};
use mc_sip::{Frame, StreamFramer};
use std::collections::BTreeMap;

/// Most octets kept of one TCP direction.
const MAX_STREAM: usize = 16 * 1024 * 1024;
/// Most TCP directions kept.
const MAX_STREAMS: usize = 4096;

/// The I_MESSAGEs of a capture; `None` when the input is none.
pub(super) fn messages(input: &[u8]) -> Option<Result<Vec<Found>, String>> {
    let packets = file::packets(input)?;
    Some(packets.map(|packets| collect(&packets)))
}

fn collect(packets: &[file::Packet<'_>]) -> Vec<Found> {
    let (mut found, mut streams) = (Vec::new(), BTreeMap::new());
    let mut reassembly = Reassembly::default();
    for (number, packet) in (1..).zip(packets) {
        let Some(segment) = reassembly.segment(packet.link, packet.octets) else {
            continue;
        };
        match segment.transport {
            Transport::Udp => datagram(&mut found, number, &segment.payload),
            Transport::Tcp { sequence } => {
                let room = streams.len() < MAX_STREAMS;
                if room || streams.contains_key(&segment.flow) {
                    let stream: &mut Stream = streams.entry(segment.flow).or_default();
                    stream.add(number, sequence, segment.payload);
                }
            }
        }
    }
    for stream in streams.into_values() {
        stream.messages(&mut found);
    }
    found.sort_by_key(|(number, _)| *number);
    found.into_iter().map(|(_, found)| found).collect()
}

fn datagram(found: &mut Vec<(usize, Found)>, number: usize, octets: &[u8]) {
    if octets.starts_with(&[0x01, 0x1a]) {
        found.push((
            number,
            Found::new(format!("packet {number}"), octets.to_vec()),
        ));
        return;
    }
    for message in of_sip(octets).unwrap_or_default() {
        let origin = format!("packet {number}, {}", message.origin);
        found.push((number, Found::new(origin, message.octets)));
    }
}

/// One direction of a TCP connection.
#[derive(Debug, Default)]
struct Stream {
    first: Option<(usize, u32)>,
    pieces: BTreeMap<u32, Vec<u8>>,
    octets: usize,
}

impl Stream {
    fn add(&mut self, number: usize, sequence: u32, payload: Vec<u8>) {
        if payload.is_empty() || self.octets + payload.len() > MAX_STREAM {
            return;
        }
        let (_, first) = *self.first.get_or_insert((number, sequence));
        // What comes before the first segment seen counts from its own place, modulo 2^32.
        let at = sequence.wrapping_sub(first).wrapping_add(1 << 30);
        self.octets += payload.len();
        let piece = self.pieces.entry(at).or_default();
        if piece.len() < payload.len() {
            *piece = payload;
        }
    }

    /// Takes the stream together, as far as it has no gap, and cuts it into SIP messages.
    fn messages(self, found: &mut Vec<(usize, Found)>) {
        let Some((number, _)) = self.first else {
            return;
        };
        let (mut framer, mut next) = (StreamFramer::new(), None);
        for (at, piece) in self.pieces {
            let next_at: u32 = next.unwrap_or(at);
            let Some(known) = next_at.checked_sub(at) else {
                break;
            };
            let known = usize::try_from(known).unwrap_or(usize::MAX);
            let fresh = piece.get(known..).unwrap_or_default();
            framer.push(fresh);
            let length = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
            next = Some(next_at.saturating_add(length));
        }
        while let Ok(Some(frame)) = framer.next_frame() {
            if let Frame::Message(octets) = frame {
                datagram(found, number, &octets);
            }
        }
    }
}

#[cfg(test)]
mod tests;
