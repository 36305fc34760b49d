//! 7.5: the gateway is an external MC domain with one user (7.8.5).
//!
//! The MC system sees one user of another domain; LMR parties are functional aliases of it. The
//! gateway runs that domain's servers. What is lost: within the domain the gateway can speak as any of
//! its external users (D5-2).

use super::{Attachment, KeySource, Population, Profile, PseudoServer};

pub(super) const PROFILE: Profile = Profile {
    clause: "7.5",
    population: Population::Single,
    attachment: Attachment::InterconnectedDomain,
    key_source: KeySource::PseudoKms,
    runs: &[
        PseudoServer::Kms,
        PseudoServer::Idms,
        PseudoServer::Gms,
        PseudoServer::McxServer,
    ],
};
