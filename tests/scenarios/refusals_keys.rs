//! I_MESSAGEs that must not be accepted: as CSK in a REGISTER to the MCPTT server, and as GMK in a
//! MESSAGE to a client.

use std::collections::BTreeSet;

use lab::parties::Party;
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_client::ClientEvent;
use mc_ids::{Csk, CskId, Gmk, GmkId, NtpTime};
use mikey::UserKeys;
use mikey_sakke::eccsi;

use crate::peer::{MDSI, Peer, distribution, https, now};
use crate::refusals_tokens::kms_request;
use crate::support::{a_call_works, all_ready, kept, logged, ready, start, until};

const ALICE: &str = "sip:alice@mc.example";
/// Octets of an ECCSI signature, at the end of every message.
const SIGNATURE: usize = 129;

/// Where each payload of a message begins and what it is called (RFC 3830 6, RFC 6509 4).
fn payloads(message: &[u8]) -> Vec<(&'static str, usize)> {
    let long = |at: usize| usize::from(u16::from_be_bytes([message[at], message[at + 1]]));
    let mut found = vec![("HDR", 0)];
    // Version, type, next payload, PRF, CSB-ID, number of sessions, type of their map.
    let (sessions, map) = (usize::from(message[8]), message[9]);
    assert!(
        sessions == 0 && map <= 2,
        "the default profile has an empty map"
    );
    let (mut next, mut at) = (message[2], 10);
    loop {
        let (name, length) = match next {
            5 => ("T", 2 + 8),
            11 => ("RAND", 2 + usize::from(message[at + 1])),
            14 => {
                let name = match message[at + 1] {
                    1 => "IDRi",
                    2 => "IDRr",
                    6 => "IDRkmsi",
                    7 => "IDRkmsr",
                    other => panic!("role {other}"),
                };
                (name, 5 + long(at + 3))
            }
            26 => ("SAKKE", 5 + long(at + 3)),
            21 => ("GENEXT", 4 + long(at + 2)),
            4 => {
                found.push(("SIGN", at));
                assert_eq!(message.len(), at + 2 + SIGNATURE);
                return found;
            }
            other => panic!("payload {other}"),
        };
        found.push((name, at));
        next = message[at];
        at += length;
    }
}

/// The message with one bit changed: once in each fifth octet, so in every payload.
fn altered(message: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let payloads = payloads(message);
    let mut all = Vec::new();
    for at in (0..message.len()).step_by(5) {
        let mut octets = message.to_vec();
        octets[at] ^= 1 << (at % 8);
        let (name, _) = payloads
            .iter()
            .rev()
            .find(|(_, start)| *start <= at)
            .unwrap();
        all.push((*name, octets));
    }
    let names: BTreeSet<_> = all.iter().map(|(name, _)| *name).collect();
    for (name, _) in payloads {
        assert!(names.contains(name), "{name} was not altered");
    }
    all
}

/// The same message as if signed with other keys.
fn signed_by(message: &[u8], signer: &OtherPeriod) -> Vec<u8> {
    let signed = &message[..message.len() - SIGNATURE];
    let signature = signer.sign.sign(signed, &mut mc_runtime::rng()).unwrap();
    [signed, &signature].concat()
}

/// The key set of a user for the period before this one, which the KMS still hands out.
struct OtherPeriod {
    time: NtpTime,
    keys: UserKeys,
    sign: eccsi::SigningKey,
}

async fn other_period(lab: &Lab, peer: &Peer) -> OtherPeriod {
    let root = peer.ring.root();
    let time = NtpTime(now().0 - (root.period.period() << 32));
    let resource = kms_protocol::Resource::KeyProv {
        user: Some(peer.id().to_owned()),
        time: Some(time),
    };
    let url = format!(
        "https://{}{}",
        lab.addresses().of(PortName::Kms),
        resource.path()
    );
    let post = https(lab).post(&url).bearer_auth(peer.token());
    let response = post
        .body(kms_request(peer.id(), &url).to_xml())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    let octets = response.bytes().await.unwrap();
    let message = kms_protocol::KmsResponse::parse(&octets).unwrap().message;
    let Some(kms_protocol::KmsMessage::KeyProv(prov)) = message else {
        panic!("no KmsKeyProv: {message:?}");
    };
    let set = prov
        .key_sets
        .iter()
        .find(|set| set.user_uri == peer.id())
        .unwrap();
    let clear = set.keys(&[]).unwrap();
    let number = root.period.number_at(time);
    assert_eq!(number + 1, root.period.number_at(now()));
    let (rsk, ssk, pvt) = (&*clear.rsk, &*clear.ssk, &clear.pvt);
    let keys = UserKeys::validated(root, peer.id(), number, rsk, ssk, pvt).unwrap();
    let uid = keys.uid().octets();
    let sign = eccsi::SigningKey::validated(&root.authentication, uid, ssk, pvt).unwrap();
    OtherPeriod { time, keys, sign }
}

