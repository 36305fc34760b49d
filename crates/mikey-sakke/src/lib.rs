//! ECCSI (RFC 6507) and SAKKE (RFC 6508) with parameter set 1 of RFC 6509: the identity-based
//! signatures and key encapsulation of MIKEY-SAKKE.
//!
//! Identifiers are arbitrary octet strings; in MC they are the 32-octet UIDs of TS 33.180 F.2.1.
//! Randomness is an argument. What handles a secret (KSAK, z, SSK, RSK, nonces, SSV) runs in
//! constant time; verification of signatures handles public data only and does not. F_p and P-256
//! are this crate's own; `crypto-bigint` computes modulo q, `p256` modulo the order of P-256, and
//! both are what the tests compare with.
//!
//! Every value from outside is checked before use: lengths, points on their curve and in their
//! subgroup, scalars in range. [`self_test`] recomputes the RFCs' vectors at start-up.

mod comb;
mod curve;
pub mod eccsi;
mod fp;
mod fp2;
mod inversion;
mod opaque;
mod pairing;
mod params;
mod prepared;
pub mod sakke;
mod scalar;
mod self_test;
#[cfg(target_arch = "x86_64")]
mod vector;

pub use params::{POINT_OCTETS, SED_OCTETS, SSV_OCTETS};
pub use self_test::{SelfTestError, self_test};

/// Why a key, signature or encapsulation was refused. A peer must not be told which it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CryptoError {
    /// The octets have the wrong length.
    #[error("{what} has {found} octets, {expected} are needed")]
    Length {
        /// What was read.
        what: &'static str,
        /// Octets needed.
        expected: usize,
        /// Octets found.
        found: usize,
    },
    /// A point is not encoded as `04 || x || y` with coordinates below the prime.
    #[error("{0} is not an uncompressed point")]
    Encoding(&'static str),
    /// A point does not satisfy the curve's equation.
    #[error("{0} is not on the curve")]
    OffCurve(&'static str),
    /// A point lies on the curve but not in the group of prime order.
    #[error("{0} is not in the prime-order subgroup")]
    WrongSubgroup(&'static str),
    /// A scalar is zero or not below the group order.
    #[error("{0} is out of range")]
    ScalarRange(&'static str),
    /// A user's key does not belong to the identifier and the KMS public key.
    #[error("{0} does not belong to this identifier and KMS")]
    KeyMismatch(&'static str),
    /// The signature does not hold for this message, signer and KMS (RFC 6507 5.2.2).
    #[error("the signature does not verify")]
    Signature,
    /// The encapsulated data fails its integrity check (RFC 6508 6.2.2).
    #[error("the encapsulated data fails its check")]
    Decapsulation,
    /// The identifier collides with the master secret; another key period or secret is needed.
    #[error("no key exists for this identifier under this master secret")]
    Unissuable,
    /// A computation did not verify its own result: a fault in the machine.
    #[error("the machine computed a wrong result")]
    Fault,
}

fn sized<const N: usize>(octets: &[u8], what: &'static str) -> Result<[u8; N], CryptoError> {
    let found = octets.len();
    octets.try_into().map_err(|_| CryptoError::Length {
        what,
        expected: N,
        found,
    })
}
