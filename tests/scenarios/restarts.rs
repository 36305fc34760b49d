//! Every service dies once without warning (SIGKILL) and comes back: everybody is ready again by
//! itself, calls cross, nothing went in clear meanwhile, and nothing acknowledged was forgotten.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use lab::gateway::Gateway;
use lab::parties::{Heard, Party, client_config};
use lab::site::{Approach, Site};
use lab::supervisor::Lab;
use mc_client::ClientEvent;
use serde_json::{Value, json};
use testkit::libsrtp;
use tokio::sync::broadcast;

use crate::claims_stage::{COMMAND, Stage};
use crate::support::{GROUP, PATIENCE, a_call_works, start, status, until};

/// The values of some members of each entry of a list, without order.
fn set(list: &Value, members: &[&str]) -> BTreeSet<String> {
    let entries = list.as_array().unwrap().iter();
    let of = |entry: &Value| {
        let values: Vec<&str> = members
            .iter()
            .map(|m| entry[*m].as_str().unwrap())
            .collect();
        values.join(" ")
    };
    entries.map(of).collect()
}

/// What the servers have acknowledged: users and their clients, affiliations, aliases, documents,
/// group keys, key sets, who follows documents, trust.
pub(crate) async fn acknowledged(lab: &Lab) -> Value {
    let mcptt = status(lab).await;
    let url = |name: &str| {
        let file = lab.state().file("data", &format!("{name}.db"));
        format!("sqlite://{}?mode=rw", file.display())
    };
    let kms = kms::store::Store::open(&url("kms")).await.unwrap();
    let gms = gms::store::Store::open(&url("gms")).await.unwrap();
    let mut groups = Vec::new();
    for group in [GROUP, COMMAND] {
        let document = gms.group(group).await.unwrap().unwrap();
        let keys = gms.active_keys(group).await.unwrap();
        let keys: Vec<u32> = keys.iter().map(|key| key.gmk_id).collect();
        groups.push(json!({ "group": group, "etag": document.etag, "keys": keys }));
    }
    let subscriptions = gms.subscriptions(0).await.unwrap();
    let following: BTreeSet<String> = subscriptions.into_iter().map(|s| s.mcptt_id).collect();
    json!({
        "users": set(&mcptt["registrations"], &["mcptt_id", "client_id"]),
        "affiliations": set(&mcptt["affiliations"], &["mcptt_id", "client_id", "group"]),
        "aliases": set(&mcptt["functional_aliases"], &["alias", "mcptt_id"]),
        "partners": set(&mcptt["partners"], &["name", "psi", "spk_id"]),
        "issued": kms.issued_count().await.unwrap(),
        "trusted": kms.external_certificates().await.unwrap().1.len(),
        "key_users": kms.users().await.unwrap().len(),
        "groups": groups,
        "following": following,
    })
}

/// Whether floor control of every registered client is protected.
fn all_have_keys(status: &Value) -> bool {
    let registrations = status["registrations"].as_array().unwrap();
    registrations.iter().all(|one| one["csk_id"].is_string())
}

/// Time to heal in, from the moment a service is started again. No measure of speed but what users are
/// promised: nobody waits longer for a radio that works. It takes a second or two.
const HEALED: Duration = Duration::from_secs(5);

/// A crash that is to be healed of.
pub(crate) struct Crash<'a> {
    service: &'a str,
    /// What had been acknowledged.
    before: &'a Value,
    /// When the service was started again.
    since: Instant,
}

impl<'a> Crash<'a> {
    /// The service is being started again.
    pub(crate) fn healing(service: &'a str, before: &'a Value) -> Self {
        Self {
            service,
            before,
            since: Instant::now(),
        }
    }
}

