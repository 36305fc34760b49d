//! Software of others against the running lab: sipp is refused, Authlib logs in, OpenSSL checks the
//! signature of a token.

use std::path::Path;
use std::process::Stdio;

use lab::supervisor::Lab;
use lab::topology::PortName;
use serde_json::Value;
use testkit::{openssl, python::python};
use tokio::process::Command;

use crate::peer::{Peer, https};
use crate::support::{all_ready, kept, logged, start};

#[tokio::test]
async fn sipp_registers_without_a_token_and_is_told_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let before = kept(&lab).await;
    for mode in ["u1", "t1"] {
        sipp(&lab, mode).await;
    }
    logged(&lab, "mcptt-server", "Warning 101").await;
    assert_eq!(kept(&lab).await, before);
    let bob = Peer::new(&lab, "bob").await;
    assert_eq!(bob.ask(bob.register()).await.status, 200);
    all_ready(&lab).await;
}

async fn sipp(lab: &Lab, mode: &str) {
    let scenario = "scenarios/sipp/register_without_token.xml";
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join(scenario);
    let server = lab.addresses().of(PortName::McpttSip).to_string();
    let output = Command::new("sipp")
        .arg("-sf")
        .arg(scenario)
        .args(["-t", mode, "-i", "127.0.0.1", "-m", "3", "-nostdin"])
        .args(["-timeout", "20s", "-timeout_error", &server])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{mode}: {said}");
}

#[tokio::test]
async fn authlib_logs_in_at_the_running_lab() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let script = "../services/idms/tests/provider/authlib_flow.py";
    let output = Command::new(python().unwrap())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(script))
        .arg(format!("https://{}", lab.addresses().of(PortName::Idms)))
        .args(["http://127.0.0.1/callback", "alice"])
        .arg(lab.state().password().unwrap())
        .env(
            "REQUESTS_CA_BUNDLE",
            lab.state().file("certificates", "ca.pem"),
        )
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(result["id_token"]["mcptt_id"], "sip:alice@mc.example");
    assert_eq!(result["replayed_code"], "invalid_grant");
    all_ready(&lab).await;
}

#[tokio::test]
async fn openssl_verifies_a_token_of_the_running_lab() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::new(&lab, "bob").await;
    let url = format!(
        "https://{}/idms/jwks.json",
        lab.addresses().of(PortName::Idms)
    );
    let keys: Value = https(&lab)
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let key = &keys["keys"][0];
    assert!(openssl::verifies(key, bob.token()).unwrap());
    let (signed, signature) = bob.token().rsplit_once('.').unwrap();
    assert!(!openssl::verifies(key, &format!("{signed}x.{signature}")).unwrap());
}
