//! What the calls of the demo have in common: one talks, another hears it, and it is judged.

use std::time::Duration;

use mc_audio::{FRAME_16K, measure, resample};
use mc_client::{CallId, ClientEvent};
use tokio::sync::broadcast;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::runner::Stage;
use crate::client::tell::line;
use crate::ear::Ear;
use crate::parties::{Heard, Party, now_us};
use crate::radios::Recording;

/// How long any single event of a call may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What a call came to.
#[derive(Debug, Clone)]
pub(super) struct Carried {
    /// Push-to-talk to permission.
    pub(super) access_ms: u64,
    /// Speech in to speech out.
    pub(super) mouth_to_ear_ms: u64,
    /// What is left of the speech.
    pub(super) speech: measure::Report,
    /// What was heard, 16 kHz.
    pub(super) heard: Vec<i16>,
}

/// Speech with its place in time.
struct Placed<'a> {
    /// Unix time of the first sample in microseconds.
    first_us: u64,
    /// 16 kHz.
    samples: &'a [i16],
}

/// A radio talks in a call that an MC client hears.
pub(super) async fn radio_talks(
    stage: &Stage<'_>,
    call: &CallId,
    heard: &mut broadcast::Receiver<Heard>,
) -> Result<Carried, String> {
    let talk = stage
        .radios
        .talk(stage.site.units[0], stage.speech.lmr.wav.clone());
    let talk = talk.await.map_err(|e| e.to_string())?;
    let taken = await_event(
        heard,
        "Floor Taken",
        |event| matches!(event, ClientEvent::FloorTaken { call: at, .. } if at == call),
    );
    let taken_us = taken.await?.at_us;
    let ended = async {
        let ended = stage.radios.until_ended(talk.id).await;
        ended.map_err(|e| e.to_string())
    };
    let (ended, ear) = tokio::join!(ended, listen(heard, call));
    let (ended, ear) = (ended?, ear?);
    if ended.state != "done" {
        return Err(format!(
            "radio {}: its talk was {}",
            stage.site.units[0], ended.state
        ));
    }
    let sent = Placed {
        first_us: talk.first_sample_us,
        samples: &stage.speech.lmr.samples,
    };
    let received = Placed {
        first_us: ear.first_us,
        samples: &ear.samples,
    };
    let (speech, mouth_to_ear_ms) = judge(&sent, &received)?;
    Ok(Carried {
        access_ms: taken_us.saturating_sub(talk.pressed_us) / 1000,
        mouth_to_ear_ms,
        speech,
        heard: ear.samples,
    })
}

/// An MC client that asked for the floor at `pressed_us` talks in a call that a radio records.
pub(super) async fn client_talks(
    stage: &Stage<'_>,
    call: &CallId,
    heard: &mut broadcast::Receiver<Heard>,
    pressed_us: u64,
    unit: &str,
) -> Result<Carried, String> {
    let decided = await_event(heard, "Floor Granted", |event| {
        let (ClientEvent::FloorGranted { call: at, .. } | ClientEvent::FloorIdle { call: at }) =
            event
        else {
            return false;
        };
        at == call
    });
    let mut decided = decided.await?;
    if matches!(decided.event, ClientEvent::FloorIdle { .. }) {
        // The call was up already, so that getting into it asked for nothing.
        let pressed = stage.talker.client.press_ptt(call).await;
        pressed.map_err(|e| e.to_string())?;
        let granted = await_event(
            heard,
            "Floor Granted",
            |event| matches!(event, ClientEvent::FloorGranted { call: at, .. } if at == call),
        );
        decided = granted.await?;
    }
    let granted_us = decided.at_us;
    let first_us = speak(stage.talker, call, &stage.speech.mc.samples).await?;
    let released = stage.talker.client.release_ptt(call).await;
    released.map_err(|e| e.to_string())?;
    let recording = until_played(stage, unit).await?;
    let sent = Placed {
        first_us,
        samples: &stage.speech.mc.samples,
    };
    let heard = resample::to_16k(&recording.samples);
    let received = Placed {
        first_us: recording.first_sample_us,
        samples: &heard,
    };
    let (speech, mouth_to_ear_ms) = judge(&sent, &received)?;
    Ok(Carried {
        access_ms: granted_us.saturating_sub(pressed_us) / 1000,
        mouth_to_ear_ms,
        speech,
        heard,
    })
}

/// All clients leave the call, so that the next one is set up anew.
pub(super) async fn clear(parties: &[&Party], call: &CallId) {
    for party in parties {
        let mut heard = party.follow();
        if party.client.hang_up(call).await.is_err() || !party.steps().in_call(call) {
            continue;
        }
        let over = await_event(
            &mut heard,
            "end of the call",
            |event| matches!(event, ClientEvent::Released { call: over, .. } if over == call),
        );
        if let Err(error) = over.await {
            tracing::warn!(user = party.user, error, "call not cleared");
        }
    }
}

