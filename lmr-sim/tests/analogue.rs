//! The analogue channel seen from outside: a signalling gateway, a foreign softphone, hostile peers.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support code stops the test"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lmr_sim::network::{Network, PttNotice, RadioState};
use lmr_sim::{LmrConfig, Running};
use mc_audio::g711::ulaw_encode;
use mc_audio::wav::{Rate, Wav};
use mc_runtime::CancellationToken;
use mc_runtime::http::ServerConfig;
use mc_runtime::service::Context;
use mc_runtime::sip::{Incoming, IncomingRequest, SipConfig, SipEndpoint};
use mc_sip::sdp::{PcmuMedia, Sdp};
use mc_sip::transaction::TransactionConfig;
use mc_sip::{Dialog, Method, NameAddr, Peer, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::sync::{broadcast, mpsc};
use tokio::time::timeout;

const PTT: &str = "application/vnd.mcbox.ptt+json";
const PATIENCE: Duration = Duration::from_secs(10);

async fn lab() -> (Running, Context) {
    lab_with(|_| ()).await
}

async fn lab_with(change: impl FnOnce(&mut LmrConfig)) -> (Running, Context) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mut config = LmrConfig {
        http: ServerConfig::plain(any),
        sip: SipConfig {
            bind: any,
            ..SipConfig::default()
        },
        ..LmrConfig::default()
    };
    config.network.hang_ms = 100;
    change(&mut config);
    let context = Context::new("lmr-sim");
    (
        lmr_sim::start(config, context.clone()).await.unwrap(),
        context,
    )
}

async fn stop(lab: (Running, Context)) {
    lab.1.shutdown.cancel();
    timeout(PATIENCE, lab.0.wait())
        .await
        .expect("everything stops")
        .unwrap();
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
    network
        .status()
        .units
        .into_iter()
        .find(|u| u.unit == unit)
        .unwrap()
        .state
}

/// A caller that signals its key, as the gateway does.
struct Caller {
    endpoint: SipEndpoint,
    incoming: mpsc::Receiver<Incoming>,
    peer: Peer,
    dialog: Dialog,
    rtp: UdpSocket,
    remote_rtp: SocketAddr,
    sequence: u16,
}

async fn endpoint() -> (SipEndpoint, mpsc::Receiver<Incoming>) {
    let config = SipConfig {
        bind: ([127, 0, 0, 1], 0).into(),
        ..SipConfig::default()
    };
    let shutdown = CancellationToken::new();
    SipEndpoint::bind(
        &config,
        TransactionConfig::default(),
        Arc::new(()),
        &shutdown,
    )
    .await
    .unwrap()
}

fn invite(endpoint: &SipEndpoint, peer: Peer, channel: &str, from: &str) -> Request {
    let from = NameAddr::new(from.parse().unwrap()).with_tag("caller");
    let to = NameAddr::new(channel.parse().unwrap());
    let call_id = mc_sip::token::call_id(&mut mc_runtime::rng());
    Request::new(
        Method::Invite,
        channel.parse().unwrap(),
        &from,
        &to,
        &call_id,
        1,
    )
    .with("Contact", endpoint.contact("caller", peer).to_string())
}

fn offer(rtp: SocketAddr) -> Vec<u8> {
    let media = PcmuMedia {
        audio: rtp,
        telephone_event: None,
    };
    media.to_sdp(1, 0).to_string().into_bytes()
}

impl Caller {
    async fn call(peer: Peer, channel: &str, from: &str) -> Self {
        let (endpoint, incoming) = endpoint().await;
        let rtp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let body = offer(rtp.local_addr().unwrap());
        let request = invite(&endpoint, peer, channel, from).with_body("application/sdp", body);
        let mut stream = endpoint.request(request, peer);
        let ok = stream.final_response().await.unwrap();
        assert_eq!(ok.status, StatusCode::OK, "{:?}", ok.headers.warnings());
        let sdp = Sdp::parse(&ok.body).unwrap();
        let remote_rtp = PcmuMedia::from_sdp(&sdp).unwrap().audio;
        let dialog = Dialog::uac(&stream.request, &ok).unwrap();
        stream.ack(dialog.ack(1));
        Self {
            endpoint,
            incoming,
            peer,
            dialog,
            rtp,
            remote_rtp,
            sequence: 0,
        }
    }

