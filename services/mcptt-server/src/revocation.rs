//! Users whom an identity management server or a KMS has revoked: not served from that moment on,
//! whatever token they hold, and out of everything they are in (TS 24.379 7.3.2).

use std::collections::BTreeSet;
use std::sync::Arc;

use mc_ids::McServiceId;
use mc_runtime::revocations::Revoked;
use mc_sip::{McWarning, StatusCode};

use crate::affiliation::ClientKey;
use crate::call::originating::Caller;
use crate::call::session::SessionInput;
use crate::call::subject::Subject;
use crate::refusal::Refusal;
use crate::server::Server;
use crate::{publish, register, subscribe};

/// Follows the revocations until the server stops.
pub(crate) async fn follow(server: Arc<Server>) {
    let (mut told, mut known) = (server.parts.revoked.clone(), Revoked::default());
    let stop = server.parts.shutdown.clone();
    let work = async {
        loop {
            let now = told.borrow_and_update().clone();
            for user in now.difference(&known) {
                cut_off(&server, user).await;
            }
            known = now;
            if told.changed().await.is_err() {
                return;
            }
        }
    };
    stop.run_until_cancelled(work).await;
}

/// Refuses a user who is revoked.
pub(crate) fn refuse(server: &Server, user: &McServiceId) -> Result<(), Refusal> {
    if is_revoked(server, user) {
        let refusal = Refusal::forbidden(McWarning::ServiceAuthorisationFailed);
        return Err(refusal.because(format!("{user} is revoked")));
    }
    Ok(())
}

/// Lets no call in whose caller or called user has been revoked since it was looked at.
pub(crate) fn admit(server: &Server, caller: &Caller) -> Result<(), Refusal> {
    refuse(server, &caller.binding.mcptt_id)?;
    match &caller.subject {
        Subject::Private(private) if is_revoked(server, &private.callee.mcptt_id) => {
            Err(Refusal::status(StatusCode::NOT_FOUND))
        }
        Subject::Private(_) | Subject::Group { .. } => Ok(()),
    }
}

/// Whether a user is revoked.
pub(crate) fn is_revoked(server: &Server, user: &McServiceId) -> bool {
    server.parts.revoked.borrow().contains(user)
}

/// Ends registrations, affiliations, functional aliases and calls of a user. Whoever comes in later
/// is refused, because the list is in force before this runs.
async fn cut_off(server: &Server, user: &McServiceId) {
    tracing::warn!(user = user.as_str(), "revoked, cut off");
    let registered = server.registrations().remove_user(user);
    for binding in registered {
        register::forget(server, &binding).await;
    }
    // Those of users of other systems hang on no registration.
    let of_user = |(client, _): (&ClientKey, _)| (client.0 == *user).then(|| client.clone());
    let affiliated: BTreeSet<_> = server.affiliations().iter().filter_map(of_user).collect();
    let aliases = server.aliases().clients_of(user);
    for client in affiliated.union(&aliases) {
        publish::replace_affiliations(server, client, BTreeSet::new()).await;
        publish::forget_aliases(server, client).await;
    }
    subscribe::notify_affiliation(server, user, None);
    let calls: Vec<_> = server.calls().sessions().cloned().collect();
    for call in calls {
        call.send(SessionInput::Revoked(user.clone()));
    }
}
