use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::clock::TestClock;
use crate::http;

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://idms.mc.example";

/// An identity management server reduced to its key set, with a count of fetches.
struct Issuer {
    key: EncodingKey,
    clock: TestClock,
    fetches: Arc<AtomicUsize>,
    verifier: TokenVerifier,
    stop: CancellationToken,
}

fn signing_key() -> EncodingKey {
    let pem = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)
        .unwrap()
        .serialize_pem();
    EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()
}

fn public_jwk(key: &EncodingKey, kid: &str) -> Jwk {
    let mut jwk = Jwk::from_encoding_key(key, Algorithm::ES256).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    jwk
}

impl Issuer {
    async fn start(change: impl FnOnce(&mut VerifierConfig)) -> Self {
        let key = signing_key();
        let fetches = Arc::new(AtomicUsize::new(0));
        let (set, count) = (
            JwkSet {
                keys: vec![public_jwk(&key, "k1")],
            },
            fetches.clone(),
        );
        let answer = move || {
            count.fetch_add(1, Ordering::SeqCst);
            let set = set.clone();
            async move { Json(set) }
        };
        let stop = CancellationToken::new();
        let listen = http::ServerConfig::plain(([127, 0, 0, 1], 0).into());
        let router = Router::new().route("/jwks.json", get(answer));
        let server = http::serve(&listen, router, stop.clone()).await.unwrap();
        let clock = TestClock::at_unix_s(NOW);
        let url = format!("http://{}/jwks.json", server.address);
        let mut config = VerifierConfig::new(ISSUER, url);
        change(&mut config);
        let client = http::client(&http::ClientConfig::default()).unwrap();
        let verifier = TokenVerifier::new(config, client, Arc::new(clock.clone()));
        Self {
            key,
            clock,
            fetches,
            verifier,
            stop,
        }
    }

    fn sign(&self, claims: &Value) -> String {
        sign_with(&self.key, "k1", claims)
    }

