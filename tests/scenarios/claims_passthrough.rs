//! Pass-through (TS 33.180 L.5.2): where a group's document writes protection off, the gateway applies
//! none and says so; every other group of the same system stays protected.

use std::collections::BTreeSet;
use std::path::Path;

use lab::demo::{Runner, Verdict};
use lab::parties::{Heard, Party, now_us};
use lab::site::{Approach, Site};
use lab::speech::Speech;
use lab::state::StateDir;
use lab::supervisor::{Lab, Setup};
use lab::topology::{Addresses, Domain};
use mc_client::{CallId, ClientEvent};
use mc_ids::GroupId;
use mc_runtime::auth::SCOPE_GMS;
use mc_sip::name;
use mc_sip::sdp::{FloorParameters, McpttMedia};
use mc_trace::pcapng::{Capture, View};
use mc_trace::{Event, Protocol};
use mc_xml::group::GroupDocument;
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use serde_json::Value;
use testkit::recording::Recording;
use testkit::tshark::Tshark;
use testkit::{libsrtp, tshark};
use tokio::sync::broadcast::Receiver;

use crate::claims_stage::{ALICE, BOB, COMMAND, Stage, granted, hears, speak};
use crate::folder::Folder;
use crate::peer::{Peer, https};
use crate::refusals_tokens::{claims, document_url, issuer_key};
use crate::support::{
    GROUP, PATIENCE, binaries, events, recording, until, until_affiliated, until_no_call,
};

/// What the gateway says of such a call.
const BYPASSED: &str = "protection bypassed: group policy";

macro_rules! claim {
    ($($test:ident: $approach:ident;)*) => {$(
        // Both MC clients code and decode speech in this process.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            passes_through(Approach::$approach).await;
        }
    )*};
}

claim! {
    a_group_without_protection_passes_through_7_1: SingleClient;
    a_group_without_protection_passes_through_7_2: ClientPerUser;
    a_group_without_protection_passes_through_7_3: MigratedClients;
    a_group_without_protection_passes_through_7_4: ExternalDomain;
    a_group_without_protection_passes_through_7_5: ExternalDomainSingleUser;
}

async fn passes_through(approach: Approach) {
    let folder = Folder::new(approach, "passes-through");
    let site = approach.site();
    let lab = start(
        &folder.lab(),
        approach.site().domains(),
        &[approach],
        site.group,
    )
    .await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let runner = Runner::start(
        lab,
        Speech::load(&root.join("target/speech")).unwrap(),
        |_| (),
    )
    .await
    .unwrap();
    for call in ["group-lmr-to-mc", "group-mc-to-lmr"] {
        let row = runner.run(site.approach, call).await.unwrap();
        // Real speech arrives, and the call is not counted as a protected one.
        assert_eq!(
            (row.verdict, row.detail.as_str()),
            (Verdict::Pass, BYPASSED),
            "{row:?}"
        );
        assert!(!row.steps.contains_key("C"), "{row:?}");
    }
    let lab = runner.stop().await;

    // The same users in a protected group of the same system.
    let stage = Stage::in_lab(lab, approach).await;
    for user in [ALICE, BOB] {
        until_affiliated(&stage.lab, user, 2).await;
    }
    the_gateway_says_so(&stage).await;
    let protected_from = now_us();
    let mut at_bob = stage.bob.follow();
    stage.alice_talks(COMMAND, None).await;
    assert!(call_is_protected(&mut at_bob, COMMAND).await);
    let run = stage.down().await;
    let (clear, protected) = halves(&run, protected_from);
    speech_is_in_clear(&clear);
    floor_control_is_in_clear(&clear);
    nobody_has_a_key_of(&run, site);
    for packet in packets(&protected, Protocol::Rtp, "media:received") {
        assert!(
            packet.node == "mcptt-server" || packet.clear != packet.raw,
            "{packet:?}"
        );
    }
    let opened = libsrtp::check_media(&protected).unwrap();
    assert!(opened.media >= 10 && opened.floor >= 4, "{opened:?}");
}

