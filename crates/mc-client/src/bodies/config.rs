//! What is configured of bodies.

use mc_xml::XmlProfile;
use serde::Deserialize;

use super::{Demand, ResolvedAlias};

/// How bodies are protected under a CSK; client and server must be told the same forms. The defaults
/// are the protected forms of TS 33.180 9.3, each switch is for peers that lack them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent switch of the configuration file"
)]
pub struct BodyConfig {
    /// Values of mcptt-info and URIs in attributes are sent encrypted. Default true. The access
    /// token of a client always is.
    pub encrypt: bool,
    /// XML bodies are sent with signatures (TS 24.379 6.6.3). Default true.
    pub sign: bool,
    /// Bodies in clear are refused: 403 with Warning 140. Default true.
    pub require_protection: bool,
    /// Bodies without signature are refused: 403 with Warning 139. Default true.
    pub require_signature: bool,
    /// Domain of encrypted URIs in XML attributes, by which they are known (TS 33.180 9.3.4.3).
    /// Default `mc-encrypted.invalid`.
    pub uri_domain: String,
    /// Local name of the root of the signatures' body (TS 24.379 F.6). Default `signatures`; any is
    /// read.
    pub signed_root: String,
    /// Namespace of that root. Default `urn:3gpp:ns:mcpttSignatures:1.0`; any is read.
    pub signed_ns: String,
    /// Where a 300 names the user who has the called functional alias active; UNVERIFIED. Default
    /// `mcptt_info`; also `resource_lists` and `contact`.
    pub resolved_alias: ResolvedAlias,
}

impl Default for BodyConfig {
    fn default() -> Self {
        Self {
            encrypt: true,
            sign: true,
            require_protection: true,
            require_signature: true,
            uri_domain: default_uri_domain(),
            signed_root: default_signed_root(),
            signed_ns: default_signed_ns(),
            resolved_alias: ResolvedAlias::default(),
        }
    }
}

impl BodyConfig {
    /// What bodies of the peer must be.
    #[must_use]
    pub const fn demand(&self) -> Demand {
        Demand {
            encryption: self.require_protection,
            signature: self.require_signature,
        }
    }
}

pub(crate) fn default_uri_domain() -> String {
    "mc-encrypted.invalid".to_owned()
}

pub(crate) fn default_signed_root() -> String {
    XmlProfile::default().signed_root
}

pub(crate) fn default_signed_ns() -> String {
    XmlProfile::default().signed_ns
}
