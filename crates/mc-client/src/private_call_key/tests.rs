//! Against the PCK message and keys of an independent program, and messages of our own.

use mc_ids::{CskId, Key128 as _, KeyId};
use mikey::{ReplayCache, Unverified, VerifyPolicy};
use published_domain::NOW;

use super::*;

const ALICE: &str = "sip:alice@example.org";
const BOB: &str = "sip:bob@example.org";

fn domain() -> (KmsCertificate, Vec<UserKeys>) {
    (published_domain::kms(), published_domain::keys())
}

fn opened(message: &[u8]) -> (Opened, KmsCertificate) {
    let (kms, keys) = domain();
    let verified = Unverified::parse(message).unwrap().verify(
        [&kms],
        VerifyPolicy::default(),
        NOW,
        &mut ReplayCache::new(8),
    );
    (verified.unwrap().open(&kms, &keys).unwrap(), kms)
}

fn user(uri: &str) -> McServiceId {
    McServiceId::new(uri).unwrap()
}

#[test]
fn the_message_of_another_program_keys_both_directions() {
    let (opened, kms) = opened(&published_domain::message("pck"));
    let called = PrivateCallKey::delivered(&opened, &user(ALICE), &kms).unwrap();
    assert_eq!(called.mki().to_string(), "16992638");
    let caller = called.far_end();
    for (session, key, salt) in [
        (
            caller.sending(),
            "e392c95d3444f8ab3ca6d340865e4284",
            "245d9363909f2fafc45add02",
        ),
        (
            called.sending(),
            "85b6731c05a50a3856b68191a942a344",
            "10993ef963479b780a8c71ee",
        ),
    ] {
        let keys = called.media_keys(session);
        assert_eq!(hex::encode(keys.master_key), key);
        assert_eq!(hex::encode(keys.master_salt), salt);
    }
    assert_eq!(caller.receiving(), called.sending());
    assert_eq!(called.receiving(), caller.sending());
}

#[test]
fn a_key_of_somebody_else_than_the_caller_or_of_another_kind_is_not_taken() {
    let (pck, kms) = opened(&published_domain::message("pck"));
    let mallory = user("sip:mallory@example.org");
    let refused = PrivateCallKey::delivered(&pck, &mallory, &kms);
    assert_eq!(refused.unwrap_err(), PckRefused::Signer(mallory));

    let mut csk = pck;
    csk.key = DistributedKey::Csk {
        key: mc_ids::Csk::from_octets([7; 16]),
        id: CskId::try_from(KeyId(0x2000_0001)).unwrap(),
    };
    let refused = PrivateCallKey::delivered(&csk, &user(ALICE), &kms);
    assert_eq!(refused.unwrap_err(), PckRefused::NoPck);
}

#[test]
fn whether_a_gateway_holds_the_key_is_said_in_its_status() {
    let (kms, keys) = domain();
    let of = |uri| keys.iter().find(|keys| keys.identity() == uri).unwrap();
    let rng = &mut mc_runtime::rng();
    let own = PrivateCallKey::draw(rng);
    for (key, status) in [(own.clone(), 1), (own.shared_with_gateway(), 3)] {
        let message = key.i_message(of(ALICE), &kms, (&user(BOB), &kms), NOW, rng);
        let (mut opened, kms) = opened(&message.unwrap());
        let parameters = opened.key_parameters.as_mut().unwrap();
        assert_eq!((parameters.key_type, parameters.status.0), (1, status));
        let called = PrivateCallKey::delivered(&opened, &user(ALICE), &kms).unwrap();
        assert_eq!(called.is_shared_with_gateway(), status == 3);

        let parameters = opened.key_parameters.as_mut().unwrap();
        parameters.status.0 &= !1;
        let refused = PrivateCallKey::delivered(&opened, &user(ALICE), &kms);
        assert_eq!(refused.unwrap_err(), PckRefused::Revoked);
    }
}

#[test]
fn our_message_opens_at_the_called_party_only() {
    let (kms, keys) = domain();
    let of = |uri| keys.iter().find(|keys| keys.identity() == uri).unwrap();
    let rng = &mut mc_runtime::rng();
    let caller = PrivateCallKey::draw(rng);
    let message = caller
        .i_message(of(ALICE), &kms, (&user(BOB), &kms), NOW, rng)
        .unwrap();
    let (opened, kms) = opened(&message);
    let called = PrivateCallKey::delivered(&opened, &user(ALICE), &kms).unwrap();
    assert_eq!(called.mki(), caller.mki());
    let session = caller.sending();
    assert_eq!(
        called.media_keys(session).master_key,
        caller.media_keys(session).master_key
    );
    let verified = Unverified::parse(&message).unwrap().verify(
        [&kms],
        VerifyPolicy::default(),
        NOW,
        &mut ReplayCache::new(8),
    );
    assert!(verified.unwrap().open(&kms, [of(ALICE)]).is_err());
}
