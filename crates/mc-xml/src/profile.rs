//! Names that no schema at hand settles, as switches.

/// Root names and namespaces of two documents whose schemas (TS 24.379 F.4 and F.6) were not
/// available when this was written. UNVERIFIED: each field is what is written, and with
/// [`XmlProfile::strict`] also the only thing that is read.
///
/// ```
/// use mc_xml::XmlProfile;
/// use mc_xml::affiliation_command::AffiliationCommand;
///
/// let profile = XmlProfile {
///     affiliation_command_ns: "urn:3gpp:ns:mcpttAffiliationCommand:1.0".into(),
///     ..XmlProfile::default()
/// };
/// assert!(AffiliationCommand::default().to_xml(&profile).contains("mcpttAffiliationCommand"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlProfile {
    /// Local name of the root of `application/vnd.3gpp.mcptt-signed+xml` (24.379 F.6). Secondary
    /// sources name `signatures` and `signature`; default `signatures`.
    pub signed_root: String,
    /// Namespace of that root; default `urn:3gpp:ns:mcpttSignatures:1.0`.
    pub signed_ns: String,
    /// Namespace of `application/vnd.3gpp.mcptt-affiliation-command+xml` (24.379 F.4); default
    /// `urn:3gpp:ns:affiliationCommand:1.0`.
    pub affiliation_command_ns: String,
    /// Refuses what is spelt otherwise than the other fields say. Off by default: the reader takes
    /// any root around the signatures, and `command-list` in any namespace, because a wrong guess
    /// of ours must not make a correct peer's message unreadable.
    pub strict: bool,
}

impl Default for XmlProfile {
    fn default() -> Self {
        Self {
            signed_root: "signatures".to_owned(),
            signed_ns: "urn:3gpp:ns:mcpttSignatures:1.0".to_owned(),
            affiliation_command_ns: "urn:3gpp:ns:affiliationCommand:1.0".to_owned(),
            strict: false,
        }
    }
}
