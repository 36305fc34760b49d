//! Properties of keys, signatures and encapsulations for any secret, identifier and message. Counts
//! of cases are small: a case is some milliseconds of arithmetic.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what is drawn is valid, and fails the test otherwise"
)]

use crypto_bigint::{NonZero, U256, U1024};
use getrandom::SysRng;
use mikey_sakke::eccsi::{AuthenticationKey, AuthenticationSecret, SIGNATURE_OCTETS, SigningKey};
use mikey_sakke::sakke::{MasterSecret, PublicKey, ReceiverSecretKey, Ssv};
use mikey_sakke::{CryptoError, SED_OCTETS};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use rand_core::UnwrapErr;
use std::sync::LazyLock;

/// The prime and the order of P-256 (RFC 6507 Appendix A).
const P256_PRIME: U256 =
    U256::from_be_hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
const P256_ORDER: U256 =
    U256::from_be_hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");

/// A parameter of SAKKE's set 1 as the RFC's vectors have it.
fn parameter(name: &str) -> NonZero<U1024> {
    let vectors = include_str!("../../../tests/vectors/rfc6508.json");
    let vectors: serde_json::Value = serde_json::from_str(vectors).unwrap();
    let number = U1024::from_be_hex(vectors["parameter_set_1"][name].as_str().unwrap());
    NonZero::new(number).unwrap()
}

static PRIME: LazyLock<NonZero<U1024>> = LazyLock::new(|| parameter("p"));
static ORDER: LazyLock<NonZero<U1024>> = LazyLock::new(|| parameter("q"));

/// Scalars of P-256, the first and the last often.
fn scalar() -> impl Strategy<Value = [u8; 32]> {
    let order = NonZero::new(P256_ORDER.wrapping_sub(&U256::ONE)).unwrap();
    let number = prop_oneof![
        1 => Just(U256::ZERO),
        1 => Just(P256_ORDER.wrapping_sub(&U256::from_u8(2))),
        1 => any::<u8>().prop_map(U256::from_u8),
        6 => any::<[u8; 32]>().prop_map(|octets| U256::from_be_slice(&octets)),
    ];
    number.prop_map(move |number| {
        number
            .rem(&order)
            .wrapping_add(&U256::ONE)
            .to_be_bytes()
            .into()
    })
}

/// Master secrets z from 2 to q - 1.
fn master() -> impl Strategy<Value = MasterSecret> {
    let order = NonZero::new(ORDER.wrapping_sub(&U1024::from_u8(2))).unwrap();
    let number = prop_oneof![
        1 => Just(U1024::ZERO),
        1 => Just(ORDER.wrapping_sub(&U1024::from_u8(3))),
        1 => any::<u8>().prop_map(U1024::from_u8),
        6 => vec(any::<u8>(), 128).prop_map(|octets| U1024::from_be_slice(&octets)),
    ];
    number.prop_map(move |number| {
        let z = number.rem(&order).wrapping_add(&U1024::from_u8(2));
        MasterSecret::from_octets(z.to_be_bytes().as_ref()).unwrap()
    })
}

/// Identifiers, those of MC (32 octets) and others, with leading zeros and without.
fn identifier() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 32),
        vec(any::<u8>(), 31).prop_map(|rest| [vec![0], rest].concat()),
        vec(any::<u8>(), 0..127),
    ]
}

fn ssv() -> impl Strategy<Value = Ssv> {
    any::<[u8; 16]>().prop_map(Ssv::new)
}

/// The octets with one bit changed.
fn flipped(octets: &[u8], at: &Index, bit: u8) -> Vec<u8> {
    let mut octets = octets.to_vec();
    let at = at.index(octets.len());
    octets[at] ^= 1 << (bit % 8);
    octets
}

fn cut_short<T>(refused: &Result<T, CryptoError>) -> bool {
    matches!(refused, Err(CryptoError::Length { .. }))
}

/// Coordinates of a point of SAKKE's curve as integers.
type Point = (U1024, U1024);

fn coordinates(octets: &[u8]) -> Point {
    let [x, y] = [&octets[1..129], &octets[129..257]].map(U1024::from_be_slice);
    (x, y)
}

fn encoded((x, y): &Point) -> Vec<u8> {
    [&[4], x.to_be_bytes().as_ref(), y.to_be_bytes().as_ref()].concat()
}

