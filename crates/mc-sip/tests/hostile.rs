//! Torture cases in the manner of RFC 4475, and hostile input: each refused with the right status.

#![expect(clippy::expect_used, reason = "test code")]

use mc_sip::{
    BodyError, Headers, Method, Multipart, ParseError, SipMessage, StreamFramer, parse_message,
};

const MANDATORY: &str = "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKx\r\nFrom: <sip:a@example.org>;tag=1\r\n\
To: <sip:b@example.org>\r\nCall-ID: c1\r\nCSeq: 7 OPTIONS\r\n";

fn options(extra: &str, body: &str) -> Vec<u8> {
    format!("OPTIONS sip:b@example.org SIP/2.0\r\n{MANDATORY}{extra}\r\n{body}").into_bytes()
}

fn refused(bytes: &[u8]) -> (ParseError, Option<u16>) {
    let rejected = parse_message(bytes).expect_err("must be refused");
    (
        rejected.error,
        rejected.reply.map(|reply| reply.status.code()),
    )
}

#[test]
fn folding_compact_names_and_odd_spacing_are_read() {
    let text = "INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0\r\n\
t :\r\n <sip:vivekg@chair-dnrc.example.com> ;   tag    = 1918181833n\r\n\
f   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>\r\n  ;\r\n  tag = 98asjd8\r\n\
Max-ForWardS: 0068\r\nI: wsinv.ndaksdj@192.0.2.1\r\nl: 4\r\nCseq: 0009\r\n  INVITE\r\n\
V  : SIP  / 2.0 / UDP\r\n  192.0.2.2 ;branch=390skdjuw\r\n\
v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  , SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
NewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
m:\"Quoted string \\\"\\\"\" <sip:jdrosen@example.com> ; newparam =\r\n      newvalue ;\r\n  secondparam ; q = 0.33\r\n\r\nbodyEXTRA";
    let SipMessage::Request(invite) = parse_message(text.as_bytes()).unwrap() else {
        panic!("a request")
    };
    assert_eq!(
        invite.headers.from().unwrap().display.unwrap(),
        "J Rosenberg \\\""
    );
    assert_eq!(invite.headers.to().unwrap().tag(), Some("1918181833n"));
    assert_eq!(invite.headers.cseq().unwrap().number, 9);
    assert_eq!(invite.headers.max_forwards(), Some(68));
    assert_eq!(invite.headers.elements("Via").len(), 3);
    assert_eq!(
        invite.headers.contact().unwrap().params.get("q"),
        Some("0.33")
    );
    assert_eq!(invite.body, b"body");
}

#[test]
fn a_datagram_without_content_length_keeps_its_body() {
    let SipMessage::Request(request) = parse_message(&options("", "abc")).unwrap() else {
        panic!("a request")
    };
    assert_eq!(request.body, b"abc");
}

#[test]
fn a_body_that_is_not_text_is_kept_byte_for_byte() {
    let mut bytes = options(
        "Content-Type: application/mikey\r\nContent-Length: 256\r\n",
        "",
    );
    let body: Vec<u8> = (0..=255).collect();
    bytes.extend_from_slice(&body);
    let message = parse_message(&bytes).unwrap();
    assert!(message.to_bytes().ends_with(&body));
}

#[test]
fn defects_get_the_status_the_standard_gives_them() {
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        (
            "unknown method",
            options("", "").replace_start("OPTIONS sip", "DANCE sip"),
            501,
        ),
        (
            "lower case method",
            options("", "").replace_start("OPTIONS sip", "options sip"),
            501,
        ),
        (
            "version",
            options("", "").replace_start(
                "OPTIONS sip:b@example.org SIP/2.0",
                "OPTIONS sip:b@example.org SIP/7.0",
            ),
            505,
        ),
        (
            "scheme",
            options("", "").replace_start("OPTIONS sip:b", "OPTIONS soap:b"),
            416,
        ),
        (
            "angle brackets",
            options("", "")
                .replace_start("OPTIONS sip:b@example.org", "OPTIONS <sip:b@example.org>"),
            400,
        ),
        (
            "two spaces",
            options("", "").replace_start("OPTIONS sip", "OPTIONS  sip"),
            400,
        ),
        (
            "cseq method",
            options("", "").replace_start("OPTIONS sip", "MESSAGE sip"),
            400,
        ),
        ("truncated", options("Content-Length: 10\r\n", "abc"), 400),
        (
            "negative length",
            options("Content-Length: -1\r\n", ""),
            400,
        ),
        (
            "two lengths",
            options("Content-Length: 0\r\nl: 3\r\n", "abc"),
            400,
        ),
        ("no colon", options("Strange\r\n", ""), 400),
        ("two Call-IDs", options("i: c2\r\n", ""), 400),
        ("max-forwards", options("Max-Forwards: 300\r\n", ""), 400),
        ("header flood", options(&"X: y\r\n".repeat(200), ""), 400),
        (
            "huge head",
            options(&format!("X: {}\r\n", "y".repeat(20_000)), ""),
            513,
        ),
        ("huge message", options("", &"y".repeat(70_000)), 513),
    ];
    for (name, bytes, status) in cases {
        assert_eq!(refused(&bytes).1, Some(status), "{name}");
    }
}

