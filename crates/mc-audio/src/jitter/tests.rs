use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// A buffer with a sender of 20 ms packets and a clock.
struct Line {
    buffer: JitterBuffer<u32>,
    epoch: Instant,
    stamp: Stamp,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const fn fixed(delay: u64) -> Settings {
    Settings {
        ticks: 160,
        delay: Delay::Fixed(ms(delay)),
        capacity: 25,
    }
}

impl Line {
    fn new(settings: Settings) -> Self {
        Self {
            buffer: JitterBuffer::new(settings),
            epoch: Instant::now(),
            stamp: Stamp {
                ssrc: 7,
                sequence: u16::MAX - 2,
                timestamp: u32::MAX - 300,
                marker: true,
            },
        }
    }

    /// Packet number `n` of the stream, which both numbers wrap around in, arrives.
    fn push(&mut self, n: u16, at: u64) {
        self.push_stamp(self.stamp(n), u32::from(n), at);
    }

    fn stamp(&self, n: u16) -> Stamp {
        Stamp {
            sequence: self.stamp.sequence.wrapping_add(n),
            timestamp: self.stamp.timestamp.wrapping_add(160 * u32::from(n)),
            marker: n == 0,
            ..self.stamp
        }
    }

    fn push_stamp(&mut self, stamp: Stamp, frame: u32, at: u64) {
        self.buffer.push(stamp, [frame], self.epoch + ms(at));
    }

    fn pull(&mut self, at: u64) -> Pulled<u32> {
        self.buffer.pull(self.epoch + ms(at))
    }

