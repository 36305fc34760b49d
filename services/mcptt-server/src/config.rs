//! The configuration file of the server.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mc_client::keys::KmsConfig;
use mc_client::login::LoginConfig;
use mc_client::{BodyConfig, MikeyConfig};
use mc_runtime::TraceConfig;
use mc_runtime::auth::VerifierConfig;
use mc_runtime::http::{ClientConfig, ServerConfig};
use mc_runtime::logging::LogConfig;
use mc_runtime::revocations::RevocationSource;
use mc_runtime::service::ServiceConfig;
use mc_runtime::sip::SipConfig;
use serde::Deserialize;

use crate::interconnection::PartnerConfig;
use crate::media_plane::MediaConfig;
use crate::users::Users;

/// Everything the server is told; unknown fields are refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Log settings.
    #[serde(default)]
    pub log: LogConfig,
    /// Trace outputs.
    #[serde(default)]
    pub trace: TraceConfig,
    /// SIP address and limits. Default 127.0.0.1:5060.
    #[serde(default)]
    pub sip: SipConfig,
    /// Health and status over HTTP.
    pub http: ServerConfig,
    /// How other servers are called over HTTPS.
    #[serde(default)]
    pub http_client: ClientConfig,
    /// `sqlite:` or `postgres:` URL of the store.
    pub database_url: String,
    /// Whose access tokens are accepted.
    pub tokens: VerifierConfig,
    /// How this server logs in for its own keys and for group documents.
    pub login: LoginConfig,
    /// Where its key sets come from.
    pub kms: KmsConfig,
    /// Identities of the functions this server plays.
    #[serde(default)]
    pub identities: Identities,
    /// Where group documents come from.
    pub groups: GroupsConfig,
    /// Requests to these identities go to these SIP URIs (`"sip:gms@mc.example" = "sip:127.0.0.1:5064;transport=tcp"`).
    #[serde(default)]
    pub routes: BTreeMap<String, String>,
    /// MC systems this domain is interconnected with, one table `[[partners]]` each. Default none.
    #[serde(default)]
    pub partners: Vec<PartnerConfig>,
    /// What is asked of clients.
    #[serde(default)]
    pub policy: Policy,
    /// Servers whose revoked users are cut off here, one table `[[revocations]]` each. Default none.
    #[serde(default)]
    pub revocations: Vec<RevocationSource>,
    /// How XML bodies to and from clients are protected under their CSKs. Default: encrypted and
    /// signed both ways.
    #[serde(default)]
    pub bodies: BodyConfig,
    /// Defects of clients' I_MESSAGEs that are overlooked. Default none.
    #[serde(default)]
    pub mikey: MikeyConfig,
    /// What single users may do: one table `[users."sip:alice@mc.example"]` each. Default: all have
    /// the defaults of [`UserPolicy`](crate::users::UserPolicy).
    #[serde(default)]
    pub users: Users,
    /// Calls.
    #[serde(default)]
    pub calls: CallConfig,
    /// Ports, limits and floor timers of the media plane.
    #[serde(default)]
    pub media: MediaConfig,
}

impl ServiceConfig for Config {
    fn log(&self) -> &LogConfig {
        &self.log
    }
}

/// Public service identities and names.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Identities {
    /// PSI of the participating function. Default `sip:mcptt@mc.example`.
    pub participating: String,
    /// PSI of the controlling function. Default `sip:mcptt-ctrl@mc.example`.
    pub controlling: String,
    /// Host name in Warning header fields. Default `mcptt.mc.example`.
    pub host: String,
}

impl Default for Identities {
    fn default() -> Self {
        Self {
            participating: "sip:mcptt@mc.example".to_owned(),
            controlling: "sip:mcptt-ctrl@mc.example".to_owned(),
            host: "mcptt.mc.example".to_owned(),
        }
    }
}

/// The group management server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupsConfig {
    /// XCAP root, `https://127.0.0.1:8443`.
    pub xcap_root: String,
    /// Its public service identity, where changes of documents are subscribed to; it needs a route.
    /// Default `sip:gms@mc.example`.
    #[serde(default = "default_gms")]
    pub gms: String,
    /// Seconds a fetched document is used before it is asked for again (with its `ETag`). Default 2.
    #[serde(default = "default_group_age_s")]
    pub max_age_s: u64,
    /// GMSs of other domains whose groups' calls are controlled here, with members of this one
    /// (default none).
    #[serde(default)]
    pub partners: Vec<PartnerGroups>,
}

