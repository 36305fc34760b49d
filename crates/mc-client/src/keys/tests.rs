//! Against a KMS that answers from the provisioning vector of TS 33.180 Annex D.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use kms_protocol::{
    CertCache, KeyContent, KeySet, KmsCertificate, KmsError, KmsInit, KmsKeyProv, KmsMessage,
    KmsRequest, KmsResponse, Role,
};
use mc_ids::{KeyPeriod, NtpTime};
use mc_runtime::trace::Tracer;
use mc_runtime::{CancellationToken, Clock, TestClock, http};
use serde_json::Value;

use super::*;

const ALICE: &str = "sip:alice@example.org";

fn vector() -> Value {
    let text = include_str!("../../../../tests/vectors/kms-provisioning.json");
    serde_json::from_str(text).unwrap()
}

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn ntp_now() -> NtpTime {
    let seconds = u32::from_str_radix(vector()["ntp_seconds"].as_str().unwrap(), 16).unwrap();
    NtpTime::from_seconds(seconds)
}

/// How a KMS's answers differ from good ones.
type Change = fn(&mut KmsResponse);

fn certificate() -> KmsCertificate {
    let vector = vector();
    KmsCertificate {
        role: Some(Role::Root),
        is_security_gateway: false,
        id: None,
        cert_uri: None,
        kms_uri: "kms.example.org".parse().unwrap(),
        issuer: None,
        valid_from: None,
        valid_to: None,
        revoked: false,
        user_id_format: "2".to_owned(),
        period: KeyPeriod::new(2_592_000, 0).unwrap(),
        pub_enc_key: octets(&vector["PubEncKey"]),
        pub_auth_key: octets(&vector["PubAuthKey"]),
        parameter_set: Some(1),
        domains: Vec::new(),
    }
}

fn key_sets() -> Vec<KeySet> {
    let vector = vector();
    let plain = |value: &Value| KeyContent::Plain(octets(value).into());
    let set = |identity: &Value| KeySet {
        kms_uri: "kms.example.org".parse().unwrap(),
        cert_uri: None,
        issuer: None,
        user_uri: identity["uri"].as_str().unwrap().to_owned(),
        user_id: "never looked at".to_owned(),
        valid_from: None,
        valid_to: None,
        key_period_no: vector["KeyPeriodNo"].as_u64().unwrap(),
        revoked: false,
        decrypt_key: plain(&identity["rsk"]),
        signing_key: plain(&identity["ssk"]),
        token: plain(&identity["pvt"]),
    };
    vector["identities"]
        .as_array()
        .unwrap()
        .iter()
        .take(1)
        .map(set)
        .collect()
}

async fn answer(
    State(change): State<Change>,
    Path(resource): Path<String>,
    body: Bytes,
) -> (StatusCode, String) {
    let request = KmsRequest::parse(&body).unwrap();
    let message = match resource.as_str() {
        "init" => KmsMessage::Init(Box::new(KmsInit {
            certificate: certificate(),
        })),
        "keyprov" => KmsMessage::KeyProv(KmsKeyProv {
            key_sets: key_sets(),
        }),
        "certcache" => {
            let mut broken = certificate();
            broken.parameter_set = Some(9);
            let mut partner = certificate();
            partner.kms_uri = "kms.partner.example".parse().unwrap();
            partner.domains = vec!["partner.example".to_owned()];
            partner.is_security_gateway = true;
            let mut nobody = certificate();
            nobody.kms_uri = "kms.unbound.example".parse().unwrap();
            let certificates = vec![broken, partner, nobody];
            KmsMessage::CertCache(CertCache {
                cache_num: Some(4),
                certificates,
            })
        }
        other => panic!("undeclared request {other}"),
    };
    let mut response = KmsResponse {
        user_uri: request.user_uri,
        kms_uri: request.kms_uri.parse().unwrap(),
        time: request.time,
        kms_id: None,
        client_req_url: request.client_req_url,
        message: Some(message),
        error: None,
        trk_id: None,
    };
    change(&mut response);
    let status = if response.error.is_some() {
        StatusCode::FORBIDDEN
    } else {
        StatusCode::OK
    };
    (status, response.to_xml())
}

