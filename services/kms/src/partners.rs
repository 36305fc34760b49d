//! Certificates of partner domains: what makes one acceptable, and for whom it may speak. Pure.
//!
//! The exchange is manual (TS 33.180 L.3.2: there is no protocol between KMSs): the operators compare
//! the fingerprint of the document by other means, and the importing operator names it.

use kms_protocol::{KmsCertificate, KmsDocumentError, Role, fingerprint};
use mc_ids::{KmsUri, is_in_domain};
use mikey_sakke::eccsi::AuthenticationKey;
use mikey_sakke::sakke::PublicKey;
use time::OffsetDateTime;

use crate::config::Config;

/// Why a partner's certificate is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum PartnerRefused {
    /// Not a certificate document.
    #[error("not a KMS certificate: {0}")]
    Document(#[from] KmsDocumentError),
    /// Not the document the operator confirmed.
    #[error("the document's fingerprint is {actual}, not the one confirmed")]
    Fingerprint {
        /// SHA-256 of the document.
        actual: String,
    },
    /// This KMS's own certificate.
    #[error("the certificate is of this KMS itself")]
    Own,
    /// Revoked, out of date, or of an unknown form.
    #[error("the certificate cannot be used: {0}")]
    Unusable(String),
    /// Nothing says for whom it may speak.
    #[error("the certificate lists no domains: name those it may speak for")]
    NoDomains,
    /// Named by the operator, but not by the certificate.
    #[error("the certificate does not list domain {0}")]
    NotListed(String),
    /// A domain of ours, or of another partner.
    #[error("domain {domain} overlaps with {other} of {of}")]
    Overlap {
        /// A domain of the certificate.
        domain: String,
        /// A domain somebody else answers for.
        other: String,
        /// Whose that is.
        of: KmsUri,
    },
}

/// A document as an operator hands it over.
#[derive(Debug, Clone)]
pub struct Import<'a> {
    /// The octets of the `KmsCertificate` document.
    pub document: &'a [u8],
    /// The fingerprint the operator confirmed.
    pub confirmed: &'a str,
    /// Domains to bind the certificate to; empty: those it lists.
    pub domains: &'a [String],
}

impl Import<'_> {
    /// The certificate as clients get it: External, bound to its domains.
    ///
    /// # Errors
    /// [`PartnerRefused`]; `others` are the partners' certificates there are.
    //= TS 33.180 5.3.4
    pub fn check(
        &self,
        config: &Config,
        others: &[KmsCertificate],
        now: OffsetDateTime,
    ) -> Result<KmsCertificate, PartnerRefused> {
        let actual = fingerprint(self.document);
        if !actual.eq_ignore_ascii_case(self.confirmed) {
            return Err(PartnerRefused::Fingerprint { actual });
        }
        let mut certificate = KmsCertificate::parse(self.document)?;
        if certificate.kms_uri == config.kms_uri {
            return Err(PartnerRefused::Own);
        }
        check_keys(&certificate, now)?;
        certificate.domains = bound_domains(&certificate.domains, self.domains)?;
        certificate.role = Some(Role::External);
        let own = config
            .domains
            .iter()
            .map(|domain| (&config.kms_uri, domain));
        let of_others = others
            .iter()
            .filter(|other| !other.revoked && other.kms_uri != certificate.kms_uri)
            .flat_map(|other| other.domains.iter().map(|domain| (&other.kms_uri, domain)));
        let taken: Vec<_> = own.chain(of_others).collect();
        for domain in &certificate.domains {
            let overlap = taken
                .iter()
                .find(|(_, other)| is_in_domain(domain, other) || is_in_domain(other, domain));
            if let Some((of, other)) = overlap {
                return Err(PartnerRefused::Overlap {
                    domain: domain.clone(),
                    other: (*other).clone(),
                    of: (*of).clone(),
                });
            }
        }
        Ok(certificate)
    }
}

fn check_keys(certificate: &KmsCertificate, now: OffsetDateTime) -> Result<(), PartnerRefused> {
    let unusable = |error: &dyn std::fmt::Display| PartnerRefused::Unusable(error.to_string());
    certificate.check(now).map_err(|e| unusable(&e))?;
    PublicKey::from_octets(&certificate.pub_enc_key).map_err(|e| unusable(&e))?;
    AuthenticationKey::from_octets(&certificate.pub_auth_key).map_err(|e| unusable(&e))?;
    Ok(())
}

/// The operator may narrow what a certificate lists, and name domains for one that lists none.
fn bound_domains(listed: &[String], named: &[String]) -> Result<Vec<String>, PartnerRefused> {
    let stranger = |domain: &&String| !listed.iter().any(|known| is_in_domain(domain, known));
    match (listed, named) {
        ([], []) => Err(PartnerRefused::NoDomains),
        (listed, []) => Ok(listed.to_vec()),
        ([], named) => Ok(named.to_vec()),
        (_, named) => match named.iter().find(stranger) {
            Some(domain) => Err(PartnerRefused::NotListed(domain.clone())),
            None => Ok(named.to_vec()),
        },
    }
}
