//! 7.4: the gateway is an external MC domain with one identity for each external user (7.8.4), which
//! is what TS 33.180 Annex L made normative.
//!
//! The MC system sees users of another domain under another KMS, whose certificate says that it is a
//! gateway's. The gateway runs that domain's servers. What is lost: each of its users has to be known
//! to partners' groups (D4-2).

use super::{Attachment, KeySource, Population, Profile, PseudoServer};

pub(super) const PROFILE: Profile = Profile {
    clause: "7.4",
    population: Population::PerExternalUser,
    attachment: Attachment::InterconnectedDomain,
    key_source: KeySource::PseudoKms,
    runs: &[
        PseudoServer::Kms,
        PseudoServer::Idms,
        PseudoServer::Gms,
        PseudoServer::McxServer,
    ],
};
