//! What the media of a call is protected with: SRTP and SRTCP, or nothing where the group's document
//! writes protection off (`protect-media` and `protect-floor-control-signalling` of TS 24.481;
//! TS 33.180 L.5.2). A call is the one or the other from its first packet to its last.

use mc_audio::amr_wb::Packing;
use mc_ids::{GukId, KeyId};
use mc_media::rtp::{Frame, Header};
use mc_media::{Mki, OpenError, RtpSender, SealError, SrtpReceiver, SrtpSender};

use crate::attachment::FloorKeys;
use crate::call::Shared;
use crate::call::keys::SpeechKeys;

/// What a call is protected with.
#[derive(Debug, Clone)]
pub(crate) struct CallProtection {
    pub(crate) speech: SpeechProtection,
    pub(crate) floor: FloorKeys,
}

/// What a call's speech is protected with.
#[derive(Debug, Clone)]
pub(crate) enum SpeechProtection {
    /// SRTP under these keys; what is not is not heard.
    Srtp(SpeechKeys),
    /// Nothing: RTP in clear both ways.
    Clear,
}

impl SpeechProtection {
    pub(crate) const fn is_clear(&self) -> bool {
        matches!(self, Self::Clear)
    }

    /// Begins a stream of ours under what is current now.
    pub(super) fn begin(&self, shared: &Shared) -> Result<Outgoing, String> {
        let keys = match self {
            Self::Srtp(keys) => keys,
            Self::Clear => {
                let sender = RtpSender::random(&mut mc_runtime::rng());
                return Ok(Outgoing::Clear(sender));
            }
        };
        let key = keys.sending(shared).ok_or("no usable GMK")?;
        let lease = keys.lease(shared, key.mki)?;
        if shared.tracer.exports_keys() {
            shared.tracer.key(key.log_entry());
        }
        let sender = SrtpSender::new(&key.master(), lease, key.roc);
        Ok(Outgoing::Srtp(key.mki, Box::new(sender)))
    }

    /// Whether a stream may go on: a group may have a newer key in use.
    pub(super) fn is_current(&self, shared: &Shared, stream: &Outgoing) -> bool {
        match (self, stream) {
            (Self::Srtp(keys), Outgoing::Srtp(mki, _)) => keys.is_current(shared, *mki),
            (Self::Clear, Outgoing::Clear(_)) => true,
            (Self::Srtp(_), Outgoing::Clear(_)) | (Self::Clear, Outgoing::Srtp(..)) => false,
        }
    }

    /// The receiver of the call.
    pub(super) fn receiver(self) -> Incoming {
        match self {
            Self::Srtp(keys) => Incoming::Srtp(Box::new(SrtpReceiver::new(keys.layout())), keys),
            Self::Clear => Incoming::Clear,
        }
    }
}

/// The packets of one stream of ours.
pub(super) enum Outgoing {
    /// Under the key of this MKI.
    Srtp(Mki, Box<SrtpSender>),
    /// In clear.
    Clear(RtpSender),
}

impl Outgoing {
    /// Writes the packet of a frame into `out` and returns its length.
    pub(super) fn write(
        &mut self,
        frame: Frame,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<usize, SealError> {
        match self {
            Self::Srtp(_, sender) => sender.seal(frame, payload, out),
            Self::Clear(sender) => sender.write(frame, payload, out),
        }
    }
}

/// What the far end agreed to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    pub(super) payload_type: u8,
    pub(super) octet_align: bool,
}

impl Format {
    /// Whether a packet's payload is AMR-WB to its last octet.
    fn is_speech(self, header: Header, payload: &[u8]) -> bool {
        let packing = Packing::new(self.octet_align);
        header.payload_type == self.payload_type
            && packing.is_ok_and(|packing| packing.unpack(payload).is_ok())
    }
}

/// A packet that counts.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) header: Header,
    /// GUK-ID of the talker of a protected group.
    pub(super) talker: Option<GukId>,
    /// Its payload in clear.
    pub(super) payload: Vec<u8>,
}

/// Why a packet does not count.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotHeard {
    /// Not SRTP under a key of this call.
    #[error(transparent)]
    Srtp(#[from] OpenError),
    /// The group's speech is RTP in clear, and this is not.
    #[error("not the clear speech of an unprotected group")]
    NotClear,
}

/// Receives the streams of others.
pub(super) enum Incoming {
    /// Under keys of the call.
    Srtp(Box<SrtpReceiver>, SpeechKeys),
    /// In clear.
    Clear,
}

impl Incoming {
    /// Takes a packet in; the content of `packet` is unspecified afterwards.
    pub(super) fn open(
        &mut self,
        shared: &Shared,
        packet: &mut [u8],
        format: Format,
    ) -> Result<Received, NotHeard> {
        let (receiver, keys) = match self {
            Self::Srtp(receiver, keys) => (receiver, keys),
            Self::Clear => return read_clear(packet, format),
        };
        let opened = receiver.open(packet, |mki| keys.receiving(shared, mki))?;
        //= TS 33.180 5.7
        if !keys.opens(shared, opened.mki) {
            return Err(OpenError::PeerUnknownKey(opened.mki).into());
        }
        Ok(Received {
            header: opened.header,
            talker: talker(opened.mki),
            payload: opened.payload.to_vec(),
        })
    }
}

/// Reads RTP in clear. Nothing proves who sent it, but what was protected all the same is not AMR-WB.
//= TS 33.180 L.5.2
fn read_clear(packet: &[u8], format: Format) -> Result<Received, NotHeard> {
    let header = Header::read(packet).ok_or(NotHeard::NotClear)?;
    let payload = header.payload(packet).ok_or(NotHeard::NotClear)?;
    if !format.is_speech(header, payload) {
        return Err(NotHeard::NotClear);
    }
    Ok(Received {
        header,
        talker: None,
        payload: payload.to_vec(),
    })
}

/// GUK-ID of a talker of a group.
fn talker(mki: Mki) -> Option<GukId> {
    match mki {
        Mki::Group { guk_id, .. } => GukId::try_from(KeyId(guk_id)).ok(),
        Mki::Key(_) => None,
    }
}
