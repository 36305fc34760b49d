//! The originating participating function and the entry of the controlling one
//! (TS 24.379 10.1.1.3.1, 10.1.1.4.2, 11.1.1.3.1).

use std::sync::Arc;

use mc_ids::GroupId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{self, media};
use mc_sip::sdp::{McpttMedia, Sdp};
use mc_sip::{Dialog, McWarning, StatusCode, name};
use mc_xml::group::GroupDocument;
use mc_xml::mcptt_info::{McpttInfo, SessionType};

use super::admission::{self, Asked};
use super::emergency;
use super::private::{self, Outcome};
use super::session::{self, SessionHandle, SessionInput};
use super::subject::Subject;
use crate::info::{self, OpenedBody};
use crate::interconnection;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::revocation;
use crate::server::{Calls, Server};

/// A request to start or join a call that passed every check but those on the session.
#[derive(Debug)]
pub struct Caller {
    /// The INVITE, still to be answered.
    pub request: IncomingRequest,
    /// The calling client.
    pub binding: Binding,
    /// What it calls.
    pub subject: Subject,
    /// The caller's offer.
    pub offer: McpttMedia,
    /// The caller's mcptt-info in clear.
    pub info: McpttInfo,
}

/// Answers an INVITE outside a dialog.
pub(crate) async fn handle(server: &Arc<Server>, request: IncomingRequest) {
    match prepare(server, &request).await {
        Ok(Prepared::Call(call)) => {
            let (binding, subject, offer, info) = *call;
            let caller = Caller {
                request,
                binding,
                subject,
                offer,
                info,
            };
            enter(server, caller);
        }
        Ok(Prepared::Answered) => {}
        Err(refusal) => server.refuse(&request, &refusal),
    }
}

/// What the checks of an INVITE lead to.
enum Prepared {
    /// A call is to be started or joined.
    Call(Box<(Binding, Subject, McpttMedia, McpttInfo)>),
    /// The request is answered already.
    Answered,
}

//= TS 24.379 10.1.1.3.1.1
//= TS 24.379 11.1.1.3.1.1
async fn prepare(server: &Server, request: &IncomingRequest) -> Result<Prepared, Refusal> {
    if !server.is_own(&request.request.uri) && !is_session_identity(request) {
        let refusal = Refusal::status(StatusCode::NOT_FOUND);
        return Err(refusal.because("the Request-URI is neither a function nor a session here"));
    }
    let policy = &server.parts.config.policy;
    let binding = server.sender(request)?;
    if policy.require_accept_contact && !mcptt::accepts_mcptt(&request.request.headers) {
        let refusal = Refusal::status(StatusCode::FORBIDDEN);
        return Err(refusal.because("no Accept-Contact of MCPTT"));
    }
    // Nobody is called for who cannot be answered.
    Dialog::uas(&request.request, &request.to_tag).map_err(Refusal::malformed)?;
    let opened = info::open(server, request, &binding)?;
    let offer = offer(&opened.parts)?;
    let contact = request.request.headers.contact();
    // A participating function is a focus, a client is not.
    if binding.partner.is_none() && contact.is_some_and(|contact| mcptt::is_focus(&contact)) {
        return Err(Refusal::forbidden(McWarning::IsfocusAlreadyAssigned));
    }
    let subject = match &opened.info.session_type {
        Some(SessionType::Prearranged | SessionType::Chat) => {
            group(server, &opened, &offer).await?
        }
        // The session of a private call cannot be joined.
        Some(SessionType::Private) if is_session_identity(request) => {
            let refusal = Refusal::status(StatusCode::NOT_FOUND);
            return Err(refusal.because("nobody joins a private call"));
        }
        Some(SessionType::Private) => {
            match private::prepare(server, request, &binding, &opened, &offer)? {
                Outcome::Call(private) => Subject::Private(private),
                Outcome::Resolved(user) => {
                    private::redirect(server, request, &binding, &user);
                    return Ok(Prepared::Answered);
                }
            }
        }
        Some(SessionType::FirstToAnswer) => {
            return Err(Refusal::forbidden(McWarning::NotAuthorisedFirstToAnswer));
        }
        Some(SessionType::AmbientListening) => {
            return Err(Refusal::forbidden(McWarning::NotAuthorisedAmbientListening));
        }
        Some(SessionType::Adhoc | SessionType::Other(_)) => {
            let refusal = Refusal::forbidden(McWarning::FunctionNotAllowed);
            return Err(refusal.because("a session type that there is not here"));
        }
        None => return Err(Refusal::malformed("no session-type")),
    };
    interconnection::permits(&binding, &subject)?;
    let call = (binding, subject, offer, opened.info);
    Ok(Prepared::Call(Box::new(call)))
}

/// Whether a Request-URI is an MCPTT session identity.
fn is_session_identity(request: &IncomingRequest) -> bool {
    let user = request.request.uri.user.as_deref();
    user.is_some_and(|user| user.starts_with("s-"))
}

