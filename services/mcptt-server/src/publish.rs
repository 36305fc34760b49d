//! PUBLISH: affiliation (TS 24.379 9.2.2.2.3), functional aliases (9A.2.2.2.3) and service settings
//! (7.3.3 to 7.3.5).

use std::collections::BTreeSet;

use mc_ids::GroupId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{EXPIRES_FOREVER, media};
use mc_sip::{McWarning, Response, StatusCode, Warning, name, token};
use mc_trace::{Event, names};
use mc_xml::affiliation::{AffiliationPresence, Tuple};
use mc_xml::poc_settings::PocSettings;

use crate::affiliation::ClientKey;
use crate::assertions;
use crate::call::session::SessionInput;
use crate::info::{self, OpenedBody};
use crate::interconnection::affiliation;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::subscribe;

/// Answers a PUBLISH to the participating function.
pub(crate) async fn handle(server: &Server, request: IncomingRequest) {
    let package = request.request.headers.event().map(|event| event.package);
    let result =
        match package.as_deref() {
            Some("presence") => presence(server, &request).await,
            Some("poc-settings") => settings(server, &request).await,
            Some(_) | None => Err(Refusal::status(StatusCode::BAD_EVENT)
                .with("Allow-Events", "presence, poc-settings")),
        };
    if let Err(refusal) = result {
        server.refuse(&request, &refusal);
    }
}

/// The PUBLISH must be about the sender's own MCPTT ID.
fn own_id(
    server: &Server,
    request: &IncomingRequest,
    opened: &OpenedBody,
    sender: &Binding,
) -> Result<(), Refusal> {
    match info::uri(opened.info.request_uri.as_ref()) {
        Some(id) if id == sender.mcptt_id.as_str() => Ok(()),
        Some(id) => {
            let asserted = (id, McWarning::FunctionNotAllowed);
            Err(assertions::refused(server, request, sender, asserted))
        }
        None => Err(Refusal::malformed("no mcptt-request-uri")),
    }
}

/// Affiliations and functional aliases share an event package; the body tells them apart.
async fn presence(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    let expires = request.request.headers.expires().unwrap_or(EXPIRES_FOREVER);
    if expires != 0 && expires != EXPIRES_FOREVER {
        let refusal =
            Refusal::status(StatusCode::INTERVAL_TOO_BRIEF).because(format!("Expires {expires}"));
        return Err(refusal.with(name::MIN_EXPIRES, EXPIRES_FOREVER.to_string()));
    }
    let opened = info::open(server, request, &sender)?;
    if affiliation::is_about_a_group(&opened, &sender) {
        return affiliation::publish(server, request, &sender, &opened, expires).await;
    }
    own_id(server, request, &opened, &sender)?;
    // A client that gives everything up may say so without a body.
    if expires == 0 && opened.parts.get(media::PIDF).is_none() {
        return own_affiliation(server, request, &sender, None).await;
    }
    let presence = info::presence(server, &opened.parts, &sender)?;
    if presence.is_about_aliases() {
        return aliases(server, request, &sender, &presence, expires == 0).await;
    }
    let presence = (expires > 0).then_some(presence);
    own_affiliation(server, request, &sender, presence).await
}

/// The tuple of the sender's client.
fn own_tuple<'a>(
    server: &Server,
    request: &IncomingRequest,
    presence: &'a AffiliationPresence,
    sender: &Binding,
) -> Result<&'a Tuple, Refusal> {
    if presence.entity != sender.mcptt_id.as_str() {
        let asserted = (presence.entity.as_str(), McWarning::FunctionNotAllowed);
        return Err(assertions::refused(server, request, sender, asserted));
    }
    let own = |tuple: &&Tuple| tuple.id == sender.client_id.as_str();
    let tuple = presence.tuples.iter().find(own);
    tuple.ok_or_else(|| Refusal::malformed("no tuple of the sender's client"))
}

