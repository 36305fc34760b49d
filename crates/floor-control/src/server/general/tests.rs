#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test picks the variant it is about"
)]

use core::fmt::Write as _;
use core::time::Duration;

use super::*;
use crate::server::config::FunctionalAliases;

const MS: Duration = Duration::from_millis(1);
const ALICE: ParticipantId = ParticipantId(1);
const BOB: ParticipantId = ParticipantId(2);
const CAROL: ParticipantId = ParticipantId(3);
const LISTENER: ParticipantId = ParticipantId(4);

fn profile(name: &str, priority: u8) -> Box<Profile> {
    Box::new(Profile {
        negotiated_priority: Some(255),
        default_priority: priority,
        queueing: true,
        ..Profile::new(format!("sip:{name}@mc.example"))
    })
}

fn join(participant: ParticipantId, profile: Box<Profile>) -> Input {
    Input::Join {
        participant,
        profile,
        implicit_request: None,
    }
}

fn request(from: ParticipantId) -> Input {
    Input::FloorRequest {
        from,
        request: Box::default(),
    }
}

fn request_with(from: ParticipantId, priority: u8, bits: FloorIndicator) -> Input {
    let request = FloorRequest {
        priority: Some(priority),
        indicator: Some(bits),
        ..FloorRequest::default()
    };
    Input::FloorRequest {
        from,
        request: Box::new(request),
    }
}

fn release(from: ParticipantId) -> Input {
    Input::FloorRelease { from }
}

fn rtp(from: ParticipantId) -> Input {
    Input::Rtp { from }
}

fn drain(machine: &mut GeneralFloorControl) -> Vec<String> {
    core::iter::from_fn(|| machine.poll_output())
        .map(|output| brief(&output))
        .collect()
}

fn who(id: ParticipantId) -> &'static str {
    match id {
        ALICE => "alice",
        BOB => "bob",
        CAROL => "carol",
        LISTENER => "listener",
        ParticipantId(_) => "stranger",
    }
}

fn brief(output: &Output) -> String {
    match output {
        Output::Tell { to, message } => {
            let packet = crate::FloorPacket {
                ssrc: 0,
                ack_required: false,
                message: message.clone(),
            };
            let sequence = match message {
                FloorMessage::FloorTaken(taken) => format!(" #{}", taken.sequence_number),
                FloorMessage::FloorIdle(idle) => format!(" #{}", idle.sequence_number),
                _ => String::new(),
            };
            format!("{}: {}{sequence}", who(*to), packet.summary())
        }
        Output::TalkerChanged(talker) => {
            format!("talker is {}", talker.map_or("nobody", who))
        }
        Output::Inactive => "inactive".to_owned(),
        Output::Discarded { .. } => "discarded".to_owned(),
    }
}

fn call_with(config: Config, start: Instant, inputs: Vec<Input>) -> GeneralFloorControl {
    let mut machine = GeneralFloorControl::new(config);
    machine.handle(Input::Start, start);
    machine.handle(join(ALICE, profile("alice", 5)), start);
    machine.handle(join(BOB, profile("bob", 5)), start);
    machine.handle(join(CAROL, profile("carol", 9)), start);
    let listener = Profile {
        receive_only: true,
        ..Profile::new("sip:listener@mc.example")
    };
    machine.handle(join(LISTENER, Box::new(listener)), start);
    for input in inputs {
        machine.handle(input, start);
    }
    drain(&mut machine);
    machine
}

fn call(start: Instant, inputs: Vec<Input>) -> GeneralFloorControl {
    call_with(Config::new(0x5E4E), start, inputs)
}

fn pre_emption() -> Config {
    Config {
        preemptive_priority: 9,
        ..Config::new(0x5E4E)
    }
}

/// Lets timers expire one after the other until `until`.
fn run(machine: &mut GeneralFloorControl, until: Instant) {
    while let Some(at) = machine.poll_timeout().filter(|at| *at <= until) {
        machine.handle(Input::Timeout, at);
    }
}

