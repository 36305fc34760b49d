//! Starts that cannot succeed: what a person is told, and that nothing is left behind.

use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use tokio::process::Command;

use crate::support::{binaries, start};

fn mcbox(state: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries().join("mcbox"));
    command.arg("--state").arg(state).args(arguments);
    command
}

async fn run(command: &mut Command) -> (bool, String, Output) {
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), said, output)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_cannot_succeed_changes_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("lab");
    let (fine, said, _) = run(&mut mcbox(&state, &["demo", "--speech", "/nope"])).await;
    assert!(!fine && said.contains("/nope/lmr.wav"), "{said}");
    assert!(!state.exists());

    // Whoever holds the port, this test or another program, it is named.
    let _held = TcpListener::bind("127.0.0.1:8441");
    let (fine, said, _) = run(&mut mcbox(&state, &["up", "--detach"])).await;
    assert!(!fine && said.contains("127.0.0.1:8441 (idms)"), "{said}");
    assert!(said.contains("--ports free"), "{said}");
    assert!(!state.exists());

    for command in [&["status"][..], &["radio"], &["client", "--user", "bob"]] {
        let (fine, said, _) = run(&mut mcbox(&state, command)).await;
        assert!(!fine && said.contains("`mcbox up` starts one"), "{said}");
    }
    let (fine, said, _) = run(&mut mcbox(&state, &["down"])).await;
    assert!(fine && said.contains("nothing to stop"), "{said}");
    assert!(!state.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_a_service_refuses_is_found_by_doctor_and_told_by_up() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("lab");
    let mut doctor = mcbox(&state, &["doctor", "--ports", "free", "--json"]);
    let (fine, said, output) = run(doctor.env("KMS__NOPE", "1")).await;
    assert!(!fine, "{said}");
    let findings: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let wrong: Vec<_> = findings.iter().filter(|f| f["ok"] == false).collect();
    assert_eq!(wrong.len(), 2, "kms and segy-kms: {wrong:?}");
    for finding in wrong {
        assert!(
            finding["found"]
                .as_str()
                .unwrap()
                .contains("unknown field `nope`")
        );
        assert!(finding["fix"].as_str().unwrap().contains("unset KMS__NOPE"));
    }
    let mut up = mcbox(
        &state,
        &["up", "--detach", "--ports", "free", "--approach", "7.1"],
    );
    let (fine, said, _) = run(up.env("KMS__NOPE", "1")).await;
    assert!(!fine);
    assert!(said.contains("kms did not become ready"), "{said}");
    for part in ["unknown field `nope`", "logs/kms.log", "unset KMS__NOPE"] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_says_where_each_service_is() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (fine, said, output) = run(&mut mcbox(lab.state().root(), &["status", "--json"])).await;
    assert!(fine, "{said}");
    let services: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(services.len(), lab.setup().services().count());
    for service in lab.setup().services() {
        let told = services
            .iter()
            .find(|told| told["service"] == service.name)
            .unwrap();
        let address = lab.addresses().of(service.health).to_string();
        assert_eq!(told["address"], address, "{told}");
    }
}