    async fn verify(&self, claims: &Value) -> Result<VerifiedToken, TokenError> {
        self.verifier.verify(&self.sign(claims), SCOPE_KMS).await
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn sign_with(key: &EncodingKey, kid: &str, claims: &Value) -> String {
    let header = Header {
        kid: Some(kid.to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn claims(change: &[(&str, Value)]) -> Value {
    let mut claims = json!({
        "iss": ISSUER,
        "sub": "alice",
        "exp": NOW + 900,
        "iat": NOW,
        "scope": "openid 3gpp:mc:ptt_service 3gpp:mc:ptt_key_management_service",
        "client_id": "mcptt_client",
        "mcptt_id": "sip:alice@mc.example",
    });
    for (name, value) in change {
        claims[*name] = value.clone();
    }
    claims
}

#[tokio::test]
async fn a_good_token_yields_its_claims() {
    let issuer = Issuer::start(|_| ()).await;
    let token = issuer.verify(&claims(&[])).await.unwrap();
    assert_eq!(token.mcptt_id.as_str(), "sip:alice@mc.example");
    assert_eq!(token.client_id, "mcptt_client");
    assert_eq!(token.expires_unix_s, NOW + 900);
    assert!(token.has_scope(SCOPE_MCPTT) && !token.has_scope(SCOPE_GMS));
}

#[tokio::test]
async fn release_13_scope_names_are_aliases() {
    let issuer = Issuer::start(|_| ()).await;
    let old = claims(&[("scope", json!("openid 3gpp:mcptt:key_management_server"))]);
    assert!(issuer.verify(&old).await.is_ok());
    let other = claims(&[("scope", json!("openid 3gpp:mcptt:group_management_server"))]);
    assert_eq!(
        issuer.verify(&other).await,
        Err(TokenError::Scope(SCOPE_KMS.to_owned()))
    );
}

#[tokio::test]
async fn an_id_token_is_told_from_an_access_token() {
    let audiences = |config: &mut VerifierConfig| config.audiences = vec!["kms".to_owned()];
    let issuer = Issuer::start(audiences).await;
    // As TS 33.180 B.2.1.2 has it: for the client, with neither scope nor client_id.
    let id_token = json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": "mcptt_client",
        "exp": NOW + 900,
        "iat": NOW,
        "mcptt_id": "sip:alice@mc.example",
    });
    let refused = issuer.verify(&id_token).await.unwrap_err();
    assert_eq!(refused, TokenError::OtherKind);
    assert!(refused.to_string().contains("an ID token"), "{refused}");
}

#[tokio::test]
async fn each_wrong_claim_has_its_refusal() {
    let issuer = Issuer::start(|config| {
        config.audiences = vec!["kms.mc.example".to_owned()];
        config.client_ids = vec!["mcptt_client".to_owned()];
    })
    .await;
    let cases = [
        (("exp", json!(NOW - 30)), TokenError::Expired),
        (("nbf", json!(NOW + 31)), TokenError::NotYetValid),
        (("iss", json!("https://evil.example")), TokenError::Issuer),
        (("iss", Value::Null), TokenError::Issuer),
        (("aud", json!("gms.mc.example")), TokenError::Audience),
        (("aud", json!(["a", "b"])), TokenError::Audience),
        (("client_id", json!("other")), TokenError::Client),
        (("mcptt_id", Value::Null), TokenError::NoServiceId),
        (("mcptt_id", json!("")), TokenError::Malformed),
        (("exp", json!("soon")), TokenError::Malformed),
        (("scope", Value::Null), TokenError::OtherKind),
        (("scope", json!(7)), TokenError::Malformed),
    ];
    for (change, expected) in cases {
        let name = format!("{change:?}");
        assert_eq!(
            issuer.verify(&claims(&[change])).await,
            Err(expected),
            "{name}"
        );
    }
    let named = claims(&[("aud", json!(["x", "kms.mc.example"]))]);
    assert!(issuer.verify(&named).await.is_ok());
}

#[tokio::test]
async fn expiry_follows_the_injected_clock_with_30_s_leeway() {
    let issuer = Issuer::start(|config| config.leeway_s = 3600).await;
    let token = issuer.sign(&claims(&[]));
    issuer.clock.advance(Duration::from_secs(929));
    assert!(issuer.verifier.verify(&token, SCOPE_KMS).await.is_ok());
    issuer.clock.advance(Duration::from_secs(1));
    assert_eq!(
        issuer.verifier.verify(&token, SCOPE_KMS).await,
        Err(TokenError::Expired)
    );
}

#[tokio::test]
async fn alg_none_and_foreign_signatures_are_refused() {
    let issuer = Issuer::start(|_| ()).await;
    let good = issuer.sign(&claims(&[]));
    let body = good.split('.').nth(1).unwrap();
    // {"alg":"none","typ":"JWT"}
    let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.");
    assert_eq!(
        issuer.verifier.verify(&none, SCOPE_KMS).await,
        Err(TokenError::Algorithm)
    );
    let hmac = EncodingKey::from_secret(b"public key as secret");
    let hs256 = jsonwebtoken::encode(&Header::default(), &claims(&[]), &hmac).unwrap();
    assert_eq!(
        issuer.verifier.verify(&hs256, SCOPE_KMS).await,
        Err(TokenError::Algorithm)
    );
    let forged = sign_with(&signing_key(), "k1", &claims(&[]));
    assert_eq!(
        issuer.verifier.verify(&forged, SCOPE_KMS).await,
        Err(TokenError::Signature)
    );
    for malformed in ["", "a.b", "a.b.c.d", &"x".repeat(MAX_TOKEN + 1)] {
        let result = issuer.verifier.verify(malformed, SCOPE_KMS).await;
        assert_eq!(result, Err(TokenError::Malformed));
    }
}

#[tokio::test]
async fn unknown_key_ids_refetch_at_most_every_five_seconds() {
    let issuer = Issuer::start(|_| ()).await;
    let foreign = sign_with(&signing_key(), "k2", &claims(&[]));
    for _ in 0..20 {
        let result = issuer.verifier.verify(&foreign, SCOPE_KMS).await;
        assert_eq!(result, Err(TokenError::UnknownKey));
    }
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 1);
    issuer.clock.advance(Duration::from_secs(5));
    let _refused = issuer.verifier.verify(&foreign, SCOPE_KMS).await;
    assert_eq!(issuer.fetches.load(Ordering::SeqCst), 2);
    assert!(issuer.verify(&claims(&[])).await.is_ok());
}

#[test]
fn the_bearer_header_and_its_challenges() {
    let mut headers = HeaderMap::new();
    assert_eq!(bearer_token(&headers), Err(BearerError::Missing));
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("bearer abc.def.ghi"),
    );
    assert_eq!(bearer_token(&headers), Ok("abc.def.ghi"));
    headers.insert(
        header::AUTHORIZATION,
        HeaderValue::from_static("Basic YTpi"),
    );
    assert_eq!(bearer_token(&headers), Err(BearerError::Missing));
    let expired = BearerError::Token(TokenError::Expired);
    assert_eq!(expired.status(), StatusCode::UNAUTHORIZED);
    assert!(
        expired
            .challenge()
            .unwrap()
            .starts_with(r#"Bearer error="invalid_token""#)
    );
    let scope = BearerError::Token(TokenError::Scope(SCOPE_KMS.to_owned()));
    assert_eq!(scope.status(), StatusCode::FORBIDDEN);
    assert!(scope.challenge().unwrap().contains("insufficient_scope"));
}
