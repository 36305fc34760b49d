//! Configuration of the KMS.
//!
//! ```
//! let text = r#"
//!     kms_uri = "kms.mc.example"
//!     domains = ["mc.example"]
//!     database_url = "sqlite:///var/lib/mcbox/kms.db?mode=rwc"
//!     sealing_key_file = "/var/lib/mcbox/kms.key"
//!
//!     [http]
//!     listen = "127.0.0.1:8442"
//!     tls = { cert = "kms.pem", key = "kms-key.pem" }
//!
//!     [client]
//!     ca = "ca.pem"
//!
//!     [tokens]
//!     issuer = "https://localhost:8441"
//!     jwks_url = "https://localhost:8441/idms/jwks.json"
//!
//!     [[bound_identities]]
//!     mcptt_id = "sip:mcptt@mc.example"
//!     identities = ["mdsi.mc.example"]
//! "#;
//! let path = std::path::Path::new("kms.toml");
//! let config: kms::config::Config = mc_runtime::config::parse(text, path, "KMS", []).unwrap();
//! assert_eq!(config.key_period.user_key_period_s, 2_592_000);
//! ```

use std::path::PathBuf;

use mc_ids::{IdentityPattern, KmsUri, McServiceId, is_in_domain};
use mc_runtime::auth::VerifierConfig;
use mc_runtime::http::{ClientConfig, ServerConfig};
use mc_runtime::logging::LogConfig;
use mc_runtime::revocations::RevocationSource;
use mc_runtime::trace::TraceConfig;
use serde::Deserialize;

/// The whole configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Identifier of this KMS: part of every UID and of `IDRkms`.
    pub kms_uri: KmsUri,
    /// `KmsId` of responses (default `1`).
    #[serde(default = "default_kms_id")]
    pub kms_id: String,
    /// Domains whose identities belong to this KMS, at least one; others get no keys here.
    pub domains: Vec<String>,
    /// Whether this domain is behind a security gateway (Annex L, default false).
    #[serde(default)]
    pub is_security_gateway: bool,
    /// `sqlite:` or `postgres:` URL of the store.
    pub database_url: String,
    /// File with the key that seals master secrets and issued keys; created when absent. The
    /// variable `KMS_SEALING_KEY` wins.
    pub sealing_key_file: PathBuf,
    /// Address, TLS files and limits of the HTTPS server.
    pub http: ServerConfig,
    /// How the identity management server is called.
    #[serde(default)]
    pub client: ClientConfig,
    /// Whose access tokens are accepted.
    pub tokens: VerifierConfig,
    /// Key periods of users' keys.
    #[serde(default)]
    pub key_period: KeyPeriodConfig,
    /// What requests must look like and how answers do.
    #[serde(default)]
    pub profile: Profile,
    /// Identities issued in addition to those of a token (MDSI, GMS, users of a gateway).
    #[serde(default)]
    pub bound_identities: Vec<BoundIdentities>,
    /// Peers that may have keys of users behind them, who are made when asked for (default none).
    #[serde(default)]
    pub provisioners: Vec<Provisioner>,
    /// File with the operator's token, created when absent (default none: no operator's resources).
    #[serde(default)]
    pub operator_token_file: Option<PathBuf>,
    /// File with the token that reads who is revoked, created when absent (default none: nobody is
    /// told).
    #[serde(default)]
    pub revocation_token_file: Option<PathBuf>,
    /// Servers whose revoked users get no keys here either, the identity management server for
    /// instance (default none).
    #[serde(default)]
    pub revocations: Vec<RevocationSource>,
    /// Log settings.
    #[serde(default)]
    pub log: LogConfig,
    /// Trace outputs.
    #[serde(default)]
    pub trace: TraceConfig,
}

impl mc_runtime::service::ServiceConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn default_kms_id() -> String {
    "1".to_owned()
}

/// Key periods.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyPeriodConfig {
    /// `UserKeyPeriod`, seconds (default 2592000).
    pub user_key_period_s: u64,
    /// `UserKeyOffset`, seconds, below the period (default 0).
    pub user_key_offset_s: u64,
    /// Lifetime of the KMS certificate, seconds from the first start (default 5 years).
    pub certificate_lifetime_s: u64,
}

impl Default for KeyPeriodConfig {
    fn default() -> Self {
        Self {
            user_key_period_s: 2_592_000,
            user_key_offset_s: 0,
            certificate_lifetime_s: 5 * 365 * 86_400,
        }
    }
}

/// Choices where the specification leaves room.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Largest difference between `Time` of a request and now, seconds (default 30).
    pub request_age_s: u64,
    /// Form of `UserID` in key sets (default `base64`).
    pub user_id: UserIdForm,
    /// What a repeated request for the same identity and period gets (default `same`).
    pub repeated_request: RepeatedRequest,
    /// Whether `ClientReqUrl` must name the host that was called (default true; false behind a
    /// proxy that rewrites it).
    pub check_request_host: bool,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            request_age_s: 30,
            user_id: UserIdForm::Base64,
            repeated_request: RepeatedRequest::Same,
            check_request_host: true,
        }
    }
}

/// Form of `UserID`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UserIdForm {
    /// 44 characters.
    Base64,
    /// 64 hexadecimal digits.
    Hex,
}

/// What a repeated request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepeatedRequest {
    /// The same SSK and PVT.
    Same,
    /// A new SSK and PVT; the earlier stay valid until the period ends.
    Fresh,
}

/// Identities administratively bound to one user.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoundIdentities {
    /// The user, as named by the token.
    pub mcptt_id: McServiceId,
    /// Further identities the user gets keys for.
    pub identities: Vec<String>,
}

/// A peer, such as a security gateway, that stands for users of its own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provisioner {
    /// The peer, as named by the token.
    pub mcptt_id: McServiceId,
    /// The users: identities, or patterns such as `sip:unit-*@segy.example`.
    pub identities: Vec<IdentityPattern>,
    /// Most users it may have (default 10000).
    #[serde(default = "default_max_users")]
    pub max_users: u32,
}

fn default_max_users() -> u32 {
    10_000
}

/// What is wrong with a configuration whose syntax is right.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// No domain, so no identity would get keys.
    #[error("domains must name at least one domain (TS 33.180 5.2.7)")]
    NoDomain,
    /// An identity to be issued is of another domain.
    #[error("{0} is of none of the domains of this KMS (TS 33.180 5.2.7)")]
    ForeignDomain(String),
}

impl Config {
    /// Checks what types cannot express.
    ///
    /// # Errors
    /// [`ContentError`] naming the entry.
    pub fn check(&self) -> Result<(), ContentError> {
        if self.domains.is_empty() {
            return Err(ContentError::NoDomain);
        }
        let bound = self.bound_identities.iter().flat_map(|b| &b.identities);
        let patterns = self.provisioners.iter().flat_map(|p| &p.identities);
        let mut all = bound.cloned().chain(patterns.map(ToString::to_string));
        let foreign = |id: &String| !self.domains.iter().any(|d| is_in_domain(id, d));
        match all.find(foreign) {
            Some(identity) => Err(ContentError::ForeignDomain(identity)),
            None => Ok(()),
        }
    }
}
