//! A GMK of a sender with a known defect.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::KeyPeriod;
use mikey::{KmsCertificate, UserKeys, Variant};
use mikey_sakke::{eccsi, sakke};
use serde_json::{Value, json};

use crate::ClientConfig;

const NOW: NtpTime = NtpTime(0xec89_8da8_0000_0000);

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// The key sets, and the GMS's message signed without the SIGN header.
fn domain() -> (KeyRing, Vec<u8>) {
    let text = include_str!("../../../../../tests/vectors/mikey.json");
    let vectors: Value = serde_json::from_str(text).unwrap();
    let value = &vectors["provisioning"];
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
    let mut keys = Vec::new();
    let message = vectors["annex_e"]["gmk"]["I_MESSAGE_base64"].as_str();
    let mut headless = STANDARD.decode(message.unwrap()).unwrap();
    for user in value["identities"].as_array().unwrap() {
        let [rsk, ssk, pvt] = ["rsk", "ssk", "pvt"].map(|name| octets(&user[name]));
        let uri = user["uri"].as_str().unwrap();
        keys.push(UserKeys::validated(&kms, uri, number, &rsk, &ssk, &pvt).unwrap());
        if uri == "sip:gms@example.org" {
            let uid = kms.uid(uri, NOW);
            let kpak = &kms.authentication;
            let signer = eccsi::SigningKey::validated(kpak, uid.octets(), &ssk, &pvt).unwrap();
            let end = headless.len() - eccsi::SIGNATURE_OCTETS;
            let signature = signer.sign(&headless[..end - 2], &mut mc_runtime::rng());
            headless[end..].copy_from_slice(&signature.unwrap());
        }
    }
    (KeyRing::new(kms, Vec::new(), None, keys), headless)
}

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
    let (ring, headless) = domain();
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
