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
/// Most of one subscriber, so that nobody takes those of others: his affiliations, his settings, and
/// the participants of his groups. The oldest goes: a client that lost count of its own has new ones.
const MAX_OF_SUBSCRIBER: usize = 32;

/// All subscriptions, each with its age.
#[derive(Debug, Default)]
pub struct Subscriptions {
    all: HashMap<DialogId, (u64, Subscription)>,
    added: u64,
}

impl Subscriptions {
    /// Adds one; false when there are too many.
    pub fn add(&mut self, subscription: Subscription) -> bool {
        let of_subscriber =
            |(_, held): &&(u64, Subscription)| held.impu.same_identity(&subscription.impu);
        let own = self.all.values().filter(of_subscriber);
        if own.clone().count() >= MAX_OF_SUBSCRIBER {
            let oldest = own.min_by_key(|(age, _)| *age);
            let oldest = oldest.map(|(_, held)| held.dialog.id().clone());
            oldest.and_then(|id| self.all.remove(&id));
        }
        let room = self.all.len() < MAX_SUBSCRIPTIONS;
        if room {
            self.added += 1;
            let id = subscription.dialog.id().clone();
            self.all.insert(id, (self.added, subscription));
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
        self.all.get_mut(id).map(|(_, subscription)| subscription)
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
            .map(|(_, subscription)| subscription)
            .filter(move |subscription| subscription.topic == *topic)
    }

    /// Removes what has expired.
    pub fn expire(&mut self, now_unix_s: u64) {
        self.all
            .retain(|_, (_, subscription)| subscription.expires_unix_s > now_unix_s);
    }

    /// Removes the subscriptions of a subscriber.
    pub fn forget(&mut self, impu: &Uri) {
        self.all
            .retain(|_, (_, subscription)| !subscription.impu.same_identity(impu));
    }
}

#[cfg(test)]
mod tests {
    use mc_sip::{Method, NameAddr, Request};

    use super::*;

    fn subscription(user: &str, call_id: &str) -> Subscription {
        let impu: Uri = format!("sip:{user}@ims.mc.example").parse().unwrap();
        let from = NameAddr::new(impu.clone()).with_tag("f");
        let target: Uri = "sip:mcptt@mc.example".parse().unwrap();
        let to = NameAddr::new(target.clone());
        let request = Request::new(Method::Subscribe, target, &from, &to, call_id, 1)
            .with("Contact", "<sip:127.0.0.1:9>")
            .with("Via", "SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKx");
        Subscription {
            dialog: Dialog::uas(&request, "t").unwrap(),
            impu,
            flow: Peer::tcp(([127, 0, 0, 1], 9).into()),
            topic: Topic::Settings,
            expires_unix_s: 1,
        }
    }

    #[test]
    fn who_subscribes_without_end_loses_his_oldest_and_nobody_elses() {
        let mut all = Subscriptions::default();
        let (first, other) = (subscription("bob", "0"), subscription("carol", "c"));
        assert!(all.add(first.clone()) && all.add(other.clone()));
        for n in 1..=MAX_OF_SUBSCRIBER {
            assert!(all.add(subscription("bob", &n.to_string())));
        }
        assert!(!all.has(first.dialog.id()) && all.has(other.dialog.id()));
        let last = subscription("bob", &MAX_OF_SUBSCRIBER.to_string());
        assert!(all.has(last.dialog.id()));
        assert_eq!(all.all.len(), MAX_OF_SUBSCRIBER + 1);
    }
}
