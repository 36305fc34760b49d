//! Two endpoints on the loopback, and raw sockets for what no endpoint would send.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use mc_sip::transaction::TransactionConfig;
use mc_sip::{Dialog, Method, NameAddr, Peer, Request, StatusCode, Transport, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Incoming, IncomingRequest, RequestError, SipConfig, SipEndpoint, SipTrace, WireMessage,
};

fn config() -> SipConfig {
    SipConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..SipConfig::default()
    }
}

async fn endpoint() -> (SipEndpoint, mpsc::Receiver<Incoming>) {
    endpoint_with(config()).await
}

async fn endpoint_with(config: SipConfig) -> (SipEndpoint, mpsc::Receiver<Incoming>) {
    let shutdown = CancellationToken::new();
    SipEndpoint::bind(
        &config,
        TransactionConfig::default(),
        Arc::new(()),
        &shutdown,
    )
    .await
    .unwrap()
}

fn request(method: Method) -> Request {
    let uri: Uri = "sip:b@example.org".parse().unwrap();
    let from = NameAddr::new("sip:a@example.org".parse().unwrap()).with_tag("t");
    let call_id = mc_sip::token::call_id(&mut crate::rng());
    Request::new(method, uri.clone(), &from, &uri.into(), &call_id, 1)
}

async fn next_request(incoming: &mut mpsc::Receiver<Incoming>) -> IncomingRequest {
    match incoming.recv().await {
        Some(Incoming::Request(request)) => request,
        other => panic!("expected a request, got {other:?}"),
    }
}

#[tokio::test]
async fn a_request_is_answered_over_udp_and_tcp() {
    let (client, _client_in) = endpoint().await;
    let (server, mut incoming) = endpoint().await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let to = Peer {
            transport,
            address: server.local_address(),
        };
        let body = vec![b'x'; 20_000];
        let mut responses = client.request(
            request(Method::Message).with_body("text/plain", body.clone()),
            to,
        );
        let received = next_request(&mut incoming).await;
        assert_eq!(received.request.body, body);
        assert_eq!(received.from.transport, transport);
        received.respond_status(StatusCode::OK);
        assert_eq!(
            responses.final_response().await.unwrap().status,
            StatusCode::OK
        );
        assert!(responses.next().await.is_none());
    }
    client.close().await;
    server.close().await;
}

