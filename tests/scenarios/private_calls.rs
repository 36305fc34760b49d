//! Private calls inside the MC domain (TS 24.379 11.1.1): begun both ways, spoken both ways, refused
//! for every reason a lab's configuration can give.

use std::time::Duration;

use lab::parties::{Heard, Party, client_config, http_config};
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_client::{CallId, Callee, ClientEvent, Commencement, PrivateCall, Rejection, SpeechFrame};
use mc_ids::McServiceId;
use serde_json::{Value, json};
use testkit::{libsrtp, tshark};
use tokio::sync::broadcast::Receiver;

use crate::support::{PATIENCE, ready, recording, start, until};

const DUTY_OFFICER: &str = "sip:duty-officer@mc.example";

fn user(name: &str) -> McServiceId {
    McServiceId::new(format!("sip:{name}@mc.example")).unwrap()
}

fn call_to(callee: Callee, commencement: Commencement) -> PrivateCall {
    PrivateCall {
        callee,
        commencement,
        implicit_floor: true,
        functional_alias: None,
    }
}

fn to_user(name: &str, commencement: Commencement) -> PrivateCall {
    call_to(Callee::User(user(name)), commencement)
}

/// A client without groups; `answers` says that its user answers private calls.
async fn without_groups(lab: &Lab, name: &str, answers: bool) -> Party {
    let mut config = client_config(lab, name, &[]).unwrap();
    config.manual_answer = answers;
    let party = Party::start_as(lab, config).await.unwrap();
    if let Err(steps) = party.until_ready(PATIENCE).await {
        panic!("{name} is not ready: {steps:#?}");
    }
    party
}

struct Offer {
    call: CallId,
    caller: McServiceId,
    functional_alias: Option<String>,
    called_alias: Option<String>,
    automatic: bool,
}

async fn offer(at: &mut Receiver<Heard>) -> Offer {
    until(at, "offer", |e| match e {
        ClientEvent::CallOffered {
            call,
            caller,
            functional_alias,
            called_alias,
            automatic,
        } => Some(Offer {
            call: call.clone(),
            caller: caller.clone(),
            functional_alias: functional_alias.clone(),
            called_alias: called_alias.clone(),
            automatic: *automatic,
        }),
        _ => None,
    })
    .await
}

async fn started(at: &mut Receiver<Heard>, wanted: &CallId) {
    until(at, "call", |e| match e {
        ClientEvent::CallStarted { call, .. } => (call == wanted).then_some(()),
        _ => None,
    })
    .await;
}

async fn released(at: &mut Receiver<Heard>, wanted: &CallId) {
    until(at, "release", |e| match e {
        ClientEvent::Released { call, .. } => (call == wanted).then_some(()),
        _ => None,
    })
    .await;
}

/// Status and warning of the refusal of a call.
async fn refused(at: &mut Receiver<Heard>, wanted: &CallId) -> (u16, Option<u16>) {
    until(at, "refusal", |e| match e {
        ClientEvent::CallRefused {
            call,
            status,
            warning,
            ..
        } => (call == wanted).then_some((*status, *warning)),
        _ => None,
    })
    .await
}

