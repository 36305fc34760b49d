//! The receiver's key set, its UID, and what comes out of the sealed key.

use super::inputs::Inputs;
use super::{KeySetAtHand, Outcome, Why};
use crate::domain::KmsCertificate;
use crate::key_parameters::KeyParameters;
use crate::message::Unverified;
use crate::shortened_mask;
use crate::variant::Variant;
use mc_ids::annex_f::Uid;
use mikey_sakke::sakke::{ReceiverSecretKey, Ssv};

pub(super) fn check(
    why: &mut Why,
    message: &Unverified,
    kms: &KmsCertificate,
    keys: &[KeySetAtHand],
) {
    // What went wrong before is the first thing wrong; the inputs of the UID explain the rest.
    let decided = why.cause.is_some();
    let number = kms.period.number_at(message.time);
    let (uri, sent) = (message.responder.uri.as_deref(), message.responder.uid);
    let named = match (uri, sent) {
        (Some(uri), _) => uri.to_owned(),
        (None, Some(uid)) => format!("{uid:?}"),
        (None, None) => "nobody".to_owned(),
    };
    let is_named = |k: &&KeySetAtHand| match (uri, sent) {
        (Some(uri), _) => k.uri == uri,
        (None, sent) => Some(kms.uid(&k.uri, message.time)) == sent || k.uid == sent,
    };
    let mine: Vec<_> = keys.iter().filter(is_named).collect();
    let Some(set) = mine.iter().find(|k| k.number == number).or(mine.first()) else {
        let at_hand: Vec<_> = keys.iter().map(|k| k.uri.as_str()).collect();
        let (seen, outcome) = if at_hand.is_empty() {
            ("none".to_owned(), Outcome::NotChecked)
        } else {
            (at_hand.join(", "), Outcome::Fails)
        };
        why.add("key set of the receiver", named, seen, outcome);
        if let Some(uri) = uri {
            why.receiver = Inputs::new(uri, kms, number).compared(None);
        }
        return;
    };
    why.add(
        "key set of the receiver",
        named,
        set.uri.clone(),
        Outcome::Holds,
    );
    let fits = set.number == number;
    let outcome = if fits { Outcome::Holds } else { Outcome::Fails };
    why.add(
        "key period of the key set",
        format!("{number}, because of T"),
        set.number.to_string(),
        outcome,
    );
    uid(why, message, kms, (set, decided));
    opens(why, message, kms, (set, keys));
}

/// Compares what the message and the certificate demand with what the key set was made for.
fn uid(
    why: &mut Why,
    message: &Unverified,
    kms: &KmsCertificate,
    (set, decided): (&KeySetAtHand, bool),
) {
    let number = kms.period.number_at(message.time);
    let inputs = Inputs::new(&set.uri, kms, number);
    let expected = Uid(inputs.uid());
    if let Some(sent) = message.responder.uid {
        let outcome = if sent == expected {
            Outcome::Holds
        } else {
            Outcome::Fails
        };
        why.add(
            "IDRuidr",
            format!("{expected:?}"),
            format!("{sent:?}"),
            outcome,
        );
    }
    let rsk = ReceiverSecretKey::from_octets(&set.decrypt_key);
    let validates = |uid: &[u8; 32]| {
        rsk.as_ref()
            .is_ok_and(|rsk| rsk.validate(&kms.encryption, uid).is_ok())
    };
    let other = match set.uid {
        Some(uid) if uid != expected => {
            why.add(
                "UserID of the key set",
                format!("{expected:?}"),
                format!("{uid:?}"),
                Outcome::Fails,
            );
            inputs.search(message.time, true, |tried| tried == uid.octets())
        }
        _ if validates(expected.octets()) => Some(inputs.clone()),
        _ => inputs.search(message.time, false, validates),
    };
    let of_expected = validates(expected.octets());
    let (seen, outcome) = match (&rsk, of_expected) {
        (Err(error), _) => (error.to_string(), Outcome::Fails),
        (Ok(_), true) => ("belongs to it".to_owned(), Outcome::Holds),
        (Ok(_), false) => ("does not belong to it".to_owned(), Outcome::Fails),
    };
    why.add(
        "UserDecryptKey",
        "belongs to the UID and the KMS (RFC 6508 6.1.2)",
        seen,
        outcome,
    );
    why.receiver = inputs.compared(other.as_ref());
    let wrong = why.receiver.iter().find(|input| !input.fits());
    if let (Some(wrong), false) = (wrong, decided) {
        why.cause = Some(format!(
            "the key set was made with {} {}, the message needs {}",
            wrong.name,
            wrong.seen.as_deref().unwrap_or_default(),
            wrong.expected
        ));
    }
}

fn opens(
    why: &mut Why,
    message: &Unverified,
    kms: &KmsCertificate,
    (set, all): (&KeySetAtHand, &[KeySetAtHand]),
) {
    const WHAT: &str = "sealed key";
    let expected = "opens and passes its check (RFC 6508 6.2.2)";
    let uid = kms.uid(&set.uri, message.time);
    let open = |set: &KeySetAtHand, uid: &Uid| {
        let rsk = ReceiverSecretKey::from_octets(&set.decrypt_key).ok()?;
        let sealed = &message.encapsulated;
        rsk.decapsulate(&kms.encryption, uid.octets(), sealed).ok()
    };
    if let Some(ssv) = open(set, &uid) {
        why.add(WHAT, expected, "opens", Outcome::Holds);
        key_parameters(why, message, &ssv);
        return;
    }
    let shortened = ReceiverSecretKey::from_octets(&set.decrypt_key)
        .ok()
        .and_then(|rsk| {
            shortened_mask::decapsulate(&rsk, &kms.encryption, uid.octets(), &message.encapsulated)
        });
    if let Some(ssv) = shortened {
        why.defect(WHAT, expected, Variant::ShortenedMask);
        key_parameters(why, message, &ssv);
        return;
    }
    let own_uid =
        |set: &KeySetAtHand| Uid::of_period(&set.uri, &kms.kms_uri, kms.period, set.number);
    let other = all.iter().find(|set| open(set, &own_uid(set)).is_some());
    let seen = match other {
        Some(other) => format!("was sealed to {} in key period {}", other.uri, other.number),
        None => "does not open: the sender took another UID or another PubEncKey".to_owned(),
    };
    why.add(WHAT, expected, seen, Outcome::Fails);
}

fn key_parameters(why: &mut Why, message: &Unverified, ssv: &Ssv) {
    const WHAT: &str = "key parameters";
    let expected = "open under the key itself (TS 33.180 E.6)";
    let Some(data) = &message.key_parameters else {
        return;
    };
    if KeyParameters::unprotect(data, ssv, message.csb_id).is_some() {
        why.add(WHAT, expected, "open", Outcome::Holds);
    } else if KeyParameters::decode_legacy(data).is_some() {
        why.defect(WHAT, expected, Variant::PlainKeyParameters);
    } else {
        why.add(
            WHAT,
            expected,
            Variant::UnreadableKeyParameters.to_string(),
            Outcome::Overlooked,
        );
    }
}
