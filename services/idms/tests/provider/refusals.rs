//! What bad input gets, and that it changes nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use serde_json::json;

use crate::browser::{Browser, Parameters, authorization, exchange, redirect, refresh};
use crate::lab::{Lab, PASSWORD, REDIRECT_URI};

fn with(mut parameters: Parameters, name: &str, value: &str) -> Parameters {
    parameters.insert(name.to_owned(), value.to_owned());
    parameters
}

async fn refused(browser: &Browser, parameters: &Parameters, error: &str) {
    let (status, body) = browser.token(parameters).await;
    assert_eq!(body["error"], error, "{parameters:?}");
    let expected = if error == "invalid_client" { 401 } else { 400 };
    assert_eq!(status, expected, "{parameters:?}");
    assert!(body.get("access_token").is_none());
}

#[tokio::test]
async fn unknown_clients_and_redirect_uris_are_shown_not_redirected() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    for (name, value) in [
        ("redirect_uri", "http://localhost:8080/callback/"),
        ("redirect_uri", "https://evil.example/callback"),
        ("client_id", "unknown"),
    ] {
        let response = browser.authorize(&with(authorization(), name, value)).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{value}");
        assert!(redirect(&response).is_none());
        assert!(response.text().await.unwrap().contains("not registered"));
    }
}

#[tokio::test]
async fn plain_pkce_is_refused_at_the_redirect_uri() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let plain = with(authorization(), "code_challenge_method", "plain");
    let response = browser.authorize(&plain).await;
    assert_eq!(response.status(), StatusCode::FOUND);
    let answer = redirect(&response).unwrap();
    assert_eq!(answer["error"], "invalid_request");
    assert_eq!(answer["state"], "state-1");
    assert!(!answer.contains_key("code"));
}

#[tokio::test]
async fn a_replayed_code_is_refused_and_ends_the_login() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let code = browser.code().await;
    let (status, tokens) = browser.token(&exchange(&code)).await;
    assert_eq!(status, StatusCode::OK);
    refused(&browser, &exchange(&code), "invalid_grant").await;
    // RFC 6749 4.1.2: what the first use gave is revoked.
    let token = tokens["refresh_token"].as_str().unwrap();
    refused(&browser, &refresh(token), "invalid_grant").await;
    assert!(lab.events().await.contains(&"code_replayed".to_owned()));
}

#[tokio::test]
async fn a_code_serves_only_its_client_verifier_and_redirect_uri() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    for (name, value, error) in [
        ("code_verifier", "a".repeat(43), "invalid_grant"),
        ("redirect_uri", "mcx://callback".to_owned(), "invalid_grant"),
        ("client_id", "unknown".to_owned(), "invalid_client"),
        ("client_id", "console".to_owned(), "invalid_client"),
        (
            "grant_type",
            "password".to_owned(),
            "unsupported_grant_type",
        ),
        ("code", "guess".to_owned(), "invalid_grant"),
        ("code_verifier", String::new(), "invalid_request"),
    ] {
        let code = browser.code().await;
        refused(&browser, &with(exchange(&code), name, &value), error).await;
    }
    let code = browser.code().await;
    lab.advance(60);
    refused(&browser, &exchange(&code), "invalid_grant").await;
}

