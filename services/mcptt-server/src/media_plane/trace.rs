//! Floor control and media as trace events.

use std::net::SocketAddr;

use floor_control::FloorPacket;
use mc_trace::{Endpoint, Event, names};
use serde_json::{Map, Value};

use super::counters::Refusal;
use super::leg::Leg;

/// Name of this node in events.
const NODE: &str = "mcptt-server";

fn client(leg: &Leg, address: SocketAddr) -> Endpoint {
    Endpoint::new(leg.facts.participant.as_str(), address)
}

/// A floor control message in clear, with the octets it had on the wire.
pub(super) fn floor_sent(
    leg: &Leg,
    call: &str,
    to: SocketAddr,
    packet: &FloorPacket,
    (wire, clear): (&[u8], &[u8]),
) -> Option<Event> {
    let from = Endpoint::new(NODE, leg.ports.floor?);
    let event = Event::sent(&names::FLOOR_SENT, from, client(leg, to), wire);
    Some(floor(event, leg, call, packet, clear))
}

/// A received floor control message; several of one datagram share its octets.
pub(super) fn floor_received(
    leg: &Leg,
    call: &str,
    from: SocketAddr,
    packet: &FloorPacket,
    (wire, clear): (&[u8], &[u8]),
) -> Option<Event> {
    let to = Endpoint::new(NODE, leg.ports.floor?);
    let event = Event::received(&names::FLOOR_RECEIVED, client(leg, from), to, wire);
    Some(floor(event, leg, call, packet, clear))
}

fn floor(event: Event, leg: &Leg, call: &str, packet: &FloorPacket, clear: &[u8]) -> Event {
    let mut decoded = Map::new();
    decoded.insert("message".to_owned(), packet.message.name().into());
    for (name, value) in packet.fields() {
        decoded.insert(name.to_owned(), value.into());
    }
    let event = event
        .summary(packet.summary())
        .clause(format!("TS 24.380 {}", packet.message.clause()))
        .call(call)
        .decoded(Value::Object(decoded));
    match &leg.protection {
        Some(protection) => event.key(protection.key_id()).clear(clear),
        None => event,
    }
}

/// A floor control packet that was not taken.
pub(super) fn floor_refused(
    leg: &Leg,
    call: &str,
    from: SocketAddr,
    wire: &[u8],
    why: &str,
) -> Option<Event> {
    let to = Endpoint::new(NODE, leg.ports.floor?);
    let event = Event::received(&names::FLOOR_REFUSED, Endpoint::at(from), to, wire);
    Some(
        event
            .summary(format!("floor control packet refused: {why}"))
            .call(call),
    )
}

/// A media packet that came from the talker.
pub(super) fn media_received(leg: &Leg, call: &str, from: SocketAddr, wire: &[u8]) -> Event {
    let to = Endpoint::new(NODE, leg.ports.audio);
    Event::received(&names::MEDIA_RECEIVED, client(leg, from), to, wire).call(call)
}

/// A media packet that was not taken.
pub(super) fn media_refused(
    leg: &Leg,
    call: &str,
    from: SocketAddr,
    wire: &[u8],
    why: Refusal,
) -> Event {
    let to = Endpoint::new(NODE, leg.ports.audio);
    let mut event = Event::received(&names::MEDIA_REFUSED, Endpoint::at(from), to, wire)
        .summary(format!("media packet refused: {}", why.text()))
        .call(call);
    // A refusal is news, not part of a stream.
    event.media = why == Refusal::NoPermission;
    event
}

/// A copy of a media packet on its way to a listener.
pub(super) fn media_forwarded(
    call: &str,
    from: SocketAddr,
    listener: &str,
    to: SocketAddr,
    wire: &[u8],
) -> Event {
    let (from, to) = (Endpoint::new(NODE, from), Endpoint::new(listener, to));
    Event::sent(&names::MEDIA_FORWARDED, from, to, wire).call(call)
}
