//! Server transactions (RFC 3261 17.2, RFC 6026 8.5, 8.7).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Output, Peer, TransactionConfig, TransactionError, TransactionId};
use crate::message::{Request, Response, SipMessage};
use crate::method::Method;
use crate::status::StatusCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Proceeding,
    Completed,
    Confirmed,
    Accepted,
    Terminated,
}

#[derive(Debug)]
pub(super) struct ServerTransaction {
    pub(super) id: TransactionId,
    pub(super) request: Request,
    pub(super) from: Peer,
    state: State,
    last: Option<Response>,
    retransmit: Option<(Instant, Duration)>,
    deadline: Option<Instant>,
    acknowledged: bool,
}

impl ServerTransaction {
    pub(super) fn start(
        id: TransactionId,
        request: Request,
        from: Peer,
        out: &mut VecDeque<Output>,
    ) -> Self {
        let mut transaction = Self {
            id,
            request,
            from,
            state: State::Proceeding,
            last: None,
            retransmit: None,
            deadline: None,
            acknowledged: false,
        };
        if transaction.is_invite() {
            //= RFC 3261 17.2.1
            let trying = transaction.request.response(StatusCode::TRYING, "");
            transaction.send(trying, out);
        }
        transaction
    }

    fn is_invite(&self) -> bool {
        self.request.method == Method::Invite
    }

    fn send(&mut self, response: Response, out: &mut VecDeque<Output>) {
        out.push_back(Output::Send {
            to: self.from,
            message: SipMessage::Response(response.clone()),
        });
        self.last = Some(response);
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    /// Whether the INVITE can still be cancelled.
    pub(super) fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match (self.retransmit.map(|(at, _)| at), self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// The same request again.
    pub(super) fn on_retransmission(&mut self, out: &mut VecDeque<Output>) {
        // In Accepted the 2xx is repeated by its own timer (RFC 6026 8.7).
        if matches!(self.state, State::Proceeding | State::Completed)
            && let Some(last) = &self.last
        {
            out.push_back(Output::Send {
                to: self.from,
                message: SipMessage::Response(last.clone()),
            });
        }
    }

    pub(super) fn respond(
        &mut self,
        response: Response,
        config: &TransactionConfig,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) -> Result<(), TransactionError> {
        if self.state != State::Proceeding {
            return Err(TransactionError::AlreadyAnswered);
        }
        let status = response.status;
        self.send(response, out);
        if status.is_provisional() {
            return Ok(());
        }
        let reliable = self.from.transport.is_reliable();
        if self.is_invite() {
            self.state = if status.is_success() {
                State::Accepted
            } else {
                State::Completed
            };
            let repeats = status.is_success() || !reliable;
            self.retransmit = repeats.then_some((now + config.t1, config.t1));
            self.deadline = Some(now + config.give_up());
        } else if reliable {
            self.state = State::Terminated;
        } else {
            self.state = State::Completed;
            self.deadline = Some(now + config.give_up());
        }
        Ok(())
    }

    /// The ACK for a non-2xx response.
    pub(super) fn on_ack_failure(&mut self, config: &TransactionConfig, now: Instant) {
        if self.state != State::Completed || !self.is_invite() {
            return;
        }
        self.retransmit = None;
        if self.from.transport.is_reliable() {
            self.state = State::Terminated;
        } else {
            self.state = State::Confirmed;
            self.deadline = Some(now + config.t4);
        }
    }

    /// The ACK for a 2xx; handed on once.
    pub(super) fn on_ack_success(&mut self, ack: Request, out: &mut VecDeque<Output>) {
        if self.state != State::Accepted || self.acknowledged {
            return;
        }
        self.acknowledged = true;
        self.retransmit = None;
        out.push_back(Output::Ack {
            id: self.id,
            request: ack,
        });
    }

    pub(super) fn on_timeout(
        &mut self,
        config: &TransactionConfig,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            if self.state == State::Accepted && !self.acknowledged {
                out.push_back(Output::AckMissing { id: self.id });
            }
            self.state = State::Terminated;
            return;
        }
        if let Some((at, interval)) = &mut self.retransmit
            && *at <= now
        {
            *interval = (*interval * 2).min(config.t2);
            *at = now + *interval;
            if let Some(last) = &self.last {
                out.push_back(Output::Send {
                    to: self.from,
                    message: SipMessage::Response(last.clone()),
                });
            }
        }
    }
}
