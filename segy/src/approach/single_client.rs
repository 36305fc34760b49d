//! 7.1: the gateway is one MC client of the host domain (TR 33.880 7.8.1).
//!
//! The MC system sees one user, the gateway; LMR parties are functional aliases of it. Keys and token
//! are the host domain's, one set each. Nothing else is run. What is lost: the cryptographic identity
//! is the gateway's, so only its own map keeps one LMR unit from speaking as another (D1-1).

use super::{Attachment, KeySource, Population, Profile};

pub(super) const PROFILE: Profile = Profile {
    clause: "7.1",
    population: Population::Single,
    attachment: Attachment::Client,
    key_source: KeySource::HostKms,
    runs: &[],
};
