//! Client transactions (RFC 3261 17.1, RFC 6026 8.4).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Output, Peer, TransactionConfig, TransactionId};
use crate::message::{Request, Response, SipMessage};
use crate::method::Method;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Calling,
    Proceeding,
    Completed,
    Accepted,
    Terminated,
}

#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) id: TransactionId,
    pub(super) request: Request,
    pub(super) to: Peer,
    state: State,
    retransmit: Option<(Instant, Duration)>,
    deadline: Option<Instant>,
    /// The ACK last sent, repeated when the final response is repeated.
    ack: Option<(Request, Peer)>,
    cancel_wanted: bool,
    cancel_sent: bool,
}

impl ClientTransaction {
    pub(super) fn start(
        id: TransactionId,
        request: Request,
        to: Peer,
        config: &TransactionConfig,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) -> Self {
        out.push_back(Output::Send {
            to,
            message: SipMessage::Request(request.clone()),
        });
        let retransmit = (!to.transport.is_reliable()).then_some((now + config.t1, config.t1));
        Self {
            id,
            request,
            to,
            state: State::Calling,
            retransmit,
            deadline: Some(now + config.give_up()),
            ack: None,
            cancel_wanted: false,
            cancel_sent: false,
        }
    }

    fn is_invite(&self) -> bool {
        self.request.method == Method::Invite
    }

    pub(super) fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        let retransmit = self.retransmit.map(|(at, _)| at);
        match (retransmit, self.deadline) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Returns whether a CANCEL is to be sent now.
    pub(super) fn on_response(
        &mut self,
        response: &Response,
        config: &TransactionConfig,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) -> bool {
        if matches!(self.state, State::Completed | State::Accepted) {
            self.repeat_ack(response, out);
            return false;
        }
        if response.status.is_provisional() {
            self.on_provisional(config, now);
        } else if self.is_invite() && response.status.is_success() {
            //= RFC 6026 7.2
            self.state = State::Accepted;
            self.retransmit = None;
            self.deadline = Some(now + config.give_up());
        } else {
            self.on_final(response, config, now, out);
        }
        out.push_back(Output::Response {
            id: self.id,
            response: response.clone(),
        });
        self.state == State::Proceeding && self.take_cancel(config, now)
    }

    fn repeat_ack(&self, response: &Response, out: &mut VecDeque<Output>) {
        // A fork may answer too; its 2xx carries another tag and is not ours to acknowledge here.
        if let Some((ack, to)) = self.ack.as_ref().filter(|_| response.status.is_final())
            && ack
                .headers
                .to()
                .ok()
                .and_then(|to| to.tag().map(str::to_owned))
                == response
                    .headers
                    .to()
                    .ok()
                    .and_then(|to| to.tag().map(str::to_owned))
        {
            out.push_back(Output::Send {
                to: *to,
                message: SipMessage::Request(ack.clone()),
            });
        }
    }

    fn on_provisional(&mut self, config: &TransactionConfig, now: Instant) {
        self.state = State::Proceeding;
        if self.is_invite() {
            self.retransmit = None;
            if !self.cancel_sent {
                self.deadline = Some(now + config.timer_c);
            }
        } else if let Some((at, interval)) = &mut self.retransmit {
            *interval = config.t2;
            *at = now + config.t2;
        }
    }

    fn on_final(
        &mut self,
        response: &Response,
        config: &TransactionConfig,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) {
        self.retransmit = None;
        let linger = if self.is_invite() {
            if let Ok(ack) = self.request.ack_failure(response) {
                out.push_back(Output::Send {
                    to: self.to,
                    message: SipMessage::Request(ack.clone()),
                });
                self.ack = Some((ack, self.to));
            }
            config.give_up()
        } else {
            config.t4
        };
        if self.to.transport.is_reliable() {
            self.state = State::Terminated;
        } else {
            self.state = State::Completed;
            self.deadline = Some(now + linger);
        }
    }

    /// Sends the ACK for a 2xx and keeps it for repetitions.
    pub(super) fn ack(&mut self, ack: Request, to: Peer, out: &mut VecDeque<Output>) {
        out.push_back(Output::Send {
            to,
            message: SipMessage::Request(ack.clone()),
        });
        self.ack = Some((ack, to));
    }

    /// Asks for a CANCEL; true when it may be sent now (RFC 3261 9.1: not before a provisional response).
    pub(super) fn cancel(&mut self, config: &TransactionConfig, now: Instant) -> bool {
        self.cancel_wanted = true;
        self.state == State::Proceeding && self.take_cancel(config, now)
    }

    fn take_cancel(&mut self, config: &TransactionConfig, now: Instant) -> bool {
        if !self.cancel_wanted || self.cancel_sent || !self.is_invite() {
            return false;
        }
        self.cancel_sent = true;
        self.deadline = Some(now + config.give_up());
        true
    }

    /// Returns whether a CANCEL is to be sent now (timer C).
    pub(super) fn on_timeout(
        &mut self,
        config: &TransactionConfig,
        now: Instant,
        out: &mut VecDeque<Output>,
    ) -> bool {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let waiting = matches!(self.state, State::Calling | State::Proceeding);
            if self.state == State::Proceeding && self.is_invite() && !self.cancel_sent {
                self.cancel_wanted = true;
                return self.take_cancel(config, now);
            }
            if waiting {
                out.push_back(Output::TimedOut { id: self.id });
            }
            self.state = State::Terminated;
            return false;
        }
        if let Some((at, interval)) = &mut self.retransmit
            && *at <= now
        {
            out.push_back(Output::Send {
                to: self.to,
                message: SipMessage::Request(self.request.clone()),
            });
            *interval *= 2;
            if self.request.method != Method::Invite {
                *interval = (*interval).min(config.t2);
            }
            *at = now + *interval;
        }
        false
    }

    /// The transport reports that nothing can be sent to the peer.
    pub(super) fn on_unreachable(&mut self, out: &mut VecDeque<Output>) {
        if matches!(self.state, State::Calling | State::Proceeding) {
            out.push_back(Output::Unreachable { id: self.id });
            self.state = State::Terminated;
        }
    }
}
