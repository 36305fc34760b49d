//! Octets that are no message, and documents built to hurt a reader, against the running servers.

use std::net::SocketAddr;

use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_sip::mcptt::media;
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_sip::{BodyPart, Method, Multipart, SipMessage, name};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::peer::{Peer, SERVER, https, socket, with_parts};
use crate::refusals_tokens::{claims, document_url, issuer_key, kms_request};
use crate::support::{GROUP, PATIENCE, all_ready, kept, logged, start};

/// The head of a request whose sender can be answered.
fn head(call_id: &str, more: &str) -> String {
    format!(
        "OPTIONS {SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9;rport;branch=z9hG4bK{call_id}\r\n\
         From: <sip:x@mc.example>;tag=1\r\nTo: <{SERVER}>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\n{more}"
    )
}

/// Octets with the status they get, if any.
fn broken() -> Vec<(&'static str, Vec<u8>, Option<u16>)> {
    let with = |call_id, more: &str| head(call_id, more).into_bytes();
    let mut not_text = with("not-text", "Subject: ");
    not_text.extend_from_slice(b"\xff\xfe\r\nContent-Length: 0\r\n\r\n");
    let fields = "X: y\r\n".repeat(200);
    vec![
        (
            "cut-off",
            with("cut-off", "Content-Length: 100\r\n\r\nshort"),
            Some(400),
        ),
        ("not-text", not_text, Some(400)),
        (
            "fields",
            with("fields", &format!("{fields}Content-Length: 0\r\n\r\n")),
            Some(400),
        ),
        (
            "length",
            with("length", "Content-Length: -1\r\n\r\n"),
            Some(400),
        ),
        (
            "large-head",
            with(
                "large-head",
                &format!("X: {}\r\nContent-Length: 0\r\n\r\n", "y".repeat(20_000)),
            ),
            Some(513),
        ),
        (
            "no-colon",
            with("no-colon", "nonsense\r\nContent-Length: 0\r\n\r\n"),
            Some(400),
        ),
        ("noise", vec![0x80; 1000], None),
        ("zeros", vec![b'x'; 60_000], None),
    ]
}

fn status_of(octets: &[u8]) -> u16 {
    let Ok(SipMessage::Response(response)) = mc_sip::parse_message(octets) else {
        panic!("{}", String::from_utf8_lossy(octets));
    };
    response.status.code()
}

async fn over_udp(server: SocketAddr, octets: &[u8], answered: bool) -> Option<u16> {
    let socket = socket().await;
    socket.send_to(octets, server).await.unwrap();
    if !answered {
        return None;
    }
    let mut buffer = vec![0; 65_536];
    let received = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await;
    let length = received.unwrap().unwrap();
    Some(status_of(&buffer[..length]))
}

/// Sends octets and closes; what comes back before the server closes too.
async fn over_tcp(server: SocketAddr, octets: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).await.unwrap();
    stream.write_all(octets).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // The server may reset a connection it gives up.
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    drop(read.unwrap());
    answer
}

#[tokio::test]
async fn broken_sip_gets_the_standards_refusal() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    let before = kept(&lab).await;
    for port in [PortName::McpttSip, PortName::GmsSip] {
        let server = lab.addresses().of(port);
        // An OPTIONS of a stranger meets what his INVITE would (RFC 3261 11.2).
        let (service, alive) = match port {
            PortName::GmsSip => ("gms", 200),
            _ => ("mcptt-server", 404),
        };
        for (what, octets, status) in broken() {
            let got = over_udp(server, &octets, status.is_some()).await;
            assert_eq!(got, status, "{what} at {service}");
            if status.is_some() {
                logged(&lab, service, what).await;
            }
            over_tcp(server, &octets).await;
        }
        let too_long = head("too-long", "Content-Length: 70000\r\n\r\n");
        let answer = over_tcp(server, too_long.as_bytes()).await;
        assert_eq!(status_of(&answer), 513, "{service}");
        logged(&lab, service, "too-long").await;
        // Half a message and silence: the connection waits without harm.
        let mut half = TcpStream::connect(server).await.unwrap();
        half.write_all(b"INVITE sip:").await.unwrap();
        let good = head("good", "Content-Length: 0\r\n\r\n");
        let answer = over_udp(server, good.as_bytes(), true).await;
        assert_eq!(answer, Some(alive), "{service}");
    }
    assert_eq!(kept(&lab).await, before);
    let call = bob.call(GROUP, false).await;
    bob.hang_up(call).await;
    all_ready(&lab).await;
}

/// Documents that grow when they are read, or nest deeper than any reader should follow.
fn hostile(root: &str) -> Vec<(&'static str, Vec<u8>)> {
    let entities = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]>\
         <{root}>&b;</{root}>"
    );
    let file = format!(
        "<?xml version=\"1.0\"?><!DOCTYPE x [<!ENTITY f SYSTEM \"file:///etc/hostname\">]>\
         <{root}>&f;</{root}>"
    );
    let deep = format!(
        "{}{}",
        format!("<{root}>").repeat(1000),
        format!("</{root}>").repeat(1000)
    );
    let mut not_text = format!("<{root}>").into_bytes();
    not_text.extend_from_slice(b"\xc3\x28");
    not_text.extend_from_slice(format!("</{root}>").as_bytes());
    vec![
        ("entities", entities.into_bytes()),
        ("external entity", file.into_bytes()),
        ("depth", deep.into_bytes()),
        ("not UTF-8", not_text),
        ("cut off", format!("<{root}><a>").into_bytes()),
        ("empty", Vec::new()),
    ]
}

