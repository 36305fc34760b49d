//! G.711: mu-law and A-law, one octet for one sample of 16 bit.
//!
//! The standard's uniform values have 14 bits (mu-law) and 13 bits (A-law); here they stand in the
//! upper bits of 16, as everywhere outside the standard's tables.

/// Largest magnitude of mu-law before its bias (14 bits 8158.75, in 16 bits).
const ULAW_CLIP: u16 = 32_635;
/// Added to a magnitude so that every mu-law segment begins at a power of two.
const ULAW_BIAS: u16 = 0x84;

/// Decodes one octet of mu-law (G.711 table 2).
#[must_use]
pub fn ulaw_decode(octet: u8) -> i16 {
    let octet = !octet;
    let segment = (octet >> 4) & 0x07;
    let magnitude = ((i16::from(octet & 0x0f) << 3) + 0x84) << segment;
    let sample = magnitude - 0x84;
    if octet & 0x80 == 0 { sample } else { -sample }
}

/// Encodes one sample as mu-law (G.711 table 2).
#[must_use]
pub fn ulaw_encode(sample: i16) -> u8 {
    let sign: u8 = if sample < 0 { 0x80 } else { 0 };
    // 132..=32767: the highest set bit is 7 to 14.
    let magnitude = sample.unsigned_abs().min(ULAW_CLIP) + ULAW_BIAS;
    let segment = (15 - magnitude.leading_zeros()).saturating_sub(7);
    let step = low_octet((magnitude >> (segment + 3)) & 0x0f);
    !(sign | (low_octet(segment) << 4) | step)
}

/// Decodes one octet of A-law (G.711 table 1), its even bits inverted as on the wire.
#[must_use]
pub fn alaw_decode(octet: u8) -> i16 {
    let octet = octet ^ 0x55;
    let segment = (octet >> 4) & 0x07;
    // Half a step is added: a decoded value is the middle of its interval.
    let step = (i16::from(octet & 0x0f) << 4) + 8;
    let magnitude = match segment {
        0 => step,
        _ => (step + 0x100) << (segment - 1),
    };
    if octet & 0x80 == 0 {
        -magnitude
    } else {
        magnitude
    }
}

/// Encodes one sample as A-law (G.711 table 1).
#[must_use]
pub fn alaw_encode(sample: i16) -> u8 {
    // One's complement makes -1 the mirror of 0: A-law has no zero, only two values beside it.
    let (sign, magnitude) = match sample {
        0.. => (0x80, sample.unsigned_abs()),
        _ => (0, (!sample).unsigned_abs()),
    };
    // 0..=32767: segments 1 to 7 begin at 256 and double.
    let segment = (16 - magnitude.leading_zeros()).saturating_sub(8);
    let step = low_octet((magnitude >> (segment.max(1) + 3)) & 0x0f);
    (sign | (low_octet(segment) << 4) | step) ^ 0x55
}

/// The low eight bits.
fn low_octet(value: impl Into<u32>) -> u8 {
    let [.., low] = value.into().to_be_bytes();
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mu_law_is_that_of_table_2() {
        // Output values: the ends, the zeros, a segment edge.
        for (octet, sample) in [
            (0x00, -32_124),
            (0x80, 32_124),
            (0x7f, 0),
            (0xff, 0),
            (0xf0, 120),
            (0x70, -120),
            (0xef, 132),
        ] {
            assert_eq!(ulaw_decode(octet), sample, "{octet:#x}");
        }
        for octet in 0..=255u8 {
            let expected = if octet == 0x7f { 0xff } else { octet };
            assert_eq!(ulaw_encode(ulaw_decode(octet)), expected, "{octet:#x}");
        }
        assert_eq!(ulaw_encode(i16::MIN), 0x00);
        assert_eq!(ulaw_encode(i16::MAX), 0x80);
        // Decision values of the standard in 14 bits: 0, 1, 3, .. 31, 35, .. 95, 103, .. 8159;
        // a sample at a decision value belongs to the interval above it.
        let mut decision = 1;
        for n in 1..128u8 {
            assert_eq!(ulaw_encode(decision * 4 - 1), 0xff - (n - 1), "below {n}");
            assert_eq!(ulaw_encode(decision * 4), 0xff - n, "at {n}");
            decision += 2 << (n / 16);
        }
    }

    #[test]
    fn a_law_is_that_of_table_1() {
        for (octet, sample) in [
            (0xd5, 8),
            (0x55, -8),
            (0xaa, 32_256),
            (0x2a, -32_256),
            (0xc5, 264),
            (0xf5, 528),
        ] {
            assert_eq!(alaw_decode(octet), sample, "{octet:#x}");
        }
        for octet in 0..=255u8 {
            assert_eq!(alaw_encode(alaw_decode(octet)), octet, "{octet:#x}");
        }
        // Decision values in 13 bits (12 and a sign): steps of 2 up to 64, then doubling.
        let mut decision = 0;
        for n in 0..128u8 {
            assert_eq!(alaw_encode(decision * 8), (0x80 | n) ^ 0x55, "at {n}");
            decision += 2 << (n / 16).saturating_sub(1);
        }
        assert_eq!(alaw_encode(-1), 0x55);
        assert_eq!(alaw_encode(i16::MIN), 0x2a);
    }
}
