//! TS 33.180 Annex F: the MC UID (F.2.1) and the key derivations of F.1, on TS 33.220 B.2.

use crate::{Gmk, GmkId, GukId, Key128, KeyId, KeyPeriod, KmsUri, NtpTime};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// The 32 octets that identify a user in one key period: the identifier of ECCSI and SAKKE.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid(pub [u8; 32]);

impl Uid {
    /// UID of an identity at a KMS in the key period with this number (F.2.1).
    ///
    /// `identity` is the exact URI or FQDN as provisioned; the KMS's period and offset apply, which
    /// in a cross-domain call differ between the two ends.
    #[must_use]
    pub fn of_period(identity: &str, kms: &KmsUri, period: KeyPeriod, number: u64) -> Self {
        let mut hash = Sha256::new();
        //= TS 33.180 F.2.1
        hash.update([0x00]);
        let (p3, p4, p5) = (period.period(), period.offset(), number);
        for field in [
            b"MIKEY-SAKKE-UID",
            identity.as_bytes(),
            kms.as_str().as_bytes(),
        ] {
            update_with_field(&mut hash, field);
        }
        for integer in [p3, p4, p5] {
            update_with_field(&mut hash, shortest(&integer.to_be_bytes()));
        }
        Self(hash.finalize().into())
    }

    /// UID of an identity at a KMS in the key period a time lies in.
    #[must_use]
    pub fn at(identity: &str, kms: &KmsUri, period: KeyPeriod, time: NtpTime) -> Self {
        Self::of_period(identity, kms, period, period.number_at(time))
    }

    /// The octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Uid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uid(")?;
        self.0
            .iter()
            .try_for_each(|octet| write!(f, "{octet:02x}"))?;
        f.write_str(")")
    }
}

/// Shortest big endian form of an integer; zero is one zero octet (TS 33.220 B.2.1.3).
fn shortest(be: &[u8; 8]) -> &[u8] {
    let zeros = be.iter().take_while(|o| **o == 0).count().min(7);
    be.get(zeros..).unwrap_or(be)
}

/// Length octets Li of a field Pi. Identities are at most 255 octets, so 16 bits always fit.
fn length_octets(field: &[u8]) -> [u8; 2] {
    u16::try_from(field.len()).unwrap_or(u16::MAX).to_be_bytes()
}

fn update_with_field(hash: &mut Sha256, field: &[u8]) {
    hash.update(field);
    hash.update(length_octets(field));
}

/// `HMAC-SHA-256(key, FC || P0 || L0 || P1 || L1 ...)` of TS 33.220 B.2.
fn kdf(key: &[u8], fc: u8, fields: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length, so the error arm cannot be reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(&[fc]);
    for field in fields {
        mac.update(field);
        mac.update(&length_octets(field));
    }
    mac.finalize().into_bytes().into()
}

/// The last 16 octets: "128 least significant bits" of TS 33.180 F.1.
fn least_significant_128(mut full: [u8; 32]) -> [u8; 16] {
    let [_, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, tail @ ..] = full;
    full.zeroize();
    tail
}

/// User salt of F.1.3: 28 bits derived from the GMK and a member's MC service ID.
fn user_salt(gmk: &Gmk, member: &str) -> u32 {
    let [.., a, b, c, d] = kdf(gmk.octets(), 0x50, &[member.as_bytes()]);
    u32::from_be_bytes([a, b, c, d]) & 0x0FFF_FFFF
}

/// GUK-ID of a member for a GMK: the GMK-ID diversified with the member's salt (5.2.3).
#[must_use]
pub fn guk_id(gmk: &Gmk, gmk_id: GmkId, member: &str) -> GukId {
    //= TS 33.180 5.2.3
    let id = KeyId(gmk_id.key_id().0 ^ user_salt(gmk, member));
    GukId::try_from(id).unwrap_or_else(|_| unreachable!("the salt leaves the purpose tag alone"))
}

/// GMK-ID that a member recovers from the GUK-ID of its own I_MESSAGE (5.2.3).
#[must_use]
pub fn gmk_id(gmk: &Gmk, guk_id: GukId, member: &str) -> GmkId {
    let id = KeyId(guk_id.key_id().0 ^ user_salt(gmk, member));
    GmkId::try_from(id).unwrap_or_else(|_| unreachable!("the salt leaves the purpose tag alone"))
}

/// How the XPK-ID enters the derivation of F.1.4. The clause gives no example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum XpkIdEncoding {
    /// The four octets of the identifier.
    #[default]
    Binary4,
    /// Its base64 text.
    Base64Ascii,
}

/// The two keys that protect XML bodies: derived from a CSK or SPK and one user (F.1.4).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct XmlKeys {
    /// Key of the content encryption.
    pub confidentiality: [u8; 16],
    /// Key of the signature.
    pub integrity: [u8; 16],
}

impl fmt::Debug for XmlKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("XmlKeys [2 x 16 bytes]")
    }
}

/// Derives the XML protection keys of F.1.4 from an XPK (CSK or SPK), its identifier and the MC
/// service user ID of the message.
#[must_use]
pub fn xml_keys(xpk: &impl Key128, xpk_id: KeyId, user: &str, encoding: XpkIdEncoding) -> XmlKeys {
    let (binary, text) = (xpk_id.octets(), xpk_id.to_base64());
    let p1 = match encoding {
        XpkIdEncoding::Binary4 => &binary[..],
        XpkIdEncoding::Base64Ascii => text.as_bytes(),
    };
    let fields = [user.as_bytes(), p1];
    //= TS 33.180 F.1.4
    XmlKeys {
        confidentiality: least_significant_128(kdf(xpk.octets(), 0x51, &fields)),
        integrity: least_significant_128(kdf(xpk.octets(), 0x52, &fields)),
    }
}

/// MCData payload cipher key DPCK, also the key of MIKEY's key parameters payload (F.1.5).
#[must_use]
pub fn dpck(dppk: &[u8; 16], dppk_id: KeyId) -> [u8; 16] {
    //= TS 33.180 F.1.5
    least_significant_128(kdf(dppk, 0x53, &[&dppk_id.octets()]))
}

#[cfg(test)]
mod tests;
