//! The choices that Annex E leaves to the sender, and the forms that peers of other makes send.

use crate::build::{BuildError, Distribution, length16, put_identity};
use crate::message::CsIdMap;
use crate::policy::Policy;
use crate::wire::{
    DATA_TYPE_SAKKE, ID_TYPE_BYTES, ID_TYPE_URI, PRF_HMAC_SHA_256, VERSION, payload, role,
};
use mc_ids::KeyId;
use mc_ids::annex_f::Uid;
use rand_core::CryptoRng;

/// How the two ends are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Identities {
    /// By URI: IDRi and IDRr.
    #[default]
    Uri,
    /// By UID: IDRuidi and IDRuidr, so that nobody else learns who they are (E.7).
    Uid,
    /// By both.
    Both,
}

/// The ID type octet of a UID. Deployed peers write 1; which is normative is UNVERIFIED, and
/// readers take both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum UidType {
    /// 1, URI, as deployed.
    #[default]
    Uri = ID_TYPE_URI,
    /// 2, byte string (RFC 6043 6.6).
    Bytes = ID_TYPE_BYTES,
}

/// The form of a message. The default is that of Annex E: URIs, no sessions, no SP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// How the two ends are named.
    pub identities: Identities,
    /// The ID type of UIDs.
    pub uid_type: UidType,
    /// The map of the header.
    pub sessions: CsIdMap,
    /// SP payload of policy 0; needs sessions (RFC 4563 5).
    pub policy: Option<Policy>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            identities: Identities::default(),
            uid_type: UidType::default(),
            sessions: CsIdMap::Empty,
            policy: None,
        }
    }
}

impl Form {
    /// HDR (RFC 3830 6.1) with the map.
    pub(crate) fn header(&self, csb_id: KeyId) -> Result<Vec<u8>, BuildError> {
        let mut out = vec![VERSION, DATA_TYPE_SAKKE, payload::TIME, PRF_HMAC_SHA_256];
        out.extend(csb_id.octets());
        let count = |sessions: usize| {
            u8::try_from(sessions).map_err(|_| BuildError::TooLong("the list of sessions"))
        };
        match &self.sessions {
            CsIdMap::Empty => out.extend([0, 1]),
            CsIdMap::Generic(sessions) => {
                out.extend([count(sessions.len())?, 2]);
                for (cs_id, spi) in sessions {
                    // SRTP, no SEQ, one policy with number 0, no session data.
                    out.extend([*cs_id, 0, 1, 0, 0, 0]);
                    let length = u8::try_from(spi.len());
                    out.push(length.map_err(|_| BuildError::TooLong("an SPI"))?);
                    out.extend(spi);
                }
            }
            CsIdMap::SrtpId(sessions) => {
                out.extend([count(sessions.len())?, 0]);
                for session in sessions {
                    out.push(session.policy);
                    out.extend(session.ssrc.to_be_bytes());
                    out.extend(session.roc.to_be_bytes());
                }
            }
        }
        Ok(out)
    }

    /// The identity payloads of initiator and responder; an IDR follows.
    pub(crate) fn put_parties(
        &self,
        out: &mut Vec<u8>,
        (from, from_uid): (&str, &Uid),
        (to, to_uid): (&str, &Uid),
    ) -> Result<(), BuildError> {
        if self.identities != Identities::Uid {
            put_identity(out, payload::IDR, role::INITIATOR, from)?;
            put_identity(out, payload::IDR, role::RESPONDER, to)?;
        }
        if self.identities != Identities::Uri {
            for (role, uid) in [
                (role::UID_INITIATOR, from_uid),
                (role::UID_RESPONDER, to_uid),
            ] {
                out.extend([payload::IDR, role, self.uid_type as u8, 0, 32]);
                out.extend(uid.octets());
            }
        }
        Ok(())
    }

    pub(crate) const fn after_identities(&self) -> u8 {
        if self.policy.is_some() {
            payload::SP
        } else {
            payload::SAKKE
        }
    }

    /// SP (RFC 3830 6.10), if there is one; SAKKE follows.
    pub(crate) fn put_policy(&self, out: &mut Vec<u8>) -> Result<(), BuildError> {
        let Some(policy) = &self.policy else {
            return Ok(());
        };
        if self.sessions == CsIdMap::Empty {
            return Err(BuildError::PolicyWithEmptyMap);
        }
        let mut parameters = Vec::new();
        for (kind, value) in policy {
            let length = u8::try_from(value.len());
            let length = length.map_err(|_| BuildError::TooLong("an SP parameter"))?;
            parameters.extend([*kind, length]);
            parameters.extend(value);
        }
        out.extend([payload::SAKKE, 0, 0]);
        out.extend(length16(&parameters, "the SP payload")?);
        out.extend(parameters);
        Ok(())
    }
}

/// A distribution together with the form it is written in.
#[derive(Debug, Clone, Copy)]
pub struct Formed<'f> {
    distribution: &'f Distribution<'f>,
    form: &'f Form,
}

impl<'f> Formed<'f> {
    pub(crate) const fn new(distribution: &'f Distribution<'f>, form: &'f Form) -> Self {
        Self { distribution, form }
    }

    /// A message with a key of any purpose; for a GMK the identifier must be the receiver's GUK-ID.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn key(
        &self,
        key: &[u8; 16],
        csb_id: KeyId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        let mut iv = [0; 16];
        rng.fill_bytes(&mut iv);
        let keys = self.distribution.initiator;
        let sign = |signed: &[u8]| keys.sign().sign(signed, rng);
        self.distribution
            .assemble(self.form, (key, csb_id, iv), sign)
    }

    /// As [`Self::key`] with a chosen initialisation vector of the key parameters and a chosen
    /// nonce j of the signature, for reproducing published messages only: a nonce that is used
    /// twice or known reveals the SSK.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn key_reproducibly(
        &self,
        key: &[u8; 16],
        csb_id: KeyId,
        iv: [u8; 16],
        j: &[u8],
    ) -> Result<Vec<u8>, BuildError> {
        let keys = self.distribution.initiator;
        let sign = |signed: &[u8]| keys.sign().sign_reproducibly(signed, j);
        self.distribution
            .assemble(self.form, (key, csb_id, iv), sign)
    }
}
