//! What bad input gets, and that it changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mc_sip::{StatusCode as SipStatus, name};
use mc_xml::group::{self, GroupDocument};
use mc_xml::xcap_error::XcapError;
use reqwest::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::lab::{
    ADMIN, ALICE, BOB, CAROL, GROUP, Lab, OPEN_GROUP, SEGY, document, sign, signing_key,
};
use crate::subscriber::subscribe;

#[tokio::test]
async fn who_is_no_member_reads_nothing() {
    let lab = Lab::start().await;
    for (path, user, status) in [
        (document(GROUP), CAROL, StatusCode::FORBIDDEN),
        (
            document("sip:unknown@mc.example"),
            ALICE,
            StatusCode::NOT_FOUND,
        ),
        (
            format!("/org.openmobilealliance.groups/users/{ALICE}/{GROUP}"),
            BOB,
            StatusCode::FORBIDDEN,
        ),
        ("/nowhere".to_owned(), ALICE, StatusCode::NOT_FOUND),
        (
            document(GROUP) + "/~~/group",
            ALICE,
            StatusCode::NOT_IMPLEMENTED,
        ),
    ] {
        let response = lab.request(Method::GET, &path, user).send().await.unwrap();
        assert_eq!(response.status(), status, "{path} {user}");
        assert!(!response.text().await.unwrap().contains("list-service"));
    }
}

#[tokio::test]
async fn bad_tokens_are_refused_at_every_method() {
    let lab = Lab::start().await;
    let before = lab.stored(GROUP).await;
    let changed = |name: &str, value: serde_json::Value| {
        let mut claims = lab.claims(ADMIN);
        claims[name] = value;
        lab.signed(&claims)
    };
    let body = URL_SAFE_NO_PAD.encode(lab.claims(ADMIN).to_string());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    for (what, token, status) in [
        ("expired", changed("exp", json!(1)), 401),
        (
            "foreign audience",
            changed("aud", json!(["kms.mc.example"])),
            401,
        ),
        (
            "wrong issuer",
            changed("iss", json!("https://evil.example")),
            401,
        ),
        (
            "no scope of ours",
            changed("scope", json!("openid 3gpp:mc:ptt_service")),
            403,
        ),
        ("alg none", format!("{none}.{body}."), 401),
        ("foreign key", sign(&signing_key(), &lab.claims(ADMIN)), 401),
    ] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let url = format!("{}{}", lab.base, document(GROUP));
            let response = lab
                .http
                .request(method, url)
                .bearer_auth(&token)
                .send()
                .await
                .unwrap();
            assert_eq!(response.status().as_u16(), status, "{what}");
            assert!(response.headers().contains_key(WWW_AUTHENTICATE), "{what}");
        }
        let url = format!("{}/admin/groups/{GROUP}/rekey", lab.base);
        let response = lab.http.post(url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{what}");
    }
    let without = lab.http.get(format!("{}{}", lab.base, document(GROUP)));
    assert_eq!(
        without.send().await.unwrap().status(),
        StatusCode::FORBIDDEN
    );
    assert_eq!(lab.stored(GROUP).await, before);
    assert!(lab.gms.store.active_keys(GROUP).await.unwrap().is_empty());
}

