//! Clients that come into a call that is up: because they affiliate (TS 24.379 10.1.1.4.6), or
//! because they lost the call and have come back.

use mc_sip::{SessionTimer, StatusCode};
use mc_trace::names;

use super::legs::Stage;
use super::{Refresh, Session, now};
use crate::affiliation::ClientKey;
use crate::call::controlling::Event;
use crate::call::subject::Subject;
use crate::media_plane::LegId;

impl Refresh {
    /// What a final response to a refresh means.
    //= RFC 3261 12.2.1.2
    #[must_use]
    pub fn of(status: StatusCode) -> Self {
        match status {
            status if status.is_success() => Self::Alive,
            StatusCode::CALL_DOES_NOT_EXIST | StatusCode::REQUEST_TIMEOUT => Self::Gone,
            _ => Self::Open,
        }
    }
}

impl Session {
    /// Invites a client that affiliates. One that is in the call is asked whether it still knows of
    /// it: it may have been started again.
    //= TS 24.379 10.1.1.4.6
    pub(super) async fn late_entry(&mut self, client: ClientKey) {
        let legs = self.legs.iter();
        let legs = legs.filter(|(_, leg)| leg.client == client);
        let legs: Vec<(LegId, Stage)> = legs.map(|(id, leg)| (*id, leg.stage)).collect();
        if legs.is_empty() {
            return self.invite_late(&client).await;
        }
        let flow = self.binding(&client).map(|binding| binding.flow);
        for (id, stage) in legs {
            if stage == Stage::Connected {
                if let (Some(leg), Some(flow)) = (self.legs.get_mut(&id), flow) {
                    leg.flow = flow;
                }
                self.send_refresh(id, Refresh::Gone);
            }
        }
    }

    async fn invite_late(&mut self, client: &ClientKey) {
        let member = match &self.subject {
            Subject::Group { document, .. } => document.member(client.0.as_str()).is_some(),
            Subject::Private(_) => false,
        };
        if member && let Some(leg) = self.invite(client).await {
            self.apply(Event::LateEntry(leg)).await;
        }
    }

    /// Takes in what came of a refresh.
    pub(super) async fn on_refreshed(&mut self, id: LegId, outcome: Refresh) {
        let interval_s = self.server.parts.config.calls.session_expires_s;
        let Some(leg) = self.legs.get_mut(&id) else {
            return;
        };
        match outcome {
            Refresh::Alive => leg.timer = Some(SessionTimer::restarted(interval_s, now())),
            Refresh::Open => {}
            Refresh::Gone => {
                let client = leg.client.clone();
                self.replace_leg(id, &client).await;
            }
        }
    }

    /// Invites a client that lost the call, if it is still affiliated, and takes its dead leg out:
    /// in this order, so that the call does not end for want of participants.
    async fn replace_leg(&mut self, id: LegId, client: &ClientKey) {
        let group = self.subject.group();
        let affiliated = group.is_some_and(|group| {
            let groups = self.server.affiliations().groups_of(client);
            groups.contains(group)
        });
        if affiliated {
            self.invite_late(client).await;
        }
        self.close_leg(id).await;
        let lost = format!("{} had lost the call", client.0.as_str());
        self.trace(&names::MCPTT_CALL_LEFT, &lost);
        self.apply(Event::Left(id)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_knows_nothing_of_the_call_is_gone() {
        for (status, outcome) in [
            (200, Refresh::Alive),
            (408, Refresh::Gone),
            (481, Refresh::Gone),
            (422, Refresh::Open),
            (491, Refresh::Open),
            (500, Refresh::Open),
        ] {
            let status = StatusCode::new(status);
            assert_eq!(Refresh::of(status), outcome, "{status}");
        }
    }
}
