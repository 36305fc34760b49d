//! Foreign tools read what this crate writes: tshark the captures, sngrep the HEP3 datagrams.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mc_trace::pcapng::{Capture, View};
use mc_trace::{Direction, Endpoint, Event, Transport, hep, names};

const OPTIONS: &str = "OPTIONS sip:mcptt@mc.example SIP/2.0\r\n\
    Via: SIP/2.0/TCP 127.0.0.1:5080;branch=z9hG4bK1\r\nFrom: <sip:alice@mc.example>;tag=1\r\n\
    To: <sip:mcptt@mc.example>\r\nCall-ID: trace-1@mc.example\r\nCSeq: 1 OPTIONS\r\n\
    Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n";

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn end(name: &str, port: u16) -> Endpoint {
    Endpoint::new(name, at(port))
}

fn stamped(mut event: Event, node: &str, time_us: u64) -> Event {
    node.clone_into(&mut event.node);
    event.time_us = 1_700_000_000_000_000 + time_us;
    event
}

/// A short story over every transport, two of its messages reported by both ends.
fn story() -> Vec<Event> {
    let (alice, server) = (end("alice", 5080), end("mcptt-server", 5060));
    let reply = OPTIONS.replace("OPTIONS sip:mcptt@mc.example SIP/2.0", "SIP/2.0 200 OK");
    let sip = Event::sip_sent(
        alice.clone(),
        server.clone(),
        Transport::Tcp,
        OPTIONS.as_bytes(),
    );
    let seen = Event::sip_received(
        alice.clone(),
        server.clone(),
        Transport::Tcp,
        OPTIONS.as_bytes(),
    );
    let ok = Event::sip_sent(server, alice, Transport::Tcp, reply.as_bytes());
    let floor = hex::decode("80cc000412345678").unwrap();
    let mut floor_request = floor;
    floor_request.extend_from_slice(b"MCPT");
    floor_request.extend_from_slice(&[0, 2, 5, 0, 13, 2, 0x80, 0]);
    let floor = Event::sent(
        &names::FLOOR_SENT,
        end("alice", 40001),
        Endpoint::at("[::1]:40002".parse().unwrap()),
        floor_request,
    )
    .key(0x2ddd_5bf0);
    let mut rtp = hex::decode("806f0001000000a012345678").unwrap();
    rtp.extend_from_slice(&[0xd5; 33]);
    let media = Event::sent(
        &names::MEDIA_SENT,
        end("alice", 40010),
        end("bob", 40012),
        rtp,
    );
    let http = Event::http_request(
        &names::HTTP_REQUEST,
        Direction::Sent,
        (end("alice", 50000), end("kms", 8442)),
        ("POST", "/keymanagement/identity/v1/init"),
        &[
            ("Host", "kms.mc.example"),
            ("Content-Type", "application/xml"),
        ],
        b"<KmsRequest/>",
    );
    vec![
        stamped(sip, "alice", 0),
        stamped(seen, "mcptt-server", 150),
        stamped(ok, "mcptt-server", 900),
        stamped(floor, "alice", 2_000),
        stamped(media, "alice", 2_500),
        stamped(http, "alice", 3_000),
        stamped(
            Event::local(&names::SEGY_STEP, "no octets, no frame"),
            "segy",
            4_000,
        ),
    ]
}

fn tshark(capture: &[u8], arguments: &[&str]) -> String {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(capture).unwrap();
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file.path())
        .args(arguments)
        .output()
        .expect("tshark is not installed: run `make test`");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

const DECODE_AS: [&str; 6] = [
    "-d",
    "udp.port==40002,rtcp",
    "-d",
    "udp.port==40012,rtp",
    "-d",
    "tcp.port==8442,http",
];

