//! tshark's MCPTT dissector reads what our encoder writes, with no mark of malformation.

#![expect(clippy::unwrap_used, reason = "the pcap writer of a test")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use floor_control::message::{
    DenyCause, FloorAck, FloorDeny, FloorGranted, FloorIdle, FloorIndicator, FloorMessage,
    FloorPacket, FloorRelease, FloorReleaseMultiTalker, FloorRequest, FloorRevoke, FloorTaken,
    Location, LocationKind, QueueInfo, QueuePosition, QueuePositionInfo, QueuePositionRequest,
    RevokeCause, Source, TrackInfo,
};

const PORT: u16 = 40_002;

/// A classic pcap file of raw IPv4 packets, one UDP datagram each.
fn pcap(datagrams: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0002_0004, 0, 0, 65_535, 101] {
        if word == 0x0002_0004 {
            file.extend(2u16.to_le_bytes());
            file.extend(4u16.to_le_bytes());
        } else {
            file.extend(word.to_le_bytes());
        }
    }
    for (second, payload) in (0u32..).zip(datagrams) {
        let udp_len = u16::try_from(8 + payload.len()).unwrap();
        let mut packet = vec![0x45, 0];
        packet.extend((20 + udp_len).to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1]);
        packet.extend(PORT.to_be_bytes());
        packet.extend(PORT.to_be_bytes());
        packet.extend(udp_len.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        let len = u32::try_from(packet.len()).unwrap();
        for word in [second, 0, len, len] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

#[expect(clippy::too_many_lines, reason = "a list of every message")]
fn every_message() -> Vec<FloorPacket> {
    let indicator = Some(FloorIndicator::EMERGENCY);
    let track_info = Some(TrackInfo {
        queueing_capability: 1,
        participant_type: "fireman".into(),
        references: vec![7, 8],
    });
    let location = Location {
        kind: LocationKind::Coordinates,
        value: vec![1, 2, 3, 4, 5, 6],
    };
    let messages: Vec<FloorMessage> = vec![
        FloorRequest {
            priority: Some(7),
            track_info: track_info.clone(),
            indicator,
            functional_alias: Some("sip:unit-1001@lmr.mc.example".into()),
            location: Some(location.clone()),
        }
        .into(),
        FloorGranted {
            duration: Duration::from_secs(30),
            ssrc: Some(0x1234_5678),
            priority: Some(7),
            track_info: track_info.clone(),
            indicator,
        }
        .into(),
        FloorTaken {
            granted_party: Some("sip:alice@mc.example".into()),
            may_request: true,
            sequence_number: 9,
            track_info,
            indicator,
            ssrc: Some(0x1234_5678),
            functional_alias: Some("sip:unit-1001@lmr.mc.example".into()),
            location: Some(location),
            ..FloorTaken::default()
        }
        .into(),
        FloorDeny {
            cause: DenyCause::QueueFull,
            phrase: "queue full".into(),
            track_info: None,
            indicator,
        }
        .into(),
        FloorRelease {
            track_info: None,
            indicator,
        }
        .into(),
        FloorIdle {
            sequence_number: 10,
            track_info: None,
            indicator,
        }
        .into(),
        FloorRevoke {
            cause: RevokeCause::MediaBurstTooLong,
            phrase: "media burst too long".into(),
            track_info: None,
            indicator,
        }
        .into(),
        QueuePositionRequest::default().into(),
        QueuePositionInfo {
            queue_info: QueueInfo {
                position: QueuePosition::Place(2),
                priority: 7,
            },
            track_info: None,
            indicator,
        }
        .into(),
        FloorAck {
            source: Source::ControllingFunction,
            message_type: 4,
            track_info: None,
        }
        .into(),
        FloorReleaseMultiTalker {
            ssrc: Some(3),
            user_id: Some("sip:bob@mc.example".into()),
            indicator,
        }
        .into(),
    ];
    let plain = messages.into_iter().map(|message| FloorPacket {
        ssrc: 0x0A11_CE01,
        ack_required: false,
        message,
    });
    plain
        .flat_map(|packet| {
            [
                packet.clone(),
                FloorPacket {
                    ack_required: true,
                    ..packet
                },
            ]
        })
        .collect()
}

#[test]
fn tshark_reads_every_message_without_complaint() {
    let packets = every_message();
    let mut datagrams: Vec<Vec<u8>> = packets
        .iter()
        .map(|packet| packet.to_bytes().unwrap())
        .collect();
    // The last datagram holds all of the messages at once.
    datagrams.push(datagrams.concat());
    let file = std::env::temp_dir().join(format!("floor-{}.pcap", std::process::id()));
    fs::write(&file, pcap(&datagrams)).unwrap();
    let output = Command::new("tshark")
        .args(["-d", &format!("udp.port=={PORT},rtcp"), "-V", "-r"])
        .arg(&file)
        .output()
        .expect("tshark is missing: run `make test`");
    fs::remove_file(&file).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    for bad in [
        "alformed",
        "xpert Info (Error",
        "xpert Info (Warning",
        "bad padding",
        "Unknown field",
    ] {
        assert!(!text.contains(bad), "tshark says {bad}:\n{text}");
    }
    let seen = |what: &str| text.matches(what).count();
    assert_eq!(seen("Name (ASCII): MCPT"), 2 * packets.len());
    for (name, times) in [
        ("Floor Request", 4),
        ("Floor Granted", 2),
        ("Floor Taken", 2),
        ("Floor Deny", 2),
        ("Floor Release", 2),
        ("Floor Idle", 2),
        ("Floor Revoke", 4),
        ("Floor Queue Position Info", 2),
        ("Floor Ack", 4),
    ] {
        assert!(seen(name) >= times, "{name} is named {} times", seen(name));
    }
    for value in [
        "sip:alice@mc.example",
        "sip:unit-1001@lmr.mc.example",
        "Queue full",
        "media burst too long",
    ] {
        assert!(text.contains(value), "{value} is not shown");
    }
}
