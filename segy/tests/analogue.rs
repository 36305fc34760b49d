//! The analogue adapter against a radio network that runs in this process, with real speech.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support code stops the test"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lmr_sim::network::{Network, PttNotice, RadioState};
use lmr_sim::talk::Talks;
use lmr_sim::{LmrConfig, Running};
use mc_audio::wav::Wav;
use mc_audio::{Frame16k, measure, resample};
use mc_runtime::CancellationToken;
use mc_runtime::http::ServerConfig;
use mc_runtime::service::Context;
use mc_runtime::sip::SipConfig;
use mc_runtime::trace::Tracer;
use segy::bridge::{ExternalCommand, ExternalEvent, ExternalTalker, Shown, Speech};
use segy::status::Counters;
use segy::unencrypted::{ExternalConfig, ExternalContext, ExternalPort};
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A radio network at an address, port 0 for any.
async fn radios(sip: SocketAddr, change: impl FnOnce(&mut LmrConfig)) -> (Running, Context) {
    let mut config = LmrConfig {
        http: ServerConfig::plain(any()),
        sip: SipConfig {
            bind: sip,
            ..SipConfig::default()
        },
        ..LmrConfig::default()
    };
    config.network.hang_ms = 100;
    change(&mut config);
    let context = Context::new("lmr-sim");
    let running = lmr_sim::start(config, context.clone()).await.unwrap();
    (running, context)
}

async fn stop(radios: (Running, Context)) {
    radios.1.shutdown.cancel();
    timeout(PATIENCE, radios.0.wait())
        .await
        .expect("everything stops")
        .unwrap();
}

/// The adapter, connected to talkgroup 1.
struct Gateway {
    port: ExternalPort,
    counters: Arc<Counters>,
    shutdown: CancellationToken,
}

impl Gateway {
    async fn new(radios: SocketAddr, transport: &str) -> Self {
        let text = format!(
            "protocol = 'analogue'\nserver = 'sip:{radios};transport={transport}'\n\
             keepalive_s = 1\nretry_s = 1\n"
        );
        let config: ExternalConfig = toml::from_str(&text).unwrap();
        config.check(["1"].into_iter()).unwrap();
        let (counters, shutdown) = (Arc::<Counters>::default(), CancellationToken::new());
        let (offers, _offered) = mpsc::channel(8);
        let adapter = config.start(ExternalContext {
            node: "segy".to_owned(),
            tracer: Tracer::off(),
            counters: counters.clone(),
            offers,
            shutdown: shutdown.clone(),
        });
        let port = adapter.await.unwrap().connect("1");
        Self {
            port,
            counters,
            shutdown,
        }
    }

    async fn event(&mut self) -> ExternalEvent {
        let event = timeout(PATIENCE, self.port.events.recv()).await;
        event.expect("an event comes").expect("a running adapter")
    }

    async fn expect(&mut self, wanted: ExternalEvent) {
        assert_eq!(self.event().await, wanted);
    }

    async fn tell(&self, command: ExternalCommand) {
        self.port.commands.send(command).await.unwrap();
    }

    async fn press(&self, unit: &str, name: &str) {
        self.tell(ExternalCommand::Press(Shown {
            unit: unit.to_owned(),
            emergency: false,
            name: Some(name.to_owned()),
        }))
        .await;
    }

    /// Plays speech as a bridge does: a frame every 20 ms.
    async fn play(&self, samples: &[i16], lose: impl Fn(usize) -> bool) {
        let mut clock = tokio::time::interval(Duration::from_millis(20));
        for (n, chunk) in samples.chunks(320).enumerate() {
            clock.tick().await;
            let mut frame: Frame16k = [0; 320];
            frame
                .iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            self.tell(if lose(n) {
                ExternalCommand::Lost
            } else {
                ExternalCommand::Speech(Speech::new(Box::new(frame), Instant::now()))
            })
            .await;
        }
        clock.tick().await;
    }

    /// Everything a talker says, from his press to his release.
    async fn listen(&mut self) -> (ExternalTalker, Vec<i16>) {
        let ExternalEvent::PttOn(talker) = self.event().await else {
            panic!("a press comes first");
        };
        let mut heard = Vec::new();
        loop {
            match self.event().await {
                ExternalEvent::Speech(speech) => heard.extend(*speech.samples),
                ExternalEvent::PttOff => return (talker, heard),
                ExternalEvent::Up
                | ExternalEvent::Down
                | ExternalEvent::PttOn(_)
                | ExternalEvent::Ringing
                | ExternalEvent::Refused(_)
                | ExternalEvent::PressDenied => panic!("nothing but speech in a talk burst"),
            }
        }
    }
}

