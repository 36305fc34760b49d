//! Keys from the KMS: step K of a client's start (TS 33.180 5.3, Annex D).
//!
//! [`KmsClient`] asks; what it returns was checked: the certificate's dates, points and parameter
//! set, and that every key set belongs to its UID, which is recomputed and never taken over.
//! [`KeyRing`] holds the certificates and the key sets of the previous, current and next period.

mod client;
mod ring;

use mc_ids::KmsUri;
use serde::Deserialize;

pub use client::KmsClient;
pub use ring::KeyRing;

/// Where a client's KMS is; part of a client's configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// Scheme, host and port of the KMS (`https://kms.mc.example:8442`).
    pub url: String,
    /// Identifier of the KMS.
    pub kms_uri: KmsUri,
    /// `ClientId` of requests (default none).
    #[serde(default)]
    pub client_id: Option<String>,
    /// `DeviceId` of requests (default none).
    #[serde(default)]
    pub device_id: Option<String>,
}

/// Why the KMS gave no usable keys.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The KMS cannot be reached.
    #[error("KMS {url} cannot be reached: {detail} (TS 33.180 D.2.1)")]
    Unreachable {
        /// What was called.
        url: String,
        /// Why it failed.
        detail: String,
    },
    /// The KMS refused.
    #[error("KMS refused {url} with {status}: {detail} (TS 33.180 D.3.1)")]
    Refused {
        /// What was called.
        url: String,
        /// HTTP status.
        status: u16,
        /// Text of the `KmsError`, or of the challenge.
        detail: String,
    },
    /// The answer is no acceptable KMS document.
    #[error("answer of the KMS to {url}: {source} (TS 33.180 D.3)")]
    Document {
        /// What was called.
        url: String,
        /// What is wrong.
        source: kms_protocol::KmsDocumentError,
    },
    /// The answer is a KMS document, but not to this request.
    #[error("answer of the KMS to {url} {detail} (TS 33.180 D.3.1)")]
    Mismatch {
        /// What was called.
        url: String,
        /// What does not fit.
        detail: String,
    },
    /// A certificate cannot be used.
    #[error("certificate of KMS {kms_uri}: {detail} (TS 33.180 D.3.2.2)")]
    Certificate {
        /// Whose certificate.
        kms_uri: KmsUri,
        /// Why.
        detail: String,
    },
    /// A key set does not hold what it must.
    #[error("key set of {identity} for key period {number}: {detail} (TS 33.180 D.3.3.2)")]
    KeySet {
        /// Whose keys.
        identity: String,
        /// Key period.
        number: u64,
        /// Why.
        detail: String,
    },
    /// No key set of the current period came.
    #[error("KMS sent no key set of {0} for the current key period (TS 33.180 5.3.3)")]
    NoCurrentKeys(String),
}

#[cfg(test)]
mod tests;
