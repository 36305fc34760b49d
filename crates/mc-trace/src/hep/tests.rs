use serde_json::json;

use super::*;

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn sip() -> Event {
    let raw = b"OPTIONS sip:a@b SIP/2.0\r\nCall-ID: c1\r\n\r\n";
    let mut event = Event::sip_sent(
        Endpoint::new("alice", at(5080)),
        Endpoint::new("mcptt-server", at(5060)),
        Transport::Tcp,
        raw,
    );
    event.time_us = 1_700_000_000_123_456;
    "alice".clone_into(&mut event.node);
    event
}

#[test]
fn every_kind_of_event_survives_its_datagram() {
    let floor = Event::received(
        &names::FLOOR_RECEIVED,
        Endpoint::new("alice", at(1)),
        Endpoint::new("mcptt-server", at(2)),
        [1, 2, 3],
    )
    .clear([4, 5])
    .key(7)
    .decoded(json!({"message": "Floor Request"}));
    let media = Event::sent(
        &names::MEDIA_SENT,
        Endpoint::at("[::1]:9".parse().unwrap()),
        Endpoint::at(at(3)),
        [0x80; 200],
    );
    let local = Event::local(&names::SEGY_STEP, "T done");
    for event in [sip(), floor, media, local] {
        assert_eq!(decode(&encode(&event, 1)), Ok(event));
    }
}

#[test]
fn the_chunks_are_where_homer_expects_them() {
    let datagram = encode(&sip(), 0x0102_0304);
    assert_eq!(&datagram[..4], b"HEP3");
    assert_eq!(
        usize::from(u16::from_be_bytes([datagram[4], datagram[5]])),
        datagram.len()
    );
    let head = "0000000100070200000002000706000000030 00a7f000001000000070008 13d8";
    let head = hex::decode(head.replace(' ', "")).unwrap();
    assert_eq!(&datagram[6..6 + head.len()], head);
}

#[test]
fn an_event_too_large_loses_its_view_first_and_then_its_octets() {
    let big = sip().decoded(json!("x".repeat(70_000)));
    let back = decode(&encode(&big, 1)).unwrap();
    assert_eq!((back.decoded, back.raw), (Value::Null, big.raw));

    let mut bigger = sip();
    bigger.raw = vec![b'a'; 70_000];
    let datagram = encode(&bigger, 1);
    assert!(datagram.len() <= MAX_DATAGRAM);
    assert_eq!(decode(&datagram).unwrap().summary, bigger.summary);
}

#[test]
fn a_foreign_agents_sip_becomes_an_event() {
    let event = sip();
    let mut chunks = Chunks::new();
    chunks.chunk(0, 2, &[17]);
    chunks.chunk(0, 3, &[10, 0, 0, 1]);
    chunks.chunk(0, 7, &5060_u16.to_be_bytes());
    chunks.chunk(0, 11, &[TYPE_SIP]);
    chunks.chunk(0, 0x7777, b"unknown chunk");
    chunks.chunk(0, 15, &event.raw);
    let back = decode(&chunks.finish()).unwrap();
    assert_eq!(back.summary, "OPTIONS sip:a@b");
    assert_eq!(back.transport, Transport::Udp);
    assert_eq!(back.from.addr, Some("10.0.0.1:5060".parse().unwrap()));
}

#[test]
fn hostile_datagrams_are_refused() {
    assert_eq!(decode(b""), Err(HepError::NotHep3));
    assert_eq!(decode(b"HEP3\xff\xff"), Err(HepError::Length(4)));
    assert_eq!(
        decode(b"HEP3\x00\x0c\x00\x00\x00\x0b\x00\x05"),
        Err(HepError::Length(10))
    );
    assert_eq!(
        decode(b"HEP3\x00\x0d\x00\x00\x00\x03\x00\x07x"),
        Err(HepError::ChunkSize(3))
    );
    assert_eq!(decode(b"HEP3\x00\x06"), Err(HepError::Empty));
    let datagram = encode(&sip(), 1);
    for cut in 0..datagram.len() {
        assert!(decode(&datagram[..cut]).is_err(), "cut at {cut}");
    }
}
