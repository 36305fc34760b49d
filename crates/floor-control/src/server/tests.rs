use core::time::Duration;

use super::*;
use crate::message::{FloorMessage, FloorRelease, FloorRequest};
use crate::participant::{self as client, FloorParticipant, SetUp};

const ALICE: ParticipantId = ParticipantId(1);
const BOB: ParticipantId = ParticipantId(2);

/// A server and two real floor participants joined by a perfect network, in one thread.
struct Call {
    now: Instant,
    server: FloorControlServer,
    clients: Vec<(ParticipantId, FloorParticipant)>,
    seen: Vec<(ParticipantId, client::Output)>,
}

impl Call {
    fn new(config: Config) -> Self {
        let now = Instant::now();
        let mut server = FloorControlServer::new(config);
        server.handle(Input::Start, now);
        let mut call = Self {
            now,
            server,
            clients: Vec::new(),
            seen: Vec::new(),
        };
        for (id, uri) in [(ALICE, "sip:alice@mc.example"), (BOB, "sip:bob@mc.example")] {
            let mut participant = FloorParticipant::new(client::Config::new(id.0, uri));
            participant.handle(client::Input::SetUp(SetUp::Listening), now);
            call.clients.push((id, participant));
            let profile = Box::new(Profile {
                queueing: true,
                ..Profile::new(uri)
            });
            let join = Input::Join {
                participant: id,
                profile,
                implicit_request: None,
            };
            call.server.handle(join, now);
        }
        call.settle();
        call
    }

    fn client(&mut self, id: ParticipantId) -> &mut FloorParticipant {
        let found = self.clients.iter_mut().find(|(one, _)| *one == id);
        &mut found.expect("one of the two").1
    }

    fn press(&mut self, id: ParticipantId) {
        let now = self.now;
        self.client(id).handle(client::Input::PttPressed, now);
        self.settle();
    }

    fn let_go(&mut self, id: ParticipantId) {
        let now = self.now;
        self.client(id).handle(client::Input::PttReleased, now);
        self.settle();
    }

    /// Carries messages to and fro, through their octets, until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            let mut moved = false;
            for (id, client) in &mut self.clients {
                while let Some(output) = client.poll_output() {
                    moved = true;
                    if let client::Output::Send(packet) = output {
                        let packet = through_octets(&packet);
                        self.server
                            .handle(Input::Received { from: *id, packet }, self.now);
                    } else {
                        self.seen.push((*id, output));
                    }
                }
            }
            while let Some(output) = self.server.poll_output() {
                moved = true;
                if let Output::Send { to, packet } = output {
                    let now = self.now;
                    let packet = through_octets(&packet);
                    self.client(to).handle(client::Input::Received(packet), now);
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Lets time pass, with media of whoever has permission every 20 ms.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(20);
            let now = self.now;
            for (id, client) in &mut self.clients {
                if *client.state() == client::State::HasPermission {
                    assert_eq!(self.server.media(*id, now), Verdict::Forward);
                }
                if client.poll_timeout().is_some_and(|at| at <= now) {
                    client.handle(client::Input::Timeout, now);
                }
            }
            if self.server.poll_timeout().is_some_and(|at| at <= now) {
                self.server.handle(Input::Timeout, now);
            }
            self.settle();
        }
    }

    fn states(&mut self) -> [&'static str; 2] {
        [ALICE, BOB].map(|id| self.client(id).state().name())
    }
}

fn through_octets(packet: &FloorPacket) -> FloorPacket {
    FloorPacket::decode_all(&packet.to_bytes().unwrap())
        .next()
        .unwrap()
        .unwrap()
}

#[test]
fn two_participants_take_turns() {
    let mut call = Call::new(Config::new(9));
    call.press(ALICE);
    assert_eq!(call.states(), ["U: has permission", "U: has no permission"]);
    assert_eq!(
        call.server.participant_state(BOB),
        Some(participant::State::NotPermittedFloorTaken)
    );
    call.pass(Duration::from_secs(2));
    call.press(BOB);
    assert_eq!(call.states(), ["U: has permission", "U: queued"]);
    call.let_go(ALICE);
    assert_eq!(call.states(), ["U: has no permission", "U: has permission"]);
    call.pass(Duration::from_secs(1));
    call.let_go(BOB);
    assert_eq!(call.states(), ["U: has no permission"; 2]);
    assert_eq!(call.server.holder(), None);
}

#[test]
fn who_talks_too_long_is_stopped_and_the_next_one_talks() {
    let mut call = Call::new(Config::new(9));
    call.press(ALICE);
    call.press(BOB);
    call.pass(Duration::from_secs(31));
    assert_eq!(call.states(), ["U: has no permission", "U: has permission"]);
    let revoked = call.seen.iter().any(|(id, output)| {
        *id == ALICE
            && matches!(
                output,
                client::Output::StopTalking(client::StopReason::Revoked { .. })
            )
    });
    assert!(revoked);
}

#[test]
fn a_stranger_changes_nothing() {
    let mut call = Call::new(Config::new(9));
    call.press(ALICE);
    let message: FloorMessage = FloorRequest {
        priority: Some(255),
        ..FloorRequest::default()
    }
    .into();
    for message in [message, FloorRelease::default().into()] {
        let packet = FloorPacket {
            ssrc: 1,
            ack_required: false,
            message,
        };
        let from = ParticipantId(77);
        call.server
            .handle(Input::Received { from, packet }, call.now);
        assert_eq!(call.server.media(from, call.now), Verdict::Drop);
    }
    assert_eq!(call.server.poll_output(), None);
    assert_eq!(call.server.holder(), Some(ALICE));
}

#[test]
fn media_of_a_listener_is_dropped_while_the_talkers_passes() {
    let mut call = Call::new(Config::new(9));
    call.press(ALICE);
    assert_eq!(call.server.media(ALICE, call.now), Verdict::Forward);
    assert_eq!(call.server.media(BOB, call.now), Verdict::Drop);
    let state = call.server.participant_state(BOB).unwrap();
    assert_eq!(state.name(), "U: not permitted but sends media");
    assert_eq!(call.server.holder(), Some(ALICE));
}

#[test]
fn nothing_is_sent_after_release() {
    let mut call = Call::new(Config::new(9));
    call.press(ALICE);
    call.server.handle(Input::Release, call.now);
    while let Some(output) = call.server.poll_output() {
        assert!(!matches!(output, Output::Send { .. }), "{output:?}");
    }
    assert_eq!(call.server.media(ALICE, call.now), Verdict::Drop);
    assert_eq!(call.server.poll_timeout(), None);
}
