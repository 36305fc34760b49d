//! `mcbox radio` and `mcbox client` as a person types them, in a running lab.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use lab::gateway::Gateway;
use lab::radios::Radios;
use lab::site::Approach;
use lab::supervisor::Lab;
use lab::topology::PortName;
use mc_audio::measure;
use mc_audio::wav::Wav;
use serde_json::Value;
use tokio::process::Command;

use crate::support::{self, PATIENCE, binaries, start};

fn mcbox(lab: &Lab, arguments: &[&str]) -> Command {
    let mut command = Command::new(binaries().join("mcbox"));
    command.arg("--state").arg(lab.state().root());
    command.args(arguments).kill_on_drop(true);
    command
}

/// A lab whose gateway carries calls.
async fn ready(dir: &tempfile::TempDir) -> Lab {
    let lab = start(dir).await;
    let gateway = Gateway::of(&lab, Approach::SingleClient.site().gateway());
    gateway.until_ready(PATIENCE).await;
    lab
}

async fn run(lab: &Lab, arguments: &[&str]) -> Output {
    let run = mcbox(lab, arguments).output();
    let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
    ended.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {output:?}"))
}

fn sentence(name: &str) -> PathBuf {
    let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/speech");
    speech.join(name)
}

fn samples(file: &Path) -> Vec<i16> {
    let octets = std::fs::read(file).unwrap();
    let wav = Wav::read(&octets, Duration::from_secs(120)).unwrap();
    wav.into_16k()
}

async fn until_recording(radios: &Radios, unit: &str) {
    while !radios.unit(unit).await.unwrap().recording {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One radio talks, another records, both at the command line.
#[tokio::test(flavor = "multi_thread")]
async fn a_radio_talks_and_another_records_at_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let lab = ready(&dir).await;
    let (words, heard) = (sentence("lmr.wav"), dir.path().join("heard.wav"));
    let (words, heard) = (words.to_str().unwrap(), heard.to_str().unwrap());
    let listen = [
        "radio",
        "--unit",
        "1002",
        "--record",
        heard,
        "--seconds",
        "12",
        "--json",
    ];
    let talk = [
        "radio",
        "--unit",
        "1001",
        "--emergency",
        "--say",
        words,
        "--json",
    ];
    // A group without anybody in it takes no call, and a newcomer is told what to do.
    let alone = run(&lab, &talk).await;
    assert!(!alone.status.success());
    assert!(
        said(&alone).contains("mcbox client --user bob"),
        "{alone:?}"
    );
    let bob = support::ready(&lab, "bob").await;
    let radios = Radios::at(lab.addresses().of(PortName::LmrSim)).unwrap();
    let talks = async {
        until_recording(&radios, "1002").await;
        run(&lab, &talk).await
    };
    let (listened, talked) = tokio::join!(run(&lab, &listen), talks);
    let (listened, talked) = (json(&listened), json(&talked));
    assert_eq!(talked["talk"]["state"], "done", "{talked}");
    assert_eq!(
        (&talked["network"], &talked["approach"]),
        (&"lmr-sim".into(), &"7.1".into())
    );
    assert_eq!(talked["emergency"], true);
    assert!(
        listened["recording"]["seconds"].as_f64().unwrap() > 5.0,
        "{listened}"
    );
    let score = measure::judge(&samples(Path::new(words)), &samples(Path::new(heard)));
    assert!(score.unwrap().score > 0.75);

    bob.stop().await;

    // Numbers that nobody has are named with those that there are.
    let nobody = run(&lab, &["radio", "--unit", "99", "--say", words]).await;
    assert!(!nobody.status.success());
    assert!(
        said(&nobody).contains("99") && said(&nobody).contains("1001"),
        "{nobody:?}"
    );
    let nowhere = run(&lab, &["radio", "--unit", "1001", "--talkgroup", "9"]).await;
    assert!(
        said(&nowhere).contains("no talkgroup 9, only 1, 2"),
        "{nowhere:?}"
    );
    // A radio that the gateway does not know is told so, in the gateway's words.
    let unmapped = [
        "radio",
        "--unit",
        "1003",
        "--talkgroup",
        "1",
        "--say",
        words,
    ];
    let unmapped = run(&lab, &unmapped).await;
    assert!(!unmapped.status.success());
    assert!(said(&unmapped).contains("no MC identity"), "{unmapped:?}");
}

/// A radio calls an MC user, who need not be there: the outcome says how the call ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_radio_calls_at_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let lab = ready(&dir).await;
    let words = sentence("lmr.wav");
    let words = words.to_str().unwrap();
    let dial = |whom| {
        [
            "radio", "--unit", "1001", "--call", whom, "--say", words, "--json",
        ]
    };
    let nobody = run(&lab, &dial("9999")).await;
    assert!(!nobody.status.success());
    assert_eq!(json(&nobody)["call"]["answered"], false);
    assert_eq!(json(&nobody)["talk"], Value::Null);
    assert!(said(&nobody).contains("9999 is no MC user"), "{nobody:?}");
    let bob = support::ready(&lab, "bob").await;
    let called = run(&lab, &dial("bob")).await;
    assert!(called.status.success(), "{called:?}");
    assert_eq!(json(&called)["call"]["answered"], true);
    assert_eq!(json(&called)["talk"]["state"], "done");
    bob.stop().await;
}

/// Events of `mcbox client --json`, by name.
fn events(output: &Output, name: &str) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    let all = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_talks_and_another_records_at_the_command_line() {
    let dir = tempfile::tempdir().unwrap();
    let lab = ready(&dir).await;
    let (words, heard) = (sentence("mc.wav"), dir.path().join("heard.wav"));
    let (words, heard) = (words.to_str().unwrap(), heard.to_str().unwrap());
    let listen = [
        "client",
        "--user",
        "bob",
        "--seconds",
        "14",
        "--record",
        heard,
        "--json",
    ];
    let talks = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        run(&lab, &["client", "--user", "alice", "--say", words]).await
    };
    let (listened, talked) = tokio::join!(run(&lab, &listen), talks);
    assert!(talked.status.success(), "{talked:?}");
    let lines = String::from_utf8_lossy(&talked.stdout).into_owned();
    assert!(
        lines.contains("floor granted") && !lines.contains('{'),
        "{lines}"
    );
    let taken = events(&listened, "floor_taken");
    assert_eq!(taken[0]["talker"], "sip:alice@mc.example", "{listened:?}");
    let score = measure::judge(&samples(Path::new(words)), &samples(Path::new(heard)));
    assert!(score.unwrap().score > 0.75);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_stops_at_once_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir).await;
    let refused = run(&lab, &["client", "--user", "mallory", "--json"]).await;
    assert!(!refused.status.success());
    assert!(
        said(&refused).contains("mallory: user name or password refused"),
        "{refused:?}"
    );
    assert_eq!(events(&refused, "account_refused").len(), 1);
    // A file that cannot be said takes no floor: it is read before the client starts.
    let file = lab.state().file("logs", "idms.log");
    let silent = [
        "client",
        "--user",
        "alice",
        "--json",
        "--say",
        file.to_str().unwrap(),
    ];
    let silent = run(&lab, &silent).await;
    assert!(
        !silent.status.success() && silent.stdout.is_empty(),
        "{silent:?}"
    );
    assert!(said(&silent).contains("16 bit, one channel"), "{silent:?}");
    // A group that is somebody else's is no reason to wait either.
    let stranger = run(&lab, &["client", "--user", "carol", "--json"]).await;
    assert!(!stranger.status.success());
    assert!(said(&stranger).contains("carol cannot use"), "{stranger:?}");
}
