use super::*;
use crate::level::rms;
use crate::tone::sine;

/// A voiced sound of 125 Hz with eight harmonics.
fn voiced(frames: usize) -> Vec<Frame8k> {
    let mut sum = vec![0_i16; frames * FRAME_8K];
    for harmonic in 1..=8 {
        let tone = sine(125.0 * f64::from(harmonic), 2400.0, 8000, sum.len());
        sum.iter_mut()
            .zip(tone)
            .for_each(|(to, s)| *to += s / i16::try_from(harmonic).unwrap());
    }
    sum.as_chunks().0.to_vec()
}

/// Signal to noise ratio in dB.
fn snr(true_sound: &[i16], heard: &[i16]) -> f64 {
    let error: Vec<i16> = true_sound.iter().zip(heard).map(|(a, b)| a - b).collect();
    20.0 * (rms(true_sound) / rms(&error).max(0.01)).log10()
}

#[test]
fn a_steady_voice_goes_on_over_a_lost_frame() {
    let frames = voiced(8);
    let mut concealer = Concealer::new();
    for frame in &frames[..5] {
        assert_eq!(concealer.received(frame), *frame, "untouched without loss");
    }
    // Silence in its place would be 0 dB; the fall of the level after 10 ms costs a little.
    let ratio = snr(&frames[5], &concealer.conceal());
    assert!(ratio > 15.0, "{ratio}");
    let ratio = snr(&frames[6], &concealer.received(&frames[6]));
    assert!(ratio > 15.0, "{ratio}");
    assert_eq!(concealer.received(&frames[7]), frames[7]);
}

#[test]
fn there_is_no_click_at_either_end_of_a_loss() {
    let frames = voiced(9);
    let mut concealer = Concealer::new();
    let mut heard = Vec::new();
    for (n, frame) in frames.iter().enumerate() {
        heard.extend(match n {
            5 | 6 => concealer.conceal(),
            _ => concealer.received(frame),
        });
    }
    let step = |s: &[i16]| {
        s.windows(2)
            .map(|w| (i32::from(w[1]) - i32::from(w[0])).abs())
            .max()
    };
    let spoken = frames.concat();
    assert!(step(&heard).unwrap() <= step(&spoken).unwrap() * 3 / 2);
}

#[test]
fn a_long_loss_fades_to_silence_within_60_ms() {
    let mut concealer = Concealer::new();
    for frame in voiced(5) {
        let _played = concealer.received(&frame);
    }
    let levels: Vec<f64> = (0..5).map(|_| rms(&concealer.conceal())).collect();
    assert!(levels[0] > levels[1] && levels[1] > levels[2], "{levels:?}");
    assert!(levels[2] > 100.0, "{levels:?}");
    assert_eq!(levels[3..], [0.0, 0.0]);
    // A hundred lost frames later the next one is faded in from silence.
    for _ in 0..100 {
        assert_eq!(concealer.conceal(), SILENCE_8K);
    }
    let frame = [8000; FRAME_8K];
    let played = concealer.received(&frame);
    assert!(played[0] < 200 && played[80..] == frame[80..], "{played:?}");
}

#[test]
fn nothing_heard_and_the_loudest_sound_are_concealed() {
    assert_eq!(Concealer::new().conceal(), SILENCE_8K);
    let mut concealer = Concealer::new();
    for _ in 0..4 {
        let _played = concealer.received(&[i16::MIN; FRAME_8K]);
    }
    assert!(concealer.conceal().iter().all(|s| *s < -20_000));
    assert_eq!(
        concealer.clone().received(&[i16::MIN; FRAME_8K])[79],
        i16::MIN
    );
}
