//! KMS certificates (D.3.2.2).

use mc_ids::{KeyPeriod, KmsUri};
use mc_xml::{Element, dom::parse_bool};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;

use crate::date::format_date;
use crate::fields::{Append, Fields, kms};
use crate::{ECCSI_POINT, KMS_NS, KmsDocumentError, SAKKE_POINT};

/// Most entries of a `KmsDomainList` that are read.
const MAX_DOMAINS: usize = 256;

/// Whose KMS a certificate describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The client's own KMS.
    Root,
    /// The KMS of another security domain.
    External,
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Root => "Root",
            Self::External => "External",
        }
    }

    fn parse(text: &str) -> Result<Self, KmsDocumentError> {
        match text {
            "Root" => Ok(Self::Root),
            "External" => Ok(Self::External),
            _ => Err(KmsDocumentError::PeerValue("Role")),
        }
    }
}

/// The public keys and the key-period rule of one KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsCertificate {
    /// Root or External.
    pub role: Option<Role>,
    /// The domain is behind a security gateway: protection ends there (Annex L).
    pub is_security_gateway: bool,
    /// `Id` attribute.
    pub id: Option<String>,
    /// A new certificate with the same value replaces this one (5.3.5).
    pub cert_uri: Option<String>,
    /// Identifier of the KMS.
    pub kms_uri: KmsUri,
    /// Free text.
    pub issuer: Option<String>,
    /// Start of validity.
    pub valid_from: Option<OffsetDateTime>,
    /// End of validity.
    pub valid_to: Option<OffsetDateTime>,
    /// Withdrawn.
    pub revoked: bool,
    /// `2` is the UID of F.2.1.
    pub user_id_format: String,
    /// Length and offset of key periods.
    pub period: KeyPeriod,
    /// SAKKE public key Z, 257 octets.
    pub pub_enc_key: Vec<u8>,
    /// ECCSI public key KPAK, 65 octets.
    pub pub_auth_key: Vec<u8>,
    /// SAKKE parameter set; absent means 1.
    pub parameter_set: Option<u64>,
    /// Domains whose identities belong to this KMS.
    pub domains: Vec<String>,
}

/// Why a certificate cannot be used, though it is well formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// Withdrawn by its KMS.
    #[error("KMS certificate revoked")]
    Revoked,
    /// Before `ValidFrom`.
    #[error("KMS certificate not valid yet")]
    NotYetValid,
    /// After `ValidTo`.
    #[error("KMS certificate expired")]
    Expired,
    /// A `UserIdFormat` other than 2.
    #[error("UserIdFormat not supported")]
    UserIdFormat,
    /// A parameter set other than 1.
    #[error("SAKKE parameter set not supported")]
    ParameterSet,
    /// A public key that is no uncompressed point of the right size.
    #[error("{0} is no uncompressed point")]
    PublicKey(&'static str),
}

impl KmsCertificate {
    /// Reads a `KmsCertificate` or `SignedKmsCertificate` element; a signature is not looked at.
    ///
    /// # Errors
    /// See [`KmsDocumentError`].
    pub fn read(element: &Element) -> Result<Self, KmsDocumentError> {
        if element.is(KMS_NS, "SignedKmsCertificate") {
            return Self::read(Fields(element).needed("KmsCertificate")?);
        }
        element.expect(KMS_NS, "KmsCertificate")?;
        let fields = Fields(element);
        let attribute = |name| fields.attribute(name);
        let gateway = attribute("IsSecurityGateway")
            .map(|text| parse_bool(&text).ok_or(KmsDocumentError::PeerValue("IsSecurityGateway")))
            .transpose()?;
        let period = KeyPeriod::new(
            fields.needed_number("UserKeyPeriod")?,
            fields.needed_number("UserKeyOffset")?,
        );
        Ok(Self {
            role: attribute("Role")
                .map(|text| Role::parse(&text))
                .transpose()?,
            is_security_gateway: gateway.unwrap_or(false),
            id: attribute("Id"),
            cert_uri: fields.text("CertUri")?,
            kms_uri: fields.kms_uri()?,
            issuer: fields.text("Issuer")?,
            valid_from: fields.date("ValidFrom")?,
            valid_to: fields.date("ValidTo")?,
            revoked: fields.boolean("Revoked")?.unwrap_or(false),
            user_id_format: fields.needed_text("UserIdFormat")?,
            period: period.map_err(|_| KmsDocumentError::PeerValue("UserKeyPeriod"))?,
            pub_enc_key: fields.needed_hex("PubEncKey")?,
            pub_auth_key: fields.needed_hex("PubAuthKey")?,
            parameter_set: fields.number("ParameterSet")?,
            domains: domains(fields)?,
        })
    }

