//! CSKs of another program, and of a client with a known defect.

use super::*;
use mc_ids::Key128 as _;
use mc_runtime::clock::TestClock;
use published_domain::NOW_UNIX_S;

use crate::config::Config;

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
    let ring = KeyRing::new(
        published_domain::kms(),
        Vec::new(),
        None,
        published_domain::keys(),
    );
    let good = published_domain::message("csk");
    let alice = "sip:alice@example.org";
    let headless = published_domain::signed_without_header(&good, alice, &mut mc_runtime::rng());
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
