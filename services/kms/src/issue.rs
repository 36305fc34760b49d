//! Which key periods a request may have keys for, and key sets as documents. Pure.

use kms_protocol::{KeyContent, KeySet, UserIdEncoding};
use mc_ids::annex_f::Uid;
use mc_ids::{KeyPeriod, KmsUri, NtpTime};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::master::IssuedKeys;

/// Seconds from the NTP epoch to the Unix epoch.
const UNIX_EPOCH_IN_NTP: i64 = 2_208_988_800;

/// How long before a boundary the next period's keys are handed out: an hour or a twentieth of
/// the period, whichever is longer.
#[must_use]
pub fn margin_s(period: KeyPeriod) -> u64 {
    (period.period() / 20).max(3600).min(period.period())
}

/// The periods to provision now: the current one, and the next near the boundary.
//= RFC 6509 3.3
#[must_use]
pub fn current_periods(period: KeyPeriod, now: NtpTime) -> Vec<u64> {
    let number = period.number_at(now);
    let left = period
        .start_of(number + 1)
        .saturating_sub(u64::from(now.seconds()));
    if left <= margin_s(period) {
        vec![number, number + 1]
    } else {
        vec![number]
    }
}

/// The period of a requested time: the current one, the one before it, or a next one that is
/// handed out already. Others have no keys.
#[must_use]
pub fn requested_period(period: KeyPeriod, now: NtpTime, time: NtpTime) -> Option<u64> {
    let (current, wanted) = (period.number_at(now), period.number_at(time));
    let near = current_periods(period, now);
    (near.contains(&wanted) || wanted.checked_add(1) == Some(current)).then_some(wanted)
}

/// A time in NTP seconds as a date.
#[must_use]
pub fn date_of_ntp_s(seconds: u64) -> Option<OffsetDateTime> {
    let unix = i64::try_from(seconds).ok()? - UNIX_EPOCH_IN_NTP;
    OffsetDateTime::from_unix_timestamp(unix).ok()
}

/// Whose keys of which period are issued.
#[derive(Debug, Clone)]
pub struct Issue<'a> {
    /// This KMS.
    pub kms_uri: &'a KmsUri,
    /// Its certificate.
    pub cert_uri: &'a str,
    /// Its key periods.
    pub period: KeyPeriod,
    /// The identity.
    pub user_uri: &'a str,
    /// The key period's number.
    pub number: u64,
}

impl Issue<'_> {
    /// The identifier the keys are computed for.
    //= TS 33.180 F.2.1
    #[must_use]
    pub fn uid(&self) -> Uid {
        Uid::of_period(self.user_uri, self.kms_uri, self.period, self.number)
    }

    /// The key set document.
    #[must_use]
    pub fn key_set(&self, keys: &IssuedKeys, encoding: UserIdEncoding) -> KeySet {
        let plain = |octets: &[u8]| KeyContent::Plain(Zeroizing::new(octets.to_vec()));
        KeySet {
            kms_uri: self.kms_uri.clone(),
            cert_uri: Some(self.cert_uri.to_owned()),
            issuer: None,
            user_uri: self.user_uri.to_owned(),
            user_id: KeySet::encode_user_id(&self.uid(), encoding),
            valid_from: date_of_ntp_s(self.period.start_of(self.number)),
            valid_to: date_of_ntp_s(self.period.start_of(self.number + 1)),
            key_period_no: self.number,
            revoked: false,
            decrypt_key: plain(keys.rsk()),
            signing_key: plain(keys.ssk()),
            token: plain(keys.pvt()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u32) -> NtpTime {
        NtpTime::from_seconds(seconds)
    }

    #[test]
    fn the_next_period_comes_near_the_boundary_only() {
        let month = KeyPeriod::new(2_592_000, 0).unwrap();
        let boundary = 2_592_000 * 1532;
        assert_eq!(margin_s(month), 129_600);
        assert_eq!(current_periods(month, at(boundary - 129_601)), [1531]);
        assert_eq!(current_periods(month, at(boundary - 129_600)), [1531, 1532]);
        assert_eq!(current_periods(month, at(boundary)), [1532]);
    }

    #[test]
    fn short_lab_periods_always_have_the_next() {
        let minutes = KeyPeriod::new(300, 7).unwrap();
        assert_eq!(margin_s(minutes), 300);
        assert_eq!(current_periods(minutes, at(307)), [1, 2]);
    }

    #[test]
    fn only_neighbouring_periods_can_be_asked_for() {
        let month = KeyPeriod::new(2_592_000, 0).unwrap();
        let start = 2_592_000 * 1531;
        let wanted = |time: u32| requested_period(month, at(start + 100), at(time));
        assert_eq!(wanted(start), Some(1531));
        assert_eq!(wanted(start - 1), Some(1530));
        assert_eq!(wanted(start - 2_592_001), None);
        assert_eq!(wanted(start + 2_592_000), None);
        assert_eq!(wanted(u32::MAX), None);
        assert_eq!(
            requested_period(month, at(start + 2_591_000), at(start + 2_592_000)),
            Some(1532)
        );
    }

    #[test]
    fn ntp_seconds_as_dates() {
        assert_eq!(
            date_of_ntp_s(0xd6b4_3232).unwrap().unix_timestamp(),
            1_393_144_754
        );
    }
}
