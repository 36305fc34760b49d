//! The calls of each approach (TR 33.880 7.8) with real speech, and what its attachment costs: tokens,
//! key sets, registrations, CSKs and group keys, counted from the wire.

use std::collections::BTreeSet;
use std::path::Path;

use lab::demo::{CALLS, Runner, Verdict};
use mc_trace::Event;
use testkit::libsrtp;
use testkit::recording::Recording;
use testkit::tshark::{self, SeenMikey};

use crate::support::{recording, start};

/// What an approach looks like from outside.
struct Attached {
    clause: &'static str,
    /// Its name in traces.
    node: &'static str,
    group: &'static str,
    identities: &'static [&'static str],
}

macro_rules! calls_of {
    ($($test:ident: $attached:expr;)*) => {$(
        // Both MC clients code and decode speech in this process.
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            all_calls($attached).await;
        }
    )*};
}

calls_of! {
    calls_of_7_1: Attached {
        clause: "7.1",
        node: "segy",
        group: "sip:fireground-1@mc.example",
        identities: &["sip:segy@mc.example"],
    };
    calls_of_7_2: Attached {
        clause: "7.2",
        node: "segy-7.2",
        group: "sip:fireground-2@mc.example",
        identities: &["sip:unit-2001@mc.example", "sip:unit-2002@mc.example"],
    };
}

async fn all_calls(attached: Attached) {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let speech = root.join("target/speech");
    let runner = Runner::start(lab, &speech, |_| ()).await.unwrap();
    for call in CALLS {
        let row = runner.run(attached.clause, call).await.unwrap();
        assert_eq!(row.verdict, Verdict::Pass, "{row:?}");
    }
    let run = recording(runner.stop().await);
    tshark::check_floor(&run).unwrap();
    libsrtp::check_media(&run).unwrap();
    let mikey = tshark::check_mikey(&arrived(&run)).unwrap();
    attached.counted(&run, &mikey);
    attached.private_calls_are_for(&mikey);
}

/// What the MCPTT server got: a client that starts before it sends into the void first.
fn arrived(run: &Recording) -> Recording {
    let at_server = |event: &&Event| event.node == "mcptt-server" && event.name == "sip:received";
    Recording {
        events: run.events.iter().filter(at_server).cloned().collect(),
        keys: Vec::new(),
    }
}

impl Attached {
    /// What the gateway told of such an event, each once.
    fn told<T: Ord>(&self, run: &Recording, name: &str, what: impl Fn(&Event) -> T) -> BTreeSet<T> {
        let events = run.events.iter();
        let ours = events.filter(|event| event.node == self.node && event.name == name);
        ours.map(what).collect()
    }

    /// What an attachment costs grows with its identities, and only with them.
    fn counted(&self, run: &Recording, mikey: &[SeenMikey]) {
        let n = self.identities.len();
        let key_sets = self.told(run, "keys:validated", |event| event.summary.clone());
        assert_eq!(key_sets.len(), n, "key sets: {key_sets:?}");
        let registered = self.told(run, "sip:received", |event| {
            let registered = event.summary.starts_with("200 OK (REGISTER)");
            registered.then(|| event.to.name.clone())
        });
        let registered: Vec<_> = registered.into_iter().flatten().collect();
        assert_eq!(registered.len(), n, "registrations: {registered:?}");
        let tokens = self.told(run, "segy:step", |event| {
            let step = &event.decoded;
            let passed = step["step"] == "T" && step["state"] == "passed";
            passed.then(|| step["identity"].to_string())
        });
        let tokens: Vec<_> = tokens.into_iter().flatten().collect();
        assert_eq!(tokens.len(), n, "tokens: {tokens:?}");

        let sent_by = |carrier: &str, end: usize| -> BTreeSet<(String, String)> {
            let of = mikey.iter().filter(|seen| seen.carrier == carrier);
            let ours = of.filter_map(|seen| {
                let identity = seen.identities.get(end)?;
                let ours = self.identities.contains(&identity.as_str());
                ours.then(|| (identity.clone(), seen.csb_id.clone()))
            });
            ours.collect()
        };
        let csks = sent_by("REGISTER", 0);
        assert_eq!(csks.len(), n, "CSKs: {csks:?}");
        let csk_ids: BTreeSet<_> = csks.iter().map(|(_, id)| id).collect();
        assert_eq!(csk_ids.len(), n, "each its own: {csks:?}");
        let gmks = sent_by("MESSAGE", 1);
        assert_eq!(gmks.len(), n, "GMK messages of {}: {gmks:?}", self.group);
    }

    /// PCKs are made by and for the identity that stands for the unit.
    fn private_calls_are_for(&self, mikey: &[SeenMikey]) {
        let unit = *self.identities.first().unwrap();
        for parties in [[unit, "sip:bob@mc.example"], ["sip:alice@mc.example", unit]] {
            let of_parties = |seen: &SeenMikey| {
                let ends = seen.identities.iter().take(2);
                ends.eq(parties)
            };
            let found = mikey
                .iter()
                .any(|seen| seen.carrier == "INVITE" && of_parties(seen));
            assert!(found, "no PCK of {parties:?}");
        }
    }
}
