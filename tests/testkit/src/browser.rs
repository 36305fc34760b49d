//! A real headless Chromium, for what a person does in the console.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test fails by panicking"
)]

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use thirtyfour::prelude::*;
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// How long a browser may take for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// A headless Chromium with a fresh profile.
#[derive(Debug)]
pub struct Browser {
    /// What drives it.
    pub driver: WebDriver,
    chromedriver: tokio::process::Child,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Opens a page in a window for a desk.
    pub async fn open(url: &str) -> Self {
        Self::open_as(url, false, (1440, 950)).await
    }

    /// Opens a page, dark or light, in a window of this size in pixels.
    pub async fn open_as(url: &str, dark: bool, (width, height): (u32, u32)) -> Self {
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

    /// The element, which is there.
    pub async fn find(&self, css: &str) -> WebElement {
        self.driver.find(By::Css(css)).await.unwrap()
    }

    /// The element, as soon as it is there.
    pub async fn wait_for(&self, css: &str) -> WebElement {
        let found = self
            .driver
            .query(By::Css(css))
            .wait(PATIENCE, TICK)
            .first()
            .await;
        found.unwrap_or_else(|e| panic!("{css}: {e}"))
    }

    /// Waits until no such element is left.
    pub async fn wait_gone(&self, css: &str) {
        let query = self.driver.query(By::Css(css)).wait(PATIENCE, TICK);
        assert!(query.not_exists().await.unwrap(), "{css} stays");
    }

    /// Waits until the text of the element is right.
    pub async fn until(&self, element: &WebElement, right: impl Fn(&str) -> bool) {
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

    /// Clicks.
    pub async fn click(&self, css: &str) {
        self.act(css, async |element| element.click().await).await;
    }

    /// Types a key or text into an element.
    pub async fn press(&self, css: &str, keys: impl Into<TypingData> + Clone) {
        self.act(css, async |element| element.send_keys(keys.clone()).await)
            .await;
    }

    /// The page may redraw between finding an element and working it: look again, as a person does.
    async fn act(&self, css: &str, action: impl AsyncFn(WebElement) -> WebDriverResult<()>) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while let Err(error) = action(self.wait_for(css).await).await {
            assert!(tokio::time::Instant::now() < deadline, "{css}: {error}");
        }
    }

    /// Flips a check box by keyboard: a map that grows at this moment cannot move it from under the
    /// pointer.
    pub async fn flip(&self, css: &str) {
        self.press(css, " ").await;
    }

    /// What a script returns.
    pub async fn run(&self, script: &str) -> Value {
        let answer = self.driver.execute(script, Vec::new()).await.unwrap();
        answer.json().clone()
    }

    /// Keeps a picture.
    pub async fn shot(&self, path: &str) {
        let path = std::path::Path::new(path);
        self.driver.screenshot(path).await.unwrap();
    }

    /// Closes it.
    pub async fn close(mut self) {
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
