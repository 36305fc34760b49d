//! Members of partner domains: keys under their own KMS, the gateway that represents them, and what
//! a change of trust does to a group.

use std::collections::BTreeMap;

use gms::assertions::Count;
use mc_sip::{Multipart, StatusCode, mcptt};
use mc_xml::mcptt_info::{Content, McpttInfo};
use reqwest::Method;
use serde_json::{Value, json};

use crate::lab::{ADMIN, ALICE, BOB, INTEROP, Lab, SEGY, UNIT, document};
use crate::subscriber::{MemberKey, impu, opened, subscribe_with};

fn selectors() -> Vec<String> {
    vec![document(INTEROP).trim_start_matches('/').to_owned()]
}

/// The gateway subscribes with its own token for a user behind it.
async fn represented(lab: &mut Lab, user: &str) -> StatusCode {
    let info = McpttInfo {
        access_token: Some(Content::string_value(&lab.token(SEGY))),
        calling_user_id: Some(Content::uri_value(user)),
        ..McpttInfo::default()
    };
    let request = subscribe_with(lab, user, &info, &selectors());
    let status = lab.send(request).await.status;
    if status == StatusCode::OK {
        lab.notified().await;
    }
    status
}

fn tells_of_a_gateway(key: &MemberKey) -> bool {
    let status = key.parameters.as_ref().unwrap().status;
    status.is_shared_with_gateway() && !status.is_revoked()
}

#[tokio::test]
async fn a_member_of_a_partner_domain_gets_the_key_under_its_own_kms() {
    let mut lab = Lab::start().await;
    lab.trust(&[&lab.gateway]);
    lab.subscribed(ALICE, &selectors()).await;
    let alice = lab.key_for(ALICE).await;
    assert_eq!(represented(&mut lab, UNIT).await, StatusCode::OK);
    // Opened with keys of the partner's KMS, signed by this server under its own.
    let unit = lab.key_for(UNIT).await;
    assert_eq!(
        (unit.id, &unit.key, &unit.rand),
        (alice.id, &alice.key, &alice.rand)
    );
    assert!(tells_of_a_gateway(&alice) && tells_of_a_gateway(&unit));
}

#[tokio::test]
async fn trust_that_comes_and_goes_changes_the_groups_keys() {
    let mut lab = Lab::start().await;
    lab.subscribed(ALICE, &selectors()).await;
    let first = lab.key_for(ALICE).await;
    assert!(!tells_of_a_gateway(&first));

    // The members are told that protection ends at a gateway from now on: same key, new status.
    lab.trust(&[&lab.gateway]);
    let told = lab.key_for(ALICE).await;
    assert_eq!((told.id, &told.key), (first.id, &first.key));
    assert!(tells_of_a_gateway(&told));
    assert_eq!(represented(&mut lab, UNIT).await, StatusCode::OK);
    assert_eq!(lab.key_for(UNIT).await.key, first.key);

    // No longer trusted: the key the partner's member has is revoked, and it gets no other. Only
    // messages for Alice come: the next three are two for her, and her NOTIFY of a later change.
    lab.trust(&[]);
    let new = lab.key_for(ALICE).await;
    assert_ne!(new.key, first.key);
    assert!(!tells_of_a_gateway(&new));
    let revoked = lab.key_for(ALICE).await;
    assert!(revoked.parameters.unwrap().status.is_revoked());
    let path = format!("/admin/groups/{INTEROP}/members/{BOB}");
    lab.request(Method::PUT, &path, ADMIN).send().await.unwrap();
    let changed = [lab.notified().await, lab.notified().await];
    assert!(changed.iter().all(|diff| diff.documents.len() == 1));
}

/// A change of the group comes next, one NOTIFY for each subscriber, and no key.
async fn only_a_change_comes(lab: &mut Lab, subscribers: usize) {
    let path = format!("/admin/groups/{INTEROP}/members/{BOB}");
    lab.request(Method::PUT, &path, ADMIN).send().await.unwrap();
    for _ in 0..subscribers {
        assert_eq!(lab.notified().await.documents.len(), 1);
    }
}

#[tokio::test]
async fn a_certificate_learned_with_the_first_key_brings_none_twice() {
    let mut lab = Lab::start().await;
    // The domains trust each other already, which the server learns when it has something to send.
    lab.trust_when_asked(&[&lab.gateway]);
    assert_eq!(represented(&mut lab, UNIT).await, StatusCode::OK);
    let unit = lab.key_for(UNIT).await;
    lab.subscribed(ALICE, &selectors()).await;
    let alice = lab.key_for(ALICE).await;
    assert_eq!(unit.id, alice.id);
    assert!(tells_of_a_gateway(&alice) && tells_of_a_gateway(&unit));
    only_a_change_comes(&mut lab, 2).await;
}

#[tokio::test]
async fn who_could_not_be_given_the_key_gets_it_when_its_domain_is_trusted() {
    let mut lab = Lab::start().await;
    assert_eq!(represented(&mut lab, UNIT).await, StatusCode::OK);
    // Served after the unit, whose key has failed by then.
    lab.subscribed(ALICE, &selectors()).await;
    let alice = lab.key_for(ALICE).await;
    lab.trust(&[&lab.gateway]);
    let mut keys = BTreeMap::new();
    for _ in 0..2 {
        let (member, key) = lab.any_key().await;
        keys.insert(member, key.id);
    }
    let both = [ALICE, UNIT].map(|member| (member.to_owned(), alice.id));
    assert_eq!(keys, both.into());
    // The same certificates again are nothing new.
    lab.trust(&[&lab.gateway]);
    only_a_change_comes(&mut lab, 2).await;
}

