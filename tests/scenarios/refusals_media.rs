//! Floor requests and speech that must lead nowhere.

use std::net::SocketAddr;
use std::time::Duration;

use floor_control::message::{FloorMessage, FloorPacket, FloorRelease, FloorRequest};
use lab::parties::Party;
use lab::supervisor::Lab;
use mc_client::{GroupKeys, ServerIdentities};
use mc_ids::GroupId;
use mc_ids::annex_f::guk_id;
use mc_media::rtp::Frame;
use mc_media::{Mki, MkiLength, RocTransport, SrtcpReceiver, SrtcpSender, SrtpSender, SsrcLedger};
use mc_trace::Event;
use mc_xml::gktp::GktpDocument;
use mc_xml::group::GroupDocument;
use mikey::{ReplayCache, Unverified, VerifyPolicy};
use tokio::net::UdpSocket;

use crate::peer::{Peer, https, now, socket};
use crate::refusals_tokens::{claims, document_url, issuer_key};
use crate::support::{
    GROUP, PATIENCE, all_ready, events, kept, logged, ready, start, until_all_joined, until_traced,
};

/// Floor control of a [`Peer`]'s call, under its CSK.
pub(crate) struct Floor {
    sender: SrtcpSender,
    receiver: SrtcpReceiver,
    key: mc_media::MasterKey,
    mki: Mki,
}

impl Floor {
    pub(crate) fn new(peer: &Peer) -> Self {
        let (key, mki) = (peer.association.floor_key(), peer.association.mki());
        Self {
            sender: SrtcpSender::new(&key, lease(mki)),
            receiver: SrtcpReceiver::new(MkiLength::Four),
            key,
            mki,
        }
    }

    pub(crate) fn sealed(&mut self, message: FloorMessage) -> Vec<u8> {
        let packet = FloorPacket {
            ssrc: self.sender.ssrc(),
            ack_required: false,
            message,
        };
        self.sealed_octets(&packet.to_bytes().unwrap())
    }

    pub(crate) fn sealed_octets(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = vec![0; plain.len() + mc_media::SRTCP_OVERHEAD];
        let length = self.sender.seal(plain, &mut out).unwrap();
        out.truncate(length);
        out
    }

    pub(crate) fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// The next message from the server that is as wanted.
    pub(crate) async fn until<T>(
        &mut self,
        socket: &UdpSocket,
        wanted: impl Fn(&FloorMessage) -> Option<T>,
    ) -> T {
        let (own, key) = (self.mki, self.key.clone());
        let mut buffer = [0; 2048];
        let message = async {
            loop {
                let (length, _) = socket.recv_from(&mut buffer).await.unwrap();
                let opened = self
                    .receiver
                    .open(&mut buffer[..length], |mki| {
                        (mki == own).then(|| key.clone())
                    })
                    .unwrap();
                for packet in FloorPacket::decode_all(opened.packet) {
                    if let Some(found) = wanted(&packet.unwrap().message) {
                        return found;
                    }
                }
            }
        };
        tokio::time::timeout(PATIENCE, message).await.unwrap()
    }
}

pub(crate) fn lease(mki: Mki) -> mc_media::SsrcLease {
    let mut ledger = SsrcLedger::default();
    let stored = |_: &str| Ok::<(), std::io::Error>(());
    ledger
        .lease(mki, &[], &mut mc_runtime::rng(), stored)
        .unwrap()
}

/// A sender of speech under the group's key, as the peer got it from the GMS.
pub(crate) async fn talker(lab: &Lab, peer: &Peer, group: &str) -> SrtpSender {
    let url =
        document_url(lab, group).replace("org.openmobilealliance.groups", "org.3gpp.MCPTT-GKTP");
    let response = https(lab)
        .get(url)
        .bearer_auth(peer.token())
        .send()
        .await
        .unwrap();
    let document = GktpDocument::parse(&response.bytes().await.unwrap()).unwrap();
    let message = &document.gmk.unwrap().gktps[0].mikey;
    let mut replay = ReplayCache::new(1);
    let verified = Unverified::parse(message).unwrap().verify(
        peer.ring.certificates(),
        VerifyPolicy::default(),
        now(),
        &mut replay,
    );
    let opened = verified
        .unwrap()
        .open(peer.ring.root(), peer.ring.keys())
        .unwrap();
    let mut keys = GroupKeys::default();
    let group: GroupId = group.parse().unwrap();
    let key = keys
        .accept(&opened, &ServerIdentities::default(), &[group])
        .unwrap();
    let guk = guk_id(&key.gmk, key.gmk_id, peer.id()).key_id();
    let mki = Mki::Group {
        gmk_id: key.gmk_id.key_id().0,
        guk_id: guk.0,
    };
    SrtpSender::new(&key.master_key(guk), lease(mki), RocTransport::InPacket)
}

pub(crate) fn packet(sender: &mut SrtpSender, timestamp: u32) -> Vec<u8> {
    let frame = Frame {
        payload_type: 96,
        marker: false,
        timestamp,
    };
    let mut out = vec![0; 256];
    // An AMR-WB frame of no data: what matters here is whether the packet opens.
    let length = sender.seal(frame, &[0xf0, 0x7c], &mut out).unwrap();
    out.truncate(length);
    out
}

