//! The MC domain that an independent program made (`mikey.json`): its KMS, the keys of its users,
//! and the I_MESSAGEs they send one another.

#![expect(clippy::unwrap_used, reason = "vectors that do not read fail the test")]
#![expect(
    clippy::indexing_slicing,
    reason = "of vectors that lie beside this file"
)]
#![expect(
    clippy::missing_panics_doc,
    reason = "all of it panics at vectors that do not read"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mc_ids::{KeyPeriod, NtpTime};
use mikey::{Domains, KmsCertificate, UserKeys};
use mikey_sakke::{eccsi, sakke};
use rand_core::CryptoRng;
use serde_json::Value;

/// A moment inside the key period of every key of the domain.
pub const NOW: NtpTime = NtpTime(0xec89_8da8_0000_0000);

/// The same in seconds since 1970.
pub const NOW_UNIX_S: u64 = 0xec89_8da8 - 2_208_988_800;

/// The whole of the vectors.
#[must_use]
pub fn vectors() -> Value {
    serde_json::from_str(include_str!("../mikey.json")).unwrap()
}

/// What the KMS says of itself.
#[must_use]
pub fn kms() -> KmsCertificate {
    let value = &vectors()["provisioning"];
    let encryption = sakke::PublicKey::from_octets(&octets(&value["PubEncKey"]));
    let authentication = eccsi::AuthenticationKey::from_octets(&octets(&value["PubAuthKey"]));
    KmsCertificate {
        kms_uri: "kms.example.org".parse().unwrap(),
        period: KeyPeriod::new(2_592_000, 0).unwrap(),
        encryption: encryption.unwrap(),
        authentication: authentication.unwrap(),
        is_security_gateway: false,
        domains: Domains::Unlisted,
    }
}

/// The keys of every user of the domain, validated.
#[must_use]
pub fn keys() -> Vec<UserKeys> {
    let kms = kms();
    let number = kms.period.number_at(NOW);
    let vectors = vectors();
    let users = vectors["provisioning"]["identities"].as_array().unwrap();
    let keys = users.iter().map(|user| {
        let [rsk, ssk, pvt] = ["rsk", "ssk", "pvt"].map(|name| octets(&user[name]));
        let uri = user["uri"].as_str().unwrap();
        UserKeys::validated(&kms, uri, number, &rsk, &ssk, &pvt).unwrap()
    });
    keys.collect()
}

/// The I_MESSAGE of a kind: `gmk`, `csk` or `pck`.
#[must_use]
pub fn message(kind: &str) -> Vec<u8> {
    let text = vectors()["annex_e"][kind]["I_MESSAGE_base64"].clone();
    STANDARD.decode(text.as_str().unwrap()).unwrap()
}

/// A message signed anew by `signer` as a known defect of peers has it: over everything before the
/// SIGN header, instead of with it (RFC 3830, 6.5).
pub fn signed_without_header(message: &[u8], signer: &str, rng: &mut impl CryptoRng) -> Vec<u8> {
    let kms = kms();
    let vectors = vectors();
    let users = vectors["provisioning"]["identities"].as_array().unwrap();
    let user = users.iter().find(|user| user["uri"] == signer).unwrap();
    let [ssk, pvt] = ["ssk", "pvt"].map(|name| octets(&user[name]));
    let uid = kms.uid(signer, NOW);
    let key = eccsi::SigningKey::validated(&kms.authentication, uid.octets(), &ssk, &pvt).unwrap();

    let (signed, _) = message.split_at(message.len() - eccsi::SIGNATURE_OCTETS);
    let before_header = &signed[..signed.len() - 2];
    let signature = key.sign(before_header, rng).unwrap();
    [signed, signature.as_slice()].concat()
}

fn octets(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}
