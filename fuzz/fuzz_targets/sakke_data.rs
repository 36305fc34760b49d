//! SAKKE payload data (RFC 6508 6.2.2) at the receiver of the RFC's example: only the example's opens.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mikey_sakke::sakke::{PublicKey, ReceiverSecretKey};
use serde_json::Value;

struct Receiver {
    public: PublicKey,
    rsk: ReceiverSecretKey,
    id: Vec<u8>,
    sed: Vec<u8>,
}

static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    let vectors = include_str!("../../tests/vectors/rfc6508.json");
    let vectors: Value = serde_json::from_str(vectors).expect("JSON");
    let octets = |name: &str| hex::decode(vectors[name].as_str().expect(name)).expect(name);
    Receiver {
        public: PublicKey::from_octets(&octets("Z_encoded")).expect("Z"),
        rsk: ReceiverSecretKey::from_octets(&octets("RSK_encoded")).expect("RSK"),
        id: octets("b"),
        sed: octets("SED_encoded"),
    }
});

fuzz_target!(|data: &[u8]| {
    let receiver = &*RECEIVER;
    let opened = receiver.rsk.decapsulate(&receiver.public, &receiver.id, data);
    assert_eq!(opened.is_ok(), data == receiver.sed, "{opened:?}");
    // Keys come from documents of a KMS.
    let _ = PublicKey::from_octets(data);
    let _ = ReceiverSecretKey::from_octets(data);
});
