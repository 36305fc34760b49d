//! Emergency group calls: from a radio and from an MC user, with their priority on both sides of the
//! gateway, and refused to who may not (TS 24.379 6.2.8.1, TS 23.283 10.6).

use std::path::Path;
use std::time::Duration;

use lab::parties::{Heard, Party};
use lab::radios::{RadioTalker, Radios};
use lab::topology::PortName;
use mc_client::{BodyConfig, ClientEvent};
use mc_ids::GroupId;
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_sip::{Multipart, SipMessage, name, parse_message};
use mc_trace::Event;
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use testkit::recording::Recording;
use testkit::{tshark, xmlsec};
use tokio::sync::broadcast::Receiver;

use crate::peer::Peer;
use crate::support::{GROUP, PATIENCE, all_ready, ready, recording, start, until};

const PRIORITY: &str = "mcpttp.15";
/// Floor Revoke: the talker is pre-empted (TS 24.380 8.2.10.2).
const PREEMPTED: u16 = 4;

fn group() -> GroupId {
    GROUP.parse().unwrap()
}

fn radio_says() -> Vec<u8> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read(root.join("target/speech/lmr.wav")).unwrap()
}

async fn granted(at: &mut Receiver<Heard>) {
    until(at, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
}

async fn told(at: &mut Receiver<Heard>, wanted: bool) {
    until(at, "emergency", |e| match e {
        ClientEvent::Emergency { active, .. } => (*active == wanted).then_some(()),
        _ => None,
    })
    .await;
}

/// The INVITEs a node sent with this Resource-Priority.
fn with_priority(run: &Recording, node: &str, priority: Option<&str>) -> usize {
    let sent = run.events.iter().filter(|event| {
        event.node == node && event.name == "sip:sent" && event.summary.starts_with("INVITE")
    });
    let has = |event: &&Event| match parse_message(&event.raw).unwrap() {
        SipMessage::Request(invite) => invite.headers.get(name::RESOURCE_PRIORITY) == priority,
        SipMessage::Response(_) => false,
    };
    sent.filter(has).count()
}

/// The floor control messages of this name to one user that carry the emergency indicator.
fn in_emergency(run: &Recording, message: &str, user: &str) -> usize {
    let sent = run.events.iter().filter(|event| {
        event.node == "mcptt-server" && event.name == "floor:sent" && event.to.name == user
    });
    let is = |event: &&Event| {
        let decoded = event.decoded.to_string();
        event.decoded["message"] == message && decoded.contains("emergency")
    };
    sent.filter(is).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_of_a_radio_takes_the_floor_from_an_mc_user() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    let radios = Radios::at(lab.addresses().of(PortName::LmrSim)).unwrap();
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    // By SIP and by floor control: either may come first.
    let mut floor_at_bob = bob.follow();
    alice.client.group_call(&group(), true).await.unwrap();
    granted(&mut at_alice).await;
    radios.emergency("1001", true).await.unwrap();
    let talk = radios.talk("1001", radio_says()).await.unwrap();
    // Everybody hears of it, the talker loses the floor, and the radio is heard.
    told(&mut at_bob, true).await;
    let cause = until(&mut at_alice, "revoke", |e| match e {
        ClientEvent::FloorRevoked { cause, .. } => Some(*cause),
        _ => None,
    })
    .await;
    assert_eq!(cause, PREEMPTED);
    let alias = until(&mut floor_at_bob, "the radio as talker", |e| match e {
        ClientEvent::FloorTaken {
            functional_alias, ..
        } => functional_alias.clone(),
        _ => None,
    })
    .await;
    assert_eq!(alias, "sip:unit-1001@mc.example");
    until(&mut floor_at_bob, "speech", |e| {
        matches!(e, ClientEvent::Speech(_)).then_some(())
    })
    .await;
    assert_eq!(radios.until_ended(talk.id).await.unwrap().state, "done");
    // The state of the group is kept on the MC side, where its user or an authorised one ends it.
    alice.client.end_emergency(&group()).await.unwrap();
    let refused = until(&mut at_alice, "refusal", |e| match e {
        ClientEvent::EmergencyRefused {
            status, warning, ..
        } => Some((*status, *warning)),
        _ => None,
    })
    .await;
    assert_eq!(refused, (403, Some(100)));
    alice.stop().await;
    bob.stop().await;
    let run = recording(lab);
    assert_eq!(with_priority(&run, "segy", Some(PRIORITY)), 1);
    assert!(with_priority(&run, "mcptt-server", Some(PRIORITY)) >= 2);
    assert!(in_emergency(&run, "Floor Granted", "sip:segy@mc.example") >= 1);
    assert!(in_emergency(&run, "Floor Taken", "sip:bob@mc.example") >= 1);
    tshark::check_floor(&run).unwrap();
    tshark::check_sip(&run).unwrap();
    xmlsec::check_bodies(&run).unwrap();
    let audit = run
        .events
        .iter()
        .filter(|e| e.name == "segy:talker_changed");
    let audit = audit.filter(|e| e.decoded["emergency"] == true);
    assert_eq!(audit.count(), 1);
}

/// What a radio of talkgroup 1 is told of the talker.
async fn on_the_air(radios: &Radios, wanted: impl Fn(&RadioTalker) -> bool) {
    let seen = async {
        loop {
            let status = radios.network().await.unwrap();
            let mut groups = status.talkgroups.into_iter();
            let first = groups.find(|group| group.talkgroup == 1).unwrap();
            if first.talker.is_some_and(|talker| wanted(&talker)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.unwrap();
}

async fn say_something(party: &Party) {
    for _ in 0..10 {
        let tone: Vec<i16> = (0..320i16).map(|i| i % 16 * 500).collect();
        party.client.send_speech(&group(), tone).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emergency_of_an_mc_user_is_one_on_the_air_until_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    let radios = Radios::at(lab.addresses().of(PortName::LmrSim)).unwrap();
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    let mut floor_at_alice = alice.follow();
    // The call begins with it: members are invited with the indicator and the priority.
    alice.client.emergency_call(&group(), None).await.unwrap();
    told(&mut at_alice, true).await;
    granted(&mut floor_at_alice).await;
    told(&mut at_bob, true).await;
    say_something(&alice).await;
    on_the_air(&radios, |talker| {
        talker.emergency && talker.name.as_deref() == Some("sip:alice@mc.example")
    })
    .await;
    // Over: the same talker is an ordinary one on the air.
    alice.client.end_emergency(&group()).await.unwrap();
    told(&mut at_bob, false).await;
    say_something(&alice).await;
    on_the_air(&radios, |talker| {
        !talker.emergency && talker.name.as_deref() == Some("sip:alice@mc.example")
    })
    .await;
    alice.client.release_ptt(&group()).await.unwrap();
    alice.client.hang_up(&group()).await.unwrap();
    alice.stop().await;
    bob.stop().await;
    let run = recording(lab);
    assert_eq!(with_priority(&run, "alice", Some(PRIORITY)), 1);
    assert_eq!(with_priority(&run, "alice", None), 1, "the end of it");
    assert!(with_priority(&run, "mcptt-server", Some(PRIORITY)) >= 2);
    assert!(
        with_priority(&run, "mcptt-server", None) >= 2,
        "the end of it"
    );
    assert!(in_emergency(&run, "Floor Granted", "sip:alice@mc.example") >= 1);
    xmlsec::check_bodies(&run).unwrap();
}

const COMMAND: &str = "sip:command-1@mc.example";

#[tokio::test]
async fn an_emergency_of_who_may_not_declare_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let bob = Peer::affiliated(&lab, "bob", &[COMMAND]).await;
    let carol = Peer::affiliated(&lab, "carol", &[COMMAND]).await;
    let info = McpttInfo {
        session_type: Some(SessionType::Prearranged),
        request_uri: Some(Content::uri_value(COMMAND)),
        emergency_ind: Some(Content::boolean_value(true)),
        alert_ind: Some(Content::boolean_value(true)),
        ..McpttInfo::default()
    };
    let nowhere = ([127, 0, 0, 1], 9).into();
    let offer = McpttMedia::new(nowhere, Some(nowhere), FloorParameters::default());
    let request = carol.invite_with(&offer, carol.sealed(info));
    let answer = carol
        .ask(request.with(name::RESOURCE_PRIORITY, PRIORITY))
        .await;
    assert_eq!((answer.status, answer.warning), (403, Some(100)));
    // The body says that there is no emergency (6.3.3.1.14).
    let (headers, body) = (&answer.response.headers, &answer.response.body);
    let parts = Multipart::of(headers, body).unwrap();
    let demand = BodyConfig::default().demand();
    let said = demand.open(&parts, Some(&carol.bodies())).unwrap();
    for indicator in [said.emergency_ind, said.alert_ind] {
        assert_eq!(indicator, Some(Content::boolean_value(false)));
    }
    let calls = crate::support::status(&lab).await["calls"].clone();
    assert_eq!(calls, serde_json::json!([]), "no call came of it");
    drop(bob);
    all_ready(&lab).await;
}
