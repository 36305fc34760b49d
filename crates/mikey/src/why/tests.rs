//! One mistake at a time, and the sentence it must come to.

use super::inputs::Inputs;
use super::*;
use crate::domain::Domains;
use crate::{Distribution, Form, UserKeys};
use mc_ids::{KeyId, KeyPeriod};
use mikey_sakke::{eccsi, sakke};
use serde_json::Value;
use sha2::{Digest, Sha256};

const NOW: NtpTime = NtpTime(0xec89_8da8_0000_0000);
const ALICE: &str = "sip:alice@example.org";
const BOB: &str = "sip:bob@example.org";

fn z() -> sakke::MasterSecret {
    let z = hex::decode("aff429d35f84b110d094803b3595a6e2998bc99f").unwrap();
    sakke::MasterSecret::from_octets(&z).unwrap()
}

fn ksak() -> eccsi::AuthenticationSecret {
    let mut octets = [0; 32];
    octets[29..].copy_from_slice(&[0x01, 0x23, 0x45]);
    eccsi::AuthenticationSecret::from_octets(&octets).unwrap()
}

fn kms() -> KmsCertificate {
    KmsCertificate {
        kms_uri: KmsUri::new("kms.example.org").unwrap(),
        period: KeyPeriod::new(2_592_000, 0).unwrap(),
        encryption: z().public_key().unwrap(),
        authentication: ksak().public_key(),
        is_security_gateway: false,
        domains: Domains::Unlisted,
    }
}

fn number() -> u64 {
    kms().period.number_at(NOW)
}

/// A key set issued for a UID of whatever inputs.
fn issued(uri: &str, number: u64, uid: Option<Uid>) -> KeySetAtHand {
    let right = Uid::of_period(uri, &kms().kms_uri, kms().period, number);
    let rsk = z().issue(uid.unwrap_or(right).octets()).unwrap();
    KeySetAtHand {
        uri: uri.to_owned(),
        number,
        uid,
        decrypt_key: Zeroizing::new(rsk.octets().to_vec()),
    }
}

fn sender(identity: &str, kms: &KmsCertificate, number: u64) -> UserKeys {
    let uid = Uid::of_period(identity, &kms.kms_uri, kms.period, number);
    let rsk = z().issue(uid.octets()).unwrap();
    let signing = ksak().issue_reproducibly(uid.octets(), &[7; 32]).unwrap();
    UserKeys::validated(
        kms,
        identity,
        number,
        &rsk.octets()[..],
        &signing.ssk()[..],
        signing.pvt(),
    )
    .unwrap()
}

fn from(identity: &str, sender_kms: &KmsCertificate, responder: &str) -> Vec<u8> {
    let keys = sender(identity, sender_kms, sender_kms.period.number_at(NOW));
    let kms = kms();
    let distribution = Distribution {
        initiator: &keys,
        kms_initiator: sender_kms,
        responder,
        kms_responder: &kms,
        time: NOW,
        rand: [1; 16],
        to_self: false,
        key_parameters: None,
    };
    let form = Form::default();
    let formed = distribution.in_form(&form);
    formed
        .key_reproducibly(&[9; 16], KeyId(0x1000_0001), [0; 16], &[5; 32])
        .unwrap()
}

fn ask(octets: &[u8], keys: &[KeySetAtHand]) -> Why {
    why(
        &Unverified::parse(octets).unwrap(),
        &[kms()],
        keys,
        Some(NOW),
    )
}

fn first_wrong(inputs: &[UidInput]) -> Option<&'static str> {
    inputs.iter().find(|i| !i.fits()).map(|i| i.name)
}

#[test]
fn a_good_message_has_no_cause() {
    let found = ask(&from(ALICE, &kms(), BOB), &[issued(BOB, number(), None)]);
    assert_eq!(found.cause, None, "{found:#?}");
    assert!(
        found.findings.iter().all(|f| f.outcome == Outcome::Holds),
        "{found:#?}"
    );
    assert_eq!(
        (first_wrong(&found.signer), first_wrong(&found.receiver)),
        (None, None)
    );
}

