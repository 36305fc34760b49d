//! Radio users that become users of the gateway's domain when they are on the air for the first time
//! (TR 33.880 7.8.4, A4-3).

use std::path::Path;

use lab::gateway::Gateway;
use lab::parties::{Heard, Party, http_config, tokens_in};
use lab::radios::Radios;
use lab::site::Approach;
use lab::supervisor::Lab;
use lab::topology::Domain;
use mc_audio::measure;
use mc_audio::wav::Wav;
use mc_client::ClientEvent;
use mc_runtime::SystemClock;
use serde_json::Value;
use tokio::sync::broadcast;

use crate::support::{PATIENCE, start_site_in};

const NEW: &str = "sip:unit-4003@segy.example";

/// The lab of approach 7.4, with Alice in its group and the gateway ready.
struct Site {
    lab: Lab,
    alice: Party,
    radios: Radios,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = start_site_in(&dir.path().join("lab"), Approach::ExternalDomain).await;
        let site = Approach::ExternalDomain.site();
        let alice = Party::start(&lab, "alice", &[site.group]).await.unwrap();
        alice.until_ready(PATIENCE).await.unwrap();
        let gateway = Gateway::of(&lab, site.gateway());
        gateway.until_ready(PATIENCE).await;
        assert!(gateway.steps().await.failure().is_none());
        let radios = Radios::at(lab.addresses().of(site.radios().health)).unwrap();
        Self {
            lab,
            alice,
            radios,
            _dir: dir,
        }
    }

    async fn status(&self) -> Value {
        let http = mc_runtime::http::client(&http_config(&self.lab)).unwrap();
        let service = Approach::ExternalDomain.site().gateway();
        let url = format!("https://{}/status", self.lab.addresses().of(service.health));
        http.get(url).send().await.unwrap().json().await.unwrap()
    }

    fn audit(&self) -> Vec<Value> {
        let audit = self.lab.state().file("logs", "audit-7.4.jsonl");
        let text = std::fs::read_to_string(audit).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The users that the gateway's KMS has been told to make.
    async fn made(&self) -> Vec<String> {
        let file = self.lab.state().file("data", "segy-kms.db");
        let url = format!("sqlite://{}?mode=rw", file.display());
        let store = kms::store::Store::open(&url).await.unwrap();
        let users = store.users().await.unwrap();
        users.into_iter().map(|user| user.user_uri).collect()
    }
}

fn sentence() -> (Vec<u8>, Vec<i16>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let octets = std::fs::read(root.join("target/speech/lmr.wav")).unwrap();
    let samples = Wav::read(&octets, measure::LONGEST).unwrap().into_16k();
    (octets, samples)
}

/// Who talks at a party, and what is heard until the floor is idle.
async fn listen(heard: &mut broadcast::Receiver<Heard>) -> (String, Vec<i16>) {
    let mut samples = Vec::new();
    let mut talker = None;
    let all = async {
        loop {
            let event = heard.recv().await.unwrap().event;
            if let ClientEvent::FloorTaken { talker: by, .. } = event {
                talker = by;
            } else if let ClientEvent::Speech(frame) = event {
                samples.extend(frame.samples);
            } else if let (ClientEvent::FloorIdle { .. }, Some(talker)) = (event, &talker) {
                return talker.clone();
            }
        }
    };
    let talker = tokio::time::timeout(PATIENCE, all).await.unwrap();
    (talker, samples)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_on_the_air_becomes_a_user_within_the_call_set_up() {
    let mut site = Site::start().await;
    assert_eq!(site.made().await, [""; 0]);
    let (wav, said) = sentence();

    // The first press makes the user; nothing of what he says is lost.
    let mut at_alice = site.alice.follow();
    let talk = site.radios.talk("4003", wav.clone()).await.unwrap();
    let (talker, heard) = listen(&mut at_alice).await;
    assert_eq!(
        site.radios.until_ended(talk.id).await.unwrap().state,
        "done"
    );
    assert_eq!(talker, NEW);
    let report = measure::judge(&said, &heard).unwrap();
    assert!(report.score > 0.75, "{report:?}");
    assert!(report.first_heard && report.last_heard, "{report:?}");
    assert_eq!(site.made().await, [NEW]);

    // The second finds him there.
    let mut at_alice = site.alice.follow();
    let talk = site.radios.talk("4003", wav.clone()).await.unwrap();
    assert_eq!(listen(&mut at_alice).await.0, NEW);
    assert_eq!(
        site.radios.until_ended(talk.id).await.unwrap().state,
        "done"
    );

    // A unit outside of the pattern is refused before anything is made.
    let talk = site.radios.talk("4901", wav).await.unwrap();
    site.radios.until_ended(talk.id).await.unwrap();
    let status = site.status().await;
    assert_eq!(status["refusals"], serde_json::json!({"unmapped": 1}));
    assert_eq!(site.made().await, [NEW]);
    let audit = site.audit();
    let told: Vec<_> = audit
        .iter()
        .map(|record| {
            [
                &record["event"],
                &record["external_identity"],
                &record["mc_identity"],
            ]
        })
        .collect();
    let made = serde_json::json!([
        ["user_made", "4003", NEW],
        ["protected", "4003", NEW],
        ["protected", "4003", NEW],
        ["refused", "4901", null],
    ]);
    assert_eq!(serde_json::json!(told), made);
    no_secret_is_written(&site);
    his_account_is_his_own_and_outlives_the_gateway(&mut site).await;
    site.alice.stop().await;
}

/// The password of the gateway's other accounts opens it for nobody, and after a crash the gateway
/// logs in as him again and knows that it made him.
async fn his_account_is_his_own_and_outlives_the_gateway(site: &mut Site) {
    let clock = SystemClock::shared();
    let others = tokens_in(&site.lab, Domain::Gateway, "unit-4003", clock.clone()).await;
    let refused = format!("{:#}", others.unwrap_err());
    assert!(refused.contains("password"), "{refused}");
    assert!(
        tokens_in(&site.lab, Domain::Gateway, "unit-4001", clock)
            .await
            .is_ok()
    );

    let service = Approach::ExternalDomain.site().gateway();
    site.lab.crash_and_restart(service.name).await.unwrap();
    Gateway::of(&site.lab, service).until_ready(PATIENCE).await;
    let mut at_alice = site.alice.follow();
    let talk = site.radios.talk("4003", sentence().0).await.unwrap();
    assert_eq!(listen(&mut at_alice).await.0, NEW);
    site.radios.until_ended(talk.id).await.unwrap();
    let file = format!("{}-made/made", service.name);
    let kept = std::fs::read_to_string(site.lab.state().file("data", &file)).unwrap();
    assert_eq!(kept, format!("{NEW}\n"));
}

/// Neither passwords nor operator tokens are in logs and traces.
fn no_secret_is_written(site: &Site) {
    let state = site.lab.state();
    let token = |name| std::fs::read_to_string(state.file("secrets", name)).unwrap();
    let secrets = [
        state.password().unwrap(),
        token("segy-kms-operator-token").trim().to_owned(),
        token("segy-idms-operator-token").trim().to_owned(),
        std::fs::read_to_string(state.file("data", "segy-7.4-made/password-secret")).unwrap(),
    ];
    for entry in std::fs::read_dir(state.root().join("logs")).unwrap() {
        let path = entry.unwrap().path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        for secret in &secrets {
            assert!(
                !secret.is_empty() && !text.contains(secret),
                "{}",
                path.display()
            );
        }
    }
}
