//! RTP with G.711 mu-law, as far as an analogue channel needs it (RFC 3550 5.1, RFC 3551 4.5.14).

use mc_audio::g711::{ulaw_decode, ulaw_encode};
use mc_audio::{FRAME_8K, SILENCE_8K};

use crate::network::Frame;

/// Payload type of PCMU.
pub(super) const PCMU: u8 = 0;
/// Microseconds of a tick of the RTP clock.
const TICK_US: i64 = 125;
/// Microseconds of a frame.
pub(super) const FRAME_US: u64 = 20_000;
/// How far a stream's clock and ours may be apart before it is taken as another spurt.
const FARTHEST_US: u64 = 1_000_000;
/// Most samples that are taken from one packet: 60 ms.
const MAX_SAMPLES: usize = 3 * FRAME_8K;

/// What is needed of a received packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) payload_type: u8,
    pub(super) sequence: u16,
    pub(super) stamp: Stamp,
    pub(super) payload: &'a [u8],
}

/// A packet's place in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
}

impl<'a> Packet<'a> {
    /// Reads a packet; `None` for anything that is not RTP version 2 within its own lengths.
    pub(super) fn parse(octets: &'a [u8]) -> Option<Self> {
        let (head, rest) = octets.split_first_chunk::<12>()?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *head;
        // RTCP on the same port (RFC 5761) is not speech.
        if first >> 6 != 2 || (192..=223).contains(&second) {
            return None;
        }
        let mut payload = rest.get(usize::from(first & 0x0f) * 4..)?;
        if first & 0x10 != 0 {
            let ([_, _, l0, l1], rest) = payload.split_first_chunk::<4>()?;
            payload = rest.get(usize::from(u16::from_be_bytes([*l0, *l1])) * 4..)?;
        }
        if first & 0x20 != 0 {
            let padding = usize::from(*payload.last()?);
            let end = payload.len().checked_sub(padding).filter(|_| padding > 0)?;
            payload = payload.get(..end)?;
        }
        Some(Self {
            payload_type: second & 0x7f,
            sequence: u16::from_be_bytes([s0, s1]),
            stamp: Stamp {
                ssrc: u32::from_be_bytes([c0, c1, c2, c3]),
                timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
                marker: second & 0x80 != 0,
            },
            payload,
        })
    }

    /// The speech in frames of 20 ms; a shorter rest is filled with silence.
    pub(super) fn frames(&self) -> Vec<Frame> {
        let samples = self.payload.get(..MAX_SAMPLES).unwrap_or(self.payload);
        samples
            .chunks(FRAME_8K)
            .map(|chunk| {
                let mut frame = SILENCE_8K;
                frame
                    .iter_mut()
                    .zip(chunk)
                    .for_each(|(to, from)| *to = ulaw_decode(*from));
                frame
            })
            .collect()
    }
}

/// When the speech of a stream is played: its own clock says, so that packets that were held up on the
/// way come out as they were said.
#[derive(Debug, Default)]
pub(super) struct Playout {
    /// The stream, and a timestamp of it with its Unix time in microseconds.
    spurt: Option<(u32, u32, u64)>,
}

impl Playout {
    /// Unix time in microseconds at which a packet that came at `now_us` is played.
    pub(super) fn at(&mut self, stamp: Stamp, now_us: u64) -> u64 {
        let known = self.spurt.filter(|(ssrc, ..)| *ssrc == stamp.ssrc);
        let by_its_clock = known.map(|(_, timestamp, at_us)| {
            // A packet that was overtaken lies in the past.
            let ticks = stamp.timestamp.wrapping_sub(timestamp).cast_signed();
            at_us.saturating_add_signed(i64::from(ticks) * TICK_US)
        });
        let near = |at: &u64| at.abs_diff(now_us) <= FARTHEST_US && !stamp.marker;
        let at_us = by_its_clock.filter(near).unwrap_or(now_us);
        self.spurt = Some((stamp.ssrc, stamp.timestamp, at_us));
        at_us
    }
}