/// What the next call of a group says of its protection.
async fn call_is_protected(at: &mut Receiver<Heard>, group: &str) -> bool {
    let wanted = CallId::from(group.parse::<GroupId>().unwrap());
    until(at, "call", |e| match e {
        ClientEvent::CallStarted {
            call, protected, ..
        } => (*call == wanted).then_some(*protected),
        _ => None,
    })
    .await
}

/// A lab in which a group is made without protection.
async fn start(dir: &Path, domains: &[Domain], approaches: &[Approach], group: &str) -> Lab {
    let setup = Setup {
        addresses: Addresses::free().unwrap(),
        lab_keys: true,
        domains: domains.to_vec(),
        approaches: approaches.to_vec(),
        integrated: false,
    };
    let state = StateDir::open(dir).unwrap();
    let configuration = state.configuration("gms");
    let write_off = |service: &str| {
        if service == "gms" {
            unprotected(&configuration, group);
        }
    };
    Lab::start(state, setup, &binaries(), write_off)
        .await
        .unwrap()
}

/// Has the GMS make a group without protection of media and floor control.
fn unprotected(configuration: &Path, group: &str) {
    let text = std::fs::read_to_string(configuration).unwrap();
    let seed = format!("uri = \"{group}\"\n");
    let off = ["protect-media", "protect-floor-control-signalling"];
    let off = off.map(|name| format!("{name} = \"false\""));
    let with = format!("{seed}settings = {{ {} }}\n", off.join(", "));
    assert_eq!(text.matches(&seed).count(), 1);
    std::fs::write(configuration, text.replace(&seed, &with)).unwrap();
}

/// Status, trace and audit log.
async fn the_gateway_says_so(stage: &Stage) {
    let status = stage.status().await;
    let talkgroups = status["talkgroups"].as_array().unwrap();
    let ours = talkgroups
        .iter()
        .find(|t| t["group"] == stage.site.group)
        .unwrap();
    assert_eq!(ours["protection"], "bypassed", "{ours}");
    assert_eq!(
        (&ours["gmk_id"], &ours["guk_id"]),
        (&Value::Null, &Value::Null)
    );
    let identities = status["identities"].as_object().unwrap().values();
    let steps: Vec<&Value> = identities
        .map(|i| &i["steps"]["C"])
        .filter(|c| !c.is_null())
        .collect();
    assert!(!steps.is_empty(), "{status}");
    for step in steps {
        assert_eq!(
            (&step["state"], &step["detail"]),
            (&"bypassed".into(), &BYPASSED.into())
        );
    }
    let node = stage.site.gateway().name;
    let said = |e: &Event| e.node == node && e.name == "segy:bypassed";
    let said: Vec<Event> = events(&stage.lab).into_iter().filter(said).collect();
    assert!(
        !said.is_empty() && said.iter().all(|e| e.summary.ends_with(BYPASSED)),
        "{said:?}"
    );
    let audit = stage.audit();
    assert!(
        audit
            .iter()
            .all(|record| record["event"] == "passed_through"),
        "{audit:#?}"
    );
    let both_ways = ["mc_identity", "external_identity"];
    for side in both_ways {
        assert!(
            audit.iter().any(|record| !record[side].is_null()),
            "{side}: {audit:#?}"
        );
    }
    assert!(
        audit
            .iter()
            .all(|record| record["reason"] == BYPASSED && record["gmk_id"].is_null())
    );
}

/// What happened before and after a moment.
fn halves(run: &Recording, at_us: u64) -> (Recording, Recording) {
    let first = run.events.partition_point(|event| event.time_us < at_us);
    let (clear, protected) = run.events.split_at(first);
    let of = |events: &[Event]| Recording {
        events: events.to_vec(),
        keys: run.keys.clone(),
    };
    (of(clear), of(protected))
}

