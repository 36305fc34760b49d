//! The certificates and key sets a client holds.

use mc_ids::{KmsUri, NtpTime};
use mikey::{KmsCertificate, UserKeys, responsible};

/// Certificates of the own and of other domains, and the user's key sets.
#[derive(Debug, Clone)]
pub struct KeyRing {
    root: KmsCertificate,
    partners: Vec<KmsCertificate>,
    cache_num: Option<u64>,
    keys: Vec<UserKeys>,
}

impl KeyRing {
    /// A ring of validated material.
    #[must_use]
    pub fn new(
        root: KmsCertificate,
        partners: Vec<KmsCertificate>,
        cache_num: Option<u64>,
        keys: Vec<UserKeys>,
    ) -> Self {
        Self {
            root,
            partners,
            cache_num,
            keys,
        }
    }

    /// Certificate of the client's own KMS.
    #[must_use]
    pub const fn root(&self) -> &KmsCertificate {
        &self.root
    }

    /// Version of the partners' certificates.
    #[must_use]
    pub const fn cache_num(&self) -> Option<u64> {
        self.cache_num
    }

    /// All certificates, the own one first.
    pub fn certificates(&self) -> impl Iterator<Item = &KmsCertificate> {
        std::iter::once(&self.root).chain(&self.partners)
    }

    /// The certificate of one KMS.
    #[must_use]
    pub fn certificate(&self, kms_uri: &KmsUri) -> Option<&KmsCertificate> {
        self.certificates()
            .find(|certificate| certificate.kms_uri == *kms_uri)
    }

    /// The certificate to encrypt to an identity with: that of the KMS which answers for it.
    //= TS 33.180 5.2.7
    #[must_use]
    pub fn certificate_for(&self, identity: &str) -> Option<&KmsCertificate> {
        responsible(self.certificates(), identity)
    }

    /// Whether end-to-end protection with an identity ends at a security gateway, because its KMS is
    /// one's (Annex L).
    #[must_use]
    pub fn ends_at_gateway(&self, identity: &str) -> bool {
        self.certificate_for(identity)
            .is_some_and(|certificate| certificate.is_security_gateway)
    }

    /// Takes over the certificates of other domains, all of them.
    pub fn put_partners(&mut self, partners: Vec<KmsCertificate>, cache_num: Option<u64>) {
        self.partners = partners;
        self.cache_num = cache_num;
    }

    /// All key sets, to open messages with.
    #[must_use]
    pub fn keys(&self) -> &[UserKeys] {
        &self.keys
    }

    /// The key set of an identity for the period of `time`, to sign with.
    #[must_use]
    pub fn current(&self, identity: &str, time: NtpTime) -> Option<&UserKeys> {
        let number = self.root.period.number_at(time);
        self.keys
            .iter()
            .find(|keys| keys.identity() == identity && keys.number() == number)
    }

    /// Takes over newer key sets, forgetting periods before the one that preceded `time`'s.
    pub fn renew(&mut self, newer: Self, time: NtpTime) {
        let oldest = newer.root.period.number_at(time).saturating_sub(1);
        let same_master = newer.root == self.root;
        let mut keys = newer.keys;
        if same_master {
            let kept = self
                .keys
                .drain(..)
                .filter(|old| old.number() >= oldest)
                .filter(|old| {
                    let same = |new: &UserKeys| {
                        new.identity() == old.identity() && new.number() == old.number()
                    };
                    !keys.iter().any(same)
                });
            let kept: Vec<_> = kept.collect();
            keys.extend(kept);
        }
        *self = Self { keys, ..newer };
    }

    /// NTP seconds at which the current key period ends.
    #[must_use]
    pub fn period_end(&self, time: NtpTime) -> u64 {
        let period = self.root.period;
        period.start_of(period.number_at(time) + 1)
    }
}