async fn notice(notices: &mut broadcast::Receiver<PttNotice>, what: &str) -> PttNotice {
    loop {
        let notice = timeout(PATIENCE, notices.recv()).await;
        let notice = notice
            .unwrap_or_else(|_| panic!("no '{what}' came"))
            .unwrap();
        if notice.what == what {
            return notice;
        }
    }
}

fn state(network: &Network, unit: &str) -> RadioState {
    let units = network.status().units;
    units.into_iter().find(|u| u.unit == unit).unwrap().state
}

/// A test sentence at 16 kHz.
fn sentence(name: &str) -> Vec<i16> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let path = root.join("target/speech").join(name);
    let octets = std::fs::read(&path).expect("speech is missing: run `make target/speech/.done`");
    Wav::read(&octets, measure::LONGEST).unwrap().into_16k()
}

fn understood(sent: &[i16], heard: &[i16], least: f64) {
    let report = measure::judge(sent, heard).unwrap();
    assert!(report.score > least, "{report:?}");
    assert!(report.first_heard && report.last_heard, "{report:?}");
}

#[tokio::test]
async fn a_radio_is_heard_from_its_first_syllable_to_its_last() {
    for transport in ["tcp", "udp"] {
        let radios = radios(any(), |_| ()).await;
        let mut gateway = Gateway::new(radios.0.sip, transport).await;
        gateway.expect(ExternalEvent::Up).await;
        let said = sentence("lmr.wav");
        let talks = Talks::new(radios.0.network.clone());
        talks.start("1002", Some(resample::to_8k(&said))).unwrap();
        let (talker, heard) = gateway.listen().await;
        assert_eq!(talker.unit.as_deref(), Some("1002"));
        assert!(!talker.emergency);
        understood(&said, &heard, 0.95);
        gateway.shutdown.cancel();
        stop(radios).await;
    }
}

#[tokio::test]
async fn a_radio_hears_an_mc_user_with_his_name() {
    let radios = radios(any(), |_| ()).await;
    let network = radios.0.network.clone();
    let mut notices = network.notices();
    let mut gateway = Gateway::new(radios.0.sip, "tcp").await;
    gateway.expect(ExternalEvent::Up).await;
    network
        .recorder("1001", lmr_sim::recorder::Recorder::start)
        .unwrap();
    let said = sentence("mc.wav");
    gateway.press("9001", "sip:alice@mc.example").await;
    let talker = notice(&mut notices, "on").await.talker;
    assert_eq!(talker.unit, "9001");
    assert_eq!(talker.name.as_deref(), Some("sip:alice@mc.example"));
    gateway.play(&said, |_| false).await;
    gateway.tell(ExternalCommand::Release).await;
    notice(&mut notices, "off").await;
    let heard = network.recorder("1001", |r| r.samples().to_vec()).unwrap();
    understood(&said, &resample::to_16k(&heard), 0.95);
    let delay = gateway.counters.delay_to_external.report();
    assert_eq!(delay.frames, said.len().div_ceil(320));
    gateway.shutdown.cancel();
    stop(radios).await;
}

/// Losses of the radio link and of the MC side are concealed, in both directions.
#[tokio::test]
async fn losses_and_jitter_are_bridged_both_ways() {
    let radios = radios(any(), |config| {
        config.impairments.loss_percent = 5.0;
        config.impairments.jitter_ms = 30;
    })
    .await;
    let network = radios.0.network.clone();
    let mut notices = network.notices();
    let mut gateway = Gateway::new(radios.0.sip, "tcp").await;
    gateway.expect(ExternalEvent::Up).await;
    let said = sentence("lmr.wav");
    let talks = Talks::new(network.clone());
    talks.start("1002", Some(resample::to_8k(&said))).unwrap();
    let (_, heard) = gateway.listen().await;
    let report = measure::judge(&said, &heard).unwrap();
    assert!(report.score > 0.75, "{report:?}");
    let concealed = gateway.counters.concealed_from_external.total();
    assert!((5..60).contains(&concealed), "{concealed} frames made up");

    notice(&mut notices, "off").await;
    network
        .recorder("1001", lmr_sim::recorder::Recorder::start)
        .unwrap();
    let said = sentence("mc.wav");
    gateway.press("9001", "sip:alice@mc.example").await;
    gateway.play(&said, |n| n % 20 == 10).await;
    gateway.tell(ExternalCommand::Release).await;
    notice(&mut notices, "off").await;
    let heard = network.recorder("1001", |r| r.samples().to_vec()).unwrap();
    let report = measure::judge(&said, &resample::to_16k(&heard)).unwrap();
    assert!(report.score > 0.6, "{report:?}");
    gateway.shutdown.cancel();
    stop(radios).await;
}

