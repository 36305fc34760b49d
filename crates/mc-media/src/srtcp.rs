//! SRTCP (RFC 3711 clause 3.4, RFC 7714 clause 9), always encrypted.

use std::collections::HashMap;
use std::fmt;

use ring::aead::Aad;

use crate::kdf::SessionKeys;
use crate::replay::ReplayWindow;
use crate::{MAX_STREAMS, MasterKey, Mki, MkiLength, OpenError, SealError, SsrcLease, TAG, rtcp};

/// Most octets a protected packet has beyond the RTCP packet: tag, index word and MKI.
pub const SRTCP_OVERHEAD: usize = TAG + 4 + 8;

/// Octets of an RTCP packet that stay readable: first word and SSRC.
const CLEAR: usize = 8;
const ENCRYPTED: u32 = 1 << 31;

/// Sends RTCP from one SSRC under one key.
pub struct SrtcpSender {
    keys: SessionKeys,
    mki: Mki,
    ssrc: u32,
    next_index: u32,
}

impl SrtcpSender {
    /// A sender that uses up `lease`; the lease names the MKI, so `master` must be the key of it.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the sender uses the lease up"
    )]
    pub fn new(master: &MasterKey, lease: SsrcLease) -> Self {
        let SsrcLease { mki, ssrc, .. } = lease;
        Self {
            keys: master.srtcp(),
            mki,
            ssrc,
            next_index: 1,
        }
    }

    /// Synchronisation source that every packet must carry.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Protects the RTCP datagram `plain` into `out` and returns the length.
    ///
    /// `out` needs [`SRTCP_OVERHEAD`] octets more than `plain`.
    ///
    /// # Errors
    /// [`SealError`]; no index is used up then.
    //= RFC 7714 9.2
    pub fn seal(&mut self, plain: &[u8], out: &mut [u8]) -> Result<usize, SealError> {
        let (first, _) = rtcp::Packet::read(plain).ok_or(SealError::LocalForeignPacket)?;
        if first.ssrc != self.ssrc {
            return Err(SealError::LocalForeignPacket);
        }
        if self.next_index & ENCRYPTED != 0 {
            return Err(SealError::LocalExhausted);
        }
        let length = self
            .write(plain, out)
            .ok_or(SealError::LocalBufferTooSmall)?;
        self.next_index += 1;
        Ok(length)
    }

    fn write(&self, plain: &[u8], out: &mut [u8]) -> Option<usize> {
        let total = plain.len() + TAG + 4 + self.mki.length().octets();
        let out = out.get_mut(..total)?;
        let (packet, rest) = out.split_at_mut_checked(plain.len())?;
        let (tag_out, rest) = rest.split_at_mut_checked(TAG)?;
        let (word, trailer) = rest.split_at_mut_checked(4)?;
        packet.copy_from_slice(plain);
        word.copy_from_slice(&(ENCRYPTED | self.next_index).to_be_bytes());
        self.mki.write(trailer)?;
        let (clear, body) = packet.split_at_mut_checked(CLEAR)?;
        let nonce = self.keys.nonce(self.ssrc, u64::from(self.next_index));
        let aad = additional_data(clear, word)?;
        let tag = self
            .keys
            .aead
            .seal_in_place_separate_tag(nonce, Aad::from(aad), body)
            .ok()?;
        tag_out.copy_from_slice(tag.as_ref());
        Some(total)
    }
}

impl fmt::Debug for SrtcpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtcpSender")
            .field("mki", &self.mki)
            .field("ssrc", &format_args!("{:08x}", self.ssrc))
            .field("next_index", &self.next_index)
            .finish_non_exhaustive()
    }
}

/// An authentic, decrypted RTCP datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedRtcp<'a> {
    /// Key the packet was protected with.
    pub mki: Mki,
    /// Synchronisation source of the first packet.
    pub ssrc: u32,
    /// SRTCP index.
    pub index: u32,
    /// The whole RTCP datagram in clear.
    pub packet: &'a [u8],
}

/// Receives SRTCP from any number of sources, each with the key its MKI names.
pub struct SrtcpReceiver {
    mki: MkiLength,
    limit: usize,
    keys: HashMap<Mki, SessionKeys>,
    streams: HashMap<(Mki, u32), ReplayWindow>,
}

impl SrtcpReceiver {
    /// A receiver for MKIs of the given length and at most [`MAX_STREAMS`] sources.
    #[must_use]
    pub fn new(mki: MkiLength) -> Self {
        Self::with_limit(mki, MAX_STREAMS)
    }

