//! Extensions that a request insists on and that there are not here.

use mc_sip::{Method, Request, StatusCode, name};

use crate::refusal::Refusal;

/// Option tags of what is implemented: session timers (RFC 4028).
const SUPPORTED: [&str; 1] = ["timer"];

/// The refusal of a request for what is required of its server, or when it is only passed on, of
/// proxies.
//= RFC 3261 8.2.2.3
//= RFC 3261 16.3
pub(crate) fn refused(request: &Request, passed_on: bool) -> Option<Refusal> {
    if matches!(request.method, Method::Ack | Method::Cancel) {
        return None;
    }
    let (field, supported) = match passed_on {
        true => (name::PROXY_REQUIRE, &[][..]),
        false => (name::REQUIRE, &SUPPORTED[..]),
    };
    let mut unsupported = request.headers.elements(field);
    unsupported.retain(|tag| {
        !supported
            .iter()
            .any(|known| tag.eq_ignore_ascii_case(known))
    });
    if unsupported.is_empty() {
        return None;
    }
    let unsupported = unsupported.join(", ");
    let refusal = Refusal::status(StatusCode::BAD_EXTENSION).because(&unsupported);
    Some(refusal.with(name::UNSUPPORTED, unsupported))
}
