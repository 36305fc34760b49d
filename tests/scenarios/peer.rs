//! An MC user driven message by message, so that each message can be made wrong.

use std::sync::Arc;

use lab::parties::{http_config, kms_client, log_in};
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_client::keys::KeyRing;
use mc_client::login::Session;
use mc_client::{Association, BodyConfig, BodyProtection, Seal};
use mc_ids::NtpTime;
use mc_runtime::sip::{Incoming, ResponseStream, SipConfig, SipEndpoint};
use mc_runtime::{CancellationToken, Clock as _, SystemClock, http};
use mc_sip::mcptt::{self, EXPIRES_FOREVER, media};
use mc_sip::sdp::{FloorParameters, McpttMedia, Sdp};
use mc_sip::transaction::TransactionConfig;
use mc_sip::{BodyPart, Dialog, Method, Multipart, NameAddr, Request, Response, Uri, name, token};
use mc_xml::affiliation::{Affiliation, AffiliationPresence, Tuple};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use mikey::{Distribution, KmsCertificate, UserKeys};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

use crate::support::until_affiliated;

/// PSI of the server's participating function.
pub(crate) const SERVER: &str = "sip:mcptt@mc.example";
/// Identity CSKs are encapsulated to.
pub(crate) const MDSI: &str = "mdsi.mc.example";

/// The user, logged in and with keys; nothing is registered yet.
pub(crate) struct Peer {
    pub(crate) impu: Uri,
    pub(crate) session: Session,
    pub(crate) ring: KeyRing,
    pub(crate) association: Association,
    pub(crate) endpoint: SipEndpoint,
    pub(crate) server: mc_sip::Peer,
    client_id: String,
    stop: CancellationToken,
}

/// What a request got.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) call_id: String,
    pub(crate) status: u16,
    /// The number of the MCPTT warning.
    pub(crate) warning: Option<u16>,
    pub(crate) response: Response,
}

