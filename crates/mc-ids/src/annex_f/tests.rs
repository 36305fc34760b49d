//! Values of deployed implementations and two vendors' tables, recomputed independently.

use super::*;
use crate::Csk;

fn octets<const N: usize>(hex_text: &str) -> [u8; N] {
    hex::decode(hex_text).unwrap().try_into().unwrap()
}

#[test]
fn uid_table() {
    let kms = KmsUri::new("kms.example.org").unwrap();
    let rows = [
        (
            2_592_000,
            0,
            1,
            "74e2af803ab5d72841bbced0ce319ffe64f6fe23c88a2d258aabcf6ac5658ef4",
        ),
        (
            10,
            0,
            10,
            "94fb1a697c15d7e9d6b7062066affebda2d9e346e0090d67525c0c3ce666eafa",
        ),
        (
            25_920_000,
            100,
            1,
            "3c0ad8828cfae1ad1d08b27cc7b61258c6cfcd405081b68cd778f1e1c7f562a7",
        ),
        (
            25_920_000,
            100,
            2048,
            "c88b3fa5e36a08985d10f7b31a631b0265e8249f0312435e4984dbc3765c7f0c",
        ),
        (
            25_920_000,
            45_920_000,
            20_393_844,
            "8dc05540167345538475101514f4eabd384abd6ba665782abb312ecaf05934e1",
        ),
    ];
    for (period, offset, number, expected) in rows {
        let period = KeyPeriod::new(period, offset).unwrap();
        let uid = Uid::of_period("sip:user@example.org", &kms, period, number);
        assert_eq!(uid.0, octets::<32>(expected), "{period:?} number {number}");
    }
}

#[test]
fn uid_follows_the_time_not_the_number() {
    let kms = KmsUri::new("kms.example.org").unwrap();
    let period = KeyPeriod::new(2_592_000, 0).unwrap();
    let uid = Uid::at(
        "sip:alice@example.org",
        &kms,
        period,
        NtpTime(0xec89_8da8_0000_0000),
    );
    let expected = "99adf023bb35627525f52cc7f6d129856111651b4a04d1d7e4970da367df9745";
    assert_eq!(uid.0, octets::<32>(expected));
}

#[test]
fn guk_id_table_of_two_vendors() {
    let rows = [
        (
            "sip:p25user01@etherstack.com",
            "fcfe65cd967c58d260b603ccb9a887a9",
            0x09bf_9d37,
            0x01c8_de7b,
        ),
        (
            "sip:p25user02@etherstack.co.jp",
            "fcfe65cd967c58d260b603ccb9a887a9",
            0x09bf_9d37,
            0x0abe_69d0,
        ),
        (
            "sip:92100002447@att.com",
            "fcfe65cd967c58d260b603ccb9a887a9",
            0x09bf_9d37,
            0x0c44_9727,
        ),
        (
            "sip:P25SU-00003002000531@server-dev43-ws.streamwideus.com",
            "52079f77690731437e407a5b4845aab3",
            0x03f3_453d,
            0x0e0e_03f2,
        ),
    ];
    for (member, gmk, id, expected) in rows {
        let gmk = Gmk::from_octets(octets(gmk));
        let gmk_id_in = GmkId::try_from(KeyId(id)).unwrap();
        let guk = guk_id(&gmk, gmk_id_in, member);
        assert_eq!(guk.key_id(), KeyId(expected), "{member}");
        assert_eq!(gmk_id(&gmk, guk, member), gmk_id_in);
    }
}

#[test]
fn xml_keys_vector() {
    let csk = Csk::from_octets(octets("e06e65106183547342d3e8a6ce2540a8"));
    let (id, user) = (KeyId(0x2ddd_5bf0), "sip:alice@example.org");
    let keys = xml_keys(&csk, id, user, XpkIdEncoding::Binary4);
    assert_eq!(
        keys.confidentiality,
        octets::<16>("d28067cf2f7b6be064b685a0a2cd9ee2")
    );
    assert_eq!(
        keys.integrity,
        octets::<16>("ed48a33b5f65520194d249438377150e")
    );
    let other = xml_keys(&csk, id, user, XpkIdEncoding::Base64Ascii);
    assert_ne!(other.confidentiality, keys.confidentiality);
}

#[test]
fn dpck_vector() {
    let gmk = octets("07d1a1677ac36d8e81620484689b3c2d");
    assert_eq!(
        dpck(&gmk, KeyId(0x082c_7b7a)),
        octets::<16>("18cad6b5949292118d3fdf780c635e67")
    );
}