async fn fetch(change: Change) -> Result<KeyRing, KeysError> {
    let stop = CancellationToken::new();
    let path = format!("{}/{{*resource}}", kms_protocol::ROOT);
    let router = Router::new().route(&path, post(answer)).with_state(change);
    let listen = http::ServerConfig::plain(([127, 0, 0, 1], 0).into());
    let server = http::serve(&listen, router, stop.clone()).await.unwrap();
    let config = KmsConfig {
        url: format!("http://{}", server.address),
        kms_uri: "kms.example.org".parse().unwrap(),
        client_id: None,
        device_id: None,
    };
    let clock = TestClock::default();
    clock.set(ntp_now().to_unix());
    let http = http::client(&http::ClientConfig::default()).unwrap();
    let client = KmsClient::new(config, http, Arc::new(clock), Tracer::off(), "alice");
    let ring = client.fetch("token", ALICE).await;
    stop.cancel();
    ring
}

#[tokio::test]
async fn certificate_keys_and_partners() {
    let ring = fetch(|_| ()).await.unwrap();
    assert_eq!(ring.root().kms_uri.as_str(), "kms.example.org");
    assert_eq!(ring.keys().len(), 1);
    assert!(ring.current(ALICE, ntp_now()).is_some());
    let next_period = NtpTime(ntp_now().0 + (2_592_000 << 32));
    assert!(ring.current(ALICE, next_period).is_none());
    let partners: Vec<&str> = ring
        .certificates()
        .skip(1)
        .map(|certificate| certificate.kms_uri.as_str())
        .collect();
    assert_eq!(
        (ring.cache_num(), partners),
        (Some(4), vec!["kms.partner.example", "kms.unbound.example"])
    );
    // A partner's certificate speaks for the domains it lists, the own one for everybody else.
    let of = |identity| ring.certificate_for(identity).unwrap().kms_uri.as_str();
    assert_eq!(of("sip:unit-1@partner.example"), "kms.partner.example");
    assert_eq!(of("sip:a@unbound.example"), "kms.example.org");
    assert_eq!(of(ALICE), "kms.example.org");
    assert!(ring.ends_at_gateway("sip:unit-1@partner.example"));
    assert!(!ring.ends_at_gateway(ALICE));
}

#[tokio::test]
async fn answers_that_do_not_fit_are_not_used() {
    fn flip(content: &mut KeyContent) {
        let KeyContent::Plain(octets) = content else {
            panic!("plain keys expected")
        };
        octets[20] ^= 1;
    }
    fn sets(response: &mut KmsResponse, change: fn(&mut KeySet)) {
        if let Some(KmsMessage::KeyProv(prov)) = &mut response.message {
            prov.key_sets.iter_mut().for_each(change);
        }
    }
    let cases: [(Change, &str); 9] = [
        (
            |r| r.user_uri = "sip:bob@example.org".to_owned(),
            "another user",
        ),
        (
            |r| r.kms_uri = "kms.other.example".parse().unwrap(),
            "another user or KMS",
        ),
        (|r| r.message = None, "no message"),
        (
            |r| {
                r.error = Some(KmsError {
                    code: 403,
                    message: "not yours".to_owned(),
                });
            },
            "not yours",
        ),
        (
            |r| sets(r, |set| flip(&mut set.decrypt_key)),
            "key period 1531",
        ),
        (
            |r| sets(r, |set| flip(&mut set.signing_key)),
            "key period 1531",
        ),
        (
            |r| sets(r, |set| set.user_uri = "sip:bob@example.org".to_owned()),
            "sip:bob@example.org",
        ),
        (|r| sets(r, |set| set.revoked = true), "revoked"),
        (
            |r| {
                if let Some(KmsMessage::KeyProv(prov)) = &mut r.message {
                    prov.key_sets.clear();
                }
            },
            "no key set",
        ),
    ];
    for (change, text) in cases {
        let error = fetch(change).await.unwrap_err().to_string();
        assert!(
            error.contains(text) && error.contains("TS 33.180"),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_unreachable_kms_is_named() {
    let config = KmsConfig {
        url: "http://127.0.0.1:1".to_owned(),
        kms_uri: "kms.example.org".parse().unwrap(),
        client_id: None,
        device_id: None,
    };
    let http = http::client(&http::ClientConfig::default()).unwrap();
    let clock = Arc::new(TestClock::at_unix_s(1));
    assert_eq!(clock.unix_s(), 1);
    let client = KmsClient::new(config, http, clock, Tracer::off(), "alice");
    let error = client.fetch("token", ALICE).await.unwrap_err();
    assert!(matches!(error, KeysError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}