    async fn send(&mut self, method: Method, content_type: &str, body: &[u8]) -> Response {
        let mut request = self.dialog.request(method);
        if !body.is_empty() {
            request = request.with_body(content_type, body.to_vec());
        }
        self.endpoint
            .request(request, self.peer)
            .final_response()
            .await
            .unwrap()
    }

    async fn info(&mut self, body: &Value) {
        let answer = self
            .send(Method::Info, PTT, body.to_string().as_bytes())
            .await;
        assert_eq!(answer.status, StatusCode::OK);
    }

    async fn next(&mut self) -> IncomingRequest {
        match timeout(PATIENCE, self.incoming.recv())
            .await
            .expect("a request comes")
        {
            Some(Incoming::Request(request)) => request,
            other => panic!("{other:?}"),
        }
    }

    async fn next_info(&mut self) -> Value {
        let incoming = self.next().await;
        assert_eq!(incoming.request.method, Method::Info);
        assert_eq!(
            incoming.request.headers.content_type().as_deref(),
            Some(PTT)
        );
        incoming.respond_status(StatusCode::OK);
        serde_json::from_slice(&incoming.request.body).unwrap()
    }

    async fn speak(&mut self, frames: u16, marker: bool) {
        for i in 0..frames {
            self.sequence += 1;
            let mut packet = vec![0x80, if marker && i == 0 { 0x80 } else { 0 }];
            packet.extend(self.sequence.to_be_bytes());
            packet.extend((u32::from(self.sequence) * 160).to_be_bytes());
            packet.extend(7u32.to_be_bytes());
            // A square wave, loud enough for any VOX.
            packet.extend((0..160).map(|i| ulaw_encode(if i % 16 < 8 { 9000 } else { -9000 })));
            self.rtp.send_to(&packet, self.remote_rtp).await.unwrap();
        }
    }

    async fn hear(&self) -> Vec<u8> {
        let mut buffer = vec![0; 2048];
        let (length, _) = timeout(PATIENCE, self.rtp.recv_from(&mut buffer))
            .await
            .expect("speech comes")
            .unwrap();
        buffer.truncate(length);
        buffer
    }
}

fn tone(seconds: usize, hz: f32) -> Vec<i16> {
    #[expect(clippy::cast_possible_truncation, reason = "8000 fits")]
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let at = |i: usize| (8000.0 * (std::f32::consts::TAU * hz * i as f32 / 8000.0).sin()) as i16;
    (0..seconds * 8000).map(at).collect()
}

fn write_wav(samples: Vec<i16>) -> Vec<u8> {
    let rate = Rate::Hz8000;
    Wav { rate, samples }.write().unwrap()
}

fn read_wav(octets: &[u8]) -> Vec<i16> {
    let longest = Duration::from_secs(60);
    Wav::read(octets, longest).unwrap().into_8k()
}

/// Share of the energy of `samples` at `hz` (Goertzel), 0 to about 1.
fn share_at(samples: &[i16], hz: f64) -> f64 {
    let (mut re, mut im, mut all) = (0.0, 0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let phase = std::f64::consts::TAU * hz * i as f64 / 8000.0;
        let x = f64::from(*sample);
        re += x * phase.cos();
        im += x * phase.sin();
        all += x * x;
    }
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let n = samples.len() as f64;
    if all == 0.0 {
        0.0
    } else {
        2.0 * re.hypot(im).powi(2) / (n * all)
    }
}

