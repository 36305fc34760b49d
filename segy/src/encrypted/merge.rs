//! One account of a group from the clients that are in it.
//!
//! Each client of ours in a group gets a copy of everything that is said and decided there. One of
//! them leads: what it tells is what happens, the copies of the others are dropped. The one that
//! speaks leads, because only it hears how its own request fares; when the lead drops out, another
//! client that is in the call takes over. A gateway that is one client is the case of one.

use std::collections::BTreeMap;

use mc_ids::McServiceId;

use crate::bridge::McEvent;

/// Cause of a Floor Revoke that we make up: other reason (TS 24.380 8.2.10.2).
const OTHER_REASON: u16 = 255;

#[derive(Debug, Default)]
struct Member {
    ready: bool,
    in_call: bool,
}

/// The clients of one group.
#[derive(Debug)]
pub(super) struct Merge {
    members: BTreeMap<McServiceId, Member>,
    lead: Option<McServiceId>,
    /// The lead asked for the floor and has not given it back.
    speaks: bool,
    /// The bridge was told that a call is up.
    is_up: bool,
    /// Clients come when they are needed, so that there may be none.
    on_demand: bool,
}

impl Merge {
    pub(super) const fn new(on_demand: bool) -> Self {
        Self {
            members: BTreeMap::new(),
            lead: None,
            speaks: false,
            is_up: false,
            on_demand,
        }
    }

    pub(super) const fn lead(&self) -> Option<&McServiceId> {
        self.lead.as_ref()
    }

    /// This client speaks now; true when it is in the call.
    pub(super) fn speaks(&mut self, client: &McServiceId) -> bool {
        self.lead = Some(client.clone());
        self.speaks = true;
        self.members.get(client).is_some_and(|m| m.in_call)
    }

    /// It does not any more.
    pub(super) const fn is_silent(&mut self) {
        self.speaks = false;
    }

    /// Whether what this client hears counts.
    pub(super) fn leads(&self, client: &McServiceId) -> bool {
        self.lead.as_ref() == Some(client)
    }

    /// What an event of a client means for the group.
    pub(super) fn on_event(&mut self, client: &McServiceId, event: McEvent) -> Vec<McEvent> {
        match event {
            McEvent::Up => self.on_up(client),
            McEvent::Down => self.on_down(client),
            McEvent::CallStarted => self.on_started(client),
            McEvent::CallReleased { reason } => self.on_released(client, &reason),
            McEvent::CallRefused { status, detail } if self.leads(client) => {
                self.on_refused(status, detail)
            }
            McEvent::CallRefused { .. } => Vec::new(),
            McEvent::Ringing
            | McEvent::FloorGranted { .. }
            | McEvent::FloorTaken(_)
            | McEvent::FloorIdle
            | McEvent::FloorDenied { .. }
            | McEvent::FloorQueued
            | McEvent::Emergency(_)
            | McEvent::FloorRevoked { .. }
            | McEvent::FloorRequestTimedOut
            | McEvent::Speech(..) => {
                if self.leads(client) {
                    vec![event]
                } else {
                    Vec::new()
                }
            }
        }
    }

    fn anybody(&self, is: impl Fn(&Member) -> bool) -> Option<McServiceId> {
        let found = self.members.iter().find(|(_, member)| is(member));
        found.map(|(client, _)| client.clone())
    }

    fn on_up(&mut self, client: &McServiceId) -> Vec<McEvent> {
        let first = self.anybody(|m| m.ready).is_none();
        self.members.entry(client.clone()).or_default().ready = true;
        self.lead.get_or_insert_with(|| client.clone());
        if first { vec![McEvent::Up] } else { Vec::new() }
    }

    fn on_down(&mut self, client: &McServiceId) -> Vec<McEvent> {
        let was_in_call = self.members.remove(client).is_some_and(|m| m.in_call);
        let mut events = Vec::new();
        if was_in_call {
            events = self.left(client, "the MC side is down");
        }
        if self.anybody(|m| m.ready).is_none() && !self.on_demand {
            events = vec![McEvent::Down];
        }
        if self.leads(client) {
            self.lead = self.anybody(|m| m.ready);
        }
        events
    }

    fn on_started(&mut self, client: &McServiceId) -> Vec<McEvent> {
        self.members.entry(client.clone()).or_default().in_call = true;
        let lead = self.lead.as_ref();
        let lead_is_in = lead.is_some_and(|lead| self.members.get(lead).is_some_and(|m| m.in_call));
        // One that speaks is on its way in, and tells itself when it is.
        if !self.speaks && !lead_is_in {
            self.lead = Some(client.clone());
        }
        if !self.leads(client) {
            return Vec::new();
        }
        self.is_up = true;
        vec![McEvent::CallStarted]
    }

    fn on_released(&mut self, client: &McServiceId, reason: &str) -> Vec<McEvent> {
        if let Some(member) = self.members.get_mut(client) {
            member.in_call = false;
        }
        self.left(client, reason)
    }

    /// A client has left the call; for the group it is over when the last one has.
    fn left(&mut self, client: &McServiceId, reason: &str) -> Vec<McEvent> {
        let reason = reason.to_owned();
        let Some(other) = self.anybody(|m| m.in_call) else {
            self.speaks = false;
            self.is_up = false;
            return vec![McEvent::CallReleased { reason }];
        };
        if !self.leads(client) {
            return Vec::new();
        }
        self.lead = Some(other);
        if std::mem::take(&mut self.speaks) {
            let (cause, phrase) = (OTHER_REASON, reason);
            return vec![McEvent::FloorRevoked { cause, phrase }];
        }
        Vec::new()
    }

