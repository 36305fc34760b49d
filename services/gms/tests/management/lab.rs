//! A GMS with real keys of a real KMS master, tokens of an issuer the test holds, and a SIP
//! endpoint in the place of the MCPTT server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use axum::{Json, Router, routing::get};
use gms::config::{Config, GroupSeed, Representation};
use gms::keys::KeySender;
use gms::state::Gms;
use gms::{Running, start};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use mc_client::keys::KeyRing;
use mc_ids::annex_f::Uid;
use mc_ids::{KeyPeriod, NtpTime};
use mc_runtime::http::{self, ServerConfig};
use mc_runtime::service::Context;
use mc_runtime::sip::{Incoming, SipConfig, SipEndpoint};
use mc_runtime::trace::Tracer;
use mc_runtime::{CancellationToken, Clock as _, Health, TestClock};
use mc_sip::transaction::TransactionConfig;
use mikey::{Domains, KmsCertificate, UserKeys};
use mikey_sakke::{eccsi, sakke};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;

pub(crate) const ISSUER: &str = "https://idms.mc.example";
pub(crate) const GMS: &str = "sip:gms@mc.example";
pub(crate) const GROUP: &str = "sip:fireground-1@mc.example";
pub(crate) const OPEN_GROUP: &str = "sip:open-1@mc.example";
pub(crate) const INTEROP: &str = "sip:interop-1@mc.example";
pub(crate) const UNIT: &str = "sip:unit-1001@segy.example";
pub(crate) const ALICE: &str = "sip:alice@mc.example";
pub(crate) const BOB: &str = "sip:bob@mc.example";
pub(crate) const CAROL: &str = "sip:carol@mc.example";
pub(crate) const SEGY: &str = "sip:segy@mc.example";
pub(crate) const SERVER: &str = "sip:mcptt@mc.example";
pub(crate) const ADMIN: &str = "sip:admin@mc.example";
/// 2026-11-24, in the middle of a default key period.
const NOW: u64 = 1_795_500_000;

/// Master secrets of the domain's KMS.
pub(crate) struct Kms {
    ksak: eccsi::AuthenticationSecret,
    z: sakke::MasterSecret,
    pub(crate) certificate: KmsCertificate,
}

impl Kms {
    fn new(domain: &str, period: u64, is_security_gateway: bool) -> Self {
        let mut rng = mc_runtime::rng();
        let ksak = eccsi::AuthenticationSecret::random(&mut rng).unwrap();
        let z = sakke::MasterSecret::random(&mut rng);
        let certificate = KmsCertificate {
            kms_uri: format!("kms.{domain}").parse().unwrap(),
            period: KeyPeriod::new(period, 0).unwrap(),
            encryption: z.public_key().unwrap(),
            authentication: ksak.public_key(),
            is_security_gateway,
            domains: Domains::Listed(vec![domain.to_owned()]),
        };
        Self {
            ksak,
            z,
            certificate,
        }
    }

    pub(crate) fn keys(&self, identity: &str, time: NtpTime) -> UserKeys {
        let KmsCertificate {
            kms_uri, period, ..
        } = &self.certificate;
        let number = period.number_at(time);
        let uid = Uid::of_period(identity, kms_uri, *period, number);
        let rsk = self.z.issue(uid.octets()).unwrap();
        let mut rng = mc_runtime::rng();
        let sign = self.ksak.issue(uid.octets(), &mut rng).unwrap();
        let (rsk, ssk, pvt) = (rsk.octets(), sign.ssk(), sign.pvt());
        UserKeys::validated(&self.certificate, identity, number, &*rsk, &*ssk, pvt).unwrap()
    }
}

