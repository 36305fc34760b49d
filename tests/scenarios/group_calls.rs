//! Group calls inside the MC domain.

use std::time::Duration;

use lab::parties::Party;
use mc_client::{CallId, ClientEvent, SpeechFrame};
use mc_ids::GroupId;
use testkit::{libsrtp, tshark};

use crate::support::{GROUP, PATIENCE, ready, recording, start, until, until_traced};

#[tokio::test]
async fn alice_speaks_and_bob_hears_her() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    let group: GroupId = GROUP.parse().unwrap();
    alice.client.group_call(&group, true).await.unwrap();
    until(&mut at_alice, "call", |e| {
        matches!(e, ClientEvent::CallStarted { .. }).then_some(())
    })
    .await;
    until(&mut at_alice, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
    let talker = until(&mut at_bob, "floor taken", |e| match e {
        ClientEvent::FloorTaken { talker, .. } => Some(talker.clone()),
        _ => None,
    })
    .await;
    assert_eq!(talker.as_deref(), Some("sip:alice@mc.example"));
    for _ in 0..50 {
        let tone: Vec<i16> = (0..320i16)
            .map(|i| if i % 16 < 8 { 8000 } else { -8000 })
            .collect();
        alice.client.send_speech(&group, tone).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let frame: SpeechFrame = until(&mut at_bob, "speech", |e| match e {
        ClientEvent::Speech(frame) => Some(frame.clone()),
        _ => None,
    })
    .await;
    assert_eq!(frame.call, CallId::from(&group));
    alice.client.release_ptt(&group).await.unwrap();
    until(&mut at_bob, "floor idle", |e| {
        matches!(e, ClientEvent::FloorIdle { .. }).then_some(())
    })
    .await;
    alice.client.hang_up(&group).await.unwrap();
    alice.stop().await;
    bob.stop().await;

    // The same call, as software of others sees it.
    let run = recording(lab);
    assert!(tshark::check_sip(&run).unwrap() > 20);
    let mikey = tshark::check_mikey(&run).unwrap();
    let carriers: Vec<_> = mikey.iter().map(|seen| seen.carrier.as_str()).collect();
    assert!(carriers.contains(&"REGISTER"), "CSK: {carriers:?}");
    assert!(carriers.contains(&"MESSAGE"), "GMK: {carriers:?}");
    let floor = tshark::check_floor(&run).unwrap();
    for subtype in [1, 2, 4, 5] {
        assert!(
            floor.contains(&subtype) || floor.contains(&(subtype + 16)),
            "{floor:?}"
        );
    }
    let opened = libsrtp::check_media(&run).unwrap();
    assert!(opened.media >= 50 && opened.floor >= 4, "{opened:?}");
}

/// The server answers a PUBLISH before it has looked at the groups, and refuses calls meanwhile.
//= TS 24.379 9.2.1.3
#[tokio::test]
async fn a_call_asked_for_with_the_first_key_waits_until_the_server_tells_of_the_affiliation() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let group: GroupId = GROUP.parse().unwrap();
    let alice = Party::start(&lab, "alice", &[GROUP]).await.unwrap();
    let mut at_alice = alice.follow();
    until(&mut at_alice, "key", |e| {
        matches!(e, ClientEvent::KeyReceived { .. }).then_some(())
    })
    .await;
    alice.client.group_call(&group, true).await.unwrap();
    let failure = until(&mut at_alice, "call", |e| match e {
        ClientEvent::CallStarted { .. } => Some(None),
        ClientEvent::StepFailed(_, failure) => Some(Some(failure.clone())),
        _ => None,
    })
    .await;
    assert_eq!(failure, None);
    alice.until_ready(PATIENCE).await.unwrap();
    assert!(alice.steps().ready);
    alice.client.hang_up(&group).await.unwrap();

    let result = |event: &mc_trace::Event| {
        let text = String::from_utf8_lossy(&event.raw);
        event.node == "alice"
            && (event.name == "sip:received"
                && text.starts_with("NOTIFY ")
                && text.contains("p-id>")
                || event.name == "sip:sent" && text.starts_with("INVITE "))
    };
    let order = until_traced(&lab, "NOTIFY and INVITE", 2, result).await;
    let first = String::from_utf8_lossy(&order[0].raw).into_owned();
    assert!(first.starts_with("NOTIFY "), "{first}");
    alice.stop().await;
}
