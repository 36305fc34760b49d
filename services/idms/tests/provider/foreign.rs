//! The IdMS judged by software that is not ours: Authlib runs the flow, OpenSSL the signature.

use std::process::{Command, Output};

use serde_json::Value;
use testkit::openssl;
use testkit::python::python;

use crate::browser::Browser;
use crate::lab::{Lab, PASSWORD, REDIRECT_URI};

async fn run(mut command: Command) -> Output {
    let missing = |e| panic!("{e}: run `make test`");
    tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap_or_else(missing)
}

#[tokio::test]
async fn authlib_completes_the_flow() {
    let lab = Lab::start().await;
    let mut command = Command::new(python().unwrap());
    command
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/provider/authlib_flow.py"
        ))
        .args([&lab.issuer, REDIRECT_URI, "alice", PASSWORD])
        .env("REQUESTS_CA_BUNDLE", lab.ca.ca());
    let output = run(command).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["id_token"]["mcptt_id"], "sip:alice@mc.example");
    assert_eq!(result["id_token"]["acr"], "3gpp:acr:password");
    assert_eq!(result["id_token"]["aud"], "mcptt_client");
    assert_eq!(result["access_token"]["client_id"], "mcptt_client");
    assert_eq!(
        result["narrowed"]["scope"],
        "3gpp:mc:ptt_key_management_service"
    );
    assert_eq!(
        result["narrowed"]["aud"],
        serde_json::json!(["kms.mc.example"])
    );
    assert_eq!(result["replayed_code"], "invalid_grant");
}

#[tokio::test]
async fn openssl_verifies_the_token_signature() {
    let lab = Lab::start().await;
    let browser = Browser::new(&lab);
    let tokens = browser.tokens().await;
    let token = tokens["access_token"].as_str().unwrap();
    let url = format!("{}/idms/jwks.json", lab.issuer);
    let keys: Value = browser
        .http
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = &keys["keys"][0];
    assert_eq!((&key["alg"], &key["use"]), (&"ES256".into(), &"sig".into()));
    assert!(openssl::verifies(key, token).unwrap());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    assert!(!openssl::verifies(key, &format!("{signed}x.{signature}")).unwrap());
}
