//! The terminating participating function: one INVITE to one client (TS 24.379 10.1.1.3.2,
//! 11.1.1.3.2, 6.3.2.2.3).

use std::sync::Arc;

use mc_sip::mcptt::{self, Commencement, ICSI, media};
use mc_sip::sdp::McpttMedia;
use mc_sip::{
    BodyPart, Dialog, Method, Multipart, NameAddr, Peer, Request, Response, SessionTimer,
    SessionTimerPolicy, StatusCode, Warning, name, token,
};
use mc_xml::mcptt_info::McpttInfo;
use tokio_util::sync::CancellationToken;

use super::session::{SessionHandle, SessionInput};
use crate::info;
use crate::media_plane::LegId;
use crate::registration::Binding;
use crate::server::Server;

/// What an invitation says about the call.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The mcptt-info, in clear.
    pub info: McpttInfo,
    /// How the call begins.
    pub commencement: Commencement,
    /// Our offer on this leg.
    pub offer: McpttMedia,
    /// Contact: the MCPTT session identity.
    pub contact: NameAddr,
    /// Session-Expires in seconds.
    pub session_expires_s: u32,
    /// Resource-Priority.
    pub resource_priority: Option<String>,
}

/// Builds the INVITE to a client.
//= TS 24.379 6.3.2.2.3
#[must_use]
pub fn invite(server: &Server, binding: &Binding, invitation: Invitation) -> Request {
    let mut rng = mc_runtime::rng();
    //= TS 24.379 6.3.3.1.2
    // Towards a partner it is the controlling function that invites, and the partner's function
    // is asked: it finds its user in mcptt-info.
    let (own, to) = match &binding.partner {
        Some(partner) => (&server.controlling, partner.psi()),
        None => (&server.participating, &binding.impu),
    };
    let own = NameAddr::new(own.clone());
    let from = own.clone().with_tag(&token::tag(&mut rng));
    let to = NameAddr::new(to.clone());
    let call_id = token::call_id(&mut rng);
    let mut request = Request::new(
        Method::Invite,
        binding.contact.clone(),
        &from,
        &to,
        &call_id,
        1,
    );
    let headers = &mut request.headers;
    headers.push(name::CONTACT, invitation.contact.to_string());
    mcptt::push_accept_contact(headers);
    headers.push(name::P_ASSERTED_SERVICE, ICSI);
    headers.push(name::P_ASSERTED_IDENTITY, own.to_string());
    let (field, value) = invitation.commencement.header();
    headers.push(field, value);
    headers.push(name::SUPPORTED, "timer, tdialog, norefersub");
    if let Some(priority) = invitation.resource_priority {
        headers.push(name::RESOURCE_PRIORITY, priority);
    }
    let policy = SessionTimerPolicy {
        interval_s: invitation.session_expires_s,
        ..SessionTimerPolicy::default()
    };
    SessionTimer::offer(headers, policy);
    let (field, value) = super::originating::allow();
    headers.push(field, value);

    let seal = info::seal(server, binding);
    let sdp = invitation.offer.to_sdp(1, 1).to_string();
    let parts = Multipart::default()
        .with(BodyPart::new(media::SDP, sdp))
        .with(seal.info(invitation.info, &mut rng));
    let parts = seal.sign(parts, &mut rng);
    let (content_type, body) = parts.write(&token::boundary(&mut rng));
    request.with_body(&content_type, body)
}

/// A client's 200, acknowledged, with the dialog it made.
#[derive(Debug)]
pub struct Answer {
    /// The 200.
    pub response: Response,
    /// Our side of the dialog.
    pub dialog: Dialog,
    /// The flow of the dialog.
    pub flow: Peer,
}

/// Sends an INVITE and reports its outcome to the session; `cancel` turns it into a CANCEL.
pub(crate) async fn run(
    server: Arc<Server>,
    session: SessionHandle,
    leg: LegId,
    request: Request,
    flow: Peer,
    cancel: CancellationToken,
) {
    let mut responses = server.parts.endpoint.request(request, flow);
    let mut cancelled = false;
    let result = loop {
        tokio::select! {
            response = responses.next() => match response {
                Some(Ok(response)) if response.status == StatusCode::RINGING => {
                    session.send(SessionInput::MemberRinging(leg));
                }
                Some(Ok(response)) if response.status.is_provisional() => {}
                Some(Ok(response)) => break Ok(response),
                Some(Err(error)) => break Err(error.status()),
                None => break Err(StatusCode::SERVICE_UNAVAILABLE),
            },
            () = cancel.cancelled(), if !cancelled => {
                cancelled = true;
                responses.cancel();
            }
        }
    };
    let response = match result {
        Ok(response) if response.status.is_success() => response,
        Ok(response) => {
            let warnings = response.headers.warnings();
            let warning = warnings.iter().find_map(Warning::known);
            session.send(SessionInput::MemberRefused(leg, response.status, warning));
            return;
        }
        Err(status) => {
            session.send(SessionInput::MemberRefused(leg, status, None));
            return;
        }
    };
    let Ok(dialog) = Dialog::uac(&responses.request, &response) else {
        session.send(SessionInput::MemberRefused(
            leg,
            StatusCode::SERVER_INTERNAL_ERROR,
            None,
        ));
        return;
    };
    // Requests of the client inside the dialog may follow at once.
    server
        .calls()
        .dialogs
        .insert(dialog.id().clone(), (session.clone(), leg));
    responses.ack(dialog.ack(1));
    let answer = Answer {
        response,
        dialog,
        flow,
    };
    if let Some(SessionInput::MemberAnswered(_, answer)) =
        session.try_send(SessionInput::MemberAnswered(leg, Box::new(answer)))
    {
        bye(&server, answer.dialog, flow).await;
    }
}

/// Ends a dialog with BYE.
pub(crate) async fn bye(server: &Server, mut dialog: Dialog, flow: Peer) {
    server.calls().dialogs.remove(dialog.id());
    let request = dialog.request(Method::Bye);
    if let Err(error) = server
        .parts
        .endpoint
        .request(request, flow)
        .final_response()
        .await
    {
        tracing::info!(%flow, %error, "BYE was not answered");
    }
}