/// A change of functional aliases: the listed ones are all that shall be active, or with Expires 0
/// those that shall be no longer.
//= TS 24.379 9A.2.2.2.3
async fn aliases(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
    presence: &AffiliationPresence,
    give_up: bool,
) -> Result<(), Refusal> {
    let tuple = own_tuple(server, request, presence, sender)?;
    let listed: BTreeSet<String> = tuple.functional_aliases.iter().cloned().collect();
    let allowed = &server
        .parts
        .config
        .users
        .of(&sender.mcptt_id)
        .functional_aliases;
    let foreign = |alias: &&String| !give_up && !allowed.contains(*alias);
    if let Some(alias) = listed.iter().find(foreign) {
        let asserted = (alias.as_str(), McWarning::NotAuthorisedFunctionalAlias);
        return Err(assertions::refused(server, request, sender, asserted));
    }
    let client: ClientKey = (sender.mcptt_id.clone(), sender.client_id.clone());
    let wanted = if give_up {
        let active = server.aliases().of_client(&client);
        active.difference(&listed).cloned().collect()
    } else {
        listed
    };
    let replaced = server.aliases().replace(&client, &wanted);
    replaced.map_err(|error| Refusal::forbidden(McWarning::FunctionNotAllowed).because(error))?;
    save_aliases(server, &client, &wanted).await;
    request.respond(accepted(request, if give_up { 0 } else { EXPIRES_FOREVER }));
    subscribe::notify_affiliation(server, &sender.mcptt_id, None);
    Ok(())
}

async fn save_aliases(server: &Server, client: &ClientKey, aliases: &BTreeSet<String>) {
    let saved = server.parts.store.save_functional_aliases(client, aliases);
    if let Err(error) = saved.await {
        tracing::error!(%error, "functional aliases were not saved");
    }
    let active: Vec<&str> = aliases.iter().map(String::as_str).collect();
    let summary = format!("{} is active as [{}]", client.0.as_str(), active.join(", "));
    let event = Event::local(&names::MCPTT_ALIASES, summary);
    server.parts.tracer.emit(event);
}

/// A client that is gone has no functional alias active.
pub(crate) async fn forget_aliases(server: &Server, client: &ClientKey) {
    if server.aliases().of_client(client).is_empty() {
        return;
    }
    // Nothing is wanted, so nothing is taken.
    let _taken = server.aliases().replace(client, &BTreeSet::new());
    save_aliases(server, client, &BTreeSet::new()).await;
}

/// The 200 to a publication.
pub(crate) fn accepted(request: &IncomingRequest, expires: u32) -> Response {
    request
        .response(StatusCode::OK)
        .with(name::SIP_ETAG, token::hex(&mut mc_runtime::rng(), 8))
        .with(name::EXPIRES, expires.to_string())
}

//= TS 24.379 9.2.2.2.3
async fn own_affiliation(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
    presence: Option<AffiliationPresence>,
) -> Result<(), Refusal> {
    let client: ClientKey = (sender.mcptt_id.clone(), sender.client_id.clone());
    let expires = if presence.is_some() {
        EXPIRES_FOREVER
    } else {
        0
    };
    let wanted = match &presence {
        Some(presence) => wanted(server, request, presence, sender)?,
        None => BTreeSet::new(),
    };
    let p_id = presence.and_then(|presence| presence.p_id);
    let limit = server.parts.config.policy.max_affiliations;
    let too_many = wanted.len() > limit;
    let wanted: BTreeSet<GroupId> = wanted.into_iter().take(limit).collect();

    let mut response = accepted(request, expires);
    if too_many {
        response = response.with_warning(&Warning::numbered(
            server.host(),
            McWarning::TooManyAffiliations,
        ));
    }
    request.respond(response);

    let mut accepted = BTreeSet::new();
    for group in wanted {
        if is_member(server, &group, sender).await {
            accepted.insert(group);
        }
    }
    let before = server.affiliations().groups_of(&client);
    let kept: Vec<GroupId> = accepted.intersection(&before).cloned().collect();
    replace_affiliations(server, &client, accepted).await;
    for group in kept {
        again(server, &group, &client);
    }
    subscribe::notify_affiliation(server, &sender.mcptt_id, p_id.as_deref());
    Ok(())
}

