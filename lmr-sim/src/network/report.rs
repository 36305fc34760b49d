//! The state of the network as the API shows it.

use std::time::Instant;

use serde::Serialize;

use super::{CallEnd, CallPhase, OwnCall, RadioState, State};
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
    /// The call it is in.
    pub call: Option<CallStatus>,
    /// How its last call ended.
    pub last_call: Option<CallEnd>,
}

/// The call of a radio.
#[derive(Debug, Clone, Serialize)]
pub struct CallStatus {
    /// Number.
    pub id: u64,
    /// The far side.
    pub peer: String,
    /// Whether the radio called.
    pub outgoing: bool,
    /// How far it is.
    pub state: CallPhase,
}

impl From<&OwnCall> for CallStatus {
    fn from(call: &OwnCall) -> Self {
        Self {
            id: call.id,
            peer: call.peer.clone(),
            outgoing: call.outgoing,
            state: call.phase,
        }
    }
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
        let group = radio.channel().and_then(|id| state.channels.get(&id));
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
            call: radio.call.as_ref().map(Into::into),
            last_call: radio.last_call.clone(),
        }
    });
    let talkgroups = state.channels.iter().filter_map(|(id, group)| {
        let talkgroup = id.talkgroup()?;
        Some(TalkgroupStatus {
            talkgroup,
            state: match group.channel() {
                Channel::Idle => "idle",
                Channel::Granted { .. } => "granted",
                Channel::Hang { .. } => "hang",
            },
            talker: group.holder().map(Into::into),
            legs: state
                .legs
                .values()
                .filter(|leg| leg.channel == *id)
                .map(|leg| leg.label.clone())
                .collect(),
        })
    });
    Status {
        units: units.collect(),
        talkgroups: talkgroups.collect(),
    }
}
