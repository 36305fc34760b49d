use mc_trace::{Direction, Endpoint, Event, Transport, names};

use super::*;
use crate::demo_control::Party;
use crate::history::History;

fn sip(history: &mut History, time_us: u64, start_line: &str) -> Row {
    let raw = format!("{start_line}\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\nX: {time_us}\r\n\r\n");
    let mut event = Event::sip(
        &names::SIP_SENT,
        Direction::Sent,
        Endpoint::named("alice"),
        Endpoint::named("mcptt-server"),
        Transport::Tcp,
        raw.as_bytes(),
    );
    event.time_us = time_us;
    "alice".clone_into(&mut event.node);
    history.push(event).unwrap()
}

#[test]
fn a_call_goes_from_setup_to_active_to_ended_and_stays_ended() {
    let (mut map, mut history) = (Map::new(Vec::new()), History::new(50, "mc.example"));
    let steps = [
        ("SIP/2.0 200 OK", None),
        (
            "INVITE sip:fireground-1@mc.example SIP/2.0",
            Some(Phase::Setup),
        ),
        ("SIP/2.0 180 Ringing", Some(Phase::Setup)),
        ("SIP/2.0 200 OK", Some(Phase::Up)),
        (
            "INVITE sip:fireground-1@mc.example SIP/2.0",
            Some(Phase::Up),
        ),
        ("SIP/2.0 486 Busy Here", Some(Phase::Up)),
        (
            "BYE sip:fireground-1@mc.example SIP/2.0",
            Some(Phase::Ended),
        ),
        ("SIP/2.0 200 OK", Some(Phase::Ended)),
    ];
    for (time, (line, phase)) in (1..).zip(steps) {
        let row = sip(&mut history, time, line);
        map.row(&row);
        assert_eq!(map.calls().first().map(|c| c.phase), phase, "{line}");
    }
    assert_eq!(map.calls().len(), 1);
    assert_eq!(map.calls()[0].target, "sip:fireground-1@mc.example");
}

#[test]
fn a_refused_call_is_red() {
    let (mut map, mut history) = (Map::new(Vec::new()), History::new(50, "mc.example"));
    map.row(&sip(&mut history, 1, "INVITE sip:g SIP/2.0"));
    map.row(&sip(&mut history, 2, "SIP/2.0 403 Forbidden"));
    assert_eq!(map.calls()[0].phase.class(), "red");
}

#[test]
fn speech_lights_a_connection_for_a_second() {
    let (mut map, mut history) = (Map::new(Vec::new()), History::new(50, "mc.example"));
    let ends = (Endpoint::named("segy"), Endpoint::named("mcptt-server"));
    let mut event = Event::sent(&names::MEDIA_SENT, ends.0, ends.1, [0x80]);
    event.time_us = 10_000_000;
    map.row(&history.push(event).unwrap());
    let lit = |map: &mut Map, now| map.draw(now).edges.iter().filter(|e| e.live).count();
    assert_eq!(lit(&mut map, 10_500_000), 1);
    map.speech("segy", "mcptt-server", 11_000_000);
    assert_eq!(lit(&mut map, 12_000_000), 1);
    assert_eq!(lit(&mut map, 13_000_000), 0);
    assert!(!map.is_live());
}

#[test]
fn an_unhealthy_service_shows_its_reason() {
    let mut map = Map::new(vec!["kms".to_owned(), "other".to_owned()]);
    let health = NodeHealth {
        light: Light::Red,
        reason: "master secret unreadable in /state/kms.db".to_owned(),
    };
    assert!(map.health("kms", health.clone()));
    assert!(!map.health("kms", health.clone()));
    let drawing = map.draw(0);
    let kms = drawing.nodes.iter().find(|n| n.name == "kms").unwrap();
    assert_eq!((kms.light, &kms.full_reason), ("red", &health.reason));
    assert!(kms.reason.ends_with('…'));
    assert!(drawing.nodes.iter().any(|n| n.name == "other"));
}

#[test]
fn strangers_become_clients_or_radios_but_addresses_do_not() {
    let (mut map, mut history) = (Map::new(Vec::new()), History::new(50, "mc.example"));
    map.row(&sip(&mut history, 1, "OPTIONS sip:a SIP/2.0"));
    let ends = (
        Endpoint::named("unit 1001"),
        Endpoint::at(([127, 0, 0, 1], 9).into()),
    );
    let event = Event::sent(&names::LMR_MEDIA_SENT, ends.0, ends.1, [0x80]);
    map.row(&history.push(event).unwrap());
    let ptt = Event::local(&names::LMR_PTT, "unit 1002 pressed")
        .decoded(serde_json::json!({"unit": 1002, "talkgroup": 1}));
    map.row(&history.push(ptt).unwrap());
    let drawing = map.draw(0);
    let kinds: Vec<_> = drawing
        .nodes
        .iter()
        .filter(|n| n.kind != "service")
        .map(|n| (n.name.as_str(), n.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("alice", "client"),
            ("unit 1001", "radio"),
            ("unit 1002", "radio")
        ]
    );
}

#[test]
fn five_sites_have_a_place_each_and_radios_hang_on_their_own_network() {
    let sites = ["7.2", "7.3", "7.4", "7.5"];
    let of_site = |site: &&str| [format!("segy-{site}"), format!("lmr-{site}")];
    let fixed = [
        "idms",
        "kms",
        "gms",
        "mcptt-server",
        "segy",
        "lmr-sim",
        "segy-idms",
        "segy-kms",
        "segy-gms",
    ];
    let services = fixed.map(str::to_owned).into_iter();
    let mut map = Map::new(services.chain(sites.iter().flat_map(of_site)).collect());
    let radio = |name: &str, network: &str| Party {
        name: name.to_owned(),
        network: Some(network.to_owned()),
        ..Party::default()
    };
    map.lab(&LabState {
        radios: vec![
            radio("radio 1001", "lmr-sim"),
            radio("radio 4001", "lmr-7.4"),
        ],
        ..LabState::default()
    });
    let drawing = map.draw(0);
    for (n, a) in drawing.nodes.iter().enumerate() {
        for b in &drawing.nodes[n + 1..] {
            let apart = |axis: usize| {
                a.place[axis] + a.place[axis + 2] <= b.place[axis]
                    || b.place[axis] + b.place[axis + 2] <= a.place[axis]
            };
            assert!(apart(0) || apart(1), "{} lies on {}", a.name, b.name);
        }
    }
    let joined = |title: &str| drawing.edges.iter().any(|edge| edge.title == title);
    assert!(joined("radio 4001 to lmr-7.4") && joined("segy-7.4 to lmr-7.4"));
    assert!(!joined("radio 4001 to lmr-sim"));
}
