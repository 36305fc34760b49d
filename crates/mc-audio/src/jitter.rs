//! A jitter buffer for the speech that one listener hears (RFC 3550): packets in as they come,
//! one frame out every 20 ms.
//!
//! Frames are ordered by timestamp; the sequence number tells a loss from a pause. A **spurt** is
//! speech that follows a pause: a marked packet, a timestamp that leaps while no packet is missing,
//! or another stream. Its first frame is played [`JitterBuffer::delay`] after its arrival, and the
//! frames behind it follow one by one, so a spurt is where the delay adapts. What was buffered of
//! the spurt before is played to its end first.
//!
//! - Fixed delay: a frame that comes after its time is late and not played.
//! - Adaptive delay: when the buffer runs dry, the next frame is waited for, so a spell of jitter
//!   stretches time instead of cutting speech, up to the longest delay. Four times the
//!   interarrival jitter (RFC 3550 6.4.1) is the delay of the next spurt.
//!
//! Either way a buffer that stays too full (a sender whose clock is fast, a stall made good at once)
//! loses a frame now and then: the fuller, the sooner.

use std::collections::{BTreeMap, btree_map};
use std::time::{Duration, Instant};

use crate::FRAME;

mod arrival;
mod clock;

use arrival::{Arrivals, Place, Position};
pub use clock::PlayClock;

/// Frames made up in a row before there is silence instead: 100 ms.
const MOST_CONCEALED: u16 = 5;
/// Frames above the wanted depth that are left alone.
const SLACK: usize = 2;
/// Sum over pulls of the frames above that, at which one is skipped: one frame for 2 s, ten for 0.2 s.
const EXCESS: usize = 100;

/// How long the first frame of a spurt waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Always this long.
    Fixed(Duration),
    /// As long as the jitter asks for, within bounds.
    Adaptive {
        /// Shortest, and the first one.
        shortest: Duration,
        /// Longest.
        longest: Duration,
    },
}

/// Settings of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Ticks of the RTP clock in a frame of 20 ms: 160 for PCMU, 320 for AMR-WB.
    pub ticks: u32,
    /// How long the first frame of a spurt waits.
    pub delay: Delay,
    /// Most frames kept; the oldest goes when another comes.
    pub capacity: usize,
}

impl Settings {
    /// Adaptive between 40 and 200 ms, half a second of room; for PCMU (8 kHz).
    #[must_use]
    pub const fn pcmu() -> Self {
        Self::adaptive(160)
    }

    /// Adaptive between 40 and 200 ms, half a second of room; for AMR-WB (16 kHz).
    #[must_use]
    pub const fn amr_wb() -> Self {
        Self::adaptive(320)
    }

    const fn adaptive(ticks: u32) -> Self {
        Self {
            ticks,
            delay: Delay::Adaptive {
                shortest: Duration::from_millis(40),
                longest: Duration::from_millis(200),
            },
            capacity: 25,
        }
    }
}

/// What the buffer needs of an RTP header (RFC 3550 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp of the packet's first frame.
    pub timestamp: u32,
    /// Whether the packet begins a talk spurt (RFC 3551 4.1).
    pub marker: bool,
}

/// What to play now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled<T> {
    /// This frame.
    Frame(T),
    /// A frame is missing: conceal it.
    Lost,
    /// Nobody speaks, or nothing came for 100 ms.
    Silence,
}

/// What became of the frames, each counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames given to the buffer.
    pub received: u64,
    /// Frames played.
    pub played: u64,
    /// Frames that came after their time, or of a stream that had ended.
    pub late: u64,
    /// Frames that were there already.
    pub duplicate: u64,
    /// Frames dropped because the buffer was full, or to shorten a delay grown too long.
    pub skipped: u64,
    /// Frames that could not be placed in the stream (RFC 3550 A.1: a leap that one packet alone
    /// does not prove).
    pub stray: u64,
    /// Frames made up: lost, late, or behind a last one that was not announced.
    pub concealed: u64,
}

#[derive(Debug)]
struct Entry<T> {
    frame: T,
    sequence: u16,
    /// First frame of a marked packet.
    marker: bool,
    arrived: Instant,
}

/// Where play stands.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    next: Position,
    /// Sequence number of the last frame played.
    sequence: u16,
    /// Frames made up since then.
    concealed: u16,
    /// Of these, those for which `next` has not moved on: the frame may still come.
    owed: u16,
}

impl Cursor {
    /// Frames were waited for that a later one has overtaken: they were made up already. Gives how
    /// many of the gap are still missing.
    fn settle(&mut self, gap: i64) -> i64 {
        let made_up = i64::from(std::mem::take(&mut self.owed)).min(gap);
        self.next = self.next.plus(made_up);
        gap - made_up
    }

    const fn behind(played: Position, sequence: u16) -> Self {
        Self {
            next: played.plus(1),
            sequence,
            concealed: 0,
            owed: 0,
        }
    }
}

/// The buffer; `T` is a frame as it came, usually still coded.
#[derive(Debug)]
pub struct JitterBuffer<T> {
    settings: Settings,
    arrivals: Arrivals,
    frames: BTreeMap<Position, Entry<T>>,
    /// None while there is silence.
    cursor: Option<Cursor>,
    /// Nothing before this is taken: it was played, skipped or given up.
    floor: Position,
    /// Frames too many, summed over pulls in a row.
    excess: usize,
    ended: bool,
    statistics: Statistics,
}

