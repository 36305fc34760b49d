//! Packet for packet against libsrtp, both ways, SRTP and SRTCP, with four and eight octets of MKI.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unwrap_in_result,
    reason = "a step that fails fails the test"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use mc_media::rtp::Frame;
use mc_media::{
    Layout, MasterKey, Mki, MkiLength, RocTransport, SrtcpReceiver, SrtcpSender, SrtpReceiver,
    SrtpSender, SsrcLedger,
};
use rand_core::{TryCryptoRng, TryRng};

const KEY: [u8; 16] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const SALT: [u8; 12] = [17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28];
const GROUP: Mki = Mki::Group {
    gmk_id: 0x1020_3040,
    guk_id: 0xa1b2_c3d4,
};
const PRIVATE: Mki = Mki::Key(0x1699_2638);

/// Counts up: the ledger needs distinct numbers, not secret ones.
struct Counter(u32);

impl TryRng for Counter {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        // Large steps, so that sequence numbers begin close to their roll-over.
        self.0 = self.0.wrapping_add(0x7FFF_7FF0);
        Ok(self.0)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.try_next_u32().map(u64::from)
    }
    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Self::Error> {
        out.fill(1);
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

struct Libsrtp {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Libsrtp {
    fn start() -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/libsrtp/peer.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("libsrtp-peer-{}", std::process::id()));
        let built = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(&program)
            .arg(source)
            .arg("-lsrtp2")
            .status()
            .expect("a C compiler: run `make test`");
        assert!(built.success(), "libsrtp2-dev is needed: run `make test`");
        let pipes = Command::new(&program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = pipes.unwrap();
        std::fs::remove_file(program).unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn ask(&mut self, verb: &str, mki: Mki, packet: &[u8]) -> Result<Vec<u8>, String> {
        let key = hex::encode(KEY) + &hex::encode(SALT);
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{verb} {mki} {key} {}", hex::encode(packet)).unwrap();
        stdin.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        hex::decode(answer.trim()).map_err(|_| answer)
    }
}

impl Drop for Libsrtp {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

fn master() -> MasterKey {
    MasterKey::new(KEY, SALT)
}

fn frame(timestamp: u32) -> Frame {
    Frame {
        marker: timestamp == 0,
        payload_type: 96,
        timestamp,
    }
}

fn lease(mki: Mki) -> mc_media::SsrcLease {
    let stored = |_: &str| Ok::<(), ()>(());
    SsrcLedger::default()
        .lease(mki, &[], &mut Counter(3), stored)
        .unwrap()
}

#[test]
fn libsrtp_opens_what_we_send() {
    let mut libsrtp = Libsrtp::start();
    for (mki, roc) in [
        (GROUP, RocTransport::InPacket),
        (PRIVATE, RocTransport::Estimated),
    ] {
        let mut sender = SrtpSender::new(&master(), lease(mki), roc);
        for number in 0..40_000_u32 {
            let payload = number.to_be_bytes().repeat(1 + number as usize % 40);
            let mut out = [0; 512];
            let length = sender
                .seal(frame(number * 320), &payload, &mut out)
                .unwrap();
            // Every packet around the roll-over, else a sample: libsrtp estimates the counter.
            if number % 500 != 0 && !(32_000..34_000).contains(&number) {
                continue;
            }
            let roc_octets = if roc == RocTransport::InPacket { 4 } else { 0 };
            let opened = libsrtp
                .ask("rtp-unprotect", mki, &out[..length - roc_octets])
                .unwrap();
            assert_eq!(opened[12..], payload, "packet {number}");
        }
    }
}

#[test]
fn we_open_what_libsrtp_sends() {
    let mut libsrtp = Libsrtp::start();
    let mut receiver = SrtpReceiver::new(Layout::PRIVATE);
    for number in 0..70_000_u32 {
        if number % 1000 != 0 && !(65_500..65_600).contains(&number) {
            continue;
        }
        let [_, _, s0, s1] = number.to_be_bytes();
        let plain = [
            &[0x80, 96, s0, s1][..],
            &[0, 0, 1, 64, 0xde, 0xad, 0xbe, 0xef],
            b"speech",
        ];
        let plain = plain.concat();
        let mut packet = libsrtp.ask("rtp-protect", PRIVATE, &plain).unwrap();
        let opened = receiver
            .open(&mut packet, |mki| (mki == PRIVATE).then(master))
            .unwrap();
        assert_eq!(
            (opened.payload, opened.index),
            (&b"speech"[..], u64::from(number))
        );
    }
}

#[test]
fn floor_control_packets_agree_both_ways() {
    let mut libsrtp = Libsrtp::start();
    for (mki, length) in [(PRIVATE, MkiLength::Four), (GROUP, MkiLength::Eight)] {
        let lease = lease(mki);
        let ssrc = lease.ssrc().to_be_bytes();
        let mut sender = SrtcpSender::new(&master(), lease);
        let mut receiver = SrtcpReceiver::new(length);
        for number in 0..200_u8 {
            let plain = [&[0x80, 204, 0, 3][..], &ssrc, b"MCPT", &[number; 4]].concat();
            let mut out = [0; 128];
            let sealed = sender.seal(&plain, &mut out).unwrap();
            let opened = libsrtp.ask("rtcp-unprotect", mki, &out[..sealed]).unwrap();
            assert_eq!(opened, plain);
            let mut theirs = libsrtp.ask("rtcp-protect", mki, &plain).unwrap();
            assert_eq!(theirs, out[..sealed], "the same octets, packet {number}");
            let opened = receiver.open(&mut theirs, |_| Some(master())).unwrap();
            assert_eq!(opened.packet, plain);
        }
    }
}

/// The example of a 30-line C program on libsrtp.
#[test]
fn the_worked_example() {
    let mut libsrtp = Libsrtp::start();
    let plain = hex::decode("80c80006deadbeef".to_owned() + &"00".repeat(20)).unwrap();
    let expected = "80c80006deadbeef29d1195af4d43350b7ef54be008442998b33d2018da10faa1b05958c4add\
                    a075ab5244b78000000110203040a1b2c3d4";
    assert_eq!(
        hex::encode(libsrtp.ask("rtcp-protect", GROUP, &plain).unwrap()),
        expected
    );
}
