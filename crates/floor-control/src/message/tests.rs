use core::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::error::DecodeError;
use crate::mcpc::{McpcMessage, McpcPacket};

const VECTORS: &str = include_str!("../../tests/vectors/floor_vectors.json");

fn vectors() -> Vec<serde_json::Value> {
    let file: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
    file["vectors"].as_array().unwrap().clone()
}

fn vector(name: &str) -> Vec<u8> {
    let vectors = vectors();
    let found = vectors
        .iter()
        .find(|vector| vector["name"] == name)
        .unwrap();
    hex::decode(found["hex"].as_str().unwrap()).unwrap()
}

fn only(datagram: &[u8]) -> Result<FloorPacket, DecodeError> {
    let mut packets = FloorPacket::decode_all(datagram);
    let first = packets.next().expect("one message");
    assert!(packets.next().is_none(), "a second message");
    first
}

#[test]
fn every_vector_decodes_and_encodes_to_the_same_octets() {
    let mut seen = 0;
    for vector in vectors() {
        let name = vector["name"].as_str().unwrap();
        let octets = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        let mut again = Vec::new();
        if vector["rtcp_name"] == "MCPC" {
            for packet in McpcPacket::decode_all(&octets) {
                again.extend(packet.unwrap().to_bytes().unwrap());
            }
        } else {
            for packet in FloorPacket::decode_all(&octets) {
                let packet = packet.unwrap_or_else(|error| panic!("{name}: {error}"));
                if let Some(subtype) = vector["subtype"].as_u64() {
                    assert_eq!(u64::from(packet.message.subtype()), subtype & 0xf, "{name}");
                    assert_eq!(Some(packet.ack_required), vector["ack_required"].as_bool());
                    assert_eq!(
                        Some(packet.message.clause()),
                        vector["clause"].as_str(),
                        "{name}"
                    );
                }
                packet.encode(&mut again).unwrap();
            }
        }
        assert_eq!(hex::encode(&again), hex::encode(&octets), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 38);
}

#[test]
fn values_of_the_vectors_are_read_as_their_clause_says() {
    let request = only(&vector("floor_request_functional_alias_location")).unwrap();
    assert_eq!(
        request.message,
        FloorMessage::FloorRequest(FloorRequest {
            priority: Some(5),
            track_info: None,
            indicator: Some(FloorIndicator::NORMAL),
            functional_alias: Some("sip:duty-officer@mcptt.example.org".into()),
            location: Some(Location {
                kind: LocationKind::NotProvided,
                value: vec![]
            }),
        })
    );
    let granted = only(&vector("floor_granted")).unwrap();
    assert_eq!(granted.ssrc, 0x5E4E_4F01);
    assert_eq!(
        granted.message,
        FloorMessage::FloorGranted(FloorGranted {
            duration: Duration::from_secs(30),
            ssrc: Some(0x0A11_CE55),
            priority: Some(5),
            track_info: None,
            indicator: Some(FloorIndicator::NORMAL | FloorIndicator::QUEUEING_SUPPORTED),
        })
    );
    let FloorMessage::FloorTaken(taken) =
        only(&vector("floor_taken_multi_talker")).unwrap().message
    else {
        panic!("not Floor Taken")
    };
    assert_eq!(
        taken.granted_users,
        ["sip:alice@mcptt.example.org", "sip:bob@mcptt.example.org"]
    );
    assert_eq!(taken.ssrcs, [0x0A11_CE55, 0x0B0B_0B02]);
    assert!(taken.may_request);
    let FloorMessage::FloorDeny(deny) = only(&vector("floor_deny_with_phrase")).unwrap().message
    else {
        panic!("not Floor Deny")
    };
    assert_eq!(
        (deny.cause, deny.phrase.as_str()),
        (DenyCause::ReceiveOnly, "receive only")
    );
    let FloorMessage::FloorRevoke(revoke) =
        only(&vector("floor_revoke_no_permission")).unwrap().message
    else {
        panic!("not Floor Revoke")
    };
    assert_eq!(revoke.cause, RevokeCause::NoPermission);
    let McpcMessage::Connect(connect) = McpcPacket::decode_all(&vector("mcpc_connect"))
        .next()
        .unwrap()
        .unwrap()
        .message
    else {
        panic!("not Connect")
    };
    assert_eq!(connect.session.unwrap().session_type, 3);
    assert_eq!(connect.answer_state, Some(1));
}

#[test]
fn several_messages_share_a_datagram() {
    let names: Vec<_> = FloorPacket::decode_all(&vector("datagram_with_two_messages"))
        .map(|packet| packet.unwrap().message.name())
        .collect();
    assert_eq!(names, ["Floor Revoke", "Floor Taken"]);
}

#[test]
fn every_truncation_of_a_datagram_is_an_error() {
    for vector in vectors() {
        let octets = hex::decode(vector["hex"].as_str().unwrap()).unwrap();
        for len in 1..octets.len() {
            let cut = octets.get(..len).unwrap();
            let failed = FloorPacket::decode_all(cut).filter(Result::is_err).count();
            // Cutting exactly between two messages leaves one whole message.
            let whole = vector["name"] == "datagram_with_two_messages" && len == 20;
            assert_eq!(
                failed,
                usize::from(!whole),
                "{} cut to {len}",
                vector["name"]
            );
        }
    }
}

#[test]
fn trailing_octets_do_not_hide_the_message_before_them() {
    let mut octets = vector("floor_release");
    octets.extend([0x84, 204]);
    let packets: Vec<_> = FloorPacket::decode_all(&octets).collect();
    assert!(packets[0].is_ok());
    assert_eq!(packets[1], Err(DecodeError::PeerTruncated));
    assert_eq!(packets.len(), 2);
}

#[test]
fn a_bad_message_does_not_hide_the_next() {
    // Duration of one octet, then a Floor Idle.
    let mut octets = hex::decode("81cc00035e4e4f014d43505401011e00").unwrap();
    octets.extend(vector("floor_idle"));
    let packets: Vec<_> = FloorPacket::decode_all(&octets).collect();
    assert_eq!(
        packets[0],
        Err(DecodeError::PeerFieldLength { id: 1, len: 1 })
    );
    assert!(packets[1].is_ok());
}

#[test]
fn impossible_headers_and_fields_are_named() {
    let cases = [
        ("44cc00020a11ce014d435054", DecodeError::PeerVersion(1)),
        ("a4cc00020a11ce014d435054", DecodeError::PeerPaddingBit),
        (
            "84c800020a11ce014d435054",
            DecodeError::UnsupportedPacketType(200),
        ),
        (
            "84cc00020a11ce0158595a30",
            DecodeError::UnsupportedName(*b"XYZ0"),
        ),
        ("84cc00010a11ce01", DecodeError::PeerTruncated),
        (
            "8ccc00020a11ce014d435054",
            DecodeError::UnsupportedSubtype(12),
        ),
        // Floor Request and Floor Revoke have no variant that asks for a Floor Ack.
        (
            "90cc00020a11ce014d435054",
            DecodeError::UnsupportedSubtype(0x10),
        ),
        (
            "96cc00035e4e4f014d43505402020003",
            DecodeError::UnsupportedSubtype(0x16),
        ),
        // Field length beyond the packet.
        (
            "84cc00030a11ce014d4350540d098000",
            DecodeError::PeerFieldTruncated,
        ),
        // Mandatory fields.
        (
            "85cc00020a11ce014d435054",
            DecodeError::PeerFieldMissing {
                subtype: 5,
                field: 8,
            },
        ),
        (
            "83cc00020a11ce014d435054",
            DecodeError::PeerFieldMissing {
                subtype: 3,
                field: 2,
            },
        ),
        // A functional alias that is not UTF-8.
        (
            "80cc00030a11ce014d4350541102ff80",
            DecodeError::PeerFieldNotUtf8(17),
        ),
        // A list of users whose entry is longer than the field, and SSRCs that are not there.
        (
            "82cc00050a11ce014d43505405020001080200010f020109",
            DecodeError::PeerFieldLength { id: 15, len: 2 },
        ),
        (
            "82cc00060a11ce014d435054050200010802000110030200000000ff",
            DecodeError::PeerFieldLength { id: 16, len: 3 },
        ),
    ];
    for (octets, error) in cases {
        assert_eq!(only(&hex::decode(octets).unwrap()), Err(error), "{octets}");
    }
}

#[test]
fn unknown_fields_are_skipped_by_their_length() {
    // Field 77 with three octets and padding, field 200 with a 16-bit length, then the indicator.
    let octets =
        hex::decode("84cc00070a11ce014d4350544d03aabbcc000000c80002eeff0000000d028000").unwrap();
    let packet = only(&octets).unwrap();
    assert_eq!(
        packet.message,
        FloorMessage::FloorRelease(FloorRelease {
            track_info: None,
            indicator: Some(FloorIndicator::NORMAL)
        })
    );
}

#[test]
fn an_ack_names_the_message_type_without_the_ack_bit() {
    let ack = FloorPacket {
        ssrc: 1,
        ack_required: true,
        message: FloorAck {
            source: Source::FloorParticipant,
            message_type: 0x11,
            track_info: None,
        }
        .into(),
    };
    let written = ack.to_bytes().unwrap();
    assert_eq!(
        hex::encode(&written),
        "8acc0004000000014d4350540a0200000c020100"
    );
    let mut with_bit = written.clone();
    with_bit[18] |= ACK_BIT;
    for datagram in [&written, &with_bit] {
        let read = FloorPacket::decode_all(datagram).next().unwrap().unwrap();
        assert_eq!(read.to_bytes().unwrap(), written);
        assert!(matches!(read.message, FloorMessage::FloorAck(ack) if ack.message_type == 1));
    }
}

#[test]
fn track_info_is_padded_inside_its_field() {
    let release = FloorPacket {
        ssrc: 0x0a11_ce01,
        ack_required: false,
        message: FloorRelease {
            track_info: Some(TrackInfo {
                queueing_capability: 1,
                participant_type: "fireman".into(),
                references: vec![0x0101_0101, 2],
            }),
            indicator: None,
        }
        .into(),
    };
    let octets = release.to_bytes().unwrap();
    assert_eq!(
        hex::encode(&octets),
        "84cc00070a11ce014d4350540b120107666972656d616e000101010100000002"
    );
    assert_eq!(only(&octets), Ok(release));
}

#[test]
fn texts_longer_than_their_length_octet_are_refused() {
    let request = FloorPacket {
        ssrc: 1,
        ack_required: false,
        message: FloorRequest {
            functional_alias: Some("a".repeat(256)),
            ..FloorRequest::default()
        }
        .into(),
    };
    let mut out = vec![1, 2, 3];
    assert!(request.encode(&mut out).is_err());
    assert_eq!(out, [1, 2, 3]);
}

fn indicator() -> impl Strategy<Value = Option<FloorIndicator>> {
    proptest::option::of(any::<u16>().prop_map(FloorIndicator))
}

fn track_info() -> impl Strategy<Value = Option<TrackInfo>> {
    let track = (
        any::<u8>(),
        "[a-z]{0,20}",
        proptest::collection::vec(any::<u32>(), 0..4),
    );
    proptest::option::of(
        track.prop_map(
            |(queueing_capability, participant_type, references)| TrackInfo {
                queueing_capability,
                participant_type,
                references,
            },
        ),
    )
}

fn uri() -> impl Strategy<Value = String> {
    "sip:[a-zé]{1,40}@[a-z.]{1,40}"
}

prop_compose! {
    fn taken()(
        granted_party in proptest::option::of(uri()), may_request: bool, sequence_number: u16,
        track_info in track_info(), indicator in indicator(), ssrc: Option<u32>,
        granted_users in proptest::collection::vec("[a-z]{0,30}", 0..4),
        ssrcs in proptest::collection::vec(any::<u32>(), 0..10),
        functional_alias in proptest::option::of(uri()),
        location in proptest::option::of((any::<u8>(), proptest::collection::vec(any::<u8>(), 0..9))),
    ) -> FloorMessage {
        FloorTaken {
            granted_party, may_request, sequence_number, track_info, indicator, ssrc,
            granted_users, ssrcs, functional_alias,
            functional_aliases: vec![],
            location: location.map(|(kind, value)| Location { kind: kind.into(), value }),
            locations: None,
        }.into()
    }
}

fn message() -> impl Strategy<Value = FloorMessage> {
    prop_oneof![
        taken(),
        (
            any::<Option<u8>>(),
            track_info(),
            indicator(),
            proptest::option::of(uri())
        )
            .prop_map(
                |(priority, track_info, indicator, functional_alias)| FloorRequest {
                    priority,
                    track_info,
                    indicator,
                    functional_alias,
                    location: None
                }
                .into()
            ),
        (
            any::<u16>(),
            any::<Option<u32>>(),
            any::<Option<u8>>(),
            indicator()
        )
            .prop_map(|(seconds, ssrc, priority, indicator)| FloorGranted {
                duration: Duration::from_secs(seconds.into()),
                ssrc,
                priority,
                track_info: None,
                indicator
            }
            .into()),
        (any::<u16>(), "[ -~é]{0,80}", track_info(), indicator()).prop_map(
            |(cause, phrase, track_info, indicator)| FloorDeny {
                cause: cause.into(),
                phrase,
                track_info,
                indicator
            }
            .into()
        ),
        (any::<u16>(), "[ -~é]{0,80}", track_info(), indicator()).prop_map(
            |(cause, phrase, track_info, indicator)| FloorRevoke {
                cause: cause.into(),
                phrase,
                track_info,
                indicator
            }
            .into()
        ),
        (any::<u8>(), any::<u8>(), track_info()).prop_map(|(position, priority, track_info)| {
            QueuePositionInfo {
                queue_info: QueueInfo {
                    position: position.into(),
                    priority,
                },
                track_info,
                indicator: None,
            }
            .into()
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_itself(ssrc: u32, ack: bool, messages in proptest::collection::vec(message(), 1..4)) {
        let mut datagram = Vec::new();
        let sent: Vec<_> = messages
            .into_iter()
            .map(|message| FloorPacket {
                ssrc,
                ack_required: ack && FloorMessage::subtype_may_ask_ack(message.subtype()),
                message,
            })
            .collect();
        for packet in &sent {
            packet.encode(&mut datagram).unwrap();
        }
        prop_assert_eq!(datagram.len() % 4, 0);
        let received: Vec<_> = FloorPacket::decode_all(&datagram).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(received, sent);
    }

    #[test]
    fn no_octets_make_the_decoder_fail_otherwise_than_by_an_error(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        for packet in FloorPacket::decode_all(&octets).flatten() {
            // Whatever was understood can be said again and means the same.
            let again = packet.to_bytes().unwrap();
            prop_assert_eq!(only(&again), Ok(packet));
        }
        let _ = McpcPacket::decode_all(&octets).count();
    }

    #[test]
    fn flipped_octets_of_a_real_message_do_no_harm(which in 0usize..37, at in 0usize..60, octet: u8) {
        let vectors = vectors();
        let mut octets = hex::decode(vectors[which]["hex"].as_str().unwrap()).unwrap();
        let len = octets.len();
        octets[at % len] = octet;
        let _ = FloorPacket::decode_all(&octets).count();
    }
}