fn every_state(start: Instant) -> Vec<GeneralFloorControl> {
    vec![
        GeneralFloorControl::new(Config::new(1)),
        call(start, vec![]),
        call(start, vec![request(ALICE)]),
        call(start, vec![request(ALICE), rtp(ALICE), request(BOB)]),
        call_with(
            pre_emption(),
            start,
            vec![request(ALICE), rtp(ALICE), request(CAROL)],
        ),
        call(start, vec![Input::Release]),
    ]
}

fn every_input() -> Vec<(&'static str, Input)> {
    let implicit = Input::Join {
        participant: ParticipantId(9),
        profile: profile("dave", 1),
        implicit_request: Some(Box::default()),
    };
    vec![
        ("start", Input::Start),
        ("join", join(ParticipantId(9), profile("dave", 1))),
        ("join with implicit request", implicit),
        ("alice leaves", Input::Leave { participant: ALICE }),
        ("bob leaves", Input::Leave { participant: BOB }),
        (
            "stranger leaves",
            Input::Leave {
                participant: ParticipantId(8),
            },
        ),
        ("Floor Request of alice", request(ALICE)),
        ("Floor Request of bob", request(BOB)),
        ("Floor Request of listener", request(LISTENER)),
        ("Floor Request of stranger", request(ParticipantId(8))),
        ("Floor Release of alice", release(ALICE)),
        ("Floor Release of bob", release(BOB)),
        ("Floor Release of stranger", release(ParticipantId(8))),
        (
            "Queue Position Request of bob",
            Input::QueuePositionRequest { from: BOB },
        ),
        ("RTP of alice", rtp(ALICE)),
        ("RTP of bob", rtp(BOB)),
        ("call type", Input::SetCallType(CallType::Emergency)),
        (
            "condition",
            Input::SetCondition {
                participant: BOB,
                condition: Condition::Emergency,
            },
        ),
        ("resources lost", Input::SetResources { available: false }),
        ("restart inactivity", Input::RestartInactivity),
        ("first timer expires", Input::Timeout),
        ("call release", Input::Release),
        ("call released", Input::Released),
    ]
}

