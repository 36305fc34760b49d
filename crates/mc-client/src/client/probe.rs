//! Whether the server is still there, asked where no connection tells: over UDP.
//!
//! RFC 5626 4.4.2 keeps flows over UDP alive with STUN, which tells of an address translator and not
//! of a server that was started again and knows nobody's CSK any more. OPTIONS (RFC 3261 11) does:
//! the answer is that of an INVITE, so a server that would refuse our call says so. One small
//! request every two seconds, and never a second one before the first is settled.

use std::time::{Duration, Instant};

use mc_sip::{StatusCode, Transport};
use tokio::sync::oneshot;

use crate::client::established::Established;

/// Time between an answer and the next question.
const EVERY: Duration = Duration::from_secs(2);
/// How long an answer is waited for: four transmissions (RFC 3261 17.1.2.2).
const PATIENCE: Duration = Duration::from_secs(4);
/// Time until the next question to a server that refuses OPTIONS but not our registration.
const UNWANTED: Duration = Duration::from_secs(60);

type Answer = oneshot::Receiver<Option<StatusCode>>;

/// The question that is open, and when the next one is due.
#[derive(Debug)]
pub(super) struct Probe {
    due: Instant,
    asked: Option<(Instant, Answer)>,
}

/// What is known of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// Nothing new.
    Waiting,
    /// It is to be asked now.
    Ask,
    /// It does not know us, or does not want to be asked.
    Doubt,
    /// It does not answer.
    Gone,
}

impl Probe {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: now + EVERY,
            asked: None,
        }
    }

    fn asked(&mut self, answer: Answer, now: Instant) {
        self.asked = Some((now, answer));
    }

    fn look(&mut self, now: Instant) -> Finding {
        let Some((since, answer)) = &mut self.asked else {
            return match now >= self.due {
                true => Finding::Ask,
                false => Finding::Waiting,
            };
        };
        let finding = match answer.try_recv() {
            Ok(Some(StatusCode::FORBIDDEN | StatusCode::NOT_FOUND)) => Finding::Doubt,
            // Whatever else it says, it is there.
            Ok(Some(_)) => Finding::Waiting,
            Err(oneshot::error::TryRecvError::Empty) if now < *since + PATIENCE => {
                return Finding::Waiting;
            }
            Ok(None) | Err(_) => Finding::Gone,
        };
        self.asked = None;
        self.due = now + EVERY;
        finding
    }

    fn is_unwanted(&mut self, now: Instant) {
        self.due = now + UNWANTED;
    }
}

impl Established {
    /// Asks now and then whether the server is there and knows us; an error is its loss.
    pub(super) async fn probe(&mut self, now: Instant) -> Result<(), String> {
        if self.link.server.transport != Transport::Udp {
            return Ok(());
        }
        match self.probe.look(now) {
            Finding::Waiting => Ok(()),
            Finding::Ask => {
                self.ask_whether_there(now);
                Ok(())
            }
            Finding::Gone => Err("the server does not answer".to_owned()),
            Finding::Doubt => {
                // Only the registration decides.
                self.refresh_registration().await?;
                self.probe.is_unwanted(now);
                Ok(())
            }
        }
    }

    /// The answer is waited for beside everything else.
    fn ask_whether_there(&mut self, now: Instant) {
        let request = self.make(|r| r.options());
        let mut responses = self.link.endpoint.request(request, self.link.server);
        let (told, answer) = oneshot::channel();
        tokio::spawn(async move {
            let response = responses.final_response().await;
            // Who asked may have given up.
            let _late = told.send(response.ok().map(|response| response.status));
        });
        self.probe.asked(answer, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A probe that has asked at `now`, and where its answer goes.
    fn asked(now: Instant) -> (Probe, oneshot::Sender<Option<StatusCode>>) {
        let mut probe = Probe::new(now);
        assert_eq!(probe.look(now), Finding::Waiting);
        let now = now + EVERY;
        assert_eq!(probe.look(now), Finding::Ask);
        let (told, answer) = oneshot::channel();
        probe.asked(answer, now);
        (probe, told)
    }

    #[test]
    fn one_question_at_a_time_and_the_next_two_seconds_after_its_answer() {
        let start = Instant::now();
        let (mut probe, told) = asked(start);
        let now = start + EVERY + Duration::from_secs(3);
        assert_eq!(probe.look(now), Finding::Waiting, "not a second one");
        told.send(Some(StatusCode::OK)).unwrap();
        assert_eq!(probe.look(now), Finding::Waiting);
        assert_eq!(probe.look(now + EVERY / 2), Finding::Waiting);
        assert_eq!(probe.look(now + EVERY), Finding::Ask);
    }

    #[test]
    fn silence_is_loss_and_so_is_a_failure_of_the_transaction() {
        let start = Instant::now();
        let (mut probe, _told) = asked(start);
        let late = start + EVERY + PATIENCE;
        assert_eq!(probe.look(late), Finding::Gone);
        let (mut probe, told) = asked(start);
        told.send(None).unwrap();
        assert_eq!(probe.look(start + EVERY), Finding::Gone);
    }

    #[test]
    fn only_a_refusal_of_who_we_are_is_doubt() {
        let start = Instant::now();
        for (status, finding) in [
            (StatusCode::FORBIDDEN, Finding::Doubt),
            (StatusCode::NOT_FOUND, Finding::Doubt),
            (StatusCode::METHOD_NOT_ALLOWED, Finding::Waiting),
            (StatusCode::SERVICE_UNAVAILABLE, Finding::Waiting),
        ] {
            let (mut probe, told) = asked(start);
            told.send(Some(status)).unwrap();
            assert_eq!(probe.look(start + EVERY), finding, "{status}");
        }
        let (mut probe, told) = asked(start);
        told.send(Some(StatusCode::FORBIDDEN)).unwrap();
        let now = start + EVERY;
        probe.look(now);
        probe.is_unwanted(now);
        assert_eq!(probe.look(now + EVERY), Finding::Waiting);
        assert_eq!(probe.look(now + UNWANTED), Finding::Ask);
    }
}
