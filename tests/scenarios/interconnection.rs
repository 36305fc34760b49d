//! Users that another MC system serves, over one interconnection under one SPK (TR 33.880 7.8.3):
//! they call and are called without a registration or CSK of their own, and the other system speaks
//! for nobody else.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use lab::parties::{
    Heard, Party, client_config, http_config, interconnect, interconnection_config,
};
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_audio::measure;
use mc_audio::wav::Wav;
use mc_client::{
    Attachment, CallId, Callee, ClientEvent, Commencement, Interconnection, PrivateCall,
    SpkAssociation, SpkConfig,
};
use mc_ids::{GroupId, McServiceId};
use mc_runtime::CancellationToken;
use mc_runtime::sip::{SipConfig, SipEndpoint};
use mc_sip::mcptt::{self, media};
use mc_sip::{BodyPart, Method, Multipart, NameAddr, Request, Response, SipMessage, name, token};
use mc_trace::{KeyKind, Protocol};
use mc_xml::affiliation::{Affiliation, AffiliationPresence, Tuple};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use serde_json::{Value, json};
use testkit::recording::Recording;
use testkit::{libsrtp, tshark};
use tokio::sync::broadcast::Receiver;

use crate::support::{GROUP, PATIENCE, ready, recording, start, until};

const UNITS: [&str; 2] = ["unit-1001", "unit-1002"];
const SPK_ID: &str = "3a7e0001";
const FOREIGN_GROUP: &str = "sip:command-1@mc.example";

fn id(user: &str) -> McServiceId {
    McServiceId::new(format!("sip:{user}@mc.example")).unwrap()
}

/// The client of a user of the other system; `answers` says that the user answers private calls.
async fn interconnected(lab: &Lab, at: &Interconnection, user: &str, answers: bool) -> Party {
    let mut config = client_config(lab, user, &[GROUP]).unwrap();
    config.sip = None;
    config.manual_answer = answers;
    let attachment = Attachment::Interconnected(at.clone());
    let party = Party::start_at(lab, attachment, config).await.unwrap();
    if let Err(steps) = party.until_ready(PATIENCE).await {
        panic!("{user} is not ready: {steps:#?}");
    }
    party
}

fn sentence(name: &str) -> Vec<i16> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let octets = std::fs::read(root.join("target/speech").join(name)).unwrap();
    let wav = Wav::read(&octets, measure::LONGEST).unwrap();
    wav.into_16k()
}

async fn say(party: &Party, call: &CallId, samples: &[i16]) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for frame in samples.chunks(320) {
        clock.tick().await;
        let mut frame = frame.to_vec();
        frame.resize(320, 0);
        party.client.send_speech(call, frame).await.unwrap();
    }
    clock.tick().await;
}