/// Packets of the MC side whose events are named like this; none was refused.
fn packets<'r>(run: &'r Recording, protocol: Protocol, named: &str) -> Vec<&'r Event> {
    let all = run.of(protocol).filter(|e| e.name.starts_with(named));
    let all: Vec<&Event> = all.collect();
    assert!(!all.is_empty());
    let refused = all.iter().filter(|e| e.name.ends_with("refused"));
    assert_eq!(refused.count(), 0);
    all
}

/// The packets as they were on the wire, for tshark to read as `protocol`, and how many. A client's own
/// events have one end only; the server's have both.
fn on_the_wire(packets: &[&Event], protocol: &str) -> (Tshark, usize) {
    let mut capture = Capture::new(View::Wire);
    let shown: Vec<&&Event> = packets.iter().filter(|e| capture.event(e)).collect();
    assert!(shown.len() >= 4, "{} of {}", shown.len(), packets.len());
    let ends = shown.iter().flat_map(|e| [e.from.addr, e.to.addr]);
    let ports: BTreeSet<u16> = ends.flatten().map(|end| end.port()).collect();
    let tshark = Tshark::of(&capture.take()).unwrap();
    let rules = ports
        .iter()
        .map(|port| format!("udp.port=={port},{protocol}"));
    (rules.fold(tshark, Tshark::decode_as), shown.len())
}

/// Every packet is RTP with one frame of AMR-WB at 23.85 kbit/s and nothing behind it.
fn speech_is_in_clear(run: &Recording) {
    let packets = packets(run, Protocol::Rtp, "media:");
    let (tshark, count) = on_the_wire(&packets, "rtp");
    let tshark = tshark
        .decode_as("rtp.pt==96,amr")
        .prefer("amr.mode:Wideband AMR");
    tshark.no_faults("frame").unwrap();
    let filter = "rtp.version == 2 && amr.wb.toc.ft == 8 && !amr.superfluous_data";
    let rows = tshark.fields(filter, &["rtp.p_type", "amr.toc.q"]).unwrap();
    assert_eq!(rows.len(), count);
    assert!(rows.iter().all(|row| row[0] == "96"), "{rows:?}");
}

/// Every message of floor control is an MCPT packet of RTCP as it is on the wire.
fn floor_control_is_in_clear(run: &Recording) {
    let packets = packets(run, Protocol::Rtcp, "floor:");
    let (tshark, count) = on_the_wire(&packets, "rtcp");
    tshark.no_faults("frame").unwrap();
    let rows = tshark
        .fields("rtcp.app.name == \"MCPT\"", &["rtcp.app.subtype"])
        .unwrap();
    assert_eq!(rows.len(), count);
}

/// No GMK was made for the group, so no I_MESSAGE brought one: those of the GMS bring alice and bob the
/// key of the protected group.
fn nobody_has_a_key_of(run: &Recording, site: &Site) {
    let about = |e: &&Event| e.name.starts_with("gms:gmk") && e.summary.contains(site.group);
    assert_eq!(run.events.iter().filter(about).count(), 0);
    let seen = tshark::check_mikey(run).unwrap();
    let of_gms = |seen: &&tshark::SeenMikey| {
        seen.carrier == "MESSAGE" && seen.identities[0] == "sip:gms@mc.example"
    };
    let messages = seen.iter().filter(of_gms);
    for message in messages {
        let member = message.identities[1].as_str();
        assert!([ALICE, BOB].contains(&member), "{message:?}");
    }
}

