//! SUBSCRIBE to affiliations, settings and conference state; NOTIFY (TS 24.379 9.2.2.2.4, 7.3.6, 10.1.3).

use mc_client::Seal;
use mc_ids::{GroupId, McServiceId};
use mc_runtime::sip::{IncomingRequest, RequestError};
use mc_sip::mcptt::{self, EXPIRES_FOREVER, media};
use mc_sip::{
    BodyPart, Dialog, DialogId, McWarning, Method, Multipart, NameAddr, Request, StatusCode, Uri,
    name, token,
};
use mc_xml::conference_info::{ConferenceInfo, ConferenceUser};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::poc_settings::PocSettings;

use crate::call::session::Parties;
use crate::info;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::subscription::{Subscription, Topic};

/// Answers to a NOTIFY after which its subscriber gets no more: it does not know the subscription, or
/// cannot be reached.
const ENDS_SUBSCRIPTION: [StatusCode; 3] = [
    StatusCode::CALL_DOES_NOT_EXIST,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::SERVICE_UNAVAILABLE,
];

/// Answers a SUBSCRIBE to a function or a session of this server.
pub(crate) async fn handle(server: &Server, request: IncomingRequest) {
    let result = match request
        .request
        .headers
        .event()
        .map(|event| event.package)
        .as_deref()
    {
        Some("presence") => affiliation(server, &request),
        Some("poc-settings") => settings(server, &request),
        Some("conference") => conference(server, &request).await,
        Some(_) | None => Err(Refusal::status(StatusCode::BAD_EVENT)
            .with("Allow-Events", "presence, poc-settings, conference")),
    };
    if let Err(refusal) = result {
        server.refuse(&request, &refusal);
    }
}

fn subject(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
) -> Result<String, Refusal> {
    let opened = info::open(server, request, sender)?;
    let subject = info::uri(opened.info.request_uri.as_ref()).map(str::to_owned);
    subject.ok_or_else(|| Refusal::malformed("no mcptt-request-uri"))
}

/// The subject must be the subscriber.
fn own(server: &Server, request: &IncomingRequest, sender: &Binding) -> Result<(), Refusal> {
    let subject = subject(server, request, sender)?;
    if subject == sender.mcptt_id.as_str() {
        return Ok(());
    }
    let refusal = Refusal::forbidden(McWarning::FunctionNotAllowed);
    Err(refusal.because(format!("a subscription to what is {subject}'s")))
}

//= TS 24.379 9.2.2.2.4
fn affiliation(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    own(server, request, &sender)?;
    let topic = Topic::Affiliation(sender.mcptt_id.clone());
    accept(server, request, &sender, topic)
}

//= TS 24.379 7.3.6
fn settings(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    own(server, request, &sender)?;
    accept(server, request, &sender, Topic::Settings)
}

//= TS 24.379 10.1.3.4
async fn conference(server: &Server, request: &IncomingRequest) -> Result<(), Refusal> {
    let sender = server.sender(request)?;
    let unknown = || Refusal::not_found(McWarning::GroupCallDoesNotExist);
    let parties = server
        .calls()
        .with_identity(&request.request.uri)
        .map(|handle| handle.parties.clone());
    // A private call has no conference state.
    let Some(Parties::Group(group)) = parties else {
        return Err(unknown());
    };
    if subject(server, request, &sender)? != group.as_str() {
        return Err(unknown());
    }
    let document = server
        .parts
        .groups
        .group(&group)
        .await
        .map_err(|_| unknown())?;
    if !document
        .actions_for(sender.mcptt_id.as_str())
        .conference_state
    {
        return Err(Refusal::forbidden(
            McWarning::ConferenceSubscriptionNotAllowed,
        ));
    }
    accept(server, request, &sender, Topic::Conference(group))
}

fn accept(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
    topic: Topic,
) -> Result<(), Refusal> {
    let expires = request.request.headers.expires().unwrap_or(EXPIRES_FOREVER);
    let dialog = Dialog::uas(&request.request, &request.to_tag).map_err(Refusal::malformed)?;
    let mut subscription = Subscription {
        dialog,
        impu: sender.impu.clone(),
        flow: request.from,
        topic,
        expires_unix_s: server.now() + u64::from(expires),
    };
    let contact = server.parts.endpoint.contact("mcptt", request.from);
    let response = request
        .response(StatusCode::OK)
        .with(name::EXPIRES, expires.to_string())
        .with(name::CONTACT, mcptt::contact_features(contact).to_string());
    let first = subscription.dialog.request(Method::Notify);
    // Known before its first notification, so that no change falls between the two.
    if expires > 0 && !server.subscriptions().add(subscription.clone()) {
        let refusal = Refusal::status(StatusCode::SERVICE_UNAVAILABLE);
        return Err(refusal.because("too many subscriptions"));
    }
    request.respond(response);
    notify(server, &subscription, first, None);
    Ok(())
}

/// Answers a SUBSCRIBE inside the dialog of a subscription: refresh or end.
pub(crate) fn refresh(server: &Server, id: &DialogId, request: &IncomingRequest) {
    let expires = request.request.headers.expires().unwrap_or(EXPIRES_FOREVER);
    let now = server.now();
    let mut subscriptions = server.subscriptions();
    let Some(subscription) = subscriptions.get_mut(id) else {
        request.respond_status(StatusCode::CALL_DOES_NOT_EXIST);
        return;
    };
    if subscription.dialog.on_request(&request.request).is_err() {
        request.respond_status(StatusCode::SERVER_INTERNAL_ERROR);
        return;
    }
    subscription.expires_unix_s = now + u64::from(expires);
    subscription.flow = request.from;
    let last = subscription.dialog.request(Method::Notify);
    let copy = subscription.clone();
    if expires == 0 {
        subscriptions.remove(id);
    }
    drop(subscriptions);
    request.respond(
        request
            .response(StatusCode::OK)
            .with(name::EXPIRES, expires.to_string()),
    );
    notify(server, &copy, last, None);
}

