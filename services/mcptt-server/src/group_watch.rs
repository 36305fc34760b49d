//! Group documents as they change: the controlling function subscribes to those of the groups its
//! users are affiliated to (TS 24.481 6.3.13), and who is no member any more is out of the group and
//! of its call at once (TS 24.379 9.2.2.3.3, 10.1.1.4.4.3).

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mc_ids::GroupId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{ICSI, media};
use mc_sip::{
    BodyPart, Dialog, DialogId, Method, Multipart, NameAddr, Peer, Request, StatusCode, Uri, name,
    token,
};
use mc_xml::group::{AUID, GroupDocument};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::resource_lists::ResourceLists;
use tokio::sync::Notify;

use crate::call::session::SessionInput;
use crate::groups::GroupError;
use crate::server::Server;
use crate::{publish, subscribe};

/// Time between two looks at which groups are to be watched.
const LOOK: Duration = Duration::from_secs(1);
/// Duration of a subscription, in seconds; it is renewed at half of it.
const EXPIRES_S: u32 = 3600;
/// Time after a refused subscription until the next attempt, in seconds.
const RETRY_S: u64 = 5;

/// The subscriptions to group documents.
#[derive(Debug, Default)]
pub(crate) struct GroupWatch {
    groups: Mutex<HashMap<GroupId, Watched>>,
    wanted: Notify,
}

/// One subscription, or when to try again.
#[derive(Debug)]
struct Watched {
    dialog: Option<Dialog>,
    next_unix_s: u64,
}

impl GroupWatch {
    fn groups(&self) -> MutexGuard<'_, HashMap<GroupId, Watched>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A group may be new: look now.
    pub(crate) fn look(&self) {
        self.wanted.notify_one();
    }

    /// The group that a dialog is about.
    pub(crate) fn group_of(&self, id: &DialogId) -> Option<GroupId> {
        let groups = self.groups();
        let own = |watched: &Watched| watched.dialog.as_ref().is_some_and(|d| d.id() == id);
        let found = groups.iter().find(|(_, watched)| own(watched));
        found.map(|(group, _)| group.clone())
    }

    fn is_due(&self, group: &GroupId, now_unix_s: u64) -> bool {
        let groups = self.groups();
        groups
            .get(group)
            .is_none_or(|watched| watched.next_unix_s <= now_unix_s)
    }

    fn put(&self, group: &GroupId, dialog: Option<Dialog>, next_unix_s: u64) {
        let watched = Watched {
            dialog,
            next_unix_s,
        };
        self.groups().insert(group.clone(), watched);
    }
}

/// Keeps the subscriptions up until the server stops.
pub(crate) async fn keep(server: Arc<Server>) {
    let stop = server.parts.shutdown.clone();
    let work = async {
        loop {
            for group in wanted(&server) {
                if server.watch.is_due(&group, server.now()) {
                    subscribe_to(&server, &group).await;
                }
            }
            // In time, or when somebody affiliates.
            let _elapsed = tokio::time::timeout(LOOK, server.watch.wanted.notified()).await;
        }
    };
    stop.run_until_cancelled(work).await;
}

/// The groups with affiliated users; nobody else can be in a call of a group.
fn wanted(server: &Server) -> BTreeSet<GroupId> {
    let affiliations = server.affiliations();
    let groups = affiliations.iter().flat_map(|(_, groups)| groups);
    groups.cloned().collect()
}

/// Subscribes to a group's document; each time anew, so that its first NOTIFY tells what was missed.
//= TS 24.481 6.3.13
async fn subscribe_to(server: &Server, group: &GroupId) {
    let now = server.now();
    let made = made(server, group).await;
    let (dialog, next) = match made {
        Ok(dialog) => (Some(dialog), now + u64::from(EXPIRES_S / 2)),
        Err(detail) => {
            tracing::info!(group = group.as_str(), detail, "group document not watched");
            (None, now + RETRY_S)
        }
    };
    server.watch.put(group, dialog, next);
}

