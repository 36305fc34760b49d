//! A capture with TLS secrets inside opens by itself: tshark decrypts a real TLS 1.3 session of
//! rustls from a pcapng of ours, with no key file and no preference set.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mc_trace::pcapng::{Capture, View};
use mc_trace::{Endpoint, Event, KeyLogEntry, Transport, keylog, names};
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use testkit::tshark::Tshark;

const REQUEST: &[u8] = b"GET /keymanagement HTTP/1.1\r\nHost: kms.mc.example\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[derive(Debug, Default)]
struct Secrets(Mutex<Vec<KeyLogEntry>>);

impl rustls::KeyLog for Secrets {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let (random, secret) = (hex::encode(client_random), hex::encode(secret));
        let entry = KeyLogEntry::tls(&format!("{label} {random} {secret}"));
        self.0.lock().unwrap().push(entry);
    }
}

/// The TLS records of a request and its answer as events, and the secrets of the session.
fn session() -> (Vec<Event>, Vec<KeyLogEntry>) {
    let secrets = Arc::new(Secrets::default());
    let (mut client, mut server) = peers(&secrets);
    let mut events = Vec::new();
    client.writer().write_all(REQUEST).unwrap();
    let mut answered = false;
    loop {
        let (mut up, mut down) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut up).unwrap();
        }
        feed_server(&mut server, &up);
        let mut request = [0; 512];
        if !answered && server.reader().read(&mut request).is_ok_and(|n| n > 0) {
            server.writer().write_all(RESPONSE).unwrap();
            answered = true;
        }
        while server.wants_write() {
            server.write_tls(&mut down).unwrap();
        }
        let mut rest = down.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().unwrap();
        }
        if up.is_empty() && down.is_empty() {
            break;
        }
        events.extend(record(&mut up, true));
        events.extend(record(&mut down, false));
    }
    assert!(answered);
    for (n, event) in (0..).zip(&mut events) {
        event.time_us = 1_790_000_000_000_000 + n;
        "kms".clone_into(&mut event.node);
    }
    let entries = secrets.0.lock().unwrap().clone();
    (events, entries)
}

fn peers(secrets: &Arc<Secrets>) -> (ClientConnection, ServerConnection) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let names = vec!["kms.mc.example".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.key_log = secrets.clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let name = ServerName::try_from("kms.mc.example").unwrap();
    (
        ClientConnection::new(Arc::new(client), name).unwrap(),
        ServerConnection::new(Arc::new(server)).unwrap(),
    )
}

fn feed_server(server: &mut ServerConnection, mut octets: &[u8]) {
    while !octets.is_empty() {
        server.read_tls(&mut octets).unwrap();
        server.process_new_packets().unwrap();
    }
}

fn record(octets: &mut Vec<u8>, up: bool) -> Option<Event> {
    let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let (client, server) = (Endpoint::at(at(50_000)), Endpoint::at(at(8442)));
    let (from, to) = if up {
        (client, server)
    } else {
        (server, client)
    };
    let octets = std::mem::take(octets);
    let event = Event::sent(&names::HTTP_REQUEST, from, to, octets).over(Transport::Tcp);
    (!event.raw.is_empty()).then_some(event)
}

fn requests(capture: &[u8]) -> Vec<Vec<String>> {
    let tshark = Tshark::of(capture).unwrap().decode_as("tcp.port==8442,tls");
    let filter = "tls && http";
    tshark
        .fields(filter, &["http.request.uri", "http.response.code"])
        .unwrap()
}

#[test]
fn tshark_decrypts_with_the_secrets_inside_the_capture() {
    let (events, secrets) = session();
    let capture = Capture::of(View::Wire, &keylog::tls_lines(&secrets), &events);
    assert_eq!(requests(&capture), [["/keymanagement", ""], ["", "200"]]);
}

#[test]
fn without_the_secrets_nothing_is_readable() {
    let (events, _) = session();
    assert!(requests(&Capture::of(View::Wire, "", &events)).is_empty());
}
