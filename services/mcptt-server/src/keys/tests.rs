//! CSKs of another program, and of a client with a known defect.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::{Key128 as _, KeyPeriod, NtpTime};
use mc_runtime::clock::TestClock;
use mikey::{KmsCertificate, UserKeys};
use mikey_sakke::{eccsi, sakke};
use serde_json::Value;

use crate::config::Config;

const NOW: NtpTime = NtpTime(0xec89_8da8_0000_0000);
const NOW_UNIX_S: u64 = 0xec89_8da8 - 2_208_988_800;

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

/// The key sets, the message of Alice, and the same signed by a client that leaves out the SIGN
/// header.
fn domain() -> (KeyRing, Vec<u8>, Vec<u8>) {
    let text = include_str!("../../../../tests/vectors/mikey.json");
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
    let message = vectors["annex_e"]["csk"]["I_MESSAGE_base64"].as_str();
    let good = STANDARD.decode(message.unwrap()).unwrap();
    let mut headless = good.clone();
    for user in value["identities"].as_array().unwrap() {
        let [rsk, ssk, pvt] = ["rsk", "ssk", "pvt"].map(|name| octets(&user[name]));
        let uri = user["uri"].as_str().unwrap();
        keys.push(UserKeys::validated(&kms, uri, number, &rsk, &ssk, &pvt).unwrap());
        if uri == "sip:alice@example.org" {
            let uid = kms.uid(uri, NOW);
            let kpak = &kms.authentication;
            let signer = eccsi::SigningKey::validated(kpak, uid.octets(), &ssk, &pvt).unwrap();
            let end = good.len() - eccsi::SIGNATURE_OCTETS;
            let signature = signer.sign(&good[..end - 2], &mut mc_runtime::rng());
            headless[end..].copy_from_slice(&signature.unwrap());
        }
    }
    (KeyRing::new(kms, Vec::new(), None, keys), good, headless)
}

fn config(section: &str) -> Result<Config, toml::de::Error> {
    toml::from_str(&format!(
        r#"
        database_url = "sqlite::memory:"
        [http]
        listen = "127.0.0.1:0"
        [tokens]
        issuer = "https://idms.example.org"
        jwks_url = "https://idms.example.org/jwks.json"
        audiences = ["sip:mcptt@example.org"]
        [login]
        issuer = "https://idms.example.org"
        client_id = "mcptt_client"
        redirect_uri = "http://127.0.0.1/callback"
        username = "mcptt-server"
        password = "secret"
        [kms]
        url = "https://kms.example.org"
        kms_uri = "kms.example.org"
        [groups]
        xcap_root = "https://gms.example.org"
        {section}
        "#
    ))
}

fn server(section: &str, ring: &KeyRing) -> Arc<ServerKeys> {
    let clock = Arc::new(TestClock::at_unix_s(NOW_UNIX_S));
    let overlooked = config(section).unwrap().mikey;
    ServerKeys::new(ring.clone(), Duration::from_secs(120), overlooked, clock)
}

#[test]
fn the_section_mikey_overlooks_nothing_unless_told() {
    let strict = config("").unwrap().mikey;
    assert_eq!(strict, MikeyConfig::default());
    let text = "[mikey]\nlenient_sign = true\nshortened_mask = true\nplain_key_parameters = true";
    let all = MikeyConfig {
        lenient_sign: true,
        shortened_mask: true,
        plain_key_parameters: true,
    };
    assert_eq!(config(text).unwrap().mikey, all);
    let unknown = config("[mikey]\nlenient = true").unwrap_err();
    assert!(unknown.message().contains("lenient"), "{unknown}");
}

#[test]
fn a_csk_signed_without_the_sign_header_is_taken_only_when_overlooked() {
    let (ring, good, headless) = domain();
    let strict = server("", &ring);
    let csk = strict.open_now(&good).unwrap();
    assert_eq!(csk.sender.as_str(), "sip:alice@example.org");
    let refused = strict.open_now(&headless).unwrap_err().to_string();
    assert!(refused.contains("switch: lenient_sign"), "{refused}");

    let lenient = server("[mikey]\nlenient_sign = true", &ring);
    let taken = lenient.open_now(&headless).unwrap();
    assert_eq!((taken.id, taken.key.octets()), (csk.id, csk.key.octets()));
    // Nothing else is overlooked with it.
    let mut changed = headless;
    changed[20] ^= 1;
    assert!(lenient.open_now(&changed).is_err());
}
