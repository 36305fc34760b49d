//! A talkgroup of a radio network in this process, joined to an MC side that is the test.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use lmr_sim::network::PttNotice;
use lmr_sim::talk::Talks;
use lmr_sim::{LmrConfig, Running};
use mc_audio::jitter::Stamp;
use mc_audio::wav::Wav;
use mc_audio::{Frame16k, measure, resample};
use mc_ids::{GmkId, GukId, KeyId, McServiceId};
use mc_runtime::http::ServerConfig;
use mc_runtime::service::Context;
use mc_runtime::sip::SipConfig;
use mc_runtime::trace::Tracer;
use mc_trace::Event;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

use super::*;
use crate::approach::Approach;
use crate::audit::Audit;
use crate::bridge::{Bridge, McCommand, McEvent, McTalker, Speech};
use crate::config::{DisplayConfig, LimitsConfig};
use crate::passthrough::Protection;
use crate::unencrypted::{ExternalConfig, ExternalContext};
use crate::user_map::{Represented, UserMap};

const PATIENCE: Duration = Duration::from_secs(20);
const ALICE: &str = "sip:alice@mc.example";

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

struct Lab {
    radios: Running,
    notices: broadcast::Receiver<PttNotice>,
    /// The MC side: what it is told, and what it tells.
    commands: mpsc::Receiver<McCommand>,
    events: mpsc::Sender<McEvent>,
    status: Arc<GatewayStatus>,
    context: Context,
    trace: mpsc::Receiver<Event>,
    dir: TempDir,
}

impl Lab {
    async fn new(protected: bool) -> Self {
        let (radios, context) = radios().await;
        let group = GroupId::new("sip:fire@mc.example").unwrap();
        let (tracer, trace) = Tracer::to_channel("segy", 10_000);
        let status = Arc::new(GatewayStatus::new(
            Approach::SingleClient.profile(),
            context.health.clone(),
            context.clock.clone(),
            tracer.clone(),
        ));
        status.group_known(&group, Protection::of(&group, protected));
        let (gmk, own) = (GmkId::try_from(KeyId(0x11)), GukId::try_from(KeyId(0x22)));
        status.key_received(&group, &identity(), gmk.unwrap(), own.unwrap());
        assert!(status.heard(&group, GukId::try_from(KeyId(0x33)).unwrap()));
        assert!(!status.heard(&group, own.unwrap()), "our own speech");

        let text = format!("protocol = 'analogue'\nserver = 'sip:{}'\n", radios.sip);
        let external: ExternalConfig = toml::from_str(&text).unwrap();
        let (offers, _dialled) = mpsc::channel(8);
        let adapter = external.start(ExternalContext {
            node: "segy".to_owned(),
            tracer: tracer.clone(),
            counters: status.counters.clone(),
            offers,
            shutdown: context.shutdown.clone(),
        });
        let adapter = adapter.await.unwrap();
        let external = adapter.connect("1");
        let dir = tempfile::tempdir().unwrap();
        let audit = dir.path().join("audit.jsonl");
        let audit = Audit::open(Some(&audit), context.clock.clone()).unwrap();
        let users = Arc::new(users());
        let joined = Joined::Talkgroup {
            talkgroup: "1".to_owned(),
            group,
        };
        let recorder = Recorder::new(joined, users.clone(), audit, tracer, status.clone());
        let (tell, commands) = mpsc::channel(1000);
        let (events, heard) = mpsc::channel(1000);
        let mc = McPort {
            commands: tell,
            events: heard,
        };
        let timing = LimitsConfig::default().timing();
        let bridge = Box::new(Bridge::new(timing, users, Instant::now()));
        let channel = Channel::new(bridge, mc, external, recorder, status.clone());
        tokio::spawn(channel.run(context.shutdown.clone()));
        let notices = radios.network.notices();
        let lab = Self {
            radios,
            notices,
            commands,
            events,
            status,
            context,
            trace,
            dir,
        };
        lab.tell(McEvent::Up).await;
        lab.status.mc_up(&identity());
        lab.context.health.started();
        timeout(PATIENCE, lab.context.health.until_ready())
            .await
            .expect("the talkgroup is connected");
        lab
    }

    async fn tell(&self, event: McEvent) {
        self.events.send(event).await.unwrap();
    }

    async fn command(&mut self) -> McCommand {
        timeout(PATIENCE, self.commands.recv())
            .await
            .expect("a command comes")
            .unwrap()
    }

    async fn notice(&mut self, what: &str) -> PttNotice {
        loop {
            let notice = timeout(PATIENCE, self.notices.recv()).await;
            let notice = notice.expect("a notice comes").unwrap();
            if notice.what == what {
                return notice;
            }
        }
    }