impl<T> JitterBuffer<T> {
    /// An empty buffer.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            arrivals: Arrivals::new(settings.ticks),
            frames: BTreeMap::new(),
            cursor: None,
            floor: Position::START,
            excess: 0,
            ended: false,
            statistics: Statistics::default(),
        }
    }

    /// Takes in a packet that arrived at `now`, with one frame or several in order.
    pub fn push(&mut self, stamp: Stamp, frames: impl IntoIterator<Item = T>, now: Instant) {
        let place = self.arrivals.place(stamp, now);
        for (n, frame) in frames.into_iter().take(self.settings.capacity).enumerate() {
            self.statistics.received += 1;
            match place {
                Place::Here(first) => {
                    let entry = Entry {
                        frame,
                        sequence: stamp.sequence,
                        marker: stamp.marker && n == 0,
                        arrived: now,
                    };
                    self.keep(first.plus(i64::try_from(n).unwrap_or(0)), entry);
                }
                Place::Past => self.statistics.late += 1,
                Place::Unproved => self.statistics.stray += 1,
            }
        }
    }

    fn keep(&mut self, position: Position, entry: Entry<T>) {
        if position < self.floor {
            self.statistics.late += 1;
        } else if let btree_map::Entry::Vacant(place) = self.frames.entry(position) {
            place.insert(entry);
            if self.frames.len() > self.settings.capacity.max(1) {
                self.skip_oldest();
            }
        } else {
            self.statistics.duplicate += 1;
        }
    }

    fn skip_oldest(&mut self) {
        if let Some((position, entry)) = self.frames.pop_first() {
            self.statistics.skipped += 1;
            self.floor = position.plus(1);
            if self.cursor.is_some() {
                self.cursor = Some(Cursor::behind(position, entry.sequence));
            }
        }
    }

    /// The talker has ended (floor released, call over): what is buffered is played, and nothing is
    /// made up behind it. The next packet begins anew.
    pub const fn end(&mut self) {
        self.ended = true;
    }

    /// What to play for the next 20 ms; call it once every 20 ms.
    pub fn pull(&mut self, now: Instant) -> Pulled<T> {
        self.shorten();
        let Some((first, entry)) = self.frames.first_key_value() else {
            return self.dry();
        };
        let due = entry.arrived.checked_add(self.delay());
        if let Some(cursor) = &mut self.cursor
            && let Some(gap) = first.behind(cursor.next)
            && !entry.marker
        {
            let missing = entry.sequence.wrapping_sub(cursor.sequence) > 1;
            let gap = if missing { cursor.settle(gap) } else { gap };
            if gap == 0 {
                return self.play();
            }
            if missing && cursor.concealed < MOST_CONCEALED {
                cursor.next = cursor.next.plus(1);
                return self.conceal();
            }
        }
        if due.is_none_or(|due| due > now) {
            return Pulled::Silence;
        }
        self.ended = false;
        self.play()
    }

    /// Plays the oldest frame.
    fn play(&mut self) -> Pulled<T> {
        let Some((position, entry)) = self.frames.pop_first() else {
            return Pulled::Silence;
        };
        self.statistics.played += 1;
        self.floor = position.plus(1);
        self.cursor = Some(Cursor::behind(position, entry.sequence));
        Pulled::Frame(entry.frame)
    }

    /// The buffer is empty: frames are late, or the talker has ended without saying so.
    fn dry(&mut self) -> Pulled<T> {
        let longest = match self.settings.delay {
            Delay::Fixed(_) => None,
            Delay::Adaptive { longest, .. } => Some(longest),
        };
        let Some(cursor) = self.cursor.as_mut() else {
            return Pulled::Silence;
        };
        if self.ended || cursor.concealed >= MOST_CONCEALED {
            self.cursor = None;
            return Pulled::Silence;
        }
        if longest.is_some_and(|longest| FRAME * u32::from(cursor.owed + 1) <= longest) {
            cursor.owed += 1;
        } else {
            cursor.next = cursor.next.plus(1);
        }
        self.conceal()
    }

    fn conceal(&mut self) -> Pulled<T> {
        if let Some(cursor) = &mut self.cursor {
            cursor.concealed += 1;
            self.floor = cursor.next;
        }
        self.statistics.concealed += 1;
        Pulled::Lost
    }

    /// Skips a frame when there have been too many for long.
    fn shorten(&mut self) {
        let wanted = self.delay().as_millis().div_ceil(FRAME.as_millis());
        let most = usize::try_from(wanted)
            .unwrap_or(usize::MAX)
            .saturating_add(SLACK);
        self.excess = match self.frames.len().saturating_sub(most) {
            0 => 0,
            more => self.excess + more,
        };
        if self.excess >= EXCESS {
            self.excess = 0;
            self.skip_oldest();
        }
    }

    /// How long the first frame of a spurt waits now.
    #[must_use]
    pub fn delay(&self) -> Duration {
        match self.settings.delay {
            Delay::Fixed(delay) => delay,
            Delay::Adaptive { shortest, longest } => {
                let wanted = (self.arrivals.jitter() * 4).max(shortest);
                wanted.min(longest)
            }
        }
    }

    /// Interarrival jitter (RFC 3550 6.4.1).
    #[must_use]
    pub const fn jitter(&self) -> Duration {
        self.arrivals.jitter()
    }

    /// Frames in the buffer.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is nothing to play.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// What became of the frames so far.
    #[must_use]
    pub const fn statistics(&self) -> Statistics {
        self.statistics
    }
}

#[cfg(test)]
mod tests;
