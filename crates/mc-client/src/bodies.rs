//! XML bodies of SIP messages under one XPK: elements and URIs in attributes are encrypted, whole
//! bodies signed (TS 33.180 9.3, TS 24.379 6.6.2, 6.6.3). The XPK is the CSK between a client and
//! its MCPTT server, the SPK between two servers; nothing here knows which.

mod config;
mod resolved_alias;

use mc_sip::mcptt::media;
use mc_sip::{BodyPart, McWarning, Multipart, StatusCode, token};
use mc_xml::XmlProfile;
use mc_xml::affiliation::AffiliationPresence;
use mc_xml::conference_info::ConferenceInfo;
use mc_xml::mcptt_info::McpttInfo;
use mc_xml::resource_lists::ResourceLists;
use mc_xml::security::signed_body::{Part, sign_parts, verify_parts};
use mc_xml::security::uri::EncryptedUri;
use mc_xml::security::{SecurityError, XmlProtection};
use rand_core::CryptoRng;

pub use config::BodyConfig;
pub(crate) use config::{default_signed_ns, default_signed_root, default_uri_domain};
pub use resolved_alias::ResolvedAlias;

/// Names a body part, so that a signature can name it.
const CONTENT_ID: &str = "Content-ID";

/// What protects bodies between two parties.
#[derive(Debug, Clone)]
pub struct BodyProtection {
    xml: XmlProtection,
    uri_domain: String,
    profile: XmlProfile,
}

impl BodyProtection {
    /// Under these keys, in the forms both parties are told.
    #[must_use]
    pub fn new(xml: XmlProtection, config: &BodyConfig) -> Self {
        Self {
            xml,
            uri_domain: config.uri_domain.clone(),
            profile: XmlProfile {
                signed_root: config.signed_root.clone(),
                signed_ns: config.signed_ns.clone(),
                ..XmlProfile::default()
            },
        }
    }

    /// The keys (TS 33.180 F.1.4).
    #[must_use]
    pub const fn xml(&self) -> &XmlProtection {
        &self.xml
    }

    /// The encrypted form of a URI, for an XML attribute.
    //= TS 33.180 9.3.4.3
    #[must_use]
    pub fn seal_uri(&self, uri: &str, rng: &mut impl CryptoRng) -> String {
        EncryptedUri::seal(uri, &self.uri_domain, &self.xml, rng).to_string()
    }

    /// The URI of an XML attribute; `None` inside when it is in clear.
    ///
    /// # Errors
    /// [`SecurityError`] when the attribute has the encrypted form and does not open.
    pub fn open_uri(&self, attribute: &str) -> Result<Option<String>, SecurityError> {
        if !EncryptedUri::recognises(attribute, &self.uri_domain) {
            return Ok(None);
        }
        EncryptedUri::parse(attribute)?.open(&self.xml).map(Some)
    }

    /// Signs the XML parts of a message: each gets a Content-ID, the signatures are a part of their
    /// own. A message without XML parts stays as it is.
    //= TS 24.379 6.6.3
    #[must_use]
    pub fn sign(&self, mut parts: Multipart, rng: &mut impl CryptoRng) -> Multipart {
        if !parts.parts.iter().any(is_xml) {
            return parts;
        }
        for part in parts.parts.iter_mut().filter(|part| is_xml(part)) {
            let id = format!("<{}@{}>", token::hex(rng, 8), self.uri_domain);
            part.headers.set(CONTENT_ID, id);
        }
        let signed = sign_parts(&signable(&parts), &self.xml, &self.profile);
        parts.with(BodyPart::new(media::MCPTT_SIGNED, signed))
    }

    /// Verifies the signatures over all XML parts of a message; false when there are none.
    ///
    /// # Errors
    /// [`SecurityError`] when a part is not signed, or was changed since.
    //= TS 24.379 6.6.3
    pub fn verify(&self, parts: &Multipart) -> Result<bool, SecurityError> {
        let Some(signed) = parts.get(media::MCPTT_SIGNED) else {
            return Ok(false);
        };
        let signable = signable(parts);
        if signable.len() != parts.parts.iter().filter(|part| is_xml(part)).count() {
            return Err(SecurityError::PeerStructure("a part without Content-ID"));
        }
        verify_parts(&signed.content, &signable, &self.xml, &self.profile).map(|()| true)
    }
}

fn is_xml(part: &BodyPart) -> bool {
    part.media_type.ends_with("+xml") && part.media_type != media::MCPTT_SIGNED
}

