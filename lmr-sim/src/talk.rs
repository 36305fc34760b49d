//! One talk spurt of a radio: a WAV played in real time, or the key held until it is released.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_audio::{FRAME, FRAME_8K, SILENCE_8K};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use crate::error::LmrError;
use crate::network::{Frame, Network, unix_us};

/// Finished talks that are remembered.
const REMEMBERED: usize = 256;

/// How a talk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TalkState {
    /// Going on.
    Talking,
    /// Everything was played, or the key was released.
    Done,
    /// Refused, cut off by the far side, an emergency or the talk limit.
    Denied,
}

/// What is known of a talk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Talk {
    /// Number.
    pub id: u64,
    /// The radio.
    pub unit: String,
    /// How it goes.
    pub state: TalkState,
    /// Unix time of the press in microseconds.
    pub pressed_us: u64,
    /// Unix time of the first sample in microseconds.
    pub first_sample_us: u64,
    /// Frames of 20 ms that went out.
    pub frames: u64,
    /// Why it was denied.
    pub reason: Option<String>,
}

/// The talks of all radios.
#[derive(Debug, Clone)]
pub struct Talks {
    network: Network,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    talks: BTreeMap<u64, (Talk, CancellationToken)>,
    next: u64,
}

impl Talks {
    /// No talks yet.
    #[must_use]
    pub fn new(network: Network) -> Self {
        Self {
            network,
            state: Arc::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Presses a radio's key and plays `samples`, or silence until released.
    ///
    /// # Errors
    /// [`LmrError`] when the radio cannot talk now.
    pub fn start(&self, unit: &str, samples: Option<Vec<i16>>) -> Result<Talk, LmrError> {
        let talk = {
            let mut state = self.lock();
            let talking = |t: &Talk| t.unit == unit && t.state == TalkState::Talking;
            if state.talks.values().any(|(talk, _)| talking(talk)) {
                return Err(LmrError::Talking(unit.to_owned()));
            }
            self.network.press_unit(unit)?;
            state.next += 1;
            let now = unix_us();
            let talk = Talk {
                id: state.next,
                unit: unit.to_owned(),
                state: TalkState::Talking,
                pressed_us: now,
                first_sample_us: now,
                frames: 0,
                reason: None,
            };
            state
                .talks
                .insert(talk.id, (talk.clone(), CancellationToken::new()));
            while state.talks.len() > REMEMBERED {
                state.talks.pop_first();
            }
            talk
        };
        tokio::spawn(self.clone().run(talk.id, talk.unit.clone(), samples));
        Ok(talk)
    }

    /// Releases the key of a radio that talks.
    pub fn release(&self, unit: &str) {
        let state = self.lock();
        for (talk, stop) in state.talks.values() {
            if talk.unit == unit && talk.state == TalkState::Talking {
                stop.cancel();
            }
        }
    }

    /// A talk.
    ///
    /// # Errors
    /// [`LmrError::UnknownTalk`].
    pub fn talk(&self, id: u64) -> Result<Talk, LmrError> {
        let state = self.lock();
        let found = state.talks.get(&id).map(|(talk, _)| talk.clone());
        found.ok_or(LmrError::UnknownTalk(id))
    }

    async fn run(self, id: u64, unit: String, samples: Option<Vec<i16>>) {
        let Some(stop) = self.lock().talks.get(&id).map(|(_, stop)| stop.clone()) else {
            return;
        };
        let mut frames = samples.map(|samples| frames_of(&samples).into_iter());
        let mut clock = interval_at(Instant::now(), FRAME);
        clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut sent = 0;
        let state = loop {
            tokio::select! {
                _ = clock.tick() => {}
                () = stop.cancelled() => break TalkState::Done,
            }
            let frame = match frames.as_mut().map(Iterator::next) {
                Some(Some(frame)) => frame,
                Some(None) => break TalkState::Done,
                None => SILENCE_8K,
            };
            if sent == 0 {
                self.update(id, |talk| talk.first_sample_us = unix_us());
            }
            if !self.network.voice_unit(&unit, &frame) {
                break TalkState::Denied;
            }
            sent += 1;
            self.update(id, |talk| talk.frames = sent);
        };
        let why = match state {
            TalkState::Denied => self.network.denied_why(&unit),
            TalkState::Talking | TalkState::Done => None,
        };
        self.network.release_unit(&unit);
        self.update(id, |talk| {
            talk.state = state;
            talk.reason = why.map(str::to_owned);
        });
    }

    fn update(&self, id: u64, change: impl FnOnce(&mut Talk)) {
        if let Some((talk, _)) = self.lock().talks.get_mut(&id) {
            change(talk);
        }
    }
}

/// Whole frames, the last one filled with silence.
fn frames_of(samples: &[i16]) -> Vec<Frame> {
    samples
        .chunks(FRAME_8K)
        .map(|chunk| {
            let mut frame = SILENCE_8K;
            frame
                .iter_mut()
                .zip(chunk)
                .for_each(|(to, from)| *to = *from);
            frame
        })
        .collect()
}