#[tokio::test]
async fn hostile_xml_in_sip_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    let before = kept(&lab).await;
    let nowhere = ([127, 0, 0, 1], 9).into();
    let offer = McpttMedia::new(nowhere, None, FloorParameters::default());
    for (what, document) in hostile("mcpttinfo") {
        let answer = bob.ask(bob.invite_with(&offer, document.clone())).await;
        assert_eq!(answer.status, 400, "INVITE, {what}");
        let line = logged(&lab, "mcptt-server", &answer.call_id).await;
        assert!(line.contains("400: malformed body"), "{what}: {line}");
        let info = BodyPart::new(media::MCPTT_INFO, document);
        let register = bob.request(Method::Register, "sip:ims.mc.example");
        let parts = Multipart::default()
            .with(BodyPart::new(media::MIKEY, bob.csk_message()))
            .with(info);
        let answer = bob
            .ask(with_parts(register.with(name::EXPIRES, "600"), &parts))
            .await;
        assert_eq!(
            (answer.status, answer.warning),
            (403, Some(101)),
            "REGISTER, {what}"
        );
        let line = logged(&lab, "mcptt-server", &answer.call_id).await;
        assert!(line.contains("mcptt-info: "), "{what}: {line}");
    }
    for (what, document) in hostile("presence") {
        let good = bob.affiliate(&[]);
        let mut parts = Multipart::of(&good.headers, &good.body).unwrap();
        let replaced = [media::PIDF, media::MCPTT_SIGNED];
        parts
            .parts
            .retain(|part| !replaced.contains(&part.media_type.as_str()));
        let parts = parts.with(BodyPart::new(media::PIDF, document));
        let answer = bob.ask(bob.signed(good, parts)).await;
        assert_eq!(answer.status, 400, "PUBLISH, {what}");
        logged(&lab, "mcptt-server", &answer.call_id).await;
    }
    assert_eq!(kept(&lab).await, before);
    assert_eq!(bob.ask(bob.register()).await.status, 200);
    all_ready(&lab).await;
}

#[tokio::test]
async fn hostile_documents_over_https_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (http, key) = (https(&lab), issuer_key(&lab).await);
    let before = kept(&lab).await;
    let admin = claims(
        &lab,
        "admin",
        "sip:gms@mc.example",
        mc_runtime::auth::SCOPE_GMS,
    );
    let admin = key.sign(&admin).unwrap();
    let alice = claims(&lab, "alice", "kms.mc.example", mc_runtime::auth::SCOPE_KMS);
    let alice = key.sign(&alice).unwrap();
    let init = kms_protocol::Resource::Init.path();
    let kms = format!("https://{}{init}", lab.addresses().of(PortName::Kms));
    let put = |body: Vec<u8>| {
        let put = http.put(document_url(&lab, GROUP)).bearer_auth(&admin);
        put.header("content-type", mc_xml::group::MEDIA_TYPE)
            .body(body)
    };
    let post = |body: Vec<u8>| http.post(&kms).bearer_auth(&alice).body(body);
    for (what, document) in hostile("group") {
        let response = put(document).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 409, "XCAP, {what}");
        assert_eq!(
            response.headers()["content-type"],
            mc_xml::xcap_error::MEDIA_TYPE
        );
        found_in_log(&lab, "gms", &response).await;
    }
    for (what, document) in hostile("KmsRequest") {
        let response = post(document).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 400, "KMS, {what}");
        found_in_log(&lab, "kms", &response).await;
        let octets = response.bytes().await.unwrap();
        let answer = kms_protocol::KmsResponse::parse(&octets).unwrap();
        assert_eq!(answer.error.unwrap().code, 400);
    }
    let large = || vec![b'<'; 70_000];
    for (service, request) in [("gms", put(large())), ("kms", post(large()))] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), 413, "{service}");
        found_in_log(&lab, service, &response).await;
    }
    let large = http.post(format!(
        "https://{}/idms/token",
        lab.addresses().of(PortName::Idms)
    ));
    let response = large.body(vec![b'a'; 70_000]).send().await.unwrap();
    assert_eq!(response.status().as_u16(), 413);
    found_in_log(&lab, "idms", &response).await;
    assert_eq!(kept(&lab).await, before);

    let good = kms_request("sip:alice@mc.example", &kms)
        .to_xml()
        .into_bytes();
    assert_eq!(post(good).send().await.unwrap().status().as_u16(), 200);
    let got = http.get(document_url(&lab, GROUP)).bearer_auth(&admin);
    let document = got.send().await.unwrap().bytes().await.unwrap().to_vec();
    assert_eq!(put(document).send().await.unwrap().status().as_u16(), 200);
    all_ready(&lab).await;
}

async fn found_in_log(lab: &Lab, service: &str, response: &reqwest::Response) {
    let id = response.headers()["x-correlation-id"].to_str().unwrap();
    logged(lab, service, id).await;
}
