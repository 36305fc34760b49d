//! SRTCP of floor control under each client's CSK (TS 33.180 9.4, CS-ID 6).
//!
//! Both directions use the same keys, and a client may take part in several calls with one CSK.
//! Hence one context per client and CSK that outlives its calls: the SSRCs given out and the replay
//! windows belong to the key, not to a leg. A packet recorded in one call is refused in the next,
//! and one of our own sent back to us is refused too.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_ids::{Csk, CskId, McServiceId};
use mc_media::{MasterKey, Mki, MkiLength, OpenError, SrtcpReceiver, SrtcpSender, SsrcLedger};
use mc_runtime::rng;
use mikey::{CryptoSession, media_keys};

use super::counters::Refusal;
use super::{FloorKey, LegId, MediaPlaneError};

/// SRTCP sources remembered per CSK.
const MAX_SOURCES: usize = 4096;
/// CSKs remembered per user: one for each of its clients, and their predecessors.
const MAX_CSKS_PER_USER: usize = 16;

/// The CSKs in use, by user.
#[derive(Debug, Default)]
pub(super) struct CskContexts {
    users: Mutex<HashMap<McServiceId, Vec<Arc<CskContext>>>>,
}

/// One CSK with all the SRTCP state that depends on it.
pub(super) struct CskContext {
    id: CskId,
    key: Csk,
    rand: Vec<u8>,
    master: MasterKey,
    state: Mutex<ContextState>,
}

struct ContextState {
    ledger: SsrcLedger,
    receiver: SrtcpReceiver,
    /// SSRCs we send with.
    ours: HashSet<u32>,
    /// Which leg each SSRC of the client belongs to.
    owners: HashMap<u32, LegId>,
}

impl CskContexts {
    /// The context of a key, made when it is first seen.
    pub(super) fn of(&self, user: &McServiceId, key: &FloorKey) -> Arc<CskContext> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let contexts = users.entry(user.clone()).or_default();
        let same = |context: &&Arc<CskContext>| {
            context.id == key.id && context.key == key.key && context.rand == key.rand
        };
        if let Some(context) = contexts.iter().find(same) {
            return context.clone();
        }
        if contexts.len() >= MAX_CSKS_PER_USER {
            contexts.remove(0);
        }
        let context = Arc::new(CskContext::new(key));
        contexts.push(context.clone());
        context
    }
}

impl CskContext {
    fn new(key: &FloorKey) -> Self {
        //= TS 33.180 9.4.6
        let keys = media_keys(
            &key.key,
            CryptoSession::FloorControl,
            key.id.key_id(),
            &key.rand,
        );
        let state = ContextState {
            ledger: SsrcLedger::default(),
            receiver: SrtcpReceiver::with_limit(MkiLength::Four, MAX_SOURCES),
            ours: HashSet::new(),
            owners: HashMap::new(),
        };
        Self {
            id: key.id,
            key: key.key.clone(),
            rand: key.rand.clone(),
            master: MasterKey::from(&keys),
            state: Mutex::new(state),
        }
    }

    fn mki(&self) -> Mki {
        Mki::Key(self.id.key_id().0)
    }

    fn state(&self) -> MutexGuard<'_, ContextState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CskContext")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Protection of one leg's floor control.
#[derive(Debug)]
pub(super) struct FloorProtection {
    leg: LegId,
    context: Arc<CskContext>,
    sender: SrtcpSender,
    /// The key before a re-key, until the client uses the new one.
    previous: Option<Arc<CskContext>>,
}

impl FloorProtection {
    /// Takes an SSRC of our own under the key.
    pub(super) fn new(leg: LegId, context: Arc<CskContext>) -> Result<Self, MediaPlaneError> {
        let sender = {
            let mut state = context.state();
            let taken: Vec<u32> = state.owners.keys().copied().collect();
            // The key itself lives no longer than this process, so neither does the ledger.
            let lease = state
                .ledger
                .lease(context.mki(), &taken, &mut rng(), |_| {
                    Ok::<(), std::io::Error>(())
                })
                .map_err(|_| MediaPlaneError::Refused("the CSK is worn out"))?;
            state.ours.insert(lease.ssrc());
            SrtcpSender::new(&context.master, lease)
        };
        Ok(Self {
            leg,
            context,
            sender,
            previous: None,
        })
    }

    /// Goes over to a new CSK; messages under the old one are taken until the client uses the new.
    pub(super) fn rekey(&mut self, context: Arc<CskContext>) -> Result<(), MediaPlaneError> {
        if Arc::ptr_eq(&context, &self.context) {
            return Ok(());
        }
        let next = Self::new(self.leg, context)?;
        let old = std::mem::replace(self, next);
        self.previous = Some(old.context.clone());
        Ok(())
    }

    /// The SSRC our messages must carry.
    pub(super) const fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// CSK-ID, for traces.
    pub(super) fn key_id(&self) -> u32 {
        self.context.id.key_id().0
    }

    /// Protects a message into `out` and returns the length.
    pub(super) fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        self.sender.seal(plain, out).ok()
    }

    /// Opens a packet of the client in place and returns the length of the clear message.
    pub(super) fn open(&mut self, packet: &mut [u8]) -> Result<usize, Refusal> {
        let named = packet
            .last_chunk::<4>()
            .map(|id| Mki::Key(u32::from_be_bytes(*id)));
        let context = [Some(&self.context), self.previous.as_ref()]
            .into_iter()
            .flatten()
            .find(|context| named == Some(context.mki()))
            .ok_or(Refusal::UnknownKey)?
            .clone();
        let length = context.open(self.leg, packet)?;
        if Arc::ptr_eq(&context, &self.context) {
            self.previous = None;
        }
        Ok(length)
    }
}

impl Drop for FloorProtection {
    fn drop(&mut self) {
        // The client may use its SSRC in its next call; the replay window goes on.
        for context in [Some(&self.context), self.previous.as_ref()]
            .into_iter()
            .flatten()
        {
            context.state().owners.retain(|_, owner| *owner != self.leg);
        }
    }
}

impl CskContext {
    fn open(&self, leg: LegId, packet: &mut [u8]) -> Result<usize, Refusal> {
        let mut state = self.state();
        let ssrc = packet
            .get(4..8)
            .and_then(|ssrc| ssrc.try_into().ok())
            .map(u32::from_be_bytes)
            .ok_or(Refusal::Malformed)?;
        // Our own packet come back, or one the client sent in another call.
        if state.ours.contains(&ssrc) || state.owners.get(&ssrc).is_some_and(|owner| *owner != leg)
        {
            return Err(Refusal::Replayed);
        }
        let opened = state.receiver.open(packet, |_| Some(self.master.clone()));
        let length = opened
            .map(|opened| opened.packet.len())
            .map_err(|error| match error {
                OpenError::PeerMalformed => Refusal::Malformed,
                OpenError::PeerUnknownKey(_) => Refusal::UnknownKey,
                OpenError::PeerNotAuthentic(_) | OpenError::PeerNotEncrypted => {
                    Refusal::NotAuthentic
                }
                OpenError::PeerReplayed { .. } => Refusal::Replayed,
                OpenError::LocalStreamLimit => Refusal::Rate,
            })?;
        state.owners.insert(ssrc, leg);
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
