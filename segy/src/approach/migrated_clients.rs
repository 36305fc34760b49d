//! 7.3: the gateway serves migrated users of the host domain, one for each external user (7.8.3).
//!
//! The MC system sees its own users, migrated to the gateway's system. Each has its own token and keys
//! of the host domain; one interconnection under one SPK replaces their CSKs. The gateway runs the
//! server that ends it. What is lost: tokens, keys and groups are still multiplied (D3-1).

use super::{Attachment, KeySource, Population, Profile, PseudoServer};

pub(super) const PROFILE: Profile = Profile {
    clause: "7.3",
    population: Population::PerExternalUser,
    attachment: Attachment::MigratedClient,
    key_source: KeySource::HostKms,
    runs: &[PseudoServer::McxServer],
};
