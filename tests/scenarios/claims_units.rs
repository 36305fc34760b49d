//! One external user cannot act as another on the MC side where each has an identity of his own
//! (7.2, 7.3, 7.4); where all share one (7.1, 7.5), the gateway's map is the control and its audit log
//! the evidence (TR 33.880 D1-1, D5-2).

use std::collections::BTreeSet;

use lab::site::{Approach, Link};
use lab::topology::Domain::Primary;
use mc_client::keys::KeysError;
use mc_ids::{Pck, PckId};
use mc_runtime::SystemClock;
use mc_runtime::auth::SCOPE_KMS;
use mc_trace::KeyKind;
use mikey::{Distribution, ReplayCache, Unverified, UserKeys, VerifyError, VerifyPolicy};
use serde_json::Value;
use testkit::recording::Recording;
use testkit::tshark;

use crate::approaches::arrived;
use crate::claims_identities::{
    activate, gateways_user, gms_token, said_by, signed_again, signing_key,
};
use crate::claims_stage::{BOB, Stage};
use crate::counts::key_sets;
use crate::domains::{self, User, group_key_message};
use crate::folder::Folder;
use crate::peer::Peer;
use crate::support::start_site_in;

macro_rules! claim {
    ($check:ident: $($test:ident: $approach:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $check(Approach::$approach).await;
        }
    )*};
}

claim! {
    acts_as_itself_only:
    a_unit_cannot_act_as_another_7_2: ClientPerUser;
    a_unit_cannot_act_as_another_7_3: MigratedClients;
    a_unit_cannot_act_as_another_7_4: ExternalDomain;
}

claim! {
    map_and_audit_tell_apart:
    units_with_one_identity_are_told_apart_by_map_and_audit_7_1: SingleClient;
    units_with_one_identity_are_told_apart_by_map_and_audit_7_5: ExternalDomainSingleUser;
}

async fn acts_as_itself_only(approach: Approach) {
    let folder = Folder::new(approach, "acts-as-itself-only");
    let stage = Stage::up(&folder.lab(), approach).await;
    let [a, b] = stage.site.units;
    let talkers = [stage.radio_talks(a).await, stage.radio_talks(b).await];
    assert_eq!(talkers, [a, b].map(|unit| Some(stage.identity(unit))));
    // The map: one unit does not get the other's identity by asking for it.
    let audit = stage.audit();
    assert_eq!(
        spoken(&audit),
        [a, b].map(|unit| (unit.to_owned(), stage.identity(unit)))
    );
    let ids: BTreeSet<&str> = audit
        .iter()
        .map(|r| r["guk_id"].as_str().unwrap())
        .collect();
    assert_eq!(
        ids.len(),
        2,
        "each speaks under a key of his own: {audit:#?}"
    );

    let (lab, site) = (&stage.lab, stage.site);
    let (user, other) = (
        gateways_user(lab, site, a).await,
        gateways_user(lab, site, b).await,
    );
    keys_are_his_own(&user, &other);
    // With one's token for the other's keys: at the KMS and at the GMS.
    let kms = lab::parties::kms_client_in(lab, site.domain, SystemClock::shared()).unwrap();
    let token = user.tokens.token(SCOPE_KMS).await.unwrap();
    let (own, root) = (user.identity, user.ring.root());
    let asked = kms
        .key_provision_of(token.secret(), own, other.identity, root)
        .await;
    let refused = matches!(asked, Err(KeysError::Refused { status: 403, .. }));
    assert!(refused, "{asked:?}");
    let token = gms_token(lab, site, &user).await;
    let asked = group_key_message(lab, Primary, site.group, &token, other.identity).await;
    assert_eq!(asked, Err(403));
    signs_for_himself_only(&stage, &user, &other).await;
    if site.link == Link::Registered {
        // With one's token and CSK in the other's name, at the MCPTT server.
        let peer = Peer::new(lab, &format!("unit-{a}")).await;
        assert_eq!(peer.ask(peer.register()).await.status, 200);
        let refused = peer
            .ask(activate(&peer, other.identity, "sip:x@mc.example"))
            .await;
        assert_eq!(refused.status, 403);
    }
    let gateway = site.gateway().name;
    let run = stage.down().await;
    if site.link == Link::Registered {
        let [of_one, of_other] = [&user, &other].map(|who| csks(&run, gateway, who.identity));
        assert!(!of_one.is_empty() && !of_other.is_empty(), "CSKs");
        assert!(of_one.is_disjoint(&of_other), "a CSK for each");
    }
    let rsks: BTreeSet<Vec<u8>> = key_sets(&run)
        .filter(|set| [user.identity, other.identity].contains(&set.user_uri.as_str()))
        .map(|set| set.keys(&[]).unwrap().rsk.to_vec())
        .collect();
    assert!(rsks.len() >= 2, "RSKs of their own");
}

