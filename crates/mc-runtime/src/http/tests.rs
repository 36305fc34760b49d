use std::io::Write;

use axum::routing::{get, post};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::*;

struct Lab {
    dir: TempDir,
}

impl Lab {
    /// A CA and a server certificate for localhost, as PEM files.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ca_key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &issuer)
            .unwrap();
        let lab = Self { dir };
        lab.write("ca.pem", &ca_certificate.pem());
        lab.write("cert.pem", &certificate.pem());
        lab.write("key.pem", &key.serialize_pem());
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::File::create(self.path(name))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn server(&self) -> ServerConfig {
        let tls = TlsFiles {
            cert: self.path("cert.pem"),
            key: self.path("key.pem"),
            keylog: false,
        };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        ServerConfig {
            tls: Some(tls),
            max_body: 16,
            ..ServerConfig::plain(listen)
        }
    }
}

#[tokio::test]
async fn https_round_trip_body_limit_and_stop() {
    let lab = Lab::new();
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route("/echo", post(|body: String| async move { body }));
    let shutdown = CancellationToken::new();
    let server = serve(&lab.server(), router, shutdown.clone())
        .await
        .unwrap();
    let client = client(&ClientConfig {
        ca: Some(lab.path("ca.pem")),
        ..ClientConfig::default()
    })
    .unwrap();
    let base = format!("https://localhost:{}", server.address.port());
    let text = client
        .get(&base)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(text, "hello");
    let too_long = client
        .post(format!("{base}/echo"))
        .body("x".repeat(17))
        .send()
        .await
        .unwrap();
    assert_eq!(too_long.status().as_u16(), 413);
    shutdown.cancel();
    drop(client);
    server.wait().await.unwrap();
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused() {
    let (lab, foreign) = (Lab::new(), Lab::new());
    let shutdown = CancellationToken::new();
    let server = serve(&lab.server(), Router::new(), shutdown.clone())
        .await
        .unwrap();
    let client = client(&ClientConfig {
        ca: Some(foreign.path("ca.pem")),
        ..ClientConfig::default()
    })
    .unwrap();
    let result = client
        .get(format!("https://localhost:{}", server.address.port()))
        .send()
        .await;
    assert!(result.unwrap_err().is_connect());
    shutdown.cancel();
}

#[tokio::test]
async fn a_missing_key_file_is_named() {
    let lab = Lab::new();
    let mut config = lab.server();
    config.tls.as_mut().unwrap().key = lab.path("nokey.pem");
    let error = serve(&config, Router::new(), CancellationToken::new())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("nokey.pem"), "{error}");
}

#[tokio::test]
async fn an_exchange_is_told_under_the_identifier_its_client_gets() {
    let (tracer, mut events) = crate::trace::Tracer::to_channel("kms", 16);
    let trace = HttpTrace {
        tracer: tracer.clone(),
        interface: mc_trace::Interface::CSC_8,
        answer: |_, path, status| match (path, status.as_u16()) {
            ("/keys", 200) => mc_trace::names::KMS_KEYPROV_ISSUED,
            _ => mc_trace::names::KMS_REFUSED,
        },
    };
    let router = Router::new().route("/keys", post(|body: String| async move { body }));
    let config = ServerConfig {
        max_body: 16,
        ..ServerConfig::plain(SocketAddr::from(([127, 0, 0, 1], 0)))
    };
    let shutdown = CancellationToken::new();
    let server = serve(&config, traced(router, trace), shutdown.clone())
        .await
        .unwrap();
    let client = client(&ClientConfig::default()).unwrap();
    let url = format!("http://{}", server.address);
    let mut expected = Vec::new();
    for (path, name) in [("/keys", "kms:keyprov_issued"), ("/other", "kms:refused")] {
        let request = client.post(format!("{url}{path}")).body("code=s3cret");
        // What a client sends as identifier is not taken over.
        let request = request.header(CORRELATION_HEADER, "forged");
        let response = request.send().await.unwrap();
        let id = response.headers()[CORRELATION_HEADER].to_str().unwrap();
        assert_eq!(id.len(), 36, "{id}");
        expected.push(("http:request".to_owned(), id.to_owned()));
        expected.push((name.to_owned(), id.to_owned()));
    }
    let too_long = client.post(format!("{url}/keys")).body(vec![b'x'; 500_000]);
    let too_long = too_long.send().await.unwrap();
    assert_eq!(too_long.status().as_u16(), 413);
    assert!(too_long.headers().contains_key(CORRELATION_HEADER));
    tracer.flush().await;
    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        let raw = String::from_utf8_lossy(&event.raw);
        assert!(!raw.contains("s3cret"), "{raw}");
        told.push((event.name, event.correlation_id.unwrap()));
    }
    assert_eq!(told, expected);
    shutdown.cancel();
}

