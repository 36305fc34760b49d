//! RFC 6507 Appendix A, every value, and what must not be accepted.

use super::*;
use serde_json::Value;

/// A source that repeats one octet: good enough where randomness is not the matter.
struct Fixed(u8);

impl rand_core::TryRng for Fixed {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(u32::from_be_bytes([self.0; 4]))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(u64::from_be_bytes([self.0; 8]))
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.fill(self.0);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Fixed {}

fn vectors() -> Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/rfc6507.json")).unwrap()
}

fn octets(vectors: &Value, name: &str) -> Vec<u8> {
    hex::decode(vectors[name].as_str().unwrap()).unwrap()
}

fn kms(v: &Value) -> AuthenticationSecret {
    AuthenticationSecret::from_octets(&octets(v, "KSAK")).unwrap()
}

#[test]
fn keys_of_appendix_a() {
    let v = vectors();
    assert_eq!(kms(&v).public_key().octets()[..], octets(&v, "KPAK"));
    let key = kms(&v)
        .issue_reproducibly(&octets(&v, "ID"), &octets(&v, "v"))
        .unwrap();
    assert_eq!(key.pvt()[..], octets(&v, "PVT"));
    assert_eq!(key.hs[..], octets(&v, "HS"));
    assert_eq!(key.ssk()[..], octets(&v, "SSK"));
}

#[test]
fn signature_of_appendix_a() {
    let v = vectors();
    let kpak = kms(&v).public_key();
    let (id, message) = (octets(&v, "ID"), octets(&v, "M"));
    let key = SigningKey::validated(&kpak, &id, &octets(&v, "SSK"), &octets(&v, "PVT")).unwrap();
    let signature = key.sign_reproducibly(&message, &octets(&v, "j")).unwrap();
    assert_eq!(signature[..], octets(&v, "Sig"));
    assert_eq!(
        hash_he(&key.hs, &octets(&v, "r"), &message)[..],
        octets(&v, "HE")
    );
    let pvt = Affine::from_octets(key.pvt(), "PVT").unwrap();
    let y = kpak.bound_point(&pvt, &key.hs).unwrap();
    assert_eq!(y.to_octets()[..], octets(&v, "Y"));
    assert_eq!(kpak.verify(&id, &message, &signature), Ok(()));
}

#[test]
fn every_changed_octet_is_refused() {
    let v = vectors();
    let (kpak, id, message) = (kms(&v).public_key(), octets(&v, "ID"), octets(&v, "M"));
    let good = octets(&v, "Sig");
    for at in 0..SIGNATURE_OCTETS {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(kpak.verify(&id, &message, &bad).is_err(), "octet {at}");
    }
    for (id, message) in [(&id[1..], &message[..]), (&id[..], &message[1..])] {
        assert_eq!(kpak.verify(id, message, &good), Err(CryptoError::Signature));
    }
    assert!(matches!(
        kpak.verify(&id, &message, &good[1..]),
        Err(CryptoError::Length { .. })
    ));
}

#[test]
fn edges_of_r_and_s_are_refused_and_the_negated_s_is_not() {
    let v = vectors();
    let (kpak, id, message) = (kms(&v).public_key(), octets(&v, "ID"), octets(&v, "M"));
    let good = octets(&v, "Sig");
    let with = |at: usize, value: &[u8]| {
        let mut changed = good.clone();
        changed[at..at + 32].copy_from_slice(value);
        kpak.verify(&id, &message, &changed)
    };
    assert_eq!(with(0, &[0; 32]), Err(CryptoError::ScalarRange("r")));
    assert_eq!(with(32, &[0; 32]), Err(CryptoError::ScalarRange("s")));
    assert_eq!(
        with(32, &octets(&v, "q")),
        Err(CryptoError::ScalarRange("s"))
    );
    assert_eq!(with(32, &[0xFF; 32]), Err(CryptoError::ScalarRange("s")));
    // RFC 6507 compares the x coordinate only: a signature is not a unique name of a message.
    let negated = -nonzero_scalar(&good[32..64], "s").unwrap();
    assert_eq!(with(32, &negated.to_repr()), Ok(()));
}

#[test]
fn a_key_of_another_user_or_kms_is_refused() {
    let v = vectors();
    let kpak = kms(&v).public_key();
    let (ssk, pvt) = (octets(&v, "SSK"), octets(&v, "PVT"));
    let mismatch = Err(CryptoError::KeyMismatch("UserSigningKeySSK"));
    assert_eq!(
        SigningKey::validated(&kpak, b"bob", &ssk, &pvt).map(|_| ()),
        mismatch
    );
    let other = AuthenticationSecret::from_octets(&[9; 32])
        .unwrap()
        .public_key();
    let id = octets(&v, "ID");
    assert_eq!(
        SigningKey::validated(&other, &id, &ssk, &pvt).map(|_| ()),
        mismatch
    );
    assert!(SigningKey::validated(&kpak, &id, &ssk, &pvt[1..]).is_err());
}

