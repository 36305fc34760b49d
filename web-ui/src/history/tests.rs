use mc_trace::{Declared, Transport, names};

use super::*;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn stamped(mut event: Event, node: &str, time_us: u64) -> Event {
    node.clone_into(&mut event.node);
    event.time_us = time_us;
    event
}

fn sip(direction: Direction, start_line: &str) -> Event {
    let raw = format!("{start_line}\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n\r\n");
    let name = match direction {
        Direction::Received => &names::SIP_RECEIVED,
        Direction::Sent | Direction::Local => &names::SIP_SENT,
    };
    let ends = (Endpoint::at(at(5080)), Endpoint::at(at(5060)));
    Event::sip(
        name,
        direction,
        ends.0,
        ends.1,
        Transport::Tcp,
        raw.as_bytes(),
    )
}

fn speech(node: &str, time_us: u64) -> Event {
    let ends = (Endpoint::named("alice"), Endpoint::named("bob"));
    stamped(
        Event::sent(&names::MEDIA_SENT, ends.0, ends.1, [0x80]),
        node,
        time_us,
    )
}

#[test]
fn both_reports_of_a_message_are_one_row_and_addresses_get_names() {
    let mut history = History::new(10, "mc.example");
    let invite = "INVITE sip:g@mc.example SIP/2.0";
    let first = history
        .push(stamped(sip(Direction::Sent, invite), "alice", 10))
        .unwrap();
    assert_eq!(
        (first.from.as_str(), first.to.as_str()),
        ("alice", "127.0.0.1:5060")
    );
    let second = history
        .push(stamped(
            sip(Direction::Received, invite),
            "mcptt-server",
            20,
        ))
        .unwrap();
    assert_eq!(second.id, first.id);
    assert_eq!(second.seen_by, ["alice", "mcptt-server"]);
    let third = history
        .push(stamped(
            sip(Direction::Sent, "BYE sip:g SIP/2.0"),
            "alice",
            30,
        ))
        .unwrap();
    assert_eq!((third.id, third.to.as_str()), (2, "mcptt-server"));
}

#[test]
fn a_retransmission_is_a_row_of_its_own() {
    let mut history = History::new(10, "mc.example");
    for time in [1, 2] {
        history.push(stamped(
            sip(Direction::Sent, "OPTIONS sip:a SIP/2.0"),
            "alice",
            time,
        ));
    }
    assert_eq!(history.after(0).count(), 2);
}

#[test]
fn speech_is_one_row_until_it_pauses() {
    let mut history = History::new(10, "mc.example");
    assert!(history.push(speech("alice", 0)).is_some());
    for n in 1..24 {
        assert!(history.push(speech("alice", n * 20_000)).is_none());
    }
    assert_eq!(history.push(speech("alice", 480_000)).unwrap().count, 25);
    assert_eq!(history.push(speech("alice", 3_000_000)).unwrap().id, 2);
}

#[test]
fn the_history_is_bounded_and_finds_by_id() {
    let mut history = History::new(3, "mc.example");
    for n in 0..10 {
        history.push(stamped(
            Event::local(&names::LMR_PTT, format!("{n}")),
            "lmr-sim",
            n,
        ));
    }
    assert_eq!(
        history.after(0).map(|r| r.id).collect::<Vec<_>>(),
        [8, 9, 10]
    );
    assert_eq!(history.after(9).count(), 1);
    assert_eq!(history.find(9).unwrap().summary, "8");
    assert!(history.find(7).is_none());
}

#[test]
fn refusals_are_marked() {
    let mut history = History::new(9, "mc.example");
    let mut failed = |event| history.push(stamped(event, "n", 0)).unwrap().failed;
    assert!(failed(sip(Direction::Sent, "SIP/2.0 403 Forbidden")));
    assert!(failed(Event::local(&names::KMS_REFUSED, "wrong user")));
    assert!(!failed(sip(Direction::Sent, "SIP/2.0 200 OK")));
    assert!(!failed(sip(Direction::Sent, "INVITE sip:500@a SIP/2.0")));
}

#[test]
fn overlong_text_is_clipped() {
    let mut history = History::new(9, "mc.example");
    let row = history
        .push(Event::local(&names::LMR_PTT, "ä".repeat(5000)))
        .unwrap();
    assert_eq!(row.summary.chars().count(), 301);
}

#[test]
fn a_nodes_own_name_wins_and_identities_are_short() {
    let mut history = History::new(9, "mc.example");
    let packet = |name: &str| Endpoint::new(name, at(40_001));
    let server = Endpoint::named("mcptt-server");
    let floor = |node: &str, from: Endpoint, n: u8| {
        let event = Event::received(&names::FLOOR_RECEIVED, from, server.clone(), [n]);
        stamped(event, node, n.into())
    };
    let row = history.push(floor("mcptt-server", packet("sip:bob@mc.example"), 1));
    assert_eq!(row.unwrap().from, "bob");
    let row = history.push(floor("mcptt-server", packet("sip:bob@partner.example"), 2));
    assert_eq!(row.unwrap().from, "sip:bob@partner.example");
    let own = Event::sent(&names::FLOOR_SENT, packet(""), server.clone(), [3]);
    history.push(stamped(own, "bob-terminal", 3));
    let row = history.push(floor("mcptt-server", packet("sip:bob@mc.example"), 4));
    assert_eq!(row.unwrap().from, "bob-terminal");
}

#[test]
fn the_two_ends_of_an_https_exchange_are_one_row() {
    let mut history = History::new(9, "mc.example");
    let request = |name: Declared, direction, node: &str, header| {
        let ends = (Endpoint::named("alice"), Endpoint::named("kms"));
        let headers = [("X-Own", header)];
        let target = ("POST", "/keymanagement/identity/v1/init");
        let event = Event::http_request(&name, direction, ends, target, &headers, b"");
        stamped(event, node, 5)
    };
    history.push(request(names::HTTP_REQUEST, Direction::Sent, "alice", "1"));
    let row = history.push(request(
        names::KMS_INIT_ISSUED,
        Direction::Received,
        "kms",
        "2",
    ));
    assert_eq!(row.unwrap().seen_by, ["alice", "kms"]);
    assert_eq!(history.after(0).count(), 1);
}
