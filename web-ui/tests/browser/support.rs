//! A console with fake services and a fake lab runner.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use mc_runtime::service::Context;
use mc_trace::{Event, hep};
use serde_json::{Value, json};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Mutex as AsyncMutex, Notify, mpsc};

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