#[tokio::test]
async fn a_call_is_set_up_over_one_connection_and_released_by_the_callee() {
    let (client, mut client_in) = endpoint().await;
    let (server, mut incoming) = endpoint().await;
    let to = Peer::tcp(server.local_address());
    let contact = client.contact("a", to).to_string();
    let mut responses = client.request(request(Method::Invite).with("Contact", contact), to);
    let invite = next_request(&mut incoming).await;
    let ok = invite
        .response(StatusCode::OK)
        .with("Contact", server.contact("b", invite.from).to_string());
    let mut callee = Dialog::uas(&invite.request, &invite.to_tag).unwrap();
    invite.respond(ok);
    let ok = responses.final_response().await.unwrap();
    let mut caller = Dialog::uac(&responses.request, &ok).unwrap();
    responses.ack(caller.ack(1));
    match incoming.recv().await {
        Some(Incoming::Ack {
            transaction,
            request,
        }) => {
            assert_eq!(transaction, invite.transaction);
            callee.on_request(&request).unwrap();
        }
        other => panic!("expected the ACK, got {other:?}"),
    }
    // The BYE goes back over the connection the INVITE came in on.
    let mut bye = server.request(callee.request(Method::Bye), invite.from);
    let received = next_request(&mut client_in).await;
    assert_eq!(received.from, to);
    caller.on_request(&received.request).unwrap();
    received.respond_status(StatusCode::OK);
    assert_eq!(bye.final_response().await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn a_cancelled_invite_ends_with_487() {
    let (client, _client_in) = endpoint().await;
    let (server, mut incoming) = endpoint().await;
    let mut responses = client.request(request(Method::Invite), Peer::udp(server.local_address()));
    let invite = next_request(&mut incoming).await;
    responses.cancel();
    match incoming.recv().await {
        Some(Incoming::Cancelled { transaction }) => assert_eq!(transaction, invite.transaction),
        other => panic!("expected the CANCEL, got {other:?}"),
    }
    invite.respond_status(StatusCode::REQUEST_TERMINATED);
    assert_eq!(
        responses.final_response().await.unwrap().status,
        StatusCode::REQUEST_TERMINATED
    );
}

#[tokio::test]
async fn a_request_nobody_answers_gets_500_and_a_dead_peer_503() {
    let (client, _client_in) = endpoint().await;
    let (server, mut incoming) = endpoint().await;
    let to = Peer::tcp(server.local_address());
    let mut responses = client.request(request(Method::Options), to);
    drop(next_request(&mut incoming).await);
    assert_eq!(
        responses.final_response().await.unwrap().status,
        StatusCode::SERVER_INTERNAL_ERROR
    );
    server.close().await;
    let mut responses = client.request(request(Method::Options), Peer::tcp(server.local_address()));
    // Either the old connection is still known, or dialling fails at once.
    let error = tokio::time::timeout(Duration::from_secs(40), responses.final_response()).await;
    assert!(matches!(
        error,
        Ok(Err(RequestError::Unreachable | RequestError::TimedOut))
    ));
}

#[tokio::test]
async fn closing_ends_every_task_and_every_wait() {
    let (client, mut incoming) = endpoint().await;
    let (server, _server_in) = endpoint().await;
    let mut responses = client.request(request(Method::Options), Peer::udp(server.local_address()));
    client.close().await;
    assert_eq!(responses.final_response().await, Err(RequestError::Stopped));
    assert!(incoming.recv().await.is_none());
    assert!(TcpStream::connect(client.local_address()).await.is_err());
}

/// What the endpoint sends back to raw octets over a stream until it closes or a second passes.
async fn raw_tcp(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

fn raw(start: &str, extra: &str) -> Vec<u8> {
    format!(
        "{start} sip:b@example.org SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKr\r\n\
From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: r\r\nCSeq: 1 {start}\r\n{extra}\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_and_the_endpoint_lives_on() {
    let (server, mut incoming) = endpoint().await;
    let address = server.local_address();
    assert!(
        raw_tcp(address, &raw("DANCE", "Content-Length: 0\r\n"))
            .await
            .starts_with("SIP/2.0 501 ")
    );
    assert!(
        raw_tcp(address, &raw("MESSAGE", ""))
            .await
            .starts_with("SIP/2.0 400 ")
    );
    assert!(
        raw_tcp(address, &raw("MESSAGE", "Content-Length: 70000\r\n"))
            .await
            .starts_with("SIP/2.0 513 ")
    );
    let flood = "X: y\r\n".repeat(300);
    let flood = raw("MESSAGE", &format!("Content-Length: 0\r\n{flood}"));
    assert!(raw_tcp(address, &flood).await.starts_with("SIP/2.0 400 "));
    assert_eq!(raw_tcp(address, b"\r\n\r\n").await, "\r\n");

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut bytes = raw("MESSAGE", "");
    bytes.splice(30..30, [0xc3, 0x28]);
    socket.send_to(&bytes, address).await.unwrap();
    let mut answer = vec![0; 4096];
    let (length, _) = socket.recv_from(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"SIP/2.0 400 "));
    assert!(
        incoming.try_recv().is_err(),
        "nothing of this reaches the application"
    );

    socket.send_to(&raw("OPTIONS", ""), address).await.unwrap();
    next_request(&mut incoming)
        .await
        .respond_status(StatusCode::OK);
    let (length, _) = socket.recv_from(&mut answer).await.unwrap();
    assert!(answer[..length].starts_with(b"SIP/2.0 200 "));
}

#[tokio::test]
async fn connections_above_the_limit_are_closed() {
    let (server, _incoming) = endpoint_with(SipConfig {
        max_connections: 1,
        ..config()
    })
    .await;
    let mut first = TcpStream::connect(server.local_address()).await.unwrap();
    let whole = raw("MESSAGE", "Max-Forwards: x\r\nContent-Length: 0\r\n");
    first.write_all(&whole).await.unwrap();
    assert_ne!(first.read(&mut [0; 1024]).await.unwrap(), 0);
    let mut pong = [0; 2];
    let mut second = TcpStream::connect(server.local_address()).await.unwrap();
    assert_eq!(second.read(&mut pong).await.unwrap_or(0), 0);
    first.write_all(b"\r\n\r\n").await.unwrap();
    first.read_exact(&mut pong).await.unwrap();
}

/// Sends the octets one every 200 ms, then nothing; how long it takes until the peer closes.
async fn until_closed(stream: &mut TcpStream, octets: &[u8]) -> Duration {
    let begun = Instant::now();
    let mut byte = [0; 1];
    for octet in octets {
        if stream.write_all(&[*octet]).await.is_err() {
            break;
        }
        tokio::select! {
            _ = stream.read(&mut byte) => return begun.elapsed(),
            () = tokio::time::sleep(Duration::from_millis(200)) => {}
        }
    }
    let _ = stream.read(&mut byte).await;
    begun.elapsed()
}

#[tokio::test]
async fn a_message_that_trickles_in_ends_its_connection() {
    let config = SipConfig {
        message_timeout_s: 1,
        ..config()
    };
    let (server, mut incoming) = endpoint_with(config).await;
    let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
    // A whole message first: who behaved once has the limit too.
    let whole = raw("OPTIONS", "Content-Length: 0\r\n");
    stream.write_all(&whole).await.unwrap();
    next_request(&mut incoming)
        .await
        .respond_status(StatusCode::OK);
    let mut answer = [0; 1024];
    assert_ne!(stream.read(&mut answer).await.unwrap(), 0);
    let took = until_closed(&mut stream, &whole).await;
    assert!(took >= Duration::from_secs(1), "{took:?}");
    // Its octets alone would take half a minute.
    assert!(took <= Duration::from_secs(10), "{took:?}");
    assert!(incoming.try_recv().is_err());
}

#[tokio::test]
async fn a_silent_connection_and_one_that_pings_outlive_the_limit_of_a_message() {
    let config = SipConfig {
        idle_timeout_s: 3,
        message_timeout_s: 1,
        ..config()
    };
    let (server, _incoming) = endpoint_with(config).await;
    let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
    stream.write_all(b"\r\n\r\n").await.unwrap();
    let mut pong = [0; 2];
    stream.read_exact(&mut pong).await.unwrap();
    // The pong of a peer (RFC 5626 4.4.1) begins no message either.
    let took = until_closed(&mut stream, b"\r\n").await;
    assert!(took >= Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn who_never_completed_a_message_gives_way_when_all_places_are_taken() {
    let (server, mut incoming) = endpoint_with(SipConfig {
        max_connections: 4,
        ..config()
    })
    .await;
    let (client, _client_in) = endpoint().await;
    let to = Peer::tcp(server.local_address());
    let mut responses = client.request(request(Method::Options), to);
    let first = next_request(&mut incoming).await;
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut stream = TcpStream::connect(server.local_address()).await.unwrap();
        stream.write_all(b"OPTIONS sip:").await.unwrap();
        slow.push(stream);
    }
    // The oldest of them are closed, and a new client is served all the same.
    assert_eq!(slow[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
    let (late, _late_in) = endpoint().await;
    let mut answered = late.request(request(Method::Options), to);
    next_request(&mut incoming)
        .await
        .respond_status(StatusCode::OK);
    assert_eq!(
        answered.final_response().await.unwrap().status,
        StatusCode::OK
    );
    first.respond_status(StatusCode::OK);
    assert_eq!(
        responses.final_response().await.unwrap().status,
        StatusCode::OK
    );
    assert!(client.is_connected(to) && late.is_connected(to));
}

#[tokio::test]
async fn a_connection_that_the_peer_ended_is_known_to_be_gone() {
    let (client, _client_in) = endpoint().await;
    let (server, mut incoming) = endpoint().await;
    let peer = Peer::tcp(server.local_address());
    assert!(!client.is_connected(peer));
    let mut responses = client.request(request(Method::Options), peer);
    next_request(&mut incoming)
        .await
        .respond_status(StatusCode::OK);
    responses.final_response().await.unwrap();
    assert!(client.is_connected(peer));
    server.close().await;
    let gone = async {
        while client.is_connected(peer) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
    assert!(client.is_connected(Peer::udp(server.local_address())));
}

#[derive(Default)]
struct Seen(Mutex<Vec<(bool, Vec<u8>)>>);

impl SipTrace for Seen {
    fn message(&self, message: WireMessage<'_>) {
        self.0
            .lock()
            .unwrap()
            .push((message.sent, message.raw.to_vec()));
    }
}

#[tokio::test]
async fn the_trace_sees_the_octets_on_the_wire() {
    let seen = Arc::new(Seen::default());
    let shutdown = CancellationToken::new();
    let (client, _client_in) = SipEndpoint::bind(
        &config(),
        TransactionConfig::default(),
        seen.clone(),
        &shutdown,
    )
    .await
    .unwrap();
    let (server, mut incoming) = endpoint().await;
    let mut responses = client.request(request(Method::Options), Peer::udp(server.local_address()));
    next_request(&mut incoming)
        .await
        .respond_status(StatusCode::OK);
    responses.final_response().await.unwrap();
    let seen = seen.0.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0], (true, responses.request.to_bytes()));
    assert!(!seen[1].0 && seen[1].1.starts_with(b"SIP/2.0 200 OK\r\n"));
}
