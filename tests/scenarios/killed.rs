//! A service dies without warning (SIGKILL) while somebody speaks in a group call: what does not
//! depend on it goes on unhurt, it is said what is lost, nothing goes in clear, everybody heals within
//! five seconds of its return, and the next to speak is heard.

use std::collections::BTreeSet;
use std::time::Duration;

use lab::health::Health;
use lab::parties::{Heard, Party};
use lab::site::{Approach, Site};
use lab::supervisor::Lab;
use mc_audio::resample;
use mc_client::{CallId, ClientEvent};
use mc_ids::GroupId;
use mc_trace::{KeyKind, Protocol};
use serde_json::Value;
use testkit::libsrtp;
use testkit::recording::Recording;
use tokio::sync::broadcast::Receiver;

use crate::claims_stage::{Stage, granted};
use crate::gateway::{listen, say, sentence, understood};
use crate::restarts::{Crash, acknowledged, until_healed};
use crate::support::{PATIENCE, until, until_all_of};

/// Frames of speech after which a service dies: in the middle of the first words.
const INTO_SPEECH: usize = 40;

macro_rules! killed {
    ($($test:ident: $approach:ident, $story:ident ($service:expr);)*) => {$(
        // Two MC clients code and decode speech in this process.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            let dir = tempfile::tempdir().unwrap();
            let mut stage = Stage::up(&dir.path().join("lab"), Approach::$approach).await;
            // Users that are made on the air are there, and everybody's call was up once.
            stage.radio_talks(stage.site.units[0]).await;
            let service: fn(&Site) -> &'static str = $service;
            let service = service(stage.site);
            $story(&mut stage, service).await;
            nothing_was_clear(&stage.down().await);
        }
    )*};
}

killed! {
    the_idms_7_1: SingleClient, speech_goes_on_without (|_| "idms");
    the_kms_7_1: SingleClient, speech_goes_on_without (|_| "kms");
    the_gms_7_1: SingleClient, speech_goes_on_without (|_| "gms");
    the_gms_7_3: MigratedClients, speech_goes_on_without (|_| "gms");
    the_mcptt_server_7_1: SingleClient, call_ends_with (|_| "mcptt-server");
    the_mcptt_server_7_3: MigratedClients, call_ends_with (|_| "mcptt-server");
    the_mcptt_server_7_4: ExternalDomain, call_ends_with (|_| "mcptt-server");
    the_gateway_7_1: SingleClient, radios_are_lost_with (gateway);
    the_gateway_7_3: MigratedClients, radios_are_lost_with (gateway);
    the_gateway_7_4: ExternalDomain, radios_are_lost_with (gateway);
    the_radio_network_7_1: SingleClient, radios_are_lost_with (radios);
    the_gateway_as_a_radio_talks_7_1: SingleClient, talker_is_lost_with (gateway);
    the_gateway_as_a_radio_talks_7_3: MigratedClients, talker_is_lost_with (gateway);
    the_radio_network_as_a_radio_talks_7_1: SingleClient, talker_is_lost_with (radios);
}

fn gateway(site: &Site) -> &'static str {
    site.gateway().name
}

fn radios(site: &Site) -> &'static str {
    site.radios().name
}

/// Alice speaks, bob and a radio listen; the service has no part in it.
async fn speech_goes_on_without(stage: &mut Stage, service: &str) {
    let before = acknowledged(&stage.lab).await;
    stage.radios.record(stage.site.units[0]).await.unwrap();
    let (said, heard) = alice_speaks_as_it_dies(stage, service, &before).await;
    understood(&said, &heard);
    let on_air = stage.radios.recording(stage.site.units[0]).await.unwrap();
    understood(&said, &resample::to_16k(&on_air.unwrap().samples));
    stage.radio_talks(stage.site.units[0]).await;
}

