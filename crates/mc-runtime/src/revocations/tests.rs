//! Over real sockets: what is revoked here is known there, soon, and to nobody else.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use mc_ids::McServiceId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::http::{ClientConfig, Server, ServerConfig, client, serve};

/// What the claim allows for everything that follows from a revocation; telling is a part of it.
const SOON: Duration = Duration::from_millis(500);

#[derive(Clone, Default)]
struct Accounts(Arc<Mutex<BTreeSet<McServiceId>>>);

impl Revoking for Accounts {
    async fn revoked(&self) -> anyhow::Result<BTreeSet<McServiceId>> {
        Ok(self.0.lock().unwrap().clone())
    }
}

fn id(user: &str) -> McServiceId {
    McServiceId::new(format!("sip:{user}")).unwrap()
}

struct Running {
    accounts: Accounts,
    announcer: Announcer,
    server: Server,
    stop: CancellationToken,
}

impl Running {
    async fn start(token_file: &Path, listen: std::net::SocketAddr) -> Self {
        let accounts = Accounts::default();
        let announcer = Announcer::load(token_file, &mut crate::rng()).unwrap();
        let (router, stop) = (announcer.router(accounts.clone()), CancellationToken::new());
        announcer.close_with(stop.clone());
        let config = ServerConfig::plain(listen);
        let server = serve(&config, router, stop.clone()).await.unwrap();
        Self {
            accounts,
            announcer,
            server,
            stop,
        }
    }

    fn source(&self, token_file: &Path) -> RevocationSource {
        RevocationSource {
            url: format!("http://{}", self.server.address),
            token_file: token_file.to_owned(),
            domains: vec!["mc.example".to_owned()],
        }
    }

    fn revoke(&self, user: &str) {
        self.accounts.0.lock().unwrap().insert(id(user));
        self.announcer.changed();
    }
}

async fn told(receiver: &mut watch::Receiver<Revoked>, users: &[&str]) {
    let wanted: BTreeSet<_> = users.iter().map(|user| id(user)).collect();
    let told = receiver.wait_for(|list| **list == wanted);
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, told).await.unwrap().unwrap();
}

fn any_port() -> std::net::SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

#[tokio::test]
async fn a_revocation_is_known_at_once_and_so_is_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let one = Running::start(&file, any_port()).await;
    let other = Running::start(&file, any_port()).await;
    let (http, stop) = (
        client(&ClientConfig::default()).unwrap(),
        CancellationToken::new(),
    );
    one.revoke("old@mc.example");
    let sources = [one.source(&file), other.source(&file)];
    let mut known = follow(&sources, &http, &stop);
    told(&mut known, &["old@mc.example"]).await;

    for round in ["a", "b", "c"] {
        let user = format!("{round}@mc.example");
        let begin = Instant::now();
        other.revoke(&user);
        // Of its own domain only.
        other.revoke(&format!("{round}@elsewhere.example"));
        told(&mut known, &["old@mc.example", &user]).await;
        assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
        other.accounts.0.lock().unwrap().clear();
        other.announcer.changed();
        told(&mut known, &["old@mc.example"]).await;
    }

    // Another process changes the same store, and nobody here is notified.
    let begin = Instant::now();
    other.accounts.0.lock().unwrap().insert(id("d@mc.example"));
    told(&mut known, &["d@mc.example", "old@mc.example"]).await;
    assert!(begin.elapsed() < 2 * SOON, "{:?}", begin.elapsed());
    stop.cancel();
}

#[tokio::test]
async fn what_was_told_stays_while_a_source_is_away() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let first = Running::start(&file, any_port()).await;
    first.revoke("a@mc.example");
    let (http, stop) = (
        client(&ClientConfig::default()).unwrap(),
        CancellationToken::new(),
    );
    let mut known = follow(&[first.source(&file)], &http, &stop);
    told(&mut known, &["a@mc.example"]).await;
    let address = first.server.address;
    // Nobody has to wait for those who wait for a change.
    let begin = Instant::now();
    first.stop.cancel();
    first.server.wait().await.unwrap();
    assert!(
        begin.elapsed() < Duration::from_secs(1),
        "{:?}",
        begin.elapsed()
    );
    assert!(known.borrow().contains(&id("a@mc.example")));
    let again = Running::start(&file, address).await;
    again.revoke("a@mc.example");
    again.revoke("b@mc.example");
    told(&mut known, &["a@mc.example", "b@mc.example"]).await;
    stop.cancel();
}

#[tokio::test]
async fn only_readers_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    let running = Running::start(&file, any_port()).await;
    let url = format!("http://{}{PATH}", running.server.address);
    let http = client(&ClientConfig::default()).unwrap();
    let of = |token: &str| http.get(&url).bearer_auth(token).send();
    assert_eq!(of("guessed").await.unwrap().status().as_u16(), 401);
    let nobody = http.get(&url).send().await.unwrap();
    assert_eq!(nobody.status().as_u16(), 401);

    // The form on the wire, and a tag that is known: not modified, at once or after the wait.
    running.revoke("a@mc.example");
    let token = std::fs::read_to_string(&file).unwrap();
    let answer = of(&token).await.unwrap();
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let body = answer.text().await.unwrap();
    assert_eq!(body, r#"{"revoked":["sip:a@mc.example"]}"#);
    for (prefer, waits) in [("respond-async", 0), ("respond-async, wait=1", 1)] {
        let begin = Instant::now();
        let request = http.get(&url).bearer_auth(&token);
        let request = request
            .header("if-none-match", &tag)
            .header("prefer", prefer);
        assert_eq!(request.send().await.unwrap().status().as_u16(), 304);
        assert_eq!(begin.elapsed().as_secs(), waits);
    }
}
