//! Group documents by XCAP (TS 24.481 6.3.3).

use mc_ids::GroupId;
use mc_runtime::trace::Tracer;
use mc_trace::{Direction, Endpoint, Event, Interface, names};
use mc_xml::group::{AUID, GroupDocument, MEDIA_TYPE};

use crate::event::StepFailure;

const CLAUSE: &str = "TS 24.481 6.3.3";
/// The largest document that is read, in octets.
const MAX_BODY: usize = 256 * 1024;

/// Selector of a group document below the XCAP root, unescaped as in subscriptions.
pub(crate) fn selector(group: &GroupId) -> String {
    format!("{AUID}/global/byGroupID/{group}")
}

/// A document as the GMS gave it.
pub(crate) struct Fetched {
    pub(crate) etag: Option<String>,
    pub(crate) document: GroupDocument,
}

/// Why there is no document.
#[derive(Debug)]
pub(crate) struct NotFetched {
    pub(crate) failure: StepFailure,
    /// The GMS has decided: there is no such group for this user.
    pub(crate) refused: bool,
}

impl From<StepFailure> for NotFetched {
    fn from(failure: StepFailure) -> Self {
        let refused = false;
        Self { failure, refused }
    }
}

/// Fetches documents for one client.
#[derive(Debug, Clone)]
pub(crate) struct GroupDocuments {
    pub(crate) http: reqwest::Client,
    pub(crate) tracer: Tracer,
    pub(crate) node: String,
}

impl GroupDocuments {
    //= TS 24.481 6.3.3
    pub(crate) async fn get(
        &self,
        xcap_root: &str,
        group: &GroupId,
        token: &str,
    ) -> Result<Fetched, NotFetched> {
        let path = format!(
            "/{}",
            selector(group).replace(':', "%3A").replace('@', "%40")
        );
        let url = format!("{}{path}", xcap_root.trim_end_matches('/'));
        let failed = |detail: String| StepFailure {
            service: "gms",
            clause: CLAUSE,
            detail,
        };
        let unreachable = |e: reqwest::Error| failed(format!("{url}: {}", e.without_url()));
        self.trace(Direction::Sent, &path, None, b"");
        let request = self
            .http
            .get(&url)
            .bearer_auth(token)
            .header("Accept", MEDIA_TYPE);
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let etag = response
            .headers()
            .get("etag")
            .and_then(|etag| etag.to_str().ok());
        let etag = etag.map(str::to_owned);
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                return Err(failed(format!("document of {group} is too long")).into());
            }
        }
        self.trace(Direction::Received, &path, Some(status), &body);
        if status != 200 {
            return Err(NotFetched {
                failure: failed(format!("GET of {group} answered {status}")),
                refused: matches!(status, 403 | 404 | 410),
            });
        }
        let document = GroupDocument::parse(&body)
            .map_err(|error| failed(format!("document of {group}: {error}")))?;
        if document.uri() != group.as_str() {
            return Err(failed(format!("document of {group} names {}", document.uri())).into());
        }
        Ok(Fetched { etag, document })
    }

    fn trace(&self, direction: Direction, path: &str, status: Option<u16>, body: &[u8]) {
        let (own, gms) = (Endpoint::named(self.node.clone()), Endpoint::named("gms"));
        let event = match status {
            None => Event::http_request(
                &names::HTTP_REQUEST,
                direction,
                (own, gms),
                ("GET", path),
                &[("Accept", MEDIA_TYPE)],
                body,
            ),
            Some(status) => Event::http_response(
                &names::HTTP_RESPONSE,
                direction,
                (gms, own),
                (status, path),
                &[("Content-Type", MEDIA_TYPE)],
                body,
            ),
        };
        self.tracer.emit(event.on(Interface::CSC_2));
    }
}
