//! Two parties of a call, their media connected directly, the test as their floor control server.

use std::time::Duration;

use floor_control::message::{FloorGranted, FloorMessage, FloorRevoke, FloorTaken, RevokeCause};
use floor_control::{FloorMessage as Message, FloorPacket};
use mc_ids::{Gmk, GmkId, GroupId, Key128, KeyId, NtpTime};
use mc_media::{Layout, MasterKey, MkiLength, SrtcpReceiver, SrtcpSender, SrtpReceiver};
use mc_runtime::TestClock;
use mikey::{DistributedKey, Opened, Party};
use tempfile::TempDir;

use super::*;
use crate::Association;
use crate::attachment::FloorKeys;
use crate::config::ServerIdentities;
use crate::event::SpeechFrame;
use crate::private_call_key::PrivateCallKey;

const GMS: &str = "sip:gms@mc.example";

fn group() -> GroupId {
    GroupId::new("sip:fire@mc.example").unwrap()
}

fn call() -> CallId {
    CallId::Group(group())
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
    keys.accept(&opened, &ServerIdentities::default(), &[group()])
        .unwrap();
    keys
}

/// One party with its side of the floor control server.
struct Member {
    call: CallId,
    commands: mpsc::Sender<CallCommand>,
    events: mpsc::Receiver<ClientEvent>,
    audio: SocketAddr,
    floor: SocketAddr,
    server: UdpSocket,
    sender: SrtcpSender,
    receiver: SrtcpReceiver,
    protect_floor: bool,
    association: Association,
    _dirs: [TempDir; 2],
}

impl Member {
    /// A member of the group.
    async fn new(name: &str, gmk: u8) -> Self {
        Self::with_keys(name, gmk, call(), SpeechKeys::Group(group())).await
    }

    /// A member of the group when its document writes all protection off.
    async fn in_clear(name: &str) -> Self {
        Self::protected_by(name, 5, call(), SpeechProtection::Clear, false).await
    }

    /// A party of a private call.
    async fn private(name: &str, key: PrivateCallKey) -> Self {
        Self::with_keys(name, 5, CallId::Private(1), SpeechKeys::Private(key)).await
    }

    async fn with_keys(name: &str, gmk: u8, call: CallId, keys: SpeechKeys) -> Self {
        Self::protected_by(name, gmk, call, SpeechProtection::Srtp(keys), true).await
    }

