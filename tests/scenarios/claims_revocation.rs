//! Revocation of one external user. Where each has an identity of his own (7.2, 7.3, 7.4) he alone is
//! cut off, within a second of the operators' action; where all share one (7.1, 7.5) there is nothing
//! to revoke but all of them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lab::operator::Operator;
use lab::parties::Heard;
use lab::site::{Approach, Site};
use lab::supervisor::Lab;
use lab::topology::Domain::Primary;
use lab::topology::PortName;
use mc_client::ClientEvent;
use mc_client::keys::KeysError;
use mc_ids::annex_f::guk_id;
use mc_ids::{Gmk, GmkId, GukId, Key128 as _};
use mc_runtime::SystemClock;
use mc_runtime::auth::{SCOPE_GMS, SCOPE_KMS};
use mc_trace::{KeyKind, KeyLogEntry, keylog};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;

use crate::claims_identities::{gateways_user, gms_token};
use crate::claims_stage::{ALICE, Stage, account};
use crate::domains::{User, group_key_message};
use crate::peer::https;
use crate::refusals_tokens::{claims, issuer_key};
use crate::support::{PATIENCE, status, until};

/// What the claim allows from an operator's action to its effect.
const AT_ONCE: Duration = Duration::from_secs(1);

macro_rules! claim {
    ($check:ident: $($test:ident: $approach:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $check(Approach::$approach).await;
        }
    )*};
}

claim! {
    one_is_cut_off:
    one_external_user_is_revoked_at_once_7_2: ClientPerUser;
    one_external_user_is_revoked_at_once_7_3: MigratedClients;
    one_external_user_is_revoked_at_once_7_4: ExternalDomain;
}

claim! {
    all_are_cut_off:
    one_external_user_cannot_be_revoked_alone_7_1: SingleClient;
    one_external_user_cannot_be_revoked_alone_7_5: ExternalDomainSingleUser;
}

async fn one_is_cut_off(approach: Approach) {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::up(dir.path(), approach).await;
    let (lab, site) = (&stage.lab, stage.site);
    let [a, b] = site.units;
    stage.radio_talks(a).await;
    stage.radio_talks(b).await;
    let revoked = gateways_user(lab, site, a).await;
    let other = gateways_user(lab, site, b).await;
    let tokens = [kms_token(&revoked).await, kms_token(&other).await];
    let at_gms = gms_token(lab, site, &revoked).await;

    // KMS and IdMS: the first thing he asks for after the action is refused.
    let operator = Operator::of(lab).unwrap();
    operator
        .revoke_user(site.domain, revoked.identity)
        .await
        .unwrap();
    let done = Instant::now();
    let refused = keys(lab, site, &revoked, &tokens[0]).await;
    assert!(
        matches!(refused, Err(KeysError::Refused { status: 403, .. })),
        "{refused:?}"
    );
    assert!(done.elapsed() < AT_ONCE, "{:?}", done.elapsed());
    assert!(log_in_fails(lab, site, a).await, "no token");
    assert!(keys(lab, site, &other, &tokens[1]).await.is_ok());
    assert!(!log_in_fails(lab, site, b).await);

    // GMS: the group has a new key, which everybody else gets, and he is out of its call.
    let (mut at_bob, mut heard) = (stage.bob.follow(), stage.bob.follow());
    let removed = remove_member(lab, site, revoked.identity).await;
    let (new, ()) = tokio::join!(
        async {
            let new = new_key(&stage, &mut at_bob).await;
            assert!(removed.elapsed() < AT_ONCE, "key: {:?}", removed.elapsed());
            new
        },
        async {
            until_out_of_call(lab, revoked.identity).await;
            assert!(removed.elapsed() < AT_ONCE, "call: {:?}", removed.elapsed());
        }
    );
    let refused = group_key_message(lab, Primary, site.group, &at_gms, revoked.identity).await;
    assert_eq!(refused, Err(403));
    until_gateway_has(lab, site, new).await;

    // He is heard no more, under no key; the others are, and soon under the new one.
    stage.radio_tries(a).await;
    stage.radio_talks(b).await;
    let talkers = until_switched(&stage, &mut heard, new).await;
    for key in [old_key(&stage), new] {
        assert!(
            !talkers.contains(&guk_of(lab, key, revoked.identity)),
            "{talkers:?}"
        );
    }
    let of_other = [old_key(&stage), new].map(|key| guk_of(lab, key, other.identity));
    assert!(
        of_other.iter().any(|guk| talkers.contains(guk)),
        "{talkers:?}"
    );
    let held = gateways_keys(lab, site, new);
    assert_eq!(held, 1, "one of the gateway's two users has the new key");
    stage.down().await;
}

