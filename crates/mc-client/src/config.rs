//! What a client is told.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use kms_protocol::RedirectNames;
use mc_ids::{ClientId, GroupId, IdentityPattern};
use mc_runtime::http;
use mc_runtime::sip::SipConfig;
use mc_sip::{Uri, name};
use serde::Deserialize;

use crate::bodies::BodyConfig;
use crate::keys::KmsConfig;
use crate::login::{LoginConfig, PartnerConfig};
use crate::mikey_config::MikeyConfig;

/// The configuration of one client.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientConfig {
    /// Name of this client in traces and logs.
    pub node: String,
    /// Directory of what must survive a restart: SSRC ledger, client identifier.
    pub state_dir: PathBuf,
    /// Where and as whom to log in.
    pub login: LoginConfig,
    /// The KMS.
    pub kms: KmsConfig,
    /// How HTTPS servers are called.
    #[serde(default)]
    pub http: http::ClientConfig,
    /// How the SIP core is reached. Only a client that registers needs it (default none).
    #[serde(default)]
    pub sip: Option<SipLink>,
    /// Identities of the servers of the domain.
    #[serde(default)]
    pub servers: ServerIdentities,
    /// The group management server.
    pub gms: GmsConfig,
    /// Groups to use: their documents are fetched, their GMKs awaited, and the client affiliates
    /// (default none).
    #[serde(default)]
    pub groups: Vec<GroupId>,
    /// Functional aliases to activate after registration (TS 24.379 9A; default none).
    #[serde(default)]
    pub functional_aliases: Vec<String>,
    /// Whether private calls wait for the user's answer, which callers may override only by force
    /// (default false: they are answered at once).
    #[serde(default)]
    pub manual_answer: bool,
    /// Most private calls at a time, in either direction; further ones are busy (default 1).
    #[serde(default = "default_private_calls")]
    pub max_private_calls: usize,
    /// Whether this client is one of a security gateway: the PCKs it makes say so (TS 33.180 E.6.9;
    /// default false).
    #[serde(default)]
    pub security_gateway: bool,
    /// Users behind security gateways, under a KMS that does not say so: calls to them are told as
    /// ending there, and the PCKs made for them say so (default none). Not from a standard: see
    /// `docs/protection.md`.
    #[serde(default)]
    pub gateways: Vec<IdentityPattern>,
    /// MCPTT client ID (default: made once and kept in the state directory).
    #[serde(default)]
    pub client_id: Option<ClientId>,
    /// Local address of media sockets (default 127.0.0.1).
    #[serde(default = "loopback")]
    pub media_address: IpAddr,
    /// How XML bodies to and from the MCPTT server are protected under the CSK; of those under an
    /// SPK only what is sent (default: encrypted and signed both ways).
    #[serde(default)]
    pub bodies: BodyConfig,
    /// Defects of peers' I_MESSAGEs that are overlooked (default none).
    #[serde(default)]
    pub mikey: MikeyConfig,
    /// How the children of KMS redirect responses are called (TS 33.180 D.4); UNVERIFIED (default as
    /// [`RedirectNames`]).
    #[serde(default)]
    pub kms_redirect: RedirectNames,
    /// Resource-Priority of emergency calls (`emergency-resource-priority` of TS 24.484), one value
    /// of RFC 8101 (default `mcpttp.15`).
    #[serde(default = "default_emergency_priority")]
    pub emergency_resource_priority: Option<String>,
    /// Seconds a GMK may take to arrive before step G is reported as failed (default 20); the client
    /// keeps waiting.
    #[serde(default = "default_gmk_wait_s")]
    pub gmk_wait_s: u64,
}

fn loopback() -> IpAddr {
    IpAddr::from([127, 0, 0, 1])
}

fn default_emergency_priority() -> Option<String> {
    Some("mcpttp.15".to_owned())
}

fn default_private_calls() -> usize {
    1
}

fn default_gmk_wait_s() -> u64 {
    20
}

