//! A lab for one test, its clients, and waiting for what must happen.

use std::path::PathBuf;
use std::time::Duration;

use lab::parties::{Heard, Party};
use lab::state::StateDir;
use lab::supervisor::{Lab, Setup};
use lab::topology::{Addresses, Domain};
use mc_client::ClientEvent;
use testkit::recording::Recording;
use tokio::sync::broadcast;

pub(crate) const GROUP: &str = "sip:fireground-1@mc.example";
/// Longest that anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The services' binaries, which `make test` builds beside the tests.
pub(crate) fn binaries() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().to_owned()
}

/// A lab in a directory of its own, on free ports, that exports its keys.
pub(crate) async fn start(dir: &tempfile::TempDir) -> Lab {
    start_domains(dir, &[Domain::Primary]).await
}

/// The same with the services of several domains.
pub(crate) async fn start_domains(dir: &tempfile::TempDir, domains: &[Domain]) -> Lab {
    let state = StateDir::open(&dir.path().join("lab")).unwrap();
    let setup = Setup {
        addresses: Addresses::free().unwrap(),
        lab_keys: true,
        domains: domains.to_vec(),
    };
    Lab::start(state, setup, &binaries(), |_| ()).await.unwrap()
}

/// The client of a user, registered and affiliated, with its group keys.
pub(crate) async fn ready(lab: &Lab, user: &str) -> Party {
    let party = Party::start(lab, user, &[GROUP]).await.unwrap();
    if let Err(steps) = party.until_ready(PATIENCE).await {
        panic!("{user} is not ready: {steps:#?}");
    }
    party
}

/// The first event that is wanted; all before it are shown when it does not come.
pub(crate) async fn until<T>(
    heard: &mut broadcast::Receiver<Heard>,
    what: &str,
    wanted: impl Fn(&ClientEvent) -> Option<T>,
) -> T {
    let mut others = Vec::new();
    let found = async {
        loop {
            let Heard { event, .. } = heard.recv().await.unwrap();
            if let Some(found) = wanted(&event) {
                return found;
            }
            if !matches!(event, ClientEvent::Speech(_)) {
                others.push(event);
            }
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("no {what}; instead {others:#?}"),
    }
}

/// Stops the lab and reads what it left behind.
pub(crate) fn recording(lab: Lab) -> Recording {
    let logs = lab.state().root().join("logs");
    drop(lab);
    Recording::read(&logs).unwrap()
}
