//! OpenSSL as the judge of ES256 signatures (RFC 7515, RFC 7518 3.4).

use std::process::Command;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

/// `SubjectPublicKeyInfo` of a P-256 key up to the coordinates (RFC 5480).
const PUBLIC_KEY: [u8; 27] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
];

/// Whether OpenSSL accepts the signature of a JWT under a public key given as JWK.
///
/// # Errors
/// A key or token that is not ES256, or an `openssl` that cannot be run.
pub fn verifies(jwk: &Value, token: &str) -> anyhow::Result<bool> {
    ensure!(
        jwk["kty"] == "EC" && jwk["crv"] == "P-256",
        "not P-256: {jwk}"
    );
    let (signed, signature) = token.rsplit_once('.').context("not a JWT")?;
    let dir = tempfile::tempdir()?;
    std::fs::write(dir.path().join("key.pem"), public_key_pem(jwk)?)?;
    std::fs::write(dir.path().join("signature"), der_signature(signature)?)?;
    std::fs::write(dir.path().join("signed"), signed)?;
    let output = Command::new("openssl")
        .current_dir(dir.path())
        .args(["dgst", "-sha256", "-verify", "key.pem"])
        .args(["-signature", "signature", "signed"])
        .output()
        .context("openssl: run `make deps`")?;
    Ok(output.status.success())
}

fn public_key_pem(jwk: &Value) -> anyhow::Result<String> {
    let mut der = PUBLIC_KEY.to_vec();
    for name in ["x", "y"] {
        let coordinate = jwk[name].as_str().context("a coordinate is missing")?;
        let octets = URL_SAFE_NO_PAD.decode(coordinate)?;
        ensure!(octets.len() == 32, "{name} has {} octets", octets.len());
        der.extend(octets);
    }
    let text = STANDARD.encode(der);
    Ok(format!(
        "-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n"
    ))
}

/// The two integers of a JWS signature as the DER sequence OpenSSL reads.
fn der_signature(signature: &str) -> anyhow::Result<Vec<u8>> {
    let raw = URL_SAFE_NO_PAD.decode(signature)?;
    ensure!(raw.len() == 64, "the signature has {} octets", raw.len());
    let integers: Vec<u8> = raw.chunks(32).flat_map(der_integer).collect();
    Ok([vec![0x30, u8::try_from(integers.len())?], integers].concat())
}

fn der_integer(octets: &[u8]) -> Vec<u8> {
    let mut value: Vec<u8> = octets
        .iter()
        .copied()
        .skip_while(|octet| *octet == 0)
        .collect();
    if value.first().is_none_or(|first| first & 0x80 != 0) {
        value.insert(0, 0);
    }
    let length = u8::try_from(value.len()).unwrap_or_default();
    [vec![0x02, length], value].concat()
}
