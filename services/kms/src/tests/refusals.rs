//! What strangers and mistaken clients get: the right status, and nothing is issued.

use kms_protocol::{KmsRequest, Resource};
use serde_json::json;
use time::Duration;

use super::{ALICE, Lab, keyprov, sign, signing_key};

/// How a request differs from a good one.
type Change = fn(&mut KmsRequest);

#[tokio::test]
async fn tokens_that_do_not_hold() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let path = keyprov().path();
    let body = server.request(ALICE, &keyprov()).to_xml();
    let good = lab.token(ALICE, &[]);
    let payload = good.split('.').nth(1).unwrap();
    let foreign = sign(
        &signing_key(),
        &json!({"exp": 9_999_999_999_u64, "iss": super::ISSUER}),
    );
    let cases = [
        (None, 401, "Bearer"),
        (
            Some(lab.token(ALICE, &[("exp", json!(super::NOW - 31))])),
            401,
            "invalid_token",
        ),
        (
            Some(lab.token(ALICE, &[("aud", json!("gms.mc.example"))])),
            401,
            "invalid_token",
        ),
        (
            Some(lab.token(ALICE, &[("iss", json!("https://other.example"))])),
            401,
            "invalid_token",
        ),
        (
            Some(format!("eyJhbGciOiJub25lIn0.{payload}.")),
            401,
            "invalid_token",
        ),
        (Some(foreign), 401, "invalid_token"),
        (
            Some(lab.token(ALICE, &[("scope", json!("openid"))])),
            403,
            "insufficient_scope",
        ),
    ];
    for (token, status, challenge) in cases {
        let answer = server.post(token.as_deref(), &path, body.clone()).await;
        assert_eq!(answer.status, status, "{token:?}");
        assert!(answer.challenge.unwrap().contains(challenge), "{token:?}");
        assert!(answer.document.is_none());
    }
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 0);
    assert_eq!(server.post(Some(&good), &path, body).await.status, 200);
}

#[tokio::test]
async fn requests_that_do_not_fit() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let bob = "sip:bob@mc.example";
    let of = |user: &str| Resource::KeyProv {
        user: Some(user.to_owned()),
        time: None,
    };
    let at = |time| Resource::KeyProv {
        user: Some(ALICE.to_owned()),
        time: Some(time),
    };
    let unchanged: Change = |_| ();
    let cases: Vec<(Resource, Change, i64)> = vec![
        (of(bob), unchanged, 403),
        (of("mdsi.mc.example"), unchanged, 403),
        (
            keyprov(),
            |r| r.user_uri = "sip:bob@mc.example".to_owned(),
            403,
        ),
        (
            keyprov(),
            |r| r.kms_uri = "kms.other.example".to_owned(),
            400,
        ),
        (keyprov(), |r| r.time -= Duration::seconds(31), 400),
        (keyprov(), |r| r.time += Duration::seconds(31), 400),
        (
            keyprov(),
            |r| r.client_req_url = r.client_req_url.replace("keyprov", "init"),
            400,
        ),
        (
            keyprov(),
            |r| r.client_req_url = r.client_req_url.replace("127.0.0.1", "h"),
            400,
        ),
        (at(mc_ids::NtpTime(0xd6b4_3232_0000_0000)), unchanged, 404),
        (at(mc_ids::NtpTime(u64::MAX)), unchanged, 404),
        (
            Resource::Cert {
                kms_uri: "kms.unknown.example".to_owned(),
            },
            unchanged,
            404,
        ),
        (
            Resource::Lookup {
                user: ALICE.to_owned(),
            },
            unchanged,
            404,
        ),
    ];
    let count = cases.len();
    for (resource, change, code) in cases {
        let mut request = server.request(ALICE, &resource);
        change(&mut request);
        let token = lab.token(ALICE, &[]);
        let answer = server
            .post(Some(&token), &resource.path(), request.to_xml())
            .await;
        let response = answer.document.unwrap_or_else(|| panic!("{resource:?}"));
        let error = response.error.unwrap();
        assert_eq!(
            (i64::from(answer.status), error.code),
            (code, code),
            "{resource:?} {error:?}"
        );
        assert_eq!(response.message, None);
    }
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 0);
    let outcomes = server.kms.store().audit_outcomes().await.unwrap();
    assert_eq!(outcomes.len(), count);
    assert!(outcomes.iter().all(|(_, outcome)| outcome != "issued"));
}

#[tokio::test]
async fn documents_that_are_none() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let good = server.request(ALICE, &keyprov()).to_xml();
    let token = lab.token(ALICE, &[]);
    let entities = r#"<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>"#;
    let cases: [(Vec<u8>, u16); 7] = [
        (Vec::new(), 400),
        (b"not xml".to_vec(), 400),
        (good.as_bytes()[..good.len() / 2].to_vec(), 400),
        (
            good.replacen("<KmsRequest", &format!("{entities}<KmsRequest"), 1)
                .into_bytes(),
            400,
        ),
        ("<a>".repeat(5000).into_bytes(), 400),
        ([good.as_bytes(), &[0xff, 0xfe]].concat(), 400),
        (vec![b' '; 65_537], 413),
    ];
    for (body, status) in cases {
        let start = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        let answer = server.post(Some(&token), &keyprov().path(), body).await;
        assert_eq!(answer.status, status, "{start}");
        if status == 400 {
            assert_eq!(answer.document.unwrap().error.unwrap().code, 400, "{start}");
        }
    }
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 0);
    assert_eq!(server.ask(ALICE, &keyprov()).await.status, 200);
}

#[tokio::test]
async fn other_methods_and_paths() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let get = lab
        .http
        .get(format!("{}{}", server.base, keyprov().path()))
        .send()
        .await
        .unwrap();
    assert_eq!(get.status().as_u16(), 405);
    assert_eq!(get.headers()["allow"], "POST");
    let root = format!("{}/nothing", kms_protocol::ROOT);
    let body = server.request(ALICE, &keyprov()).to_xml();
    let answer = server.post(Some(&lab.token(ALICE, &[])), &root, body).await;
    assert_eq!(
        (answer.status, answer.document.unwrap().error.unwrap().code),
        (404, 404)
    );
    let elsewhere = server.post(None, "/admin", "").await;
    assert_eq!(elsewhere.status, 404);
}
