mod random;
mod stories;

use std::fmt::Write as _;
use std::time::Duration;

use mc_audio::SILENCE_16K;
use mc_audio::jitter::Stamp;
use mc_ids::McServiceId;

use super::*;
use crate::config::{DisplayConfig, LimitsConfig, UnitConfig};
use crate::user_map::Represented;

pub(super) const ALICE: &str = "sip:alice@mc.example";
const BOB: &str = "sip:bob@mc.example";
const OWN: &str = "sip:segy@mc.example";

pub(super) fn users() -> Arc<UserMap> {
    let user = |unit: &str| {
        let represented = Represented {
            identity: McServiceId::new(OWN).unwrap(),
            functional_alias: Some(format!("sip:unit-{unit}@mc.example")),
        };
        (unit.to_owned(), represented)
    };
    let display = DisplayConfig {
        units: vec![UnitConfig {
            mc_user: ALICE.to_owned(),
            unit: "9001".to_owned(),
        }],
        ..DisplayConfig::default()
    };
    let users = [user("1001"), user("1002")].into();
    Arc::new(UserMap::new(users, None, &display))
}

pub(super) fn ptt_on(unit: &str) -> Input {
    Input::External(ExternalEvent::PttOn(ExternalTalker {
        unit: Some(unit.to_owned()),
        emergency: false,
    }))
}

pub(super) fn external(event: ExternalEvent) -> Input {
    Input::External(event)
}

pub(super) fn taken(by: &str) -> Input {
    Input::Mc(McEvent::FloorTaken(McTalker {
        id: Some(by.to_owned()),
        functional_alias: None,
    }))
}

pub(super) fn granted() -> Input {
    let duration = Some(Duration::from_secs(30));
    Input::Mc(McEvent::FloorGranted { duration })
}

fn denied() -> Input {
    let phrase = String::new();
    Input::Mc(McEvent::FloorDenied { cause: 1, phrase })
}

fn revoked(cause: u16) -> Input {
    let phrase = String::new();
    Input::Mc(McEvent::FloorRevoked { cause, phrase })
}

fn call_refused() -> Input {
    let detail = "Forbidden".to_owned();
    Input::Mc(McEvent::CallRefused {
        status: 403,
        detail,
    })
}

pub(super) fn released() -> Input {
    let reason = "hang time".to_owned();
    Input::Mc(McEvent::CallReleased { reason })
}

/// A bridge, its clock, and what it did so far.
struct Rig {
    bridge: Bridge,
    start: Instant,
    now: Instant,
    /// Number of the next frame of either side, which is its first sample too.
    external_frame: i16,
    mc_frame: u16,
}

impl Rig {
    /// Both sides are up, no call.
    fn new() -> Self {
        let start = Instant::now();
        let timing = LimitsConfig::default().timing();
        let mut rig = Self {
            bridge: Bridge::new(timing, users(), start),
            start,
            now: start,
            external_frame: 0,
            mc_frame: 0,
        };
        rig.give(external(ExternalEvent::Up));
        rig.give(Input::Mc(McEvent::Up));
        rig
    }

    /// A call is up as well, and nobody talks.
    fn in_call() -> Self {
        let mut rig = Self::new();
        rig.give(Input::Mc(McEvent::CallStarted));
        rig
    }

    /// What the bridge does with an input.
    fn give(&mut self, input: Input) -> Vec<String> {
        self.bridge.handle(input, self.now);
        self.drain()
    }

