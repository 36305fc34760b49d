//! SRTCP of floor control under each client's CSK or the SPK of an interconnection
//! (TS 33.180 9.4).
//!
//! A client may take part in several calls with one CSK, and an SPK serves all users of the other
//! system. Hence one context per key that outlives its calls.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mc_ids::{Csk, KeyId, McServiceId};
use mc_media::{
    MasterKey, Mki, OpenError, SrtcpContext, SrtcpLeg, SsrcHalf, SsrcLease, SsrcLedger,
};
use mc_runtime::rng;
use mikey::{CryptoSession, media_keys};

use super::counters::Refusal;
use super::{ClientCsk, FloorKey, MediaPlaneError, SsrcStore};

/// SRTCP sources remembered per CSK.
const MAX_SOURCES: usize = 4096;
/// CSKs remembered per user: one for each of its clients, and their predecessors.
const MAX_CSKS_PER_USER: usize = 16;

/// The CSKs in use, by user.
#[derive(Debug, Default)]
pub(super) struct CskContexts {
    users: Mutex<HashMap<McServiceId, Vec<CskContext>>>,
}

#[derive(Debug)]
struct CskContext {
    key: Csk,
    rand: Vec<u8>,
    floor: Arc<FloorContext>,
}

impl CskContexts {
    /// The context of a key: a CSK's is made when it is first seen.
    pub(super) fn of(&self, user: &McServiceId, key: &FloorKey) -> Arc<FloorContext> {
        match key {
            FloorKey::Csk(key) => self.of_csk(user, key),
            FloorKey::Spk(context) => context.clone(),
        }
    }

    pub(super) fn of_csk(&self, user: &McServiceId, key: &ClientCsk) -> Arc<FloorContext> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let contexts = users.entry(user.clone()).or_default();
        let id = key.id.key_id();
        let same = |context: &&CskContext| {
            context.floor.key_id() == id && context.key == key.key && context.rand == key.rand
        };
        if let Some(context) = contexts.iter().find(same) {
            return context.floor.clone();
        }
        if contexts.len() >= MAX_CSKS_PER_USER {
            contexts.remove(0);
        }
        let floor = FloorContext::of_csk(key);
        contexts.push(CskContext {
            key: key.key.clone(),
            rand: key.rand.clone(),
            floor: floor.clone(),
        });
        floor
    }
}

/// One key with the SRTCP state and the SSRCs of this end.
pub struct FloorContext {
    key_id: KeyId,
    srtcp: Arc<SrtcpContext>,
    half: Option<SsrcHalf>,
    ledger: Mutex<SsrcLedger>,
    /// Where SSRCs are kept for the next life of this process, if the key has one.
    store: Option<Arc<dyn SsrcStore>>,
}

impl fmt::Debug for FloorContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FloorContext")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl FloorContext {
    /// A CSK is forgotten with the process, and so are its SSRCs.
    fn of_csk(key: &ClientCsk) -> Arc<Self> {
        //= TS 33.180 9.4.6
        let id = key.id.key_id();
        let keys = media_keys(&key.key, CryptoSession::FloorControl, id, &key.rand);
        Arc::new(Self {
            key_id: id,
            srtcp: SrtcpContext::new(Mki::Key(id.0), MasterKey::from(&keys), MAX_SOURCES),
            half: None,
            ledger: Mutex::default(),
            store: None,
        })
    }

    /// The context of a key that outlives this process: its `ledger` holds the SSRCs used so far,
    /// `store` keeps further ones before they are used.
    #[must_use]
    pub fn lasting(
        key_id: KeyId,
        srtcp: Arc<SrtcpContext>,
        half: SsrcHalf,
        ledger: SsrcLedger,
        store: Arc<dyn SsrcStore>,
    ) -> Arc<Self> {
        Arc::new(Self {
            key_id,
            srtcp,
            half: Some(half),
            ledger: Mutex::new(ledger),
            store: Some(store),
        })
    }

    /// CSK-ID or SPK-ID.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    fn ledger(&self) -> MutexGuard<'_, SsrcLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease that is not kept anywhere yet.
    fn lease(&self) -> Result<SsrcLease, MediaPlaneError> {
        let (mki, taken) = (self.srtcp.mki(), self.srtcp.taken());
        let (mut ledger, rng) = (self.ledger(), &mut rng());
        let unkept = |_: &str| Ok::<(), std::convert::Infallible>(());
        let lease = match self.half {
            Some(half) => ledger.lease_of(half, mki, &taken, rng, unkept),
            None => ledger.lease(mki, &taken, rng, unkept),
        };
        lease.map_err(|_| MediaPlaneError::Refused("the key of floor control is worn out"))
    }
}