    /// The lead's own way into the call is refused; the others may be in it.
    fn on_refused(&mut self, status: u16, detail: String) -> Vec<McEvent> {
        self.speaks = false;
        let Some(other) = self.anybody(|m| m.in_call) else {
            self.is_up = false;
            return vec![McEvent::CallRefused { status, detail }];
        };
        self.lead = Some(other);
        if std::mem::replace(&mut self.is_up, true) {
            let (cause, phrase) = (OTHER_REASON, format!("{status} {detail}"));
            return vec![McEvent::FloorDenied { cause, phrase }];
        }
        vec![
            McEvent::CallRefused { status, detail },
            McEvent::CallStarted,
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bridge::McTalker;

    fn client(unit: &str) -> McServiceId {
        McServiceId::new(format!("sip:unit-{unit}@mc.example")).unwrap()
    }

    fn released() -> McEvent {
        let reason = "over".to_owned();
        McEvent::CallReleased { reason }
    }

    fn taken() -> McEvent {
        McEvent::FloorTaken(McTalker::default())
    }

    /// Three clients in a call that the first one leads.
    fn in_call() -> (Merge, [McServiceId; 3]) {
        let clients = ["2001", "2002", "2003"].map(client);
        let mut merge = Merge::new(false);
        for (n, client) in clients.iter().enumerate() {
            let up = merge.on_event(client, McEvent::Up);
            assert_eq!(up.len(), usize::from(n == 0));
        }
        for (n, client) in clients.iter().enumerate() {
            let started = merge.on_event(client, McEvent::CallStarted);
            assert_eq!(started.len(), usize::from(n == 0));
        }
        (merge, clients)
    }

    #[test]
    fn of_many_copies_one_counts() {
        let (mut merge, [first, second, third]) = in_call();
        assert_eq!(merge.on_event(&first, taken()), [taken()]);
        for other in [&second, &third] {
            assert_eq!(merge.on_event(other, taken()), []);
        }
        assert!(merge.leads(&first) && !merge.leads(&second));
        // A call that ends for each of them ends once.
        assert_eq!(merge.on_event(&second, released()), []);
        assert_eq!(merge.on_event(&first, released()), []);
        assert!(merge.leads(&third), "the one that is left");
        assert_eq!(merge.on_event(&third, released()), [released()]);
    }

    #[test]
    fn the_one_that_speaks_leads_and_its_loss_is_told() {
        let (mut merge, [first, second, third]) = in_call();
        assert!(merge.speaks(&second));
        let granted = McEvent::FloorGranted { duration: None };
        assert_eq!(merge.on_event(&second, granted.clone()), [granted]);
        assert_eq!(merge.on_event(&first, taken()), [], "our own talker");
        let lost = merge.on_event(&second, McEvent::Down);
        assert!(
            matches!(lost[..], [McEvent::FloorRevoked { .. }]),
            "{lost:?}"
        );
        assert!(merge.leads(&first));
        // Not again when it speaks no more.
        assert_eq!(merge.on_event(&first, McEvent::Down), []);
        assert_eq!(merge.on_event(&third, McEvent::Down), [McEvent::Down]);
        assert_eq!(merge.on_event(&third, McEvent::Up), [McEvent::Up]);
    }

    #[test]
    fn one_that_is_not_in_the_call_is_told_why_it_does_not_get_in() {
        let (mut merge, [first, second, _]) = in_call();
        merge.on_event(&second, released());
        assert!(!merge.speaks(&second), "it has to get in first");
        let refused = McEvent::CallRefused {
            status: 403,
            detail: "no".to_owned(),
        };
        let told = merge.on_event(&second, refused.clone());
        assert!(
            matches!(told[..], [McEvent::FloorDenied { .. }]),
            "{told:?}"
        );
        assert!(merge.leads(&first));
        assert_eq!(merge.on_event(&second, refused), [], "not the lead");
    }

    #[test]
    fn a_call_is_up_when_the_one_that_makes_it_is_in() {
        let (mut merge, [maker, other]) = (Merge::new(false), ["2001", "2002"].map(client));
        for client in [&maker, &other] {
            merge.on_event(client, McEvent::Up);
        }
        assert!(!merge.speaks(&maker));
        assert_eq!(merge.on_event(&other, McEvent::CallStarted), []);
        let refused = McEvent::CallRefused {
            status: 486,
            detail: "busy".to_owned(),
        };
        // It does not get in, but the call of the others is one.
        let told = merge.on_event(&maker, refused.clone());
        assert_eq!(told, [refused, McEvent::CallStarted]);
        assert!(merge.leads(&other));
        assert!(!merge.speaks(&maker));
        let started = merge.on_event(&maker, McEvent::CallStarted);
        assert_eq!(started, [McEvent::CallStarted], "in at last");
    }

    #[test]
    fn without_clients_a_group_on_demand_is_not_down() {
        let (mut merge, only) = (Merge::new(true), client("2001"));
        merge.speaks(&only);
        merge.on_event(&only, McEvent::Up);
        assert_eq!(
            merge.on_event(&only, McEvent::CallStarted),
            [McEvent::CallStarted]
        );
        let lost = merge.on_event(&only, McEvent::Down);
        assert!(
            matches!(lost[..], [McEvent::CallReleased { .. }]),
            "{lost:?}"
        );
        assert_eq!(merge.lead(), None);
    }
}
