//! The GMK of a group and the I_MESSAGE that brings it to one member (TS 33.180 5.7, E.2, E.6).

use mc_ids::{Gmk, GmkId, Key128 as _, KeyId, KeyIdError, KeyPurpose, NtpTime};
use mikey::{BuildError, Distribution, KeyParameters, KeyStatus, KmsCertificate, UserKeys};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// A group's master key with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKey {
    /// Identifier.
    pub id: GmkId,
    /// The key.
    pub key: Gmk,
    /// RAND of every I_MESSAGE with this key: media keys depend on it, so all members get the
    /// same one.
    pub rand: [u8; 16],
    /// First second it is sent under, since the Unix epoch; 0 for at once (E.6.4).
    pub activation_s: u64,
}

/// Why a stored key cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredKeyError {
    /// Not the 32 octets that were stored.
    #[error("a stored group key has the wrong length")]
    Length,
    /// The identifier is not one of a GMK.
    #[error(transparent)]
    Id(#[from] KeyIdError),
}

impl GroupKey {
    /// Draws a new key, in use from `activation_s` on.
    pub fn random(activation_s: u64, rng: &mut impl CryptoRng) -> Self {
        let mut rand = [0; 16];
        rng.fill_bytes(&mut rand);
        Self {
            id: GmkId::random(rng),
            key: Gmk::random(rng),
            rand,
            activation_s,
        }
    }

    /// Key and RAND, for sealing.
    #[must_use]
    pub fn secret_octets(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([self.key.octets().as_slice(), &self.rand].concat())
    }

    /// Reads what [`GroupKey::secret_octets`] wrote.
    ///
    /// # Errors
    /// [`StoredKeyError`].
    pub fn from_stored(id: u32, activation_s: u64, octets: &[u8]) -> Result<Self, StoredKeyError> {
        let (key, rand) = octets
            .split_first_chunk::<16>()
            .ok_or(StoredKeyError::Length)?;
        Ok(Self {
            id: GmkId::try_from(KeyId(id))?,
            key: Gmk::from_octets(*key),
            rand: rand.try_into().map_err(|_| StoredKeyError::Length)?,
            activation_s,
        })
    }
}

/// What the key parameters say of a group's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDescription {
    /// Group ID.
    pub group_id: String,
    /// Name for people.
    pub text: String,
    /// The key must not be used any more.
    pub revoked: bool,
    /// A security gateway is a member (TS 33.180 E.6.9).
    pub shared_with_gateway: bool,
}

impl KeyDescription {
    fn parameters(&self, key: &GroupKey) -> KeyParameters {
        let groups = Some(vec![self.group_id.clone()]);
        let status = if self.revoked {
            KeyStatus(0)
        } else {
            KeyStatus::NOT_REVOKED
        };
        let shared = self.shared_with_gateway;
        KeyParameters {
            status: if shared {
                status.shared_with_gateway()
            } else {
                status
            },
            activation: key.activation_s,
            text: self.text.clone(),
            ..KeyParameters::in_use(KeyPurpose::Gmk, groups)
        }
    }
}

/// A member who is to get the key.
#[derive(Clone, Copy, Debug)]
pub struct Receiver<'a> {
    /// MC service ID.
    pub member: &'a str,
    /// The KMS that answers for it.
    pub kms: &'a KmsCertificate,
    /// Time of its message, another one for each.
    pub time: NtpTime,
}

/// The I_MESSAGEs for some members: signed with a key of the own KMS, encrypted to each under the KMS
/// that answers for it. Takes about half a millisecond of a processor for each: not for an async
/// worker. A member that can get none, such as one in whose key period the sender has no key set, does
/// not keep back the others.
pub fn i_messages(
    (initiator, kms_initiator): (&UserKeys, &KmsCertificate),
    receivers: &[Receiver<'_>],
    key: &GroupKey,
    description: &KeyDescription,
    rng: &mut impl CryptoRng,
) -> Vec<Result<Vec<u8>, BuildError>> {
    //= TS 33.180 5.7
    let parameters = description.parameters(key);
    let distributions = receivers.iter().map(|receiver| Distribution {
        initiator,
        kms_initiator,
        responder: receiver.member,
        kms_responder: receiver.kms,
        time: receiver.time,
        rand: key.rand,
        to_self: false,
        key_parameters: Some(parameters.clone()),
    });
    let distributions: Vec<_> = distributions.collect();
    Distribution::gmk_batch(&distributions, &key.key, key.id, rng)
}
