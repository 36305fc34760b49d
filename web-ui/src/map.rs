//! The live map: services with their health, clients, radios, calls and who talks.

mod layout;

use std::collections::{BTreeMap, HashMap};

use mc_trace::Event;

use crate::demo_control::LabState;
use crate::history::Row;

pub use layout::{Drawing, Edge, NodeBox};

/// Speech within this time lights a connection.
const LIVE_US: u64 = 1_200_000;
/// Parties and calls remembered.
const MAX_PARTIES: usize = 64;
const MAX_CALLS: usize = 64;

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// Works.
    Green,
    /// Starts or waits.
    Amber,
    /// Failed or cannot be reached.
    Red,
    /// Seen in traces; nobody says how it is.
    Grey,
}

impl Light {
    /// Class in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
            Self::Grey => "grey",
        }
    }
}

/// Health of a node, with the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeHealth {
    /// The light.
    pub light: Light,
    /// Why, in one sentence.
    pub reason: String,
}

/// A call on the map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// SIP Call-ID of the first leg.
    pub id: String,
    /// Who set it up.
    pub from: String,
    /// Towards whom.
    pub to: String,
    /// What it is (the request line without its method).
    pub target: String,
    /// Where it stands.
    pub phase: Phase,
    /// When it last changed, unix microseconds.
    pub changed_us: u64,
}

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// INVITE seen.
    Setup,
    /// Answered.
    Up,
    /// Ended by BYE or CANCEL.
    Ended,
    /// Refused.
    Failed,
}

impl Phase {
    /// Word on the map and class in the style sheet.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Setup => "setting up",
            Self::Up => "active",
            Self::Ended => "ended",
            Self::Failed => "refused",
        }
    }

    /// Class in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Setup => "amber",
            Self::Up => "green",
            Self::Ended => "grey",
            Self::Failed => "red",
        }
    }
}

/// Everything the map shows.
#[derive(Debug, Default)]
pub struct Map {
    services: Vec<String>,
    health: HashMap<String, NodeHealth>,
    clients: BTreeMap<String, NodeHealth>,
    radios: BTreeMap<String, NodeHealth>,
    /// The radio network of each radio that told it.
    networks: HashMap<String, String>,
    calls: Vec<Call>,
    live: HashMap<(String, String), u64>,
}

impl Map {
    /// A map of these services, all still unknown.
    #[must_use]
    pub fn new(services: Vec<String>) -> Self {
        Self {
            services,
            ..Self::default()
        }
    }

    /// Takes the health of a service; returns true if it changed.
    pub fn health(&mut self, service: &str, health: NodeHealth) -> bool {
        self.health.insert(service.to_owned(), health.clone()) != Some(health)
    }

    /// Takes clients and radios from the lab; returns true if they changed.
    pub fn lab(&mut self, lab: &LabState) -> bool {
        let before = (self.clients.clone(), self.radios.clone());
        for (parties, seen) in [
            (&lab.clients, &mut self.clients),
            (&lab.radios, &mut self.radios),
        ] {
            for party in parties.iter().take(MAX_PARTIES) {
                let light = match party.status.as_str() {
                    "ready" => Light::Green,
                    "failed" => Light::Red,
                    _ => Light::Amber,
                };
                let reason = party.detail.clone();
                seen.insert(party.name.clone(), NodeHealth { light, reason });
            }
        }
        for radio in lab.radios.iter().take(MAX_PARTIES) {
            if let Some(network) = &radio.network {
                self.networks.insert(radio.name.clone(), network.clone());
            }
        }
        before != (self.clients.clone(), self.radios.clone())
    }

    /// Takes a row of the history; returns true if the map changed.
    pub fn row(&mut self, row: &Row) -> bool {
        let mut changed = self.parties(row);
        if row.media {
            let pair = (row.from.clone(), row.to.clone());
            if self.live.len() < 4 * MAX_PARTIES || self.live.contains_key(&pair) {
                let last = self.live.insert(pair, row.event.time_us).unwrap_or(0);
                changed |= row.event.time_us.saturating_sub(last) > LIVE_US;
            }
        }
        changed | self.call(row)
    }

