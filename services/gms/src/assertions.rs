//! How often peers asserted identities of others, for operators: TR 33.880 7.8 asks for controls that
//! keep a gateway from spoofing (D1-1, D5-2), and a control nobody can watch is half of one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mc_ids::McServiceId;
use serde::Serialize;

use crate::config::Representation;

/// Assertions of one peer since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Of identities and aliases on its list.
    pub accepted: u64,
    /// Of others.
    pub refused: u64,
}

/// The counters: one for each peer with a list, and one for all who have none, so that strangers
/// cannot make them grow.
#[derive(Debug)]
pub struct Assertions {
    peers: Mutex<BTreeMap<String, Count>>,
    others: Mutex<Count>,
}

impl Assertions {
    /// Counters at zero.
    #[must_use]
    pub fn of(lists: &[Representation]) -> Self {
        let peers = lists
            .iter()
            .map(|list| (list.by.as_str().to_owned(), Count::default()));
        Self {
            peers: Mutex::new(peers.collect()),
            others: Mutex::default(),
        }
    }

    /// Counts one assertion.
    pub fn count(&self, peer: &McServiceId, accepted: bool) {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let count = peers.get_mut(peer.as_str()).unwrap_or(&mut others);
        let field = match accepted {
            true => &mut count.accepted,
            false => &mut count.refused,
        };
        *field = field.saturating_add(1);
    }

    /// The counters of the peers with a list, by MCPTT ID.
    #[must_use]
    pub fn peers(&self) -> BTreeMap<String, Count> {
        self.peers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The counter of all others.
    #[must_use]
    pub fn others(&self) -> Count {
        *self.others.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All refusals.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let of_peers: u64 = self.peers().values().map(|count| count.refused).sum();
        of_peers.saturating_add(self.others().refused)
    }
}
