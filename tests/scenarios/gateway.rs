//! Calls through the gateway (TR 33.880 7.8.1): radio to MC user and back with real speech, and
//! private calls that do not come up.

use std::path::Path;
use std::time::Duration;

use lab::parties::{Party, http_config};
use lab::radios::Radios;
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_audio::wav::Wav;
use mc_audio::{measure, resample};
use mc_client::{Callee, ClientEvent, Commencement, PrivateCall};
use mc_ids::GroupId;
use serde_json::Value;

use crate::support::{GROUP, PATIENCE, kept, logged, ready, start, until};

pub(crate) fn sentence(name: &str) -> (Vec<u8>, Vec<i16>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let octets = std::fs::read(root.join("target/speech").join(name)).unwrap();
    let samples = Wav::read(&octets, measure::LONGEST).unwrap().into_16k();
    (octets, samples)
}

async fn status(lab: &Lab) -> Value {
    let http = mc_runtime::http::client(&http_config(lab)).unwrap();
    let url = format!("https://{}/status", lab.addresses().of(PortName::Segy));
    http.get(url).send().await.unwrap().json().await.unwrap()
}

/// What one party hears until the floor is idle again.
pub(crate) async fn listen(
    heard: &mut tokio::sync::broadcast::Receiver<lab::parties::Heard>,
) -> (Option<String>, Option<String>, Vec<i16>) {
    let (mut talker, mut alias, mut samples) = (None, None, Vec::new());
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is not about what is heard"
    )]
    let all = async {
        loop {
            match heard.recv().await.unwrap().event {
                ClientEvent::FloorTaken {
                    talker: by,
                    functional_alias,
                    ..
                } => (talker, alias) = (by, functional_alias),
                ClientEvent::Speech(frame) => samples.extend(frame.samples),
                ClientEvent::FloorIdle { .. } if talker.is_some() => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, all).await.unwrap();
    (talker, alias, samples)
}

pub(crate) fn understood(said: &[i16], heard: &[i16]) {
    let report = measure::judge(said, heard).unwrap();
    assert!(report.score > 0.75, "{report:?}");
    assert!(report.first_heard && report.last_heard, "{report:?}");
}

pub(crate) async fn say(party: &Party, group: &GroupId, samples: &[i16]) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for frame in samples.chunks(320) {
        clock.tick().await;
        let mut frame = frame.to_vec();
        frame.resize(320, 0);
        party.client.send_speech(group, frame).await.unwrap();
    }
    clock.tick().await;
}

#[tokio::test]
async fn a_radio_and_an_mc_user_hear_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let radios = Radios::at(lab.addresses().of(PortName::LmrSim)).unwrap();
    let group: GroupId = GROUP.parse().unwrap();

    // The first press makes the call: the radio's first syllable must survive that.
    let mut at_alice = alice.follow();
    let (wav, said) = sentence("lmr.wav");
    let talk = radios.talk("1001", wav.clone()).await.unwrap();
    let (talker, alias, samples) = listen(&mut at_alice).await;
    assert_eq!(radios.until_ended(talk.id).await.unwrap().state, "done");
    assert_eq!(talker.as_deref(), Some("sip:segy@mc.example"));
    assert_eq!(alias.as_deref(), Some("sip:unit-1001@mc.example"));
    understood(&said, &samples);

    // The second press asks for the floor in the call, under another alias.
    let mut at_alice = alice.follow();
    let talk = radios.talk("1002", wav).await.unwrap();
    let (_, alias, samples) = listen(&mut at_alice).await;
    assert_eq!(radios.until_ended(talk.id).await.unwrap().state, "done");
    assert_eq!(alias.as_deref(), Some("sip:unit-1002@mc.example"));
    understood(&said, &samples);

    // And back.
    radios.record("1001").await.unwrap();
    let mut at_alice = alice.follow();
    alice.client.press_ptt(&group).await.unwrap();
    until(&mut at_alice, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
    let (_, said) = sentence("mc.wav");
    say(&alice, &group, &said).await;
    alice.client.release_ptt(&group).await.unwrap();
    until(&mut at_alice, "idle", |e| {
        matches!(e, ClientEvent::FloorIdle { .. }).then_some(())
    })
    .await;
    let idle = async {
        while status(&lab).await["talkgroups"][0]["state"] != "idle" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, idle).await.unwrap();
    let heard = radios.recording("1001").await.unwrap().unwrap();
    understood(&said, &resample::to_16k(&heard.samples));

    let status = status(&lab).await;
    assert_eq!(status["counters"]["talks_to_mc"], 2);
    assert_eq!(status["counters"]["talks_to_external"], 1);
    assert_eq!(status["refusals"], serde_json::json!({}));
    let audit = lab.state().file("logs", "audit.jsonl");
    let audit: Vec<Value> = std::fs::read_to_string(audit)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<&Value> = audit.iter().map(|record| &record["event"]).collect();
    assert_eq!(events, ["protected", "protected", "opened"]);
    assert_eq!(audit[2]["mc_identity"], "sip:alice@mc.example");
    assert_eq!(audit[2]["gmk_id"], status["talkgroups"][0]["gmk_id"]);
    assert_ne!(
        audit[2]["guk_id"], audit[0]["guk_id"],
        "each talker has its own key"
    );
    alice.stop().await;
}

