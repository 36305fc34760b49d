//! Where in the order of play a packet belongs, and how unevenly packets come (RFC 3550 A.1, A.8).

use std::time::{Duration, Instant};

use super::Stamp;
use crate::FRAME;

/// Packets that may be missing in a row before it is another beginning (RFC 3550 A.1).
const MAX_DROPOUT: i16 = 3000;
/// How far back a packet may be out of order (RFC 3550 A.1).
const MAX_MISORDER: i16 = 100;

/// A frame's place: its stream, counted, and frames of 20 ms since that stream's first packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Position {
    stream: u64,
    slot: i64,
}

impl Position {
    /// Before everything.
    pub(super) const START: Self = Self {
        stream: 0,
        slot: i64::MIN,
    };

    /// So many frames later.
    pub(super) const fn plus(self, frames: i64) -> Self {
        Self {
            slot: self.slot.saturating_add(frames),
            ..self
        }
    }

    /// Frames from `earlier` to this; none between streams.
    pub(super) fn behind(self, earlier: Self) -> Option<i64> {
        (self.stream == earlier.stream).then(|| self.slot.saturating_sub(earlier.slot))
    }
}

/// What a packet's numbers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The first frame belongs here.
    Here(Position),
    /// The packet is of the past.
    Past,
    /// The numbers fit nothing; a second packet like this makes a new stream.
    Unproved,
}

/// The newest packet of the present stream.
#[derive(Debug, Clone, Copy)]
struct Newest {
    stamp: Stamp,
    position: Position,
}

#[derive(Debug)]
pub(super) struct Arrivals {
    ticks: u32,
    newest: Option<Newest>,
    /// The stream before the present one: its stragglers do not bring it back.
    previous: Option<u32>,
    /// Source and sequence number that would prove a leap.
    proof: Option<(u32, u16)>,
    /// Arrival and timestamp of the packet before, of the same stream.
    last: Option<(Instant, u32)>,
    jitter: Duration,
}

impl Arrivals {
    pub(super) const fn new(ticks: u32) -> Self {
        Self {
            ticks: if ticks == 0 { 1 } else { ticks },
            newest: None,
            previous: None,
            proof: None,
            last: None,
            jitter: Duration::ZERO,
        }
    }

    pub(super) const fn jitter(&self) -> Duration {
        self.jitter
    }

    /// Places a packet that arrived at `now`.
    pub(super) fn place(&mut self, stamp: Stamp, now: Instant) -> Place {
        let place = self.find(stamp);
        if let Place::Here(position) = place {
            self.proof = None;
            let newer = self.newest.is_none_or(|n| position > n.position);
            if newer {
                self.newest = Some(Newest { stamp, position });
            }
            self.note(stamp, now);
        }
        place
    }

    fn find(&mut self, stamp: Stamp) -> Place {
        let Some(newest) = self.newest else {
            return self.new_stream(stamp);
        };
        if stamp.ssrc != newest.stamp.ssrc {
            if self.previous == Some(stamp.ssrc) && !stamp.marker {
                return self.prove(stamp, Place::Past);
            }
            return self.new_stream(stamp);
        }
        let packets = signed16(stamp.sequence.wrapping_sub(newest.stamp.sequence));
        let ticks = signed32(stamp.timestamp.wrapping_sub(newest.stamp.timestamp));
        let frames = i64::from(ticks).div_euclid(i64::from(self.ticks));
        let fits = (-MAX_MISORDER..=MAX_DROPOUT).contains(&packets)
            && i64::from(packets.signum()) == i64::from(ticks.signum());
        if fits {
            Place::Here(newest.position.plus(frames))
        } else if stamp.marker && packets != 0 {
            self.new_stream(stamp)
        } else {
            self.prove(stamp, Place::Unproved)
        }
    }

    /// A packet that does not fit begins a stream if it follows another such packet.
    fn prove(&mut self, stamp: Stamp, otherwise: Place) -> Place {
        if self.proof == Some((stamp.ssrc, stamp.sequence)) {
            return self.new_stream(stamp);
        }
        self.proof = Some((stamp.ssrc, stamp.sequence.wrapping_add(1)));
        otherwise
    }

    fn new_stream(&mut self, stamp: Stamp) -> Place {
        let stream = self.newest.map_or(0, |n| n.position.stream) + 1;
        self.previous = self
            .newest
            .map(|n| n.stamp.ssrc)
            .filter(|s| *s != stamp.ssrc);
        self.last = None;
        Place::Here(Position { stream, slot: 0 })
    }

    /// RFC 3550 A.8, in time instead of ticks.
    fn note(&mut self, stamp: Stamp, now: Instant) {
        if let Some((then, timestamp)) = self.last.filter(|_| !stamp.marker) {
            let ticks = signed32(stamp.timestamp.wrapping_sub(timestamp));
            let sent = FRAME.mul_f64(f64::from(ticks.unsigned_abs()) / f64::from(self.ticks));
            // A packet out of order counts with the time it should have been ahead.
            let came = now.saturating_duration_since(then);
            let difference = if ticks < 0 {
                came + sent
            } else {
                came.abs_diff(sent)
            };
            // One packet can ask for a second at most, whatever its timestamp says.
            let difference = difference.min(Duration::from_secs(1));
            self.jitter = self.jitter - self.jitter / 16 + difference / 16;
        }
        self.last = Some((now, stamp.timestamp));
    }
}

const fn signed16(difference: u16) -> i16 {
    i16::from_ne_bytes(difference.to_ne_bytes())
}

const fn signed32(difference: u32) -> i32 {
    i32::from_ne_bytes(difference.to_ne_bytes())
}