fn bounds(places: usize) -> Bounds {
    Bounds {
        places: Places::new(places),
        head: Duration::from_secs(1),
    }
}

/// Begins with `octets`, then sends `then` every 200 ms; how long until it is closed,
/// and what was answered.
async fn slow_peer(address: SocketAddr, octets: &[u8], then: u8) -> (Duration, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(octets).await.unwrap();
    let (begun, mut answer) = (Instant::now(), Vec::new());
    loop {
        tokio::select! {
            read = stream.read_buf(&mut answer) => if read.unwrap_or(0) == 0 { break },
            () = tokio::time::sleep(Duration::from_millis(200)) => {
                if stream.write_all(&[then]).await.is_err() {
                    break;
                }
            }
        }
    }
    (
        begun.elapsed(),
        String::from_utf8_lossy(&answer).into_owned(),
    )
}

#[tokio::test]
async fn a_peer_that_sends_slowly_is_cut_off() {
    let router = Router::new().route("/echo", post(|body: String| async move { body }));
    let shutdown = CancellationToken::new();
    let config = ServerConfig {
        request_timeout_s: 1,
        ..ServerConfig::plain(SocketAddr::from(([127, 0, 0, 1], 0)))
    };
    let server = serve_within(bounds(512), &config, router, shutdown.clone());
    let server = server.await.unwrap();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let body = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9000\r\n\r\n";
    let slow: [(&str, &[u8], u8); 5] = [
        ("nothing that tells the version", b"P", b'R'),
        ("a head", b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b'x'),
        ("frames", preface, 0),
        ("a body", body, b'x'),
        (
            "a second head",
            b"GET / HTTP/1.1\r\nHost: h\r\n\r\nGET ",
            b'/',
        ),
    ];
    for (what, octets, then) in slow {
        let (took, answer) = slow_peer(server.address, octets, then).await;
        assert!(took <= Duration::from_secs(9), "{what}: {took:?}");
        assert_eq!(
            what == "a body",
            answer.starts_with("HTTP/1.1 408 "),
            "{what}: {answer}"
        );
    }
    shutdown.cancel();
}

#[tokio::test]
async fn a_server_full_of_slow_peers_serves_the_next_one() {
    let body = b"POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n".as_slice();
    let handshake = b"\x16\x03\x01\x02\x00\x01".as_slice();
    for (tls, begun) in [(false, body), (true, handshake)] {
        let lab = Lab::new();
        let mut config = lab.server();
        config.tls = config.tls.filter(|_| tls);
        let router = Router::new()
            .route("/", get(|| async { "hello" }))
            .route("/echo", post(|body: String| async move { body }));
        let shutdown = CancellationToken::new();
        let server = serve_within(bounds(4), &config, router, shutdown.clone());
        let server = server.await.unwrap();
        let mut slow = Vec::new();
        for _ in 0..8 {
            let mut stream = TcpStream::connect(server.address).await.unwrap();
            stream.write_all(begun).await.unwrap();
            slow.push(stream);
        }
        let client = client(&ClientConfig {
            ca: Some(lab.path("ca.pem")),
            ..ClientConfig::default()
        })
        .unwrap();
        let scheme = if tls { "https" } else { "http" };
        let url = format!("{scheme}://localhost:{}", server.address.port());
        let text = client.get(&url).send().await.unwrap().text().await.unwrap();
        assert_eq!(text, "hello");
        assert_eq!(slow[0].read(&mut [0; 1]).await.unwrap_or(0), 0);
        shutdown.cancel();
    }
}
