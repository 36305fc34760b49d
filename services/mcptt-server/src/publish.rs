//! PUBLISH: affiliation (TS 24.379 9.2.2.2.3) and service settings (7.3.3 to 7.3.5).

use std::collections::BTreeSet;

use mc_ids::GroupId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{EXPIRES_FOREVER, media};
use mc_sip::{McWarning, Multipart, StatusCode, Warning, name, token};
use mc_trace::{Event, names};
use mc_xml::affiliation::AffiliationPresence;
use mc_xml::poc_settings::PocSettings;

use crate::affiliation::ClientKey;
use crate::call::session::SessionInput;
use crate::info::{self, OpenedBody};
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::subscribe;

/// Answers a PUBLISH to the participating function.
pub(crate) async fn handle(server: &Server, request: IncomingRequest) {
    let package = request.request.headers.event().map(|event| event.package);
    let result =
        match package.as_deref() {
            Some("presence") => affiliation(server, &request).await,
            Some("poc-settings") => settings(server, &request).await,
            Some(_) | None => Err(Refusal::status(StatusCode::BAD_EVENT)
                .with("Allow-Events", "presence, poc-settings")),
        };
    if let Err(refusal) = result {
        server.refuse(&request, &refusal);
    }
}

fn open(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
) -> Result<OpenedBody, Refusal> {
    info::open(
        request,
        sender.xml.as_ref(),
        server.parts.config.policy.require_encrypted_info,
    )
}

/// The PUBLISH must be about the sender's own MCPTT ID.
fn own_id(opened: &OpenedBody, sender: &Binding) -> Result<(), Refusal> {
    match info::uri(opened.info.request_uri.as_ref()) {
        Some(id) if id == sender.mcptt_id.as_str() => Ok(()),
        Some(_) => Err(Refusal::forbidden(McWarning::FunctionNotAllowed)),
        None => Err(Refusal::status(StatusCode::BAD_REQUEST)),
    }
}

//= TS 24.379 9.2.2.2.3
async fn affiliation(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    let expires = request.request.headers.expires().unwrap_or(EXPIRES_FOREVER);
    if expires != 0 && expires != EXPIRES_FOREVER {
        let refusal = Refusal::status(StatusCode::INTERVAL_TOO_BRIEF);
        return Err(refusal.with(name::MIN_EXPIRES, EXPIRES_FOREVER.to_string()));
    }
    let opened = open(server, request, &sender)?;
    own_id(&opened, &sender)?;
    let client: ClientKey = (sender.mcptt_id.clone(), sender.client_id.clone());
    let (wanted, p_id) = if expires == 0 {
        (BTreeSet::new(), None)
    } else {
        wanted(&opened.parts, &sender)?
    };
    let limit = server.parts.config.policy.max_affiliations;
    let too_many = wanted.len() > limit;
    let wanted: BTreeSet<GroupId> = wanted.into_iter().take(limit).collect();

    let mut response = request
        .response(StatusCode::OK)
        .with(name::SIP_ETAG, token::hex(&mut mc_runtime::rng(), 8))
        .with(name::EXPIRES, expires.to_string());
    if too_many {
        response = response.with_warning(&Warning::numbered(
            server.host(),
            McWarning::TooManyAffiliations,
        ));
    }
    request.respond(response);

    let mut accepted = BTreeSet::new();
    for group in wanted {
        if is_member(server, &group, &sender).await {
            accepted.insert(group);
        }
    }
    replace_affiliations(server, &client, accepted).await;
    subscribe::notify_affiliation(server, &sender.mcptt_id, p_id.as_deref());
    Ok(())
}

/// The groups of the sender's tuple, and the `p-id`.
fn wanted(
    parts: &Multipart,
    sender: &Binding,
) -> Result<(BTreeSet<GroupId>, Option<String>), Refusal> {
    let part = parts
        .get(media::PIDF)
        .ok_or(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE))?;
    let bad = || Refusal::status(StatusCode::BAD_REQUEST);
    let presence = AffiliationPresence::parse(&part.content).map_err(|_| bad())?;
    if presence.entity != sender.mcptt_id.as_str() {
        return Err(Refusal::forbidden(McWarning::FunctionNotAllowed));
    }
    let tuple = presence
        .tuples
        .iter()
        .find(|tuple| tuple.id == sender.client_id.as_str())
        .ok_or_else(bad)?;
    let groups = tuple
        .affiliations
        .iter()
        .filter_map(|affiliation| affiliation.group.as_deref());
    let groups = groups
        .map(|group| GroupId::new(group).map_err(|_| bad()))
        .collect::<Result<_, _>>()?;
    Ok((groups, presence.p_id))
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
        for group in groups {
            let session = server.calls().sessions.get(&group).cloned();
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
    let opened = open(server, request, &sender)?;
    if opened.info.access_token.is_none() {
        own_id(&opened, &sender)?;
    } else {
        let authorised = server.parts.authoriser.authorise(&opened.parts).await?;
        if authorised.mcptt_id != sender.mcptt_id || authorised.client_id != sender.client_id {
            return Err(Refusal::forbidden(McWarning::ServiceAuthorisationFailed));
        }
    }
    let part = opened
        .parts
        .get(media::POC_SETTINGS)
        .ok_or(Refusal::status(StatusCode::UNSUPPORTED_MEDIA_TYPE))?;
    let published =
        PocSettings::parse(&part.content).map_err(|_| Refusal::status(StatusCode::BAD_REQUEST))?;
    if published.client_id != sender.client_id.as_str() {
        return Err(Refusal::forbidden(McWarning::FunctionNotAllowed));
    }
    if let Some(binding) = server.registrations().by_impu_mut(&sender.impu) {
        binding.answer_mode = published.answer_mode;
    }
    let response = request
        .response(StatusCode::OK)
        .with(name::SIP_ETAG, token::hex(&mut mc_runtime::rng(), 8))
        .with(name::EXPIRES, expires.to_string());
    request.respond(response);
    Ok(())
}