/// How an MC user's call to whoever has this functional alias comes out.
async fn refused(alice: &Party, alias: &str) -> u16 {
    let mut at_alice = alice.follow();
    let wanted = PrivateCall {
        callee: Callee::FunctionalAlias(alias.to_owned()),
        commencement: Commencement::Automatic,
        implicit_floor: true,
        functional_alias: None,
    };
    let call = alice.client.private_call(wanted).await.unwrap();
    until(&mut at_alice, "refusal", |e| match e {
        ClientEvent::CallRefused {
            call: refused,
            status,
            ..
        } => (*refused == call).then_some(*status),
        _ => None,
    })
    .await
}

/// How a radio's call ends that does not come up.
async fn not_reached(radios: &Radios, unit: &str, to: &str) -> u16 {
    radios.call(unit, to).await.unwrap();
    let ended = async {
        loop {
            let radio = radios.unit(unit).await.unwrap();
            match (radio.call, radio.last_call) {
                (None, Some(end)) => return end.status,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.unwrap()
}

const UNIT_1001: &str = "sip:unit-1001@mc.example";

#[tokio::test]
async fn a_private_call_that_does_not_come_up_says_why_on_both_sides() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let radios = Radios::at(lab.addresses().of(PortName::LmrSim)).unwrap();
    assert_eq!(
        refused(&alice, "sip:unit-4711@mc.example").await,
        404,
        "nobody's"
    );
    radios.tune("1001", None).await.unwrap();
    assert_eq!(refused(&alice, UNIT_1001).await, 480, "off the air");
    radios.tune("1001", Some(1)).await.unwrap();

    // Its user does not want the call.
    radios.answer_manually("1001", true).await.unwrap();
    let ringing = async {
        while radios.unit("1001").await.unwrap().state != "ringing" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        radios.hang_up("1001").await.unwrap();
    };
    let (declined, ()) = tokio::join!(refused(&alice, UNIT_1001), ringing);
    assert_eq!(declined, 480, "declined");

    assert_eq!(
        not_reached(&radios, "1001", "sip:nobody@mc.example").await,
        404
    );
    assert_eq!(
        not_reached(&radios, "1001", "sip:bob@mc.example").await,
        404,
        "bob is off"
    );
    assert_eq!(
        not_reached(&radios, "1001", "sip:9002@lmr").await,
        404,
        "no such number"
    );
    // A unit that is not in the gateway's map.
    assert_eq!(
        not_reached(&radios, "1003", "sip:alice@mc.example").await,
        403
    );
    let status = status(&lab).await;
    assert_eq!(status["refusals"]["unmapped"], 1);
    assert_eq!(status["refusals"]["unknown_mc_user"], 1);
    assert_eq!(status["private_calls"], serde_json::json!([]));
    alice.stop().await;
}

#[tokio::test]
async fn a_talkgroup_nobody_mapped_stays_on_the_radio_side() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let radios = Radios::at(lab.addresses().of(PortName::LmrSim)).unwrap();
    let (before, gateway) = (kept(&lab).await, status(&lab).await);

    // Talkgroup 2 is on the air and in no map: its radios hear each other, nobody else hears them.
    let mut at_alice = alice.follow();
    radios.tune("1001", Some(2)).await.unwrap();
    radios.record("1001").await.unwrap();
    let (wav, said) = sentence("lmr.wav");
    let talk = radios.talk("1003", wav.clone()).await.unwrap();
    assert_eq!(radios.until_ended(talk.id).await.unwrap().state, "done");
    let heard = radios.recording("1001").await.unwrap().unwrap();
    assert!(heard.samples.len() * 3 > said.len(), "it was on the air");

    // Nor is it a party that a mapped radio's user can call.
    radios.tune("1001", Some(1)).await.unwrap();
    let to_it = not_reached(&radios, "1001", "sip:chan2@lmr").await;
    assert_eq!(to_it, 404);
    logged(&lab, "segy", "chan2").await;
    assert_eq!(kept(&lab).await, before);
    let after = status(&lab).await;
    assert_eq!(after["talkgroups"], gateway["talkgroups"]);
    assert_eq!(after["counters"]["talks_to_mc"], 0);
    assert_eq!(after["refusals"]["unknown_mc_user"], 1);

    // The first thing alice hears is the mapped talkgroup.
    radios.talk("1001", wav).await.unwrap();
    let (_, alias, samples) = listen(&mut at_alice).await;
    assert_eq!(alias.as_deref(), Some(UNIT_1001));
    understood(&said, &samples);
    alice.stop().await;
}
