//! Every sample message parses, keeps its content, and survives being written again.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::fs;
use std::path::PathBuf;

use mc_sip::sdp::{McpttMedia, Sdp};
use mc_sip::{Frame, Multipart, SipMessage, StreamFramer, mcptt, parse_message};

fn samples() -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut samples: Vec<(String, Vec<u8>)> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "sip"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect();
    samples.sort();
    assert!(samples.len() > 35, "the sample messages are missing");
    samples
}

/// Order of header fields is kept per name, so comparing the sorted lines proves nothing was lost.
fn sorted_lines(bytes: &[u8]) -> (Vec<String>, Vec<u8>) {
    let at = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
    let mut lines: Vec<String> = head.split("\r\n").map(str::to_owned).collect();
    lines.sort();
    (lines, bytes[at + 4..].to_vec())
}

#[test]
fn samples_are_written_back_with_the_same_bytes() {
    for (name, bytes) in samples() {
        let message = parse_message(&bytes).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(
            sorted_lines(&message.to_bytes()),
            sorted_lines(&bytes),
            "{name}"
        );
    }
}

#[test]
fn samples_are_framed_out_of_a_stream_byte_by_byte() {
    let samples = samples();
    let mut framer = StreamFramer::new();
    let mut frames = Vec::new();
    for byte in samples.iter().flat_map(|(_, bytes)| bytes) {
        framer.push(&[*byte]);
        while let Some(frame) = framer.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    let expected: Vec<Frame> = samples
        .into_iter()
        .map(|(_, bytes)| Frame::Message(bytes))
        .collect();
    assert_eq!(frames, expected);
}

#[test]
fn every_body_opens_and_every_description_round_trips() {
    let mut descriptions = 0;
    for (name, bytes) in samples() {
        let message = parse_message(&bytes).unwrap();
        let body = match &message {
            SipMessage::Request(request) => &request.body,
            SipMessage::Response(response) => &response.body,
        };
        let parts =
            Multipart::of(message.headers(), body).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(parts.parts.is_empty(), body.is_empty(), "{name}");
        if let Some(part) = parts.get(mcptt::media::SDP) {
            let sdp = Sdp::parse(&part.content).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(
                Sdp::parse(sdp.to_string().as_bytes()),
                Ok(sdp.clone()),
                "{name}"
            );
            let media = McpttMedia::from_sdp(&sdp).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert!(media.octet_align && media.payload_type == 96, "{name}");
            descriptions += 1;
        }
        let (content_type, written) = parts.write("again");
        let headers = {
            let mut headers = message.headers().clone();
            headers.set("Content-Type", content_type);
            headers
        };
        let again = Multipart::of(&headers, &written).unwrap();
        let contents = |m: &Multipart| {
            m.parts
                .iter()
                .map(|p| p.content.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(contents(&again), contents(&parts), "{name}");
    }
    assert!(descriptions > 10);
}

#[test]
fn a_truncated_sample_is_refused_at_every_length() {
    for (name, bytes) in samples() {
        for length in 0..bytes.len() {
            assert!(
                parse_message(&bytes[..length]).is_err(),
                "{name} cut at {length}"
            );
        }
    }
}

#[test]
fn the_group_call_sample_says_what_the_digest_says() {
    let (_, bytes) = samples()
        .into_iter()
        .find(|(name, _)| name.starts_with("10_"))
        .unwrap();
    let SipMessage::Request(invite) = parse_message(&bytes).unwrap() else {
        panic!("a request")
    };
    assert!(mcptt::accepts_mcptt(&invite.headers));
    assert_eq!(invite.headers.session_expires().unwrap().seconds, 1800);
    let contact = invite.headers.contact().unwrap();
    assert!(mcptt::has_mcptt(&contact.params));
    assert_eq!(
        contact.params.get_unquoted("+g.3gpp.icsi-ref").unwrap(),
        "urn%3Aurn-7%3A3gpp-service.ims.icsi.mcptt"
    );
    let sdp = Multipart::of(&invite.headers, &invite.body).unwrap();
    let sdp = Sdp::parse(&sdp.get(mcptt::media::SDP).unwrap().content).unwrap();
    let media = McpttMedia::from_sdp(&sdp).unwrap();
    assert_eq!(media.audio.to_string(), "192.0.2.10:40000");
    assert_eq!(media.floor.unwrap().port(), 40002);
    assert_eq!(
        media.floor_parameters.to_string(),
        "mc_queueing;mc_priority=5;mc_granted;mc_implicit_request"
    );
}
