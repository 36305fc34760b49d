//! The 20 calls: each approach (TR 33.880 7.8), group and private, radio to MC and back, with real
//! speech. Each leaves a [`Folder`], with its row of the table as `row.json`.

use std::fs;
use std::path::Path;

use lab::demo::{Runner, Verdict};
use lab::site::Approach;
use lab::speech::Speech;
use mc_trace::Event;
use testkit::recording::Recording;
use testkit::{libsrtp, tshark};

use crate::folder::Folder;
use crate::support::start_site_in;

macro_rules! calls {
    ($($approach:ident: $identity:literal, [$($test:ident = $call:literal),*];)*) => {$($(
        // Both MC clients code and decode speech in this process.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            crosses(Approach::$approach, $call, $identity).await;
        }
    )*)*};
}

// Each approach with the identity that stands for the radio in private calls.
calls! {
    SingleClient: "sip:segy@mc.example", [
        group_lmr_to_mc_7_1 = "group-lmr-to-mc",
        group_mc_to_lmr_7_1 = "group-mc-to-lmr",
        private_lmr_to_mc_7_1 = "private-lmr-to-mc",
        private_mc_to_lmr_7_1 = "private-mc-to-lmr"
    ];
    ClientPerUser: "sip:unit-2001@mc.example", [
        group_lmr_to_mc_7_2 = "group-lmr-to-mc",
        group_mc_to_lmr_7_2 = "group-mc-to-lmr",
        private_lmr_to_mc_7_2 = "private-lmr-to-mc",
        private_mc_to_lmr_7_2 = "private-mc-to-lmr"
    ];
    MigratedClients: "sip:unit-3001@mc.example", [
        group_lmr_to_mc_7_3 = "group-lmr-to-mc",
        group_mc_to_lmr_7_3 = "group-mc-to-lmr",
        private_lmr_to_mc_7_3 = "private-lmr-to-mc",
        private_mc_to_lmr_7_3 = "private-mc-to-lmr"
    ];
    ExternalDomain: "sip:unit-4001@segy.example", [
        group_lmr_to_mc_7_4 = "group-lmr-to-mc",
        group_mc_to_lmr_7_4 = "group-mc-to-lmr",
        private_lmr_to_mc_7_4 = "private-lmr-to-mc",
        private_mc_to_lmr_7_4 = "private-mc-to-lmr"
    ];
    ExternalDomainSingleUser: "sip:segy@segy.example", [
        group_lmr_to_mc_7_5 = "group-lmr-to-mc",
        group_mc_to_lmr_7_5 = "group-mc-to-lmr",
        private_lmr_to_mc_7_5 = "private-lmr-to-mc",
        private_mc_to_lmr_7_5 = "private-mc-to-lmr"
    ];
}

async fn crosses(approach: Approach, call: &str, identity: &str) {
    let folder = Folder::new(approach, call);
    let lab = start_site_in(&folder.lab(), approach).await;
    let speech = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/speech"));
    let runner = Runner::start(lab, Speech::load(speech).unwrap(), |_| ())
        .await
        .unwrap();
    let row = runner.run(approach.site().approach, call).await.unwrap();
    drop(runner.stop().await);
    let told = serde_json::to_vec_pretty(&row).unwrap();
    fs::write(folder.path().join("row.json"), told).unwrap();
    let run = folder.keep().unwrap();
    assert_eq!(row.verdict, Verdict::Pass, "{row:?}");
    tshark::check_floor(&run).unwrap();
    libsrtp::check_media(&run).unwrap();
    if call.starts_with("private") {
        pck_is_of(&run, call, identity);
    }
}

/// What the MCPTT server got: a client that starts before it sends into the void first.
pub(crate) fn arrived(run: &Recording) -> Recording {
    let at_server = |event: &&Event| event.node == "mcptt-server" && event.name == "sip:received";
    Recording {
        events: run.events.iter().filter(at_server).cloned().collect(),
        keys: Vec::new(),
    }
}

/// The PCK is made by and for the identity that stands for the radio, and under the KMSs of both.
fn pck_is_of(run: &Recording, call: &str, identity: &str) {
    let parties = match call {
        "private-lmr-to-mc" => [identity, "sip:bob@mc.example"],
        _ => ["sip:alice@mc.example", identity],
    };
    let kms = parties.map(|party| format!("kms.{}", mc_ids::domain_of(party)));
    let mikey = tshark::check_mikey(&arrived(run)).unwrap();
    let seen = mikey.iter().find(|seen| seen.carrier == "INVITE").unwrap();
    assert_eq!(
        seen.identities.get(..2),
        Some(&parties.map(String::from)[..])
    );
    assert_eq!(seen.identities.get(2..4), Some(&kms[..]));
}
