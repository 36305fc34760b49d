//! Which key each member was brought last, so that none comes twice because the server has learned
//! of another domain.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use mc_ids::GmkId;

use crate::store::Subscription;

/// What a delivery told its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Which key.
    pub(super) gmk_id: GmkId,
    /// Whether a security gateway has it too (TS 33.180 E.6.9).
    pub(super) shared_with_gateway: bool,
}

/// Address and MCPTT ID of a member.
type Address = (String, String);

/// The outcome of each member's last delivery, by group; `None` when it failed. It lasts as long as
/// the process: after a restart every subscription of before is caught up once.
#[derive(Debug, Default)]
pub(super) struct Ledger(Mutex<BTreeMap<Address, BTreeMap<String, Option<Told>>>>);

impl Ledger {
    pub(super) fn put(&self, subscription: &Subscription, group_id: &str, told: Option<Told>) {
        let mut ledger = self.lock();
        let groups = ledger.entry(address(subscription)).or_default();
        groups.insert(group_id.to_owned(), told);
    }

    /// The outcome of the last delivery; the outer `None` when there was none.
    pub(super) fn last(&self, subscription: &Subscription, group_id: &str) -> Option<Option<Told>> {
        let ledger = self.lock();
        ledger.get(&address(subscription))?.get(group_id).copied()
    }

    /// Forgets who has no subscription left.
    pub(super) fn keep(&self, subscriptions: &[Subscription]) {
        let there: BTreeSet<Address> = subscriptions.iter().map(address).collect();
        self.lock().retain(|address, _| there.contains(address));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, BTreeMap<String, Option<Told>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(subscription: &Subscription) -> Address {
    (subscription.impu.clone(), subscription.mcptt_id.clone())
}
