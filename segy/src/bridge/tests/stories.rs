//! What happens to people who talk, one clause or rule each.

use super::*;

const NONE: [&str; 0] = [];

/// TS 24.379 10.1.1.2.1.1, TS 24.380 14.3.2: the first press makes the call, and the call asks.
#[test]
fn the_first_syllable_of_the_first_call_is_heard() {
    let mut rig = Rig::new();
    assert_eq!(
        rig.give(ptt_on("1001")),
        ["call as sip:unit-1001@mc.example"]
    );
    for _ in 0..10 {
        assert_eq!(rig.external_speech(), NONE);
        assert_eq!(rig.pass(ms(20)), NONE);
    }
    let asked = rig.give(Input::Mc(McEvent::CallStarted));
    assert_eq!(
        asked,
        ["(bridged)", "request floor as sip:unit-1001@mc.example"]
    );
    assert_eq!(rig.give(granted()), ["(1001 heard)", "send 0"]);
    // In real time: one frame every 20 ms, although more are there.
    let sent = rig.pass(ms(60));
    assert_eq!(sent, ["220 ms: send 1", "240 ms: send 2", "260 ms: send 3"]);
    rig.external_speech();
    rig.give(external(ExternalEvent::PttOff));
    assert_eq!(rig.state(), "draining_to_mc");
    let rest = rig.pass(ms(400));
    assert_eq!(rest.first().unwrap(), "280 ms: send 4");
    let end = [
        "400 ms: send 10",
        "420 ms: (silence)",
        "420 ms: release floor",
    ];
    assert_eq!(
        rest[6..],
        end,
        "the floor is given back behind the last frame"
    );
    assert_eq!(rig.state(), "idle");
}

/// TS 24.380 6.2.4.3.2: in a call, a press is a Floor Request.
#[test]
fn in_a_call_speech_flows_as_it_comes() {
    let mut rig = Rig::in_call();
    let asked = rig.give(ptt_on("1002"));
    assert_eq!(asked, ["request floor as sip:unit-1002@mc.example"]);
    assert_eq!(rig.give(granted()), ["(1002 heard)"]);
    for n in 0..5 {
        assert_eq!(rig.external_speech(), [format!("send {n}")]);
        assert_eq!(rig.pass(ms(20)), NONE);
    }
}

/// Timers of the two sides are not exact: nothing piles up and nothing is lost.
#[test]
fn a_jittery_source_is_sent_steadily() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    let mut sent = Vec::new();
    for n in 0..100 {
        sent.extend(rig.external_speech());
        sent.extend(rig.pass(ms(if n % 2 == 0 { 23 } else { 17 })));
    }
    let sent = sent.iter().filter(|line| line.contains("send")).count();
    assert_eq!(sent, 100);
}

/// A short press is over before the floor is granted: what was said is still sent.
#[test]
fn a_short_message_is_sent_after_its_key_was_released() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.external_speech();
    rig.external_speech();
    assert_eq!(rig.give(external(ExternalEvent::PttOff)), NONE);
    assert_eq!(rig.give(granted()), ["(1001 heard)", "send 0"]);
    let rest = rig.pass(ms(100));
    assert_eq!(
        rest,
        ["20 ms: send 1", "40 ms: (silence)", "40 ms: release floor"]
    );
}

/// A press without speech is withdrawn at once.
#[test]
fn a_press_by_mistake_is_withdrawn() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    assert_eq!(rig.give(external(ExternalEvent::PttOff)), ["release floor"]);
    assert_eq!(
        rig.give(granted()),
        ["release floor"],
        "the grant was on its way"
    );
}

/// TS 24.380 6.2.4.4.3: a refusal reaches the radio.
#[test]
fn a_denied_user_hears_it() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.external_speech();
    assert_eq!(
        rig.give(denied()),
        ["refuse", "(1001 refused: floor_denied)"]
    );
    assert_eq!(rig.external_speech(), NONE, "he goes on talking");
    assert_eq!(rig.give(external(ExternalEvent::PttOff)), NONE);
    assert_eq!(rig.state(), "idle");
}

