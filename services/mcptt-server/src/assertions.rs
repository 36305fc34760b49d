//! Users who assert what is not theirs: another's MCPTT ID, or a functional alias that is not on their
//! list. TR 33.880 7.8 asks for controls that keep a gateway, which speaks for many, from spoofing
//! (D1-1, D5-2); each refusal is logged, traced and counted here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use mc_runtime::sip::IncomingRequest;
use mc_sip::{McWarning, name};
use mc_trace::{Event, names};
use serde::Serialize;

use crate::interconnection::partner::Refused;
use crate::refusal::Refusal;
use crate::registration::Binding;
use crate::server::Server;
use crate::users::Users;

/// Refused assertions since the start: of each user with a policy of his own, such as a gateway, and
/// of all others together, so that strangers cannot make the list grow.
#[derive(Debug, Serialize)]
pub struct Assertions {
    users: Mutex<BTreeMap<String, u64>>,
    others: Mutex<u64>,
}

impl Assertions {
    /// Counters at zero.
    #[must_use]
    pub fn of(users: &Users) -> Self {
        let listed = users.listed().map(|user| (user.to_owned(), 0));
        Self {
            users: Mutex::new(listed.collect()),
            others: Mutex::default(),
        }
    }

    fn count(&self, user: &str) {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        let count = users.get_mut(user).unwrap_or(&mut others);
        *count = count.saturating_add(1);
    }
}

/// The refusal of an assertion that is not the sender's to make.
pub(crate) fn refused(
    server: &Server,
    request: &IncomingRequest,
    sender: &Binding,
    (asserted, warning): (&str, McWarning),
) -> Refusal {
    let user = sender.mcptt_id.as_str();
    tracing::warn!(user, asserted, "assertion of what is not the user's");
    server.assertions.count(user);
    if let Some(partner) = &sender.partner {
        partner.refused(Refused::Identity);
    }
    let summary = format!("{user} asserted {asserted}");
    let call_id = request.request.headers.get(name::CALL_ID);
    server.parts.tracer.emit(
        Event::local(&names::MCPTT_ASSERTION_REFUSED, summary).call(call_id.unwrap_or_default()),
    );
    Refusal::forbidden(warning)
}
