//! Messages of a deployed implementation and of an independent program, opened and made again, and
//! everything that must be refused.

use super::*;
use crate::build::{BuildError, Distribution};
use crate::domain::Domains;
use crate::form::Form;
use crate::message::{CsIdMap, ParseError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mc_ids::KeyPeriod;
use mikey_sakke::{eccsi, sakke};
use serde_json::Value;
use std::sync::LazyLock;

mod batch;
mod domains;
mod forms;

const NOW: NtpTime = NtpTime(0xec89_8da8_0000_0000);

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../tests/vectors/mikey.json")).unwrap()
});
static ANNEX_E: LazyLock<Domain> =
    LazyLock::new(|| domain(&VECTORS["provisioning"], "kms.example.org", 2_592_000));

struct Domain {
    kms: KmsCertificate,
    keys: Vec<UserKeys>,
}

impl Domain {
    fn of(&self, identity: &str) -> &UserKeys {
        self.keys.iter().find(|k| k.identity() == identity).unwrap()
    }
}

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn certificate(value: &Value, name: &str, period: u64) -> KmsCertificate {
    KmsCertificate {
        kms_uri: KmsUri::new(name).unwrap(),
        period: KeyPeriod::new(period, 0).unwrap(),
        encryption: sakke::PublicKey::from_octets(&octets(&value["PubEncKey"])).unwrap(),
        authentication: eccsi::AuthenticationKey::from_octets(&octets(&value["PubAuthKey"]))
            .unwrap(),
        is_security_gateway: false,
        domains: Domains::Unlisted,
    }
}

fn domain(value: &Value, name: &str, period: u64) -> Domain {
    let kms = certificate(value, name, period);
    let number = kms.period.number_at(NOW);
    let users = value["identities"].as_array().unwrap().iter();
    let keys = users.map(|user| {
        let uri = user["uri"].as_str().unwrap();
        let [rsk, ssk, pvt] = ["rsk", "ssk", "pvt"].map(|name| octets(&user[name]));
        let keys = UserKeys::validated(&kms, uri, number, &rsk, &ssk, &pvt).unwrap();
        assert_eq!(keys.uid().octets()[..], octets(&user["uid"]));
        keys
    });
    let keys = keys.collect();
    Domain { kms, keys }
}

fn message(value: &Value) -> Vec<u8> {
    STANDARD
        .decode(value["I_MESSAGE_base64"].as_str().unwrap())
        .unwrap()
}

fn annex_e(name: &str) -> Vec<u8> {
    message(&VECTORS["annex_e"][name])
}

fn read(octets: &[u8]) -> Unverified {
    Unverified::parse(octets).unwrap()
}

fn verify(octets: &[u8]) -> Result<Verified, VerifyError> {
    read(octets).verify(
        [&ANNEX_E.kms],
        VerifyPolicy::default(),
        NOW,
        &mut ReplayCache::new(8),
    )
}

fn opened(octets: &[u8]) -> Opened {
    verify(octets)
        .unwrap()
        .open(&ANNEX_E.kms, &ANNEX_E.keys)
        .unwrap()
}