#[tokio::test]
async fn a_gateway_and_a_radio_hear_each_other_with_talker_identities() {
    let lab = lab().await;
    let network = lab.0.network.clone();
    for peer in [Peer::udp(lab.0.sip), Peer::tcp(lab.0.sip)] {
        let mut notices = network.notices();
        let mut caller = Caller::call(peer, "sip:chan1@lmr", "sip:segy@lmr").await;
        network
            .recorder("1001", lmr_sim::recorder::Recorder::start)
            .unwrap();
        let on = json!({"ptt":"on","unit":"5001","emergency":true,"talker":"sip:alice@mc.example"});
        caller.info(&on).await;
        let talker = notice(&mut notices, "on").await.talker;
        assert_eq!((talker.unit.as_str(), talker.emergency), ("5001", true));
        assert_eq!(state(&network, "1001"), RadioState::Receiving);
        assert_eq!(
            state(&network, "1003"),
            RadioState::Idle,
            "another talkgroup"
        );
        caller.speak(10, true).await;
        let heard = || network.recorder("1001", |r| r.samples().len()).unwrap();
        timeout(PATIENCE, async {
            while heard() < 1600 {
                tokio::task::yield_now().await;
            }
        })
        .await
        .expect("the radio hears all ten frames");
        caller.info(&json!({"ptt":"off"})).await;
        notice(&mut notices, "off").await;
        assert_eq!(heard(), 1600);

        network.press_unit("1002").unwrap();
        let on = caller.next_info().await;
        assert_eq!((&on["ptt"], &on["unit"]), (&json!("on"), &json!("1002")));
        assert!(network.voice_unit("1002", &[1000; 160]));
        let first = caller.hear().await;
        assert_eq!(
            (first.len(), first[1]),
            (172, 0x80),
            "marker on the first packet"
        );
        assert!(network.voice_unit("1002", &[1000; 160]));
        assert_eq!(caller.hear().await[1], 0);
        network.release_unit("1002");
        assert_eq!(caller.next_info().await["ptt"], "off");
        assert_eq!(
            caller.send(Method::Bye, "", b"").await.status,
            StatusCode::OK
        );
    }
    stop(lab).await;
}

#[tokio::test]
async fn the_first_talker_holds_and_the_other_is_told() {
    let lab = lab().await;
    let network = lab.0.network.clone();
    let mut notices = network.notices();
    let mut caller = Caller::call(Peer::tcp(lab.0.sip), "sip:chan1@lmr", "sip:segy@lmr").await;
    network.press_unit("1001").unwrap();
    assert_eq!(caller.next_info().await["ptt"], "on");
    caller.info(&json!({"ptt":"on","unit":"5001"})).await;
    assert_eq!(caller.next_info().await["ptt"], "denied");
    assert_eq!(
        network.press_unit("1002").unwrap_err().to_string(),
        "talkgroup 1 is busy"
    );
    assert_eq!(state(&network, "1002"), RadioState::Denied);
    assert_eq!(state(&network, "1001"), RadioState::Talking);

    // The far side refuses the radio: denied tone, denied state, channel free for others.
    network
        .recorder("1001", lmr_sim::recorder::Recorder::start)
        .unwrap();
    caller.info(&json!({"ptt":"denied"})).await;
    notice(&mut notices, "denied").await;
    notice(&mut notices, "denied").await;
    let denied = notice(&mut notices, "denied").await;
    assert_eq!(denied.talker.unit, "1001");
    assert_eq!(state(&network, "1001"), RadioState::Denied);
    assert!(!network.voice_unit("1001", &[1; 160]));
    let played = network.recorder("1001", |r| r.samples().to_vec()).unwrap();
    assert!(share_at(&played, 400.0) > 0.9, "the denied tone");
    stop(lab).await;
}

