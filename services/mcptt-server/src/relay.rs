//! The SIP core stand-in: requests for other servers and for registered users are passed on.
//!
//! Only three kinds of targets exist: static routes, registered clients and users of interconnected
//! systems, so the server is no open relay. Requests of clients get a P-Asserted-Identity; subscriptions are record-routed.

use mc_runtime::sip::IncomingRequest;
use mc_sip::{McWarning, Method, NameAddr, Peer, Request, StatusCode, Uri, name};

use crate::interconnection::border::{self, Crossing};
use crate::refusal::Refusal;
use crate::server::Server;

/// Passes on a request outside a dialog.
pub(crate) async fn handle(server: &Server, request: IncomingRequest) {
    match target(server, &request) {
        Ok(onward) => forward(server, request, onward).await,
        Err(refusal) => server.refuse(&request, &refusal),
    }
}

/// A request on its way to the next hop.
struct Onward {
    request: Request,
    to: Peer,
    crossing: Crossing,
}

fn target(server: &Server, request: &IncomingRequest) -> Result<Onward, Refusal> {
    let mut crossing = Crossing::Not;
    let mut onward = request.request.clone();
    let target = onward.uri.clone();
    let from_server =
        server.is_route_target(request.from) || is_server_identity(server, &onward, request.from);
    if !from_server {
        let sender = server.sender(request)?;
        onward.headers.remove(name::P_ASSERTED_IDENTITY);
        onward.headers.push(
            name::P_ASSERTED_IDENTITY,
            NameAddr::new(sender.impu).to_string(),
        );
        if let Some(partner) = sender.partner {
            border::enter(&mut onward, &partner)?;
            crossing = Crossing::In(partner);
        }
    }
    onward.headers.remove(name::P_PREFERRED_IDENTITY);
    if let Some(to) = server.route(&target) {
        return Ok(Onward {
            request: onward,
            to,
            crossing,
        });
    }
    let unknown = || Refusal::not_found(McWarning::UserUnknown);
    // A partner's users reach servers of this domain only, and only servers reach them.
    let binding = match crossing {
        Crossing::Not => server.by_impu(&target).ok_or_else(unknown)?,
        Crossing::In(_) | Crossing::Out => return Err(unknown()),
    };
    match binding.partner {
        None => onward.uri = binding.contact,
        Some(partner) if from_server => {
            border::leave(server, &mut onward, &partner)?;
            crossing = Crossing::Out;
        }
        Some(_) => return Err(unknown()),
    }
    Ok(Onward {
        request: onward,
        to: binding.flow,
        crossing,
    })
}

/// A server of this domain that dials in from another port than the one it listens on: its identity
/// counts from its own host only.
fn is_server_identity(server: &Server, request: &Request, from: Peer) -> bool {
    let Ok(originator) = request.headers.originator() else {
        return false;
    };
    let listens = server.route(&originator);
    listens.is_some_and(|peer| peer.address.ip() == from.address.ip())
}

/// Passes on a request inside a dialog that runs through this server.
pub(crate) async fn in_dialog(server: &Server, request: IncomingRequest) {
    let mut onward = request.request.clone();
    strip_own_route(server, &mut onward, request.from);
    match in_dialog_target(server, request.from, onward).await {
        Some(onward) => forward(server, request, onward).await,
        None => server.refuse(&request, &Refusal::status(StatusCode::CALL_DOES_NOT_EXIST)),
    }
}

async fn in_dialog_target(server: &Server, from: Peer, mut onward: Request) -> Option<Onward> {
    let mut crossing = Crossing::Not;
    if let Some((inner, partner)) = server.hidden.inner(&onward.uri) {
        if !partner.is_at(from.address.ip()) {
            return None;
        }
        onward.uri = inner;
        border::enter(&mut onward, &partner).ok()?;
        crossing = Crossing::In(partner);
    }
    let contact = server
        .registrations()
        .by_contact(&onward.uri, server.now())
        .cloned();
    let to = match contact {
        Some(binding) => binding.flow,
        None => route_to(server, &onward.uri).await?,
    };
    if let Some(partner) = server.partners.listening_at(to) {
        if !server.is_route_host(from.address.ip()) {
            return None;
        }
        border::leave(server, &mut onward, &partner).ok()?;
        crossing = Crossing::Out;
    }
    Some(Onward {
        request: onward,
        to,
        crossing,
    })
}

async fn route_to(server: &Server, target: &Uri) -> Option<Peer> {
    if let Some(peer) = server.route(target) {
        return Some(peer);
    }
    let peer = mc_runtime::sip::SipEndpoint::resolve(target).await.ok()?;
    let known = server.is_route_target(peer) || server.partners.listening_at(peer).is_some();
    known.then_some(peer)
}

fn strip_own_route(server: &Server, request: &mut Request, from: Peer) {
    let own = server.parts.endpoint.address_towards(from.address);
    let Ok(routes) = request.headers.routes() else {
        return;
    };
    request.headers.remove(name::ROUTE);
    for (index, route) in routes.into_iter().enumerate() {
        let is_own = index == 0 && route.uri.socket_address() == Some(own);
        if !is_own {
            request.headers.push(name::ROUTE, route.to_string());
        }
    }
}

//= RFC 3261 16.6
async fn forward(server: &Server, request: IncomingRequest, onward: Onward) {
    let Onward {
        request: mut onward,
        to,
        crossing,
    } = onward;
    let hops = onward.headers.max_forwards().unwrap_or(70);
    if hops <= 1 {
        server.refuse(&request, &Refusal::status(StatusCode::TOO_MANY_HOPS));
        return;
    }
    onward
        .headers
        .set(name::MAX_FORWARDS, (hops - 1).to_string());
    if onward.method == Method::Subscribe && onward.headers.to().is_ok_and(|to| to.tag().is_none())
    {
        let own = Uri::of_address(server.parts.endpoint.address_towards(to.address));
        let own = own
            .with_param("transport", Some("tcp"))
            .with_param("lr", None);
        onward
            .headers
            .push_front(name::RECORD_ROUTE, NameAddr::new(own).to_string());
    }
    let mut responses = server.parts.endpoint.request(onward, to);
    loop {
        match responses.next().await {
            Some(Ok(response)) if response.status == StatusCode::TRYING => {}
            Some(Ok(response)) => {
                let response = border::answer(server, &request, response, &crossing);
                let is_final = response.status.is_final();
                request.respond(response);
                if is_final {
                    return;
                }
            }
            Some(Err(error)) => {
                tracing::info!(%to, %error, "request was not passed on");
                request.respond_status(error.status());
                return;
            }
            None => return,
        }
    }
}
