//! AMR-WB (TS 26.171 and following): 20 ms of 16 kHz samples, coded, and in RTP (RFC 4867).
//!
//! Payload and codec are apart, so that a [jitter buffer](crate::jitter) may keep coded frames and
//! the decoder sees frames and losses in the order of play, which its concealment needs.

use codec_core::codecs::amr::{
    AmrCodec, AmrFrameType, AmrMode, AmrPacket, AmrPayloadCodec, AmrPayloadConfig, AmrPayloadFrame,
    AmrVariant,
};
use codec_core::types::{CodecConfig, CodedFrame, FrameKind, VariableRateCodec};

use crate::Frame16k;

/// The codec does not take or give a frame; the text is the codec's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("AMR-WB: {0}")]
pub struct CodecError(String);

impl From<codec_core::error::CodecError> for CodecError {
    fn from(error: codec_core::error::CodecError) -> Self {
        Self(error.to_string())
    }
}

/// Bit rate of speech; the numbers are the frame types of TS 26.201.
///
/// A payload type without `mode-set` (RFC 4867 8.1) allows all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Mode {
    /// 6.60 kbit/s.
    Kbps6_60 = 0,
    /// 8.85 kbit/s.
    Kbps8_85 = 1,
    /// 12.65 kbit/s.
    Kbps12_65 = 2,
    /// 14.25 kbit/s.
    Kbps14_25 = 3,
    /// 15.85 kbit/s.
    Kbps15_85 = 4,
    /// 18.25 kbit/s.
    Kbps18_25 = 5,
    /// 19.85 kbit/s.
    Kbps19_85 = 6,
    /// 23.05 kbit/s.
    Kbps23_05 = 7,
    /// 23.85 kbit/s, the default: the most intelligible, and not dearer to code than 12.65.
    #[default]
    Kbps23_85 = 8,
}

/// One coded frame of 20 ms: speech, comfort noise, or nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded(AmrPayloadFrame);

/// Coded frames in RTP payloads (RFC 4867 4.3, 4.4): no CRC, no interleaving, no mode request.
#[derive(Debug, Clone, Copy)]
pub struct Packing(AmrPayloadCodec);

impl Packing {
    /// The octet-aligned format, or the bandwidth-efficient one (`octet-align` absent or 0).
    ///
    /// # Errors
    /// [`CodecError`] when the codec does not offer the format.
    pub fn new(octet_align: bool) -> Result<Self, CodecError> {
        let config = if octet_align {
            AmrPayloadConfig::octet_aligned(AmrVariant::WideBand)
        } else {
            AmrPayloadConfig::bandwidth_efficient(AmrVariant::WideBand)
        };
        Ok(Self(AmrPayloadCodec::new(config)?))
    }

    /// The payload with one frame.
    ///
    /// # Errors
    /// [`CodecError`] when the frame does not fit its type.
    pub fn pack(&self, frame: &Coded) -> Result<Vec<u8>, CodecError> {
        Ok(self.0.pack(&AmrPacket::single(frame.0.clone()))?)
    }

    /// The frames of a payload, oldest first, 32 at most.
    ///
    /// # Errors
    /// [`CodecError`] for a payload that is not of this format.
    pub fn unpack(&self, payload: &[u8]) -> Result<Vec<Coded>, CodecError> {
        let packet = self.0.unpack(payload)?;
        Ok(packet.frames.into_iter().map(Coded).collect())
    }
}

/// Codes the speech of one stream.
pub struct Encoder(AmrCodec);

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Encoder").field(&self.0.mode()).finish()
    }
}

impl Encoder {
    /// An encoder at the beginning of speech. It codes silence as speech too: there is no DTX.
    ///
    /// # Errors
    /// [`CodecError`] when the codec does not offer the mode.
    pub fn new(mode: Mode) -> Result<Self, CodecError> {
        let mut codec = AmrCodec::new(&CodecConfig::amr_wb())?;
        codec.set_mode(mode as u8)?;
        Ok(Self(codec))
    }

    /// Codes the next 20 ms. What is decoded lags by 5.9375 ms more: 5 ms of look-ahead (TS 26.190)
    /// and the filters of both ends.
    ///
    /// # Errors
    /// [`CodecError`] of the codec.
    pub fn encode(&mut self, samples: &Frame16k) -> Result<Coded, CodecError> {
        let coded = self.0.encode_frame(samples)?;
        let kind = match coded.kind {
            FrameKind::Speech => {
                AmrFrameType::Speech(AmrMode::new(AmrVariant::WideBand, coded.mode)?)
            }
            FrameKind::ComfortNoise => AmrFrameType::Sid(AmrVariant::WideBand),
            FrameKind::NoData | FrameKind::Lost => AmrFrameType::NoData,
        };
        let frame = AmrPayloadFrame::new(kind, coded.quality_ok, coded.data)?;
        Ok(Coded(frame))
    }
}