    async fn protected_by(
        name: &str,
        gmk: u8,
        call: CallId,
        speech: SpeechProtection,
        protect_floor: bool,
    ) -> Self {
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
        let floor_keys = match protect_floor {
            true => FloorKeys::of_csk(&association, shared.state.clone()),
            false => FloorKeys::Clear,
        };
        let protection = CallProtection {
            speech,
            floor: floor_keys,
        };
        let task = Call::new(shared, call.clone(), protection, sockets).unwrap();
        let (commands, queue) = mpsc::channel(64);
        tokio::spawn(task.run(queue));
        let lease = StateDir::open(dirs[1].path())
            .unwrap()
            .lease(association.mki(), &[]);
        Self {
            call,
            commands,
            events: receiver,
            audio,
            floor,
            server: UdpSocket::bind("127.0.0.1:0").await.unwrap(),
            sender: SrtcpSender::new(&association.floor_key(), lease.unwrap()),
            receiver: SrtcpReceiver::new(MkiLength::Four),
            protect_floor,
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
        let packet = &mut packet[..length];
        let plain = match self.protect_floor {
            true => self.receiver.open(packet, |_| Some(key)).unwrap().packet,
            false => packet,
        };
        FloorPacket::decode_all(plain)
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
        let plain = packet.to_bytes().unwrap();
        if !self.protect_floor {
            self.server.send_to(&plain, self.floor).await.unwrap();
            return;
        }
        let mut out = [0; MAX_PACKET];
        let length = self.sender.seal(&plain, &mut out).unwrap();
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
                call: self.call.clone(),
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
        call: call(),
        talker,
        functional_alias,
    };
    assert_eq!(bob.event().await, taken);
    for _ in 0..10 {
        alice.tell(CallCommand::Speech(tone(), None)).await;
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
        ClientEvent::FloorReleased { call: call() }
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
    alice.tell(CallCommand::Speech(tone(), None)).await;
    alice.press_and_grant().await;
    alice.tell(CallCommand::Speech(tone(), None)).await;
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
        call: call(),
        cause: 2,
        phrase: "too long".to_owned(),
    };
    assert_eq!(alice.event().await, revoked);
    alice.tell(CallCommand::Speech(tone(), None)).await;
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
    alice.tell(CallCommand::Speech(tone(), None)).await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(&[0x80; 60], bob.audio).await.unwrap();
    stranger.send_to(&[0x80; 60], bob.floor).await.unwrap();
    // Floor control that fails authentication is dropped too; the next good message gets through.
    bob.server.send_to(&[0x80; 60], bob.floor).await.unwrap();
    bob.send_floor(taken()).await;
    assert!(matches!(bob.event().await, ClientEvent::FloorTaken { .. }));
    assert!(bob.events.try_recv().is_err());
}

#[tokio::test]
async fn private_speech_goes_under_the_pck_with_a_key_of_each_direction() {
    let key = PrivateCallKey::draw(&mut mc_runtime::rng());
    let mut alice = Member::private("alice", key.clone()).await;
    let mut bob = Member::private("bob", key.far_end()).await;
    alice.connect(bob.audio).await;
    bob.connect(alice.audio).await;
    alice.press_and_grant().await;
    alice.tell(CallCommand::Speech(tone(), None)).await;
    let heard = bob.speech().await;
    assert_eq!((heard.call, heard.guk_id), (CallId::Private(1), None));
    bob.press_and_grant().await;
    bob.tell(CallCommand::Speech(tone(), None)).await;
    assert!(alice.speech().await.marker);
}

#[tokio::test]
async fn private_packets_name_the_pck_and_open_with_the_initiators_key_only() {
    let key = PrivateCallKey::draw(&mut mc_runtime::rng());
    let mut alice = Member::private("alice", key.clone()).await;
    let listener = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(listener.local_addr().unwrap()).await;
    alice.press_and_grant().await;
    alice.tell(CallCommand::Speech(tone(), None)).await;
    let mut packet = [0; MAX_PACKET];
    let length = listener.recv(&mut packet).await.unwrap();
    let packet = &packet[..length];
    assert_eq!(packet.last_chunk::<4>(), Some(&key.id().key_id().octets()));
    let opens = |session| {
        let keys = MasterKey::from(&key.media_keys(session));
        let mut copy = packet.to_vec();
        let mut receiver = SrtpReceiver::new(Layout::PRIVATE);
        receiver.open(&mut copy, |_| Some(keys)).is_ok()
    };
    assert!(opens(mikey::CryptoSession::PrivateCallInitiator));
    assert!(!opens(mikey::CryptoSession::PrivateCallReceiver));
    // What comes back from elsewhere in the sender's own direction is not heard.
    listener.send_to(packet, alice.audio).await.unwrap();
    alice.send_floor(taken()).await;
    assert!(!matches!(alice.event().await, ClientEvent::Speech(_)));
}

#[tokio::test]
async fn without_protection_speech_is_rtp_and_floor_control_rtcp_in_clear() {
    let (mut alice, mut bob) = (
        Member::in_clear("alice").await,
        Member::in_clear("bob").await,
    );
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(relay.local_addr().unwrap()).await;
    bob.connect(relay.local_addr().unwrap()).await;
    alice.press_and_grant().await;
    bob.send_floor(taken()).await;
    assert!(matches!(bob.event().await, ClientEvent::FloorTaken { .. }));
    let mut packet = [0; MAX_PACKET];
    for n in 0..3 {
        alice.tell(CallCommand::Speech(tone(), None)).await;
        let length = relay.recv(&mut packet).await.unwrap();
        // RTP header, then payload header, table of contents and 477 bits of 23.85 kbit/s (RFC 4867 4.4).
        assert_eq!((length, &packet[12..14]), (12 + 62, &[0xf0, 0x44][..]));
        assert_eq!(packet[1], if n == 0 { 0xe0 } else { 0x60 });
        relay.send_to(&packet[..length], bob.audio).await.unwrap();
        let heard = bob.speech().await;
        assert_eq!((heard.marker, heard.guk_id), (n == 0, None));
    }
}

/// Has alice talk, and bob, who does not listen to that, get it all before his next floor message.
async fn talk_past(alice: &mut Member, bob: &Member) {
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(relay.local_addr().unwrap()).await;
    bob.connect(relay.local_addr().unwrap()).await;
    alice.press_and_grant().await;
    let mut packet = [0; MAX_PACKET];
    for _ in 0..10 {
        alice.tell(CallCommand::Speech(tone(), None)).await;
        let length = relay.recv(&mut packet).await.unwrap();
        relay.send_to(&packet[..length], bob.audio).await.unwrap();
    }
}

fn taken_packet(ssrc: u32) -> Vec<u8> {
    let packet = FloorPacket {
        ssrc,
        ack_required: false,
        message: taken().into(),
    };
    packet.to_bytes().unwrap()
}

#[tokio::test]
async fn what_is_protected_all_the_same_is_not_heard_in_a_call_in_clear() {
    let (mut alice, mut bob) = (Member::new("alice", 5).await, Member::in_clear("bob").await);
    talk_past(&mut alice, &bob).await;
    // Floor control under a CSK is not heard either; the message in clear after it is.
    let mut sealed = [0; MAX_PACKET];
    let plain = taken_packet(alice.sender.ssrc());
    let length = alice.sender.seal(&plain, &mut sealed).unwrap();
    bob.server
        .send_to(&sealed[..length], bob.floor)
        .await
        .unwrap();
    bob.send_floor(taken()).await;
    assert!(matches!(bob.event().await, ClientEvent::FloorTaken { .. }));
    assert!(bob.events.try_recv().is_err());
}

#[tokio::test]
async fn nothing_falls_back_to_clear() {
    let (mut alice, mut bob) = (Member::in_clear("alice").await, Member::new("bob", 5).await);
    talk_past(&mut alice, &bob).await;
    bob.server
        .send_to(&taken_packet(1), bob.floor)
        .await
        .unwrap();
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

/// Alice talks through a relay that lets the test change the order of her packets.
#[tokio::test]
async fn packets_that_changed_places_are_heard_in_order_and_a_lost_one_is_concealed() {
    let (mut alice, mut bob) = (Member::new("alice", 5).await, Member::new("bob", 5).await);
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(relay.local_addr().unwrap()).await;
    bob.connect(relay.local_addr().unwrap()).await;
    alice.press_and_grant().await;
    let mut packets = Vec::new();
    for _ in 0..8 {
        alice.tell(CallCommand::Speech(tone(), None)).await;
        let mut packet = vec![0; MAX_PACKET];
        let length = relay.recv(&mut packet).await.unwrap();
        packet.truncate(length);
        packets.push(packet);
    }
    let first = u16::from_be_bytes([packets[0][2], packets[0][3]]);
    // The fourth is lost; the sixth has to wait for the fifth, and nothing comes after the eighth.
    for n in [0, 2, 1, 5, 4, 7, 6] {
        relay.send_to(&packets[n], bob.audio).await.unwrap();
    }
    let mut heard = Vec::new();
    for _ in 0..8 {
        let frame = bob.speech().await;
        heard.push((frame.sequence.wrapping_sub(first), frame.concealed));
    }
    let expected = [
        (0, false),
        (1, false),
        (2, false),
        (4, true),
        (4, false),
        (5, false),
        (6, false),
        (7, false),
    ];
    assert_eq!(heard, expected);
    // Late: it was made up already.
    relay.send_to(&packets[3], bob.audio).await.unwrap();
    bob.send_floor(taken()).await;
    assert!(matches!(bob.event().await, ClientEvent::FloorTaken { .. }));
}

/// What waits for a packet before it is heard before the floor is idle.
#[tokio::test]
async fn the_end_of_a_burst_does_not_overtake_what_waits() {
    let (mut alice, mut bob) = (Member::new("alice", 5).await, Member::new("bob", 5).await);
    let relay = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    alice.connect(relay.local_addr().unwrap()).await;
    bob.connect(relay.local_addr().unwrap()).await;
    alice.press_and_grant().await;
    for n in 0..3 {
        alice.tell(CallCommand::Speech(tone(), None)).await;
        let mut packet = vec![0; MAX_PACKET];
        let length = relay.recv(&mut packet).await.unwrap();
        if n != 1 {
            relay.send_to(&packet[..length], bob.audio).await.unwrap();
        }
    }
    assert!(!bob.speech().await.concealed);
    bob.send_floor(taken()).await;
    assert!(bob.speech().await.concealed);
    assert!(!bob.speech().await.concealed);
    assert!(matches!(bob.event().await, ClientEvent::FloorTaken { .. }));
}
