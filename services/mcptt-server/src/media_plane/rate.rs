//! A limit on packets of one leg, so that a client cannot keep the server busy.

use std::time::Instant;

/// Lets a steady rate pass, and twice as much after silence.
#[derive(Debug)]
pub(super) struct RateLimit {
    per_second: f64,
    allowance: f64,
    last: Option<Instant>,
}

impl RateLimit {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self {
            per_second,
            allowance: 2.0 * per_second,
            last: None,
        }
    }

    /// Whether a packet may pass now.
    pub(super) fn allow(&mut self, now: Instant) -> bool {
        let passed = self
            .last
            .map_or(0.0, |last| now.duration_since(last).as_secs_f64());
        self.last = Some(now);
        self.allowance = self
            .per_second
            .mul_add(passed, self.allowance)
            .min(2.0 * self.per_second);
        let allowed = self.allowance >= 1.0;
        if allowed {
            self.allowance -= 1.0;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::RateLimit;

    #[test]
    fn a_burst_of_twice_the_rate_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut limit = RateLimit::new(10);
        let at = |limit: &mut RateLimit, millis, packets| {
            (0..packets)
                .filter(|_| limit.allow(start + Duration::from_millis(millis)))
                .count()
        };
        assert_eq!(at(&mut limit, 0, 100), 20);
        assert_eq!(at(&mut limit, 500, 100), 5);
        assert_eq!(at(&mut limit, 10_000, 100), 20);
    }
}
