//! Functional aliases: who has which one active (TS 24.379 9A.2.2).

use std::collections::{BTreeMap, BTreeSet};

use mc_ids::McServiceId;

use crate::affiliation::ClientKey;

/// The active functional aliases; each belongs to one client.
#[derive(Debug, Default)]
pub struct FunctionalAliases {
    active: BTreeMap<String, ClientKey>,
}

/// An alias that another user has active; it is not taken over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("functional alias {0} is active for another user")]
pub struct AliasTaken(pub String);

impl FunctionalAliases {
    /// Has exactly these active for a client. Another client of the same user gives way.
    ///
    /// # Errors
    /// [`AliasTaken`]; nothing has changed then.
    //= TS 24.379 9A.2.2.2.3
    pub fn replace(
        &mut self,
        client: &ClientKey,
        wanted: &BTreeSet<String>,
    ) -> Result<(), AliasTaken> {
        let taken = |alias: &&String| {
            self.active
                .get(*alias)
                .is_some_and(|holder| holder.0 != client.0)
        };
        if let Some(alias) = wanted.iter().find(taken) {
            return Err(AliasTaken(alias.clone()));
        }
        self.active.retain(|_, holder| holder != client);
        let entries = wanted.iter().map(|alias| (alias.clone(), client.clone()));
        self.active.extend(entries);
        Ok(())
    }

    /// The user who has an alias active.
    #[must_use]
    pub fn holder(&self, alias: &str) -> Option<&McServiceId> {
        self.active.get(alias).map(|(user, _)| user)
    }

    /// Whether a user has an alias active.
    #[must_use]
    pub fn is_active(&self, alias: &str, user: &McServiceId) -> bool {
        self.holder(alias) == Some(user)
    }

    /// The aliases of one client.
    #[must_use]
    pub fn of_client(&self, client: &ClientKey) -> BTreeSet<String> {
        let own = self.active.iter().filter(|(_, holder)| *holder == client);
        own.map(|(alias, _)| alias.clone()).collect()
    }

    /// The aliases of a user, whichever client activated them.
    #[must_use]
    pub fn of_user(&self, user: &McServiceId) -> Vec<String> {
        let own = self.active.iter().filter(|(_, holder)| holder.0 == *user);
        own.map(|(alias, _)| alias.clone()).collect()
    }

    /// The clients of a user that have any active.
    #[must_use]
    pub fn clients_of(&self, user: &McServiceId) -> BTreeSet<ClientKey> {
        let clients = self.active.values().filter(|holder| holder.0 == *user);
        clients.cloned().collect()
    }

    /// Everything, for the status page.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &ClientKey)> {
        self.active.iter()
    }
}

#[cfg(test)]
mod tests {
    use mc_ids::ClientId;

    use super::*;

    fn client(user: &str, n: u8) -> ClientKey {
        let user = McServiceId::new(format!("sip:{user}@mc.example")).unwrap();
        let id = format!("urn:uuid:00000000-0000-0000-0000-0000000000{n:02}");
        (user, ClientId::new(id).unwrap())
    }

    fn set(aliases: &[&str]) -> BTreeSet<String> {
        aliases.iter().map(|alias| (*alias).to_owned()).collect()
    }

    #[test]
    fn a_client_has_what_it_last_asked_for() {
        let (mut aliases, alice) = (FunctionalAliases::default(), client("alice", 1));
        aliases.replace(&alice, &set(&["sip:a", "sip:b"])).unwrap();
        aliases.replace(&alice, &set(&["sip:b", "sip:c"])).unwrap();
        assert_eq!(aliases.of_client(&alice), set(&["sip:b", "sip:c"]));
        assert_eq!(aliases.holder("sip:a"), None);
        assert!(aliases.is_active("sip:c", &alice.0));
    }

    #[test]
    fn an_alias_stays_with_its_user_but_moves_between_the_users_clients() {
        let mut aliases = FunctionalAliases::default();
        let (alice, bob) = (client("alice", 1), client("bob", 2));
        aliases.replace(&alice, &set(&["sip:a", "sip:b"])).unwrap();
        let refused = aliases.replace(&bob, &set(&["sip:c", "sip:b"]));
        assert_eq!(refused, Err(AliasTaken("sip:b".to_owned())));
        assert!(aliases.of_client(&bob).is_empty());
        let other = client("alice", 3);
        aliases.replace(&other, &set(&["sip:b"])).unwrap();
        assert_eq!(aliases.of_client(&alice), set(&["sip:a"]));
        assert_eq!(aliases.of_user(&alice.0), ["sip:a", "sip:b"]);
        assert_eq!(aliases.clients_of(&alice.0), BTreeSet::from([alice, other]));
    }
}
