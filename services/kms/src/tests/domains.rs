//! Several domains: users behind a gateway, revocation, and certificates of partners.

use std::collections::BTreeSet;

use kms_protocol::{KmsCertificate, KmsMessage, Resource, Role, fingerprint};
use reqwest::Method;
use serde_json::{Value, json};

use super::{ALICE, Answer, Lab, SEGY, Server, keyprov};
use crate::config::Config;
use crate::state::Kms;

const UNIT: &str = "sip:unit-1001@mc.example";
const PARTNER: &str = "kms.segy.example";

fn of(identity: &str) -> Resource {
    Resource::KeyProv {
        user: Some(identity.to_owned()),
        time: None,
    }
}

fn gateway(config: &mut Config) {
    config.kms_uri = PARTNER.parse().unwrap();
    config.domains = vec!["segy.example".to_owned()];
    config.is_security_gateway = true;
    config.bound_identities.clear();
    config.provisioners.clear();
}

fn refused(answer: Answer, status: u16, text: &str) {
    assert_eq!(answer.status, status);
    let error = answer.document.unwrap().error.unwrap();
    assert!(error.message.contains(text), "{error:?}");
}

/// The operator's request, with the token of the file or another one.
async fn operate(
    server: &Server<'_>,
    token: Option<&str>,
    (method, path): (Method, &str),
    body: &str,
) -> (u16, String) {
    let file = server.lab.dir.path().join("operator-token");
    let own = std::fs::read_to_string(file).unwrap_or_default();
    let url = format!("{}/admin/{path}", server.base);
    let request = server.lab.http.request(method, url);
    let request = request.bearer_auth(token.unwrap_or(&own));
    let response = request.body(body.to_owned()).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

async fn import(server: &Server<'_>, document: &str, domains: &str) -> (u16, String) {
    let print = fingerprint(document.as_bytes());
    let path = format!("partners?fingerprint={print}&domains={domains}");
    operate(server, None, (Method::POST, &path), document).await
}

async fn cache(kms: &Kms, held: Option<u64>) -> (u64, Vec<KmsCertificate>) {
    let cache = kms.cert_cache(held).await.unwrap();
    (cache.cache_num.unwrap(), cache.certificates)
}

#[tokio::test]
async fn the_kms_of_a_gateway_says_so_and_serves_its_own_domain_only() {
    let lab = Lab::new().await;
    let server = lab.start_with(gateway).await;
    let unit = "sip:unit-1001@segy.example";
    let KmsMessage::Init(init) = server.ask(unit, &Resource::Init).await.message() else {
        panic!("no KmsInit");
    };
    assert!(init.certificate.is_security_gateway);
    assert_eq!(init.certificate.domains, ["segy.example"]);
    let document = server.kms.certificate_document();
    assert!(
        document.contains(r#"IsSecurityGateway="true""#),
        "{document}"
    );
    assert!(document.contains(r#"Role="External""#), "{document}");
    assert_eq!(server.ask(unit, &keyprov()).await.key_sets().len(), 1);
    // A valid token of another domain's user, and one whose domain only looks alike.
    for stranger in [
        ALICE,
        "sip:a@evilsegy.example",
        "sip:segy.example@mc.example",
    ] {
        for resource in [Resource::Init, keyprov(), of(unit), of(stranger)] {
            let answer = server.ask(stranger, &resource).await;
            refused(answer, 403, "no domain of this KMS");
        }
    }
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 1);
    // Nor does the library, for a gateway it is part of.
    let strangers = BTreeSet::from([ALICE.to_owned()]);
    assert!(server.kms.key_sets(&strangers, &[1]).await.is_err());
    assert!(server.kms.create_user(ALICE, "segy").await.is_err());
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 1);
}

#[tokio::test]
async fn a_gateways_users_are_made_when_it_asks_for_their_keys() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let sets = server.ask(SEGY, &of(UNIT)).await.key_sets();
    let users: Vec<&str> = sets.iter().map(|set| set.user_uri.as_str()).collect();
    assert_eq!(users, [UNIT]);
    assert_eq!(sets, server.ask(SEGY, &of(UNIT)).await.key_sets());
    let user = server.kms.store().user(UNIT).await.unwrap().unwrap();
    assert_eq!((user.created_by.as_str(), user.revoked_ms), (SEGY, None));

    for (who, whose) in [
        (SEGY, ALICE),
        (SEGY, "mdsi.mc.example"),
        (SEGY, "sip:unit-1@segy.example"),
        (ALICE, UNIT),
    ] {
        refused(server.ask(who, &of(whose)).await, 403, "another user");
    }
    // Not more than it may have.
    let second = server.ask(SEGY, &of("sip:unit-2@mc.example")).await;
    assert_eq!(second.key_sets().len(), 1);
    let third = server.ask(SEGY, &of("sip:unit-3@mc.example")).await;
    refused(third, 403, "as many users");
    assert_eq!(server.ask(SEGY, &of(UNIT)).await.key_sets().len(), 1);
}

#[tokio::test]
async fn a_revoked_user_gets_nothing_from_then_on_and_others_go_on() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    server.ask(SEGY, &of(UNIT)).await.key_sets();
    server.ask(ALICE, &keyprov()).await.key_sets();
    let revocation = format!("users/{UNIT}/revocation");
    let (status, _) = operate(&server, None, (Method::PUT, &revocation), "").await;
    assert_eq!(status, 204);
    refused(server.ask(SEGY, &of(UNIT)).await, 403, "revoked");
    refused(server.ask(UNIT, &keyprov()).await, 403, "revoked");
    refused(server.ask(UNIT, &Resource::Init).await, 403, "revoked");
    assert_eq!(server.ask(ALICE, &keyprov()).await.key_sets().len(), 1);
    assert_eq!(server.ask(SEGY, &keyprov()).await.key_sets().len(), 1);
    // Its keys are forgotten: those of ALICE and SEGY are left.
    assert_eq!(server.kms.store().issued_count().await.unwrap(), 2);

    // Not undone by a restart, but by the operator.
    let server = lab.start().await;
    refused(server.ask(SEGY, &of(UNIT)).await, 403, "revoked");
    let (_, users) = operate(&server, None, (Method::GET, "users"), "").await;
    let users: Value = serde_json::from_str(&users).unwrap();
    assert_eq!(users[0]["identity"], json!(UNIT));
    assert!(users[0]["revoked_ms"].is_i64(), "{users}");
    let (status, _) = operate(&server, None, (Method::DELETE, &revocation), "").await;
    assert_eq!(status, 204);
    assert_eq!(server.ask(SEGY, &of(UNIT)).await.key_sets().len(), 1);
    // A user of somebody else's is not ours to revoke.
    let foreign = "users/sip:unit-1@segy.example/revocation";
    let (status, _) = operate(&server, None, (Method::PUT, foreign), "").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn an_identity_that_is_bound_and_revoked_is_left_out() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    server.kms.revoke_user("mdsi.mc.example").await.unwrap();
    let sets = server
        .ask("sip:mcptt@mc.example", &keyprov())
        .await
        .key_sets();
    let users: Vec<&str> = sets.iter().map(|set| set.user_uri.as_str()).collect();
    assert_eq!(users, ["sip:mcptt@mc.example"]);
}

