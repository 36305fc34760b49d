use core::fmt::Write as _;
use core::time::Duration;

use super::*;
use crate::message::{FloorGranted, FloorIdle, FloorRelease, FloorTaken, QueuePositionRequest};

const MS: Duration = Duration::from_millis(1);

fn config() -> Config {
    Config {
        t9: Duration::from_secs(5),
        ..Config::new(0x5E4E)
    }
}

fn tell(message: impl Into<FloorMessage>) -> Input {
    Input::Tell(message.into())
}

fn received(message: impl Into<FloorMessage>) -> Input {
    Input::Received(FloorPacket {
        ssrc: 9,
        ack_required: false,
        message: message.into(),
    })
}

fn revoke(cause: RevokeCause) -> FloorRevoke {
    FloorRevoke {
        cause,
        phrase: String::new(),
        track_info: None,
        indicator: None,
    }
}

fn drain(machine: &mut TowardsParticipant) -> Vec<Output> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

fn after(start: Instant, inputs: Vec<Input>) -> TowardsParticipant {
    let mut machine = TowardsParticipant::new(&config());
    for input in inputs {
        machine.handle(input, start);
    }
    drain(&mut machine);
    machine
}

fn every_state(start: Instant) -> Vec<TowardsParticipant> {
    let idle = || tell(FloorIdle::default());
    let granted = || tell(FloorGranted::default());
    vec![
        after(start, vec![]),
        after(start, vec![Input::Join]),
        after(start, vec![Input::Join, idle()]),
        after(start, vec![Input::Join, tell(FloorTaken::default())]),
        after(start, vec![Input::Join, granted()]),
        after(
            start,
            vec![Input::Join, granted(), tell(revoke(RevokeCause::PreEmpted))],
        ),
        after(start, vec![Input::Join, idle(), Input::Rtp]),
        after(start, vec![Input::Join, Input::Release]),
    ]
}

fn every_input() -> Vec<(&'static str, Input)> {
    let deny = FloorDeny {
        cause: DenyCause::QueueFull,
        phrase: String::new(),
        track_info: None,
        indicator: None,
    };
    vec![
        ("join", Input::Join),
        ("tell Floor Idle", tell(FloorIdle::default())),
        ("tell Floor Taken", tell(FloorTaken::default())),
        ("tell Floor Granted", tell(FloorGranted::default())),
        (
            "tell Floor Revoke, too long",
            tell(revoke(RevokeCause::MediaBurstTooLong)),
        ),
        ("tell Floor Deny", tell(deny)),
        ("Floor Request", received(FloorRequest::default())),
        ("Floor Release", received(FloorRelease::default())),
        (
            "Queue Position Request",
            received(QueuePositionRequest::default()),
        ),
        ("Floor Granted", received(FloorGranted::default())),
        ("RTP media", Input::Rtp),
        ("first timer expires", Input::Timeout),
        ("call release", Input::Release),
        ("call released", Input::Released),
    ]
}

fn brief(output: &Output) -> String {
    match output {
        Output::Send(packet) => format!("send {}", packet.summary()),
        Output::Request(_) => "to general: Floor Request".to_owned(),
        Output::Release => "to general: Floor Release".to_owned(),
        Output::QueuePositionRequest => "to general: Queue Position Request".to_owned(),
        Output::ForwardMedia => "forward media".to_owned(),
        Output::DropMedia => "drop media".to_owned(),
        Output::Discarded { .. } => "discarded".to_owned(),
    }
}

#[test]
fn every_state_meets_every_input() {
    let start = Instant::now();
    let mut table = String::new();
    for index in 0..every_state(start).len() {
        writeln!(table, "## {:?}", every_state(start)[index].state()).unwrap();
        for (name, input) in every_input() {
            let mut machine = every_state(start).remove(index);
            let now = match (&input, machine.poll_timeout()) {
                (Input::Timeout, Some(at)) => at,
                _ => start + MS,
            };
            machine.handle(input, now);
            let outputs: Vec<_> = drain(&mut machine).iter().map(brief).collect();
            writeln!(
                table,
                "{name}: {:?}; {}; timers {:?}",
                machine.state(),
                if outputs.is_empty() {
                    "-".to_owned()
                } else {
                    outputs.join(", ")
                },
                machine.timers.running(),
            )
            .unwrap();
        }
        table.push('\n');
    }
    insta::assert_snapshot!(table);
}

