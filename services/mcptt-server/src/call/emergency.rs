//! Emergency group calls: who may declare one, and what a refusal says (TS 24.379 6.2.8.1,
//! 6.3.3.1.13, 6.3.3.1.14).

use mc_ids::McServiceId;
use mc_runtime::sip::IncomingRequest;
use mc_sip::{McWarning, Multipart, token};
use mc_trace::{Event, names};
use mc_xml::group::GroupDocument;
use mc_xml::mcptt_info::{Content, McpttInfo};

use super::subject::Subject;
use crate::info;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::users::UserPolicy;

/// What an mcptt-info says of an emergency: it is declared, it is over, or nothing.
#[must_use]
pub fn indicated(info: &McpttInfo) -> Option<bool> {
    info.emergency_ind.as_ref().and_then(Content::boolean)
}

/// Whether a user may declare an emergency in a group: by the user's profile and by the group's
/// document.
#[must_use]
pub fn may_declare(policy: &UserPolicy, document: &GroupDocument, user: &McServiceId) -> bool {
    policy.allow_emergency_group_call && document.actions_for(user.as_str()).emergency_call
}

/// Decides on the emergency of a request to start or join a call. Private emergency calls are not
/// served.
///
/// # Errors
/// 403 with Warning 100.
//= TS 24.379 6.3.3.1.13.2
pub(crate) fn admit(
    server: &Server,
    caller: &Binding,
    subject: &Subject,
    info: &McpttInfo,
) -> Result<(), Refusal> {
    if indicated(info) != Some(true) {
        return Ok(());
    }
    let user = &caller.mcptt_id;
    let allowed = match subject {
        Subject::Group { document, .. } => {
            may_declare(server.parts.config.users.of(user), document, user)
        }
        Subject::Private(_) => false,
    };
    if allowed {
        return Ok(());
    }
    Err(Refusal::forbidden(McWarning::FunctionNotAllowed))
}

/// The mcptt-info that tells of an emergency, or of its end; no alert goes with it.
pub(crate) fn indicate(info: &mut McpttInfo, emergency: bool) {
    info.emergency_ind = Some(Content::boolean_value(emergency));
    info.alert_ind = Some(Content::boolean_value(false));
}

/// Refuses an emergency: the body says that there is none.
//= TS 24.379 6.3.3.1.14
pub(crate) fn refuse(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
    refusal: &Refusal,
) {
    let user = sender.mcptt_id.as_str();
    tracing::info!(user, %refusal, "emergency refused");
    let mut info = McpttInfo::default();
    indicate(&mut info, false);
    let (rng, seal) = (&mut mc_runtime::rng(), info::seal(server, sender));
    let parts = Multipart::default().with(seal.info(info, rng));
    let (content_type, body) = seal.sign(parts, rng).write(&token::boundary(rng));
    let response = refusal.response(request, server.host());
    request.respond(response.with_body(&content_type, body));
    let summary = format!("emergency of {user}: {refusal}");
    let call_id = request.request.headers.get(mc_sip::name::CALL_ID);
    let event = Event::local(&names::MCPTT_REFUSED, summary);
    server
        .parts
        .tracer
        .emit(event.call(call_id.unwrap_or_default()));
}

#[cfg(test)]
mod tests {
    use mc_xml::group::Member;

    use super::*;

    #[test]
    fn profile_and_group_must_both_allow_it() {
        let user = |name: &str| McServiceId::new(format!("sip:{name}@mc.example")).unwrap();
        let mut document = GroupDocument::new("sip:fire@mc.example", "Fire").unwrap();
        let member = Member::new("sip:alice@mc.example");
        document.put_member(&member).unwrap();
        let (allowed, denied) = (
            UserPolicy::default(),
            UserPolicy {
                allow_emergency_group_call: false,
                ..UserPolicy::default()
            },
        );
        assert!(may_declare(&allowed, &document, &user("alice")));
        assert!(!may_declare(&denied, &document, &user("alice")));
        assert!(!may_declare(&allowed, &document, &user("carol")));
    }

    #[test]
    fn only_an_indicator_in_clear_counts() {
        let mut info = McpttInfo::default();
        assert_eq!(indicated(&info), None);
        indicate(&mut info, true);
        assert_eq!(indicated(&info), Some(true));
        info.emergency_ind = Some(Content::string_value("true"));
        assert_eq!(indicated(&info), None);
    }
}
