//! From a message as read to a key that may be used (RFC 6509 2.2.2, TS 33.180 5.2).

use crate::domain::{KmsCertificate, UserKeys, responsible};
use crate::key_parameters::KeyParameters;
use crate::message::{Party, Unverified};
use crate::replay::ReplayCache;
use crate::shortened_mask;
use crate::variant::Variant;
use mc_ids::annex_f::{self, Uid};
use mc_ids::{
    Csk, CskId, Gmk, GmkId, GukId, Key128, KeyId, KeyPurpose, KmsUri, NtpTime, Pck, PckId, Spk,
    SpkId,
};
use mikey_sakke::sakke::Ssv;
use mikey_sakke::{CryptoError, SED_OCTETS};
use sha2::{Digest, Sha256};
use std::fmt;
use std::time::Duration;
use zeroize::{Zeroize, Zeroizing};

/// How far a message's time may be off, and which known defects of peers are overlooked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyPolicy {
    /// Largest difference between T and now; `None` for stored messages, such as a GKTP document.
    pub max_skew: Option<Duration>,
    /// Also accepts a signature that leaves out the SIGN header, which two vendors make.
    pub lenient_sign: bool,
}

impl Default for VerifyPolicy {
    /// Live signalling: two minutes, strict.
    fn default() -> Self {
        Self {
            max_skew: Some(Duration::from_secs(120)),
            lenient_sign: false,
        }
    }
}

/// Which known defects of peers are overlooked when a key is taken out. All off by default; each
/// that applied is told by a [`Variant`] of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OpenPolicy {
    /// Also accepts a key whose mask was hashed from g^r without its leading zero octets.
    pub shortened_mask: bool,
    /// Also reads key parameters that were sent without protection (older peers). They are signed
    /// all the same.
    pub plain_key_parameters: bool,
}

/// Why a message was not accepted. A peer is told none of this (TS 33.180 gives one warning text).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No certificate of the initiator's KMS is at hand: a KMS lookup or redirect is due (5.2.8).
    #[error("no certificate of the initiator's KMS {0} is known (TS 33.180 5.2.8)")]
    UnknownKms(KmsUri),
    /// The initiator belongs to another KMS than the one the message names, or to none.
    #[error("KMS {kms} does not answer for {initiator} (TS 33.180 5.2.7)")]
    ForeignInitiator {
        /// IDRi.
        initiator: String,
        /// IDRkmsi.
        kms: KmsUri,
    },
    /// T is too far from now.
    #[error("the message was made {off:?} away from now, {allowed:?} is allowed (RFC 3830 5.4)")]
    Skew {
        /// Distance from now.
        off: Duration,
        /// What the policy allows.
        allowed: Duration,
    },
    /// The message was seen before, or is as old as messages that were forgotten.
    #[error("the message is a replay (RFC 3830 5.4)")]
    Replay,
    /// IDRuidi is not the UID of IDRi.
    #[error("IDRuidi is not the UID of IDRi {0} at the time of the message (TS 33.180 E.7)")]
    HiddenMismatch(String),
    /// The signature does not hold for the initiator at the time of the message.
    #[error("the signature does not hold for {signer}: {source} (RFC 6507 5.2.2){}", named(*.defect))]
    Signature {
        /// Who is said to have signed.
        signer: String,
        /// What does not hold.
        source: CryptoError,
        /// The defect of the peer that explains it, if it is a known one.
        defect: Option<Variant>,
    },
}

/// Why a verified message gives no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The message is for somebody else, or for another key period.
    #[error("none of the {tried} key sets at hand is for {responder} in key period {number}")]
    NotForUs {
        /// Whom the message is for.
        responder: String,
        /// The key period it was made in.
        number: u64,
        /// Key sets tried.
        tried: usize,
    },
    /// The certificate given is not that of IDRkmsr.
    #[error("the message is for a user of KMS {needed}, the certificate is of {given}")]
    OtherKms {
        /// IDRkmsr.
        needed: KmsUri,
        /// The certificate's KMS.
        given: KmsUri,
    },
    /// The encapsulated data does not open.
    #[error("the key does not open: {source} (RFC 6508 6.2.2){}", named(*.defect))]
    Decapsulate {
        /// What does not hold.
        source: CryptoError,
        /// The defect of the peer that explains it, if it is a known one.
        defect: Option<Variant>,
    },
    /// The purpose tag is not defined.
    #[error("key id {0} has no defined purpose (TS 33.180 Annex G)")]
    Purpose(KeyId),
    /// There is nothing for the sender's own devices.
    #[error("the message has no SAKKE-to-self extension (TS 33.180 E.5)")]
    NoToSelf,
}

