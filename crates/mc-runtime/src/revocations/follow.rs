//! The side that acts on revocations.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mc_ids::{McServiceId, is_in_domain};
use reqwest::header::{ETAG, IF_NONE_MATCH};
use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{List, PATH};

/// How long a server is asked to wait for a change.
const WAIT: &str = "wait=5";
/// Time between two attempts at a server that does not answer, or does not wait.
const RETRY: Duration = Duration::from_millis(500);
/// Largest list read, octets.
const MAX_LIST: usize = 1 << 20;

/// A server whose revocations are acted on; a table `[[revocations]]` each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevocationSource {
    /// Scheme, host and port of an identity management server or KMS.
    pub url: String,
    /// File with the token that reads its list (its `revocation_token_file`); read each time.
    pub token_file: PathBuf,
    /// Domains whose users it may revoke; of others it is not believed.
    pub domains: Vec<String>,
}

/// Everybody who is revoked, by one server or another.
pub type Revoked = Arc<BTreeSet<McServiceId>>;

/// Follows the sources until stopped. One that cannot be reached leaves what it has said last in
/// force.
#[must_use]
pub fn follow(
    sources: &[RevocationSource],
    http: &reqwest::Client,
    stop: &CancellationToken,
) -> watch::Receiver<Revoked> {
    let (sender, receiver) = watch::channel(Revoked::default());
    let union = Arc::new(Union {
        lists: Mutex::new(vec![BTreeSet::new(); sources.len()]),
        sender,
    });
    for (number, source) in sources.iter().enumerate() {
        let follower = Follower {
            source: source.clone(),
            http: http.clone(),
            tag: None,
            answers: true,
        };
        let union = union.clone();
        let work = follower.run(move |list| union.put(number, list));
        tokio::spawn(stop.clone().run_until_cancelled_owned(work));
    }
    receiver
}

/// The lists of all sources.
struct Union {
    lists: Mutex<Vec<BTreeSet<McServiceId>>>,
    sender: watch::Sender<Revoked>,
}

impl Union {
    fn put(&self, number: usize, list: BTreeSet<McServiceId>) {
        let mut lists = self.lists.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = lists.get_mut(number) {
            *place = list;
        }
        let all = Arc::new(lists.iter().flatten().cloned().collect());
        self.sender.send_if_modified(|shown| {
            let changed = *shown != all;
            *shown = all;
            changed
        });
    }
}

/// One source.
struct Follower {
    source: RevocationSource,
    http: reqwest::Client,
    /// Of the list that is known.
    tag: Option<String>,
    /// Whether the source answered last time.
    answers: bool,
}

impl Follower {
    async fn run(mut self, put: impl Fn(BTreeSet<McServiceId>)) {
        let url = self.source.url.clone();
        loop {
            let asked = Instant::now();
            match self.ask().await {
                Ok(changed) => {
                    if !self.answers {
                        tracing::info!(url, "revocations are told again");
                    }
                    self.answers = true;
                    match changed {
                        Some(list) => put(list),
                        // It does not wait, so this side has to.
                        None if asked.elapsed() < RETRY => tokio::time::sleep(RETRY).await,
                        None => {}
                    }
                }
                Err(detail) => {
                    if self.answers {
                        tracing::warn!(url, detail, "revocations are not told");
                    }
                    self.answers = false;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// The list, if it has changed.
    async fn ask(&mut self) -> Result<Option<BTreeSet<McServiceId>>, String> {
        let file = &self.source.token_file;
        let token = std::fs::read_to_string(file)
            .map_err(|error| format!("{}: {error}", file.display()))?;
        let url = format!("{}{PATH}", self.source.url.trim_end_matches('/'));
        let mut request = self.http.get(url).bearer_auth(token.trim());
        if let Some(tag) = &self.tag {
            request = request.header(IF_NONE_MATCH, tag).header("Prefer", WAIT);
        }
        let failed = |error: reqwest::Error| error.without_url().to_string();
        let mut answer = request.send().await.map_err(failed)?;
        match answer.status().as_u16() {
            200 => {}
            304 => return Ok(None),
            status => return Err(format!("answered {status}")),
        }
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.map(str::to_owned);
        let mut text = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            text.extend_from_slice(&chunk);
            if text.len() > MAX_LIST {
                return Err("the list is too long".to_owned());
            }
        }
        let list: List = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        self.tag = tag;
        Ok(Some(self.believed(list)))
    }

    fn believed(&self, list: List) -> BTreeSet<McServiceId> {
        let source = &self.source;
        let (own, foreign): (BTreeSet<_>, BTreeSet<_>) =
            list.revoked.into_iter().partition(|user| {
                let mut domains = source.domains.iter();
                domains.any(|domain| is_in_domain(user.as_str(), domain))
            });
        if !foreign.is_empty() {
            let (url, users) = (&source.url, foreign.len());
            tracing::warn!(url, users, "revokes users that are not its own; ignored");
        }
        own
    }
}
