//! Making I_MESSAGEs in the form of TS 33.180 Annex E.

use crate::domain::{KmsCertificate, UserKeys};
use crate::form::{Form, Formed};
use crate::key_parameters::KeyParameters;
use crate::wire::{
    ID_SCHEME_MCX_UID, ID_TYPE_URI, IDENTITY_RULE, SAKKE_PARAMETER_SET_1, SIGN_HEADER,
    TIME_NTP_UTC, extension, is_identity, payload, role,
};
use mc_ids::annex_f::{self, Uid};
use mc_ids::{Csk, CskId, Gmk, GmkId, Key128, KeyId, KmsUri, NtpTime, Pck, PckId, Spk, SpkId};
use mikey_sakke::{CryptoError, SED_OCTETS, eccsi, sakke};
use rand_core::CryptoRng;

/// Why a message could not be made. Always this side's doing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// The signer's keys are for another key period than the message's time, or another KMS.
    #[error("{identity}: the keys are for key period {have}, the message is made in {need}")]
    Period {
        /// The signer.
        identity: String,
        /// Period of the keys.
        have: u64,
        /// Period of the message.
        need: u64,
    },
    /// SP beside the empty map, which RFC 4563 5 forbids.
    #[error("an SP payload needs a map with sessions (RFC 4563 5)")]
    PolicyWithEmptyMap,
    /// The responder's KMS is not the one the certificate is of: whoever runs that one could open
    /// the key.
    #[error("KMS {kms} does not answer for {responder} (TS 33.180 5.2.7)")]
    ForeignResponder {
        /// The receiver.
        responder: String,
        /// The KMS of the certificate.
        kms: KmsUri,
    },
    /// A sender or receiver that no receiver reads.
    #[error("{0:?} is no identity: {IDENTITY_RULE}")]
    Identity(String),
    /// A field is too long for its length octets.
    #[error("{0} is too long")]
    TooLong(&'static str),
    /// The cryptography refused.
    #[error(transparent)]
    Crypto(#[from] CryptoError),
}

/// Everything a message needs besides the key: who sends it to whom, and when.
#[derive(Debug, Clone)]
pub struct Distribution<'a> {
    /// Keys of the sender, for the key period of `time`.
    pub initiator: &'a UserKeys,
    /// Certificate of the sender's KMS.
    pub kms_initiator: &'a KmsCertificate,
    /// The receiver's MC service ID or MDSI, exactly as provisioned.
    pub responder: &'a str,
    /// Certificate of the receiver's KMS.
    pub kms_responder: &'a KmsCertificate,
    /// The time of sending. Each message of one sender needs its own.
    pub time: NtpTime,
    /// RAND. For one GMK every member must get the same, because media keys depend on it.
    pub rand: [u8; 16],
    /// Adds a SAKKE-to-self extension, for the sender's other devices and for logging (E.5).
    pub to_self: bool,
    /// What to say of the key (E.6), if anything.
    pub key_parameters: Option<KeyParameters>,
}

/// What signing gives.
pub(crate) type Signed = Result<[u8; eccsi::SIGNATURE_OCTETS], CryptoError>;

/// The key, encapsulated to the receiver, and to the sender where the message says so (E.5).
#[derive(Clone, Copy)]
pub(crate) struct Sealed {
    pub(crate) responder: [u8; SED_OCTETS],
    pub(crate) to_self: Option<[u8; SED_OCTETS]>,
}