    fn drain(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.bridge.poll_output())
            .map(|output| shown(&output))
            .collect()
    }

    fn speech(&self, first: i16) -> Speech {
        let mut samples = SILENCE_16K;
        samples[0] = first;
        Speech::new(Box::new(samples), self.now)
    }

    /// 20 ms of an external user.
    fn external_speech(&mut self) -> Vec<String> {
        let speech = self.speech(self.external_frame);
        self.external_frame += 1;
        self.give(external(ExternalEvent::Speech(speech)))
    }

    /// A packet of an MC user.
    fn mc_speech(&mut self) -> Vec<String> {
        let sequence = self.mc_frame;
        let stamp = Stamp {
            ssrc: 7,
            sequence,
            timestamp: u32::from(sequence) * 320,
            marker: sequence == 0,
        };
        let speech = self.speech(i16::try_from(sequence).unwrap());
        self.mc_frame += 1;
        self.give(Input::Mc(McEvent::Speech(stamp, speech)))
    }

    /// Lets time pass, and gives what was done when: milliseconds from the start.
    fn pass(&mut self, time: Duration) -> Vec<String> {
        let (end, mut done) = (self.now + time, Vec::new());
        let mut turns = 0;
        while let Some(due) = self.bridge.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            turns += 1;
            assert!(turns < 20_000, "a timer that does not move on");
            for output in self.give(Input::Timeout) {
                done.push(format!("{} ms: {output}", self.elapsed_ms()));
            }
        }
        self.now = end;
        done
    }

    /// The process does not run for a while; then its timer is the first to be served.
    fn held_up(&mut self, time: Duration) -> Vec<String> {
        self.now += time;
        let outputs = self.give(Input::Timeout);
        let at = self.elapsed_ms();
        let line = |output| format!("{at} ms: {output}");
        outputs.into_iter().map(line).collect()
    }

    fn elapsed_ms(&self) -> u128 {
        self.now.duration_since(self.start).as_millis()
    }

    fn state(&self) -> &'static str {
        self.bridge.status().state
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(super) fn shown(output: &Output) -> String {
    match output {
        Output::External(ExternalCommand::Press(shown)) => {
            let name = shown.name.as_deref().unwrap_or("nobody");
            let emergency = if shown.emergency {
                " in an emergency"
            } else {
                ""
            };
            format!("press as {} {name}{emergency}", shown.unit)
        }
        Output::External(ExternalCommand::Speech(speech)) => format!("play {}", speech.samples[0]),
        Output::External(other) => format!("{other:?}").to_lowercase(),
        Output::Mc(McCommand::StartCall(as_whom)) => format!("call as {}", as_whom.shown()),
        Output::Mc(McCommand::RequestFloor(as_whom)) => {
            format!("request floor as {}", as_whom.shown())
        }
        Output::Mc(McCommand::DeclareEmergency(as_whom)) => {
            format!("declare emergency as {}", as_whom.shown())
        }
        Output::Mc(McCommand::Speech(speech)) => format!("send {}", speech.samples[0]),
        Output::Mc(McCommand::ReleaseFloor) => "release floor".to_owned(),
        Output::Mc(McCommand::LeaveCall) => "leave call".to_owned(),
        Output::Mc(McCommand::Answer) => "answer MC side".to_owned(),
        Output::Mc(McCommand::Reject(failure)) => format!("refuse MC side: {failure:?}"),
        Output::Report(report) => format!("({})", reported(report)),
    }
}

fn reported(report: &Report) -> String {
    match report {
        Report::CallBridged => "bridged".to_owned(),
        Report::CallEnded { reason } => format!("ended: {reason}"),
        Report::TalkStarted(Direction::ToMc { talker, .. }) => {
            format!("{} heard", talker.unit.as_deref().unwrap_or_default())
        }
        Report::TalkStarted(Direction::ToExternal(talker)) => {
            format!("{} heard", talker.shown().unwrap_or_default())
        }
        Report::TalkEnded => "silence".to_owned(),
        Report::Refused { talker, refusal } => {
            let unit = talker.unit.as_deref().unwrap_or_default();
            format!("{unit} refused: {}", refusal.kind())
        }
        Report::NotReached { failure, detail } => format!("not reached: {failure:?}, {detail}"),
        Report::NotRelayed => "not relayed".to_owned(),
        Report::Echo => "echo".to_owned(),
        Report::Overflow => "overflow".to_owned(),
    }
}

