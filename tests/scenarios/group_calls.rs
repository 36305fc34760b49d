//! Group calls inside the MC domain: two clients, real keys, real speech, every service a process.

#![expect(clippy::unwrap_used, reason = "a step that fails fails the test")]

use std::time::Duration;

use lab::parties::{Heard, Party};
use lab::state::StateDir;
use lab::supervisor::{Lab, Setup};
use lab::topology::Addresses;
use mc_client::{ClientEvent, SpeechFrame};
use mc_ids::GroupId;
use tokio::sync::broadcast;

const GROUP: &str = "sip:fireground-1@mc.example";
const PATIENCE: Duration = Duration::from_secs(30);

async fn start(dir: &tempfile::TempDir) -> Lab {
    let state = StateDir::open(&dir.path().join("lab")).unwrap();
    let setup = Setup {
        addresses: Addresses::free().unwrap(),
        lab_keys: true,
    };
    let test = std::env::current_exe().unwrap();
    let binaries = test.parent().unwrap().parent().unwrap();
    Lab::start(state, setup, binaries, |_| ()).await.unwrap()
}

async fn ready(lab: &Lab, user: &str) -> Party {
    let party = Party::start(lab, user, &[GROUP]).await.unwrap();
    if let Err(steps) = party.until_ready(PATIENCE).await {
        panic!("{user} is not ready: {steps:#?}");
    }
    party
}

/// The first event that is wanted; all before it are shown when it does not come.
async fn until<T>(
    heard: &mut broadcast::Receiver<Heard>,
    what: &str,
    wanted: impl Fn(&ClientEvent) -> Option<T>,
) -> T {
    let mut others = Vec::new();
    let found = async {
        loop {
            let Heard { event, .. } = heard.recv().await.unwrap();
            if let Some(found) = wanted(&event) {
                return found;
            }
            if !matches!(event, ClientEvent::Speech(_)) {
                others.push(event);
            }
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("no {what}; instead {others:#?}"),
    }
}

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
    assert_eq!(frame.group, group);
    alice.client.release_ptt(&group).await.unwrap();
    until(&mut at_bob, "floor idle", |e| {
        matches!(e, ClientEvent::FloorIdle { .. }).then_some(())
    })
    .await;
    alice.client.hang_up(&group).await.unwrap();
    alice.stop().await;
    bob.stop().await;
}
