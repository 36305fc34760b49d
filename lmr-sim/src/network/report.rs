//! The state of the network as the API shows it.

use std::time::Instant;

use serde::Serialize;

use super::{RadioState, State};
use crate::talkgroup::{Channel, Talker};

/// Everything the API's `status` says.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// Radios.
    pub units: Vec<UnitStatus>,
    /// Talkgroups.
    pub talkgroups: Vec<TalkgroupStatus>,
}

/// One radio.
#[derive(Debug, Clone, Serialize)]
pub struct UnitStatus {
    /// Unit number.
    pub unit: String,
    /// Talkgroup it is affiliated to.
    pub talkgroup: Option<u32>,
    /// What it shows.
    pub state: RadioState,
    /// Emergency latched.
    pub emergency: bool,
    /// Unit and name of the talker it hears.
    pub hears: Option<TalkerStatus>,
    /// Whether it records.
    pub recording: bool,
}

/// One talkgroup.
#[derive(Debug, Clone, Serialize)]
pub struct TalkgroupStatus {
    /// Number.
    pub talkgroup: u32,
    /// `idle`, `granted` or `hang`.
    pub state: &'static str,
    /// Who talks.
    pub talker: Option<TalkerStatus>,
    /// Legs of the air side: softphones, the gateway.
    pub legs: Vec<String>,
}

/// A talker.
#[derive(Debug, Clone, Serialize)]
pub struct TalkerStatus {
    /// Unit number.
    pub unit: String,
    /// Name behind it.
    pub name: Option<String>,
    /// Emergency call.
    pub emergency: bool,
}

impl From<&Talker> for TalkerStatus {
    fn from(talker: &Talker) -> Self {
        let Talker {
            unit,
            name,
            emergency,
            ..
        } = talker.clone();
        Self {
            unit,
            name,
            emergency,
        }
    }
}

pub(super) fn status(state: &State) -> Status {
    let now = Instant::now();
    let units = state.radios.iter().map(|(unit, radio)| {
        let group = radio.talkgroup.and_then(|id| state.talkgroups.get(&id));
        let shown = radio.state(group, now);
        let talker = group
            .and_then(|g| g.holder())
            .filter(|_| shown == RadioState::Receiving);
        UnitStatus {
            unit: unit.clone(),
            talkgroup: radio.talkgroup,
            state: shown,
            emergency: radio.emergency,
            hears: talker.map(Into::into),
            recording: radio.recorder.is_running(),
        }
    });
    let talkgroups = state.talkgroups.iter().map(|(id, group)| TalkgroupStatus {
        talkgroup: *id,
        state: match group.channel() {
            Channel::Idle => "idle",
            Channel::Granted { .. } => "granted",
            Channel::Hang { .. } => "hang",
        },
        talker: group.holder().map(Into::into),
        legs: state
            .legs
            .values()
            .filter(|leg| leg.talkgroup == *id)
            .map(|leg| leg.label.clone())
            .collect(),
    });
    Status {
        units: units.collect(),
        talkgroups: talkgroups.collect(),
    }
}
