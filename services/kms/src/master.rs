//! The master secrets and what is computed with them.

use mc_ids::annex_f::Uid;
use mikey_sakke::CryptoError;
use mikey_sakke::eccsi::{AuthenticationKey, AuthenticationSecret, SigningKey};
use mikey_sakke::sakke::{MasterSecret, PublicKey, ReceiverSecretKey};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

const RSK: usize = mikey_sakke::POINT_OCTETS;
const SSK: usize = mikey_sakke::eccsi::SCALAR_OCTETS;
const PVT: usize = mikey_sakke::eccsi::POINT_OCTETS;

/// KSAK and z with their public keys.
#[derive(Debug)]
pub struct Master {
    ksak: AuthenticationSecret,
    z: MasterSecret,
    kpak: AuthenticationKey,
    sakke: PublicKey,
}

impl Master {
    /// Draws new master secrets.
    ///
    /// # Errors
    /// When the random source is broken.
    pub fn generate(rng: &mut impl CryptoRng) -> Result<Self, CryptoError> {
        Self::new(
            AuthenticationSecret::random(rng)?,
            MasterSecret::random(rng),
        )
    }

    /// Reads stored master secrets.
    ///
    /// # Errors
    /// When they are out of range.
    pub fn from_octets(ksak: &[u8], z: &[u8]) -> Result<Self, CryptoError> {
        Self::new(
            AuthenticationSecret::from_octets(ksak)?,
            MasterSecret::from_octets(z)?,
        )
    }

    fn new(ksak: AuthenticationSecret, z: MasterSecret) -> Result<Self, CryptoError> {
        let (kpak, sakke) = (ksak.public_key(), z.public_key()?);
        Ok(Self {
            ksak,
            z,
            kpak,
            sakke,
        })
    }

    /// KSAK, to be sealed.
    #[must_use]
    pub fn ksak_octets(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.ksak.octets().to_vec())
    }

    /// z, to be sealed.
    #[must_use]
    pub fn z_octets(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(self.z.octets().to_vec())
    }

    /// `PubAuthKey`: KPAK.
    #[must_use]
    pub fn pub_auth_key(&self) -> Vec<u8> {
        self.kpak.octets().to_vec()
    }

    /// `PubEncKey`: Z.
    #[must_use]
    pub fn pub_enc_key(&self) -> Vec<u8> {
        self.sakke.octets().to_vec()
    }

    /// Computes the keys of some UIDs, in their order; from three on each takes half the time. Takes
    /// a third of a millisecond for each: not on an async worker.
    ///
    /// # Errors
    /// When the random source is broken or a result does not verify; no keys are issued then.
    pub fn issue(
        &self,
        uids: &[Uid],
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<IssuedKeys>, CryptoError> {
        let ids: Vec<&[u8]> = uids.iter().map(|uid| uid.octets().as_slice()).collect();
        let rsks = self.z.issue_batch(&ids)?;
        let of_both = ids.into_iter().zip(rsks);
        of_both
            .map(|(id, rsk)| Ok(IssuedKeys::new(&rsk, &self.ksak.issue(id, rng)?)))
            .collect()
    }

    /// As [`Self::issue`] with a chosen v, for reproducing published values only.
    ///
    /// # Errors
    /// When v gives no key.
    pub fn issue_reproducibly(&self, uid: &Uid, v: &[u8]) -> Result<IssuedKeys, CryptoError> {
        let signing = self.ksak.issue_reproducibly(uid.octets(), v)?;
        Ok(IssuedKeys::new(&self.z.issue(uid.octets())?, &signing))
    }

    /// Checks keys as a client does (RFC 6507 5.1.2, RFC 6508 6.1.2).
    ///
    /// # Errors
    /// When they do not belong to the UID and these master secrets.
    pub fn validate(&self, uid: &Uid, keys: &IssuedKeys) -> Result<(), CryptoError> {
        SigningKey::validated(&self.kpak, uid.octets(), keys.ssk(), keys.pvt())?;
        ReceiverSecretKey::from_octets(keys.rsk())?.validate(&self.sakke, uid.octets())
    }
}

/// The private keys of one UID: RSK, SSK, PVT in this order.
#[derive(Clone, PartialEq, Eq)]
pub struct IssuedKeys(Zeroizing<Vec<u8>>);

impl std::fmt::Debug for IssuedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IssuedKeys([{} bytes])", self.0.len())
    }
}

impl IssuedKeys {
    fn new(rsk: &ReceiverSecretKey, signing: &SigningKey) -> Self {
        let (rsk, ssk) = (rsk.octets(), signing.ssk());
        let octets = [rsk.as_slice(), ssk.as_slice(), signing.pvt()].concat();
        Self(Zeroizing::new(octets))
    }

    /// Takes keys back from the store.
    #[must_use]
    pub fn from_octets(octets: Zeroizing<Vec<u8>>) -> Option<Self> {
        (octets.len() == RSK + SSK + PVT).then_some(Self(octets))
    }

    /// All octets, to be sealed.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.0
    }

    /// SAKKE receiver secret key.
    #[must_use]
    pub fn rsk(&self) -> &[u8] {
        self.0.get(..RSK).unwrap_or_default()
    }

    /// ECCSI secret signing key.
    #[must_use]
    pub fn ssk(&self) -> &[u8] {
        self.0.get(RSK..RSK + SSK).unwrap_or_default()
    }

    /// ECCSI public validation token.
    #[must_use]
    pub fn pvt(&self) -> &[u8] {
        self.0.get(RSK + SSK..).unwrap_or_default()
    }
}