#[tokio::test]
async fn a_registration_with_a_bad_csk_message_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (peer, other) = (Peer::new(&lab, "bob").await, Peer::new(&lab, "carol").await);
    let root = peer.ring.root();
    let past = other_period(&lab, &peer).await;
    let before = kept(&lab).await;
    let rng = &mut mc_runtime::rng();
    let (key, id) = (Csk::random(rng), CskId::random(rng));
    let good = peer.csk_message();
    let mut cases = altered(&good);
    let to_alice = distribution(peer.keys(), root, ALICE);
    cases.push(("for somebody else", to_alice.csk(&key, id, rng).unwrap()));
    let to_server = distribution(peer.keys(), root, MDSI);
    let (gmk, gmk_id) = (Gmk::random(rng), GmkId::random(rng));
    cases.push(("a GMK", to_server.gmk(&gmk, gmk_id, rng).unwrap()));
    let mut in_the_past = distribution(&past.keys, root, MDSI);
    in_the_past.time = past.time;
    cases.push((
        "of another key period",
        in_the_past.csk(&key, id, rng).unwrap(),
    ));
    cases.push((
        "signed with keys of another period",
        signed_by(&good, &past),
    ));
    let mut stale = distribution(peer.keys(), root, MDSI);
    stale.time = NtpTime(now().0 - (125 << 32));
    cases.push(("stale", stale.csk(&key, id, rng).unwrap()));
    let carols = distribution(other.keys(), root, MDSI)
        .csk(&key, id, rng)
        .unwrap();
    let forged = replaced(&carols, b"sip:carol@", b"sip:alice@");
    cases.push(("signed by carol as alice", forged));
    cases.push(("truncated", good[..good.len() / 2].to_vec()));
    cases.push(("trailing octets", [&good[..], b"xx"].concat()));
    cases.push(("no MIKEY at all", b"hello".to_vec()));
    cases.push(("empty", Vec::new()));
    for (what, message) in cases {
        let answer = peer
            .ask(peer.register_with(Some(message), peer.token()))
            .await;
        assert_eq!((answer.status, answer.warning), (403, Some(136)), "{what}");
        let line = logged(&lab, "mcptt-server", &answer.call_id).await;
        assert!(line.contains("I_MESSAGE refused: "), "{what}: {line}");
    }
    let without = peer.ask(peer.register_with(None, peer.token())).await;
    assert_eq!((without.status, without.warning), (403, Some(136)));
    // Verified, but of another user than the token's: the service authorisation fails.
    let answer = peer
        .ask(peer.register_with(Some(carols), peer.token()))
        .await;
    assert_eq!(
        (answer.status, answer.warning),
        (403, Some(140)),
        "under a key the token is not"
    );
    assert_eq!(kept(&lab).await, before);

    let answer = peer
        .ask(peer.register_with(Some(good.clone()), peer.token()))
        .await;
    assert_eq!(answer.status, 200, "the message itself is good");
    let registered = kept(&lab).await;
    let again = peer.ask(peer.register_with(Some(good), peer.token())).await;
    assert_eq!((again.status, again.warning), (403, Some(136)), "a replay");
    assert_eq!(kept(&lab).await, registered);
    all_ready(&lab).await;
}

fn replaced(message: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let at = message.windows(old.len()).position(|w| w == old).unwrap();
    let mut octets = message.to_vec();
    octets[at..at + new.len()].copy_from_slice(new);
    octets
}

