//! Users of one domain at the servers of another: security tokens made, redeemed and refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use idms::config::{Config, Partner};
use idms::signing_key::SigningKey;
use mc_client::login::{LoginError, PartnerConfig, TokenSource};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::python::python;

use crate::browser::{Browser, Parameters, parameters};
use crate::lab::{Lab, PASSWORD, REDIRECT_URI};

const GMS_SCOPE: &str = "3gpp:mc:ptt_group_management_service";
const ALICE: &str = "sip:alice@mc.example";
/// An issuer whose key the test holds, so that it can sign what an honest one never would.
const FORGER: &str = "https://idms.forger.example";

fn partner(issuer: &str, keys: &Path, may_assert: &[&str]) -> Partner {
    Partner {
        issuer: issuer.to_owned(),
        token_endpoint: format!("{issuer}/idms/token"),
        jwks_file: Some(keys.to_owned()),
        may_assert: may_assert.iter().map(|p| p.parse().unwrap()).collect(),
        scopes: vec![GMS_SCOPE.to_owned()],
        assigned: [(
            "sip:carol@mc.example".to_owned(),
            "sip:visitor-1@segy.example".parse().unwrap(),
        )]
        .into(),
    }
}

fn serves_groups(config: &mut Config) {
    config.resource_servers.push(idms::config::ResourceServer {
        audience: "sip:gms@segy.example".to_owned(),
        scopes: vec![GMS_SCOPE.to_owned()],
    });
}

fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

/// A partner domain that trusts the issuer whose keys are in `keys`.
async fn partner_of(issuer: &str, keys: PathBuf, may_assert: &[&str]) -> Lab {
    let trusted = partner(issuer, &keys, may_assert);
    Lab::start_with(move |config| {
        config.partners.push(trusted);
        serves_groups(config);
    })
    .await
}

/// A home domain whose users may go to the domain at `endpoint`.
async fn home_of(endpoint: &str) -> Lab {
    let partner = Partner {
        issuer: endpoint.trim_end_matches("/idms/token").to_owned(),
        token_endpoint: endpoint.to_owned(),
        jwks_file: None,
        may_assert: Vec::new(),
        scopes: Vec::new(),
        assigned: std::collections::BTreeMap::new(),
    };
    Lab::start_with(move |config| {
        config.partners.push(partner);
        config.operator_token_file = Some(config.sealing_key_file.with_extension("operator"));
    })
    .await
}

/// What a third party, Authlib and requests, makes of both domains.
#[tokio::test]
async fn authlib_goes_from_one_domain_to_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("home.jwks.json");
    // The partner's address is known first; its trust in the home domain comes with the key file.
    let home_port = testkit::lab_ca::free_port().unwrap();
    let home_issuer = format!("https://localhost:{home_port}");
    let away = partner_of(&home_issuer, keys.clone(), &["sip:*@mc.example"]).await;
    let endpoint = format!("{}/idms/token", away.issuer);
    let home = Lab::at(away.ca.clone(), home_port, |config| {
        let mut trusted = partner(&away.issuer, Path::new("/nowhere"), &[]);
        trusted.jwks_file = None;
        config.partners.push(trusted);
    })
    .await;
    let mut command = Command::new(python().unwrap());
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/provider/domains_flow.py"
        ))
        .args([&home.issuer, &away.issuer, REDIRECT_URI, "alice", PASSWORD])
        .arg(&keys)
        .env("REQUESTS_CA_BUNDLE", home.ca.ca());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let security = &result["security_token"];
    assert_eq!(security["sub"], ALICE);
    assert_eq!(security["aud"], json!(["mcptt_client", endpoint]));
    let lifetime = security["exp"].as_i64().unwrap() - security["iat"].as_i64().unwrap();
    assert_eq!(lifetime, 600);
    let access = &result["access_token"];
    assert_eq!(
        (&access["iss"], &access["mcptt_id"]),
        (&json!(away.issuer), &json!(ALICE))
    );
    assert_eq!(access["aud"], json!(["sip:gms@segy.example"]));
    assert_eq!(
        (&access["scope"], &access["client_id"]),
        (&json!(GMS_SCOPE), &json!("mcptt_client"))
    );
    assert_eq!(
        result["members"],
        json!(["access_token", "expires_in", "scope", "token_type"])
    );
    assert_eq!(result["before_the_keys_came"], "invalid_grant");
    assert_eq!(result["replayed"], "invalid_grant");
    assert_eq!(result["access_token_as_assertion"], "invalid_grant");
    assert_eq!(result["unknown_resource"], "invalid_target");
    assert_eq!(
        result["issued_token_type"],
        "urn:ietf:params:oauth:token-type:jwt"
    );
}

