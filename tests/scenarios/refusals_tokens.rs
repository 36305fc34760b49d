//! Access tokens that must not be accepted, at every server that takes one.
//!
//! The tokens are signed with the lab's own key and differ from a good one in one claim, so that
//! nothing but the check of that claim can refuse them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use idms::signing_key::SigningKey;
use kms_protocol::{KmsRequest, Resource};
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_runtime::{Clock as _, Health, SystemClock};
use serde_json::{Value, json};

use crate::peer::{Peer, SERVER, https, with_parts};
use crate::support::{GROUP, all_ready, kept, logged, start};

const GMS: &str = "sip:gms@mc.example";

/// The key the lab's identity management server signs with.
pub(crate) async fn issuer_key(lab: &Lab) -> SigningKey {
    let path = lab.state().configuration("idms");
    let config = mc_runtime::config::load(&path, "IDMS_NOT_OVERRIDDEN").unwrap();
    let opened = idms::state::Idms::open(config, SystemClock::shared(), Health::new("idms")).await;
    opened.unwrap().signing_key.clone()
}

/// The claims of a good token of a user for one server.
pub(crate) fn claims(lab: &Lab, user: &str, audience: &str, scope: &str) -> Value {
    let now = SystemClock.unix_s();
    json!({
        "iss": issuer(lab), "sub": "unknown", "aud": [audience], "exp": now + 900, "iat": now,
        "jti": "test", "scope": format!("openid {scope}"), "client_id": "mcptt_client",
        "mcptt_id": format!("sip:{user}@mc.example"),
    })
}

fn issuer(lab: &Lab) -> String {
    format!("https://{}", lab.addresses().of(PortName::Idms))
}

/// Tokens that must not be accepted, each with what is wrong with it and the word of the log for it.
fn bad_tokens(key: &SigningKey, good: &Value) -> Vec<(&'static str, String, &'static str)> {
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        key.sign(&claims).unwrap()
    };
    let now = SystemClock.unix_s();
    let signed = key.sign(good).unwrap();
    let (signed, signature) = signed.rsplit_once('.').unwrap();
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = encode(&json!({"alg": "none", "kid": key.kid()}));
    let hmac = encode(&json!({"alg": "HS256", "kid": key.kid()}));
    let header = signed.split('.').next().unwrap();
    let mut other = good.clone();
    other["mcptt_id"] = json!("sip:admin@mc.example");
    let stranger = SigningKey::generate(&mut mc_runtime::rng()).unwrap();
    let stranger = SigningKey::from_pkcs8(&stranger).unwrap();
    let strange = stranger.sign(good).unwrap();
    let (_, strange_signature) = strange.rsplit_once('.').unwrap();
    let mut id_token = good.clone();
    id_token["aud"] = json!("mcptt_client");
    for claim in ["scope", "client_id"] {
        id_token.as_object_mut().unwrap().remove(claim);
    }
    let (foreign, elsewhere) = (
        json!(["sip:other@mc.example"]),
        json!("https://other.example"),
    );
    let unsigned = format!("{none}.{}.", encode(good));
    let symmetric = format!("{hmac}.{}.{signature}", encode(good));
    let altered = format!("{header}.{}.{signature}", encode(&other));
    let ours = format!("{signed}.{strange_signature}");
    vec![
        ("expired", with("exp", json!(now - 31)), "expired"),
        ("foreign audience", with("aud", foreign), "audience"),
        ("wrong issuer", with("iss", elsewhere), "issuer"),
        ("alg none", unsigned, "algorithm"),
        ("alg HS256", symmetric, "algorithm"),
        ("altered claim", altered, "signature"),
        ("unknown key", strange.clone(), "unknown key"),
        ("other key under our name", ours, "signature"),
        ("ID token", key.sign(&id_token).unwrap(), "an ID token"),
        ("no token", "not-a-token".to_owned(), "malformed"),
    ]
}

fn correlation_id(response: &reqwest::Response) -> String {
    let id = response.headers().get("x-correlation-id");
    id.unwrap().to_str().unwrap().to_owned()
}

fn is_challenged(response: &reqwest::Response) -> bool {
    let challenge = response.headers().get("www-authenticate");
    challenge.is_some_and(|c| c.to_str().unwrap().contains("invalid_token"))
}

#[tokio::test]
async fn identity_server_refuses_them_at_userinfo() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (http, key) = (https(&lab), issuer_key(&lab).await);
    let peer = Peer::new(&lab, "bob").await;
    let payload = peer.token().split('.').nth(1).unwrap();
    let good: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let url = format!("{}/idms/userinfo", issuer(&lab));
    for (what, token, _) in bad_tokens(&key, &good) {
        let response = http.get(&url).bearer_auth(token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{what}");
        assert!(is_challenged(&response), "{what}");
        let line = logged(&lab, "idms", &correlation_id(&response)).await;
        assert!(line.contains("invalid_token: no access token"), "{line}");
    }
    let response = http
        .get(&url)
        .bearer_auth(peer.token())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status().as_u16(), 200);
    all_ready(&lab).await;
}

