//! RTP without protection: the media of a group whose document writes protection off
//! (`protect-media` of TS 24.481; TS 33.180 L.5.2).

use rand_core::CryptoRng;

use crate::SealError;
use crate::rtp::{Frame, Header, MIN_HEADER};

/// Sends one RTP stream in clear.
#[derive(Debug)]
pub struct RtpSender {
    ssrc: u32,
    sequence: u16,
}

impl RtpSender {
    /// A stream with an SSRC and a first sequence number of its own.
    //= RFC 3550 5.1
    #[must_use]
    pub fn random(rng: &mut impl CryptoRng) -> Self {
        let [s0, s1, ..] = rng.next_u32().to_be_bytes();
        Self {
            ssrc: rng.next_u32(),
            sequence: u16::from_be_bytes([s0, s1]),
        }
    }

    /// Synchronisation source of the stream.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Writes the packet into `out` and returns its length: 12 octets more than the payload.
    ///
    /// # Errors
    /// [`SealError::LocalBufferTooSmall`], with nothing used up.
    pub fn write(
        &mut self,
        frame: Frame,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        let length = MIN_HEADER + payload.len();
        let (header, body) = out
            .get_mut(..length)
            .and_then(|out| out.split_at_mut_checked(MIN_HEADER))
            .ok_or(SealError::LocalBufferTooSmall)?;
        header.copy_from_slice(&Header::write(frame, self.ssrc, self.sequence));
        body.copy_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rand_core::{TryCryptoRng, TryRng};

    use super::*;

    /// Gives one octet again and again.
    struct Octet(u8);

    impl TryRng for Octet {
        type Error = Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Infallible> {
            Ok(u32::from_be_bytes([self.0; 4]))
        }

        fn try_next_u64(&mut self) -> Result<u64, Infallible> {
            Ok(u64::from_be_bytes([self.0; 8]))
        }

        fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
            octets.fill(self.0);
            Ok(())
        }
    }

    impl TryCryptoRng for Octet {}

    #[test]
    fn packets_are_header_and_payload_and_count_over_the_end() {
        let mut sender = RtpSender::random(&mut Octet(0xff));
        let frame = Frame {
            payload_type: 96,
            marker: true,
            timestamp: 0x0102_0304,
        };
        let mut out = [0; 16];
        assert_eq!(
            sender.write(frame, &[1; 5], &mut out),
            Err(SealError::LocalBufferTooSmall)
        );
        for sequence in [[0xff, 0xff], [0, 0]] {
            assert_eq!(sender.write(frame, &[7, 8], &mut out), Ok(14));
            let [q0, q1] = sequence;
            let packet = [0x80, 0xe0, q0, q1, 1, 2, 3, 4, 0xff, 0xff, 0xff, 0xff, 7, 8];
            assert_eq!(out[..14], packet);
        }
    }
}
