//! REGISTER: registrar stand-in and service authorisation in one (TS 24.379 7.3.1, 7.3.2).

use std::collections::BTreeSet;

use mc_runtime::sip::IncomingRequest;
use mc_sip::{
    McWarning, Multipart, NameAddr, Peer, Request, SipMessage, StatusCode, Uri, name, parse_message,
};
use mc_trace::{Event, names};

use crate::info;
use crate::media_plane::FloorKey;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::{publish, revocation, subscribe};

/// Smallest registration accepted, in seconds.
const MIN_EXPIRES_S: u32 = 30;

/// Answers a REGISTER.
pub(crate) async fn handle(server: &Server, request: IncomingRequest) {
    if let Err(refusal) = register(server, &request).await {
        server.refuse(&request, &refusal);
    }
}

/// What a REGISTER asks for, in its own or its third-party form.
struct Asked {
    impu: Uri,
    /// `None` in `Contact: *`.
    contact: Option<NameAddr>,
    expires_s: u32,
    parts: Multipart,
    third_party: bool,
}

async fn register(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let asked = asked(server, request)?;
    if asked.expires_s == 0 {
        own_flow(server, &asked.impu, request.from)?;
        let removed = server.registrations().remove(&asked.impu);
        if let Some(binding) = removed {
            forget(server, &binding).await;
        }
        request.respond_status(StatusCode::OK);
        return Ok(());
    }
    if asked.expires_s < MIN_EXPIRES_S {
        let refusal = Refusal::status(StatusCode::INTERVAL_TOO_BRIEF)
            .because(format!("expires {}", asked.expires_s));
        return Err(refusal.with(name::MIN_EXPIRES, MIN_EXPIRES_S.to_string()));
    }
    let contact = asked
        .contact
        .clone()
        .ok_or_else(|| Refusal::malformed("no Contact"))?;
    let binding = bound(server, request.from, &asked, &contact).await?;
    revocation::refuse(server, &binding.mcptt_id)?;
    server
        .parts
        .store
        .save_registration(&binding)
        .await
        .map_err(|error| {
            tracing::error!(%error, "registration was not saved");
            Refusal::status(StatusCode::SERVER_INTERNAL_ERROR)
        })?;
    let summary = format!(
        "{} registered as {}",
        binding.impu,
        binding.mcptt_id.as_str()
    );
    let mut event = Event::local(&names::MCPTT_REGISTERED, summary);
    if let Some(key) = &binding.floor_key {
        event = event.key(key.key_id().0);
    }
    let granted = asked
        .expires_s
        .min(server.parts.config.policy.max_registration_s);
    let user = binding.mcptt_id.clone();
    server.registrations().bind(binding);
    // Revoked while it was saved: whoever cuts off may have looked before.
    if let Err(refusal) = revocation::refuse(server, &user) {
        let removed = server.registrations().remove(&asked.impu);
        if let Some(binding) = removed {
            forget(server, &binding).await;
        }
        return Err(refusal);
    }
    server.parts.tracer.emit(event);
    let mut response = request.response(StatusCode::OK);
    if !asked.third_party {
        response.headers.push(
            name::CONTACT,
            contact
                .with_param("expires", Some(&granted.to_string()))
                .to_string(),
        );
        response
            .headers
            .push("P-Associated-URI", NameAddr::new(asked.impu).to_string());
    }
    request.respond(response);
    Ok(())
}

