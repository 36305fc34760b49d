//! Packets that two vendors and libsrtp agree on, and what a receiver must drop.

use super::*;

const GROUP: Mki = Mki::Group {
    gmk_id: 0x09bf_9d37,
    guk_id: 0x01c8_de7b,
};
const PACKET: &str = "806f0001000000a012345678874f052f98971df1bb812a53b7705d9d3352071519a948ef14c0\
                      6df55f4b9721ec09bf9d3701c8de7b00000000";

fn octets<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text).unwrap().try_into().unwrap()
}

fn master() -> MasterKey {
    let key = octets("64837d2b4d69a266e4489d3807353ad9");
    MasterKey::new(key, octets("8b2f081ce8e8bdab1f8d9eb8"))
}

fn frame() -> Frame {
    Frame {
        marker: false,
        payload_type: 111,
        timestamp: 160,
    }
}

fn sender_at(first_index: u64) -> SrtpSender {
    let lease = SsrcLease::for_vector(GROUP, 0x1234_5678, first_index);
    SrtpSender::new(&master(), lease, RocTransport::InPacket)
}

fn seal(sender: &mut SrtpSender, payload: &[u8]) -> Vec<u8> {
    let mut out = [0; 256];
    let length = sender.seal(frame(), payload, &mut out).unwrap();
    out[..length].to_vec()
}

fn receive(receiver: &mut SrtpReceiver, packet: &[u8]) -> Result<(u64, Vec<u8>), OpenError> {
    let mut packet = packet.to_vec();
    let key_of = |mki| (mki == GROUP).then(master);
    receiver
        .open(&mut packet, key_of)
        .map(|opened| (opened.index, opened.payload.to_vec()))
}

#[test]
fn session_keys_of_two_vendors() {
    let (key, salt) = master().srtp().parts();
    assert_eq!(hex::encode(key), "ae3bdc371fd9abc25b87f230717e9b4d");
    assert_eq!(hex::encode(salt), "888629f7ce02cd9a9bf1c1e5");
    let (key, salt) = master().srtcp().parts();
    assert_eq!(hex::encode(key), "9b9080da8b0165c27ff1414becba454f");
    assert_eq!(hex::encode(salt), "5a17f1a3088b3d9991e7ca61");
}

#[test]
fn the_group_packet_that_libsrtp_agrees_on() {
    assert_eq!(
        hex::encode(seal(&mut sender_at(1), b"MCPTT voice frame")),
        PACKET
    );
    let mut receiver = SrtpReceiver::new(Layout::GROUP);
    let opened = receive(&mut receiver, &hex::decode(PACKET).unwrap()).unwrap();
    assert_eq!(opened, (1, b"MCPTT voice frame".to_vec()));
}

/// RFC 7714 16.1.1.
#[test]
fn the_packet_of_rfc_7714() {
    let salt = octets("517569642070726f2071756f");
    let keys = SessionKeys::from_parts(octets("000102030405060708090a0b0c0d0e0f"), salt);
    let header = hex::decode("8040f17b8041f8d35501a0b2").unwrap();
    let mut body = b"Gallia est omnis divisa in partes tres".to_vec();
    let nonce = keys.nonce(0x5501_a0b2, 0xf17b);
    let tag = keys
        .aead
        .seal_in_place_separate_tag(nonce, Aad::from(&header), &mut body)
        .unwrap();
    let expected = "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833\
                    899d7f27beb16a9152cf765ee4390cce";
    assert_eq!(hex::encode(body) + &hex::encode(tag.as_ref()), expected);
}

#[test]
fn a_dropped_packet_changes_nothing() {
    let good = hex::decode(PACKET).unwrap();
    let mut receiver = SrtpReceiver::with_limit(Layout::GROUP, 1);
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(receive(&mut receiver, &bad).is_err(), "octet {at}");
        assert!(receive(&mut receiver, &good[..at]).is_err(), "{at} octets");
        assert_eq!(receiver.streams(), 0);
    }
    assert!(receive(&mut receiver, &good).is_ok());
    let replayed = OpenError::PeerReplayed {
        ssrc: 0x1234_5678,
        index: 1,
    };
    assert_eq!(receive(&mut receiver, &good), Err(replayed));
    let lease = SsrcLease::for_vector(GROUP, 7, 0);
    let mut second = SrtpSender::new(&master(), lease, RocTransport::InPacket);
    let second = seal(&mut second, b"x");
    assert_eq!(
        receive(&mut receiver, &second),
        Err(OpenError::LocalStreamLimit)
    );
}

#[test]
fn somebody_who_joins_late_learns_the_roll_over_counter() {
    let mut receiver = SrtpReceiver::new(Layout::GROUP);
    let mut sender = sender_at(0x3_fffe);
    for index in 0x3_fffe..0x4_0002 {
        let packet = seal(&mut sender, b"speech");
        assert_eq!(
            receive(&mut receiver, &packet),
            Ok((index, b"speech".to_vec()))
        );
    }
}

#[test]
fn a_private_call_estimates_the_roll_over_counter() {
    let mki = Mki::Key(0x1699_2638);
    let lease = SsrcLease::for_vector(mki, 9, 0xfff0);
    let mut sender = SrtpSender::new(&master(), lease, RocTransport::Estimated);
    let mut receiver = SrtpReceiver::new(Layout::PRIVATE);
    for index in 0xfff0..0x1_0010_u64 {
        let mut packet = seal(&mut sender, b"speech");
        // Loss and reordering around the roll-over do not matter.
        if index % 3 == 0 {
            continue;
        }
        let opened = receiver.open(&mut packet, |_| Some(master())).unwrap();
        assert_eq!(opened.index, index);
    }
}

#[test]
fn nothing_is_sent_once_the_indexes_are_used_up() {
    let mut sender = sender_at(1 << 48);
    let refused = sender.seal(frame(), b"x", &mut [0; 256]);
    assert_eq!(refused, Err(SealError::LocalExhausted));
    let mut sender = sender_at(5);
    assert_eq!(
        sender.seal(frame(), b"x", &mut [0; 20]),
        Err(SealError::LocalBufferTooSmall)
    );
    assert_eq!(sender.next_sequence(), 5, "nothing was used up");
}

proptest::proptest! {
    #[test]
    fn no_datagram_makes_a_receiver_panic(datagram in proptest::collection::vec(proptest::num::u8::ANY, 0..120)) {
        let mut receiver = SrtpReceiver::new(Layout::GROUP);
        proptest::prop_assert!(receive(&mut receiver, &datagram).is_err());
        proptest::prop_assert_eq!(receiver.streams(), 0);
    }
}