impl Peer {
    pub(crate) async fn new(lab: &Lab, user: &str) -> Self {
        let clock = SystemClock::shared();
        let session = log_in(lab, user, clock.clone()).await.unwrap();
        let ring = kms_client(lab, clock)
            .unwrap()
            .fetch(session.access_token.secret(), session.mcptt_id.as_str())
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let config = SipConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            ..SipConfig::default()
        };
        let timers = TransactionConfig::default();
        let (endpoint, incoming) = SipEndpoint::bind(&config, timers, Arc::new(()), &stop)
            .await
            .unwrap();
        tokio::spawn(answer_all(incoming));
        Self {
            impu: format!("sip:{user}@ims.mc.example").parse().unwrap(),
            session,
            ring,
            association: Association::new(&mut mc_runtime::rng()),
            endpoint,
            server: mc_sip::Peer::tcp(lab.addresses().of(PortName::McpttSip)),
            client_id: format!("urn:test:{user}"),
            stop,
        }
    }

    /// The user, registered and affiliated.
    pub(crate) async fn affiliated(lab: &Lab, user: &str, groups: &[&str]) -> Self {
        let peer = Self::new(lab, user).await;
        assert_eq!(peer.ask(peer.register()).await.status, 200);
        peer.affiliate_and_wait(lab, groups).await;
        peer
    }

    /// Affiliates; the answer comes before the server has looked at the groups (9.2.2.2.3).
    pub(crate) async fn affiliate_and_wait(&self, lab: &Lab, groups: &[&str]) {
        assert_eq!(self.ask(self.affiliate(groups)).await.status, 200);
        until_affiliated(lab, self.id(), groups.len()).await;
    }

    pub(crate) fn id(&self) -> &str {
        self.session.mcptt_id.as_str()
    }

    pub(crate) fn token(&self) -> &str {
        self.session.access_token.secret()
    }

    pub(crate) fn keys(&self) -> &UserKeys {
        self.ring.current(self.id(), now()).unwrap()
    }

    /// The client identifier it registers with.
    pub(crate) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// A request of this user outside a dialog.
    pub(crate) fn request(&self, method: Method, uri: &str) -> Request {
        let rng = &mut mc_runtime::rng();
        let from = NameAddr::new(self.impu.clone()).with_tag(&token::tag(rng));
        let uri: Uri = uri.parse().unwrap();
        let to = NameAddr::new(if method == Method::Register {
            self.impu.clone()
        } else {
            uri.clone()
        });
        let request = Request::new(method, uri, &from, &to, &token::call_id(rng), 1);
        request.with(name::CONTACT, self.contact().to_string())
    }

    fn contact(&self) -> NameAddr {
        let user = self.impu.user.clone().unwrap();
        mcptt::contact_features(self.endpoint.contact(&user, self.server))
    }

    /// The I_MESSAGE with this user's CSK.
    pub(crate) fn csk_message(&self) -> Vec<u8> {
        let rng = &mut mc_runtime::rng();
        let (keys, root) = (self.keys(), self.ring.root());
        self.association
            .i_message(keys, root, MDSI, now(), rng)
            .unwrap()
    }

    /// A good REGISTER.
    pub(crate) fn register(&self) -> Request {
        self.register_with(Some(self.csk_message()), self.token())
    }

    /// A REGISTER with this I_MESSAGE and this access token, encrypted under the CSK.
    pub(crate) fn register_with(&self, mikey: Option<Vec<u8>>, access_token: &str) -> Request {
        let info = McpttInfo {
            access_token: Some(Content::string_value(access_token)),
            client_id: Some(Content::string_value(&self.client_id)),
            ..McpttInfo::default()
        };
        let mut parts = Multipart::default();
        if let Some(mikey) = mikey {
            parts = parts.with(BodyPart::new(media::MIKEY, mikey));
        }
        let parts = parts.with(BodyPart::new(media::MCPTT_INFO, self.sealed(info)));
        let request = self.request(Method::Register, "sip:ims.mc.example");
        self.signed(request.with(name::EXPIRES, "600"), parts)
    }

    /// What protects this user's bodies.
    pub(crate) fn bodies(&self) -> BodyProtection {
        let keys = self.association.xml(&self.session.mcptt_id);
        BodyProtection::new(keys, &BodyConfig::default())
    }

    /// The octets of an mcptt-info encrypted under this user's CSK.
    pub(crate) fn sealed(&self, info: McpttInfo) -> Vec<u8> {
        let bodies = self.bodies();
        let part = Seal::full(&bodies).info(info, &mut mc_runtime::rng());
        part.content
    }

    /// A request with these parts, signed under this user's CSK.
    pub(crate) fn signed(&self, request: Request, parts: Multipart) -> Request {
        with_parts(request, &self.bodies().sign(parts, &mut mc_runtime::rng()))
    }

    pub(crate) fn affiliate(&self, groups: &[&str]) -> Request {
        let wanted = |group: &&str| Affiliation {
            group: Some((*group).to_owned()),
            ..Affiliation::default()
        };
        let presence = AffiliationPresence {
            entity: self.id().to_owned(),
            tuples: vec![Tuple {
                id: self.client_id.clone(),
                affiliations: groups.iter().map(wanted).collect(),
                functional_aliases: Vec::new(),
            }],
            p_id: None,
            p_id_fa: None,
        };
        let info = McpttInfo {
            request_uri: Some(Content::uri_value(self.id())),
            ..McpttInfo::default()
        };
        let (bodies, rng) = (self.bodies(), &mut mc_runtime::rng());
        let parts = Multipart::default()
            .with(BodyPart::new(media::MCPTT_INFO, self.sealed(info)))
            .with(Seal::full(&bodies).presence(presence, rng));
        let request = self
            .request(Method::Publish, SERVER)
            .with("Event", "presence")
            .with(name::EXPIRES, EXPIRES_FOREVER.to_string());
        self.signed(request, parts)
    }

    /// An INVITE to a group, with media addresses nobody listens on.
    pub(crate) fn invite(&self, group: &str) -> Request {
        let info = McpttInfo {
            session_type: Some(SessionType::Prearranged),
            request_uri: Some(Content::uri_value(group)),
            ..McpttInfo::default()
        };
        let nowhere = ([127, 0, 0, 1], 9).into();
        let offer = McpttMedia::new(nowhere, Some(nowhere), FloorParameters::default());
        self.invite_with(&offer, self.sealed(info))
    }

    /// A signed INVITE with this description and these octets as mcptt-info.
    pub(crate) fn invite_with(&self, offer: &McpttMedia, info: Vec<u8>) -> Request {
        let sdp = offer.to_sdp(1, 1).to_string().into_bytes();
        let parts = Multipart::default()
            .with(BodyPart::new(media::SDP, sdp))
            .with(BodyPart::new(media::MCPTT_INFO, info));
        let mut request = self.request(Method::Invite, SERVER);
        mcptt::push_accept_contact(&mut request.headers);
        self.signed(request, parts)
    }

    /// A MESSAGE to a user that claims to come from the GMS.
    pub(crate) fn key_message(&self, to: &str, mikey: Vec<u8>) -> Request {
        let gms = NameAddr::new("sip:gms@mc.example".parse().unwrap());
        let parts = Multipart::default().with(BodyPart::new(media::MIKEY, mikey));
        let mut request = self.request(Method::Message, to);
        request
            .headers
            .set(name::FROM, gms.with_tag("t").to_string());
        request.headers.remove(name::CONTACT);
        with_parts(request, &parts)
    }

    /// Sends a request and waits for the final response.
    pub(crate) async fn ask(&self, request: Request) -> Answer {
        self.ask_at(request, self.server).await
    }

    /// As [`Peer::ask`], over UDP or at another server.
    pub(crate) async fn ask_at(&self, request: Request, to: mc_sip::Peer) -> Answer {
        let mut responses = self.endpoint.request(request, to);
        answer(&mut responses).await
    }

    /// Makes a group call with sockets of its own.
    pub(crate) async fn call(&self, group: &str, implicit_request: bool) -> Call {
        let (audio, floor) = (socket().await, socket().await);
        let parameters = FloorParameters {
            implicit_request,
            ..FloorParameters::default()
        };
        let local = |socket: &UdpSocket| socket.local_addr().unwrap();
        let offer = McpttMedia::new(local(&audio), Some(local(&floor)), parameters);
        let info = McpttInfo {
            session_type: Some(SessionType::Prearranged),
            request_uri: Some(Content::uri_value(group)),
            ..McpttInfo::default()
        };
        let request = self.invite_with(&offer, self.sealed(info));
        let mut responses = self.endpoint.request(request, self.server);
        let answered = answer(&mut responses).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        let dialog = Dialog::uac(&responses.request, &answered.response).unwrap();
        responses.ack(dialog.ack(1));
        let (headers, body) = (&answered.response.headers, &answered.response.body);
        let parts = Multipart::of(headers, body).unwrap();
        let sdp = Sdp::parse(&parts.get(media::SDP).unwrap().content).unwrap();
        let remote = McpttMedia::from_sdp(&sdp).unwrap();
        Call {
            dialog,
            audio,
            floor,
            remote,
        }
    }

    pub(crate) async fn hang_up(&self, mut call: Call) {
        let bye = call.dialog.request(Method::Bye);
        assert_eq!(self.ask(bye).await.status, 200);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A call of a [`Peer`].
pub(crate) struct Call {
    dialog: Dialog,
    pub(crate) audio: UdpSocket,
    pub(crate) floor: UdpSocket,
    pub(crate) remote: McpttMedia,
}

pub(crate) async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) fn now() -> NtpTime {
    SystemClock.ntp()
}

