//! SRTP (RFC 3711, RFC 7714 clause 8, RFC 4771 mode 3).

use std::collections::HashMap;
use std::fmt;

use ring::aead::Aad;

use crate::kdf::SessionKeys;
use crate::replay::ReplayWindow;
use crate::rtp::{Frame, Header, MIN_HEADER, unpadded};
use crate::{MasterKey, Mki, MkiLength, OpenError, SealError, SsrcLease, TAG};

/// Most octets a protected packet has beyond its payload: header, tag, MKI and ROC.
pub const SRTP_OVERHEAD: usize = MIN_HEADER + TAG + 8 + 4;

/// Default number of synchronisation sources a receiver keeps state for.
pub const MAX_STREAMS: usize = 256;

/// How a receiver learns the roll-over counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RocTransport {
    /// Estimated from the sequence number (private calls).
    Estimated,
    /// Four octets behind the MKI of every packet (group calls, `RCCm3` with R = 1).
    //= RFC 4771 2
    InPacket,
}

/// What follows the authentication tag of a stream's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Length of the MKI.
    pub mki: MkiLength,
    /// Whether the ROC follows the MKI.
    pub roc: RocTransport,
}

impl Layout {
    /// Group media: GMK-ID, GUK-ID and the ROC.
    //= TS 33.180 7.5
    pub const GROUP: Self = Self {
        mki: MkiLength::Eight,
        roc: RocTransport::InPacket,
    };
    /// Private call media: PCK-ID only.
    pub const PRIVATE: Self = Self {
        mki: MkiLength::Four,
        roc: RocTransport::Estimated,
    };

    const fn trailer(self) -> usize {
        let roc = match self.roc {
            RocTransport::Estimated => 0,
            RocTransport::InPacket => 4,
        };
        self.mki.octets() + roc
    }
}

/// What anybody can read of a protected packet, such as a server that forwards it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outline {
    /// RTP header.
    pub header: Header,
    /// Key the packet names.
    pub mki: Mki,
    /// Roll-over counter, if the layout carries it.
    pub roc: Option<u32>,
    /// Length of header, ciphertext and tag.
    body_end: usize,
}

impl Outline {
    /// Reads the unencrypted parts of a protected packet.
    ///
    /// # Errors
    /// [`OpenError::PeerMalformed`] if the packet is too short for its layout.
    pub fn read(packet: &[u8], layout: Layout) -> Result<Self, OpenError> {
        Self::parse(packet, layout).ok_or(OpenError::PeerMalformed)
    }

    fn parse(packet: &[u8], layout: Layout) -> Option<Self> {
        let header = Header::read(packet)?;
        let body_end = packet.len().checked_sub(layout.trailer())?;
        if body_end < header.length + TAG {
            return None;
        }
        let trailer = packet.get(body_end..)?;
        let (mki, roc) = trailer.split_at_checked(layout.mki.octets())?;
        let roc = match layout.roc {
            RocTransport::Estimated => None,
            RocTransport::InPacket => Some(u32::from_be_bytes(roc.try_into().ok()?)),
        };
        Some(Self {
            header,
            mki: Mki::read(mki)?,
            roc,
            body_end,
        })
    }
}

/// Sends one RTP stream under one key.
pub struct SrtpSender {
    keys: SessionKeys,
    mki: Mki,
    roc: RocTransport,
    ssrc: u32,
    next_index: u64,
}

