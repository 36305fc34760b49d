//! Messages that were seen before (RFC 3830 5.4).

use mc_ids::NtpTime;
use std::collections::BTreeSet;

/// Remembers authenticated messages until their time is too old to be accepted anyway. Bounded: when
/// full, the oldest is forgotten and everything as old is refused from then on.
#[derive(Debug, Clone)]
pub struct ReplayCache {
    seen: BTreeSet<(NtpTime, [u8; 32])>,
    floor: Option<NtpTime>,
    capacity: usize,
}

impl ReplayCache {
    /// A cache of at most `capacity` messages.
    #[must_use]
    pub const fn new(capacity: usize) -> Self {
        Self {
            seen: BTreeSet::new(),
            floor: None,
            capacity,
        }
    }

    /// Whether a message of this time and hash is new; if so it is not any more.
    pub fn insert(&mut self, time: NtpTime, hash: [u8; 32]) -> bool {
        if self.floor.is_some_and(|floor| time <= floor) || !self.seen.insert((time, hash)) {
            return false;
        }
        if self.seen.len() > self.capacity {
            self.floor = self.seen.pop_first().map(|(oldest, _)| oldest);
        }
        true
    }

    /// Forgets messages made before `time`, which the skew policy refuses by themselves.
    pub fn forget_before(&mut self, time: NtpTime) {
        self.seen = self.seen.split_off(&(time, [0; 32]));
    }

    /// Messages remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether no message is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_cache_forgets_no_replay() {
        let at = NtpTime::from_seconds;
        let mut cache = ReplayCache::new(2);
        assert!(cache.insert(at(1), [1; 32]));
        assert!(cache.insert(at(2), [2; 32]));
        assert!(!cache.insert(at(2), [2; 32]));
        assert!(cache.insert(at(3), [3; 32]));
        assert_eq!(cache.len(), 2);
        assert!(
            !cache.insert(at(1), [1; 32]),
            "forgotten, but older than the floor"
        );
        cache.forget_before(at(3));
        assert_eq!(cache.len(), 1);
        assert!(!cache.insert(at(3), [3; 32]));
    }
}
