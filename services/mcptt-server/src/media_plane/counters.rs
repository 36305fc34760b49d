//! What the media plane has done, counted since the process started.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Why a packet of a client was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The leg is not connected yet, or has no such stream.
    NotConnected,
    /// It came from an address that is not the client's.
    Source,
    /// It is too long or no packet of this protocol.
    Malformed,
    /// The leg sends too much.
    Rate,
    /// The sender may not talk now.
    NoPermission,
    /// It names a key that is not this client's.
    UnknownKey,
    /// Authentication failed.
    NotAuthentic,
    /// It was seen before.
    Replayed,
}

impl Refusal {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::NotConnected => "the leg is not connected",
            Self::Source => "the source is not the client's address",
            Self::Malformed => "the packet is malformed",
            Self::Rate => "too many packets",
            Self::NoPermission => "no permission to send media",
            Self::UnknownKey => "the key is not this client's",
            Self::NotAuthentic => "authentication failed",
            Self::Replayed => "the packet was seen before",
        }
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Live counters.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: AtomicU64,)*
        }

        /// A reading of the counters.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
        pub struct MediaCounters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub(super) fn read(&self) -> MediaCounters {
                MediaCounters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Media packets received.
    media_received,
    /// Copies of media packets sent to listeners.
    media_forwarded,
    /// Media packets refused because of their source address.
    media_refused_source,
    /// Media packets refused because too many came.
    media_refused_rate,
    /// Media packets refused because they are no RTP, or too long.
    media_refused_malformed,
    /// Media packets refused because their sender had no permission to talk.
    media_refused_floor,
    /// Floor control datagrams received.
    floor_received,
    /// Floor control datagrams sent.
    floor_sent,
    /// Floor control datagrams refused because of their source address.
    floor_refused_source,
    /// Floor control datagrams refused because too many came.
    floor_refused_rate,
    /// Floor control datagrams refused because they do not authenticate under the leg's key.
    floor_refused_protection,
    /// Floor control datagrams refused because they were seen before.
    floor_refused_replay,
    /// Floor control messages ignored because they are malformed or unknown.
    floor_refused_malformed,
    /// Packets the socket did not take.
    send_failed,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn media_refused(&self, why: Refusal) {
        let counter = match why {
            Refusal::NotConnected
            | Refusal::Source
            | Refusal::UnknownKey
            | Refusal::NotAuthentic
            | Refusal::Replayed => &self.media_refused_source,
            Refusal::Malformed => &self.media_refused_malformed,
            Refusal::Rate => &self.media_refused_rate,
            Refusal::NoPermission => &self.media_refused_floor,
        };
        Self::add(counter, 1);
    }

    pub(super) fn floor_refused(&self, why: Refusal) {
        let counter = match why {
            Refusal::NotConnected | Refusal::Source => &self.floor_refused_source,
            Refusal::Malformed | Refusal::NoPermission => &self.floor_refused_malformed,
            Refusal::Rate => &self.floor_refused_rate,
            Refusal::UnknownKey | Refusal::NotAuthentic => &self.floor_refused_protection,
            Refusal::Replayed => &self.floor_refused_replay,
        };
        Self::add(counter, 1);
    }
}
