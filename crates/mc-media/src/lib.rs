//! SRTP and SRTCP with AEAD_AES_128_GCM as TS 33.180 clause 7.5 uses them, and RTP in clear for groups
//! whose document writes protection off.
//!
//! A packet names its key by an MKI of four octets (PCK-ID, CSK-ID, MuSiK-ID) or eight (GMK-ID then
//! GUK-ID), and group media carries the roll-over counter behind the MKI (RFC 4771 mode 3), so that
//! somebody who joins late can decrypt at once. The transform is RFC 7714 with the RFC 3711 key
//! derivation.
//!
//! Invariants:
//! - A sender owns SSRC, sequence number and roll-over counter. They come from an [`SsrcLease`],
//!   which an [`SsrcLedger`] hands out only after the caller has stored it, so that no
//!   (SSRC, ROC, SEQ) is ever used twice under a key, across restarts too.
//! - A receiver keeps state only for what passed authentication, and a bounded amount of it.
//! - No packet costs a heap allocation; sending writes into the caller's buffer, receiving decrypts
//!   in place. Nothing here reads a clock, a socket or the operating system's randomness.

mod clear;
mod error;
mod kdf;
mod ledger;
mod mki;
mod replay;
pub mod reproducible;
pub mod rtcp;
pub mod rtp;
mod srtcp;
mod srtcp_context;
mod srtp;

pub use clear::RtpSender;
pub use error::{LedgerError, OpenError, SealError};
pub use kdf::MasterKey;
pub use ledger::{SsrcHalf, SsrcLease, SsrcLedger};
pub use mki::{Mki, MkiLength};
pub use srtcp::{OpenedRtcp, SRTCP_OVERHEAD, SrtcpReceiver, SrtcpSender};
pub use srtcp_context::{SrtcpContext, SrtcpLeg};
pub use srtp::{
    Layout, MAX_STREAMS, OpenedRtp, Outline, RocTransport, SRTP_OVERHEAD, SrtpReceiver, SrtpSender,
};

/// Length of the AEAD tag in octets (RFC 7714 clause 12).
pub(crate) const TAG: usize = 16;
