//! The operators of a lab's domains: the exchange of KMS certificates and token keys, and the
//! revocation of users, at the services' own resources with their operators' tokens.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use kms_protocol::{KmsCertificate, fingerprint};
use mc_runtime::http;
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};

use crate::state::StateDir;
use crate::supervisor::Lab;
use crate::topology::{Addresses, Domain};

/// What one domain gives to another so that they trust each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The `KmsCertificate` document of its KMS.
    pub certificate: Vec<u8>,
    /// The JWK set of its identity management server.
    pub token_keys: Vec<u8>,
}

impl Exported {
    /// SHA-256 of both documents, certificate first, as `sha256sum` prints it.
    #[must_use]
    pub fn fingerprints(&self) -> [String; 2] {
        [&self.certificate, &self.token_keys].map(|document| fingerprint(document))
    }

    /// The certificate, read.
    ///
    /// # Errors
    /// When it is none.
    pub fn read_certificate(&self) -> anyhow::Result<KmsCertificate> {
        KmsCertificate::parse(&self.certificate).context("not a KMS certificate")
    }
}

/// A partner domain as a KMS has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// Identifier of its KMS.
    pub kms_uri: String,
    /// The domains it may speak for.
    pub domains: Vec<String>,
    /// Whether end-to-end protection ends there.
    pub is_security_gateway: bool,
    /// Whether it is no longer trusted.
    pub revoked: bool,
    /// End of its certificate.
    pub valid_to: Option<String>,
    /// SHA-256 of the document that was imported.
    pub fingerprint: String,
}

/// An operator at the services of a running lab.
#[derive(Debug, Clone)]
pub struct Operator {
    client: reqwest::Client,
    state: StateDir,
    addresses: Addresses,
}

impl Operator {
    /// The operator of a lab.
    ///
    /// # Errors
    /// When the lab's authority cannot be read.
    pub fn of(lab: &Lab) -> anyhow::Result<Self> {
        Self::new(lab.state().clone(), lab.addresses().clone())
    }

    /// The operator of the lab that runs from a state directory.
    ///
    /// # Errors
    /// When none runs there.
    pub fn at(root: &Path) -> anyhow::Result<Self> {
        let (state, record) = StateDir::running(root)?;
        Self::new(state, record.addresses)
    }

    fn new(state: StateDir, addresses: Addresses) -> anyhow::Result<Self> {
        let ca = Some(state.file("certificates", "ca.pem"));
        let client = http::ClientConfig {
            ca,
            ..http::ClientConfig::default()
        };
        Ok(Self {
            client: http::client(&client)?,
            state,
            addresses,
        })
    }

    /// What a domain gives to its partners.
    ///
    /// # Errors
    /// When one of its services does not answer.
    pub async fn export(&self, domain: Domain) -> anyhow::Result<Exported> {
        let certificate = self.at_kms(domain, Method::GET, "certificate")?;
        let url = format!(
            "https://{}/idms/jwks.json",
            self.addresses.of(domain.idms())
        );
        Ok(Exported {
            certificate: body(certificate).await?,
            token_keys: body(self.client.get(url)).await?,
        })
    }

