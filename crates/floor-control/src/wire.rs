//! Framing of floor control: RTCP APP packets and their fields (TS 24.380 8.1).
//!
//! One message is one RTCP APP packet; a datagram may hold several of them back to back. Every
//! field is `id, length, value`, zero-padded to a multiple of four octets.

use crate::error::{DecodeError, EncodeError};

/// RTCP packet type of application-defined packets (RFC 3550 6.7).
const PACKET_TYPE_APP: u8 = 204;
/// Octets before the first field: RTCP header, SSRC and name.
const HEADER_LEN: usize = 12;
/// Field IDs from here on carry a 16-bit length.
const LONG_FIELD_FROM: u8 = 192;

/// One RTCP APP packet, fields not yet looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AppPacket<'a> {
    /// Five bits, the acknowledgement bit included.
    pub(crate) subtype: u8,
    pub(crate) ssrc: u32,
    pub(crate) name: [u8; 4],
    pub(crate) fields: &'a [u8],
}

/// Walks the RTCP packets of one datagram by their length field.
///
/// An error of framing ends the walk, as nothing after it can be located.
#[derive(Debug, Clone)]
pub(crate) struct AppPackets<'a> {
    rest: &'a [u8],
}

impl<'a> AppPackets<'a> {
    pub(crate) fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    fn split_packet(&mut self) -> Result<&'a [u8], DecodeError> {
        let &[first, _, len_hi, len_lo, ..] = self.rest else {
            return Err(DecodeError::PeerTruncated);
        };
        if first >> 6 != 2 {
            return Err(DecodeError::PeerVersion(first >> 6));
        }
        let total = (usize::from(u16::from_be_bytes([len_hi, len_lo])) + 1) * 4;
        let (packet, rest) = self
            .rest
            .split_at_checked(total)
            .ok_or(DecodeError::PeerTruncated)?;
        self.rest = rest;
        Ok(packet)
    }
}

impl<'a> Iterator for AppPackets<'a> {
    type Item = Result<AppPacket<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let packet = match self.split_packet() {
            Ok(packet) => packet,
            Err(error) => {
                self.rest = &[];
                return Some(Err(error));
            }
        };
        Some(parse_packet(packet))
    }
}

//= TS 24.380 8.1.2
fn parse_packet(packet: &[u8]) -> Result<AppPacket<'_>, DecodeError> {
    let &[first, packet_type, _, _, ref rest @ ..] = packet else {
        return Err(DecodeError::PeerTruncated);
    };
    if packet_type != PACKET_TYPE_APP {
        return Err(DecodeError::UnsupportedPacketType(packet_type));
    }
    if first & 0x20 != 0 {
        return Err(DecodeError::PeerPaddingBit);
    }
    let &[s0, s1, s2, s3, n0, n1, n2, n3, ref fields @ ..] = rest else {
        return Err(DecodeError::PeerTruncated);
    };
    Ok(AppPacket {
        subtype: first & 0x1f,
        ssrc: u32::from_be_bytes([s0, s1, s2, s3]),
        name: [n0, n1, n2, n3],
        fields,
    })
}

/// Walks the fields of one packet, padding removed.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(fields: &'a [u8]) -> Self {
        Self { rest: fields }
    }

    //= TS 24.380 8.1.3
    fn split_field(&mut self) -> Result<(u8, &'a [u8]), DecodeError> {
        let (id, header, len) = match *self.rest {
            [id, hi, lo, ..] if id >= LONG_FIELD_FROM => {
                (id, 3, usize::from(u16::from_be_bytes([hi, lo])))
            }
            [id, len, ..] if id < LONG_FIELD_FROM => (id, 2, usize::from(len)),
            _ => return Err(DecodeError::PeerFieldTruncated),
        };
        let whole = (header + len).next_multiple_of(4);
        let (field, rest) = self
            .rest
            .split_at_checked(whole)
            .ok_or(DecodeError::PeerFieldTruncated)?;
        self.rest = rest;
        let value = field
            .get(header..header + len)
            .ok_or(DecodeError::PeerFieldTruncated)?;
        Ok((id, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u8, &'a [u8]), DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.split_field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Collects the fields of one packet and writes it out.
#[derive(Debug, Default)]
pub(crate) struct PacketWriter {
    fields: Vec<u8>,
}

impl PacketWriter {
    /// Appends one field with its padding.
    pub(crate) fn field(&mut self, id: u8, value: &[u8]) -> Result<(), EncodeError> {
        if id >= LONG_FIELD_FROM {
            let len = u16::try_from(value.len()).map_err(|_| EncodeError::FieldTooLong {
                id,
                len: value.len(),
            })?;
            self.fields.push(id);
            self.fields.extend_from_slice(&len.to_be_bytes());
        } else {
            let len = u8::try_from(value.len()).map_err(|_| EncodeError::FieldTooLong {
                id,
                len: value.len(),
            })?;
            self.fields.extend_from_slice(&[id, len]);
        }
        self.fields.extend_from_slice(value);
        self.fields.resize(self.fields.len().next_multiple_of(4), 0);
        Ok(())
    }

    /// Appends a two-octet field holding one number.
    pub(crate) fn u16(&mut self, id: u8, value: u16) -> Result<(), EncodeError> {
        self.field(id, &value.to_be_bytes())
    }

    /// Appends the finished packet to `out`.
    pub(crate) fn finish(
        self,
        subtype: u8,
        ssrc: u32,
        name: [u8; 4],
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let total = HEADER_LEN + self.fields.len();
        let words = u16::try_from(total / 4 - 1).map_err(|_| EncodeError::MessageTooLong(total))?;
        out.extend_from_slice(&[0x80 | (subtype & 0x1f), PACKET_TYPE_APP]);
        out.extend_from_slice(&words.to_be_bytes());
        out.extend_from_slice(&ssrc.to_be_bytes());
        out.extend_from_slice(&name);
        out.extend_from_slice(&self.fields);
        Ok(())
    }
}
