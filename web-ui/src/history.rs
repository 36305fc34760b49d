//! The messages the console remembers, one row each.
//!
//! A message both ends report is one row, and a run of speech packets between two ends is one row
//! with a count. The history is bounded; the oldest row goes first.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use mc_trace::{Direction, Endpoint, Event, Protocol};
use serde::Serialize;

/// Within this time both ends report a message.
const PAIRING_US: u64 = 5_000_000;
/// A pause of this length ends a run of speech packets.
const RUN_PAUSE_US: u64 = 2_000_000;
/// Rows looked at for the other report of a message.
const PAIRING_DEPTH: usize = 200;
/// Addresses whose owner is remembered.
const MAX_ADDRESSES: usize = 1024;

/// One line of the list.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// Counts from 1.
    pub id: u64,
    /// Unix microseconds of the first report.
    pub time_us: u64,
    /// Sender's name, or its address if nobody told the name.
    pub from: String,
    /// Receiver's name or address.
    pub to: String,
    /// Reference point.
    pub interface: String,
    /// Declared event name.
    pub name: String,
    /// One line for a person.
    pub summary: String,
    /// Call it belongs to.
    pub call_id: Option<String>,
    /// Nodes that reported it.
    pub seen_by: Vec<String>,
    /// Packets in a run of speech, otherwise 1.
    pub count: u64,
    /// A run of speech packets.
    pub media: bool,
    /// A decision of a node, not a message.
    pub local: bool,
    /// A refusal or failure.
    pub failed: bool,
    /// The first event as reported.
    #[serde(skip)]
    pub event: Event,
    #[serde(skip)]
    last_us: u64,
}

/// The bounded history.
#[derive(Debug)]
pub struct History {
    limit: usize,
    next_id: u64,
    rows: VecDeque<Row>,
    runs: HashMap<(String, String, String), u64>,
    /// Who uses an address, by its own reports.
    owners: HashMap<SocketAddr, String>,
    /// What peers call the user of an address.
    named: HashMap<SocketAddr, String>,
    /// Identities of this domain are shown without it.
    domain: String,
}

impl History {
    /// An empty history of at most `limit` rows; `sip:alice@domain` is shown as `alice`.
    #[must_use]
    pub fn new(limit: usize, domain: &str) -> Self {
        Self {
            limit: limit.max(1),
            next_id: 1,
            rows: VecDeque::new(),
            runs: HashMap::new(),
            owners: HashMap::new(),
            named: HashMap::new(),
            domain: format!("@{domain}"),
        }
    }

    /// Takes an event in; returns the new or changed row, unless the view need not hear of it (a
    /// further packet of a run is told every 25 packets).
    pub fn push(&mut self, event: Event) -> Option<Row> {
        self.learn(&event);
        if event.media {
            return self.push_media(event);
        }
        if let Some(row) = self.other_report(&event) {
            if !row.seen_by.contains(&event.node) {
                row.seen_by.push(event.node);
            }
            return Some(row.clone());
        }
        Some(self.append(event))
    }

