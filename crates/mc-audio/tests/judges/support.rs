//! Speech, coded and back.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mc_audio::amr_wb::{Decoder, Encoder, Mode, Packing};
use mc_audio::wav::Wav;
use mc_audio::{FRAME_16K, Frame16k};

/// A sentence of the demo, 16 kHz: `lmr` is what the radio says, `mc` what the MC client says.
pub(crate) fn sentence(who: &str) -> Vec<i16> {
    let directory = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/speech/make");
    let made = Command::new(script).arg(directory.path()).status().unwrap();
    assert!(made.success(), "espeak-ng and sox: run `make test`");
    let octets = std::fs::read(directory.path().join(format!("{who}.wav"))).unwrap();
    let mut samples = Wav::read(&octets, Duration::from_secs(30))
        .unwrap()
        .into_16k();
    samples.truncate(samples.len() / FRAME_16K * FRAME_16K);
    samples
}

pub(crate) fn to_octets(samples: &[i16]) -> Vec<u8> {
    samples.iter().flat_map(|s| s.to_le_bytes()).collect()
}

pub(crate) fn to_samples(octets: &[u8]) -> Vec<i16> {
    let (pairs, _) = octets.as_chunks::<2>();
    pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect()
}

pub(crate) fn frames(samples: &[i16]) -> &[Frame16k] {
    samples.as_chunks().0
}

/// Payloads of the octet-aligned format.
pub(crate) fn payloads(samples: &[i16], mode: Mode) -> Vec<Vec<u8>> {
    let (mut encoder, packing) = (Encoder::new(mode).unwrap(), Packing::new(true).unwrap());
    let coded = frames(samples).iter().map(|f| encoder.encode(f).unwrap());
    coded.map(|coded| packing.pack(&coded).unwrap()).collect()
}

pub(crate) fn decode(payloads: &[Vec<u8>]) -> Vec<i16> {
    let (mut decoder, packing) = (Decoder::new().unwrap(), Packing::new(true).unwrap());
    let coded = payloads.iter().flat_map(|p| packing.unpack(p).unwrap());
    coded.flat_map(|c| decoder.decode(&c).unwrap()).collect()
}
