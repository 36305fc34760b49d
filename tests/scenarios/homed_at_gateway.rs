//! A group of the gateway's domain (TR 33.880 7.8.4.3, step 4): documents and GMKs are its GMS's, users of
//! the primary domain are members, and the primary domain's MCPTT server controls the calls.

use lab::gateway::Gateway;
use lab::parties::{Party, client_config, partner_config};
use lab::radios::Radios;
use lab::site::Approach;
use lab::topology::Domain::Gateway as Behind;
use lab::topology::PortName;
use mc_audio::resample;
use mc_client::{ClientEvent, OtherGms};
use mc_ids::GroupId;
use mc_runtime::auth::SCOPE_GMS;
use testkit::tshark;

use crate::gateway::{listen, say, sentence, understood};
use crate::support::{PATIENCE, recording, start_site_in, until};

const HOMED: &str = "sip:talkgroup-4@segy.example";
const UNIT: &str = "4002";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_radio_and_an_mc_user_hear_each_other_in_a_group_of_the_gateways_domain() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start_site_in(&dir.path().join("lab"), Approach::ExternalDomain).await;
    let site = Approach::ExternalDomain.site();
    let mut config = client_config(&lab, "alice", &[site.group, HOMED]).unwrap();
    config.gms.others = vec![OtherGms {
        uri: "sip:gms@segy.example".to_owned(),
        xcap_root: format!("https://{}", lab.addresses().of(PortName::SegyGms)),
        partner: Some(partner_config(&lab, Behind, &[SCOPE_GMS])),
    }];
    let alice = Party::start_as(&lab, config).await.unwrap();
    alice.until_ready(PATIENCE).await.unwrap();
    let gateway = Gateway::of(&lab, site.gateway());
    gateway.until_ready(PATIENCE).await;
    assert!(gateway.steps().await.failure().is_none());
    let radios = Radios::at(lab.addresses().of(site.radios().health)).unwrap();
    radios.tune(UNIT, Some(2)).await.unwrap();
    let group: GroupId = HOMED.parse().unwrap();

    let mut at_alice = alice.follow();
    let (wav, said) = sentence("lmr.wav");
    let talk = radios.talk(UNIT, wav).await.unwrap();
    let (talker, alias, heard) = listen(&mut at_alice).await;
    assert_eq!(radios.until_ended(talk.id).await.unwrap().state, "done");
    assert_eq!(talker.as_deref(), Some("sip:unit-4002@segy.example"));
    assert_eq!(alias, None);
    understood(&said, &heard);

    radios.record(UNIT).await.unwrap();
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
    // What waits in jitter buffers is played out.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let heard = radios.recording(UNIT).await.unwrap().unwrap();
    understood(&said, &resample::to_16k(&heard.samples));
    alice.stop().await;

    // The group's keys come from the gateway's KMS domain, for Alice under her own KMS.
    let mikey = tshark::check_mikey(&recording(lab)).unwrap();
    let homed: Vec<_> = mikey
        .iter()
        .filter(|seen| seen.identities[0] == "sip:gms@segy.example")
        .collect();
    let mut receivers: Vec<_> = homed
        .iter()
        .map(|seen| {
            (
                seen.identities[1].as_str(),
                seen.identities[2].as_str(),
                seen.identities[3].as_str(),
            )
        })
        .collect();
    receivers.sort_unstable();
    receivers.dedup();
    let (own, host) = ("kms.segy.example", "kms.mc.example");
    let wanted = [
        ("sip:alice@mc.example", own, host),
        ("sip:unit-4001@segy.example", own, own),
        ("sip:unit-4002@segy.example", own, own),
    ];
    assert_eq!(receivers, wanted);
}
