//! The side that revokes.

use std::collections::BTreeSet;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mc_ids::McServiceId;
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{List, PATH};
use crate::operator::{OperatorToken, OperatorTokenError};

/// Longest wait for a change; servers give up requests later than that.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How soon a change is seen that another process made in the same store.
const LOOK: Duration = Duration::from_millis(500);

/// A service that revokes users.
pub trait Revoking: Clone + Send + Sync + 'static {
    /// All that are revoked now.
    fn revoked(&self) -> impl Future<Output = anyhow::Result<BTreeSet<McServiceId>>> + Send;
}

/// Tells who is revoked to whoever shows the reader's token: it opens this list and nothing else.
#[derive(Debug, Clone)]
pub struct Announcer {
    reader: Arc<OperatorToken>,
    changed: Arc<Notify>,
    closing: CancellationToken,
}

impl Announcer {
    /// With the reader's token in `file`, made when there is none.
    ///
    /// # Errors
    /// [`OperatorTokenError`] naming the file.
    pub fn load(file: &Path, rng: &mut impl CryptoRng) -> Result<Self, OperatorTokenError> {
        Ok(Self {
            reader: Arc::new(OperatorToken::load(file, rng)?),
            changed: Arc::default(),
            closing: CancellationToken::new(),
        })
    }

    /// Answers whoever waits when the service stops, which would else wait for them.
    pub fn close_with(&self, stop: CancellationToken) {
        let closing = self.closing.clone();
        tokio::spawn(async move {
            stop.cancelled().await;
            closing.cancel();
        });
    }

    /// The list has changed: whoever waits is answered.
    pub fn changed(&self) {
        self.changed.notify_waiters();
    }

    /// The resource.
    pub fn router<R: Revoking>(&self, service: R) -> Router {
        Router::new()
            .route(PATH, get(revocations::<R>))
            .with_state((self.clone(), service))
    }

    /// The list with its tag: at once when it is another than the reader knows, else when it
    /// becomes another one or the wait is over.
    async fn newer<R: Revoking>(
        &self,
        service: &R,
        known: Option<&str>,
        wait: Duration,
    ) -> anyhow::Result<Option<(String, List)>> {
        let end = Instant::now() + wait;
        loop {
            // Before the look, so that no change falls between the two.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let list = List {
                revoked: service.revoked().await?,
            };
            let tag = tag(&list);
            if known != Some(tag.as_str()) {
                return Ok(Some((tag, list)));
            }
            let now = Instant::now();
            if now >= end || self.closing.is_cancelled() {
                return Ok(None);
            }
            let wake = tokio::time::timeout_at(end.min(now + LOOK), changed);
            let _looks_again = self.closing.run_until_cancelled(wake).await;
        }
    }
}

async fn revocations<R: Revoking>(
    State((announcer, service)): State<(Announcer, R)>,
    headers: HeaderMap,
) -> Response {
    if !announcer.reader.is_shown_by(&headers) {
        tracing::warn!("not a reader of revocations");
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer")];
        return (StatusCode::UNAUTHORIZED, challenge, "reader's token needed").into_response();
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let known = text(header::IF_NONE_MATCH);
    let wait = text(header::HeaderName::from_static("prefer")).map_or(Duration::ZERO, waits);
    match announcer.newer(&service, known, wait).await {
        Ok(Some((tag, list))) => ([(header::ETAG, tag)], Json(list)).into_response(),
        Ok(None) => StatusCode::NOT_MODIFIED.into_response(),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "revocations not read");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The `wait` of a Prefer field.
fn waits(prefer: &str) -> Duration {
    let wait = prefer
        .split([',', ';'])
        .find_map(|part| part.trim().strip_prefix("wait="));
    let seconds = wait.and_then(|seconds| seconds.parse().ok()).unwrap_or(0);
    Duration::from_secs(seconds).min(LONGEST_WAIT)
}

fn tag(list: &List) -> String {
    let mut hash = Sha256::new();
    for user in &list.revoked {
        hash.update(user.as_str());
        hash.update([0]);
    }
    let digest = hash.finalize();
    let short = digest.iter().take(16);
    let hex: String = short.map(|octet| format!("{octet:02x}")).collect();
    format!("\"{hex}\"")
}