/// Who talks and what is heard, until the floor is idle again.
async fn listen(heard: &mut Receiver<Heard>) -> (String, Vec<i16>) {
    let (mut talker, mut samples) = (None, Vec::new());
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is not about what is heard"
    )]
    let all = async {
        loop {
            match heard.recv().await.unwrap().event {
                ClientEvent::FloorTaken { talker: by, .. } => talker = by,
                ClientEvent::Speech(frame) => samples.extend(frame.samples),
                ClientEvent::FloorIdle { .. } if talker.is_some() => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    (talker.unwrap(), samples)
}

fn understood(said: &[i16], heard: &[i16]) {
    let report = measure::judge(said, heard).unwrap();
    assert!(report.score > 0.75, "{report:?}");
    assert!(report.first_heard && report.last_heard, "{report:?}");
}

async fn started(at: &mut Receiver<Heard>, wanted: &CallId) {
    until(at, "call", |e| match e {
        ClientEvent::CallStarted { call, .. } => (call == wanted).then_some(()),
        _ => None,
    })
    .await;
}

async fn granted(at: &mut Receiver<Heard>) {
    until(at, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
}

async fn released(at: &mut Receiver<Heard>) {
    until(at, "release", |e| {
        matches!(e, ClientEvent::Released { .. }).then_some(())
    })
    .await;
}

async fn status(lab: &Lab) -> Value {
    let http = mc_runtime::http::client(&http_config(lab)).unwrap();
    let address = lab.addresses().of(PortName::McpttServer);
    let answer = http.get(format!("https://{address}/status")).send().await;
    answer.unwrap().json().await.unwrap()
}

async fn calls_of_server(lab: &Lab) -> Value {
    status(lab).await.get("calls").cloned().unwrap()
}

async fn no_call_at_server(lab: &Lab) {
    let gone = async {
        while calls_of_server(lab).await != json!([]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        panic!("the server keeps {}", calls_of_server(lab).await);
    }
}

#[tokio::test]
async fn users_of_another_system_speak_and_listen_in_a_group_call() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let at = interconnect(&lab).await.unwrap();
    let first = interconnected(&lab, &at, UNITS[0], false).await;
    let second = interconnected(&lab, &at, UNITS[1], false).await;
    let (call, group) = (
        CallId::Group(GROUP.parse().unwrap()),
        GROUP.parse::<GroupId>().unwrap(),
    );

    // Alice calls: both are invited over the interconnection.
    let said = sentence("mc.wav");
    let mut at_alice = alice.follow();
    let (mut at_first, mut at_second) = (first.follow(), second.follow());
    alice.client.group_call(&group, true).await.unwrap();
    granted(&mut at_alice).await;
    started(&mut at_second, &call).await;
    say(&alice, &call, &said).await;
    alice.client.release_ptt(&call).await.unwrap();
    for heard in [&mut at_first, &mut at_second] {
        let (talker, samples) = listen(heard).await;
        assert_eq!(talker, "sip:alice@mc.example");
        understood(&said, &samples);
    }

    // One of them talks, under its own name, to the host domain's user and to the other one.
    let said = sentence("lmr.wav");
    let (mut at_alice, mut at_first, mut at_second) =
        (alice.follow(), first.follow(), second.follow());
    first.client.press_ptt(&call).await.unwrap();
    granted(&mut at_first).await;
    say(&first, &call, &said).await;
    first.client.release_ptt(&call).await.unwrap();
    for heard in [&mut at_alice, &mut at_second] {
        let (talker, samples) = listen(heard).await;
        assert_eq!(talker, id(UNITS[0]).as_str());
        understood(&said, &samples);
    }
    alice.client.hang_up(&call).await.unwrap();
    first.client.hang_up(&call).await.unwrap();
    released(&mut at_second).await;
    no_call_at_server(&lab).await;

    // And one of them makes the call.
    let (mut at_alice, mut at_second) = (alice.follow(), second.follow());
    second.client.group_call(&group, true).await.unwrap();
    granted(&mut at_second).await;
    started(&mut at_alice, &call).await;
    let said = said.get(..48_000).unwrap();
    say(&second, &call, said).await;
    second.client.release_ptt(&call).await.unwrap();
    let (talker, samples) = listen(&mut at_alice).await;
    assert_eq!(talker, id(UNITS[1]).as_str());
    understood(said, &samples);
    second.client.hang_up(&call).await.unwrap();

    // Who stops is affiliated no more.
    for party in [first, second] {
        party.stop().await;
    }
    let affiliations = status(&lab).await["affiliations"].to_string();
    for unit in UNITS {
        assert!(!affiliations.contains(unit), "{affiliations}");
    }
    at.close().await;
    alice.stop().await;
    let gms = lab.addresses().of(PortName::GmsSip).to_string();
    let run = recording(lab);
    judged(&run);
    hidden(&run, &gms);
}

#[tokio::test]
async fn private_calls_cross_the_border_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let at = interconnect(&lab).await.unwrap();
    let first = interconnected(&lab, &at, UNITS[0], false).await;
    let second = interconnected(&lab, &at, UNITS[1], true).await;
    let to = |user: &str, commencement| PrivateCall {
        callee: Callee::User(id(user)),
        commencement,
        implicit_floor: true,
        functional_alias: None,
    };
    let said = sentence("mc.wav");

    // From the other system, answered at once.
    let (mut at_alice, mut at_first) = (alice.follow(), first.follow());
    let wanted = to("alice", Commencement::Automatic);
    let at_caller = first.client.private_call(wanted).await.unwrap();
    let at_called = offered(&mut at_alice, &id(UNITS[0]), true).await;
    started(&mut at_first, &at_caller).await;
    granted(&mut at_first).await;
    say(&first, &at_caller, &said).await;
    first.client.release_ptt(&at_caller).await.unwrap();
    let (talker, samples) = listen(&mut at_alice).await;
    assert_eq!(talker, id(UNITS[0]).as_str());
    understood(&said, &samples);
    let mut at_first = first.follow();
    alice.client.press_ptt(&at_called).await.unwrap();
    granted(&mut at_alice).await;
    say(&alice, &at_called, &said).await;
    alice.client.release_ptt(&at_called).await.unwrap();
    let (talker, samples) = listen(&mut at_first).await;
    assert_eq!(talker, "sip:alice@mc.example");
    understood(&said, &samples);
    alice.client.hang_up(&at_called).await.unwrap();
    released(&mut at_first).await;
    no_call_at_server(&lab).await;

    // To the other system, whose user wants to be asked.
    let (mut at_alice, mut at_second) = (alice.follow(), second.follow());
    let wanted = to(UNITS[1], Commencement::Automatic);
    let at_caller = alice.client.private_call(wanted).await.unwrap();
    let at_called = offered(&mut at_second, &id("alice"), false).await;
    until(&mut at_alice, "ringing", |e| {
        matches!(e, ClientEvent::CallRinging { .. }).then_some(())
    })
    .await;
    second.client.accept(&at_called).await.unwrap();
    started(&mut at_alice, &at_caller).await;
    granted(&mut at_alice).await;
    say(&alice, &at_caller, &said).await;
    alice.client.release_ptt(&at_caller).await.unwrap();
    let (_, samples) = listen(&mut at_second).await;
    understood(&said, &samples);
    second.client.hang_up(&at_called).await.unwrap();
    released(&mut at_alice).await;

    // Given up before the answer, and to a user who is not there.
    let wanted = to(UNITS[1], Commencement::Manual);
    let at_caller = alice.client.private_call(wanted).await.unwrap();
    offered(&mut at_second, &id("alice"), false).await;
    alice.client.hang_up(&at_caller).await.unwrap();
    released(&mut at_second).await;
    second.stop().await;
    let wanted = to(UNITS[1], Commencement::Manual);
    alice.client.private_call(wanted).await.unwrap();
    let refused = until(&mut at_alice, "refusal", |e| match e {
        ClientEvent::CallRefused {
            status, warning, ..
        } if *status != 487 => Some((*status, *warning)),
        _ => None,
    })
    .await;
    assert_eq!(refused, (404, Some(141)));
    no_call_at_server(&lab).await;
    first.stop().await;
    at.close().await;
    alice.stop().await;

    let run = recording(lab);
    judged(&run);
    let mikey = tshark::check_mikey(&run).unwrap();
    // The I_MESSAGE of a caller reaches the called user as it was made.
    for (caller, called) in [(UNITS[0], "alice"), ("alice", UNITS[1])] {
        let parties = [id(caller).to_string(), id(called).to_string()];
        let found = mikey
            .iter()
            .any(|seen| seen.carrier == "INVITE" && seen.identities.get(..2) == Some(&parties[..]));
        assert!(found, "PCK of {caller} for {called}");
    }
}

/// The call that is offered by a caller.
async fn offered(at: &mut Receiver<Heard>, by: &McServiceId, at_once: bool) -> CallId {
    let (call, caller, automatic) = until(at, "offer", |e| match e {
        ClientEvent::CallOffered {
            call,
            caller,
            automatic,
            ..
        } => Some((call.clone(), caller.clone(), *automatic)),
        _ => None,
    })
    .await;
    assert_eq!((&caller, automatic), (by, at_once));
    call
}

/// What software of others and the counts on the wire say of a run with the interconnection.
fn judged(run: &Recording) {
    assert!(tshark::check_sip(run).unwrap() > 20);
    tshark::check_floor(run).unwrap();
    let opened = libsrtp::check_media(run).unwrap();
    assert!(opened.media >= 50 && opened.floor >= 8, "{opened:?}");
    // No user of the other system registers or makes a CSK; alice does both.
    let mut registered = BTreeSet::new();
    for request in requests(run) {
        if request.method == Method::Register {
            registered.insert(request.headers.to().unwrap().uri.user.unwrap());
        }
    }
    let of_kind = |kind: KeyKind| run.keys.iter().filter(move |entry| entry.kind == kind);
    let holders: BTreeSet<&str> = of_kind(KeyKind::Csk).map(|e| e.node.as_str()).collect();
    assert!(registered.contains("alice") && holders.contains("alice"));
    for unit in UNITS {
        assert!(!registered.contains(unit), "{registered:?}");
        assert!(!holders.contains(unit), "{holders:?}");
    }
    let spks = of_kind(KeyKind::Spk).filter(|entry| entry.node == "partner.example");
    let spks: BTreeSet<&str> = spks.map(|entry| entry.key_id.as_str()).collect();
    assert_eq!(spks, BTreeSet::from([SPK_ID]));
    // Floor control of the users of the other system goes under it and nothing else.
    let mut keys = BTreeSet::new();
    let floor = run.events.iter().filter(|e| e.protocol == Protocol::Rtcp);
    for event in floor.filter(|e| e.node == "mcptt-server") {
        let ends = [&event.from.name, &event.to.name];
        if ends
            .iter()
            .any(|name| UNITS.iter().any(|unit| id(unit).as_str() == *name))
        {
            keys.extend(event.key_ids.iter().map(String::as_str));
        }
    }
    assert_eq!(keys, BTreeSet::from([SPK_ID]));
    // So do the bodies of every message at the border.
    let mut names = BTreeSet::new();
    for event in run
        .of(Protocol::Sip)
        .filter(|e| e.node == "partner.example")
    {
        let text = String::from_utf8_lossy(&event.raw);
        names.extend(text.split("KeyName>").skip(1).step_by(2).map(|name| {
            let end = name.find('<').unwrap_or(name.len());
            name.get(..end).unwrap_or_default().to_owned()
        }));
        assert!(!text.contains("<mcpttURI>"), "{text}");
    }
    assert_eq!(names, BTreeSet::from(["On4AAQ==".to_owned()]));
}

/// Nothing that comes to the other system tells where the GMS is.
fn hidden(run: &Recording, gms: &str) {
    let mut seen = 0;
    for event in run
        .of(Protocol::Sip)
        .filter(|e| e.node == "partner.example")
    {
        let text = String::from_utf8_lossy(&event.raw);
        seen += usize::from(text.starts_with("NOTIFY") || text.starts_with("MESSAGE"));
        assert!(!text.contains(gms), "{text}");
    }
    assert!(seen >= 4, "{seen} messages of the GMS");
}

fn requests(run: &Recording) -> impl Iterator<Item = Request> {
    run.of(Protocol::Sip)
        .filter_map(|event| match mc_sip::parse_message(&event.raw) {
            Ok(SipMessage::Request(request)) => Some(request),
            Ok(SipMessage::Response(_)) | Err(_) => None,
        })
}

/// How much of mcptt-info is encrypted.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Protection {
    None,
    /// All but the caller.
    Half,
    Full,
}

/// Somebody at the partner's address who sends what the partner's own software would not.
pub(crate) struct Rogue {
    endpoint: SipEndpoint,
    psi: String,
    group: String,
    spk: SpkAssociation,
}

impl Rogue {
    async fn at(lab: &Lab) -> Self {
        let config = interconnection_config(lab).unwrap();
        Self::of(&config.psi, &config.spk, GROUP).await
    }

    /// With the identity and the SPK of a partner, and a group that it may use.
    pub(crate) async fn of(psi: &str, spk: &SpkConfig, group: &str) -> Self {
        let sip = SipConfig {
            bind: ([127, 0, 0, 1], 0).into(),
            ..SipConfig::default()
        };
        let stop = CancellationToken::new();
        let trace = std::sync::Arc::new(());
        let bound = SipEndpoint::bind(&sip, Default::default(), trace, &stop).await;
        Self {
            endpoint: bound.unwrap().0,
            psi: psi.to_owned(),
            group: group.to_owned(),
            spk: SpkAssociation::new(spk).unwrap(),
        }
    }

    pub(crate) async fn send(&self, lab: &Lab, request: Request) -> Response {
        let server = lab.addresses().of(PortName::McpttSip);
        self.to(request, server).await
    }

    async fn to(&self, request: Request, address: std::net::SocketAddr) -> Response {
        let peer = mc_sip::Peer {
            transport: mc_sip::Transport::Tcp,
            address,
        };
        let mut responses = self.endpoint.request(request, peer);
        responses.final_response().await.unwrap()
    }

    fn request(&self, method: Method, to: &str, parts: &Multipart) -> Request {
        let mut rng = mc_runtime::rng();
        let own = NameAddr::new(self.psi.parse().unwrap());
        let to: mc_sip::Uri = to.parse().unwrap();
        let contact = self.endpoint.local_address();
        let mut request = Request::new(
            method,
            to.clone(),
            &own.clone().with_tag(&token::tag(&mut rng)),
            &NameAddr::new(to),
            &token::call_id(&mut rng),
            1,
        )
        .with(name::P_ASSERTED_IDENTITY, own.to_string())
        .with(
            name::CONTACT,
            format!("<sip:rogue@{contact};transport=tcp>"),
        );
        mcptt::push_accept_contact(&mut request.headers);
        let (content_type, body) = parts.write(&token::boundary(&mut rng));
        request.with_body(&content_type, body)
    }

    fn signed(&self, parts: Multipart) -> Multipart {
        self.spk.bodies().sign(parts, &mut mc_runtime::rng())
    }

    /// An INVITE to a group in the name of a user.
    pub(crate) fn invite(&self, user: &str, group: &str, protection: Protection) -> Request {
        let mut info = McpttInfo {
            session_type: Some(SessionType::Prearranged),
            request_uri: Some(Content::uri_value(group)),
            calling_user_id: Some(Content::uri_value(user)),
            ..McpttInfo::default()
        };
        if protection != Protection::None {
            info.encrypt(self.spk.bodies().xml(), &mut mc_runtime::rng());
        }
        if protection == Protection::Half {
            info.calling_user_id = Some(Content::uri_value(user));
        }
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 96\r\ni=speech\r\na=rtpmap:96 AMR-WB/16000/1\r\n\
                   a=fmtp:96 octet-align=1\r\nm=application 40002 udp MCPTT\r\n\
                   a=fmtp:MCPTT mc_queueing;mc_implicit_request\r\n";
        let parts = Multipart::default()
            .with(BodyPart::new(media::SDP, sdp))
            .with(BodyPart::new(media::MCPTT_INFO, info.to_xml()));
        let parts = self.signed(parts);
        self.request(Method::Invite, "sip:mcptt-ctrl@mc.example", &parts)
            .with(name::P_ASSERTED_SERVICE, mcptt::ICSI)
    }

    /// An affiliation of `listed` in the name of `user`.
    pub(crate) fn publish(&self, user: &str, listed: &str, protected: bool) -> Request {
        let attribute = |uri: &str| match protected {
            true => self.spk.bodies().seal_uri(uri, &mut mc_runtime::rng()),
            false => uri.to_owned(),
        };
        let presence = AffiliationPresence {
            entity: attribute(&self.group),
            tuples: vec![Tuple {
                id: attribute(listed),
                affiliations: vec![Affiliation {
                    client: Some("urn:uuid:6d1f9a40-0d6c-4c8e-9a53-1a2b3c4d5e6f".to_owned()),
                    ..Affiliation::default()
                }],
                functional_aliases: Vec::new(),
            }],
            p_id: None,
            p_id_fa: None,
        };
        self.presence(user, &self.group, &presence)
    }

    /// An activation of a functional alias in the name of `user`.
    pub(crate) fn activate(&self, user: &str, alias: &str) -> Request {
        let seal = |uri: &str| self.spk.bodies().seal_uri(uri, &mut mc_runtime::rng());
        let presence = AffiliationPresence {
            entity: seal(user),
            tuples: vec![Tuple {
                id: "urn:uuid:00000000-0000-0000-0000-000000000000".to_owned(),
                affiliations: Vec::new(),
                functional_aliases: vec![seal(alias)],
            }],
            p_id: None,
            p_id_fa: None,
        };
        self.presence(user, user, &presence)
    }

    fn presence(&self, user: &str, about: &str, presence: &AffiliationPresence) -> Request {
        let mut info = McpttInfo {
            request_uri: Some(Content::uri_value(about)),
            calling_user_id: Some(Content::uri_value(user)),
            ..McpttInfo::default()
        };
        info.encrypt(self.spk.bodies().xml(), &mut mc_runtime::rng());
        let parts = Multipart::default()
            .with(BodyPart::new(media::MCPTT_INFO, info.to_xml()))
            .with(BodyPart::new(media::PIDF, presence.to_xml()));
        let parts = self.signed(parts);
        self.request(Method::Publish, "sip:mcptt-ctrl@mc.example", &parts)
            .with(name::EVENT, "presence")
    }

    /// The same request with its signatures taken off.
    fn unsigned(&self, request: &Request) -> Request {
        let mut parts = Multipart::of(&request.headers, &request.body).unwrap();
        parts
            .parts
            .retain(|part| part.media_type != media::MCPTT_SIGNED);
        let (content_type, body) = parts.write("b1");
        request.clone().with_body(&content_type, body)
    }
}

pub(crate) fn refusal(response: &Response) -> (u16, Option<u16>) {
    let warnings = response.headers.warnings();
    let code = warnings.first().and_then(mc_sip::Warning::code);
    (response.status.code(), code)
}

#[tokio::test]
async fn a_partner_speaks_for_its_own_users_only_and_never_in_clear() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let at = interconnect(&lab).await.unwrap();
    let unit = interconnected(&lab, &at, UNITS[0], false).await;
    let before = status(&lab).await;
    let counted = |status: &Value, what: &str| {
        let mut partners = status["partners"].as_array().unwrap().iter();
        let partner = partners.find(|p| p["name"] == "partner.example");
        partner.unwrap()["counters"][what].clone()
    };
    let rogue = Rogue::at(&lab).await;
    let (own, other) = (id(UNITS[0]), id("alice"));
    let (own, other) = (own.as_str(), other.as_str());

    // Identities that are not the partner's: of a caller, of who is affiliated, of both.
    for request in [
        rogue.invite(other, GROUP, Protection::Full),
        rogue.publish(other, other, true),
        rogue.publish(own, other, true),
    ] {
        let response = rogue.send(&lab, request).await;
        assert_eq!(refusal(&response), (403, Some(179)));
    }
    // A group that is not the partner's to use.
    let response = rogue
        .send(&lab, rogue.invite(own, FOREIGN_GROUP, Protection::Full))
        .await;
    assert_eq!(refusal(&response), (403, Some(179)));
    // Bodies in clear, attributes in clear, bodies under another key.
    let mut stranger = Rogue::at(&lab).await;
    let mut config = interconnection_config(&lab).unwrap();
    config.spk.key = mc_runtime::config::Secret::new("00".repeat(16));
    stranger.spk = SpkAssociation::new(&config.spk).unwrap();
    for request in [
        rogue.invite(own, GROUP, Protection::None),
        rogue.invite(own, GROUP, Protection::Half),
        rogue.publish(own, own, false),
        stranger.invite(own, GROUP, Protection::Full),
    ] {
        let response = rogue.send(&lab, request).await;
        assert_eq!(refusal(&response), (403, Some(140)));
    }
    // Bodies that are not signed, and a body that was changed after it was signed.
    let changed = {
        let mut request = rogue.publish(own, own, true);
        let body = String::from_utf8(request.body).unwrap();
        request.body = body.replace("6d1f9a40", "6d1f9a41").into_bytes();
        request
    };
    let unsigned = rogue.unsigned(&rogue.invite(own, GROUP, Protection::Full));
    for request in [unsigned, changed] {
        let response = rogue.send(&lab, request).await;
        assert_eq!(refusal(&response), (403, Some(139)));
    }
    // And the other way: the other system does not take a body in clear either.
    let info = McpttInfo {
        request_uri: Some(Content::uri_value(own)),
        ..McpttInfo::default()
    };
    let parts = Multipart::default().with(BodyPart::new(media::MCPTT_INFO, info.to_xml()));
    let message = rogue.request(Method::Message, "sip:mcptt@partner.example", &parts);
    let response = rogue.to(message, at.local_address()).await;
    assert_eq!(refusal(&response), (403, Some(140)));

    let after = status(&lab).await;
    assert_eq!(after["affiliations"], before["affiliations"]);
    assert_eq!(after["calls"], json!([]));
    assert_eq!(counted(&after, "refused_identity"), 3);
    assert_eq!(counted(&after, "refused_policy"), 1);
    assert_eq!(counted(&after, "refused_protection"), 6);
    unit.stop().await;
    at.close().await;
    let run = recording(lab);
    let asserted = "mcptt:assertion_refused";
    let refused = run.events.iter().filter(|e| e.name == asserted).count();
    assert_eq!(refused, 3);
}
