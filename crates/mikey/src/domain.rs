//! What a KMS gives: the certificate that everybody may have, and a user's own keys.

use mc_ids::annex_f::Uid;
use mc_ids::{KeyPeriod, KmsUri, NtpTime, domain_of, is_in_domain};
use mikey_sakke::{CryptoError, eccsi, sakke};

/// The parts of a KMS certificate that the cryptography needs (TS 33.180 D.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KmsCertificate {
    /// The KMS's name: IDRkmsi or IDRkmsr of messages, and part of every UID.
    pub kms_uri: KmsUri,
    /// `UserKeyPeriod` and `UserKeyOffset`.
    pub period: KeyPeriod,
    /// `PubEncKey`.
    pub encryption: sakke::PublicKey,
    /// `PubAuthKey`.
    pub authentication: eccsi::AuthenticationKey,
    /// Whether the domain is a security gateway, where end-to-end protection ends (Annex L).
    pub is_security_gateway: bool,
    /// The identities this KMS answers for.
    pub domains: Domains,
}

/// The identities a KMS answers for (`KmsDomainList`, TS 33.180 D.3.2.2). A KMS can make keys for
/// any string, so nothing but this list keeps one from speaking for another's users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domains {
    /// All that no other certificate at hand names: a client's own KMS that gives no list.
    Unlisted,
    /// Those of these domains and of domains below them. An empty list is nobody.
    Listed(Vec<String>),
}

impl Domains {
    /// How well the list fits an identity: the length of the longest domain it is in.
    fn fit(&self, identity: &str) -> Option<usize> {
        match self {
            Self::Unlisted => Some(0),
            Self::Listed(domains) => domains
                .iter()
                .filter(|domain| is_in_domain(identity, domain))
                .map(|domain| domain_of(domain).len())
                .max(),
        }
    }
}

/// The certificate of the KMS that answers for an identity: the one that names its domain most
/// closely; of two that do so equally, the first.
//= TS 33.180 5.2.7
pub fn responsible<'c>(
    certificates: impl IntoIterator<Item = &'c KmsCertificate>,
    identity: &str,
) -> Option<&'c KmsCertificate> {
    let mut best: Option<(usize, &KmsCertificate)> = None;
    for certificate in certificates {
        let Some(fit) = certificate.domains.fit(identity) else {
            continue;
        };
        if best.is_none_or(|(longest, _)| fit > longest) {
            best = Some((fit, certificate));
        }
    }
    best.map(|(_, certificate)| certificate)
}

impl KmsCertificate {
    /// UID of an identity of this domain in the key period of a time.
    #[must_use]
    pub fn uid(&self, identity: &str, time: NtpTime) -> Uid {
        Uid::at(identity, &self.kms_uri, self.period, time)
    }

    /// Whether an identity is one of this KMS's domains.
    #[must_use]
    pub fn speaks_for(&self, identity: &str) -> bool {
        self.domains.fit(identity).is_some()
    }
}

/// Why a key set was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("key set of {identity} for key period {number}: {source} (TS 33.180 D.3.3.2)")]
pub struct UserKeysError {
    /// The key set's `UserUri`.
    pub identity: String,
    /// The key set's `KeyPeriodNo`.
    pub number: u64,
    /// What does not hold.
    pub source: CryptoError,
}

/// A validated key set of one identity for one key period.
#[derive(Debug, Clone)]
pub struct UserKeys {
    identity: String,
    kms_uri: KmsUri,
    number: u64,
    uid: Uid,
    decrypt: sakke::ReceiverSecretKey,
    sign: eccsi::SigningKey,
}

impl UserKeys {
    /// Recomputes the UID and checks that RSK, SSK and PVT belong to it. Nothing else makes a
    /// `UserKeys`, so an unvalidated key cannot be used.
    ///
    /// # Errors
    /// When a key is malformed or belongs to another identity, period or KMS.
    pub fn validated(
        kms: &KmsCertificate,
        identity: &str,
        number: u64,
        rsk: &[u8],
        ssk: &[u8],
        pvt: &[u8],
    ) -> Result<Self, UserKeysError> {
        let uid = Uid::of_period(identity, &kms.kms_uri, kms.period, number);
        let error = |source| UserKeysError {
            identity: identity.to_owned(),
            number,
            source,
        };
        let decrypt = sakke::ReceiverSecretKey::from_octets(rsk).map_err(error)?;
        decrypt
            .validate(&kms.encryption, uid.octets())
            .map_err(error)?;
        let sign = eccsi::SigningKey::validated(&kms.authentication, uid.octets(), ssk, pvt);
        Ok(Self {
            identity: identity.to_owned(),
            kms_uri: kms.kms_uri.clone(),
            number,
            uid,
            decrypt,
            sign: sign.map_err(error)?,
        })
    }

    /// The identity the keys belong to, exactly as provisioned.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The KMS that issued the keys.
    #[must_use]
    pub const fn kms_uri(&self) -> &KmsUri {
        &self.kms_uri
    }

    /// Number of the key period the keys are for.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The UID the keys are for.
    #[must_use]
    pub const fn uid(&self) -> &Uid {
        &self.uid
    }

    pub(crate) const fn decrypt(&self) -> &sakke::ReceiverSecretKey {
        &self.decrypt
    }

    pub(crate) const fn sign(&self) -> &eccsi::SigningKey {
        &self.sign
    }
}
