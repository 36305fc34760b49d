//! The radio network core: talkgroups, radios and the legs of the air side, and who hears whom.

mod radio;
mod report;

pub use radio::RadioState;
pub use report::{Status, TalkerStatus, TalkgroupStatus, UnitStatus};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mc_audio::{Frame8k, tone};
use tokio::sync::mpsc;

use crate::config::NetworkConfig;
use crate::error::LmrError;
use crate::recorder::Recorder;
use crate::talkgroup::{Decision, Expiry, ParticipantId, Talker, Talkgroup};
use radio::Radio;

/// Frames and notices that may wait for a leg; a leg that falls further behind loses them.
const DOWNLINK: usize = 256;

/// 20 ms of speech at 8 kHz.
pub type Frame = Frame8k;

/// What the network tells a leg of the air side.
#[derive(Debug, Clone)]
pub enum Downlink {
    /// Somebody else began to talk, or is described better than before.
    TalkerOn(Talker),
    /// That talker ended.
    TalkerOff(Talker),
    /// 20 ms of that talker's speech.
    Voice(Box<Frame>),
    /// This leg's own press was refused, or its channel taken away.
    Denied,
}

/// A handle to the network, cheap to clone.
#[derive(Debug, Clone)]
pub struct Network(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    config: NetworkConfig,
    talkgroups: BTreeMap<u32, Talkgroup>,
    radios: BTreeMap<String, Radio>,
    legs: BTreeMap<ParticipantId, Leg>,
    next: u64,
    notices: tokio::sync::broadcast::Sender<PttNotice>,
}

#[derive(Debug)]
struct Leg {
    talkgroup: u32,
    label: String,
    downlink: mpsc::Sender<Downlink>,
}

/// A press or release as it is reported to traces and tests.
#[derive(Debug, Clone)]
pub struct PttNotice {
    /// Talkgroup.
    pub talkgroup: u32,
    /// Talker.
    pub talker: Talker,
    /// What happened: `on`, `off`, `denied`, `limit`, `preempted`.
    pub what: &'static str,
}

