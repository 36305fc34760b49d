//! The originating participating function and the entry of the controlling one (TS 24.379 10.1.1.3.1, 10.1.1.4.2).

use std::sync::Arc;

use mc_ids::GroupId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{self, media};
use mc_sip::sdp::{McpttMedia, Sdp};
use mc_sip::{McWarning, StatusCode, name};
use mc_xml::group::GroupDocument;
use mc_xml::mcptt_info::{McpttInfo, SessionType};

use super::admission::{self, Asked};
use super::session::{self, SessionInput};
use crate::info;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;

/// A request to start or join a group call that passed every check but those on the session.
#[derive(Debug)]
pub struct Caller {
    /// The INVITE, still to be answered.
    pub request: IncomingRequest,
    /// The calling client.
    pub binding: Binding,
    /// The group.
    pub group: GroupId,
    /// Its document.
    pub document: Arc<GroupDocument>,
    /// The caller's offer.
    pub offer: McpttMedia,
    /// The caller's mcptt-info in clear.
    pub info: McpttInfo,
}

/// Answers an INVITE outside a dialog.
pub(crate) async fn handle(server: &Arc<Server>, request: IncomingRequest) {
    match prepare(server, &request).await {
        Ok(prepared) => {
            let (binding, group, document, offer, info) = prepared;
            let caller = Caller {
                request,
                binding,
                group,
                document,
                offer,
                info,
            };
            enter(server, caller);
        }
        Err(refusal) => server.refuse(&request, &refusal),
    }
}

type Prepared = (Binding, GroupId, Arc<GroupDocument>, McpttMedia, McpttInfo);

//= TS 24.379 10.1.1.3.1.1
async fn prepare(server: &Server, request: &IncomingRequest) -> Result<Prepared, Refusal> {
    let target = &request.request.uri;
    let is_session = target
        .user
        .as_deref()
        .is_some_and(|user| user.starts_with("s-"));
    if !server.is_own(target) && !is_session {
        return Err(Refusal::status(StatusCode::NOT_FOUND));
    }
    let policy = &server.parts.config.policy;
    let binding = server.sender(request)?;
    if policy.require_accept_contact && !mcptt::accepts_mcptt(&request.request.headers) {
        return Err(Refusal::status(StatusCode::FORBIDDEN));
    }
    let opened = info::open(request, binding.xml.as_ref(), policy.require_encrypted_info)?;
    let offer = offer(&opened.parts)?;
    if request
        .request
        .headers
        .contact()
        .is_some_and(|contact| mcptt::is_focus(&contact))
    {
        return Err(Refusal::forbidden(McWarning::IsfocusAlreadyAssigned));
    }
    match &opened.info.session_type {
        Some(SessionType::Prearranged | SessionType::Chat) => {}
        Some(SessionType::Private) => {
            return Err(Refusal::forbidden(McWarning::NotAuthorisedPrivateCall));
        }
        Some(SessionType::FirstToAnswer) => {
            return Err(Refusal::forbidden(McWarning::NotAuthorisedFirstToAnswer));
        }
        Some(SessionType::AmbientListening) => {
            return Err(Refusal::forbidden(McWarning::NotAuthorisedAmbientListening));
        }
        Some(SessionType::Adhoc | SessionType::Other(_)) => {
            return Err(Refusal::forbidden(McWarning::FunctionNotAllowed));
        }
        None => return Err(Refusal::status(StatusCode::BAD_REQUEST)),
    }
    let group = info::uri(opened.info.request_uri.as_ref())
        .ok_or(Refusal::status(StatusCode::BAD_REQUEST))?;
    let group = GroupId::new(group).map_err(|_| Refusal::status(StatusCode::BAD_REQUEST))?;
    let found = server.parts.groups.group(&group).await;
    let document = found.map_err(|error| {
        tracing::info!(group = group.as_str(), %error, "no group document");
        admission::missing_document(&error)
    })?;
    Ok((binding, group, document, offer, opened.info))
}

