//! Wall-clock time as an injected value, so that tests cross a key-period boundary at once.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mc_ids::NtpTime;

/// A source of wall-clock time.
pub trait Clock: Send + Sync + Debug {
    /// Time since the Unix epoch.
    fn unix(&self) -> Duration;

    /// Whole seconds since the Unix epoch.
    fn unix_s(&self) -> u64 {
        self.unix().as_secs()
    }

    /// Whole milliseconds since the Unix epoch, the form kept in databases.
    fn unix_ms(&self) -> i64 {
        i64::try_from(self.unix().as_millis()).unwrap_or(i64::MAX)
    }

    /// The NTP-UTC timestamp of MIKEY and of the key-period arithmetic.
    fn ntp(&self) -> NtpTime {
        NtpTime::from_unix(self.unix())
    }
}

/// A clock handle that services clone into their parts.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock as a shared handle.
    #[must_use]
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn unix(&self) -> Duration {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// A clock that stands still until it is told to move; clones share the time.
#[derive(Debug, Clone, Default)]
pub struct TestClock {
    unix_ms: Arc<AtomicU64>,
}

impl TestClock {
    /// A clock standing at `unix_s` seconds since the Unix epoch.
    #[must_use]
    pub fn at_unix_s(unix_s: u64) -> Self {
        let clock = Self::default();
        clock.set(Duration::from_secs(unix_s));
        clock
    }

    /// Moves the clock to `unix` since the Unix epoch, forwards or backwards.
    pub fn set(&self, unix: Duration) {
        let ms = u64::try_from(unix.as_millis()).unwrap_or(u64::MAX);
        self.unix_ms.store(ms, Ordering::SeqCst);
    }

    /// Moves the clock forwards by `step`.
    pub fn advance(&self, step: Duration) {
        self.set(self.unix() + step);
    }
}

impl Clock for TestClock {
    fn unix(&self) -> Duration {
        Duration::from_millis(self.unix_ms.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TS 33.180 D.2.4: the path example D6B4323200000000 is 2014-02-23 08:39:14 UTC.
    #[test]
    fn ntp_time_of_the_annex_d_example() {
        let clock = TestClock::at_unix_s(1_393_144_754);
        assert_eq!(clock.ntp(), NtpTime(0xd6b4_3232_0000_0000));
        clock.advance(Duration::from_millis(500));
        assert_eq!(clock.ntp(), NtpTime(0xd6b4_3232_8000_0000));
        assert_eq!(clock.unix_ms(), 1_393_144_754_500);
    }

    #[test]
    fn clones_of_a_test_clock_share_the_time() {
        let clock = TestClock::at_unix_s(10);
        let other = clock.clone();
        clock.advance(Duration::from_secs(5));
        assert_eq!(other.unix_s(), 15);
    }
}
