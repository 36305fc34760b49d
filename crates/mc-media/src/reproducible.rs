//! Packets with chosen numbers, for comparing implementations and reproducing published packets.
//!
//! Sending uses [`SrtpSender`](crate::SrtpSender) and [`SrtcpSender`](crate::SrtcpSender), which
//! own their numbers. Here the caller chooses them: an (SSRC, index) that is used twice under a key
//! reveals both plaintexts and the authentication key, so no packet of these functions may be sent.

use ring::aead::Aad;

use crate::kdf::SessionKeys;
use crate::rtp::Header;
use crate::srtp::estimate;
use crate::{MasterKey, Mki, RocTransport, TAG};

/// Octets of an RTCP packet that stay readable.
const CLEAR: usize = 8;
const ENCRYPTED: u32 = 1 << 31;

/// The packet index of RFC 3711 3.3.1: nearest to `highest`, if there is one, else in cycle `roc`.
/// `None` when the packet is no RTP, or beyond the last index.
#[must_use]
pub fn rtp_index(packet: &[u8], highest: Option<u64>, roc: u32) -> Option<u64> {
    let sequence = Header::read(packet)?.sequence;
    let index = match highest {
        Some(highest) => estimate(highest, sequence),
        None => u64::from(roc) << 16 | u64::from(sequence),
    };
    (index >> 48 == 0).then_some(index)
}

/// Protects a whole RTP packet, header extension, CSRC list and padding included, at an index.
/// `None` when it is no RTP.
//= RFC 7714 8.2
#[must_use]
pub fn seal_rtp(
    master: &MasterKey,
    mki: Mki,
    roc: RocTransport,
    index: u64,
    packet: &[u8],
) -> Option<Vec<u8>> {
    let header = Header::read(packet)?;
    let (clear, body) = packet.split_at_checked(header.length)?;
    let mut out = sealed(&master.srtp(), (header.ssrc, index), clear, (clear, body))?;
    put_mki(&mut out, mki)?;
    if roc == RocTransport::InPacket {
        out.extend(u32::try_from(index >> 16).ok()?.to_be_bytes());
    }
    Some(out)
}

/// Protects a compound RTCP packet at an index below 2^31. `None` when it is no RTCP. Its inner
/// lengths are not looked at: the example of RFC 7714 17 says one word more than it has.
//= RFC 7714 9.2
#[must_use]
pub fn seal_rtcp(master: &MasterKey, mki: Mki, index: u32, packet: &[u8]) -> Option<Vec<u8>> {
    let (&version, ssrc) = (packet.first()?, packet.get(4..CLEAR)?);
    let ssrc = u32::from_be_bytes(ssrc.try_into().ok()?);
    if version >> 6 != 2 {
        return None;
    }
    let word = (index & ENCRYPTED == 0).then_some(index | ENCRYPTED)?;
    let (clear, body) = packet.split_at_checked(CLEAR)?;
    let aad = [clear, &word.to_be_bytes()].concat();
    let at = (ssrc, u64::from(index));
    let mut out = sealed(&master.srtcp(), at, &aad, (clear, body))?;
    out.extend(word.to_be_bytes());
    put_mki(&mut out, mki)?;
    Some(out)
}

/// `clear || ciphertext || tag`.
fn sealed(
    keys: &SessionKeys,
    (ssrc, index): (u32, u64),
    aad: &[u8],
    (clear, body): (&[u8], &[u8]),
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(clear.len() + body.len() + TAG + 12);
    out.extend(clear);
    out.extend(body);
    let nonce = keys.nonce(ssrc, index);
    let body = out.get_mut(clear.len()..)?;
    let tag = keys
        .aead
        .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
        .ok()?;
    out.extend(tag.as_ref());
    Some(out)
}

fn put_mki(out: &mut Vec<u8>, mki: Mki) -> Option<()> {
    let mut octets = [0; 8];
    let length = mki.write(&mut octets)?;
    out.extend(octets.get(..length)?);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SrtcpSender, SrtpSender, SsrcLease, rtp::Frame};

    const MKI: Mki = Mki::Group {
        gmk_id: 0x09bf_9d37,
        guk_id: 0x01c8_de7b,
    };

    fn session() -> MasterKey {
        let key = hex::decode("000102030405060708090a0b0c0d0e0f").unwrap();
        let salt = hex::decode("517569642070726f2071756f").unwrap();
        MasterKey::of_session(key.try_into().unwrap(), salt.try_into().unwrap())
    }

    /// RFC 7714 16.1.1 and 17.1, with our MKI, which the transform does not authenticate.
    #[test]
    fn the_packets_of_rfc_7714() {
        let plain = "8040f17b8041f8d35501a0b247616c6c696120657374206f6d6e697320646976697361\
                     20696e207061727465732074726573";
        let plain = hex::decode(plain).unwrap();
        let sealed = seal_rtp(&session(), MKI, RocTransport::Estimated, 0xf17b, &plain).unwrap();
        let expected = "8040f17b8041f8d35501a0b2f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f\
                        42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce\
                        09bf9d3701c8de7b";
        assert_eq!(hex::encode(sealed), expected);
        let plain = "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61\
                     deadbeefdeadbeefdeadbeefdeadbeefdeadbeef";
        let plain = hex::decode(plain).unwrap();
        let sealed = seal_rtcp(&session(), MKI, 0x5d4, &plain).unwrap();
        let expected = "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32d\
                        c676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade\
                        800005d409bf9d3701c8de7b";
        assert_eq!(hex::encode(sealed), expected);
    }

    #[test]
    fn the_senders_make_the_same_packets() {
        let master = MasterKey::new([1; 16], [2; 12]);
        let lease = SsrcLease::for_vector(MKI, 0x1234_5678, 0x1_fffe);
        let mut sender = SrtpSender::new(&master, lease, RocTransport::InPacket);
        let mut highest = None;
        for _ in 0..4 {
            let frame = Frame {
                marker: false,
                payload_type: 96,
                timestamp: 7,
            };
            let mut plain = Header::write(frame, 0x1234_5678, sender.next_sequence()).to_vec();
            plain.extend(b"speech");
            let mut out = [0; 64];
            let length = sender.seal(frame, b"speech", &mut out).unwrap();
            let index = rtp_index(&plain, highest, 1).unwrap();
            highest = Some(index);
            let again = seal_rtp(&master, MKI, RocTransport::InPacket, index, &plain);
            assert_eq!(again.unwrap(), out[..length]);
        }
        let lease = SsrcLease::for_vector(MKI, 5, 0);
        let mut sender = SrtcpSender::new(&master, lease);
        let plain = hex::decode("80cc0002000000054d435054").unwrap();
        let mut out = [0; 64];
        let length = sender.seal(&plain, &mut out).unwrap();
        assert_eq!(seal_rtcp(&master, MKI, 1, &plain).unwrap(), out[..length]);
    }

    #[test]
    fn what_is_no_packet_is_not_sealed() {
        let master = MasterKey::new([1; 16], [2; 12]);
        assert_eq!(
            seal_rtp(&master, MKI, RocTransport::InPacket, 0, b"x"),
            None
        );
        assert_eq!(seal_rtcp(&master, MKI, 1, b"x"), None);
        assert_eq!(
            seal_rtcp(&master, MKI, 1 << 31, &[0x80, 204, 0, 1, 0, 0, 0, 1]),
            None
        );
        let last = [0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(rtp_index(&last, Some((1 << 48) - 1), 0), None);
    }
}