/// Alice speaks by way of the service, and is told when that is over.
async fn call_ends_with(stage: &mut Stage, service: &str) {
    let before = acknowledged(&stage.lab).await;
    let group: GroupId = stage.site.group.parse().unwrap();
    let gateway = stage.site.gateway().name;
    alice_begins(stage, &group).await;
    let (mut at_alice, mut at_bob) = (stage.alice.follow(), stage.bob.follow());
    let Stage { lab, alice, .. } = &mut *stage;
    let (_, said) = sentence("mc.wav");
    let crash = async {
        speech_at(&mut at_bob, INTO_SPEECH).await;
        lab.crash(service).unwrap();
    };
    let speech = speak_until_lost(alice, &group, &said);
    tokio::join!(crash, speech);
    for at in [&mut at_alice, &mut at_bob] {
        until(at, "release", |e| {
            matches!(e, ClientEvent::Released { .. }).then_some(())
        })
        .await;
        until(at, "loss", |e| {
            matches!(e, ClientEvent::Disconnected { .. }).then_some(())
        })
        .await;
    }
    says_what_is_lost(lab, service, (gateway, "mc")).await;
    let crash = Crash::healing(service, &before);
    lab.restart(service).await.unwrap();
    heal(stage, &crash).await;
    stage.radio_talks(stage.site.units[0]).await;
    alice_is_heard_by_radio(stage).await;
}

/// Alice speaks to bob and to radios; only the radios lose her, and have her back in the same call.
async fn radios_are_lost_with(stage: &mut Stage, service: &str) {
    let before = acknowledged(&stage.lab).await;
    let (said, heard) = alice_speaks_as_it_dies(stage, service, &before).await;
    understood(&said, &heard);
    alice_is_heard_by_radio(stage).await;
    stage.radio_talks(stage.site.units[0]).await;
}

/// A radio speaks; bob is told that it has ended, and hears the next one.
async fn talker_is_lost_with(stage: &mut Stage, service: &str) {
    let before = acknowledged(&stage.lab).await;
    let mut at_bob = stage.bob.follow();
    let (wav, _) = sentence("lmr.wav");
    let cut_off = stage.radios.talk(stage.site.units[0], wav).await.unwrap();
    speech_at(&mut at_bob, INTO_SPEECH).await;
    stage.lab.crash(service).unwrap();
    // The floor is free when no speech comes any more (TS 24.380 T1).
    until(&mut at_bob, "end of speech", |e| {
        matches!(
            e,
            ClientEvent::FloorIdle { .. } | ClientEvent::Released { .. }
        )
        .then_some(())
    })
    .await;
    let crash = Crash::healing(service, &before);
    stage.lab.restart(service).await.unwrap();
    heal(stage, &crash).await;
    if service != stage.site.radios().name {
        // On the air he talks on, and a gateway that is back takes him up where he is.
        stage.radios.until_ended(cut_off.id).await.unwrap();
        until_bridge(stage, "state", "idle").await;
    }
    stage.radio_talks(stage.site.units[1]).await;
    alice_is_heard_by_radio(stage).await;
}

async fn heal(stage: &Stage, crash: &Crash<'_>) {
    until_healed(&stage.lab, stage.site, [&stage.alice, &stage.bob], crash).await;
}

/// Alice has the floor of a call that everybody is in.
async fn alice_begins(stage: &Stage, group: &GroupId) {
    let mut at_alice = stage.alice.follow();
    let client = &stage.alice.client;
    match stage.alice.steps().in_call(&CallId::from(group)) {
        true => client.press_ptt(group).await.unwrap(),
        false => client.group_call(group, true).await.unwrap(),
    }
    granted(&mut at_alice).await;
    until_all_of(&stage.lab, group.as_str()).await;
}

/// What alice said and bob heard, while the service was killed and came back.
async fn alice_speaks_as_it_dies(
    stage: &mut Stage,
    service: &str,
    before: &Value,
) -> (Vec<i16>, Vec<i16>) {
    let group: GroupId = stage.site.group.parse().unwrap();
    let (mut heard, mut at_bob) = (stage.bob.follow(), stage.bob.follow());
    alice_begins(stage, &group).await;
    let noticed = match service {
        radios if radios == stage.site.radios().name => (stage.site.gateway().name, "talkgroup"),
        _ => (service, ""),
    };
    let (_, said) = sentence("mc.wav");
    let Stage {
        lab,
        site,
        alice,
        bob,
        ..
    } = &mut *stage;
    let crash = async {
        speech_at(&mut at_bob, INTO_SPEECH).await;
        lab.crash(service).unwrap();
        says_what_is_lost(lab, service, noticed).await;
        let crash = Crash::healing(service, before);
        lab.restart(service).await.unwrap();
        until_healed(lab, site, [&*alice, bob], &crash).await;
    };
    let speech = async {
        say(alice, &group, &said).await;
        alice.client.release_ptt(&group).await.unwrap();
    };
    let ((), (), (_, _, samples)) = tokio::join!(crash, speech, listen(&mut heard));
    (said, samples)
}

