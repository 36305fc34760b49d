//! SUBSCRIBE to document changes (TS 24.481 6.3.13): who subscribes is whom the access token
//! names, never the From.

use std::fmt::Display;

use mc_ids::McServiceId;
use mc_runtime::sip::{Incoming, IncomingRequest, SipEndpoint};
use mc_sip::{Dialog, DialogId, Method, Multipart, Request, StatusCode, mcptt, name};
use mc_xml::mcptt_info::McpttInfo;
use mc_xml::resource_lists::ResourceLists;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use crate::address::Address;
use crate::delivery::Job;
use crate::dialogs;
use crate::error::Refusal;
use crate::message::EVENT_PACKAGE;
use crate::state::Gms;
use crate::store::Subscription;

/// Most documents in one subscription.
const MAX_SELECTORS: usize = 256;
/// Most subscriptions of one user, so that nobody fills the store; a server follows each group it
/// serves with one of its own.
const MOST_OF_USER: usize = 1024;
/// Duration of a subscription that names none (RFC 5875 4.5), seconds.
const DEFAULT_EXPIRES: u32 = 86_400;

/// Answers requests until the endpoint stops.
pub async fn serve(gms: Gms, endpoint: SipEndpoint, mut incoming: mpsc::Receiver<Incoming>) {
    while let Some(event) = incoming.recv().await {
        if let Incoming::Request(request) = event {
            let span = request.span();
            tokio::spawn(answer(gms.clone(), endpoint.clone(), request).instrument(span));
        }
    }
}

async fn answer(gms: Gms, endpoint: SipEndpoint, incoming: IncomingRequest) {
    match incoming.request.method {
        Method::Subscribe => subscribe(&gms, &endpoint, &incoming).await,
        Method::Options => incoming.respond_status(StatusCode::OK),
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Register
        | Method::Message
        | Method::Publish
        | Method::Notify
        | Method::Info
        | Method::Update
        | Method::Prack
        | Method::Refer => {
            let response = incoming.response(StatusCode::METHOD_NOT_ALLOWED);
            incoming.respond(response.with(name::ALLOW, "SUBSCRIBE, OPTIONS"));
        }
    }
}

async fn subscribe(gms: &Gms, endpoint: &SipEndpoint, incoming: &IncomingRequest) {
    match accepted(gms, incoming).await {
        Ok(accepted) => {
            let contact = endpoint.contact("gms", incoming.from);
            let response = incoming
                .response(StatusCode::OK)
                .with(name::EXPIRES, accepted.expires.to_string())
                .with(name::CONTACT, mcptt::contact_features(contact).to_string());
            incoming.respond(response);
            // Told only now: the NOTIFY must not overtake the answer.
            gms.tell(Job::Subscribed(accepted.id));
        }
        Err(Refused { status, why }) => {
            tracing::info!(from = %incoming.from, %status, why, "SUBSCRIBE refused");
            let response = incoming.response(status);
            incoming.respond(if status == StatusCode::BAD_EVENT {
                response.with(name::ALLOW_EVENTS, EVENT_PACKAGE)
            } else {
                response
            });
        }
    }
}

struct Accepted {
    id: String,
    expires: u32,
}

/// Why a SUBSCRIBE is refused; the reason is for the log.
struct Refused {
    status: StatusCode,
    why: String,
}

impl Refused {
    fn new(status: StatusCode, why: impl Display) -> Self {
        let why = why.to_string();
        Self { status, why }
    }

    fn malformed(why: impl Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, why)
    }

    fn failed(why: impl Display) -> Self {
        Self::new(StatusCode::SERVER_INTERNAL_ERROR, why)
    }
}