#[test]
fn every_state_meets_every_input() {
    let start = Instant::now();
    let mut table = String::new();
    for index in 0..every_state(start).len() {
        let before = &every_state(start)[index];
        writeln!(table, "## {:?}, {} queued", before.state(), before.queued()).unwrap();
        for (name, input) in every_input() {
            let mut machine = every_state(start).remove(index);
            let now = match (&input, machine.poll_timeout()) {
                (Input::Timeout, Some(at)) => at,
                _ => start + MS,
            };
            machine.handle(input, now);
            let outputs = drain(&mut machine);
            writeln!(
                table,
                "{name}: {:?}, {} queued; {}; timers {:?}",
                machine.state(),
                machine.queued(),
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
//= TS 24.380 6.3.4.4.2
fn a_granted_request_is_told_to_everybody() {
    let now = Instant::now();
    let mut floor = call(now, vec![]);
    floor.handle(request(ALICE), now);
    assert_eq!(
        drain(&mut floor),
        [
            "talker is alice",
            "alice: Floor Granted for 30 s",
            "bob: Floor Taken by sip:alice@mc.example #2",
            "carol: Floor Taken by sip:alice@mc.example #2",
            "listener: Floor Taken by sip:alice@mc.example #2",
        ]
    );
    floor.handle(release(ALICE), now);
    assert_eq!(
        drain(&mut floor),
        [
            "talker is nobody",
            "alice: Floor Idle #3",
            "bob: Floor Idle #3",
            "carol: Floor Idle #3",
            "listener: Floor Idle #3",
        ]
    );
}

#[test]
//= TS 24.380 6.3.4.4.10
fn t2_runs_from_the_first_media_and_ends_in_a_revoke() {
    let start = Instant::now();
    let mut floor = call(start, vec![request(ALICE)]);
    // Two seconds of silence after the grant, then media every second.
    for second in 2..=31 {
        floor.handle(rtp(ALICE), start + Duration::from_secs(second));
        run(&mut floor, start + Duration::from_secs(second));
    }
    assert_eq!(floor.state(), State::FloorTaken { holder: ALICE });
    // A repeated request gets the rest of the time.
    floor.handle(request(ALICE), start + Duration::from_millis(30_500));
    assert_eq!(drain(&mut floor), ["alice: Floor Granted for 2 s"]);
    run(&mut floor, start + Duration::from_secs(32));
    assert_eq!(floor.state(), State::PendingFloorRevoke { holder: ALICE });
    assert_eq!(
        drain(&mut floor),
        ["alice: Floor Revoke: media burst too long"]
    );
    // T3 later the floor is taken back although alice goes on.
    floor.handle(rtp(ALICE), start + Duration::from_secs(34));
    run(&mut floor, start + Duration::from_secs(35));
    assert_eq!(floor.state(), State::FloorIdle);
}

#[test]
//= TS 24.380 6.3.4.4.9
fn silence_of_t1_ends_the_burst_without_a_revoke() {
    let start = Instant::now();
    let mut floor = call(start, vec![request(ALICE), rtp(ALICE)]);
    run(&mut floor, start + Duration::from_secs(4));
    assert_eq!(floor.state(), State::FloorIdle);
    assert_eq!(drain(&mut floor)[0], "talker is nobody");
}

#[test]
//= TS 24.380 6.3.4.4.6
fn requests_queue_by_priority_and_the_head_is_granted_without_idle() {
    let start = Instant::now();
    let mut floor = call(start, vec![request(ALICE), rtp(ALICE)]);
    floor.handle(request(BOB), start);
    floor.handle(request(CAROL), start);
    floor.handle(request(BOB), start);
    assert_eq!(
        drain(&mut floor),
        [
            "bob: Floor Queue Position Info: 1",
            "carol: Floor Queue Position Info: 1",
            "bob: Floor Queue Position Info: 2",
        ]
    );
    floor.handle(release(ALICE), start);
    assert_eq!(
        drain(&mut floor),
        [
            "talker is carol",
            "carol: Floor Granted for 30 s",
            "alice: Floor Taken by sip:carol@mc.example #3",
            "bob: Floor Taken by sip:carol@mc.example #3",
            "listener: Floor Taken by sip:carol@mc.example #3",
        ]
    );
    // T20 repeats the grant until the first media, three times in all.
    run(&mut floor, start + Duration::from_secs(3));
    assert_eq!(drain(&mut floor), ["carol: Floor Granted for 30 s"; 2]);
}

#[test]
fn a_queued_user_that_gives_up_is_told_the_state_and_leaves_the_queue() {
    let start = Instant::now();
    let mut floor = call(start, vec![request(ALICE), request(BOB)]);
    floor.handle(release(BOB), start);
    assert_eq!(
        drain(&mut floor),
        ["bob: Floor Taken by sip:alice@mc.example #2"]
    );
    floor.handle(Input::QueuePositionRequest { from: BOB }, start);
    assert_eq!(
        drain(&mut floor),
        ["bob: Floor Queue Position Info: not queued"]
    );
    assert_eq!(floor.queued(), 0);
}

#[test]
//= TS 24.380 6.3.4.4.7
fn a_pre_emptive_request_revokes_the_talker_and_is_next() {
    let start = Instant::now();
    let inputs = vec![request(ALICE), rtp(ALICE), request(BOB)];
    let mut floor = call_with(pre_emption(), start, inputs);
    floor.handle(request(CAROL), start);
    assert_eq!(
        drain(&mut floor),
        [
            "alice: Floor Revoke: media burst pre-empted",
            "carol: Floor Queue Position Info: 1",
        ]
    );
    floor.handle(release(ALICE), start);
    assert_eq!(floor.state(), State::FloorTaken { holder: CAROL });
    assert_eq!(floor.queued(), 1);
}

#[test]
fn an_emergency_pre_empts_only_if_call_control_knows_of_it() {
    let start = Instant::now();
    let mut floor = call(start, vec![request(ALICE), rtp(ALICE)]);
    floor.handle(request_with(BOB, 5, FloorIndicator::EMERGENCY), start);
    assert_eq!(drain(&mut floor), ["bob: Floor Queue Position Info: 1"]);
    floor.handle(
        Input::SetCondition {
            participant: BOB,
            condition: Condition::Emergency,
        },
        start,
    );
    floor.handle(request_with(BOB, 5, FloorIndicator::EMERGENCY), start);
    assert_eq!(floor.state(), State::PendingFloorRevoke { holder: ALICE });
    // In an emergency call the bit of the request itself counts, above any priority.
    let upgraded = vec![
        Input::SetCallType(CallType::Emergency),
        request_with(CAROL, 200, FloorIndicator::NORMAL),
        rtp(CAROL),
    ];
    let mut floor = call(start, upgraded);
    floor.handle(request_with(BOB, 5, FloorIndicator::EMERGENCY), start);
    assert_eq!(floor.state(), State::PendingFloorRevoke { holder: CAROL });
}

#[test]
fn audio_cut_in_gives_the_floor_to_any_new_request_at_once() {
    let start = Instant::now();
    let config = Config {
        audio_cut_in: true,
        ..Config::new(1)
    };
    let mut floor = call_with(config, start, vec![request(ALICE), rtp(ALICE)]);
    floor.handle(request(BOB), start);
    assert_eq!(floor.state(), State::FloorTaken { holder: BOB });
    let told = drain(&mut floor);
    assert_eq!(told[0], "alice: Floor Revoke: media burst pre-empted");
    assert!(told.contains(&"alice: Floor Taken by sip:bob@mc.example #3".to_owned()));
}

#[test]
fn refusals_carry_their_cause() {
    let start = Instant::now();
    let mut alone = GeneralFloorControl::new(Config::new(1));
    alone.handle(Input::Start, start);
    alone.handle(join(ALICE, profile("alice", 5)), start);
    drain(&mut alone);
    alone.handle(request(ALICE), start);
    assert_eq!(
        drain(&mut alone),
        ["alice: Floor Deny: only one participant"]
    );

    let config = Config {
        queue_capacity: 1,
        ..Config::new(1)
    };
    let mut full = call_with(config, start, vec![request(ALICE), request(BOB)]);
    full.handle(request(CAROL), start);
    full.handle(request(LISTENER), start);
    assert_eq!(
        drain(&mut full),
        [
            "carol: Floor Deny: queue full",
            "listener: Floor Deny: receive only"
        ]
    );

    let config = Config {
        queue_capacity: 0,
        ..Config::new(1)
    };
    let mut no_queue = call_with(config, start, vec![request(ALICE)]);
    no_queue.handle(request(BOB), start);
    assert_eq!(
        drain(&mut no_queue),
        ["bob: Floor Deny: another MCPTT client has permission"]
    );

    let mut poor = call(start, vec![Input::SetResources { available: false }]);
    poor.handle(request(BOB), start);
    assert_eq!(
        drain(&mut poor),
        ["bob: Floor Deny: no resources available"]
    );
}

#[test]
//= TS 24.380 4.1.1.4
fn the_floor_priority_field_counts_only_up_to_what_was_negotiated() {
    let start = Instant::now();
    let mut floor = call_with(pre_emption(), start, vec![request(BOB)]);
    let modest = Profile {
        negotiated_priority: Some(6),
        ..*profile("alice", 5)
    };
    let silent = Profile {
        negotiated_priority: None,
        ..*profile("carol", 5)
    };
    floor.handle(join(ALICE, Box::new(modest)), start);
    floor.handle(join(CAROL, Box::new(silent)), start);
    drain(&mut floor);
    for from in [ALICE, CAROL] {
        floor.handle(request_with(from, 250, FloorIndicator::NORMAL), start);
    }
    // Neither pre-empts; the negotiated 6 is ahead of the default 5.
    assert_eq!(
        drain(&mut floor),
        [
            "alice: Floor Queue Position Info: 1",
            "carol: Floor Queue Position Info: 2"
        ]
    );
}

#[test]
fn only_the_initiator_of_a_broadcast_call_may_ask() {
    let start = Instant::now();
    let broadcast = Input::SetCallType(CallType::Broadcast { initiator: ALICE });
    let mut floor = call(start, vec![broadcast, request(ALICE)]);
    floor.handle(request(BOB), start);
    assert_eq!(drain(&mut floor), ["bob: Floor Deny: receive only"]);
    floor.handle(join(ParticipantId(9), profile("dave", 1)), start);
    let Some(Output::Tell {
        message: FloorMessage::FloorTaken(taken),
        ..
    }) = floor.poll_output()
    else {
        panic!("a late joiner is told of the talker")
    };
    assert!(!taken.may_request);
    assert_eq!(taken.indicator, Some(FloorIndicator::BROADCAST_GROUP));
}

#[test]
fn a_hidden_talker_is_not_named_and_a_foreign_alias_is_not_shown() {
    let start = Instant::now();
    let mut floor = call(start, vec![]);
    let aliases = FunctionalAliases::Active(vec!["sip:duty@mc.example".into()]);
    floor.handle(
        join(
            ALICE,
            Box::new(Profile {
                functional_aliases: aliases,
                ..*profile("alice", 5)
            }),
        ),
        start,
    );
    floor.handle(
        join(
            BOB,
            Box::new(Profile {
                hide_identity: true,
                ..*profile("bob", 5)
            }),
        ),
        start,
    );
    let taken_by = |floor: &mut GeneralFloorControl, from, alias: &str| {
        drain(floor);
        let request = FloorRequest {
            functional_alias: Some(alias.into()),
            ..FloorRequest::default()
        };
        floor.handle(
            Input::FloorRequest {
                from,
                request: Box::new(request),
            },
            start,
        );
        let taken = core::iter::from_fn(|| floor.poll_output()).find_map(|output| match output {
            Output::Tell {
                message: FloorMessage::FloorTaken(taken),
                ..
            } => Some(taken),
            _ => None,
        });
        floor.handle(release(from), start);
        let taken = taken.expect("somebody is told");
        (taken.granted_party, taken.functional_alias)
    };
    let alice = || Some("sip:alice@mc.example".to_owned());
    let duty = Some("sip:duty@mc.example".to_owned());
    assert_eq!(
        taken_by(&mut floor, ALICE, "sip:duty@mc.example"),
        (alice(), duty)
    );
    assert_eq!(
        taken_by(&mut floor, ALICE, "sip:chief@mc.example"),
        (alice(), None)
    );
    assert_eq!(
        taken_by(&mut floor, BOB, "sip:duty@mc.example"),
        (None, None)
    );
}

#[test]
//= TS 24.380 6.3.4.2.2
fn an_implicit_request_is_granted_before_anybody_else_has_joined() {
    let start = Instant::now();
    let mut floor = GeneralFloorControl::new(Config::new(1));
    floor.handle(Input::Start, start);
    floor.handle(
        Input::Join {
            participant: ALICE,
            profile: profile("alice", 5),
            implicit_request: Some(Box::default()),
        },
        start,
    );
    assert_eq!(
        drain(&mut floor),
        ["talker is alice", "alice: Floor Granted for 30 s"]
    );
    floor.handle(join(BOB, profile("bob", 5)), start);
    assert_eq!(
        drain(&mut floor),
        ["bob: Floor Taken by sip:alice@mc.example #2"]
    );
}

#[test]
fn a_talker_left_alone_is_revoked() {
    let start = Instant::now();
    let mut floor = call(start, vec![request(ALICE), rtp(ALICE)]);
    for participant in [BOB, CAROL, LISTENER] {
        floor.handle(Input::Leave { participant }, start);
    }
    assert_eq!(
        drain(&mut floor),
        ["alice: Floor Revoke: only one MCPTT client"]
    );
}

#[test]
//= TS 24.380 6.3.4.3.5
fn a_call_in_which_nobody_talks_is_reported_after_t4() {
    let start = Instant::now();
    let mut floor = call(start, vec![]);
    run(&mut floor, start + Duration::from_secs(30));
    let told = drain(&mut floor);
    assert_eq!(told.iter().filter(|line| *line == "inactive").count(), 1);
    // T7 has repeated Floor Idle with the same number meanwhile.
    assert!(told.contains(&"bob: Floor Idle #1".to_owned()));
    floor.handle(Input::RestartInactivity, start + Duration::from_secs(30));
    run(&mut floor, start + Duration::from_secs(60));
    assert!(drain(&mut floor).contains(&"inactive".to_owned()));
}

#[test]
fn sequence_numbers_wrap() {
    let start = Instant::now();
    let mut floor = call(start, vec![]);
    floor.sequence_number = u16::MAX;
    floor.handle(request(ALICE), start);
    assert!(drain(&mut floor).contains(&"bob: Floor Taken by sip:alice@mc.example #0".to_owned()));
}
