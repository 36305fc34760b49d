//! The PCK of one private call (TS 33.180 5.6, 7.4.1): made by the caller, delivered to the called.

use mc_ids::{KeyPurpose, McServiceId, NtpTime, Pck, PckId};
use mc_media::Mki;
use mikey::{
    BuildError, CryptoSession, DistributedKey, Distribution, KeyParameters, KeyStatus,
    KmsCertificate, MediaKeys, Opened, UserKeys, media_keys,
};
use rand_core::CryptoRng;

/// A PCK with its identifier, its RAND and our side of the call.
#[derive(Debug, Clone)]
pub(crate) struct PrivateCallKey {
    pck: Pck,
    id: PckId,
    rand: Vec<u8>,
    initiator: bool,
    status: KeyStatus,
}

/// Why a verified message does not key this call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PckRefused {
    /// It carries another kind of key.
    #[error("the message carries no PCK (TS 33.180 E.3)")]
    NoPck,
    /// Somebody else than the caller signed it.
    #[error("the PCK is not signed by the caller {0} (TS 33.180 5.6)")]
    Signer(McServiceId),
    /// Its status says that it must not be used.
    #[error("the PCK is revoked (TS 33.180 E.6.9)")]
    Revoked,
}

impl PrivateCallKey {
    /// Draws the key of a call we make.
    pub(crate) fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut rand = vec![0; 16];
        rng.fill_bytes(&mut rand);
        Self {
            pck: Pck::random(rng),
            id: PckId::random(rng),
            rand,
            initiator: true,
            status: KeyStatus::NOT_REVOKED,
        }
    }

    /// The same key, known to be held by a security gateway.
    //= TS 33.180 E.6.9
    #[must_use]
    pub(crate) fn shared_with_gateway(mut self) -> Self {
        self.status = self.status.shared_with_gateway();
        self
    }

    /// Whether a security gateway holds it, as far as its maker knows.
    pub(crate) const fn is_shared_with_gateway(&self) -> bool {
        self.status.is_shared_with_gateway()
    }

    /// Takes over the key of a call that came in: it must be a PCK of the caller.
    pub(crate) fn delivered(
        opened: &Opened,
        caller: &McServiceId,
        kms_initiator: &KmsCertificate,
    ) -> Result<Self, PckRefused> {
        let DistributedKey::Pck { key, id } = &opened.key else {
            return Err(PckRefused::NoPck);
        };
        //= TS 33.180 5.2.6
        if !opened.confirm_initiator(caller.as_str(), kms_initiator) {
            return Err(PckRefused::Signer(caller.clone()));
        }
        let parameters = opened.key_parameters.as_ref();
        let status = parameters.map_or(KeyStatus::NOT_REVOKED, |parameters| parameters.status);
        if status.is_revoked() {
            return Err(PckRefused::Revoked);
        }
        Ok(Self {
            pck: key.clone(),
            id: *id,
            rand: opened.rand.clone(),
            initiator: false,
            status,
        })
    }

    /// The same key at the other party.
    #[cfg(test)]
    pub(crate) fn far_end(&self) -> Self {
        Self {
            initiator: !self.initiator,
            ..self.clone()
        }
    }

    /// PCK-ID.
    pub(crate) const fn id(&self) -> PckId {
        self.id
    }

    /// The PCK.
    pub(crate) const fn pck(&self) -> &Pck {
        &self.pck
    }

    /// RAND of the I_MESSAGE.
    pub(crate) fn rand(&self) -> &[u8] {
        &self.rand
    }

    /// MKI of every packet of the call.
    pub(crate) const fn mki(&self) -> Mki {
        Mki::Key(self.id.key_id().0)
    }

    /// The crypto session of what we send.
    pub(crate) const fn sending(&self) -> CryptoSession {
        if self.initiator {
            CryptoSession::PrivateCallInitiator
        } else {
            CryptoSession::PrivateCallReceiver
        }
    }

    /// The crypto session of what we receive.
    pub(crate) const fn receiving(&self) -> CryptoSession {
        if self.initiator {
            CryptoSession::PrivateCallReceiver
        } else {
            CryptoSession::PrivateCallInitiator
        }
    }

    /// Media keys of one direction.
    //= TS 33.180 7.4.1
    pub(crate) fn media_keys(&self, session: CryptoSession) -> MediaKeys {
        media_keys(&self.pck, session, self.id.key_id(), &self.rand)
    }

    /// The I_MESSAGE that brings the PCK to `callee`. Takes milliseconds of computation.
    //= TS 33.180 5.6
    pub(crate) fn i_message(
        &self,
        keys: &UserKeys,
        kms: &KmsCertificate,
        callee: (&McServiceId, &KmsCertificate),
        time: NtpTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        let rand = self.rand.as_slice().try_into();
        let rand = rand.map_err(|_| BuildError::TooLong("the RAND"))?;
        let distribution = Distribution {
            initiator: keys,
            kms_initiator: kms,
            responder: callee.0.as_str(),
            kms_responder: callee.1,
            time,
            rand,
            // Recommended where a PCK crosses systems (TS 33.180 E.3.1).
            to_self: kms.kms_uri != callee.1.kms_uri,
            key_parameters: Some(KeyParameters {
                status: self.status,
                ..KeyParameters::in_use(KeyPurpose::Pck, None)
            }),
        };
        distribution.pck(&self.pck, self.id, rng)
    }
}

#[cfg(test)]
mod tests;
