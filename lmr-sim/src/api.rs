//! Handlers of the API: extract, ask the network, answer.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use mc_audio::wav::{Rate, Wav};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};

use crate::air::Dialled;
use crate::error::LmrError;
use crate::impair::Impairments;
use crate::network::{Network, Status};
use crate::recorder::SAMPLE_RATE;
use crate::talk::{Talk, Talks};

/// Longest WAV a radio plays.
const LONGEST_TALK: Duration = Duration::from_secs(120);
/// Most extra delay that can be asked for, in milliseconds.
const MAX_JITTER_MS: u64 = 2000;

/// What the handlers work on.
#[derive(Debug, Clone)]
pub struct ApiState {
    pub(crate) network: Network,
    pub(crate) dialled: mpsc::Sender<Dialled>,
    pub(crate) talks: Talks,
    pub(crate) impairments: watch::Sender<Impairments>,
}

/// Body of `affiliate`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affiliate {
    /// Talkgroup, or none to leave all.
    pub talkgroup: Option<u32>,
}

/// Body of `emergency`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Emergency {
    /// Latched or cleared.
    pub active: bool,
}

/// Body of `call`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitCallTo {
    /// The address that is dialled (`sip:alice@mc.example`).
    pub to: String,
}

/// Body of `answering`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answering {
    /// Whether calls wait for the user to answer.
    pub manual: bool,
}

/// A recording with its place in time.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recording {
    /// Unix time of the first sample in microseconds.
    pub first_sample_us: u64,
    /// Samples a second.
    pub sample_rate: u32,
    /// Number of samples.
    pub samples: usize,
    /// The samples: 16 bit signed, little endian, base64.
    pub pcm: String,
}

pub(crate) async fn status(State(state): State<ApiState>) -> Json<Status> {
    Json(state.network.status())
}

pub(crate) async fn ptt_on(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
    wav: Bytes,
) -> Result<(StatusCode, Json<Talk>), LmrError> {
    let samples = if wav.is_empty() {
        None
    } else {
        Some(Wav::read(&wav, LONGEST_TALK)?.into_8k())
    };
    let talk = state.talks.start(&unit, samples)?;
    Ok((StatusCode::ACCEPTED, Json(talk)))
}

pub(crate) async fn ptt_off(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<StatusCode, LmrError> {
    state.network.recorder(&unit, |_| ())?;
    state.talks.release(&unit);
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn talk(
    State(state): State<ApiState>,
    Path(id): Path<u64>,
) -> Result<Json<Talk>, LmrError> {
    state.talks.talk(id).map(Json)
}

pub(crate) async fn affiliate(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
    Json(body): Json<Affiliate>,
) -> Result<StatusCode, LmrError> {
    state.network.affiliate(&unit, body.talkgroup)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn emergency(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
    Json(body): Json<Emergency>,
) -> Result<StatusCode, LmrError> {
    state.network.set_emergency(&unit, body.active)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn call(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
    Json(body): Json<UnitCallTo>,
) -> Result<StatusCode, LmrError> {
    let to = body.to.parse();
    let to = to.map_err(|_| LmrError::Value("to must be a SIP URI"))?;
    let call = state.network.dial(&unit, &body.to)?;
    let id = call.id;
    if state.dialled.try_send(Dialled { call, to }).is_err() {
        state
            .network
            .call_ended(id, 503, "the air side takes no call");
        return Err(LmrError::Full);
    }
    Ok(StatusCode::ACCEPTED)
}

pub(crate) async fn answer(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<StatusCode, LmrError> {
    state.network.answer(&unit)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn hang_up(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<StatusCode, LmrError> {
    state.network.hang_up(&unit)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn answering(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
    Json(body): Json<Answering>,
) -> Result<StatusCode, LmrError> {
    state.network.set_manual_answer(&unit, body.manual)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn record_start(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<StatusCode, LmrError> {
    state
        .network
        .recorder(&unit, crate::recorder::Recorder::start)?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn record_stop(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<StatusCode, LmrError> {
    state
        .network
        .recorder(&unit, crate::recorder::Recorder::stop)?;
    Ok(StatusCode::NO_CONTENT)
}

fn recorded(state: &ApiState, unit: &str) -> Result<(u64, Vec<i16>), LmrError> {
    let found = state.network.recorder(unit, |r| {
        r.first_sample_us()
            .map(|first| (first, r.samples().to_vec()))
    })?;
    found.ok_or_else(|| LmrError::NothingRecorded(unit.to_owned()))
}

pub(crate) async fn recording(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<Json<Recording>, LmrError> {
    let (first_sample_us, samples) = recorded(&state, &unit)?;
    let octets: Vec<u8> = samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect();
    Ok(Json(Recording {
        first_sample_us,
        sample_rate: SAMPLE_RATE,
        samples: samples.len(),
        pcm: BASE64_STANDARD.encode(octets),
    }))
}

pub(crate) async fn recording_wav(
    State(state): State<ApiState>,
    Path(unit): Path<String>,
) -> Result<Response, LmrError> {
    let (first, samples) = recorded(&state, &unit)?;
    let rate = Rate::Hz8000;
    let wav = Wav { rate, samples }.write()?;
    let headers = [
        (header::CONTENT_TYPE.as_str(), "audio/wav".to_owned()),
        ("x-first-sample-us", first.to_string()),
    ];
    Ok((headers, wav).into_response())
}

pub(crate) async fn impairments(State(state): State<ApiState>) -> Json<Impairments> {
    Json(*state.impairments.borrow())
}

pub(crate) async fn set_impairments(
    State(state): State<ApiState>,
    Json(wanted): Json<Impairments>,
) -> Result<StatusCode, LmrError> {
    if !(0.0..=100.0).contains(&wanted.loss_percent) {
        return Err(LmrError::Value("loss_percent must be 0 to 100"));
    }
    if wanted.jitter_ms > MAX_JITTER_MS {
        return Err(LmrError::Value("jitter_ms must be at most 2000"));
    }
    state.impairments.send_replace(wanted);
    Ok(StatusCode::NO_CONTENT)
}
