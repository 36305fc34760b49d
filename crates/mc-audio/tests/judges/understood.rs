//! What is understood of speech: our measure is pystoi's, and it tells good speech from bad.

use std::process::Command;

use mc_audio::amr_wb::{Decoder, Encoder, Mode};
use mc_audio::concealment::Concealer;
use mc_audio::measure::{judge, stoi};
use mc_audio::resample::{Downsampler, Upsampler, to_8k, to_16k};
use mc_audio::{FRAME_8K, Frame8k, SILENCE_8K, g711};

use crate::support::{decode, frames, payloads, sentence, to_octets};

/// pystoi's score for each pair.
fn pystoi(clean: &[i16], degraded: &[(&str, Vec<i16>)]) -> Vec<f64> {
    let script = "import sys, numpy, pystoi\n\
        read = lambda name: numpy.fromfile(name, '<i2') / 32768\n\
        clean = read('clean')\n\
        for name in sys.argv[1:]: print(pystoi.stoi(clean, read(name), 16000))\n";
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(testkit::python::python().unwrap());
    command.args(["-c", script]).current_dir(directory.path());
    std::fs::write(directory.path().join("clean"), to_octets(clean)).unwrap();
    for (n, (_, degraded)) in degraded.iter().enumerate() {
        let name = n.to_string();
        std::fs::write(directory.path().join(&name), to_octets(degraded)).unwrap();
        command.arg(name);
    }
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.parse().unwrap()).collect()
}

/// White noise of the given level.
fn with_noise(speech: &[i16], level: i32) -> Vec<i16> {
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        i32::try_from(state >> 16).unwrap() - 32_768
    };
    speech
        .iter()
        .map(|s| i16::try_from((i32::from(*s) + noise() * level / 32_768).clamp(-32_768, 32_767)))
        .map(Result::unwrap)
        .collect()
}

#[test]
fn our_stoi_is_pystoi_s() {
    let speech = sentence("lmr");
    let low = decode(&payloads(&speech, Mode::Kbps6_60));
    let lossy = radio_to_mc(&speech, |n| n % 4 == 3);
    let degraded = [
        ("unchanged", speech.clone()),
        ("soft noise", with_noise(&speech, 2000)),
        ("loud noise", with_noise(&speech, 20_000)),
        (
            "clipped",
            speech.iter().map(|s| (*s).clamp(-600, 600) * 8).collect(),
        ),
        (
            "mu-law",
            speech
                .iter()
                .map(|s| g711::ulaw_decode(g711::ulaw_encode(*s)))
                .collect(),
        ),
        // Not aligned: the score is low, and must be as low.
        ("AMR-WB 6.60", low),
        ("every fourth frame lost", lossy),
        (
            "half of it",
            [&speech[..speech.len() / 2], &vec![0; speech.len() / 2]].concat(),
        ),
    ];
    let expected = pystoi(&speech, &degraded);
    assert_eq!(expected.len(), degraded.len());
    for ((name, degraded), theirs) in degraded.iter().zip(expected) {
        let ours = stoi(&speech, degraded).unwrap();
        println!("{name}: ours {ours:.5}, pystoi {theirs:.5}");
        assert!((ours - theirs).abs() < 0.001, "{name}: {ours} {theirs}");
    }
}

/// The way of speech from a radio through PCMU, with losses, to an MC client, and no buffers.
fn radio_to_mc(speech: &[i16], lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let (mut up, mut concealer) = (Upsampler::new(), Concealer::new());
    let (mut encoder, mut decoder) = (
        Encoder::new(Mode::default()).unwrap(),
        Decoder::new().unwrap(),
    );
    let radio = to_8k(speech);
    let (radio, _) = radio.as_chunks::<FRAME_8K>();
    let frames = radio.iter().enumerate().map(|(n, frame)| {
        let played: Frame8k = if lost(n) {
            concealer.conceal()
        } else {
            concealer.received(&frame.map(|s| g711::ulaw_decode(g711::ulaw_encode(s))))
        };
        decoder
            .decode(&encoder.encode(&up.frame(&played)).unwrap())
            .unwrap()
    });
    frames.flatten().collect()
}

/// And the other way, with losses on the MC side.
fn mc_to_radio(speech: &[i16], lost: impl Fn(usize) -> bool) -> Vec<i16> {
    let (mut down, mut encoder) = (Downsampler::new(), Encoder::new(Mode::default()).unwrap());
    let mut decoder = Decoder::new().unwrap();
    let sounds = frames(speech).iter().enumerate().flat_map(|(n, frame)| {
        let coded = encoder.encode(frame).unwrap();
        let sound = if lost(n) {
            decoder.conceal().unwrap()
        } else {
            decoder.decode(&coded).unwrap()
        };
        down.frame(&sound)
            .map(|s| g711::ulaw_decode(g711::ulaw_encode(s)))
    });
    to_16k(&sounds.collect::<Vec<_>>())
}

