//! The radios of the lab, worked through the API of `lmr-sim`.

use std::time::Duration;

use mc_audio::wav::Wav;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::health;

/// How long the radio network may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest recording that is read; the radios record no longer.
const LONGEST: Duration = Duration::from_secs(600);
/// How often a talk is looked at.
const POLL: Duration = Duration::from_millis(20);

/// Why a radio did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum RadioError {
    /// The radio network does not answer.
    #[error("lmr-sim: {0}")]
    Unreachable(String),
    /// It refuses.
    #[error("lmr-sim: {0}: {1}")]
    Refused(StatusCode, String),
    /// A recording is no 16 bit mono WAV.
    #[error("lmr-sim: recording: {0}")]
    Recording(String),
}

/// A talk of a radio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talk {
    /// Number.
    pub id: u64,
    /// `talking`, `done` or `denied`.
    pub state: String,
    /// Unix time of the press in microseconds.
    pub pressed_us: u64,
    /// Unix time of the first sample in microseconds.
    pub first_sample_us: u64,
    /// Frames of 20 ms that went out.
    pub frames: u64,
    /// Why it was denied.
    pub reason: Option<String>,
}

/// What a radio's loudspeaker played.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Unix time of the first sample in microseconds.
    pub first_sample_us: u64,
    /// 16 bit samples at 8 kHz.
    pub samples: Vec<i16>,
}

/// What a radio network says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkStatus {
    /// Radios.
    pub units: Vec<Radio>,
    /// Talkgroups.
    pub talkgroups: Vec<Talkgroup>,
}

/// A talkgroup, as far as the lab looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talkgroup {
    /// Number.
    pub talkgroup: u32,
    /// `idle`, `granted` or `hang`.
    pub state: String,
    /// Who talks.
    pub talker: Option<RadioTalker>,
    /// What else is on it: the gateway, softphones.
    pub legs: Vec<String>,
}

/// Who talks, as radios are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioTalker {
    /// Unit number.
    pub unit: String,
    /// Name behind it.
    pub name: Option<String>,
    /// Whether it is an emergency.
    pub emergency: bool,
}

/// A radio, as far as the lab looks at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Radio {
    /// Unit number.
    pub unit: String,
    /// Talkgroup it is tuned to.
    pub talkgroup: Option<u32>,
    /// What it shows: `idle`, `receiving` and so on.
    pub state: String,
    /// Whether its emergency is latched.
    pub emergency: bool,
    /// Whether it records what it plays.
    pub recording: bool,
    /// The call it is in.
    pub call: Option<RadioCall>,
    /// How its last call ended.
    pub last_call: Option<RadioCallEnd>,
}

/// A call of a radio.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioCall {
    /// The far side.
    pub peer: String,
    /// `calling`, `alerting`, `ringing` or `up`.
    pub state: String,
}

/// The end of a radio's call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RadioCallEnd {
    /// SIP status of a call that did not come up, else 200.
    pub status: u16,
    /// For people.
    pub reason: String,
}

impl Radio {
    /// Why its last call ended.
    #[must_use]
    pub fn last_call_reason(&self) -> String {
        let end = self.last_call.as_ref();
        end.map_or_else(
            || "there was no call".to_owned(),
            |end| format!("its call ended with {} {}", end.status, end.reason),
        )
    }
}

/// The radio network's API.
#[derive(Debug, Clone)]
pub struct Radios {
    base: String,
    http: reqwest::Client,
}

