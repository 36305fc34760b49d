//! Impairments of the radio link: loss and jitter, repeatable by a seed.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What the link does to packets of speech.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Impairments {
    /// Packets lost, in percent of all, both directions. Default 0.
    pub loss_percent: f64,
    /// Largest extra delay of a packet sent, in milliseconds. Default 0.
    pub jitter_ms: u64,
    /// Seed of the sequence of losses and delays. Default 1.
    pub seed: u64,
}

impl Default for Impairments {
    fn default() -> Self {
        Self {
            loss_percent: 0.0,
            jitter_ms: 0,
            seed: 1,
        }
    }
}

/// The sequence of fates of one stream.
#[derive(Debug, Clone)]
pub struct Link {
    settings: Impairments,
    state: u64,
}

impl Link {
    /// A link for one stream; `stream` separates the sequences of streams with one seed.
    #[must_use]
    pub const fn new(settings: Impairments, stream: u64) -> Self {
        Self {
            settings,
            state: settings.seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        }
    }

    /// Whether the next packet is lost.
    pub fn loses(&mut self) -> bool {
        self.settings.loss_percent > 0.0 && self.unit() * 100.0 < self.settings.loss_percent
    }

    /// The extra delay of the next packet.
    pub fn delay(&mut self) -> Duration {
        if self.settings.jitter_ms == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(self.settings.jitter_ms).mul_f64(self.unit())
    }

    /// A number in 0..1 (`SplitMix64`).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let top = u32::try_from((z ^ (z >> 31)) >> 32).unwrap_or(0);
        f64::from(top) / (f64::from(u32::MAX) + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_are_repeatable_and_as_many_as_asked() {
        let settings = Impairments {
            loss_percent: 10.0,
            jitter_ms: 40,
            seed: 7,
        };
        let run = || {
            let mut link = Link::new(settings, 3);
            (0..10_000).map(|_| link.loses()).collect::<Vec<_>>()
        };
        let first = run();
        assert_eq!(first, run());
        let lost = first.iter().filter(|lost| **lost).count();
        assert!((900..1100).contains(&lost), "{lost}");
        let mut link = Link::new(settings, 3);
        assert!((0..1000).all(|_| link.delay() <= Duration::from_millis(40)));
        let mut clean = Link::new(Impairments::default(), 3);
        assert!((0..1000).all(|_| !clean.loses() && clean.delay().is_zero()));
    }
}
