//! Fresh identifiers from an injected random source.

use std::fmt::Write as _;

use rand_core::CryptoRng;

use crate::via::BRANCH_COOKIE;

/// `octets` random octets in hexadecimal.
#[must_use]
pub fn hex(rng: &mut impl CryptoRng, octets: usize) -> String {
    let mut bytes = vec![0; octets];
    rng.fill_bytes(&mut bytes);
    let mut text = String::with_capacity(octets * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// A From or To tag of 64 random bits (RFC 3261 19.3).
#[must_use]
pub fn tag(rng: &mut impl CryptoRng) -> String {
    hex(rng, 8)
}

/// A Via branch of 96 random bits behind the magic cookie (RFC 3261 8.1.1.7).
#[must_use]
pub fn branch(rng: &mut impl CryptoRng) -> String {
    format!("{BRANCH_COOKIE}{}", hex(rng, 12))
}

/// A Call-ID of 128 random bits (RFC 3261 8.1.1.4); it names no host.
#[must_use]
pub fn call_id(rng: &mut impl CryptoRng) -> String {
    hex(rng, 16)
}

/// A multipart boundary of 96 random bits.
#[must_use]
pub fn boundary(rng: &mut impl CryptoRng) -> String {
    format!("mc-{}", hex(rng, 12))
}
