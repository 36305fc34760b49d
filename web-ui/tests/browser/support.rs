//! A console with fake services and a fake lab runner, and a browser that looks at it.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use mc_runtime::service::Context;
use mc_trace::{Event, hep};
use serde_json::{Value, json};
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};

/// How long a browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// The console under test and what it talks to.
pub(crate) struct Lab {
    console: web_ui::Started,
    sender: UdpSocket,
    started: AsyncMutex<mpsc::Receiver<String>>,
    control: Arc<Control>,
}

struct Control {
    started: mpsc::Sender<String>,
    finish: Notify,
    busy: Mutex<Option<String>>,
    results: Mutex<Vec<Value>>,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        let (started, receiver) = mpsc::channel(8);
        let control = Arc::new(Control {
            started,
            finish: Notify::new(),
            busy: Mutex::new(None),
            results: Mutex::new(Vec::new()),
        });
        let runner = axum::Router::new()
            .route("/state", get(state))
            .route("/calls/{approach}/{call}", post(call))
            .with_state(control.clone());
        let runner = serve(runner).await;
        let mut services = Vec::new();
        for (name, status, detail) in [
            ("idms", "ready", "ready"),
            ("kms", "ready", "ready"),
            ("mcptt-server", "ready", "ready"),
            ("segy", "waiting", "waits for gms"),
            ("lmr-sim", "ready", "ready"),
        ] {
            let body =
                json!({"service": name, "status": status, "waits_for": [], "detail": detail});
            let router = axum::Router::new().route("/health", get(|| async move { Json(body) }));
            services.push((name, serve(router).await));
        }
        services.push(("gms", closed().await));
        let services: Vec<Value> = services
            .iter()
            .map(|(name, at)| json!({"name": name, "health": format!("http://{at}/health")}))
            .collect();
        let config = serde_json::from_value(json!({
            "http": {"listen": "127.0.0.1:0"},
            "hep_listen": "127.0.0.1:0",
            "services": services,
            "lab_control": format!("http://{runner}"),
            "lab_keys": true,
        }));
        let context = Context::new("web-ui");
        let console = web_ui::start(&config.unwrap(), &context).await.unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        sender.connect(console.hep).await.unwrap();
        Self {
            console,
            sender,
            started: AsyncMutex::new(receiver),
            control,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/", self.console.server.address)
    }

    pub(crate) async fn send(&self, event: &Event) {
        let datagram = hep::encode(event, 2000);
        self.sender.send(&datagram).await.unwrap();
    }

    /// The next call the lab runner was asked for.
    pub(crate) async fn started(&self) -> String {
        self.started.lock().await.recv().await.unwrap()
    }

    /// Lets the running call end.
    pub(crate) fn finish(&self) {
        self.control.finish.notify_one();
    }
}

async fn state(State(control): State<Arc<Control>>) -> Json<Value> {
    let busy = control.busy.lock().unwrap().clone();
    let calls = control.results.lock().unwrap().clone();
    let radios = json!([{"name": "unit 1001", "status": "ready", "detail": "on talkgroup 1"},
        {"name": "unit 1002", "status": "ready", "detail": "on talkgroup 1"}]);
    Json(json!({"busy": busy, "calls": calls, "radios": radios,
        "clients": [{"name": "bob", "status": "ready", "detail": "affiliated to fireground-1"}]}))
}

async fn call(
    State(control): State<Arc<Control>>,
    Path((approach, call)): Path<(String, String)>,
) -> Json<Value> {
    let name = format!("{approach}/{call}");
    *control.busy.lock().unwrap() = Some(name.clone());
    control.started.send(name).await.unwrap();
    control.finish.notified().await;
    let row = json!({
        "approach": approach, "call": call, "verdict": "pass",
        "steps": {"C": "pass", "T": "pass", "K": "pass", "G": "pass", "S": "pass", "P": "later"},
        "speech_score": 0.912, "access_ms": 120, "mouth_to_ear_ms": 184, "detail": "",
    });
    control.results.lock().unwrap().push(row.clone());
    *control.busy.lock().unwrap() = None;
    Json(row)
}

