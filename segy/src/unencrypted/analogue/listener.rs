//! Speech and push-to-talk from an analogue channel: what packets and INFOs mean. Sans-IO.

use std::time::{Duration, Instant};

use mc_audio::concealment::Concealer;
use mc_audio::jitter::{JitterBuffer, PlayClock, Pulled, Settings, Stamp};
use mc_audio::resample::Upsampler;
use mc_audio::{FRAME_8K, Frame8k, g711};
use mc_media::rtp::Header;

use super::speaker::PCMU;
use crate::bridge::{ExternalEvent, ExternalTalker, Speech};

/// Most frames taken from one packet: 60 ms.
const MAX_FRAMES: usize = 3;
/// How long packets are awaited that the release has overtaken.
const TAIL: Duration = Duration::from_millis(60);
/// How long speech waits for the INFO that it has overtaken; the jitter buffer keeps half a second.
const OVERTAKEN: Duration = Duration::from_millis(300);

/// Who has the key, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Released,
    /// Speech came before its INFO.
    Overtaken {
        since: Instant,
    },
    Pressed,
    /// Released; the rest of the speech is still to come out of the buffer.
    Ending {
        since: Instant,
    },
}

/// The listener of one channel.
#[derive(Debug)]
pub(super) struct Listener {
    buffer: JitterBuffer<[u8; FRAME_8K]>,
    concealer: Concealer,
    up: Upsampler,
    silence: Duration,
    key: Key,
    /// Whether the system signals its keys by INFO; then speech alone does not press. Until it is
    /// known, speech waits for the INFO it may have overtaken.
    signals: Option<bool>,
    heard: Instant,
    clock: PlayClock,
    concealed: u64,
}

impl Listener {
    /// `silence` releases the key of a system that signals none.
    pub(super) fn new(silence: Duration, now: Instant) -> Self {
        Self {
            buffer: JitterBuffer::new(Settings::pcmu()),
            concealer: Concealer::new(),
            up: Upsampler::new(),
            silence,
            key: Key::Released,
            signals: None,
            heard: now,
            clock: PlayClock::default(),
            concealed: 0,
        }
    }

    /// Frames made up since the last question.
    pub(super) fn take_concealed(&mut self) -> u64 {
        std::mem::take(&mut self.concealed)
    }

    /// When [`Self::tick`] is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.clock.due()
    }

    /// INFO: somebody pressed, or is described better.
    pub(super) fn pressed(&mut self, talker: ExternalTalker, now: Instant) -> Vec<ExternalEvent> {
        self.signals = Some(true);
        let mut events = Vec::new();
        match self.key {
            Key::Ending { .. } => {
                self.release();
                events.push(ExternalEvent::PttOff);
                self.press(now);
            }
            Key::Released => self.press(now),
            Key::Overtaken { .. } | Key::Pressed => self.key = Key::Pressed,
        }
        events.push(ExternalEvent::PttOn(talker));
        events
    }

    /// INFO: he released.
    pub(super) fn released(&mut self, now: Instant) {
        self.signals = Some(true);
        if self.key == Key::Pressed {
            self.key = Key::Ending { since: now };
            self.buffer.end();
        }
    }

    /// A packet; what is no speech of this channel is ignored.
    pub(super) fn packet(&mut self, packet: &[u8], now: Instant) -> Vec<ExternalEvent> {
        let Some((stamp, frames)) = frames_of(packet) else {
            return Vec::new();
        };
        let mut events = Vec::new();
        match self.key {
            Key::Released if self.signals == Some(false) => {
                self.press(now);
                events.push(ExternalEvent::PttOn(ExternalTalker::default()));
            }
            // Stragglers of the spurt before are not marked.
            Key::Released if self.signals == Some(true) && !stamp.marker => return events,
            Key::Released => {
                self.press(now);
                self.key = Key::Overtaken { since: now };
            }
            Key::Overtaken { .. } | Key::Pressed | Key::Ending { .. } => {}
        }
        self.heard = now;
        self.buffer.push(stamp, frames, now);
        events
    }

    fn press(&mut self, now: Instant) {
        self.key = Key::Pressed;
        self.heard = now;
        self.clock.restart(now);
        self.concealer = Concealer::new();
        self.up = Upsampler::new();
    }

    fn release(&mut self) {
        self.key = Key::Released;
        self.clock.stop();
        self.buffer = JitterBuffer::new(Settings::pcmu());
    }

    /// Hands over the speech of the next 20 ms.
    pub(super) fn tick(&mut self, now: Instant) -> Vec<ExternalEvent> {
        let mut events = Vec::new();
        while let Some(next) = self.clock.tick(now, self.buffer.is_empty()) {
            match self.key {
                Key::Overtaken { since } if since + OVERTAKEN <= now => {
                    events.extend(self.unannounced());
                }
                Key::Overtaken { .. } => {}
                Key::Released => self.clock.stop(),
                Key::Pressed => {
                    events.extend(self.pull(next, now));
                    if self.signals != Some(true) && self.heard + self.silence <= now {
                        self.key = Key::Ending { since: self.heard };
                        self.buffer.end();
                    }
                }
                Key::Ending { since } => {
                    events.extend(self.pull(next, now));
                    if self.buffer.is_empty() && since + TAIL <= now {
                        self.release();
                        events.push(ExternalEvent::PttOff);
                    }
                }
            }
        }
        events
    }

    /// No INFO came for the speech: noise of a system that signals, or a system that signals nothing.
    fn unannounced(&mut self) -> Option<ExternalEvent> {
        if self.signals == Some(true) {
            self.release();
            return None;
        }
        self.signals = Some(false);
        self.key = Key::Pressed;
        Some(ExternalEvent::PttOn(ExternalTalker::default()))
    }

    fn pull(&mut self, at: Instant, now: Instant) -> Option<ExternalEvent> {
        let frame = match self.buffer.pull(at) {
            Pulled::Frame(octets) => self.concealer.received(&octets.map(g711::ulaw_decode)),
            Pulled::Lost => {
                self.concealed += 1;
                self.concealer.conceal()
            }
            Pulled::Silence => return None,
        };
        Some(ExternalEvent::Speech(self.speech(&frame, now)))
    }

    fn speech(&mut self, frame: &Frame8k, now: Instant) -> Speech {
        Speech::new(Box::new(self.up.frame(frame)), now)
    }
}

/// Stamp and frames of a packet of PCMU; a last frame that is cut short is filled with silence.
fn frames_of(packet: &[u8]) -> Option<(Stamp, Vec<[u8; FRAME_8K]>)> {
    // RTCP on the same port (RFC 5761) is no speech.
    if packet.get(1).is_some_and(|pt| (192..=223).contains(pt)) {
        return None;
    }
    let header = Header::read(packet).filter(|header| header.payload_type == PCMU)?;
    let payload = header
        .payload(packet)
        .filter(|payload| !payload.is_empty())?;
    let stamp = Stamp {
        ssrc: header.ssrc,
        sequence: header.sequence,
        timestamp: header.timestamp,
        marker: header.marker,
    };
    let frame = |octets: &[u8]| {
        let mut frame = [0xff; FRAME_8K];
        frame
            .iter_mut()
            .zip(octets)
            .for_each(|(to, from)| *to = *from);
        frame
    };
    let frames = payload.chunks(FRAME_8K).take(MAX_FRAMES).map(frame);
    Some((stamp, frames.collect()))
}

#[cfg(test)]
mod tests;