/// What a message of `from` to `to` is made of, with a RAND of its own.
pub(crate) fn distribution<'a>(
    from: &'a UserKeys,
    kms: &'a KmsCertificate,
    to: &'a str,
) -> Distribution<'a> {
    let mut rand = [0; 16];
    rand_core::Rng::fill_bytes(&mut mc_runtime::rng(), &mut rand);
    Distribution {
        initiator: from,
        kms_initiator: kms,
        responder: to,
        kms_responder: kms,
        time: now(),
        rand,
        to_self: false,
        key_parameters: None,
    }
}

/// HTTPS towards the lab's services.
pub(crate) fn https(lab: &Lab) -> reqwest::Client {
    http::client(&http_config(lab)).unwrap()
}

pub(crate) fn with_parts(request: Request, parts: &Multipart) -> Request {
    let (content_type, body) = parts.write(&token::boundary(&mut mc_runtime::rng()));
    request.with_body(&content_type, body)
}

async fn answer(responses: &mut ResponseStream) -> Answer {
    let call_id = responses
        .request
        .headers
        .get(name::CALL_ID)
        .unwrap()
        .to_owned();
    let response = responses.final_response().await.unwrap();
    let warning = response.headers.warnings().first().map(|w| w.text.clone());
    Answer {
        call_id,
        status: response.status.code(),
        warning: warning.and_then(|text| text.split(' ').next()?.parse().ok()),
        response,
    }
}

/// The user takes part in everything it is asked to, except calls of others.
async fn answer_all(mut incoming: mpsc::Receiver<Incoming>) {
    while let Some(event) = incoming.recv().await {
        if let Incoming::Request(request) = event {
            request.respond_status(match request.request.method {
                Method::Invite => mc_sip::StatusCode::BUSY_HERE,
                _ => mc_sip::StatusCode::OK,
            });
        }
    }
}
