//! The CSK and what is derived from it: the security association with the MCPTT server
//! (TS 33.180 5.4, 9.2.1).

use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{Csk, CskId, McServiceId, NtpTime};
use mc_media::{MasterKey, Mki};
use mc_xml::security::XmlProtection;
use mikey::{BuildError, CryptoSession, Distribution, KmsCertificate, UserKeys, media_keys};
use rand_core::CryptoRng;

/// A CSK with its identifier and RAND.
#[derive(Debug, Clone)]
pub struct Association {
    csk: Csk,
    id: CskId,
    rand: [u8; 16],
}

impl Association {
    /// Draws a new CSK.
    #[must_use]
    pub fn new(rng: &mut impl CryptoRng) -> Self {
        let mut rand = [0; 16];
        rng.fill_bytes(&mut rand);
        Self {
            csk: Csk::random(rng),
            id: CskId::random(rng),
            rand,
        }
    }

    /// CSK-ID.
    #[must_use]
    pub const fn id(&self) -> CskId {
        self.id
    }

    /// The CSK.
    #[must_use]
    pub const fn csk(&self) -> &Csk {
        &self.csk
    }

    /// RAND of the I_MESSAGE.
    #[must_use]
    pub const fn rand(&self) -> &[u8; 16] {
        &self.rand
    }

    /// The I_MESSAGE that brings the CSK to the server `mdsi` of the same KMS (E.4). Takes
    /// milliseconds of computation.
    ///
    /// # Errors
    /// See [`BuildError`].
    //= TS 33.180 5.4
    pub fn i_message(
        &self,
        keys: &UserKeys,
        kms: &KmsCertificate,
        mdsi: &str,
        time: NtpTime,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        let distribution = Distribution {
            initiator: keys,
            kms_initiator: kms,
            responder: mdsi,
            kms_responder: kms,
            time,
            rand: self.rand,
            to_self: false,
            key_parameters: None,
        };
        distribution.csk(&self.csk, self.id, rng)
    }

    /// Keys for XML bodies between this user and the server (F.1.4).
    #[must_use]
    pub fn xml(&self, user: &McServiceId) -> XmlProtection {
        let encoding = XpkIdEncoding::default();
        XmlProtection::derive(&self.csk, self.id.key_id(), user.as_str(), encoding)
    }

    /// Key of SRTCP that carries floor control (7.4, CS-ID 6).
    #[must_use]
    pub fn floor_key(&self) -> MasterKey {
        let session = CryptoSession::FloorControl;
        let keys = media_keys(&self.csk, session, self.id.key_id(), &self.rand);
        MasterKey::new(keys.master_key, keys.master_salt)
    }

    /// MKI of floor control packets.
    #[must_use]
    pub const fn mki(&self) -> Mki {
        Mki::Key(self.id.key_id().0)
    }
}
