//! Numbers of RFC 3830, RFC 6043 and RFC 6509, and a reader that never leaves its octets.

pub(crate) const VERSION: u8 = 1;
/// Data type of a SAKKE I_MESSAGE (RFC 6509 4.1).
pub(crate) const DATA_TYPE_SAKKE: u8 = 26;
/// PRF-HMAC-SHA-256 (RFC 6043 6.1).
pub(crate) const PRF_HMAC_SHA_256: u8 = 1;
pub(crate) const TIME_NTP_UTC: u8 = 0;
pub(crate) const ID_TYPE_URI: u8 = 1;
pub(crate) const ID_TYPE_BYTES: u8 = 2;
pub(crate) const SAKKE_PARAMETER_SET_1: u8 = 1;
/// "3GPP MCX hashed UID" (TS 33.180 E.5).
pub(crate) const ID_SCHEME_MCX_UID: u8 = 2;
/// ECCSI (RFC 6509 4.3) in the four high bits, the signature's 129 octets in the low twelve.
pub(crate) const SIGN_HEADER: [u8; 2] = [0x20, 0x81];

/// Payload types as they stand in "next payload" octets.
pub(crate) mod payload {
    pub(crate) const LAST: u8 = 0;
    pub(crate) const SIGN: u8 = 4;
    pub(crate) const TIME: u8 = 5;
    pub(crate) const SP: u8 = 10;
    pub(crate) const RAND: u8 = 11;
    pub(crate) const IDR: u8 = 14;
    pub(crate) const EXTENSION: u8 = 21;
    pub(crate) const SAKKE: u8 = 26;
}

/// Identity roles (RFC 6043 6.6, TS 33.180 E.7).
pub(crate) mod role {
    pub(crate) const INITIATOR: u8 = 1;
    pub(crate) const RESPONDER: u8 = 2;
    pub(crate) const KMS_INITIATOR: u8 = 6;
    pub(crate) const KMS_RESPONDER: u8 = 7;
    pub(crate) const UID_INITIATOR: u8 = 8;
    pub(crate) const UID_RESPONDER: u8 = 9;
}

/// General extension types of TS 33.180 E.5 and E.6.
pub(crate) mod extension {
    pub(crate) const SAKKE_TO_SELF: u8 = 6;
    pub(crate) const KEY_PARAMETERS: u8 = 7;
}

/// What [`is_identity`] asks for, in words.
pub(crate) const IDENTITY_RULE: &str =
    "it is empty, longer than 255 octets or has control characters";

/// Whether a text may stand in an identity payload; the same is made as is read.
pub(crate) fn is_identity(text: &str) -> bool {
    !text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control)
}

/// Reads octets from the front; every read may fail, none can overrun.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(octets: &'a [u8]) -> Self {
        Self { all: octets, at: 0 }
    }

    /// Octets read so far.
    pub(crate) const fn position(&self) -> usize {
        self.at
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.at >= self.all.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.all.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[octet]| octet)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A field with a two-octet length in front.
    pub(crate) fn field16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    /// A 40-bit integer.
    pub(crate) fn u40(&mut self) -> Option<u64> {
        let [a, b, c, d, e] = self.array()?;
        Some(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }
}