/// A known defect as the end of an error's text.
fn named(defect: Option<Variant>) -> String {
    let Some(defect) = defect else {
        return String::new();
    };
    let switch = defect.switch().unwrap_or("none");
    format!("; known peer defect: {defect} (switch: {switch})")
}

/// A message whose signature, time and freshness hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    message: Unverified,
}

impl Unverified {
    /// Checks time, domain, signature and freshness, in this order; only a message that passes all enters
    /// the replay cache.
    ///
    /// # Errors
    /// See [`VerifyError`].
    pub fn verify<'c>(
        mut self,
        certificates: impl IntoIterator<Item = &'c KmsCertificate>,
        policy: VerifyPolicy,
        now: NtpTime,
        replay: &mut ReplayCache,
    ) -> Result<Verified, VerifyError> {
        if let Some(allowed) = policy.max_skew {
            let off = self.time.abs_diff(now);
            if off > allowed {
                return Err(VerifyError::Skew { off, allowed });
            }
        }
        let certificates: Vec<&KmsCertificate> = certificates.into_iter().collect();
        let kms = certificates
            .iter()
            .find(|c| c.kms_uri == self.kms_initiator);
        let kms = *kms.ok_or_else(|| VerifyError::UnknownKms(self.kms_initiator.clone()))?;
        self.check_domain(&certificates)?;
        let uid = self.signer(kms)?;
        self.check_signature(kms, &uid, policy)?;
        // Signatures are malleable, so the cache knows a message by what was signed.
        if !replay.insert(self.time, Sha256::digest(&self.signed).into()) {
            return Err(VerifyError::Replay);
        }
        Ok(Verified { message: self })
    }

    /// A KMS makes keys for any string it likes: only its certificate's domains say whose it may.
    //= TS 33.180 5.2.7
    fn check_domain(&self, certificates: &[&KmsCertificate]) -> Result<(), VerifyError> {
        let Some(initiator) = self.initiator.uri.as_deref() else {
            // Hidden: `Opened::confirm_initiator` asks once the URI is known.
            return Ok(());
        };
        match responsible(certificates.iter().copied(), initiator) {
            Some(kms) if kms.kms_uri == self.kms_initiator => Ok(()),
            _ => Err(VerifyError::ForeignInitiator {
                initiator: initiator.to_owned(),
                kms: self.kms_initiator.clone(),
            }),
        }
    }

    fn signer(&self, kms: &KmsCertificate) -> Result<Uid, VerifyError> {
        let of_uri = self
            .initiator
            .uri
            .as_deref()
            .map(|uri| kms.uid(uri, self.time));
        match (of_uri, self.initiator.uid) {
            (Some(computed), Some(sent)) if computed != sent => {
                Err(VerifyError::HiddenMismatch(describe(&self.initiator)))
            }
            (Some(uid), _) | (None, Some(uid)) => Ok(uid),
            (None, None) => Ok(Uid([0; 32])),
        }
    }

    fn check_signature(
        &mut self,
        kms: &KmsCertificate,
        uid: &Uid,
        policy: VerifyPolicy,
    ) -> Result<(), VerifyError> {
        let verify = |signed: &[u8]| {
            kms.authentication
                .verify(uid.octets(), signed, &self.signature)
        };
        let Err(source) = verify(&self.signed) else {
            return Ok(());
        };
        let headless = self.signed.len().saturating_sub(2);
        let headless = self.signed.get(..headless).unwrap_or_default();
        let defect = verify(headless)
            .is_ok()
            .then_some(Variant::SignedWithoutHeader);
        match defect {
            Some(defect) if policy.lenient_sign => {
                self.variants.push(defect);
                Ok(())
            }
            _ => Err(VerifyError::Signature {
                signer: describe(&self.initiator),
                source,
                defect,
            }),
        }
    }
}

