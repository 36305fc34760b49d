//! Timers and counters (TS 24.380 clause 11): their list with defaults, and a set of running ones.

use core::time::Duration;
use std::time::Instant;

/// What clause 11 says of one timer; `docs/floor-control.md` is printed from these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerSpec {
    /// Number in the standard.
    pub number: &'static str,
    /// Name in the standard.
    pub title: &'static str,
    /// Machine that runs it.
    pub machine: &'static str,
    /// Value used unless configured.
    pub default: Duration,
    /// Counter that limits its repetitions, and that limit.
    pub counter: Option<(&'static str, u8)>,
    /// What happens when it expires.
    pub on_expiry: &'static str,
}

macro_rules! timers {
    ($($konst:ident = $number:literal, $title:literal, $machine:literal, $millis:literal, $counter:expr, $expiry:literal;)*) => {
        $(
            #[doc = concat!($number, " ", $title, ".")]
            pub const $konst: TimerSpec = TimerSpec {
                number: $number,
                title: $title,
                machine: $machine,
                default: Duration::from_millis($millis),
                counter: $counter,
                on_expiry: $expiry,
            };
        )*
        /// Every timer of this crate.
        pub const TABLE: &[TimerSpec] = &[$($konst),*];
    };
}

//= TS 24.380 11
timers! {
    T1 = "T1", "end of RTP media", "server, general", 4_000, None,
        "the media burst has ended: G: Floor Idle";
    T2 = "T2", "stop talking", "server, general", 30_000, None,
        "Floor Revoke with cause 2: G: pending Floor Revoke";
    T3 = "T3", "stop talking grace", "server, general", 3_000, None,
        "the floor is taken back: G: Floor Idle";
    T4 = "T4", "inactivity", "server, general", 30_000, None,
        "call control is told, which releases the call or restarts the timer";
    T7 = "T7", "floor idle", "server, general", 10_000, Some(("C7", 10)),
        "Floor Idle is sent again";
    T20 = "T20", "floor granted", "server, general", 1_000, Some(("C20", 3)),
        "Floor Granted is sent again to a participant that was queued";
    T8 = "T8", "floor revoke", "server, participant", 1_000, None,
        "Floor Revoke is sent again";
    T9 = "T9", "retry-after", "server, participant", 0, None,
        "the participant may request the floor again; 0 s: not used";
    T100 = "T100", "floor release", "floor participant", 1_000, Some(("C100", 3)),
        "Floor Release is sent again, after the last one U: has no permission";
    T101 = "T101", "floor request", "floor participant", 1_000, Some(("C101", 3)),
        "Floor Request is sent again, after the last one U: has no permission";
    T103 = "T103", "end of RTP media", "floor participant", 4_000, None,
        "the floor is shown as idle";
    T104 = "T104", "floor queue position request", "floor participant", 1_000, Some(("C104", 3)),
        "Floor Queue Position Request is sent again";
    T132 = "T132", "queued granted user action", "floor participant", 2_000, None,
        "the user did not talk: Floor Release, U: pending Release";
}

/// The running timers of one machine. Starting a running timer restarts it.
#[derive(Debug, Clone)]
pub(crate) struct Timers<T> {
    running: Vec<(T, Instant)>,
}

impl<T: Copy + Eq> Timers<T> {
    pub(crate) const fn new() -> Self {
        Self {
            running: Vec::new(),
        }
    }

    pub(crate) fn start(&mut self, timer: T, expires: Instant) {
        if let Some(entry) = self
            .running
            .iter_mut()
            .find(|(running, _)| *running == timer)
        {
            entry.1 = expires;
        } else {
            self.running.push((timer, expires));
        }
    }

    pub(crate) fn stop(&mut self, timer: T) {
        self.running.retain(|(running, _)| *running != timer);
    }

    pub(crate) fn stop_all(&mut self) {
        self.running.clear();
    }

    /// When `timer` expires, if it runs.
    pub(crate) fn expires(&self, timer: T) -> Option<Instant> {
        self.running
            .iter()
            .find(|(running, _)| *running == timer)
            .map(|(_, at)| *at)
    }

    /// When the first timer expires.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.running.iter().map(|(_, at)| *at).min()
    }

    /// Takes the earliest timer that has expired.
    pub(crate) fn pop_expired(&mut self, now: Instant) -> Option<T> {
        let (index, _) = self
            .running
            .iter()
            .enumerate()
            .filter(|(_, (_, at))| *at <= now)
            .min_by_key(|(_, (_, at))| *at)?;
        Some(self.running.remove(index).0)
    }

    /// The running timers, in the order of their expiry.
    #[cfg(test)]
    pub(crate) fn running(&self) -> Vec<T> {
        let mut sorted = self.running.clone();
        sorted.sort_by_key(|(_, at)| *at);
        sorted.into_iter().map(|(timer, _)| timer).collect()
    }
}
