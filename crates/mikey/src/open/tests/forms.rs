//! Every carrier in every form that is written, and the forms that only peers write.

use super::*;
use crate::form::{Identities, UidType};
use crate::message::SrtpSession;
use crate::policy::default_policy;
use crate::shortened_mask::tests::as_the_peer_seals;

const ALICE: &str = "sip:alice@example.org";
const BOB: &str = "sip:bob@example.org";
/// A key whose encapsulation to bob has a g^r that begins with a zero octet (found by search).
const SHORT: [u8; 16] = [
    0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0x5a, 0, 0, 0, 0xa0,
];

fn to_bob(parameters: Option<KeyParameters>, to_self: bool) -> Distribution<'static> {
    Distribution {
        initiator: ANNEX_E.of(ALICE),
        kms_initiator: &ANNEX_E.kms,
        responder: BOB,
        kms_responder: &ANNEX_E.kms,
        time: NOW,
        rand: [7; 16],
        to_self,
        key_parameters: parameters,
    }
}

fn nonce() -> [u8; 32] {
    let mut nonce = [0; 32];
    nonce[31] = 9;
    nonce
}

fn made(distribution: &Distribution<'_>, form: &Form, key: &[u8; 16], id: u32) -> Vec<u8> {
    let formed = distribution.in_form(form);
    formed
        .key_reproducibly(key, KeyId(id), [3; 16], &nonce())
        .unwrap()
}

fn octets_of(opened: &Opened) -> ([u8; 16], KeyPurpose) {
    match &opened.key {
        DistributedKey::Gmk { key, .. } => (*key.octets(), KeyPurpose::Gmk),
        DistributedKey::Pck { key, .. } => (*key.octets(), KeyPurpose::Pck),
        DistributedKey::Csk { key, .. } => (*key.octets(), KeyPurpose::Csk),
        DistributedKey::Spk { key, .. } => (*key.octets(), KeyPurpose::Spk),
        DistributedKey::Other { key, purpose, .. } => (*key.octets(), *purpose),
    }
}

#[test]
fn every_carrier_in_every_form() {
    use KeyPurpose::{Csk, Gmk, Mkfc, Mscck, Musik, Pck, Spk};
    let two = vec![
        SrtpSession {
            policy: 0,
            ssrc: 0xcafe_babe,
            roc: 0,
        },
        SrtpSession {
            policy: 0,
            ssrc: 0,
            roc: 0,
        },
    ];
    let maps = [
        (CsIdMap::Empty, false, vec![]),
        (CsIdMap::Generic(vec![(4, vec![1; 8])]), true, vec![]),
        (
            CsIdMap::Generic(vec![(0, vec![2; 4]), (1, vec![2; 4])]),
            false,
            vec![],
        ),
        (CsIdMap::SrtpId(two), true, vec![Variant::SrtpIdMap]),
    ];
    let parties = [
        (Identities::Uri, UidType::Uri, vec![]),
        (
            Identities::Uid,
            UidType::Uri,
            vec![Variant::UidAsUri, Variant::HiddenIdentities],
        ),
        (
            Identities::Uid,
            UidType::Bytes,
            vec![Variant::HiddenIdentities],
        ),
        (
            Identities::Both,
            UidType::Uri,
            vec![Variant::UidAsUri, Variant::HiddenIdentities],
        ),
    ];
    let purposes = [Gmk, Pck, Csk, Spk, Mkfc, Mscck, Musik];
    // Each map and each naming at least once with each purpose, without the full product.
    for (number, purpose) in purposes.into_iter().enumerate() {
        for (step, (sessions, with_policy, seen_map)) in maps.iter().enumerate() {
            let (identities, uid_type, seen_parties) = &parties[(number + step) % parties.len()];
            let form = Form {
                identities: *identities,
                uid_type: *uid_type,
                sessions: sessions.clone(),
                policy: with_policy.then(|| default_policy(purpose)),
            };
            let key = [u8::try_from(number).unwrap() + 1; 16];
            let id = ((purpose as u32) << 28) | 0x0123_4567;
            let message = made(&to_bob(None, false), &form, &key, id);
            assert_eq!(read(&message).sessions(), sessions);
            assert_eq!(read(&message).security_policy(), form.policy.as_deref());
            let opened = opened(&message);
            assert_eq!(octets_of(&opened), (key, purpose));
            let expected: Vec<_> = seen_parties.iter().chain(seen_map).copied().collect();
            assert_eq!(opened.variants, expected, "{form:?}");
            assert!(opened.confirm_initiator(ALICE, &ANNEX_E.kms));
            assert!(!opened.confirm_initiator(BOB, &ANNEX_E.kms));
        }
    }
}

#[test]
fn a_policy_without_sessions_is_not_written() {
    let form = Form {
        policy: Some(default_policy(KeyPurpose::Pck)),
        ..Form::default()
    };
    let distribution = to_bob(None, false);
    let made = distribution.in_form(&form).key_reproducibly(
        &[1; 16],
        KeyId(0x1000_0001),
        [0; 16],
        &nonce(),
    );
    assert_eq!(made, Err(BuildError::PolicyWithEmptyMap));
}

#[test]
fn one_gmk_serves_several_groups_and_tells_its_life() {
    let groups = [
        "sip:fireground-1@example.org",
        "sip:fireground-2@example.org",
    ];
    let parameters = KeyParameters {
        activation: 1_800_000_000,
        expiry: 1_900_000_000,
        text: "Fireground".to_owned(),
        ..KeyParameters::in_use(KeyPurpose::Gmk, Some(groups.map(str::to_owned).to_vec()))
    };
    let distribution = to_bob(Some(parameters.clone()), true);
    let message = made(&distribution, &Form::default(), &[5; 16], 0x0123_4567);
    assert_eq!(opened(&message).key_parameters, Some(parameters.clone()));
    let own = verify(&message).unwrap();
    let own = own.open_to_self(&ANNEX_E.kms, [ANNEX_E.of(ALICE)]).unwrap();
    assert_eq!(own.key_parameters, Some(parameters));
}