#[test]
fn a_fresh_key_signs_and_a_broken_source_does_not() {
    let v = vectors();
    let kpak = kms(&v).public_key();
    let key = kms(&v).issue(b"alice", &mut Fixed(7)).unwrap();
    let signature = key.sign(b"hello", &mut Fixed(5)).unwrap();
    assert_eq!(kpak.verify(b"alice", b"hello", &signature), Ok(()));
    for dead in [0x00, 0xFF] {
        let fault = Err(CryptoError::Fault);
        assert_eq!(key.sign(b"x", &mut Fixed(dead)).map(|_| ()), fault);
        assert_eq!(kms(&v).issue(b"alice", &mut Fixed(dead)).map(|_| ()), fault);
    }
}

#[test]
fn malformed_public_keys_are_refused() {
    let good = octets(&vectors(), "KPAK");
    let mut off = good.clone();
    off[64] ^= 1;
    assert_eq!(
        AuthenticationKey::from_octets(&off),
        Err(CryptoError::OffCurve("PubAuthKey"))
    );
    let mut compressed = good.clone();
    compressed[0] = 2;
    let encoding = Err(CryptoError::Encoding("PubAuthKey"));
    assert_eq!(AuthenticationKey::from_octets(&compressed), encoding);
    assert!(AuthenticationKey::from_octets(&good[..33]).is_err());
    assert!(AuthenticationKey::from_octets(&[0]).is_err());
}

/// A signer of its own for each number, and what it signed.
fn signed(kms: &AuthenticationSecret, number: u8, message: &[u8]) -> Vec<u8> {
    let id = [number; 32];
    let key = kms.issue_reproducibly(&id, &[number | 1; 32]).unwrap();
    key.sign_reproducibly(message, &[0x21; 32])
        .unwrap()
        .to_vec()
}

#[test]
fn what_a_kept_signer_did_not_sign_is_refused() {
    let kms = kms(&vectors());
    let kpak = kms.public_key();
    let (id, good) = ([7; 32], signed(&kms, 7, b"message"));
    let refused = |signature: &[u8], id: &[u8], message: &[u8]| {
        let found = kpak.verify(id, message, signature);
        // As a key that has met nobody says.
        let fresh = AuthenticationKey::from_octets(kpak.octets()).unwrap();
        assert_eq!(found, fresh.verify(id, message, signature));
        found.is_err()
    };
    for round in 0..8 {
        assert_eq!(kpak.verify(&id, b"message", &good), Ok(()));
        assert_eq!(kpak.signers.tables(), usize::from(round >= 3), "{round}");
        for at in 0..SIGNATURE_OCTETS {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(refused(&bad, &id, b"message"), "octet {at}");
        }
        assert!(refused(&good, &[8; 32], b"message"), "another signer");
        assert!(refused(&good, &id, b"messagE"));
        assert!(refused(&good[1..], &id, b"message"));
    }
}

#[test]
fn forged_signatures_are_not_remembered() {
    let kms = kms(&vectors());
    let kpak = kms.public_key();
    let mut bad = signed(&kms, 7, b"message");
    bad[40] ^= 1;
    for _ in 0..8 {
        assert!(kpak.verify(&[7; 32], b"message", &bad).is_err());
    }
    assert_eq!(kpak.signers.tables(), 0);
    // Had they counted, the third valid one would have made the table.
    let good = signed(&kms, 7, b"message");
    for _ in 0..3 {
        assert_eq!(kpak.verify(&[7; 32], b"message", &good), Ok(()));
    }
    assert_eq!(kpak.signers.tables(), 0);
}

#[test]
fn the_signer_met_longest_ago_is_forgotten() {
    let kms = kms(&vectors());
    let kpak = kms.public_key();
    let kept = u8::try_from(signers::KEPT).unwrap();
    let meet = |number: u8| {
        let good = signed(&kms, number, b"m");
        for _ in 0..4 {
            assert_eq!(kpak.verify(&[number; 32], b"m", &good), Ok(()));
        }
    };
    let hs = |number: u8| {
        let pvt: [u8; POINT_OCTETS] = signed(&kms, number, b"m")[64..].try_into().unwrap();
        hash_hs(&kpak, &[number; 32], &pvt)
    };
    (1..=kept).for_each(meet);
    assert_eq!(kpak.signers.tables(), signers::KEPT);
    // The first is used again, so that the second is the oldest.
    meet(1);
    meet(kept + 1);
    assert_eq!(kpak.signers.tables(), signers::KEPT);
    assert!(kpak.signers.verifier(&hs(1)).is_some());
    assert!(kpak.signers.verifier(&hs(2)).is_none());
    assert!(kpak.signers.verifier(&hs(kept + 1)).is_some());
    // It is verified all the same.
    meet(2);
    // Another KMS knows none of them.
    let other = AuthenticationSecret::from_octets(&[9; 32]).unwrap();
    assert!(other.public_key().signers.verifier(&hs(1)).is_none());
}