/// Protection of one leg's floor control.
#[derive(Debug)]
pub(super) struct FloorProtection {
    context: Arc<FloorContext>,
    leg: SrtcpLeg,
    /// The leg under the key before a re-key, until the client uses the new one.
    previous: Option<SrtcpLeg>,
}

impl FloorProtection {
    /// Takes an SSRC of our own under the key, and keeps it where the key needs that.
    pub(super) async fn new(context: Arc<FloorContext>) -> Result<Self, MediaPlaneError> {
        let lease = context.lease()?;
        if let Some(store) = &context.store {
            let kept = store.keep(context.key_id, lease.ssrc()).await;
            kept.map_err(|error| {
                tracing::error!(error, "SSRC of floor control was not kept");
                MediaPlaneError::Refused("the SSRC of floor control cannot be kept")
            })?;
        }
        Ok(Self {
            leg: context.srtcp.leg(lease),
            context,
            previous: None,
        })
    }

    /// Goes over to a new CSK; messages under the old one are taken until the client uses the new.
    pub(super) fn rekey(&mut self, context: Arc<FloorContext>) -> Result<(), MediaPlaneError> {
        if Arc::ptr_eq(&context, &self.context) {
            return Ok(());
        }
        let next = context.srtcp.leg(context.lease()?);
        self.previous = Some(std::mem::replace(&mut self.leg, next));
        self.context = context;
        Ok(())
    }

    /// The SSRC our messages must carry.
    pub(super) const fn ssrc(&self) -> u32 {
        self.leg.ssrc()
    }

    /// CSK-ID or SPK-ID, for traces.
    pub(super) fn key_id(&self) -> u32 {
        self.context.key_id.0
    }

    /// Protects a message into `out` and returns the length.
    pub(super) fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        self.leg.seal(plain, out).ok()
    }

    /// Opens a packet of the client in place and returns the length of the clear message.
    pub(super) fn open(&mut self, packet: &mut [u8]) -> Result<usize, Refusal> {
        let named = packet
            .last_chunk::<4>()
            .map(|id| Mki::Key(u32::from_be_bytes(*id)));
        let names = |leg: &SrtcpLeg| named == Some(leg.context().mki());
        if names(&self.leg) {
            let length = open(&mut self.leg, packet)?;
            self.previous = None;
            return Ok(length);
        }
        match self.previous.as_mut().filter(|leg| names(leg)) {
            Some(leg) => open(leg, packet),
            None => Err(Refusal::UnknownKey),
        }
    }
}

fn open(leg: &mut SrtcpLeg, packet: &mut [u8]) -> Result<usize, Refusal> {
    let opened = leg.open(packet);
    opened
        .map(|opened| opened.packet.len())
        .map_err(|error| match error {
            OpenError::PeerMalformed => Refusal::Malformed,
            OpenError::PeerUnknownKey(_) => Refusal::UnknownKey,
            OpenError::PeerNotAuthentic(_) | OpenError::PeerNotEncrypted => Refusal::NotAuthentic,
            OpenError::PeerReplayed { .. } | OpenError::PeerForeignSource(_) => Refusal::Replayed,
            OpenError::LocalStreamLimit => Refusal::Rate,
        })
}

#[cfg(test)]
mod tests;
