//! `mcbox up` as a person has it: the console in a real browser, its buttons, real calls behind them,
//! and Ctrl-C.

use std::path::Path;
use std::process::Stdio;

use lab::state::StateDir;
use lab::topology::PortName;
use serde_json::Value;
use testkit::browser::Browser;
use thirtyfour::Key;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::support::{PATIENCE, binaries};

/// A running `mcbox up`.
struct Up {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    state: tempfile::TempDir,
}

impl Up {
    fn start() -> Self {
        let state = tempfile::tempdir().unwrap();
        let speech = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/speech");
        let mut process = mcbox(state.path())
            .args(["up", "--ports", "free", "--speech"])
            .arg(speech)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            process,
            lines,
            state,
        }
    }

    /// Where the browser goes, which it tells when the lab is ready.
    async fn url(&mut self) -> String {
        let told = async {
            while let Some(line) = self.lines.next_line().await.unwrap() {
                if let Some(url) = line.strip_prefix("open ") {
                    return url.to_owned();
                }
            }
            panic!("mcbox ended before the lab was ready")
        };
        tokio::time::timeout(4 * PATIENCE, told).await.unwrap()
    }

    /// Ctrl-C; whether everything ended well.
    async fn interrupt(&mut self) -> bool {
        let pid = self.process.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-s", "INT", &pid]).status();
        assert!(sent.await.unwrap().success());
        let ended = tokio::time::timeout(PATIENCE, self.process.wait()).await;
        ended.unwrap().unwrap().success()
    }
}

/// A test that fails leaves nothing running either.
impl Drop for Up {
    fn drop(&mut self) {
        let mut down = mcbox(self.state.path()).into_std();
        let _best_effort = down.args(["down", "--purge"]).status();
    }
}

fn mcbox(state: &Path) -> Command {
    let mut command = Command::new(binaries().join("mcbox"));
    command.arg("--state").arg(state.join("lab"));
    command
}

/// Presses the button of a call and returns what the console shows of its result.
async fn press(browser: &Browser, call: &str) -> String {
    let button = format!("button[data-call='{call}']");
    browser.wait_for(&format!("{button}:enabled")).await;
    browser.press(&button, Key::Enter).await;
    let ended = format!("li:has({button}) .pill:not(.running)");
    browser.wait_for(&ended).await;
    let row = browser.find(&format!("li:has({button})")).await;
    row.prop("textContent").await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_button_of_the_console_starts_a_real_call() {
    let mut up = Up::start();
    let browser = Browser::open(&up.url().await).await;
    for call in ["7.1/group-lmr-to-mc", "7.2/private-mc-to-lmr"] {
        let shown = press(&browser, call).await;
        assert!(shown.contains("pass"), "{call}: {shown}");
        let score = shown.split("speech ").nth(1).unwrap();
        let score = score.split_whitespace().next().unwrap();
        assert!(score.parse::<f64>().unwrap() > 0.75, "{call}: {shown}");
    }
    // The map knows both networks' radios and the MC users; the list has the call's messages.
    let map = browser.find("#map").await.prop("textContent").await;
    let map = map.unwrap().unwrap();
    for who in ["mcptt-server", "segy", "1001", "2001", "alice", "bob"] {
        assert!(map.contains(who), "{who}: {map}");
    }
    browser.press("#by-text", "INVITE").await;
    browser.wait_for("#rows tr").await;
    browser.close().await;

    // The lab runner behind the buttons takes no orders from other sites' pages.
    let record = StateDir::running(&up.state.path().join("lab")).unwrap().1;
    let control = record.addresses.of(PortName::LabControl);
    let order = reqwest::Client::new().post(format!("http://{control}/calls/7.1/group-lmr-to-mc"));
    let foreign = order.header("origin", "https://evil.example").send().await;
    assert_eq!(foreign.unwrap().status(), 403);

    assert!(up.interrupt().await);
    let status = mcbox(up.state.path()).args(["status", "--json"]).output();
    let status = status.await.unwrap();
    let left = serde_json::from_slice::<Value>(&status.stdout);
    assert!(!status.status.success(), "something still runs: {left:?}");
}
