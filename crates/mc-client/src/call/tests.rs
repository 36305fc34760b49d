//! Two members of a group, their media connected directly, the test as their floor control server.

use std::time::Duration;

use floor_control::message::{FloorGranted, FloorMessage, FloorRevoke, FloorTaken, RevokeCause};
use floor_control::{FloorMessage as Message, FloorPacket};
use mc_ids::{Gmk, GmkId, Key128, KeyId, NtpTime};
use mc_media::{MkiLength, SrtcpReceiver, SrtcpSender};
use mc_runtime::TestClock;
use mikey::{DistributedKey, Opened, Party};
use tempfile::TempDir;

use super::*;
use crate::event::SpeechFrame;

const GMS: &str = "sip:gms@mc.example";

fn group() -> GroupId {
    GroupId::new("sip:fire@mc.example").unwrap()
}

fn keys_of(user: &str, gmk: u8) -> GroupKeys {
    let (gmk, id) = (
        Gmk::from_octets([gmk; 16]),
        GmkId::try_from(KeyId(9)).unwrap(),
    );
    let guk_id = mc_ids::annex_f::guk_id(&gmk, id, user);
    let party = |uri: &str| Party {
        uri: Some(uri.to_owned()),
        uid: None,
    };
    let opened = Opened {
        key: DistributedKey::Gmk {
            key: gmk,
            id,
            guk_id,
        },
        csb_id: guk_id.key_id(),
        rand: vec![3; 16],
        time: NtpTime(0),
        initiator: party(GMS),
        responder: party(user),
        kms_initiator: "kms.mc.example".parse().unwrap(),
        kms_responder: "kms.mc.example".parse().unwrap(),
        key_parameters: None,
        variants: Vec::new(),
    };
    let mut keys = GroupKeys::default();
    keys.accept(&opened, GMS, &[group()]).unwrap();
    keys
}

/// One member with its side of the floor control server.
struct Member {
    commands: mpsc::Sender<CallCommand>,
    events: mpsc::Receiver<ClientEvent>,
    audio: SocketAddr,
    floor: SocketAddr,
    server: UdpSocket,
    sender: SrtcpSender,
    receiver: SrtcpReceiver,
    association: Association,
    _dirs: [TempDir; 2],
}

impl Member {
    async fn new(name: &str, gmk: u8) -> Self {
        let user = format!("sip:{name}@mc.example");
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let association = Association::new(&mut mc_runtime::rng());
        let (events, receiver) = mpsc::channel(EVENTS);
        let shared = Shared {
            clock: Arc::new(TestClock::at_unix_s(1_800_000_000)),
            tracer: Tracer::off(),
            node: name.to_owned(),
            mcptt_id: McServiceId::new(user.clone()).unwrap(),
            keys: Arc::new(RwLock::new(keys_of(&user, gmk))),
            state: Arc::new(Mutex::new(StateDir::open(dirs[0].path()).unwrap())),
            events: EventSink(events),
        };
        let sockets = Sockets::bind([127, 0, 0, 1].into()).await.unwrap();
        let (audio, floor) = sockets.addresses().unwrap();
        let call = Call::new(shared, group(), sockets, &association).unwrap();
        let (commands, queue) = mpsc::channel(64);
        tokio::spawn(call.run(queue));
        let lease = StateDir::open(dirs[1].path())
            .unwrap()
            .lease(association.mki(), &[]);
        Self {
            commands,
            events: receiver,
            audio,
            floor,
            server: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            sender: SrtcpSender::new(&association.floor_key(), lease.unwrap()),
            receiver: SrtcpReceiver::new(MkiLength::Four),
            association,
            _dirs: dirs,
        }
    }

    async fn tell(&self, command: CallCommand) {
        self.commands.send(command).await.unwrap();
    }

    async fn connect(&self, audio: SocketAddr) {
        let floor = Some(self.server.local_addr().unwrap());
        let remote = Remote {
            audio,
            floor,
            payload_type: 96,
            octet_align: true,
        };
        self.tell(CallCommand::Connect(remote, SetUp::Listening))
            .await;
    }

    async fn floor_message(&mut self) -> Message {
        let mut packet = vec![0; MAX_PACKET];
        let (length, from) = self.server.recv_from(&mut packet).await.unwrap();
        assert_eq!(from, self.floor);
        let key = self.association.floor_key();
        let opened = self
            .receiver
            .open(&mut packet[..length], |_| Some(key))
            .unwrap();
        FloorPacket::decode_all(opened.packet)
            .next()
            .unwrap()
            .unwrap()
            .message
    }

    async fn send_floor(&mut self, message: impl Into<FloorMessage>) {
        let ssrc = self.sender.ssrc();
        let packet = FloorPacket {
            ssrc,
            ack_required: false,
            message: message.into(),
        };
        let mut out = [0; MAX_PACKET];
        let length = self
            .sender
            .seal(&packet.to_bytes().unwrap(), &mut out)
            .unwrap();
        self.server
            .send_to(&out[..length], self.floor)
            .await
            .unwrap();
    }

    async fn event(&mut self) -> ClientEvent {
        let event = tokio::time::timeout(Duration::from_secs(10), self.events.recv()).await;
        event.expect("an event in time").expect("a running call")
    }

