//! Thousands of altered messages on every interface at once; afterwards the lab works as before.
//!
//! The alterations come from a fixed seed, so a failure can be repeated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use floor_control::message::{FloorMessage, FloorPacket, FloorRelease, FloorRequest};
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_sip::{Method, Request, name};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::peer::{Call, Peer, SERVER, https, socket};
use crate::refusals_media::Floor;
use crate::refusals_tokens::{claims, document_url, issuer_key, kms_request};
use crate::support::{GROUP, a_call_works, all_ready, events, ready, start, until_no_call};

/// Altered messages on each interface.
const MESSAGES: u64 = 2000;
/// Altered bodies to each HTTPS server, which writes every refusal into its audit log.
const BODIES: u64 = 1000;

/// `SplitMix64`: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit.max(1)).unwrap()).unwrap()
    }

    fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// What readers stumble over.
const TRAPS: &[&[u8]] = &[
    b"\r\n",
    b"\r\n\r\n",
    b"\0",
    b"\xff\xfe",
    b"<!DOCTYPE x [<!ENTITY a \"b\">]>",
    b"&#0;",
    b"]]>",
    b"Content-Length: 99999999\r\n",
    b"4294967296",
    b"-1",
    b"%00%ff",
    b"<a><a><a><a><a><a>",
    b"\"",
];

/// A message with one to four alterations.
fn altered(message: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut octets = message.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(octets.len() + 1);
        let end = (at + chance.below(40)).min(octets.len());
        match chance.below(7) {
            0 | 1 if at < octets.len() => octets[at] ^= 1 << chance.below(8),
            2 => octets.truncate(at),
            3 => drop(octets.drain(at..end)),
            4 => {
                let copy = octets[at..end].to_vec();
                octets.splice(at..at, copy);
            }
            5 => {
                let trap = TRAPS[chance.below(TRAPS.len())];
                octets.splice(at..at, trap.iter().copied());
            }
            _ => {
                let noise: Vec<u8> = (0..chance.below(30)).map(|_| chance.octet()).collect();
                octets.splice(at..at, noise);
            }
        }
    }
    octets
}

/// One good request of each kind.
fn requests(peer: &Peer) -> Vec<Request> {
    let subscribe = peer.request(Method::Subscribe, "sip:gms@mc.example");
    vec![
        peer.register(),
        peer.affiliate(&[GROUP]),
        peer.invite(GROUP),
        peer.invite("sip:command-1@mc.example"),
        peer.key_message("sip:alice@ims.mc.example", peer.csk_message()),
        subscribe.with("Event", "xcap-diff"),
        peer.request(Method::Options, SERVER),
        peer.request(Method::Bye, SERVER),
        peer.request(Method::Cancel, SERVER),
        peer.request(Method::Ack, SERVER),
    ]
}

/// A request altered in its body, with right lengths around it, or one in `rare` anywhere; its branch and
/// Call-ID are new, so that it is neither retransmission nor loop.
fn next_message(seeds: &[Request], via: &str, rare: usize, chance: &mut Chance) -> Vec<u8> {
    let mut request = seeds[chance.below(seeds.len())].clone();
    let anywhere = chance.below(rare) == 0;
    if !anywhere {
        request.body = altered(&request.body, chance);
    }
    let octets = with_branch(request, via, chance);
    if anywhere {
        altered(&octets, chance)
    } else {
        octets
    }
}

fn with_branch(mut request: Request, via: &str, chance: &mut Chance) -> Vec<u8> {
    let via = format!("{via};rport;branch=z9hG4bK{:016x}", chance.next());
    request.headers.push_front(name::VIA, via);
    let call_id = format!("flood-{:016x}", chance.next());
    request.headers.set(name::CALL_ID, call_id);
    request.to_bytes()
}