/// TS 24.380 6.2.4.4.5: a radio cannot be told to wait, so the wait is short.
#[test]
fn a_queued_request_is_granted_in_time_or_withdrawn() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.external_speech();
    rig.give(Input::Mc(McEvent::FloorQueued));
    assert!(rig.bridge.status().queued);
    assert_eq!(rig.pass(ms(1500)), NONE);
    assert_eq!(rig.give(granted()), ["(1001 heard)", "send 0"]);

    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.external_speech();
    rig.give(Input::Mc(McEvent::FloorQueued));
    let end = [
        "2000 ms: refuse",
        "2000 ms: (1001 refused: no_answer)",
        "2000 ms: release floor",
    ];
    assert_eq!(rig.pass(ms(5000)), end);
}

/// TS 24.380 6.2.4.5.4: the server takes the floor away; the client answers the Revoke itself.
#[test]
fn a_revoked_user_hears_it() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    rig.external_speech();
    let heard = ["(silence)", "refuse", "(1001 refused: floor_revoked)"];
    assert_eq!(rig.give(revoked(2)), heard);
    // The next press waits until the release is confirmed: the client would drop it before.
    assert_eq!(rig.give(ptt_on("1001")), NONE);
    let asked = rig.give(Input::Mc(McEvent::FloorIdle));
    assert_eq!(asked, ["request floor as sip:unit-1001@mc.example"]);
}

/// The gateway's own limit, or the server's when that is shorter (Duration, 8.2.3.3).
#[test]
fn a_talk_burst_is_limited() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    let end = [
        "30000 ms: release floor",
        "30000 ms: (silence)",
        "30000 ms: refuse",
        "30000 ms: (1001 refused: talk_limit)",
    ];
    assert_eq!(rig.pass(Duration::from_secs(40)), end);
}

/// D1-1: an identity that may not be asserted is not.
#[test]
fn an_unmapped_unit_is_refused_and_nothing_is_asked() {
    let mut rig = Rig::in_call();
    assert_eq!(
        rig.give(ptt_on("4711")),
        ["refuse", "(4711 refused: unmapped)"]
    );
    assert_eq!(rig.external_speech(), NONE);
    let nameless = external(ExternalEvent::PttOn(ExternalTalker::default()));
    assert_eq!(rig.give(nameless), ["refuse", "( refused: unmapped)"]);
}

#[test]
fn without_an_mc_side_a_user_is_refused() {
    let mut rig = Rig::new();
    rig.give(Input::Mc(McEvent::Down));
    assert_eq!(
        rig.give(ptt_on("1001")),
        ["refuse", "(1001 refused: mc_unavailable)"]
    );
}

/// TS 24.380 6.2.4.3.4: Floor Taken names the talker; his speech follows, and its end too.
#[test]
fn an_mc_user_is_heard_to_his_last_frame() {
    let mut rig = Rig::in_call();
    let shown = [
        "press as 9001 sip:alice@mc.example",
        "(sip:alice@mc.example heard)",
    ];
    assert_eq!(rig.give(taken(ALICE)), shown);
    let mut done = Vec::new();
    for _ in 0..5 {
        done.extend(rig.mc_speech());
        done.extend(rig.pass(ms(20)));
    }
    assert_eq!(rig.give(Input::Mc(McEvent::FloorIdle)), NONE);
    // One packet comes after the Floor Idle.
    done.extend(rig.mc_speech());
    done.extend(rig.pass(ms(500)));
    let played: Vec<_> = done.iter().filter(|line| line.contains("play")).collect();
    assert_eq!(played.len(), 6, "{done:?}");
    assert_eq!(played[5], "140 ms: play 5");
    let end: Vec<_> = done.iter().rev().take(2).rev().collect();
    assert_eq!(end, ["160 ms: release", "160 ms: (silence)"]);
    assert_eq!(rig.state(), "idle");
}

/// A packet that does not come is told to the external side in its place.
#[test]
fn a_lost_packet_is_played_as_lost() {
    let mut rig = Rig::in_call();
    rig.give(taken(ALICE));
    let mut done = Vec::new();
    for n in 0..6 {
        if n == 2 {
            rig.mc_frame += 1;
        } else {
            done.extend(rig.mc_speech());
        }
        done.extend(rig.pass(ms(20)));
    }
    rig.give(Input::Mc(McEvent::FloorIdle));
    done.extend(rig.pass(ms(40)));
    let played: Vec<_> = done
        .iter()
        .filter_map(|line| line.split(": ").nth(1))
        .collect();
    assert_eq!(
        played,
        [
            "silence", "silence", "play 0", "play 1", "lost", "play 3", "play 4", "play 5"
        ]
    );
    assert_eq!(rig.bridge.concealed(), 1);
}

