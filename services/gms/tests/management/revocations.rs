//! What another server says of revoked users: they are out of all groups, of one key each, and stay
//! out until they are users again and an administrator brings them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mc_ids::McServiceId;
use mc_runtime::CancellationToken;
use mc_runtime::http::{self, ServerConfig};
use mc_runtime::revocations::{Announcer, RevocationSource, Revoking};
use reqwest::{Method, StatusCode};

use crate::lab::{ADMIN, ALICE, BOB, CAROL, GROUP, INTEROP, Lab, OPEN_GROUP, document};

#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<BTreeSet<McServiceId>>>);

impl Revoking for Accounts {
    async fn revoked(&self) -> anyhow::Result<BTreeSet<McServiceId>> {
        Ok(self.0.lock().unwrap().clone())
    }
}

async fn members_of(lab: &Lab, group: &str) -> Vec<String> {
    let group = lab.gms.group(group).await.unwrap().unwrap();
    let members = group.document.members().iter();
    members.map(|member| member.uri.clone()).collect()
}

async fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            match look().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, found).await.unwrap()
}

async fn bring(lab: &Lab, member: &str) -> StatusCode {
    let path = format!("/admin/groups/{GROUP}/members/{member}");
    let request = lab.request(Method::PUT, &path, ADMIN);
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn the_revoked_are_members_of_nothing_until_they_are_brought_again() {
    let (dir, stop) = (tempfile::tempdir().unwrap(), CancellationToken::new());
    let token_file = dir.path().join("token");
    let accounts = Accounts::default();
    let announcer = Announcer::load(&token_file, &mut mc_runtime::rng()).unwrap();
    announcer.close_with(stop.clone());
    let plain = ServerConfig::plain(([127, 0, 0, 1], 0).into());
    let router = announcer.router(accounts.clone());
    let source = http::serve(&plain, router, stop.clone()).await.unwrap();
    let source = RevocationSource {
        url: format!("http://{}", source.address),
        token_file,
        domains: vec!["mc.example".to_owned()],
    };
    let mut lab = Lab::start_with(|config, _| config.revocations = vec![source]).await;
    let say = |revoked: &[&str]| {
        let revoked = revoked.iter().map(|user| user.parse().unwrap());
        *accounts.0.lock().unwrap() = revoked.collect();
        announcer.changed();
    };
    lab.subscribed(BOB, &[document(GROUP).trim_start_matches('/').to_owned()])
        .await;
    let old = lab.key_for(BOB).await;
    let is_member = async |group: &str, user: &str| {
        let members = members_of(&lab, group).await;
        members.iter().any(|member| member == user)
    };
    assert!(is_member(GROUP, ALICE).await && is_member(OPEN_GROUP, ALICE).await);

    say(&[ALICE]);
    for group in [GROUP, OPEN_GROUP, INTEROP] {
        until(async || (!is_member(group, ALICE).await).then_some(())).await;
    }
    assert!(is_member(GROUP, BOB).await && is_member(OPEN_GROUP, CAROL).await);
    // Nor does any token of hers open anything, as long as it may be valid.
    let own = lab.request(Method::GET, &document(GROUP), ALICE);
    assert_eq!(own.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    assert_eq!(bring(&lab, ALICE).await, StatusCode::CONFLICT);
    assert!(!is_member(GROUP, ALICE).await);
    let taken_out = lab.events().await;
    let taken_out = taken_out.iter().filter(|event| *event == "revoked");
    assert_eq!(taken_out.count(), 3, "one record for each group");

    say(&[]);
    until(async || (bring(&lab, ALICE).await == StatusCode::OK).then_some(())).await;
    assert!(is_member(GROUP, ALICE).await && !is_member(OPEN_GROUP, ALICE).await);
    let request = lab.next_request().await;
    assert_eq!(request.request.method, mc_sip::Method::Notify);
    let new = lab.key_for(BOB).await;
    assert_ne!(
        (new.id, &new.key),
        (old.id, &old.key),
        "a key she never had"
    );
    stop.cancel();
}
