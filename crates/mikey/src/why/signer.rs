//! The signature and the UID behind it.

use super::inputs::Inputs;
use super::{KeySetAtHand, Outcome, Why};
use crate::domain::KmsCertificate;
use crate::message::Unverified;
use crate::variant::Variant;
use mc_ids::annex_f::Uid;

pub(super) fn check(
    why: &mut Why,
    message: &Unverified,
    kms: &KmsCertificate,
    keys: &[KeySetAtHand],
) {
    let number = kms.period.number_at(message.time);
    let sent = message.initiator.uid;
    let uri = message.initiator.uri.clone();
    // A hidden signer may be one of the identities at hand.
    let known = keys
        .iter()
        .find(|k| Some(kms.uid(&k.uri, message.time)) == sent);
    let identity = uri.or_else(|| known.map(|k| k.uri.clone()));
    let inputs = identity.map(|identity| Inputs::new(&identity, kms, number));
    if let (Some(inputs), Some(sent)) = (&inputs, sent) {
        let other = inputs.search(message.time, true, |uid| uid == sent.octets());
        let same = Uid(inputs.uid()) == sent;
        let outcome = if same { Outcome::Holds } else { Outcome::Fails };
        why.add(
            "IDRuidi",
            format!("{:?}", Uid(inputs.uid())),
            format!("{sent:?}"),
            outcome,
        );
        why.signer = inputs.compared(other.as_ref());
    }
    let uid = inputs
        .as_ref()
        .map(Inputs::uid)
        .or(sent.map(|uid| *uid.octets()));
    let Some(uid) = uid else {
        why.add("signer", "IDRi or IDRuidi", "neither", Outcome::Fails);
        return;
    };
    signature(why, message, kms, (&uid, inputs.as_ref()));
}

fn signature(
    why: &mut Why,
    message: &Unverified,
    kms: &KmsCertificate,
    (uid, inputs): (&[u8; 32], Option<&Inputs>),
) {
    const WHAT: &str = "signature";
    let expected = "holds for the signer's UID (RFC 6507 5.2.2)";
    let verify = |uid: &[u8; 32], signed: &[u8]| {
        kms.authentication
            .verify(uid, signed, &message.signature)
            .is_ok()
    };
    let whole = message.signed.as_slice();
    let headless = whole
        .get(..whole.len().saturating_sub(2))
        .unwrap_or_default();
    if verify(uid, whole) {
        why.add(WHAT, expected, "holds", Outcome::Holds);
        if let (Some(inputs), true) = (inputs, why.signer.is_empty()) {
            why.signer = inputs.compared(Some(inputs));
        }
        return;
    }
    if verify(uid, headless) {
        why.defect(WHAT, expected, Variant::SignedWithoutHeader);
        return;
    }
    let either = |uid: &[u8; 32]| verify(uid, whole) || verify(uid, headless);
    let other = inputs.and_then(|inputs| inputs.search(message.time, false, either));
    let seen = match &other {
        Some(_) => "holds for a UID of other inputs",
        None => "holds for no UID that was tried: changed octets, or another KMS key",
    };
    why.add(WHAT, expected, seen, Outcome::Fails);
    if let Some(inputs) = inputs {
        why.signer = inputs.compared(other.as_ref());
        name_input(why);
    }
}

/// Puts the first wrong input of the signer's UID into the cause.
fn name_input(why: &mut Why) {
    let wrong = why.signer.iter().find(|input| !input.fits());
    if let (Some(wrong), Some(cause)) = (wrong, &mut why.cause)
        && cause.starts_with("signature")
    {
        let seen = wrong.seen.as_deref().unwrap_or_default();
        *cause = format!(
            "the signer took {} for {}, not {}",
            seen, wrong.name, wrong.expected
        );
    }
}
