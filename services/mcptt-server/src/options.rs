//! OPTIONS to a function of this server: what an INVITE of the sender would meet (RFC 3261 11.2), so
//! that partners and clients learn whether they are known.

use mc_runtime::sip::IncomingRequest;
use mc_sip::{McWarning, Method, StatusCode, name};

use crate::interconnection;
use crate::refusal::Refusal;
use crate::server::Server;

/// Answers an OPTIONS.
pub(crate) fn handle(server: &Server, request: &IncomingRequest) {
    let known = interconnection::asked(server, request);
    match known.unwrap_or_else(|| client(server, request)) {
        Ok(()) => {
            let response = request.response(StatusCode::OK);
            request.respond(response.with(name::ALLOW, Method::allow()));
        }
        Err(refusal) => server.refuse(request, &refusal),
    }
}

/// A client is known while it is registered and authorised; a start of this server loses the CSKs.
fn client(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    if sender.floor_key.is_none() && server.parts.config.policy.require_csk {
        let refusal = Refusal::forbidden(McWarning::ServiceAuthorisationFailed);
        return Err(refusal.because("no CSK since the start of this server"));
    }
    Ok(())
}