    /// Lets a domain trust what another one exported, for `domains` or for those the certificate
    /// lists. Whoever calls this has compared the fingerprints.
    ///
    /// # Errors
    /// What the KMS says against it; nothing changed then.
    pub async fn import(
        &self,
        domain: Domain,
        exported: &Exported,
        domains: &[String],
    ) -> anyhow::Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Imported {
            domains: Vec<String>,
        }
        let [print, _] = exported.fingerprints();
        let query = [("fingerprint", print), ("domains", domains.join(","))];
        let request = self.at_kms(domain, Method::POST, "partners")?.query(&query);
        let answer = body(request.body(exported.certificate.clone())).await?;
        let imported: Imported = serde_json::from_slice(&answer)?;
        for partner in &imported.domains {
            let file = self.token_keys_file(domain, partner)?;
            self.state.write(&file, &exported.token_keys)?;
        }
        Ok(imported.domains)
    }

    /// Lets two domains trust each other.
    ///
    /// # Errors
    /// As [`Self::export`] and [`Self::import`].
    pub async fn introduce(&self, one: Domain, other: Domain) -> anyhow::Result<()> {
        for (of, at) in [(one, other), (other, one)] {
            let exported = self.export(of).await?;
            self.import(at, &exported, &[]).await?;
        }
        Ok(())
    }

    /// Lets two domains trust each other unless that was done or undone before: what an operator has
    /// revoked stays revoked, and what he has narrowed stays narrow.
    ///
    /// # Errors
    /// As [`Self::introduce`].
    pub async fn introduce_once(&self, one: Domain, other: Domain) -> anyhow::Result<()> {
        for (of, at) in [(one, other), (other, one)] {
            let partners = self.partners(at).await?;
            if partners.iter().any(|p| p.kms_uri == of.kms_uri()) {
                continue;
            }
            let exported = self.export(of).await?;
            self.import(at, &exported, &[]).await?;
        }
        Ok(())
    }

    /// The partner domains of a domain.
    ///
    /// # Errors
    /// When its KMS does not answer.
    pub async fn partners(&self, domain: Domain) -> anyhow::Result<Vec<Partner>> {
        let request = self.at_kms(domain, Method::GET, "partners")?;
        Ok(serde_json::from_slice(&body(request).await?)?)
    }

    /// Ends a domain's trust in a partner.
    ///
    /// # Errors
    /// When there is no such partner.
    pub async fn revoke(&self, domain: Domain, kms_uri: &str) -> anyhow::Result<()> {
        let partners = self.partners(domain).await?;
        let partner = partners.into_iter().find(|p| p.kms_uri == kms_uri);
        let partner = partner.with_context(|| format!("{kms_uri} is no partner"))?;
        // Tokens first: they are what gives access here.
        for name in &partner.domains {
            match std::fs::remove_file(self.token_keys_file(domain, name)?) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        let path = format!("partners/{kms_uri}");
        body(self.at_kms(domain, Method::DELETE, &path)?).await?;
        Ok(())
    }

    /// Takes the keys and tokens of one user out of use in its domain.
    ///
    /// # Errors
    /// What a service says against it.
    pub async fn revoke_user(&self, domain: Domain, identity: &str) -> anyhow::Result<()> {
        self.revoke_keys(domain, identity).await?;
        self.revoke_tokens(domain, identity).await
    }

    /// Takes the keys of one user out of use.
    ///
    /// # Errors
    /// What the KMS says against it.
    pub async fn revoke_keys(&self, domain: Domain, identity: &str) -> anyhow::Result<()> {
        let path = format!("users/{identity}/revocation");
        body(self.at_kms(domain, Method::PUT, &path)?).await?;
        Ok(())
    }

    /// Takes the tokens of one user out of use.
    ///
    /// # Errors
    /// What the identity management server says against it.
    pub async fn revoke_tokens(&self, domain: Domain, identity: &str) -> anyhow::Result<()> {
        let path = format!("revocations/{identity}");
        body(self.at_idms(domain, Method::PUT, &path)?).await?;
        Ok(())
    }

    /// Takes a revocation back.
    ///
    /// # Errors
    /// What a service says against it.
    pub async fn reinstate_user(&self, domain: Domain, identity: &str) -> anyhow::Result<()> {
        let path = format!("revocations/{identity}");
        body(self.at_idms(domain, Method::DELETE, &path)?).await?;
        let path = format!("users/{identity}/revocation");
        body(self.at_kms(domain, Method::DELETE, &path)?).await?;
        Ok(())
    }

    fn at_kms(&self, domain: Domain, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        self.request(domain, "kms", method, path)
    }

    fn at_idms(
        &self,
        domain: Domain,
        method: Method,
        path: &str,
    ) -> anyhow::Result<RequestBuilder> {
        self.request(domain, "idms", method, path)
    }

    fn request(
        &self,
        domain: Domain,
        binary: &str,
        method: Method,
        path: &str,
    ) -> anyhow::Result<RequestBuilder> {
        let mut services = domain.services().iter();
        let service = services.find(|service| service.binary == binary);
        let service = service.with_context(|| format!("{} has no {binary}", domain.name()))?;
        let file = format!("{}-operator-token", service.name);
        let file = self.state.file("secrets", &file);
        let token = std::fs::read_to_string(&file).with_context(|| {
            let (file, name) = (file.display(), service.name);
            format!("{file}: the operator token of {name}, which is not running")
        })?;
        let url = format!("https://{}/admin/{path}", self.addresses.of(service.health));
        Ok(self.client.request(method, url).bearer_auth(token))
    }

    /// Where a domain's identity management server looks for a partner's keys.
    fn token_keys_file(&self, domain: Domain, partner: &str) -> anyhow::Result<PathBuf> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        if partner.is_empty() || partner.starts_with('.') || !partner.chars().all(plain) {
            bail!("{partner:?} is no domain name");
        }
        let dir = self.state.file("trust", domain.name());
        std::fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
        Ok(dir.join(format!("{partner}.jwks.json")))
    }
}

async fn body(request: RequestBuilder) -> anyhow::Result<Vec<u8>> {
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    let body = response.bytes().await?.to_vec();
    if status.is_success() {
        return Ok(body);
    }
    bail!("refused with {status}: {}", String::from_utf8_lossy(&body))
}