/// The stream sent to one leg: one SSRC, time stamps of the wall clock across talk spurts.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) ssrc: u32,
    sequence: u16,
    timestamp: u32,
    spurt_start: bool,
}

impl Sender {
    pub(super) const fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            ssrc,
            sequence,
            timestamp,
            spurt_start: true,
        }
    }

    /// Begins a talk spurt after a pause of `samples`.
    pub(super) const fn begin(&mut self, samples: u32) {
        self.timestamp = self.timestamp.wrapping_add(samples);
        self.spurt_start = true;
    }

    /// The next packet.
    pub(super) fn packet(&mut self, frame: &Frame) -> Vec<u8> {
        let mut packet = Vec::with_capacity(12 + FRAME_8K);
        packet.push(0x80);
        packet.push(if self.spurt_start { 0x80 } else { 0 } | PCMU);
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(frame.iter().map(|sample| ulaw_encode(*sample)));
        self.spurt_start = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(160);
        packet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read() {
        let mut sender = Sender::new(0xaabb_ccdd, 0xffff, 0xffff_ffff);
        let first = sender.packet(&[1000; FRAME_8K]);
        assert_eq!(
            first[..12],
            [
                0x80, 0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xaa, 0xbb, 0xcc, 0xdd
            ]
        );
        let packet = Packet::parse(&first).unwrap();
        assert!(packet.stamp.marker);
        assert_eq!(
            (packet.payload_type, packet.sequence, packet.stamp.ssrc),
            (0, 0xffff, 0xaabb_ccdd)
        );
        assert_eq!(packet.frames().len(), 1);
        assert!((packet.frames()[0][7] - 1000).abs() < 32);
        let second = sender.packet(&SILENCE_8K);
        assert_eq!(second[1..8], [0, 0, 0, 0, 0, 0, 159]);
        sender.begin(8000);
        assert_eq!(sender.packet(&SILENCE_8K)[1], 0x80, "a new spurt is marked");
    }

    #[test]
    fn what_was_held_up_is_played_where_it_was_said() {
        let mut playout = Playout::default();
        let stamp = |timestamp: u32, marker| Stamp {
            ssrc: 7,
            timestamp,
            marker,
        };
        let start = 1_000_000;
        let second = u32::MAX - 100;
        assert_eq!(
            playout.at(stamp(second.wrapping_sub(160), true), start),
            start
        );
        assert_eq!(
            playout.at(stamp(second, false), start + 190_000),
            start + 20_000
        );
        let third = second.wrapping_add(160);
        assert_eq!(
            playout.at(stamp(third, false), start + 191_000),
            start + 40_000
        );
        assert_eq!(
            playout.at(stamp(second, false), start + 192_000),
            start + 20_000
        );
        // Another spurt, another stream, or a clock that has nothing to do with ours.
        let next = third.wrapping_add(160);
        assert_eq!(
            playout.at(stamp(next, true), start + 900_000),
            start + 900_000
        );
        let leap = next.wrapping_add(800_000);
        assert_eq!(
            playout.at(stamp(leap, false), start + 920_000),
            start + 920_000
        );
        let other = Stamp {
            ssrc: 8,
            ..stamp(leap, false)
        };
        assert_eq!(playout.at(other, start + 990_000), start + 990_000);
    }

    #[test]
    fn hostile_packets_are_dropped() {
        for bad in [
            &b""[..],
            &[0x80; 11],
            &[0x00; 12],
            &[0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff],
            &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9],
            &[0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0x80, 200, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
        ] {
            assert_eq!(Packet::parse(bad), None, "{bad:?}");
        }
        let mut large = vec![0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        large.resize(2000, 0x55);
        assert_eq!(Packet::parse(&large).unwrap().frames().len(), 3, "bounded");
    }
}
