//! The webrtc-srtp crate as a judge: it knows no MKI and no ROC behind it, so both are stripped.

use mc_media::rtp::Frame;
use mc_media::{MasterKey, Mki, RocTransport, SrtpSender, SsrcLedger};
use rand_core::{TryCryptoRng, TryRng};
use webrtc_srtp::context::Context;
use webrtc_srtp::protection_profile::ProtectionProfile;

struct Seven;

impl TryRng for Seven {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(7)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(7)
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.fill(7);
        Ok(())
    }
}

impl TryCryptoRng for Seven {}

#[test]
fn webrtc_srtp_opens_group_media_without_its_trailer() {
    let (key, salt) = ([5; 16], [6; 12]);
    let profile = ProtectionProfile::AeadAes128Gcm;
    let mut webrtc = Context::new(&key, &salt, profile, None, None).unwrap();
    let mki = Mki::Group {
        gmk_id: 0x09bf_9d37,
        guk_id: 0x01c8_de7b,
    };
    let stored = |_: &str| Ok::<(), ()>(());
    let lease = SsrcLedger::default()
        .lease(mki, &[], &mut Seven, stored)
        .unwrap();
    let mut sender = SrtpSender::new(&MasterKey::new(key, salt), lease, RocTransport::InPacket);
    for number in 0..200_u32 {
        let frame = Frame {
            marker: number == 0,
            payload_type: 96,
            timestamp: number * 320,
        };
        let mut out = [0; 256];
        let length = sender
            .seal(frame, b"twenty milliseconds", &mut out)
            .unwrap();
        let plain = webrtc.decrypt_rtp(&out[..length - 12]).unwrap();
        assert!(plain.ends_with(b"twenty milliseconds"), "packet {number}");
    }
}
