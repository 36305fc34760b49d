//! A certification authority and one server certificate for `localhost`, as PEM files.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use mc_runtime::http::{ClientConfig, ServerConfig, TlsFiles};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// Certificates in a temporary directory.
#[derive(Debug)]
pub struct LabCa {
    dir: TempDir,
}

impl LabCa {
    /// Makes the authority and the server certificate (`localhost`, `127.0.0.1`).
    ///
    /// # Errors
    /// When keys cannot be made or files not be written.
    pub fn new() -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let ca_key = KeyPair::generate()?;
        let mut ca = CertificateParams::new(Vec::new())?;
        // OpenSSL takes a certificate whose subject is its issuer for self-signed.
        ca.distinguished_name
            .push(DnType::CommonName, "mcbox test CA");
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca_certificate = ca.self_signed(&ca_key)?;
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate()?;
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names)?.signed_by(&key, &issuer)?;
        for (name, text) in [
            ("ca.pem", ca_certificate.pem()),
            ("cert.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ] {
            std::fs::write(dir.path().join(name), text)?;
        }
        Ok(Self { dir })
    }

    /// The authority's certificate.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A client's settings that trust only this authority.
    #[must_use]
    pub fn client(&self) -> ClientConfig {
        ClientConfig {
            ca: Some(self.ca()),
            ..ClientConfig::default()
        }
    }

    /// A server's settings on a loopback `port`; 0 picks a free one.
    #[must_use]
    pub fn server(&self, port: u16) -> ServerConfig {
        let files = |name: &str| self.dir.path().join(name);
        let tls = TlsFiles {
            cert: files("cert.pem"),
            key: files("key.pem"),
            keylog: false,
        };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        ServerConfig {
            tls: Some(tls),
            ..ServerConfig::plain(listen)
        }
    }
}

/// A loopback port nobody listens on at the moment of the call, for servers whose own address is
/// part of their configuration.
///
/// # Errors
/// When no port can be had.
pub fn free_port() -> std::io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}