pub(crate) struct Lab {
    pub(crate) gms: Gms,
    pub(crate) base: String,
    pub(crate) http: reqwest::Client,
    pub(crate) clock: TestClock,
    pub(crate) kms: Kms,
    /// The KMS of a gateway's domain, trusted once [`Lab::trust`] says so.
    pub(crate) gateway: Kms,
    keys: Arc<KeySender>,
    /// What it is told when it asks next; before that, what it was told last.
    known_when_asked: Arc<Mutex<Option<KeyRing>>>,
    pub(crate) sip: SipEndpoint,
    pub(crate) incoming: mpsc::Receiver<Incoming>,
    pub(crate) gms_sip: SocketAddr,
    _dir: TempDir,
    config: Config,
    endpoint: SipEndpoint,
    key: EncodingKey,
    stop: CancellationToken,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

pub(crate) fn signing_key() -> EncodingKey {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()
}

pub(crate) fn sign(key: &EncodingKey, claims: &Value) -> String {
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("k1".to_owned());
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn group(uri: &str, members: &[&str], protected: bool) -> GroupSeed {
    let value = protected.to_string();
    let settings = ["protect-media", "protect-floor-control-signalling"];
    GroupSeed {
        uri: uri.parse().unwrap(),
        display_name: "A group".into(),
        members: members.iter().map(|m| m.parse().unwrap()).collect(),
        settings: settings.map(|name| (name.to_owned(), value.clone())).into(),
    }
}

fn config(dir: &TempDir, jwks_url: &str, proxy: SocketAddr) -> Config {
    let path = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        r#"
        uri = "{GMS}"
        xcap_root = "http://localhost/"
        database_url = "sqlite://{db}?mode=rwc"
        sealing_key_file = "{key}"
        outbound_proxy = "sip:{proxy};transport=tcp"
        servers = ["{SERVER}"]
        administrators = ["{ADMIN}"]
        gateways = ["{SEGY}"]
        [http]
        listen = "127.0.0.1:0"
        [tokens]
        issuer = "{ISSUER}"
        jwks_url = "{jwks_url}"
        audiences = ["{GMS}"]
        [login]
        issuer = "{ISSUER}"
        client_id = "mcptt_client"
        redirect_uri = "http://localhost/"
        username = "gms"
        password = "gms-password"
        [kms]
        url = "https://localhost"
        kms_uri = "kms.mc.example"
        "#,
        db = path("gms.db"),
        key = path("gms.key"),
    );
    let mut config: Config = mc_runtime::config::parse(&text, dir.path(), "GMS_TEST", []).unwrap();
    config.groups = vec![
        group(GROUP, &[ALICE, BOB, SEGY], true),
        group(OPEN_GROUP, &[ALICE, CAROL], false),
        group(INTEROP, &[ALICE, UNIT], true),
    ];
    config.representations = vec![Representation {
        by: SEGY.parse().unwrap(),
        may_assert: vec![
            BOB.parse().unwrap(),
            "sip:unit-*@segy.example".parse().unwrap(),
        ],
        aliases: vec!["sip:engine-7@fa.mc.example".parse().unwrap()],
        enrols: vec![INTEROP.parse().unwrap()],
        most_enrolled: 100,
    }];
    (config.key_activation_delay_s, config.key_overlap_s) = (0, 0);
    config.sip = SipConfig {
        bind: loopback(),
        ..SipConfig::default()
    };
    config
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_, _| ()).await
    }

    /// `change` gets the configuration and where the test listens in the place of the MCPTT server.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config, SocketAddr)) -> Self {
        let (key, stop) = (signing_key(), CancellationToken::new());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("k1".to_owned());
        let set = JwkSet { keys: vec![jwk] };
        let router = Router::new().route("/jwks.json", get(move || async move { Json(set) }));
        let plain = ServerConfig::plain(loopback());
        let issuer = http::serve(&plain, router, stop.clone()).await.unwrap();
        let jwks_url = format!("http://{}/jwks.json", issuer.address);

        let sip = SipConfig {
            bind: loopback(),
            ..SipConfig::default()
        };
        let transactions = TransactionConfig::default();
        let (sip, incoming) = SipEndpoint::bind(&sip, transactions, Arc::new(()), &stop)
            .await
            .unwrap();

        let clock = TestClock::at_unix_s(NOW);
        let kms = Kms::new("mc.example", 2_592_000, false);
        let gateway = Kms::new("segy.example", 604_800, true);
        let (sender, keys) = gms::keys::channel();
        let context = Context {
            clock: Arc::new(clock.clone()),
            shutdown: stop.clone(),
            health: Health::new("gms"),
        };
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&dir, &jwks_url, sip.local_address());
        change(&mut config, sip.local_address());
        let started = start(config.clone(), &context, Tracer::off(), keys).await;
        let Running {
            gms,
            http: server,
            sip: endpoint,
        } = started.unwrap();
        let lab = Self {
            gms,
            gateway,
            keys: Arc::new(sender),
            known_when_asked: Arc::default(),
            base: format!("http://{}", server.address),
            http: http::client(&http::ClientConfig::default()).unwrap(),
            clock,
            kms,
            sip,
            incoming,
            gms_sip: endpoint.local_address(),
            _dir: dir,
            config,
            endpoint,
            key,
            stop,
        };
        lab.trust(&[]);
        // Asked for newer certificates, the KMS has none but those the test has said.
        let (keys, watch) = (lab.keys.clone(), lab.gms.keys.clone());
        let (stop, known) = (lab.stop.clone(), lab.known_when_asked.clone());
        let answering = async move {
            loop {
                keys.missed().await;
                let held = || KeyRing::clone(&watch.now().unwrap());
                let ring = known.lock().unwrap().take();
                keys.send(ring.unwrap_or_else(held));
            }
        };
        tokio::spawn(async move { stop.run_until_cancelled(answering).await });
        lab
    }

    /// The server dies: whatever it has still to tell stays untold. Changes of its store still work.
    pub(crate) async fn server_dies(&self) {
        self.endpoint.close().await;
    }

    /// A server starts on what the one before has stored.
    pub(crate) async fn server_returns(&mut self) {
        let (sender, keys) = gms::keys::channel();
        let context = Context {
            clock: Arc::new(self.clock.clone()),
            shutdown: self.stop.clone(),
            health: Health::new("gms"),
        };
        let started = start(self.config.clone(), &context, Tracer::off(), keys).await;
        let running = started.unwrap();
        self.base = format!("http://{}", running.http.address);
        self.gms_sip = running.sip.local_address();
        (self.gms, self.endpoint) = (running.gms, running.sip);
        self.keys = Arc::new(sender);
        self.trust(&[]);
    }

    /// The partner domains that the server's KMS tells of from now on.
    pub(crate) fn trust(&self, partners: &[&Kms]) {
        self.keys.send(self.ring(partners));
    }

    /// The same, but the server learns of them only when it asks.
    pub(crate) fn trust_when_asked(&self, partners: &[&Kms]) {
        *self.known_when_asked.lock().unwrap() = Some(self.ring(partners));
    }

    fn ring(&self, partners: &[&Kms]) -> KeyRing {
        let partners = partners.iter().map(|kms| kms.certificate.clone());
        let now = NtpTime::from_unix(self.clock.unix());
        let own = vec![self.kms.keys(GMS, now)];
        let root = self.kms.certificate.clone();
        KeyRing::new(root, partners.collect(), None, own)
    }

    pub(crate) fn claims(&self, mcptt_id: &str) -> Value {
        let now = self.clock.unix_s();
        json!({
            "iss": ISSUER, "exp": now + 900, "iat": now, "aud": [GMS],
            "scope": "openid 3gpp:mc:ptt_group_management_service",
            "client_id": "mcptt_client", "mcptt_id": mcptt_id,
        })
    }

    pub(crate) fn token(&self, mcptt_id: &str) -> String {
        sign(&self.key, &self.claims(mcptt_id))
    }

    pub(crate) fn signed(&self, claims: &Value) -> String {
        sign(&self.key, claims)
    }

    pub(crate) fn request(&self, method: Method, path: &str, user: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.http.request(method, url).bearer_auth(self.token(user))
    }

    /// The document and tag of a group as the server has it.
    pub(crate) async fn stored(&self, group_id: &str) -> (String, String) {
        let group = self.gms.store.group(group_id).await.unwrap().unwrap();
        (group.document, group.etag)
    }

    pub(crate) async fn events(&self) -> Vec<String> {
        self.gms.store.audit_events().await.unwrap()
    }
}

/// The path of a group's document.
pub(crate) fn document(group_id: &str) -> String {
    format!("/org.openmobilealliance.groups/global/byGroupID/{group_id}")
}
