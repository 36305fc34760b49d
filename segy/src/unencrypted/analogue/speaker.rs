//! Speech to an analogue channel: 16 kHz frames as RTP PCMU (RFC 3551 4.5.14).

use std::time::{Duration, Instant};

use mc_audio::concealment::Concealer;
use mc_audio::resample::Downsampler;
use mc_audio::{FRAME, FRAME_8K, Frame8k, Frame16k, g711};
use mc_media::rtp::{self, Header, MIN_HEADER};

/// Payload type of PCMU.
pub(super) const PCMU: u8 = 0;
/// Octets of a packet of 20 ms.
const PACKET: usize = MIN_HEADER + FRAME_8K;

/// One stream: one SSRC, timestamps of the wall clock across talk spurts.
#[derive(Debug)]
pub(super) struct Speaker {
    down: Downsampler,
    concealer: Concealer,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    last: Option<Instant>,
}

impl Speaker {
    pub(super) fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self {
            down: Downsampler::new(),
            concealer: Concealer::new(),
            ssrc,
            sequence,
            timestamp,
            last: None,
        }
    }

    /// The packet of a frame.
    pub(super) fn speech(&mut self, samples: &Frame16k, now: Instant) -> [u8; PACKET] {
        let frame = self.down.frame(samples);
        let frame = self.concealer.received(&frame);
        self.packet(&frame, now)
    }

    /// The packet in place of a frame that did not come.
    pub(super) fn lost(&mut self, now: Instant) -> [u8; PACKET] {
        let frame = self.concealer.conceal();
        self.packet(&frame, now)
    }

    /// The next frame begins a talk spurt.
    pub(super) fn begin(&mut self) {
        self.down = Downsampler::new();
        self.concealer = Concealer::new();
    }

    fn packet(&mut self, frame: &Frame8k, now: Instant) -> [u8; PACKET] {
        let passed = self.last.map(|last| now.saturating_duration_since(last));
        let frames = passed.map_or(1, frames_in);
        let step = u32::try_from(FRAME_8K).unwrap_or(u32::MAX);
        self.timestamp = self.timestamp.wrapping_add(frames.wrapping_mul(step));
        self.sequence = self.sequence.wrapping_add(1);
        self.last = Some(now);
        let header = rtp::Frame {
            payload_type: PCMU,
            // A pause in the stream is a new spurt to those who play it (RFC 3551 4.1).
            marker: passed.is_none() || frames > 3,
            timestamp: self.timestamp,
        };
        let mut packet = [0; PACKET];
        let (head, payload) = packet.split_at_mut(MIN_HEADER);
        head.copy_from_slice(&Header::write(header, self.ssrc, self.sequence));
        for (octet, sample) in payload.iter_mut().zip(frame) {
            *octet = g711::ulaw_encode(*sample);
        }
        packet
    }
}

/// Whole frames in a time, rounded; at least one.
fn frames_in(passed: Duration) -> u32 {
    let frames = (passed + FRAME / 2).as_millis() / FRAME.as_millis();
    u32::try_from(frames).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_follow_the_clock_and_mark_spurts() {
        let (mut speaker, start) = (Speaker::new(7, 41, 1000), Instant::now());
        let mut at = |ms: u64| {
            let packet = speaker.speech(&[1000; 320], start + Duration::from_millis(ms));
            let header = Header::read(&packet).unwrap();
            assert_eq!(
                (header.ssrc, header.payload_type, packet.len()),
                (7, 0, 172)
            );
            (header.sequence, header.timestamp, header.marker)
        };
        assert_eq!(at(0), (42, 1160, true));
        assert_eq!(at(21), (43, 1320, false), "timers are not exact");
        assert_eq!(at(40), (44, 1480, false));
        assert_eq!(at(80), (45, 1800, false), "one frame was silent");
        assert_eq!(at(2080), (46, 17_800, true));
    }

    #[test]
    fn a_lost_frame_goes_on_as_speech() {
        let (mut speaker, mut now) = (Speaker::new(7, 0, 0), Instant::now());
        let sound = |packet: &[u8]| {
            let samples: Vec<i16> = packet[12..].iter().map(|o| g711::ulaw_decode(*o)).collect();
            mc_audio::level::rms(&samples)
        };
        let tone = mc_audio::tone::sine(400.0, 8000.0, 16_000, 320);
        let frame: Frame16k = tone.try_into().unwrap();
        for _ in 0..5 {
            let heard = speaker.speech(&frame, now);
            now += FRAME;
            assert_eq!(heard.len(), 172);
        }
        assert!(sound(&speaker.lost(now)) > 2000.0);
    }
}