/// The server serves him in the group no more.
async fn until_out_of_call(lab: &Lab, member: &str) {
    let is_in = |status: &Value| {
        let mut calls = status["calls"].as_array().unwrap().iter();
        calls.any(|call| {
            call["participants"]
                .as_array()
                .unwrap()
                .iter()
                .any(|p| p == member)
        })
    };
    let out = async {
        while is_in(&status(lab).await) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, out).await.unwrap();
}

/// Alice talks until she does so under the new key, which is in use a while after it came; returns
/// GUK-IDs of all that bob has heard.
async fn until_switched(stage: &Stage, heard: &mut Receiver<Heard>, new: GmkId) -> BTreeSet<GukId> {
    let mut talkers = BTreeSet::new();
    let switched = async {
        while !talkers.contains(&guk_of(&stage.lab, new, ALICE)) {
            stage.alice_talks_again(stage.site.group).await;
            talkers.extend(self::talkers(heard));
        }
    };
    tokio::time::timeout(PATIENCE, switched).await.unwrap();
    talkers
}

async fn kms_token(user: &User) -> String {
    let token = user.tokens.token(SCOPE_KMS).await.unwrap();
    token.secret().to_owned()
}

/// His keys of the current period, asked for with a token from before.
async fn keys(lab: &Lab, site: &Site, user: &User, token: &str) -> Result<usize, KeysError> {
    let kms = lab::parties::kms_client_in(lab, site.domain, SystemClock::shared()).unwrap();
    let keys = kms.key_provision(token, user.identity, user.ring.root());
    keys.await.map(|keys| keys.len())
}

/// Whether a log-in of a user of the site is refused.
async fn log_in_fails(lab: &Lab, site: &Site, unit: &str) -> bool {
    let account = account(site, unit);
    let clock = SystemClock::shared();
    let tokens = lab::parties::tokens_in(lab, site.domain, &account, clock).await;
    tokens.is_err()
}

/// The administrator's action at the GMS; when it was answered.
async fn remove_member(lab: &Lab, site: &Site, member: &str) -> Instant {
    let admin = claims(lab, "admin", "sip:gms@mc.example", SCOPE_GMS);
    let admin = issuer_key(lab).await.sign(&admin).unwrap();
    let gms = lab.addresses().of(PortName::Gms);
    let url = format!("https://{gms}/admin/groups/{}/members/{member}", site.group);
    let answer = https(lab)
        .delete(url)
        .bearer_auth(admin)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    Instant::now()
}

/// The key that a client gets next.
async fn new_key(stage: &Stage, at: &mut Receiver<Heard>) -> GmkId {
    let old = old_key(stage);
    let of_group = |event: &ClientEvent| key_of_group(stage, event).filter(|id| *id != old);
    until(at, "new key", of_group).await
}

/// The site's group key that alice came up with.
fn old_key(stage: &Stage) -> GmkId {
    let mut keys = stage
        .told
        .iter()
        .filter_map(|event| key_of_group(stage, event));
    keys.next_back().unwrap()
}

