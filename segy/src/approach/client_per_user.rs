//! 7.2: the gateway is many MC clients of the host domain, one for each external user (7.8.2).
//!
//! The MC system sees native users. Each has its own token, keys, CSK, registration and copy of a
//! group's key. Nothing else is run. What is lost: all signalling is multiplied by the number of users
//! (D2-1), and copies of a group call have to be merged.

use super::{Attachment, KeySource, Population, Profile};

pub(super) const PROFILE: Profile = Profile {
    clause: "7.2",
    population: Population::PerExternalUser,
    attachment: Attachment::Client,
    key_source: KeySource::HostKms,
    runs: &[],
};
