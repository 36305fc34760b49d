//! The transaction state machines against a clock that the test moves.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code"
)]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mc_sip::transaction::{Output, TransactionConfig, TransactionId, TransactionLayer};
use mc_sip::{Method, Peer, Request, Response, SipMessage, StatusCode, Uri, Via};

const T1: Duration = Duration::from_millis(500);

struct Side {
    layer: TransactionLayer,
    now: Instant,
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn request(method: Method, branch: &str) -> Request {
    let uri: Uri = "sip:b@example.org".parse().unwrap();
    let from = "<sip:a@example.org>;tag=f1".parse().unwrap();
    let mut request = Request::new(method, uri.clone(), &from, &uri.into(), "call-1", 1);
    request
        .headers
        .push_front("Via", Via::new("UDP", address(5060), branch).to_string());
    request
}

impl Side {
    fn new() -> Self {
        Self {
            layer: TransactionLayer::new(TransactionConfig::default()),
            now: Instant::now(),
        }
    }

    fn drain(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.layer.poll_output()).collect()
    }

    /// Everything that happens until `duration` has passed, with the time of each event.
    fn run(&mut self, duration: Duration) -> Vec<(Duration, Output)> {
        let (start, end) = (self.now, self.now + duration);
        let mut all = Vec::new();
        while let Some(at) = self.layer.poll_timeout().filter(|at| *at <= end) {
            self.now = at;
            self.layer.handle_timeout(at);
            all.extend(self.drain().into_iter().map(|output| (at - start, output)));
        }
        self.now = end;
        all
    }

    fn receive(&mut self, message: impl Into<Message>, from: Peer) -> Vec<Output> {
        self.layer.handle_message(message.into().0, from, self.now);
        self.drain()
    }

    fn accept(&mut self, request: &Request, from: Peer) -> TransactionId {
        let outputs = self.receive(request.clone(), from);
        let id = outputs.iter().find_map(|output| match output {
            Output::Request { id, .. } => Some(*id),
            _ => None,
        });
        id.expect("the request reaches the user")
    }
}

struct Message(SipMessage);
impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self(SipMessage::Request(request))
    }
}
impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self(SipMessage::Response(response))
    }
}

fn sent(outputs: &[Output]) -> Vec<String> {
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Send {
                message: SipMessage::Request(request),
                ..
            } => Some(request.method.to_string()),
            Output::Send {
                message: SipMessage::Response(response),
                ..
            } => Some(response.status.to_string()),
            _ => None,
        })
        .collect()
}

fn times(events: &[(Duration, Output)]) -> Vec<u128> {
    events
        .iter()
        .filter(|(_, o)| matches!(o, Output::Send { .. }))
        .map(|(at, _)| at.as_millis())
        .collect()
}

#[test]
fn an_unanswered_invite_is_repeated_with_doubling_gaps_and_times_out_after_64_t1() {
    let mut side = Side::new();
    let id = side
        .layer
        .send_request(
            request(Method::Invite, "z9hG4bK1"),
            Peer::udp(address(1)),
            side.now,
        )
        .unwrap();
    assert_eq!(sent(&side.drain()), ["INVITE"]);
    let events = side.run(Duration::from_secs(40));
    assert_eq!(times(&events), [500, 1500, 3500, 7500, 15_500, 31_500]);
    assert_eq!(events.last().unwrap(), &(T1 * 64, Output::TimedOut { id }));
    assert!(side.layer.is_empty());
}

#[test]
fn a_non_invite_repeats_at_most_every_t2_and_a_stream_never() {
    let mut side = Side::new();
    let udp = side
        .layer
        .send_request(
            request(Method::Options, "z9hG4bK1"),
            Peer::udp(address(1)),
            side.now,
        )
        .unwrap();
    side.drain();
    let events = side.run(Duration::from_secs(40));
    assert_eq!(
        times(&events),
        [
            500, 1500, 3500, 7500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500
        ]
    );
    assert!(
        events
            .iter()
            .any(|(_, o)| *o == Output::TimedOut { id: udp })
    );
    let tcp = side
        .layer
        .send_request(
            request(Method::Options, "z9hG4bK2"),
            Peer::tcp(address(1)),
            side.now,
        )
        .unwrap();
    side.drain();
    assert_eq!(
        side.run(Duration::from_secs(40)),
        [(T1 * 64, Output::TimedOut { id: tcp })]
    );
}