/// How the SIP core is reached.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SipLink {
    /// Address of the first hop (`sip:127.0.0.1:5060;transport=tcp`).
    pub server: String,
    /// Public user identity.
    pub impu: String,
    /// Own SIP address and limits (default: any free port of 127.0.0.1).
    #[serde(default = "any_port")]
    pub endpoint: SipConfig,
    /// Requested registration lifetime, seconds (default 600).
    #[serde(default = "default_registration_s")]
    pub registration_s: u32,
}

fn any_port() -> SipConfig {
    SipConfig {
        bind: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..SipConfig::default()
    }
}

fn default_registration_s() -> u32 {
    600
}

/// Public service identities of the domain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServerIdentities {
    /// PSI of the participating MCPTT function (default `sip:mcptt@mc.example`).
    pub participating: String,
    /// MC domain security identifier the CSK is encapsulated to (default `mdsi.mc.example`).
    pub mdsi: String,
    /// GMS URI: where subscriptions go and who must have signed a GMK (default `sip:gms@mc.example`).
    pub gms: String,
    /// URIs of partner domains' GMSs, which may sign GMKs for groups of their own domain (default
    /// none).
    pub partner_gms: Vec<String>,
}

impl Default for ServerIdentities {
    fn default() -> Self {
        Self {
            participating: "sip:mcptt@mc.example".to_owned(),
            mdsi: "mdsi.mc.example".to_owned(),
            gms: "sip:gms@mc.example".to_owned(),
            partner_gms: Vec::new(),
        }
    }
}

/// Where group documents are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GmsConfig {
    /// XCAP root (`https://gms.mc.example:8443`).
    pub xcap_root: String,
    /// Where users get tokens for a GMS of another domain than their own (TS 33.180 B.7). Default none:
    /// it is their own domain's.
    #[serde(default)]
    pub partner: Option<PartnerConfig>,
    /// Further ones, each for the groups of its own domain (default none): all other groups are at the
    /// one above, which is `servers.gms`.
    #[serde(default)]
    pub others: Vec<OtherGms>,
}

/// The GMS of one more domain.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherGms {
    /// Its URI: where subscriptions go, and who must have signed a GMK of its domain.
    pub uri: String,
    /// XCAP root.
    pub xcap_root: String,
    /// Where users get tokens for it (default none: it is their own domain's).
    #[serde(default)]
    pub partner: Option<PartnerConfig>,
}

/// A GMS as a client uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GmsHome {
    /// Its URI.
    pub uri: String,
    /// XCAP root.
    pub xcap_root: String,
    /// Where users get tokens for it, if it is not their own domain's.
    pub partner: Option<PartnerConfig>,
}

impl ClientConfig {
    /// The GMS that has a group: that of the group's domain, else the client's own.
    #[must_use]
    pub fn home_of(&self, group: &GroupId) -> GmsHome {
        let mut others = self.gms.others.iter();
        let of_domain = |other: &&OtherGms| {
            let domain = mc_ids::domain_of(&other.uri);
            group.domain().eq_ignore_ascii_case(domain)
        };
        match others.find(of_domain) {
            Some(other) => GmsHome {
                uri: other.uri.clone(),
                xcap_root: other.xcap_root.clone(),
                partner: other.partner.clone(),
            },
            None => GmsHome {
                uri: self.servers.gms.clone(),
                xcap_root: self.gms.xcap_root.clone(),
                partner: self.gms.partner.clone(),
            },
        }
    }
}

/// The role requests are made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// An MCPTT client, towards its participating function.
    Client,
    /// The participating function of a client, towards a controlling one.
    ParticipatingFunction,
}

impl Role {
    /// The header field that names the service: a client prefers, a function asserts (RFC 6050).
    pub(crate) const fn service_field(self) -> &'static str {
        match self {
            Self::Client => name::P_PREFERRED_SERVICE,
            Self::ParticipatingFunction => name::P_ASSERTED_SERVICE,
        }
    }
}

/// The identities a request is made with.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) role: Role,
    /// Who sends: the public user identity of a client, or the function's service identity.
    pub(crate) impu: Uri,
    pub(crate) mcptt_id: mc_ids::McServiceId,
    pub(crate) client_id: ClientId,
    /// The function that requests go to.
    pub(crate) function: Uri,
}
