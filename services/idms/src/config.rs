//! Configuration of the IdMS.
//!
//! ```
//! let text = r#"
//!     issuer = "https://localhost:8441"
//!     database_url = "sqlite:///var/lib/mcbox/idms.db?mode=rwc"
//!     sealing_key_file = "/var/lib/mcbox/idms.key"
//!
//!     [http]
//!     listen = "127.0.0.1:8441"
//!     tls = { cert = "idms.pem", key = "idms-key.pem" }
//!
//!     [[resource_servers]]
//!     audience = "kms.mc.example"
//!     scopes = ["3gpp:mc:ptt_key_management_service"]
//!
//!     [[clients]]
//!     client_id = "mcptt_client"
//!     redirect_uris = ["http://localhost:8080/callback"]
//!
//!     [[users]]
//!     username = "alice"
//!     password = "alice-password"
//!     mcptt_id = "sip:alice@mc.example"
//!
//!     [[partners]]
//!     issuer = "https://localhost:8451"
//!     token_endpoint = "https://localhost:8451/idms/token"
//!     jwks_file = "/etc/mcbox/segy.example.jwks.json"
//!     may_assert = ["sip:segy@segy.example", "sip:unit-*@segy.example"]
//!     scopes = ["3gpp:mc:ptt_group_management_service"]
//! "#;
//! let path = std::path::Path::new("idms.toml");
//! let config: idms::config::Config = mc_runtime::config::parse(text, path, "IDMS", []).unwrap();
//! assert_eq!(config.lifetimes.code_s, 60);
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use mc_ids::{IdentityPattern, McServiceId};
use mc_runtime::config::Secret;
use mc_runtime::http::ServerConfig;
use mc_runtime::logging::LogConfig;
use mc_runtime::trace::TraceConfig;
use serde::Deserialize;
use url::Url;

use crate::scopes::CATALOGUE;

/// The whole configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Base URL of this server as clients reach it, and the `iss` of its tokens; no trailing slash.
    pub issuer: Url,
    /// `sqlite:` or `postgres:` URL of the store.
    pub database_url: String,
    /// File with the key that seals the signing key; created when absent. The variable
    /// `IDMS_SEALING_KEY` wins.
    pub sealing_key_file: PathBuf,
    /// A TOML file with more `clients` and `users` (default none).
    #[serde(default)]
    pub seed_file: Option<PathBuf>,
    /// Address, TLS files and limits of the HTTPS server.
    pub http: ServerConfig,
    /// Log settings.
    #[serde(default)]
    pub log: LogConfig,
    /// Trace outputs.
    #[serde(default)]
    pub trace: TraceConfig,
    /// How long things are valid.
    #[serde(default)]
    pub lifetimes: Lifetimes,
    /// Limits of password logins.
    #[serde(default)]
    pub login: LoginLimits,
    /// What the authorization endpoint insists on.
    #[serde(default)]
    pub profile: ProfileRules,
    /// Audience of access tokens by scope (default none: the issuer itself).
    #[serde(default)]
    pub resource_servers: Vec<ResourceServer>,
    /// Registered clients.
    #[serde(default)]
    pub clients: Vec<Client>,
    /// Accounts made at start.
    #[serde(default)]
    pub users: Vec<UserSeed>,
    /// Identity management servers of other domains (default none).
    #[serde(default)]
    pub partners: Vec<Partner>,
    /// File with the operator's token, created when absent (default none: no operator's resources).
    #[serde(default)]
    pub operator_token_file: Option<PathBuf>,
    /// File with the token that reads who is revoked, created when absent (default none: nobody is
    /// told).
    #[serde(default)]
    pub revocation_token_file: Option<PathBuf>,
}

impl mc_runtime::service::ServiceConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

/// Validity periods in seconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Lifetimes {
    /// Authorization code (default and maximum 60).
    pub code_s: u32,
    /// Access and ID token (default 900).
    pub access_token_s: u32,
    /// Refresh token, and the login it continues (default 86400).
    pub refresh_token_s: u32,
    /// Login page left open (default 600).
    pub login_page_s: u32,
    /// Security token for a partner domain (default 600).
    pub security_token_s: u32,
    /// Longest validity of a partner's security token that is accepted (default 600).
    pub accepted_security_token_s: u32,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            code_s: 60,
            access_token_s: 900,
            refresh_token_s: 86_400,
            login_page_s: 600,
            security_token_s: 600,
            accepted_security_token_s: 600,
        }
    }
}

/// Limits that make password guessing slow.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoginLimits {
    /// Failed logins of one account in a window (default 5).
    pub account_attempts: u32,
    /// Failed logins from one network address in a window (default 50).
    pub address_attempts: u32,
    /// Window, seconds (default 300).
    pub window_s: u32,
    /// Password hashes computed at the same time (default 2).
    pub parallel: u32,
}

impl Default for LoginLimits {
    fn default() -> Self {
        Self {
            account_attempts: 5,
            address_attempts: 50,
            window_s: 300,
            parallel: 2,
        }
    }
}

/// Rules of the MCX profile that deployed clients are known to miss; all on by default.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProfileRules {
    /// Refuse a request whose scope lacks `openid` (default true; a deployed SDK leaves it out).
    pub require_openid: bool,
    /// Refuse a request without `acr_values` (default true).
    pub require_acr_values: bool,
}

