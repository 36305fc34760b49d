//! The keys of one user for one key period (D.3.3.2).

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_ids::KmsUri;
use mc_ids::annex_f::Uid;
use mc_xml::Element;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::date::format_date;
use crate::fields::{Append, Fields, kms};
use crate::{KMS_NS, KeyContent, KeyContentError, KmsDocumentError, SSK, TransportKey};

/// How `UserID` is written; readers accept both and never rely on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserIdEncoding {
    /// 44 characters (F.2.1 as reported).
    #[default]
    Base64,
    /// 64 hexadecimal digits, as deployed servers do.
    Hex,
}

/// A user's private keys for one key period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySet {
    /// The issuing KMS.
    pub kms_uri: KmsUri,
    /// The certificate the keys belong to.
    pub cert_uri: Option<String>,
    /// Free text.
    pub issuer: Option<String>,
    /// The identity.
    pub user_uri: String,
    /// `UserID` as written by the KMS.
    pub user_id: String,
    /// Start of the key period.
    pub valid_from: Option<OffsetDateTime>,
    /// End of the key period.
    pub valid_to: Option<OffsetDateTime>,
    /// Number of the key period (P5 of F.2.1).
    pub key_period_no: u64,
    /// Withdrawn.
    pub revoked: bool,
    /// SAKKE RSK.
    pub decrypt_key: KeyContent,
    /// ECCSI SSK.
    pub signing_key: KeyContent,
    /// ECCSI PVT.
    pub token: KeyContent,
}

/// The three keys in the clear, of the right sizes, not yet validated against an identity.
#[derive(Clone)]
pub struct UserKeys {
    /// SAKKE receiver secret key, 257 octets.
    pub rsk: Zeroizing<Vec<u8>>,
    /// ECCSI secret signing key.
    pub ssk: Zeroizing<[u8; SSK]>,
    /// ECCSI public validation token, 65 octets.
    pub pvt: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for UserKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserKeys([354 bytes])")
    }
}

impl KeySet {
    /// Writes a UID in the chosen form.
    #[must_use]
    pub fn encode_user_id(uid: &Uid, encoding: UserIdEncoding) -> String {
        match encoding {
            UserIdEncoding::Base64 => BASE64_STANDARD.encode(uid.octets()),
            UserIdEncoding::Hex => hex::encode(uid.octets()),
        }
    }

    /// The UID that the KMS wrote, from either form.
    #[must_use]
    pub fn uid(&self) -> Option<Uid> {
        let octets = match self.user_id.len() {
            64 => hex::decode(&self.user_id).ok()?,
            44 => BASE64_STANDARD.decode(&self.user_id).ok()?,
            _ => return None,
        };
        octets.try_into().ok().map(Uid)
    }

    /// Reads a `KmsKeySet` element.
    ///
    /// # Errors
    /// See [`KmsDocumentError`].
    pub fn read(element: &Element) -> Result<Self, KmsDocumentError> {
        element.expect(KMS_NS, "KmsKeySet")?;
        let fields = Fields(element);
        let key = |name| KeyContent::read(fields.needed(name)?, name);
        Ok(Self {
            kms_uri: fields.kms_uri()?,
            cert_uri: fields.text("CertUri")?,
            issuer: fields.text("Issuer")?,
            user_uri: fields.needed_text("UserUri")?,
            user_id: fields.needed_text("UserID")?,
            valid_from: fields.date("ValidFrom")?,
            valid_to: fields.date("ValidTo")?,
            key_period_no: fields.needed_number("KeyPeriodNo")?,
            revoked: fields.boolean("Revoked")?.unwrap_or(false),
            decrypt_key: key("UserDecryptKey")?,
            signing_key: key("UserSigningKeySSK")?,
            token: key("UserPubTokenPVT")?,
        })
    }

    /// The `KmsKeySet` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        kms("KmsKeySet")
            .attr("Version", "1.1.0")
            .with("KmsUri", self.kms_uri.as_str())
            .with_some("CertUri", self.cert_uri.as_ref())
            .with_some("Issuer", self.issuer.as_ref())
            .with("UserUri", &self.user_uri)
            .with("UserID", &self.user_id)
            .with_some("ValidFrom", self.valid_from.map(format_date))
            .with_some("ValidTo", self.valid_to.map(format_date))
            .with("KeyPeriodNo", &self.key_period_no.to_string())
            .with("Revoked", if self.revoked { "true" } else { "false" })
            .child(self.decrypt_key.to_element("UserDecryptKey"))
            .child(self.signing_key.to_element("UserSigningKeySSK"))
            .child(self.token.to_element("UserPubTokenPVT"))
    }

    /// The three keys in the clear, unwrapped with one of `trks` where needed.
    ///
    /// # Errors
    /// See [`KeyContentError`].
    pub fn keys(&self, trks: &[TransportKey]) -> Result<UserKeys, KeyContentError> {
        Ok(UserKeys {
            rsk: self.decrypt_key.sakke_point(trks)?,
            ssk: self.signing_key.scalar(trks)?,
            pvt: self.token.eccsi_point(trks)?,
        })
    }
}