/// The XML parts that have a name to sign them by.
fn signable(parts: &Multipart) -> Vec<Part<'_>> {
    let xml = parts.parts.iter().filter(|part| is_xml(part));
    xml.filter_map(|part| {
        let id = part.headers.get(CONTENT_ID)?.trim();
        Some(Part {
            content_id: id.strip_prefix('<')?.strip_suffix('>')?,
            octets: &part.transmitted,
        })
    })
    .collect()
}

/// How bodies for a peer are made.
#[derive(Debug, Clone, Copy)]
pub struct Seal<'a> {
    encrypt: Option<&'a BodyProtection>,
    sign: Option<&'a BodyProtection>,
}

impl<'a> Seal<'a> {
    /// Everything in clear.
    pub const CLEAR: Self = Self {
        encrypt: None,
        sign: None,
    };

    /// Encrypted and signed.
    #[must_use]
    pub const fn full(keys: &'a BodyProtection) -> Self {
        Self {
            encrypt: Some(keys),
            sign: Some(keys),
        }
    }

    /// As it is configured; in clear without keys.
    #[must_use]
    pub fn configured(keys: Option<&'a BodyProtection>, config: &BodyConfig) -> Self {
        Self {
            encrypt: keys.filter(|_| config.encrypt),
            sign: keys.filter(|_| config.sign),
        }
    }

    /// An mcptt-info part.
    //= TS 24.379 6.6.2
    #[must_use]
    pub fn info(&self, mut info: McpttInfo, rng: &mut impl CryptoRng) -> BodyPart {
        if let Some(keys) = self.encrypt {
            info.encrypt(keys.xml(), rng);
        }
        BodyPart::new(media::MCPTT_INFO, info.to_xml())
    }

    /// A URI for an XML attribute.
    //= TS 33.180 9.3.4.3
    #[must_use]
    pub fn attribute(&self, uri: &str, rng: &mut impl CryptoRng) -> String {
        match self.encrypt {
            Some(keys) => keys.seal_uri(uri, rng),
            None => uri.to_owned(),
        }
    }

    /// A pidf part of affiliations or functional aliases.
    #[must_use]
    pub fn presence(
        &self,
        mut presence: AffiliationPresence,
        rng: &mut impl CryptoRng,
    ) -> BodyPart {
        for uri in uris(&mut presence) {
            *uri = self.attribute(uri, rng);
        }
        BodyPart::new(media::PIDF, presence.to_xml())
    }

    /// The state of a conference.
    #[must_use]
    pub fn conference(&self, mut state: ConferenceInfo, rng: &mut impl CryptoRng) -> BodyPart {
        state.entity = self.attribute(&state.entity, rng);
        for user in &mut state.users {
            user.entity = self.attribute(&user.entity, rng);
        }
        BodyPart::new(media::CONFERENCE_INFO, state.to_xml())
    }

    /// A resource list of called parties.
    #[must_use]
    pub fn recipients(&self, uris: &[&str], rng: &mut impl CryptoRng) -> BodyPart {
        let uris = uris.iter().map(|uri| self.attribute(uri, rng)).collect();
        let part = BodyPart::new(media::RESOURCE_LISTS, ResourceLists { uris }.to_xml());
        part.with(mc_sip::name::CONTENT_DISPOSITION, "recipient-list")
    }

    /// The parts of a message with their signatures.
    //= TS 24.379 6.6.3
    #[must_use]
    pub fn sign(&self, parts: Multipart, rng: &mut impl CryptoRng) -> Multipart {
        match self.sign {
            Some(keys) => keys.sign(parts, rng),
            None => parts,
        }
    }
}

/// The attributes of a pidf that name users, groups and aliases; a client's UUID names nobody.
fn uris(presence: &mut AffiliationPresence) -> impl Iterator<Item = &mut String> {
    let tuples = presence.tuples.iter_mut().flat_map(|tuple| {
        let groups = tuple.affiliations.iter_mut();
        let groups = groups.filter_map(|affiliation| affiliation.group.as_mut());
        let id = Some(&mut tuple.id).filter(|id| !id.starts_with("urn:"));
        let aliases = tuple.functional_aliases.iter_mut();
        id.into_iter().chain(groups).chain(aliases)
    });
    std::iter::once(&mut presence.entity).chain(tuples)
}