/// Over one UDP socket, which registers first so that altered requests get past the first check.
async fn flood_udp(peer: &Peer, server: SocketAddr, mut chance: Chance) {
    let socket = socket().await;
    let via = format!("SIP/2.0/UDP {}", socket.local_addr().unwrap());
    let seeds = requests(peer);
    let register = with_branch(seeds[0].clone(), &via, &mut chance);
    let mut buffer = vec![0; 65_536];
    for number in 0..MESSAGES {
        let message = match number {
            0 => register.clone(),
            _ => next_message(&seeds, &via, 3, &mut chance),
        };
        // What does not fit into a datagram is no test of the server.
        let _sent = socket.send_to(&message, server).await;
        while socket.try_recv(&mut buffer).is_ok() {}
        if number % 20 == 0 {
            // Not faster than the server's socket buffer is emptied.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Over TCP; the server closes connections it cannot frame any more, and the next one is opened.
async fn flood_tcp(peer: &Peer, server: SocketAddr, mut chance: Chance) {
    let mut sent = 0;
    while sent < MESSAGES {
        let stream = TcpStream::connect(server).await.unwrap();
        let via = format!("SIP/2.0/TCP {}", stream.local_addr().unwrap());
        let seeds = requests(peer);
        let (mut reader, mut writer) = stream.into_split();
        let drain = tokio::spawn(async move {
            let mut buffer = vec![0; 65_536];
            while reader
                .read(&mut buffer)
                .await
                .is_ok_and(|length| length > 0)
            {}
        });
        let register = with_branch(seeds[0].clone(), &via, &mut chance);
        let mut open = writer.write_all(&register).await.is_ok();
        while open && sent < MESSAGES && !drain.is_finished() {
            // What cannot be framed ends the connection and is lost with all that follows it.
            let message = next_message(&seeds, &via, 30, &mut chance);
            open = writer.write_all(&message).await.is_ok();
            sent += 1;
        }
        drop(writer);
        drain.abort();
    }
}

async fn flood_floor(floor: &mut Floor, call: &Call, mut chance: Chance) {
    let messages = [
        FloorMessage::FloorRequest(FloorRequest::default()),
        FloorMessage::FloorRelease(FloorRelease::default()),
    ];
    let (ssrc, to) = (floor.ssrc(), call.remote.floor.unwrap());
    for number in 0..MESSAGES {
        let message = messages[chance.below(2)].clone();
        let packet = FloorPacket {
            ssrc,
            ack_required: false,
            message,
        };
        let plain = packet.to_bytes().unwrap();
        let octets = if number % 2 == 0 {
            // Authentic and altered inside: it reaches the reader of floor control messages.
            let mut inside = altered(&plain, &mut chance);
            inside.truncate(1000);
            let header = plain[..8].iter().copied();
            inside.splice(..inside.len().min(8), header);
            floor.sealed_octets(&padded(inside))
        } else {
            altered(&floor.sealed_octets(&plain), &mut chance)
        };
        let _sent = call.floor.send_to(&octets, to).await;
        tokio::task::yield_now().await;
    }
}

/// RTCP is counted in words of four octets.
fn padded(mut packet: Vec<u8>) -> Vec<u8> {
    packet.resize(packet.len().next_multiple_of(4).max(12), 0);
    packet
}

async fn flood_audio(call: &Call, mut chance: Chance) {
    let frame = mc_media::rtp::Frame {
        payload_type: 96,
        marker: false,
        timestamp: 0,
    };
    let mut good = mc_media::rtp::Header::write(frame, 7, 1).to_vec();
    good.extend([0x5a; 60]);
    let stranger = socket().await;
    for number in 0..MESSAGES {
        let octets = altered(&good, &mut chance);
        let from: &UdpSocket = if number % 4 == 0 {
            &stranger
        } else {
            &call.audio
        };
        let _sent = from.send_to(&octets, call.remote.audio).await;
        if number % 20 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

/// Bodies to a server over HTTPS, eight at a time; every one gets an answer that is no failure of
/// the server.
async fn flood_https(request: impl Fn(Vec<u8>) -> reqwest::RequestBuilder, good: &[u8], seed: u64) {
    let mut chance = Chance(seed);
    for _ in 0..BODIES / 8 {
        let asked: Vec<_> = (0..8)
            .map(|_| tokio::spawn(request(altered(good, &mut chance)).send()))
            .collect();
        for answer in asked {
            let status = answer.await.unwrap().unwrap().status();
            assert!(!status.is_server_error(), "{status}");
        }
    }
}

async fn flood_documents(lab: &Lab) {
    let key = issuer_key(lab).await;
    let token = |user: &str, audience: &str, scope: &str| {
        key.sign(&claims(lab, user, audience, scope)).unwrap()
    };
    let admin = token("admin", "sip:gms@mc.example", mc_runtime::auth::SCOPE_GMS);
    let alice = token("alice", "kms.mc.example", mc_runtime::auth::SCOPE_KMS);
    let http = https(lab);
    // Not the group that the call needs: an altered document may be a good one.
    let document = document_url(lab, "sip:command-1@mc.example");
    let got = http
        .get(&document)
        .bearer_auth(&admin)
        .send()
        .await
        .unwrap();
    let group = got.bytes().await.unwrap().to_vec();
    let init = kms_protocol::Resource::Init.path();
    let kms = format!("https://{}{init}", lab.addresses().of(PortName::Kms));
    let question = kms_request("sip:alice@mc.example", &kms)
        .to_xml()
        .into_bytes();
    let put = |body| {
        let put = http.put(&document).bearer_auth(&admin);
        put.header("content-type", mc_xml::group::MEDIA_TYPE)
            .body(body)
    };
    let post = |body| http.post(&kms).bearer_auth(&alice).body(body);
    tokio::join!(flood_https(put, &group, 5), flood_https(post, &question, 6));
}

/// How many events of each kind of refusal there are.
fn refusals(lab: &Lab) -> BTreeMap<String, usize> {
    let mut counted = BTreeMap::new();
    for event in events(lab) {
        *counted.entry(event.name).or_default() += 1;
    }
    counted
}

#[tokio::test]
async fn altered_messages_on_every_interface_harm_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (bob, carol) = (Peer::new(&lab, "bob").await, Peer::new(&lab, "carol").await);
    let alice = Peer::affiliated(&lab, "alice", &[GROUP]).await;
    let (mut floor, call) = (Floor::new(&alice), alice.call(GROUP, true).await);
    let server = lab.addresses().of(PortName::McpttSip);
    let gms = lab.addresses().of(PortName::GmsSip);
    tokio::join!(
        flood_udp(&bob, server, Chance(1)),
        flood_tcp(&carol, server, Chance(2)),
        flood_udp(&bob, gms, Chance(3)),
        flood_tcp(&carol, gms, Chance(4)),
        flood_documents(&lab),
        flood_floor(&mut floor, &call, Chance(7)),
        flood_audio(&call, Chance(8)),
    );
    all_ready(&lab).await;
    for service in lab.setup().services() {
        let log = std::fs::read(lab.state().log(service.name)).unwrap();
        let log = String::from_utf8_lossy(&log);
        assert!(!log.contains("panicked"), "{}: {log}", service.name);
    }
    // The flood was there: each interface refused a good part of it.
    let refused = refusals(&lab);
    for name in [
        "sip:rejected",
        "mcptt:refused",
        "kms:refused",
        "gms:refused",
    ] {
        assert!(refused[name] > 200, "{refused:?}");
    }
    for name in ["floor:refused", "media:refused"] {
        assert!(refused[name] > 50, "{refused:?}");
    }
    alice.hang_up(call).await;
    // An altered INVITE may have been good enough to join: who deregisters leaves.
    for peer in [&alice, &bob] {
        assert_eq!(peer.ask(peer.register()).await.status, 200);
        let gone = peer.request(Method::Register, "sip:ims.mc.example");
        let gone = gone.with(name::EXPIRES, "0");
        assert_eq!(peer.ask(gone).await.status, 200);
    }
    until_no_call(&lab).await;
    drop((alice, bob));
    let alice = ready(&lab, "alice").await;
    let bob = ready(&lab, "bob").await;
    a_call_works(&lab, &bob, &alice).await;
    alice.stop().await;
    bob.stop().await;
    all_ready(&lab).await;
}