/// A peer that hides its identities and names somebody else's UID is refused.
#[test]
fn a_uid_that_contradicts_its_uri_is_refused() {
    let form = Form {
        identities: Identities::Both,
        ..Form::default()
    };
    let mut message = made(&to_bob(None, false), &form, &[1; 16], 0x1000_0001);
    let uid = ANNEX_E.of(ALICE).uid().octets();
    let at = message.windows(32).position(|w| w == uid).unwrap();
    message[at] ^= 1;
    assert!(matches!(
        verify(&message),
        Err(VerifyError::HiddenMismatch(_))
    ));
}

/// Alea: the extension stands in front of SAKKE.
#[test]
fn an_extension_in_front_of_sakke_is_read() {
    let parameters = KeyParameters::in_use(KeyPurpose::Csk, None);
    let message = made(
        &to_bob(Some(parameters.clone()), false),
        &Form::default(),
        &[6; 16],
        0x2000_0001,
    );
    let end = message.len() - 129;
    let extension = message[..end]
        .windows(2)
        .rposition(|w| w == [4, 7])
        .unwrap();
    let sakke = extension - 278;
    assert_eq!(message[sakke..sakke + 5], [21, 1, 2, 0x01, 0x11]);
    let mut swapped = [
        &message[..sakke],
        &message[extension..end - 2],
        &message[sakke..extension],
        &[0x20, 0x81],
    ]
    .concat();
    let last_identity = swapped[..sakke]
        .windows(3)
        .rposition(|w| w == [26, 7, 1])
        .unwrap();
    swapped[last_identity] = 21;
    swapped[sakke] = 26;
    swapped[end - 2 - 278] = 4;
    let alice = ANNEX_E.of(ALICE);
    let signature = alice.sign().sign_reproducibly(&swapped, &nonce()).unwrap();
    swapped.extend(signature);
    let opened = opened(&swapped);
    assert_eq!(opened.variants, [Variant::PayloadOrder]);
    assert_eq!(opened.key_parameters, Some(parameters));
}

/// The legacy gateway: 17 plain octets, the key type counted from one.
#[test]
fn plain_key_parameters_are_read_only_when_overlooked() {
    let message = made(
        &to_bob(None, false),
        &Form::default(),
        &[6; 16],
        0x2000_0001,
    );
    let end = message.len() - 131;
    let mut plain = message[..end].to_vec();
    let sakke = end - 278;
    plain[sakke] = 21;
    plain.extend([4, 7, 0, 17]);
    plain.extend(hex::decode("0300000001000000000000000000000000").unwrap());
    plain.extend([0x20, 0x81]);
    let alice = ANNEX_E.of(ALICE);
    let signature = alice.sign().sign_reproducibly(&plain, &nonce()).unwrap();
    plain.extend(signature);
    let strict = opened(&plain);
    assert_eq!(strict.variants, [Variant::UnreadableKeyParameters]);
    assert_eq!(strict.key_parameters, None);
    let lenient = OpenPolicy {
        plain_key_parameters: true,
        ..OpenPolicy::default()
    };
    let opened = verify(&plain)
        .unwrap()
        .open_with(&ANNEX_E.kms, &ANNEX_E.keys, lenient)
        .unwrap();
    assert_eq!(opened.variants, [Variant::PlainKeyParameters]);
    assert_eq!(opened.key_parameters.as_ref().unwrap().key_type, 2);
}

#[test]
fn a_shortened_mask_is_named_and_passes_only_when_overlooked() {
    let (bob, kms) = (ANNEX_E.of(BOB), &ANNEX_E.kms);
    let message = made(&to_bob(None, false), &Form::default(), &SHORT, 0x1000_0001);
    let at = message.len() - 131 - SED_OCTETS;
    let good: [u8; SED_OCTETS] = message[at..at + SED_OCTETS].try_into().unwrap();
    let defective = as_the_peer_seals(bob.decrypt(), &good, &SHORT).unwrap();
    assert_ne!(defective, good);
    let mut theirs = message[..message.len() - 129].to_vec();
    theirs[at..at + SED_OCTETS].copy_from_slice(&defective);
    let signature = ANNEX_E
        .of(ALICE)
        .sign()
        .sign_reproducibly(&theirs, &nonce())
        .unwrap();
    theirs.extend(signature);
    let refused = verify(&theirs).unwrap().open(kms, [bob]).unwrap_err();
    let expected =
        "known peer defect: g^r hashed without its leading zero octet (switch: shortened_mask)";
    assert!(refused.to_string().ends_with(expected), "{refused}");
    let policy = OpenPolicy {
        shortened_mask: true,
        ..OpenPolicy::default()
    };
    let opened = verify(&theirs)
        .unwrap()
        .open_with(kms, [bob], policy)
        .unwrap();
    assert_eq!(opened.variants, [Variant::ShortenedMask]);
    assert_eq!(octets_of(&opened).0, SHORT);
    // The conforming message opens without the switch, and another octet spoils both.
    assert_eq!(super::opened(&message).variants, []);
    let mut spoilt = defective;
    spoilt[SED_OCTETS - 1] ^= 1;
    let found =
        shortened_mask::decapsulate(bob.decrypt(), &kms.encryption, bob.uid().octets(), &spoilt);
    assert_eq!(found, None);
}
