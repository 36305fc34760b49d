//! Revocation of one external user. Where each has an identity of his own (7.2, 7.3, 7.4) he alone is
//! cut off, within a second of one operator's action at KMS, identity management server or GMS; where
//! all share one (7.1, 7.5) there is nothing to revoke but all of them.

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
use mc_ids::{Gmk, GmkId, GukId, Key128 as _, KeyId};
use mc_runtime::SystemClock;
use mc_runtime::auth::{SCOPE_GMS, SCOPE_KMS};
use mc_trace::{KeyKind, KeyLogEntry, keylog};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;

use crate::claims_identities::{gateways_user, gms_token};
use crate::claims_stage::{ALICE, BOB, Stage, account, heard_so_far, private_call};
use crate::domains::{User, group_key_message};
use crate::folder::Folder;
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
    by_key_and_identity_servers:
    one_whose_keys_or_tokens_are_revoked_is_cut_off_at_once_7_2: ClientPerUser;
    one_whose_keys_or_tokens_are_revoked_is_cut_off_at_once_7_3: MigratedClients;
    one_whose_keys_or_tokens_are_revoked_is_cut_off_at_once_7_4: ExternalDomain;
}

claim! {
    by_group_server:
    one_external_user_is_taken_out_of_his_group_at_once_7_2: ClientPerUser;
    one_external_user_is_taken_out_of_his_group_at_once_7_3: MigratedClients;
    one_external_user_is_taken_out_of_his_group_at_once_7_4: ExternalDomain;
}

claim! {
    all_are_cut_off:
    one_external_user_cannot_be_revoked_alone_7_1: SingleClient;
    one_external_user_cannot_be_revoked_alone_7_5: ExternalDomainSingleUser;
}

/// One action at the KMS, then one at the identity management server, each on another user: the
/// others are told (`docs/revocation.md`), and there is nothing to do anywhere else.
async fn by_key_and_identity_servers(approach: Approach) {
    let folder = Folder::new(approach, "revoked-at-kms-and-idms");
    let stage = Stage::up(&folder.lab(), approach).await;
    let (lab, site) = (&stage.lab, stage.site);
    let [a, b] = site.units;
    stage.radio_talks(a).await;
    stage.radio_talks(b).await;
    let (first, second) = (
        gateways_user(lab, site, a).await,
        gateways_user(lab, site, b).await,
    );
    let tokens = [kms_token(&first).await, kms_token(&second).await];
    let at_gms = [
        gms_token(lab, site, &first).await,
        gms_token(lab, site, &second).await,
    ];
    let operator = Operator::of(lab).unwrap();

    let action = operator.revoke_keys(site.domain, first.identity);
    let talkers = is_cut_off(
        &stage,
        (a, Some(b)),
        &first,
        action,
        [&tokens[0], &at_gms[0]],
    )
    .await;
    let of_second = group_keys(lab).into_iter();
    let mut of_second = of_second.map(|key| guk_of(lab, key, second.identity));
    assert!(of_second.any(|guk| talkers.contains(&guk)), "{talkers:?}");
    // Who has no keys has tokens still; the other one has both.
    assert!(!log_in_fails(lab, site, a).await && !log_in_fails(lab, site, b).await);
    assert!(keys(lab, site, &second, &tokens[1]).await.is_ok());

    let action = operator.revoke_tokens(site.domain, second.identity);
    let talkers = is_cut_off(&stage, (b, None), &second, action, [&tokens[1], &at_gms[1]]).await;
    let of_alice = |key| guk_of(lab, key, ALICE);
    let of_alice: BTreeSet<_> = group_keys(lab).into_iter().map(of_alice).collect();
    assert!(talkers.is_subset(&of_alice), "{talkers:?}");
    assert!(log_in_fails(lab, site, b).await, "no token");
    stage.down().await;
}

/// Revokes a unit that can be heard, by one action of an operator: within a second the group has a key
/// he does not get, he is out of its call, and no server takes his tokens. He is heard no more and can
/// neither call nor be called, while the other unit is heard. Returns whom bob has heard since.
async fn is_cut_off<E: std::fmt::Debug>(
    stage: &Stage,
    (unit, other): (&str, Option<&str>),
    user: &User,
    action: impl Future<Output = Result<(), E>>,
    [at_kms, at_gms]: [&str; 2],
) -> BTreeSet<GukId> {
    let (lab, site) = (&stage.lab, stage.site);
    let known = group_keys(lab);
    let (mut at_bob, mut heard) = (stage.bob.follow(), stage.bob.follow());
    let acted = Instant::now();
    action.await.unwrap();
    let no_keys = async || {
        let asked = keys(lab, site, user, at_kms).await;
        matches!(asked, Err(KeysError::Refused { status: 403, .. }))
    };
    let no_group_key = async || {
        let asked = group_key_message(lab, Primary, site.group, at_gms, user.identity).await;
        asked == Err(403)
    };
    let out_of_call = until_out_of_call(lab, user.identity);
    let (new, (), (), ()) = tokio::join!(
        in_time("group key", acted, new_key(stage, &mut at_bob, &known)),
        in_time("call", acted, out_of_call),
        in_time("KMS", acted, until_so(no_keys)),
        in_time("GMS", acted, until_so(no_group_key)),
    );

    stage.radio_tries(unit).await;
    if let Some(other) = other {
        until_gateway_has(lab, site, new).await;
        stage.radio_talks(other).await;
    }
    no_private_calls(stage, unit).await;
    let talkers = until_switched(stage, &mut heard, new).await;
    for key in group_keys(lab) {
        let his = guk_of(lab, key, user.identity);
        assert!(!talkers.contains(&his), "{key:?} {talkers:?}");
    }
    talkers
}