    /// A receiver that keeps state for at most `limit` sources.
    #[must_use]
    pub fn with_limit(mki: MkiLength, limit: usize) -> Self {
        Self {
            mki,
            limit,
            keys: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    /// Number of authentic sources seen.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Drops keys and replay state of every MKI for which `keep` is false.
    ///
    /// Afterwards `key_of` must no longer know these MKIs, or old packets would pass again.
    pub fn retain(&mut self, keep: impl Fn(Mki) -> bool) {
        self.keys.retain(|mki, _| keep(*mki));
        self.streams.retain(|(mki, _), _| keep(*mki));
    }

    /// Authenticates and decrypts `packet` in place; `key_of` finds the master key of an MKI.
    ///
    /// # Errors
    /// [`OpenError`]; the receiver's state is unchanged, the content of `packet` unspecified.
    //= RFC 7714 9.3
    pub fn open<'a>(
        &mut self,
        packet: &'a mut [u8],
        key_of: impl FnOnce(Mki) -> Option<MasterKey>,
    ) -> Result<OpenedRtcp<'a>, OpenError> {
        let Parts {
            mki,
            ssrc,
            word,
            body_end,
        } = Parts::read(packet, self.mki).ok_or(OpenError::PeerMalformed)?;
        if word & ENCRYPTED == 0 {
            return Err(OpenError::PeerNotEncrypted);
        }
        let index = word & !ENCRYPTED;
        let wide = u64::from(index);
        let stream = self.streams.get(&(mki, ssrc));
        if stream.is_some_and(|window| !window.accepts(wide)) {
            return Err(OpenError::PeerReplayed { ssrc, index: wide });
        }
        if stream.is_none() && self.streams.len() >= self.limit {
            return Err(OpenError::LocalStreamLimit);
        }
        let fresh = if self.keys.contains_key(&mki) {
            None
        } else {
            Some(key_of(mki).ok_or(OpenError::PeerUnknownKey(mki))?.srtcp())
        };
        let keys = fresh.as_ref().or_else(|| self.keys.get(&mki));
        let keys = keys.ok_or(OpenError::PeerUnknownKey(mki))?;
        let length =
            decrypt(keys, packet, ssrc, word, body_end).ok_or(OpenError::PeerNotAuthentic(mki))?;
        if let Some(keys) = fresh {
            self.keys.insert(mki, keys);
        }
        self.streams
            .entry((mki, ssrc))
            .and_modify(|window| window.note(wide))
            .or_insert_with(|| ReplayWindow::starting_at(wide));
        let packet = packet.get(..length).ok_or(OpenError::PeerMalformed)?;
        Ok(OpenedRtcp {
            mki,
            ssrc,
            index,
            packet,
        })
    }
}

impl fmt::Debug for SrtcpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtcpReceiver")
            .field("mki", &self.mki)
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

struct Parts {
    mki: Mki,
    ssrc: u32,
    word: u32,
    body_end: usize,
}

impl Parts {
    fn read(packet: &[u8], mki: MkiLength) -> Option<Self> {
        let index_at = packet.len().checked_sub(mki.octets() + 4)?;
        if index_at < CLEAR + TAG || packet.first()? >> 6 != 2 {
            return None;
        }
        let word = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
        Some(Self {
            mki: Mki::read(packet.get(index_at + 4..)?)?,
            ssrc: word(4)?,
            word: word(index_at)?,
            body_end: index_at,
        })
    }
}

/// Decrypts in place; returns the length of the clear RTCP datagram.
fn decrypt(
    keys: &SessionKeys,
    packet: &mut [u8],
    ssrc: u32,
    word: u32,
    end: usize,
) -> Option<usize> {
    let (clear, body) = packet.get_mut(..end)?.split_at_mut_checked(CLEAR)?;
    let nonce = keys.nonce(ssrc, u64::from(word & !ENCRYPTED));
    let aad = additional_data(clear, &word.to_be_bytes())?;
    let plain = keys.aead.open_in_place(nonce, Aad::from(aad), body).ok()?;
    Some(CLEAR + plain.len())
}

/// The readable octets followed by the E flag and index.
//= RFC 7714 17
fn additional_data(clear: &[u8], word: &[u8]) -> Option<[u8; 12]> {
    let mut aad = [0; 12];
    aad.get_mut(..CLEAR)?.copy_from_slice(clear);
    aad.get_mut(CLEAR..)?.copy_from_slice(word);
    Some(aad)
}

#[cfg(test)]
mod tests;