fn opened_by_alice(event: &Event) -> bool {
    event.node == "alice" && event.name == "media:received"
}

fn refused_by(
    node: &'static str,
    name: &'static str,
    why: &'static str,
) -> impl Fn(&Event) -> bool {
    move |event| event.node == node && event.name == name && event.summary.contains(why)
}

/// Alice as a client, bob as the test: both in the group.
async fn one_group(lab: &Lab) -> (Party, Peer) {
    let alice = ready(lab, "alice").await;
    (alice, Peer::affiliated(lab, "bob", &[GROUP]).await)
}

#[tokio::test]
async fn speech_that_does_not_authenticate_is_dropped_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = one_group(&lab).await;
    let mut sender = talker(&lab, &bob, GROUP).await;
    let mut floor = Floor::new(&bob);
    let call = bob.call(GROUP, true).await;
    until_all_joined(&lab).await;
    floor
        .until(&call.floor, |m| {
            matches!(m, FloorMessage::FloorGranted(_)).then_some(())
        })
        .await;
    let before = kept(&lab).await;
    let (audio, to) = (&call.audio, call.remote.audio);
    let send = |octets: Vec<u8>| async move { audio.send_to(&octets, to).await };

    let good = packet(&mut sender, 0);
    send(good.clone()).await.unwrap();
    until_traced(&lab, "speech alice opens", 1, opened_by_alice).await;
    // A bit of the header, of the payload, of the tag, of the MKI.
    for at in [1, 13, 20, good.len() - 6] {
        let mut bad = packet(&mut sender, 320);
        bad[at] ^= 4;
        send(bad).await.unwrap();
    }
    send(good).await.unwrap();
    let refused = |event: &Event| event.node == "alice" && event.name == "media:refused";
    let refusals = until_traced(&lab, "refusals of alice", 5, refused).await;
    let said: Vec<&str> = refusals
        .iter()
        .map(|event| event.summary.as_str())
        .collect();
    assert!(
        said.iter().any(|text| text.contains("replayed")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|text| text.contains("authentication failed")),
        "{said:?}"
    );
    send(packet(&mut sender, 640)).await.unwrap();
    let heard = until_traced(&lab, "speech alice opens", 2, opened_by_alice).await;
    assert_eq!(heard.len(), 2);
    assert_eq!(kept(&lab).await, before);
    bob.hang_up(call).await;
    alice.stop().await;
    all_ready(&lab).await;
}

async fn send(socket: &UdpSocket, octets: &[u8], to: SocketAddr) {
    socket.send_to(octets, to).await.unwrap();
}

fn request() -> FloorMessage {
    FloorMessage::FloorRequest(FloorRequest::default())
}

pub(crate) fn is_granted(message: &FloorMessage) -> Option<()> {
    matches!(message, FloorMessage::FloorGranted(_)).then_some(())
}

/// The floor was not given to anybody and nothing was passed on.
fn nothing_moved(lab: &Lab) {
    let moved = |e: &Event| {
        e.name == "media:forwarded" || opened_by_alice(e) || e.summary.contains("Floor Granted")
    };
    let moved: Vec<_> = events(lab).into_iter().filter(moved).collect();
    assert!(moved.is_empty(), "{moved:#?}");
}

#[tokio::test]
async fn floor_requests_of_strangers_and_without_the_key_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = one_group(&lab).await;
    let (mut floor, carol) = (Floor::new(&bob), Peer::new(&lab, "carol").await);
    let call = bob.call(GROUP, false).await;
    until_all_joined(&lab).await;
    let (before, to) = (kept(&lab).await, call.remote.floor.unwrap());
    let (stranger, server) = (socket().await, "mcptt-server");
    let plain = FloorPacket {
        ssrc: 1,
        ack_required: false,
        message: request(),
    };
    let plain = plain.to_bytes().unwrap();

    send(&stranger, &plain, to).await;
    send(&stranger, &floor.sealed(request()), to).await;
    let why = refused_by(server, "floor:refused", "source");
    until_traced(&lab, "floor requests of a stranger", 2, why).await;
    send(&call.floor, &Floor::new(&carol).sealed(request()), to).await;
    send(&call.floor, &plain, to).await;
    let why = refused_by(server, "floor:refused", "key is not this client's");
    until_traced(&lab, "floor requests under another key", 2, why).await;
    let mut altered = floor.sealed(request());
    altered[12] ^= 1;
    send(&call.floor, &altered, to).await;
    let why = refused_by(server, "floor:refused", "authentication failed");
    until_traced(&lab, "an altered floor request", 1, why).await;
    nothing_moved(&lab);
    assert_eq!(kept(&lab).await, before);
    logged(&lab, server, "packet refused").await;

    // The same participant as it should be: granted; and the same octets once more: refused.
    let good = floor.sealed(request());
    send(&call.floor, &good, to).await;
    floor.until(&call.floor, is_granted).await;
    let release = FloorMessage::FloorRelease(FloorRelease::default());
    send(&call.floor, &floor.sealed(release), to).await;
    let is_idle = |m: &FloorMessage| matches!(m, FloorMessage::FloorIdle(_)).then_some(());
    floor.until(&call.floor, is_idle).await;
    send(&call.floor, &good, to).await;
    let why = refused_by(server, "floor:refused", "seen before");
    until_traced(&lab, "a replayed floor request", 1, why).await;
    bob.hang_up(call).await;
    alice.stop().await;
    all_ready(&lab).await;
}

