//! Requests to the KMS.

use std::time::Duration;

use kms_protocol::{
    CertCache, KmsCertificate, KmsMessage, KmsRequest, KmsResponse, MEDIA_TYPE, Resource,
    TransportKey,
};
use mc_runtime::clock::SharedClock;
use mc_runtime::trace::Tracer;
use mc_trace::{Direction, Endpoint, Event, Interface, names};
use mikey::{Domains, UserKeys};
use mikey_sakke::{eccsi, sakke};
use time::OffsetDateTime;

use super::{KeyRing, KeysError, KmsConfig};

/// The largest answer that is read, in octets.
const MAX_BODY: usize = 1024 * 1024;

/// A client of one KMS; cheap to clone.
#[derive(Debug, Clone)]
pub struct KmsClient {
    config: KmsConfig,
    http: reqwest::Client,
    clock: SharedClock,
    tracer: Tracer,
    node: String,
    trks: Vec<TransportKey>,
}

impl KmsClient {
    /// A client that traces as `node`.
    #[must_use]
    pub fn new(
        config: KmsConfig,
        http: reqwest::Client,
        clock: SharedClock,
        tracer: Tracer,
        node: &str,
    ) -> Self {
        Self {
            config,
            http,
            clock,
            tracer,
            node: node.to_owned(),
            trks: Vec::new(),
        }
    }

    /// Transport keys loaded out of band (5.3.3).
    #[must_use]
    pub fn with_transport_keys(mut self, trks: Vec<TransportKey>) -> Self {
        self.trks = trks;
        self
    }

    /// Initialize, `KeyProvision` and `CertCache`: everything a client needs to start.
    ///
    /// # Errors
    /// See [`KeysError`].
    //= TS 33.180 5.3.3
    pub async fn fetch(&self, token: &str, user: &str) -> Result<KeyRing, KeysError> {
        let root = self.init(token, user).await?;
        let keys = self.key_provision(token, user, &root).await?;
        let (cache_num, partners) = self.cert_cache(token, user, None).await?;
        let ring = KeyRing::new(root, partners, cache_num, keys);
        match ring.current(user, self.clock.ntp()) {
            Some(_) => Ok(ring),
            None => Err(KeysError::NoCurrentKeys(user.to_owned())),
        }
    }

    /// The root certificate.
    ///
    /// # Errors
    /// See [`KeysError`].
    //= TS 33.180 D.2.3
    pub async fn init(&self, token: &str, user: &str) -> Result<mikey::KmsCertificate, KeysError> {
        let resource = Resource::Init;
        match self.ask(token, user, &resource).await? {
            KmsMessage::Init(init) => {
                if init.certificate.kms_uri != self.config.kms_uri {
                    return Err(self.mismatch(&resource, "has the certificate of another KMS"));
                }
                usable(&init.certificate, Whose::Own, self.now())
            }
            KmsMessage::KeyProv(_) | KmsMessage::CertCache(_) => {
                Err(self.mismatch(&resource, "is no KmsInit"))
            }
        }
    }

    /// All key sets of the user, validated against `root`.
    ///
    /// # Errors
    /// See [`KeysError`]; one key set that does not validate fails all.
    //= TS 33.180 D.2.4
    pub async fn key_provision(
        &self,
        token: &str,
        user: &str,
        root: &mikey::KmsCertificate,
    ) -> Result<Vec<UserKeys>, KeysError> {
        self.provision(token, user, None, root).await
    }

    /// The key sets of one identity that the user may have keys for: of a gateway, a user behind
    /// it, whose keys the KMS makes when they are asked for.
    ///
    /// # Errors
    /// See [`KeysError`].
    //= TS 33.180 D.2.4
    pub async fn key_provision_of(
        &self,
        token: &str,
        user: &str,
        identity: &str,
        root: &mikey::KmsCertificate,
    ) -> Result<Vec<UserKeys>, KeysError> {
        self.provision(token, user, Some(identity.to_owned()), root)
            .await
    }

    async fn provision(
        &self,
        token: &str,
        user: &str,
        identity: Option<String>,
        root: &mikey::KmsCertificate,
    ) -> Result<Vec<UserKeys>, KeysError> {
        let about = identity.clone().unwrap_or_else(|| user.to_owned());
        let resource = Resource::KeyProv {
            user: identity,
            time: None,
        };
        let KmsMessage::KeyProv(prov) = self.ask(token, user, &resource).await? else {
            return Err(self.mismatch(&resource, "is no KmsKeyProv"));
        };
        let (root, trks) = (root.clone(), self.trks.clone());
        // A pairing a key set: not on an async worker.
        let validate = move || {
            prov.key_sets
                .iter()
                .map(|set| validated(set, &root, &trks))
                .collect()
        };
        let keys: Result<Vec<UserKeys>, KeysError> = tokio::task::spawn_blocking(validate)
            .await
            .unwrap_or_else(|error| {
                Err(self.mismatch(&resource, &format!("could not be validated: {error}")))
            });
        let name = if keys.is_ok() {
            &names::KEYS_VALIDATED
        } else {
            &names::KEYS_REJECTED
        };
        self.tracer
            .emit(Event::local(name, format!("key sets of {about}")));
        keys
    }