/// The gateway's own process is held up for 200 ms: what came meanwhile is read and played whole, and
/// nothing is made up although its clock runs before its packets are read.
#[test]
fn a_gateway_that_was_held_up_loses_nothing() {
    let mut rig = Rig::in_call();
    rig.give(taken(ALICE));
    let mut done = Vec::new();
    for _ in 0..4 {
        done.extend(rig.mc_speech());
        done.extend(rig.pass(ms(20)));
    }
    done.extend(rig.pass(ms(30)));
    done.extend(rig.held_up(ms(210)));
    for _ in 0..12 {
        done.extend(rig.mc_speech());
    }
    for _ in 0..4 {
        done.extend(rig.mc_speech());
        done.extend(rig.pass(ms(20)));
    }
    rig.give(Input::Mc(McEvent::FloorIdle));
    done.extend(rig.pass(ms(100)));
    let lost = done.iter().filter(|line| line.ends_with(": lost")).count();
    let played = done.iter().filter(|line| line.contains(": play ")).count();
    assert_eq!((lost, played), (0, 20), "{done:#?}");
    assert_eq!(rig.bridge.concealed(), 0);
}

/// Floor Taken may be lost, or overtaken by speech: speech alone makes a talker.
#[test]
fn speech_without_floor_taken_is_heard_too() {
    let mut rig = Rig::in_call();
    let mut done = Vec::new();
    for _ in 0..10 {
        done.extend(rig.mc_speech());
        done.extend(rig.pass(ms(20)));
    }
    assert_eq!(done[..2], ["100 ms: press as 0 nobody", "100 ms: ( heard)"]);
    let late = rig.give(taken(ALICE));
    let described = [
        "(silence)",
        "press as 9001 sip:alice@mc.example",
        "(sip:alice@mc.example heard)",
    ];
    assert_eq!(late, described, "described as soon as he is known");
    // Without a Floor Idle, silence ends him (T103).
    done.extend(rig.pass(Duration::from_secs(10)));
    assert_eq!(done.iter().filter(|line| line.contains("play")).count(), 10);
    assert_eq!(done[done.len() - 2], "4260 ms: release");
}

#[test]
fn a_straggler_after_the_end_makes_no_talker() {
    let mut rig = Rig::in_call();
    rig.mc_speech();
    assert_eq!(rig.pass(Duration::from_secs(1)), NONE);
    assert_eq!(rig.state(), "idle");
}

/// Both press at once and the MC user gets the floor: the radio is refused, then hears him.
#[test]
fn the_floor_control_server_decides_between_two_sides() {
    let mut rig = Rig::in_call();
    let asked = rig.give(ptt_on("1001"));
    assert_eq!(asked, ["request floor as sip:unit-1001@mc.example"]);
    rig.external_speech();
    assert_eq!(
        rig.give(taken(ALICE)),
        NONE,
        "no press against the radio yet"
    );
    rig.mc_speech();
    let decided = [
        "refuse",
        "(1001 refused: floor_denied)",
        "press as 9001 sip:alice@mc.example",
        "(sip:alice@mc.example heard)",
    ];
    assert_eq!(rig.give(denied()), decided);
    // The release that follows from the refusal changes nothing.
    assert_eq!(rig.give(external(ExternalEvent::PttOff)), NONE);
    assert_eq!(rig.state(), "to_external");
}

