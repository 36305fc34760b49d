//! Against the PCK message and keys of an independent program, and messages of our own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::{CskId, Key128 as _, KeyId, KeyPeriod};
use mikey::{ReplayCache, Unverified, VerifyPolicy};
use mikey_sakke::{eccsi, sakke};
use serde_json::Value;

use super::*;

const NOW: NtpTime = NtpTime(0xec89_8da8_0000_0000);
const ALICE: &str = "sip:alice@example.org";
const BOB: &str = "sip:bob@example.org";

fn vectors() -> Value {
    let text = include_str!("../../../../tests/vectors/mikey.json");
    serde_json::from_str(text).unwrap()
}

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn domain() -> (KmsCertificate, Vec<UserKeys>) {
    let value = &vectors()["provisioning"];
    let kms = KmsCertificate {
        kms_uri: "kms.example.org".parse().unwrap(),
        period: KeyPeriod::new(2_592_000, 0).unwrap(),
        encryption: sakke::PublicKey::from_octets(&octets(&value["PubEncKey"])).unwrap(),
        authentication: eccsi::AuthenticationKey::from_octets(&octets(&value["PubAuthKey"]))
            .unwrap(),
        is_security_gateway: false,
        domains: mikey::Domains::Unlisted,
    };
    let number = kms.period.number_at(NOW);
    let users = value["identities"].as_array().unwrap().iter();
    let keys = users.map(|user| {
        let [rsk, ssk, pvt] = ["rsk", "ssk", "pvt"].map(|name| octets(&user[name]));
        let uri = user["uri"].as_str().unwrap();
        UserKeys::validated(&kms, uri, number, &rsk, &ssk, &pvt).unwrap()
    });
    let keys = keys.collect();
    (kms, keys)
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
    let vector = vectors()["annex_e"]["pck"].clone();
    let message = STANDARD.decode(vector["I_MESSAGE_base64"].as_str().unwrap());
    let (opened, kms) = opened(&message.unwrap());
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
    let vector = vectors()["annex_e"]["pck"].clone();
    let message = STANDARD.decode(vector["I_MESSAGE_base64"].as_str().unwrap());
    let (pck, kms) = opened(&message.unwrap());
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
