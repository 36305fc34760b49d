#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the variant it is about"
)]

use core::fmt::Write as _;
use core::time::Duration;

use super::*;
use crate::message::{FloorIndicator, QueuePosition};

const MS: Duration = Duration::from_millis(1);

fn config() -> Config {
    Config {
        priority: Some(5),
        ..Config::new(0xA11CE, "sip:alice@mc.example")
    }
}

fn from_server(message: impl Into<FloorMessage>) -> Input {
    Input::Received(FloorPacket {
        ssrc: 1,
        ack_required: false,
        message: message.into(),
    })
}

fn granted() -> FloorGranted {
    FloorGranted {
        duration: Duration::from_secs(30),
        ssrc: Some(7),
        priority: Some(5),
        ..FloorGranted::default()
    }
}

fn taken(by: &str) -> FloorTaken {
    FloorTaken {
        granted_party: Some(by.into()),
        may_request: true,
        ..FloorTaken::default()
    }
}

fn queue_info(position: QueuePosition) -> QueuePositionInfo {
    QueuePositionInfo {
        queue_info: QueueInfo {
            position,
            priority: 5,
        },
        track_info: None,
        indicator: None,
    }
}

fn revoke(cause: RevokeCause) -> FloorRevoke {
    FloorRevoke {
        cause,
        phrase: String::new(),
        track_info: None,
        indicator: None,
    }
}

fn deny(cause: DenyCause) -> FloorDeny {
    FloorDeny {
        cause,
        phrase: String::new(),
        track_info: None,
        indicator: None,
    }
}

fn drain(machine: &mut FloorParticipant) -> Vec<Output> {
    core::iter::from_fn(|| machine.poll_output()).collect()
}

/// Runs `inputs` from Start-stop and forgets what they put out.
fn after(start: Instant, inputs: Vec<Input>) -> FloorParticipant {
    let mut machine = FloorParticipant::new(config());
    for input in inputs {
        machine.handle(input, start);
    }
    drain(&mut machine);
    machine
}

fn every_state(start: Instant) -> Vec<FloorParticipant> {
    let listening = || Input::SetUp(SetUp::Listening);
    let queued = || from_server(queue_info(QueuePosition::Place(2)));
    vec![
        after(start, vec![]),
        after(start, vec![listening()]),
        after(start, vec![listening(), Input::PttPressed]),
        after(start, vec![Input::SetUp(SetUp::Granted)]),
        after(
            start,
            vec![Input::SetUp(SetUp::Granted), Input::PttReleased],
        ),
        // Queued with the key held, queued by an implicit request, and granted after that.
        after(start, vec![listening(), Input::PttPressed, queued()]),
        after(start, vec![Input::SetUp(SetUp::ImplicitRequest), queued()]),
        after(
            start,
            vec![
                Input::SetUp(SetUp::ImplicitRequest),
                queued(),
                from_server(granted()),
            ],
        ),
        after(start, vec![listening(), Input::CallRelease]),
    ]
}

fn every_input() -> Vec<(&'static str, Input)> {
    let idle = FloorIdle {
        sequence_number: 3,
        ..FloorIdle::default()
    };
    let dual = FloorTaken {
        indicator: Some(FloorIndicator::NORMAL | FloorIndicator::DUAL_FLOOR),
        ..taken("sip:bob@mc.example")
    };
    let ack = FloorAck {
        source: Source::ControllingFunction,
        message_type: 4,
        track_info: None,
    };
    vec![
        ("set-up, listening", Input::SetUp(SetUp::Listening)),
        (
            "set-up, implicit request",
            Input::SetUp(SetUp::ImplicitRequest),
        ),
        ("set-up, granted", Input::SetUp(SetUp::Granted)),
        ("PTT pressed", Input::PttPressed),
        ("PTT released", Input::PttReleased),
        ("queue position wanted", Input::QueuePositionWanted),
        ("Floor Granted", from_server(granted())),
        (
            "Floor Taken by bob",
            from_server(taken("sip:bob@mc.example")),
        ),
        ("Floor Taken by bob, dual floor", from_server(dual)),
        (
            "Floor Taken by alice",
            from_server(taken("sip:alice@mc.example")),
        ),
        (
            "Floor Deny",
            from_server(deny(DenyCause::AnotherHasPermission)),
        ),
        ("Floor Idle", from_server(idle)),
        (
            "Floor Revoke",
            from_server(revoke(RevokeCause::MediaBurstTooLong)),
        ),
        (
            "Queue Position Info 1",
            from_server(queue_info(QueuePosition::Place(1))),
        ),
        (
            "Queue Position Info, not queued",
            from_server(queue_info(QueuePosition::NotQueued)),
        ),
        ("Floor Ack", from_server(ack)),
        ("Floor Request", from_server(FloorRequest::default())),
        ("Floor Release", from_server(FloorRelease::default())),
        (
            "Queue Position Request",
            from_server(QueuePositionRequest::default()),
        ),
        ("RTP media", Input::RtpReceived),
        ("first timer expires", Input::Timeout),
        ("call release", Input::CallRelease),
        ("call released", Input::CallReleased),
    ]
}

