//! AMR-WB and G.711 are what others take them to be.

use std::process::{Command, Stdio};

use mc_audio::amr_wb::{Mode, Packing};
use mc_audio::g711;
use mc_audio::level::rms;
use mc_audio::measure::judge;
use mc_audio::resample::to_8k;

use crate::support::{decode, payloads, sentence, to_octets, to_samples};

/// First octets of a file of AMR-WB frames (RFC 4867 5.1).
const MAGIC: &[u8] = b"#!AMR-WB\n";

/// What a program makes of the file `in`.
fn run(program: &str, arguments: &str, input: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in"), input).unwrap();
    let output = Command::new(program)
        .args(arguments.split(' '))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments}: {errors}");
    output.stdout
}

/// A file of frames (RFC 4867 5.3): an octet-aligned payload of one frame without its first octet.
fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
    let frames = payloads
        .iter()
        .flat_map(|payload| payload.iter().skip(1).copied());
    MAGIC.iter().copied().chain(frames).collect()
}

/// Signal to noise ratio in dB of the shorter length.
fn snr(true_sound: &[i16], other: &[i16]) -> f64 {
    let error: Vec<i16> = true_sound
        .iter()
        .zip(other)
        .map(|(a, b)| a.saturating_sub(*b))
        .collect();
    20.0 * (rms(true_sound) / rms(&error).max(0.01)).log10()
}

/// Signal to noise ratio below 4 kHz, in dB: above 6.4 kHz AMR-WB is noise that each decoder makes.
fn snr_of_speech(true_sound: &[i16], other: &[i16]) -> f64 {
    snr(&to_8k(true_sound), &to_8k(other))
}

/// How ffmpeg, and sox with opencore-amrwb, decode a file.
fn foreign(file: &[u8]) -> [(&'static str, Vec<i16>); 2] {
    let ffmpeg = run("ffmpeg", "-v error -f amr -i in -f s16le -", file);
    let sox = run("sox", "-t amr-wb in -t s16 -", file);
    [("ffmpeg", to_samples(&ffmpeg)), ("sox", to_samples(&sox))]
}

/// How close a decoder must come, in dB: opencore-amrwb is the fixed-point reference with the two
/// low bits of each sample cleared, ffmpeg's is in floating point and differs most at 6.60 kbit/s.
fn closeness(who: &str) -> f64 {
    if who == "sox" { 55.0 } else { 18.0 }
}

#[test]
fn others_decode_our_amr_wb_as_we_do() {
    let speech = sentence("lmr");
    for (mode, least) in [
        (Mode::Kbps6_60, 0.90),
        (Mode::Kbps12_65, 0.95),
        (Mode::Kbps23_85, 0.975),
    ] {
        let payloads = payloads(&speech, mode);
        let ours = decode(&payloads);
        for (who, theirs) in foreign(&file(&payloads)) {
            assert_eq!(theirs.len(), ours.len(), "{who}");
            let ratio = snr_of_speech(&ours, &theirs);
            let score = judge(&speech, &theirs).unwrap().score;
            println!("{mode:?} {who}: {ratio:.1} dB apart, score {score:.4}");
            assert!(ratio > closeness(who), "{mode:?} {who} {ratio}");
            assert!(score > least, "{mode:?} {who} {score}");
            let ours = judge(&speech, &ours).unwrap().score;
            assert!(
                (ours - score).abs() < 0.005,
                "{mode:?} {who} {ours} {score}"
            );
        }
    }
}

/// What vo-amrwbenc (it comes with baresip) makes of speech: a file of frames.
fn vo_amrwbenc(speech: &[i16], mode: Mode) -> Vec<u8> {
    let script = "import ctypes, sys\n\
        vo = ctypes.CDLL('libvo-amrwbenc.so.0')\n\
        vo.E_IF_init.restype = ctypes.c_void_p\n\
        state, frame = ctypes.c_void_p(vo.E_IF_init()), ctypes.create_string_buffer(64)\n\
        out, speech = sys.stdout.buffer, open('in', 'rb').read()\n\
        out.write(b'#!AMR-WB\\n')\n\
        for n in range(0, len(speech), 640):\n\
        \x20 size = vo.E_IF_encode(state, int(sys.argv[1]), speech[n:n + 640], frame, 0)\n\
        \x20 out.write(frame.raw[:size])\n";
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("in"), to_octets(speech)).unwrap();
    let output = Command::new(testkit::python::python().unwrap())
        .args(["-c", script, &(mode as u8).to_string()])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    output.stdout
}