/// A client affiliated to a group that it was affiliated to: it may have been started again and
/// have lost the group's call.
//= TS 24.379 10.1.1.4.6
pub(crate) fn again(server: &Server, group: &GroupId, client: &ClientKey) {
    if let Some(session) = server.calls().of_group(group) {
        session.send(SessionInput::LateEntry(client.clone()));
    }
}

/// The groups of the sender's tuple.
fn wanted(
    server: &Server,
    request: &IncomingRequest,
    presence: &AffiliationPresence,
    sender: &Binding,
) -> Result<BTreeSet<GroupId>, Refusal> {
    let tuple = own_tuple(server, request, presence, sender)?;
    let groups = tuple
        .affiliations
        .iter()
        .filter_map(|affiliation| affiliation.group.as_deref());
    groups
        .map(|group| GroupId::new(group).map_err(Refusal::malformed))
        .collect()
}

/// The controlling function's decision (9.2.2.3.3): members only.
async fn is_member(server: &Server, group: &GroupId, sender: &Binding) -> bool {
    match server.parts.groups.group(group).await {
        Ok(document) => {
            let member = document.member(sender.mcptt_id.as_str()).is_some();
            if !member {
                tracing::info!(
                    group = group.as_str(),
                    "affiliation of a non-member refused"
                );
            }
            member
        }
        Err(error) => {
            tracing::info!(group = group.as_str(), %error, "affiliation refused");
            false
        }
    }
}

/// Puts a client's new set in force: store, calls, events.
pub(crate) async fn replace_affiliations(
    server: &Server,
    client: &ClientKey,
    groups: BTreeSet<GroupId>,
) {
    if let Err(error) = server.parts.store.save_affiliations(client, &groups).await {
        tracing::error!(%error, "affiliations were not saved");
    }
    let change = server.affiliations().replace(client, groups);
    for group in &change.joined {
        let summary = format!("{} affiliated to {}", client.0.as_str(), group.as_str());
        server
            .parts
            .tracer
            .emit(Event::local(&names::MCPTT_AFFILIATED, summary));
    }
    for group in &change.left {
        let summary = format!("{} left {}", client.0.as_str(), group.as_str());
        server
            .parts
            .tracer
            .emit(Event::local(&names::MCPTT_DEAFFILIATED, summary));
    }
    for (groups, joined) in [(change.joined, true), (change.left, false)] {
        if joined && !groups.is_empty() {
            server.watch.look();
        }
        for group in groups {
            let session = server.calls().of_group(&group);
            let Some(session) = session else { continue };
            //= TS 24.379 10.1.1.4.6
            if joined {
                session.send(SessionInput::LateEntry(client.clone()));
            } else {
                session.send(SessionInput::Leave(client.clone()));
            }
        }
    }
}

//= TS 24.379 7.3.3
//= TS 24.379 7.3.4
async fn settings(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    let expires = request.request.headers.expires().unwrap_or(EXPIRES_FOREVER);
    if expires == 0 {
        let removed = server.registrations().remove(&sender.impu);
        if let Some(binding) = removed {
            crate::register::forget(server, &binding).await;
        }
        request.respond(request.response(StatusCode::OK).with(name::EXPIRES, "0"));
        return Ok(());
    }
    let opened = info::open(server, request, &sender)?;
    if opened.info.access_token.is_none() {
        own_id(server, request, &opened, &sender)?;
    } else {
        let authorised = server.parts.authoriser.authorise(&opened.parts).await?;
        if authorised.mcptt_id != sender.mcptt_id || authorised.client_id != sender.client_id {
            let refusal = Refusal::forbidden(McWarning::ServiceAuthorisationFailed);
            return Err(refusal.because("the token is of another user or client"));
        }
    }
    let part = opened
        .parts
        .get(media::POC_SETTINGS)
        .ok_or(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE).because("no poc-settings"))?;
    let published = PocSettings::parse(&part.content).map_err(Refusal::malformed)?;
    if published.client_id != sender.client_id.as_str() {
        let refusal = Refusal::forbidden(McWarning::FunctionNotAllowed);
        return Err(refusal.because("settings of another client"));
    }
    if let Some(binding) = server.registrations().by_impu_mut(&sender.impu) {
        binding.answer_mode = published.answer_mode;
    }
    request.respond(accepted(request, expires));
    Ok(())
}