    /// Pulls every 20 ms: a number for a frame, `-` for a lost one, `.` for silence.
    fn pulls(&mut self, from: u64, count: u64) -> String {
        let pulled = (0..count).map(|n| match self.pull(from + 20 * n) {
            Pulled::Frame(n) => n.to_string(),
            Pulled::Lost => "-".to_owned(),
            Pulled::Silence => ".".to_owned(),
        });
        pulled.collect::<Vec<_>>().join(" ")
    }
}

#[test]
fn frames_come_in_order_after_the_delay_whatever_the_order_of_arrival() {
    let mut line = Line::new(fixed(60));
    for (n, at) in [
        (0, 0),
        (2, 41),
        (1, 45),
        (1, 46),
        (4, 80),
        (3, 90),
        (5, 100),
    ] {
        line.push(n, at);
    }
    assert_eq!(line.pulls(0, 12), ". . . 0 1 2 3 4 5 - - -");
    assert_eq!(line.buffer.statistics().duplicate, 1);
}

#[test]
fn a_frame_that_came_before_the_first_one_is_played_first() {
    let mut line = Line::new(fixed(60));
    line.push(2, 0);
    line.push(1, 5);
    line.push(3, 20);
    assert_eq!(line.pulls(0, 7), ". . . . 1 2 3");
}

#[test]
fn a_lost_packet_is_one_lost_frame_and_too_many_are_silence() {
    let mut line = Line::new(fixed(40));
    for n in [0, 1, 3, 11] {
        line.push(n, 20 * u64::from(n));
    }
    assert_eq!(line.pulls(0, 15), ". . 0 1 - 3 - - - - - . . 11 -");
    assert_eq!(line.buffer.statistics().concealed, 7);
}

#[test]
fn with_a_fixed_delay_a_late_frame_is_not_played() {
    let mut line = Line::new(fixed(20));
    line.push(0, 0);
    assert_eq!(line.pulls(0, 4), ". 0 - -");
    line.push(1, 61);
    line.push(2, 62);
    line.push(3, 63);
    assert_eq!(line.pulls(80, 2), "3 -");
    assert_eq!(line.buffer.statistics().late, 2);
}

#[test]
fn with_an_adaptive_delay_late_speech_is_waited_for() {
    let mut line = Line::new(Settings::pcmu());
    line.push(0, 0);
    line.push(1, 20);
    assert_eq!(line.pulls(0, 6), ". . 0 1 - -");
    for n in 2..=5 {
        line.push(n, 110);
    }
    line.push(6, 120);
    assert_eq!(line.pulls(120, 6), "2 3 4 5 6 -", "stretched, nothing cut");
    assert_eq!(line.buffer.statistics().late, 0);
    // Truly lost: what was made up while waiting is not made up again.
    line.push(8, 220);
    assert_eq!(line.pulls(240, 2), "8 -");
}

#[test]
fn a_new_spurt_waits_anew_and_the_last_one_is_played_to_its_end() {
    let mut line = Line::new(fixed(60));
    for n in 0..3 {
        line.push(n, 20 * u64::from(n));
    }
    // The next packet follows in number, but is marked and far ahead in time.
    let mut stamp = line.stamp(3);
    stamp.marker = true;
    stamp.timestamp = stamp.timestamp.wrapping_add(8000);
    line.push_stamp(stamp, 100, 90);
    assert_eq!(line.pulls(0, 9), ". . . 0 1 2 . . 100");
    // Without a mark a pause is known by the sequence numbers.
    stamp.sequence = stamp.sequence.wrapping_add(1);
    stamp.timestamp = stamp.timestamp.wrapping_add(1600);
    stamp.marker = false;
    line.push_stamp(stamp, 101, 165);
    assert_eq!(line.pulls(180, 5), ". . . 101 -");
}

#[test]
fn another_talker_resets_and_stragglers_do_not_bring_the_last_one_back() {
    let mut line = Line::new(fixed(40));
    line.push(0, 0);
    line.push(1, 20);
    let next = Stamp {
        ssrc: 8,
        sequence: 5,
        timestamp: 77,
        marker: false,
    };
    line.push_stamp(next, 50, 30);
    line.push(2, 31);
    assert_eq!(line.pulls(0, 6), ". . 0 1 50 -");
    assert_eq!(line.buffer.statistics().late, 1);
    line.push(4, 130);
    assert_eq!(line.pulls(120, 4), "- - - -");
    line.push(5, 180);
    assert_eq!(line.pulls(200, 4), ". 5 - -", "two in a row prove it");
}

#[test]
fn a_leap_needs_two_packets_or_a_mark() {
    let mut line = Line::new(fixed(20));
    line.push(0, 0);
    let mut stamp = line.stamp(9000);
    line.push_stamp(stamp, 70, 20);
    assert_eq!(line.buffer.statistics().stray, 1);
    line.push(1, 20);
    assert_eq!(line.pulls(0, 3), ". 0 1");
    for frame in 80..83 {
        line.push_stamp(stamp, frame, 60);
        stamp.sequence = stamp.sequence.wrapping_add(1);
        stamp.timestamp = stamp.timestamp.wrapping_add(160);
    }
    assert_eq!(line.pulls(60, 3), ". 81 82");
    stamp.timestamp = stamp.timestamp.wrapping_sub(100_000);
    stamp.marker = true;
    line.push_stamp(stamp, 90, 130);
    assert_eq!(line.pulls(140, 2), ". 90");
}

#[test]
fn an_announced_end_is_silence_not_concealment() {
    let mut line = Line::new(fixed(40));
    for n in 0..3 {
        line.push(n, 20 * u64::from(n));
    }
    assert_eq!(line.pulls(0, 3), ". . 0");
    line.buffer.end();
    assert_eq!(line.pulls(60, 4), "1 2 . .");
    line.push(40, 800);
    line.push(42, 840);
    assert_eq!(line.pulls(800, 7), ". . 40 - 42 - -");
}

#[test]
fn packets_of_several_frames() {
    let mut line = Line::new(fixed(60));
    let mut stamp = line.stamp(0);
    for at in [0, 60, 180] {
        let first = u32::try_from(at).unwrap();
        let frames = [first, first + 20, first + 40];
        line.buffer.push(stamp, frames, line.epoch + ms(at));
        let packets = if at == 60 { 2 } else { 1 };
        stamp.sequence = stamp.sequence.wrapping_add(packets);
        stamp.timestamp = stamp.timestamp.wrapping_add(480 * u32::from(packets));
        stamp.marker = false;
    }
    let expected = ". . . 0 20 40 60 80 100 - - - 180 200 220 -";
    assert_eq!(line.pulls(0, 16), expected);
}

#[test]
fn jitter_lengthens_the_next_spurt_within_bounds() {
    let mut line = Line::new(Settings::pcmu());
    assert_eq!(line.buffer.delay(), ms(40));
    for n in 0..200_u16 {
        line.push(n, u64::from(n) * 20 + u64::from(n * 7 % 5) * 15);
        let _pulled = line.pull(u64::from(n) * 20 + 10);
    }
    let delay = line.buffer.delay();
    assert!((ms(80)..ms(200)).contains(&delay), "{delay:?}");
    let late = line.buffer.statistics().late;
    assert_eq!(
        late, 0,
        "60 ms of jitter are taken up within the first spurt"
    );
    for n in 200..260 {
        line.push(n, u64::from(n) * 20 + u64::from(n % 2) * 400);
    }
    assert_eq!(line.buffer.delay(), ms(200));
}

#[test]
fn a_fast_sender_costs_a_frame_now_and_then() {
    let mut line = Line::new(fixed(60));
    // 1 % fast: far beyond what clocks do.
    let mut n = 0;
    for at in (0..60_000).step_by(20) {
        while u64::from(n) * 198 / 10 <= at {
            line.push(n, at);
            n += 1;
        }
        let _pulled = line.pull(at);
        assert!(line.buffer.len() <= 8, "{n} {}", line.buffer.len());
    }
    let statistics = line.buffer.statistics();
    assert!((10..40).contains(&statistics.skipped), "{statistics:?}");
    assert!(statistics.played > 2940, "{statistics:?}");
}

#[test]
fn without_pulls_the_newest_half_second_is_kept() {
    let mut line = Line::new(fixed(60));
    for n in 0..1000 {
        line.push(n, u64::from(n) * 20);
    }
    assert_eq!(line.buffer.len(), 25);
    assert_eq!(line.pulls(20_040, 3), "975 976 977");
    line.buffer.push(line.stamp(1000), 0..1_000_000, line.epoch);
    assert_eq!(line.buffer.len(), 25);
}

#[derive(Debug, Clone)]
enum Action {
    Push {
        n: u16,
        ssrc: u32,
        marker: bool,
        frames: u32,
        leap: u32,
    },
    Pull {
        after: u64,
    },
    End,
}

fn action() -> impl Strategy<Value = Action> {
    let any_push = (
        0..60_u16,
        0..2_u32,
        prop::bool::weighted(0.05),
        0..4_u32,
        any::<u32>(),
    );
    prop_oneof![
        6 => any_push.prop_map(|(n, ssrc, marker, frames, leap)| Action::Push {
            n, ssrc, marker, frames, leap: if leap % 16 == 0 { leap } else { 0 },
        }),
        4 => (0..60_u64).prop_map(|after| Action::Pull { after }),
        1 => Just(Action::End),
    ]
}

fn settings() -> impl Strategy<Value = Settings> {
    (any::<bool>(), 0..300_u64, 0..300_u64, 0..30_usize).prop_map(|(adaptive, a, b, capacity)| {
        let (shortest, longest) = (ms(a), ms(b));
        let delay = match adaptive {
            true => Delay::Adaptive { shortest, longest },
            false => Delay::Fixed(shortest),
        };
        Settings {
            ticks: 160,
            delay,
            capacity,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever comes: bounded, each frame at most once, each frame accounted for.
    #[test]
    fn nothing_grows_and_nothing_is_played_twice(
        settings in settings(),
        actions in prop::collection::vec(action(), 0..300),
    ) {
        let mut line = Line::new(settings);
        let (mut at, mut sent, mut played) = (0, 0, BTreeSet::new());
        for action in actions {
            match action {
                Action::Push { n, ssrc, marker, frames, leap } => {
                    let mut stamp = line.stamp(n);
                    (stamp.ssrc, stamp.marker) = (ssrc, marker);
                    stamp.timestamp = stamp.timestamp.wrapping_add(leap);
                    line.buffer.push(stamp, sent..sent + frames, line.epoch + ms(at));
                    sent += frames;
                }
                Action::Pull { after } => {
                    at += after;
                    if let Pulled::Frame(frame) = line.pull(at) {
                        prop_assert!(played.insert(frame), "{frame} twice");
                    }
                }
                Action::End => line.buffer.end(),
            }
            let (len, s) = (line.buffer.len(), line.buffer.statistics());
            prop_assert!(len <= settings.capacity.max(1));
            let known = s.played + s.late + s.duplicate + s.skipped + s.stray;
            prop_assert_eq!(s.received, known + u64::try_from(len).unwrap());
            prop_assert_eq!(s.played, u64::try_from(played.len()).unwrap());
        }
    }

    /// One stream through any network: what is played is played in the order it was said, and with
    /// room and patience for it every frame that arrives is played.
    #[test]
    fn order_is_kept_and_patience_loses_nothing(
        delays in prop::collection::vec((0..180_u64, prop::bool::weighted(0.1), any::<bool>()), 1..200),
        wait in 0..200_u64,
    ) {
        let mut arrivals = Vec::new();
        for (n, (delay, lost, twice)) in delays.iter().enumerate() {
            let n = u16::try_from(n).unwrap();
            let at = u64::from(n) * 20 + delay;
            // The first packet fixes the time line; it is on time.
            let at = if n == 0 { 0 } else { at };
            let copies = if *lost { 0 } else { 1 + usize::from(*twice) };
            arrivals.extend(std::iter::repeat_n((at, n), copies));
        }
        arrivals.sort_unstable();
        let mut line = Line::new(fixed(wait));
        let (mut said, mut arrivals) = (Vec::new(), arrivals.into_iter().peekable());
        for at in (0..20 * 260).step_by(20) {
            while let Some((then, n)) = arrivals.next_if(|(then, _)| *then <= at) {
                line.push(n, then);
            }
            if let Pulled::Frame(n) = line.pull(at) {
                said.push(n);
            }
        }
        prop_assert!(said.is_sorted_by(|a, b| a < b), "{said:?}");
        let (arrived, s) = (delays.iter().filter(|d| !d.1).count(), line.buffer.statistics());
        if wait >= 180 && !delays[0].1 {
            prop_assert_eq!((said.len(), s.late), (arrived, 0));
        }
    }
}
