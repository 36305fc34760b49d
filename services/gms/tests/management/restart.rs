//! What subscribers learn after the server died: everything that was acknowledged meanwhile.

use mc_sip::Method;
use mc_xml::xcap_diff::XcapDiff;

use crate::lab::{ALICE, BOB, CAROL, GROUP, Lab};

fn selector() -> String {
    format!("org.openmobilealliance.groups/global/byGroupID/{GROUP}")
}

/// The next request, a NOTIFY: its Call-ID, sequence number and content.
async fn notified(lab: &mut Lab) -> (String, u32, XcapDiff) {
    let incoming = lab.next_request().await;
    let request = &incoming.request;
    assert_eq!(request.method, Method::Notify);
    let (call_id, cseq) = (request.headers.call_id(), request.headers.cseq());
    let diff = XcapDiff::parse(&request.body).unwrap();
    (call_id.unwrap().to_owned(), cseq.unwrap().number, diff)
}

#[tokio::test]
async fn what_was_acknowledged_when_it_died_is_told_in_the_same_dialogs() {
    let mut lab = Lab::start_with(|config, _| config.key_overlap_s = 3600).await;
    let request = crate::subscriber::subscribe(&lab, ALICE, &lab.token(ALICE), &[selector()]);
    let subscribed = request.headers.call_id().unwrap().to_owned();
    assert!(lab.send(request).await.status.is_success());
    let (call_id, before, diff) = notified(&mut lab).await;
    assert_eq!(call_id, subscribed);
    let tag = diff.documents[0].new_etag.clone();
    let first = lab.key_for(ALICE).await;

    lab.server_dies().await;
    lab.gms.change_member(GROUP, CAROL, true).await.unwrap();
    let second = lab.gms.rekey(GROUP).await.unwrap();
    lab.server_returns().await;

    let (call_id, after, diff) = notified(&mut lab).await;
    assert_eq!(call_id, subscribed);
    assert!(after > before, "{after} after {before}");
    assert_ne!(diff.documents[0].new_etag, tag);
    assert_eq!(diff.documents[0].new_etag, Some(lab.stored(GROUP).await.1));
    let key = lab.key_for(ALICE).await;
    assert_eq!(key.id, second.id);
    assert_ne!(key.id, first.id);

    // And what comes later is told as ever, each thing once.
    let third = lab.gms.rekey(GROUP).await.unwrap();
    assert_eq!(lab.key_for(ALICE).await.id, third.id);
    lab.subscribed(BOB, &[selector()]).await;
}

#[tokio::test]
async fn a_revocation_that_was_not_told_yet_is_told_after_the_restart() {
    let mut lab = Lab::start_with(|config, _| {
        (config.key_activation_delay_s, config.key_overlap_s) = (0, 2);
    })
    .await;
    lab.subscribed(ALICE, &[selector()]).await;
    let old = lab.key_for(ALICE).await;
    let new = lab.gms.rekey(GROUP).await.unwrap();
    assert_eq!(lab.key_for(ALICE).await.id, new.id);
    let pending = lab.gms.store.pending_revocations().await.unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!(pending[0].key.gmk_id, old.id.key_id().0);

    lab.server_dies().await;
    lab.server_returns().await;

    notified(&mut lab).await;
    assert_eq!(lab.key_for(ALICE).await.id, new.id);
    let revocation = lab.key_for(ALICE).await;
    assert_eq!(revocation.id, old.id);
    assert!(revocation.parameters.unwrap().status.is_revoked());
    let told = async {
        while !lab
            .gms
            .store
            .pending_revocations()
            .await
            .unwrap()
            .is_empty()
        {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let patience = std::time::Duration::from_secs(10);
    tokio::time::timeout(patience, told).await.unwrap();
}
