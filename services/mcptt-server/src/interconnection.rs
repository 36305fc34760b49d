//! Interconnection with other MC systems: the MC gateway server at the border of this domain
//! (TS 24.379 6.8, TS 33.180 11.1).
//!
//! An interconnected system plays the participating function of its users towards our controlling
//! function. Its requests name the function by P-Asserted-Identity and the user inside mcptt-info,
//! under the SPK that both systems hold. From here on such a user is a [`Binding`] like any other:
//! where it is reached, and under which keys, is data, and no procedure is written twice.

pub(crate) mod affiliation;
pub(crate) mod border;
pub mod config;
pub mod partner;

use std::sync::Arc;

use mc_ids::{ClientId, GroupId, McServiceId};
use mc_runtime::sip::IncomingRequest;
use mc_sip::{McWarning, Uri, name};
use mc_trace::{Event, names};
use mc_xml::mcptt_info::Content;

pub use config::PartnerConfig;
pub use partner::{Partner, PartnerCounters, Partners};

use crate::affiliation::ClientKey;
use crate::call::subject::Subject;
use crate::info;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::revocation;
use crate::server::Server;

use self::partner::Refused;

/// The client ID of a user whose function tells none.
const UNTOLD_CLIENT: &str = "urn:uuid:00000000-0000-0000-0000-000000000000";

/// The refusal of what an interconnected system may not do.
const fn not_authorised() -> Refusal {
    Refusal::forbidden(McWarning::NotAuthorisedInterconnection)
}

/// The user of an interconnected system a request is from; `None` when the request does not claim
/// to come from one.
//= TS 24.379 6.8.3
pub(crate) fn sender(
    server: &Server,
    request: &IncomingRequest,
) -> Option<Result<Binding, Refusal>> {
    let partner = server.partners.claimed_by(&request.request)?;
    Some(entered(server, request, &partner))
}

//= TS 33.180 9.3
//= TS 24.379 6.6.3
fn entered(
    server: &Server,
    request: &IncomingRequest,
    partner: &Arc<Partner>,
) -> Result<Binding, Refusal> {
    from_partner(request, partner)?;
    let parts = info::parts(request)?;
    let keys = Some(partner.association().bodies());
    let opened = partner.demand().open(&parts, keys);
    let opened = opened.inspect_err(|_| partner.refused(Refused::Protection))?;
    let user = info::uri(opened.calling_user_id.as_ref())
        .ok_or_else(|| Refusal::malformed("no mcptt-calling-user-id"))?;
    let user = McServiceId::new(user).map_err(Refusal::malformed)?;
    if !partner.serves(&user) {
        return Err(spoofed(server, request, partner, &user));
    }
    let client = opened.client_id.as_ref().and_then(Content::string);
    let client = ClientId::new(client.unwrap_or(UNTOLD_CLIENT)).map_err(Refusal::malformed)?;
    partner.heard(server.now());
    Ok(partner.binding(user, client))
}

/// A partner's request must come from an address of the partner.
fn from_partner(request: &IncomingRequest, partner: &Partner) -> Result<(), Refusal> {
    if partner.is_at(request.from.address.ip()) {
        return Ok(());
    }
    tracing::warn!(partner = partner.name(), from = %request.from, "not an address of the partner");
    partner.refused(Refused::Source);
    Err(not_authorised())
}

/// The control against spoofing: an identity outside the partner's own is not taken.
pub(crate) fn spoofed(
    server: &Server,
    request: &IncomingRequest,
    partner: &Partner,
    user: &McServiceId,
) -> Refusal {
    tracing::warn!(
        partner = partner.name(),
        user = user.as_str(),
        "identity that the partner may not assert"
    );
    partner.refused(Refused::Identity);
    let summary = format!("{} asserted {}", partner.name(), user.as_str());
    let call_id = request.request.headers.get(name::CALL_ID);
    server.parts.tracer.emit(
        Event::local(&names::MCPTT_ASSERTION_REFUSED, summary).call(call_id.unwrap_or_default()),
    );
    not_authorised()
}

/// A partner learns by its OPTIONS whether it is one; `None` when the request does not claim to come
/// from a partner.
pub(crate) fn asked(server: &Server, request: &IncomingRequest) -> Option<Result<(), Refusal>> {
    let partner = server.partners.claimed_by(&request.request)?;
    let asked = from_partner(request, &partner);
    if asked.is_ok() {
        partner.heard(server.now());
    }
    Some(asked)
}

/// Whether a call may cross the border, in either direction.
//= TS 24.379 6.8.2
//= TS 24.379 6.8.4
pub(crate) fn permits(caller: &Binding, subject: &Subject) -> Result<(), Refusal> {
    let callee = match subject {
        Subject::Group { group, .. } => return may_use(caller, group),
        Subject::Private(private) => private.callee.partner.as_ref(),
    };
    // From one partner to another is a matter between those two.
    if let (Some(caller), Some(callee)) = (&caller.partner, callee)
        && !Arc::ptr_eq(caller, callee)
    {
        caller.refused(Refused::Policy);
        return Err(not_authorised());
    }
    for partner in [caller.partner.as_ref(), callee].into_iter().flatten() {
        if !partner.config().private_calls {
            partner.refused(Refused::Policy);
            return Err(not_authorised());
        }
    }
    Ok(())
}

/// Whether a client may use a group; one registered here is asked by others.
pub(crate) fn may_use(binding: &Binding, group: &GroupId) -> Result<(), Refusal> {
    match &binding.partner {
        Some(partner) if !partner.may_use(group) => {
            partner.refused(Refused::Policy);
            Err(not_authorised())
        }
        Some(_) | None => Ok(()),
    }
}

/// The client of an affiliated user who is not registered here, unless he is revoked.
pub(crate) fn client(server: &Server, client: &ClientKey) -> Option<Binding> {
    if revocation::is_revoked(server, &client.0) {
        return None;
    }
    let partner = server.partners.serving(&client.0)?;
    Some(partner.binding(client.0.clone(), client.1.clone()))
}

/// The client of a user who is called and is not registered here.
pub(crate) fn user(server: &Server, user: &McServiceId) -> Option<Binding> {
    let untold = ClientId::new(UNTOLD_CLIENT).ok()?;
    client(server, &(user.clone(), untold))
}

/// The binding of an identity under which a user of a partner is known inside this domain.
pub(crate) fn by_identity(server: &Server, identity: &Uri) -> Option<Binding> {
    let id = McServiceId::new(identity.identity().to_string()).ok()?;
    user(server, &id)
}