/// Half a second of one party's speech, heard by the other.
async fn speak(from: (&Party, &CallId), to: (&mut Receiver<Heard>, &CallId)) {
    for _ in 0..25 {
        let tone: Vec<i16> = (0..320i16)
            .map(|i| if i % 16 < 8 { 8000 } else { -8000 })
            .collect();
        from.0.client.send_speech(from.1, tone).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let frame: SpeechFrame = until(to.0, "speech", |e| match e {
        ClientEvent::Speech(frame) => Some(frame.clone()),
        _ => None,
    })
    .await;
    assert_eq!((&frame.call, frame.guk_id), (to.1, None));
    assert!(frame.samples.iter().any(|sample| sample.abs() > 1000));
}

async fn granted(at: &mut Receiver<Heard>) {
    until(at, "floor", |e| {
        matches!(e, ClientEvent::FloorGranted { .. }).then_some(())
    })
    .await;
}

/// The calls the server knows.
async fn calls_of_server(lab: &Lab) -> Value {
    let http = mc_runtime::http::client(&http_config(lab)).unwrap();
    let address = lab.addresses().of(PortName::McpttServer);
    let answer = http.get(format!("https://{address}/status")).send().await;
    let status: Value = serde_json::from_str(&answer.unwrap().text().await.unwrap()).unwrap();
    status.get("calls").unwrap().clone()
}

/// Waits until the server has no call; what ended a call may be on its way.
async fn no_call_at_server(lab: &Lab) {
    let gone = async {
        while calls_of_server(lab).await != json!([]) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        panic!("the server keeps {}", calls_of_server(lab).await);
    }
}

#[tokio::test]
async fn a_call_is_answered_at_once_and_both_are_heard() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    let wanted = to_user("bob", Commencement::Automatic);
    let at_caller = alice.client.private_call(wanted).await.unwrap();
    let offered = offer(&mut at_bob).await;
    assert!(offered.automatic);
    assert_eq!(offered.caller, user("alice"));
    started(&mut at_bob, &offered.call).await;
    started(&mut at_alice, &at_caller).await;
    granted(&mut at_alice).await;
    let talker = until(&mut at_bob, "floor taken", |e| match e {
        ClientEvent::FloorTaken { call, talker, .. } => Some((call.clone(), talker.clone())),
        _ => None,
    })
    .await;
    let alice_talks = Some("sip:alice@mc.example".to_owned());
    assert_eq!(talker, (offered.call.clone(), alice_talks));
    speak((&alice, &at_caller), (&mut at_bob, &offered.call)).await;

    alice.client.release_ptt(&at_caller).await.unwrap();
    until(&mut at_bob, "floor idle", |e| {
        matches!(e, ClientEvent::FloorIdle { .. }).then_some(())
    })
    .await;
    bob.client.press_ptt(&offered.call).await.unwrap();
    granted(&mut at_bob).await;
    speak((&bob, &offered.call), (&mut at_alice, &at_caller)).await;
    bob.client.hang_up(&offered.call).await.unwrap();
    released(&mut at_alice, &at_caller).await;
    no_call_at_server(&lab).await;
    alice.stop().await;
    bob.stop().await;

    // The same call, as software of others sees it.
    let run = recording(lab);
    assert!(tshark::check_sip(&run).unwrap() > 20);
    let mikey = tshark::check_mikey(&run).unwrap();
    let pck = mikey.iter().find(|seen| seen.carrier == "INVITE").unwrap();
    assert!(pck.csb_id.starts_with('1'), "PCK-ID {}", pck.csb_id);
    let parties = ["sip:alice@mc.example", "sip:bob@mc.example"];
    assert_eq!(
        pck.identities.get(..2),
        Some(&parties.map(str::to_owned)[..])
    );
    tshark::check_floor(&run).unwrap();
    let opened = libsrtp::check_media(&run).unwrap();
    assert!(opened.media >= 50 && opened.floor >= 6, "{opened:?}");
}

#[tokio::test]
async fn a_user_is_alerted_and_answers_declines_or_is_busy() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let bob = without_groups(&lab, "bob", true).await;
    let carol = without_groups(&lab, "carol", false).await;
    let mut at_carol = carol.follow();
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    // Bob's setting asks for his answer, whatever a caller without the right to force wants.
    for commencement in [Commencement::Manual, Commencement::Automatic] {
        let wanted = to_user("bob", commencement);
        let call = alice.client.private_call(wanted).await.unwrap();
        let offered = offer(&mut at_bob).await;
        assert!(!offered.automatic);
        until(&mut at_alice, "ringing", |e| match e {
            ClientEvent::CallRinging { call: ringing } => (*ringing == call).then_some(()),
            _ => None,
        })
        .await;
        bob.client.accept(&offered.call).await.unwrap();
        started(&mut at_alice, &call).await;
        started(&mut at_bob, &offered.call).await;
        // A busy callee: bob's client takes one private call at a time.
        let second = carol
            .client
            .private_call(to_user("bob", Commencement::Manual));
        let second = second.await.unwrap();
        assert_eq!(refused(&mut at_carol, &second).await, (486, None));
        alice.client.hang_up(&call).await.unwrap();
        released(&mut at_bob, &offered.call).await;
        no_call_at_server(&lab).await;
    }
    let manual = || to_user("bob", Commencement::Manual);

    let call = alice.client.private_call(manual()).await.unwrap();
    let offered = offer(&mut at_bob).await;
    let declined = bob.client.reject(&offered.call, Rejection::Declined);
    declined.await.unwrap();
    assert_eq!(refused(&mut at_alice, &call).await, (480, Some(110)));

    let call = alice.client.private_call(manual()).await.unwrap();
    let offered = offer(&mut at_bob).await;
    alice.client.hang_up(&call).await.unwrap();
    assert_eq!(refused(&mut at_alice, &call).await, (487, None));
    released(&mut at_bob, &offered.call).await;
    no_call_at_server(&lab).await;
    for party in [alice, bob, carol] {
        party.stop().await;
    }
    tshark::check_sip(&recording(lab)).unwrap();
}