/// Unix time in microseconds.
#[must_use]
pub fn unix_us() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl Network {
    /// A network with the configured talkgroups and radios.
    #[must_use]
    pub fn new(config: NetworkConfig) -> Self {
        let (hang, limit) = (config.hang_time(), config.talk_limit());
        let talkgroups = config
            .talkgroups
            .iter()
            .map(|id| (*id, Talkgroup::new(hang, limit)))
            .collect();
        let mut next = 0;
        let radios = config
            .units
            .iter()
            .map(|unit| {
                next += 1;
                let radio = Radio::new(ParticipantId(next), unit.talkgroup);
                (unit.unit.clone(), radio)
            })
            .collect();
        let notices = tokio::sync::broadcast::Sender::new(256);
        let legs = BTreeMap::new();
        Self(Arc::new(Mutex::new(State {
            config,
            talkgroups,
            radios,
            legs,
            next,
            notices,
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Presses and releases from now on.
    #[must_use]
    pub fn notices(&self) -> tokio::sync::broadcast::Receiver<PttNotice> {
        self.lock().notices.subscribe()
    }

    /// Whether the talkgroup exists.
    #[must_use]
    pub fn has_talkgroup(&self, talkgroup: u32) -> bool {
        self.lock().talkgroups.contains_key(&talkgroup)
    }

    /// The unit shown for a talker without a number.
    #[must_use]
    pub fn reserved_unit(&self) -> String {
        self.lock().config.reserved_unit.clone()
    }

    // ---- legs of the air side ----

    /// Adds a leg to a talkgroup; the receiver gets what the leg must play.
    ///
    /// # Errors
    /// [`LmrError::UnknownTalkgroup`], [`LmrError::Full`].
    pub fn join(
        &self,
        talkgroup: u32,
        label: &str,
    ) -> Result<(ParticipantId, mpsc::Receiver<Downlink>), LmrError> {
        let mut state = self.lock();
        let Some(group) = state.talkgroups.get(&talkgroup) else {
            return Err(LmrError::UnknownTalkgroup(talkgroup));
        };
        let talker = group.holder().cloned();
        if state.legs.len() >= state.config.max_legs {
            return Err(LmrError::Full);
        }
        state.next += 1;
        let id = ParticipantId(state.next);
        let (downlink, receiver) = mpsc::channel(DOWNLINK);
        if let Some(talker) = talker {
            // Late entry: somebody is talking already.
            send(&downlink, Downlink::TalkerOn(talker));
        }
        state.legs.insert(
            id,
            Leg {
                talkgroup,
                label: label.to_owned(),
                downlink,
            },
        );
        Ok((id, receiver))
    }

    /// Removes a leg; if it talked, the channel is released.
    pub fn leave(&self, id: ParticipantId) {
        let mut state = self.lock();
        if let Some(leg) = state.legs.get(&id) {
            let talkgroup = leg.talkgroup;
            state.release(talkgroup, id, Instant::now(), "off");
        }
        state.legs.remove(&id);
    }

    /// A leg presses; false when somebody else holds the channel (the leg is told as well).
    #[must_use]
    pub fn press(&self, talker: Talker) -> bool {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&talker.participant) else {
            return false;
        };
        let talkgroup = leg.talkgroup;
        state.press(talkgroup, talker, Instant::now())
    }

    /// A leg releases.
    pub fn release(&self, id: ParticipantId) {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&id) else {
            return;
        };
        let talkgroup = leg.talkgroup;
        state.release(talkgroup, id, Instant::now(), "off");
    }

    /// Speech of a leg; ignored unless it holds the channel.
    pub fn voice(&self, id: ParticipantId, frame: &Frame) {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&id) else {
            return;
        };
        let talkgroup = leg.talkgroup;
        state.voice(talkgroup, id, frame, unix_us());
    }

    /// A leg (the gateway) says that the far side refused the present talker.
    pub fn refuse_talker(&self, id: ParticipantId) {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&id) else {
            return;
        };
        let talkgroup = leg.talkgroup;
        let holder = state
            .talkgroups
            .get(&talkgroup)
            .and_then(Talkgroup::holder)
            .cloned();
        if let Some(holder) = holder.filter(|holder| holder.participant != id) {
            state.release(talkgroup, holder.participant, Instant::now(), "denied");
            state.tell_denied(holder.participant, Instant::now());
        }
    }

    // ---- radios ----

    /// A radio's user presses the key.
    ///
    /// # Errors
    /// [`LmrError`] when there is no such radio, it has no talkgroup, or the channel is taken.
    pub fn press_unit(&self, unit: &str) -> Result<(), LmrError> {
        let mut state = self.lock();
        let radio = state.radio(unit)?;
        let talkgroup = radio
            .talkgroup
            .ok_or_else(|| LmrError::NotAffiliated(unit.to_owned()))?;
        let talker = Talker {
            participant: radio.id,
            unit: unit.to_owned(),
            name: None,
            emergency: radio.emergency,
        };
        if state.press(talkgroup, talker, Instant::now()) {
            Ok(())
        } else {
            Err(LmrError::ChannelBusy(talkgroup))
        }
    }

    /// A radio's user releases the key.
    pub fn release_unit(&self, unit: &str) {
        let mut state = self.lock();
        if let Ok(&mut Radio {
            id,
            talkgroup: Some(talkgroup),
            ..
        }) = state.radio(unit)
        {
            state.release(talkgroup, id, Instant::now(), "off");
        }
    }

    /// Speech of a radio; false when it does not hold the channel any more.
    #[must_use]
    pub fn voice_unit(&self, unit: &str, frame: &Frame) -> bool {
        let mut state = self.lock();
        match state.radio(unit) {
            Ok(&mut Radio {
                id,
                talkgroup: Some(talkgroup),
                ..
            }) => state.voice(talkgroup, id, frame, unix_us()),
            Ok(_) | Err(_) => false,
        }
    }

    /// Whether the radio's last press was refused and is still shown as such.
    #[must_use]
    pub fn is_denied(&self, unit: &str) -> bool {
        self.lock()
            .radio(unit)
            .is_ok_and(|radio| radio.is_denied(Instant::now()))
    }

    /// Moves a radio to a talkgroup, or off all.
    ///
    /// # Errors
    /// [`LmrError`] when radio or talkgroup do not exist; nothing changes then.
    pub fn affiliate(&self, unit: &str, talkgroup: Option<u32>) -> Result<(), LmrError> {
        let mut state = self.lock();
        if let Some(id) = talkgroup.filter(|id| !state.talkgroups.contains_key(id)) {
            return Err(LmrError::UnknownTalkgroup(id));
        }
        let radio = state.radio(unit)?;
        let (id, before) = (radio.id, radio.talkgroup);
        radio.talkgroup = talkgroup;
        if let Some(before) = before.filter(|_| before != talkgroup) {
            state.release(before, id, Instant::now(), "off");
        }
        Ok(())
    }

    /// Latches or clears a radio's emergency.
    ///
    /// # Errors
    /// [`LmrError::UnknownUnit`].
    pub fn set_emergency(&self, unit: &str, active: bool) -> Result<(), LmrError> {
        self.lock().radio(unit)?.emergency = active;
        Ok(())
    }

    /// Works on a radio's recorder.
    ///
    /// # Errors
    /// [`LmrError::UnknownUnit`].
    pub fn recorder<T>(
        &self,
        unit: &str,
        work: impl FnOnce(&mut Recorder) -> T,
    ) -> Result<T, LmrError> {
        Ok(work(&mut self.lock().radio(unit)?.recorder))
    }

    /// Lets time pass: hang time, talk limit.
    pub fn tick(&self, now: Instant) {
        let mut state = self.lock();
        let expired: Vec<_> = state
            .talkgroups
            .iter_mut()
            .filter_map(|(id, group)| group.tick(now).map(|expiry| (*id, expiry)))
            .collect();
        for (talkgroup, expiry) in expired {
            if let Expiry::TalkLimit(talker) = expiry {
                state.tell_denied(talker.participant, now);
                state.ended(talkgroup, talker, "limit");
            }
        }
    }

    /// What radios and talkgroups do.
    #[must_use]
    pub fn status(&self) -> Status {
        report::status(&self.lock())
    }
}

fn send(downlink: &mpsc::Sender<Downlink>, message: Downlink) {
    // A leg that does not keep up misses it; it must not hold up the channel.
    let _behind = downlink.try_send(message);
}

impl State {
    fn radio(&mut self, unit: &str) -> Result<&mut Radio, LmrError> {
        self.radios
            .get_mut(unit)
            .ok_or_else(|| LmrError::UnknownUnit(unit.to_owned()))
    }

    fn press(&mut self, talkgroup: u32, talker: Talker, now: Instant) -> bool {
        let Some(group) = self.talkgroups.get_mut(&talkgroup) else {
            return false;
        };
        match group.press(talker.clone(), now) {
            Decision::Granted { preempted } => {
                if let Some(before) = preempted {
                    self.tell_denied(before.participant, now);
                    self.ended(talkgroup, before, "preempted");
                }
                self.clear_denied(talker.participant);
                self.tell_others(
                    talkgroup,
                    talker.participant,
                    &Downlink::TalkerOn(talker.clone()),
                );
                self.notice(talkgroup, talker, "on");
                true
            }
            Decision::Held => {
                self.tell_others(talkgroup, talker.participant, &Downlink::TalkerOn(talker));
                true
            }
            Decision::Denied { .. } => {
                self.tell_denied(talker.participant, now);
                self.notice(talkgroup, talker, "denied");
                false
            }
        }
    }

    fn release(&mut self, talkgroup: u32, id: ParticipantId, now: Instant, why: &'static str) {
        let talker = self
            .talkgroups
            .get_mut(&talkgroup)
            .and_then(|group| group.release(id, now));
        if let Some(talker) = talker {
            self.ended(talkgroup, talker, why);
        }
    }

    fn ended(&mut self, talkgroup: u32, talker: Talker, why: &'static str) {
        self.tell_others(
            talkgroup,
            talker.participant,
            &Downlink::TalkerOff(talker.clone()),
        );
        self.notice(talkgroup, talker, why);
    }

    fn notice(&self, talkgroup: u32, talker: Talker, what: &'static str) {
        tracing::info!(
            talkgroup,
            unit = talker.unit,
            emergency = talker.emergency,
            what,
            "ptt"
        );
        // Nobody has to listen.
        let _listeners = self.notices.send(PttNotice {
            talkgroup,
            talker,
            what,
        });
    }

    fn voice(&mut self, talkgroup: u32, id: ParticipantId, frame: &Frame, now_us: u64) -> bool {
        let holder = self.talkgroups.get(&talkgroup).and_then(Talkgroup::holder);
        if holder.is_none_or(|holder| holder.participant != id) {
            return false;
        }
        for radio in self.radios.values_mut() {
            if radio.talkgroup == Some(talkgroup) && radio.id != id {
                radio.recorder.hear(frame, now_us);
            }
        }
        for leg in self
            .legs
            .iter()
            .filter(|(leg, l)| l.talkgroup == talkgroup && **leg != id)
        {
            send(&leg.1.downlink, Downlink::Voice(Box::new(*frame)));
        }
        true
    }

    fn tell_others(&self, talkgroup: u32, except: ParticipantId, message: &Downlink) {
        for (id, leg) in &self.legs {
            if leg.talkgroup == talkgroup && *id != except {
                send(&leg.downlink, message.clone());
            }
        }
    }

    fn tell_denied(&mut self, id: ParticipantId, now: Instant) {
        if let Some(leg) = self.legs.get(&id) {
            send(&leg.downlink, Downlink::Denied);
        }
        let shown = self.config.denied_shown();
        if let Some(radio) = self.radios.values_mut().find(|radio| radio.id == id) {
            radio.denied_until = Some(now + shown);
            radio.recorder.hear(&tone::denied(), unix_us());
        }
    }

    fn clear_denied(&mut self, id: ParticipantId) {
        if let Some(radio) = self.radios.values_mut().find(|radio| radio.id == id) {
            radio.denied_until = None;
        }
    }
}