#[test]
fn a_refused_invite_is_acknowledged_each_time_the_refusal_comes() {
    let mut side = Side::new();
    let peer = Peer::udp(address(1));
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side
        .layer
        .send_request(invite.clone(), peer, side.now)
        .unwrap();
    side.drain();
    let refusal = invite.response(StatusCode::FORBIDDEN, "t1");
    let first = side.receive(refusal.clone(), peer);
    assert_eq!(sent(&first), ["ACK"]);
    assert!(first.contains(&Output::Response {
        id,
        response: refusal.clone()
    }));
    let again = side.receive(refusal, peer);
    assert_eq!(sent(&again), ["ACK"]);
    assert_eq!(again.len(), 1, "the user hears of it once");
    let Output::Send {
        message: SipMessage::Request(ack),
        ..
    } = &again[0]
    else {
        panic!("an ACK")
    };
    assert_eq!(ack.headers.top_via().unwrap().branch(), Some("z9hG4bK1"));
    assert_eq!(ack.headers.to().unwrap().tag(), Some("t1"));
    side.run(Duration::from_secs(33));
    assert!(side.layer.is_empty());
}

#[test]
fn the_ack_of_a_2xx_is_repeated_for_repeated_2xx_only_of_the_same_dialog() {
    let mut side = Side::new();
    let peer = Peer::udp(address(1));
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side
        .layer
        .send_request(invite.clone(), peer, side.now)
        .unwrap();
    let ok = invite.response(StatusCode::OK, "t1");
    side.receive(ok.clone(), peer);
    let ack = invite.ack_failure(&ok).unwrap();
    side.layer.ack(id, ack, peer).unwrap();
    assert_eq!(sent(&side.drain()), ["ACK"]);
    assert_eq!(sent(&side.receive(ok, peer)), ["ACK"]);
    assert!(
        side.receive(invite.response(StatusCode::OK, "fork"), peer)
            .is_empty()
    );
}

#[test]
fn cancel_waits_for_a_provisional_response() {
    let mut side = Side::new();
    let peer = Peer::tcp(address(1));
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side
        .layer
        .send_request(invite.clone(), peer, side.now)
        .unwrap();
    side.drain();
    side.layer.cancel(id, side.now);
    assert!(side.drain().is_empty());
    let outputs = side.receive(invite.response(StatusCode::TRYING, ""), peer);
    assert_eq!(sent(&outputs), ["CANCEL"]);
    let outputs = side.receive(invite.response(StatusCode::REQUEST_TERMINATED, "t1"), peer);
    assert_eq!(sent(&outputs), ["ACK"]);
}

#[test]
fn a_silent_callee_is_cancelled_by_timer_c() {
    let mut side = Side::new();
    let peer = Peer::tcp(address(1));
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side
        .layer
        .send_request(invite.clone(), peer, side.now)
        .unwrap();
    side.receive(invite.response(StatusCode::RINGING, "t1"), peer);
    let events = side.run(Duration::from_secs(300));
    let outputs: Vec<Output> = events.into_iter().map(|(_, output)| output).collect();
    assert_eq!(sent(&outputs), ["CANCEL"]);
    assert!(outputs.contains(&Output::TimedOut { id }));
    assert!(side.layer.is_empty());
}

#[test]
fn the_server_repeats_its_answer_to_a_repeated_request() {
    let mut side = Side::new();
    let peer = Peer::udp(address(9));
    let message = request(Method::Message, "z9hG4bK1");
    let id = side.accept(&message, peer);
    assert!(
        side.receive(message.clone(), peer).is_empty(),
        "nothing to repeat yet"
    );
    side.layer
        .respond(id, message.response(StatusCode::OK, "t"), side.now)
        .unwrap();
    assert_eq!(sent(&side.drain()), ["200"]);
    assert_eq!(sent(&side.receive(message.clone(), peer)), ["200"]);
    assert!(
        side.layer
            .respond(id, message.response(StatusCode::OK, "t"), side.now)
            .is_err()
    );
    side.run(Duration::from_secs(33));
    assert!(side.layer.is_empty());
}

