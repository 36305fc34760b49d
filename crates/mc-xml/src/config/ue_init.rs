//! UE initial configuration (TS 24.484 7.2): what a client needs before it can log in.

use crate::XmlError;
use crate::dom::Element;

/// Namespace of the document.
pub const NS: &str = "urn:3gpp:mcptt:mcpttUEinitConfig:1.0";
/// Media type of the document.
pub const MEDIA_TYPE: &str = "application/vnd.3gpp.mcptt-ue-init-config+xml";
/// XCAP application usage.
pub const AUID: &str = "org.3gpp.mcptt.ue-init-config";

/// The initial configuration; addresses as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UeInitConfig {
    /// Domain.
    pub domain: String,
    /// User of the default user profile.
    pub default_user: Option<String>,
    /// `idms-auth-endpoint`.
    pub idms_auth_endpoint: Option<String>,
    /// `idms-token-endpoint`.
    pub idms_token_endpoint: Option<String>,
    /// `http-proxy`.
    pub http_proxy: Option<String>,
    /// `gms`.
    pub gms: Option<String>,
    /// `cms`.
    pub cms: Option<String>,
    /// `kms`.
    pub kms: Option<String>,
    /// SIP PSI of the GMS.
    pub gms_uri: Option<String>,
    /// XUI under which groups are created.
    pub group_creation_xui: Option<String>,
    /// XCAP root of the GMS.
    pub gms_xcap_root: Option<String>,
    /// XCAP root of the CMS.
    pub cms_xcap_root: Option<String>,
    /// XML bodies are signed; absent is true.
    pub integrity_protection: bool,
    /// XML bodies are encrypted; absent is true.
    pub confidentiality_protection: bool,
    /// PSI of the participating function (later releases, `anyExt`).
    pub server_uri: Option<String>,
}

impl UeInitConfig {
    /// Reads a document.
    ///
    /// # Errors
    /// [`XmlError`] of the reader or of a value.
    pub fn parse(octets: &[u8]) -> Result<Self, XmlError> {
        //= TS 24.484 7.2.2
        let root = crate::parse(octets)?;
        root.expect(NS, "mcptt-UE-initial-configuration")?;
        let on = root
            .find(NS, "on-network")
            .ok_or(XmlError::PeerMissing("on-network"))?;
        let absent = Element::new(NS, "App-Server-Info");
        let servers = on.find(NS, "App-Server-Info").unwrap_or(&absent);
        let server = |local| servers.child_text(NS, local);
        Ok(Self {
            domain: root.required_attribute("domain")?,
            default_user: root
                .find(NS, "Default-user-profile")
                .and_then(|p| p.attribute("User-ID"))
                .map(str::to_owned),
            idms_auth_endpoint: server("idms-auth-endpoint"),
            idms_token_endpoint: server("idms-token-endpoint"),
            http_proxy: server("http-proxy"),
            gms: server("gms"),
            cms: server("cms"),
            kms: server("kms"),
            gms_uri: on.child_text(NS, "GMS-URI"),
            group_creation_xui: on.child_text(NS, "group-creation-XUI"),
            gms_xcap_root: on.child_text(NS, "GMS-XCAP-root-URI"),
            cms_xcap_root: on.child_text(NS, "CMS-XCAP-root-URI"),
            integrity_protection: on
                .child_bool(NS, "integrity-protection-enabled")?
                .unwrap_or(true),
            confidentiality_protection: on
                .child_bool(NS, "confidentiality-protection-enabled")?
                .unwrap_or(true),
            server_uri: deep(on, "Server-URI").map(Element::trimmed_text),
        })
    }
}

/// `MCPTT-Service-Details/Server-URI` sits at release-dependent depth inside `anyExt`.
fn deep<'e>(element: &'e Element, local: &str) -> Option<&'e Element> {
    element.elements().find_map(|e| {
        if e.local == local {
            Some(e)
        } else {
            deep(e, local)
        }
    })
}