async fn made(server: &Server, group: &GroupId) -> Result<Dialog, String> {
    let home = server.parts.homes.of(group);
    let gms: Uri = home
        .gms
        .parse()
        .map_err(|_| format!("{:?} is no SIP URI", home.gms))?;
    let peer = server.route(&gms).ok_or("there is no route to its GMS")?;
    let token = home.bearer.token().await?;
    let request = subscription(server, group, (&gms, peer), &token);
    let mut responses = server.parts.endpoint.request(request.clone(), peer);
    let response = responses.final_response().await;
    let response = response.map_err(|error| error.to_string())?;
    if !response.status.is_success() {
        return Err(format!("SUBSCRIBE answered {}", response.status.code()));
    }
    Dialog::uac(&request, &response).map_err(|error| error.to_string())
}

fn subscription(
    server: &Server,
    group: &GroupId,
    (gms, peer): (&Uri, Peer),
    access_token: &str,
) -> Request {
    let rng = &mut mc_runtime::rng();
    let own = NameAddr::new(server.participating.clone());
    let info = McpttInfo {
        access_token: Some(Content::string_value(access_token)),
        ..McpttInfo::default()
    };
    let lists = ResourceLists {
        uris: vec![format!("{AUID}/global/byGroupID/{}", group.as_str())],
    };
    let parts = Multipart::default()
        .with(BodyPart::new(media::MCPTT_INFO, info.to_xml()))
        .with(
            BodyPart::new(media::RESOURCE_LISTS, lists.to_xml())
                .with(name::CONTENT_DISPOSITION, "recipient-list"),
        );
    let (content_type, body) = parts.write(&token::boundary(rng));
    Request::new(
        Method::Subscribe,
        gms.clone(),
        &own.clone().with_tag(&token::tag(rng)),
        &NameAddr::new(gms.clone()),
        &token::call_id(rng),
        1,
    )
    .with(
        name::CONTACT,
        server.parts.endpoint.contact("mcptt", peer).to_string(),
    )
    .with(name::P_ASSERTED_IDENTITY, own.to_string())
    .with(name::P_ASSERTED_SERVICE, ICSI)
    .with(name::EVENT, "xcap-diff")
    .with(name::ACCEPT, media::XCAP_DIFF)
    .with(name::EXPIRES, EXPIRES_S.to_string())
    .with_body(&content_type, body)
}

/// A NOTIFY of one of the subscriptions: the document is fetched and put in force.
pub(crate) async fn on_notify(server: &Server, group: &GroupId, request: &IncomingRequest) {
    if !server.is_route_host(request.from.address.ip()) {
        return request.respond_status(StatusCode::FORBIDDEN);
    }
    let in_order = {
        let mut groups = server.watch.groups();
        let dialog = groups.get_mut(group).and_then(|w| w.dialog.as_mut());
        dialog.is_some_and(|dialog| dialog.on_request(&request.request).is_ok())
    };
    if !in_order {
        return request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
    }
    request.respond_status(StatusCode::OK);
    server.parts.groups.outdated(group);
    match server.parts.groups.group(group).await {
        Ok(document) => changed(server, group, Some(document)).await,
        Err(GroupError::DoesNotExist) => changed(server, group, None).await,
        Err(GroupError::Unavailable(detail)) => {
            tracing::warn!(
                group = group.as_str(),
                detail,
                "changed document not fetched"
            );
            server.watch.put(group, None, server.now() + 1);
        }
    }
}

/// Takes everybody out who is no member of a group (any more).
//= TS 24.379 9.2.2.3.3
async fn changed(server: &Server, group: &GroupId, document: Option<Arc<GroupDocument>>) {
    let clients = server.affiliations().clients_of(group);
    for client in clients {
        let user = client.0.as_str();
        if document.as_ref().is_some_and(|d| d.member(user).is_some()) {
            continue;
        }
        tracing::info!(group = group.as_str(), user, "no member any more");
        let mut groups = server.affiliations().groups_of(&client);
        groups.remove(group);
        publish::replace_affiliations(server, &client, groups).await;
        subscribe::notify_affiliation(server, &client.0, None);
    }
    let session = server.calls().of_group(group);
    if let Some(session) = session {
        session.send(SessionInput::Document(document));
    }
}