impl Default for ProfileRules {
    fn default() -> Self {
        Self {
            require_openid: true,
            require_acr_values: true,
        }
    }
}

/// A server that accepts access tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceServer {
    /// The name it expects in `aud`.
    pub audience: String,
    /// The scopes it serves.
    pub scopes: Vec<String>,
}

/// A registered client (TS 33.180 B.3).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its identifier.
    pub client_id: String,
    /// Redirect URIs, compared character by character.
    pub redirect_uris: Vec<String>,
    /// Secret of a confidential client, sent by HTTP Basic (default none: a native client).
    #[serde(default)]
    pub secret: Option<Secret>,
}

/// An account made at start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSeed {
    /// The MC ID: the login name.
    pub username: String,
    /// Password in the clear, hashed at first start; or use `password_hash`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// argon2id PHC string.
    #[serde(default)]
    pub password_hash: Option<String>,
    /// MCPTT ID, a URI (default none).
    #[serde(default)]
    pub mcptt_id: Option<String>,
    /// `MCVideo` ID, a URI (default none).
    #[serde(default)]
    pub mcvideo_id: Option<String>,
    /// `MCData` ID, a URI (default none).
    #[serde(default)]
    pub mcdata_id: Option<String>,
    /// Scopes the user may have (default: the four `3gpp:mc:ptt_` scopes).
    #[serde(default = "ptt_scopes")]
    pub scopes: Vec<String>,
    /// A disabled user gets no token (default false).
    #[serde(default)]
    pub disabled: bool,
}

fn ptt_scopes() -> Vec<String> {
    CATALOGUE
        .iter()
        .filter(|s| s.starts_with("3gpp:mc:ptt_"))
        .map(|s| (*s).to_owned())
        .collect()
}

/// The identity management server of another domain (TS 33.180 5.1.4, B.6 to B.9).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Partner {
    /// The exact `iss` of its security tokens.
    pub issuer: String,
    /// Its token endpoint: the `resource` our users name to get a security token for it.
    pub token_endpoint: String,
    /// File with its public keys, a JWK set that the operator puts there; read whenever one of its
    /// tokens comes (default none: none of its tokens is accepted).
    #[serde(default)]
    pub jwks_file: Option<PathBuf>,
    /// The identities it may assert here (default none).
    #[serde(default)]
    pub may_assert: Vec<IdentityPattern>,
    /// Scopes its users may have here (default none).
    #[serde(default)]
    pub scopes: Vec<String>,
    /// MC service IDs here of users that have another one than at home, by the one at home (default
    /// none: the same).
    #[serde(default)]
    pub assigned: BTreeMap<String, McServiceId>,
}

/// The content of a seed file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Seeds {
    /// Registered clients.
    pub clients: Vec<Client>,
    /// Accounts made at start.
    pub users: Vec<UserSeed>,
}

/// What is wrong with a configuration whose syntax is right.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    /// A redirect URI is not an absolute URI without fragment.
    #[error("client {client_id}: redirect URI {uri} is not an absolute URI without fragment")]
    RedirectUri {
        /// The client.
        client_id: String,
        /// Its redirect URI.
        uri: String,
    },
    /// A user has no password, or two.
    #[error("user {0}: exactly one of password and password_hash is needed")]
    Password(String),
    /// A hash is not argon2id.
    #[error("user {0}: password_hash is not an argon2id PHC string")]
    PasswordHash(String),
    /// A lifetime is out of range.
    #[error("lifetimes.code_s must be 1 to 60 (RFC 6749 4.1.2, TS 33.180 B.4.2.3)")]
    CodeLifetime,
    /// The issuer has a query or fragment.
    #[error("issuer must not have a query or fragment (OpenID Connect Discovery 3)")]
    Issuer,
}

impl Config {
    /// The issuer as it stands in tokens: without a trailing slash.
    #[must_use]
    pub fn issuer(&self) -> String {
        self.issuer.as_str().trim_end_matches('/').to_owned()
    }

    /// Checks what types cannot express.
    ///
    /// # Errors
    /// [`ContentError`] naming the entry.
    pub fn check(&self) -> Result<(), ContentError> {
        if !(1..=60).contains(&self.lifetimes.code_s) {
            return Err(ContentError::CodeLifetime);
        }
        if self.issuer.query().is_some() || self.issuer.fragment().is_some() {
            return Err(ContentError::Issuer);
        }
        self.clients.iter().try_for_each(check_client)?;
        self.users.iter().try_for_each(check_user)
    }
}

fn check_client(client: &Client) -> Result<(), ContentError> {
    let bad = |uri: &&String| Url::parse(uri).map_or(true, |url| url.fragment().is_some());
    match client.redirect_uris.iter().find(bad) {
        Some(uri) => Err(ContentError::RedirectUri {
            client_id: client.client_id.clone(),
            uri: uri.clone(),
        }),
        None => Ok(()),
    }
}

pub(crate) fn check_user(user: &UserSeed) -> Result<(), ContentError> {
    match (&user.password, &user.password_hash) {
        (Some(_), None) => Ok(()),
        (None, Some(hash)) if crate::password::is_argon2id(hash) => Ok(()),
        (None, Some(_)) => Err(ContentError::PasswordHash(user.username.clone())),
        (Some(_), Some(_)) | (None, None) => Err(ContentError::Password(user.username.clone())),
    }
}