#[test]
fn speech_across_the_gateway_is_understood_and_its_delay_known() {
    let speech = sentence("lmr");
    for (way, heard) in [
        ("radio to MC", radio_to_mc(&speech, |_| false)),
        ("MC to radio", mc_to_radio(&speech, |_| false)),
    ] {
        let report = judge(&speech, &heard).unwrap();
        println!("{way}: {report:?}");
        assert!(report.score > 0.93, "{way} {report:?}");
        assert!(report.first_heard && report.last_heard, "{way} {report:?}");
        // Resampling 1.94 ms, AMR-WB 5 ms of look-ahead and its filters.
        let delay = report.delay_us.unwrap();
        assert!((6_500..9_500).contains(&delay), "{way} {report:?}");
    }
    for share in [50, 20, 10, 5] {
        let lost = |n| n % share == share - 1;
        let radio = judge(&speech, &radio_to_mc(&speech, lost)).unwrap();
        let mc = judge(&speech, &mc_to_radio(&speech, lost)).unwrap();
        println!(
            "1 in {share} lost: {:.3} to MC, {:.3} to radio",
            radio.score, mc.score
        );
        let least = if share >= 20 { 0.85 } else { 0.6 };
        assert!(
            radio.score > least && mc.score > least,
            "{share} {radio:?} {mc:?}"
        );
    }
}

#[test]
fn concealment_is_understood_better_than_silence() {
    let speech = sentence("lmr");
    let radio = to_8k(&speech);
    let (radio, _) = radio.as_chunks::<FRAME_8K>();
    let played = |conceal: bool| -> Vec<i16> {
        let mut concealer = Concealer::new();
        let frames = radio.iter().enumerate().map(|(n, frame)| match n % 5 {
            4 if conceal => concealer.conceal(),
            4 => SILENCE_8K,
            _ if conceal => concealer.received(frame),
            _ => *frame,
        });
        to_16k(&frames.flatten().collect::<Vec<_>>())
    };
    let (concealed, silent) = (
        stoi(&speech, &played(true)).unwrap(),
        stoi(&speech, &played(false)).unwrap(),
    );
    println!("one frame in five lost: concealed {concealed:.3}, silent {silent:.3}");
    assert!(concealed > silent + 0.05, "{concealed} {silent}");
}

#[test]
fn a_missing_first_or_last_syllable_is_seen() {
    let speech = sentence("lmr");
    let heard = radio_to_mc(&speech, |_| false);
    let loud = |s: &i16| s.unsigned_abs() > 500;
    let begin = heard.iter().position(loud).unwrap();
    let end = heard.iter().rposition(loud).unwrap();
    let ms = 16;
    // From, to, and whether each end is to be found.
    for (from, to, first, last) in [
        (0, heard.len(), true, true),
        (begin + 20 * ms, end - 20 * ms, true, true),
        (begin + 150 * ms, end, false, true),
        (begin + 400 * ms, end, false, true),
        (begin, end - 200 * ms, true, false),
        (begin + 300 * ms, end - 300 * ms, false, false),
    ] {
        let silenced: Vec<i16> = heard
            .iter()
            .enumerate()
            .map(|(n, s)| if (from..to).contains(&n) { *s } else { 0 })
            .collect();
        // A recorder that starts with the first sound it hears.
        for received in [&silenced[..], &silenced[from..]] {
            let report = judge(&speech, received).unwrap();
            let found = (report.first_heard, report.last_heard);
            assert_eq!(found, (first, last), "{} {} {report:?}", from / ms, to / ms);
        }
        let noise = judge(&speech, &with_noise(&silenced, 4000)).unwrap();
        let found = (noise.first_heard, noise.last_heard);
        assert_eq!(
            found,
            (first, last),
            "noise: {} {} {noise:?}",
            from / ms,
            to / ms
        );
    }
}

#[test]
fn another_sentence_is_not_taken_for_the_one_sent() {
    for (sent, received) in [("lmr", "mc"), ("mc", "lmr")] {
        let report = judge(&sentence(sent), &sentence(received)).unwrap();
        assert_eq!(report.delay_us, None, "{report:?}");
        assert!(!report.first_heard && !report.last_heard);
    }
}