fn power(base: &U1024, exponent: &U1024) -> U1024 {
    (0..1024).rev().fold(U1024::ONE, |power, bit| {
        let square = power.mul_mod(&power, &PRIME);
        match bool::from(exponent.bit(bit)) {
            true => square.mul_mod(base, &PRIME),
            false => square,
        }
    })
}

/// The points of the orders two and four: (0, 0), and (x, ±y) with `x^2 = -3`, whose double it is.
static SMALL_ORDER: LazyLock<[Point; 3]> = LazyLock::new(|| {
    let root = |square: &U1024| power(square, &PRIME.shr(2).wrapping_add(&U1024::ONE));
    let minus = |number: &U1024| number.neg_mod(&PRIME);
    let minus_three = minus(&U1024::from_u8(3));
    let x = minus(&root(&minus_three));
    // x^3 - 3x = -6x.
    let square = minus(&x.mul_mod(&U1024::from_u8(6), &PRIME));
    let y = root(&square);
    assert_eq!(y.mul_mod(&y, &PRIME), square);
    [(U1024::ZERO, U1024::ZERO), (x, y), (x, minus(&y))]
});

/// The sum of two points of different x.
fn sum((x, y): &Point, (other_x, other_y): &Point) -> Point {
    let below = x.sub_mod(other_x, &PRIME);
    let inverse = power(&below, &PRIME.wrapping_sub(&U1024::from_u8(2)));
    let slope = y.sub_mod(other_y, &PRIME).mul_mod(&inverse, &PRIME);
    let square = slope.mul_mod(&slope, &PRIME);
    let sum_x = square.sub_mod(x, &PRIME).sub_mod(other_x, &PRIME);
    let sum_y = slope.mul_mod(&x.sub_mod(&sum_x, &PRIME), &PRIME);
    (sum_x, sum_y.sub_mod(y, &PRIME))
}