fn brief(output: &Output) -> String {
    match output {
        Output::Send(packet) => format!("send {}", packet.summary()),
        Output::FloorTaken(taken) => {
            format!(
                "show talker {}",
                taken.granted_party.as_deref().unwrap_or("?")
            )
        }
        Output::Discarded { .. } => "discarded".to_owned(),
        Output::StartTalking(_)
        | Output::GrantedAfterQueueing(_)
        | Output::StopTalking(_)
        | Output::FloorIdle
        | Output::Denied { .. }
        | Output::QueuePosition(_)
        | Output::RequestTimedOut
        | Output::RequestNotPermitted
        | Output::ReleaseCall => format!("{output:?}"),
    }
}

/// A user who presses again before his release is confirmed is asked for then, unless he lets go.
#[test]
fn a_press_during_the_release_is_not_forgotten() {
    let start = Instant::now();
    let released = || {
        after(
            start,
            vec![
                Input::SetUp(SetUp::Granted),
                Input::PttReleased,
                Input::PttPressed,
            ],
        )
    };
    let asks = |machine: &mut FloorParticipant| {
        let is_request = |output: &Output| match output {
            Output::Send(packet) => matches!(packet.message, FloorMessage::FloorRequest(_)),
            _ => false,
        };
        drain(machine).iter().filter(|o| is_request(o)).count()
    };
    let mut pressed = released();
    pressed.handle(from_server(FloorIdle::default()), start);
    assert_eq!(asks(&mut pressed), 1);
    assert!(matches!(pressed.state(), State::PendingRequest { .. }));
    let mut let_go = released();
    let_go.handle(Input::PttReleased, start);
    let_go.handle(from_server(FloorIdle::default()), start);
    assert_eq!(asks(&mut let_go), 0);
    // The floor was taken away while he pressed: that is no new press.
    let mut revoked = after(start, vec![Input::SetUp(SetUp::Granted)]);
    revoked.handle(from_server(revoke(RevokeCause::MediaBurstTooLong)), start);
    revoked.handle(from_server(FloorIdle::default()), start);
    assert_eq!(asks(&mut revoked), 0);
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

fn sent(outputs: &[Output]) -> Vec<&'static str> {
    let name = |output: &Output| match output {
        Output::Send(packet) => Some(packet.message.name()),
        _ => None,
    };
    outputs.iter().filter_map(name).collect()
}

#[test]
//= TS 24.380 6.2.4.3.2
fn pressing_asks_for_the_floor_and_a_grant_lets_talk() {
    let now = Instant::now();
    let mut alice = after(now, vec![Input::SetUp(SetUp::Listening)]);
    alice.handle(Input::PttPressed, now);
    let outputs = drain(&mut alice);
    let [Output::Send(packet)] = outputs.as_slice() else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        hex::encode(packet.to_bytes().unwrap()),
        "80cc0004000a11ce4d435054000205000d028000"
    );
    alice.handle(from_server(granted()), now + MS);
    let grant = Grant {
        duration: Some(Duration::from_secs(30)),
        ssrc: Some(7),
        priority: Some(5),
    };
    assert_eq!(drain(&mut alice), [Output::StartTalking(grant)]);
    assert_eq!(alice.poll_timeout(), None);
}

#[test]
//= TS 24.380 6.2.4.4.6
fn an_unanswered_request_is_repeated_c101_times() {
    let start = Instant::now();
    let mut alice = after(
        start,
        vec![Input::SetUp(SetUp::Listening), Input::PttPressed],
    );
    let mut requests = 1;
    while *alice.state() != State::HasNoPermission {
        let at = alice.poll_timeout().unwrap();
        alice.handle(Input::Timeout, at);
        let outputs = drain(&mut alice);
        requests += sent(&outputs).len();
        if *alice.state() == State::HasNoPermission {
            assert_eq!(outputs, [Output::RequestTimedOut]);
        }
    }
    assert_eq!(requests, 3);
    assert_eq!(alice.poll_timeout(), None);
}

