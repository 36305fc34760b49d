//! A lab for one test, its clients, waiting for what must happen, and what services keep and write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lab::parties::{Heard, Party};
use lab::site::Approach;
use lab::state::StateDir;
use lab::supervisor::{Lab, Setup};
use lab::topology::{Addresses, Domain, PortName};
use mc_client::ClientEvent;
use mc_trace::Event;
use serde_json::{Value, json};
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
    start_with(dir, domains, true).await
}

/// A lab with the site of one approach and what that needs, in this directory.
pub(crate) async fn start_site_in(dir: &Path, approach: Approach) -> Lab {
    let setup = Setup {
        addresses: Addresses::free().unwrap(),
        lab_keys: true,
        domains: approach.site().domains().to_vec(),
        approaches: vec![approach],
        integrated: false,
    };
    let state = StateDir::open(dir).unwrap();
    Lab::start(state, setup, &binaries(), |_| ()).await.unwrap()
}

/// Without `lab_keys` the lab keeps its secrets, as outside of a closed room.
pub(crate) async fn start_with(dir: &tempfile::TempDir, domains: &[Domain], lab_keys: bool) -> Lab {
    let state = StateDir::open(&dir.path().join("lab")).unwrap();
    let setup = Setup {
        addresses: Addresses::free().unwrap(),
        lab_keys,
        domains: domains.to_vec(),
        approaches: vec![Approach::SingleClient, Approach::ClientPerUser],
        integrated: false,
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

/// What the MCPTT server tells of its registrations, affiliations and calls.
pub(crate) async fn status(lab: &Lab) -> Value {
    let server = lab.addresses().of(PortName::McpttServer);
    let asked = crate::peer::https(lab).get(format!("https://{server}/status"));
    asked.send().await.unwrap().json().await.unwrap()
}

/// Waits until a user is affiliated to so many groups; a client that is ready is, but a PUBLISH is
/// answered before the server has looked at them (TS 24.379 9.2.2.2.3).
pub(crate) async fn until_affiliated(lab: &Lab, user: &str, groups: usize) {
    let affiliated = async {
        loop {
            let status = status(lab).await;
            let all = status["affiliations"].as_array().unwrap();
            if all.iter().filter(|one| one["mcptt_id"] == user).count() == groups {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, affiliated).await.unwrap();
}

/// What all servers keep: registrations, affiliations and calls; documents, keys and subscriptions
/// of groups; how many key sets were issued. No secrets, nothing that changes by itself.
pub(crate) async fn kept(lab: &Lab) -> Value {
    let mut mcptt = status(lab).await;
    // A refusal is counted, which is no change.
    mcptt.as_object_mut().unwrap().remove("refused_assertions");
    let url = |name: &str| {
        let file = lab.state().file("data", &format!("{name}.db"));
        format!("sqlite://{}?mode=rw", file.display())
    };
    let kms = kms::store::Store::open(&url("kms")).await.unwrap();
    let gms = gms::store::Store::open(&url("gms")).await.unwrap();
    let group = gms.group(GROUP).await.unwrap().unwrap();
    let keys = gms.active_keys(GROUP).await.unwrap();
    let keys: Vec<u32> = keys.iter().map(|key| key.gmk_id).collect();
    let subscriptions = gms.subscriptions(0).await.unwrap();
    // The MCPTT server follows documents by itself.
    let of_users = subscriptions.into_iter();
    let of_users = of_users.filter(|s| s.mcptt_id != "sip:mcptt@mc.example");
    let subscriptions: Vec<String> = of_users.map(|s| s.id).collect();
    json!({
        "mcptt": mcptt,
        "issued": kms.issued_count().await.unwrap(),
        "group": group.etag,
        "keys": keys,
        "subscriptions": subscriptions,
    })
}

/// The lines of a service's log that carry an identifier; there must be some.
pub(crate) async fn logged(lab: &Lab, service: &str, id: &str) -> String {
    assert!(!id.is_empty());
    let path = lab.state().log(service);
    let lines = async {
        loop {
            let text = std::fs::read(&path).unwrap();
            let text = String::from_utf8_lossy(&text);
            let found: Vec<&str> = text.lines().filter(|line| line.contains(id)).collect();
            if !found.is_empty() {
                return found.join("\n");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, lines).await {
        Ok(lines) => lines,
        Err(_) => panic!("{service} wrote no line about {id}"),
    }
}

/// Every service is ready.
pub(crate) async fn all_ready(lab: &Lab) {
    let health = lab.health().await;
    let named = health.iter().map(|health| health.service.as_str());
    assert!(named.eq(lab.setup().services().map(|service| service.name)));
    assert!(
        health.iter().all(lab::health::Health::is_ready),
        "{health:#?}"
    );
}

/// The events the lab's nodes wrote so far.
pub(crate) fn events(lab: &Lab) -> Vec<Event> {
    let path = lab.state().file("logs", "trace.jsonl");
    let text = std::fs::read(path).unwrap();
    // The last line may be half written.
    let whole = text
        .iter()
        .rposition(|octet| *octet == b'\n')
        .map_or(0, |at| at + 1);
    let text = String::from_utf8_lossy(&text[..whole]).into_owned();
    mc_trace::lines::read(&text).map(Result::unwrap).collect()
}

/// Waits until at least `count` events are as wanted.
pub(crate) async fn until_traced(
    lab: &Lab,
    what: &str,
    count: usize,
    wanted: impl Fn(&Event) -> bool,
) -> Vec<Event> {
    let found = async {
        loop {
            let found: Vec<Event> = events(lab)
                .into_iter()
                .filter(|event| wanted(event))
                .collect();
            if found.len() >= count {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, found).await {
        Ok(found) => found,
        Err(_) => panic!("not {count} events of {what}"),
    }
}

/// A group call between two ready clients: one talks, the other hears.
pub(crate) async fn a_call_works(lab: &Lab, caller: &Party, other: &Party) {
    let group: mc_ids::GroupId = GROUP.parse().unwrap();
    let (mut at_caller, mut at_other) = (caller.follow(), other.follow());
    caller.client.group_call(&group, true).await.unwrap();
    until(&mut at_caller, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
    until(&mut at_other, "floor taken", |e| {
        matches!(e, ClientEvent::FloorTaken { .. }).then_some(())
    })
    .await;
    for _ in 0..10 {
        let tone: Vec<i16> = (0..320i16).map(|i| i % 16 * 500).collect();
        caller.client.send_speech(&group, tone).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until(&mut at_other, "speech", |e| {
        matches!(e, ClientEvent::Speech(_)).then_some(())
    })
    .await;
    caller.client.release_ptt(&group).await.unwrap();
    // The gateway takes part in every call of this group and does not end it.
    for party in [caller, other] {
        party.client.hang_up(&group).await.unwrap();
    }
    until_no_call(lab).await;
}

/// Waits until everybody affiliated to the group takes part in its call.
pub(crate) async fn until_all_joined(lab: &Lab) {
    until_all_of(lab, GROUP).await;
}

/// The same of any group.
pub(crate) async fn until_all_of(lab: &Lab, group: &str) {
    let joined = |status: &Value| {
        let calls = status["calls"].as_array().unwrap();
        let call = calls.iter().find(|call| call["group"] == group);
        let affiliated = status["affiliations"].as_array().unwrap();
        let affiliated = affiliated.iter().filter(|one| one["group"] == group);
        call.unwrap()["participants"].as_array().unwrap().len() == affiliated.count()
    };
    let all = async {
        while !joined(&status(lab).await) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
}

/// Waits until the group has no call.
pub(crate) async fn until_no_call(lab: &Lab) {
    let is_up = |status: &Value| {
        let calls = status["calls"].as_array().unwrap();
        calls.iter().any(|call| call["group"] == GROUP)
    };
    let ended = async {
        while is_up(&status(lab).await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap();
}