/// What has to have happened within a second.
async fn in_time<T>(what: &str, since: Instant, effect: impl Future<Output = T>) -> T {
    let done = effect.await;
    assert!(since.elapsed() < AT_ONCE, "{what}: {:?}", since.elapsed());
    done
}

/// Waits until something holds.
async fn until_so(holds: impl AsyncFn() -> bool) {
    let so = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, so).await.unwrap();
}

/// Neither from a unit nor to it.
async fn no_private_calls(stage: &Stage, unit: &str) {
    let mut at_alice = stage.alice.follow();
    let wanted = private_call(stage.callee(unit));
    stage.alice.client.private_call(wanted).await.unwrap();
    let status = until(&mut at_alice, "refusal", |event| match event {
        ClientEvent::CallRefused { status, .. } => Some(*status),
        _ => None,
    });
    assert_eq!(status.await, 404);

    let mut at_bob = stage.bob.follow();
    stage.radios.call(unit, BOB).await.unwrap();
    until_so(async || {
        let radio = stage.radios.unit(unit).await.unwrap();
        radio.call.is_none() && radio.last_call.is_some_and(|end| end.status != 200)
    })
    .await;
    let told = heard_so_far(&mut at_bob);
    let offered = |event: &ClientEvent| matches!(event, ClientEvent::CallOffered { .. });
    assert!(!told.iter().any(offered), "{told:?}");
}

/// The administrator's action at the GMS: the group has a new key, which everybody else gets, and he is
/// out of its call; his other rights stay.
async fn by_group_server(approach: Approach) {
    let folder = Folder::new(approach, "removed-at-gms");
    let stage = Stage::up(&folder.lab(), approach).await;
    let (lab, site) = (&stage.lab, stage.site);
    let [a, b] = site.units;
    stage.radio_talks(a).await;
    stage.radio_talks(b).await;
    let removed = gateways_user(lab, site, a).await;
    let other = gateways_user(lab, site, b).await;
    let token = kms_token(&removed).await;
    let at_gms = gms_token(lab, site, &removed).await;
    let known = group_keys(lab);
    let (mut at_bob, mut heard) = (stage.bob.follow(), stage.bob.follow());
    let answered = remove_member(lab, site, removed.identity).await;
    let out_of_call = until_out_of_call(lab, removed.identity);
    let (new, ()) = tokio::join!(
        in_time("group key", answered, new_key(&stage, &mut at_bob, &known)),
        in_time("call", answered, out_of_call),
    );
    let refused = group_key_message(lab, Primary, site.group, &at_gms, removed.identity).await;
    assert_eq!(refused, Err(403));
    assert!(keys(lab, site, &removed, &token).await.is_ok());
    until_gateway_has(lab, site, new).await;

    // He is heard no more, under no key; the other one is.
    stage.radio_tries(a).await;
    stage.radio_talks(b).await;
    let talkers = until_switched(&stage, &mut heard, new).await;
    let of = |member: &str| {
        let keys = group_keys(lab).into_iter();
        let guks: BTreeSet<_> = keys.map(|key| guk_of(lab, key, member)).collect();
        talkers.intersection(&guks).count()
    };
    assert_eq!(of(removed.identity), 0, "{talkers:?}");
    assert!(of(other.identity) > 0, "{talkers:?}");
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

/// The key of the group that a client gets next.
async fn new_key(stage: &Stage, at: &mut Receiver<Heard>, known: &BTreeSet<GmkId>) -> GmkId {
    let of_group =
        |event: &ClientEvent| key_of_group(stage, event).filter(|id| !known.contains(id));
    until(at, "new key", of_group).await
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

/// All group keys there have been.
fn group_keys(lab: &Lab) -> BTreeSet<GmkId> {
    let entries = exported(lab).into_iter();
    let gmks = entries.filter(|entry| entry.kind == KeyKind::Gmk);
    let id = |entry: KeyLogEntry| KeyId(u32::from_str_radix(&entry.key_id, 16).unwrap());
    gmks.map(|entry| id(entry).try_into().unwrap()).collect()
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
    let folder = Folder::new(approach, "all-are-cut-off");
    let stage = Stage::up(&folder.lab(), approach).await;
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

    let known = group_keys(lab);
    let (mut at_bob, mut heard) = (stage.bob.follow(), stage.bob.follow());
    let removed = remove_member(lab, site, segy.identity).await;
    let (new, ()) = tokio::join!(
        new_key(&stage, &mut at_bob, &known),
        until_out_of_call(lab, segy.identity)
    );
    assert!(removed.elapsed() < AT_ONCE, "{:?}", removed.elapsed());
    stage.radio_tries(a).await;
    stage.radio_tries(b).await;
    let talkers = until_switched(&stage, &mut heard, new).await;
    let of_alice = |key| guk_of(lab, key, ALICE);
    let of_alice: BTreeSet<_> = group_keys(lab).into_iter().map(of_alice).collect();
    assert!(
        talkers.is_subset(&of_alice),
        "both are cut off: {talkers:?}"
    );
    assert_eq!(gateways_keys(lab, site, new), 0);
    stage.down().await;
}
