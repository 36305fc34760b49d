//! A GMK of a sender with a known defect.

use super::*;
use mikey::Variant;
use published_domain::NOW;
use serde_json::{Value, json};

use crate::ClientConfig;

fn config(mikey: &Value) -> Result<ClientConfig, serde_json::Error> {
    serde_json::from_value(json!({
        "node": "alice",
        "state_dir": "/tmp/alice",
        "login": {
            "issuer": "https://idms.example.org",
            "client_id": "mcptt_client",
            "redirect_uri": "http://127.0.0.1/callback",
            "username": "alice",
            "password": "secret",
        },
        "kms": { "url": "https://kms.example.org", "kms_uri": "kms.example.org" },
        "gms": { "xcap_root": "https://gms.example.org" },
        "mikey": mikey,
    }))
}

#[test]
fn a_gmk_signed_without_the_sign_header_is_taken_only_when_overlooked() {
    let ring = KeyRing::new(
        published_domain::kms(),
        Vec::new(),
        None,
        published_domain::keys(),
    );
    let good = published_domain::message("gmk");
    let gms = "sip:gms@example.org";
    let headless = published_domain::signed_without_header(&good, gms, &mut mc_runtime::rng());
    let read = |mikey: Value| {
        let overlooked = config(&mikey).unwrap().mikey;
        let message = Unverified::parse(&headless).unwrap();
        opened(message, &ring, overlooked, NOW, &mut ReplayCache::new(8))
    };
    let refused = read(json!({})).unwrap_err().to_string();
    assert!(refused.contains("switch: lenient_sign"), "{refused}");
    let taken = read(json!({ "lenient_sign": true })).unwrap().unwrap();
    assert_eq!(taken.variants, [Variant::SignedWithoutHeader]);
    assert!(config(&json!({ "lenient": true })).is_err());
}
