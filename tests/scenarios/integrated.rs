//! A gateway with a domain of its own whose servers run in its process: the same calls, keys and
//! trust as with servers that are processes.

use std::fs;
use std::path::Path;

use lab::demo::{CALLS, Runner, Verdict};
use lab::site::Approach;
use lab::speech::Speech;
use lab::state::StateDir;
use lab::supervisor::{Lab, Setup};
use lab::topology::{Addresses, Domain};
use testkit::tshark;

use crate::support::binaries;

async fn start(dir: &tempfile::TempDir, approach: Approach) -> Lab {
    let setup = Setup {
        addresses: Addresses::free().unwrap(),
        lab_keys: true,
        domains: Domain::ALL.to_vec(),
        approaches: vec![approach],
        integrated: true,
    };
    let state = StateDir::open(&dir.path().join("lab")).unwrap();
    Lab::start(state, setup, &binaries(), |_| ()).await.unwrap()
}

/// Programs of the lab's processes.
fn programs(lab: &Lab) -> Vec<String> {
    let record = lab.state().record().unwrap().unwrap();
    let program = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let processes = record.processes.iter();
    processes
        .map(|process| program(&process.executable))
        .collect()
}

async fn every_call_passes(approach: Approach) {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir, approach).await;
    for program in ["idms", "kms", "gms"] {
        let count = programs(&lab).iter().filter(|p| *p == program).count();
        assert_eq!(count, 1, "{program} of the primary domain only");
    }
    let logs = lab.state().root().join("logs");
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let runner = Runner::start(
        lab,
        Speech::load(&speech.join("target/speech")).unwrap(),
        |_| (),
    )
    .await
    .unwrap();
    for call in CALLS {
        let row = runner.run(approach.site().approach, call).await.unwrap();
        assert_eq!(row.verdict, Verdict::Pass, "{row:?}");
    }
    drop(runner.stop().await);
    let run = testkit::recording::Recording::read(&logs).unwrap();
    tshark::check_floor(&run).unwrap();
    // The servers are told apart from those of the primary domain in the events.
    for node in ["idms", "segy-idms", "kms", "segy-kms"] {
        assert!(run.events.iter().any(|e| e.node == node), "{node}");
    }
    // One process, one log: that of the gateway, and it ended cleanly with its servers.
    let log = fs::read_to_string(logs.join(format!("{}.log", approach.site().gateway().name)));
    assert!(log.unwrap().contains("integrated server starts"));
    assert!(!logs.join("segy-kms.log").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_7_4_passes() {
    every_call_passes(Approach::ExternalDomain).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_call_of_7_5_passes() {
    every_call_passes(Approach::ExternalDomainSingleUser).await;
}