    fn report(&self) -> Value {
        serde_json::to_value(self.status.report()).unwrap()
    }

    fn audit(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("audit.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Names and summaries of the gateway's own events so far.
    fn traced(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.trace.try_recv().ok())
            .filter(|event| event.name.starts_with("segy:"))
            .map(|event| format!("{} {}", event.name, event.summary))
            .collect()
    }

    /// An MC user talks: frames as they come from the network.
    async fn mc_user_says(&self, samples: &[i16]) {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        for (n, chunk) in (0u16..).zip(samples.chunks(320)) {
            clock.tick().await;
            let mut frame: Frame16k = [0; 320];
            frame[..chunk.len()].copy_from_slice(chunk);
            let stamp = Stamp {
                ssrc: 5,
                sequence: n,
                timestamp: u32::from(n) * 320,
                marker: n == 0,
            };
            let speech = Speech::new(Box::new(frame), Instant::now());
            self.tell(McEvent::Speech(stamp, speech)).await;
        }
    }
}

async fn radios() -> (Running, Context) {
    let config = LmrConfig {
        http: ServerConfig::plain(any()),
        sip: SipConfig {
            bind: any(),
            ..SipConfig::default()
        },
        ..LmrConfig::default()
    };
    let context = Context::new("segy");
    let other = Context {
        health: mc_runtime::Health::new("lmr-sim"),
        ..context.clone()
    };
    (lmr_sim::start(config, other).await.unwrap(), context)
}

fn identity() -> McServiceId {
    McServiceId::new("sip:segy@mc.example").unwrap()
}

fn users() -> UserMap {
    let represented = Represented {
        identity: identity(),
        functional_alias: Some("sip:unit-1001@mc.example".to_owned()),
    };
    let users = [("1001".to_owned(), represented)].into();
    UserMap::new(users, None, &DisplayConfig::default())
}

fn sentence(name: &str) -> Vec<i16> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let octets = std::fs::read(root.join("target/speech").join(name));
    let octets = octets.expect("speech is missing: run `make target/speech/.done`");
    Wav::read(&octets, measure::LONGEST).unwrap().into_16k()
}

#[tokio::test]
async fn a_radio_talks_to_the_group_under_its_alias() {
    let mut lab = Lab::new(true).await;
    let said = sentence("lmr.wav");
    let talks = Talks::new(lab.radios.network.clone());
    talks.start("1001", Some(resample::to_8k(&said))).unwrap();
    let McCommand::StartCall(represented) = lab.command().await else {
        panic!("a call comes first");
    };
    assert_eq!(represented.shown(), "sip:unit-1001@mc.example");
    // The call takes its time; nothing of the speech is lost.
    tokio::time::sleep(Duration::from_millis(300)).await;
    lab.tell(McEvent::CallStarted).await;
    assert!(matches!(lab.command().await, McCommand::RequestFloor(_)));
    lab.tell(McEvent::FloorGranted { duration: None }).await;
    let (mut heard, mut sent) = (Vec::new(), Vec::new());
    loop {
        match lab.command().await {
            McCommand::Speech(speech) => {
                sent.push(Instant::now());
                heard.extend(*speech.samples);
            }
            McCommand::ReleaseFloor => break,
            McCommand::StartCall(_)
            | McCommand::RequestFloor(_)
            | McCommand::DeclareEmergency(_)
            | McCommand::LeaveCall
            | McCommand::Answer
            | McCommand::Reject(_) => {
                panic!("nothing but speech until the release")
            }
        }
    }
    let report = measure::judge(&said, &heard).unwrap();
    assert!(
        report.score > 0.95 && report.first_heard && report.last_heard,
        "{report:?}"
    );
    // In real time although some was kept: as long as the speech itself.
    let took = sent[sent.len() - 1] - sent[0];
    let speech = Duration::from_millis(20) * u32::try_from(sent.len() - 1).unwrap();
    assert!(
        took + Duration::from_millis(25) > speech,
        "{took:?} for {speech:?}"
    );

    let audit = lab.audit();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["event"], "protected");
    assert_eq!(audit[0]["mc_identity"], "sip:segy@mc.example");
    assert_eq!(audit[0]["functional_alias"], "sip:unit-1001@mc.example");
    assert_eq!(audit[0]["external_identity"], "1001");
    assert_eq!(
        (&audit[0]["gmk_id"], &audit[0]["guk_id"]),
        (&"00000011".into(), &"00000022".into())
    );
    let traced = lab.traced();
    let expected = [
        "segy:call_bridged talkgroup 1: call bridged",
        "segy:talker_changed talkgroup 1: unit 1001 talks to the MC side as sip:unit-1001@mc.example",
        "segy:talker_changed talkgroup 1: nobody talks",
    ];
    assert_eq!(traced, expected);
    lab.context.shutdown.cancel();
}

