//! MIKEY-SAKKE: how GMK, PCK, CSK and SPK travel (TS 33.180 5.2 and Annex E, on RFC 3830, RFC 6043
//! and RFC 6509).
//!
//! A message from a peer passes through types, so that nothing unchecked can be used by mistake:
//! [`Unverified`] is parsed, [`Verified`] has a valid signature, a fresh time and was not seen
//! before, [`Opened`] holds the key. [`Distribution`] makes messages in the form of Annex E.
//! [`media_keys`] derives SRTP master keys from what was opened.
//!
//! Time, randomness, certificates and keys are arguments. Wire forms that peers are known to send
//! although the annex does not are accepted, and named in [`Variant`]s.

mod anatomy;
mod batch;
mod build;
mod domain;
mod form;
mod key_parameters;
mod media_keys;
mod message;
mod open;
mod policy;
mod replay;
mod shortened_mask;
mod variant;
mod why;
mod wire;

pub use anatomy::{Item, anatomy};
pub use build::{BuildError, Distribution};
pub use domain::{Domains, KmsCertificate, UserKeys, UserKeysError, responsible};
pub use form::{Form, Formed, Identities, UidType};
pub use key_parameters::{KeyParameters, KeyStatus};
pub use media_keys::{CryptoSession, MediaKeys, media_keys};
pub use message::{CsIdMap, ParseError, Party, SrtpSession, Unverified};
pub use open::{
    DistributedKey, OpenError, OpenPolicy, Opened, OtherKey, Verified, VerifyError, VerifyPolicy,
};
pub use policy::{Policy, PolicyDifference, default_policy, policy_differences, policy_name};
pub use replay::ReplayCache;
pub use variant::Variant;
pub use why::{Finding, KeySetAtHand, Outcome, UidInput, Why, why};