#[test]
fn the_rfc_vectors_are_the_domain() {
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../tests/vectors/mikey.json")).unwrap();
    let expected = vectors["provisioning"]["PubEncKey"].as_str().unwrap();
    assert_eq!(hex::encode(kms().encryption.octets()), expected);
    let expected = vectors["provisioning"]["PubAuthKey"].as_str().unwrap();
    assert_eq!(hex::encode(kms().authentication.octets()), expected);
}

#[test]
fn a_signer_with_another_spelling_is_named() {
    // The sender's keys are for the bare name, IDRi says sip:.
    let message = from("alice@example.org", &kms(), BOB);
    let at = message
        .windows(17)
        .position(|w| w == b"alice@example.org")
        .unwrap();
    let mut respelt = message[..at - 2].to_vec();
    respelt.extend([0, 21]);
    respelt.extend(ALICE.bytes());
    respelt.extend(&message[at + 17..message.len() - 129]);
    let keys = sender("alice@example.org", &kms(), number());
    let signature = keys.sign().sign_reproducibly(&respelt, &[5; 32]).unwrap();
    respelt.extend(signature);
    let found = ask(&respelt, &[issued(BOB, number(), None)]);
    assert_eq!(first_wrong(&found.signer), Some("P1 identity"));
    assert_eq!(
        found.cause.as_deref(),
        Some("the signer took alice@example.org for P1 identity, not sip:alice@example.org")
    );
}

#[test]
fn a_signer_with_another_period_is_named() {
    let other = KmsCertificate {
        period: KeyPeriod::new(604_800, 0).unwrap(),
        ..kms()
    };
    let found = ask(&from(ALICE, &other, BOB), &[]);
    assert_eq!(first_wrong(&found.signer), Some("P3 UserKeyPeriod"));
    let cause = found.cause.unwrap();
    assert!(
        cause.contains("604800 for P3 UserKeyPeriod, not 2592000"),
        "{cause}"
    );
}

#[test]
fn a_signer_with_other_octets_of_the_integers_is_named() {
    let field =
        |octets: &[u8]| [octets, &u16::try_from(octets.len()).unwrap().to_be_bytes()].concat();
    let signed: [&[u8]; 3] = [&[0, 0xff, 0xff, 0xff], &[0], &[0, 236]];
    let empty: [&[u8]; 3] = [&[0x27, 0x8d, 0], &[], &[0x05, 0xfb]];
    for (period, integers, name) in [
        (16_777_215, signed, "shortest, signed"),
        (2_592_000, empty, "shortest, of zero none"),
    ] {
        let kms = KmsCertificate {
            period: KeyPeriod::new(period, 0).unwrap(),
            ..kms()
        };
        let inputs = Inputs::new(ALICE, &kms, kms.period.number_at(NOW));
        let texts: [&[u8]; 3] = [b"MIKEY-SAKKE-UID", ALICE.as_bytes(), b"kms.example.org"];
        let fields: Vec<u8> = texts.into_iter().chain(integers).flat_map(field).collect();
        let uid: [u8; 32] = Sha256::digest([&[0][..], &fields].concat()).into();
        assert_ne!(uid, inputs.uid());
        let found = inputs.search(NOW, true, |candidate| *candidate == uid);
        let list = inputs.compared(Some(&found.unwrap()));
        let wrong = list.iter().find(|input| !input.fits()).unwrap();
        assert_eq!(
            (wrong.name, wrong.seen.as_deref()),
            ("P3 to P5 as octets", Some(name))
        );
    }
}

#[test]
fn changed_octets_are_no_wrong_input() {
    let mut message = from(ALICE, &kms(), BOB);
    let end = message.len() - 1;
    message[end - 129 - 10] ^= 1;
    let found = ask(&message, &[issued(BOB, number(), None)]);
    assert_eq!(first_wrong(&found.signer), None);
    assert!(found.cause.unwrap().starts_with("signature"));
}

