//! An IdMS on a loopback port with one account and a clock the test moves.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use idms::config::Config;
use idms::state::Idms;
use mc_client::login::{Login, LoginConfig, LoginError};
use mc_runtime::{CancellationToken, Clock as _, Health, TestClock, Tracer};
use tempfile::TempDir;
use testkit::lab_ca::{LabCa, free_port};

pub(crate) const REDIRECT_URI: &str = "http://localhost:8080/callback";
pub(crate) const PASSWORD: &str = "alice-password";

pub(crate) struct Lab {
    pub(crate) ca: Arc<LabCa>,
    pub(crate) issuer: String,
    pub(crate) clock: TestClock,
    pub(crate) idms: Idms,
    pub(crate) dir: TempDir,
    shutdown: CancellationToken,
}

impl Lab {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| ()).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::at(
            Arc::new(LabCa::new().unwrap()),
            free_port().unwrap(),
            change,
        )
        .await
    }

    pub(crate) async fn start_traced(tracer: Tracer) -> Self {
        let ca = Arc::new(LabCa::new().unwrap());
        Self::traced_at(ca, free_port().unwrap(), |_| (), tracer).await
    }

    /// An IdMS with a certificate of this authority, on this port.
    pub(crate) async fn at(ca: Arc<LabCa>, port: u16, change: impl FnOnce(&mut Config)) -> Self {
        Self::traced_at(ca, port, change, Tracer::off()).await
    }

    async fn traced_at(
        ca: Arc<LabCa>,
        port: u16,
        change: impl FnOnce(&mut Config),
        tracer: Tracer,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = TestClock::default();
        // Foreign clients compare token times with the machine's clock.
        clock.set(SystemTime::now().duration_since(UNIX_EPOCH).unwrap());
        let issuer = format!("https://localhost:{port}");
        let mut config = config(&ca, &dir, port);
        change(&mut config);
        let idms = Idms::open(config, clock_handle(&clock), Health::new("idms"))
            .await
            .unwrap();
        let shutdown = CancellationToken::new();
        let router = idms::router(idms.clone(), tracer);
        mc_runtime::http::serve(&ca.server(port), router, shutdown.clone())
            .await
            .unwrap();
        Self {
            ca,
            issuer,
            clock,
            idms,
            dir,
            shutdown,
        }
    }

    /// Opens the same store a second time, as after a restart.
    pub(crate) async fn reopened(&self) -> anyhow::Result<Idms> {
        let config = config(&self.ca, &self.dir, 1);
        Idms::open(config, clock_handle(&self.clock), Health::new("idms")).await
    }

    pub(crate) fn login_config(&self) -> LoginConfig {
        LoginConfig {
            issuer: self.issuer.clone(),
            client_id: "mcptt_client".into(),
            client_secret: None,
            redirect_uri: REDIRECT_URI.into(),
            username: "alice".into(),
            password: PASSWORD.to_owned().into(),
            scopes: mc_client::login::PTT_SCOPES.map(str::to_owned).to_vec(),
        }
    }

    pub(crate) async fn login(&self, config: LoginConfig) -> Result<Login, LoginError> {
        Login::discover(config, self.ca.client(), clock_handle(&self.clock)).await
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.clock.unix_s()
    }

    pub(crate) async fn events(&self) -> Vec<String> {
        self.idms.store.audit_events().await.unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn clock_handle(clock: &TestClock) -> mc_runtime::SharedClock {
    Arc::new(clock.clone())
}

fn config(ca: &LabCa, dir: &TempDir, port: u16) -> Config {
    let at = |name: &str| dir.path().join(name).display().to_string();
    let text = format!(
        r#"
        issuer = "https://localhost:{port}"
        database_url = "sqlite://{db}?mode=rwc"
        sealing_key_file = "{key}"
        [http]
        listen = "127.0.0.1:{port}"
        [[resource_servers]]
        audience = "sip:mcptt@mc.example"
        scopes = ["3gpp:mc:ptt_service"]
        [[resource_servers]]
        audience = "kms.mc.example"
        scopes = ["3gpp:mc:ptt_key_management_service"]
        [[clients]]
        client_id = "mcptt_client"
        redirect_uris = ["{REDIRECT_URI}", "mcx://callback"]
        [[clients]]
        client_id = "console"
        redirect_uris = ["{REDIRECT_URI}"]
        secret = "console-secret"
        [[users]]
        username = "alice"
        password = "{PASSWORD}"
        mcptt_id = "sip:alice@mc.example"
        [[users]]
        username = "mallory"
        password = "mallory-password"
        mcptt_id = "sip:mallory@mc.example"
        disabled = true
        "#,
        db = at("idms.db"),
        key = at("idms.key"),
    );
    let mut config: Config = mc_runtime::config::parse(&text, dir.path(), "IDMS_TEST", []).unwrap();
    config.http = ca.server(port);
    config
}
