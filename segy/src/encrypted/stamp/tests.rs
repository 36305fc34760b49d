use std::time::Instant;

use mc_client::CallId;
use mc_ids::GroupId;

use super::*;

fn sink() -> Sink {
    let (events, _bridge) = mpsc::channel(1);
    Sink::new(events)
}

fn frame(ssrc: u32, sequence: u16, concealed: bool) -> SpeechFrame {
    SpeechFrame {
        call: CallId::Group(GroupId::new("sip:fire@mc.example").unwrap()),
        guk_id: None,
        ssrc,
        sequence,
        timestamp: u32::from(sequence) * 320,
        marker: false,
        concealed,
        received: Instant::now(),
        samples: vec![0; 320],
    }
}

#[test]
fn frames_made_up_for_lost_packets_get_the_lost_numbers() {
    let mut sink = sink();
    let mut at = |ssrc, sequence, concealed| {
        let stamp = sink.stamp(&frame(ssrc, sequence, concealed));
        (stamp.sequence, stamp.timestamp / 320)
    };
    assert_eq!(at(1, u16::MAX, false), (65535, 65535));
    // Packets 0 and 1 are lost, 2 comes: the client hands over three frames with its numbers.
    assert_eq!(at(1, 2, true), (0, 65536));
    assert_eq!(at(1, 2, true), (1, 65537));
    assert_eq!(at(1, 2, false).0, 2);
    assert_eq!(at(2, 9, true).0, 9, "another talker");
}
