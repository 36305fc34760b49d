use std::io::Write;

use axum::routing::{get, post};
use tempfile::TempDir;

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
