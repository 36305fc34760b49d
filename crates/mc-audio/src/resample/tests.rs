use super::*;
use crate::level::rms;
use crate::tone::sine;
use crate::{FRAME_8K, FRAME_16K};

fn up(samples: &[i16]) -> Vec<i16> {
    let mut up = Upsampler::new();
    let (frames, _) = samples.as_chunks::<FRAME_8K>();
    frames.iter().flat_map(|frame| up.frame(frame)).collect()
}

fn down(samples: &[i16]) -> Vec<i16> {
    let mut down = Downsampler::new();
    let (frames, _) = samples.as_chunks::<FRAME_16K>();
    frames.iter().flat_map(|frame| down.frame(frame)).collect()
}

/// Gain in dB once the filter has filled.
fn gain(from: &[i16], to: &[i16]) -> f64 {
    20.0 * (rms(&to[400..]) / rms(&from[400..])).log10()
}

#[test]
fn speech_passes_flat_and_images_are_70_db_down() {
    for hz in [100.0, 300.0, 1000.0, 2000.0, 3000.0, 3400.0] {
        let (slow, fast) = (
            sine(hz, 10_000.0, 8000, 8000),
            sine(hz, 10_000.0, 16_000, 16_000),
        );
        assert!(gain(&slow, &up(&slow)).abs() < 0.1, "up {hz}");
        assert!(gain(&fast, &down(&fast)).abs() < 0.1, "down {hz}");
        // The image lies at 8000 - hz; what is not the tone itself is image and rounding.
        let error: Vec<i16> = to_16k(&slow)
            .iter()
            .zip(&fast)
            .map(|(a, b)| a - b)
            .collect();
        let middle = &error[400..error.len() - 400];
        assert!(rms(middle) < 10.0, "{hz} {}", rms(middle));
    }
    for hz in [4600.0, 5500.0, 7000.0, 7900.0] {
        let fast = sine(hz, 10_000.0, 16_000, 16_000);
        let left = gain(&fast, &down(&fast));
        assert!(left < -65.0, "{hz} {left}");
    }
}

#[test]
fn the_delay_is_as_stated() {
    assert_eq!(DELAY, Duration::from_secs(1) * 31 / 16_000);
    let mut click = vec![0; 2 * FRAME_8K];
    click[40] = 20_000;
    let loudest = |samples: &[i16]| {
        let place = samples.iter().enumerate().max_by_key(|(_, s)| **s);
        place.unwrap().0
    };
    assert_eq!(loudest(&up(&click)), 80 + DELAY_SAMPLES);
    let mut click = vec![0; 2 * FRAME_16K];
    click[81] = 20_000;
    assert_eq!(loudest(&down(&click)), (81 + DELAY_SAMPLES) / 2);
}

#[test]
fn frames_join_without_a_seam_and_recordings_keep_their_place() {
    let whole = sine(440.0, 12_000.0, 8000, 10 * FRAME_8K);
    let there = to_16k(&whole);
    assert_eq!(there.len(), 2 * whole.len());
    assert_eq!(
        there[..there.len() - 40],
        up(&[&whole[..], &[0; 160]].concat())[DELAY_SAMPLES..][..there.len() - 40]
    );
    let back = to_8k(&there);
    assert_eq!(back.len(), whole.len());
    for (a, b) in whole.iter().zip(&back).skip(40).take(whole.len() - 80) {
        assert!((a - b).abs() <= 16, "{a} {b}");
    }
    assert_eq!((to_8k(&[]).len(), to_16k(&[]).len()), (0, 0));
    assert_eq!((to_8k(&[7]).len(), to_16k(&[7]).len()), (1, 2));
}

#[test]
fn the_loudest_sound_is_clipped_not_wrapped() {
    let square: Vec<i16> = (0..1600)
        .map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN })
        .collect();
    for (n, sample) in to_16k(&square).iter().enumerate() {
        let expected = square[n / 2].signum();
        let edge = matches!(n % 40, 0..=2 | 37..=39);
        assert!(edge || sample.signum() == expected, "{n} {sample}");
    }
}
