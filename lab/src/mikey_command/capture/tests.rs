//! Captures of our own writer and of editcap, frames by hand, and what is no capture.

use super::*;
use mc_trace::pcapng::{Capture, View};
use mc_trace::{Endpoint, Event, Transport as Carrier, names};
use std::net::SocketAddr;
use std::process::Command;

/// A SIP MESSAGE that carries `octets` as application/mikey.
fn sip(octets: &[u8]) -> Vec<u8> {
    use base64::Engine as _;
    let body = format!(
        "--b\r\nContent-Type: application/mikey\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        base64::prelude::BASE64_STANDARD.encode(octets)
    );
    format!(
        "MESSAGE sip:alice@mc.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n\
         From: <sip:gms@mc.example>;tag=1\r\nTo: <sip:alice@mc.example>\r\nCall-ID: 1\r\n\
         CSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: multipart/mixed;boundary=b\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn ends() -> (Endpoint, Endpoint) {
    let end = |port| Endpoint::at(SocketAddr::from(([127, 0, 0, 1], port)));
    (end(5060), end(5070))
}

fn recorded(messages: &[(Vec<u8>, Carrier)]) -> Vec<u8> {
    let mut capture = Capture::new(View::Wire);
    for (octets, carrier) in messages {
        let (from, to) = ends();
        let event = Event::sent(&names::MIKEY_VERIFIED, from, to, octets.clone()).over(*carrier);
        assert!(capture.event(&event));
    }
    capture.take()
}

fn found(input: &[u8]) -> Vec<Vec<u8>> {
    let found = messages(input).unwrap().unwrap();
    found.into_iter().map(|found| found.octets).collect()
}

/// What stands for a message here: only its beginning matters to the capture.
fn message(last: u8) -> Vec<u8> {
    [&[0x01, 0x1a][..], &[last; 900]].concat()
}

fn samples() -> Vec<u8> {
    recorded(&[
        (sip(&message(1)), Carrier::Udp),
        (sip(&message(2)), Carrier::Tcp),
        (message(3), Carrier::Udp),
        ([sip(&message(4)), sip(&message(5))].concat(), Carrier::Tcp),
        (b"OPTIONS".to_vec(), Carrier::Udp),
    ])
}

#[test]
fn our_own_captures_are_read() {
    let mut all = found(&samples());
    all.sort();
    assert_eq!(all, (1..=5).map(message).collect::<Vec<_>>());
}

/// editcap rewrites the capture in the classic format, and cuts it.
#[test]
fn what_editcap_writes_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| dir.path().join(name);
    std::fs::write(file("in.pcapng"), samples()).unwrap();
    for format in ["pcap", "nsecpcap", "pcapng"] {
        let done = Command::new("editcap")
            .args(["-F", format])
            .args([file("in.pcapng"), file("out")])
            .status()
            .expect("editcap missing: run `make test`");
        assert!(done.success());
        let mut all = found(&std::fs::read(file("out")).unwrap());
        all.sort();
        assert_eq!(all, (1..=5).map(message).collect::<Vec<_>>(), "{format}");
    }
}

fn ipv4(protocol: u8, id: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    let total = u16::try_from(payload.len() + 20).unwrap();
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(flags.to_be_bytes());
    packet.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
    packet.extend(payload);
    packet
}

fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap();
    [
        &[0x13, 0xc4, 0x13, 0xc4][..],
        &length.to_be_bytes(),
        &[0, 0],
        payload,
    ]
    .concat()
}

fn classic(link: u32, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = 0xa1b2_c3d4_u32.to_be_bytes().to_vec();
    out.extend([0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]);
    out.extend(link.to_be_bytes());
    for frame in frames {
        let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
        out.extend([0; 8]);
        out.extend(length);
        out.extend(length);
        out.extend(frame);
    }
    out
}

#[test]
fn fragments_tags_and_other_links_are_put_together() {
    let datagram = udp(&sip(&message(7)));
    let (first, second) = datagram.split_at(800);
    let ethernet = |packet: Vec<u8>, tagged: bool| {
        let tag: &[u8] = if tagged { &[0x81, 0, 0, 5] } else { &[] };
        [&[0; 12][..], tag, &[0x08, 0x00], &packet].concat()
    };
    let frames = vec![
        // The second fragment first, another datagram between them.
        ethernet(ipv4(17, 9, 100, second), true),
        ethernet(ipv4(17, 8, 0, &udp(b"x")), false),
        ethernet(ipv4(17, 9, 0x2000, first), true),
    ];
    assert_eq!(found(&classic(1, &frames)), [message(7)]);
    let cooked = [&[0; 16][..], &ipv4(17, 1, 0, &datagram)].concat();
    assert_eq!(found(&classic(113, &[cooked])), [message(7)]);
    let mut v6 = vec![0x60, 0, 0, 0];
    v6.extend(u16::try_from(datagram.len() + 8).unwrap().to_be_bytes());
    v6.extend([0, 64]);
    v6.extend([1; 32]);
    // Hop-by-hop options in front.
    v6.extend([17, 0, 1, 4, 0, 0, 0, 0]);
    v6.extend(&datagram);
    assert_eq!(found(&classic(101, &[v6])), [message(7)]);
}

fn tcp(sequence: u32, payload: &[u8]) -> Vec<u8> {
    let mut segment = vec![0x13, 0xc4, 0x13, 0xc5];
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 0, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend(payload);
    ipv4(6, 0, 0, &segment)
}

#[test]
fn segments_out_of_order_and_sent_twice_make_one_stream() {
    let octets = sip(&message(9));
    let (a, rest) = octets.split_at(300);
    let (b, c) = rest.split_at(500);
    let start = u32::MAX - 100;
    let at = |offset: usize| start.wrapping_add(u32::try_from(offset).unwrap());
    let frames = vec![
        tcp(at(0), a),
        tcp(at(800), c),
        tcp(at(300), b),
        tcp(at(250), &octets[250..400]),
    ];
    assert_eq!(found(&classic(101, &frames)), [message(9)]);
    let gap = vec![tcp(at(0), a), tcp(at(800), c)];
    assert_eq!(found(&classic(101, &gap)), Vec::<Vec<u8>>::new());
}

#[test]
fn what_is_no_capture_or_cut_is_no_surprise() {
    assert!(messages(b"").is_none());
    assert!(messages(b"OPTIONS sip:a SIP/2.0").is_none());
    let whole = samples();
    for length in (4..whole.len()).step_by(7) {
        if let Some(Ok(found)) = messages(&whole[..length]) {
            assert!(found.len() <= 5);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..400), link in 0_u32..300) {
        let _ = messages(&octets);
        let _ = messages(&classic(link, std::slice::from_ref(&octets)));
        let section = [&[0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a][..], &octets].concat();
        let _ = messages(&section);
    }
}