#[tokio::test]
async fn each_side_can_deny_the_other() {
    let radios = radios(any(), |_| ()).await;
    let network = radios.0.network.clone();
    let mut notices = network.notices();
    let mut gateway = Gateway::new(radios.0.sip, "tcp").await;
    gateway.expect(ExternalEvent::Up).await;
    network.press_unit("1001").unwrap();
    let ExternalEvent::PttOn(talker) = gateway.event().await else {
        panic!("a press expected");
    };
    assert_eq!(talker.unit.as_deref(), Some("1001"));
    // The radio has the channel: our press is denied.
    gateway.press("9001", "sip:alice@mc.example").await;
    gateway.expect(ExternalEvent::PressDenied).await;
    // The MC side refuses the radio: it is told, and the channel is ours at the next press.
    gateway.tell(ExternalCommand::Refuse).await;
    gateway.expect(ExternalEvent::PttOff).await;
    assert_eq!(state(&network, "1001"), RadioState::Denied);
    gateway.press("9001", "sip:alice@mc.example").await;
    while notice(&mut notices, "on").await.talker.unit != "9001" {}
    // An emergency takes the channel from us.
    network.set_emergency("1002", true).unwrap();
    network.press_unit("1002").unwrap();
    let mut told = [gateway.event().await, gateway.event().await];
    told.sort_by_key(|event| matches!(event, ExternalEvent::PttOn(_)));
    assert_eq!(told[0], ExternalEvent::PressDenied);
    let emergency = ExternalTalker {
        unit: Some("1002".to_owned()),
        emergency: true,
    };
    assert_eq!(told[1], ExternalEvent::PttOn(emergency));
    gateway.shutdown.cancel();
    stop(radios).await;
}

#[tokio::test]
async fn a_late_gateway_hears_who_talks_already() {
    let radios = radios(any(), |_| ()).await;
    radios.0.network.press_unit("1001").unwrap();
    let mut gateway = Gateway::new(radios.0.sip, "tcp").await;
    gateway.expect(ExternalEvent::Up).await;
    let ExternalEvent::PttOn(talker) = gateway.event().await else {
        panic!("a press expected");
    };
    assert_eq!(talker.unit.as_deref(), Some("1001"));
    gateway.shutdown.cancel();
    stop(radios).await;
}

#[tokio::test]
async fn a_radio_network_that_goes_away_is_found_again() {
    for transport in ["tcp", "udp"] {
        let first = radios(any(), |_| ()).await;
        let sip = first.0.sip;
        let mut gateway = Gateway::new(sip, transport).await;
        gateway.expect(ExternalEvent::Up).await;
        // It hangs up when it stops.
        stop(first).await;
        gateway.expect(ExternalEvent::Down).await;
        gateway.press("9001", "lost").await;
        let second = radios(sip, |_| ()).await;
        gateway.expect(ExternalEvent::Up).await;
        second.0.network.press_unit("1001").unwrap();
        assert!(matches!(gateway.event().await, ExternalEvent::PttOn(_)));
        gateway.shutdown.cancel();
        stop(second).await;
    }
}

/// A gateway that stops hangs up, and its channel is free.
#[tokio::test]
async fn a_gateway_that_stops_leaves_the_channel() {
    let radios = radios(any(), |_| ()).await;
    let network = radios.0.network.clone();
    let mut notices = network.notices();
    let mut gateway = Gateway::new(radios.0.sip, "tcp").await;
    gateway.expect(ExternalEvent::Up).await;
    gateway.press("9001", "sip:alice@mc.example").await;
    notice(&mut notices, "on").await;
    gateway.shutdown.cancel();
    notice(&mut notices, "off").await;
    stop(radios).await;
}

/// A channel that the radio network does not have is tried again; nothing is told meanwhile.
#[tokio::test]
async fn an_unknown_channel_stays_down() {
    let radios = radios(any(), |config| config.network.talkgroups = vec![2]).await;
    let mut gateway = Gateway::new(radios.0.sip, "tcp").await;
    let nothing = timeout(Duration::from_millis(500), gateway.port.events.recv()).await;
    assert!(nothing.is_err());
    gateway.shutdown.cancel();
    stop(radios).await;
}