#[test]
fn we_decode_the_amr_wb_of_vo_amrwbenc() {
    let speech = sentence("lmr");
    for (mode, size) in [
        (Mode::Kbps6_60, 17),
        (Mode::Kbps12_65, 32),
        (Mode::Kbps23_85, 60),
    ] {
        let coded = vo_amrwbenc(&speech, mode);
        let frames = coded.strip_prefix(MAGIC).unwrap().chunks(1 + size);
        // Both payload formats carry a foreign frame.
        let packing = (Packing::new(true).unwrap(), Packing::new(false).unwrap());
        let from_them: Vec<Vec<u8>> = frames.map(|frame| [&[0xf0], frame].concat()).collect();
        for payload in &from_them {
            let frames = packing.0.unpack(payload).unwrap();
            assert_eq!(packing.0.pack(&frames[0]).unwrap(), *payload);
            let again = packing.1.pack(&frames[0]).unwrap();
            assert_eq!(packing.1.unpack(&again).unwrap(), frames);
        }
        let heard = decode(&from_them);
        for (who, theirs) in foreign(&coded) {
            let ratio = snr_of_speech(&heard, &theirs);
            assert!(ratio > closeness(who), "{mode:?} {who} {ratio}");
        }
        // Our encoder is as good as theirs; above the lowest mode it is the same, bit by bit.
        let from_us = payloads(&speech, mode);
        let score = |sound: &[i16]| judge(&speech, sound).unwrap().score;
        let (from_theirs, from_ours) = (score(&heard), score(&decode(&from_us)));
        let scores = format!("{mode:?}: vo-amrwbenc {from_theirs:.4}, ours {from_ours:.4}");
        assert!((from_theirs - from_ours).abs() < 0.01, "{scores}");
        assert!(mode == Mode::Kbps6_60 || from_us == from_them, "{mode:?}");
    }
}

#[test]
fn g_711_is_that_of_ffmpeg() {
    let octets: Vec<u8> = (0..=255).collect();
    let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
    type Law = (&'static str, fn(u8) -> i16, fn(i16) -> u8);
    let laws: [Law; 2] = [
        ("mulaw", g711::ulaw_decode, g711::ulaw_encode),
        ("alaw", g711::alaw_decode, g711::alaw_encode),
    ];
    for (law, decode, encode) in laws {
        let arguments = format!("-v error -f {law} -ar 8000 -i in -f s16le -");
        let decoded = to_samples(&run("ffmpeg", &arguments, &octets));
        assert_eq!(
            decoded,
            octets.iter().map(|o| decode(*o)).collect::<Vec<_>>()
        );
        // ffmpeg takes the nearest value, the standard fixes decision values: between two segments
        // they are not in the middle. Nowhere is the difference more than one step.
        let arguments = format!("-v error -f s16le -ar 8000 -ac 1 -i in -f {law} -");
        let encoded = run("ffmpeg", &arguments, &to_octets(&samples));
        let differ = samples.iter().zip(&encoded).filter(|(sample, theirs)| {
            let ours = encode(**sample);
            let (a, b) = (i32::from(decode(ours)), i32::from(decode(**theirs)));
            let next = (i32::from(decode(ours)) - i32::from(decode(ours ^ 1))).abs();
            assert!((a - b).abs() <= 2 * next, "{law} {sample}");
            ours != **theirs
        });
        let share = differ.count() * 1000 / samples.len();
        println!("{law}: {share} of 1000 samples differ");
        assert!(share <= 40, "{law} {share}");
    }
}
