//! A capture in pcapng form, put together from events.
//!
//! Each event with octets and two addresses becomes raw IP frames (link type 101): UDP as it was,
//! TCP with a synthesised handshake and running sequence numbers, TLS content in clear text as
//! TCP. A message both ends report appears once. Every node is an interface of the capture, every
//! frame carries the event's summary, clause and key ids as its comment.

mod frame;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;

use crate::event::{Direction, Event, Transport};
use frame::Flows;

/// Seconds within which the two ends of a message report it.
const PAIRING_WINDOW_US: u64 = 5_000_000;
/// Reports remembered for pairing.
const MAX_UNPAIRED: usize = 4096;

const LINKTYPE_RAW: u16 = 101;
const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;
/// `TLSK`, an NSS key log.
const SECRETS_TLS: u32 = 0x544c_534b;

/// Which octets of an event a capture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// What was on the wire.
    Wire,
    /// The message after removal of its protection, where the node had the key.
    Clear,
}

/// Writes a capture into a buffer the caller drains.
#[derive(Debug)]
pub struct Capture {
    view: View,
    out: Vec<u8>,
    interfaces: HashMap<String, u32>,
    flows: Flows,
    unpaired: VecDeque<Report>,
}

#[derive(Debug)]
struct Report {
    time_us: u64,
    direction: Direction,
    node: String,
    ends: (SocketAddr, SocketAddr),
    octets: Vec<u8>,
}

impl Capture {
    /// Starts a capture: the section header is in the buffer.
    #[must_use]
    pub fn new(view: View) -> Self {
        let mut capture = Self {
            view,
            out: Vec::new(),
            interfaces: HashMap::new(),
            flows: Flows::default(),
            unpaired: VecDeque::new(),
        };
        let mut body = 0x1a2b_3c4d_u32.to_le_bytes().to_vec();
        body.extend_from_slice(&[1, 0, 0, 0]);
        body.extend_from_slice(&[0xff; 8]);
        option(&mut body, 4, b"mcbox");
        end_of_options(&mut body);
        capture.block(SECTION_HEADER, &body);
        capture
    }

    /// The whole capture of some events, with the TLS secrets in front.
    #[must_use]
    pub fn of<'a>(view: View, tls: &str, events: impl IntoIterator<Item = &'a Event>) -> Vec<u8> {
        let mut capture = Self::new(view);
        capture.tls_secrets(tls);
        for event in events {
            capture.event(event);
        }
        capture.take()
    }

    /// Adds TLS secrets (NSS key log lines); they must stand before the frames they decrypt.
    pub fn tls_secrets(&mut self, lines: &str) {
        if lines.is_empty() {
            return;
        }
        let mut body = SECRETS_TLS.to_le_bytes().to_vec();
        body.extend_from_slice(&len32(lines.len()).to_le_bytes());
        padded(&mut body, lines.as_bytes());
        self.block(DECRYPTION_SECRETS, &body);
    }

    /// Adds the frames of an event; returns false if it has none (no octets, no addresses, or the
    /// other end reported the same message).
    pub fn event(&mut self, event: &Event) -> bool {
        let octets = match self.view {
            View::Clear if !event.clear.is_empty() => &event.clear,
            View::Clear | View::Wire => &event.raw,
        };
        let (Some(from), Some(to)) = (event.from.addr, event.to.addr) else {
            return false;
        };
        if octets.is_empty()
            || event.transport == Transport::None
            || self.is_second(event, from, to)
        {
            return false;
        }
        let interface = self.interface(&event.node);
        let comment = comment(event);
        let frames = match event.transport {
            Transport::Udp => vec![frame::udp(from, to, octets)],
            Transport::Tcp | Transport::Tls => self.flows.tcp(from, to, octets),
            Transport::None => Vec::new(),
        };
        let last = frames.len().saturating_sub(1);
        for (index, frame) in frames.iter().enumerate() {
            let comment = if index == last { comment.as_str() } else { "" };
            self.packet(interface, event.time_us, frame, comment);
        }
        true
    }

    /// Takes what was written since the last call.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    /// True if the far end already reported this message.
    fn is_second(&mut self, event: &Event, from: SocketAddr, to: SocketAddr) -> bool {
        let oldest = event.time_us.saturating_sub(PAIRING_WINDOW_US);
        while self.unpaired.front().is_some_and(|r| r.time_us < oldest)
            || self.unpaired.len() >= MAX_UNPAIRED
        {
            self.unpaired.pop_front();
        }
        let pair = self.unpaired.iter().position(|r| {
            r.ends == (from, to)
                && r.direction != event.direction
                && r.node != event.node
                && r.octets == event.raw
        });
        if let Some(at) = pair {
            self.unpaired.remove(at);
            return true;
        }
        self.unpaired.push_back(Report {
            time_us: event.time_us,
            direction: event.direction,
            node: event.node.clone(),
            ends: (from, to),
            octets: event.raw.clone(),
        });
        false
    }

    fn interface(&mut self, node: &str) -> u32 {
        if let Some(index) = self.interfaces.get(node) {
            return *index;
        }
        let index = len32(self.interfaces.len());
        let mut body = LINKTYPE_RAW.to_le_bytes().to_vec();
        body.extend_from_slice(&[0; 6]);
        option(&mut body, 2, node.as_bytes());
        option(&mut body, 9, &[6]);
        end_of_options(&mut body);
        self.block(INTERFACE_DESCRIPTION, &body);
        self.interfaces.insert(node.to_owned(), index);
        index
    }

    fn packet(&mut self, interface: u32, time_us: u64, frame: &[u8], comment: &str) {
        let mut body = interface.to_le_bytes().to_vec();
        let (high, low) = (time_us >> 32, time_us & 0xffff_ffff);
        for half in [high, low] {
            body.extend_from_slice(&u32::try_from(half).unwrap_or(u32::MAX).to_le_bytes());
        }
        let length = len32(frame.len()).to_le_bytes();
        body.extend_from_slice(&length);
        body.extend_from_slice(&length);
        padded(&mut body, frame);
        if !comment.is_empty() {
            option(&mut body, 1, comment.as_bytes());
            end_of_options(&mut body);
        }
        self.block(ENHANCED_PACKET, &body);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let total = len32(body.len() + 12).to_le_bytes();
        self.out.extend_from_slice(&kind.to_le_bytes());
        self.out.extend_from_slice(&total);
        self.out.extend_from_slice(body);
        self.out.extend_from_slice(&total);
    }
}

fn comment(event: &Event) -> String {
    let mut text = format!("{} [{}] {}", event.name, event.interface, event.summary);
    if let Some(clause) = &event.clause {
        text.push_str(" (");
        text.push_str(clause);
        text.push(')');
    }
    for key in &event.key_ids {
        text.push_str(" key ");
        text.push_str(key);
    }
    text.chars().take(1000).collect()
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_le_bytes());
    padded(body, value);
}

fn end_of_options(body: &mut Vec<u8>) {
    body.extend_from_slice(&[0; 4]);
}

fn padded(body: &mut Vec<u8>, value: &[u8]) {
    body.extend_from_slice(value);
    let pad = value.len().next_multiple_of(4) - value.len();
    body.extend(std::iter::repeat_n(0, pad));
}

fn len32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
