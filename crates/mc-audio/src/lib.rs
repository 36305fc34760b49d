//! Speech: G.711, AMR-WB, resampling, jitter buffer, WAV and intelligibility.
//!
//! Sound is 16 bit, one channel, at 8 kHz (radio side, G.711) or 16 kHz (MC side, AMR-WB), in
//! frames of 20 ms. Nothing here reads a clock or a socket: an arrival time is an argument. Every
//! stream has its own encoder, decoder, resampler, jitter buffer and concealment, for each keeps
//! what came before.
//!
//! ```
//! use mc_audio::amr_wb::{Decoder, Encoder, Mode, Packing};
//! use mc_audio::resample::{Downsampler, Upsampler};
//! use mc_audio::{Frame8k, g711, level};
//!
//! // From the radio side to the MC side ...
//! let pcmu = [0xff; 160];
//! let (mut up, mut encoder) = (Upsampler::new(), Encoder::new(Mode::default())?);
//! let packing = Packing::new(false)?;
//! let heard: Frame8k = pcmu.map(g711::ulaw_decode);
//! let payload = packing.pack(&encoder.encode(&up.frame(&heard))?)?;
//! // ... and back.
//! let (mut down, mut decoder) = (Downsampler::new(), Decoder::new()?);
//! for coded in packing.unpack(&payload)? {
//!     let heard = down.frame(&decoder.decode(&coded)?);
//!     assert!(level::dbov(&heard) < -80.0, "silence stays silence");
//! }
//! # Ok::<(), mc_audio::amr_wb::CodecError>(())
//! ```

pub mod amr_wb;
pub mod concealment;
pub mod g711;
pub mod jitter;
pub mod level;
pub mod measure;
pub mod resample;
pub mod tone;
pub mod wav;

use std::time::Duration;

/// Duration of a frame.
pub const FRAME: Duration = Duration::from_millis(20);
/// Samples of a frame at 8 kHz.
pub const FRAME_8K: usize = 160;
/// Samples of a frame at 16 kHz.
pub const FRAME_16K: usize = 320;

/// 20 ms of sound at 8 kHz.
pub type Frame8k = [i16; FRAME_8K];
/// 20 ms of sound at 16 kHz.
pub type Frame16k = [i16; FRAME_16K];

/// A frame of silence at 8 kHz.
pub const SILENCE_8K: Frame8k = [0; FRAME_8K];
/// A frame of silence at 16 kHz.
pub const SILENCE_16K: Frame16k = [0; FRAME_16K];

/// The nearest sample; what is louder than 16 bit can say is clipped.
#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to the range of i16 before"
)]
fn to_sample(value: f32) -> i16 {
    value
        .round()
        .clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
}
