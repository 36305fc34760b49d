//! Private calls at the originating and the terminating participating function
//! (TS 24.379 11.1.1.3): who is called, and whether the call is allowed.

use mc_ids::McServiceId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::{Commencement, media};
use mc_sip::sdp::McpttMedia;
use mc_sip::{McWarning, Multipart, StatusCode};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::poc_settings::AnswerMode;
use mc_xml::resource_lists::ResourceLists;

use super::subject::PrivateSubject;
use crate::info::{self, OpenedBody};
use crate::interconnection;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::users::UserPolicy;

/// What a private call request asks for, as far as the caller's rights go.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// How the call is to begin; `None` leaves it to the called party.
    pub commencement: Option<Commencement>,
    /// The called user; `None` while a functional alias is to be resolved.
    pub callee: Option<&'a McServiceId>,
    /// Private calls the caller takes part in.
    pub calls: usize,
}

/// Decides on the caller's rights.
///
/// # Errors
/// 403 with Warning 107, 125, 126, 143 or 144, or 486 with Warning 124.
//= TS 24.379 11.1.1.3.1.1
pub fn admit(policy: &UserPolicy, asked: Asked<'_>) -> Result<(), Refusal> {
    if !policy.allow_private_call {
        return Err(Refusal::forbidden(McWarning::NotAuthorisedPrivateCall));
    }
    let (allowed, warning) = match asked.commencement {
        None => (true, McWarning::AutomaticCommencementNotAuthorised),
        Some(Commencement::Automatic) => (
            policy.allow_automatic_commencement,
            McWarning::AutomaticCommencementNotAuthorised,
        ),
        Some(Commencement::Manual) => (
            policy.allow_manual_commencement,
            McWarning::ManualCommencementNotAuthorised,
        ),
        Some(Commencement::ForcedAutomatic) => (
            policy.allow_force_auto_answer,
            McWarning::NotAuthorisedToForceAnswer,
        ),
    };
    if !allowed {
        return Err(Refusal::forbidden(warning));
    }
    let may_call = |callee: &McServiceId| {
        policy.allow_private_call_to_any_user
            || policy
                .private_call_list
                .iter()
                .any(|id| id == callee.as_str())
    };
    if !asked.callee.is_none_or(may_call) {
        return Err(Refusal::forbidden(McWarning::NotAuthorisedToCallUser));
    }
    if asked.calls >= policy.max_private_calls {
        return Err(Refusal::warned(
            StatusCode::BUSY_HERE,
            McWarning::MaximumPrivateCalls,
        ));
    }
    Ok(())
}

/// How the call begins at a called client, from what was asked and what its user has set; `None`
/// when the user has set nothing.
//= TS 24.379 11.1.1.3.2
#[must_use]
pub const fn reconcile(
    asked: Option<Commencement>,
    published: Option<AnswerMode>,
) -> Option<Commencement> {
    match (asked, published) {
        (_, None) => None,
        (Some(Commencement::ForcedAutomatic), Some(_)) => Some(Commencement::ForcedAutomatic),
        (Some(Commencement::Manual), Some(_)) | (_, Some(AnswerMode::Manual)) => {
            Some(Commencement::Manual)
        }
        (Some(Commencement::Automatic) | None, Some(AnswerMode::Automatic)) => {
            Some(Commencement::Automatic)
        }
    }
}

/// What a private call request leads to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A call to this client.
    Call(Box<PrivateSubject>),
    /// The functional alias that was asked for is active for this user, who is to be called.
    Resolved(McServiceId),
}