#[tokio::test]
async fn speech_alone_presses_and_silence_releases() {
    let lab = lab_with(|config| config.media.silence_ms = 60).await;
    let network = lab.0.network.clone();
    let mut notices = network.notices();
    let mut caller = Caller::call(Peer::udp(lab.0.sip), "sip:chan1@lmr", "sip:2042@lmr").await;
    caller.speak(2, false).await;
    let on = notice(&mut notices, "on").await;
    assert_eq!(on.talker.unit, "2042", "the unit id is in From");
    assert_eq!(notice(&mut notices, "off").await.talker.unit, "2042");
    let mut nameless = Caller::call(Peer::udp(lab.0.sip), "sip:chan1@lmr", "sip:bob@lmr").await;
    nameless.speak(2, false).await;
    assert_eq!(
        notice(&mut notices, "on").await.talker.unit,
        "0",
        "the reserved unit"
    );
    stop(lab).await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_or_vanishes_frees_the_channel() {
    let lab = lab_with(|config| config.media.silence_ms = 50).await;
    let network = lab.0.network.clone();
    let mut notices = network.notices();
    let mut caller = Caller::call(Peer::udp(lab.0.sip), "sip:chan1@lmr", "sip:segy@lmr").await;
    caller.info(&json!({"ptt":"on"})).await;
    notice(&mut notices, "on").await;
    caller.send(Method::Bye, "", b"").await;
    notice(&mut notices, "off").await;
    let mut caller = Caller::call(Peer::udp(lab.0.sip), "sip:chan1@lmr", "sip:segy@lmr").await;
    caller.info(&json!({"ptt":"on"})).await;
    notice(&mut notices, "on").await;
    drop(caller);
    notice(&mut notices, "off").await;
    stop(lab).await;
}

#[tokio::test]
async fn bad_calls_get_the_right_refusal_and_change_nothing() {
    let lab = lab().await;
    let peer = Peer::tcp(lab.0.sip);
    let (endpoint, _incoming) = endpoint().await;
    let before = serde_json::to_value(lab.0.network.status()).unwrap();
    let good = String::from_utf8(offer(([127, 0, 0, 1], 4000).into())).unwrap();
    let gsm = good
        .replace("RTP/AVP 0", "RTP/AVP 3")
        .replace("0 PCMU/8000", "3 GSM/8000");
    let long = format!("v=0\r\n{}", "a=x\r\n".repeat(10_000));
    let cases = [
        ("sip:chan9@lmr", "application/sdp", good.as_str(), 404),
        ("sip:chan@lmr", "application/sdp", &good, 404),
        ("sip:chan99999999999@lmr", "application/sdp", &good, 404),
        ("sip:alice@lmr", "application/sdp", &good, 404),
        ("sip:lmr", "application/sdp", &good, 404),
        ("sip:chan1@lmr", "application/sdp", &gsm, 488),
        ("sip:chan1@lmr", "application/sdp", "not SDP", 400),
        ("sip:chan1@lmr", "application/sdp", &long, 400),
        ("sip:chan1@lmr", "text/plain", "hello", 415),
        ("sip:chan1@lmr", "multipart/mixed", "x", 415),
    ];
    for (channel, content_type, body, status) in cases {
        let request = invite(&endpoint, peer, channel, "sip:x@lmr")
            .with_body(content_type, body.as_bytes().to_vec());
        let answer = endpoint
            .request(request, peer)
            .final_response()
            .await
            .unwrap();
        assert_eq!(answer.status.code(), status, "{channel} {content_type}");
    }
    let required = invite(&endpoint, peer, "sip:chan1@lmr", "sip:x@lmr").with("Require", "100rel");
    let answer = endpoint
        .request(required, peer)
        .final_response()
        .await
        .unwrap();
    assert_eq!(answer.status.code(), 420);
    let stray = invite(&endpoint, peer, "sip:chan1@lmr", "sip:x@lmr");
    let mut stray = Request {
        method: Method::Bye,
        ..stray
    };
    stray.headers.set("CSeq", "1 BYE");
    stray.headers.set("To", "<sip:chan1@lmr>;tag=nobody");
    let answer = endpoint
        .request(stray, peer)
        .final_response()
        .await
        .unwrap();
    assert_eq!(answer.status.code(), 481);
    assert_eq!(
        serde_json::to_value(lab.0.network.status()).unwrap(),
        before
    );
    stop(lab).await;
}

#[tokio::test]
async fn garbage_on_the_sockets_and_in_a_call_is_survived() {
    let lab = lab().await;
    let network = lab.0.network.clone();
    let mut notices = network.notices();
    let mut caller = Caller::call(Peer::udp(lab.0.sip), "sip:chan1@lmr", "sip:segy@lmr").await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    for garbage in [
        &b"\0\0\0\0"[..],
        b"INVITE sip:chan1@lmr SIP/2.0\r\n\r\n",
        b"INVITE \xff\xfe SIP/2.0\r\nVia: x\r\n\r\n",
        b"SIP/2.0 200 OK\r\n\r\n",
    ] {
        stranger.send_to(garbage, lab.0.sip).await.unwrap();
        stranger.send_to(garbage, caller.remote_rtp).await.unwrap();
    }
    for (content_type, body, status) in [
        (PTT, &b"{"[..], 400),
        (PTT, b"{\"ptt\":\"maybe\"}", 400),
        (PTT, &[b' '; 5000][..], 400),
        ("application/dtmf-relay", b"Signal=1", 415),
    ] {
        assert_eq!(
            caller
                .send(Method::Info, content_type, body)
                .await
                .status
                .code(),
            status
        );
    }
    caller
        .info(&json!({"ptt":"on","unit":"not a number","talker":"x"}))
        .await;
    assert_eq!(notice(&mut notices, "on").await.talker.unit, "0");
    stop(lab).await;
}

#[tokio::test]
async fn losses_are_as_configured() {
    let lab = lab_with(|config| config.impairments.loss_percent = 100.0).await;
    let network = lab.0.network.clone();
    let mut caller = Caller::call(Peer::udp(lab.0.sip), "sip:chan1@lmr", "sip:segy@lmr").await;
    network
        .recorder("1001", lmr_sim::recorder::Recorder::start)
        .unwrap();
    caller.info(&json!({"ptt":"on"})).await;
    caller.speak(5, true).await;
    caller.info(&json!({"ptt":"off"})).await;
    assert_eq!(network.recorder("1001", |r| r.samples().len()).unwrap(), 0);
    stop(lab).await;
}

#[tokio::test]
async fn the_api_plays_and_records() {
    let lab = lab().await;
    let base = format!("http://{}/api", lab.0.http);
    let client = mc_runtime::http::client(&mc_runtime::http::ClientConfig::default()).unwrap();
    let post = |path: &str| client.post(format!("{base}/{path}"));
    assert_eq!(
        post("units/1001/record").send().await.unwrap().status(),
        204
    );
    let wav = write_wav(tone(1, 1000.0));
    let mut notices = lab.0.network.notices();
    let talk: Value = post("units/1002/ptt")
        .body(wav.clone())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let again = post("units/1002/ptt")
        .body(wav.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 409, "talks already");
    assert_eq!(
        post("units/1001/ptt")
            .body(wav)
            .send()
            .await
            .unwrap()
            .status(),
        409,
        "busy"
    );
    notice(&mut notices, "off").await;
    let get = |path: String| client.get(format!("{base}/{path}"));
    let recording: Value = get("units/1001/recording".into())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let delay =
        recording["first_sample_us"].as_u64().unwrap() - talk["pressed_us"].as_u64().unwrap();
    assert!(delay < 500_000, "{delay} us");
    let wav = get("units/1001/recording.wav".into())
        .send()
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    let heard = read_wav(&wav);
    assert!(heard.len() >= 8000, "{}", heard.len());
    // The refused press of the listener put its denied tone in front.
    assert!(share_at(&heard[heard.len() - 4000..], 1000.0) > 0.95);

    for (path, body, status) in [
        ("units/7/affiliate", json!({"talkgroup":1}), 404),
        ("units/1001/affiliate", json!({"talkgroup":9}), 404),
        ("units/1001/affiliate", json!({"talkgroup":"x"}), 422),
        ("units/1001/affiliate", json!({"talkgroup":2}), 204),
        ("units/1001/emergency", json!({"active":true}), 204),
    ] {
        assert_eq!(
            post(path).json(&body).send().await.unwrap().status(),
            status,
            "{path}"
        );
    }
    let bad = post("units/1001/ptt")
        .body("RIFFRAFF")
        .send()
        .await
        .unwrap();
    assert_eq!(bad.status(), 422);
    let status: Value = get("status".into())
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(status["units"][0]["talkgroup"], 2);
    assert_eq!(status["units"][0]["emergency"], true);
    let loss = client
        .put(format!("{base}/impairments"))
        .json(&json!({"loss_percent": 101.0}));
    assert_eq!(loss.send().await.unwrap().status(), 422);
    stop(lab).await;
}

/// A page that somebody has open in a browser must not press keys.
#[tokio::test]
async fn a_page_of_another_site_presses_no_key() {
    let lab = lab().await;
    let client = mc_runtime::http::client(&mc_runtime::http::ClientConfig::default()).unwrap();
    let press = || client.post(format!("http://{}/api/units/1001/ptt", lab.0.http));
    let foreign = press().header("origin", "https://evil.example").send();
    assert_eq!(foreign.await.unwrap().status(), 403);
    let form = press()
        .header("content-type", "text/plain")
        .body("x")
        .send();
    assert_eq!(form.await.unwrap().status(), 415);
    let status = lab.0.network.status();
    assert!(status.talkgroups.iter().all(|group| group.state == "idle"));
    assert_eq!(press().send().await.unwrap().status(), 202, "a program");
    stop(lab).await;
}

/// baresip calls into the talkgroup, is heard by a radio, and hears a radio.
#[tokio::test]
async fn a_foreign_softphone_takes_part() {
    let lab = lab().await;
    let network = lab.0.network.clone();
    let mut notices = network.notices();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    // One second of tone, then silence: the softphone sends all the time.
    let mut said = tone(1, 700.0);
    said.resize(20 * 8000, 0);
    std::fs::write(directory.path().join("say.wav"), write_wav(said)).unwrap();
    let modules = [
        "/usr/lib/baresip/modules",
        "/usr/lib/x86_64-linux-gnu/baresip/modules",
    ];
    let modules = modules.iter().find(|m| std::path::Path::new(m).exists());
    let modules = modules.expect("baresip is missing: run `make test`");
    let config = format!(
        "poll_method epoll\nsip_listen 127.0.0.1:0\naudio_source aufile,{path}/say.wav\n\
         audio_player aubridge,lmr\naudio_alert aufile,{path}/say.wav\nausrc_srate 8000\n\
         auplay_srate 8000\nausrc_channels 1\nauplay_channels 1\nmodule_path {modules}\n\
         module g711.so\nmodule aufile.so\nmodule aubridge.so\nmodule sndfile.so\n\
         module_tmp uuid.so\nmodule_tmp account.so\nmodule_app menu.so\nsnd_path {path}\n"
    );
    std::fs::write(directory.path().join("config"), config).unwrap();
    let account = "<sip:1042@127.0.0.1>;regint=0;audio_codecs=PCMU/8000/1\n";
    std::fs::write(directory.path().join("accounts"), account).unwrap();
    std::fs::write(directory.path().join("contacts"), "").unwrap();
    network
        .recorder("1001", lmr_sim::recorder::Recorder::start)
        .unwrap();
    let dial = format!("/dial sip:chan1@{};transport=udp", lab.0.sip);
    let mut baresip = tokio::process::Command::new("baresip")
        .args(["-f", path, "-e", &dial])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("baresip is missing: run `make test`");

    assert_eq!(notice(&mut notices, "on").await.talker.unit, "1042");
    assert_eq!(notice(&mut notices, "off").await.talker.unit, "1042");
    let heard = network.recorder("1001", |r| r.samples().to_vec()).unwrap();
    assert!(heard.len() >= 7000, "{}", heard.len());
    assert!(
        share_at(&heard[1600..5600], 700.0) > 0.9,
        "the radio hears the softphone"
    );

    let talks = lmr_sim::talk::Talks::new(network.clone());
    talks.start("1002", Some(tone(1, 1000.0))).unwrap();
    notice(&mut notices, "off").await;
    // A clean end makes baresip finish its recording.
    let pid = baresip.id().unwrap().to_string();
    tokio::process::Command::new("kill")
        .arg(pid)
        .status()
        .await
        .unwrap();
    timeout(PATIENCE, baresip.wait())
        .await
        .expect("baresip ends")
        .unwrap();
    let dump = std::fs::read_dir(directory.path())
        .unwrap()
        .filter_map(Result::ok);
    let dump = dump
        .map(|e| e.path())
        .find(|p| p.to_string_lossy().ends_with("-dec.wav"));
    let octets = std::fs::read(dump.expect("baresip recorded")).unwrap();
    let heard = read_wav(&octets);
    assert!(heard.len() >= 7000, "{}", heard.len());
    assert!(
        share_at(&heard[1600..5600], 1000.0) > 0.9,
        "the softphone hears the radio"
    );
    stop(lab).await;
}