#[test]
fn messages_of_a_deployed_implementation_open() {
    let value = &VECTORS["deployed"];
    let kms = certificate(value, "kms.mydev.streamwide.com", 16_777_215);
    let number = kms.period.number_at(NOW);
    let users = value["identities"].as_object().unwrap().iter();
    let keys: Vec<_> = users
        .map(|(uri, user)| {
            let names = ["UserDecryptKey", "UserSigningKeySSK", "UserPubTokenPVT"];
            let [rsk, ssk, pvt] = names.map(|name| octets(&user[name]));
            UserKeys::validated(&kms, uri, number, &rsk, &ssk, &pvt).unwrap()
        })
        .collect();
    let messages = value["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 3);
    for value in messages {
        let read = Unverified::parse(&message(value)).unwrap();
        let policy = VerifyPolicy::default();
        let verified = read
            .verify([&kms], policy, NOW, &mut ReplayCache::new(1))
            .unwrap();
        let opened = verified.open(&kms, &keys).unwrap();
        assert!(opened.variants.contains(&Variant::UidAsUri));
        assert_eq!(opened.rand, octets(&value["RAND"]));
        let parameters = opened.key_parameters.as_ref().unwrap();
        assert_eq!(
            parameters.encode().unwrap(),
            octets(&value["key_parameters_plain"])
        );
        match &opened.key {
            DistributedKey::Gmk { key, id, guk_id } => {
                assert_eq!(key.octets()[..], octets(&value["GMK"]));
                assert_eq!(id.octets()[..], octets(&value["GMK_ID"]));
                assert_eq!(guk_id.octets()[..], octets(&value["GUK_ID"]));
                assert!(opened.confirm_initiator("gms@streamwide.com", &kms));
                assert!(!opened.confirm_initiator("sip:alice@streamwide.com", &kms));
            }
            DistributedKey::Pck { key, id } => {
                assert_eq!(key.octets()[..], octets(&value["PCK"]));
                assert_eq!(id.octets()[..], octets(&value["PCK_ID"]));
                assert!(opened.variants.contains(&Variant::PolicyWithEmptyMap));
            }
            DistributedKey::Csk { key, id } => {
                assert_eq!(key.octets()[..], octets(&value["CSK"]));
                assert_eq!(id.octets()[..], octets(&value["CSK_ID"]));
            }
            other @ (DistributedKey::Spk { .. } | DistributedKey::Other { .. }) => {
                panic!("{other:?}")
            }
        }
    }
}

#[test]
fn the_generic_map_names_the_mki() {
    let gmk = &VECTORS["deployed"]["messages"][0];
    let read = Unverified::parse(&message(gmk)).unwrap();
    let mki = [octets(&gmk["GMK_ID"]), octets(&gmk["GUK_ID"])].concat();
    assert_eq!(*read.sessions(), CsIdMap::Generic(vec![(4, mki)]));
    // AES-GCM, 16 octets of key, RCCm3 with four octets of ROC, 16 octets of tag.
    let policy = read.security_policy().unwrap();
    for parameter in [
        (0, vec![6]),
        (1, vec![16]),
        (2, vec![4]),
        (18, vec![4]),
        (20, vec![16]),
    ] {
        assert!(policy.contains(&parameter), "{parameter:?}");
    }
}

#[test]
fn annex_e_messages_open_and_are_made_again_octet_for_octet() {
    let cases = [
        ("gmk", "sip:gms@example.org", "sip:alice@example.org"),
        ("csk", "sip:alice@example.org", "mdsi.example.org"),
        ("pck", "sip:alice@example.org", "sip:bob@example.org"),
    ];
    for (name, from, to) in cases {
        let expected = annex_e(name);
        let opened = opened(&expected);
        assert_eq!(opened.variants, [], "{name}");
        let value = &VECTORS["annex_e"][name];
        let key: [u8; 16] = octets(&value[name.to_uppercase()]).try_into().unwrap();
        let initiator = ANNEX_E.of(from);
        let distribution = Distribution {
            initiator,
            kms_initiator: &ANNEX_E.kms,
            responder: to,
            kms_responder: &ANNEX_E.kms,
            time: NOW,
            rand: octets(&value["RAND"]).try_into().unwrap(),
            to_self: name == "pck",
            key_parameters: opened.key_parameters.clone(),
        };
        // The initialisation vector is the only part that a reader cannot derive.
        let at = expected
            .windows(4)
            .position(|w| w == [0x47, 0x00, 0x43, 0x00]);
        let at = at.or_else(|| expected.windows(3).position(|w| w == [7, 0x00, 0x47]));
        let iv = at.map_or([0; 16], |at| {
            expected[at + 3 + 12..at + 3 + 28].try_into().unwrap()
        });
        let mut nonce = [0; 32];
        nonce[29..].copy_from_slice(&[0x03, 0x45, 0x67]);
        let form = Form::default();
        let formed = distribution.in_form(&form);
        let made = formed.key_reproducibly(&key, opened.csb_id, iv, &nonce);
        assert_eq!(hex::encode(made.unwrap()), hex::encode(&expected), "{name}");
    }
}

#[test]
fn a_group_key_recovers_its_identifier() {
    let opened = opened(&annex_e("gmk"));
    let DistributedKey::Gmk { id, guk_id, .. } = &opened.key else {
        panic!("{opened:?}")
    };
    assert_eq!(
        id.to_string(),
        VECTORS["annex_e"]["gmk"]["GMK_ID"].as_str().unwrap()
    );
    assert_eq!(
        guk_id.to_string(),
        VECTORS["annex_e"]["gmk"]["GUK_ID_for_alice"]
            .as_str()
            .unwrap()
    );
}

#[test]
fn the_sender_opens_its_own_message_by_sakke_to_self() {
    let own = verify(&annex_e("pck")).unwrap();
    let opened = own
        .open_to_self(&ANNEX_E.kms, [ANNEX_E.of("sip:alice@example.org")])
        .unwrap();
    let expected = octets(&VECTORS["annex_e"]["pck"]["PCK"]);
    assert!(matches!(&opened.key, DistributedKey::Pck { key, .. } if key.octets()[..] == expected));
    let without = verify(&annex_e("csk")).unwrap();
    assert_eq!(
        without.open_to_self(&ANNEX_E.kms, &ANNEX_E.keys),
        Err(OpenError::NoToSelf)
    );
}

#[test]
fn no_changed_octet_survives() {
    for name in ["gmk", "csk", "pck"] {
        let good = annex_e(name);
        // Verifying takes a while, so every third octet; the signature is checked by its own crate.
        for at in (0..good.len() - 129).step_by(3) {
            let mut bad = good.clone();
            bad[at] ^= 0x01;
            let Ok(read) = Unverified::parse(&bad) else {
                continue;
            };
            let mut replay = ReplayCache::new(4);
            let refused = read.verify([&ANNEX_E.kms], VerifyPolicy::default(), NOW, &mut replay);
            assert!(refused.is_err(), "{name}, octet {at}");
            assert!(
                replay.is_empty(),
                "only authenticated messages are remembered"
            );
        }
    }
}

#[test]
fn truncated_extended_and_oversized_messages_are_refused() {
    let good = annex_e("gmk");
    for length in 0..good.len() {
        assert!(
            Unverified::parse(&good[..length]).is_err(),
            "{length} octets"
        );
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert_eq!(
        Unverified::parse(&longer),
        Err(ParseError::Trailing { at: good.len() })
    );
    assert_eq!(
        Unverified::parse(&vec![1; 4097]),
        Err(ParseError::TooLong(4097))
    );
}

#[test]
fn a_replay_is_refused_and_a_stale_message_too() {
    let mut replay = ReplayCache::new(8);
    let policy = VerifyPolicy::default();
    let read = || Unverified::parse(&annex_e("csk")).unwrap();
    assert!(
        read()
            .verify([&ANNEX_E.kms], policy, NOW, &mut replay)
            .is_ok()
    );
    let again = read().verify([&ANNEX_E.kms], policy, NOW, &mut replay);
    assert_eq!(again, Err(VerifyError::Replay));
    let mut fresh = ReplayCache::new(8);
    let late = NtpTime::from_seconds(NOW.seconds() + 121);
    let stale = read().verify([&ANNEX_E.kms], policy, late, &mut fresh);
    assert!(matches!(stale, Err(VerifyError::Skew { .. })));
    let stored = VerifyPolicy {
        max_skew: None,
        ..policy
    };
    assert!(
        read()
            .verify([&ANNEX_E.kms], stored, late, &mut fresh)
            .is_ok()
    );
}

#[test]
fn an_unknown_kms_is_named() {
    let read = Unverified::parse(&annex_e("csk")).unwrap();
    let refused = read.verify([], VerifyPolicy::default(), NOW, &mut ReplayCache::new(1));
    let kms = KmsUri::new("kms.example.org").unwrap();
    assert_eq!(refused, Err(VerifyError::UnknownKms(kms)));
}

#[test]
fn only_the_receiver_in_the_right_period_opens() {
    let verified = || verify(&annex_e("pck")).unwrap();
    let alice = verified().open(&ANNEX_E.kms, [ANNEX_E.of("sip:alice@example.org")]);
    assert!(matches!(
        alice,
        Err(OpenError::NotForUs {
            tried: 1,
            number: 1531,
            ..
        })
    ));
    // Keys of the next period: same user, another UID.
    let z = sakke::MasterSecret::from_octets(
        &hex::decode("aff429d35f84b110d094803b3595a6e2998bc99f").unwrap(),
    );
    let z = z.unwrap();
    assert!(z.public_key().unwrap() == ANNEX_E.kms.encryption);
    let bob = ANNEX_E.of("sip:bob@example.org");
    let next = Uid::of_period(
        bob.identity(),
        &ANNEX_E.kms.kms_uri,
        ANNEX_E.kms.period,
        1532,
    );
    let rsk = z.issue(next.octets()).unwrap();
    let wrong = UserKeys::validated(
        &ANNEX_E.kms,
        bob.identity(),
        1531,
        &rsk.octets()[..],
        &bob.sign().ssk()[..],
        bob.sign().pvt(),
    );
    assert!(
        wrong.is_err(),
        "a key of the next period is not one of this"
    );
}

#[test]
fn a_message_needs_keys_of_its_own_period() {
    let alice = ANNEX_E.of("sip:alice@example.org");
    let distribution = Distribution {
        initiator: alice,
        kms_initiator: &ANNEX_E.kms,
        responder: "mdsi.example.org",
        kms_responder: &ANNEX_E.kms,
        time: NtpTime::from_seconds(NOW.seconds() + 2_592_000),
        rand: [1; 16],
        to_self: false,
        key_parameters: None,
    };
    let made = distribution.in_form(&Form::default()).key_reproducibly(
        &[1; 16],
        KeyId(0x2000_0001),
        [0; 16],
        &[1; 32],
    );
    assert!(matches!(
        made,
        Err(BuildError::Period {
            have: 1531,
            need: 1532,
            ..
        })
    ));
}

#[test]
fn a_signature_without_its_header_passes_only_when_overlooked() {
    let mut octets = annex_e("csk");
    let end = octets.len() - 129;
    let alice = ANNEX_E.of("sip:alice@example.org");
    let mut nonce = [0; 32];
    nonce[31] = 9;
    let short = alice
        .sign()
        .sign_reproducibly(&octets[..end - 2], &nonce)
        .unwrap();
    octets[end..].copy_from_slice(&short);
    let refused = verify(&octets).unwrap_err();
    assert!(
        refused.to_string().ends_with(
            "known peer defect: signature without the SIGN header (switch: lenient_sign)"
        ),
        "{refused}"
    );
    let lenient = VerifyPolicy {
        lenient_sign: true,
        ..VerifyPolicy::default()
    };
    let read = Unverified::parse(&octets).unwrap();
    let verified = read
        .verify([&ANNEX_E.kms], lenient, NOW, &mut ReplayCache::new(1))
        .unwrap();
    let opened = verified.open(&ANNEX_E.kms, &ANNEX_E.keys).unwrap();
    assert_eq!(opened.variants, [Variant::SignedWithoutHeader]);
}

proptest::proptest! {
    #[test]
    fn no_octets_make_the_reader_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let _ = Unverified::parse(&octets);
        let framed = [&[1, 26, 5, 1, 0, 0, 0, 0, 0, 1][..], &octets].concat();
        let _ = Unverified::parse(&framed);
    }
}