/// A way into each state.
fn every_state() -> Vec<(&'static str, Rig)> {
    fn after(mut rig: Rig, inputs: Vec<Input>) -> Rig {
        for input in inputs {
            rig.give(input);
        }
        rig
    }
    let talking = || {
        let mut rig = after(Rig::in_call(), vec![ptt_on("1001"), granted()]);
        rig.external_speech();
        rig.external_speech();
        rig
    };
    let mut kept = after(Rig::in_call(), vec![ptt_on("1001")]);
    kept.external_speech();
    let mut ended = after(Rig::in_call(), vec![ptt_on("1001")]);
    ended.external_speech();
    ended.give(external(ExternalEvent::PttOff));
    let mut unannounced = Rig::in_call();
    unannounced.mc_speech();
    let mut playing = after(Rig::in_call(), vec![taken(ALICE)]);
    playing.mc_speech();
    let mut draining = after(Rig::in_call(), vec![taken(ALICE)]);
    draining.mc_speech();
    draining.give(Input::Mc(McEvent::FloorIdle));
    let refused = after(
        Rig::in_call(),
        vec![taken(ALICE), external(ExternalEvent::PressDenied)],
    );
    let mut bare = Rig::new();
    bare.give(Input::Mc(McEvent::Down));
    let mut leaving = Rig::in_call();
    leaving.pass(Duration::from_secs(121));
    vec![
        ("no MC side", bare),
        ("no call", Rig::new()),
        ("calling", after(Rig::new(), vec![ptt_on("1001")])),
        ("call up, idle", Rig::in_call()),
        ("leaving", leaving),
        ("awaiting floor, one frame kept", kept),
        ("awaiting floor, key released", ended),
        ("talking to MC, one frame kept", talking()),
        (
            "draining to MC",
            after(talking(), vec![external(ExternalEvent::PttOff)]),
        ),
        ("unannounced MC speech", unannounced),
        ("MC talker on the external side", playing),
        ("draining to the external side", draining),
        ("MC talker not relayed", refused),
    ]
}

fn every_input() -> Vec<(&'static str, Input)> {
    let samples = || Box::new(SILENCE_16K);
    let speech = || Speech::new(samples(), Instant::now());
    let stamp = Stamp {
        ssrc: 7,
        sequence: 9,
        timestamp: 9 * 320,
        marker: false,
    };
    vec![
        ("external up", external(ExternalEvent::Up)),
        ("external down", external(ExternalEvent::Down)),
        ("1001 presses", ptt_on("1001")),
        ("1002 presses", ptt_on("1002")),
        ("4711 presses", ptt_on("4711")),
        ("key released", external(ExternalEvent::PttOff)),
        ("external speech", external(ExternalEvent::Speech(speech()))),
        ("press denied", external(ExternalEvent::PressDenied)),
        ("MC up", Input::Mc(McEvent::Up)),
        ("MC down", Input::Mc(McEvent::Down)),
        ("call started", Input::Mc(McEvent::CallStarted)),
        ("call refused", call_refused()),
        ("call released", released()),
        ("Floor Granted", granted()),
        ("Floor Taken by alice", taken(ALICE)),
        ("Floor Taken by bob", taken(BOB)),
        ("Floor Taken by ourselves", taken(OWN)),
        ("Floor Idle", Input::Mc(McEvent::FloorIdle)),
        ("Floor Deny", denied()),
        ("Queue Position Info", Input::Mc(McEvent::FloorQueued)),
        ("emergency", Input::Mc(McEvent::Emergency(true))),
        ("Floor Revoke", revoked(2)),
        (
            "no answer to the request",
            Input::Mc(McEvent::FloorRequestTimedOut),
        ),
        ("MC speech", Input::Mc(McEvent::Speech(stamp, speech()))),
        ("timeout", Input::Timeout),
    ]
}

#[test]
fn every_state_meets_every_input() {
    let mut table = String::new();
    let states = every_state().len();
    for n in 0..states {
        for (m, (name, input)) in every_input().into_iter().enumerate() {
            let (state, mut rig) = every_state().swap_remove(n);
            if m == 0 {
                writeln!(table, "## {state}").unwrap();
            }
            let outputs = rig.give(input);
            let status = rig.bridge.status();
            let outputs = if outputs.is_empty() {
                "-".to_owned()
            } else {
                outputs.join(", ")
            };
            writeln!(
                table,
                "{name}: {} / {}; {outputs}",
                status.state, status.call
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(table);
}
