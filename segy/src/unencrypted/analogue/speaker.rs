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

/// Frames without speech behind which a packet begins a spurt for those who play it (RFC 3551 4.1).
const PAUSE: u32 = 3;

/// One stream: one SSRC. Within a spurt the timestamp counts frames, whenever they are sent, so that
/// what is late is played where it was said; between spurts it follows the clock.
#[derive(Debug)]
pub(super) struct Speaker {
    down: Downsampler,
    concealer: Concealer,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    last: Option<Instant>,
    /// Frames since the last packet in which nothing was said; none at the begin of a spurt.
    silent: Option<u32>,
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
            silent: None,
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

    /// A frame in which nothing was said; nothing is sent.
    pub(super) const fn silence(&mut self) {
        if let Some(silent) = &mut self.silent {
            *silent = silent.saturating_add(1);
        }
    }

    /// The next frame begins a talk spurt.
    pub(super) fn begin(&mut self) {
        self.down = Downsampler::new();
        self.concealer = Concealer::new();
        self.silent = None;
    }

    fn packet(&mut self, frame: &Frame8k, now: Instant) -> [u8; PACKET] {
        let frames = self.silent.map_or_else(
            || {
                let passed = self.last.map(|last| now.saturating_duration_since(last));
                passed.map_or(1, frames_in)
            },
            |silent| silent.saturating_add(1),
        );
        let marker = self.silent.is_none_or(|silent| silent > PAUSE);
        let step = u32::try_from(FRAME_8K).unwrap_or(u32::MAX);
        self.timestamp = self.timestamp.wrapping_add(frames.wrapping_mul(step));
        self.sequence = self.sequence.wrapping_add(1);
        self.last = Some(now);
        self.silent = Some(0);
        let header = rtp::Frame {
            payload_type: PCMU,
            marker,
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
    fn timestamps_count_frames_in_a_spurt_and_follow_the_clock_between_spurts() {
        let (mut speaker, start) = (Speaker::new(7, 41, 1000), Instant::now());
        let at = |speaker: &mut Speaker, ms: u64| {
            let packet = speaker.speech(&[1000; 320], start + Duration::from_millis(ms));
            let header = Header::read(&packet).unwrap();
            assert_eq!(
                (header.ssrc, header.payload_type, packet.len()),
                (7, 0, 172)
            );
            (header.sequence, header.timestamp, header.marker)
        };
        speaker.begin();
        assert_eq!(at(&mut speaker, 0), (42, 1160, true));
        assert_eq!(at(&mut speaker, 170), (43, 1320, false), "held up");
        assert_eq!(at(&mut speaker, 171), (44, 1480, false), "caught up");
        speaker.silence();
        assert_eq!(at(&mut speaker, 180), (45, 1800, false), "one was silent");
        (0..50).for_each(|_| speaker.silence());
        assert_eq!(at(&mut speaker, 1200), (46, 9960, true), "a pause");
        speaker.begin();
        assert_eq!(at(&mut speaker, 3200), (47, 25_960, true), "2 s later");
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