#[tokio::test]
async fn without_trust_a_foreign_member_gets_no_key_and_is_told_why() {
    let mut lab = Lab::start().await;
    let path = format!("/org.3gpp.MCPTT-GKTP/global/byGroupID/{INTEROP}");
    let get = |lab: &Lab| {
        let request = lab.request(Method::GET, &path, SEGY);
        request
            .header("X-3GPP-Asserted-Identity", format!("\"{UNIT}\""))
            .send()
    };
    let refused = get(&lab).await.unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    assert!(refused.text().await.unwrap().contains(UNIT));
    lab.trust(&[&lab.gateway]);
    let served = get(&lab).await.unwrap();
    assert_eq!(served.status().as_u16(), 200);
    let text = served.text().await.unwrap();
    let gktp = mc_xml::gktp::GktpDocument::parse(text.as_bytes()).unwrap();
    let octets = gktp.gmk.unwrap().gktps.remove(0).mikey;
    let key = opened(&lab, UNIT, &octets);
    lab.subscribed(ALICE, &selectors()).await;
    assert_eq!(lab.key_for(ALICE).await.key, key.key);
}

#[tokio::test]
async fn a_subscription_of_a_partner_domain_is_served_over_its_route() {
    let mut lab = Lab::start_with(|config, proxy| {
        // Nobody listens at the proxy: what arrives came over the route.
        config.outbound_proxy = Some("sip:127.0.0.1:9;transport=tcp".to_owned());
        let route = format!("sip:{proxy};transport=tcp");
        config.routes.insert("ims.segy.example".to_owned(), route);
    })
    .await;
    lab.trust(&[&lab.gateway]);
    assert_eq!(represented(&mut lab, UNIT).await, StatusCode::OK);
    let incoming = lab.next_request().await;
    assert_eq!(incoming.request.uri.to_string(), impu(UNIT));
    let parts = Multipart::of(&incoming.request.headers, &incoming.request.body).unwrap();
    let mikey = parts.get(mcptt::media::MIKEY).unwrap();
    opened(&lab, UNIT, &mikey.content);
}

#[tokio::test]
async fn a_gateway_brings_its_own_users_into_its_groups_and_nobody_else() {
    let mut lab = Lab::start().await;
    lab.trust(&[&lab.gateway]);
    let put = |lab: &Lab, by: &str, group: &str, member: &str| {
        let path = format!("/admin/groups/{group}/members/{member}");
        let request = lab.request(Method::PUT, &path, by);
        let request = request.header("X-3GPP-Asserted-Identity", format!("\"{member}\""));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let new = "sip:unit-7@segy.example";
    for (by, group, member) in [
        (SEGY, INTEROP, ALICE),
        (SEGY, INTEROP, SEGY),
        (SEGY, crate::lab::GROUP, new),
        (SEGY, "sip:nobody@mc.example", new),
        (ALICE, INTEROP, new),
        (new, INTEROP, new),
    ] {
        assert_eq!(
            put(&lab, by, group, member).await,
            403,
            "{by} {group} {member}"
        );
    }
    let (_, before) = lab.stored(INTEROP).await;
    assert_eq!(put(&lab, SEGY, INTEROP, new).await, 200);
    let (_, after) = lab.stored(INTEROP).await;
    assert_ne!(after, before);
    assert_eq!(put(&lab, SEGY, INTEROP, new).await, 200);
    assert_eq!(lab.stored(INTEROP).await.1, after, "a member already");
    // It is one: its subscription is served, under its own KMS.
    assert_eq!(represented(&mut lab, new).await, StatusCode::OK);
    lab.key_for(new).await;
    // It cannot take anybody out.
    let path = format!("/admin/groups/{INTEROP}/members/{new}");
    let delete = lab.request(Method::DELETE, &path, SEGY);
    let delete = delete.header("X-3GPP-Asserted-Identity", new);
    assert_eq!(delete.send().await.unwrap().status().as_u16(), 403);
}

#[tokio::test]
async fn a_gateway_that_asserts_others_is_refused_and_counted_by_name() {
    let mut lab = Lab::start().await;
    lab.trust(&[&lab.gateway]);
    assert_eq!(represented(&mut lab, UNIT).await, StatusCode::OK);
    for foreign in [ALICE, "sip:unit-1@mc.example", "sip:chief@segy.example"] {
        assert_eq!(
            represented(&mut lab, foreign).await,
            StatusCode::FORBIDDEN,
            "{foreign}"
        );
    }
    // An alias is the gateway itself, which is no member here.
    let path = document(INTEROP);
    let get = |user: &'static str, asserted: &'static str| {
        let request = lab.request(Method::GET, &path, user);
        request.header("X-3GPP-Asserted-Identity", asserted).send()
    };
    let alias = get(SEGY, "sip:engine-7@fa.mc.example").await.unwrap();
    assert_eq!(
        alias.text().await.unwrap(),
        "not allowed: only members may read a group"
    );
    assert_eq!(get(SEGY, UNIT).await.unwrap().status().as_u16(), 200);
    assert_eq!(get(ALICE, UNIT).await.unwrap().status().as_u16(), 403);

    let status = lab
        .request(Method::GET, "/admin/status", ADMIN)
        .send()
        .await
        .unwrap();
    let status: Value = status.json().await.unwrap();
    assert_eq!(status["refused_assertions"], 4);
    assert_eq!(
        status["assertions"],
        json!({SEGY: {"accepted": 3, "refused": 3}})
    );
    assert_eq!(
        status["assertions_of_others"],
        json!({"accepted": 0, "refused": 1})
    );
    assert_eq!(
        lab.gms.assertions().others(),
        Count {
            accepted: 0,
            refused: 1
        }
    );
    let refusals = lab.events().await;
    assert_eq!(
        refusals.iter().filter(|event| *event == "refused").count(),
        5
    );
}