#[tokio::test]
async fn our_client_gets_a_partners_token_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let keys = dir.path().join("home.jwks.json");
    let port = testkit::lab_ca::free_port().unwrap();
    let issuer = format!("https://localhost:{port}");
    let away = partner_of(&issuer, keys.clone(), &["sip:alice@mc.example"]).await;
    let endpoint = format!("{}/idms/token", away.issuer);
    let home = {
        let endpoint = endpoint.clone();
        Lab::at(away.ca.clone(), port, move |config| {
            let mut trusted = partner(
                endpoint.trim_end_matches("/idms/token"),
                Path::new("x"),
                &[],
            );
            trusted.jwks_file = None;
            config.partners.push(trusted);
            config.operator_token_file = Some(config.sealing_key_file.with_extension("operator"));
        })
        .await
    };
    std::fs::write(&keys, jwks(home.idms.signing_key.jwk())).unwrap();
    let login = home.login(home.login_config()).await.unwrap();
    let tokens = TokenSource::start(login).await.unwrap();
    let wanted = PartnerConfig {
        token_endpoint: endpoint,
        client_id: "mcptt_client".to_owned(),
        scopes: vec![GMS_SCOPE.to_owned()],
    };
    let token = tokens.partner_token(&wanted).await.unwrap();
    assert_eq!(token.scopes(), [GMS_SCOPE]);
    assert_eq!(claims(token.secret())["mcptt_id"], ALICE);
    let again = tokens.partner_token(&wanted).await.unwrap();
    assert_eq!(again.secret(), token.secret());
    let elsewhere = PartnerConfig {
        token_endpoint: "https://idms.unknown.example/token".to_owned(),
        ..wanted.clone()
    };
    let refused = tokens.partner_token(&elsewhere).await.unwrap_err();
    assert!(matches!(refused, LoginError::TokenRefused { error, .. } if error == "invalid_target"));

    // Revoked at home: nothing new comes, from one second to the next.
    home.advance(850);
    assert_eq!(
        operate(&home, Method::PUT, "revocations/sip:alice@mc.example", None).await,
        204
    );
    let refused = tokens.partner_token(&wanted).await.unwrap_err();
    assert!(matches!(refused, LoginError::TokenRefused { error, .. } if error == "invalid_grant"));
    assert!(tokens.token("3gpp:mc:ptt_service").await.is_err());
    assert_eq!(
        operate(
            &home,
            Method::DELETE,
            "revocations/sip:alice@mc.example",
            None
        )
        .await,
        204
    );
    assert!(tokens.token("3gpp:mc:ptt_service").await.is_ok());
}

fn jwks(jwk: &jsonwebtoken::jwk::Jwk) -> String {
    json!({"keys": [jwk]}).to_string()
}

/// A partner that trusts a key the test holds.
struct Forger {
    key: SigningKey,
    away: Lab,
    browser: Browser,
    _dir: tempfile::TempDir,
}

impl Forger {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("forger.jwks.json");
        let der = SigningKey::generate(&mut mc_runtime::rng()).unwrap();
        let key = SigningKey::from_pkcs8(&der).unwrap();
        std::fs::write(&file, jwks(key.jwk())).unwrap();
        let away = partner_of(
            FORGER,
            file,
            &["sip:unit-*@mc.example", "sip:carol@mc.example"],
        )
        .await;
        let browser = Browser::new(&away);
        Self {
            key,
            away,
            browser,
            _dir: dir,
        }
    }

    fn claims(&self) -> Value {
        let now = self.away.now_s();
        json!({
            "iss": FORGER, "sub": "sip:unit-1@mc.example", "iat": now, "exp": now + 600,
            "aud": ["mcptt_client", format!("{}/idms/token", self.away.issuer)],
            "jti": uuid::Uuid::new_v4().to_string(),
        })
    }

    fn form(&self, assertion: &str) -> Parameters {
        parameters(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("assertion", assertion),
            ("client_id", "mcptt_client"),
            ("scope", GMS_SCOPE),
        ])
    }

    async fn redeem(&self, assertion: &str) -> (StatusCode, Value) {
        self.browser.token(&self.form(assertion)).await
    }

    async fn refused(&self, assertion: &str, text: &str) {
        let (status, body) = self.redeem(assertion).await;
        assert_eq!(
            (status, &body["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_grant"))
        );
        let description = body["error_description"].as_str().unwrap();
        assert!(description.contains(text), "{description}, not {text}");
    }
}