#[test]
//= TS 24.380 6.3.5.3.8
fn media_without_permission_is_revoked_until_silence() {
    let start = Instant::now();
    let mut leg = after(start, vec![Input::Join, tell(FloorTaken::default())]);
    leg.handle(Input::Rtp, start);
    let outputs = drain(&mut leg);
    assert_eq!(outputs[0], Output::DropMedia);
    let Output::Send(packet) = &outputs[1] else {
        panic!("{outputs:?}")
    };
    let FloorMessage::FloorRevoke(revoke) = &packet.message else {
        panic!("{packet:?}")
    };
    assert_eq!(revoke.cause, RevokeCause::NoPermission);
    // Still sending: revoked again. Silent: back to listening.
    leg.handle(Input::Rtp, start + MS);
    let at = leg.poll_timeout().unwrap();
    leg.handle(Input::Timeout, at);
    assert_eq!(drain(&mut leg).len(), 2);
    let at = leg.poll_timeout().unwrap();
    leg.handle(Input::Timeout, at);
    assert_eq!(leg.state(), State::NotPermittedFloorTaken);
    assert_eq!(leg.poll_timeout(), None);
}

#[test]
fn media_under_way_when_the_floor_is_lost_is_dropped_without_a_revoke() {
    let start = Instant::now();
    let mut leg = after(
        start,
        vec![
            Input::Join,
            tell(FloorGranted::default()),
            tell(FloorIdle::default()),
        ],
    );
    leg.handle(Input::Rtp, start + 199 * MS);
    assert_eq!(drain(&mut leg), [Output::DropMedia]);
    leg.handle(Input::Rtp, start + 200 * MS);
    assert_eq!(drain(&mut leg).len(), 2);
}

#[test]
//= TS 24.380 6.3.5.6.3
fn a_revoke_is_repeated_and_media_goes_on_until_the_floor_is_lost() {
    let start = Instant::now();
    let granted = tell(FloorGranted::default());
    let mut leg = after(
        start,
        vec![
            Input::Join,
            granted,
            tell(revoke(RevokeCause::MediaBurstTooLong)),
        ],
    );
    leg.handle(Input::Rtp, start + MS);
    assert_eq!(drain(&mut leg), [Output::ForwardMedia]);
    leg.handle(Input::Timeout, start + Duration::from_secs(1));
    let outputs = drain(&mut leg);
    let [Output::Send(packet)] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!(packet.summary(), "Floor Revoke: media burst too long");
}

#[test]
//= TS 24.380 6.3.5.4.4
fn who_talked_too_long_must_wait_for_t9() {
    let start = Instant::now();
    let inputs = vec![
        Input::Join,
        tell(FloorGranted::default()),
        tell(revoke(RevokeCause::MediaBurstTooLong)),
        tell(FloorIdle::default()),
    ];
    let mut leg = after(start, inputs);
    leg.handle(received(FloorRequest::default()), start + MS);
    let outputs = drain(&mut leg);
    let [Output::Send(packet)] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        packet.summary(),
        "Floor Deny: retry-after timer has not expired"
    );
    let at = start + Duration::from_secs(5);
    leg.handle(Input::Timeout, at);
    leg.handle(received(FloorRequest::default()), at);
    assert_eq!(drain(&mut leg), [Output::Request(Box::default())]);
}

#[test]
//= TS 24.380 6.3.5.3.7
fn a_message_that_asks_for_it_is_acknowledged() {
    let start = Instant::now();
    let mut leg = after(start, vec![Input::Join, tell(FloorIdle::default())]);
    let message = FloorRelease::default().into();
    leg.handle(
        Input::Received(FloorPacket {
            ssrc: 9,
            ack_required: true,
            message,
        }),
        start,
    );
    let outputs = drain(&mut leg);
    let [Output::Send(ack), Output::Release] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        hex::encode(ack.to_bytes().unwrap()),
        "8acc000400005e4e4d4350540a0200020c020400"
    );
}