#[test]
fn a_2xx_is_repeated_until_its_ack_even_over_tcp() {
    let mut side = Side::new();
    let peer = Peer::tcp(address(9));
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side.accept(&invite, peer);
    side.layer
        .respond(id, invite.response(StatusCode::OK, "t"), side.now)
        .unwrap();
    side.drain();
    assert_eq!(
        times(&side.run(Duration::from_secs(8))),
        [500, 1500, 3500, 7500]
    );
    let mut ack = request(Method::Ack, "z9hG4bKother");
    ack.headers.set("To", "<sip:b@example.org>;tag=t");
    let outputs = side.receive(ack.clone(), peer);
    assert!(matches!(&outputs[..], [Output::Ack { id: acked, .. }] if *acked == id));
    assert!(side.receive(ack, peer).is_empty());
    assert!(side.run(Duration::from_secs(40)).is_empty());
    assert!(side.layer.is_empty());
}

#[test]
fn a_missing_ack_is_reported() {
    let mut side = Side::new();
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side.accept(&invite, Peer::udp(address(9)));
    side.layer
        .respond(id, invite.response(StatusCode::OK, "t"), side.now)
        .unwrap();
    let events = side.run(Duration::from_secs(40));
    assert_eq!(
        events.last().unwrap(),
        &(T1 * 64, Output::AckMissing { id })
    );
}

#[test]
fn cancel_is_answered_and_told_to_the_user_once() {
    let mut side = Side::new();
    let peer = Peer::udp(address(9));
    let invite = request(Method::Invite, "z9hG4bK1");
    let id = side.accept(&invite, peer);
    let cancel = invite.cancel().unwrap();
    let outputs = side.receive(cancel.clone(), peer);
    assert_eq!(sent(&outputs), ["200"]);
    assert!(outputs.contains(&Output::Cancelled { id }));
    assert_eq!(
        side.receive(cancel, peer)
            .iter()
            .filter(|o| matches!(o, Output::Cancelled { .. }))
            .count(),
        0
    );
    side.layer
        .respond(
            id,
            invite.response(StatusCode::REQUEST_TERMINATED, "t"),
            side.now,
        )
        .unwrap();
    let stray = request(Method::Cancel, "z9hG4bKunknown");
    assert_eq!(sent(&side.receive(stray, peer)), ["487", "481"]);
}

#[test]
fn loops_hops_and_floods_are_refused_before_the_user_hears_of_them() {
    let mut side = Side::new();
    let peer = Peer::udp(address(9));
    side.accept(&request(Method::Message, "z9hG4bK1"), peer);
    assert_eq!(
        sent(&side.receive(request(Method::Message, "z9hG4bK2"), peer)),
        ["482"]
    );
    let mut exhausted = request(Method::Message, "z9hG4bK3");
    exhausted.headers.set("Max-Forwards", "0");
    exhausted.headers.set("Call-ID", "other");
    assert_eq!(sent(&side.receive(exhausted, peer)), ["483"]);
    let config = TransactionConfig {
        max_transactions: 1,
        ..TransactionConfig::default()
    };
    let mut small = Side {
        layer: TransactionLayer::new(config),
        now: side.now,
    };
    small.accept(&request(Method::Message, "z9hG4bK1"), peer);
    let mut second = request(Method::Message, "z9hG4bK4");
    second.headers.set("Call-ID", "other");
    assert_eq!(sent(&small.receive(second, peer)), ["503"]);
    assert_eq!(small.layer.len(), 1);
}

#[test]
fn an_unreachable_peer_ends_its_pending_requests_only() {
    let mut side = Side::new();
    let gone = side
        .layer
        .send_request(
            request(Method::Options, "z9hG4bK1"),
            Peer::tcp(address(1)),
            side.now,
        )
        .unwrap();
    side.layer
        .send_request(
            request(Method::Options, "z9hG4bK2"),
            Peer::tcp(address(2)),
            side.now,
        )
        .unwrap();
    side.drain();
    side.layer.peer_unreachable(Peer::tcp(address(1)));
    assert_eq!(side.drain(), [Output::Unreachable { id: gone }]);
    assert_eq!(side.layer.len(), 1);
}

#[test]
fn the_source_address_is_written_into_the_via() {
    let mut side = Side::new();
    let outputs = side.receive(
        request(Method::Options, "z9hG4bK1"),
        Peer::udp("198.51.100.7:4444".parse().unwrap()),
    );
    let Output::Request { request, .. } = &outputs[0] else {
        panic!("a request")
    };
    let via = request.headers.top_via().unwrap();
    assert_eq!(via.params.get("received"), Some("198.51.100.7"));
    assert_eq!(via.params.get("rport"), Some("4444"));
}