fn key_of_group(stage: &Stage, event: &ClientEvent) -> Option<GmkId> {
    match event {
        ClientEvent::KeyReceived { gmk_id, groups, .. } => {
            let is_ours = groups
                .iter()
                .any(|group| group.as_str() == stage.site.group);
            is_ours.then_some(*gmk_id)
        }
        _ => None,
    }
}

/// GUK-IDs of all that was heard.
fn talkers(heard: &mut Receiver<Heard>) -> BTreeSet<GukId> {
    let mut talkers = BTreeSet::new();
    while let Ok(Heard { event, .. }) = heard.try_recv() {
        if let ClientEvent::Speech(frame) = event {
            talkers.extend(frame.guk_id);
        }
    }
    talkers
}

fn exported(lab: &Lab) -> Vec<KeyLogEntry> {
    let log = std::fs::read_to_string(lab.state().file("logs", "keys.jsonl")).unwrap();
    keylog::read(&log).collect()
}

fn is_gmk(entry: &KeyLogEntry, id: GmkId) -> bool {
    entry.kind == KeyKind::Gmk && entry.key_id == format!("{:08x}", id.key_id().0)
}

/// How many of the gateway's users have a group key.
fn gateways_keys(lab: &Lab, site: &Site, id: GmkId) -> usize {
    let entries = exported(lab).into_iter();
    let own = entries.filter(|entry| entry.node == site.gateway().name && is_gmk(entry, id));
    own.count()
}

async fn until_gateway_has(lab: &Lab, site: &Site, id: GmkId) {
    let has = async {
        while gateways_keys(lab, site, id) == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, has).await.unwrap();
}

/// What a member's packets name him by under a group key (TS 33.180 5.2.3).
fn guk_of(lab: &Lab, id: GmkId, member: &str) -> GukId {
    let entries = exported(lab);
    let key = entries.iter().find(|entry| is_gmk(entry, id)).unwrap();
    let octets: Vec<u8> = (0..16)
        .map(|n| u8::from_str_radix(&key.key[2 * n..2 * n + 2], 16).unwrap())
        .collect();
    let gmk = Gmk::from_octets(octets.try_into().unwrap());
    guk_id(&gmk, id, member)
}

/// One identity for all: there is no handle on one of them at any of the three servers, and the one
/// there is cuts off all.
async fn all_are_cut_off(approach: Approach) {
    let dir = tempfile::tempdir().unwrap();
    let stage = Stage::up(dir.path(), approach).await;
    let (lab, site) = (&stage.lab, stage.site);
    let [a, b] = site.units;
    stage.radio_talks(a).await;
    stage.radio_talks(b).await;
    // What names one of them is no user: revoking it changes nothing for anybody.
    let operator = Operator::of(lab).unwrap();
    operator
        .revoke_user(site.domain, &site.address(a))
        .await
        .unwrap();
    let segy = gateways_user(lab, site, a).await;
    assert!(
        keys(lab, site, &segy, &kms_token(&segy).await)
            .await
            .is_ok()
    );
    stage.radio_talks(a).await;

    let (mut at_bob, mut heard) = (stage.bob.follow(), stage.bob.follow());
    let removed = remove_member(lab, site, segy.identity).await;
    let (new, ()) = tokio::join!(
        new_key(&stage, &mut at_bob),
        until_out_of_call(lab, segy.identity)
    );
    assert!(removed.elapsed() < AT_ONCE, "{:?}", removed.elapsed());
    stage.radio_tries(a).await;
    stage.radio_tries(b).await;
    let talkers = until_switched(&stage, &mut heard, new).await;
    let of_alice = [old_key(&stage), new].map(|key| guk_of(lab, key, ALICE));
    let others = talkers.iter().filter(|guk| !of_alice.contains(guk));
    assert_eq!(others.count(), 0, "both are cut off: {talkers:?}");
    assert_eq!(gateways_keys(lab, site, new), 0);
    stage.down().await;
}
