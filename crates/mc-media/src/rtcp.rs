//! RTCP framing (RFC 3550 clauses 6.1 and 6.7): compound packets and APP packets.

/// RTCP packet type of an APP packet.
pub const APP: u8 = 204;

/// One packet of a compound RTCP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Five bits after version and padding: reception count, or the subtype of an APP packet.
    pub count: u8,
    /// Packet type.
    pub packet_type: u8,
    /// Synchronisation source of the sender.
    pub ssrc: u32,
    /// What follows the SSRC, padding included.
    pub body: &'a [u8],
}

/// An APP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct App<'a> {
    /// Subtype, 0..=31.
    pub subtype: u8,
    /// Synchronisation source of the sender.
    pub ssrc: u32,
    /// Four ASCII characters, such as `MCPT`.
    pub name: [u8; 4],
    /// Application data, a multiple of four octets.
    pub data: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Reads the first packet of `datagram` and returns it with what is left.
    #[must_use]
    pub fn read(datagram: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (head, _) = datagram.split_first_chunk::<8>()?;
        let [v, packet_type, l0, l1, s0, s1, s2, s3] = *head;
        let total = (usize::from(u16::from_be_bytes([l0, l1])) + 1) * 4;
        if v >> 6 != 2 || total < 8 {
            return None;
        }
        let (packet, rest) = datagram.split_at_checked(total)?;
        let ssrc = u32::from_be_bytes([s0, s1, s2, s3]);
        Some((
            Self {
                count: v & 0x1f,
                packet_type,
                ssrc,
                body: packet.get(8..)?,
            },
            rest,
        ))
    }

    /// The packet as APP packet, if it is one.
    #[must_use]
    pub fn app(&self) -> Option<App<'a>> {
        if self.packet_type != APP {
            return None;
        }
        let (name, data) = self.body.split_first_chunk::<4>()?;
        Some(App {
            subtype: self.count,
            ssrc: self.ssrc,
            name: *name,
            data,
        })
    }
}

/// All packets of a compound datagram; the iteration ends at the first malformed one.
pub fn packets(datagram: &[u8]) -> impl Iterator<Item = Packet<'_>> {
    let mut left = datagram;
    std::iter::from_fn(move || {
        let (packet, rest) = Packet::read(left)?;
        left = rest;
        Some(packet)
    })
}

impl App<'_> {
    /// Writes the packet into `out` with zero octets up to the next multiple of four; returns its
    /// length, or `None` if it does not fit.
    #[must_use]
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let total = 12 + self.data.len().next_multiple_of(4);
        let out = out.get_mut(..total)?;
        out.fill(0);
        let words = u16::try_from(total / 4 - 1).ok()?;
        out.get_mut(..2)?
            .copy_from_slice(&[0x80 | (self.subtype & 0x1f), APP]);
        out.get_mut(2..4)?.copy_from_slice(&words.to_be_bytes());
        out.get_mut(4..8)?.copy_from_slice(&self.ssrc.to_be_bytes());
        out.get_mut(8..12)?.copy_from_slice(&self.name);
        out.get_mut(12..12 + self.data.len())?
            .copy_from_slice(self.data);
        Some(total)
    }
}

#[cfg(test)]
mod tests {
    use super::{App, packets};

    #[test]
    fn app_packets_round_trip_in_a_compound() {
        let app = App {
            subtype: 0x12,
            ssrc: 0x1234_5678,
            name: *b"MCPT",
            data: &[1, 2, 3, 4, 5],
        };
        let mut out = [0xff; 64];
        let first = app.write(&mut out).unwrap();
        let second = App { data: &[], ..app }.write(&mut out[first..]).unwrap();
        let datagram = &out[..first + second];
        let read: Vec<_> = packets(datagram).map(|p| p.app().unwrap()).collect();
        assert_eq!(read[0].data, [1, 2, 3, 4, 5, 0, 0, 0]);
        assert_eq!(
            (read[0].subtype, read[0].name, read[0].ssrc),
            (0x12, *b"MCPT", 0x1234_5678)
        );
        assert_eq!(read[1].data, [0u8; 0]);
        assert_eq!(read.len(), 2);
        assert_eq!(packets(&datagram[..first - 1]).count(), 0);
        assert_eq!(packets(&datagram[..first + 3]).count(), 1);
        assert!(app.write(&mut out[..16]).is_none());
    }
}
