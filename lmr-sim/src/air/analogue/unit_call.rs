//! Calls of one radio: `sip:unitN@lmr` is called, and what a radio dials goes to the gateway.

use std::time::Duration;

use mc_runtime::sip::{IncomingRequest, ResponseStream, SipEndpoint};
use mc_sip::{Dialog, Method, NameAddr, Peer, Request, Response, StatusCode, Uri, name};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::leg::{AudioSocket, Far, Leg, LegEvent, acceptable, answered, caller};
use super::{HalfDialog, Shared, ToLeg, allowed};
use crate::air::Dialled;
use crate::error::LmrError;
use crate::network::{CallOrder, CallPhase, UnitCall};

/// Both ends of what a leg is told.
pub(super) type LegQueue = (ToLeg, mpsc::Receiver<LegEvent>);

/// How a call ended: a SIP status, and a word for people.
type End = (StatusCode, &'static str);

const HUNG_UP: End = (StatusCode::OK, "hung up");
const FAR_END: End = (StatusCode::OK, "ended by the far side");

/// A call to a radio: it rings or is answered at once, and is served until it ends.
pub(super) async fn incoming(
    shared: Shared,
    unit: String,
    incoming: IncomingRequest,
    (to_leg, mut events): LegQueue,
) {
    let offer = match acceptable(&incoming) {
        Ok(offer) => offer,
        Err(response) => return incoming.respond(*response),
    };
    let network = shared.context.network.clone();
    let mut call = match network.ring(&unit, &caller(&incoming.request.headers)) {
        Ok(call) => call,
        Err(error) => {
            tracing::info!(unit, %error, "call to a radio refused");
            return incoming.respond_status(status_of(&error));
        }
    };
    let end = match ring(&shared, &incoming, &mut call, &mut events).await {
        Err(end) => {
            incoming.respond_status(end.0);
            end
        }
        Ok(()) => match Leg::accept_into(&shared, &incoming, offer, call.channel()).await {
            Err(response) => {
                let status = response.status;
                incoming.respond(*response);
                (status, "not acceptable")
            }
            Ok((leg, response)) => {
                network.call_phase(call.id, CallPhase::Up);
                incoming.respond(response);
                serve(leg, &mut call, (to_leg, events)).await
            }
        },
    };
    network.call_ended(call.id, end.0.code(), end.1);
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "everything else is of other requests"
)]
const fn status_of(error: &LmrError) -> StatusCode {
    match error {
        LmrError::UnknownUnit(_) => StatusCode::NOT_FOUND,
        // Off the air.
        LmrError::NotAffiliated(_) => StatusCode::TEMPORARILY_UNAVAILABLE,
        LmrError::InCall(_) => StatusCode::BUSY_HERE,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Waits for the user's answer; what comes instead ends the call.
async fn ring(
    shared: &Shared,
    incoming: &IncomingRequest,
    call: &mut UnitCall,
    events: &mut mpsc::Receiver<LegEvent>,
) -> Result<(), End> {
    if call.automatic {
        return Ok(());
    }
    let contact = format!("unit{}", call.unit);
    let contact = shared.endpoint.contact(&contact, incoming.from).to_string();
    let ringing = incoming.response(StatusCode::RINGING);
    incoming.respond(ringing.with(name::CONTACT, contact));
    let until = Instant::now() + Duration::from_secs(shared.unit_calls.ring_s);
    loop {
        tokio::select! {
            order = call.orders.recv() => return match order {
                Some(CallOrder::Answer) => Ok(()),
                Some(CallOrder::HangUp) => Err((StatusCode::DECLINE, "declined")),
                None => Err((StatusCode::TEMPORARILY_UNAVAILABLE, "radio is gone")),
            },
            event = events.recv() => match event {
                Some(LegEvent::Request(request)) if request.request.method == Method::Bye => {
                    request.respond_status(StatusCode::OK);
                    return Err((StatusCode::REQUEST_TERMINATED, "given up by the caller"));
                }
                // Nothing else makes sense before the answer.
                Some(LegEvent::Request(request)) => {
                    request.respond_status(StatusCode::REQUEST_PENDING);
                }
                Some(LegEvent::Acked(_)) => {}
                Some(LegEvent::Cancelled) => {
                    return Err((StatusCode::REQUEST_TERMINATED, "given up by the caller"));
                }
                Some(LegEvent::Hangup) | None => {
                    return Err((StatusCode::TEMPORARILY_UNAVAILABLE, "radio network stops"));
                }
            },
            () = tokio::time::sleep_until(until) => {
                return Err((StatusCode::TEMPORARILY_UNAVAILABLE, "not answered"));
            }
            () = shared.context.shutdown.cancelled() => {
                return Err((StatusCode::TEMPORARILY_UNAVAILABLE, "radio network stops"));
            }
        }
    }
}

/// Serves a call that is up until it ends.
async fn serve(leg: Leg, call: &mut UnitCall, (to_leg, events): LegQueue) -> End {
    let run = leg.run(events);
    tokio::pin!(run);
    let mut end = FAR_END;
    loop {
        tokio::select! {
            () = &mut run => return end,
            Some(order) = call.orders.recv() => {
                if order == CallOrder::HangUp {
                    end = HUNG_UP;
                    // A leg that is flooded ends with the next hang-up.
                    let _flooded = to_leg.try_send(LegEvent::Hangup);
                }
            }
        }
    }
}

/// What a radio dialled: the gateway is called, and the call served until it ends.
pub(super) async fn outgoing(
    shared: Shared,
    dialled: Dialled,
    id: HalfDialog,
    (to_leg, events): LegQueue,
) {
    let Dialled { mut call, to } = dialled;
    let network = shared.context.network.clone();
    let end = match invite(&shared, &mut call, &to, &id).await {
        Err(end) => end,
        Ok(leg) => {
            network.call_phase(call.id, CallPhase::Up);
            serve(leg, &mut call, (to_leg, events)).await
        }
    };
    network.call_ended(call.id, end.0.code(), end.1);
}

async fn invite(
    shared: &Shared,
    call: &mut UnitCall,
    to: &Uri,
    id: &HalfDialog,
) -> Result<Leg, End> {
    let unreachable = (StatusCode::SERVICE_UNAVAILABLE, "gateway cannot be reached");
    let gateway = shared.unit_calls.gateway.as_ref();
    let gateway = gateway.ok_or((StatusCode::NOT_FOUND, "no gateway is configured"))?;
    let gateway: Uri = gateway.parse().map_err(|_| unreachable)?;
    let peer = SipEndpoint::resolve(&gateway).await;
    let peer = peer.map_err(|_| unreachable)?;
    let socket = AudioSocket::open(shared, peer).await;
    let socket = socket.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "no audio socket"))?;
    let request = request(shared, (call, to, id), peer, &socket);
    let mut responses = shared.endpoint.request(request.clone(), peer);
    let response = answer(shared, call, &mut responses).await?;
    let unusable = (StatusCode::NOT_ACCEPTABLE_HERE, "answer cannot be used");
    let mut dialog = Dialog::uac(&request, &response).map_err(|_| unusable)?;
    responses.ack(dialog.ack(1));
    let bye = dialog.request(Method::Bye);
    let joined = answered(&response)
        .map_err(|()| unusable)
        .and_then(|remote| {
            let far = Far {
                peer,
                dialog,
                remote,
                label: to.identity().to_string(),
                unit: None,
            };
            let user = format!("unit{}", call.unit);
            let leg = Leg::join(shared, socket, far, call.channel(), &user);
            leg.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "too many legs"))
        });
    if joined.is_err() {
        // The call is up at the far end: it must hear that it is of no use.
        let mut ended = shared.endpoint.request(bye, peer);
        tokio::spawn(async move { ended.final_response().await });
    }
    joined
}

