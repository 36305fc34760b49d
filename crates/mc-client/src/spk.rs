//! The SPK of an interconnection: one key for all signalling and floor control between two MCX
//! servers (TS 33.180 5.5, 9.3, 9.4).

use std::fmt::Display;
use std::sync::Arc;

use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{Key128 as _, KeyId, Spk, SpkId};
use mc_media::{MasterKey, Mki, SrtcpContext, SsrcHalf};
use mc_runtime::config::Secret;
use mc_trace::{KeyKind, KeyLogEntry};
use mc_xml::security::XmlProtection;
use mikey::{CryptoSession, media_keys};
use serde::Deserialize;

use crate::bodies::{
    BodyConfig, BodyProtection, default_signed_ns, default_signed_root, default_uri_domain,
};

/// Sources of the far end whose replay windows are kept: each leg of a call takes a new one.
const MAX_SOURCES: usize = 16_384;

/// A statically provisioned SPK (TS 33.180 5.5); both servers must be told the same.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpkConfig {
    /// SPK-ID: eight hexadecimal digits, the first of which is 3, the purpose tag of an SPK.
    pub id: String,
    /// The key: 32 hexadecimal digits.
    pub key: Secret,
    /// RAND of the derivation of SRTCP keys (TS 33.180 7.4), where no MIKEY message brings one:
    /// 32 hexadecimal digits.
    pub rand: Secret,
    /// CS-ID of floor control between servers, 0 to 9. No clause names one; default 6, that of
    /// unicast floor control under a CSK (table E.1.3-1).
    #[serde(default = "default_floor_cs_id")]
    pub floor_cs_id: u8,
    /// P0 of the derivation of XML keys (F.1.4), where a CSK has the MC service user ID. The clause
    /// does not say whose ID an SPK has; default none, an empty P0.
    #[serde(default)]
    pub xml_identity: String,
    /// Domain of encrypted URIs in XML attributes, by which they are known (9.3.4.3). Default
    /// `mc-encrypted.invalid`.
    #[serde(default = "default_uri_domain")]
    pub uri_domain: String,
    /// Local name of the root of the signatures' body (TS 24.379 F.6). Default `signatures`; any is
    /// read.
    #[serde(default = "default_signed_root")]
    pub signed_root: String,
    /// Namespace of that root. Default `urn:3gpp:ns:mcpttSignatures:1.0`; any is read.
    #[serde(default = "default_signed_ns")]
    pub signed_ns: String,
    /// P1 of the derivation of XML keys: the four octets of the SPK-ID (`binary`, the default) or its `base64`.
    #[serde(default)]
    pub xml_key_id: XmlKeyId,
}

impl SpkConfig {
    /// A key with everything else at its default.
    #[must_use]
    pub fn new(id: &str, key: Secret, rand: Secret) -> Self {
        Self {
            id: id.to_owned(),
            key,
            rand,
            floor_cs_id: default_floor_cs_id(),
            xml_identity: String::new(),
            uri_domain: default_uri_domain(),
            signed_root: default_signed_root(),
            signed_ns: default_signed_ns(),
            xml_key_id: XmlKeyId::default(),
        }
    }
}

const fn default_floor_cs_id() -> u8 {
    CryptoSession::FloorControl as u8
}

/// How the SPK-ID enters the derivation of XML keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XmlKeyId {
    /// Four octets.
    #[default]
    Binary,
    /// The text of `KeyName`.
    Base64,
}

/// A field of an [`SpkConfig`] that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("spk.{field}: {detail}")]
pub struct SpkError {
    /// The field.
    field: &'static str,
    /// What is wrong with it.
    detail: String,
}

/// An SPK with what is derived from it.
#[derive(Debug, Clone)]
pub struct SpkAssociation {
    id: SpkId,
    spk: Spk,
    rand: [u8; 16],
    session: CryptoSession,
    bodies: BodyProtection,
}

impl SpkAssociation {
    /// Takes over what was provisioned.
    ///
    /// # Errors
    /// [`SpkError`] names the field.
    //= TS 33.180 5.5
    pub fn new(config: &SpkConfig) -> Result<Self, SpkError> {
        let id = u32::from_str_radix(&config.id, 16).map_err(|e| wrong("id", &e))?;
        let id = SpkId::try_from(KeyId(id)).map_err(|e| wrong("id", &e))?;
        let spk = Spk::from_octets(octets("key", config.key.expose())?);
        let encoding = match config.xml_key_id {
            XmlKeyId::Binary => XpkIdEncoding::Binary4,
            XmlKeyId::Base64 => XpkIdEncoding::Base64Ascii,
        };
        let xml = XmlProtection::derive(&spk, id.key_id(), &config.xml_identity, encoding);
        let forms = BodyConfig {
            uri_domain: config.uri_domain.clone(),
            signed_root: config.signed_root.clone(),
            signed_ns: config.signed_ns.clone(),
            ..BodyConfig::default()
        };
        Ok(Self {
            id,
            spk,
            rand: octets("rand", config.rand.expose())?,
            session: session(config.floor_cs_id)?,
            bodies: BodyProtection::new(xml, &forms),
        })
    }

    /// SPK-ID.
    #[must_use]
    pub const fn id(&self) -> SpkId {
        self.id
    }

