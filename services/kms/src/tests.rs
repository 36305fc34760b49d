mod domains;
mod provisioning;
mod refusals;
mod requests;
mod store;

use std::sync::Arc;
use std::time::Duration;

use axum::{Json, Router, routing::get};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use kms_protocol::{KmsMessage, KmsRequest, KmsResponse, Resource};
use mc_ids::McServiceId;
use mc_runtime::auth::VerifierConfig;
use mc_runtime::service::Context;
use mc_runtime::trace::Tracer;
use mc_runtime::{CancellationToken, Clock, Health, TestClock, http};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::config::{BoundIdentities, Config, Provisioner};
use crate::state::Kms;

const ISSUER: &str = "https://idms.mc.example";
/// 2026-11-24, in the middle of a default key period.
const NOW: u64 = 1_795_500_000;
const ALICE: &str = "sip:alice@mc.example";
const SEGY: &str = "sip:segy@mc.example";

/// A KMS, an issuer's key set and a clock that stands still.
struct Lab {
    dir: TempDir,
    clock: TestClock,
    key: EncodingKey,
    jwks_url: String,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn signing_key() -> EncodingKey {
    let pem = rcgen::KeyPair::generate().unwrap().serialize_pem();
    EncodingKey::from_ec_pem(pem.as_bytes()).unwrap()
}

impl Lab {
    async fn new() -> Self {
        let key = signing_key();
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some("k1".to_owned());
        let set = JwkSet { keys: vec![jwk] };
        let router = Router::new().route("/jwks.json", get(move || async move { Json(set) }));
        let stop = CancellationToken::new();
        let issuer = http::serve(&local(), router, stop.clone()).await.unwrap();
        Self {
            dir: tempfile::tempdir().unwrap(),
            clock: TestClock::at_unix_s(NOW),
            key,
            jwks_url: format!("http://{}/jwks.json", issuer.address),
            http: http::client(&http::ClientConfig::default()).unwrap(),
            stop,
        }
    }

    fn config(&self) -> Config {
        let path = |name: &str| self.dir.path().join(name);
        let mut tokens = VerifierConfig::new(ISSUER, self.jwks_url.clone());
        tokens.audiences = vec!["kms.mc.example".to_owned()];
        Config {
            kms_uri: "kms.mc.example".parse().unwrap(),
            kms_id: "1".to_owned(),
            domains: vec!["mc.example".to_owned()],
            is_security_gateway: false,
            database_url: format!("sqlite://{}?mode=rwc", path("kms.db").display()),
            sealing_key_file: path("kms.key"),
            http: local(),
            client: http::ClientConfig::default(),
            tokens,
            key_period: crate::config::KeyPeriodConfig::default(),
            profile: crate::config::Profile::default(),
            bound_identities: vec![BoundIdentities {
                mcptt_id: McServiceId::new("sip:mcptt@mc.example").unwrap(),
                identities: vec!["mdsi.mc.example".to_owned()],
            }],
            provisioners: vec![Provisioner {
                mcptt_id: McServiceId::new(SEGY).unwrap(),
                identities: vec!["sip:unit-*@mc.example".parse().unwrap()],
                max_users: 2,
            }],
            operator_token_file: Some(path("operator-token")),
            revocation_token_file: Some(path("revocation-token")),
            revocations: Vec::new(),
            log: mc_runtime::logging::LogConfig::default(),
            trace: mc_runtime::trace::TraceConfig::default(),
        }
    }

    async fn start(&self) -> Server<'_> {
        self.start_with(|_| ()).await
    }

    async fn start_with(&self, change: impl FnOnce(&mut Config)) -> Server<'_> {
        let mut config = self.config();
        change(&mut config);
        let kms = self.open(config).await.unwrap();
        let router = crate::router(kms.clone());
        let server = http::serve(&local(), router, self.stop.clone())
            .await
            .unwrap();
        Server {
            lab: self,
            kms,
            base: format!("http://{}", server.address),
        }
    }

    async fn open(&self, config: Config) -> anyhow::Result<Kms> {
        let context = Context {
            clock: Arc::new(self.clock.clone()),
            shutdown: self.stop.clone(),
            health: Health::new("kms"),
        };
        Kms::open(config, &context, Tracer::off()).await
    }

    fn token(&self, mcptt_id: &str, change: &[(&str, Value)]) -> String {
        let now = self.clock.unix_s();
        let mut claims = json!({
            "iss": ISSUER, "exp": now + 900, "iat": now, "aud": "kms.mc.example",
            "scope": "openid 3gpp:mc:ptt_key_management_service",
            "client_id": "mcptt_client", "mcptt_id": mcptt_id,
        });
        for (name, value) in change {
            claims[*name] = value.clone();
        }
        sign(&self.key, &claims)
    }
}

fn sign(key: &EncodingKey, claims: &Value) -> String {
    let header = Header {
        kid: Some("k1".to_owned()),
        ..Header::new(Algorithm::ES256)
    };
    jsonwebtoken::encode(&header, claims, key).unwrap()
}

fn local() -> http::ServerConfig {
    http::ServerConfig::plain(([127, 0, 0, 1], 0).into())
}

struct Server<'a> {
    lab: &'a Lab,
    kms: Kms,
    base: String,
}

/// Status, challenge header and document of an answer.
struct Answer {
    status: u16,
    challenge: Option<String>,
    document: Option<KmsResponse>,
}

impl Answer {
    fn message(self) -> KmsMessage {
        assert_eq!(self.status, 200, "{:?}", self.document);
        self.document.unwrap().message.unwrap()
    }

    fn key_sets(self) -> Vec<kms_protocol::KeySet> {
        let KmsMessage::KeyProv(prov) = self.message() else {
            panic!("no KmsKeyProv")
        };
        prov.key_sets
    }
}

impl Server<'_> {
    fn request(&self, user: &str, resource: &Resource) -> KmsRequest {
        KmsRequest {
            id: None,
            user_uri: user.to_owned(),
            kms_uri: self.kms.config().kms_uri.as_str().to_owned(),
            time: OffsetDateTime::UNIX_EPOCH + Duration::from_secs(self.lab.clock.unix_s()),
            client_id: None,
            device_id: None,
            client_req_url: format!("{}{}", self.base, resource.path()),
            krr_list: None,
            client_error: None,
            trk_id: None,
            signature_id: None,
        }
    }

    async fn ask(&self, user: &str, resource: &Resource) -> Answer {
        let token = self.lab.token(user, &[]);
        let body = self.request(user, resource).to_xml();
        self.post(Some(&token), &resource.path(), body).await
    }

    async fn post(
        &self,
        token: Option<&str>,
        path: &str,
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        let mut request = self
            .lab
            .http
            .post(format!("{}{path}", self.base))
            .header("Content-Type", "application/xml")
            .body(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate");
        let challenge = challenge.map(|value| value.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        let body = response.bytes().await.unwrap();
        Answer {
            status,
            challenge,
            document: KmsResponse::parse(&body).ok(),
        }
    }
}

fn keyprov() -> Resource {
    Resource::KeyProv {
        user: None,
        time: None,
    }
}
