//! The flow with our own client side, which is built on the `openidconnect` crate.

use mc_client::login::{LoginError, TokenSource};
use mc_runtime::auth::{SCOPE_GMS, SCOPE_KMS, SCOPE_MCPTT, TokenVerifier, VerifierConfig};

use crate::browser::Browser;
use crate::lab::Lab;

/// What a resource server of the lab configures.
fn verifier(lab: &Lab, audience: &str) -> TokenVerifier {
    let jwks = format!("{}/idms/jwks.json", lab.issuer);
    let config = VerifierConfig {
        audiences: vec![audience.to_owned()],
        require_audience: true,
        ..VerifierConfig::new(lab.issuer.clone(), jwks)
    };
    let http = mc_runtime::http::client(&lab.ca.client()).unwrap();
    TokenVerifier::new(config, http, std::sync::Arc::new(lab.clock.clone()))
}

#[tokio::test]
async fn a_client_logs_in_and_narrows_its_token() {
    let lab = Lab::start().await;
    let login = lab.login(lab.login_config()).await.unwrap();
    let mut session = login.log_in().await.unwrap();
    assert_eq!(session.mcptt_id.as_str(), "sip:alice@mc.example");
    assert_eq!(session.access_token.scopes().len(), 5);
    assert_eq!(session.access_token.expires_unix_s(), lab.now_s() + 900);

    let narrow = login.refresh(&mut session, &[SCOPE_KMS]).await.unwrap();
    assert_eq!(narrow.scopes(), [SCOPE_KMS]);
    let token = verifier(&lab, "kms.mc.example")
        .verify(narrow.secret(), SCOPE_KMS)
        .await
        .unwrap();
    assert_eq!(token.mcptt_id.as_str(), "sip:alice@mc.example");
    assert_eq!(token.client_id, "mcptt_client");
    let elsewhere = verifier(&lab, "sip:mcptt@mc.example");
    assert!(
        elsewhere
            .verify(narrow.secret(), SCOPE_MCPTT)
            .await
            .is_err()
    );

    // The narrowed refresh did not shrink the grant.
    let other = login.refresh(&mut session, &[SCOPE_GMS]).await.unwrap();
    assert_eq!(other.scopes(), [SCOPE_GMS]);
}

#[tokio::test]
async fn a_token_source_renews_and_logs_in_again() {
    let lab = Lab::start().await;
    let source = TokenSource::start(lab.login(lab.login_config()).await.unwrap())
        .await
        .unwrap();
    let first = source.token(SCOPE_KMS).await.unwrap();
    assert_eq!(
        source.token(SCOPE_KMS).await.unwrap().secret(),
        first.secret()
    );
    lab.advance(850);
    let second = source.token(SCOPE_KMS).await.unwrap();
    assert_ne!(second.secret(), first.secret());
    assert!(second.expires_unix_s() > first.expires_unix_s());
    // The login itself ends after a day: the source starts a new one.
    lab.advance(90_000);
    assert!(source.token(SCOPE_KMS).await.unwrap().expires_unix_s() > lab.now_s());
    let logins = lab
        .events()
        .await
        .iter()
        .filter(|e| *e == "login_accepted")
        .count();
    assert_eq!(logins, 2);
}

#[tokio::test]
async fn wrong_credentials_clients_and_issuers_are_typed_errors() {
    let lab = Lab::start().await;
    let mut config = lab.login_config();
    config.password = "wrong".to_owned().into();
    let refused = lab.login(config).await.unwrap().log_in().await.unwrap_err();
    assert!(
        matches!(refused, LoginError::CredentialsRefused),
        "{refused}"
    );

    let mut config = lab.login_config();
    config.redirect_uri = "http://localhost:8080/other".into();
    let refused = lab.login(config).await.unwrap().log_in().await.unwrap_err();
    assert!(matches!(refused, LoginError::NoLoginForm), "{refused}");

    let mut config = lab.login_config();
    config.issuer = config.issuer.replace("localhost", "127.0.0.1");
    let refused = lab.login(config).await.unwrap_err();
    assert!(matches!(refused, LoginError::Discovery { .. }), "{refused}");
}

#[tokio::test]
async fn a_disabled_account_gets_nothing() {
    let lab = Lab::start().await;
    let mut config = lab.login_config();
    config.username = "mallory".into();
    config.password = "mallory-password".to_owned().into();
    let refused = lab.login(config).await.unwrap().log_in().await.unwrap_err();
    assert!(
        matches!(refused, LoginError::CredentialsRefused),
        "{refused}"
    );
}

#[tokio::test]
async fn userinfo_names_the_service_ids() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let tokens = browser.tokens().await;
    let (status, info) = browser
        .userinfo(tokens["access_token"].as_str().unwrap())
        .await;
    assert_eq!(status, 200);
    assert_eq!(info["mcptt_id"], "sip:alice@mc.example");
    assert_eq!(info["sub"].as_str().unwrap().len(), 36);
}

#[tokio::test]
async fn the_signing_key_survives_a_restart_and_stays_sealed() {
    let lab = Lab::start().await;
    let again = lab.reopened().await.unwrap();
    assert_eq!(again.signing_key.kid(), lab.idms.signing_key.kid());
    let before = lab.idms.store.user_by_name("alice").await.unwrap().unwrap();
    assert_eq!(
        again.store.user_by_name("alice").await.unwrap().unwrap(),
        before
    );
    // Another sealing key opens nothing.
    std::fs::write(lab.dir.path().join("idms.key"), "ab".repeat(32)).unwrap();
    assert!(lab.reopened().await.is_err());
}