trait ReplaceStart {
    fn replace_start(self, from: &str, to: &str) -> Vec<u8>;
}

impl ReplaceStart for Vec<u8> {
    fn replace_start(self, from: &str, to: &str) -> Vec<u8> {
        let rest = self
            .strip_prefix(from.as_bytes())
            .expect("test message starts so");
        [to.as_bytes(), rest].concat()
    }
}

#[test]
fn a_head_that_is_not_text_is_refused() {
    let mut bytes = options("", "");
    bytes.splice(20..20, [0xff, 0xfe]);
    assert_eq!(refused(&bytes), (ParseError::NotText, Some(400)));
    let nul = options("X: a\0b\r\n", "");
    assert_eq!(refused(&nul), (ParseError::NotText, Some(400)));
}

#[test]
fn nothing_is_answered_to_an_ack_a_response_or_noise() {
    for bytes in [
        b"ACK sip:b@example.org SIP/2.0\r\n\r\n".to_vec(),
        b"SIP/2.0 99999 OK\r\nVia: x\r\n\r\n".to_vec(),
        vec![0; 2000],
        b"\r\n\r\n".to_vec(),
        Vec::new(),
    ] {
        assert_eq!(refused(&bytes).1, None);
    }
}

#[test]
fn each_mandatory_header_field_is_missed() {
    for line in MANDATORY.split_inclusive("\r\n") {
        let bytes = String::from_utf8(options("", ""))
            .unwrap()
            .replace(line, "");
        let name = line.split(':').next().unwrap();
        let error = refused(bytes.as_bytes()).0;
        assert!(
            matches!(error, ParseError::MissingHeader(n) if n == name),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_stream_that_cannot_be_framed_is_answered_and_ends() {
    let mut framer = StreamFramer::new();
    framer.push(&options("", ""));
    let rejected = framer.next_frame().unwrap_err();
    assert_eq!(rejected.error, ParseError::MissingHeader("Content-Length"));
    assert_eq!(rejected.reply.unwrap().status.code(), 400);

    framer.push(&options("Content-Length: 99999\r\n", ""));
    let rejected = framer.next_frame().unwrap_err();
    assert_eq!(rejected.reply.unwrap().status.code(), 513);

    framer.push(&vec![b'x'; 17_000]);
    assert!(framer.next_frame().is_err());
}

#[test]
fn keep_alives_are_told_apart_from_leading_blank_lines() {
    let mut framer = StreamFramer::new();
    framer.push(b"\r\n");
    assert_eq!(framer.next_frame().unwrap(), None);
    framer.push(b"\r\n");
    assert_eq!(framer.next_frame().unwrap(), Some(mc_sip::Frame::Ping));
    framer.push(b"\r\n");
    framer.push(&options("Content-Length: 0\r\n", ""));
    assert!(matches!(
        framer.next_frame().unwrap(),
        Some(mc_sip::Frame::Message(_))
    ));
}

fn multipart(content_type: &str, body: &[u8]) -> Result<Multipart, BodyError> {
    let mut headers = Headers::new();
    headers.push("Content-Type", content_type);
    Multipart::of(&headers, body)
}

#[test]
fn hostile_multipart_bodies_are_refused() {
    let part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n";
    let many = format!("{}--b--\r\n", part.repeat(40));
    assert_eq!(
        multipart("multipart/mixed;boundary=b", many.as_bytes()),
        Err(BodyError::TooManyParts)
    );
    assert_eq!(
        multipart("multipart/mixed;boundary=b", part.as_bytes()),
        Err(BodyError::Unterminated)
    );
    assert_eq!(
        multipart("multipart/mixed", part.as_bytes()),
        Err(BodyError::NoBoundary)
    );
    assert_eq!(
        multipart("multipart/mixed;boundary=\"\"", part.as_bytes()),
        Err(BodyError::NoBoundary)
    );
    let bad = "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n--b--\r\n";
    assert_eq!(
        multipart("multipart/mixed;boundary=b", bad.as_bytes()),
        Err(BodyError::TransferEncoding)
    );
    let mut nested = "x".to_owned();
    for level in 0..4 {
        nested = format!(
            "--b{level}\r\nContent-Type: multipart/mixed;boundary=b{}\r\n\r\n{nested}\r\n--b{level}--\r\n",
            level - 1
        );
    }
    assert_eq!(
        multipart("multipart/mixed;boundary=b3", nested.as_bytes()),
        Err(BodyError::TooDeep)
    );
}

#[test]
fn a_delimiter_that_begins_no_line_is_none() {
    let parts = "--b\r\n\r\nfirst\r\n--b\r\n\r\nsecond\r\n--b--\r\n";
    for (before, expected) in [("", 2), ("\r\n", 2), ("x", 1), ("\n", 1), ("xx", 1)] {
        let body = format!("{before}{parts}");
        let read = multipart("multipart/mixed;boundary=b", body.as_bytes()).unwrap();
        assert_eq!(read.parts.len(), expected, "{before:?}");
    }
}

#[test]
fn the_line_break_before_a_boundary_belongs_to_the_boundary() {
    let body = "preamble\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b \r\n\r\n--b--x not the end\r\n--b--\r\nepilogue";
    let parts = multipart("Multipart/Mixed; boundary=\"b\"", body.as_bytes()).unwrap();
    assert_eq!(parts.parts[0].content, b"v=0\r\n");
    // `--b--x` at a line start is a closing delimiter followed by noise, as other readers see it.
    assert_eq!(parts.parts.len(), 2);
}

#[test]
fn binary_mikey_is_accepted_and_base64_is_sent() {
    let mut body = b"--b\r\nContent-Type: application/mikey\r\n\r\n".to_vec();
    let mikey: Vec<u8> = (0..=255).collect();
    body.extend_from_slice(&mikey);
    body.extend_from_slice(b"\r\n--b--\r\n");
    let parts = multipart("multipart/mixed;boundary=b", &body).unwrap();
    assert_eq!(parts.get("application/mikey").unwrap().content, mikey);
    let sent = mc_sip::BodyPart::new("application/mikey", mikey.clone());
    assert!(sent.transmitted.is_ascii());
    let (content_type, body) = Multipart::default()
        .with(sent)
        .with(mc_sip::BodyPart::new("text/plain", "x"))
        .write("q");
    assert_eq!(
        multipart(&content_type, &body)
            .unwrap()
            .get("application/mikey")
            .unwrap()
            .content,
        mikey
    );
}

#[test]
fn a_value_cannot_smuggle_a_header_field() {
    let mut headers = Headers::new();
    headers.push("Subject", "x\r\nRoute: <sip:evil@example.org>");
    assert_eq!(
        headers.to_string(),
        "Subject: x  Route: <sip:evil@example.org>\r\n"
    );
    assert_eq!(Method::allow().split(", ").count(), Method::ALL.len());
}

proptest::proptest! {
    #[test]
    fn no_octets_make_the_parsers_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..600)) {
        let _ = parse_message(&bytes);
        let _ = multipart("multipart/mixed;boundary=b", &bytes);
        let _ = mc_sip::sdp::Sdp::parse(&bytes);
        let mut framer = StreamFramer::new();
        framer.push(&bytes);
        while let Ok(Some(_)) = framer.next_frame() {}
    }

    #[test]
    fn no_change_of_one_octet_makes_the_parser_panic(at in 0usize..900, octet in proptest::num::u8::ANY) {
        let mut bytes = include_bytes!("vectors/10_invite_prearranged_ue_to_part.sip").to_vec();
        let at = at % bytes.len();
        bytes[at] = octet;
        if let Ok(SipMessage::Request(request)) = parse_message(&bytes)
            && let Ok(parts) = Multipart::of(&request.headers, &request.body)
        {
            for part in parts.parts {
                let _ = mc_sip::sdp::Sdp::parse(&part.content);
            }
        }
    }
}
