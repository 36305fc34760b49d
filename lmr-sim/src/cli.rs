//! The command line radio: `lmr-sim ptt --unit 1001 --wav f.wav` against a running network.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Parser, Subcommand};
use mc_runtime::http::{self, ClientConfig};
use reqwest::{Client, Method};
use serde_json::json;

use crate::api::Recording;
use crate::talk::{Talk, TalkState};

/// How often a talk is asked for.
const POLL: Duration = Duration::from_millis(50);

/// Commands for a running network.
#[derive(Debug, Parser)]
#[command(name = "lmr-sim")]
pub struct Cli {
    /// Address of the API.
    #[arg(
        long,
        global = true,
        env = "LMR_SIM_API",
        default_value = "http://127.0.0.1:8446"
    )]
    api: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct Unit {
    /// Unit number of the radio.
    #[arg(long)]
    unit: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Presses a radio's key and plays a WAV (8 or 16 kHz, one channel) in real time.
    Ptt {
        #[command(flatten)]
        unit: Unit,
        /// What to play.
        #[arg(long)]
        wav: PathBuf,
        /// Also records what another radio hears until the talk ends.
        #[arg(long, requires = "listener")]
        record: Option<PathBuf>,
        /// The radio that records.
        #[arg(long)]
        listener: Option<String>,
    },
    /// Records what a radio hears for some seconds.
    Record {
        #[command(flatten)]
        unit: Unit,
        /// The WAV to write.
        #[arg(long, alias = "record")]
        out: PathBuf,
        /// Seconds.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Shows radios and talkgroups.
    Status,
    /// Tunes a radio to a talkgroup, or off.
    Affiliate {
        #[command(flatten)]
        unit: Unit,
        /// Talkgroup; without one the radio leaves all.
        #[arg(long)]
        talkgroup: Option<u32>,
    },
    /// Latches a radio's emergency, or clears it.
    Emergency {
        #[command(flatten)]
        unit: Unit,
        /// Clears it.
        #[arg(long)]
        clear: bool,
    },
}

/// The words that make a command line one for a running network.
pub const COMMANDS: [&str; 5] = ["ptt", "record", "status", "affiliate", "emergency"];

/// Runs a command; what it prints is the result.
///
/// # Errors
/// The network cannot be reached or refuses, or a file cannot be read or written.
pub async fn run(cli: Cli) -> anyhow::Result<String> {
    http::install_crypto_provider();
    let api = Api {
        client: http::client(&ClientConfig::default())?,
        base: cli.api,
    };
    match cli.command {
        Command::Ptt {
            unit,
            wav,
            record,
            listener,
        } => {
            let wav = std::fs::read(&wav).with_context(|| wav.display().to_string())?;
            if let Some(listener) = &listener {
                api.call(Method::POST, &format!("units/{listener}/record"), None)
                    .await?;
            }
            let talk = api.talk(&unit.unit, wav).await?;
            if let (Some(listener), Some(record)) = (listener, record) {
                api.save(&listener, &record).await?;
            }
            if talk.state == TalkState::Denied {
                bail!("unit {} was denied after {} frames", talk.unit, talk.frames);
            }
            Ok(serde_json::to_string(&talk)?)
        }
        Command::Record { unit, out, seconds } => {
            api.call(Method::POST, &format!("units/{}/record", unit.unit), None)
                .await?;
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            api.save(&unit.unit, &out).await
        }
        Command::Status => {
            let text = api.call(Method::GET, "status", None).await?;
            let status: serde_json::Value = serde_json::from_str(&text)?;
            Ok(serde_json::to_string_pretty(&status)?)
        }
        Command::Affiliate { unit, talkgroup } => {
            let body = json!({ "talkgroup": talkgroup });
            api.call(
                Method::POST,
                &format!("units/{}/affiliate", unit.unit),
                Some(body),
            )
            .await
        }
        Command::Emergency { unit, clear } => {
            let body = json!({ "active": !clear });
            api.call(
                Method::POST,
                &format!("units/{}/emergency", unit.unit),
                Some(body),
            )
            .await
        }
    }
}

struct Api {
    client: Client,
    base: String,
}

impl Api {
    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> anyhow::Result<String> {
        let mut request = self
            .client
            .request(method, format!("{}/api/{path}", self.base));
        if let Some(body) = body {
            request = request.json(&body);
        }
        text(request).await
    }

    async fn talk(&self, unit: &str, wav: Vec<u8>) -> anyhow::Result<Talk> {
        let url = format!("{}/api/units/{unit}/ptt", self.base);
        let mut talk: Talk = serde_json::from_str(&text(self.client.post(url).body(wav)).await?)?;
        while talk.state == TalkState::Talking {
            tokio::time::sleep(POLL).await;
            let path = format!("talks/{}", talk.id);
            talk = serde_json::from_str(&self.call(Method::GET, &path, None).await?)?;
        }
        Ok(talk)
    }

    async fn save(&self, unit: &str, out: &PathBuf) -> anyhow::Result<String> {
        let recording = self
            .call(Method::GET, &format!("units/{unit}/recording"), None)
            .await?;
        let recording: Recording = serde_json::from_str(&recording)?;
        let url = format!("{}/api/units/{unit}/recording.wav", self.base);
        let wav = self
            .client
            .get(url)
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?;
        std::fs::write(out, wav).with_context(|| out.display().to_string())?;
        let summary = json!({
            "unit": unit,
            "first_sample_us": recording.first_sample_us,
            "sample_rate": recording.sample_rate,
            "samples": recording.samples,
        });
        Ok(summary.to_string())
    }
}

async fn text(request: reqwest::RequestBuilder) -> anyhow::Result<String> {
    let response = request.send().await?;
    let (status, text) = (response.status(), response.text().await?);
    if !status.is_success() {
        bail!("{status}: {text}");
    }
    Ok(text)
}