fn offer(parts: &mc_sip::Multipart) -> Result<McpttMedia, Refusal> {
    let part = parts
        .get(media::SDP)
        .ok_or(Refusal::status(StatusCode::BAD_REQUEST))?;
    let sdp = Sdp::parse(&part.content).map_err(|_| Refusal::status(StatusCode::BAD_REQUEST))?;
    McpttMedia::from_sdp(&sdp).map_err(|_| Refusal::status(StatusCode::NOT_ACCEPTABLE_HERE))
}

/// Finds or makes the session of the group and hands the caller over to it.
fn enter(server: &Arc<Server>, caller: Caller) {
    let affiliated = server
        .affiliations()
        .is_affiliated(&caller.binding.mcptt_id, &caller.group);
    let mut calls = server.calls();
    let ongoing = calls
        .sessions
        .get(&caller.group)
        .filter(|handle| !handle.is_closed())
        .cloned();
    let asked = Asked {
        user: &caller.binding.mcptt_id,
        session_type: caller
            .info
            .session_type
            .as_ref()
            .unwrap_or(&SessionType::Prearranged),
        affiliated,
        ongoing: ongoing.is_some(),
        participants: ongoing.as_ref().map_or(0, |handle| {
            u32::try_from(handle.participants().len()).unwrap_or(u32::MAX)
        }),
    };
    let verdict = admission::admit(&caller.document, asked)
        .and_then(|()| rejoin(&caller, ongoing.as_ref().map(|handle| &handle.identity)))
        .and_then(|()| simultaneous(server, &calls.sessions, &caller))
        .and_then(|()| floor_key(&caller));
    if let Err(refusal) = verdict {
        drop(calls);
        server.refuse(&caller.request, &refusal);
        return;
    }
    let transaction = caller.request.transaction;
    if let Some(handle) = ongoing {
        calls.invites.insert(transaction, handle.clone());
        drop(calls);
        handle.send(SessionInput::Join(Box::new(caller)));
    } else {
        let (handle, actor) = session::make(server, &mut calls, &caller);
        calls.invites.insert(transaction, handle.clone());
        calls.sessions.insert(caller.group.clone(), handle);
        drop(calls);
        tokio::spawn(actor.run(caller));
    }
}

/// A Request-URI that is a session identity must be that of the ongoing session (10.1.1.4.5).
fn rejoin(caller: &Caller, ongoing: Option<&mc_sip::Uri>) -> Result<(), Refusal> {
    let target = &caller.request.request.uri;
    let is_session = target
        .user
        .as_deref()
        .is_some_and(|user| user.starts_with("s-"));
    if is_session && !ongoing.is_some_and(|identity| identity.same_identity(target)) {
        return Err(Refusal::not_found(McWarning::GroupCallDoesNotExist));
    }
    Ok(())
}

/// N6: the most group calls of one user at a time.
fn simultaneous(
    server: &Server,
    sessions: &std::collections::HashMap<GroupId, session::SessionHandle>,
    caller: &Caller,
) -> Result<(), Refusal> {
    let taking_part =
        |handle: &&session::SessionHandle| handle.participants().contains(&caller.binding.mcptt_id);
    if sessions.values().filter(taking_part).count() >= server.parts.config.policy.max_group_calls {
        return Err(Refusal::warned(
            StatusCode::BUSY_HERE,
            McWarning::MaximumGroupCalls,
        ));
    }
    Ok(())
}

/// Protected floor control needs the client's CSK, which a restart of the server loses.
fn floor_key(caller: &Caller) -> Result<(), Refusal> {
    let needed = caller.document.settings().protect_floor_control && caller.offer.floor.is_some();
    if needed && caller.binding.csk.is_none() {
        return Err(Refusal::forbidden(McWarning::ServiceAuthorisationFailed));
    }
    Ok(())
}

/// Whether an INVITE carries an implicit floor request.
#[must_use]
pub fn is_implicit_request(offer: &McpttMedia) -> bool {
    offer.floor.is_some() && offer.floor_parameters.implicit_request
}

/// The Allow header field of every INVITE and its answers.
#[must_use]
pub fn allow() -> (&'static str, String) {
    (name::ALLOW, mc_sip::Method::allow())
}