#[tokio::test]
async fn a_partners_certificate_reaches_clients_bound_to_its_domains() {
    let (host, partner) = (Lab::new().await, Lab::new().await);
    let (server, gateway) = (host.start().await, partner.start_with(gateway).await);
    let exported = operate(&gateway, None, (Method::GET, "certificate"), "")
        .await
        .1;
    assert_eq!(exported, gateway.kms.certificate_document());
    assert_eq!(import(&server, &exported, "").await.0, 201);

    let resource = Resource::CertCache { held: None };
    let KmsMessage::CertCache(got) = server.ask(ALICE, &resource).await.message() else {
        panic!("no KmsCertCache")
    };
    let [certificate] = got.certificates.as_slice() else {
        panic!("one certificate expected")
    };
    let flags = (certificate.role, certificate.is_security_gateway);
    assert_eq!(flags, (Some(Role::External), true));
    assert_eq!(certificate.domains, ["segy.example"]);
    assert_eq!(got.cache_num, Some(1));
    assert_eq!(cache(&server.kms, Some(1)).await, (1, Vec::new()));
    for kms_uri in [PARTNER, "kms.mc.example"] {
        let resource = Resource::Cert {
            kms_uri: kms_uri.to_owned(),
        };
        let KmsMessage::CertCache(one) = server.ask(ALICE, &resource).await.message() else {
            panic!("no KmsCertCache");
        };
        assert_eq!(one.certificates[0].kms_uri.as_str(), kms_uri);
    }

    // The same again is no new version. Revoked, it stays so, and clients are told.
    assert_eq!(import(&server, &exported, "").await.0, 201);
    assert_eq!(cache(&server.kms, None).await.0, 1);
    let path = format!("partners/{PARTNER}");
    assert_eq!(
        operate(&server, None, (Method::DELETE, &path), "").await.0,
        204
    );
    let server = host.start().await;
    let (number, certificates) = cache(&server.kms, Some(1)).await;
    assert_eq!(number, 2);
    assert!(certificates[0].revoked);
    let (_, list) = operate(&server, None, (Method::GET, "partners"), "").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(
        list[0]["fingerprint"],
        json!(fingerprint(exported.as_bytes()))
    );
    assert_eq!(list[0]["revoked"], json!(true));
    let unknown = (Method::DELETE, "partners/kms.unknown.example");
    assert_eq!(operate(&server, None, unknown, "").await.0, 404);
}

