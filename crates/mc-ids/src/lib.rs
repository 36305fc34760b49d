//! Identities of the MC system, key identifiers, distributed keys, key periods and the
//! derivations of TS 33.180 Annex F. Layer 0: everything above speaks in these types.
//!
//! Invariants: no IO, no clock, no randomness of its own. An identity is the exact string that was
//! provisioned (TS 33.180 F.2.1 hashes it as given), so nothing here normalises one.

pub mod annex_f;
mod identity;
mod key;
mod key_id;
mod pattern;
mod time;

pub use identity::{
    ClientId, FunctionalAlias, GroupId, IdentityError, Impu, KmsUri, McServiceId, Mdsi, domain_of,
};
pub use key::{Csk, Gmk, Key128, KeyLengthError, Pck, Spk};
pub use key_id::{CskId, GmkId, GukId, KeyId, KeyIdError, KeyPurpose, PckId, SpkId};
pub use pattern::{IdentityPattern, PatternError, is_in_domain};
pub use time::{KeyPeriod, KeyPeriodError, NtpTime};
