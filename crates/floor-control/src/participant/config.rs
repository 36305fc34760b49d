//! What a floor participant negotiated, and its timer values.

use core::time::Duration;

use crate::message::{FloorIndicator, Location};
use crate::timer;

/// What a participant negotiated and which timer values it uses.
#[derive(Debug, Clone)]
pub struct Config {
    /// SSRC in the header of our messages.
    pub ssrc: u32,
    /// Our own MCPTT ID, to recognise ourselves in Floor Taken.
    pub mcptt_id: String,
    /// Priority to ask for; absent unless `mc_priority` was negotiated.
    pub priority: Option<u8>,
    /// Kind of call.
    pub indicator: FloorIndicator,
    /// Functional alias to be shown to the others.
    pub functional_alias: Option<String>,
    /// Location to be shown to the others.
    pub location: Option<Location>,
    /// Whether the group lets us listen only.
    pub receive_only: bool,
    /// Whether we started this broadcast group call, and so end it after talking.
    pub broadcast_initiator: bool,
    /// T100, time between repetitions of Floor Release.
    pub t100: Duration,
    /// C100, how often Floor Release is sent.
    pub c100: u8,
    /// T101, time between repetitions of Floor Request.
    pub t101: Duration,
    /// C101, how often Floor Request is sent.
    pub c101: u8,
    /// T103, silence after which the floor counts as idle.
    pub t103: Duration,
    /// T104, time between repetitions of Floor Queue Position Request.
    pub t104: Duration,
    /// C104, how often Floor Queue Position Request is sent.
    pub c104: u8,
    /// T132, time to start talking after a queued request was granted.
    pub t132: Duration,
}

impl Config {
    /// A participant of a normal call with the timer values of clause 11.
    #[must_use]
    pub fn new(ssrc: u32, mcptt_id: impl Into<String>) -> Self {
        let limit = |spec: timer::TimerSpec| spec.counter.map_or(1, |(_, limit)| limit);
        Self {
            ssrc,
            mcptt_id: mcptt_id.into(),
            priority: None,
            indicator: FloorIndicator::NORMAL,
            functional_alias: None,
            location: None,
            receive_only: false,
            broadcast_initiator: false,
            t100: timer::T100.default,
            c100: limit(timer::T100),
            t101: timer::T101.default,
            c101: limit(timer::T101),
            t103: timer::T103.default,
            t104: timer::T104.default,
            c104: limit(timer::T104),
            t132: timer::T132.default,
        }
    }
}
