//! Who is revoked, told by an identity management server or a KMS to the servers that have to act on
//! it: `GET /revocations`, answered when the list changes. No standard has this interface, so it is
//! plain HTTP: an entity tag, and `Prefer: wait` (RFC 7240 4.3). `docs/revocation.md` describes it.

mod announce;
mod follow;

pub use announce::{Announcer, Revoking};
pub use follow::{RevocationSource, Revoked, follow};

use std::collections::BTreeSet;

use mc_ids::McServiceId;
use serde::{Deserialize, Serialize};

/// The resource.
const PATH: &str = "/revocations";
/// The answer's body.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    /// MC service IDs.
    revoked: BTreeSet<McServiceId>,
}

#[cfg(test)]
mod tests;