/// A group whose document changes: no call goes over from clear to protected, the next one is what the
/// document says, and a caller who wants SRTP in a group without is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_that_becomes_protected_is_from_then_on() {
    let folder = Folder::new(Approach::SingleClient, "becomes-protected");
    let lab = start(&folder.lab(), &[Domain::Primary], &[], GROUP).await;
    let outsider = Peer::affiliated(&lab, "bob", &[GROUP]).await;
    for (offer, why) in [
        (secure_offer("RTP/SAVP", None), "a secure profile"),
        (secure_offer("RTP/AVP", Some("AQAF")), "a key"),
    ] {
        let refused = outsider
            .ask(outsider.invite_with(&offer, outsider.sealed(asks_for(GROUP))))
            .await;
        assert_eq!(refused.status, 488, "{why}");
        let warning = refused.response.headers.get(name::WARNING).unwrap();
        assert!(warning.starts_with("305 "), "{warning}");
    }
    drop(outsider);
    // The server still knows the outsider, who is bob, as a client of his.
    let alice = party(&lab, "alice", 1).await;
    let bob = party(&lab, "bob", 2).await;
    assert!(!a_call(&alice, &bob).await);

    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    protect(&lab, GROUP).await;
    for at in [&mut at_alice, &mut at_bob] {
        until(at, "release", |e| {
            matches!(e, ClientEvent::Released { .. }).then_some(())
        })
        .await;
    }
    until_no_call(&lab).await;
    for at in [&mut at_alice, &mut at_bob] {
        until(at, "key", |e| {
            matches!(e, ClientEvent::KeyReceived { .. }).then_some(())
        })
        .await;
    }
    let protected_from = now_us();
    assert!(a_call(&alice, &bob).await);
    alice.stop().await;
    bob.stop().await;
    let (clear, protected) = halves(&recording(lab), protected_from);
    speech_is_in_clear(&clear);
    floor_control_is_in_clear(&clear);
    let opened = libsrtp::check_media(&protected).unwrap();
    assert!(opened.media >= 10, "{opened:?}");
}

async fn party(lab: &Lab, user: &str, clients: usize) -> Party {
    let party = Party::start(lab, user, &[GROUP]).await.unwrap();
    party.until_ready(PATIENCE).await.unwrap();
    until_affiliated(lab, &format!("sip:{user}@mc.example"), clients).await;
    party
}

/// Alice calls the group and talks, and bob hears it; whether it is protected, as bob is told.
async fn a_call(alice: &Party, bob: &Party) -> bool {
    let group: GroupId = GROUP.parse().unwrap();
    let (mut at_alice, mut at_bob) = (alice.follow(), bob.follow());
    alice.client.group_call(&group, true).await.unwrap();
    let protected = call_is_protected(&mut at_bob, GROUP).await;
    granted(&mut at_alice).await;
    speak(alice, &(&group).into()).await;
    hears(&mut at_bob).await;
    protected
}

fn asks_for(group: &str) -> McpttInfo {
    McpttInfo {
        session_type: Some(SessionType::Prearranged),
        request_uri: Some(Content::uri_value(group)),
        ..McpttInfo::default()
    }
}

fn secure_offer(profile: &str, key: Option<&str>) -> McpttMedia {
    let nowhere = ([127, 0, 0, 1], 9).into();
    McpttMedia {
        protocol: profile.to_owned(),
        key_mgmt: key.map(str::to_owned),
        ..McpttMedia::new(nowhere, Some(nowhere), FloorParameters::default())
    }
}

/// Has an administrator put the group's document with protection.
async fn protect(lab: &Lab, group: &str) {
    let (http, key) = (https(lab), issuer_key(lab).await);
    let admin = claims(lab, "admin", "sip:gms@mc.example", SCOPE_GMS);
    let (admin, url) = (key.sign(&admin).unwrap(), document_url(lab, group));
    let got = http.get(&url).bearer_auth(&admin).send().await.unwrap();
    let mut document = GroupDocument::parse(&got.bytes().await.unwrap()).unwrap();
    document.set("protect-media", None).unwrap();
    let floor = "protect-floor-control-signalling";
    document.set(floor, Some("true")).unwrap();
    let put = http.put(&url).bearer_auth(&admin);
    let put = put.header("content-type", mc_xml::group::MEDIA_TYPE);
    let done = put.body(document.to_xml()).send().await.unwrap();
    assert_eq!(done.status().as_u16(), 200);
}