/// Sends a key message to alice, as if from the GMS, and expects her refusal.
async fn refused_by_alice(peer: &Peer, alice: &Party, what: &str, message: Vec<u8>) {
    let mut at_alice = alice.follow();
    let answer = peer
        .ask(peer.key_message("sip:alice@ims.mc.example", message))
        .await;
    // A message whose identities name a KMS alice does not know is answered with a redirect (5.2.8).
    let unknown_kms = what.starts_with("IDR") && answer.status == 488;
    let refused = (answer.status, answer.warning) == (403, Some(136));
    assert!(refused || unknown_kms, "{what}: {answer:?}");
    let refused = until(&mut at_alice, "refusal", |event| match event {
        ClientEvent::KeyRefused { detail } => Some(Ok(detail.clone())),
        ClientEvent::KeyReceived { gmk_id, .. } => Some(Err(*gmk_id)),
        _ => None,
    });
    assert!(refused.await.is_ok(), "{what} was accepted");
}

#[tokio::test]
async fn a_client_refuses_bad_key_messages_and_keeps_its_key() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    // What only the GMS could make, and what other members can.
    let (gms, carol) = (Peer::new(&lab, "gms").await, Peer::new(&lab, "carol").await);
    let (root, rng) = (gms.ring.root(), &mut mc_runtime::rng());
    let past = other_period(&lab, &gms).await;
    let before = kept(&lab).await;
    let (key, id) = (Gmk::random(rng), GmkId::random(rng));
    let good = distribution(gms.keys(), root, ALICE)
        .gmk(&key, id, rng)
        .unwrap();
    let mut cases = altered(&good);
    let by_carol = distribution(carol.keys(), root, ALICE);
    cases.push(("signed by a member", by_carol.gmk(&key, id, rng).unwrap()));
    let for_bob = distribution(gms.keys(), root, "sip:bob@mc.example");
    cases.push(("for bob", for_bob.gmk(&key, id, rng).unwrap()));
    let mut in_the_past = distribution(&past.keys, root, ALICE);
    in_the_past.time = past.time;
    cases.push((
        "of another key period",
        in_the_past.gmk(&key, id, rng).unwrap(),
    ));
    cases.push((
        "signed with keys of another period",
        signed_by(&good, &past),
    ));
    let (csk, csk_id) = (Csk::random(rng), CskId::random(rng));
    let no_gmk = distribution(gms.keys(), root, ALICE);
    cases.push(("a CSK", no_gmk.csk(&csk, csk_id, rng).unwrap()));
    cases.push(("truncated", good[..100].to_vec()));
    // The octets the GMS itself sent alice when she came, once more.
    cases.push(("a replay", delivered(&lab)));
    for (what, message) in cases {
        refused_by_alice(&carol, &alice, what, message).await;
    }
    assert_eq!(kept(&lab).await, before);
    a_call_works(&lab, &bob, &alice).await;

    let mut at_alice = alice.follow();
    let answer = carol
        .ask(carol.key_message("sip:alice@ims.mc.example", good))
        .await;
    assert_eq!(answer.status, 200, "the message itself is good");
    let received = until(&mut at_alice, "key", |event| match event {
        ClientEvent::KeyReceived { gmk_id, .. } => Some(*gmk_id),
        _ => None,
    });
    assert_eq!(received.await, id);
    alice.stop().await;
    bob.stop().await;
    all_ready(&lab).await;
}

/// The I_MESSAGE that the GMS sent to alice, from the trace.
fn delivered(lab: &Lab) -> Vec<u8> {
    let sent = crate::support::events(lab)
        .into_iter()
        .filter(|e| e.name == "sip:received");
    let mut messages = sent.filter_map(|event| {
        let Ok(mc_sip::SipMessage::Request(request)) = mc_sip::parse_message(&event.raw) else {
            return None;
        };
        let to = request.headers.to().ok()?.uri.to_string();
        let parts = mc_sip::Multipart::of(&request.headers, &request.body).ok()?;
        let mikey = parts.get(mc_sip::mcptt::media::MIKEY)?;
        (request.method == mc_sip::Method::Message && to.contains("alice"))
            .then(|| mikey.content.clone())
    });
    messages.next().unwrap()
}