fn fields(capture: &[u8], filter: &str, names: &[&str]) -> Vec<String> {
    let mut arguments = DECODE_AS.to_vec();
    arguments.extend([
        "-o",
        "tcp.check_checksum:TRUE",
        "-o",
        "ip.check_checksum:TRUE",
    ]);
    arguments.extend([
        "-o",
        "udp.check_checksum:TRUE",
        "-Y",
        filter,
        "-T",
        "fields",
    ]);
    for name in names {
        arguments.extend(["-e", *name]);
    }
    tshark(capture, &arguments)
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn tshark_reads_our_capture_as_the_protocols_it_holds() {
    let capture = Capture::of(View::Wire, "", &story());
    assert_eq!(
        fields(
            &capture,
            "sip",
            &["sip.Call-ID", "sip.Method", "sip.Status-Code"]
        ),
        ["trace-1@mc.example\tOPTIONS\t", "trace-1@mc.example\t\t200",]
    );
    assert_eq!(fields(&capture, "rtcp", &["rtcp.app.name"]), ["MCPT"]);
    assert_eq!(
        fields(&capture, "rtp", &["rtp.ssrc", "rtp.p_type"]),
        ["0x12345678\t111"]
    );
    assert_eq!(
        fields(&capture, "http", &["http.request.uri", "http.file_data"])[0]
            .split('\t')
            .next(),
        Some("/keymanagement/identity/v1/init")
    );
}

#[test]
fn tshark_finds_nothing_wrong_with_the_frames() {
    let capture = Capture::of(View::Wire, "", &story());
    let faults = "_ws.malformed || _ws.expert.severity == error || tcp.analysis.flags \
        || ip.checksum.status == bad || tcp.checksum.status == bad || udp.checksum.status == bad";
    assert_eq!(fields(&capture, faults, &["frame.number"]), [""; 0]);
    let mut spoiled = story();
    spoiled[0].raw.truncate(40);
    spoiled[3].raw.truncate(14);
    let spoiled = Capture::of(View::Wire, "", &spoiled);
    assert_ne!(fields(&spoiled, faults, &["frame.number"]), [""; 0]);
}

#[test]
fn each_node_is_an_interface_and_each_frame_says_what_it_is() {
    let capture = Capture::of(View::Wire, "", &story());
    let rows = fields(
        &capture,
        "sip || rtcp",
        &["frame.interface_name", "frame.comment"],
    );
    assert_eq!(rows.len(), 3, "the request both ends reported appears once");
    assert!(
        rows[0].starts_with("alice\tsip:sent [SIP-1] OPTIONS sip:mcptt@mc.example"),
        "{rows:?}"
    );
    assert!(rows[1].starts_with("mcptt-server\t"), "{rows:?}");
    assert!(
        rows[2].ends_with("(TS 24.380 8.2) key 2ddd5bf0"),
        "{rows:?}"
    );
}

#[test]
fn a_message_larger_than_a_segment_is_put_together_again() {
    let body = "x".repeat(64_000);
    let sip = OPTIONS.replace("Content-Length: 0\r\n\r\n", "");
    let sip = format!(
        "{sip}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let event = Event::sip_sent(
        end("a", 5080),
        end("b", 5060),
        Transport::Tcp,
        sip.as_bytes(),
    );
    let capture = Capture::of(View::Wire, "", &[stamped(event, "a", 0)]);
    assert_eq!(fields(&capture, "sip", &["sip.Content-Length"]), ["64000"]);
}

/// sngrep listens as a HEP3 collector (`-L`) and writes what it understood as a capture.
#[test]
fn sngrep_takes_our_hep3() {
    let port = UdpSocket::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hep.pcap");
    let mut sngrep = Command::new("sngrep")
        .args(["-N", "-q", "-L", &format!("udp:127.0.0.1:{port}"), "-O"])
        .arg(&path)
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("sngrep is not installed: run `make test`");
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    sender.connect(at(port)).unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    // sngrep tells nobody when it listens: send again until the message is in its file.
    let mut found = false;
    while !found && Instant::now() < deadline {
        for event in story() {
            // A refused datagram means it does not listen yet.
            let _early = sender.send(&hep::encode(&event, 2000));
        }
        std::thread::park_timeout(Duration::from_millis(100));
        found = has_options(&path);
    }
    sngrep.kill().unwrap();
    sngrep.wait().unwrap();
    assert!(found, "sngrep did not take the message from HEP3");
}

fn has_options(path: &Path) -> bool {
    std::fs::read(path)
        .is_ok_and(|file| file.windows(OPTIONS.len()).any(|w| w == OPTIONS.as_bytes()))
}
