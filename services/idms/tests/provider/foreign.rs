//! The IdMS judged by software that is not ours: Authlib runs the flow, OpenSSL the signature.

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use testkit::python::python;

use crate::browser::Browser;
use crate::lab::{Lab, PASSWORD, REDIRECT_URI};

async fn run(mut command: Command) -> Output {
    let missing = |e| panic!("{e}: run `make deps`");
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
    let (signed, signature) = token.rsplit_once('.').unwrap();
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
    assert_eq!((&key["kty"], &key["crv"]), (&"EC".into(), &"P-256".into()));
    assert_eq!((&key["alg"], &key["use"]), (&"ES256".into(), &"sig".into()));
    let dir = lab.dir.path();
    std::fs::write(dir.join("key.pem"), public_key_pem(key)).unwrap();
    std::fs::write(dir.join("signature"), der_signature(signature)).unwrap();
    assert!(openssl_accepts(dir, signed).await);
    assert!(!openssl_accepts(dir, &format!("{signed}x")).await);
}

async fn openssl_accepts(dir: &Path, signed: &str) -> bool {
    std::fs::write(dir.join("signed"), signed).unwrap();
    let mut command = Command::new("openssl");
    command.current_dir(dir).args([
        "dgst",
        "-sha256",
        "-verify",
        "key.pem",
        "-signature",
        "signature",
        "signed",
    ]);
    run(command).await.status.success()
}

/// A JWK as the public key structure of RFC 5480.
fn public_key_pem(key: &Value) -> String {
    let mut der: Vec<u8> = vec![
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
    ];
    for coordinate in ["x", "y"] {
        der.extend(
            URL_SAFE_NO_PAD
                .decode(key[coordinate].as_str().unwrap())
                .unwrap(),
        );
    }
    format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der)
    )
}

/// The two integers of a JWS signature as the DER sequence OpenSSL reads.
fn der_signature(signature: &str) -> Vec<u8> {
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert_eq!(raw.len(), 64);
    let integers: Vec<u8> = raw.chunks(32).flat_map(der_integer).collect();
    [vec![0x30, u8::try_from(integers.len()).unwrap()], integers].concat()
}

fn der_integer(octets: &[u8]) -> Vec<u8> {
    let start = octets.iter().position(|octet| *octet != 0).unwrap();
    let mut value = octets[start..].to_vec();
    if value[0] & 0x80 != 0 {
        value.insert(0, 0);
    }
    [vec![0x02, u8::try_from(value.len()).unwrap()], value].concat()
}
