//! Steps T and K against the real services as processes: users log in, get keys, and use them.

use lab::parties::{kms_client, log_in};
use lab::supervisor::Lab;
use mc_client::keys::{KeyRing, KeysError};
use mc_ids::annex_f::guk_id;
use mc_ids::{Gmk, GmkId};
use mc_runtime::{SharedClock, SystemClock};
use mikey::{DistributedKey, Distribution, ReplayCache, Unverified, VerifyPolicy};

use crate::support::start;

async fn keys_of(lab: &Lab, user: &str, clock: &SharedClock) -> KeyRing {
    let session = log_in(lab, user, clock.clone()).await.unwrap();
    let kms = kms_client(lab, clock.clone()).unwrap();
    kms.fetch(session.access_token.secret(), session.mcptt_id.as_str())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_gms_sends_alice_a_group_key_that_only_she_opens() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let clock = SystemClock::shared();
    let gms = keys_of(&lab, "gms", &clock).await;
    let alice = keys_of(&lab, "alice", &clock).await;
    let bob = keys_of(&lab, "bob", &clock).await;
    let (now, mut rng) = (clock.ntp(), mc_runtime::rng());
    let (gmk, gmk_id) = (Gmk::random(&mut rng), GmkId::random(&mut rng));
    let distribution = Distribution {
        initiator: gms
            .current("sip:gms@mc.example", now)
            .expect("keys of this period"),
        kms_initiator: gms.root(),
        responder: "sip:alice@mc.example",
        kms_responder: gms.root(),
        time: now,
        rand: [7; 16],
        to_self: false,
        key_parameters: None,
    };
    let message = distribution.gmk(&gmk, gmk_id, &mut rng).unwrap();
    let verified = |ring: &KeyRing| {
        let read = Unverified::parse(&message).unwrap();
        let mut replay = ReplayCache::new(1);
        read.verify(
            ring.certificates(),
            VerifyPolicy::default(),
            now,
            &mut replay,
        )
        .unwrap()
    };
    let opened = verified(&alice).open(alice.root(), alice.keys()).unwrap();
    let own = guk_id(&gmk, gmk_id, "sip:alice@mc.example");
    assert_eq!(
        opened.key,
        DistributedKey::Gmk {
            key: gmk,
            id: gmk_id,
            guk_id: own
        }
    );
    assert!(verified(&bob).open(bob.root(), bob.keys()).is_err());
}

#[tokio::test]
async fn nobody_gets_keys_of_another_user() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let clock = SystemClock::shared();
    let session = log_in(&lab, "bob", clock.clone()).await.unwrap();
    let kms = kms_client(&lab, clock).unwrap();
    let refused = kms
        .fetch(session.access_token.secret(), "sip:alice@mc.example")
        .await;
    assert!(
        matches!(refused, Err(KeysError::Refused { .. })),
        "{refused:?}"
    );
    let own = kms
        .fetch(session.access_token.secret(), "sip:bob@mc.example")
        .await;
    assert!(
        own.is_ok(),
        "the refusal left the service as it was: {own:?}"
    );
    assert!(lab.health().await.iter().all(lab::health::Health::is_ready));
}
