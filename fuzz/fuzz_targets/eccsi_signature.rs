//! ECCSI signatures (RFC 6507 5.2.2) on the RFC's example message: only the example's verifies, and
//! the one with -s, which ECDSA's equation cannot tell from it.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mikey_sakke::eccsi::AuthenticationKey;
use serde_json::Value;

struct Signed {
    kpak: AuthenticationKey,
    id: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

static SIGNED: LazyLock<Signed> = LazyLock::new(|| {
    let vectors = include_str!("../../tests/vectors/rfc6507.json");
    let vectors: Value = serde_json::from_str(vectors).expect("JSON");
    let octets = |name: &str| hex::decode(vectors[name].as_str().expect(name)).expect(name);
    Signed {
        kpak: AuthenticationKey::from_octets(&octets("KPAK")).expect("KPAK"),
        id: octets("ID"),
        message: octets("M"),
        signature: octets("Sig"),
    }
});

fuzz_target!(|data: &[u8]| {
    let signed = &*SIGNED;
    let holds = signed.kpak.verify(&signed.id, &signed.message, data).is_ok();
    // r, s, PVT of 32, 32 and 65 octets: another s with the same r and PVT can only be q - s.
    let same = |range: std::ops::Range<usize>| data.get(range.clone()) == signed.signature.get(range);
    assert!(!holds || (data.len() == 129 && same(0..32) && same(64..129)));
    let _ = AuthenticationKey::from_octets(data);
});