#[test]
//= TS 24.380 6.2.4.6.5
fn an_unanswered_release_is_repeated_c100_times() {
    let start = Instant::now();
    let mut alice = after(
        start,
        vec![Input::SetUp(SetUp::Granted), Input::PttReleased],
    );
    let mut releases = 1;
    while let Some(at) = alice.poll_timeout() {
        alice.handle(Input::Timeout, at);
        releases += sent(&drain(&mut alice)).len();
    }
    assert_eq!((releases, alice.state()), (3, &State::HasNoPermission));
}

#[test]
//= TS 24.380 6.2.4.5.4
fn a_revoked_talker_stops_and_releases() {
    let now = Instant::now();
    let mut alice = after(now, vec![Input::SetUp(SetUp::Granted)]);
    alice.handle(from_server(revoke(RevokeCause::PreEmpted)), now);
    let outputs = drain(&mut alice);
    let reason = StopReason::Revoked {
        cause: RevokeCause::PreEmpted,
        phrase: String::new(),
    };
    assert_eq!(outputs[0], Output::StopTalking(reason));
    assert_eq!(sent(&outputs), ["Floor Release"]);
    alice.handle(from_server(taken("sip:bob@mc.example")), now);
    assert_eq!(alice.state(), &State::HasNoPermission);
}

#[test]
//= TS 24.380 6.2.4.9
fn a_queued_user_who_still_presses_talks_at_once_and_one_who_does_not_is_asked() {
    let now = Instant::now();
    let queued = || from_server(queue_info(QueuePosition::Place(1)));
    let mut pressing = after(
        now,
        vec![Input::SetUp(SetUp::Listening), Input::PttPressed, queued()],
    );
    pressing.handle(from_server(granted()), now);
    assert_eq!(pressing.state(), &State::HasPermission);

    let mut silent = after(now, vec![Input::SetUp(SetUp::ImplicitRequest), queued()]);
    silent.handle(from_server(granted()), now);
    assert!(matches!(
        drain(&mut silent)[..],
        [Output::GrantedAfterQueueing(_)]
    ));
    let at = silent.poll_timeout().unwrap();
    assert_eq!(at, now + Duration::from_secs(2));
    silent.handle(Input::Timeout, at);
    assert_eq!(sent(&drain(&mut silent)), ["Floor Release"]);
}

#[test]
//= TS 24.380 6.2.4.3.4
fn a_user_who_may_not_request_is_not_heard_by_the_server() {
    let now = Instant::now();
    let mut alice = after(now, vec![Input::SetUp(SetUp::Listening)]);
    let closed = FloorTaken {
        may_request: false,
        ..taken("sip:bob@mc.example")
    };
    alice.handle(from_server(closed), now);
    drain(&mut alice);
    alice.handle(Input::PttPressed, now);
    assert_eq!(drain(&mut alice), [Output::RequestNotPermitted]);
    alice.handle(from_server(FloorIdle::default()), now);
    drain(&mut alice);
    alice.handle(Input::PttPressed, now);
    assert_eq!(sent(&drain(&mut alice)), ["Floor Request"]);
}

#[test]
fn a_message_that_asks_for_it_is_acknowledged() {
    let now = Instant::now();
    let mut alice = after(now, vec![Input::SetUp(SetUp::Listening)]);
    let message = taken("sip:bob@mc.example").into();
    alice.handle(
        Input::Received(FloorPacket {
            ssrc: 1,
            ack_required: true,
            message,
        }),
        now,
    );
    let outputs = drain(&mut alice);
    let Output::Send(ack) = &outputs[0] else {
        panic!("{outputs:?}")
    };
    assert_eq!(
        hex::encode(ack.to_bytes().unwrap()),
        "8acc0004000a11ce4d4350540a0200000c020200"
    );
}

#[test]
fn the_initiator_of_a_broadcast_call_ends_it_after_talking() {
    let now = Instant::now();
    let mut alice = FloorParticipant::new(Config {
        indicator: FloorIndicator::BROADCAST_GROUP,
        broadcast_initiator: true,
        ..config()
    });
    alice.handle(Input::SetUp(SetUp::Granted), now);
    alice.handle(Input::PttReleased, now);
    let indicator = Some(FloorIndicator::BROADCAST_GROUP);
    alice.handle(
        from_server(FloorIdle {
            indicator,
            ..FloorIdle::default()
        }),
        now,
    );
    assert_eq!(drain(&mut alice).last(), Some(&Output::ReleaseCall));
}