async fn serve(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

/// An address nobody listens on.
async fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// A headless Chromium with a fresh profile.
pub(crate) struct Browser {
    pub(crate) driver: WebDriver,
    chromedriver: tokio::process::Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    pub(crate) async fn open(url: &str) -> Self {
        Self::open_as(url, false, (1440, 950)).await
    }

    pub(crate) async fn open_as(url: &str, dark: bool, (width, height): (u32, u32)) -> Self {
        let (chromedriver, port) = chromedriver().await;
        let profile = tempfile::tempdir().unwrap();
        let mut wishes = DesiredCapabilities::chrome();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let size = format!("--window-size={width},{height}");
        for flag in [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-proxy-server",
            folder.as_str(),
            size.as_str(),
        ] {
            wishes.add_arg(flag).unwrap();
        }
        if dark {
            wishes.add_arg("--force-dark-mode").unwrap();
        }
        let driver = WebDriver::new(format!("http://127.0.0.1:{port}"), wishes).await;
        let driver = driver.expect("chromium does not start: run `make deps`");
        driver.goto(url).await.unwrap();
        Self {
            driver,
            chromedriver,
            _profile: profile,
        }
    }

    pub(crate) async fn find(&self, css: &str) -> WebElement {
        self.driver.find(By::Css(css)).await.unwrap()
    }

    pub(crate) async fn wait_for(&self, css: &str) -> WebElement {
        let found = self
            .driver
            .query(By::Css(css))
            .wait(PATIENCE, TICK)
            .first()
            .await;
        found.unwrap_or_else(|e| panic!("{css}: {e}"))
    }

    pub(crate) async fn wait_gone(&self, css: &str) {
        let query = self.driver.query(By::Css(css)).wait(PATIENCE, TICK);
        assert!(query.not_exists().await.unwrap(), "{css} stays");
    }

    pub(crate) async fn until(&self, element: &WebElement, right: impl Fn(&str) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let text = element.text().await.unwrap();
            if right(&text) {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "it stays {text:?}");
            tokio::time::sleep(TICK).await;
        }
    }

    pub(crate) async fn click(&self, css: &str) {
        // The page may redraw between finding and clicking: look again, as a person does.
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = self.wait_for(css).await.click().await {
            assert!(tokio::time::Instant::now() < deadline, "{css}: {error}");
        }
    }

    pub(crate) async fn press(&self, css: &str, key: impl Into<TypingData>) {
        let element = self.find(css).await;
        element.send_keys(key).await.unwrap();
    }

    /// Flips a check box by keyboard: a map that grows at this moment cannot move it from under the
    /// pointer.
    pub(crate) async fn flip(&self, css: &str) {
        self.press(css, " ").await;
    }

    pub(crate) async fn type_in(&self, css: &str, text: &str) {
        self.find(css).await.send_keys(text).await.unwrap();
    }

    pub(crate) async fn run(&self, script: &str) -> Value {
        let answer = self.driver.execute(script, Vec::new()).await.unwrap();
        answer.json().clone()
    }

    pub(crate) async fn shot(&self, path: &str) {
        let path = std::path::Path::new(path);
        self.driver.screenshot(path).await.unwrap();
    }

    pub(crate) async fn close(mut self) {
        self.driver.quit().await.unwrap();
        self.chromedriver.kill().await.unwrap();
    }
}

const TICK: Duration = Duration::from_millis(50);

/// Starts a driver on a free port, which it names on its standard output.
async fn chromedriver() -> (tokio::process::Child, u16) {
    let mut child = tokio::process::Command::new("chromedriver")
        .arg("--port=0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("chromedriver is not installed: run `make deps`");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        let port = line.strip_prefix("ChromeDriver was started successfully on port ");
        if let Some(port) = port.and_then(|p| p.trim_end_matches('.').parse().ok()) {
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return (child, port);
        }
    }
    panic!("chromedriver ended without naming its port");
}
