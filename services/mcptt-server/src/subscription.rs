//! Subscriptions this server notifies (RFC 6665).

use std::collections::HashMap;

use mc_ids::{GroupId, McServiceId};
use mc_sip::{Dialog, DialogId, Peer, Uri};

/// What a subscription is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topic {
    /// Affiliations of a user (TS 24.379 9.2.2.2.4).
    Affiliation(McServiceId),
    /// Service settings of the subscriber itself (7.3.6).
    Settings,
    /// Participants of the session of a group (10.1.3).
    Conference(GroupId),
}

impl Topic {
    /// The event package.
    #[must_use]
    pub const fn package(&self) -> &'static str {
        match self {
            Self::Affiliation(_) => "presence",
            Self::Settings => "poc-settings",
            Self::Conference(_) => "conference",
        }
    }
}

/// One subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its dialog.
    pub dialog: Dialog,
    /// The subscriber.
    pub impu: Uri,
    /// Flow notifications go over.
    pub flow: Peer,
    /// What it is about.
    pub topic: Topic,
    /// End, seconds since the Unix epoch.
    pub expires_unix_s: u64,
}

/// Most subscriptions at a time.
const MAX_SUBSCRIPTIONS: usize = 10_000;

/// All subscriptions.
#[derive(Debug, Default)]
pub struct Subscriptions {
    all: HashMap<DialogId, Subscription>,
}

impl Subscriptions {
    /// Adds one; false when there are too many.
    pub fn add(&mut self, subscription: Subscription) -> bool {
        let room = self.all.len() < MAX_SUBSCRIPTIONS;
        if room {
            self.all
                .insert(subscription.dialog.id().clone(), subscription);
        }
        room
    }

    /// Whether the dialog is one of a subscription.
    #[must_use]
    pub fn has(&self, id: &DialogId) -> bool {
        self.all.contains_key(id)
    }

    /// The subscription of a dialog.
    pub fn get_mut(&mut self, id: &DialogId) -> Option<&mut Subscription> {
        self.all.get_mut(id)
    }

    /// Removes one.
    pub fn remove(&mut self, id: &DialogId) {
        self.all.remove(id);
    }

    /// Every subscription to a topic.
    pub fn to_topic<'a>(
        &'a mut self,
        topic: &'a Topic,
    ) -> impl Iterator<Item = &'a mut Subscription> {
        self.all
            .values_mut()
            .filter(move |subscription| subscription.topic == *topic)
    }

    /// Removes what has expired.
    pub fn expire(&mut self, now_unix_s: u64) {
        self.all
            .retain(|_, subscription| subscription.expires_unix_s > now_unix_s);
    }

    /// Removes the subscriptions of a subscriber.
    pub fn forget(&mut self, impu: &Uri) {
        self.all
            .retain(|_, subscription| !subscription.impu.same_identity(impu));
    }
}
