//! Group documents, fetched from the group management server over XCAP (TS 24.481 6.3.3).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use mc_ids::GroupId;
use mc_runtime::SharedClock;
use mc_xml::group::GroupDocument;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, ETAG, IF_NONE_MATCH};

/// Most documents kept.
const MAX_DOCUMENTS: usize = 1024;
/// Largest document read, in octets.
const MAX_OCTETS: usize = 1 << 20;

/// Why there is no group document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// The group management server does not know the group.
    #[error("group document does not exist")]
    DoesNotExist,
    /// The group management server cannot be asked, refuses, or sends something unreadable.
    #[error("group document cannot be retrieved: {0}")]
    Unavailable(String),
}

/// Where group documents come from.
pub trait GroupSource: Send + Sync + 'static {
    /// The document of a group.
    fn group(&self, group: &GroupId) -> BoxFuture<'_, Result<Arc<GroupDocument>, GroupError>>;

    /// The document of a group has changed: it is asked for again.
    fn outdated(&self, group: &GroupId);
}

/// Gives the bearer token this server shows at other servers.
pub trait BearerToken: Send + Sync + 'static {
    /// A token that is valid now.
    fn token(&self) -> BoxFuture<'_, Result<String, String>>;
}

struct Cached {
    document: Arc<GroupDocument>,
    etag: Option<String>,
    fetched_unix_s: u64,
}

/// Where the documents of groups are, and what is shown there.
pub struct Home {
    /// XCAP root.
    pub root: String,
    /// Public service identity of the GMS.
    pub gms: String,
    /// Gives tokens for it.
    pub bearer: Arc<dyn BearerToken>,
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Home")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// The GMSs of the own domain and of partners.
#[derive(Debug)]
pub struct Homes {
    own: Home,
    /// By the domain of their groups.
    partners: HashMap<String, Home>,
}

impl Homes {
    /// That of the own domain, for all groups but the partners'.
    #[must_use]
    pub fn new(own: Home) -> Self {
        Self {
            own,
            partners: HashMap::new(),
        }
    }

    /// The same with another domain's.
    #[must_use]
    pub fn with_partner(mut self, domain: &str, home: Home) -> Self {
        self.partners.insert(domain.to_ascii_lowercase(), home);
        self
    }

    /// The one that has a group.
    #[must_use]
    pub fn of(&self, group: &GroupId) -> &Home {
        let domain = group.domain().to_ascii_lowercase();
        self.partners.get(&domain).unwrap_or(&self.own)
    }
}

/// Group documents by XCAP GET, revalidated with their `ETag`.
pub struct XcapGroups {
    homes: Arc<Homes>,
    max_age_s: u64,
    http: reqwest::Client,
    clock: SharedClock,
    cache: Mutex<HashMap<GroupId, Cached>>,
}

impl fmt::Debug for XcapGroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XcapGroups")
            .field("homes", &self.homes)
            .finish_non_exhaustive()
    }
}

impl XcapGroups {
    /// Documents of groups, each from its GMS.
    #[must_use]
    pub fn new(
        homes: Arc<Homes>,
        max_age_s: u64,
        http: reqwest::Client,
        clock: SharedClock,
    ) -> Self {
        Self {
            homes,
            max_age_s,
            http,
            clock,
            cache: Mutex::default(),
        }
    }

    fn cached(&self, group: &GroupId) -> Option<(Arc<GroupDocument>, Option<String>, bool)> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = cache.get(group)?;
        let fresh = self.clock.unix_s() < cached.fetched_unix_s + self.max_age_s;
        Some((cached.document.clone(), cached.etag.clone(), fresh))
    }

    fn keep(&self, group: &GroupId, document: &Arc<GroupDocument>, etag: Option<String>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= MAX_DOCUMENTS {
            cache.clear();
        }
        let fetched_unix_s = self.clock.unix_s();
        cache.insert(
            group.clone(),
            Cached {
                document: document.clone(),
                etag,
                fetched_unix_s,
            },
        );
    }

    async fn fetch(&self, group: GroupId) -> Result<Arc<GroupDocument>, GroupError> {
        let cached = self.cached(&group);
        if let Some((document, _, true)) = cached {
            return Ok(document);
        }
        let unavailable = |error: String| GroupError::Unavailable(error);
        let token = self
            .homes
            .of(&group)
            .bearer
            .token()
            .await
            .map_err(unavailable)?;
        let mut request = self
            .http
            .get(self.document_url(&group))
            .header(AUTHORIZATION, format!("Bearer {token}"));
        if let Some((_, Some(etag), _)) = &cached {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request
            .send()
            .await
            .map_err(|e| unavailable(e.without_url().to_string()))?;
        match response.status() {
            StatusCode::NOT_MODIFIED => {
                let (document, etag, _) =
                    cached.ok_or_else(|| unavailable("304 without a question".to_owned()))?;
                self.keep(&group, &document, etag);
                Ok(document)
            }
            StatusCode::NOT_FOUND => Err(GroupError::DoesNotExist),
            StatusCode::OK => {
                let etag = response
                    .headers()
                    .get(ETAG)
                    .and_then(|v| v.to_str().ok())
                    .map(str::to_owned);
                let octets = response
                    .bytes()
                    .await
                    .map_err(|e| unavailable(e.without_url().to_string()))?;
                if octets.len() > MAX_OCTETS {
                    return Err(unavailable("document is too large".to_owned()));
                }
                let document =
                    GroupDocument::parse(&octets).map_err(|e| unavailable(e.to_string()))?;
                if document.uri() != group.as_str() {
                    return Err(unavailable("document of another group".to_owned()));
                }
                let document = Arc::new(document);
                self.keep(&group, &document, etag);
                Ok(document)
            }
            status => Err(unavailable(format!("GMS answered {status}"))),
        }
    }

    //= TS 24.481 7.2.10.2
    fn document_url(&self, group: &GroupId) -> String {
        let id = group
            .as_str()
            .replace('%', "%25")
            .replace(':', "%3A")
            .replace('@', "%40");
        format!(
            "{}/org.openmobilealliance.groups/global/byGroupID/{id}",
            self.homes.of(group).root.trim_end_matches('/')
        )
    }
}

impl GroupSource for XcapGroups {
    fn group(&self, group: &GroupId) -> BoxFuture<'_, Result<Arc<GroupDocument>, GroupError>> {
        Box::pin(self.fetch(group.clone()))
    }

    fn outdated(&self, group: &GroupId) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = cache.get_mut(group) {
            cached.fetched_unix_s = 0;
        }
    }
}