    async fn speech(&mut self) -> SpeechFrame {
        let event = self.event().await;
        let ClientEvent::Speech(frame) = event else {
            panic!("speech expected, got {event:?}")
        };
        frame
    }

    async fn press_and_grant(&mut self) {
        self.tell(CallCommand::Press(Some("sip:unit-1@mc.example".to_owned())))
            .await;
        let Message::FloorRequest(request) = self.floor_message().await else {
            panic!("Floor Request expected");
        };
        assert_eq!(
            request.functional_alias.as_deref(),
            Some("sip:unit-1@mc.example")
        );
        self.send_floor(granted()).await;
        let duration = Some(Duration::from_secs(30));
        assert_eq!(
            self.event().await,
            ClientEvent::FloorGranted {
                group: group(),
                duration
            }
        );
    }
}

const EVENTS: usize = 1024;

fn granted() -> FloorGranted {
    FloorGranted {
        duration: Duration::from_secs(30),
        ssrc: None,
        priority: None,
        track_info: None,
        indicator: None,
    }
}

fn tone() -> Vec<i16> {
    (0..320).map(|n: i16| (n % 40 - 20) * 300).collect()
}

#[tokio::test]
async fn floor_and_speech_between_two_members() {
    let (mut alice, mut bob) = (Member::new("alice", 5).await, Member::new("bob", 5).await);
    alice.connect(bob.audio).await;
    bob.connect(alice.audio).await;
    alice.press_and_grant().await;
    let talker = Some("sip:alice@mc.example".to_owned());
    bob.send_floor(FloorTaken {
        granted_party: talker.clone(),
        may_request: true,
        functional_alias: Some("sip:unit-1@mc.example".to_owned()),
        ..taken()
    })
    .await;
    let functional_alias = Some("sip:unit-1@mc.example".to_owned());
    let taken = ClientEvent::FloorTaken {
        group: group(),
        talker,
        functional_alias,
    };
    assert_eq!(bob.event().await, taken);
    for _ in 0..10 {
        alice.tell(CallCommand::Speech(tone())).await;
    }
    let first = bob.speech().await;
    assert!(first.marker && first.timestamp == 0);
    assert_eq!(first.samples.len(), 320);
    let mut last = first.clone();
    for _ in 1..10 {
        let frame = bob.speech().await;
        assert_eq!(frame.sequence, last.sequence.wrapping_add(1));
        assert_eq!(
            (frame.ssrc, frame.marker, frame.concealed),
            (first.ssrc, false, false)
        );
        last = frame;
    }
    assert!(last.samples.iter().any(|sample| sample.abs() > 1000));

    alice.tell(CallCommand::Release).await;
    assert_eq!(
        alice.event().await,
        ClientEvent::FloorReleased { group: group() }
    );
    assert!(matches!(
        alice.floor_message().await,
        Message::FloorRelease(_)
    ));
}

#[tokio::test]
async fn nothing_is_sent_without_the_floor_and_after_a_revoke() {
    let mut alice = Member::new("alice", 5).await;
    let listener = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(listener.local_addr().unwrap()).await;
    alice.tell(CallCommand::Speech(tone())).await;
    alice.press_and_grant().await;
    alice.tell(CallCommand::Speech(tone())).await;
    let mut packet = [0; MAX_PACKET];
    let (_, from) = listener.recv_from(&mut packet).await.unwrap();
    assert_eq!(from, alice.audio);
    assert_eq!(
        packet[1] & 0x80,
        0x80,
        "the first packet sent begins the burst"
    );
    alice
        .send_floor(FloorRevoke {
            cause: RevokeCause::MediaBurstTooLong,
            phrase: "too long".to_owned(),
            track_info: None,
            indicator: None,
        })
        .await;
    let revoked = ClientEvent::FloorRevoked {
        group: group(),
        cause: 2,
        phrase: "too long".to_owned(),
    };
    assert_eq!(alice.event().await, revoked);
    alice.tell(CallCommand::Speech(tone())).await;
    // The release that answers the revoke shows that the frame before it was looked at.
    assert!(matches!(
        alice.floor_message().await,
        Message::FloorRelease(_)
    ));
    assert!(listener.try_recv(&mut packet).is_err());
}

#[tokio::test]
async fn packets_under_another_gmk_or_from_a_stranger_are_not_heard() {
    let (mut alice, mut bob) = (Member::new("alice", 6).await, Member::new("bob", 5).await);
    alice.connect(bob.audio).await;
    bob.connect(alice.audio).await;
    alice.press_and_grant().await;
    alice.tell(CallCommand::Speech(tone())).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&[0x80; 60], bob.audio).await.unwrap();
    stranger.send_to(&[0x80; 60], bob.floor).await.unwrap();
    // Floor control that fails authentication is dropped too; the next good message gets through.
    bob.server.send_to(&[0x80; 60], bob.floor).await.unwrap();
    bob.send_floor(taken()).await;
    assert!(matches!(bob.event().await, ClientEvent::FloorTaken { .. }));
    assert!(bob.events.try_recv().is_err());
}

fn taken() -> FloorTaken {
    FloorTaken {
        granted_party: None,
        may_request: true,
        sequence_number: 1,
        track_info: None,
        indicator: None,
        ssrc: None,
        granted_users: Vec::new(),
        ssrcs: Vec::new(),
        functional_alias: None,
        functional_aliases: Vec::new(),
        location: None,
        locations: None,
    }
}
