//! The calls of the server: which session has which number, group, dialog and transaction.

use std::collections::HashMap;

use mc_ids::{GroupId, McServiceId};
use mc_sip::transaction::TransactionId;
use mc_sip::{DialogId, Uri};

use crate::call::session::{Parties, SessionHandle};
use crate::media_plane::{LegId, SessionId};

/// Where the events of calls go.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    sessions: HashMap<SessionId, SessionHandle>,
    /// The session of each group that has one.
    groups: HashMap<GroupId, SessionId>,
    pub(crate) dialogs: HashMap<DialogId, (SessionHandle, LegId)>,
    pub(crate) invites: HashMap<TransactionId, SessionHandle>,
    last_number: u64,
}

impl Calls {
    /// A number for a session or a leg, never used again.
    pub(crate) const fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Takes a new session in; it is the call of its group from now on.
    pub(crate) fn insert(&mut self, handle: SessionHandle) {
        if let Parties::Group(group) = &handle.parties {
            self.groups.insert(group.clone(), handle.id);
        }
        self.sessions.insert(handle.id, handle);
    }

    /// Forgets a session and everything that led to it.
    pub(crate) fn remove(&mut self, handle: &SessionHandle) {
        self.sessions.remove(&handle.id);
        self.groups.retain(|_, id| *id != handle.id);
        self.invites.retain(|_, other| other.id != handle.id);
        self.dialogs.retain(|_, (other, _)| other.id != handle.id);
    }

    /// All sessions.
    pub(crate) fn sessions(&self) -> impl Iterator<Item = &SessionHandle> {
        self.sessions.values()
    }

    /// The session with this number.
    pub(crate) fn session(&self, id: SessionId) -> Option<SessionHandle> {
        self.sessions.get(&id).cloned()
    }

    /// The ongoing call of a group.
    pub(crate) fn of_group(&self, group: &GroupId) -> Option<SessionHandle> {
        let handle = self.sessions.get(self.groups.get(group)?)?;
        (!handle.is_closed()).then(|| handle.clone())
    }

    /// The session with this MCPTT session identity.
    pub(crate) fn with_identity(&self, identity: &Uri) -> Option<&SessionHandle> {
        self.sessions()
            .find(|handle| handle.identity.same_identity(identity))
    }

    /// Group calls a user takes part in.
    pub(crate) fn group_calls_of(&self, user: &McServiceId) -> usize {
        let of_user = |handle: &&SessionHandle| {
            matches!(handle.parties, Parties::Group(_)) && handle.participants().contains(user)
        };
        self.sessions().filter(of_user).count()
    }

    /// Private calls a user makes or takes, those being set up included.
    pub(crate) fn private_calls_of(&self, user: &McServiceId) -> usize {
        let of_user = |handle: &&SessionHandle| match &handle.parties {
            Parties::Group(_) => false,
            Parties::Private { caller, callee } => caller == user || callee == user,
        };
        self.sessions().filter(of_user).count()
    }
}
