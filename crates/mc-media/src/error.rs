//! Errors, grouped by blame.

use crate::Mki;

/// Why a received packet was dropped; the receiver's state is what it was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The packet is too short or its header lengths do not fit.
    #[error("malformed packet")]
    PeerMalformed,
    /// No key is known for the MKI the packet names.
    #[error("no key for MKI {0}")]
    PeerUnknownKey(Mki),
    /// The authentication tag is wrong.
    #[error("authentication failed (MKI {0})")]
    PeerNotAuthentic(Mki),
    /// The packet index was seen before or is older than the window of 128.
    #[error("replayed or too old: SSRC {ssrc:08x} index {index}")]
    PeerReplayed {
        /// Synchronisation source of the packet.
        ssrc: u32,
        /// SRTP index (ROC and sequence number) or SRTCP index.
        index: u64,
    },
    /// The source is one of ours, or of another leg under the same key.
    #[error("SSRC {0:08x} belongs to another sender")]
    PeerForeignSource(u32),
    /// An SRTCP packet without the encryption flag; this profile always encrypts.
    #[error("SRTCP packet is not encrypted")]
    PeerNotEncrypted,
    /// More sources than this receiver keeps state for.
    #[error("too many synchronisation sources")]
    LocalStreamLimit,
}

/// Why a packet could not be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// All indexes of the lease are used; the caller must take a new lease or a new key.
    #[error("packet indexes of this SSRC are exhausted")]
    LocalExhausted,
    /// The output buffer cannot hold the protected packet.
    #[error("output buffer too small")]
    LocalBufferTooSmall,
    /// The RTCP packet is malformed or names another SSRC than the lease.
    #[error("RTCP packet does not belong to this sender")]
    LocalForeignPacket,
}

/// Why no lease was given out; nothing may be sent.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError<E> {
    /// The stored ledger cannot be read.
    #[error("SSRC ledger line {line} is not valid")]
    LocalCorrupt {
        /// Line number, counted from one.
        line: usize,
    },
    /// This key has used as many SSRCs as the ledger keeps; the key must be replaced.
    #[error("too many SSRCs used under one key")]
    LocalFull,
    /// The caller could not store the ledger.
    #[error("SSRC ledger could not be stored")]
    LocalStore(#[source] E),
}