#[tokio::test]
async fn a_confidential_client_authenticates_by_basic_only() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let login = |_: ()| async {
        let ticket = browser
            .ticket(&with(authorization(), "client_id", "console"))
            .await;
        let response = browser.post_login(&ticket, "alice", PASSWORD).await;
        redirect(&response).unwrap()["code"].clone()
    };
    for (secret, expected) in [("wrong", 401), ("console-secret", 200)] {
        let mut form = exchange(&login(()).await);
        form.remove("client_id");
        let url = format!("{}/idms/token", lab.issuer);
        let request = browser
            .http
            .post(url)
            .basic_auth("console", Some(secret))
            .form(&form);
        assert_eq!(request.send().await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn a_reused_refresh_token_revokes_the_family() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let first = browser.tokens().await["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let (status, body) = browser.token(&refresh(&first)).await;
    assert_eq!(status, StatusCode::OK);
    let second = body["refresh_token"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    refused(&browser, &refresh(&first), "invalid_grant").await;
    refused(&browser, &refresh(&second), "invalid_grant").await;
    assert!(lab.events().await.contains(&"refresh_replayed".to_owned()));
}

#[tokio::test]
async fn a_refused_refresh_leaves_the_token_usable() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let token = browser.tokens().await["refresh_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let wider = with(
        refresh(&token),
        "scope",
        "openid 3gpp:mc:ptt_group_management_service",
    );
    refused(&browser, &wider, "invalid_scope").await;
    refused(
        &browser,
        &with(refresh(&token), "client_id", "x"),
        "invalid_client",
    )
    .await;
    let narrower = with(refresh(&token), "scope", "3gpp:mc:ptt_service");
    let (status, body) = browser.token(&narrower).await;
    assert_eq!(
        (status, body["scope"].as_str()),
        (StatusCode::OK, Some("3gpp:mc:ptt_service"))
    );
}

#[tokio::test]
async fn guessing_passwords_is_stopped_for_a_while() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    for _ in 0..5 {
        let ticket = browser.ticket(&authorization()).await;
        let response = browser.post_login(&ticket, "alice", "guess").await;
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    }
    // Even the right password has to wait.
    let ticket = browser.ticket(&authorization()).await;
    let response = browser.post_login(&ticket, "alice", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=301).contains(&wait), "{wait}");
    lab.advance(wait);
    browser.code().await;
}

#[tokio::test]
async fn right_passwords_are_not_counted() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    for _ in 0..7 {
        browser.code().await;
    }
}

#[tokio::test]
async fn a_login_page_works_only_in_its_browser_and_not_for_long() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let ticket = browser.ticket(&authorization()).await;
    let other = Browser::new(&lab);
    let response = other.post_login(&ticket, "alice", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(redirect(&response).is_none());
    lab.advance(601);
    let response = browser.post_login(&ticket, "alice", PASSWORD).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(!lab.events().await.contains(&"login_accepted".to_owned()));
}

#[tokio::test]
async fn the_login_page_is_safe_to_show() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let hint = "\"><script>alert(1)</script>";
    let response = browser
        .authorize(&with(authorization(), "login_hint", hint))
        .await;
    let headers = response.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("form-action 'self' http://localhost:8080"),
        "{policy}"
    );
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let cookie = headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("Secure; HttpOnly; SameSite=Strict"),
        "{cookie}"
    );
    assert!(!response.text().await.unwrap().contains("<script"));
}

#[tokio::test]
async fn userinfo_refuses_unsigned_foreign_expired_and_narrow_tokens() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let good = browser.tokens().await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut parts = good.split('.');
    let claims = parts.nth(1).unwrap();
    let none = URL_SAFE_NO_PAD.encode(json!({"alg": "none"}).to_string());
    let other = Lab::start().await;
    let foreign = Browser::new(&other).tokens().await["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let mut flipped = good.clone().into_bytes();
    let last = flipped.len() - 5;
    flipped[last] = if flipped[last] == b'A' { b'B' } else { b'A' };
    for token in [
        format!("{none}.{claims}."),
        foreign,
        String::from_utf8(flipped).unwrap(),
    ] {
        let (status, body) = browser.userinfo(&token).await;
        assert_eq!(
            (status.as_u16(), &body["error"]),
            (401, &json!("invalid_token")),
            "{token}"
        );
    }
    assert_eq!(browser.userinfo(&good).await.0, StatusCode::OK);
    lab.advance(931);
    assert_eq!(browser.userinfo(&good).await.0, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn malformed_bodies_get_invalid_request() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let url = format!("{}/idms/token", lab.issuer);
    let form = "application/x-www-form-urlencoded";
    let twice =
        format!("grant_type=refresh_token&client_id=mcptt_client&client_id=x&x={REDIRECT_URI}");
    for (kind, body, status) in [
        ("application/json", b"{}".to_vec(), 400),
        (form, b"grant_type=%ff&client_id=mcptt_client".to_vec(), 400),
        (form, twice.into_bytes(), 400),
        (form, vec![b'a'; 20_000], 400),
        (form, vec![b'a'; 100_000], 413),
    ] {
        let request = browser
            .http
            .post(&url)
            .header("content-type", kind)
            .body(body);
        assert_eq!(request.send().await.unwrap().status(), status);
    }
    browser.tokens().await;
}