impl SrtpSender {
    /// A sender that uses up `lease`; `roc` must be what the receivers expect.
    ///
    /// The lease names the MKI, so `master` must be the key of that MKI.
    #[must_use]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the sender uses the lease up"
    )]
    pub fn new(master: &MasterKey, lease: SsrcLease, roc: RocTransport) -> Self {
        let SsrcLease {
            mki,
            ssrc,
            first_index,
        } = lease;
        Self {
            keys: master.srtp(),
            mki,
            roc,
            ssrc,
            next_index: first_index,
        }
    }

    /// Synchronisation source of the stream.
    #[must_use]
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Sequence number of the next packet.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the low 16 bits are the sequence number"
    )]
    pub const fn next_sequence(&self) -> u16 {
        self.next_index as u16
    }

    /// Writes the protected packet into `out` and returns its length.
    ///
    /// `out` needs [`SRTP_OVERHEAD`] octets more than the payload.
    ///
    /// # Errors
    /// [`SealError::LocalBufferTooSmall`] with nothing used up, or [`SealError::LocalExhausted`]
    /// after 2^48 packets.
    //= RFC 7714 8.2
    pub fn seal(
        &mut self,
        frame: Frame,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        if self.next_index >> 48 != 0 {
            return Err(SealError::LocalExhausted);
        }
        let length = self
            .write(frame, payload, out)
            .ok_or(SealError::LocalBufferTooSmall)?;
        self.next_index += 1;
        Ok(length)
    }

    fn write(&self, frame: Frame, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        let layout = Layout {
            mki: self.mki.length(),
            roc: self.roc,
        };
        let body_end = MIN_HEADER + payload.len() + TAG;
        let out = out.get_mut(..body_end + layout.trailer())?;
        let (header, rest) = out.split_at_mut_checked(MIN_HEADER)?;
        let (body, rest) = rest.split_at_mut_checked(payload.len())?;
        let (tag_out, trailer) = rest.split_at_mut_checked(TAG)?;
        header.copy_from_slice(&Header::write(frame, self.ssrc, self.next_sequence()));
        body.copy_from_slice(payload);
        let nonce = self.keys.nonce(self.ssrc, self.next_index);
        let tag = self
            .keys
            .aead
            .seal_in_place_separate_tag(nonce, Aad::from(&*header), body)
            .ok()?;
        tag_out.copy_from_slice(tag.as_ref());
        let mki = self.mki.write(trailer)?;
        if self.roc == RocTransport::InPacket {
            let roc = u32::try_from(self.next_index >> 16).ok()?;
            trailer.get_mut(mki..)?.copy_from_slice(&roc.to_be_bytes());
        }
        Some(body_end + layout.trailer())
    }
}

impl fmt::Debug for SrtpSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpSender")
            .field("mki", &self.mki)
            .field("ssrc", &format_args!("{:08x}", self.ssrc))
            .field("next_index", &self.next_index)
            .finish_non_exhaustive()
    }
}

/// An authentic, decrypted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenedRtp<'a> {
    /// RTP header.
    pub header: Header,
    /// Key the packet was protected with.
    pub mki: Mki,
    /// ROC and sequence number.
    pub index: u64,
    /// Decrypted payload without padding.
    pub payload: &'a [u8],
}

/// Receives the streams of one media line: any number of talkers, each with the key its MKI names.
pub struct SrtpReceiver {
    layout: Layout,
    limit: usize,
    first_roc: u32,
    keys: HashMap<Mki, SessionKeys>,
    streams: HashMap<(Mki, u32), ReplayWindow>,
}

