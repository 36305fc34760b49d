//! Calls of one radio: made to `sip:unitN@` of the radio system, and taken from it.

use mc_runtime::CancellationToken;
use mc_runtime::sip::{IncomingRequest, SipEndpoint};
use mc_sip::{Dialog, Headers, StatusCode, Uri, name};

use super::session::{
    Audio, Established, Registered, SDP, Session, Target, description, register, remote_of,
};
use super::{ALLOWED, Shared};
use crate::bridge::{ExternalCommand, ExternalEvent, Failure};
use crate::unencrypted::{AdapterPort, ExternalOffer, port};

/// Calls a radio, and serves the call until either side ends it.
pub(super) async fn outgoing(shared: Shared, target: Target, mut port: AdapterPort) {
    let given_up = CancellationToken::new();
    let events = port.events.clone();
    let alerted = || {
        // The bridge may have ended.
        let _ended = events.try_send(ExternalEvent::Ringing);
    };
    let session = Session::establish(&shared, target, alerted, &given_up);
    tokio::pin!(session);
    let session = tokio::select! {
        session = &mut session => session,
        () = port.events.closed() => {
            given_up.cancel();
            session.await
        }
    };
    match session {
        Ok(session) => serve(session, &mut port).await,
        Err(refused) => {
            tracing::info!(why = refused.why, "radio not reached");
            let failure = Failure::of_status(refused.status);
            let _ended = port.events.send(ExternalEvent::Refused(failure)).await;
        }
    }
}

async fn serve(session: Session, port: &mut AdapterPort) {
    // A bridge that has ended shows in the session too, which hangs up.
    let _ended = port.events.send(ExternalEvent::Up).await;
    let end = session.serve(port).await;
    tracing::info!(?end, "unit call ended");
    let _ended = port.events.send(ExternalEvent::Down).await;
}

/// A call of a radio that is not answered yet.
struct Ringing {
    shared: Shared,
    request: IncomingRequest,
    given_up: CancellationToken,
    registered: Registered,
    incoming: tokio::sync::mpsc::Receiver<IncomingRequest>,
    port: AdapterPort,
}

/// A radio calls: it is offered, and answered or refused as its bridge says.
pub(super) async fn incoming(shared: Shared, request: IncomingRequest) {
    let (unit, dialled) = match parties(&shared, &request).await {
        Ok(parties) => parties,
        Err(status) => return request.respond_status(status),
    };
    let call_id = request.request.headers.call_id().unwrap_or_default();
    let (registered, incoming) = register(&shared.dialogs, call_id, &request.to_tag);
    let given_up = shared.dialogs.unconfirmed(request.transaction);
    let (outer, inner) = port();
    let offer = ExternalOffer {
        unit,
        dialled,
        port: outer,
    };
    if shared.context.offers.try_send(offer).is_err() {
        shared.dialogs.confirmed(request.transaction);
        return request.respond_status(StatusCode::SERVICE_UNAVAILABLE);
    }
    let ringing = Ringing {
        shared,
        request,
        given_up,
        registered,
        incoming,
        port: inner,
    };
    ringing.run().await;
}

/// Who calls whom. Only the radio system may, and only for its units.
async fn parties(
    shared: &Shared,
    request: &IncomingRequest,
) -> Result<(String, String), StatusCode> {
    let server: Uri = shared
        .config
        .server
        .parse()
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    let server = SipEndpoint::resolve(&server).await;
    let server = server.map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    if server.address.ip() != request.from.address.ip() {
        return Err(StatusCode::FORBIDDEN);
    }
    let headers = &request.request.headers;
    let unit = unit(headers, &shared.config.domain).ok_or(StatusCode::FORBIDDEN)?;
    remote_of(headers, &request.request.body).map_err(|_| StatusCode::NOT_ACCEPTABLE_HERE)?;
    let uri = &request.request.uri;
    let number = uri
        .user
        .clone()
        .filter(|_| uri.host == shared.config.domain);
    Ok((unit, number.unwrap_or_else(|| uri.identity().to_string())))
}

/// The unit number of a caller `sip:unitN@<domain>`.
fn unit(headers: &Headers, domain: &str) -> Option<String> {
    let from = headers.from().ok()?.uri;
    let user = from.user.filter(|_| from.host == domain)?;
    let number = user.strip_prefix("unit")?;
    let plain = (1..=16).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| number.to_owned())
}

impl Ringing {
    async fn run(mut self) {
        loop {
            let command = tokio::select! {
                command = self.port.commands.recv() => command,
                () = self.given_up.cancelled() => {
                    self.request.respond_status(StatusCode::REQUEST_TERMINATED);
                    let _ended = self.port.events.send(ExternalEvent::Down).await;
                    return;
                }
            };
            match command {
                Some(ExternalCommand::Alert) => {
                    let ringing = self.request.response(StatusCode::RINGING);
                    let contact = self.shared.endpoint.contact("segy", self.request.from);
                    let ringing = ringing.with(name::CONTACT, contact.to_string());
                    self.request.respond(ringing);
                }
                Some(ExternalCommand::Answer) => return self.answer().await,
                Some(ExternalCommand::Reject(failure)) => {
                    return self.refuse(StatusCode::new(failure.status()));
                }
                // There is nobody to hear it yet.
                Some(
                    ExternalCommand::Press(_)
                    | ExternalCommand::Release
                    | ExternalCommand::Refuse
                    | ExternalCommand::Speech(_)
                    | ExternalCommand::Lost
                    | ExternalCommand::Silence,
                ) => {}
                None => return self.refuse(StatusCode::TEMPORARILY_UNAVAILABLE),
            }
        }
    }

    fn refuse(&self, status: StatusCode) {
        self.shared.dialogs.confirmed(self.request.transaction);
        self.request.respond_status(status);
    }

    async fn answer(mut self) {
        let established = match self.established().await {
            Ok(established) => established,
            Err(status) => {
                self.refuse(status);
                let _ended = self.port.events.send(ExternalEvent::Down).await;
                return;
            }
        };
        let contact = self.shared.endpoint.contact("segy", self.request.from);
        let ok = self
            .request
            .response(StatusCode::OK)
            .with(name::CONTACT, contact.to_string())
            .with(name::ALLOW, ALLOWED)
            .with_body(SDP, description(established.audio.address, 0));
        self.request.respond(ok);
        let session = Session::new(&self.shared, established, self.incoming, self.registered);
        // An answer that is never confirmed ends the call too.
        let unconfirmed = self.given_up.clone();
        serve(session.ended_by(unconfirmed), &mut self.port).await;
    }

    async fn established(&self) -> Result<Established, StatusCode> {
        let (request, peer) = (&self.request.request, self.request.from);
        let failed = |_| StatusCode::SERVER_INTERNAL_ERROR;
        let dialog = Dialog::uas(request, &self.request.to_tag);
        let dialog = dialog.map_err(|_| StatusCode::BAD_REQUEST)?;
        let audio = Audio::open(&self.shared, peer).await.map_err(failed)?;
        let remote = remote_of(&request.headers, &request.body);
        Ok(Established {
            dialog,
            peer,
            audio,
            remote: remote.map_err(|_| StatusCode::NOT_ACCEPTABLE_HERE)?,
        })
    }
}