    /// Certificates of other domains and the version of the set; those that cannot be used are
    /// left out.
    ///
    /// # Errors
    /// See [`KeysError`].
    //= TS 33.180 D.2.5
    pub async fn cert_cache(
        &self,
        token: &str,
        user: &str,
        held: Option<u64>,
    ) -> Result<(Option<u64>, Vec<mikey::KmsCertificate>), KeysError> {
        let resource = Resource::CertCache { held };
        let cache = self.certificates(token, user, &resource).await?;
        Ok((cache.cache_num, self.usable_only(&cache)))
    }

    /// The certificate of one KMS, for example after a redirect (5.2.8).
    ///
    /// # Errors
    /// See [`KeysError`].
    //= TS 33.180 D.2.6
    pub async fn certificate(
        &self,
        token: &str,
        user: &str,
        kms_uri: &str,
    ) -> Result<mikey::KmsCertificate, KeysError> {
        let resource = Resource::Cert {
            kms_uri: kms_uri.to_owned(),
        };
        let cache = self.certificates(token, user, &resource).await?;
        let found = cache
            .certificates
            .iter()
            .find(|c| c.kms_uri.as_str() == kms_uri);
        let found =
            found.ok_or_else(|| self.mismatch(&resource, "lacks the certificate asked for"))?;
        let whose = match found.kms_uri == self.config.kms_uri {
            true => Whose::Own,
            false => Whose::Partner,
        };
        usable(found, whose, self.now())
    }

    /// Brings a ring's certificates of other domains up to date: those that came are there, those
    /// that were withdrawn are gone. Tells whether anything changed.
    ///
    /// # Errors
    /// See [`KeysError`]; nothing changes then.
    //= TS 33.180 D.2.5
    pub async fn renew_partners(
        &self,
        token: &str,
        user: &str,
        ring: &mut KeyRing,
    ) -> Result<bool, KeysError> {
        let held = ring.cache_num();
        let (cache_num, partners) = self.cert_cache(token, user, held).await?;
        if held.is_some() && cache_num == held {
            return Ok(false);
        }
        ring.put_partners(partners, cache_num);
        Ok(true)
    }

    async fn certificates(
        &self,
        token: &str,
        user: &str,
        resource: &Resource,
    ) -> Result<CertCache, KeysError> {
        match self.ask(token, user, resource).await? {
            KmsMessage::CertCache(cache) => Ok(cache),
            KmsMessage::Init(_) | KmsMessage::KeyProv(_) => {
                Err(self.mismatch(resource, "is no KmsCertCache"))
            }
        }
    }

    fn usable_only(&self, cache: &CertCache) -> Vec<mikey::KmsCertificate> {
        let others = cache
            .certificates
            .iter()
            .filter(|one| one.kms_uri != self.config.kms_uri);
        others
            .map(|one| usable(one, Whose::Partner, self.now()))
            .filter_map(|one| {
                one.inspect_err(|error| tracing::warn!(%error, "left out"))
                    .ok()
            })
            .collect()
    }

    async fn ask(
        &self,
        token: &str,
        user: &str,
        resource: &Resource,
    ) -> Result<KmsMessage, KeysError> {
        let url = self.url(resource);
        let (status, challenge, body) = self.post(token, user, resource, &url).await?;
        let refused = |detail: String| KeysError::Refused {
            url: url.clone(),
            status,
            detail,
        };
        let response = KmsResponse::parse(&body);
        if status != 200 {
            let error = response.ok().and_then(|response| response.error);
            return Err(refused(error.map_or(challenge, |error| error.message)));
        }
        let response = response.map_err(|source| KeysError::Document {
            url: url.clone(),
            source,
        })?;
        if let Some(error) = response.error {
            return Err(refused(error.message));
        }
        if response.user_uri != user || response.kms_uri != self.config.kms_uri {
            return Err(self.mismatch(resource, "names another user or KMS"));
        }
        response
            .message
            .ok_or_else(|| self.mismatch(resource, "has no message"))
    }