impl SrtpReceiver {
    /// A receiver for packets of `layout` from at most [`MAX_STREAMS`] sources.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self::with_limit(layout, MAX_STREAMS)
    }

    /// A receiver that keeps state for at most `limit` sources.
    #[must_use]
    pub fn with_limit(layout: Layout, limit: usize) -> Self {
        Self {
            layout,
            limit,
            first_roc: 0,
            keys: HashMap::new(),
            streams: HashMap::new(),
        }
    }

    /// The same receiver for streams whose roll-over counter is known to begin elsewhere, because
    /// it was learnt outside the packets (RFC 3711 3.3.1).
    #[must_use]
    pub const fn beginning_at(mut self, roc: u32) -> Self {
        self.first_roc = roc;
        self
    }

    /// Number of authentic sources seen.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.streams.len()
    }

    /// Drops keys and replay state of every MKI for which `keep` is false, such as after a re-key.
    ///
    /// Afterwards `key_of` must no longer know these MKIs, or old packets would pass again.
    pub fn retain(&mut self, keep: impl Fn(Mki) -> bool) {
        self.keys.retain(|mki, _| keep(*mki));
        self.streams.retain(|(mki, _), _| keep(*mki));
    }

    /// Authenticates and decrypts `packet` in place.
    ///
    /// `key_of` finds the master key of an MKI; it is asked only until a packet under that MKI
    /// proved authentic. On error the content of `packet` is unspecified.
    ///
    /// # Errors
    /// [`OpenError`]; the receiver's state is unchanged.
    //= RFC 3711 3.3
    //= RFC 7714 8.3
    //= RFC 4771 3
    pub fn open<'a>(
        &mut self,
        packet: &'a mut [u8],
        key_of: impl FnOnce(Mki) -> Option<MasterKey>,
    ) -> Result<OpenedRtp<'a>, OpenError> {
        let Outline {
            header,
            mki,
            roc,
            body_end,
        } = Outline::read(packet, self.layout)?;
        let stream = self.streams.get(&(mki, header.ssrc));
        let index = match roc {
            Some(roc) => u64::from(roc) << 16 | u64::from(header.sequence),
            None => match stream {
                Some(window) => estimate(window.highest(), header.sequence),
                None => u64::from(self.first_roc) << 16 | u64::from(header.sequence),
            },
        };
        if stream.is_some_and(|window| !window.accepts(index)) {
            return Err(OpenError::PeerReplayed {
                ssrc: header.ssrc,
                index,
            });
        }
        if stream.is_none() && self.streams.len() >= self.limit {
            return Err(OpenError::LocalStreamLimit);
        }
        let fresh = if self.keys.contains_key(&mki) {
            None
        } else {
            Some(key_of(mki).ok_or(OpenError::PeerUnknownKey(mki))?.srtp())
        };
        let keys = fresh.as_ref().or_else(|| self.keys.get(&mki));
        let keys = keys.ok_or(OpenError::PeerUnknownKey(mki))?;
        let (aad, body) = packet
            .get_mut(..body_end)
            .and_then(|authentic| authentic.split_at_mut_checked(header.length))
            .ok_or(OpenError::PeerMalformed)?;
        let plain = keys
            .aead
            .open_in_place(keys.nonce(header.ssrc, index), Aad::from(&*aad), body)
            .map_err(|_| OpenError::PeerNotAuthentic(mki))?;
        let payload = unpadded(header.padding, plain).ok_or(OpenError::PeerMalformed)?;
        if let Some(keys) = fresh {
            self.keys.insert(mki, keys);
        }
        self.streams
            .entry((mki, header.ssrc))
            .and_modify(|window| window.note(index))
            .or_insert_with(|| ReplayWindow::starting_at(index));
        Ok(OpenedRtp {
            header,
            mki,
            index,
            payload,
        })
    }
}

impl fmt::Debug for SrtpReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpReceiver")
            .field("layout", &self.layout)
            .field("keys", &self.keys.len())
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}

/// The packet index nearest to the highest one seen.
//= RFC 3711 3.3.1
pub(crate) fn estimate(highest: u64, sequence: u16) -> u64 {
    let roc = highest >> 16;
    let last = highest & 0xffff;
    let sequence = u64::from(sequence);
    let guess = if last < 0x8000 {
        if sequence.saturating_sub(last) > 0x8000 {
            roc.checked_sub(1)
        } else {
            Some(roc)
        }
    } else if last - 0x8000 > sequence {
        Some(roc + 1)
    } else {
        Some(roc)
    };
    // With ROC 0 there is no older cycle; the packet then fails authentication.
    guess.map_or(sequence, |roc| roc << 16 | sequence)
}

#[cfg(test)]
mod tests;