#[tokio::test]
async fn a_functional_alias_is_called_and_calls() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let (alice, bob) = (ready(&lab, "alice").await, ready(&lab, "bob").await);
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    let officer = || {
        let callee = Callee::FunctionalAlias(DUTY_OFFICER.to_owned());
        call_to(callee, Commencement::Automatic)
    };
    // Nobody is on duty yet.
    let call = bob.client.private_call(officer()).await.unwrap();
    assert_eq!(refused(&mut at_bob, &call).await, (404, Some(145)));
    // Bob may not be.
    let aliases = || vec![DUTY_OFFICER.to_owned()];
    bob.client.set_functional_aliases(aliases()).await.unwrap();
    let detail = until(&mut at_bob, "refusal", |e| match e {
        ClientEvent::AliasesRefused { detail, .. } => Some(detail.clone()),
        _ => None,
    })
    .await;
    assert!(
        detail.starts_with("403") && detail.contains("201 "),
        "{detail}"
    );
    alice
        .client
        .set_functional_aliases(aliases())
        .await
        .unwrap();
    until(&mut at_alice, "alias", |e| {
        matches!(e, ClientEvent::AliasesActive { .. }).then_some(())
    })
    .await;

    let call = bob.client.private_call(officer()).await.unwrap();
    let offered = offer(&mut at_alice).await;
    assert_eq!(offered.caller, user("bob"));
    assert_eq!(offered.called_alias.as_deref(), Some(DUTY_OFFICER));
    started(&mut at_bob, &call).await;
    granted(&mut at_bob).await;
    speak((&bob, &call), (&mut at_alice, &offered.call)).await;
    bob.client.hang_up(&call).await.unwrap();
    released(&mut at_alice, &offered.call).await;

    let wanted = PrivateCall {
        functional_alias: Some(DUTY_OFFICER.to_owned()),
        ..to_user("bob", Commencement::Automatic)
    };
    let call = alice.client.private_call(wanted.clone()).await.unwrap();
    let offered = offer(&mut at_bob).await;
    assert_eq!(offered.functional_alias.as_deref(), Some(DUTY_OFFICER));
    started(&mut at_alice, &call).await;
    alice.client.hang_up(&call).await.unwrap();
    released(&mut at_bob, &offered.call).await;

    // Off duty again: the alias is neither called nor shown.
    alice
        .client
        .set_functional_aliases(Vec::new())
        .await
        .unwrap();
    until(&mut at_alice, "no alias", |e| match e {
        ClientEvent::AliasesActive { aliases } => aliases.is_empty().then_some(()),
        _ => None,
    })
    .await;
    let call = bob.client.private_call(officer()).await.unwrap();
    assert_eq!(refused(&mut at_bob, &call).await, (404, Some(145)));
    alice.client.private_call(wanted).await.unwrap();
    assert_eq!(offer(&mut at_bob).await.functional_alias, None);
    alice.stop().await;
    bob.stop().await;

    let mikey = tshark::check_mikey(&recording(lab)).unwrap();
    let bobs = mikey.iter().find(|seen| {
        let caller = seen.identities.first();
        seen.carrier == "INVITE" && caller.is_some_and(|uri| uri == "sip:bob@mc.example")
    });
    // The PCK is made for the user, not for the alias.
    let called = bobs.unwrap().identities.get(1);
    assert_eq!(called.map(String::as_str), Some("sip:alice@mc.example"));
}

#[tokio::test]
async fn refusals_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let alice = ready(&lab, "alice").await;
    let carol = without_groups(&lab, "carol", false).await;
    let (mut at_alice, mut at_carol) = (alice.follow(), carol.follow());
    let auto = Commencement::Automatic;
    for (wanted, expected) in [
        (to_user("nobody", auto), (404, None)),
        (to_user("carol", auto), (403, Some(127))),
        (
            to_user("carol", Commencement::ForcedAutomatic),
            (403, Some(143)),
        ),
    ] {
        let call = alice.client.private_call(wanted.clone()).await.unwrap();
        assert_eq!(refused(&mut at_alice, &call).await, expected, "{wanted:?}");
        assert_eq!(calls_of_server(&lab).await, json!([]));
        // The media of the refused call is gone too.
        assert!(alice.client.press_ptt(&call).await.is_err());
    }
    let call = carol
        .client
        .private_call(to_user("alice", auto))
        .await
        .unwrap();
    assert_eq!(refused(&mut at_carol, &call).await, (403, Some(144)));
    let call = carol
        .client
        .private_call(to_user("bob", auto))
        .await
        .unwrap();
    assert_eq!(
        refused(&mut at_carol, &call).await,
        (404, None),
        "bob is off"
    );
    assert_eq!(calls_of_server(&lab).await, json!([]));
    // Nobody was disturbed.
    while let Ok(Heard { event, .. }) = at_alice.try_recv() {
        assert!(
            !matches!(event, ClientEvent::CallOffered { .. }),
            "{event:?}"
        );
    }
    alice.stop().await;
    carol.stop().await;
}
