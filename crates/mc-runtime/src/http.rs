//! HTTPS server and client on rustls with the ring provider.

mod cross_site;
mod held;
mod limit;
mod traced;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum_server::Handle;
use axum_server::accept::DefaultAcceptor;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{KeyLogFile, RootCertStore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::timeout::TimeoutLayer;

use self::held::Admitting;
use crate::places::Places;

pub use cross_site::refuse_cross_site;
pub use traced::{AnswerName, CORRELATION_HEADER, CorrelationId, HttpTrace, traced};

/// Why a server or client could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A certificate or key file is unreadable or not PEM.
    #[error("{path}: {detail}")]
    Pem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// Certificate and key do not work together.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The address cannot be listened on.
    #[error("listening on {address}: {source}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The client could not be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
}

/// The HTTP side of a service's configuration.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 picks a free one.
    pub listen: SocketAddr,
    /// Certificate and key; plain HTTP without.
    #[serde(default)]
    pub tls: Option<TlsFiles>,
    /// Largest request body in octets (default 65536).
    #[serde(default = "default_max_body")]
    pub max_body: usize,
    /// Seconds until a request without an answer gets 408 (default 15).
    #[serde(default = "default_timeout_s")]
    pub request_timeout_s: u64,
}

impl ServerConfig {
    /// Defaults for everything but the address; plain HTTP.
    #[must_use]
    pub fn plain(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            max_body: default_max_body(),
            request_timeout_s: default_timeout_s(),
        }
    }
}

/// The PEM files of a TLS server.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// Certificate chain, own certificate first.
    pub cert: PathBuf,
    /// Private key.
    pub key: PathBuf,
    /// Appends TLS secrets to the file named by `SSLKEYLOGFILE` (lab switch, default false).
    #[serde(default)]
    pub keylog: bool,
}

fn default_max_body() -> usize {
    65_536
}

fn default_timeout_s() -> u64 {
    15
}

/// Makes ring the provider of TLS configurations built by foreign code; safe to call repeatedly.
pub fn install_crypto_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // An error means that a provider is already installed.
        let _present = rustls::crypto::ring::default_provider().install_default();
    });
}

/// How long a client may take for a TLS handshake, for its first request's head and for each further
/// one; also how long its connection may be silent between two of them over HTTP/1.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Most connections of one server; the one that waited longest is closed for the next.
const MAX_CONNECTIONS: usize = 512;

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address it listens on, with the real port.
    pub address: SocketAddr,
    task: JoinHandle<std::io::Result<()>>,
}

impl Server {
    /// Waits until the server has stopped.
    ///
    /// # Errors
    /// When the accept loop ended for another reason than the stop.
    pub async fn wait(self) -> std::io::Result<()> {
        self.task.await.map_err(std::io::Error::other)?
    }
}

/// Starts serving `router` and returns once the address is bound.
///
/// The stop lets running requests end for two seconds.
///
/// # Errors
/// See [`HttpError`].
pub async fn serve(
    config: &ServerConfig,
    router: Router,
    shutdown: CancellationToken,
) -> Result<Server, HttpError> {
    let bounds = Bounds {
        places: Places::new(MAX_CONNECTIONS),
        head: HEAD_TIMEOUT,
    };
    serve_within(bounds, config, router, shutdown).await
}

struct Bounds {
    places: Places,
    head: Duration,
}

async fn serve_within(
    Bounds { places, head }: Bounds,
    config: &ServerConfig,
    router: Router,
    shutdown: CancellationToken,
) -> Result<Server, HttpError> {
    let bind = |source| HttpError::Bind {
        address: config.listen,
        source,
    };
    let tls = config.tls.as_ref().map(server_tls).transpose()?;
    let listener = tokio::net::TcpListener::bind(config.listen)
        .await
        .map_err(bind)?;
    let address = listener.local_addr().map_err(bind)?;
    let router = bounded(router, config);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let handle = Handle::new();
    let mut server = axum_server::Server::<SocketAddr>::from_listener(listener)
        .handle(handle.clone())
        .first_request_timeout(head);
    server.http_builder().http1().header_read_timeout(head);
    let task = match tls {
        Some(tls) => {
            let inner = RustlsAcceptor::new(RustlsConfig::from_config(Arc::new(tls)))
                .handshake_timeout(head);
            let acceptor = Admitting { inner, places };
            tokio::spawn(server.acceptor(acceptor).serve(service))
        }
        None => {
            let inner = DefaultAcceptor::new();
            let acceptor = Admitting { inner, places };
            tokio::spawn(server.acceptor(acceptor).serve(service))
        }
    };
    tokio::spawn(async move {
        shutdown.cancelled().await;
        handle.graceful_shutdown(Some(Duration::from_secs(2)));
    });
    Ok(Server { address, task })
}

fn bounded(router: Router, config: &ServerConfig) -> Router {
    let timeout = Duration::from_secs(config.request_timeout_s);
    router
        .layer(DefaultBodyLimit::disable())
        .layer(RequestBodyLimitLayer::new(config.max_body))
        .layer(from_fn_with_state(config.max_body, limit::announced))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            timeout,
        ))
        .layer(from_fn(traced::identified))
}

fn server_tls(files: &TlsFiles) -> Result<rustls::ServerConfig, HttpError> {
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| pem(&files.key, &e))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(certificates(&files.cert)?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    if files.keylog {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(config)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<_, _>>)
        .map_err(|e| pem(path, &e))?;
    if certificates.is_empty() {
        return Err(HttpError::Pem {
            path: path.to_owned(),
            detail: "no certificate".to_owned(),
        });
    }
    Ok(certificates)
}

fn pem(path: &Path, error: &rustls::pki_types::pem::Error) -> HttpError {
    HttpError::Pem {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

/// How a service calls others by HTTPS.
#[derive(Debug, Clone, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientConfig {
    /// PEM file of the only CA to trust; without it the public web's CAs.
    pub ca: Option<PathBuf>,
    /// Appends TLS secrets to the file named by `SSLKEYLOGFILE` (lab switch, default false).
    pub keylog: bool,
    /// Seconds until a call is given up (default 10).
    pub timeout_s: u64,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            ca: None,
            keylog: false,
            timeout_s: 10,
        }
    }
}

/// Shorter than any server here waits for the next request of a connection, so that no request is
/// sent into a connection that is just being closed.
const CLIENT_IDLE: Duration = Duration::from_secs(5);

/// Builds an HTTPS client; redirects are not followed, because tokens must not travel along.
///
/// # Errors
/// See [`HttpError`].
pub fn client(config: &ClientConfig) -> Result<reqwest::Client, HttpError> {
    Ok(client_builder(config)?.build()?)
}

/// As [`client`], for callers that add cookies or other settings.
///
/// # Errors
/// See [`HttpError`].
pub fn client_builder(config: &ClientConfig) -> Result<reqwest::ClientBuilder, HttpError> {
    install_crypto_provider();
    let timeout = Duration::from_secs(config.timeout_s);
    let builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout)
        .pool_idle_timeout(CLIENT_IDLE)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    let Some(ca) = &config.ca else {
        return Ok(builder);
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    if config.keylog {
        tls.key_log = Arc::new(KeyLogFile::new());
    }
    Ok(builder.use_preconfigured_tls(tls))
}

#[cfg(test)]
mod tests;
