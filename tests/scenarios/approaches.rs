//! The 20 calls: each approach (TR 33.880 7.8), group and private, radio to MC and back, with real
//! speech. Each leaves `target/scenarios/<approach>/<call>`: `row.json`, `heard` with the speech that
//! arrived, `logs` with trace and key log, `capture.pcapng` as it was on the wire, `clear.pcapng` with
//! media and floor control opened.

use std::fs;
use std::path::{Path, PathBuf};

use lab::demo::{Runner, Verdict};
use lab::site::Approach;
use lab::speech::Speech;
use mc_trace::Event;
use mc_trace::pcapng::View;
use testkit::recording::Recording;
use testkit::{libsrtp, tshark};

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
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folder = Folder::new(root, approach.site().approach, call);
    let lab = start_site_in(&folder.lab(), approach).await;
    let speech = root.join("target/speech");
    let runner = Runner::start(lab, Speech::load(&speech).unwrap(), |_| ())
        .await
        .unwrap();
    let row = runner.run(approach.site().approach, call).await.unwrap();
    drop(runner.stop().await);
    let run = folder.keep(&serde_json::to_vec_pretty(&row).unwrap());
    assert_eq!(row.verdict, Verdict::Pass, "{row:?}");
    tshark::check_floor(&run).unwrap();
    libsrtp::check_media(&run).unwrap();
    if call.starts_with("private") {
        pck_is_of(&run, call, identity);
    }
}

/// Where a call leaves what happened, also when it fails.
struct Folder(PathBuf);

impl Folder {
    fn new(root: &Path, approach: &str, call: &str) -> Self {
        let folder = root.join("target/scenarios").join(approach).join(call);
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn lab(&self) -> PathBuf {
        self.0.join("lab")
    }

    /// Keeps what is worth keeping of a lab that has stopped.
    fn keep(&self, row: &[u8]) -> Recording {
        fs::write(self.0.join("row.json"), row).unwrap();
        let logs = self.0.join("logs");
        fs::rename(self.lab().join("logs"), &logs).unwrap();
        fs::rename(self.lab().join("runs"), self.0.join("heard")).unwrap();
        fs::remove_dir_all(self.lab()).unwrap();
        let run = Recording::read(&logs).unwrap();
        for (name, view) in [("capture", View::Wire), ("clear", View::Clear)] {
            let file = self.0.join(format!("{name}.pcapng"));
            fs::write(file, run.capture(view)).unwrap();
        }
        run
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