impl Distribution<'_> {
    /// A message with a GMK; the CSB-ID is the receiver's GUK-ID (5.2.3, E.2).
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn gmk(
        &self,
        key: &Gmk,
        id: GmkId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        let guk_id = annex_f::guk_id(key, id, self.responder);
        self.key(key.octets(), guk_id.key_id(), rng)
    }

    /// A message with a PCK (E.3).
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn pck(
        &self,
        key: &Pck,
        id: PckId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        self.key(key.octets(), id.key_id(), rng)
    }

    /// A message with a CSK (E.4).
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn csk(
        &self,
        key: &Csk,
        id: CskId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        self.key(key.octets(), id.key_id(), rng)
    }

    /// A message with an SPK (5.5).
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn spk(
        &self,
        key: &Spk,
        id: SpkId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        self.key(key.octets(), id.key_id(), rng)
    }

    /// A message with a key of any purpose, `MuSiK` for instance; the identifier's tag names it. For
    /// a GMK it must be the receiver's GUK-ID.
    ///
    /// # Errors
    /// See [`BuildError`].
    pub fn key(
        &self,
        key: &[u8; 16],
        csb_id: KeyId,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        self.in_form(&Form::default()).key(key, csb_id, rng)
    }

    /// The same distribution, written in a form of its own.
    #[must_use]
    pub const fn in_form<'f>(&'f self, form: &'f Form) -> Formed<'f> {
        Formed::new(self, form)
    }

    /// Encapsulates the key and puts the payloads together; `sign` gets what is signed.
    pub(crate) fn assemble(
        &self,
        form: &Form,
        (key, csb_id, iv): (&[u8; 16], KeyId, [u8; 16]),
        sign: impl FnOnce(&[u8]) -> Signed,
    ) -> Result<Vec<u8>, BuildError> {
        self.check()?;
        let ssv = sakke::Ssv::new(*key);
        let encapsulate =
            |kms: &KmsCertificate, uid: &Uid| kms.encryption.encapsulate(uid.octets(), &ssv);
        let responder = self.responder_uid();
        let sealed = Sealed {
            responder: encapsulate(self.kms_responder, &responder)?,
            to_self: match self.to_self {
                true => Some(encapsulate(self.kms_initiator, self.initiator.uid())?),
                false => None,
            },
        };
        self.assemble_sealed(form, (key, csb_id, iv), &sealed, sign)
    }

    /// The period of the sender's keys, and the receiver's KMS.
    pub(crate) fn check(&self) -> Result<(), BuildError> {
        self.check_period()?;
        self.check_responder()
    }

    /// UID of the receiver.
    pub(crate) fn responder_uid(&self) -> Uid {
        self.kms_responder.uid(self.responder, self.time)
    }

    /// Puts the payloads together.
    pub(crate) fn assemble_sealed(
        &self,
        form: &Form,
        (key, csb_id, iv): (&[u8; 16], KeyId, [u8; 16]),
        sealed: &Sealed,
        sign: impl FnOnce(&[u8]) -> Signed,
    ) -> Result<Vec<u8>, BuildError> {
        //= TS 33.180 E.1.2
        let mut out = form.header(csb_id)?;
        out.extend([payload::RAND, TIME_NTP_UTC]);
        out.extend(self.time.0.to_be_bytes());
        out.extend([payload::IDR, 16]);
        out.extend(self.rand);
        let (from, to) = (self.initiator.identity(), self.responder);
        let responder = self.responder_uid();
        form.put_parties(&mut out, (from, self.initiator.uid()), (to, &responder))?;
        let (kmsi, kmsr) = (&self.kms_initiator.kms_uri, &self.kms_responder.kms_uri);
        put_identity(&mut out, payload::IDR, role::KMS_INITIATOR, kmsi.as_str())?;
        let next = form.after_identities();
        put_identity(&mut out, next, role::KMS_RESPONDER, kmsr.as_str())?;
        form.put_policy(&mut out)?;

        let extensions = self.extensions(key, csb_id, iv, sealed)?;
        let after = |more: bool| {
            if more {
                payload::EXTENSION
            } else {
                payload::SIGN
            }
        };
        let next = after(!extensions.is_empty());
        out.extend(sakke_payload(next, &sealed.responder));
        let last = extensions.len().saturating_sub(1);
        for (index, (kind, data)) in extensions.iter().enumerate() {
            out.extend([after(index < last), *kind]);
            out.extend(length16(data, "an extension")?);
            out.extend(data);
        }
        // The signature covers its own header (RFC 3830 5.2).
        out.extend(SIGN_HEADER);
        let signature = sign(&out)?;
        out.extend(signature);
        Ok(out)
    }

    fn check_period(&self) -> Result<(), BuildError> {
        let need = self.kms_initiator.period.number_at(self.time);
        let uid = self.kms_initiator.uid(self.initiator.identity(), self.time);
        if uid == *self.initiator.uid() {
            return Ok(());
        }
        let identity = self.initiator.identity().to_owned();
        Err(BuildError::Period {
            identity,
            have: self.initiator.number(),
            need,
        })
    }

    fn check_responder(&self) -> Result<(), BuildError> {
        if self.kms_responder.speaks_for(self.responder) {
            return Ok(());
        }
        Err(BuildError::ForeignResponder {
            responder: self.responder.to_owned(),
            kms: self.kms_responder.kms_uri.clone(),
        })
    }

    fn extensions(
        &self,
        key: &[u8; 16],
        csb_id: KeyId,
        iv: [u8; 16],
        sealed: &Sealed,
    ) -> Result<Vec<(u8, Vec<u8>)>, BuildError> {
        let mut extensions = Vec::new();
        if let Some(sealed) = &sealed.to_self {
            extensions.push((
                extension::SAKKE_TO_SELF,
                sakke_payload(payload::LAST, sealed),
            ));
        }
        if let Some(parameters) = &self.key_parameters {
            let data = parameters.protect(key, csb_id, iv);
            let data = data.ok_or(BuildError::TooLong("the key parameters"))?;
            extensions.push((extension::KEY_PARAMETERS, data));
        }
        Ok(extensions)
    }
}

pub(crate) fn put_identity(
    out: &mut Vec<u8>,
    next: u8,
    role: u8,
    identity: &str,
) -> Result<(), BuildError> {
    if !is_identity(identity) {
        return Err(BuildError::Identity(identity.chars().take(255).collect()));
    }
    out.extend([next, role, ID_TYPE_URI]);
    out.extend(length16(identity.as_bytes(), "an identity")?);
    out.extend(identity.as_bytes());
    Ok(())
}

fn sakke_payload(next: u8, sealed: &[u8; SED_OCTETS]) -> Vec<u8> {
    let mut out = vec![next, SAKKE_PARAMETER_SET_1, ID_SCHEME_MCX_UID];
    // 273 octets.
    out.extend([0x01, 0x11]);
    out.extend(sealed);
    out
}

pub(crate) fn length16(data: &[u8], what: &'static str) -> Result<[u8; 2], BuildError> {
    u16::try_from(data.len())
        .map(u16::to_be_bytes)
        .map_err(|_| BuildError::TooLong(what))
}
