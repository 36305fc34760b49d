use std::time::Instant;

use super::*;
use crate::tone::sine;

/// Something like speech: syllables of changing pitch, length and loudness, and a pause.
fn babble(seed: u32, seconds: usize) -> Vec<i16> {
    let mut state = seed;
    let mut random = |below: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % below
    };
    let mut samples = vec![0; RATE / 5];
    while samples.len() < (seconds * RATE) - RATE / 2 {
        let length = RATE / 10 + usize::try_from(random(3000)).unwrap();
        let (pitch, loud) = (90 + random(150), 1000 + random(2500));
        let mut syllable = vec![0_i16; length];
        for harmonic in 1..=12 {
            let amplitude = f64::from(loud) / f64::from(1 + random(4));
            let tone = sine(f64::from(pitch * harmonic), amplitude, 16_000, length);
            syllable
                .iter_mut()
                .zip(tone)
                .for_each(|(to, s)| *to = to.saturating_add(s / 2));
        }
        samples.extend(syllable);
        samples.extend(vec![0; usize::try_from(random(1500)).unwrap()]);
    }
    samples.resize(seconds * RATE, 0);
    samples
}

#[test]
fn what_arrives_unchanged_is_perfect_wherever_it_lies() {
    let sent = babble(1, 4);
    for offset in [0_i64, 1, 777, 16_000, -1, -1600] {
        let received = match usize::try_from(offset) {
            Ok(behind) => [vec![0; behind], sent.clone()].concat(),
            Err(_) => sent[usize::try_from(-offset).unwrap()..].to_vec(),
        };
        let report = judge(&sent, &received).unwrap();
        assert!(report.score > 0.99, "{offset} {report:?}");
        assert_eq!(report.delay_us, Some(offset * 125 / 2), "{offset}");
        assert!(report.first_heard && report.last_heard, "{offset}");
    }
}

/// A jitter buffer made up 20 or 40 ms: what lies before or behind it is out of its place, not lost,
/// also when speech begins with the first sample and ends with the last.
#[test]
fn what_is_stretched_is_not_lost_and_what_is_cut_off_is() {
    let speech = babble(1, 4);
    let sounds = |samples: &&i16| **samples != 0;
    let begin = speech.iter().position(|s| sounds(&s)).unwrap();
    let end = speech.iter().rposition(|s| sounds(&s)).unwrap();
    let sent = &speech[begin..end];
    for (at, made_up) in [(RATE, 320), (RATE, 640), (2 * RATE, 320), (3 * RATE, 640)] {
        let (before, behind) = sent.split_at(at);
        let stretched = [before, &before[at - made_up..], behind].concat();
        let report = judge(sent, &stretched).unwrap();
        assert!(report.first_heard && report.last_heard, "{at} {report:?}");
        assert!(report.score > 0.93, "{at} {report:?}");
        let cut = [&vec![0; RATE / 4], &stretched[RATE / 4..]].concat();
        let report = judge(sent, &cut).unwrap();
        assert!(!report.first_heard && report.last_heard, "{at} {report:?}");
        let length = stretched.len();
        let report = judge(sent, &stretched[..length - RATE / 4]).unwrap();
        assert!(report.first_heard && !report.last_heard, "{at} {report:?}");
    }
}

#[test]
fn silence_noise_and_another_sentence_are_not_the_speech() {
    let sent = babble(1, 4);
    let noise: Vec<i16> = (0..4 * RATE)
        .map(|n: usize| i16::try_from(n * n * 7919 % 8000).unwrap() - 4000)
        .collect();
    for (name, received) in [
        ("nothing", vec![]),
        ("silence", vec![0; 4 * RATE]),
        ("noise", noise),
        ("another sentence", babble(2, 4)),
    ] {
        let report = judge(&sent, &received).unwrap();
        assert_eq!(report.delay_us, None, "{name}");
        assert_eq!(
            (report.score, report.first_heard, report.last_heard),
            (0.0, false, false)
        );
    }
}

#[test]
fn too_little_and_too_much_are_refused() {
    let speech = babble(1, 1);
    for nothing in [&[][..], &[0; 20_000], &speech[..4000]] {
        assert_eq!(judge(nothing, &speech), Err(MeasureError::TooLittleSpeech));
    }
    let long = vec![1; 120 * RATE + 1];
    assert_eq!(judge(&long, &speech), Err(MeasureError::TooLong));
    assert_eq!(judge(&speech, &long), Err(MeasureError::TooLong));
}

#[test]
fn half_a_minute_is_judged_at_once() {
    let sent = babble(1, 30);
    let received = [vec![0; 2 * RATE], sent.clone()].concat();
    let begin = Instant::now();
    assert!(judge(&sent, &received).unwrap().score > 0.99);
    // About a tenth of this optimised; the bound also holds without optimisation.
    assert!(
        begin.elapsed() < Duration::from_secs(10),
        "{:?}",
        begin.elapsed()
    );
}
