//! Making the call, and requests inside it, one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use mc_runtime::sip::{IncomingRequest, SipEndpoint};
use mc_sip::{Dialog, Method, NameAddr, Peer, Request, Uri, name, token};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::super::{ALLOWED, Dialogs, Shared};
use super::{Session, offer};

/// Requests of the radio system, and of ours, that may wait.
const QUEUE: usize = 64;
/// How long the radio system may take to answer a request in a call.
const PATIENCE: Duration = Duration::from_secs(4);

/// A call's place among those that get requests; it is given up when dropped.
#[derive(Debug)]
pub(super) struct Registered {
    dialogs: Dialogs,
    call_id: String,
    tag: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.dialogs.remove(&self.call_id, &self.tag);
    }
}

/// What an answered INVITE gives.
pub(super) struct Established {
    pub(super) dialog: Dialog,
    pub(super) peer: Peer,
    pub(super) socket: UdpSocket,
    pub(super) audio: SocketAddr,
    pub(super) remote: Option<SocketAddr>,
}

impl Session {
    /// Calls into a channel.
    pub(in super::super) async fn establish(
        shared: &Shared,
        talkgroup: &str,
    ) -> Result<Self, String> {
        let mut rng = mc_runtime::rng();
        let (call_id, tag) = (token::call_id(&mut rng), token::tag(&mut rng));
        let (queue, incoming) = mpsc::channel::<IncomingRequest>(QUEUE);
        shared.dialogs.insert(&call_id, &tag, queue);
        let registered = Registered {
            dialogs: shared.dialogs.clone(),
            call_id: call_id.clone(),
            tag: tag.clone(),
        };
        let established = invite(shared, talkgroup, &call_id, &tag).await?;
        Ok(Self::new(shared, established, incoming, registered))
    }
}

async fn invite(
    shared: &Shared,
    talkgroup: &str,
    call_id: &str,
    tag: &str,
) -> Result<Established, String> {
    let (config, endpoint) = (&shared.config, &shared.endpoint);
    let server: Uri = parse(&config.server)?;
    let peer = SipEndpoint::resolve(&server)
        .await
        .map_err(|error| format!("{}: {error}", config.server))?;
    let bind = config
        .media_bind
        .unwrap_or_else(|| endpoint.local_address().ip());
    let socket = UdpSocket::bind((bind, 0))
        .await
        .map_err(|e| e.to_string())?;
    let port = socket.local_addr().map_err(|e| e.to_string())?.port();
    let facing = endpoint.address_towards(peer.address).ip();
    let audio = SocketAddr::new(config.media_advertised.unwrap_or(facing), port);

    let channel = Uri::sip(&format!("chan{talkgroup}"), &config.domain);
    let own: Uri = parse(&config.identity)?;
    let user = own.user.clone().unwrap_or_default();
    let request = Request::new(
        Method::Invite,
        channel.clone(),
        &NameAddr::new(own).with_tag(tag),
        &NameAddr::new(channel),
        call_id,
        1,
    )
    .with(name::CONTACT, endpoint.contact(&user, peer).to_string())
    .with(name::ALLOW, ALLOWED)
    .with_body(offer::SDP, offer::description(audio, 0));

    let mut responses = endpoint.request(request.clone(), peer);
    let response = responses
        .final_response()
        .await
        .map_err(|e| e.to_string())?;
    if !response.status.is_success() {
        let status = response.status.code();
        return Err(format!("INVITE answered {status} {}", response.reason));
    }
    let mut dialog = Dialog::uac(&request, &response).map_err(|error| error.to_string())?;
    responses.ack(dialog.ack(1));
    let Ok(remote) = offer::remote_of(&response.headers, &response.body) else {
        // The call is up at the far end: it must hear that it is of no use.
        let mut ended = endpoint.request(dialog.request(Method::Bye), peer);
        let _answer = tokio::time::timeout(PATIENCE, ended.final_response()).await;
        return Err("answer has no usable description".to_owned());
    };
    Ok(Established {
        dialog,
        peer,
        socket,
        audio,
        remote,
    })
}

fn parse(uri: &str) -> Result<Uri, String> {
    uri.parse().map_err(|_| format!("{uri:?} is no SIP URI"))
}

/// Sends requests in a dialog in order: the next when the one before is answered.
#[derive(Debug)]
pub(super) struct Requests {
    endpoint: SipEndpoint,
    peer: Peer,
    queue: mpsc::Sender<Request>,
    lost: mpsc::Receiver<String>,
}

impl Requests {
    pub(super) fn start(endpoint: SipEndpoint, peer: Peer) -> Self {
        let (queue, requests) = mpsc::channel(QUEUE);
        let (tell, lost) = mpsc::channel(1);
        tokio::spawn(send_all(endpoint.clone(), peer, requests, tell));
        Self {
            endpoint,
            peer,
            queue,
            lost,
        }
    }

    pub(super) const fn peer(&self) -> Peer {
        self.peer
    }

    pub(super) fn send(&self, request: Request) {
        if self.queue.try_send(request).is_err() {
            tracing::warn!(peer = %self.peer, "radio system is slow: a request was dropped");
        }
    }

    /// Tells when the call is gone.
    pub(super) async fn lost(&mut self) -> String {
        let why = self.lost.recv().await;
        why.unwrap_or_else(|| "requests have ended".to_owned())
    }

    /// Hangs up.
    pub(super) async fn bye(&self, bye: Request) {
        let mut stream = self.endpoint.request(bye, self.peer);
        // The call is over whatever the peer says.
        let _answer = tokio::time::timeout(PATIENCE, stream.final_response()).await;
    }
}

async fn send_all(
    endpoint: SipEndpoint,
    peer: Peer,
    mut requests: mpsc::Receiver<Request>,
    lost: mpsc::Sender<String>,
) {
    while let Some(request) = requests.recv().await {
        let method = request.method;
        let mut stream = endpoint.request(request, peer);
        let answer = tokio::time::timeout(PATIENCE, stream.final_response()).await;
        let why = match answer {
            Ok(Ok(response)) if matches!(response.status.code(), 408 | 481) => {
                format!("{method} answered {}", response.status.code())
            }
            Ok(Ok(response)) => {
                if !response.status.is_success() {
                    let status = response.status.code();
                    tracing::debug!(%method, status, "request in a call refused");
                }
                continue;
            }
            Ok(Err(error)) => format!("{method}: {error}"),
            Err(_) => format!("{method} not answered"),
        };
        // The session may have ended by itself.
        let _ended = lost.send(why).await;
        return;
    }
}
