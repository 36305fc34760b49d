//! The `[media]` section of the configuration.

use std::time::Duration;

use serde::Deserialize;

/// Ports, limits and floor timers of the media plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MediaConfig {
    /// First UDP port for media and floor control. Default 0: the operating system chooses.
    pub first_port: u16,
    /// Last UDP port, used only with `first_port`. Default 65535.
    pub last_port: u16,
    /// Whether a client behind a NAT may send from another address than its SDP names, once a
    /// protected floor control message has come from there. Default false.
    pub symmetric: bool,
    /// Largest media packet taken, in octets. Default 1500.
    pub max_media_packet: usize,
    /// Media packets taken from one leg in a second; twice as many at once. Default 150.
    pub media_packets_per_s: u32,
    /// Floor control packets taken from one leg in a second; twice as many at once. Default 25.
    pub floor_packets_per_s: u32,
    /// T1, silence after which a media burst has ended, in milliseconds. Default 4000.
    pub end_of_media_ms: u64,
    /// T3, how long media is still forwarded after a revoke, in milliseconds. Default 3000.
    pub revoke_grace_ms: u64,
    /// T7, time between repetitions of Floor Idle, in milliseconds. Default 10000.
    pub floor_idle_ms: u64,
    /// T8, time between repetitions of Floor Revoke, in milliseconds. Default 1000.
    pub floor_revoke_ms: u64,
    /// T9, how long who talked too long may not ask again, in milliseconds. Default 0.
    pub retry_after_ms: u64,
    /// T20, time between repetitions of Floor Granted after queueing, in milliseconds. Default 1000.
    pub floor_granted_ms: u64,
    /// Lowest floor priority that takes the floor from a lower one in the same kind of call.
    /// Default 255: none below the highest.
    pub preemptive_priority: u8,
    /// Whether Queue Position Info tells the place. Default true.
    pub disclose_queue_position: bool,
}

impl Default for MediaConfig {
    fn default() -> Self {
        Self {
            first_port: 0,
            last_port: u16::MAX,
            symmetric: false,
            max_media_packet: 1500,
            media_packets_per_s: 150,
            floor_packets_per_s: 25,
            end_of_media_ms: 4000,
            revoke_grace_ms: 3000,
            floor_idle_ms: 10_000,
            floor_revoke_ms: 1000,
            retry_after_ms: 0,
            floor_granted_ms: 1000,
            preemptive_priority: 255,
            disclose_queue_position: true,
        }
    }
}

impl MediaConfig {
    /// The floor control configuration of one session.
    pub(super) fn floor(
        &self,
        ssrc: u32,
        facts: &super::SessionFacts,
    ) -> floor_control::server::Config {
        floor_control::server::Config {
            t1: Duration::from_millis(self.end_of_media_ms),
            t2: facts.talk_limit,
            t3: Duration::from_millis(self.revoke_grace_ms),
            t4: facts.hang_time,
            t7: Duration::from_millis(self.floor_idle_ms),
            t8: Duration::from_millis(self.floor_revoke_ms),
            t9: Duration::from_millis(self.retry_after_ms),
            t20: Duration::from_millis(self.floor_granted_ms),
            audio_cut_in: facts.audio_cut_in,
            queue_capacity: usize::from(facts.queue_depth),
            disclose_queue_position: self.disclose_queue_position,
            preemptive_priority: self.preemptive_priority,
            ..floor_control::server::Config::new(ssrc)
        }
    }
}