    /// The rows after an id, oldest first.
    pub fn after(&self, id: u64) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| row.id > id)
    }

    /// One row.
    #[must_use]
    pub fn find(&self, id: u64) -> Option<&Row> {
        let at = self.rows.binary_search_by_key(&id, |row| row.id).ok()?;
        self.rows.get(at)
    }

    /// Forgets all rows; ids go on counting.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.runs.clear();
    }

    /// Remembers whose address an endpoint is: the reporting node's own end, or as named.
    fn learn(&mut self, event: &Event) {
        let own = match event.direction {
            Direction::Sent => event.from.addr,
            Direction::Received => event.to.addr,
            Direction::Local => None,
        };
        remember(&mut self.owners, own, &event.node);
        for end in [&event.from, &event.to] {
            remember(&mut self.named, end.addr, &end.name);
        }
    }

    /// A node's own name for its address is worth more than what a peer calls it.
    fn display(&self, end: &Endpoint, own: Option<&str>) -> String {
        let owner = end
            .addr
            .and_then(|a| self.owners.get(&a))
            .map(String::as_str);
        let named = (!end.name.is_empty()).then_some(end.name.as_str());
        let heard = end
            .addr
            .and_then(|a| self.named.get(&a))
            .map(String::as_str);
        own.or(owner)
            .or(named)
            .or(heard)
            .map_or_else(|| end.to_string(), |name| clip(self.short(name), 80))
    }

    fn short<'a>(&self, name: &'a str) -> &'a str {
        let user = name.strip_prefix("sip:");
        user.and_then(|user| user.strip_suffix(&self.domain))
            .unwrap_or(name)
    }

    fn other_report(&mut self, event: &Event) -> Option<&mut Row> {
        if event.raw.is_empty() || event.direction == Direction::Local {
            return None;
        }
        self.rows.iter_mut().rev().take(PAIRING_DEPTH).find(|row| {
            row.event.direction != event.direction
                && row.event.node != event.node
                && row.seen_by.len() == 1
                && row.event.protocol == event.protocol
                && row.time_us.abs_diff(event.time_us) < PAIRING_US
                && (row.event.raw == event.raw || is_same_http(row, event))
        })
    }

    fn push_media(&mut self, event: Event) -> Option<Row> {
        let (from, to) = self.ends(&event);
        let key = (from, to, event.name.clone());
        if let Some(id) = self.runs.get(&key).copied()
            && let Ok(at) = self.rows.binary_search_by_key(&id, |row| row.id)
            && let Some(row) = self.rows.get_mut(at)
            && event.time_us.saturating_sub(row.last_us) < RUN_PAUSE_US
        {
            row.count += 1;
            row.last_us = row.last_us.max(event.time_us);
            return row.count.is_multiple_of(25).then(|| row.clone());
        }
        let row = self.append(event);
        if self.runs.len() >= self.limit {
            self.runs.clear();
        }
        self.runs.insert(key, row.id);
        Some(row)
    }

    /// How sender and receiver of an event are shown.
    #[must_use]
    pub fn ends(&self, event: &Event) -> (String, String) {
        let node = (!event.node.is_empty()).then_some(event.node.as_str());
        match event.direction {
            Direction::Sent => (
                self.display(&event.from, node),
                self.display(&event.to, None),
            ),
            Direction::Received => (
                self.display(&event.from, None),
                self.display(&event.to, node),
            ),
            Direction::Local => {
                let node = clip(&event.node, 80);
                (node.clone(), node)
            }
        }
    }

    fn append(&mut self, event: Event) -> Row {
        let (from, to) = self.ends(&event);
        let row = Row {
            id: self.next_id,
            time_us: event.time_us,
            from,
            to,
            interface: clip(&event.interface.0, 40),
            name: clip(&event.name, 60),
            summary: clip(&event.summary, 300),
            call_id: event.call_id.as_deref().map(|id| clip(id, 200)),
            seen_by: vec![event.node.clone()],
            count: 1,
            media: event.media,
            local: event.direction == Direction::Local,
            failed: is_failure(&event),
            last_us: event.time_us,
            event,
        };
        self.next_id += 1;
        if self.rows.len() >= self.limit {
            self.rows.pop_front();
        }
        self.rows.push_back(row.clone());
        row
    }
}

fn remember(names: &mut HashMap<SocketAddr, String>, address: Option<SocketAddr>, name: &str) {
    let Some(address) = address.filter(|a| !a.ip().is_unspecified()) else {
        return;
    };
    if !name.is_empty() && (names.len() < MAX_ADDRESSES || names.contains_key(&address)) {
        names.insert(address, name.to_owned());
    }
}

/// HTTP is traced above TLS, where the two ends see different headers: the same request or status
/// towards the reporting node counts as the same message.
fn is_same_http(row: &Row, event: &Event) -> bool {
    let reporter = match event.direction {
        Direction::Received => &row.to,
        Direction::Sent => &row.from,
        Direction::Local => return false,
    };
    event.protocol == Protocol::Http
        && row.event.summary == event.summary
        && *reporter == event.node
}

/// Refusals by their declared name, responses by their status.
fn is_failure(event: &Event) -> bool {
    let by_name = [":refused", ":rejected"]
        .iter()
        .any(|end| event.name.ends_with(end));
    let mut words = event.summary.splitn(2, ' ');
    let status = words
        .next()
        .filter(|w| w.len() == 3)
        .and_then(|w| w.parse::<u16>().ok());
    by_name || status.is_some_and(|status| (400..700).contains(&status))
}

fn clip(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut clipped: String = text.chars().take(most).collect();
    clipped.push('…');
    clipped
}

#[cfg(test)]
mod tests;
