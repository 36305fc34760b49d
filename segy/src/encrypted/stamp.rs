//! Speech from a client to a bridge: where each frame belongs, and no more than it can take.

use mc_audio::Frame16k;
use mc_audio::jitter::Stamp;
use mc_client::SpeechFrame;
use tokio::sync::mpsc;

use super::RESERVED;
use crate::bridge::{McEvent, Speech};

/// A bridge, and the frame it got last.
#[derive(Debug)]
pub(super) struct Sink {
    events: mpsc::Sender<McEvent>,
    last: Option<Stamp>,
}

impl Sink {
    pub(super) const fn new(events: mpsc::Sender<McEvent>) -> Self {
        Self { events, last: None }
    }

    /// Tells the bridge; one that is so far behind has ended, or lost its call.
    pub(super) fn tell(&self, event: McEvent) {
        if let Err(error) = self.events.try_send(event) {
            tracing::debug!(%error, "a bridge does not listen");
        }
    }

    /// Hands a frame over; false when it was dropped.
    pub(super) fn speech(&mut self, frame: SpeechFrame) -> bool {
        let stamp = self.stamp(&frame);
        let Ok(samples) = Box::<Frame16k>::try_from(frame.samples.into_boxed_slice()) else {
            return false;
        };
        let speech = Speech::new(samples, frame.received);
        let event = McEvent::Speech(stamp, speech);
        self.events.capacity() >= RESERVED && self.events.try_send(event).is_ok()
    }

    /// Where a frame belongs. One made up for a lost packet carries the numbers of the packet that
    /// showed the loss; it follows the frame before it.
    fn stamp(&mut self, frame: &SpeechFrame) -> Stamp {
        let own = Stamp {
            ssrc: frame.ssrc,
            sequence: frame.sequence,
            timestamp: frame.timestamp,
            marker: frame.marker,
        };
        let stamp = match self
            .last
            .filter(|last| last.ssrc == frame.ssrc && frame.concealed)
        {
            Some(last) => Stamp {
                sequence: last.sequence.wrapping_add(1),
                timestamp: last.timestamp.wrapping_add(320),
                ..own
            },
            None => own,
        };
        self.last = Some(stamp);
        stamp
    }
}

#[cfg(test)]
mod tests;