#[tokio::test]
async fn an_mc_user_talks_to_the_radios() {
    let mut lab = Lab::new(true).await;
    let network = lab.radios.network.clone();
    network
        .recorder("1001", lmr_sim::recorder::Recorder::start)
        .unwrap();
    lab.tell(McEvent::CallStarted).await;
    lab.tell(McEvent::FloorTaken(McTalker {
        id: Some(ALICE.to_owned()),
        functional_alias: None,
    }))
    .await;
    let talker = lab.notice("on").await.talker;
    assert_eq!(
        (talker.unit.as_str(), talker.name.as_deref()),
        ("0", Some(ALICE))
    );
    let said = sentence("mc.wav");
    lab.mc_user_says(&said).await;
    assert_eq!(lab.report()["talkgroups"][0]["state"], "to_external");
    assert_eq!(lab.report()["talkgroups"][0]["mc_talker"], ALICE);
    lab.tell(McEvent::FloorIdle).await;
    lab.notice("off").await;
    let heard = network.recorder("1001", |r| r.samples().to_vec()).unwrap();
    let report = measure::judge(&said, &resample::to_16k(&heard)).unwrap();
    assert!(
        report.score > 0.95 && report.first_heard && report.last_heard,
        "{report:?}"
    );

    let audit = lab.audit();
    assert_eq!(audit.len(), 1, "{audit:?}");
    assert_eq!(audit[0]["event"], "opened");
    assert_eq!(audit[0]["mc_identity"], ALICE);
    assert_eq!(audit[0]["external_identity"], "0");
    assert_eq!(audit[0]["guk_id"], "00000033");
    let status = lab.report();
    assert_eq!(status["approach"], "7.1");
    assert_eq!(status["counters"]["talks_to_external"], 1);
    assert_eq!(status["talkgroups"][0]["protection"], "protected");
    let delay = status["insertion_delay"]["to_external"]["p95_ms"].as_f64();
    assert!(delay.is_some_and(|delay| delay < 1000.0), "{delay:?}");
    lab.context.shutdown.cancel();
}

#[tokio::test]
async fn an_unmapped_radio_is_refused_and_recorded() {
    let mut lab = Lab::new(true).await;
    let network = lab.radios.network.clone();
    network.press_unit("1002").unwrap();
    let denied = lab.notice("denied").await.talker;
    assert_eq!(denied.unit, "1002");
    let audit = lab.audit();
    assert_eq!(audit[0]["event"], "refused");
    assert_eq!(audit[0]["external_identity"], "1002");
    assert_eq!(lab.report()["refusals"]["unmapped"], 1);
    assert!(
        lab.commands.try_recv().is_err(),
        "the MC side heard nothing of it"
    );
    assert!(lab.traced()[0].starts_with("segy:refused talkgroup 1: unit 1002 refused"));
    lab.context.shutdown.cancel();
}

/// TS 33.180 L.5.2: no protection is invented, and that is said.
#[tokio::test]
async fn a_group_without_protection_is_passed_through() {
    let mut lab = Lab::new(false).await;
    lab.radios.network.press_unit("1001").unwrap();
    assert!(matches!(lab.command().await, McCommand::StartCall(_)));
    lab.tell(McEvent::CallStarted).await;
    lab.tell(McEvent::FloorGranted { duration: None }).await;
    assert!(matches!(lab.command().await, McCommand::RequestFloor(_)));
    assert!(lab.radios.network.voice_unit("1001", &[1000; 160]));
    assert!(matches!(lab.command().await, McCommand::Speech(_)));
    let why = crate::passthrough::BYPASSED;
    let audit = lab.audit();
    // The call, then who talks in it; no key is named, although one was known once.
    let talkers = [Value::Null, "1001".into()];
    assert_eq!(audit.len(), talkers.len());
    for (record, talker) in audit.iter().zip(talkers) {
        assert_eq!(record["event"], "passed_through");
        assert_eq!(
            (&record["reason"], &record["gmk_id"]),
            (&why.into(), &Value::Null)
        );
        assert_eq!(record["external_identity"], talker);
    }
    let talkgroup = &lab.report()["talkgroups"][0];
    assert_eq!(talkgroup["protection"], "bypassed");
    assert_eq!(
        (&talkgroup["gmk_id"], &talkgroup["guk_id"]),
        (&Value::Null, &Value::Null)
    );
    let said = format!("segy:bypassed talkgroup 1: {why}");
    assert!(lab.traced().contains(&said));
    lab.context.shutdown.cancel();
}
