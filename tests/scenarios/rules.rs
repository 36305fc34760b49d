//! Rules of group calls that hold while speech goes on: late entry, re-key, and who is a member.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lab::parties::{Heard, Party};
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_client::{ClientEvent, SpeechFrame};
use mc_ids::GroupId;
use mc_runtime::CancellationToken;
use mc_runtime::auth::SCOPE_GMS;
use reqwest::Method;
use serde_json::Value;
use testkit::recording::Recording;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::peer::https;
use crate::refusals_tokens::{claims, issuer_key};
use crate::support::{GROUP, PATIENCE, ready, recording, start, status, until};

fn group() -> GroupId {
    GROUP.parse().unwrap()
}

/// Has an administrator change the group at the GMS.
pub(crate) async fn administer(lab: &Lab, method: Method, what: &str) {
    let key = issuer_key(lab).await;
    let admin = claims(lab, "admin", "sip:gms@mc.example", SCOPE_GMS);
    let gms = lab.addresses().of(PortName::Gms);
    let url = format!("https://{gms}/admin/groups/{GROUP}/{what}");
    let request = https(lab).request(method, url);
    let request = request.bearer_auth(key.sign(&admin).unwrap());
    let response = request.send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
}

/// A user who talks without a break.
struct Talking {
    party: Arc<Party>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Begins a call of the group and talks in it.
async fn talk(party: &Arc<Party>) -> Talking {
    let mut at = party.follow();
    party.client.group_call(&group(), true).await.unwrap();
    until(&mut at, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
    let (stop, speaker) = (CancellationToken::new(), party.clone());
    let stopped = stop.clone();
    let task = tokio::spawn(async move {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stopped.is_cancelled() {
            clock.tick().await;
            let tone: Vec<i16> = (0..320i16).map(|i| i % 16 * 500).collect();
            speaker.client.send_speech(&group(), tone).await.unwrap();
        }
    });
    Talking {
        party: party.clone(),
        stop,
        task,
    }
}

impl Talking {
    /// Ends the burst and the call.
    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
        self.party.client.release_ptt(&group()).await.unwrap();
        self.party.client.hang_up(&group()).await.unwrap();
    }
}

async fn stop(party: Arc<Party>) {
    Arc::into_inner(party).unwrap().stop().await;
}

/// Speech that is heard, as long as there is some.
async fn frames(at: &mut Receiver<Heard>, longest: Duration) -> Vec<SpeechFrame> {
    let (mut frames, end) = (Vec::new(), Instant::now() + longest);
    while let Ok(Ok(heard)) = tokio::time::timeout_at(end.into(), at.recv()).await {
        if let ClientEvent::Speech(frame) = heard.event {
            frames.push(frame);
        }
    }
    frames
}

async fn heard(at: &mut Receiver<Heard>) -> SpeechFrame {
    until(at, "speech", |e| match e {
        ClientEvent::Speech(frame) => Some(frame.clone()),
        _ => None,
    })
    .await
}

async fn new_key(at: &mut Receiver<Heard>) {
    until(at, "new key", |e| {
        matches!(e, ClientEvent::KeyReceived { .. }).then_some(())
    })
    .await;
}

/// Packets that the talker sent and the listener did not open, between the first and the last that it
/// opened.
fn lost_packets(run: &Recording, talker: &str, listener: &str) -> usize {
    let media = |node: &str, name: &str| -> Vec<&[u8]> {
        let events = run.events.iter();
        let own = events.filter(|e| e.node == node && e.name == name);
        own.map(|event| event.raw.as_slice()).collect()
    };
    let opened: BTreeSet<&[u8]> = media(listener, "media:received").into_iter().collect();
    let sent = media(talker, "media:sent");
    let was_opened: Vec<bool> = sent.iter().map(|raw| opened.contains(raw)).collect();
    let first = was_opened.iter().position(|opened| *opened).unwrap();
    let last = was_opened.iter().rposition(|opened| *opened).unwrap();
    assert!(last - first > 50, "{first} to {last}");
    let between = &was_opened[first..=last];
    between.iter().filter(|opened| !**opened).count()
}

/// The keys that packets name, in the order of their first use.
fn keys_used(run: &Recording, talker: &str) -> Vec<String> {
    let mut used = Vec::new();
    let events = run.events.iter();
    for event in events.filter(|e| e.node == talker && e.name == "media:sent") {
        // GMK-ID, GUK-ID and ROC are the last twelve octets (TS 33.180 7.4.2).
        let tail = &event.raw[event.raw.len() - 12..event.raw.len() - 8];
        let id: String = tail.iter().map(|octet| format!("{octet:02x}")).collect();
        if used.last() != Some(&id) {
            used.push(id);
        }
    }
    used
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_re_key_during_a_talk_burst_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = Arc::new(ready(&lab, "alice").await);
    let bob = ready(&lab, "bob").await;
    let (mut at_bob, mut bobs_keys, mut at_alice) = (bob.follow(), bob.follow(), alice.follow());
    let talking = talk(&alice).await;
    heard(&mut at_bob).await;
    administer(&lab, Method::POST, "rekey").await;
    new_key(&mut at_alice).await;
    new_key(&mut bobs_keys).await;
    // Activation comes within two seconds; then she is heard under another key, in the same burst.
    let before = heard(&mut at_bob).await.guk_id.unwrap();
    let after = until(&mut at_bob, "speech under the new key", |e| match e {
        ClientEvent::Speech(frame) => frame.guk_id.filter(|guk_id| *guk_id != before),
        _ => None,
    })
    .await;
    assert_ne!(before, after);
    // The old key is revoked later, which nobody hears.
    new_key(&mut bobs_keys).await;
    let still = frames(&mut at_bob, Duration::from_millis(500)).await;
    assert!(still.iter().any(|frame| frame.guk_id == Some(after)));
    talking.end().await;
    stop(alice).await;
    bob.stop().await;
    let run = recording(lab);
    assert_eq!(
        keys_used(&run, "alice").len(),
        2,
        "one switch, in mid burst"
    );
    let lost = lost_packets(&run, "alice", "bob");
    assert_eq!(lost, 0, "packets that were sent and not opened");
}

/// Waits until a user takes no part in the group's call any more.
async fn until_left(lab: &Lab, user: &str) -> Value {
    let left = async {
        loop {
            let status = status(lab).await;
            let calls = status["calls"].as_array().unwrap().clone();
            let call = calls.into_iter().find(|call| call["group"] == GROUP);
            let call = call.unwrap();
            let participants = call["participants"].as_array().unwrap();
            if !participants.iter().any(|p| p == user) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_removed_leaves_the_call_and_the_others_go_on_under_another_key() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = Arc::new(ready(&lab, "alice").await);
    let bob = ready(&lab, "bob").await;
    let unit = ready(&lab, "unit-1001").await;
    let (mut at_bob, mut at_unit) = (bob.follow(), unit.follow());
    let mut units_keys = unit.follow();
    let talking = talk(&alice).await;
    heard(&mut at_bob).await;
    heard(&mut at_unit).await;
    let removed = "members/sip:bob@mc.example";
    administer(&lab, Method::DELETE, removed).await;
    let asked = Instant::now();
    until(&mut at_bob, "release", |e| {
        matches!(e, ClientEvent::Released { .. }).then_some(())
    })
    .await;
    let took = asked.elapsed();
    let after = until_left(&lab, "sip:bob@mc.example").await;
    // The whole machine may be busy; the rule says a second.
    assert!(took < Duration::from_secs(3), "{took:?}");
    let affiliations = after["affiliations"].as_array().unwrap();
    let of_bob = |one: &&Value| one["mcptt_id"] == "sip:bob@mc.example";
    assert!(
        !affiliations.iter().any(|one| of_bob(&one)),
        "{affiliations:?}"
    );
    assert_eq!(frames(&mut at_bob, Duration::from_secs(1)).await.len(), 0);
    // The others get another key and hear the same burst on, under it.
    new_key(&mut units_keys).await;
    let before = heard(&mut at_unit).await.guk_id.unwrap();
    let second = until(&mut at_unit, "speech under the new key", |e| match e {
        ClientEvent::Speech(frame) => frame.guk_id.filter(|guk_id| *guk_id != before),
        _ => None,
    })
    .await;
    assert_ne!(before, second);
    // Bob neither joins again nor is called, and never held the new key.
    let mut refused = bob.follow();
    bob.client.group_call(&group(), true).await.unwrap();
    let status = until(&mut refused, "refusal", |e| match e {
        ClientEvent::CallRefused { status, .. } => Some(*status),
        _ => None,
    })
    .await;
    assert_eq!(status, 403);
    talking.end().await;
    stop(alice).await;
    bob.stop().await;
    unit.stop().await;
    let run = recording(lab);
    let keys = keys_used(&run, "alice");
    assert_eq!(keys.len(), 2, "{keys:?}");
    let held = |node: &str| {
        let mut keys = run.keys.iter();
        keys.any(|key| key.node == node && key.key_id == keys_used(&run, "alice")[1])
    };
    assert!(held("unit-1001") && !held("bob"));
    assert_eq!(lost_packets(&run, "alice", "unit-1001"), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_late_hears_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = Arc::new(ready(&lab, "alice").await);
    let talking = talk(&alice).await;
    // Bob registers and affiliates while the call goes on, and is invited (TS 24.379 10.1.1.4.6).
    let bob = Party::start(&lab, "bob", &[GROUP]).await.unwrap();
    let mut at_bob = bob.follow();
    let talker = until(&mut at_bob, "floor taken", |e| match e {
        ClientEvent::FloorTaken { talker, .. } => Some(talker.clone()),
        _ => None,
    })
    .await;
    assert_eq!(talker.as_deref(), Some("sip:alice@mc.example"));
    let first = heard(&mut at_bob).await;
    let rest = frames(&mut at_bob, Duration::from_millis(400)).await;
    assert!(rest.iter().all(|frame| frame.ssrc == first.ssrc));
    talking.end().await;
    stop(alice).await;
    bob.stop().await;
}
