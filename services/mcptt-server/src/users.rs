//! What each user may do: the part of the user profile document (TS 24.484 8.3) this server needs.

use std::collections::BTreeMap;

use mc_ids::McServiceId;
use serde::Deserialize;

/// Rights and limits of one user, named as in the user profile document; a table `[users."<MCPTT
/// ID>"]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an independent right of the user profile document"
)]
pub struct UserPolicy {
    /// `allow-private-call`. Default true.
    pub allow_private_call: bool,
    /// `allow-manual-commencement`. Default true.
    pub allow_manual_commencement: bool,
    /// `allow-automatic-commencement`. Default true.
    pub allow_automatic_commencement: bool,
    /// `allow-force-auto-answer`. Default false.
    pub allow_force_auto_answer: bool,
    /// `allow-private-call-to-any-user`; without it only those of `private_call_list` may be
    /// called. Default true.
    pub allow_private_call_to_any_user: bool,
    /// `PrivateCallList`: MCPTT IDs. Default empty.
    pub private_call_list: Vec<String>,
    /// `allow-private-call-participation`: may be called. Default true.
    pub allow_private_call_participation: bool,
    /// `allow-emergency-group-call`: may declare an emergency in groups that allow it. Default true.
    pub allow_emergency_group_call: bool,
    /// `allow-cancel-group-emergency`: may end an emergency that somebody else declared. Default
    /// false.
    pub allow_cancel_group_emergency: bool,
    /// Most private calls this user makes or takes at a time. Default 10.
    pub max_private_calls: usize,
    /// `FunctionalAliasList`: functional aliases the user may activate. Default none.
    pub functional_aliases: Vec<String>,
}

impl Default for UserPolicy {
    fn default() -> Self {
        Self {
            allow_private_call: true,
            allow_manual_commencement: true,
            allow_automatic_commencement: true,
            allow_force_auto_answer: false,
            allow_private_call_to_any_user: true,
            private_call_list: Vec::new(),
            allow_private_call_participation: true,
            allow_emergency_group_call: true,
            allow_cancel_group_emergency: false,
            max_private_calls: 10,
            functional_aliases: Vec::new(),
        }
    }
}

/// The policies of all users; whoever is not listed has the defaults.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Users {
    listed: BTreeMap<String, UserPolicy>,
    #[serde(skip)]
    others: UserPolicy,
}

impl Users {
    /// The users with a policy of their own.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        self.listed.keys().map(String::as_str)
    }

    /// The policy of a user.
    #[must_use]
    pub fn of(&self, user: &McServiceId) -> &UserPolicy {
        self.listed.get(user.as_str()).unwrap_or(&self.others)
    }
}