/// The CSKs that the gateway made and the MCPTT server got in a user's name.
fn csks(run: &Recording, gateway: &str, identity: &str) -> BTreeSet<String> {
    let registrations = tshark::check_mikey(&arrived(run)).unwrap();
    let of_user = registrations
        .into_iter()
        .filter(|seen| seen.carrier == "REGISTER" && seen.identities[0] == identity);
    let made = |id: &String| {
        let mut keys = run.keys.iter();
        keys.any(|k| k.node == gateway && k.kind == KeyKind::Csk && k.key_id == *id)
    };
    of_user.map(|seen| seen.csb_id).filter(made).collect()
}

/// Unit and MC identity of each talk from the radio side.
fn spoken(audit: &[Value]) -> Vec<(String, String)> {
    let talks = audit.iter().filter(|record| record["event"] == "protected");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    talks
        .map(|r| (text(&r["external_identity"]), text(&r["mc_identity"])))
        .collect()
}

/// The keys of one are no keys of the other: they do not validate (TS 33.180 D.3.3.2).
fn keys_are_his_own(user: &User, other: &User) {
    let now = SystemClock::shared().ntp();
    let (kms, of) = (user.ring.root(), |u: &User| {
        u.ring.current(u.identity, now).unwrap().clone()
    });
    let (own, others) = (of(user), of(other));
    assert_ne!(own.uid(), others.uid());
    assert_eq!(own.number(), others.number());
    assert_eq!(kms.uid(other.identity, now), *others.uid());
}

/// A private call's key in the other's name is not believed.
async fn signs_for_himself_only(stage: &Stage, user: &User, other: &User) {
    let bob = domains::user(&stage.lab, Primary, "bob", BOB).await;
    let now = SystemClock::shared().ntp();
    let mut rng = mc_runtime::rng();
    let distribution = Distribution {
        initiator: user.ring.current(user.identity, now).unwrap(),
        kms_initiator: user.ring.root(),
        responder: BOB,
        kms_responder: user.ring.certificate_for(BOB).unwrap(),
        time: now,
        rand: [8; 16],
        to_self: false,
        key_parameters: None,
    };
    let (key, id) = (Pck::random(&mut rng), PckId::random(&mut rng));
    let honest = distribution.pck(&key, id, &mut rng).unwrap();
    let in_others_name = said_by(&honest, user.identity, other.identity);
    let verify = |octets: &[u8]| {
        let (policy, mut replay) = (VerifyPolicy::default(), ReplayCache::new(1));
        let message = Unverified::parse(octets).unwrap();
        message.verify(bob.ring.certificates(), policy, now, &mut replay)
    };
    let sign =
        |octets: &[u8], by: &User| signed_again(octets, &signing_key(&stage.lab, stage.site, by));
    let refused = verify(&sign(&in_others_name, user));
    assert!(
        matches!(refused, Err(VerifyError::Signature { .. })),
        "{refused:?}"
    );
    assert!(
        verify(&sign(&in_others_name, other)).is_ok(),
        "the other can"
    );
    let validated = UserKeys::validated(
        user.ring.root(),
        other.identity,
        user.ring.current(user.identity, now).unwrap().number(),
        &[],
        &[],
        &[],
    );
    assert!(validated.is_err());
}

async fn map_and_audit_tell_apart(approach: Approach) {
    let folder = Folder::new(approach, "map-and-audit-tell-apart");
    let stage = Stage::up(&folder.lab(), approach).await;
    let site = stage.site;
    let [a, b] = site.units;
    let talkers = [stage.radio_talks(a).await, stage.radio_talks(b).await];
    assert_eq!(
        talkers,
        [a, b].map(|unit| Some(stage.identity(unit))),
        "one identity"
    );
    let audit = stage.audit();
    let keys: BTreeSet<&str> = audit
        .iter()
        .map(|r| r["guk_id"].as_str().unwrap())
        .collect();
    assert_eq!(keys.len(), 1, "and one key: {audit:#?}");
    // Nothing but the map and the audit log tells who it was.
    let talks: Vec<_> = audit
        .iter()
        .map(|r| {
            (
                r["external_identity"].as_str(),
                r["functional_alias"].as_str(),
            )
        })
        .collect();
    let [first, second] = [a, b].map(|unit| site.address(unit));
    let expected = [
        (Some(a), Some(first.as_str())),
        (Some(b), Some(second.as_str())),
    ];
    assert_eq!(talks, expected);
    assert!(
        audit
            .iter()
            .all(|r| r["event"] == "protected" && r["time"].is_string())
    );
    stage.down().await;
}

/// Units that are not in the map do not speak at all, which is on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_is_not_in_the_map_is_refused_and_recorded() {
    let folder = Folder::new(Approach::SingleClient, "not-in-the-map");
    let lab = start_site_in(&folder.lab(), Approach::SingleClient).await;
    let stage = Stage::in_lab(lab, Approach::SingleClient).await;
    stage.radios.tune("1003", Some(1)).await.unwrap();
    stage.radio_tries("1003").await;
    let audit = stage.audit();
    assert_eq!(audit.len(), 1, "{audit:#?}");
    assert_eq!(audit[0]["event"], "refused");
    assert_eq!(audit[0]["external_identity"], "1003");
    assert_eq!(stage.status().await["refusals"]["unmapped"], 1);
    stage.down().await;
}
