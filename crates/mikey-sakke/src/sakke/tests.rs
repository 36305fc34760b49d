//! RFC 6508 Appendix A, every value, and what must not be accepted.

use super::*;
use serde_json::Value;

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/rfc6508.json")).unwrap()
}

fn octets(vectors: &Value, name: &str) -> Vec<u8> {
    let text = vectors[name].as_str().unwrap();
    let padded = if text.len() % 2 == 1 {
        format!("0{text}")
    } else {
        text.to_owned()
    };
    hex::decode(padded).unwrap()
}

fn kms(vectors: &Value) -> (MasterSecret, PublicKey) {
    let z = MasterSecret::from_octets(&octets(vectors, "z")).unwrap();
    let public = z.public_key().unwrap();
    (z, public)
}

fn ssv(octets: &[u8]) -> Ssv {
    Ssv::new(octets.try_into().unwrap())
}

#[test]
fn kms_keys_of_appendix_a() {
    let v = vectors();
    let (_, public) = kms(&v);
    assert_eq!(public.octets()[..], octets(&v, "Z_encoded"));
    assert!(PublicKey::from_octets(&octets(&v, "Z_encoded")).unwrap() == public);
}

#[test]
fn receiver_secret_key_of_appendix_a() {
    let v = vectors();
    let (z, public) = kms(&v);
    let key = z.issue(&octets(&v, "b")).unwrap();
    assert_eq!(key.octets()[..], octets(&v, "RSK_encoded"));
    assert_eq!(key.validate(&public, &octets(&v, "b")), Ok(()));
}

#[test]
fn hash_to_integer_range_of_appendix_a() {
    let v = vectors();
    let steps = &v["hash_to_integer_range"];
    let message = [octets(&v, "SSV"), octets(&v, "b")].concat();
    assert_eq!(message, octets(steps, "M"));
    let wide = hash_to_integer_range::<128>(&[&message]);
    let expected = ["v1", "v2", "v3", "v4"]
        .map(|name| octets(steps, name))
        .concat();
    assert_eq!(wide[..], expected);
    let r = ephemeral(&ssv(&octets(&v, "SSV")), &octets(&v, "b"));
    let expected = octets(&v, "r");
    assert_eq!(r.to_octets()[128 - expected.len()..], expected);
}

#[test]
fn encapsulation_of_appendix_a() {
    let v = vectors();
    let (_, public) = kms(&v);
    let data = public
        .encapsulate(&octets(&v, "b"), &ssv(&octets(&v, "SSV")))
        .unwrap();
    assert_eq!(data[..], octets(&v, "SED_encoded"));
    let r = ephemeral(&ssv(&octets(&v, "SSV")), &octets(&v, "b"));
    let power = base_power(&r).unwrap().to_class().unwrap();
    assert_eq!(power.to_octets()[..], octets(&v, "g_pow_r"));
    assert_eq!(mask(&power)[..], octets(&v, "mask"));
}

#[test]
fn decapsulation_of_appendix_a() {
    let v = vectors();
    let (_, public) = kms(&v);
    let key = ReceiverSecretKey::from_octets(&octets(&v, "RSK_encoded")).unwrap();
    let data = octets(&v, "SED_encoded");
    let point = Affine::from_octets(&data[..POINT_OCTETS], "R").unwrap();
    assert_eq!(
        pairing(&point, &key.point).flatten().unwrap().to_octets()[..],
        octets(&v, "w")
    );
    let opened = key.decapsulate(&public, &octets(&v, "b"), &data).unwrap();
    assert_eq!(opened[..], octets(&v, "SSV"));
}

#[test]
fn every_changed_octet_is_refused() {
    let v = vectors();
    let (_, public) = kms(&v);
    let key = ReceiverSecretKey::from_octets(&octets(&v, "RSK_encoded")).unwrap();
    let id = octets(&v, "b");
    let good = octets(&v, "SED_encoded");
    for at in [0, 1, 128, 129, 256, 257, 272] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(key.decapsulate(&public, &id, &bad).is_err(), "octet {at}");
    }
    for bad in [&good[..272], &[good.as_slice(), &[0]].concat(), &[]] {
        assert!(matches!(
            key.decapsulate(&public, &id, bad),
            Err(CryptoError::Length { .. })
        ));
    }
}

#[test]
fn a_point_of_another_subgroup_is_no_second_encoding_of_r() {
    let v = vectors();
    let (_, public) = kms(&v);
    let key = ReceiverSecretKey::from_octets(&octets(&v, "RSK_encoded")).unwrap();
    let data = octets(&v, "SED_encoded");
    let r = Affine::from_octets(&data[..POINT_OCTETS], "R").unwrap();
    let order_two = Affine {
        x: Fp::ZERO,
        y: Fp::ZERO,
    };
    let shifted = r.to_jacobian().add_affine(&order_two).to_affine().unwrap();
    let negated = r.neg();
    for point in [shifted, negated, order_two] {
        let bad = [&point.to_octets()[..], &data[POINT_OCTETS..]].concat();
        let refused = key.decapsulate(&public, &octets(&v, "b"), &bad);
        assert_eq!(refused.map(|_| ()), Err(CryptoError::Decapsulation));
    }
}