/// What bodies of a peer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// No value may be in clear.
    pub encryption: bool,
    /// Every XML body must be signed.
    pub signature: bool,
}

/// Why bodies of a peer are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyRefused {
    /// They cannot be read.
    #[error("malformed body")]
    Malformed,
    /// A value is in clear and must not be, or does not open.
    #[error("body in clear or under another key")]
    Undecryptable,
    /// A body is not signed and must be, or was changed since.
    #[error("body unsigned or changed")]
    Unsigned,
}

impl BodyRefused {
    /// Status and warning that tell the peer.
    //= TS 24.379 4.4.2
    #[must_use]
    pub const fn answer(self) -> (StatusCode, Option<McWarning>) {
        match self {
            Self::Malformed => (StatusCode::BAD_REQUEST, None),
            Self::Undecryptable => (StatusCode::FORBIDDEN, Some(McWarning::UnableToDecryptXml)),
            Self::Unsigned => (StatusCode::FORBIDDEN, Some(McWarning::IntegrityCheckFailed)),
        }
    }
}

impl Demand {
    /// Anything is taken.
    pub const NOTHING: Self = Self {
        encryption: false,
        signature: false,
    };

    /// The mcptt-info of a message in clear, once all bodies are what they must be.
    ///
    /// # Errors
    /// See [`BodyRefused`]; what does not decrypt is told before what is not signed.
    pub fn open(
        self,
        parts: &Multipart,
        keys: Option<&BodyProtection>,
    ) -> Result<McpttInfo, BodyRefused> {
        let part = parts.get(media::MCPTT_INFO).ok_or(BodyRefused::Malformed)?;
        let info = self.info(part, keys)?;
        self.verify(parts, keys)?;
        Ok(info)
    }

    /// One mcptt-info part in clear.
    ///
    /// # Errors
    /// [`BodyRefused::Malformed`] and [`BodyRefused::Undecryptable`].
    //= TS 24.379 6.6.2
    pub fn info(
        self,
        part: &BodyPart,
        keys: Option<&BodyProtection>,
    ) -> Result<McpttInfo, BodyRefused> {
        let mut info = McpttInfo::parse(&part.content).map_err(|_| BodyRefused::Malformed)?;
        if self.encryption && info.has_clear() {
            return Err(BodyRefused::Undecryptable);
        }
        if info.is_protected() {
            let keys = keys.ok_or(BodyRefused::Undecryptable)?;
            let opened = info.decrypt(keys.xml());
            opened.map_err(|_| BodyRefused::Undecryptable)?;
        }
        Ok(info)
    }

    /// Checks the signatures of a message.
    ///
    /// # Errors
    /// [`BodyRefused::Unsigned`].
    //= TS 24.379 6.6.3
    pub fn verify(
        self,
        parts: &Multipart,
        keys: Option<&BodyProtection>,
    ) -> Result<(), BodyRefused> {
        let signed = match keys {
            Some(keys) => keys.verify(parts).map_err(|_| BodyRefused::Unsigned)?,
            None => false,
        };
        if self.signature && !signed && parts.parts.iter().any(is_xml) {
            return Err(BodyRefused::Unsigned);
        }
        Ok(())
    }

    /// The URI of an XML attribute in clear.
    ///
    /// # Errors
    /// [`BodyRefused::Undecryptable`].
    //= TS 33.180 9.3.4.3
    pub fn attribute(
        self,
        value: &str,
        keys: Option<&BodyProtection>,
    ) -> Result<String, BodyRefused> {
        match keys.map(|keys| keys.open_uri(value)) {
            Some(Ok(Some(uri))) => Ok(uri),
            Some(Ok(None)) | None if !self.encryption => Ok(value.to_owned()),
            Some(Ok(None) | Err(_)) | None => Err(BodyRefused::Undecryptable),
        }
    }

    /// A pidf part of affiliations or functional aliases, its attributes in clear.
    ///
    /// # Errors
    /// [`BodyRefused::Malformed`] and [`BodyRefused::Undecryptable`].
    pub fn presence(
        self,
        part: &BodyPart,
        keys: Option<&BodyProtection>,
    ) -> Result<AffiliationPresence, BodyRefused> {
        let presence = AffiliationPresence::parse(&part.content);
        let mut presence = presence.map_err(|_| BodyRefused::Malformed)?;
        for uri in uris(&mut presence) {
            *uri = self.attribute(uri, keys)?;
        }
        Ok(presence)
    }
}

#[cfg(test)]
mod tests;