    async fn post(
        &self,
        token: &str,
        user: &str,
        resource: &Resource,
        url: &str,
    ) -> Result<(u16, String, Vec<u8>), KeysError> {
        let unreachable = |error: reqwest::Error| KeysError::Unreachable {
            url: url.to_owned(),
            detail: chain(&error.without_url()),
        };
        let body = self.request(user, url).to_xml();
        self.trace_request(resource, body.as_bytes());
        let mut response = self
            .http
            .post(url)
            .bearer_auth(token)
            .header("Content-Type", MEDIA_TYPE)
            .header("Accept", MEDIA_TYPE)
            .header("Cache-Control", "no-store")
            .body(body)
            .send()
            .await
            .map_err(unreachable)?;
        let status = response.status().as_u16();
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let challenge = challenge.to_owned();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY {
                return Err(self.mismatch(resource, "is too long"));
            }
        }
        self.trace_response(resource, status, &body);
        Ok((status, challenge, body))
    }

    fn request(&self, user: &str, url: &str) -> KmsRequest {
        KmsRequest {
            id: None,
            user_uri: user.to_owned(),
            kms_uri: self.config.kms_uri.as_str().to_owned(),
            time: self.now(),
            client_id: self.config.client_id.clone(),
            device_id: self.config.device_id.clone(),
            client_req_url: url.to_owned(),
            krr_list: None,
            client_error: None,
            trk_id: self.trks.first().map(|trk| trk.name.clone()),
            signature_id: None,
        }
    }

    fn url(&self, resource: &Resource) -> String {
        format!(
            "{}{}",
            self.config.url.trim_end_matches('/'),
            resource.path()
        )
    }

    fn now(&self) -> OffsetDateTime {
        let whole_seconds = Duration::from_secs(self.clock.unix_s());
        OffsetDateTime::UNIX_EPOCH + whole_seconds
    }

    fn mismatch(&self, resource: &Resource, detail: &str) -> KeysError {
        KeysError::Mismatch {
            url: self.url(resource),
            detail: detail.to_owned(),
        }
    }

    fn trace_request(&self, resource: &Resource, body: &[u8]) {
        let ends = (Endpoint::named(self.node.clone()), Endpoint::named("kms"));
        let headers = [("Content-Type", MEDIA_TYPE)];
        let path = resource.path();
        let event = Event::http_request(
            &names::HTTP_REQUEST,
            Direction::Sent,
            ends,
            ("POST", &path),
            &headers,
            body,
        );
        self.tracer.emit(event.on(Interface::CSC_8));
    }

    fn trace_response(&self, resource: &Resource, status: u16, body: &[u8]) {
        let ends = (Endpoint::named("kms"), Endpoint::named(self.node.clone()));
        let headers = [("Content-Type", MEDIA_TYPE)];
        let path = resource.path();
        let event = Event::http_response(
            &names::HTTP_RESPONSE,
            Direction::Received,
            ends,
            (status, &path),
            &headers,
            body,
        );
        self.tracer.emit(event.on(Interface::CSC_8));
    }
}

/// An error with its causes: the TLS reason is in the last one.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Whose certificate it is decides what a missing domain list means.
#[derive(Debug, Clone, Copy)]
enum Whose {
    /// Of the client's own KMS: it answers for all that no partner's list names.
    Own,
    /// Of another KMS: without a list it may speak for nobody.
    Partner,
}

impl Whose {
    fn domains(self, listed: &[String]) -> Domains {
        match self {
            Self::Own if listed.is_empty() => Domains::Unlisted,
            Self::Own | Self::Partner => Domains::Listed(listed.to_vec()),
        }
    }
}

fn usable(
    certificate: &KmsCertificate,
    whose: Whose,
    now: OffsetDateTime,
) -> Result<mikey::KmsCertificate, KeysError> {
    let error = |detail: String| KeysError::Certificate {
        kms_uri: certificate.kms_uri.clone(),
        detail,
    };
    certificate
        .check(now)
        .map_err(|problem| error(problem.to_string()))?;
    let encryption = sakke::PublicKey::from_octets(&certificate.pub_enc_key);
    let authentication = eccsi::AuthenticationKey::from_octets(&certificate.pub_auth_key);
    Ok(mikey::KmsCertificate {
        kms_uri: certificate.kms_uri.clone(),
        period: certificate.period,
        encryption: encryption.map_err(|e| error(e.to_string()))?,
        authentication: authentication.map_err(|e| error(e.to_string()))?,
        is_security_gateway: certificate.is_security_gateway,
        domains: whose.domains(&certificate.domains),
    })
}

fn validated(
    set: &kms_protocol::KeySet,
    root: &mikey::KmsCertificate,
    trks: &[TransportKey],
) -> Result<UserKeys, KeysError> {
    let error = |detail: String| KeysError::KeySet {
        identity: set.user_uri.clone(),
        number: set.key_period_no,
        detail,
    };
    if set.kms_uri != root.kms_uri {
        return Err(error("is of another KMS".to_owned()));
    }
    if set.revoked {
        return Err(error("is revoked".to_owned()));
    }
    let keys = set.keys(trks).map_err(|e| error(e.to_string()))?;
    let (rsk, ssk, pvt) = (&keys.rsk, keys.ssk.as_slice(), &keys.pvt);
    UserKeys::validated(root, &set.user_uri, set.key_period_no, rsk, ssk, pvt)
        .map_err(|e| error(e.source.to_string()))
}