#[tokio::test]
async fn only_administrators_change_anything() {
    let lab = Lab::start().await;
    let before = lab.stored(GROUP).await;
    let rekey = format!("/admin/groups/{GROUP}/rekey");
    let member = format!("/admin/groups/{GROUP}/members/{CAROL}");
    for (method, path) in [
        (Method::PUT, document(GROUP)),
        (Method::DELETE, document(GROUP)),
        (Method::POST, rekey),
        (Method::PUT, member.clone()),
        (Method::DELETE, member),
    ] {
        let request = lab.request(method.clone(), &path, ALICE);
        let request = request
            .header(CONTENT_TYPE, group::MEDIA_TYPE)
            .body(before.0.clone());
        let status = request.send().await.unwrap().status();
        assert_eq!(status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    assert_eq!(lab.stored(GROUP).await, before);
}

#[tokio::test]
async fn hostile_documents_are_refused_with_their_xcap_error() {
    let lab = Lab::start().await;
    let before = lab.stored(GROUP).await;
    let good = before.0.clone();
    let entity = format!(
        "<!DOCTYPE group [<!ENTITY a \"aaaa\">]>{}",
        good.split_once("?>").unwrap().1
    );
    let deep = format!(
        "<group xmlns=\"{}\">{}{}</group>",
        group::NS,
        "<a>".repeat(5000),
        "</a>".repeat(5000)
    );
    let other = good.replacen(GROUP, OPEN_GROUP, 1);
    for (what, body, expected) in [
        (
            "entities",
            entity.into_bytes(),
            Some(XcapError::NotWellFormed),
        ),
        ("deep nesting", deep.into_bytes(), None),
        (
            "truncated",
            good.as_bytes()[..good.len() / 2].to_vec(),
            Some(XcapError::NotWellFormed),
        ),
        ("not UTF-8", vec![0xff; 100], Some(XcapError::NotUtf8)),
        (
            "another root",
            b"<a xmlns='urn:x'/>".to_vec(),
            Some(XcapError::SchemaValidationError),
        ),
        ("another group", other.into_bytes(), None),
    ] {
        let request = lab.request(Method::PUT, &document(GROUP), ADMIN);
        let request = request.header(CONTENT_TYPE, group::MEDIA_TYPE).body(body);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::CONFLICT, "{what}");
        let error = XcapError::parse(&response.bytes().await.unwrap()).unwrap();
        match expected {
            Some(expected) => assert_eq!(error, expected, "{what}"),
            None => assert!(
                matches!(error, XcapError::ConstraintFailure(_)),
                "{what} {error:?}"
            ),
        }
    }
    assert_eq!(lab.stored(GROUP).await, before);
}

#[tokio::test]
async fn wrong_media_types_sizes_and_methods_are_refused() {
    let lab = Lab::start().await;
    let before = lab.stored(GROUP).await;
    let put = |kind: &'static str, body: Vec<u8>| {
        let request = lab.request(Method::PUT, &document(GROUP), ADMIN);
        request.header(CONTENT_TYPE, kind).body(body).send()
    };
    let xml = before.0.clone().into_bytes();
    let wrong = put("application/xml", xml).await.unwrap();
    assert_eq!(wrong.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let large = put(group::MEDIA_TYPE, vec![b' '; 100_000]).await.unwrap();
    assert_eq!(large.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let patch = lab
        .request(Method::PATCH, &document(GROUP), ADMIN)
        .send()
        .await
        .unwrap();
    assert_eq!(patch.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(lab.stored(GROUP).await, before);
    GroupDocument::parse(before.0.as_bytes()).unwrap();
}

#[tokio::test]
async fn an_assertion_outside_the_list_is_refused_and_counted() {
    let lab = Lab::start().await;
    let get = |user: &'static str, asserted: &'static str| {
        let request = lab.request(Method::GET, &document(GROUP), user);
        request.header("X-3GPP-Asserted-Identity", asserted).send()
    };
    let listed = get(SEGY, "\"sip:bob@mc.example\"").await.unwrap();
    assert_eq!(listed.status(), StatusCode::OK);
    for (user, asserted) in [
        (SEGY, "\"sip:alice@mc.example\""),
        (CAROL, "\"sip:bob@mc.example\""),
        (SEGY, ""),
    ] {
        let refused = get(user, asserted).await.unwrap();
        assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{user} {asserted}");
    }
    let status = lab
        .request(Method::GET, "/admin/status", ADMIN)
        .send()
        .await
        .unwrap();
    let status: serde_json::Value = status.json().await.unwrap();
    assert_eq!(status["refused_assertions"], 3);
    assert!(lab.events().await.contains(&"refused".to_owned()));
}

#[tokio::test]
async fn bad_subscriptions_are_refused_and_leave_nothing() {
    let lab = Lab::start().await;
    let sel = vec![document(GROUP)];
    let good = || subscribe(&lab, ALICE, &lab.token(ALICE), &sel);
    let mut expired = lab.claims(ALICE);
    expired["exp"] = json!(1);
    let expired = lab.signed(&expired);
    let event = {
        let mut request = good();
        request.headers.set(name::EVENT, "presence");
        request
    };
    let truncated = {
        let mut request = good();
        let half = request.body.len() / 2;
        request.body.truncate(half);
        request
    };
    let inside = {
        let mut request = good();
        request
            .headers
            .set(name::TO, "<sip:gms@mc.example>;tag=unknown");
        request
    };
    for (what, request, status) in [
        (
            "no member",
            subscribe(&lab, CAROL, &lab.token(CAROL), &sel),
            SipStatus::FORBIDDEN,
        ),
        (
            "expired token",
            subscribe(&lab, ALICE, &expired, &sel),
            SipStatus::FORBIDDEN,
        ),
        (
            "no token",
            subscribe(&lab, ALICE, "", &sel),
            SipStatus::FORBIDDEN,
        ),
        (
            "no documents",
            subscribe(&lab, ALICE, &lab.token(ALICE), &[]),
            SipStatus::BAD_REQUEST,
        ),
        ("another event", event, SipStatus::BAD_EVENT),
        ("truncated body", truncated, SipStatus::BAD_REQUEST),
        ("unknown dialog", inside, SipStatus::CALL_DOES_NOT_EXIST),
    ] {
        assert_eq!(lab.send(request).await.status, status, "{what}");
    }
    assert!(lab.gms.store.subscriptions(0).await.unwrap().is_empty());
    assert!(lab.gms.store.active_keys(GROUP).await.unwrap().is_empty());
}