pub(super) async fn await_event(
    heard: &mut broadcast::Receiver<Heard>,
    what: &str,
    wanted: impl Fn(&ClientEvent) -> bool,
) -> Result<Heard, String> {
    let deadline = Instant::now() + PATIENCE;
    let mut last = None;
    loop {
        match timeout_at(deadline, heard.recv()).await {
            Ok(Ok(heard)) if wanted(&heard.event) => return Ok(heard),
            Ok(Ok(heard)) => {
                if let Some(refusal) = refusal(&heard.event) {
                    return Err(refusal);
                }
                if !matches!(heard.event, ClientEvent::Speech(_)) {
                    last = Some(heard.event);
                }
            }
            Ok(Err(broadcast::error::RecvError::Lagged(_))) => {}
            Ok(Err(broadcast::error::RecvError::Closed)) => {
                return Err(format!("{what} did not come: the client has stopped"));
            }
            Err(_) => {
                let last = last.map_or_else(String::new, |e| format!("; last was {}", line(&e)));
                return Err(format!(
                    "{what} did not come in {} s{last}",
                    PATIENCE.as_secs()
                ));
            }
        }
    }
}

fn refusal(event: &ClientEvent) -> Option<String> {
    if let ClientEvent::CallRefused { detail, .. } = event {
        return Some(format!("mcptt-server refused the call: {detail}"));
    }
    if let ClientEvent::FloorDenied { cause, phrase, .. } = event {
        return Some(format!("floor denied: cause {cause} {phrase}"));
    }
    None
}

/// Everything heard until the floor is idle again or the call is over.
async fn listen(heard: &mut broadcast::Receiver<Heard>, call: &CallId) -> Result<Ear, String> {
    let mut ear = Ear::default();
    let mut quiet = Instant::now() + PATIENCE;
    loop {
        let heard = match timeout_at(quiet, heard.recv()).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(broadcast::error::RecvError::Lagged(_))) => continue,
            Ok(Err(broadcast::error::RecvError::Closed)) => break,
            Err(_) => {
                return Err(format!(
                    "no Floor Idle {} s after the last speech",
                    PATIENCE.as_secs()
                ));
            }
        };
        if is_over(&heard.event, call) {
            break;
        }
        if let ClientEvent::Speech(frame) = &heard.event
            && &frame.call == call
        {
            quiet = Instant::now() + PATIENCE;
            ear.hear(frame, heard.at_us);
        }
    }
    if ear.samples.is_empty() {
        return Err("no speech arrived".to_owned());
    }
    Ok(ear)
}

/// Whether nobody talks any more.
fn is_over(event: &ClientEvent, call: &CallId) -> bool {
    matches!(event, ClientEvent::FloorIdle { call: over } | ClientEvent::Released { call: over, .. }
        if over == call)
}

/// Sends speech in real time; returns the Unix time of the first sample in microseconds.
async fn speak(talker: &Party, call: &CallId, samples: &[i16]) -> Result<u64, String> {
    let mut clock = interval(Duration::from_millis(20));
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut first_us = None;
    for frame in samples.chunks(FRAME_16K) {
        clock.tick().await;
        first_us.get_or_insert_with(now_us);
        let mut whole = frame.to_vec();
        whole.resize(FRAME_16K, 0);
        let sent = talker.client.send_speech(call, whole).await;
        sent.map_err(|e| e.to_string())?;
    }
    first_us.ok_or_else(|| "there is no speech to send".to_owned())
}

/// Waits until the radio hears nobody any more and returns what it played.
async fn until_played(stage: &Stage<'_>, unit: &str) -> Result<Recording, String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let state = stage.radios.unit(unit).await.map_err(|e| e.to_string())?;
        let quiet = state.state != "receiving";
        if quiet || Instant::now() > deadline {
            let recording = stage.radios.recording(unit).await;
            let recording = recording.map_err(|e| e.to_string())?;
            return match recording {
                Some(recording) if quiet => Ok(recording),
                Some(_) => Err("the gateway did not release the channel".to_owned()),
                None => Err(format!("radio {unit} played nothing")),
            };
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Intelligibility and delay of what arrived.
fn judge(sent: &Placed<'_>, received: &Placed<'_>) -> Result<(measure::Report, u64), String> {
    let report = measure::judge(sent.samples, received.samples).map_err(|e| e.to_string())?;
    let between_us = i128::from(received.first_us) - i128::from(sent.first_us);
    let total_us = between_us + i128::from(report.delay_us.unwrap_or_default());
    Ok((report, u64::try_from(total_us / 1000).unwrap_or_default()))
}
