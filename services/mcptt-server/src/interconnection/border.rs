//! What crosses the border with another MC system beside calls: topology is hidden and bodies change
//! from one protection to another (TS 24.379 6.8.2, TS 33.180 11.1.3).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_client::{BodyRefused, Demand, Seal};
use mc_runtime::sip::IncomingRequest;
use mc_sip::mcptt::media;
use mc_sip::{Headers, Multipart, NameAddr, Peer, Request, Response, Uri, name, token};

use super::partner::{Partner, Refused};
use crate::refusal::Refusal;
use crate::server::Server;

/// Most inner addresses hidden at a time: those of servers, which are few.
const MAX_HIDDEN: usize = 1024;
/// Header fields that tell of this domain's inside.
const INSIDE: [&str; 4] = [name::VIA, name::RECORD_ROUTE, name::USER_AGENT, "Server"];

/// Which way a request crosses the border.
#[derive(Debug, Clone)]
pub(crate) enum Crossing {
    /// It stays inside.
    Not,
    /// It comes from this partner.
    In(Arc<Partner>),
    /// It goes to a partner.
    Out,
}

/// The inner addresses that partners know by another name, each partner by its own: who uses a name
/// is known by it, wherever partners share a host.
#[derive(Debug, Default)]
pub(crate) struct Hidden(Mutex<BTreeMap<String, (Uri, Arc<Partner>)>>);

impl Hidden {
    fn names(&self) -> MutexGuard<'_, BTreeMap<String, (Uri, Arc<Partner>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A partner's name of an address, a new one when it has none.
    fn name(&self, inner: &Uri, partner: &Arc<Partner>) -> String {
        let mut names = self.names();
        let known = names
            .iter()
            .find(|(_, (uri, by))| uri == inner && Arc::ptr_eq(by, partner));
        if let Some((name, _)) = known {
            return name.clone();
        }
        if names.len() >= MAX_HIDDEN {
            names.clear();
        }
        let name = format!("b-{}", token::hex(&mut mc_runtime::rng(), 8));
        names.insert(name.clone(), (inner.clone(), partner.clone()));
        name
    }

    /// The address behind a name, and the partner whose name it is.
    pub(crate) fn inner(&self, outer: &Uri) -> Option<(Uri, Arc<Partner>)> {
        self.names().get(outer.user.as_deref()?).cloned()
    }
}

/// Makes a request of a partner one of this domain: its mcptt-info is opened.
pub(crate) fn enter(onward: &mut Request, partner: &Partner) -> Result<(), Refusal> {
    translate(onward, partner, false)
}

/// Makes a request of this domain one for a partner: protected, and without a trace of the inside.
//= TS 24.379 6.8.2
pub(crate) fn leave(
    server: &Server,
    onward: &mut Request,
    partner: &Arc<Partner>,
) -> Result<(), Refusal> {
    let in_dialog = onward.headers.to().is_ok_and(|to| to.tag().is_some());
    if !in_dialog {
        onward.uri = partner.psi().clone();
        let to = NameAddr::new(partner.psi().clone());
        onward.headers.set(name::TO, to.to_string());
    }
    for field in INSIDE {
        onward.headers.remove(field);
    }
    hide_contact(server, &mut onward.headers, partner, partner.peer());
    translate(onward, partner, true)
}

/// The answer to a request that crossed the border.
pub(crate) fn answer(
    server: &Server,
    request: &IncomingRequest,
    mut response: Response,
    crossing: &Crossing,
) -> Response {
    match crossing {
        Crossing::Not => response.headers.pop_via(),
        Crossing::In(partner) => {
            response.headers.pop_via();
            response.headers.remove("Server");
            hide_contact(server, &mut response.headers, partner, request.from);
        }
        // The request went out without the way it had come, so that is put back.
        Crossing::Out => {
            let mut inner = request.response(response.status);
            let own = [
                name::VIA,
                name::FROM,
                name::TO,
                name::CALL_ID,
                name::CSEQ,
                name::RECORD_ROUTE,
            ];
            for (field, value) in response.headers.iter() {
                if !own.iter().any(|own| own.eq_ignore_ascii_case(field)) {
                    inner.headers.push(field, value);
                }
            }
            inner.body = response.body;
            response = inner;
        }
    }
    response
}

/// Replaces Contact by an address of this server that stands for it.
fn hide_contact(server: &Server, headers: &mut Headers, partner: &Arc<Partner>, towards: Peer) {
    let Some(contact) = headers.contact() else {
        return;
    };
    let outer = server.hidden.name(&contact.uri, partner);
    let outer = server.parts.endpoint.contact(&outer, towards);
    let contact = NameAddr {
        uri: outer.uri,
        ..contact
    };
    headers.set(name::CONTACT, contact.to_string());
}

/// Changes the protection of mcptt-info: from the SPK to none, or from none to the SPK.
//= TS 33.180 9.3
fn translate(onward: &mut Request, partner: &Partner, outward: bool) -> Result<(), Refusal> {
    let mut parts = Multipart::of(&onward.headers, &onward.body).map_err(Refusal::malformed)?;
    let Some(part) = parts
        .parts
        .iter_mut()
        .find(|part| part.media_type == media::MCPTT_INFO)
    else {
        return Ok(());
    };
    let keys = partner.association().bodies();
    let (demand, seal) = if outward {
        (Demand::NOTHING, Seal::full(keys))
    } else {
        (partner.demand(), Seal::CLEAR)
    };
    let clear = demand.info(part, Some(keys)).inspect_err(|refused| {
        if *refused == BodyRefused::Undecryptable {
            partner.refused(Refused::Protection);
        }
    })?;
    let rng = &mut mc_runtime::rng();
    let written = seal.info(clear, rng);
    part.content = written.content;
    part.transmitted = written.transmitted;
    // A signature holds for one hop.
    parts
        .parts
        .retain(|part| part.media_type != media::MCPTT_SIGNED);
    let parts = seal.sign(parts, rng);
    let (content_type, body) = parts.write(&token::boundary(rng));
    onward.headers.set(name::CONTENT_TYPE, content_type);
    onward.body = body;
    Ok(())
}
