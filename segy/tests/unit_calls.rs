//! Calls of single radios through the analogue adapter, both ways, against a radio network that runs
//! in this process.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "test support code stops the test"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lmr_sim::config::UnitConfig;
use lmr_sim::network::{CallEnd, CallPhase, RadioState, UnitStatus};
use lmr_sim::talk::Talks;
use lmr_sim::{LmrConfig, Running};
use mc_runtime::CancellationToken;
use mc_runtime::http::ServerConfig;
use mc_runtime::service::Context;
use mc_runtime::sip::SipConfig;
use mc_runtime::trace::Tracer;
use segy::bridge::{ExternalCommand, ExternalEvent, Failure, Shown, Speech};
use segy::status::Counters;
use segy::unencrypted::{
    ExternalConfig, ExternalContext, ExternalOffer, ExternalPort, Unencrypted,
};
use tokio::sync::mpsc;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const ALICE: &str = "sip:alice@mc.example";

/// A radio network and the gateway's adapter, each knowing the other.
struct Lab {
    radios: Running,
    adapter: Box<dyn Unencrypted>,
    dialled: mpsc::Receiver<ExternalOffer>,
    http: reqwest::Client,
    shutdown: CancellationToken,
}

fn free() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Lab {
    /// Radios 1001 and 1003 answer by themselves; 1002 waits for its user; 1004 is off the air.
    async fn new() -> Self {
        let gateway = free();
        let unit = |unit: &str, talkgroup, manual_answer| UnitConfig {
            unit: unit.to_owned(),
            talkgroup,
            manual_answer,
        };
        let any: SocketAddr = ([127, 0, 0, 1], 0).into();
        let mut config = LmrConfig {
            http: ServerConfig::plain(any),
            sip: SipConfig {
                bind: any,
                ..SipConfig::default()
            },
            ..LmrConfig::default()
        };
        config.network.units = vec![
            unit("1001", Some(1), false),
            unit("1002", Some(1), true),
            unit("1003", Some(1), false),
            unit("1004", None, false),
        ];
        config.unit_calls.gateway = Some(format!("sip:{gateway};transport=tcp"));
        config.unit_calls.ring_s = 2;
        let context = Context::new("lmr-sim");
        let shutdown = context.shutdown.clone();
        let radios = lmr_sim::start(config, context).await.unwrap();
        let text = format!(
            "protocol = 'analogue'\nserver = 'sip:{};transport=tcp'\nsip = {{ bind = '{gateway}' }}\n",
            radios.sip
        );
        let config: ExternalConfig = toml::from_str(&text).unwrap();
        let (offers, dialled) = mpsc::channel(8);
        let adapter = config.start(ExternalContext {
            node: "segy".to_owned(),
            tracer: Tracer::off(),
            counters: Arc::<Counters>::default(),
            offers,
            shutdown: shutdown.clone(),
        });
        mc_runtime::http::install_crypto_provider();
        Self {
            radios,
            adapter: adapter.await.unwrap(),
            dialled,
            http: reqwest::Client::new(),
            shutdown,
        }
    }

    async fn stop(self) {
        self.shutdown.cancel();
        let stopped = timeout(PATIENCE, self.radios.wait()).await;
        stopped.expect("everything stops").unwrap();
    }

    fn call(&self, unit: &str) -> ExternalPort {
        let alice = Shown {
            unit: "9001".to_owned(),
            emergency: false,
            name: Some(ALICE.to_owned()),
        };
        self.adapter.call(unit, &alice)
    }

    async fn api(&self, path: &str, body: &str) -> reqwest::StatusCode {
        let url = format!("http://{}/api/units/{path}", self.radios.http);
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json");
        let answer = request.body(body.to_owned()).send().await.unwrap();
        answer.status()
    }

    async fn dial(&mut self, unit: &str, to: &str) -> ExternalOffer {
        let body = format!(r#"{{"to":"{to}"}}"#);
        assert_eq!(self.api(&format!("{unit}/call"), &body).await, 202);
        let offer = timeout(PATIENCE, self.dialled.recv()).await;
        offer.expect("a call comes").unwrap()
    }

    fn unit(&self, unit: &str) -> UnitStatus {
        let units = self.radios.network.status().units;
        units.into_iter().find(|u| u.unit == unit).unwrap()
    }

    /// Waits until the radio's last call has ended, and how.
    async fn ended(&self, unit: &str) -> CallEnd {
        let ended = async {
            loop {
                let unit = self.unit(unit);
                if let (None, Some(end)) = (unit.call, unit.last_call) {
                    return end;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, ended).await.expect("the call ends")
    }

    async fn phase(&self, unit: &str, wanted: CallPhase) {
        let reached = async {
            while self.unit(unit).call.map(|call| call.state) != Some(wanted) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{:?}", self.unit(unit)));
    }
}

async fn event(port: &mut ExternalPort) -> ExternalEvent {
    let event = timeout(PATIENCE, port.events.recv()).await;
    event.expect("an event comes").expect("a running adapter")
}

async fn expect(port: &mut ExternalPort, wanted: ExternalEvent) {
    assert_eq!(event(port).await, wanted);
}

fn tone() -> Vec<i16> {
    mc_audio::tone::sine(400.0, 8000.0, 8000, 1600)
}

/// The radio talks for 200 ms, and is heard as `unit`.
async fn radio_talks(lab: &Lab, unit: &str, port: &mut ExternalPort) {
    let talks = Talks::new(lab.radios.network.clone());
    talks.start(unit, Some(tone())).unwrap();
    let ExternalEvent::PttOn(talker) = event(port).await else {
        panic!("a press comes first");
    };
    assert_eq!(talker.unit.as_deref(), Some(unit));
    let mut frames = 0;
    loop {
        match event(port).await {
            ExternalEvent::Speech(_) => frames += 1,
            ExternalEvent::PttOff => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(frames >= 10, "{frames} frames");
}

/// The MC user talks to the radio, whose talkgroup hears nothing of it.
async fn radio_hears(lab: &Lab, unit: &str, other: &str, port: &ExternalPort) {
    for unit in [unit, other] {
        let start = lmr_sim::recorder::Recorder::start;
        lab.radios.network.recorder(unit, start).unwrap();
    }
    let tell = |command| async { port.commands.send(command).await.unwrap() };
    tell(ExternalCommand::Press(Shown {
        unit: "9001".to_owned(),
        emergency: false,
        name: Some(ALICE.to_owned()),
    }))
    .await;
    for _ in 0..15 {
        let speech = Speech::new(Box::new([4000; 320]), Instant::now());
        tell(ExternalCommand::Speech(speech)).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let talker = lab.unit(unit).hears.expect("somebody talks");
    assert_eq!(
        (talker.unit.as_str(), talker.name.as_deref()),
        ("9001", Some(ALICE))
    );
    tell(ExternalCommand::Release).await;
    let heard = |unit: &str| {
        let samples = lab.radios.network.recorder(unit, |r| r.samples().len());
        samples.unwrap()
    };
    let all = async {
        while heard(unit) < 160 * 10 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, all).await.expect("the radio plays it");
    assert_eq!(heard(other), 0);
}

#[tokio::test]
async fn an_mc_user_calls_a_radio_and_both_talk() {
    let lab = Lab::new().await;
    let mut port = lab.call("1001");
    expect(&mut port, ExternalEvent::Up).await;
    let call = lab.unit("1001").call.unwrap();
    assert_eq!((call.peer.as_str(), call.outgoing), (ALICE, false));
    radio_talks(&lab, "1001", &mut port).await;
    radio_hears(&lab, "1001", "1003", &port).await;
    // The talkgroup is free all the while.
    lab.radios.network.press_unit("1003").unwrap();
    lab.radios.network.release_unit("1003");
    // The radio hangs up.
    assert_eq!(lab.api("1001/hangup", "").await, 204);
    expect(&mut port, ExternalEvent::Down).await;
    let end = lab.ended("1001").await;
    assert_eq!((end.status, end.reason.as_str()), (200, "hung up"));
    assert!(lab.unit("1001").call.is_none());
    lab.stop().await;
}

#[tokio::test]
async fn a_radio_rings_and_its_user_answers_declines_or_is_not_there() {
    let lab = Lab::new().await;
    let mut port = lab.call("1002");
    expect(&mut port, ExternalEvent::Ringing).await;
    assert_eq!(lab.unit("1002").state, RadioState::Ringing);
    assert_eq!(lab.api("1002/ptt", "").await, 409, "not answered yet");
    assert_eq!(lab.api("1002/answer", "").await, 204);
    expect(&mut port, ExternalEvent::Up).await;
    // The gateway hangs up.
    drop(port);
    assert_eq!(lab.ended("1002").await.reason, "ended by the far side");

    let mut port = lab.call("1002");
    expect(&mut port, ExternalEvent::Ringing).await;
    assert_eq!(lab.api("1002/hangup", "").await, 204);
    expect(&mut port, ExternalEvent::Refused(Failure::Declined)).await;
    assert_eq!(lab.ended("1002").await.status, 603);

    let mut port = lab.call("1002");
    expect(&mut port, ExternalEvent::Ringing).await;
    expect(&mut port, ExternalEvent::Refused(Failure::Unavailable)).await;
    assert_eq!(lab.ended("1002").await.reason, "not answered");

    let mut port = lab.call("1002");
    expect(&mut port, ExternalEvent::Ringing).await;
    drop(port);
    assert_eq!(lab.ended("1002").await.status, 487, "the caller gives up");
    lab.stop().await;
}

#[tokio::test]
async fn a_radio_that_is_not_reached_says_why() {
    let lab = Lab::new().await;
    let mut first = lab.call("1001");
    expect(&mut first, ExternalEvent::Up).await;
    for (unit, failure) in [
        ("1001", Failure::Busy),
        ("1004", Failure::Unavailable),
        ("4711", Failure::Unknown),
    ] {
        let mut port = lab.call(unit);
        expect(&mut port, ExternalEvent::Refused(failure)).await;
    }
    assert!(
        lab.unit("1001").call.is_some(),
        "nothing happened to the call"
    );
    lab.stop().await;
}

#[tokio::test]
async fn a_radio_calls_and_both_talk() {
    let mut lab = Lab::new().await;
    let ExternalOffer {
        unit,
        dialled,
        mut port,
    } = lab.dial("1001", ALICE).await;
    assert_eq!((unit.as_str(), dialled.as_str()), ("1001", ALICE));
    assert_eq!(lab.unit("1001").state, RadioState::Calling);
    assert_eq!(lab.api("1001/ptt", "").await, 409, "not answered yet");
    port.commands.send(ExternalCommand::Alert).await.unwrap();
    lab.phase("1001", CallPhase::Alerting).await;
    port.commands.send(ExternalCommand::Answer).await.unwrap();
    expect(&mut port, ExternalEvent::Up).await;
    lab.phase("1001", CallPhase::Up).await;
    radio_talks(&lab, "1001", &mut port).await;
    radio_hears(&lab, "1001", "1003", &port).await;
    drop(port);
    assert_eq!(lab.ended("1001").await.reason, "ended by the far side");
    // A number of the radio system is passed on as it is.
    assert_eq!(lab.dial("1001", "sip:9001@lmr").await.dialled, "9001");
    lab.stop().await;
}

#[tokio::test]
async fn a_radio_is_told_why_its_call_does_not_come_up() {
    let mut lab = Lab::new().await;
    for (failure, status) in [
        (Failure::Unknown, 404),
        (Failure::Forbidden, 403),
        (Failure::Busy, 486),
        (Failure::Unavailable, 480),
        (Failure::Declined, 603),
    ] {
        let offer = lab.dial("1001", ALICE).await;
        let reject = ExternalCommand::Reject(failure);
        offer.port.commands.send(reject).await.unwrap();
        assert_eq!(lab.ended("1001").await.status, status);
    }
    // The radio gives up.
    let mut port = lab.dial("1001", ALICE).await.port;
    port.commands.send(ExternalCommand::Alert).await.unwrap();
    lab.phase("1001", CallPhase::Alerting).await;
    assert_eq!(lab.api("1001/call", r#"{"to":"sip:b@c"}"#).await, 409);
    assert_eq!(lab.api("1001/hangup", "").await, 204);
    expect(&mut port, ExternalEvent::Down).await;
    assert_eq!(lab.ended("1001").await.status, 487);
    assert_eq!(lab.api("1001/hangup", "").await, 409, "there is no call");
    assert_eq!(lab.api("1004/call", r#"{"to":"sip:b@c"}"#).await, 409);
    assert_eq!(lab.api("4711/call", r#"{"to":"sip:b@c"}"#).await, 404);
    assert_eq!(lab.api("1001/call", r#"{"to":"alice"}"#).await, 422);
    lab.stop().await;
}