impl Radios {
    /// The API at an address (`127.0.0.1:8446`).
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn at(address: std::net::SocketAddr) -> Result<Self, RadioError> {
        let http = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        let http = http
            .build()
            .map_err(|e| RadioError::Unreachable(e.to_string()))?;
        Ok(Self {
            base: format!("http://{address}/api"),
            http,
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<reqwest::Response, RadioError> {
        let unreachable = |e: reqwest::Error| RadioError::Unreachable(health::cause(&e));
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        let kind = match body.first() {
            None => None,
            Some(b'{') => Some("application/json"),
            Some(_) => Some("audio/wav"),
        };
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let response = request.body(body).send().await.map_err(unreachable)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = response.text().await.unwrap_or_default();
        Err(RadioError::Refused(status, reason(&text)))
    }

    async fn json<T: serde::de::DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, RadioError> {
        let response = self.ask(method, path, body).await?;
        let answer = response.json().await;
        answer.map_err(|e| RadioError::Unreachable(e.without_url().to_string()))
    }

    /// Presses a radio's key and plays a WAV; releases it at its end.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn talk(&self, unit: &str, wav: Vec<u8>) -> Result<Talk, RadioError> {
        self.json(Method::POST, &format!("/units/{unit}/ptt"), wav)
            .await
    }

    /// Waits until a talk has ended.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn until_ended(&self, talk: u64) -> Result<Talk, RadioError> {
        loop {
            let talk: Talk = self
                .json(Method::GET, &format!("/talks/{talk}"), Vec::new())
                .await?;
            if talk.state != "talking" {
                return Ok(talk);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Releases a radio's key.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn release(&self, unit: &str) -> Result<(), RadioError> {
        let path = format!("/units/{unit}/ptt");
        self.ask(Method::DELETE, &path, Vec::new()).await?;
        Ok(())
    }

    /// Tunes a radio to a talkgroup, or to none.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn tune(&self, unit: &str, talkgroup: Option<u32>) -> Result<(), RadioError> {
        let body = json!({ "talkgroup": talkgroup }).to_string().into_bytes();
        let path = format!("/units/{unit}/affiliate");
        self.ask(Method::POST, &path, body).await?;
        Ok(())
    }

    /// Latches or clears the emergency of a radio; it counts at its next press.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn emergency(&self, unit: &str, active: bool) -> Result<(), RadioError> {
        let body = json!({ "active": active }).to_string().into_bytes();
        let path = format!("/units/{unit}/emergency");
        self.ask(Method::POST, &path, body).await?;
        Ok(())
    }

    /// Starts to record what a radio plays.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn record(&self, unit: &str) -> Result<(), RadioError> {
        let path = format!("/units/{unit}/record");
        self.ask(Method::POST, &path, Vec::new()).await?;
        Ok(())
    }

    /// What a radio has played since [`Self::record`]; `None` when it played nothing.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn recording(&self, unit: &str) -> Result<Option<Recording>, RadioError> {
        let path = format!("/units/{unit}/recording.wav");
        let response = match self.ask(Method::GET, &path, Vec::new()).await {
            Ok(response) => response,
            Err(RadioError::Refused(StatusCode::NOT_FOUND | StatusCode::CONFLICT, _)) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let bad = |detail: String| RadioError::Recording(detail);
        let first = response.headers().get("x-first-sample-us");
        let first_sample_us = first
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .ok_or_else(|| bad("no x-first-sample-us".to_owned()))?;
        let octets = response.bytes().await.map_err(|e| bad(e.to_string()))?;
        let wav = Wav::read(&octets, LONGEST).map_err(|e| bad(e.to_string()))?;
        Ok(Some(Recording {
            first_sample_us,
            samples: wav.into_8k(),
        }))
    }

    /// What a radio does now.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn unit(&self, unit: &str) -> Result<Radio, RadioError> {
        let status = self.network().await?;
        let found = status.units.into_iter().find(|radio| radio.unit == unit);
        let unknown = || RadioError::Refused(StatusCode::NOT_FOUND, format!("no unit {unit}"));
        found.ok_or_else(unknown)
    }

    /// A radio's user dials.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn call(&self, unit: &str, to: &str) -> Result<(), RadioError> {
        let body = json!({ "to": to }).to_string().into_bytes();
        self.ask(Method::POST, &format!("/units/{unit}/call"), body)
            .await?;
        Ok(())
    }

    /// A radio's user answers the call that rings.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn answer(&self, unit: &str) -> Result<(), RadioError> {
        let path = format!("/units/{unit}/answer");
        self.ask(Method::POST, &path, Vec::new()).await?;
        Ok(())
    }

    /// A radio's user ends, gives up or declines a call.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn hang_up(&self, unit: &str) -> Result<(), RadioError> {
        let path = format!("/units/{unit}/hangup");
        self.ask(Method::POST, &path, Vec::new()).await?;
        Ok(())
    }

    /// Whether a radio waits for its user to answer calls.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn answer_manually(&self, unit: &str, manual: bool) -> Result<(), RadioError> {
        let body = json!({ "manual": manual }).to_string().into_bytes();
        let path = format!("/units/{unit}/answering");
        self.ask(Method::POST, &path, body).await?;
        Ok(())
    }

    /// What the network says of itself.
    ///
    /// # Errors
    /// [`RadioError`].
    pub async fn network(&self) -> Result<NetworkStatus, RadioError> {
        self.json(Method::GET, "/status", Vec::new()).await
    }
}

/// What a refusal says: the API answers with an object, a server in between with anything.
fn reason(text: &str) -> String {
    let object = serde_json::from_str::<Value>(text).ok();
    let said = object.as_ref().and_then(|o| o.get("error")?.as_str());
    said.unwrap_or(text).to_owned()
}