/// The binding a REGISTER makes: authorised by its body, or the refresh of one that is.
async fn bound(
    server: &Server,
    flow: Peer,
    asked: &Asked,
    contact: &NameAddr,
) -> Result<Binding, Refusal> {
    let policy = &server.parts.config.policy;
    let expires_unix_s = server.now() + u64::from(asked.expires_s.min(policy.max_registration_s));
    let known = server
        .registrations()
        .by_impu(&asked.impu, server.now())
        .cloned();
    if asked.parts.parts.is_empty() {
        own_flow(server, &asked.impu, flow)?;
        // A refresh keeps the authorisation of the same client (RFC 3261 10.2.4).
        let same = |known: &Binding| {
            known.contact == contact.uri && (known.floor_key.is_some() || !policy.require_csk)
        };
        let known = known
            .filter(same)
            .ok_or_else(|| unauthorised("a refresh of no authorised registration"))?;
        return Ok(Binding {
            flow,
            expires_unix_s,
            ..known
        });
    }
    let authorised = server.parts.authoriser.authorise(&asked.parts).await?;
    // Without IMS authentication in the lab, an IMPU stays with its user until it is released.
    if known
        .as_ref()
        .is_some_and(|known| known.mcptt_id != authorised.mcptt_id)
    {
        return Err(unauthorised("the IMPU is registered by another user"));
    }
    let answer_mode = known
        .filter(|known| known.client_id == authorised.client_id)
        .and_then(|k| k.answer_mode);
    Ok(Binding {
        impu: asked.impu.identity(),
        contact: contact.uri.clone(),
        flow,
        mcptt_id: authorised.mcptt_id,
        client_id: authorised.client_id,
        floor_key: authorised.csk.map(FloorKey::Csk),
        bodies: authorised.bodies,
        answer_mode,
        expires_unix_s,
        partner: None,
    })
}

/// A REGISTER without service authorisation counts only over the flow of the registration.
fn own_flow(server: &Server, impu: &Uri, flow: Peer) -> Result<(), Refusal> {
    let known = server.registrations().by_impu(impu, server.now()).cloned();
    match known {
        Some(known) if !server.is_flow_of(&known, flow) => {
            Err(unauthorised("not the flow of the registration"))
        }
        Some(_) | None => Ok(()),
    }
}

fn unauthorised(why: &str) -> Refusal {
    Refusal::forbidden(McWarning::ServiceAuthorisationFailed).because(why)
}

fn asked(server: &Server, request: &IncomingRequest) -> Result<Asked, Refusal> {
    let parts = info::parts(request)?;
    //= TS 24.379 7.3.2
    if let Some(inner) = parts.get("message/sip") {
        let Ok(SipMessage::Request(inner)) = parse_message(&inner.content) else {
            return Err(Refusal::malformed("the message/sip body is no request"));
        };
        // Only a server of the domain may register for a user.
        if !server.is_route_target(request.from) {
            let refusal = Refusal::status(StatusCode::FORBIDDEN);
            return Err(refusal.because("a third-party REGISTER of no server of the domain"));
        }
        let parts = Multipart::of(&inner.headers, &inner.body).map_err(Refusal::malformed)?;
        return read(server, &inner, parts, true);
    }
    read(server, &request.request, parts, false)
}

fn read(
    server: &Server,
    request: &Request,
    parts: Multipart,
    third_party: bool,
) -> Result<Asked, Refusal> {
    let headers = &request.headers;
    let impu = headers.to().map_err(Refusal::malformed)?.uri;
    let contacts = headers.contacts().map_err(Refusal::malformed)?;
    let contact = contacts.into_iter().next();
    let in_contact = contact
        .as_ref()
        .and_then(|c| c.params.get("expires"))
        .and_then(|e| e.parse().ok());
    let default = server.parts.config.policy.max_registration_s;
    let expires_s = in_contact.or_else(|| headers.expires()).unwrap_or(default);
    if headers.contact_is_star() && expires_s != 0 {
        return Err(Refusal::malformed("Contact: * without expires 0"));
    }
    Ok(Asked {
        impu,
        contact,
        expires_s,
        parts,
        third_party,
    })
}

/// Drops everything that hangs on a registration that has ended.
pub(crate) async fn forget(server: &Server, binding: &Binding) {
    if let Err(error) = server.parts.store.remove_registration(&binding.impu).await {
        tracing::error!(%error, "registration was not removed from the store");
    }
    let client = (binding.mcptt_id.clone(), binding.client_id.clone());
    publish::replace_affiliations(server, &client, BTreeSet::new()).await;
    publish::forget_aliases(server, &client).await;
    subscribe::forget(server, &binding.impu);
    let summary = format!("{} deregistered", binding.impu);
    server
        .parts
        .tracer
        .emit(Event::local(&names::MCPTT_DEREGISTERED, summary));
}
