//! NTP time and key periods (TS 33.180 F.2.1, RFC 3830 6.6).

use std::fmt;
use std::time::Duration;

/// Seconds from 0h 1 January 1900 to 0h 1 January 1970.
const UNIX_EPOCH_IN_NTP: u64 = 2_208_988_800;

/// A 64-bit NTP-UTC timestamp: seconds since 0h 1 January 1900 and a binary fraction.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From whole NTP seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u32) -> Self {
        Self((seconds as u64) << 32)
    }

    /// From the time since the Unix epoch. The era ends in 2036; later times wrap as NTP does.
    #[must_use]
    pub fn from_unix(since_epoch: Duration) -> Self {
        let seconds = (since_epoch.as_secs() + UNIX_EPOCH_IN_NTP) & 0xFFFF_FFFF;
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self((seconds << 32) | fraction)
    }

    /// The time since the Unix epoch, in the NTP era of 1900 to 2036; zero before 1970.
    #[must_use]
    pub fn to_unix(self) -> Duration {
        let nanos = ((self.0 & 0xFFFF_FFFF) * 1_000_000_000) >> 32;
        Duration::from_secs(u64::from(self.seconds()).saturating_sub(UNIX_EPOCH_IN_NTP))
            + Duration::from_nanos(nanos)
    }

    /// Whole NTP seconds: what selects the key period.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        let [a, b, c, d, ..] = self.0.to_be_bytes();
        u32::from_be_bytes([a, b, c, d])
    }

    /// The distance between two times, whichever is later.
    #[must_use]
    pub fn abs_diff(self, other: Self) -> Duration {
        let units = self.0.abs_diff(other.0);
        Duration::from_secs(units >> 32)
            + Duration::from_nanos(((units & 0xFFFF_FFFF) * 1_000_000_000) >> 32)
    }
}

impl fmt::Debug for NtpTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NtpTime({:016x})", self.0)
    }
}

/// Why a period and offset cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyPeriodError {
    /// A period of zero seconds has no number.
    #[error("UserKeyPeriod is zero")]
    ZeroPeriod,
}

/// `UserKeyPeriod` and `UserKeyOffset` of a KMS certificate, both in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyPeriod {
    period: u64,
    offset: u64,
}

impl KeyPeriod {
    /// Takes the two numbers of the certificate.
    ///
    /// # Errors
    /// When the period is zero. An offset beyond the period occurs in the field and is accepted.
    pub const fn new(period: u64, offset: u64) -> Result<Self, KeyPeriodError> {
        if period == 0 {
            return Err(KeyPeriodError::ZeroPeriod);
        }
        Ok(Self { period, offset })
    }

    /// Length of a period in seconds.
    #[must_use]
    pub const fn period(self) -> u64 {
        self.period
    }

    /// Offset of period 0 from 0h 1 January 1900, in seconds.
    #[must_use]
    pub const fn offset(self) -> u64 {
        self.offset
    }

    /// The number of the key period a time lies in; 0 before the offset.
    #[must_use]
    pub fn number_at(self, time: NtpTime) -> u64 {
        u64::from(time.seconds()).saturating_sub(self.offset) / self.period
    }

    /// First NTP second of a period.
    #[must_use]
    pub const fn start_of(self, number: u64) -> u64 {
        self.offset
            .saturating_add(self.period.saturating_mul(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TS 33.180 D.2.4: 2014-02-23 08:39:14.2 UTC.
    #[test]
    fn the_example_time_of_annex_d() {
        let t = NtpTime(0xD6B4_3232_0000_0000);
        assert_eq!(t.to_unix(), Duration::from_secs(1_393_144_754));
        assert_eq!(NtpTime::from_unix(Duration::from_secs(1_393_144_754)), t);
        assert_eq!(KeyPeriod::new(2_592_000, 0).unwrap().number_at(t), 1389);
    }

    #[test]
    fn a_period_starts_where_its_number_begins() {
        let p = KeyPeriod::new(600, 100).unwrap();
        let start = u32::try_from(p.start_of(7)).unwrap();
        assert_eq!(p.number_at(NtpTime::from_seconds(start)), 7);
        assert_eq!(p.number_at(NtpTime::from_seconds(start - 1)), 6);
        assert_eq!(KeyPeriod::new(0, 0), Err(KeyPeriodError::ZeroPeriod));
    }
}
