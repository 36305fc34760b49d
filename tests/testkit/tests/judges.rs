//! The judges of captured runs accept a good run and refuse each way it can be bad.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::{Csk, Gmk, Key128, KeyId};
use mc_media::rtp::Frame;
use mc_media::{MasterKey, Mki, RocTransport, SrtcpSender, SrtpSender, SsrcLease, SsrcLedger};
use mc_trace::{Endpoint, Event, KeyKind, KeyLogEntry, Protocol, Transport, lines, names};
use mikey::{CryptoSession, media_keys};
use rand_core::{TryCryptoRng, TryRng};
use testkit::libsrtp::{self, Opened};
use testkit::recording::Recording;
use testkit::tshark::{self, Tshark};

const GMK: [u8; 16] = [0xA7; 16];
const CSK: [u8; 16] = [0xC5; 16];
const RAND: [u8; 16] = [0x52; 16];
const GMK_ID: u32 = 0x09bf_9d37;
const GUK_ID: u32 = 0x01c8_de7b;
const CSK_ID: u32 = 0x2ddd_5bf0;

/// The ledger needs a number, not a secret one.
struct Fixed;

impl TryRng for Fixed {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(0x1234_5678)
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(0x1234_5678)
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        out.fill(0x12);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

fn lease(mki: Mki) -> SsrcLease {
    let stored = |_: &str| Ok::<(), ()>(());
    SsrcLedger::default()
        .lease(mki, &[], &mut Fixed, stored)
        .unwrap()
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn ends() -> (Endpoint, Endpoint) {
    (
        Endpoint::new("alice", at(40_001)),
        Endpoint::new("mcptt-server", at(40_002)),
    )
}

/// REGISTER with the CSK message of the vectors in a multipart body, as a client sends it.
fn register() -> Event {
    let vectors = include_str!("../../vectors/mikey.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let mikey = vectors["annex_e"]["csk"]["I_MESSAGE_base64"]
        .as_str()
        .unwrap();
    let body = format!(
        "--b1\r\nContent-Type: application/mikey\r\nContent-Transfer-Encoding: base64\r\n\r\n\
         {mikey}\r\n--b1\r\nContent-Type: application/vnd.3gpp.mcptt-info+xml\r\n\r\n\
         <mcpttinfo xmlns=\"urn:3gpp:ns:mcpttInfo:1.0\"/>\r\n--b1--\r\n"
    );
    let raw = format!(
        "REGISTER sip:mc.example SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:5080;branch=z9hG4bK1\r\n\
         From: <sip:alice-impu@ims.mc.example>;tag=1\r\nTo: <sip:alice-impu@ims.mc.example>\r\n\
         Call-ID: reg-1\r\nCSeq: 1 REGISTER\r\nMax-Forwards: 70\r\n\
         Contact: <sip:alice@127.0.0.1:5080;transport=tcp>\r\n\
         Content-Type: multipart/mixed;boundary=b1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let ends = (Endpoint::at(at(5080)), Endpoint::at(at(5060)));
    Event::sip_sent(ends.0, ends.1, Transport::Tcp, raw.as_bytes())
}

fn floor_request() -> Event {
    let lease = lease(Mki::Key(CSK_ID));
    let mut clear = vec![0x80, 0xcc, 0, 4];
    clear.extend(lease.ssrc().to_be_bytes());
    clear.extend(b"MCPT");
    clear.extend([0, 2, 5, 0, 13, 2, 0x80, 0]);
    let csk = Csk::from_octets(CSK);
    let keys = media_keys(&csk, CryptoSession::FloorControl, KeyId(CSK_ID), &RAND);
    let mut sender = SrtcpSender::new(&MasterKey::new(keys.master_key, keys.master_salt), lease);
    let mut out = [0; 256];
    let length = sender.seal(&clear, &mut out).unwrap();
    let (from, to) = ends();
    Event::sent(&names::FLOOR_SENT, from, to, &out[..length])
        .clear(clear)
        .summary("Floor Request")
}

fn speech() -> Vec<Event> {
    let gmk = Gmk::from_octets(GMK);
    let keys = media_keys(&gmk, CryptoSession::GroupCall, KeyId(GUK_ID), &RAND);
    let master = MasterKey::new(keys.master_key, keys.master_salt);
    let mki = Mki::Group {
        gmk_id: GMK_ID,
        guk_id: GUK_ID,
    };
    let mut sender = SrtpSender::new(&master, lease(mki), RocTransport::InPacket);
    let mut packet = |n: u32| {
        let frame = Frame {
            marker: n == 0,
            payload_type: 96,
            timestamp: n * 320,
        };
        let payload = n.to_be_bytes().repeat(15);
        let mut out = [0; 256];
        let length = sender.seal(frame, &payload, &mut out).unwrap();
        let (from, to) = ends();
        let clear = [&out[..12], &payload].concat();
        Event::sent(&names::MEDIA_SENT, from, to, &out[..length]).clear(clear)
    };
    (0..50).map(&mut packet).collect()
}

fn run() -> Recording {
    let mut events = vec![register(), floor_request()];
    events.extend(speech());
    for (n, event) in (0..).zip(&mut events) {
        event.time_us = 1_790_000_000_000_000 + n * 20_000;
        "alice".clone_into(&mut event.node);
    }
    let keys = vec![
        KeyLogEntry::distributed(KeyKind::Gmk, GMK_ID, &GMK, &RAND),
        KeyLogEntry::distributed(KeyKind::Csk, CSK_ID, &CSK, &RAND),
    ];
    Recording { events, keys }
}

fn spoil(run: &mut Recording, protocol: Protocol, spoil: impl Fn(&mut Event)) {
    let event = run.events.iter_mut().find(|e| e.protocol == protocol);
    spoil(event.unwrap());
}

#[test]
fn a_good_run_passes_every_judge() {
    let run = run();
    assert_eq!(tshark::check_sip(&run).unwrap(), 1);
    let mikey = tshark::check_mikey(&run).unwrap();
    assert_eq!(
        (mikey[0].carrier.as_str(), mikey[0].csb_id.as_str()),
        ("REGISTER", "2ddd5bf0")
    );
    assert_eq!(mikey[0].identities[1], "mdsi.example.org");
    assert_eq!(tshark::check_floor(&run).unwrap(), [0]);
    let opened = Opened {
        media: 50,
        floor: 1,
    };
    assert_eq!(libsrtp::check_media(&run).unwrap(), opened);
}

#[test]
fn exported_stream_keys_serve_as_well_as_distributed_ones() {
    let mut run = run();
    let gmk = Gmk::from_octets(GMK);
    let keys = media_keys(&gmk, CryptoSession::GroupCall, KeyId(GUK_ID), &RAND);
    let mki = [GMK_ID.to_be_bytes(), GUK_ID.to_be_bytes()].concat();
    run.keys[0] = KeyLogEntry::srtp(GUK_ID, 4, &keys.master_key, &keys.master_salt, &mki);
    assert_eq!(libsrtp::check_media(&run).unwrap().media, 50);
}

#[test]
fn libsrtp_sees_a_wrong_key_a_wrong_octet_and_a_missing_key() {
    let mut wrong_key = run();
    wrong_key.keys[0] = KeyLogEntry::distributed(KeyKind::Gmk, GMK_ID, &[1; 16], &RAND);
    let error = libsrtp::check_media(&wrong_key).unwrap_err().to_string();
    assert!(error.contains("libsrtp refuses"), "{error}");

    let mut other_speech = run();
    spoil(&mut other_speech, Protocol::Rtp, |e| e.clear[20] ^= 1);
    let error = libsrtp::check_media(&other_speech).unwrap_err().to_string();
    assert!(error.contains("other octets"), "{error}");

    let mut no_key = run();
    no_key.keys.clear();
    let error = libsrtp::check_media(&no_key).unwrap_err().to_string();
    assert!(error.contains("no exported key"), "{error}");

    let mut silent = run();
    silent.events.retain(|e| e.protocol != Protocol::Rtp);
    assert!(libsrtp::check_media(&silent).is_err());
}

#[test]
fn tshark_sees_a_truncated_message_of_each_protocol() {
    let mut sip = run();
    spoil(&mut sip, Protocol::Sip, |e| {
        e.raw = b"\0\0not sip\r\n\r\n".to_vec();
    });
    assert!(tshark::check_sip(&sip).is_err());
    assert!(tshark::check_mikey(&sip).is_err());

    let mut floor = run();
    spoil(&mut floor, Protocol::Rtcp, |e| e.clear.truncate(14));
    assert!(tshark::check_floor(&floor).is_err());

    // The signature payload ends early.
    let mut mikey = run();
    spoil(&mut mikey, Protocol::Sip, |e| {
        let text = String::from_utf8(e.raw.clone()).unwrap();
        let start = text.find("base64\r\n\r\n").unwrap() + 10;
        let end = start + text[start..].find('\r').unwrap();
        let mut octets = STANDARD.decode(&text[start..end]).unwrap();
        octets.truncate(octets.len() - 30);
        let shorter = text.replace(&text[start..end], &STANDARD.encode(octets));
        e.raw = shorter.into_bytes();
    });
    assert!(tshark::check_mikey(&mikey).is_err());
}

#[test]
fn a_run_is_read_back_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let run = run();
    for (name, half) in [("alice", &run.events[..20]), ("bob", &run.events[20..])] {
        let mut text = Vec::new();
        for event in half {
            lines::write(event, &mut text).unwrap();
        }
        let node = folder.path().join(name);
        std::fs::create_dir(&node).unwrap();
        std::fs::write(node.join("trace.jsonl"), text).unwrap();
    }
    let keys: Vec<String> = run
        .keys
        .iter()
        .map(|k| serde_json::to_string(k).unwrap())
        .collect();
    std::fs::write(folder.path().join("keys.jsonl"), keys.join("\n")).unwrap();
    let back = Recording::read(folder.path()).unwrap();
    assert_eq!((&back.events, &back.keys), (&run.events, &run.keys));
    let tshark = Tshark::of(&back.capture(mc_trace::pcapng::View::Wire)).unwrap();
    assert_eq!(tshark.fields("udp", &["frame.number"]).unwrap().len(), 51);
    assert!(Recording::read(&folder.path().join("nowhere")).is_err());
}