/// The group management server of another domain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerGroups {
    /// Domain of the groups; those of no other domain are taken from it.
    pub domain: String,
    /// Its public service identity; it needs a route.
    pub gms: String,
    /// XCAP root.
    pub xcap_root: String,
    /// Where this server gets tokens for it (TS 33.180 B.7).
    pub token: mc_client::login::PartnerConfig,
}

fn default_gms() -> String {
    "sip:gms@mc.example".to_owned()
}

const fn default_group_age_s() -> u64 {
    2
}

/// What is asked of clients. The defaults are the protected forms of TS 33.180.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the configuration file"
)]
pub struct Policy {
    /// A service authorisation without a CSK is refused. Default true.
    pub require_csk: bool,
    /// An access token in clear is refused. Default true.
    pub require_encrypted_token: bool,
    /// Group call requests without the MCPTT Accept-Contact are refused (TS 24.379 10.1.1.4.2).
    /// Default true.
    pub require_accept_contact: bool,
    /// Clients that never published service settings are not called. Default false: the answer mode
    /// of a prearranged group call is automatic unless published otherwise.
    pub require_settings: bool,
    /// Private calls without a PCK are refused. Default true.
    pub require_pck: bool,
    /// A functional alias counts only for a user who has it active; others are left out
    /// (TS 24.379 10.1.1.3.1.1, TS 24.380 6.3.5). Default true.
    pub require_active_alias: bool,
    /// Largest difference between the time of a CSK message and now, in seconds. Default 120.
    pub csk_skew_s: u64,
    /// Longest registration granted, in seconds. Default 600000.
    pub max_registration_s: u32,
    /// Most groups one client may affiliate to (N2). Default 50.
    pub max_affiliations: usize,
    /// Most group calls of one user at a time (N6). Default 10.
    pub max_group_calls: usize,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            require_csk: true,
            require_encrypted_token: true,
            require_accept_contact: true,
            require_settings: false,
            require_pck: true,
            require_active_alias: true,
            csk_skew_s: 120,
            max_registration_s: 600_000,
            max_affiliations: 50,
            max_group_calls: 10,
        }
    }
}

/// Values of calls that no group document gives.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallConfig {
    /// Local address media sockets are opened on. Default 127.0.0.1.
    pub media_address: IpAddr,
    /// T4 in seconds for private calls and for groups without `on-network-hang-timer`. Default 30.
    pub hang_time_s: u64,
    /// T2: longest talk burst in seconds (`transmit-time/time-limit`). Default 30.
    pub talk_limit_s: u64,
    /// Most queued floor requests of a session. Default 8.
    pub queue_depth: u16,
    /// Session-Expires in seconds (RFC 4028). Default 1800.
    pub session_expires_s: u32,
    /// Whether floor control of private calls is protected with the CSKs. Default true.
    pub protect_private_floor_control: bool,
    /// Floor priority of both parties of a private call, 1 to 255. Default 5.
    pub private_priority: u8,
    /// How long the called party of a private call may take to answer, in seconds. Default 60.
    pub private_answer_s: u64,
    /// Longest private call, in seconds (`private-call/max-duration`). Default 3600.
    pub private_duration_s: u64,
    /// TNG2 in seconds: how long an emergency lasts in groups whose document gives no time
    /// (`emergency-call/group-time-limit`). Default 3600.
    pub emergency_limit_s: u64,
    /// Resource-Priority of emergency calls (`emergency-resource-priority` of TS 24.484), one value
    /// of RFC 8101. Default `mcpttp.15`.
    pub emergency_resource_priority: Option<String>,
    /// The same of other calls (`normal-resource-priority`). Default none.
    pub normal_resource_priority: Option<String>,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            media_address: IpAddr::from([127, 0, 0, 1]),
            hang_time_s: 30,
            talk_limit_s: 30,
            queue_depth: 8,
            session_expires_s: 1800,
            protect_private_floor_control: true,
            private_priority: 5,
            private_answer_s: 60,
            private_duration_s: 3600,
            emergency_limit_s: 3600,
            emergency_resource_priority: Some("mcpttp.15".to_owned()),
            normal_resource_priority: None,
        }
    }
}