async fn accepted(gms: &Gms, incoming: &IncomingRequest) -> Result<Accepted, Refused> {
    let request = &incoming.request;
    let package = request.headers.event().map(|event| event.package);
    if package.as_deref() != Some(EVENT_PACKAGE) {
        let why = format!("event package {package:?}");
        return Err(Refused::new(StatusCode::BAD_EVENT, why));
    }
    let expires = request.headers.expires().unwrap_or(DEFAULT_EXPIRES);
    let dialog = DialogId::of_request(request).map_err(Refused::malformed)?;
    if let Some(dialog) = dialog {
        return refreshed(gms, request, &dialog, expires).await;
    }
    let user = subscriber(gms, request).await?;
    let selectors = selectors(request)
        .ok_or_else(|| Refused::malformed("no document, or too many, in the resource list"))?;
    check_readable(gms, &user, &selectors).await?;
    let bad = Refused::malformed;
    let dialog = Dialog::uas(request, &incoming.to_tag).map_err(bad)?;
    let originator = request.headers.originator().map_err(bad)?;
    let impu = originator.identity().to_string();
    let subscription = Subscription {
        id: subscription_id(dialog.id()),
        mcptt_id: user.as_str().to_owned(),
        impu,
        selectors,
        expires_ms: end_ms(gms, expires),
        dialog: dialogs::head_of(request, &incoming.to_tag).map_err(bad)?,
    };
    // A stored subscription without a dialog is taken for one of before a restart.
    gms.put_dialog(&subscription.id, dialog);
    if let Err(refused) = stored(gms, &subscription).await {
        gms.remove_dialog(&subscription.id);
        return Err(refused);
    }
    bound(gms, &user).await?;
    tracing::info!(
        documents = subscription.selectors.len(),
        "subscribed to group documents"
    );
    gms.audit("subscribed", Some(user.as_str()), None, &subscription.id)
        .await;
    Ok(Accepted {
        id: subscription.id,
        expires,
    })
}

/// A SUBSCRIBE inside the dialog prolongs or ends the subscription (RFC 6665 4.2.1).
async fn refreshed(
    gms: &Gms,
    request: &Request,
    dialog: &DialogId,
    expires: u32,
) -> Result<Accepted, Refused> {
    let gone = || Refused::new(StatusCode::CALL_DOES_NOT_EXIST, "no such subscription");
    let id = subscription_id(dialog);
    let in_order = gms.with_dialog(&id, |dialog| dialog.on_request(request).is_ok());
    match in_order {
        Some(true) => {}
        Some(false) => return Err(Refused::failed("CSeq out of order")),
        None => return Err(gone()),
    }
    let failed = Refused::failed;
    let known = gms
        .store
        .subscriptions(gms.clock.unix_ms())
        .await
        .map_err(failed)?;
    let mut subscription = known.into_iter().find(|s| s.id == id).ok_or_else(gone)?;
    subscription.expires_ms = end_ms(gms, expires);
    if let Some(head) = dialogs::refreshed(&subscription.dialog, request) {
        subscription.dialog = head;
    }
    if expires == 0 {
        gms.store.delete_subscription(&id).await.map_err(failed)?;
        gms.remove_dialog(&id);
    } else {
        stored(gms, &subscription).await?;
    }
    Ok(Accepted { id, expires })
}

async fn stored(gms: &Gms, subscription: &Subscription) -> Result<(), Refused> {
    let stored = gms.store.put_subscription(subscription).await;
    stored.map_err(Refused::failed)
}

/// Ends the subscription of a user that would end first, when there are too many.
async fn bound(gms: &Gms, user: &McServiceId) -> Result<(), Refused> {
    let held = gms.store.subscriptions(gms.clock.unix_ms()).await;
    let held = held.map_err(Refused::failed)?;
    let Some(id) = surplus(&held, user.as_str()) else {
        return Ok(());
    };
    tracing::warn!(%user, id, "too many subscriptions, the oldest ends");
    gms.remove_dialog(id);
    let ended = gms.store.delete_subscription(id).await;
    ended.map_err(Refused::failed)
}

fn surplus<'a>(held: &'a [Subscription], user: &str) -> Option<&'a str> {
    let own = held.iter().filter(|s| s.mcptt_id == user);
    let first = own.clone().min_by_key(|s| s.expires_ms)?;
    (own.count() > MOST_OF_USER).then_some(&first.id)
}

