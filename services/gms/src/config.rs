//! Configuration of the group management server.
//!
//! ```
//! let text = r#"
//!     uri = "sip:gms@mc.example"
//!     xcap_root = "https://localhost:8443/"
//!     database_url = "sqlite:///var/lib/mcbox/gms.db?mode=rwc"
//!     sealing_key_file = "/var/lib/mcbox/gms.key"
//!     outbound_proxy = "sip:127.0.0.1:5060;transport=tcp"
//!     servers = ["sip:mcptt@mc.example"]
//!     administrators = ["sip:admin@mc.example"]
//!     gateways = ["sip:segy@mc.example"]
//!
//!     [http]
//!     listen = "127.0.0.1:8443"
//!     tls = { cert = "gms.pem", key = "gms-key.pem" }
//!
//!     [sip]
//!     bind = "127.0.0.1:5064"
//!
//!     [client]
//!     ca = "ca.pem"
//!
//!     [tokens]
//!     issuer = "https://localhost:8441"
//!     jwks_url = "https://localhost:8441/idms/jwks.json"
//!     audiences = ["sip:gms@mc.example"]
//!
//!     [login]
//!     issuer = "https://localhost:8441"
//!     client_id = "mcptt_client"
//!     redirect_uri = "http://localhost:8080/callback"
//!     username = "gms"
//!     password = "gms-password"
//!
//!     [kms]
//!     url = "https://localhost:8442"
//!     kms_uri = "kms.mc.example"
//!
//!     [[groups]]
//!     uri = "sip:fireground-1@mc.example"
//!     display_name = "Fireground 1"
//!     members = ["sip:alice@mc.example", "sip:bob@mc.example", "sip:segy@mc.example"]
//!     settings = { on-network-hang-timer = "PT30S" }
//!
//!     [[representations]]
//!     by = "sip:segy@mc.example"
//!     may_assert = ["sip:unit-*@mc.example"]
//! "#;
//! let path = std::path::Path::new("gms.toml");
//! let config: gms::config::Config = mc_runtime::config::parse(text, path, "GMS", []).unwrap();
//! assert!(config.send_revocation);
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use mc_client::keys::KmsConfig;
use mc_client::login::LoginConfig;
use mc_ids::{FunctionalAlias, GroupId, IdentityPattern, McServiceId};
use mc_runtime::auth::VerifierConfig;
use mc_runtime::http::{ClientConfig, ServerConfig};
use mc_runtime::logging::LogConfig;
use mc_runtime::revocations::RevocationSource;
use mc_runtime::sip::SipConfig;
use mc_runtime::trace::TraceConfig;
use serde::Deserialize;

/// The whole configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This server's public service identity: `IDRi` of its I_MESSAGEs and the address clients
    /// subscribe at.
    pub uri: McServiceId,
    /// Root of all documents as clients reach it, with a trailing slash.
    pub xcap_root: String,
    /// `sqlite:` or `postgres:` URL of the store.
    pub database_url: String,
    /// File with the key that seals GMKs; created when absent. `GMS_SEALING_KEY` wins.
    pub sealing_key_file: PathBuf,
    /// SIP URI every request of ours is sent to (default: the request's own address).
    #[serde(default)]
    pub outbound_proxy: Option<String>,
    /// Next hop for subscribers of other domains, by the domain of their SIP identity: the
    /// interconnection with it (`"segy.example" = "sip:127.0.0.1:5062;transport=tcp"`; default none:
    /// the outbound proxy).
    #[serde(default)]
    pub routes: BTreeMap<String, String>,
    /// MCPTT IDs of servers that may read every group (default none).
    #[serde(default)]
    pub servers: Vec<McServiceId>,
    /// MCPTT IDs that may change groups and keys (default none).
    #[serde(default)]
    pub administrators: Vec<McServiceId>,
    /// MCPTT IDs of security gateways: keys shared with one say so (TS 33.180 E.6.9; default none).
    #[serde(default)]
    pub gateways: Vec<McServiceId>,
    /// Identities that an authenticated peer may assert for others (default none); no other
    /// assertion is accepted.
    #[serde(default)]
    pub representations: Vec<Representation>,
    /// Tells members that a replaced GMK is revoked, once the new one is in use (default true).
    #[serde(default = "yes")]
    pub send_revocation: bool,
    /// Seconds between a new GMK of a group that has one and its activation: the time all members
    /// have to get it, while they speak under the old one (default 2).
    #[serde(default = "default_key_activation_delay_s")]
    pub key_activation_delay_s: u64,
    /// The same when the reason is that a member left: who left must not hear more than can be helped,
    /// so that the new GMK is in use as soon as it is there, and the old one is revoked once it has been
    /// brought to all who answer. Those it reaches last may miss a moment of speech (default 0).
    #[serde(default)]
    pub removal_activation_delay_s: u64,
    /// Seconds from that activation until members are told that the old GMK is revoked; until then
    /// they still hear who has not switched yet (default 5; none after a removal).
    #[serde(default = "default_key_overlap_s")]
    pub key_overlap_s: u64,
    /// Seconds until a member that does not answer is passed over (default 10).
    #[serde(default = "default_delivery_timeout_s")]
    pub delivery_timeout_s: u64,
    /// Address, TLS files and limits of the HTTPS server.
    pub http: ServerConfig,
    /// SIP address and limits.
    #[serde(default)]
    pub sip: SipConfig,
    /// How this server calls the other ones by HTTPS.
    #[serde(default)]
    pub client: ClientConfig,
    /// Whose access tokens are accepted.
    pub tokens: VerifierConfig,
    /// This server's own account.
    pub login: LoginConfig,
    /// Where this server's keys come from.
    pub kms: KmsConfig,
    /// Servers whose revoked users leave all groups (default none).
    #[serde(default)]
    pub revocations: Vec<RevocationSource>,
    /// Log settings.
    #[serde(default)]
    pub log: LogConfig,
    /// Trace outputs.
    #[serde(default)]
    pub trace: TraceConfig,
    /// Groups made at first start.
    #[serde(default)]
    pub groups: Vec<GroupSeed>,
}

impl mc_runtime::service::ServiceConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

fn yes() -> bool {
    true
}

fn default_key_activation_delay_s() -> u64 {
    2
}

fn default_key_overlap_s() -> u64 {
    5
}

fn default_delivery_timeout_s() -> u64 {
    10
}

/// Whom a peer may speak for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Representation {
    /// The peer, by the MCPTT ID of its token.
    pub by: McServiceId,
    /// Identities it may assert, in `X-3GPP-Asserted-Identity` by HTTP and as
    /// `mcptt-calling-user-id` by SIP: each by itself, or patterns (`sip:unit-*@segy.example`).
    pub may_assert: Vec<IdentityPattern>,
    /// Functional aliases it may show (default none); whoever shows one acts as itself.
    #[serde(default)]
    pub aliases: Vec<FunctionalAlias>,
    /// Groups into which it may bring those it may assert (TR 33.880 7.8.4.3; default none).
    #[serde(default)]
    pub enrols: Vec<GroupId>,
    /// Most members of one group that it may assert, when it brings another (default 100).
    #[serde(default = "default_most_enrolled")]
    pub most_enrolled: usize,
}

const fn default_most_enrolled() -> usize {
    100
}

/// A group made at first start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSeed {
    /// Group ID.
    pub uri: GroupId,
    /// Name for people.
    pub display_name: String,
    /// MCPTT IDs of the members.
    #[serde(default)]
    pub members: Vec<McServiceId>,
    /// `mcpttgi` settings by element name (`protect-media = "false"`; default none: protected).
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
}