/// What a message carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DistributedKey {
    /// A Group Master Key with its identifier and the receiver's own GUK-ID.
    Gmk {
        /// The key.
        key: Gmk,
        /// Its identifier, recovered from the GUK-ID.
        id: GmkId,
        /// The identifier diversified for the receiver.
        guk_id: GukId,
    },
    /// A Private Call Key.
    Pck {
        /// The key.
        key: Pck,
        /// Its identifier.
        id: PckId,
    },
    /// A Client-Server Key.
    Csk {
        /// The key.
        key: Csk,
        /// Its identifier.
        id: CskId,
    },
    /// A Signalling Protection Key.
    Spk {
        /// The key.
        key: Spk,
        /// Its identifier.
        id: SpkId,
    },
    /// A key of another defined purpose, such as `MuSiK`.
    Other {
        /// The purpose.
        purpose: KeyPurpose,
        /// The key.
        key: OtherKey,
        /// Its identifier.
        id: KeyId,
    },
}

/// A key of a purpose that has no type of its own: 16 octets, zeroised.
#[derive(Clone, PartialEq, Eq)]
pub struct OtherKey(Zeroizing<[u8; 16]>);

impl OtherKey {
    /// The secret octets.
    #[must_use]
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for OtherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtherKey [16 bytes]")
    }
}

/// A key and everything its message says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The key.
    pub key: DistributedKey,
    /// Identifier in the header; for a GMK the receiver's GUK-ID.
    pub csb_id: KeyId,
    /// RAND: an input of every media key derived from this key.
    pub rand: Vec<u8>,
    /// When the message was made.
    pub time: NtpTime,
    /// Who signed. A hidden initiator has no URI until [`Opened::confirm_initiator`].
    pub initiator: Party,
    /// Whom the message is for.
    pub responder: Party,
    /// KMS of the initiator.
    pub kms_initiator: KmsUri,
    /// KMS of the responder.
    pub kms_responder: KmsUri,
    /// What the sender says of the key (E.6), if it does.
    pub key_parameters: Option<KeyParameters>,
    /// Forms that differ from the annex's.
    pub variants: Vec<Variant>,
}

impl Opened {
    /// Whether this URI, learnt from protected signalling, is the hidden initiator (TS 33.180 5.2.6).
    #[must_use]
    pub fn confirm_initiator(&self, uri: &str, kms: &KmsCertificate) -> bool {
        let same_kms = kms.kms_uri == self.kms_initiator && kms.speaks_for(uri);
        let uid = kms.uid(uri, self.time);
        match &self.initiator {
            Party {
                uri: Some(sent), ..
            } => same_kms && sent == uri,
            Party { uid: sent, .. } => same_kms && *sent == Some(uid),
        }
    }
}

impl Verified {
    /// The message's octets as signed, header to SIGN header.
    #[must_use]
    pub fn signed(&self) -> &[u8] {
        &self.message.signed
    }

    /// Who signed.
    #[must_use]
    pub const fn initiator(&self) -> &Party {
        &self.message.initiator
    }

    /// Opens the message with the key set that it is for, overlooking nothing.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open<'k>(
        self,
        kms: &KmsCertificate,
        keys: impl IntoIterator<Item = &'k UserKeys>,
    ) -> Result<Opened, OpenError> {
        self.open_with(kms, keys, OpenPolicy::default())
    }

    /// As [`Self::open`], overlooking what the policy says.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_with<'k>(
        self,
        kms: &KmsCertificate,
        keys: impl IntoIterator<Item = &'k UserKeys>,
        policy: OpenPolicy,
    ) -> Result<Opened, OpenError> {
        let (party, encapsulated) = (self.message.responder.clone(), self.message.encapsulated);
        let needed = self.message.kms_responder.clone();
        self.open_as(kms, keys, (&party, needed, &encapsulated), policy)
    }

    /// Opens one's own message by its SAKKE-to-self extension (E.5), on another device or in a log.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_to_self<'k>(
        self,
        kms: &KmsCertificate,
        keys: impl IntoIterator<Item = &'k UserKeys>,
    ) -> Result<Opened, OpenError> {
        let encapsulated = self.message.to_self.ok_or(OpenError::NoToSelf)?;
        let (party, needed) = (
            self.message.initiator.clone(),
            self.message.kms_initiator.clone(),
        );
        let sealed = (&party, needed, &encapsulated);
        self.open_as(kms, keys, sealed, OpenPolicy::default())
    }

    fn open_as<'k>(
        self,
        kms: &KmsCertificate,
        keys: impl IntoIterator<Item = &'k UserKeys>,
        (party, needed, encapsulated): (&Party, KmsUri, &[u8; SED_OCTETS]),
        policy: OpenPolicy,
    ) -> Result<Opened, OpenError> {
        if kms.kms_uri != needed {
            return Err(OpenError::OtherKms {
                needed,
                given: kms.kms_uri.clone(),
            });
        }
        let message = self.message;
        let number = kms.period.number_at(message.time);
        let mut tried = 0;
        let mine = keys
            .into_iter()
            .inspect(|_| tried += 1)
            .find(|keys| is_for(party, keys, number));
        let mine = mine.ok_or_else(|| OpenError::NotForUs {
            responder: describe(party),
            number,
            tried,
        })?;
        let (ssv, defect) = decapsulate(mine, kms, encapsulated, policy)?;
        let key = distributed(&ssv, message.csb_id, mine.identity())?;
        let mut opened = opened(message, key, &ssv, policy);
        opened.variants.extend(defect);
        Ok(opened)
    }
}