    /// Speech of an event that did not give a row of its own keeps its connection lit.
    pub fn speech(&mut self, from: &str, to: &str, time_us: u64) {
        if let Some(last) = self.live.get_mut(&(from.to_owned(), to.to_owned())) {
            *last = time_us.max(*last);
        }
    }

    /// True while some connection is lit, so that its end must be drawn too.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.live.is_empty()
    }

    /// Calls, newest change first.
    #[must_use]
    pub fn calls(&self) -> Vec<&Call> {
        let mut calls: Vec<_> = self.calls.iter().collect();
        calls.sort_by_key(|call| std::cmp::Reverse(call.changed_us));
        calls
    }

    /// Places everything; forgets speech older than a second before `now_us`.
    #[must_use]
    pub fn draw(&mut self, now_us: u64) -> Drawing {
        self.live
            .retain(|_, last| now_us.saturating_sub(*last) < LIVE_US);
        layout::draw(self)
    }

    fn parties(&mut self, row: &Row) -> bool {
        let mut changed = self.unit(row);
        let radio_side = row.interface == "LMR";
        for name in [&row.from, &row.to] {
            let known = self.services.contains(name)
                || layout::is_service(name)
                || self.clients.contains_key(name)
                || self.radios.contains_key(name);
            // An address is somebody whose name is still to come.
            let address = name.parse::<std::net::SocketAddr>().is_ok();
            if known || address || name == "?" || name.is_empty() {
                continue;
            }
            let parties = if radio_side {
                &mut self.radios
            } else {
                &mut self.clients
            };
            if parties.len() < MAX_PARTIES {
                let reason = "seen in the trace".to_owned();
                let light = Light::Grey;
                parties.insert(name.clone(), NodeHealth { light, reason });
                changed = true;
            }
        }
        changed
    }

    /// A radio that pressed its push-to-talk is on the map, with its talkgroup.
    fn unit(&mut self, row: &Row) -> bool {
        let said = |field: &str| match row.event.decoded.get(field) {
            Some(serde_json::Value::String(text)) => Some(text.clone()),
            Some(serde_json::Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let (true, Some(unit)) = (row.name == "lmr:ptt", said("unit")) else {
            return false;
        };
        let name = format!("unit {}", unit.chars().take(40).collect::<String>());
        if self.radios.contains_key(&name) || self.radios.len() >= MAX_PARTIES {
            return false;
        }
        let reason = said("talkgroup").map_or_else(
            || "seen in the trace".to_owned(),
            |group| format!("on talkgroup {group}"),
        );
        let light = Light::Green;
        self.radios.insert(name, NodeHealth { light, reason });
        true
    }

    fn call(&mut self, row: &Row) -> bool {
        let Some(id) = &row.call_id else { return false };
        let Some(step) = step(&row.event) else {
            return false;
        };
        if let Some(call) = self.calls.iter_mut().find(|call| call.id == *id) {
            let phase = match (call.phase, step) {
                (Phase::Setup, step) => step,
                (Phase::Up, Phase::Ended) => Phase::Ended,
                (phase, _) => phase,
            };
            let changed = phase != call.phase;
            call.phase = phase;
            if changed {
                call.changed_us = row.time_us;
            }
            return changed;
        }
        if step != Phase::Setup {
            return false;
        }
        if self.calls.len() >= MAX_CALLS {
            self.calls.remove(0);
        }
        self.calls.push(Call {
            id: id.clone(),
            from: row.from.clone(),
            to: row.to.clone(),
            target: row.summary.trim_start_matches("INVITE ").to_owned(),
            phase: Phase::Setup,
            changed_us: row.time_us,
        });
        true
    }
}

/// What a SIP message means for its call.
fn step(event: &Event) -> Option<Phase> {
    let summary = event.summary.as_str();
    if event.protocol != mc_trace::Protocol::Sip {
        return None;
    }
    if summary.starts_with("INVITE ") {
        return Some(Phase::Setup);
    }
    if summary.starts_with("BYE ") || summary.starts_with("CANCEL ") {
        return Some(Phase::Ended);
    }
    if !summary.ends_with("(INVITE)") {
        return None;
    }
    match summary.as_bytes().first() {
        Some(b'2') => Some(Phase::Up),
        Some(b'3'..=b'6') => Some(Phase::Failed),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
