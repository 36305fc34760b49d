//! Making the call, and requests inside it, one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use mc_runtime::CancellationToken;
use mc_runtime::sip::{IncomingRequest, ResponseStream, SipEndpoint};
use mc_sip::{Dialog, Method, NameAddr, Peer, Request, Response, StatusCode, Uri, name, token};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use super::super::{ALLOWED, AnalogueConfig, Dialogs, Shared};
use super::{Session, offer};
use crate::bridge::Shown;

/// Requests of the radio system, and of ours, that may wait.
const QUEUE: usize = 64;
/// How long the radio system may take to answer a request in a call.
const PATIENCE: Duration = Duration::from_secs(4);

/// A call's place among those that get requests; it is given up when dropped.
#[derive(Debug)]
pub(in super::super) struct Registered {
    dialogs: Dialogs,
    call_id: String,
    tag: String,
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.dialogs.remove(&self.call_id, &self.tag);
    }
}

/// What the answer to an INVITE gives, ours or theirs.
pub(in super::super) struct Established {
    pub(in super::super) dialog: Dialog,
    pub(in super::super) peer: Peer,
    pub(in super::super) audio: Audio,
    /// Where the peer wants speech; none while it holds the call.
    pub(in super::super) remote: Option<SocketAddr>,
}

/// A socket for the speech of a call.
#[derive(Debug)]
pub(in super::super) struct Audio {
    pub(super) socket: UdpSocket,
    /// Its address as the peer sees it.
    pub(in super::super) address: SocketAddr,
}

impl Audio {
    pub(in super::super) async fn open(shared: &Shared, peer: Peer) -> std::io::Result<Self> {
        let (config, endpoint) = (&shared.config, &shared.endpoint);
        let own = endpoint.local_address().ip();
        let socket = UdpSocket::bind((config.media_bind.unwrap_or(own), 0)).await?;
        let port = socket.local_addr()?.port();
        let facing = endpoint.address_towards(peer.address).ip();
        let address = SocketAddr::new(config.media_advertised.unwrap_or(facing), port);
        Ok(Self { socket, address })
    }
}

/// Whom a call is made to, and who is shown as the caller.
pub(in super::super) struct Target {
    pub(in super::super) to: Uri,
    pub(in super::super) from: NameAddr,
}

impl Target {
    /// A channel, called by the gateway itself.
    pub(in super::super) fn channel(
        config: &AnalogueConfig,
        talkgroup: &str,
    ) -> Result<Self, NotEstablished> {
        Ok(Self {
            to: Uri::sip(&format!("chan{talkgroup}"), &config.domain),
            from: NameAddr::new(parse(&config.identity)?),
        })
    }

    /// A radio, called by an MC user.
    pub(in super::super) fn unit(config: &AnalogueConfig, unit: &str, caller: &Shown) -> Self {
        let from = Uri::sip(&format!("unit{}", caller.unit), &config.domain);
        let mut from = NameAddr::new(from);
        from.display.clone_from(&caller.name);
        Self {
            to: Uri::sip(&format!("unit{unit}"), &config.domain),
            from,
        }
    }
}

/// Why a call does not come up.
#[derive(Debug)]
pub(in super::super) struct NotEstablished {
    /// SIP status, 500 for what is not the far side's doing.
    pub(in super::super) status: u16,
    pub(in super::super) why: String,
}

impl From<String> for NotEstablished {
    fn from(why: String) -> Self {
        Self { status: 500, why }
    }
}

/// A new call's place among those that get requests.
pub(in super::super) fn register(
    dialogs: &Dialogs,
    call_id: &str,
    tag: &str,
) -> (Registered, mpsc::Receiver<IncomingRequest>) {
    let (queue, incoming) = mpsc::channel(QUEUE);
    dialogs.insert(call_id, tag, queue);
    let registered = Registered {
        dialogs: dialogs.clone(),
        call_id: call_id.to_owned(),
        tag: tag.to_owned(),
    };
    (registered, incoming)
}

impl Session {
    /// Makes a call; `alerted` is told when the far side rings, `given_up` ends the attempt.
    pub(in super::super) async fn establish(
        shared: &Shared,
        target: Target,
        alerted: impl Fn(),
        given_up: &CancellationToken,
    ) -> Result<Self, NotEstablished> {
        let mut rng = mc_runtime::rng();
        let (call_id, tag) = (token::call_id(&mut rng), token::tag(&mut rng));
        let (registered, incoming) = register(&shared.dialogs, &call_id, &tag);
        let server: Uri = parse(&shared.config.server)?;
        let peer = SipEndpoint::resolve(&server).await;
        let peer = peer.map_err(|error| format!("{}: {error}", shared.config.server))?;
        let audio = Audio::open(shared, peer).await;
        let audio = audio.map_err(|error| error.to_string())?;
        let user = target.from.uri.user.clone().unwrap_or_default();
        let request = Request::new(
            Method::Invite,
            target.to.clone(),
            &target.from.with_tag(&tag),
            &NameAddr::new(target.to),
            &call_id,
            1,
        )
        .with(
            name::CONTACT,
            shared.endpoint.contact(&user, peer).to_string(),
        )
        .with(name::ALLOW, ALLOWED)
        .with_body(offer::SDP, offer::description(audio.address, 0));
        let mut responses = shared.endpoint.request(request.clone(), peer);
        let response = answer(&mut responses, alerted, given_up).await?;
        let mut dialog = Dialog::uac(&request, &response).map_err(|error| error.to_string())?;
        responses.ack(dialog.ack(1));
        let remote = offer::remote_of(&response.headers, &response.body);
        let Some(remote) = remote.ok().filter(|_| !given_up.is_cancelled()) else {
            // The call is up at the far end: it must hear that it is of no use.
            let mut ended = shared.endpoint.request(dialog.request(Method::Bye), peer);
            let _answer = tokio::time::timeout(PATIENCE, ended.final_response()).await;
            return Err("answer has no usable description".to_owned().into());
        };
        let established = Established {
            dialog,
            peer,
            audio,
            remote,
        };
        Ok(Self::new(shared, established, incoming, registered))
    }
}

/// The final answer to an INVITE, if it is a success.
async fn answer(
    responses: &mut ResponseStream,
    alerted: impl Fn(),
    given_up: &CancellationToken,
) -> Result<Response, NotEstablished> {
    let mut cancelled = false;
    loop {
        let response = tokio::select! {
            response = responses.next() => response,
            () = given_up.cancelled(), if !cancelled => {
                cancelled = true;
                responses.cancel();
                continue;
            }
        };
        match response {
            Some(Ok(response)) if response.status.is_provisional() => {
                if response.status == StatusCode::RINGING {
                    alerted();
                }
            }
            Some(Ok(response)) if response.status.is_success() => return Ok(response),
            Some(Ok(response)) => {
                let status = response.status.code();
                let why = format!("INVITE answered {status} {}", response.reason);
                return Err(NotEstablished { status, why });
            }
            Some(Err(error)) => {
                return Err(NotEstablished {
                    status: error.status().code(),
                    why: error.to_string(),
                });
            }
            None => return Err("no answer".to_owned().into()),
        }
    }
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

    /// Whether there is a connection to the peer; over UDP none is needed.
    pub(super) fn is_connected(&self) -> bool {
        self.endpoint.is_connected(self.peer)
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
