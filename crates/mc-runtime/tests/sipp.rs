//! The endpoint against a foreign SIP implementation: sipp calls us and is called, over UDP and TCP.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use mc_runtime::CancellationToken;
use mc_runtime::sip::{Incoming, SipConfig, SipEndpoint};
use mc_sip::sdp::{PcmuMedia, Sdp};
use mc_sip::transaction::TransactionConfig;
use mc_sip::{Dialog, Method, NameAddr, Peer, Request, StatusCode, Transport, Uri};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

const CALLS: usize = 20;

async fn endpoint() -> (SipEndpoint, mpsc::Receiver<Incoming>) {
    let config = SipConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..SipConfig::default()
    };
    SipEndpoint::bind(
        &config,
        TransactionConfig::default(),
        Arc::new(()),
        &CancellationToken::new(),
    )
    .await
    .unwrap()
}

fn sipp(scenario: &str, transport: Transport, arguments: &[String]) -> Child {
    let scenario = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/sipp")
        .join(scenario);
    let mode = match transport {
        Transport::Udp => "u1",
        Transport::Tcp => "t1",
    };
    Command::new("sipp")
        .arg("-sf")
        .arg(scenario)
        .args([
            "-t",
            mode,
            "-i",
            "127.0.0.1",
            "-nostdin",
            "-timeout",
            "40s",
            "-timeout_error",
        ])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .expect("sipp is not installed: run `make test`")
}

/// Answers every call like a simple softphone until the channel closes.
async fn answer(server: SipEndpoint, mut incoming: mpsc::Receiver<Incoming>) {
    while let Some(event) = incoming.recv().await {
        let Incoming::Request(request) = event else {
            continue;
        };
        if request.request.method == Method::Invite {
            let offer = Sdp::parse(&request.request.body).unwrap();
            PcmuMedia::from_sdp(&offer).unwrap();
            let answer = PcmuMedia {
                audio: "127.0.0.1:7000".parse().unwrap(),
                telephone_event: None,
            };
            let ok = request
                .response(StatusCode::OK)
                .with(
                    "Contact",
                    server.contact("service", request.from).to_string(),
                )
                .with_body(
                    "application/sdp",
                    answer.to_sdp(1, 1).to_string().into_bytes(),
                );
            request.respond(ok);
        } else {
            request.respond_status(StatusCode::OK);
        }
    }
}

async fn sipp_calls_us(transport: Transport) {
    let (server, incoming) = endpoint().await;
    let target = server.local_address().to_string();
    let task = tokio::spawn(answer(server.clone(), incoming));
    let arguments = [
        target,
        "-m".into(),
        CALLS.to_string(),
        "-r".into(),
        "50".into(),
    ];
    let status = sipp("uac_call.xml", transport, &arguments)
        .wait()
        .await
        .unwrap();
    assert!(status.success(), "sipp reports {status}");
    server.close().await;
    task.await.unwrap();
}

async fn we_call_sipp(transport: Transport) {
    let (client, _incoming) = endpoint().await;
    let port = free_port();
    let arguments = ["-p".into(), port.to_string(), "-m".into(), "1".into()];
    let mut callee = sipp("uas_call.xml", transport, &arguments);
    let to = Peer {
        transport,
        address: SocketAddr::from(([127, 0, 0, 1], port)),
    };
    let (invite, ok, mut dialog) = loop {
        let uri = Uri::of_address(to.address).with_user("service");
        let from = NameAddr::new("sip:a@example.org".parse().unwrap()).with_tag("t1");
        let call_id = mc_sip::token::call_id(&mut mc_runtime::rng());
        let offer = PcmuMedia {
            audio: "127.0.0.1:7000".parse().unwrap(),
            telephone_event: None,
        };
        let invite = Request::new(Method::Invite, uri.clone(), &from, &uri.into(), &call_id, 1)
            .with("Contact", client.contact("a", to).to_string())
            .with_body(
                "application/sdp",
                offer.to_sdp(1, 1).to_string().into_bytes(),
            );
        let mut responses = client.request(invite, to);
        // sipp needs a moment to open its socket; until then the connection is refused.
        match responses.final_response().await {
            Ok(ok) => {
                let dialog = Dialog::uac(&responses.request, &ok).unwrap();
                break (responses, ok, dialog);
            }
            Err(error) => assert!(callee.try_wait().unwrap().is_none(), "sipp ended: {error}"),
        }
    };
    assert_eq!(ok.status, StatusCode::OK);
    assert_eq!(
        PcmuMedia::from_sdp(&Sdp::parse(&ok.body).unwrap())
            .unwrap()
            .audio
            .port(),
        6002
    );
    invite.ack(dialog.ack(1));
    let mut bye = client.request(dialog.request(Method::Bye), to);
    assert_eq!(bye.final_response().await.unwrap().status, StatusCode::OK);
    let status = callee.wait().await.unwrap();
    assert!(status.success(), "sipp reports {status}");
    client.close().await;
}

/// A port that is free for both transports at this moment.
fn free_port() -> u16 {
    for _ in 0..64 {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

#[tokio::test]
async fn sipp_calls_the_endpoint_over_udp() {
    sipp_calls_us(Transport::Udp).await;
}

#[tokio::test]
async fn sipp_calls_the_endpoint_over_tcp() {
    sipp_calls_us(Transport::Tcp).await;
}

#[tokio::test]
async fn the_endpoint_calls_sipp_over_udp() {
    we_call_sipp(Transport::Udp).await;
}

#[tokio::test]
async fn the_endpoint_calls_sipp_over_tcp() {
    we_call_sipp(Transport::Tcp).await;
}