#[test]
fn a_point_of_another_subgroup_is_no_second_encoding_of_a_key() {
    let v = vectors();
    let (_, public) = kms(&v);
    let id = octets(&v, "b");
    let key = ReceiverSecretKey::from_octets(&octets(&v, "RSK_encoded")).unwrap();
    assert_eq!(key.validate(&public, &id), Ok(()));
    let order_two = Affine {
        x: Fp::ZERO,
        y: Fp::ZERO,
    };
    let shifted = key.point.to_jacobian().add_affine(&order_two);
    let shifted = shifted.to_affine().unwrap();
    // The pairing alone does not tell them apart.
    let target = public.of_identifier(&identifier(&id).unwrap()).unwrap();
    let same = pairing(&target, &shifted).flatten().unwrap();
    assert!(bool::from(same.ct_eq(&Fp::from_hex(PAIRING_G))));
    for point in [shifted, key.point.neg(), order_two] {
        let other = ReceiverSecretKey::from_octets(&point.to_octets()).unwrap();
        assert_eq!(
            other.validate(&public, &id),
            Err(CryptoError::KeyMismatch("UserDecryptKey"))
        );
    }
    // It opens nothing, the first time as later.
    let data = public.encapsulate(&id, &ssv(&[7; 16])).unwrap();
    for point in [shifted, order_two] {
        let other = ReceiverSecretKey::from_octets(&point.to_octets()).unwrap();
        for _ in 0..3 {
            let refused = other.decapsulate(&public, &id, &data).map(|_| ());
            assert_eq!(refused, Err(WRONG_ORDER));
        }
    }
}

#[test]
fn another_identifier_or_kms_fits_nothing() {
    let v = vectors();
    let (z, public) = kms(&v);
    let key = z.issue(b"alice").unwrap();
    let other = MasterSecret::from_octets(&[3; 100])
        .unwrap()
        .public_key()
        .unwrap();
    let mismatch = Err(CryptoError::KeyMismatch("UserDecryptKey"));
    assert_eq!(key.validate(&public, b"bob"), mismatch);
    assert_eq!(key.validate(&other, b"alice"), mismatch);
    let data = public.encapsulate(b"alice", &ssv(&[7; 16])).unwrap();
    assert!(key.decapsulate(&public, b"alice", &data).is_ok());
    assert!(key.decapsulate(&public, b"bob", &data).is_err());
    assert!(
        z.issue(b"bob")
            .unwrap()
            .decapsulate(&public, b"alice", &data)
            .is_err()
    );
}

#[test]
fn leading_zeros_of_an_identifier_count_in_the_hash_only() {
    let (z, public) = kms(&vectors());
    let key = z.issue(&[0, 5]).unwrap();
    assert!(key == z.issue(&[5]).unwrap());
    let data = public.encapsulate(&[0, 5], &ssv(&[9; 16])).unwrap();
    assert_eq!(
        key.decapsulate(&public, &[0, 5], &data).unwrap()[..],
        [9; 16]
    );
    assert!(key.decapsulate(&public, &[5], &data).is_err());
}

#[test]
fn master_secrets_out_of_range_are_refused() {
    let order: [u8; 128] = hex::decode(crate::params::Q_ORDER)
        .unwrap()
        .try_into()
        .unwrap();
    for bad in [&[][..], &[0], &[1], &[0, 1], &order, &[1; 129]] {
        let refused = MasterSecret::from_octets(bad).map(|_| ());
        assert_eq!(refused, Err(CryptoError::ScalarRange("z")), "{bad:02x?}");
    }
    assert!(MasterSecret::from_octets(&[2]).is_ok());
    // a + z = 0 mod q has no key.
    let z = MasterSecret::from_octets(&[2]).unwrap();
    let mut a = order;
    a[127] -= 2;
    assert_eq!(z.issue(&a).map(|_| ()), Err(CryptoError::Unissuable));
    assert_eq!(
        z.issue(&[0xFF; 128]).map(|_| ()),
        Err(CryptoError::ScalarRange("identifier"))
    );
}

#[test]
fn debug_shows_no_secret() {
    let (z, _) = kms(&vectors());
    assert_eq!(format!("{z:?}"), "MasterSecret [128 bytes]");
    assert_eq!(
        format!("{:?}", z.issue(b"x").unwrap()),
        "ReceiverSecretKey [257 bytes]"
    );
}
