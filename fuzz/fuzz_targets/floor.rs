//! Floor control and MCPC datagrams (TS 24.380): what is read is written so that it reads the same.
#![no_main]

use floor_control::FloorPacket;
use floor_control::mcpc::McpcPacket;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| {
    for packet in FloorPacket::decode_all(datagram).flatten() {
        let mut written = Vec::new();
        packet.encode(&mut written).expect("what was read fits");
        let again: Vec<_> = FloorPacket::decode_all(&written).collect();
        assert_eq!(again, [Ok(packet)]);
    }
    McpcPacket::decode_all(datagram).for_each(drop);
});
