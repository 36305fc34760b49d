//! RTP headers (RFC 3550 clause 5.1).

/// The fields a sender chooses per packet; SSRC and sequence number belong to the sender context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Marker bit: first packet of a talk spurt.
    pub marker: bool,
    /// Media timestamp in units of the payload's clock rate.
    pub timestamp: u32,
}

/// A parsed RTP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Payload type, 0..=127.
    pub payload_type: u8,
    /// Marker bit.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// Media timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Whether the payload ends with padding.
    pub padding: bool,
    /// Octets of the whole header with CSRC list and extension.
    pub length: usize,
}

/// Octets of a header without CSRC list and extension.
pub const MIN_HEADER: usize = 12;

impl Header {
    /// Reads the header at the start of `packet`; `None` if it is not RTP version 2 or is cut short.
    #[must_use]
    pub fn read(packet: &[u8]) -> Option<Self> {
        let (fixed, rest) = packet.split_first_chunk::<MIN_HEADER>()?;
        let [v, m, q0, q1, t0, t1, t2, t3, s0, s1, s2, s3] = *fixed;
        if v >> 6 != 2 {
            return None;
        }
        let csrc = usize::from(v & 0x0f) * 4;
        let mut length = MIN_HEADER + csrc;
        if v & 0x10 != 0 {
            let extension: [u8; 4] = rest.get(csrc..csrc + 4)?.try_into().ok()?;
            let [_, _, l0, l1] = extension;
            length += 4 + usize::from(u16::from_be_bytes([l0, l1])) * 4;
        }
        (packet.len() >= length).then_some(Self {
            payload_type: m & 0x7f,
            marker: m & 0x80 != 0,
            sequence: u16::from_be_bytes([q0, q1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
            padding: v & 0x20 != 0,
            length,
        })
    }

    /// Writes a header without CSRC list, extension or padding.
    #[must_use]
    pub fn write(frame: Frame, ssrc: u32, sequence: u16) -> [u8; MIN_HEADER] {
        let marker = u8::from(frame.marker) << 7;
        let [q0, q1] = sequence.to_be_bytes();
        let [t0, t1, t2, t3] = frame.timestamp.to_be_bytes();
        let [s0, s1, s2, s3] = ssrc.to_be_bytes();
        [
            0x80,
            marker | (frame.payload_type & 0x7f),
            q0,
            q1,
            t0,
            t1,
            t2,
            t3,
            s0,
            s1,
            s2,
            s3,
        ]
    }

    /// The payload of an unprotected packet without its padding; `None` if the padding count lies.
    #[must_use]
    pub fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        unpadded(self.padding, packet.get(self.length..)?)
    }
}

/// Removes RTP padding.
pub(crate) fn unpadded(padding: bool, body: &[u8]) -> Option<&[u8]> {
    if !padding {
        return Some(body);
    }
    let count = usize::from(*body.last()?);
    if count == 0 {
        return None;
    }
    body.get(..body.len().checked_sub(count)?)
}

#[cfg(test)]
mod tests {
    use super::{Frame, Header};

    #[test]
    fn header_round_trips_and_lies_are_refused() {
        let frame = Frame {
            payload_type: 111,
            marker: true,
            timestamp: 0x0102_0304,
        };
        let mut packet = Header::write(frame, 0xdead_beef, 7).to_vec();
        packet.extend([1, 2, 3]);
        let header = Header::read(&packet).unwrap();
        assert_eq!(
            (header.ssrc, header.sequence, header.length),
            (0xdead_beef, 7, 12)
        );
        assert!(header.marker);
        assert_eq!(header.payload(&packet).unwrap(), [1, 2, 3]);

        packet[0] = 0xa0;
        assert_eq!(
            Header::read(&packet).unwrap().payload(&packet).unwrap(),
            [0u8; 0],
            "3 of padding"
        );
        *packet.last_mut().unwrap() = 4;
        assert!(
            Header::read(&packet).unwrap().payload(&packet).is_none(),
            "padding longer than body"
        );
        packet[0] = 0x90;
        assert!(
            Header::read(&packet).is_none(),
            "extension header is cut off"
        );
        packet[0] = 0x81;
        assert!(Header::read(&packet).is_none(), "CSRC list is cut off");
        packet[0] = 0x40;
        assert!(Header::read(&packet).is_none(), "version 1");
        assert!(Header::read(&packet[..11]).is_none());
    }
}
