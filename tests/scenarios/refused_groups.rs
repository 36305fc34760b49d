//! A client that wants a group whose document it is refused serves its other groups, and that one too
//! once it is a member.

use lab::parties::Party;
use mc_client::{ClientEvent, Step};
use mc_ids::GroupId;
use reqwest::Method;

use crate::claims_stage::{COMMAND, granted, heard_so_far, hears, speak};
use crate::rules::administer;
use crate::support::{GROUP, PATIENCE, start, until, until_affiliated};

const CAROL: &str = "sip:carol@mc.example";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_are_served_and_the_refused_one_when_it_is_granted() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let carol = Party::start(&lab, "carol", &[COMMAND, GROUP]).await;
    let carol = carol.unwrap();
    let mut at_carol = carol.follow();
    if let Err(steps) = carol.until_ready(PATIENCE).await {
        panic!("carol is not ready: {steps:#?}");
    }
    let refusal = heard_so_far(&mut at_carol)
        .into_iter()
        .find_map(|event| match event {
            ClientEvent::GroupRefused { group, failure } => Some((group, failure)),
            _ => None,
        });
    let (group, failure) = refusal.unwrap();
    assert_eq!(group.as_str(), GROUP);
    assert_eq!(failure.service, "gms");
    assert!(failure.detail.ends_with("answered 403"), "{failure}");
    let bob = Party::start(&lab, "bob", &[COMMAND, GROUP]).await.unwrap();
    bob.until_ready(PATIENCE).await.unwrap();
    calls(&carol, &bob, COMMAND).await;

    let mut at_carol = carol.follow();
    administer(&lab, Method::PUT, &format!("members/{CAROL}")).await;
    until(&mut at_carol, "key", |e| match e {
        ClientEvent::KeyReceived { groups, .. } => {
            groups.iter().any(|g| g.as_str() == GROUP).then_some(())
        }
        _ => None,
    })
    .await;
    until_affiliated(&lab, CAROL, 2).await;
    calls(&carol, &bob, GROUP).await;
    carol.stop().await;
    bob.stop().await;
}

/// Carol talks in a group, and bob hears her.
async fn calls(carol: &Party, bob: &Party, group: &str) {
    let group: GroupId = group.parse().unwrap();
    let (mut at_carol, mut at_bob) = (carol.follow(), bob.follow());
    carol.client.group_call(&group, true).await.unwrap();
    granted(&mut at_carol).await;
    speak(carol, &(&group).into()).await;
    hears(&mut at_bob).await;
    carol.client.release_ptt(&group).await.unwrap();
}

#[tokio::test]
async fn who_is_refused_all_groups_is_told_so_and_is_not_ready() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let carol = Party::start(&lab, "carol", &[GROUP]).await.unwrap();
    let mut at_carol = carol.follow();
    let failure = until(&mut at_carol, "failure", |e| match e {
        ClientEvent::StepFailed(Step::G, failure) => Some(failure.clone()),
        _ => None,
    })
    .await;
    assert!(failure.detail.ends_with("answered 403"), "{failure}");
    assert!(!carol.steps().ready);
    carol.stop().await;
}
