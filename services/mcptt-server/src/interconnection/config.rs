//! The peer table: which MC systems this domain is interconnected with, and what they may do.

use std::net::IpAddr;

use mc_client::{SpkConfig, SsrcShare};
use mc_ids::{GroupId, IdentityPattern};
use serde::Deserialize;

/// One interconnected MC system, a table `[[partners]]` of the configuration. Everything in it is
/// statically provisioned at both systems (TS 33.180 5.5); nothing is negotiated.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartnerConfig {
    /// Name in logs, traces and the status.
    pub name: String,
    /// SIP address that requests go to (`sip:198.51.100.9:5060;transport=tcp`). Requests are taken
    /// from its host.
    pub address: String,
    /// Further addresses that requests are taken from. Default none.
    #[serde(default)]
    pub sources: Vec<IpAddr>,
    /// Public service identity of the system's participating function: P-Asserted-Identity of its
    /// requests and Request-URI of ours.
    pub psi: String,
    /// The key shared with the system.
    pub spk: SpkConfig,
    /// MCPTT IDs of these domains are the system's own, and no others. Default none.
    #[serde(default)]
    pub domains: Vec<String>,
    /// MCPTT IDs the system may assert beside those, such as users of this domain that it serves;
    /// `sip:unit-*@mc.example` stands for many. Default none.
    #[serde(default)]
    pub users: Vec<IdentityPattern>,
    /// Groups its users may use. Default none.
    #[serde(default)]
    pub groups: Vec<GroupId>,
    /// Whether private calls may cross the border. Default true.
    #[serde(default = "enabled")]
    pub private_calls: bool,
    /// Whether XML bodies in clear are refused. Default true; bodies sent are always protected.
    #[serde(default = "enabled")]
    pub require_protection: bool,
    /// Whether XML bodies without a signature are refused. Default true; bodies sent are always
    /// signed.
    #[serde(default = "enabled")]
    pub require_signature: bool,
    /// Local address media sockets towards the system are opened on. Default that of `[calls]`.
    #[serde(default)]
    pub media_address: Option<IpAddr>,
    /// Which SSRCs this end takes under the SPK, `lower` or `upper`; the other end must take the
    /// others. Default lower.
    #[serde(default = "lower")]
    pub ssrcs: SsrcShare,
}

const fn enabled() -> bool {
    true
}

const fn lower() -> SsrcShare {
    SsrcShare::Lower
}