#[tokio::test]
async fn certificates_that_would_speak_for_others_are_refused() {
    let (host, partner) = (Lab::new().await, Lab::new().await);
    let (server, gateway) = (host.start().await, partner.start_with(gateway).await);
    let good = gateway.kms.certificate().clone();
    let document = |change: fn(&mut KmsCertificate)| {
        let mut changed = good.clone();
        change(&mut changed);
        changed.to_element().to_document()
    };
    let exported = document(|_| ());
    let wrong = format!("partners?fingerprint={}", "0".repeat(64));
    let (status, text) = operate(&server, None, (Method::POST, &wrong), &exported).await;
    assert_eq!(
        (status, text.contains("not the one confirmed")),
        (409, true)
    );

    let claims: fn(&mut KmsCertificate) = |c| c.domains.push("mc.example".to_owned());
    let below: fn(&mut KmsCertificate) = |c| c.domains = vec!["mdsi.mc.example".to_owned()];
    let above: fn(&mut KmsCertificate) = |c| c.domains = vec!["example".to_owned()];
    let none: fn(&mut KmsCertificate) = |c| c.domains.clear();
    let own: fn(&mut KmsCertificate) = |c| c.kms_uri = "kms.mc.example".parse().unwrap();
    let revoked: fn(&mut KmsCertificate) = |c| c.revoked = true;
    let off_curve: fn(&mut KmsCertificate) = |c| *c.pub_auth_key.last_mut().unwrap() ^= 1;
    let off_curve_too: fn(&mut KmsCertificate) = |c| *c.pub_enc_key.last_mut().unwrap() ^= 1;
    for (change, domains, text) in [
        (claims, "", "overlaps with mc.example"),
        (below, "", "overlaps with mc.example"),
        (above, "", "overlaps with mc.example"),
        (none, "", "lists no domains"),
        (own, "", "this KMS itself"),
        (revoked, "", "revoked"),
        (off_curve, "", "cannot be used"),
        (off_curve_too, "", "cannot be used"),
        (
            (|_| ()) as fn(&mut KmsCertificate),
            "third.example",
            "does not list",
        ),
    ] {
        let (status, answer) = import(&server, &document(change), domains).await;
        assert_eq!(status, 409, "{answer}");
        assert!(answer.contains(text), "{answer}");
    }
    assert_eq!(import(&server, "<a/>", "").await.0, 409);
    assert_eq!(cache(&server.kms, None).await, (0, Vec::new()));

    // Narrowed by the operator; and then taken: a third KMS cannot have the same domain.
    assert_eq!(
        import(&server, &document(none), "lmr.segy.example").await.0,
        201
    );
    let third: fn(&mut KmsCertificate) = |c| c.kms_uri = "kms.third.example".parse().unwrap();
    let (status, answer) = import(&server, &document(third), "").await;
    assert_eq!(
        (status, answer.contains("of kms.segy.example")),
        (409, true)
    );
    let (_, certificates) = cache(&server.kms, None).await;
    assert_eq!(certificates[0].domains, ["lmr.segy.example"]);
}

#[tokio::test]
async fn nobody_but_the_operator_changes_trust() {
    let lab = Lab::new().await;
    let server = lab.start().await;
    let user = lab.token(ALICE, &[]);
    let resources = [
        (Method::GET, "certificate"),
        (Method::GET, "partners"),
        (Method::POST, "partners?fingerprint=00"),
        (Method::DELETE, "partners/kms.segy.example"),
        (Method::GET, "users"),
        (Method::PUT, "users/sip:alice@mc.example/revocation"),
    ];
    for (method, path) in resources {
        for token in ["", "wrong", &user] {
            let answer = operate(&server, Some(token), (method.clone(), path), "").await;
            assert_eq!(answer.0, 401, "{path}");
        }
    }
    assert_eq!(server.ask(ALICE, &keyprov()).await.key_sets().len(), 1);
    let without = lab
        .start_with(|config| config.operator_token_file = None)
        .await;
    assert_eq!(
        operate(&without, None, (Method::GET, "users"), "").await.0,
        404
    );
}

#[test]
fn a_configuration_that_would_serve_another_domain_is_refused() {
    let text = r#"
        kms_uri = "kms.segy.example"
        domains = ["segy.example"]
        database_url = "sqlite::memory:"
        sealing_key_file = "key"
        [http]
        listen = "127.0.0.1:1"
        [tokens]
        issuer = "https://localhost"
        jwks_url = "https://localhost/jwks"
        [[provisioners]]
        mcptt_id = "sip:segy@segy.example"
        identities = ["sip:unit-*@mc.example"]
    "#;
    let read = |text: &str| -> Config {
        let path = std::path::Path::new("kms.toml");
        mc_runtime::config::parse(text, path, "KMS_TEST", []).unwrap()
    };
    let error = read(text).check().unwrap_err().to_string();
    assert!(error.contains("sip:unit-*@mc.example"), "{error}");
    let none = text.replace(r#"["segy.example"]"#, "[]");
    let error = read(&none).check().unwrap_err().to_string();
    assert!(error.contains("at least one domain"), "{error}");
    assert!(
        read(&text.replace("@mc.example", "@segy.example"))
            .check()
            .is_ok()
    );
}