/// What a point must not be taken for: its negative, its sums with points of small order, those
/// points alone, and its coordinates with the prime added where they have room for it.
fn forged(octets: &[u8]) -> Vec<Vec<u8>> {
    let point = coordinates(octets);
    let (x, y) = point;
    let mut forged = vec![(x, y.neg_mod(&PRIME))];
    forged.extend(SMALL_ORDER.iter().map(|small| sum(&point, small)));
    forged.extend(SMALL_ORDER.iter().copied());
    let [more_x, more_y] = [x, y].map(|number| number.wrapping_add(&PRIME));
    forged.extend((more_x > x).then_some((more_x, y)));
    forged.extend((more_y > y).then_some((x, more_y)));
    forged.iter().map(encoded).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_signature_verifies_and_no_other_does(
        (ksak, v, j) in (scalar(), scalar(), scalar()),
        (id, message) in (identifier(), vec(any::<u8>(), 0..200)),
        (at, bit) in (any::<Index>(), any::<u8>()),
    ) {
        let secret = AuthenticationSecret::from_octets(&ksak).unwrap();
        let kpak = secret.public_key();
        prop_assert_eq!(*secret.octets(), ksak);
        prop_assert_eq!(&AuthenticationKey::from_octets(kpak.octets()).unwrap(), &kpak);
        let issued = secret.issue_reproducibly(&id, &v).unwrap();
        let key = SigningKey::validated(&kpak, &id, issued.ssk().as_slice(), issued.pvt()).unwrap();
        for signature in [
            key.sign_reproducibly(&message, &j).unwrap(),
            issued.sign(&message, &mut UnwrapErr(SysRng)).unwrap(),
        ] {
            prop_assert_eq!(kpak.verify(&id, &message, &signature), Ok(()));
            prop_assert!(kpak.verify(&id, &message, &flipped(&signature, &at, bit)).is_err());
            let refused = Err(CryptoError::Signature);
            let longer = [message.as_slice(), &[bit]].concat();
            prop_assert_eq!(kpak.verify(&id, &longer, &signature), refused);
            let other = [id.as_slice(), &[bit]].concat();
            prop_assert_eq!(kpak.verify(&other, &message, &signature), refused);
            if !message.is_empty() {
                let changed = flipped(&message, &at, bit);
                prop_assert_eq!(kpak.verify(&id, &changed, &signature), refused);
            }
            let short = &signature[..at.index(SIGNATURE_OCTETS)];
            prop_assert!(cut_short(&kpak.verify(&id, &message, short)));
        }
    }

    #[test]
    fn a_signing_key_is_of_its_identifier_and_kms_only(
        (ksak, other, v) in (scalar(), scalar(), scalar()),
        id in identifier(),
        (at, bit) in (any::<Index>(), any::<u8>()),
    ) {
        let secret = AuthenticationSecret::from_octets(&ksak).unwrap();
        let kpak = secret.public_key();
        let key = secret.issue_reproducibly(&id, &v).unwrap();
        let (ssk, pvt) = (key.ssk(), key.pvt());
        let validated = |kpak: &AuthenticationKey, id: &[u8], ssk: &[u8], pvt: &[u8]| {
            SigningKey::validated(kpak, id, ssk, pvt).map(|_| ())
        };
        prop_assert_eq!(validated(&kpak, &id, ssk.as_slice(), pvt), Ok(()));
        prop_assert!(validated(&kpak, &id, &flipped(ssk.as_slice(), &at, bit), pvt).is_err());
        prop_assert!(validated(&kpak, &id, ssk.as_slice(), &flipped(pvt, &at, bit)).is_err());
        prop_assert!(validated(&kpak, &[&id[..], &[bit]].concat(), ssk.as_slice(), pvt).is_err());
        prop_assume!(ksak != other);
        let other = AuthenticationSecret::from_octets(&other).unwrap().public_key();
        prop_assert!(validated(&other, &id, ssk.as_slice(), pvt).is_err());
        let signature = key.sign(b"message", &mut UnwrapErr(SysRng)).unwrap();
        prop_assert_eq!(other.verify(&id, b"message", &signature), Err(CryptoError::Signature));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_encapsulated_opens_and_nothing_else_does(
        (z, id, ssv) in (master(), identifier(), ssv()),
        (at, bit) in (any::<Index>(), any::<u8>()),
    ) {
        let kms = z.public_key().unwrap();
        prop_assert_eq!(&PublicKey::from_octets(kms.octets()).unwrap(), &kms);
        // With z + id = 0 there is no key; both sides say so.
        let Ok(issued) = z.issue(&id) else {
            prop_assert_eq!(kms.encapsulate(&id, &ssv), Err(CryptoError::Unissuable));
            return Ok(());
        };
        let rsk = ReceiverSecretKey::from_octets(issued.octets().as_slice()).unwrap();
        let data = kms.encapsulate(&id, &ssv).unwrap();
        // Without tables and with them.
        for _ in 0..2 {
            prop_assert_eq!(rsk.decapsulate(&kms, &id, &data).unwrap(), ssv.clone());
            let changed = flipped(&data, &at, bit);
            prop_assert!(rsk.decapsulate(&kms, &id, &changed).is_err());
            for point in forged(&data[..257]) {
                let forged = [&point, &data[257..]].concat();
                prop_assert!(rsk.decapsulate(&kms, &id, &forged).is_err());
            }
            // The integer is the same, its octets are not.
            let longer = [&[0], id.as_slice()].concat();
            prop_assert!(rsk.decapsulate(&kms, &longer, &data).is_err());
            let short = &data[..at.index(SED_OCTETS)];
            prop_assert!(cut_short(&rsk.decapsulate(&kms, &id, short)));
        }
    }

    #[test]
    fn a_receiver_key_is_of_its_identifier_and_kms_only(
        (z, other, id) in (master(), master(), identifier()),
        bit in any::<u8>(),
    ) {
        let kms = z.public_key().unwrap();
        let Ok(rsk) = z.issue(&id) else { return Ok(()) };
        let octets = rsk.octets();
        prop_assert_eq!(rsk.validate(&kms, &id), Ok(()));
        let mismatch = Err(CryptoError::KeyMismatch("UserDecryptKey"));
        prop_assert_eq!(rsk.validate(&kms, &[id.as_slice(), &[bit]].concat()), mismatch);
        if other.octets() != z.octets() {
            prop_assert_eq!(rsk.validate(&other.public_key().unwrap(), &id), mismatch);
        }
        for point in forged(octets.as_slice()) {
            let read = ReceiverSecretKey::from_octets(&point);
            let unread = Err(CryptoError::Encoding("UserDecryptKey"));
            let Ok(read) = read else {
                prop_assert_eq!(read.map(|_| ()), unread);
                continue;
            };
            prop_assert_eq!(read.validate(&kms, &id), mismatch);
            let data = kms.encapsulate(&id, &Ssv::new([bit; 16])).unwrap();
            for _ in 0..2 {
                prop_assert!(read.decapsulate(&kms, &id, &data).is_err());
            }
        }
        // The negative is a key of the subgroup: that of another KMS.
        for point in &forged(kms.octets())[1..] {
            prop_assert!(PublicKey::from_octets(point).is_err());
        }
    }

    #[test]
    fn a_batch_is_what_single_calls_give(
        z in master(),
        items in vec((identifier(), ssv()), 0..12),
    ) {
        let kms = z.public_key().unwrap();
        let ids: Vec<_> = items.iter().map(|(id, _)| id.as_slice()).collect();
        let keys = ids.iter().map(|id| z.issue(id)).collect::<Result<Vec<_>, _>>();
        prop_assert!(z.issue_batch(&ids) == keys);
        let recipients: Vec<_> = items.iter().map(|(id, ssv)| (id.as_slice(), ssv)).collect();
        let data = recipients.iter().map(|(id, ssv)| kms.encapsulate(id, ssv));
        prop_assert_eq!(kms.encapsulate_batch(&recipients), data.collect());
    }

    /// z and the identifier are integers: leading zeros do not change the key. The hash of the
    /// identifier counts them.
    #[test]
    fn leading_zeros_change_no_key(z in vec(any::<u8>(), 1..100), id in vec(any::<u8>(), 1..100)) {
        let read = |octets: &[u8]| MasterSecret::from_octets(octets).map(|z| *z.octets());
        let longer = [&[0; 28], z.as_slice()].concat();
        prop_assert_eq!(read(&longer), read(&z));
        let Ok(z) = MasterSecret::from_octets(&z) else { return Ok(()) };
        let longer = [&[0; 28], id.as_slice()].concat();
        prop_assert!(z.issue(&longer) == z.issue(&id));
    }

    /// s and R are searched: one in 256 begins with a zero octet. `wolfssl.rs` searches g^r.
    #[test]
    fn leading_zeros_are_kept(z in master(), ksak in scalar(), id in vec(any::<u8>(), 32), start in any::<u64>()) {
        let numbers = || (0..10_000).map(|count| start.wrapping_add(count));
        let kms = z.public_key().unwrap();
        let rsk = z.issue(&id).unwrap();
        rsk.prepare().unwrap();
        let secret = AuthenticationSecret::from_octets(&ksak).unwrap();
        let key = secret.issue_reproducibly(&id, &[1; 32]).unwrap();
        let sign = |number: u64| key.sign_reproducibly(&number.to_be_bytes(), &[2; 32]).unwrap();
        let short_s = numbers().find(|number| sign(*number)[32] == 0).unwrap();
        prop_assert_eq!(
            secret.public_key().verify(&id, &short_s.to_be_bytes(), &sign(short_s)),
            Ok(())
        );
        let mut hidden = [0; 16];
        let sealed = numbers().map(|number| {
            hidden[..8].copy_from_slice(&number.to_be_bytes());
            let ssv = Ssv::new(hidden);
            let data = kms.encapsulate(&id, &ssv).unwrap();
            (ssv, data)
        });
        let (ssv, data) = sealed.into_iter().find(|(_, data)| data[1] == 0).unwrap();
        prop_assert_eq!(rsk.decapsulate(&kms, &id, &data).unwrap(), ssv);
    }
}

/// Points of P-256 whose x is small: with the prime added it is the same number and another text.
#[test]
fn coordinates_of_p256_that_are_not_reduced_are_refused() {
    let y = "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4";
    let point = |x: U256| [vec![4], x.to_be_bytes().to_vec(), hex::decode(y).unwrap()].concat();
    let read = |x: U256| AuthenticationKey::from_octets(&point(x)).map(|key| *key.octets());
    assert_eq!(read(U256::ZERO).unwrap()[..], point(U256::ZERO));
    assert_eq!(read(P256_PRIME), Err(CryptoError::Encoding("PubAuthKey")));
    let secret = AuthenticationSecret::from_octets(&[7; 32]).unwrap();
    let key = secret.issue(b"alice", &mut UnwrapErr(SysRng)).unwrap();
    let refused = SigningKey::validated(
        &secret.public_key(),
        b"alice",
        key.ssk().as_slice(),
        &point(P256_PRIME),
    );
    assert_eq!(
        refused.map(|_| ()),
        Err(CryptoError::Encoding("UserPubTokenPVT"))
    );
    let mut signature = key.sign(b"m", &mut UnwrapErr(SysRng)).unwrap().to_vec();
    signature.splice(64.., point(P256_PRIME));
    let verified = secret.public_key().verify(b"alice", b"m", &signature);
    assert_eq!(verified, Err(CryptoError::Encoding("PVT")));
}
