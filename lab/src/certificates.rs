//! The lab's certificate authority and the one server certificate its services share.

use crate::state::{StateDir, StateError};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use std::path::PathBuf;
use time::{Duration, OffsetDateTime};

/// How long a lab's certificates last.
const LIFETIME: Duration = Duration::days(365);

/// Why certificates could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The certificate library refused.
    #[error("making the lab's certificates: {0}")]
    Make(#[from] rcgen::Error),
    /// A file could not be written.
    #[error(transparent)]
    State(#[from] StateError),
}

/// The PEM files of a lab.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// Certificate of the lab's authority: what clients trust.
    pub ca: PathBuf,
    /// Server certificate for loopback and the names given.
    pub server: PathBuf,
    /// Private key of the server certificate.
    pub server_key: PathBuf,
}

impl Certificates {
    /// Finds the lab's certificates or makes them; `names` are host names and addresses besides
    /// `localhost` and `127.0.0.1`.
    ///
    /// # Errors
    /// When a name is no host name, or a file cannot be written.
    pub fn ensure(state: &StateDir, names: &[&str]) -> Result<Self, CertificateError> {
        let file = |name| state.file("certificates", name);
        let files = Self {
            ca: file("ca.pem"),
            server: file("server.pem"),
            server_key: file("server.key"),
        };
        if [&files.ca, &files.server, &files.server_key]
            .iter()
            .any(|f| !f.exists())
        {
            files.make(state, names)?;
        }
        Ok(files)
    }

    fn make(&self, state: &StateDir, names: &[&str]) -> Result<(), CertificateError> {
        let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut ca = parameters("mcbox lab CA", &[])?;
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca_certificate = ca.self_signed(&ca_key)?;
        let names = [&["localhost", "127.0.0.1"], names].concat();
        let mut server = parameters("mcbox lab", &names)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let issuer = Issuer::from_params(&ca, &ca_key);
        let server_certificate = server.signed_by(&key, &issuer)?;
        state.write(&self.ca, ca_certificate.pem().as_bytes())?;
        state.write(&self.server, server_certificate.pem().as_bytes())?;
        state.write(&self.server_key, key.serialize_pem().as_bytes())?;
        Ok(())
    }
}

fn parameters(name: &str, names: &[&str]) -> Result<CertificateParams, rcgen::Error> {
    let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, name);
    let now = OffsetDateTime::now_utc();
    parameters.not_before = now - Duration::hours(1);
    parameters.not_after = now + LIFETIME;
    Ok(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// OpenSSL, not our own library, says whether the chain holds.
    #[test]
    fn openssl_verifies_the_chain_for_the_names() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::open(&dir.path().join("lab")).unwrap();
        let files = Certificates::ensure(&state, &["idms"]).unwrap();
        let verify = |option: &str, name: &str| {
            let mut openssl = Command::new("openssl");
            openssl
                .arg("verify")
                .arg("-CAfile")
                .arg(&files.ca)
                .args([option, name]);
            openssl
                .arg(&files.server)
                .output()
                .expect("openssl: run `make test`")
                .status
                .success()
        };
        assert!(verify("-verify_hostname", "localhost"));
        assert!(verify("-verify_hostname", "idms"));
        assert!(verify("-verify_ip", "127.0.0.1"));
        assert!(!verify("-verify_hostname", "kms.elsewhere.example"));
    }
}