fn request(
    shared: &Shared,
    (call, to, (call_id, tag)): (&UnitCall, &Uri, &HalfDialog),
    peer: Peer,
    socket: &AudioSocket,
) -> Request {
    let user = format!("unit{}", call.unit);
    let from = NameAddr::new(Uri::sip(&user, &shared.unit_calls.domain)).with_tag(tag);
    let contact = shared.endpoint.contact(&user, peer).to_string();
    Request::new(
        Method::Invite,
        to.clone(),
        &from,
        &NameAddr::new(to.clone()),
        call_id,
        1,
    )
    .with(name::CONTACT, contact)
    .with(name::ALLOW, allowed())
    .with_body("application/sdp", socket.description())
}

/// Waits for the far side's answer; a radio that hangs up gives the call up.
async fn answer(
    shared: &Shared,
    call: &mut UnitCall,
    responses: &mut ResponseStream,
) -> Result<Response, End> {
    let network = &shared.context.network;
    let mut given_up = false;
    loop {
        tokio::select! {
            order = call.orders.recv(), if !given_up => {
                if order != Some(CallOrder::Answer) {
                    given_up = true;
                    responses.cancel();
                }
            }
            () = shared.context.shutdown.cancelled(), if !given_up => {
                given_up = true;
                responses.cancel();
            }
            response = responses.next() => match response {
                Some(Ok(response)) if response.status.is_provisional() => {
                    if response.status == StatusCode::RINGING {
                        network.call_phase(call.id, CallPhase::Alerting);
                    }
                }
                Some(Ok(response)) if response.status.is_success() && given_up => {
                    end_at_once(shared, responses, &response);
                    return Err((StatusCode::REQUEST_TERMINATED, "given up"));
                }
                Some(Ok(response)) if response.status.is_success() => return Ok(response),
                Some(Ok(response)) => return Err((response.status, refused(response.status))),
                Some(Err(error)) => return Err((error.status(), "no answer of the gateway")),
                None => return Err((StatusCode::REQUEST_TIMEOUT, "no answer of the gateway")),
            }
        }
    }
}

/// The answer crossed our cancellation.
fn end_at_once(shared: &Shared, responses: &ResponseStream, response: &Response) {
    if let Ok(mut dialog) = Dialog::uac(&responses.request, response) {
        responses.ack(dialog.ack(1));
        let mut ended = shared
            .endpoint
            .request(dialog.request(Method::Bye), responses.to);
        tokio::spawn(async move { ended.final_response().await });
    }
}

fn refused(status: StatusCode) -> &'static str {
    match status.code() {
        403 => "not allowed",
        404 => "unknown",
        480 => "not available",
        486 | 600 => "busy",
        487 => "given up",
        603 => "declined",
        _ => "refused",
    }
}