/// Decodes the speech of one stream.
pub struct Decoder(AmrCodec);

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// A decoder at the beginning of speech.
    ///
    /// # Errors
    /// [`CodecError`] when the codec is not there.
    pub fn new() -> Result<Self, CodecError> {
        Ok(Self(AmrCodec::new(&CodecConfig::amr_wb())?))
    }

    /// The sound of the next frame; a frame marked as damaged is concealed (TS 26.191).
    ///
    /// # Errors
    /// [`CodecError`] of the codec.
    pub fn decode(&mut self, frame: &Coded) -> Result<Frame16k, CodecError> {
        let Coded(frame) = frame.clone();
        let coded = match frame.frame_type {
            AmrFrameType::Speech(mode) => CodedFrame::speech(mode.index(), frame.data),
            AmrFrameType::Sid(_) => CodedFrame::comfort_noise(frame.data),
            AmrFrameType::NoData => CodedFrame::no_data(),
            AmrFrameType::SpeechLost => CodedFrame::lost(),
        };
        self.decode_frame(&if frame.quality_ok {
            coded
        } else {
            coded.with_bad_quality()
        })
    }

    /// Sound in place of a frame that was lost (TS 26.191); fades out when many are.
    ///
    /// # Errors
    /// [`CodecError`] of the codec.
    pub fn conceal(&mut self) -> Result<Frame16k, CodecError> {
        self.decode_frame(&CodedFrame::lost())
    }

    fn decode_frame(&mut self, frame: &CodedFrame) -> Result<Frame16k, CodecError> {
        let samples = self.0.decode_frame(frame)?;
        Frame16k::try_from(samples)
            .map_err(|samples| CodecError(format!("a frame of {} samples", samples.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FRAME_16K;
    use crate::level::rms;
    use crate::tone::sine;

    const MODES: [Mode; 9] = [
        Mode::Kbps6_60,
        Mode::Kbps8_85,
        Mode::Kbps12_65,
        Mode::Kbps14_25,
        Mode::Kbps15_85,
        Mode::Kbps18_25,
        Mode::Kbps19_85,
        Mode::Kbps23_05,
        Mode::Kbps23_85,
    ];

    fn tone() -> Vec<Frame16k> {
        let samples = sine(400.0, 8000.0, 16_000, 25 * FRAME_16K);
        let (frames, _) = samples.as_chunks();
        frames.to_vec()
    }

    #[test]
    fn a_tone_survives_both_payload_formats_in_every_mode() {
        // Octets of speech in each mode: TS 26.201 table 2, bits rounded up.
        let sizes = [17, 23, 32, 36, 40, 46, 50, 58, 60];
        for (mode, size) in MODES.into_iter().zip(sizes) {
            for octet_align in [true, false] {
                let packing = Packing::new(octet_align).unwrap();
                let (mut encoder, mut decoder) =
                    (Encoder::new(mode).unwrap(), Decoder::new().unwrap());
                let mut last = crate::SILENCE_16K;
                for frame in tone() {
                    let payload = packing.pack(&encoder.encode(&frame).unwrap()).unwrap();
                    let header = payload.len() - size;
                    assert!((1..=2).contains(&header), "{mode:?} {}", payload.len());
                    let coded = packing.unpack(&payload).unwrap();
                    assert_eq!(coded.len(), 1);
                    last = decoder.decode(&coded[0]).unwrap();
                }
                assert!(rms(&last) > 4000.0, "{mode:?} {}", rms(&last));
            }
        }
    }

    #[test]
    fn lost_frames_are_concealed_and_fade() {
        let (mut encoder, mut decoder) = (
            Encoder::new(Mode::default()).unwrap(),
            Decoder::new().unwrap(),
        );
        for frame in tone() {
            decoder.decode(&encoder.encode(&frame).unwrap()).unwrap();
        }
        let concealed: Vec<_> = (0..15).map(|_| rms(&decoder.conceal().unwrap())).collect();
        assert!(concealed[0] > 2000.0, "{concealed:?}");
        assert!(concealed[14] < concealed[0] / 10.0, "{concealed:?}");
    }

    #[test]
    fn garbage_is_refused() {
        let packing = Packing::new(true).unwrap();
        for garbage in [
            &[][..],
            &[0xff],
            &[0xf0, 0xff, 0xff],
            &[0xf0, 0x44, 1, 2, 3],
            &[0xf0, 0x54],
        ] {
            assert!(packing.unpack(garbage).is_err(), "{garbage:?}");
        }
        assert!(packing.unpack(&[0xff; 1500]).is_err());
    }
}