fn decapsulate(
    keys: &UserKeys,
    kms: &KmsCertificate,
    sealed: &[u8; SED_OCTETS],
    policy: OpenPolicy,
) -> Result<(Ssv, Option<Variant>), OpenError> {
    let uid = keys.uid().octets();
    let source = match keys.decrypt().decapsulate(&kms.encryption, uid, sealed) {
        Ok(ssv) => return Ok((ssv, None)),
        Err(source) => source,
    };
    let shortened = shortened_mask::decapsulate(keys.decrypt(), &kms.encryption, uid, sealed);
    let defect = shortened.as_ref().map(|_| Variant::ShortenedMask);
    match shortened {
        Some(ssv) if policy.shortened_mask => Ok((ssv, defect)),
        _ => Err(OpenError::Decapsulate { source, defect }),
    }
}

fn is_for(party: &Party, keys: &UserKeys, number: u64) -> bool {
    let by_uri = party
        .uri
        .as_deref()
        .is_none_or(|uri| uri == keys.identity());
    let by_uid = party.uid.as_ref().is_none_or(|uid| uid == keys.uid());
    by_uri && by_uid && keys.number() == number
}

fn distributed(ssv: &[u8; 16], id: KeyId, receiver: &str) -> Result<DistributedKey, OpenError> {
    let purpose = id.purpose().ok_or(OpenError::Purpose(id))?;
    let wrong = |_| OpenError::Purpose(id);
    Ok(match purpose {
        KeyPurpose::Gmk => {
            let (key, guk_id) = (Gmk::from_octets(*ssv), GukId::try_from(id).map_err(wrong)?);
            let id = annex_f::gmk_id(&key, guk_id, receiver);
            DistributedKey::Gmk { key, id, guk_id }
        }
        KeyPurpose::Pck => DistributedKey::Pck {
            key: Pck::from_octets(*ssv),
            id: id.try_into().map_err(wrong)?,
        },
        KeyPurpose::Csk => DistributedKey::Csk {
            key: Csk::from_octets(*ssv),
            id: id.try_into().map_err(wrong)?,
        },
        KeyPurpose::Spk => DistributedKey::Spk {
            key: Spk::from_octets(*ssv),
            id: id.try_into().map_err(wrong)?,
        },
        KeyPurpose::Mkfc | KeyPurpose::Mscck | KeyPurpose::Musik => DistributedKey::Other {
            purpose,
            key: OtherKey(Zeroizing::new(*ssv)),
            id,
        },
    })
}

fn opened(message: Unverified, key: DistributedKey, ssv: &[u8; 16], policy: OpenPolicy) -> Opened {
    let mut variants = message.variants;
    let key_parameters = message.key_parameters.as_deref().and_then(|data| {
        if let Some(protected) = KeyParameters::unprotect(data, ssv, message.csb_id) {
            return Some(protected);
        }
        let plain = Some(data).filter(|_| policy.plain_key_parameters);
        let plain = plain.and_then(KeyParameters::decode_legacy);
        variants.push(match plain {
            Some(_) => Variant::PlainKeyParameters,
            None => Variant::UnreadableKeyParameters,
        });
        plain
    });
    Opened {
        key,
        csb_id: message.csb_id,
        rand: message.rand,
        time: message.time,
        initiator: message.initiator,
        responder: message.responder,
        kms_initiator: message.kms_initiator,
        kms_responder: message.kms_responder,
        key_parameters,
        variants,
    }
}

/// A party in words for an error or a log.
fn describe(party: &Party) -> String {
    match (&party.uri, &party.uid) {
        (Some(uri), _) => uri.clone(),
        (None, Some(uid)) => format!("{uid:?}"),
        (None, None) => "nobody".to_owned(),
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        // RAND is not secret by itself, but belongs to the key material.
        self.rand.zeroize();
    }
}

#[cfg(test)]
mod tests;