/// Drops the subscriptions of a client that is gone.
pub(crate) fn forget(server: &Server, impu: &Uri) {
    server.subscriptions().forget(impu);
}

/// Tells a user's subscribers of its affiliations (9.2.2.2.5).
pub(crate) fn notify_affiliation(server: &Server, user: &McServiceId, p_id: Option<&str>) {
    notify_topic(server, &Topic::Affiliation(user.clone()), p_id);
}

/// Tells the subscribers of a session of its participants (10.1.3.4).
pub(crate) fn notify_conference(server: &Server, group: &GroupId) {
    notify_topic(server, &Topic::Conference(group.clone()), None);
}

fn notify_topic(server: &Server, topic: &Topic, p_id: Option<&str>) {
    // Numbered under the lock: two changes at a time must not share a CSeq.
    let due: Vec<(Request, Subscription)> = server
        .subscriptions()
        .to_topic(topic)
        .map(|kept| (kept.dialog.request(Method::Notify), kept.clone()))
        .collect();
    for (request, subscription) in due {
        notify(server, &subscription, request, p_id);
    }
}

/// Sends a NOTIFY of the subscription's dialog with the whole state.
fn notify(server: &Server, subscription: &Subscription, request: Request, p_id: Option<&str>) {
    let left = subscription.expires_unix_s.saturating_sub(server.now());
    let state = if left == 0 {
        "terminated;reason=timeout".to_owned()
    } else {
        format!("active;expires={left}")
    };
    let asserted = NameAddr::new(server.participating.clone());
    let binding = server.by_impu(&subscription.impu);
    // Who registered over another flow since has that one only.
    let flow = binding.as_ref().map_or(subscription.flow, |b| b.flow);
    let contact = mcptt::contact_features(server.parts.endpoint.contact("mcptt", flow));
    let request = request
        .with(name::CONTACT, contact.to_string())
        .with(name::P_ASSERTED_IDENTITY, asserted.to_string())
        .with(name::EVENT, subscription.topic.package())
        .with(name::SUBSCRIPTION_STATE, state);
    let request = with_state(server, request, (subscription, binding.as_ref()), p_id);
    let mut responses = server.parts.endpoint.request(request, flow);
    let id = subscription.dialog.id().clone();
    let (call_id, end) = (id.call_id.clone(), server.end_subscription(id));
    tokio::spawn(async move {
        let answer = responses.final_response().await;
        let status = answer.map_or_else(RequestError::status, |response| response.status);
        if !status.is_success() {
            tracing::info!(%status, call_id, "NOTIFY refused");
        }
        //= RFC 6665 4.2.2
        if ENDS_SUBSCRIPTION.contains(&status) {
            end();
        }
    });
}

/// A NOTIFY with the state of its topic, protected for the subscriber.
fn with_state(
    server: &Server,
    request: Request,
    (subscription, binding): (&Subscription, Option<&Binding>),
    p_id: Option<&str>,
) -> Request {
    let seal = binding.map(|binding| info::seal(server, binding));
    let (seal, rng) = (seal.unwrap_or(Seal::CLEAR), &mut mc_runtime::rng());
    let parts = match &subscription.topic {
        Topic::Affiliation(user) => {
            let aliases = |client: &_| server.aliases().of_client(client);
            let presence = server
                .affiliations()
                .presence(user, aliases, p_id.map(str::to_owned));
            Multipart::default().with(seal.presence(presence, rng))
        }
        Topic::Settings => match binding {
            Some(binding) => Multipart::default().with(settings_of(binding)),
            None => return request,
        },
        Topic::Conference(group) => {
            let info = McpttInfo {
                request_uri: binding.map(|b| Content::uri_value(b.mcptt_id.as_str())),
                calling_group_id: Some(Content::uri_value(group.as_str())),
                ..McpttInfo::default()
            };
            Multipart::default()
                .with(seal.info(info, rng))
                .with(seal.conference(conference_of(server, group), rng))
        }
    };
    let parts = seal.sign(parts, rng);
    let (content_type, body) = parts.write(&token::boundary(rng));
    request.with_body(&content_type, body)
}

fn settings_of(binding: &Binding) -> BodyPart {
    let settings = PocSettings {
        client_id: binding.client_id.as_str().to_owned(),
        answer_mode: binding.answer_mode,
        user_profile_index: None,
    };
    BodyPart::new(media::POC_SETTINGS, settings.to_xml())
}

//= TS 24.379 6.3.3.4
fn conference_of(server: &Server, group: &GroupId) -> ConferenceInfo {
    let call = server.calls().of_group(group);
    let participants = call.map(|handle| handle.participants());
    let users = participants.unwrap_or_default();
    let users = users.into_iter().map(|id| ConferenceUser {
        entity: id.as_str().to_owned(),
        status: Some("connected".to_owned()),
    });
    ConferenceInfo {
        entity: group.as_str().to_owned(),
        state: Some("full".to_owned()),
        version: None,
        users: users.collect(),
    }
}
