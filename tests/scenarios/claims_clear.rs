//! Clear media where a group's policy demands protection (TS 33.180 L.5.2): the gateway takes nothing
//! that is not protected, whoever sends it, and nothing of it reaches the radios.

use std::sync::Arc;

use lab::gateway::Gateway;
use lab::site::Approach;
use mc_trace::{Event, Protocol};
use serde_json::Value;

use crate::folder::Folder;
use crate::peer::Peer;
use crate::refusals_media::{Floor, is_granted, packet, talker};
use crate::support::{PATIENCE, events, start_site_in, until_all_of, until_traced};

macro_rules! claim {
    ($($test:ident: $approach:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            clear_media_is_refused(Approach::$approach).await;
        }
    )*};
}

claim! {
    a_gateway_takes_no_clear_media_7_1: SingleClient;
    a_gateway_takes_no_clear_media_7_2: ClientPerUser;
    a_gateway_takes_no_clear_media_7_3: MigratedClients;
    a_gateway_takes_no_clear_media_7_4: ExternalDomain;
    a_gateway_takes_no_clear_media_7_5: ExternalDomainSingleUser;
}

async fn clear_media_is_refused(approach: Approach) {
    let folder = Folder::new(approach, "clear-is-refused");
    let lab = start_site_in(&folder.lab(), approach).await;
    let site = approach.site();
    let gateway = Gateway::of(&lab, site.gateway());
    gateway.until_ready(PATIENCE).await;
    let bob = Peer::affiliated(&lab, "bob", &[site.group]).await;
    let (mut floor, mut sender) = (Floor::new(&bob), talker(&lab, &bob, site.group).await);
    let call = bob.call(site.group, true).await;
    until_all_of(&lab, site.group).await;
    floor.until(&call.floor, is_granted).await;

    // RTP as a system without MC security sends it; bob has the floor, so the server passes it on.
    for n in 0..10 {
        let sent = call.audio.send_to(&clear(n), call.remote.audio).await;
        sent.unwrap();
    }
    let node = Arc::new(site.gateway().name.to_owned());
    let at = node.clone();
    let refused = move |e: &Event| e.node == *at && e.name == "media:refused";
    until_traced(&lab, "refusals of clear speech", 10, refused).await;
    assert_eq!(opened(&lab, site.approach), 0);
    let on_air = |e: &Event| e.node == *node && e.name == "lmr:media_sent";
    let said = events(&lab)
        .into_iter()
        .filter(|e| on_air(e) && is_speech(e));
    assert_eq!(said.count(), 0, "on the air");

    // The same talker as the group's policy wants it.
    let at = node.clone();
    for n in 0..10 {
        let octets = packet(&mut sender, n * 320);
        call.audio
            .send_to(&octets, call.remote.audio)
            .await
            .unwrap();
    }
    let taken = move |e: &Event| e.node == *at && e.name == "media:received";
    until_traced(&lab, "protected speech", 10, taken).await;
    bob.hang_up(call).await;
}

/// A packet in clear: AMR-WB, octet-aligned, 23.85 kbit/s.
fn clear(n: u32) -> Vec<u8> {
    let mut octets = vec![0x80, 96];
    octets.extend(u16::try_from(n).unwrap().to_be_bytes());
    octets.extend((n * 320).to_be_bytes());
    octets.extend(0x0102_0304_u32.to_be_bytes());
    octets.extend([0xf0, 0x44]);
    octets.resize(12 + 62, 0x55);
    octets
}

/// Terminations of protection in the gateway's audit log.
fn opened(lab: &lab::supervisor::Lab, approach: &str) -> usize {
    let name = match approach {
        "7.1" => "audit.jsonl".to_owned(),
        approach => format!("audit-{approach}.jsonl"),
    };
    let text = std::fs::read_to_string(lab.state().file("logs", &name)).unwrap();
    let records = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["event"] == "opened").count()
}

/// Whether a packet to the radios holds anything but silence (G.711).
fn is_speech(event: &Event) -> bool {
    let payload = event.raw.get(12..).unwrap_or_default();
    event.protocol == Protocol::Rtp && payload.iter().any(|octet| !matches!(octet, 0xd5 | 0xff))
}