#[tokio::test]
async fn a_partner_asserts_what_it_may_and_nothing_else() {
    let forger = Forger::new().await;
    let (status, body) = forger
        .redeem(&forger.key.sign(&forger.claims()).unwrap())
        .await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(
        claims(body["access_token"].as_str().unwrap())["mcptt_id"],
        "sip:unit-1@mc.example"
    );
    // A user that has another identity here than at home.
    let mut assigned = forger.claims();
    assigned["sub"] = json!("sip:carol@mc.example");
    let (_, body) = forger.redeem(&forger.key.sign(&assigned).unwrap()).await;
    let token = claims(body["access_token"].as_str().unwrap());
    assert_eq!(token["mcptt_id"], "sip:visitor-1@segy.example");

    let now = forger.away.now_s();
    let own_issuer = forger.away.issuer.clone();
    let endpoint = format!("{own_issuer}/idms/token");
    let cases = [
        ("iss", json!("https://idms.else.example"), "not trusted"),
        ("iss", json!(own_issuer), "not trusted"),
        ("sub", json!(ALICE), "may not assert"),
        ("sub", json!("sip:unit-1@segy.example"), "may not assert"),
        ("sub", json!("unit-1"), "may not assert"),
        ("aud", json!(["mcptt_client"]), "another audience"),
        ("aud", json!([endpoint]), "another audience"),
        (
            "aud",
            json!(["mcptt_client", "https://idms.third.example/idms/token"]),
            "another audience",
        ),
        ("aud", json!(["console", endpoint]), "another audience"),
        ("exp", json!(now + 601), "too long"),
        ("exp", json!(i64::MAX), "too long"),
        ("exp", json!(now - 31), "expired"),
        ("iat", json!(now + 31), "not valid yet"),
        ("nbf", json!(now + 31), "not valid yet"),
        ("iat", json!("yesterday"), "malformed"),
        ("sub", Value::Null, "malformed"),
        ("exp", Value::Null, "malformed"),
    ];
    for (name, value, text) in cases {
        let mut changed = forger.claims();
        changed[name] = value;
        forger
            .refused(&forger.key.sign(&changed).unwrap(), text)
            .await;
    }
    let events = forger.away.events().await;
    assert_eq!(events.iter().filter(|e| *e == "token_refused").count(), 17);
}

#[tokio::test]
async fn a_security_token_is_good_for_once() {
    let forger = Forger::new().await;
    let mut numberless = forger.claims();
    numberless.as_object_mut().unwrap().remove("jti");
    for claims in [forger.claims(), numberless] {
        let token = forger.key.sign(&claims).unwrap();
        // A mistake of the client does not use it up.
        let mut wrong = forger.form(&token);
        wrong.insert("scope".to_owned(), "3gpp:mc:ptt_service".to_owned());
        let (_, body) = forger.browser.token(&wrong).await;
        assert_eq!(body["error"], "invalid_scope");
        assert_eq!(forger.redeem(&token).await.0, StatusCode::OK);
        forger.refused(&token, "used before").await;
        forger.refused(&malleated(&token), "used before").await;
    }
}

/// The same token with the other of its two valid ECDSA signatures: (r, n - s).
fn malleated(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let octets = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let signature = p256::ecdsa::Signature::from_slice(&octets).unwrap();
    let (r, s) = (signature.r(), signature.s());
    let other = p256::ecdsa::Signature::from_scalars(*r, -*s).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(other.to_bytes()))
}