/// The radio has its channel already when the MC user's press comes there.
#[test]
fn the_radio_system_denies_the_mc_talker() {
    for denied_first in [true, false] {
        let mut rig = Rig::in_call();
        rig.give(taken(ALICE));
        let mut done = Vec::new();
        if denied_first {
            done.extend(rig.give(external(ExternalEvent::PressDenied)));
            assert_eq!(rig.state(), "not_relayed");
        }
        done.extend(rig.give(ptt_on("1001")));
        if !denied_first {
            done.extend(rig.give(external(ExternalEvent::PressDenied)));
        }
        let asked = done.iter().filter(|line| line.contains("request floor"));
        assert_eq!(asked.count(), 1, "{done:?}");
        assert!(
            !done.iter().any(|line| line.starts_with("press")),
            "{done:?}"
        );
        let decided = rig.give(denied());
        assert_eq!(decided[0], "refuse");
        assert_eq!(decided[2], "press as 9001 sip:alice@mc.example");
    }
}

/// TS 23.283 10.5.4: a radio that cannot be told to stop keeps its channel; nobody fights for it.
#[test]
fn a_radio_that_cannot_be_stopped_is_not_fought() {
    let mut rig = Rig::in_call();
    rig.give(taken(ALICE));
    rig.give(ptt_on("1001"));
    assert_eq!(rig.give(denied())[2], "press as 9001 sip:alice@mc.example");
    let lost = rig.give(external(ExternalEvent::PressDenied));
    assert_eq!(lost, ["(silence)", "(not relayed)"]);
    for _ in 0..50 {
        assert_eq!(rig.external_speech(), NONE);
        assert_eq!(rig.mc_speech(), NONE);
        assert_eq!(rig.pass(ms(20)), NONE);
    }
    // When it stops by itself, the MC talker gets the channel, once.
    let relayed = rig.give(external(ExternalEvent::PttOff));
    assert_eq!(relayed[0], "press as 9001 sip:alice@mc.example");
}

/// An emergency on the radio side takes the channel from the MC talker there; the server decides.
#[test]
fn an_emergency_is_asked_for_and_shown() {
    let mut rig = Rig::in_call();
    rig.give(taken(ALICE));
    rig.mc_speech();
    let emergency = external(ExternalEvent::PttOn(ExternalTalker {
        unit: Some("1001".to_owned()),
        emergency: true,
    }));
    let asked = [
        "release",
        "(silence)",
        "declare emergency as sip:unit-1001@mc.example",
    ];
    assert_eq!(rig.give(emergency), asked);
    assert!(rig.bridge.status().emergency);
    assert_eq!(
        rig.give(granted()),
        ["(1001 heard)"],
        "the server pre-empted alice"
    );
}

/// An emergency of an MC user has the radio system's priority, from its beginning to its end.
#[test]
fn an_emergency_of_the_mc_side_is_pressed_as_one() {
    let mut rig = Rig::in_call();
    let emergency = |active| Input::Mc(McEvent::Emergency(active));
    rig.give(taken(ALICE));
    let pressed = "press as 9001 sip:alice@mc.example";
    assert_eq!(
        rig.give(emergency(true)),
        [format!("{pressed} in an emergency")]
    );
    assert_eq!(rig.give(emergency(true)), NONE);
    assert_eq!(rig.give(emergency(false)), [pressed]);
    let mut rig = Rig::in_call();
    assert_eq!(rig.give(emergency(true)), NONE);
    let relayed = rig.give(taken(ALICE));
    assert_eq!(relayed[0], format!("{pressed} in an emergency"));
}

/// Dual floor: both talk; a half-duplex radio hears the other only afterwards.
#[test]
fn an_mc_user_who_overrides_is_heard_after_the_radio() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    rig.external_speech();
    assert_eq!(rig.give(taken(ALICE)), NONE);
    assert_eq!(rig.mc_speech(), NONE);
    rig.pass(ms(20));
    let done = rig.give(external(ExternalEvent::PttOff));
    assert_eq!(done[2], "press as 9001 sip:alice@mc.example");
}

#[test]
fn our_own_talk_that_comes_back_is_not_carried() {
    let mut rig = Rig::in_call();
    assert_eq!(rig.give(taken(OWN)), ["(echo)"]);
    assert_eq!(rig.state(), "idle");
    rig.give(ptt_on("1001"));
    rig.give(granted());
    for _ in 0..5 {
        rig.external_speech();
        let echo = rig.mc_speech();
        assert_eq!(echo, NONE);
        assert!(rig.pass(ms(20)).iter().all(|line| !line.contains("play")));
    }
}