#[tokio::test]
async fn key_server_refuses_them_and_issues_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (http, key) = (https(&lab), issuer_key(&lab).await);
    let good = claims(&lab, "carol", "kms.mc.example", mc_runtime::auth::SCOPE_KMS);
    let before = kept(&lab).await;
    let post = |token: String| key_request(&lab, &http, "sip:carol@mc.example", token);
    for (what, token, why) in bad_tokens(&key, &good) {
        let response = post(token).await;
        assert_eq!(response.status().as_u16(), 401, "{what}");
        assert!(is_challenged(&response), "{what}");
        let line = logged(&lab, "kms", &correlation_id(&response)).await;
        assert!(line.contains(why), "{what}: {line}");
    }
    let mut narrow = good.clone();
    narrow["scope"] = json!("openid");
    assert_eq!(
        post(key.sign(&narrow).unwrap()).await.status().as_u16(),
        403
    );
    assert_eq!(kept(&lab).await, before);
    assert_eq!(post(key.sign(&good).unwrap()).await.status().as_u16(), 200);
    assert_ne!(kept(&lab).await["issued"], before["issued"]);
    all_ready(&lab).await;
}

async fn key_request(
    lab: &Lab,
    http: &reqwest::Client,
    user: &str,
    token: String,
) -> reqwest::Response {
    let resource = Resource::KeyProv {
        user: None,
        time: None,
    };
    let url = format!(
        "https://{}{}",
        lab.addresses().of(PortName::Kms),
        resource.path()
    );
    let request = kms_request(user, &url);
    let post = http.post(&url).bearer_auth(token);
    let post = post.header("content-type", kms_protocol::MEDIA_TYPE);
    post.body(request.to_xml()).send().await.unwrap()
}

/// A request of a user to the lab's KMS.
pub(crate) fn kms_request(user: &str, url: &str) -> KmsRequest {
    KmsRequest {
        id: None,
        user_uri: user.to_owned(),
        kms_uri: "kms.mc.example".to_owned(),
        time: time::OffsetDateTime::now_utc(),
        client_id: None,
        device_id: None,
        client_req_url: url.to_owned(),
        krr_list: None,
        client_error: None,
        trk_id: None,
        signature_id: None,
    }
}

#[tokio::test]
async fn group_server_refuses_them_over_http_and_sip() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (http, key) = (https(&lab), issuer_key(&lab).await);
    let good = claims(&lab, "bob", GMS, mc_runtime::auth::SCOPE_GMS);
    let peer = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    let before = kept(&lab).await;
    let url = document_url(&lab, GROUP);
    for (what, token, why) in bad_tokens(&key, &good) {
        let response = http.get(&url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 401, "{what}");
        assert!(is_challenged(&response), "{what}");
        let line = logged(&lab, "gms", &correlation_id(&response)).await;
        assert!(line.contains(why), "{what}: {line}");
        let put = http.put(&url).bearer_auth(&token).body("<group/>");
        assert_eq!(put.send().await.unwrap().status().as_u16(), 401, "{what}");
        let answer = peer.ask(subscribe(&peer, &token)).await;
        assert_eq!(answer.status, 403, "{what}");
        let line = logged(&lab, "gms", &answer.call_id).await;
        assert!(line.contains(why), "{what}: {line}");
    }
    let without = http.get(&url).send().await.unwrap();
    assert_eq!(without.status().as_u16(), 403, "TS 24.482 A.2.1.3");
    assert_eq!(kept(&lab).await, before);
    let token = key.sign(&good).unwrap();
    let response = http.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 200);
    assert_eq!(peer.ask(subscribe(&peer, &token)).await.status, 200);
    all_ready(&lab).await;
}

/// Address of a group's document.
pub(crate) fn document_url(lab: &Lab, group: &str) -> String {
    let gms = lab.addresses().of(PortName::Gms);
    format!("https://{gms}/org.openmobilealliance.groups/global/byGroupID/{group}")
}

fn subscribe(peer: &Peer, token: &str) -> mc_sip::Request {
    use mc_sip::mcptt::media;
    let info = mc_xml::mcptt_info::McpttInfo {
        access_token: Some(mc_xml::mcptt_info::Content::string_value(token)),
        ..Default::default()
    };
    let path = format!("org.openmobilealliance.groups/global/byGroupID/{GROUP}");
    let lists = mc_xml::resource_lists::ResourceLists { uris: vec![path] };
    let parts = mc_sip::Multipart::default()
        .with(mc_sip::BodyPart::new(media::MCPTT_INFO, info.to_xml()))
        .with(mc_sip::BodyPart::new(media::RESOURCE_LISTS, lists.to_xml()));
    let request = peer.request(mc_sip::Method::Subscribe, GMS);
    let request = request.with("Event", "xcap-diff").with("Expires", "600");
    with_parts(request, &parts)
}

#[tokio::test]
async fn mcptt_server_refuses_them_at_registration() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let key = issuer_key(&lab).await;
    let peer = Peer::new(&lab, "bob").await;
    let good = claims(&lab, "bob", SERVER, mc_runtime::auth::SCOPE_MCPTT);
    let before = kept(&lab).await;
    for (what, token, why) in bad_tokens(&key, &good) {
        let answer = peer
            .ask(peer.register_with(Some(peer.csk_message()), &token))
            .await;
        assert_eq!((answer.status, answer.warning), (403, Some(101)), "{what}");
        let line = logged(&lab, "mcptt-server", &answer.call_id).await;
        assert!(line.contains(why), "{what}: {line}");
    }
    // A good token of somebody else, under our CSK.
    let others = claims(&lab, "carol", SERVER, mc_runtime::auth::SCOPE_MCPTT);
    let others = key.sign(&others).unwrap();
    let answer = peer
        .ask(peer.register_with(Some(peer.csk_message()), &others))
        .await;
    assert_eq!((answer.status, answer.warning), (403, Some(101)));
    assert_eq!(kept(&lab).await, before);
    let token = key.sign(&good).unwrap();
    let answer = peer
        .ask(peer.register_with(Some(peer.csk_message()), &token))
        .await;
    assert_eq!(answer.status, 200);
    all_ready(&lab).await;
}
