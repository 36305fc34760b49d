//! Packets that libsrtp agrees on, and what a receiver must drop.

use super::*;

fn octets<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

/// The floor control keys of the CSK in `tests/vectors/mikey.json`.
fn master() -> MasterKey {
    let key = octets("1ea4fa6630d5f87aa62dbcb7074734a9");
    MasterKey::new(key, octets("b9ffaf7574efa2a286289109"))
}

const CSK: Mki = Mki::Key(0x2ddd_5bf0);
const PLAIN: &str = "80cc00020000abcd4d435054";
const PACKET: &str = "80cc00020000abcdeb37cf5e52efe95cafe80b3a801abb27465cf3bd800000012ddd5bf0";

fn seal(ssrc: u32, plain: &[u8]) -> Result<Vec<u8>, SealError> {
    let mut sender = SrtcpSender::new(&master(), SsrcLease::for_vector(CSK, ssrc, 0));
    let mut out = [0; 256];
    let length = sender.seal(plain, &mut out)?;
    Ok(out[..length].to_vec())
}

fn receive(receiver: &mut SrtcpReceiver, packet: &[u8]) -> Result<Vec<u8>, OpenError> {
    let mut packet = packet.to_vec();
    let opened = receiver.open(&mut packet, |mki| (mki == CSK).then(master))?;
    Ok(opened.packet.to_vec())
}

#[test]
fn the_floor_control_packet_of_an_independent_program() {
    let (key, salt) = master().srtcp().parts();
    assert_eq!(hex::encode(key), "5a1968f04cdec0c5835bab00cced9479");
    assert_eq!(hex::encode(salt), "696c1cb717bd3d47f0fa82a4");
    let plain = hex::decode(PLAIN).unwrap();
    assert_eq!(hex::encode(seal(0xabcd, &plain).unwrap()), PACKET);
    let mut receiver = SrtcpReceiver::new(MkiLength::Four);
    assert_eq!(
        receive(&mut receiver, &hex::decode(PACKET).unwrap()),
        Ok(plain)
    );
}

#[test]
fn a_dropped_packet_changes_nothing() {
    let good = hex::decode(PACKET).unwrap();
    let mut receiver = SrtcpReceiver::new(MkiLength::Four);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(receive(&mut receiver, &bad).is_err(), "octet {at}");
        assert!(receive(&mut receiver, &good[..at]).is_err(), "{at} octets");
        assert_eq!(receiver.streams(), 0);
    }
    assert!(receive(&mut receiver, &good).is_ok());
    let replayed = OpenError::PeerReplayed {
        ssrc: 0xabcd,
        index: 1,
    };
    assert_eq!(receive(&mut receiver, &good), Err(replayed));
    receiver.retain(|_| false);
    assert_eq!(receiver.streams(), 0);
}

#[test]
fn unencrypted_packets_and_foreign_sources_are_refused() {
    let mut clear = hex::decode(PACKET).unwrap();
    let at = clear.len() - 8;
    clear[at] &= 0x7F;
    let mut receiver = SrtcpReceiver::new(MkiLength::Four);
    assert_eq!(
        receive(&mut receiver, &clear),
        Err(OpenError::PeerNotEncrypted)
    );
    let plain = hex::decode(PLAIN).unwrap();
    assert_eq!(seal(0xabce, &plain), Err(SealError::LocalForeignPacket));
    assert_eq!(
        seal(0xabcd, &plain[..8]),
        Err(SealError::LocalForeignPacket)
    );
}