async fn group(
    server: &Server,
    opened: &OpenedBody,
    offer: &McpttMedia,
) -> Result<Subject, Refusal> {
    let group = info::uri(opened.info.request_uri.as_ref())
        .ok_or_else(|| Refusal::malformed("no mcptt-request-uri"))?;
    let group = GroupId::new(group).map_err(Refusal::malformed)?;
    let found = server.parts.groups.group(&group).await;
    let document = found.map_err(|error| admission::missing_document(&error))?;
    if !admission::fits(document.settings(), offer) {
        //= RFC 3261 20.43
        let warning = format!(
            "305 {} \"SRTP for a group without protection\"",
            server.host()
        );
        let refusal = Refusal::status(StatusCode::NOT_ACCEPTABLE_HERE)
            .because("SRTP for a group without protection");
        return Err(refusal.with(name::WARNING, warning));
    }
    Ok(Subject::Group { group, document })
}

fn offer(parts: &mc_sip::Multipart) -> Result<McpttMedia, Refusal> {
    let part = parts
        .get(media::SDP)
        .ok_or_else(|| Refusal::malformed("no SDP"))?;
    let sdp = Sdp::parse(&part.content).map_err(Refusal::malformed)?;
    McpttMedia::from_sdp(&sdp)
        .map_err(|error| Refusal::status(StatusCode::NOT_ACCEPTABLE_HERE).because(error))
}

/// Finds or makes the session of a call and hands the caller over to it.
fn enter(server: &Arc<Server>, caller: Caller) {
    let mut calls = server.calls();
    let ongoing = match &caller.subject {
        Subject::Group { group, .. } => calls.of_group(group),
        Subject::Private(_) => None,
    };
    let verdict = match &caller.subject {
        Subject::Group { group, document } => {
            admit_to_group(server, &calls, &caller, (group, document), ongoing.as_ref())
        }
        Subject::Private(_) => Ok(()),
    };
    let emergency = emergency::admit(server, &caller.binding, &caller.subject, &caller.info);
    if verdict.is_ok()
        && let Err(refusal) = emergency
    {
        drop(calls);
        emergency::refuse(server, &caller.request, &caller.binding, &refusal);
        return;
    }
    // Under the lock, so that who is revoked from here on is found in the call.
    let verdict = verdict.and_then(|()| revocation::admit(server, &caller));
    if let Err(refusal) = verdict.and_then(|()| floor_key(server, &caller)) {
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
        calls.insert(handle);
        drop(calls);
        tokio::spawn(actor.run(caller));
    }
}

fn admit_to_group(
    server: &Server,
    calls: &Calls,
    caller: &Caller,
    (group, document): (&GroupId, &GroupDocument),
    ongoing: Option<&SessionHandle>,
) -> Result<(), Refusal> {
    let user = &caller.binding.mcptt_id;
    let asked = Asked {
        user,
        session_type: caller
            .info
            .session_type
            .as_ref()
            .unwrap_or(&SessionType::Prearranged),
        affiliated: server.affiliations().is_affiliated(user, group),
        ongoing: ongoing.is_some(),
        participants: ongoing.map_or(0, |handle| {
            u32::try_from(handle.participants().len()).unwrap_or(u32::MAX)
        }),
    };
    admission::admit(document, asked)?;
    rejoin(caller, ongoing.map(|handle| &handle.identity))?;
    //= TS 24.379 10.1.1.3.1.1
    if calls.group_calls_of(user) >= server.parts.config.policy.max_group_calls {
        return Err(Refusal::warned(
            StatusCode::BUSY_HERE,
            McWarning::MaximumGroupCalls,
        ));
    }
    Ok(())
}

/// A Request-URI that is a session identity must be that of the ongoing session (10.1.1.4.5).
fn rejoin(caller: &Caller, ongoing: Option<&mc_sip::Uri>) -> Result<(), Refusal> {
    let target = &caller.request.request.uri;
    let same = ongoing.is_some_and(|identity| identity.same_identity(target));
    if is_session_identity(&caller.request) && !same {
        return Err(Refusal::not_found(McWarning::GroupCallDoesNotExist));
    }
    Ok(())
}

/// Protected floor control needs the client's CSK, which a restart of the server loses, or an SPK.
fn floor_key(server: &Server, caller: &Caller) -> Result<(), Refusal> {
    let protected = caller
        .subject
        .protects_floor_control(&server.parts.config.calls);
    if protected && caller.offer.floor.is_some() && caller.binding.floor_key.is_none() {
        let refusal = Refusal::forbidden(McWarning::ServiceAuthorisationFailed);
        return Err(refusal.because("no CSK since the start of this server"));
    }
    Ok(())
}

/// The functional alias a caller calls under: it counts only while it is active for it.
//= TS 24.379 10.1.1.3.1.1
pub(crate) fn calling_alias(server: &Server, caller: &Caller) -> Option<String> {
    let alias = caller.info.functional_alias()?;
    let user = &caller.binding.mcptt_id;
    let counts = !server.parts.config.policy.require_active_alias
        || server.aliases().is_active(&alias, user);
    if !counts {
        tracing::info!(
            user = user.as_str(),
            alias,
            "functional alias is not active"
        );
    }
    counts.then_some(alias)
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