#[test]
fn the_first_wrong_input_of_the_key_set_is_named() {
    let right = Inputs::new(BOB, &kms(), number());
    let wrong = |identity: &str, kms_uri: &str, number| {
        let period = kms().period;
        Uid::of_period(identity, &KmsUri::new(kms_uri).unwrap(), period, number)
    };
    let cases = [
        (
            "P1 identity",
            wrong("bob@example.org", "kms.example.org", number()),
        ),
        (
            "P2 KMS URI",
            wrong(BOB, "https://kms.example.org", number()),
        ),
        (
            "P5 KeyPeriodNo",
            wrong(BOB, "kms.example.org", number() - 1),
        ),
        (
            "P1 identity",
            wrong("bob@example.org", "sip:kms.example.org", number()),
        ),
    ];
    let message = from(ALICE, &kms(), BOB);
    for (name, uid) in cases {
        assert_ne!(uid.octets(), &right.uid());
        for stated in [true, false] {
            let mut set = issued(BOB, number(), Some(uid));
            set.uid = set.uid.filter(|_| stated);
            let found = ask(&message, &[set]);
            // Two mistakes at once are found in a stated UID only: pairings are dear.
            if stated || found.receiver.iter().any(|i| i.seen.is_some()) {
                assert_eq!(first_wrong(&found.receiver), Some(name), "{found:#?}");
                assert!(found.cause.unwrap().contains(name));
            } else {
                assert!(found.cause.unwrap().starts_with("UserDecryptKey"));
            }
        }
    }
}

/// Every pair of mistakes is tried then, an offset of zero in the place of the period too.
#[test]
fn a_uid_that_no_mistake_explains_is_told_all_the_same() {
    let set = issued(BOB, number(), Some(Uid([9; 32])));
    let found = ask(&from(ALICE, &kms(), BOB), &[set]);
    assert_eq!(first_wrong(&found.receiver), None);
    assert!(found.cause.is_some(), "{found:#?}");
}

#[test]
fn a_key_set_of_the_previous_period_is_named() {
    let found = ask(
        &from(ALICE, &kms(), BOB),
        &[issued(BOB, number() - 1, None)],
    );
    assert_eq!(first_wrong(&found.receiver), Some("P5 KeyPeriodNo"));
    let cause = found.cause.unwrap();
    assert_eq!(
        cause,
        format!(
            "the key set was made with P5 KeyPeriodNo {}, the message needs {}",
            number() - 1,
            number()
        )
    );
}

#[test]
fn a_message_sealed_to_somebody_else_is_named() {
    let mut message = from(ALICE, &kms(), ALICE);
    // IDRr says bob, and the signature covers it.
    let at = message.len() - 129 - 2 - 278;
    let body = message[..at].to_vec();
    let to = body
        .windows(21)
        .rposition(|w| w == ALICE.as_bytes())
        .unwrap();
    message.truncate(message.len() - 129);
    message.splice(to - 2..to + 21, [&[0, 19][..], BOB.as_bytes()].concat());
    let keys = sender(ALICE, &kms(), number());
    let signature = keys.sign().sign_reproducibly(&message, &[5; 32]).unwrap();
    message.extend(signature);
    let sets = [issued(BOB, number(), None), issued(ALICE, number(), None)];
    let cause = ask(&message, &sets).cause.unwrap();
    assert!(
        cause.contains("was sealed to sip:alice@example.org"),
        "{cause}"
    );
}

#[test]
fn what_is_not_at_hand_is_not_checked() {
    let message = Unverified::parse(&from(ALICE, &kms(), BOB)).unwrap();
    let found = why(&message, &[], &[], None);
    assert_eq!(found.cause, None);
    let unchecked = found
        .findings
        .iter()
        .filter(|f| f.outcome == Outcome::NotChecked);
    assert_eq!(unchecked.count(), 2);
}
