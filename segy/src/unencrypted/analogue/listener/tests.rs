use super::*;
use crate::unencrypted::analogue::speaker::Speaker;

const SILENCE: Duration = Duration::from_millis(500);

struct Radio {
    listener: Listener,
    speaker: Speaker,
    now: Instant,
}

impl Radio {
    fn new() -> Self {
        let now = Instant::now();
        Self {
            listener: Listener::new(SILENCE, now),
            speaker: Speaker::new(1, 1, 1),
            now,
        }
    }

    /// Lets time pass and names what is handed over.
    fn pass(&mut self, ms: u64) -> Vec<&'static str> {
        let (end, mut heard) = (self.now + Duration::from_millis(ms), Vec::new());
        while let Some(due) = self.listener.due().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            heard.extend(self.listener.tick(self.now).iter().map(named));
        }
        self.now = end;
        heard
    }

    fn packet(&mut self) -> Vec<&'static str> {
        let packet = self.speaker.speech(&[3000; 320], self.now);
        self.listener
            .packet(&packet, self.now)
            .iter()
            .map(named)
            .collect()
    }

    fn press(&mut self) -> Vec<&'static str> {
        let talker = ExternalTalker {
            unit: Some("1001".to_owned()),
            emergency: false,
        };
        self.listener
            .pressed(talker, self.now)
            .iter()
            .map(named)
            .collect()
    }
}

fn named(event: &ExternalEvent) -> &'static str {
    match event {
        ExternalEvent::PttOn(talker) if talker.unit.is_some() => "1001",
        ExternalEvent::PttOn(_) => "somebody",
        ExternalEvent::PttOff => "off",
        ExternalEvent::Speech(_) => "speech",
        ExternalEvent::Up
        | ExternalEvent::Down
        | ExternalEvent::Ringing
        | ExternalEvent::Refused(_)
        | ExternalEvent::PressDenied => "other",
    }
}

const NONE: [&str; 0] = [];

#[test]
fn a_burst_is_handed_over_to_its_last_frame_before_the_release() {
    let mut radio = Radio::new();
    assert_eq!(radio.press(), ["1001"]);
    let mut heard = Vec::new();
    for _ in 0..5 {
        radio.packet();
        heard.extend(radio.pass(20));
    }
    radio.listener.released(radio.now);
    // The last packet comes after the INFO.
    radio.packet();
    heard.extend(radio.pass(500));
    assert_eq!(
        heard,
        [
            "speech", "speech", "speech", "speech", "speech", "speech", "off"
        ]
    );
    assert_eq!(radio.listener.due(), None);
    assert_eq!(radio.listener.take_concealed(), 0);
}

#[test]
fn losses_and_jitter_are_played_out() {
    let mut radio = Radio::new();
    radio.press();
    let mut heard = Vec::new();
    for n in 0..50 {
        let packet = radio.speaker.speech(&[3000; 320], radio.now);
        // Every tenth packet is lost, every other one is 15 ms late.
        if n % 10 != 5 {
            if n % 2 == 1 {
                heard.extend(radio.pass(15));
                radio.listener.packet(&packet, radio.now);
                heard.extend(radio.pass(5));
                continue;
            }
            radio.listener.packet(&packet, radio.now);
        }
        heard.extend(radio.pass(20));
    }
    radio.listener.released(radio.now);
    heard.extend(radio.pass(500));
    let speech = heard.iter().filter(|what| **what == "speech").count();
    assert!((49..=52).contains(&speech), "{speech} frames of 50");
    let concealed = radio.listener.take_concealed();
    assert!(
        (5..=7).contains(&concealed),
        "{concealed} concealed of 5 lost"
    );
}

#[test]
fn speech_that_overtakes_its_info_is_kept() {
    let mut radio = Radio::new();
    radio.listener.signals = Some(true);
    assert_eq!(radio.packet(), NONE);
    assert_eq!(radio.pass(20), NONE);
    radio.packet();
    assert_eq!(radio.press(), ["1001"]);
    let mut heard = radio.pass(20);
    radio.packet();
    heard.extend(radio.pass(80));
    let speech = heard.iter().filter(|what| **what == "speech").count();
    let spoken = speech - usize::try_from(radio.listener.take_concealed()).unwrap();
    assert_eq!(spoken, 3, "{heard:?}");
}

#[test]
fn the_first_spurt_of_a_system_waits_for_its_info() {
    let mut radio = Radio::new();
    assert_eq!(radio.packet(), NONE);
    assert_eq!(radio.pass(100), NONE);
    assert_eq!(radio.press(), ["1001"]);
}

#[test]
fn overtaking_speech_without_info_is_forgotten() {
    let mut radio = Radio::new();
    radio.listener.signals = Some(true);
    radio.packet();
    assert_eq!(radio.pass(2000), NONE);
    assert_eq!(
        (radio.listener.key, radio.listener.due()),
        (Key::Released, None)
    );
}

#[test]
fn stragglers_after_the_release_do_not_press() {
    let mut radio = Radio::new();
    radio.press();
    radio.packet();
    radio.pass(20);
    radio.listener.released(radio.now);
    assert_eq!(radio.pass(300).last(), Some(&"off"));
    // The speaker's next packet is marked after this pause; a straggler is not.
    let mut straggler = radio.speaker.speech(&[1; 320], radio.now);
    straggler[1] = 0;
    assert!(radio.listener.packet(&straggler, radio.now).is_empty());
    assert_eq!(radio.listener.key, Key::Released);
}

#[test]
fn without_info_speech_presses_and_silence_releases() {
    let mut radio = Radio::new();
    let mut heard = Vec::new();
    for _ in 0..40 {
        assert_eq!(radio.packet(), NONE);
        heard.extend(radio.pass(20));
    }
    heard.extend(radio.pass(2000));
    // The first spurt might have overtaken its INFO; of what waited the buffer skips a frame now and
    // then, to catch up.
    assert_eq!((heard[0], heard.last()), ("somebody", Some(&"off")));
    let speech = heard.iter().filter(|what| **what == "speech").count();
    let spoken = speech - usize::try_from(radio.listener.take_concealed()).unwrap();
    assert!(spoken >= 36, "{spoken} of 40: {heard:?}");
    assert_eq!(radio.packet(), ["somebody"], "the next spurt does not wait");
}

#[test]
fn a_press_before_the_last_one_has_been_heard_out_ends_it() {
    let mut radio = Radio::new();
    radio.press();
    radio.packet();
    radio.listener.released(radio.now);
    assert_eq!(radio.press(), ["off", "1001"]);
}

#[test]
fn hostile_packets_are_ignored() {
    let mut radio = Radio::new();
    radio.press();
    let mut rtcp = vec![0x80, 200, 0, 1];
    rtcp.resize(60, 0);
    let mut opus = Header::write(
        mc_media::rtp::Frame {
            payload_type: 111,
            marker: true,
            timestamp: 0,
        },
        1,
        1,
    )
    .to_vec();
    opus.resize(172, 0);
    let empty = opus[..12].to_vec();
    for bad in [&[][..], &[0x80], &[0; 172], &rtcp, &opus, &empty] {
        assert!(radio.listener.packet(bad, radio.now).is_empty());
    }
    assert!(radio.listener.buffer.is_empty());
    let mut large = Header::write(
        mc_media::rtp::Frame {
            payload_type: 0,
            marker: true,
            timestamp: 0,
        },
        1,
        1,
    )
    .to_vec();
    large.resize(2000, 0x55);
    radio.listener.packet(&large, radio.now);
    assert_eq!(radio.listener.buffer.len(), MAX_FRAMES, "bounded");
}
