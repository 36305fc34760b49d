//! The calls of each approach (TR 33.880 7.8) with real speech, and what its attachment costs: tokens,
//! key sets, registrations, CSKs and group keys, counted from the wire.

use std::collections::BTreeSet;
use std::path::Path;

use lab::demo::{CALLS, Runner, Verdict};
use mc_sip::SipMessage;
use mc_trace::Event;
use testkit::libsrtp;
use testkit::recording::Recording;
use testkit::tshark::{self, SeenMikey};

use crate::support::{recording, start};

/// What an approach looks like from outside.
struct Attached {
    clause: &'static str,
    /// Name of its gateway in traces.
    node: &'static str,
    group: &'static str,
    identities: &'static [&'static str],
}

macro_rules! calls_of {
    ($($test:ident: $attached:expr;)*) => {$(
        #[tokio::test]
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
    let mikey = tshark::check_mikey(&run).unwrap();
    attached.counted(&run, &mikey);
    attached.private_calls_are_for(&mikey);
}

impl Attached {
    /// Such events of the gateway.
    fn events<'a>(&self, run: &'a Recording, name: &str, summary: &str) -> Vec<&'a Event> {
        let wanted = |event: &&Event| {
            event.node == self.node && event.name == name && event.summary.starts_with(summary)
        };
        run.events.iter().filter(wanted).collect()
    }

    /// The identities the gateway has registered under.
    fn registered(&self, run: &Recording) -> BTreeSet<String> {
        let requests = self.events(run, "sip:sent", "REGISTER");
        let from = |event: &&Event| match mc_sip::parse_message(&event.raw) {
            Ok(SipMessage::Request(request)) => Some(request.headers.from().unwrap().uri),
            _ => None,
        };
        let identities = requests.iter().filter_map(from);
        identities.map(|uri| uri.to_string()).collect()
    }

    /// What an attachment costs grows with its identities, and only with them.
    fn counted(&self, run: &Recording, mikey: &[SeenMikey]) {
        let n = self.identities.len();
        let answer = "200 OK (/keymanagement/identity/v1/keyprov";
        let key_sets = self.events(run, "http:response", answer);
        assert_eq!(key_sets.len(), n, "key sets");
        let registered = self.registered(run);
        assert_eq!(registered.len(), n, "registrations: {registered:?}");
        let tokens: BTreeSet<_> = run
            .events
            .iter()
            .filter(|event| event.name == "segy:step")
            .map(|event| &event.decoded)
            .filter(|step| step["step"] == "T" && step["state"] == "passed")
            .filter(|step| step["approach"] == self.clause)
            .map(|step| step["identity"].to_string())
            .collect();
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
