//! What names a call of a client.

use std::fmt;

use mc_ids::GroupId;

/// Names one call of one client: in what its user asks of a call, and in every event about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CallId {
    /// The call of a group; a client takes part in one call of a group at a time.
    Group(GroupId),
    /// A private call, in or out, numbered in the order of this client's private calls.
    Private(u64),
}

impl CallId {
    /// The group, if it is a group call.
    #[must_use]
    pub const fn group(&self) -> Option<&GroupId> {
        match self {
            Self::Group(group) => Some(group),
            Self::Private(_) => None,
        }
    }

    /// Whether it is a private call.
    #[must_use]
    pub const fn is_private(&self) -> bool {
        matches!(self, Self::Private(_))
    }
}

impl From<&GroupId> for CallId {
    fn from(group: &GroupId) -> Self {
        Self::Group(group.clone())
    }
}

impl From<GroupId> for CallId {
    fn from(group: GroupId) -> Self {
        Self::Group(group)
    }
}

impl From<&Self> for CallId {
    fn from(call: &Self) -> Self {
        call.clone()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(group) => write!(f, "{group}"),
            Self::Private(number) => write!(f, "private call {number}"),
        }
    }
}
