//! The messages that bring one GMK to many members (TS 33.180 5.7), eight encapsulations at a time.

use crate::build::{BuildError, Distribution, Sealed};
use crate::domain::KmsCertificate;
use crate::form::Form;
use mc_ids::annex_f::{self, Uid};
use mc_ids::{Gmk, GmkId, Key128};
use mikey_sakke::{CryptoError, SED_OCTETS, sakke};
use rand_core::CryptoRng;

/// To whom the key is encapsulated, and where that belongs.
struct Recipient<'a> {
    kms: &'a KmsCertificate,
    uid: Uid,
    /// Which of the messages.
    message: usize,
    to_self: bool,
}

impl Distribution<'_> {
    /// Messages with one GMK: the same octets as [`Distribution::gmk`] makes of one after the other,
    /// at about half the time for each.
    ///
    /// A message that cannot be made, for a receiver of another KMS for instance, does not keep back
    /// the others.
    pub fn gmk_batch(
        distributions: &[Distribution<'_>],
        key: &Gmk,
        id: GmkId,
        rng: &mut impl CryptoRng,
    ) -> Vec<Result<Vec<u8>, BuildError>> {
        let sealed = sealed(distributions, key);
        let messages = distributions.iter().zip(sealed);
        messages
            .map(|(distribution, sealed)| distribution.gmk_sealed(key, id, sealed, rng))
            .collect()
    }

    fn gmk_sealed(
        &self,
        key: &Gmk,
        id: GmkId,
        sealed: Result<Sealed, BuildError>,
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, BuildError> {
        let guk_id = annex_f::guk_id(key, id, self.responder);
        // Drawn in the order of a single message: then the same source gives the same octets.
        let mut iv = [0; 16];
        rng.fill_bytes(&mut iv);
        let sealed = sealed?;
        let sign = |signed: &[u8]| self.initiator.sign().sign(signed, rng);
        let key = (key.octets(), guk_id.key_id(), iv);
        self.assemble_sealed(&Form::default(), key, &sealed, sign)
    }
}

/// The key encapsulated for each message, or why the message cannot be made.
fn sealed(distributions: &[Distribution<'_>], key: &Gmk) -> Vec<Result<Sealed, BuildError>> {
    let ssv = sakke::Ssv::new(*key.octets());
    let nothing = Sealed {
        responder: [0; SED_OCTETS],
        to_self: None,
    };
    let mut all: Vec<_> = distributions
        .iter()
        .map(|distribution| distribution.check().map(|()| nothing))
        .collect();
    let mut recipients = recipients(distributions, &all);
    // Recipients of one KMS together: they share its tables.
    recipients.sort_by(|a, b| a.kms.kms_uri.as_str().cmp(b.kms.kms_uri.as_str()));
    for of_kms in recipients.chunk_by(|a, b| a.kms.encryption == b.kms.encryption) {
        for (recipient, data) in of_kms.iter().zip(encapsulated(of_kms, &ssv)) {
            let Some(place) = all.get_mut(recipient.message) else {
                continue;
            };
            match (data, place.as_mut()) {
                (Ok(data), Ok(sealed)) if recipient.to_self => sealed.to_self = Some(data),
                (Ok(data), Ok(sealed)) => sealed.responder = data,
                (Err(error), Ok(_)) => *place = Err(error.into()),
                (_, Err(_)) => {}
            }
        }
    }
    all
}

/// All whom the messages that can be made need the key encapsulated to.
fn recipients<'a, T>(
    distributions: &[Distribution<'a>],
    checked: &[Result<T, BuildError>],
) -> Vec<Recipient<'a>> {
    let mut recipients = Vec::with_capacity(distributions.len());
    let good = distributions.iter().zip(checked).enumerate();
    for (message, (one, _)) in good.filter(|(_, (_, checked))| checked.is_ok()) {
        let recipient = |kms, uid, to_self| Recipient {
            kms,
            uid,
            message,
            to_self,
        };
        recipients.push(recipient(one.kms_responder, one.responder_uid(), false));
        if one.to_self {
            recipients.push(recipient(one.kms_initiator, *one.initiator.uid(), true));
        }
    }
    recipients
}

/// The key encapsulated to recipients of one KMS.
fn encapsulated(
    recipients: &[Recipient<'_>],
    ssv: &sakke::Ssv,
) -> Vec<Result<[u8; SED_OCTETS], CryptoError>> {
    let Some(Recipient { kms, .. }) = recipients.first() else {
        return Vec::new();
    };
    let ids: Vec<_> = recipients
        .iter()
        .map(|recipient| (recipient.uid.octets().as_slice(), ssv))
        .collect();
    match kms.encryption.encapsulate_batch(&ids) {
        Ok(data) => data.into_iter().map(Ok).collect(),
        // Told for each who it is that has no key.
        Err(_) => ids
            .iter()
            .map(|(id, ssv)| kms.encryption.encapsulate(id, ssv))
            .collect(),
    }
}
