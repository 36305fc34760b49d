//! Calls of one radio with somebody outside: begun either way, answered, ended either way.
//!
//! ```text
//!   dial ──▶ Calling ─ far side is alerted ─▶ Alerting ──┐
//!                                                        ├─ answered ─▶ Up ──▶ ended
//!   ring ──▶ Ringing ────────────────────────────────────┘
//! ```
//!
//! A radio takes one call at a time and hears nothing else in it. A radio that is tuned to no
//! talkgroup is off the air and is not reached.

use serde::Serialize;
use tokio::sync::mpsc;

use super::{ChannelId, Network, State};
use crate::error::LmrError;
use crate::talkgroup::Talkgroup;

/// Orders that may wait for the air side.
const ORDERS: usize = 4;

/// How far a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallPhase {
    /// The radio has dialled.
    Calling,
    /// The far side is alerted.
    Alerting,
    /// The radio rings.
    Ringing,
    /// Both talk.
    Up,
}

/// What the radio's user wants of the air side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOrder {
    /// Answer the call that comes in.
    Answer,
    /// End the call, give it up, or decline it.
    HangUp,
}

/// How the last call of a radio ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CallEnd {
    /// The far side.
    pub peer: String,
    /// SIP status of a call that did not come up; 200 of one that did.
    pub status: u16,
    /// For people.
    pub reason: String,
}

/// A call as its air-side adapter sees it.
#[derive(Debug)]
pub struct UnitCall {
    /// Its number.
    pub id: u64,
    /// The radio.
    pub unit: String,
    /// What its user wants.
    pub orders: mpsc::Receiver<CallOrder>,
    /// Whether the radio answers by itself.
    pub automatic: bool,
}

impl UnitCall {
    /// The channel it is.
    #[must_use]
    pub const fn channel(&self) -> ChannelId {
        ChannelId::UnitCall(self.id)
    }
}

/// A call as its radio sees it.
#[derive(Debug)]
pub(super) struct OwnCall {
    pub(super) id: u64,
    pub(super) peer: String,
    pub(super) outgoing: bool,
    pub(super) phase: CallPhase,
    pub(super) orders: mpsc::Sender<CallOrder>,
}

impl Network {
    /// A radio's user dials.
    ///
    /// # Errors
    /// [`LmrError`] when there is no such radio, it is off the air or in a call.
    pub fn dial(&self, unit: &str, peer: &str) -> Result<UnitCall, LmrError> {
        self.lock().begin(unit, peer, CallPhase::Calling)
    }

    /// Somebody calls a radio.
    ///
    /// # Errors
    /// [`LmrError`] when there is no such radio, it is off the air or in a call.
    pub fn ring(&self, unit: &str, peer: &str) -> Result<UnitCall, LmrError> {
        self.lock().begin(unit, peer, CallPhase::Ringing)
    }

    /// The call of this number has come further.
    pub fn call_phase(&self, id: u64, phase: CallPhase) {
        if let Some(call) = self.lock().own_call(id) {
            call.phase = phase;
        }
    }

    /// The call of this number is over.
    pub fn call_ended(&self, id: u64, status: u16, reason: &str) {
        let mut state = self.lock();
        state.channels.remove(&ChannelId::UnitCall(id));
        let with = |radio: &&mut super::Radio| radio.call.as_ref().is_some_and(|c| c.id == id);
        let Some(radio) = state.radios.values_mut().find(with) else {
            return;
        };
        let peer = radio.call.take().map(|call| call.peer).unwrap_or_default();
        tracing::info!(call = id, peer, status, reason, "unit call ended");
        radio.last_call = Some(CallEnd {
            peer,
            status,
            reason: reason.to_owned(),
        });
    }

    /// A radio's user answers the call that rings.
    ///
    /// # Errors
    /// [`LmrError`] when there is no such radio, or it does not ring.
    pub fn answer(&self, unit: &str) -> Result<(), LmrError> {
        let mut state = self.lock();
        let radio = state.radio(unit)?;
        let ringing = |call: &&OwnCall| call.phase == CallPhase::Ringing;
        let call = radio.call.as_ref().filter(ringing);
        order(unit, call, CallOrder::Answer)
    }

    /// A radio's user ends the call, gives it up, or declines it.
    ///
    /// # Errors
    /// [`LmrError`] when there is no such radio, or it is in no call.
    pub fn hang_up(&self, unit: &str) -> Result<(), LmrError> {
        let mut state = self.lock();
        let radio = state.radio(unit)?;
        order(unit, radio.call.as_ref(), CallOrder::HangUp)
    }

    /// Whether a radio waits for its user to answer calls.
    ///
    /// # Errors
    /// [`LmrError::UnknownUnit`].
    pub fn set_manual_answer(&self, unit: &str, manual: bool) -> Result<(), LmrError> {
        self.lock().radio(unit)?.manual_answer = manual;
        Ok(())
    }
}

fn order(unit: &str, call: Option<&OwnCall>, order: CallOrder) -> Result<(), LmrError> {
    let call = call.ok_or_else(|| LmrError::NoCall(unit.to_owned()))?;
    // An adapter that has as many orders unread is ending the call.
    let _full = call.orders.try_send(order);
    Ok(())
}

impl State {
    fn begin(&mut self, unit: &str, peer: &str, phase: CallPhase) -> Result<UnitCall, LmrError> {
        let id = self.next + 1;
        let limit = self.config.talk_limit();
        let radio = self.radio(unit)?;
        if radio.talkgroup.is_none() {
            return Err(LmrError::NotAffiliated(unit.to_owned()));
        }
        if radio.call.is_some() {
            return Err(LmrError::InCall(unit.to_owned()));
        }
        let (orders, ordered) = mpsc::channel(ORDERS);
        let (participant, before) = (radio.id, radio.channel());
        let automatic = !radio.manual_answer;
        radio.call = Some(OwnCall {
            id,
            peer: peer.to_owned(),
            outgoing: phase == CallPhase::Calling,
            phase,
            orders,
        });
        self.next = id;
        if let Some(before) = before {
            self.release(before, participant, std::time::Instant::now(), "off");
        }
        // Nobody hears its hang time.
        let channel = Talkgroup::new(std::time::Duration::ZERO, limit);
        self.channels.insert(ChannelId::UnitCall(id), channel);
        tracing::info!(call = id, unit, peer, ?phase, "unit call");
        Ok(UnitCall {
            id,
            unit: unit.to_owned(),
            orders: ordered,
            automatic,
        })
    }

    fn own_call(&mut self, id: u64) -> Option<&mut OwnCall> {
        let calls = self.radios.values_mut();
        calls
            .filter_map(|radio| radio.call.as_mut())
            .find(|call| call.id == id)
    }
}
