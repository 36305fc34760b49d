//! Token buckets against floods.

use std::collections::HashMap;
use std::net::IpAddr;

use tokio::time::{Duration, Instant};

/// Most source addresses remembered; when full, the quiet ones are forgotten.
const MAX_SOURCES: usize = 4096;

/// Allows `rate` events per second with a burst of twice that.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    rate: f64,
    tokens: f64,
    last: Instant,
}

impl Bucket {
    pub(super) fn new(rate: u32, now: Instant) -> Self {
        let rate = f64::from(rate.max(1));
        Self {
            rate,
            tokens: rate * 2.0,
            last: now,
        }
    }

    fn refill(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.rate).min(self.rate * 2.0);
        self.last = now;
    }

    /// Takes a token if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        self.refill(now);
        let allowed = self.tokens >= 1.0;
        if allowed {
            self.tokens -= 1.0;
        }
        allowed
    }

    /// How long to wait until a token is there.
    pub(super) fn wait(&self) -> Duration {
        Duration::from_secs_f64(((1.0 - self.tokens) / self.rate).max(0.0))
    }

    fn is_full(&self) -> bool {
        self.tokens >= self.rate * 2.0
    }
}

/// One bucket per source address.
#[derive(Debug)]
pub(super) struct Sources {
    rate: u32,
    buckets: HashMap<IpAddr, Bucket>,
}

impl Sources {
    pub(super) fn new(rate: u32) -> Self {
        Self {
            rate,
            buckets: HashMap::new(),
        }
    }

    pub(super) fn allow(&mut self, source: IpAddr, now: Instant) -> bool {
        if self.buckets.len() >= MAX_SOURCES && !self.buckets.contains_key(&source) {
            self.buckets.retain(|_, bucket| {
                bucket.refill(now);
                !bucket.is_full()
            });
            if self.buckets.len() >= MAX_SOURCES {
                return false;
            }
        }
        let rate = self.rate;
        self.buckets
            .entry(source)
            .or_insert_with(|| Bucket::new(rate, now))
            .take(now)
    }
}
