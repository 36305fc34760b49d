//! Affiliations: which client of which user takes part in which group (TS 24.379 9.2.2).

use std::collections::{BTreeMap, BTreeSet};

use mc_ids::{ClientId, GroupId, McServiceId};
use mc_xml::affiliation::{Affiliation, AffiliationPresence, AffiliationStatus, Tuple};

/// One client of one user.
pub type ClientKey = (McServiceId, ClientId);

/// The affiliations of every client; only accepted ones are kept.
#[derive(Debug, Default)]
pub struct Affiliations {
    groups: BTreeMap<ClientKey, BTreeSet<GroupId>>,
}

/// What a replacement of a client's set changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct AffiliationChange {
    /// Groups the client newly takes part in.
    pub joined: Vec<GroupId>,
    /// Groups it left.
    pub left: Vec<GroupId>,
}

impl Affiliations {
    /// Replaces the whole set of a client (9.2.2.2.3: the list is the complete wanted set).
    pub fn replace(&mut self, client: &ClientKey, wanted: BTreeSet<GroupId>) -> AffiliationChange {
        let before = self.groups.remove(client).unwrap_or_default();
        let change = AffiliationChange {
            joined: wanted.difference(&before).cloned().collect(),
            left: before.difference(&wanted).cloned().collect(),
        };
        if !wanted.is_empty() {
            self.groups.insert(client.clone(), wanted);
        }
        change
    }

    /// Whether any client of a user is affiliated to a group.
    #[must_use]
    pub fn is_affiliated(&self, user: &McServiceId, group: &GroupId) -> bool {
        self.groups
            .iter()
            .any(|((u, _), groups)| u == user && groups.contains(group))
    }

    /// The clients affiliated to a group.
    #[must_use]
    pub fn clients_of(&self, group: &GroupId) -> Vec<ClientKey> {
        let clients = self
            .groups
            .iter()
            .filter(|(_, groups)| groups.contains(group));
        clients.map(|(client, _)| client.clone()).collect()
    }

    /// The groups of one client.
    #[must_use]
    pub fn groups_of(&self, client: &ClientKey) -> BTreeSet<GroupId> {
        self.groups.get(client).cloned().unwrap_or_default()
    }

    /// Everything, for the store and the status page.
    pub fn iter(&self) -> impl Iterator<Item = (&ClientKey, &BTreeSet<GroupId>)> {
        self.groups.iter()
    }

    /// The notification body for one user (9.3.1); `aliases` are the functional aliases of a client
    /// (9A.3.1).
    #[must_use]
    pub fn presence(
        &self,
        user: &McServiceId,
        aliases: impl Fn(&ClientKey) -> BTreeSet<String>,
        p_id: Option<String>,
    ) -> AffiliationPresence {
        let of_user = self.groups.iter().filter(|((u, _), _)| u == user);
        let tuples = of_user.map(|(client, groups)| Tuple {
            id: client.1.as_str().to_owned(),
            affiliations: groups
                .iter()
                .map(|group| Affiliation {
                    group: Some(group.as_str().to_owned()),
                    status: Some(AffiliationStatus::Affiliated),
                    ..Affiliation::default()
                })
                .collect(),
            functional_aliases: aliases(client).into_iter().collect(),
        });
        AffiliationPresence {
            entity: user.as_str().to_owned(),
            tuples: tuples.collect(),
            p_id,
            p_id_fa: None,
        }
    }
}