/// Waits until everybody is ready and what the servers have acknowledged is as before.
pub(crate) async fn until_healed(
    lab: &Lab,
    site: &'static Site,
    clients: [&Party; 2],
    crash: &Crash<'_>,
) {
    let gateway = Gateway::of(lab, site.gateway());
    let (mut last, mut why) = (Value::Null, None);
    let healed = async {
        loop {
            let ready = clients.iter().all(|party| party.steps().ready);
            why = gateway.steps().await.failure();
            let health = lab.health().await;
            let healthy = health.iter().all(lab::health::Health::is_ready);
            let keyed = all_have_keys(&status(lab).await);
            last = acknowledged(lab).await;
            if ready && healthy && keyed && why.is_none() && last == *crash.before {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let deadline = tokio::time::Instant::from_std(crash.since + HEALED);
    let outcome = tokio::time::timeout_at(deadline, healed).await;
    if outcome.is_err() {
        let (before, steps) = (crash.before, clients.map(Party::steps));
        let health = lab.health().await;
        panic!(
            "after {}: {why:?}\n{health:#?}\n{steps:#?}\n{last:#}\nbefore {before:#}",
            crash.service
        );
    }
}

async fn heal_of(stage: &mut Stage, service: &str, before: &Value) {
    stage.lab.crash(service).unwrap();
    let crash = Crash::healing(service, before);
    stage.lab.restart(service).await.unwrap();
    until_healed(&stage.lab, stage.site, [&stage.alice, &stage.bob], &crash).await;
}

async fn crash_each(dir: &Path, services: &[&str]) {
    let mut stage = Stage::up(&dir.join("lab"), Approach::SingleClient).await;
    stage.radio_talks("1001").await;
    let before = acknowledged(&stage.lab).await;
    for service in services {
        heal_of(&mut stage, service, &before).await;
        stage.radio_talks("1001").await;
    }
    crate::support::all_ready(&stage.lab).await;
    let run = stage.down().await;
    // Each media packet opens with a key of its group only, so none was clear.
    let opened = libsrtp::check_media(&run).unwrap();
    assert!(opened.media > 20, "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_give_tokens_keys_and_documents() {
    let dir = tempfile::tempdir().unwrap();
    crash_each(dir.path(), &["idms", "kms", "gms"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mcptt_server() {
    let dir = tempfile::tempdir().unwrap();
    crash_each(dir.path(), &["mcptt-server"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gateway_and_the_radio_side() {
    let dir = tempfile::tempdir().unwrap();
    let mut stage = Stage::up(&dir.path().join("lab"), Approach::SingleClient).await;
    let before = acknowledged(&stage.lab).await;
    for service in ["lmr-sim", "segy"] {
        heal_of(&mut stage, service, &before).await;
    }
    stage.radio_talks("1001").await;
    let opened = libsrtp::check_media(&stage.down().await).unwrap();
    assert!(opened.media > 10, "{opened:?}");
}

/// Over UDP no connection tells that the server is gone, or was away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_over_udp_find_the_mcptt_server_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut lab = start(&dir).await;
    let (alice, bob) = (over_udp(&lab, "alice").await, over_udp(&lab, "bob").await);
    a_call_works(&lab, &alice, &bob).await;
    // Away until it is missed, and back before anybody has asked.
    for missed in [true, false] {
        let mut told = [alice.follow(), bob.follow()];
        lab.crash("mcptt-server").unwrap();
        if missed {
            for at in &mut told {
                lost(at).await;
            }
        }
        let deadline = tokio::time::Instant::now() + HEALED;
        lab.restart("mcptt-server").await.unwrap();
        for at in &mut told {
            if !missed {
                lost(at).await;
            }
            let ready = until(at, "ready", |e| {
                matches!(e, ClientEvent::Ready).then_some(())
            });
            let healed = tokio::time::timeout_at(deadline, ready).await;
            assert!(healed.is_ok(), "missed: {missed}");
        }
        a_call_works(&lab, &alice, &bob).await;
    }
    alice.stop().await;
    bob.stop().await;
}

async fn over_udp(lab: &Lab, user: &str) -> Party {
    let mut config = client_config(lab, user, &[GROUP]).unwrap();
    let sip = config.sip.as_mut().unwrap();
    sip.server = sip.server.replace("transport=tcp", "transport=udp");
    let party = Party::start_as(lab, config).await.unwrap();
    party.until_ready(PATIENCE).await.unwrap();
    party
}

async fn lost(at: &mut broadcast::Receiver<Heard>) {
    until(at, "loss", |e| {
        matches!(e, ClientEvent::Disconnected { .. }).then_some(())
    })
    .await;
}