    /// What protects XML bodies between the two servers.
    #[must_use]
    pub const fn bodies(&self) -> &BodyProtection {
        &self.bodies
    }

    /// Key of SRTCP that carries floor control between the two servers.
    //= TS 33.180 9.4
    #[must_use]
    pub fn floor_key(&self) -> MasterKey {
        let keys = media_keys(&self.spk, self.session, self.id.key_id(), &self.rand);
        MasterKey::from(&keys)
    }

    /// MKI of floor control packets.
    #[must_use]
    pub const fn mki(&self) -> Mki {
        Mki::Key(self.id.key_id().0)
    }

    /// The SRTCP state of the key at this end.
    #[must_use]
    pub fn floor_context(&self) -> Arc<SrtcpContext> {
        SrtcpContext::new(self.mki(), self.floor_key(), MAX_SOURCES)
    }

    /// Entries for the key log of a lab that exports its keys: the SPK and its SRTCP key.
    #[must_use]
    pub fn log_entries(&self) -> [KeyLogEntry; 2] {
        let id = self.id.key_id();
        let keys = media_keys(&self.spk, self.session, id, &self.rand);
        let (key, salt) = (&keys.master_key, &keys.master_salt);
        [
            KeyLogEntry::distributed(KeyKind::Spk, id.0, self.spk.octets(), &self.rand),
            KeyLogEntry::srtp(id.0, self.session as u8, key, salt, &id.octets()),
        ]
    }
}

/// Which SSRCs this end takes under the SPK; the two ends must not be told the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SsrcShare {
    /// Those below 2^31.
    Lower,
    /// The others.
    Upper,
}

impl From<SsrcShare> for SsrcHalf {
    fn from(share: SsrcShare) -> Self {
        match share {
            SsrcShare::Lower => Self::Lower,
            SsrcShare::Upper => Self::Upper,
        }
    }
}

fn wrong(field: &'static str, detail: &dyn Display) -> SpkError {
    SpkError {
        field,
        detail: detail.to_string(),
    }
}

fn octets(field: &'static str, text: &str) -> Result<[u8; 16], SpkError> {
    let bad = || wrong(field, &"32 hexadecimal digits are wanted");
    let mut octets = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return Err(bad());
    }
    for (octet, digits) in octets.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digits = std::str::from_utf8(digits).map_err(|_| bad())?;
        *octet = u8::from_str_radix(digits, 16).map_err(|_| bad())?;
    }
    Ok(octets)
}

fn session(cs_id: u8) -> Result<CryptoSession, SpkError> {
    let all = [
        CryptoSession::PrivateCallInitiator,
        CryptoSession::PrivateCallReceiver,
        CryptoSession::PrivateVideoInitiator,
        CryptoSession::PrivateVideoReceiver,
        CryptoSession::GroupCall,
        CryptoSession::GroupVideo,
        CryptoSession::FloorControl,
        CryptoSession::MulticastFloorControl,
        CryptoSession::TransmissionControl,
        CryptoSession::MulticastTransmissionControl,
    ];
    let found = all.into_iter().find(|session| *session as u8 == cs_id);
    found.ok_or_else(|| wrong("floor_cs_id", &"0 to 9 are defined (table E.1.3-1)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> SpkConfig {
        let secret = |text: &str| Secret::new(text.to_owned());
        let key = secret("28ba74447f037dcc09ad7f2576dc2def");
        SpkConfig::new("3ddd5bf0", key, secret("30333032343661303730646133333265"))
    }

    fn error(change: impl FnOnce(&mut SpkConfig)) -> String {
        let mut config = config();
        change(&mut config);
        SpkAssociation::new(&config).unwrap_err().to_string()
    }

    #[test]
    fn what_both_servers_are_told_alike_is_derived_alike() {
        let association = SpkAssociation::new(&config()).unwrap();
        assert_eq!(association.mki(), Mki::Key(0x3ddd_5bf0));
        assert_eq!(association.bodies().xml().key_name(), "Pd1b8A==");
        let [spk, srtcp] = association.log_entries();
        assert_eq!(spk.key, "28ba74447f037dcc09ad7f2576dc2def");
        assert_eq!(srtcp.mki.as_deref(), Some("3ddd5bf0"));
        let mut other = config();
        other.xml_identity = "sip:mcptt@partner.example".to_owned();
        let other = SpkAssociation::new(&other).unwrap();
        assert_ne!(
            other.bodies().xml().integrity_key(),
            association.bodies().xml().integrity_key()
        );
        let [_, same] = other.log_entries();
        assert_eq!(same.key, srtcp.key);
        let mut other = config();
        other.floor_cs_id = 7;
        let [_, differs] = SpkAssociation::new(&other).unwrap().log_entries();
        assert_ne!(differs.key, srtcp.key);
    }

    #[test]
    fn a_field_that_cannot_be_used_is_named() {
        assert!(error(|c| c.id = "2ddd5bf0".to_owned()).starts_with("spk.id"));
        assert!(error(|c| c.key = Secret::new("28ba".to_owned())).starts_with("spk.key"));
        assert!(error(|c| c.rand = Secret::new("z".repeat(32))).starts_with("spk.rand"));
        assert!(error(|c| c.floor_cs_id = 10).starts_with("spk.floor_cs_id"));
    }
}
