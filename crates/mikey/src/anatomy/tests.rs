use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn vectors() -> serde_json::Value {
    serde_json::from_str(include_str!("../../../../tests/vectors/mikey.json")).unwrap()
}

fn deployed(number: usize) -> Vec<u8> {
    let text = vectors()["deployed"]["messages"][number]["I_MESSAGE_base64"].clone();
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

/// The byte walk of the deployed GMK message, as an independent program found it.
#[test]
fn every_payload_of_the_deployed_gmk_stands_where_it_should() {
    let octets = deployed(0);
    let items = anatomy(&octets);
    let places: Vec<_> = items.iter().map(|i| (i.name, i.at)).collect();
    let expected = [
        ("HDR", 0),
        ("T", 25),
        ("RAND", 35),
        ("IDRuidi", 53),
        ("IDRuidr", 90),
        ("IDRkmsi", 127),
        ("IDRkmsr", 156),
        ("SP", 185),
        ("SAKKE", 217),
        ("key parameters", 495),
        ("SIGN", 570),
    ];
    assert_eq!(places, expected);
    assert!(items.iter().all(Item::all_fit), "{items:#?}");
    let end: usize = items.iter().map(|i| i.length).sum();
    assert_eq!(end, octets.len(), "no octet is left out");
}

/// Whatever is read as an I_MESSAGE has an anatomy without an incomplete payload; whatever is cut
/// has one that ends with it.
#[test]
fn the_first_wrong_field_is_the_one_that_was_changed() {
    let good = deployed(1);
    for (at, name) in [
        (0, "version"),
        (1, "data type"),
        (3, "V and PRF"),
        (9, "CS ID map type"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        let items = anatomy(&bad);
        let wrong = items[0].children.iter().find(|i| !i.fits).unwrap();
        assert_eq!((wrong.name, wrong.at), (name, at));
    }
    for length in 0..good.len() {
        let items = anatomy(&good[..length]);
        let last = items.last().unwrap();
        assert!(!last.all_fit(), "{length} octets");
        assert!(last.at + last.length <= length, "{length} octets");
    }
}

proptest::proptest! {
    #[test]
    fn no_octets_make_it_panic(octets in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        let _ = anatomy(&octets);
        let framed = [&[1, 26, 5, 1, 0, 0, 0, 0, 0, 1][..], &octets].concat();
        let _ = anatomy(&framed);
    }
}