#[tokio::test]
async fn signatures_that_do_not_hold() {
    let forger = Forger::new().await;
    let good = forger.key.sign(&forger.claims()).unwrap();
    let mut parts = good.split('.');
    let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
    let der = SigningKey::generate(&mut mc_runtime::rng()).unwrap();
    let stranger = SigningKey::from_pkcs8(&der).unwrap();
    let hs256 = {
        // The public key, which everybody has, taken for a shared secret.
        let secret = serde_json::to_vec(forger.key.jwk()).unwrap();
        let key = jsonwebtoken::EncodingKey::from_secret(&secret);
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
        jsonwebtoken::encode(&header, &forger.claims(), &key).unwrap()
    };
    let mut other = forger.claims();
    other["sub"] = json!("sip:unit-2@mc.example");
    let swapped = forger.key.sign(&other).unwrap();
    let swapped = swapped.split('.').nth(1).unwrap();
    let signature = good.rsplit_once('.').unwrap().1;
    for bad in [
        format!("{none}.{payload}."),
        stranger.sign(&forger.claims()).unwrap(),
        hs256,
        format!("{header}.{swapped}.{signature}"),
    ] {
        forger.refused(&bad, "signature").await;
    }
    for bad in [
        "",
        "x",
        "a.b",
        "a.b.c",
        &"a".repeat(8000),
        &format!("{good}.{good}"),
    ] {
        let (status, body) = forger.redeem(bad).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(forger.redeem(&good).await.0, StatusCode::OK);
}

#[tokio::test]
async fn the_exchange_wants_a_token_of_its_own_user_and_client() {
    let home = home_of("https://idms.segy.example/idms/token").await;
    let browser = Browser::new(&home);
    let tokens = browser.tokens().await;
    let access = tokens["access_token"].as_str().unwrap();
    let form = |token: &str, client: &str| {
        parameters(&[
            (
                "grant_type",
                "urn:ietf:params:oauth:grant-type:token-exchange",
            ),
            ("resource", "https://idms.segy.example/idms/token"),
            ("subject_token", token),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
            ("client_id", client),
        ])
    };
    let (status, security) = browser.token(&form(access, "mcptt_client")).await;
    assert_eq!(status, StatusCode::OK, "{security}");
    // The request of table B.7.2 names no client.
    let mut bare = form(access, "mcptt_client");
    bare.remove("client_id");
    assert_eq!(browser.token(&bare).await.0, StatusCode::OK);

    let security = security["access_token"].as_str().unwrap();
    let id_token = tokens["id_token"].as_str().unwrap();
    for (token, client, error) in [
        (security, "mcptt_client", "invalid_grant"),
        (id_token, "mcptt_client", "invalid_grant"),
        ("x.y.z", "mcptt_client", "invalid_grant"),
        (access, "console", "invalid_client"),
        (access, "stranger", "invalid_client"),
    ] {
        let (_, body) = browser.token(&form(token, client)).await;
        assert_eq!(body["error"], error, "{client}");
    }
    // A security token opens nothing by itself.
    assert_eq!(browser.userinfo(security).await.0, StatusCode::UNAUTHORIZED);
    let mut odd = form(access, "mcptt_client");
    odd.insert("subject_token_type".to_owned(), "urn:x".to_owned());
    assert_eq!(browser.token(&odd).await.1["error"], "invalid_request");
    home.advance(931);
    let (_, expired) = browser.token(&form(access, "mcptt_client")).await;
    assert_eq!(expired["error"], "invalid_grant");
}

async fn operate(lab: &Lab, method: Method, path: &str, body: Option<Value>) -> u16 {
    let file = lab.dir.path().join("idms.operator");
    let token = std::fs::read_to_string(file).unwrap_or_default();
    operate_with(lab, &token, (method, path), body).await
}

async fn operate_with(
    lab: &Lab,
    token: &str,
    (method, path): (Method, &str),
    body: Option<Value>,
) -> u16 {
    let http = Browser::new(lab).http;
    let mut request = http.request(method, format!("{}/admin/{path}", lab.issuer));
    if let Some(body) = body {
        request = request.json(&body);
    }
    let response = request.bearer_auth(token).send().await.unwrap();
    response.status().as_u16()
}

#[tokio::test]
async fn the_operator_makes_accounts_and_nobody_else_does() {
    let home = home_of("https://idms.segy.example/idms/token").await;
    let unit =
        json!({"username": "unit-1", "password": "p-1", "mcptt_id": "sip:unit-1@mc.example"});
    let put = |name: &str| (Method::PUT, format!("users/{name}"));
    let (method, path) = put("unit-1");
    for token in ["", "wrong"] {
        let status = operate_with(&home, token, (method.clone(), &path), Some(unit.clone())).await;
        assert_eq!(status, 401);
    }
    assert_eq!(
        operate(&home, method.clone(), &path, Some(unit.clone())).await,
        204
    );
    let mut config = home.login_config();
    config.username = "unit-1".into();
    config.password = "p-1".to_owned().into();
    let session = home.login(config).await.unwrap().log_in().await.unwrap();
    assert_eq!(session.mcptt_id.as_str(), "sip:unit-1@mc.example");
    for (name, change) in [
        ("unit-2", json!({"username": "unit-1", "password": "p"})),
        (
            "unit-2",
            json!({"username": "unit-2", "password": "p", "mcptt_id": ALICE}),
        ),
        ("unit-2", json!({"username": "unit-2"})),
    ] {
        assert_eq!(
            operate(&home, Method::PUT, &put(name).1, Some(change)).await,
            409
        );
    }
    let plain = Lab::start().await;
    assert_eq!(operate(&plain, method, &path, Some(unit)).await, 404);
}
