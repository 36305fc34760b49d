//! Affiliation of a partner's user, published by its participating function to our controlling one
//! (TS 24.379 9.2.2.2.6, 9.2.2.3.3).

use std::collections::BTreeSet;
use std::sync::Arc;

use mc_ids::{ClientId, GroupId, McServiceId};
use mc_runtime::sip::IncomingRequest;
use mc_sip::McWarning;
use mc_xml::affiliation::AffiliationPresence;

use super::partner::{Partner, Refused};
use super::{may_use, spoofed};
use crate::affiliation::ClientKey;
use crate::call::admission;
use crate::info::{self, OpenedBody};
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::{publish, subscribe};

/// Most clients of one user in one publication.
const MAX_CLIENTS: usize = 16;

/// Whether a PUBLISH of the presence package is about a group, as between functions, and not about
/// its user, as a client's.
pub(crate) fn is_about_a_group(opened: &OpenedBody, sender: &Binding) -> bool {
    let about = info::uri(opened.info.request_uri.as_ref());
    sender.partner.is_some() && about.is_some_and(|uri| uri != sender.mcptt_id.as_str())
}

/// Puts the listed clients of one user into one group, and takes those out that are not listed.
//= TS 24.379 9.2.2.3.3
pub(crate) async fn publish(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
    opened: &OpenedBody,
    expires: u32,
) -> Result<(), Refusal> {
    let untold = || Refusal::malformed("no group of a partner");
    let partner = sender.partner.as_ref().ok_or_else(untold)?;
    let group = info::uri(opened.info.request_uri.as_ref()).ok_or_else(untold)?;
    let group = GroupId::new(group).map_err(Refusal::malformed)?;
    may_use(sender, &group)?;
    let user = &sender.mcptt_id;
    if !is_member(server, &group, user).await? {
        return Err(Refusal::forbidden(McWarning::NotPartOfGroup));
    }
    let presence = info::presence(server, &opened.parts, sender);
    let presence = presence.inspect_err(|refusal| {
        if refusal.warning == Some(McWarning::UnableToDecryptXml) {
            partner.refused(Refused::Protection);
        }
    })?;
    let wanted = if expires == 0 {
        BTreeSet::new()
    } else {
        if presence.entity != group.as_str() {
            return Err(Refusal::malformed("a pidf of another entity"));
        }
        listed(server, request, partner, user, &presence)?
    };
    let now = here(server, user, &group);
    let limit = server.parts.config.policy.max_affiliations;
    let full = |id: &ClientId| {
        let client = (user.clone(), id.clone());
        !now.contains(id) && server.affiliations().groups_of(&client).len() >= limit
    };
    if wanted.iter().any(full) {
        return Err(Refusal::forbidden(McWarning::TooManyAffiliations));
    }
    for id in now.symmetric_difference(&wanted) {
        let client: ClientKey = (user.clone(), id.clone());
        let mut groups = server.affiliations().groups_of(&client);
        if wanted.contains(id) {
            groups.insert(group.clone());
        } else {
            groups.remove(&group);
        }
        publish::replace_affiliations(server, &client, groups).await;
    }
    for id in now.intersection(&wanted) {
        publish::again(server, &group, &(user.clone(), id.clone()));
    }
    request.respond(publish::accepted(request, expires));
    subscribe::notify_affiliation(server, user, presence.p_id.as_deref());
    Ok(())
}

/// Whether a user is in a group, or has been since its document was fetched: a partner makes users
/// on the fly and publishes them at once.
async fn is_member(server: &Server, group: &GroupId, user: &McServiceId) -> Result<bool, Refusal> {
    let (groups, missing) = (&server.parts.groups, admission::missing_document);
    let held = groups.group(group).await.map_err(|e| missing(&e))?;
    if held.member(user.as_str()).is_some() {
        return Ok(true);
    }
    groups.outdated(group);
    let current = groups.group(group).await.map_err(|e| missing(&e))?;
    Ok(current.member(user.as_str()).is_some())
}

/// The clients listed for the user; a publication speaks for no other.
fn listed(
    server: &Server,
    request: &IncomingRequest,
    partner: &Arc<Partner>,
    user: &McServiceId,
    presence: &AffiliationPresence,
) -> Result<BTreeSet<ClientId>, Refusal> {
    let mut clients = BTreeSet::new();
    for tuple in &presence.tuples {
        if tuple.id != user.as_str() {
            let other = McServiceId::new(tuple.id.as_str()).map_err(Refusal::malformed)?;
            return Err(spoofed(server, request, partner, &other));
        }
        for affiliation in &tuple.affiliations {
            let id = affiliation.client.as_deref();
            let id = id.ok_or_else(|| Refusal::malformed("an affiliation of no client"))?;
            clients.insert(ClientId::new(id).map_err(Refusal::malformed)?);
        }
    }
    if clients.is_empty() || clients.len() > MAX_CLIENTS {
        return Err(Refusal::malformed("no clients, or too many"));
    }
    Ok(clients)
}

/// The user's clients in the group that are the partner's to change: not those registered here.
fn here(server: &Server, user: &McServiceId, group: &GroupId) -> BTreeSet<ClientId> {
    let clients = server.affiliations().clients_of(group);
    let registrations = server.registrations();
    let registered: BTreeSet<&ClientId> = registrations
        .of_user(user, server.now())
        .map(|binding| &binding.client_id)
        .collect();
    clients
        .into_iter()
        .filter(|(other, id)| other == user && !registered.contains(id))
        .map(|(_, id)| id)
        .collect()
}