#[tokio::test]
async fn speech_of_strangers_and_without_the_floor_is_not_passed_on() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = one_group(&lab).await;
    let (mut sender, mut floor) = (talker(&lab, &bob, GROUP).await, Floor::new(&bob));
    let call = bob.call(GROUP, false).await;
    until_all_joined(&lab).await;
    let (before, to) = (kept(&lab).await, call.remote.audio);
    let (stranger, server) = (socket().await, "mcptt-server");

    send(&stranger, &packet(&mut sender, 0), to).await;
    send(&stranger, &packet(&mut sender, 0), alices_audio(&lab)).await;
    send(&call.audio, &packet(&mut sender, 0), to).await;
    let why = refused_by(server, "media:refused", "source");
    until_traced(&lab, "speech of a stranger at the server", 1, why).await;
    let why = refused_by(server, "media:refused", "permission");
    until_traced(&lab, "speech without the floor", 1, why).await;
    let why = refused_by("alice", "media:refused", "stranger");
    until_traced(&lab, "speech of a stranger at alice", 1, why).await;
    nothing_moved(&lab);
    assert_eq!(kept(&lab).await, before);
    logged(&lab, server, "packet refused").await;

    let to_floor = call.remote.floor.unwrap();
    send(&call.floor, &floor.sealed(request()), to_floor).await;
    floor.until(&call.floor, is_granted).await;
    send(&call.audio, &packet(&mut sender, 320), to).await;
    until_traced(&lab, "speech alice opens", 1, opened_by_alice).await;
    bob.hang_up(call).await;
    alice.stop().await;
    all_ready(&lab).await;
}

/// Where alice receives speech, from the server's invitation answered by her.
fn alices_audio(lab: &Lab) -> SocketAddr {
    let answers = events(lab)
        .into_iter()
        .filter(|e| e.node == "alice" && e.name == "sip:sent");
    let mut described = answers.filter_map(|event| {
        let Ok(mc_sip::SipMessage::Response(response)) = mc_sip::parse_message(&event.raw) else {
            return None;
        };
        let parts = mc_sip::Multipart::of(&response.headers, &response.body).ok()?;
        let sdp = mc_sip::sdp::Sdp::parse(&parts.get(mc_sip::mcptt::media::SDP)?.content).ok()?;
        Some(mc_sip::sdp::McpttMedia::from_sdp(&sdp).ok()?.audio)
    });
    described.next().unwrap()
}

#[tokio::test]
async fn a_member_who_may_only_listen_is_denied_the_floor() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    make_bob_a_listener(&lab).await;
    // The server asks for a document it knows only after two seconds (`groups.max_age_s`).
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let (alice, bob) = one_group(&lab).await;
    let mut floor = Floor::new(&bob);
    let call = bob.call(GROUP, false).await;
    until_all_joined(&lab).await;
    let before = kept(&lab).await;
    let request = FloorMessage::FloorRequest(FloorRequest::default());
    let sealed = floor.sealed(request);
    call.floor
        .send_to(&sealed, call.remote.floor.unwrap())
        .await
        .unwrap();
    let cause = floor
        .until(&call.floor, |message| match message {
            FloorMessage::FloorDeny(deny) => Some(u16::from(deny.cause)),
            FloorMessage::FloorGranted(_) => Some(0),
            _ => None,
        })
        .await;
    // TS 24.380 8.2.6.2: #5, the participant may only receive.
    assert_eq!(cause, 5);
    assert_eq!(kept(&lab).await, before);
    bob.hang_up(call).await;
    alice.stop().await;
    all_ready(&lab).await;
}

async fn make_bob_a_listener(lab: &Lab) {
    let key = issuer_key(lab).await;
    let admin = claims(
        lab,
        "admin",
        "sip:gms@mc.example",
        mc_runtime::auth::SCOPE_GMS,
    );
    let admin = key.sign(&admin).unwrap();
    let (http, url) = (https(lab), document_url(lab, GROUP));
    let got = http.get(&url).bearer_auth(&admin).send().await.unwrap();
    let mut document = GroupDocument::parse(&got.bytes().await.unwrap()).unwrap();
    let mut bob = document.member("sip:bob@mc.example").unwrap().clone();
    bob.receive_only = true;
    document.put_member(&bob).unwrap();
    let put = http.put(&url).bearer_auth(&admin).body(document.to_xml());
    let put = put
        .header("content-type", mc_xml::group::MEDIA_TYPE)
        .send()
        .await
        .unwrap();
    assert_eq!(put.status().as_u16(), 200);
}
