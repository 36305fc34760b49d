//! One SRTCP key that many legs share: the calls of a client under its CSK, or of all users of an
//! interconnected system under the SPK.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{
    MasterKey, Mki, OpenError, OpenedRtcp, SealError, SrtcpReceiver, SrtcpSender, SsrcLease,
};

/// A key with all the SRTCP state that depends on it.
///
/// Both ends use the same key in both directions, and the key outlives calls. So the SSRCs given
/// out and the replay windows belong to the key, not to a leg: a packet recorded in one call is
/// refused in the next, one of a leg is refused on every other, and one of our own sent back to us
/// is refused too.
//= TS 33.180 9.4.6
pub struct SrtcpContext {
    mki: Mki,
    master: MasterKey,
    state: Mutex<State>,
}

struct State {
    receiver: SrtcpReceiver,
    /// SSRCs we send with.
    ours: HashSet<u32>,
    /// Which leg each SSRC of the far end belongs to.
    owners: HashMap<u32, u64>,
    last_leg: u64,
}

/// One leg's share of an [`SrtcpContext`].
pub struct SrtcpLeg {
    context: Arc<SrtcpContext>,
    number: u64,
    sender: SrtcpSender,
}

impl SrtcpContext {
    /// A context for the key that `mki` names, with state for at most `sources` of the far end.
    #[must_use]
    pub fn new(mki: Mki, master: MasterKey, sources: usize) -> Arc<Self> {
        let state = State {
            receiver: SrtcpReceiver::with_limit(mki.length(), sources),
            ours: HashSet::new(),
            owners: HashMap::new(),
            last_leg: 0,
        };
        Arc::new(Self {
            mki,
            master,
            state: Mutex::new(state),
        })
    }

    /// Names the key in every packet.
    #[must_use]
    pub const fn mki(&self) -> Mki {
        self.mki
    }

    /// SSRCs the far end is using, which a lease for this key must avoid.
    #[must_use]
    pub fn taken(&self) -> Vec<u32> {
        self.state().owners.keys().copied().collect()
    }

    /// A leg that sends with a lease for this key.
    #[must_use]
    pub fn leg(self: &Arc<Self>, lease: SsrcLease) -> SrtcpLeg {
        let mut state = self.state();
        state.ours.insert(lease.ssrc());
        state.last_leg += 1;
        SrtcpLeg {
            context: self.clone(),
            number: state.last_leg,
            sender: SrtcpSender::new(&self.master, lease),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What is inserted under the lock stands by itself, so a panic leaves nothing half-done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SrtcpLeg {
    /// The key and its other legs.
    #[must_use]
    pub const fn context(&self) -> &Arc<SrtcpContext> {
        &self.context
    }

    /// SSRC every message of this leg must carry.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.sender.ssrc()
    }

    /// Protects an RTCP datagram; see [`SrtcpSender::seal`].
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        self.sender.seal(plain, out)
    }

    /// Opens a packet of this leg's far end in place; see [`SrtcpReceiver::open`].
    ///
    /// # Errors
    /// [`OpenError`]; [`OpenError::PeerForeignSource`] for a packet of ours or of another leg.
    pub fn open<'a>(&mut self, packet: &'a mut [u8]) -> Result<OpenedRtcp<'a>, OpenError> {
        let context = &self.context;
        let mut state = context.state();
        let ssrc = packet.get(4..8).and_then(|octets| octets.try_into().ok());
        let ssrc = ssrc.map(u32::from_be_bytes);
        let ssrc = ssrc.ok_or(OpenError::PeerMalformed)?;
        let others = |owner: &u64| *owner != self.number;
        if state.ours.contains(&ssrc) || state.owners.get(&ssrc).is_some_and(others) {
            return Err(OpenError::PeerForeignSource(ssrc));
        }
        let key_of = |mki| (mki == context.mki).then(|| context.master.clone());
        let opened = state.receiver.open(packet, key_of)?;
        state.owners.insert(ssrc, self.number);
        Ok(opened)
    }
}

impl Drop for SrtcpLeg {
    fn drop(&mut self) {
        // The far end may use its SSRC in its next call; the replay window goes on.
        let number = self.number;
        self.context
            .state()
            .owners
            .retain(|_, owner| *owner != number);
    }
}

impl fmt::Debug for SrtcpContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtcpContext")
            .field("mki", &self.mki)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SrtcpLeg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtcpLeg")
            .field("number", &self.number)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Floor Idle of an SSRC.
    fn message(ssrc: u32) -> Vec<u8> {
        let [a, b, c, d] = ssrc.to_be_bytes();
        vec![0x85, 204, 0, 2, a, b, c, d, b'M', b'C', b'P', b'T']
    }

    fn end() -> Arc<SrtcpContext> {
        SrtcpContext::new(Mki::Key(0x3000_0001), MasterKey::new([1; 16], [2; 12]), 8)
    }

    fn leg(end: &Arc<SrtcpContext>, ssrc: u32) -> SrtcpLeg {
        end.leg(SsrcLease::for_vector(end.mki(), ssrc, 0))
    }

    fn refused(leg: &mut SrtcpLeg, packet: &[u8]) -> Option<OpenError> {
        leg.open(&mut packet.to_vec()).err()
    }

    fn packet(leg: &mut SrtcpLeg) -> Vec<u8> {
        let mut out = [0; 64];
        let length = leg.seal(&message(leg.ssrc()), &mut out).unwrap();
        out[..length].to_vec()
    }

    #[test]
    fn a_packet_counts_once_on_one_leg() {
        let (near, far) = (end(), end());
        let (mut first, mut second) = (leg(&near, 1), leg(&near, 2));
        let mut peer = leg(&far, 3);
        let sent = packet(&mut peer);
        let opened = first.open(&mut sent.clone()).unwrap().packet.to_vec();
        assert_eq!(opened, message(3));
        let replayed = refused(&mut first, &sent);
        assert_eq!(
            replayed,
            Some(OpenError::PeerReplayed { ssrc: 3, index: 1 })
        );
        let crossed = refused(&mut second, &packet(&mut peer));
        assert_eq!(crossed, Some(OpenError::PeerForeignSource(3)));
        let reflected = refused(&mut second, &packet(&mut first));
        assert_eq!(reflected, Some(OpenError::PeerForeignSource(1)));
    }

    #[test]
    fn the_next_call_goes_on_where_the_last_one_ended() {
        let (near, far) = (end(), end());
        let mut peer = leg(&far, 3);
        let recorded = packet(&mut peer);
        let mut first = leg(&near, 1);
        first.open(&mut recorded.clone()).unwrap();
        assert_eq!(near.taken(), [3]);
        drop(first);
        assert!(near.taken().is_empty());
        let mut second = leg(&near, 2);
        let replayed = refused(&mut second, &recorded);
        assert_eq!(
            replayed,
            Some(OpenError::PeerReplayed { ssrc: 3, index: 1 })
        );
        assert!(second.open(&mut packet(&mut peer)).is_ok());
    }
}
