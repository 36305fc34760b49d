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
