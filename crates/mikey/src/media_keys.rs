//! SRTP master keys and salts from a distributed key (TS 33.180 7.4, RFC 3830 4.1.3 with the PRF of
//! RFC 6043).

use hmac::{Hmac, KeyInit, Mac};
use mc_ids::{Key128, KeyId};
use sha2::Sha256;
use std::fmt;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Constants of RFC 3830 4.1.4.
const TEK: [u8; 4] = [0x2A, 0xD0, 0x1C, 0x64];
const SALT: [u8; 4] = [0x39, 0xA2, 0xC1, 0x4B];

/// The crypto sessions of TS 33.180 table E.1.3-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum CryptoSession {
    /// Media sent by the initiator of an MCPTT private call.
    PrivateCallInitiator = 0,
    /// Media sent by the receiver of an MCPTT private call.
    PrivateCallReceiver = 1,
    /// Media sent by the initiator of an MCVideo private call.
    PrivateVideoInitiator = 2,
    /// Media sent by the receiver of an MCVideo private call.
    PrivateVideoReceiver = 3,
    /// Media of an MCPTT group call.
    GroupCall = 4,
    /// Media of an MCVideo group call.
    GroupVideo = 5,
    /// Unicast floor control of MCPTT under a CSK.
    FloorControl = 6,
    /// Multicast floor control of MCPTT under a `MuSiK`.
    MulticastFloorControl = 7,
    /// Unicast transmission control of MCVideo under a CSK.
    TransmissionControl = 8,
    /// Multicast transmission control of MCVideo under a `MuSiK`.
    MulticastTransmissionControl = 9,
}

impl CryptoSession {
    const ALL: [Self; 10] = [
        Self::PrivateCallInitiator,
        Self::PrivateCallReceiver,
        Self::PrivateVideoInitiator,
        Self::PrivateVideoReceiver,
        Self::GroupCall,
        Self::GroupVideo,
        Self::FloorControl,
        Self::MulticastFloorControl,
        Self::TransmissionControl,
        Self::MulticastTransmissionControl,
    ];

    /// The session with a CS-ID; `None` for the identifiers that are not defined.
    #[must_use]
    pub fn of_cs_id(cs_id: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|session| *session as u8 == cs_id)
    }
}

/// The inputs of an SRTP or SRTCP context of AEAD_AES_128_GCM (RFC 7714).
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MediaKeys {
    /// SRTP master key.
    pub master_key: [u8; 16],
    /// SRTP master salt.
    pub master_salt: [u8; 12],
}

impl fmt::Debug for MediaKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MediaKeys [16 + 12 bytes]")
    }
}

/// Derives the media keys of one crypto session.
///
/// `csb_id` is the PCK-ID, CSK-ID or SPK-ID; for group media it is the GUK-ID of the *sending*
/// member (7.4.2). `rand` is the RAND of the message that brought the key, the same for all members.
//= TS 33.180 7.4.2
#[must_use]
pub fn media_keys(
    key: &impl Key128,
    session: CryptoSession,
    csb_id: KeyId,
    rand: &[u8],
) -> MediaKeys {
    let label =
        |constant: [u8; 4]| [&constant[..], &[session as u8], &csb_id.octets(), rand].concat();
    let mut keys = MediaKeys {
        master_key: [0; 16],
        master_salt: [0; 12],
    };
    prf(key.octets(), &label(TEK), &mut keys.master_key);
    prf(key.octets(), &label(SALT), &mut keys.master_salt);
    keys
}

/// One block of P-HMAC-SHA-256 (RFC 3830 4.1.2): a 128-bit key is one block, and no output of ours
/// is longer than one hash.
fn prf(key: &[u8], label: &[u8], out: &mut [u8]) {
    let a1 = hmac(key, &[label]);
    let mut block = hmac(key, &[&a1, label]);
    out.iter_mut()
        .zip(block)
        .for_each(|(out, octet)| *out = octet);
    block.zeroize();
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length, so the error arm cannot be reached.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32];
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mc_ids::{Csk, Gmk, Pck};

    fn octets<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn derived(key: &impl Key128, session: CryptoSession, id: u32, rand: &str) -> (String, String) {
        let keys = media_keys(key, session, KeyId(id), &hex::decode(rand).unwrap());
        (hex::encode(keys.master_key), hex::encode(keys.master_salt))
    }

    fn expected(key: &str, salt: &str) -> (String, String) {
        (key.to_owned(), salt.to_owned())
    }

    /// Values on which two vendors agree.
    #[test]
    fn group_keys_of_two_vendors() {
        let gmk = Gmk::from_octets(octets("fcfe65cd967c58d260b603ccb9a887a9"));
        let rand = "6819e679461120e10ac458cce67b8024";
        let rows = [
            (
                0x01c8_de7b,
                "64837d2b4d69a266e4489d3807353ad9",
                "8b2f081ce8e8bdab1f8d9eb8",
            ),
            (
                0x0abe_69d0,
                "de81b70c4ae0ff3f79364df586c2e0ce",
                "750ea7422b4d5a8ff475c6d5",
            ),
            (
                0x0c44_9727,
                "f097ac3325f1f784bc8ba4112c5e5f88",
                "97a154fb24efbfb353a265e2",
            ),
        ];
        for (guk_id, key, salt) in rows {
            let found = derived(&gmk, CryptoSession::GroupCall, guk_id, rand);
            assert_eq!(found, expected(key, salt));
        }
    }

    /// A vendor's value of a floor control key.
    #[test]
    fn floor_control_keys_of_a_vendor() {
        let csk = Csk::from_octets(octets("28ba74447f037dcc09ad7f2576dc2def"));
        let found = derived(
            &csk,
            CryptoSession::FloorControl,
            0x1c5f_7886,
            "30333032343661303730646133333265",
        );
        let key = "185d08cb5a226d19d71679adf5e415be";
        assert_eq!(found, expected(key, "d1d648b2a0040633a3dd72e5"));
    }

    /// Values computed by an independent program for the messages of `tests/vectors/mikey.json`.
    #[test]
    fn the_two_directions_of_a_private_call_differ() {
        let pck = Pck::from_octets(octets("b4c96b703acd5c1bf7d4cc45068d9965"));
        let rand = "02a28bddaf984c5e0563bc1ce857df83";
        let initiator = derived(&pck, CryptoSession::PrivateCallInitiator, 0x1699_2638, rand);
        let receiver = derived(&pck, CryptoSession::PrivateCallReceiver, 0x1699_2638, rand);
        let key = "e392c95d3444f8ab3ca6d340865e4284";
        assert_eq!(initiator, expected(key, "245d9363909f2fafc45add02"));
        let key = "85b6731c05a50a3856b68191a942a344";
        assert_eq!(receiver, expected(key, "10993ef963479b780a8c71ee"));
    }
}