/// The MCPTT ID of the access token in the body, or one that its owner may assert.
async fn subscriber(gms: &Gms, request: &Request) -> Result<McServiceId, Refused> {
    //= TS 24.481 6.3.13.2.2
    let refuse = |refusal: Refusal| async move {
        gms.refused(&refusal, None, None).await;
        Refused::new(StatusCode::FORBIDDEN, refusal)
    };
    let parts = Multipart::of(&request.headers, &request.body);
    let parts = parts.map_err(Refused::malformed)?;
    let Some(info) = parts.get(mcptt::media::MCPTT_INFO) else {
        return Err(refuse(Refusal::NoToken).await);
    };
    let info = McpttInfo::parse(&info.content).map_err(Refused::malformed)?;
    let Some(token) = info
        .access_token
        .as_ref()
        .and_then(|content| content.string())
    else {
        return Err(refuse(Refusal::NoToken).await);
    };
    let authenticated = match gms.identity_of(token).await {
        Ok(user) => user,
        Err(refusal) => return Err(refuse(refusal).await),
    };
    // A gateway subscribes for the users behind it and names them as callers.
    let asserted = info
        .calling_user_id
        .as_ref()
        .map(|id| id.uri().unwrap_or_default());
    gms.acting(&authenticated, asserted)
        .await
        .map_err(|refusal| Refused::new(StatusCode::FORBIDDEN, refusal))
}

/// The document selectors of the body; `None` without any that leads to a document.
fn selectors(request: &Request) -> Option<Vec<String>> {
    //= RFC 5875 4.4
    let parts = Multipart::of(&request.headers, &request.body).ok()?;
    let lists = ResourceLists::parse(&parts.get(mcptt::media::RESOURCE_LISTS)?.content).ok()?;
    let count = lists.uris.len();
    let known = lists
        .uris
        .into_iter()
        .filter(|sel| Address::parse(sel).is_ok());
    let known: Vec<String> = known.collect();
    (!known.is_empty() && count <= MAX_SELECTORS).then_some(known)
}

async fn check_readable(
    gms: &Gms,
    user: &McServiceId,
    selectors: &[String],
) -> Result<(), Refused> {
    for sel in selectors {
        let Ok(Address::Document { group_id, .. }) = Address::parse(sel) else {
            continue;
        };
        let group = gms.group(&group_id).await;
        let group = group.map_err(Refused::failed)?;
        if group.is_none_or(|group| !gms.may_watch(user, &group)) {
            let refusal = Refusal::Forbidden("only members may subscribe to a group");
            gms.refused(&refusal, Some(user.as_str()), Some(&group_id))
                .await;
            return Err(Refused::new(StatusCode::FORBIDDEN, refusal));
        }
    }
    Ok(())
}

fn subscription_id(dialog: &DialogId) -> String {
    format!("{};{}", dialog.call_id, dialog.remote_tag)
}

fn end_ms(gms: &Gms, expires: u32) -> i64 {
    gms.clock
        .unix_ms()
        .saturating_add(i64::from(expires).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_end_of_a_user_with_too_many_goes_and_no_other() {
        let of = |user: &str, n: usize| Subscription {
            id: format!("{user}-{n}"),
            mcptt_id: user.to_owned(),
            impu: String::new(),
            selectors: Vec::new(),
            expires_ms: 1000 - i64::try_from(n % 1000).unwrap(),
            dialog: String::new(),
        };
        let mut held: Vec<Subscription> = (0..MOST_OF_USER).map(|n| of("bob", n)).collect();
        held.push(of("alice", 999));
        assert_eq!(surplus(&held, "bob"), None);
        held.push(of("bob", 1));
        assert_eq!(surplus(&held, "bob"), Some("bob-999"));
        assert_eq!(surplus(&held, "alice"), None);
        assert_eq!(surplus(&held, "nobody"), None);
    }
}
