//! The terminating participating function: one INVITE to one client (TS 24.379 10.1.1.3.2, 6.3.2.2.3).

use std::sync::Arc;

use mc_sip::mcptt::{self, ICSI, media};
use mc_sip::sdp::McpttMedia;
use mc_sip::{
    BodyPart, Dialog, Method, Multipart, NameAddr, Peer, Request, Response, SessionTimer,
    SessionTimerPolicy, StatusCode, name, token,
};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use tokio_util::sync::CancellationToken;

use super::session::{SessionHandle, SessionInput};
use crate::info;
use crate::media_plane::LegId;
use crate::registration::Binding;
use crate::server::Server;

/// What the invitation of a member says about the call.
#[derive(Debug, Clone)]
pub struct Invitation {
    /// The group.
    pub group: String,
    /// MCPTT ID of the caller.
    pub caller: String,
    /// Functional alias the caller speaks under.
    pub functional_alias: Option<Content>,
    /// Our offer on this leg.
    pub offer: McpttMedia,
    /// Contact: the MCPTT session identity.
    pub contact: NameAddr,
    /// Session-Expires in seconds.
    pub session_expires_s: u32,
}

/// Builds the INVITE to a client.
//= TS 24.379 6.3.2.2.3
#[must_use]
pub fn invite(server: &Server, binding: &Binding, invitation: &Invitation) -> Request {
    let mut rng = mc_runtime::rng();
    let own = NameAddr::new(server.participating.clone());
    let from = own.clone().with_tag(&token::tag(&mut rng));
    let to = NameAddr::new(binding.impu.clone());
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
    headers.push(name::ANSWER_MODE, "Auto");
    headers.push(name::SUPPORTED, "timer, tdialog, norefersub");
    let policy = SessionTimerPolicy {
        interval_s: invitation.session_expires_s,
        ..SessionTimerPolicy::default()
    };
    SessionTimer::offer(headers, policy);
    let (field, value) = super::originating::allow();
    headers.push(field, value);

    let mut mcptt_info = McpttInfo {
        session_type: Some(SessionType::Prearranged),
        request_uri: Some(Content::uri_value(binding.mcptt_id.as_str())),
        calling_user_id: Some(Content::uri_value(&invitation.caller)),
        calling_group_id: Some(Content::uri_value(&invitation.group)),
        ..McpttInfo::default()
    };
    if let Some(alias) = &invitation.functional_alias {
        mcptt_info.set_ext_content("functional-alias-URI", alias);
    }
    let keys = binding
        .xml
        .as_ref()
        .filter(|_| server.parts.config.policy.encrypt_info);
    let sdp = invitation.offer.to_sdp(1, 1).to_string();
    let (content_type, body) = Multipart::default()
        .with(BodyPart::new(media::SDP, sdp))
        .with(info::write(mcptt_info, keys))
        .write(&token::boundary(&mut rng));
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
            session.send(SessionInput::MemberRefused(leg, response.status));
            return;
        }
        Err(status) => {
            session.send(SessionInput::MemberRefused(leg, status));
            return;
        }
    };
    let Ok(dialog) = Dialog::uac(&responses.request, &response) else {
        session.send(SessionInput::MemberRefused(
            leg,
            StatusCode::SERVER_INTERNAL_ERROR,
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