/// A second radio takes the channel over (emergency on its side): it speaks under its own name.
#[test]
fn another_unit_gets_a_floor_of_its_own() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    rig.external_speech();
    assert_eq!(rig.give(ptt_on("1002")), ["(silence)", "release floor"]);
    rig.external_speech();
    let asked = rig.give(Input::Mc(McEvent::FloorIdle));
    assert_eq!(asked, ["request floor as sip:unit-1002@mc.example"]);
    assert_eq!(rig.give(granted()), ["(1002 heard)", "send 1"]);
}

/// The call was made for one unit and another presses before it is up: no false name.
#[test]
fn a_call_that_asked_for_another_unit_gives_the_floor_back() {
    let mut rig = Rig::new();
    rig.give(ptt_on("1001"));
    assert_eq!(rig.give(ptt_on("1002")), NONE);
    let started = rig.give(Input::Mc(McEvent::CallStarted));
    assert_eq!(started, ["(bridged)", "release floor"]);
    assert_eq!(rig.give(granted()), ["release floor"], "granted to 1001");
    let asked = rig.give(Input::Mc(McEvent::FloorIdle));
    assert_eq!(asked, ["request floor as sip:unit-1002@mc.example"]);
}

/// The hang timer of the group ends the call at the moment of a press.
#[test]
fn a_call_that_ends_under_a_press_is_made_anew_once() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.external_speech();
    let again = rig.give(released());
    assert_eq!(
        again,
        ["(ended: hang time)", "call as sip:unit-1001@mc.example"]
    );
    rig.give(Input::Mc(McEvent::CallStarted));
    assert_eq!(rig.give(granted()), ["(1001 heard)", "send 0"]);

    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(released());
    rig.give(Input::Mc(McEvent::CallStarted));
    let refused = rig.give(released());
    assert_eq!(refused[1..], ["refuse", "(1001 refused: call_released)"]);
}

#[test]
fn a_call_released_under_a_talker_is_told_to_him() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    let end = [
        "(ended: hang time)",
        "(silence)",
        "refuse",
        "(1001 refused: call_released)",
    ];
    assert_eq!(rig.give(released()), end);
}

#[test]
fn a_refused_call_is_told_to_the_radio() {
    let mut rig = Rig::new();
    rig.give(ptt_on("1001"));
    rig.external_speech();
    let end = ["refuse", "(1001 refused: call_refused)"];
    assert_eq!(rig.give(call_refused()), end);
    assert_eq!(
        rig.give(ptt_on("1001")),
        ["call as sip:unit-1001@mc.example"]
    );
}

#[test]
fn a_lost_leg_ends_its_talker_and_comes_back_to_the_mc_talker() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(granted());
    rig.external_speech();
    rig.pass(ms(20));
    let ended = rig.give(external(ExternalEvent::Down));
    assert_eq!(ended, ["(silence)", "release floor"]);

    let mut rig = Rig::in_call();
    rig.give(taken(ALICE));
    rig.mc_speech();
    assert_eq!(rig.give(external(ExternalEvent::Down)), ["(silence)"]);
    assert_eq!(rig.mc_speech(), NONE);
    let back = rig.give(external(ExternalEvent::Up));
    assert_eq!(back[0], "press as 9001 sip:alice@mc.example");
}

/// A call in which nobody talks is left; a press meanwhile waits for its end.
#[test]
fn an_idle_call_is_left_after_the_hang_time() {
    let mut rig = Rig::in_call();
    assert_eq!(
        rig.pass(Duration::from_secs(130)),
        ["120000 ms: leave call"]
    );
    assert_eq!(rig.give(ptt_on("1001")), NONE);
    let again = rig.give(released());
    assert_eq!(again[1], "call as sip:unit-1001@mc.example");
}

/// A Floor Release whose confirmation is lost does not block the channel for ever.
#[test]
fn an_unconfirmed_release_times_out() {
    let mut rig = Rig::in_call();
    rig.give(ptt_on("1001"));
    rig.give(external(ExternalEvent::PttOff));
    assert_eq!(rig.pass(Duration::from_secs(7)), NONE);
    let asked = rig.give(ptt_on("1001"));
    assert_eq!(asked, ["request floor as sip:unit-1001@mc.example"]);
}
