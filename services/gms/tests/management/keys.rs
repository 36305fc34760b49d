//! Group keys reach members, all of them and nobody else.

use std::collections::BTreeSet;

use gms::config::Config;
use mc_xml::xcap_diff::DocumentChange;
use reqwest::{Method, StatusCode};

use crate::lab::{ADMIN, ALICE, BOB, CAROL, GROUP, Lab, OPEN_GROUP, SEGY, document};

fn selector(group_id: &str) -> String {
    document(group_id).trim_start_matches('/').to_owned()
}

async fn administer(lab: &Lab, method: Method, what: &str) -> serde_json::Value {
    let path = format!("/admin/groups/{GROUP}/{what}");
    let response = lab.request(method, &path, ADMIN).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_subscriber_gets_the_documents_tag_and_the_groups_key() {
    let mut lab = Lab::start().await;
    let (protected, open) = (selector(GROUP), selector(OPEN_GROUP));
    let diff = lab
        .subscribed(ALICE, &[protected.clone(), open.clone()])
        .await;
    assert_eq!(diff.xcap_root, "http://localhost/");
    let mut expected = Vec::new();
    for (sel, group_id) in [(protected, GROUP), (open, OPEN_GROUP)] {
        expected.push(DocumentChange {
            sel,
            new_etag: Some(lab.stored(group_id).await.1),
            previous_etag: None,
        });
    }
    assert_eq!(diff.documents, expected);
    let key = lab.key_for(ALICE).await;
    let parameters = key.parameters.unwrap();
    assert_eq!(parameters.groups.unwrap(), [GROUP]);
    assert!(!parameters.status.is_revoked());
    assert!(parameters.status.is_shared_with_gateway());
}

#[tokio::test]
async fn all_members_get_the_same_key_and_rand() {
    let mut lab = Lab::start().await;
    let mut keys = Vec::new();
    for member in [ALICE, BOB, SEGY] {
        lab.subscribed(member, &[selector(GROUP)]).await;
        keys.push(lab.key_for(member).await);
    }
    for pair in keys.windows(2) {
        let [one, other] = pair else { panic!() };
        assert_eq!(
            (one.id, &one.key, &one.rand),
            (other.id, &other.key, &other.rand)
        );
    }
}

#[tokio::test]
async fn a_new_key_comes_into_use_before_the_old_one_is_revoked() {
    let delays = |config: &mut Config, _| {
        (config.key_activation_delay_s, config.key_overlap_s) = (1, 1);
    };
    let mut lab = Lab::start_with(delays).await;
    lab.subscribed(ALICE, &[selector(GROUP)]).await;
    let old = lab.key_for(ALICE).await;
    assert_eq!(old.parameters.unwrap().activation, 0, "at once");
    let asked = lab.gms.clock.unix_s();
    let answer = administer(&lab, Method::POST, "rekey").await;
    let new = lab.key_for(ALICE).await;
    let revocation = lab.key_for(ALICE).await;
    assert_eq!(revocation.id, old.id);
    assert!(revocation.parameters.unwrap().status.is_revoked());
    // All members have time to get the new key before anybody speaks under it.
    assert!(new.parameters.unwrap().activation > asked);
    assert_ne!((new.id, &new.key), (old.id, &old.key));
    assert_ne!(new.rand, old.rand);
    assert_eq!(answer["gmk_id"], new.id.to_string());
    assert_eq!(lab.gms.store.active_keys(GROUP).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_re_key_brings_every_member_the_same_key_and_revokes_the_same_one() {
    let delays = |config: &mut Config, _| {
        (config.key_activation_delay_s, config.key_overlap_s) = (1, 1);
    };
    let mut lab = Lab::start_with(delays).await;
    let members = BTreeSet::from([ALICE, BOB, SEGY].map(str::to_owned));
    let mut old = None;
    for member in &members {
        lab.subscribed(member, &[selector(GROUP)]).await;
        old = Some(lab.key_for(member).await.id);
    }
    let answer = administer(&lab, Method::POST, "rekey").await;
    for revoked in [false, true] {
        let mut reached = BTreeSet::new();
        let mut keys = Vec::new();
        for _ in &members {
            let (member, key) = lab.any_key().await;
            assert_eq!(key.parameters.unwrap().status.is_revoked(), revoked);
            reached.insert(member);
            keys.push((key.id, key.key, key.rand));
        }
        assert_eq!(reached, members);
        keys.dedup();
        let [(id, ..)] = keys.as_slice() else {
            panic!("{keys:?}")
        };
        match revoked {
            false => assert_eq!(answer["gmk_id"], id.to_string()),
            true => assert_eq!(Some(*id), old),
        }
    }
}

#[tokio::test]
async fn after_a_removal_the_new_key_is_in_use_at_once_and_the_old_one_revoked() {
    let delays = |config: &mut Config, _| {
        (config.key_activation_delay_s, config.key_overlap_s) = (3600, 3600);
    };
    let mut lab = Lab::start_with(delays).await;
    lab.subscribed(ALICE, &[selector(GROUP)]).await;
    let old = lab.key_for(ALICE).await;
    administer(&lab, Method::DELETE, &format!("members/{BOB}")).await;
    lab.notified().await;
    let new = lab.key_for(ALICE).await;
    assert_ne!(new.key, old.key);
    let activation = new.parameters.unwrap().activation;
    assert!(activation <= lab.gms.clock.unix_s(), "{activation}");
    let revocation = lab.key_for(ALICE).await;
    assert_eq!(revocation.id, old.id);
    assert!(revocation.parameters.unwrap().status.is_revoked());
}

#[tokio::test]
async fn who_leaves_gets_no_new_key_and_no_further_notice() {
    let mut lab = Lab::start().await;
    lab.subscribed(ALICE, &[selector(GROUP)]).await;
    let old = lab.key_for(ALICE).await;
    lab.subscribed(BOB, &[selector(GROUP)]).await;
    lab.key_for(BOB).await;
    let before = lab.stored(GROUP).await.1;

    administer(&lab, Method::DELETE, &format!("members/{BOB}")).await;
    // Both are told of the change, Bob that the document is gone for him.
    let after = lab.stored(GROUP).await.1;
    let mut tags = Vec::new();
    for _ in 0..2 {
        let diff = lab.notified().await;
        let change = diff.documents.into_iter().next().unwrap();
        tags.push((change.new_etag, change.previous_etag));
    }
    tags.sort();
    assert_eq!(
        tags,
        [(None, Some(before.clone())), (Some(after), Some(before))]
    );
    let new = lab.key_for(ALICE).await;
    assert_ne!(new.key, old.key);
    let revocation = lab.key_for(ALICE).await;
    assert_eq!(revocation.id, old.id);
    assert!(revocation.parameters.unwrap().status.is_revoked());

    // The next change reaches Alice only: the next request after her key is her NOTIFY.
    administer(&lab, Method::PUT, &format!("members/{CAROL}")).await;
    assert!(
        lab.notified()
            .await
            .documents
            .first()
            .unwrap()
            .new_etag
            .is_some()
    );
    administer(&lab, Method::POST, "rekey").await;
    let newest = lab.key_for(ALICE).await;
    assert_ne!(newest.key, new.key);
    let path = format!("/org.3gpp.MCPTT-GKTP/global/byGroupID/{GROUP}");
    let refused = lab.request(Method::GET, &path, BOB).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_comes_back_gets_the_present_key() {
    let mut lab = Lab::start_with(|config, _| config.key_overlap_s = 3600).await;
    lab.subscribed(BOB, &[selector(GROUP)]).await;
    let old = lab.key_for(BOB).await;
    administer(&lab, Method::DELETE, &format!("members/{BOB}")).await;
    assert_eq!(
        lab.notified().await.documents.first().unwrap().new_etag,
        None
    );
    // What comes next in the queue is told after the re-key, which is not for Bob.
    lab.subscribed(CAROL, &[selector(OPEN_GROUP)]).await;
    administer(&lab, Method::PUT, &format!("members/{BOB}")).await;
    let change = lab.notified().await.documents.into_iter().next().unwrap();
    assert_eq!(
        (change.new_etag, change.previous_etag),
        (Some(lab.stored(GROUP).await.1), None)
    );
    assert_ne!(lab.key_for(BOB).await.key, old.key);
}

#[tokio::test]
async fn keys_are_sealed_at_rest_and_bound_to_their_group() {
    let lab = Lab::start().await;
    let key = lab.gms.group_key(GROUP).await.unwrap();
    assert_eq!(lab.gms.group_key(GROUP).await.unwrap(), key, "made once");
    let stored = lab.gms.store.active_keys(GROUP).await.unwrap();
    let sealed = &stored.first().unwrap().sealed;
    let secret = key.secret_octets();
    assert!(!sealed.windows(16).any(|window| secret.starts_with(window)));
    lab.gms
        .store
        .replace_key(
            OPEN_GROUP,
            &gms::store::StoredKey {
                gmk_id: key.id.key_id().0 ^ 1,
                sealed: sealed.clone(),
                activation_s: 0,
            },
            1,
            None,
        )
        .await
        .unwrap();
    assert!(lab.gms.active_key(OPEN_GROUP).await.is_err());
}