/// Speaks until the call is gone.
async fn speak_until_lost(alice: &Party, group: &GroupId, said: &[i16]) {
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    for frame in said.as_chunks::<320>().0 {
        clock.tick().await;
        if alice
            .client
            .send_speech(group, frame.to_vec())
            .await
            .is_err()
        {
            return;
        }
    }
    panic!("nobody told alice that the call is over");
}

/// Alice speaks, and a radio understands her.
async fn alice_is_heard_by_radio(stage: &Stage) {
    let group: GroupId = stage.site.group.parse().unwrap();
    let mut heard = stage.bob.follow();
    let unit = stage.site.units[0];
    stage.radios.record(unit).await.unwrap();
    alice_begins(stage, &group).await;
    // The server counts a gateway that was killed as there until it has asked it.
    until_bridge(stage, "call", "up").await;
    let (_, said) = sentence("mc.wav");
    let speech = async {
        say(&stage.alice, &group, &said).await;
        stage.alice.client.release_ptt(&group).await.unwrap();
    };
    let ((), (_, _, samples)) = tokio::join!(speech, listen(&mut heard));
    understood(&said, &samples);
    until_bridge(stage, "state", "idle").await;
    let on_air = stage.radios.recording(unit).await.unwrap();
    understood(&said, &resample::to_16k(&on_air.unwrap().samples));
}

/// Waits until the gateway says this of the call or the talker of its first talkgroup.
async fn until_bridge(stage: &Stage, what: &str, wanted: &str) {
    let there = async {
        while stage.status().await["talkgroups"][0][what] != wanted {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, there).await.is_err() {
        panic!("{what} is not {wanted}: {:#}", stage.status().await);
    }
}

async fn speech_at(at: &mut Receiver<Heard>, frames: usize) {
    for _ in 0..frames {
        until(at, "speech", |e| {
            matches!(e, ClientEvent::Speech(_)).then_some(())
        })
        .await;
    }
}

/// The console asks for the health of all services: it shows who is gone, and who waits for what.
async fn says_what_is_lost(lab: &Lab, service: &str, (waits, what): (&str, &str)) {
    let shown = |health: &[Health]| {
        let of = |name: &str| health.iter().find(|one| one.service == name).unwrap();
        let waits_for = of(waits).waits_for.iter().any(|one| one.contains(what));
        of(service).status == "unreachable" && (waits == service || waits_for)
    };
    let said = async {
        while !shown(&lab.health().await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, said).await.is_err() {
        panic!("{:#?}", lab.health().await);
    }
}

/// Every packet of speech on the MC side bears the MKI of a group's key, and opens with that key in
/// libsrtp; radio speech has neither.
fn nothing_was_clear(run: &Recording) {
    let opened = libsrtp::check_media(run).unwrap();
    assert!(opened.media > 20, "{opened:?}");
    let gmks = run.keys.iter().filter(|key| key.kind == KeyKind::Gmk);
    let gmks: BTreeSet<String> = gmks.map(|key| key.key_id.clone()).collect();
    let speech = run.of(Protocol::Rtp);
    for event in speech.filter(|event| !event.name.starts_with("lmr:")) {
        // GMK-ID and GUK-ID, then the roll-over counter (TS 33.180 7.5, RFC 4771).
        let mki = event.raw.len().checked_sub(12).unwrap();
        let gmk_id = hex::encode(&event.raw[mki..mki + 4]);
        assert!(gmks.contains(&gmk_id), "{event:?}");
    }
}