/// Checks a private call request of a registered client.
//= TS 24.379 11.1.1.3.1.1
pub(crate) fn prepare(
    server: &Server,
    request: &IncomingRequest,
    caller: &Binding,
    opened: &OpenedBody,
    offer: &McpttMedia,
) -> Result<Outcome, Refusal> {
    let entry = called_party(&opened.parts)?;
    let entry = info::demand(server, caller).attribute(&entry, caller.bodies.as_ref())?;
    let commencement = Commencement::read(&request.request.headers);
    let to_alias = opened.info.ext_text("call-to-functional-alias-ind");
    let to_alias = to_alias.is_some_and(|text| matches!(text.as_str(), "true" | "1"));
    let undetermined = || Refusal::forbidden(McWarning::UnableToDetermineCalledParty);
    let callee = if to_alias {
        None
    } else {
        let callee = McServiceId::new(entry.as_str());
        Some(callee.map_err(|error| undetermined().because(error))?)
    };
    let asked = Asked {
        commencement,
        callee: callee.as_ref(),
        calls: server.calls().private_calls_of(&caller.mcptt_id),
    };
    admit(server.parts.config.users.of(&caller.mcptt_id), asked)?;
    let Some(callee) = callee else {
        let aliases = server.aliases();
        let holder = aliases.holder(&entry).cloned();
        return holder.map(Outcome::Resolved).ok_or_else(unresolved);
    };
    let called_alias = called_alias(server, &opened.info, &callee)?;
    media_protection(server, offer)?;
    let callee = locate(server, &callee)?;
    let commencement = reconcile(commencement, callee.answer_mode).ok_or(Refusal::warned(
        StatusCode::TEMPORARILY_UNAVAILABLE,
        McWarning::ServiceSettingsUnknown,
    ))?;
    //= TS 24.379 11.1.1.3.2
    if !server
        .parts
        .config
        .users
        .of(&callee.mcptt_id)
        .allow_private_call_participation
    {
        return Err(Refusal::forbidden(McWarning::NotAuthorisedToBeCalled));
    }
    Ok(Outcome::Call(Box::new(PrivateSubject {
        callee,
        commencement,
        called_alias,
        key_mgmt: offer.key_mgmt.clone(),
    })))
}

/// A functional alias that nobody has active.
fn unresolved() -> Refusal {
    let refusal = Refusal::not_found(McWarning::UnableToDetermineCalledParty);
    refusal.because("nobody has the functional alias active")
}

/// The one entry of the resource list.
fn called_party(parts: &Multipart) -> Result<String, Refusal> {
    let undetermined = || {
        let refusal = Refusal::forbidden(McWarning::UnableToDetermineCalledParty);
        refusal.because("not one entry in a resource list")
    };
    let part = parts.get(media::RESOURCE_LISTS).ok_or_else(undetermined)?;
    let lists = ResourceLists::parse(&part.content).map_err(Refusal::malformed)?;
    let [entry] = lists.uris.as_slice() else {
        return Err(undetermined());
    };
    Ok(entry.clone())
}

/// The functional alias that a caller says it called; it must be the called user's.
fn called_alias(
    server: &Server,
    info: &McpttInfo,
    callee: &McServiceId,
) -> Result<Option<String>, Refusal> {
    let called = info
        .ext_content("called-functional-alias-URI")
        .map_err(Refusal::malformed)?;
    let Some(alias) = called.as_ref().and_then(Content::uri) else {
        return Ok(None);
    };
    if !server.aliases().is_active(alias, callee) {
        return Err(unresolved());
    }
    Ok(Some(alias.to_owned()))
}

/// Media goes under a PCK, and with floor control: calls without are not served.
fn media_protection(server: &Server, offer: &McpttMedia) -> Result<(), Refusal> {
    let unprotected = offer.key_mgmt.is_none() && server.parts.config.policy.require_pck;
    if unprotected {
        let refusal = Refusal::forbidden(McWarning::FunctionNotAllowed);
        return Err(refusal.because("no PCK"));
    }
    if offer.floor.is_none() {
        let refusal = Refusal::status(StatusCode::NOT_ACCEPTABLE_HERE);
        return Err(refusal.because("no floor control"));
    }
    Ok(())
}

/// The client of a called user: the terminating participating function is this server, or that of
/// the system which serves the user. A user who is registered several times is called where its
/// registration lasts longest.
fn locate(server: &Server, callee: &McServiceId) -> Result<Binding, Refusal> {
    let registered = {
        let registrations = server.registrations();
        let bindings = registrations.of_user(callee, server.now());
        bindings
            .max_by_key(|binding| binding.expires_unix_s)
            .cloned()
    };
    registered
        .or_else(|| interconnection::user(server, callee))
        .ok_or_else(|| {
            Refusal::status(StatusCode::NOT_FOUND).because("the called user is not here")
        })
}

/// Answers that the called functional alias is active for `user`: the caller makes a PCK for that
/// user and calls again.
//= TS 24.379 11.1.1.3.1.1
pub(crate) fn redirect(
    server: &Server,
    request: &IncomingRequest,
    caller: &Binding,
    user: &McServiceId,
) {
    let (rng, seal) = (&mut mc_runtime::rng(), info::seal(server, caller));
    let response = request.response(StatusCode::MULTIPLE_CHOICES);
    let form = server.parts.config.bodies.resolved_alias;
    let response = form.write(response, (&server.participating, user), &seal, rng);
    request.respond(response);
}

#[cfg(test)]
mod tests;
