//! Speech of one stream: AMR-WB in RTP payloads (RFC 4867) from and to 20 ms of 16 kHz samples.

use codec_core::codecs::amr::{
    AmrCodec, AmrFrameType, AmrMode, AmrPacket, AmrPayloadCodec, AmrPayloadConfig, AmrPayloadFrame,
    AmrVariant,
};
use codec_core::types::{CodecConfig, CodedFrame, FrameKind, VariableRateCodec};

/// Samples of one frame.
pub(crate) const FRAME: usize = 320;
/// 23.85 kbit/s.
const MODE: u8 = 8;

/// The codec does not take or give a frame; the text is the codec's.
#[derive(Debug, thiserror::Error)]
#[error("AMR-WB: {0}")]
pub(crate) struct SpeechError(String);

impl SpeechError {
    fn of(error: &codec_core::error::CodecError) -> Self {
        Self(error.to_string())
    }
}

fn payload_codec(octet_align: bool) -> Result<AmrPayloadCodec, SpeechError> {
    let config = if octet_align {
        AmrPayloadConfig::octet_aligned(AmrVariant::WideBand)
    } else {
        AmrPayloadConfig::bandwidth_efficient(AmrVariant::WideBand)
    };
    AmrPayloadCodec::new(config).map_err(|e| SpeechError::of(&e))
}

fn codec() -> Result<AmrCodec, SpeechError> {
    AmrCodec::new(&CodecConfig::amr_wb()).map_err(|e| SpeechError::of(&e))
}

/// Makes payloads of one talk burst.
pub(crate) struct SpeechEncoder {
    codec: AmrCodec,
    payload: AmrPayloadCodec,
}

impl SpeechEncoder {
    pub(crate) fn new(octet_align: bool) -> Result<Self, SpeechError> {
        let mut codec = codec()?;
        codec.set_mode(MODE).map_err(|e| SpeechError::of(&e))?;
        Ok(Self {
            codec,
            payload: payload_codec(octet_align)?,
        })
    }

    /// One payload of one frame.
    pub(crate) fn encode(&mut self, samples: &[i16]) -> Result<Vec<u8>, SpeechError> {
        let coded = self
            .codec
            .encode_frame(samples)
            .map_err(|e| SpeechError::of(&e))?;
        let mode =
            AmrMode::new(AmrVariant::WideBand, coded.mode).map_err(|e| SpeechError::of(&e))?;
        let kind = match coded.kind {
            FrameKind::Speech => AmrFrameType::Speech(mode),
            FrameKind::ComfortNoise => AmrFrameType::Sid(AmrVariant::WideBand),
            FrameKind::NoData | FrameKind::Lost => AmrFrameType::NoData,
        };
        let frame = AmrPayloadFrame::new(kind, coded.quality_ok, coded.data);
        let packet = AmrPacket::single(frame.map_err(|e| SpeechError::of(&e))?);
        self.payload.pack(&packet).map_err(|e| SpeechError::of(&e))
    }
}

/// Reads payloads of one received stream.
pub(crate) struct SpeechDecoder {
    codec: AmrCodec,
    payload: AmrPayloadCodec,
}

impl SpeechDecoder {
    pub(crate) fn new(octet_align: bool) -> Result<Self, SpeechError> {
        Ok(Self {
            codec: codec()?,
            payload: payload_codec(octet_align)?,
        })
    }

    /// The frames of one payload.
    pub(crate) fn decode(&mut self, payload: &[u8]) -> Result<Vec<Vec<i16>>, SpeechError> {
        let packet = self
            .payload
            .unpack(payload)
            .map_err(|e| SpeechError::of(&e))?;
        packet
            .frames
            .into_iter()
            .map(|frame| self.decode_frame(&coded(frame)))
            .collect()
    }

    /// A frame in place of one that was lost.
    pub(crate) fn conceal(&mut self) -> Result<Vec<i16>, SpeechError> {
        self.decode_frame(&CodedFrame::lost())
    }

    fn decode_frame(&mut self, frame: &CodedFrame) -> Result<Vec<i16>, SpeechError> {
        self.codec
            .decode_frame(frame)
            .map_err(|e| SpeechError::of(&e))
    }
}

fn coded(frame: AmrPayloadFrame) -> CodedFrame {
    let coded = match frame.frame_type {
        AmrFrameType::Speech(mode) => CodedFrame::speech(mode.index(), frame.data),
        AmrFrameType::Sid(_) => CodedFrame::comfort_noise(frame.data),
        AmrFrameType::NoData => CodedFrame::no_data(),
        AmrFrameType::SpeechLost => CodedFrame::lost(),
    };
    if frame.quality_ok {
        coded
    } else {
        coded.with_bad_quality()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone() -> Vec<Vec<i16>> {
        let sample = |n: usize| {
            let phase = f64::from(u32::try_from(n).unwrap()) * 0.15;
            #[expect(clippy::cast_possible_truncation, reason = "within i16 by the factor")]
            let value = (phase.sin() * 8000.0) as i16;
            value
        };
        (0..25)
            .map(|frame| (0..FRAME).map(|n| sample(frame * FRAME + n)).collect())
            .collect()
    }

    fn energy(samples: &[i16]) -> i64 {
        samples
            .iter()
            .map(|s| i64::from(*s) * i64::from(*s))
            .sum::<i64>()
            / 320
    }

    #[test]
    fn a_tone_survives_both_payload_formats() {
        for octet_align in [true, false] {
            let mut encoder = SpeechEncoder::new(octet_align).unwrap();
            let mut decoder = SpeechDecoder::new(octet_align).unwrap();
            let mut last = Vec::new();
            for frame in tone() {
                let payload = encoder.encode(&frame).unwrap();
                assert!(payload.len() <= 62);
                last = decoder.decode(&payload).unwrap().remove(0);
            }
            assert_eq!(last.len(), FRAME);
            assert!(
                energy(&last) > 10_000_000,
                "{octet_align} {}",
                energy(&last)
            );
        }
    }

    #[test]
    fn a_lost_frame_is_concealed_and_garbage_refused() {
        let mut decoder = SpeechDecoder::new(true).unwrap();
        assert_eq!(decoder.conceal().unwrap().len(), FRAME);
        for garbage in [
            &[][..],
            &[0xff],
            &[0xf0, 0xff, 0xff],
            &[0xf0, 0x44, 1, 2, 3],
        ] {
            assert!(decoder.decode(garbage).is_err());
        }
    }
}