    /// Reads a document whose root is a certificate, signed or not.
    ///
    /// # Errors
    /// See [`KmsDocumentError`].
    pub fn parse(octets: &[u8]) -> Result<Self, KmsDocumentError> {
        Self::read(&mc_xml::parse(octets)?)
    }

    /// The `KmsCertificate` element.
    #[must_use]
    pub fn to_element(&self) -> Element {
        let gateway = self.is_security_gateway.then_some("true");
        let mut element = kms("KmsCertificate")
            .attr("Version", "1.1.0")
            .with_attr("Role", self.role.map(Role::as_str))
            .with_attr("IsSecurityGateway", gateway)
            .with_attr("Id", self.id.as_ref())
            .with_some("CertUri", self.cert_uri.as_ref())
            .with("KmsUri", self.kms_uri.as_str())
            .with_some("Issuer", self.issuer.as_ref())
            .with_some("ValidFrom", self.valid_from.map(format_date))
            .with_some("ValidTo", self.valid_to.map(format_date))
            .with("Revoked", if self.revoked { "true" } else { "false" })
            .with("UserIdFormat", &self.user_id_format)
            .with("UserKeyPeriod", &self.period.period().to_string())
            .with("UserKeyOffset", &self.period.offset().to_string())
            .with("PubEncKey", &hex::encode_upper(&self.pub_enc_key))
            .with("PubAuthKey", &hex::encode_upper(&self.pub_auth_key))
            .with_some(
                "ParameterSet",
                self.parameter_set.map(|set| set.to_string()),
            );
        if !self.domains.is_empty() {
            let list = self
                .domains
                .iter()
                .fold(kms("KmsDomainList"), |list, domain| {
                    list.with("KmsDomain", domain)
                });
            element.push(list);
        }
        element
    }

    /// Checks everything but the curve equations, which need the arithmetic.
    ///
    /// # Errors
    /// See [`CertificateProblem`].
    //= TS 33.180 D.3.2.2
    pub fn check(&self, now: OffsetDateTime) -> Result<(), CertificateProblem> {
        if self.revoked {
            return Err(CertificateProblem::Revoked);
        }
        if self.valid_from.is_some_and(|from| now < from) {
            return Err(CertificateProblem::NotYetValid);
        }
        if self.valid_to.is_some_and(|to| now >= to) {
            return Err(CertificateProblem::Expired);
        }
        if self.user_id_format != "2" {
            return Err(CertificateProblem::UserIdFormat);
        }
        if self.parameter_set.is_some_and(|set| set != 1) {
            return Err(CertificateProblem::ParameterSet);
        }
        if !is_point(&self.pub_enc_key, SAKKE_POINT) {
            return Err(CertificateProblem::PublicKey("PubEncKey"));
        }
        if !is_point(&self.pub_auth_key, ECCSI_POINT) {
            return Err(CertificateProblem::PublicKey("PubAuthKey"));
        }
        Ok(())
    }
}

/// What operators compare before a certificate document is trusted: its SHA-256, as `sha256sum`
/// prints it.
#[must_use]
pub fn fingerprint(document: &[u8]) -> String {
    hex::encode(Sha256::digest(document))
}

fn is_point(octets: &[u8], length: usize) -> bool {
    octets.len() == length && octets.first() == Some(&4)
}

fn domains(fields: Fields<'_>) -> Result<Vec<String>, KmsDocumentError> {
    let Some(list) = fields.element("KmsDomainList")? else {
        return Ok(Vec::new());
    };
    let domains: Vec<String> = list
        .all(KMS_NS, "KmsDomain")
        .take(MAX_DOMAINS + 1)
        .map(Element::trimmed_text)
        .collect();
    if domains.len() > MAX_DOMAINS || domains.iter().any(String::is_empty) {
        return Err(KmsDocumentError::PeerValue("KmsDomainList"));
    }
    Ok(domains)
}
