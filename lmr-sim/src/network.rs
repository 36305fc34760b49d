//! The radio network core: talkgroups, radios and the legs of the air side, and who hears whom.

mod channel;
mod radio;
mod report;
mod unit_call;

pub use channel::ChannelId;
pub use radio::RadioState;
pub use report::{CallStatus, Status, TalkerStatus, TalkgroupStatus, UnitStatus};
pub use unit_call::{CallEnd, CallOrder, CallPhase, UnitCall};

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use mc_audio::{Frame8k, tone};
use tokio::sync::mpsc;

use crate::config::NetworkConfig;
use crate::error::LmrError;
use crate::recorder::Recorder;
use crate::talkgroup::{Decision, Expiry, ParticipantId, Talker, Talkgroup};
use radio::{Denied, Radio};
use unit_call::OwnCall;

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
    channels: BTreeMap<ChannelId, Talkgroup>,
    radios: BTreeMap<String, Radio>,
    legs: BTreeMap<ParticipantId, Leg>,
    next: u64,
    notices: tokio::sync::broadcast::Sender<PttNotice>,
}

#[derive(Debug)]
struct Leg {
    channel: ChannelId,
    label: String,
    downlink: mpsc::Sender<Downlink>,
}

/// A press or release as it is reported to traces and tests.
#[derive(Debug, Clone)]
pub struct PttNotice {
    /// Where.
    pub channel: ChannelId,
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
        let channels = config
            .talkgroups
            .iter()
            .map(|id| (ChannelId::Talkgroup(*id), Talkgroup::new(hang, limit)))
            .collect();
        let mut next = 0;
        let radios = config
            .units
            .iter()
            .map(|unit| {
                next += 1;
                let radio = Radio::new(ParticipantId(next), unit);
                (unit.unit.clone(), radio)
            })
            .collect();
        let notices = tokio::sync::broadcast::Sender::new(256);
        let legs = BTreeMap::new();
        Self(Arc::new(Mutex::new(State {
            config,
            channels,
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

    /// Whether the channel exists.
    #[must_use]
    pub fn has_channel(&self, channel: ChannelId) -> bool {
        self.lock().channels.contains_key(&channel)
    }

    /// The unit shown for a talker without a number.
    #[must_use]
    pub fn reserved_unit(&self) -> String {
        self.lock().config.reserved_unit.clone()
    }

    // ---- legs of the air side ----

    /// Adds a leg to a channel; the receiver gets what the leg must play.
    ///
    /// # Errors
    /// [`LmrError::UnknownChannel`], [`LmrError::Full`].
    pub fn join(
        &self,
        channel: ChannelId,
        label: &str,
    ) -> Result<(ParticipantId, mpsc::Receiver<Downlink>), LmrError> {
        let mut state = self.lock();
        let Some(found) = state.channels.get(&channel) else {
            return Err(LmrError::UnknownChannel(channel));
        };
        let talker = found.holder().cloned();
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
                channel,
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
            let channel = leg.channel;
            state.release(channel, id, Instant::now(), "off");
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
        let channel = leg.channel;
        state.press(channel, talker, Instant::now())
    }

    /// A leg releases.
    pub fn release(&self, id: ParticipantId) {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&id) else {
            return;
        };
        let channel = leg.channel;
        state.release(channel, id, Instant::now(), "off");
    }

    /// Speech of a leg; ignored unless it holds the channel.
    pub fn voice(&self, id: ParticipantId, frame: &Frame, at_us: u64) {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&id) else {
            return;
        };
        let channel = leg.channel;
        state.voice(channel, id, frame, at_us);
    }

    /// A leg (the gateway) says that the far side refused the present talker.
    pub fn refuse_talker(&self, id: ParticipantId) {
        let mut state = self.lock();
        let Some(leg) = state.legs.get(&id) else {
            return;
        };
        let channel = leg.channel;
        let holder = state
            .channels
            .get(&channel)
            .and_then(Talkgroup::holder)
            .cloned();
        if let Some(holder) = holder.filter(|holder| holder.participant != id) {
            state.release(channel, holder.participant, Instant::now(), "denied");
            let why = "the other end of the talkgroup or call refused it";
            state.tell_denied(holder.participant, why, Instant::now());
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
        if radio.is_setting_up() {
            return Err(LmrError::NotConnected(unit.to_owned()));
        }
        let channel = radio
            .channel()
            .ok_or_else(|| LmrError::NotAffiliated(unit.to_owned()))?;
        let talker = Talker {
            participant: radio.id,
            unit: unit.to_owned(),
            name: None,
            emergency: radio.emergency,
        };
        if state.press(channel, talker, Instant::now()) {
            Ok(())
        } else {
            Err(LmrError::ChannelBusy(channel))
        }
    }

    /// A radio's user releases the key.
    pub fn release_unit(&self, unit: &str) {
        let mut state = self.lock();
        let talker = state.radio(unit).map(|radio| (radio.id, radio.channel()));
        if let Ok((id, Some(channel))) = talker {
            state.release(channel, id, Instant::now(), "off");
        }
    }

    /// Speech of a radio; false when it does not hold the channel any more.
    #[must_use]
    pub fn voice_unit(&self, unit: &str, frame: &Frame) -> bool {
        let mut state = self.lock();
        let talker = state.radio(unit).map(|radio| (radio.id, radio.channel()));
        match talker {
            Ok((id, Some(channel))) => state.voice(channel, id, frame, unix_us()),
            Ok((_, None)) | Err(_) => false,
        }
    }

    /// Whether the radio's last press was refused and is still shown as such.
    #[must_use]
    pub fn is_denied(&self, unit: &str) -> bool {
        self.lock()
            .radio(unit)
            .is_ok_and(|radio| radio.is_denied(Instant::now()))
    }

    /// Why the radio's last press was refused, or its channel taken away.
    #[must_use]
    pub fn denied_why(&self, unit: &str) -> Option<&'static str> {
        let mut state = self.lock();
        let radio = state.radio(unit).ok()?;
        radio.denied.as_ref().map(|denied| denied.why)
    }

    /// Moves a radio to a talkgroup, or off all.
    ///
    /// # Errors
    /// [`LmrError`] when radio or talkgroup do not exist; nothing changes then.
    pub fn affiliate(&self, unit: &str, talkgroup: Option<u32>) -> Result<(), LmrError> {
        let mut state = self.lock();
        let wanted = talkgroup.map(ChannelId::Talkgroup);
        if let Some(id) = wanted.filter(|id| !state.channels.contains_key(id)) {
            return Err(LmrError::UnknownChannel(id));
        }
        let radio = state.radio(unit)?;
        let (id, before) = (radio.id, radio.channel());
        radio.talkgroup = talkgroup;
        let after = radio.channel();
        if let Some(before) = before.filter(|_| before != after) {
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
            .channels
            .iter_mut()
            .filter_map(|(id, group)| group.tick(now).map(|expiry| (*id, expiry)))
            .collect();
        for (channel, expiry) in expired {
            if let Expiry::TalkLimit(talker) = expiry {
                state.tell_denied(talker.participant, "the talk limit was reached", now);
                state.ended(channel, talker, "limit");
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

    fn press(&mut self, channel: ChannelId, talker: Talker, now: Instant) -> bool {
        let Some(group) = self.channels.get_mut(&channel) else {
            return false;
        };
        match group.press(talker.clone(), now) {
            Decision::Granted { preempted } => {
                if let Some(before) = preempted {
                    self.tell_denied(before.participant, "an emergency took the channel", now);
                    self.ended(channel, before, "preempted");
                }
                self.clear_denied(talker.participant);
                self.tell_others(
                    channel,
                    talker.participant,
                    &Downlink::TalkerOn(talker.clone()),
                );
                self.notice(channel, talker, "on");
                true
            }
            Decision::Held => {
                self.tell_others(channel, talker.participant, &Downlink::TalkerOn(talker));
                true
            }
            Decision::Denied { .. } => {
                self.tell_denied(talker.participant, "somebody else talks", now);
                self.notice(channel, talker, "denied");
                false
            }
        }
    }

    fn release(&mut self, channel: ChannelId, id: ParticipantId, now: Instant, why: &'static str) {
        let talker = self
            .channels
            .get_mut(&channel)
            .and_then(|group| group.release(id, now));
        if let Some(talker) = talker {
            self.ended(channel, talker, why);
        }
    }

    fn ended(&mut self, channel: ChannelId, talker: Talker, why: &'static str) {
        self.tell_others(
            channel,
            talker.participant,
            &Downlink::TalkerOff(talker.clone()),
        );
        self.notice(channel, talker, why);
    }

    fn notice(&self, channel: ChannelId, talker: Talker, what: &'static str) {
        tracing::info!(
            %channel,
            unit = talker.unit,
            emergency = talker.emergency,
            what,
            "ptt"
        );
        // Nobody has to listen.
        let _listeners = self.notices.send(PttNotice {
            channel,
            talker,
            what,
        });
    }

    fn voice(&mut self, channel: ChannelId, id: ParticipantId, frame: &Frame, at_us: u64) -> bool {
        let holder = self.channels.get(&channel).and_then(Talkgroup::holder);
        if holder.is_none_or(|holder| holder.participant != id) {
            return false;
        }
        for radio in self.radios.values_mut() {
            if radio.channel() == Some(channel) && radio.id != id {
                radio.recorder.hear(frame, at_us);
            }
        }
        for leg in self
            .legs
            .iter()
            .filter(|(leg, l)| l.channel == channel && **leg != id)
        {
            send(&leg.1.downlink, Downlink::Voice(Box::new(*frame)));
        }
        true
    }

    fn tell_others(&self, channel: ChannelId, except: ParticipantId, message: &Downlink) {
        for (id, leg) in &self.legs {
            if leg.channel == channel && *id != except {
                send(&leg.downlink, message.clone());
            }
        }
    }

    fn tell_denied(&mut self, id: ParticipantId, why: &'static str, now: Instant) {
        if let Some(leg) = self.legs.get(&id) {
            send(&leg.downlink, Downlink::Denied);
        }
        let shown = self.config.denied_shown();
        if let Some(radio) = self.radios.values_mut().find(|radio| radio.id == id) {
            let until = now + shown;
            radio.denied = Some(Denied { until, why });
            radio.recorder.hear(&tone::denied(), unix_us());
        }
    }

    fn clear_denied(&mut self, id: ParticipantId) {
        if let Some(radio) = self.radios.values_mut().find(|radio| radio.id == id) {
            radio.denied = None;
        }
    }
}
