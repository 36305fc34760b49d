//! Places for the connections of a listener: bounded in number, and a peer that holds one for
//! nothing gives way to one that comes.
//!
//! A place *waits* from the accept on until its holder says that the peer completed something; then
//! it is kept, or waits anew. When there is no place left, the one that waits longest is taken away. One address holds at most half
//! of the places in waiting, so opening connections faster than others complete a message takes
//! away the own ones; those that are kept do not count, because many peers may share an address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The places of one listener; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Mutex<Taken>>);

#[derive(Debug)]
struct Taken {
    most: usize,
    next: u64,
    places: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    address: IpAddr,
    /// Since which turn this place waits; `None` when it is kept.
    waiting: Option<u64>,
    withdrawn: CancellationToken,
}

/// One taken place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    number: u64,
    places: Places,
    withdrawn: CancellationToken,
}

impl Places {
    /// At most `most` places.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Taken {
            most,
            next: 0,
            places: HashMap::new(),
        })))
    }

    /// A place for a connection that a peer opened; `None` when all are kept.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Place> {
        let mut taken = self.lock();
        let limit = (taken.most / 2).max(1);
        if taken.waiting_of(address) >= limit && !taken.withdraw(Some(address)) {
            return None;
        }
        if taken.places.len() >= taken.most && !taken.withdraw(None) {
            return None;
        }
        Some(self.enter(taken, address, true))
    }

    /// A place for a connection that we open ourselves: it is kept, and never refused.
    pub(crate) fn take(&self, address: IpAddr) -> Place {
        self.enter(self.lock(), address, false)
    }

    fn enter(&self, mut taken: MutexGuard<'_, Taken>, address: IpAddr, waits: bool) -> Place {
        let number = taken.turn();
        let withdrawn = CancellationToken::new();
        let entry = Entry {
            address,
            waiting: waits.then_some(number),
            withdrawn: withdrawn.clone(),
        };
        taken.places.insert(number, entry);
        Place {
            number,
            places: self.clone(),
            withdrawn,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    const fn turn(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn waiting_of(&self, address: IpAddr) -> usize {
        let of_address = |entry: &&Entry| entry.waiting.is_some() && entry.address == address;
        self.places.values().filter(of_address).count()
    }

    /// Takes the place away that waits longest, of all or of one address.
    fn withdraw(&mut self, of: Option<IpAddr>) -> bool {
        let longest = self
            .places
            .iter()
            .filter(|(_, entry)| of.is_none_or(|address| entry.address == address))
            .filter_map(|(number, entry)| Some((entry.waiting?, *number)))
            .min();
        let Some(entry) = longest.and_then(|(_, number)| self.places.remove(&number)) else {
            return false;
        };
        tracing::info!(address = %entry.address, "connection in waiting gives its place away");
        entry.withdrawn.cancel();
        true
    }
}

impl Place {
    /// The peer has shown what it is here for: its place is not taken away any more.
    pub(crate) fn keep(&self) {
        if let Some(entry) = self.places.lock().places.get_mut(&self.number) {
            entry.waiting = None;
        }
    }

    /// The peer completed something: its place waits behind those that wait already.
    pub(crate) fn waits(&self) {
        let mut taken = self.places.lock();
        let turn = taken.turn();
        if let Some(entry) = taken.places.get_mut(&self.number) {
            entry.waiting = Some(turn);
        }
    }

    /// Cancelled when the place was given to another connection.
    pub(crate) const fn withdrawn(&self) -> &CancellationToken {
        &self.withdrawn
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.lock().places.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, last])
    }

    #[test]
    fn the_longest_waiting_place_is_given_to_the_next() {
        let places = Places::new(4);
        let first = places.admit(address(1)).unwrap();
        let second = places.admit(address(1)).unwrap();
        let others: Vec<_> = [2, 3].map(|n| places.admit(address(n)).unwrap()).into();
        first.keep();
        let next = places.admit(address(4)).unwrap();
        assert!(second.withdrawn().is_cancelled());
        assert!(!first.withdrawn().is_cancelled() && !others[0].withdrawn().is_cancelled());
        // Who waits again waits behind the others.
        first.waits();
        let _last = places.admit(address(5)).unwrap();
        assert!(others[0].withdrawn().is_cancelled());
        assert!(!first.withdrawn().is_cancelled() && !next.withdrawn().is_cancelled());
    }

    #[test]
    fn kept_places_are_not_taken_away_and_come_back_when_dropped() {
        let places = Places::new(2);
        let kept: Vec<_> = [1, 2].map(|n| places.admit(address(n)).unwrap()).into();
        kept.iter().for_each(Place::keep);
        assert!(places.admit(address(3)).is_none());
        // A connection of our own is never refused.
        drop(places.take(address(4)));
        drop(kept);
        assert!(places.admit(address(3)).is_some());
    }

    #[test]
    fn one_address_takes_away_its_own_places_when_it_has_half_in_waiting() {
        let places = Places::new(4);
        let other = places.admit(address(2)).unwrap();
        let flood: Vec<_> = (0..9).map(|_| places.admit(address(1)).unwrap()).collect();
        assert!(!other.withdrawn().is_cancelled());
        let held = flood.iter().filter(|p| !p.withdrawn().is_cancelled());
        assert_eq!(held.count(), 2);
        // Kept places do not count: a laboratory runs everything from one address.
        let places = Places::new(4);
        let clients: Vec<_> = (0..4)
            .map(|_| places.admit(address(1)).unwrap())
            .inspect(Place::keep)
            .collect();
        assert!(clients.iter().all(|p| !p.withdrawn().is_cancelled()));
    }
}
