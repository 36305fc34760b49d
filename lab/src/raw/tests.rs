//! Every operation by its vectors, every line answered, nothing skipped.

use super::selftest::{Expected, answer, cases, difference};
use super::*;
use crate::raw::args::{Field, Type};
use serde_json::json;
use std::collections::BTreeSet;

fn serve_text(input: &[u8]) -> Vec<Value> {
    let mut out = Vec::new();
    serve(input, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn kind(answer: &Value) -> &str {
    answer["error"]["kind"].as_str().unwrap_or("none")
}

fn op_of(request: &Value) -> &'static op::Op {
    op::all().find(|op| request["op"] == op.name).unwrap()
}

#[test]
fn every_vector_comes_out() {
    let report = selftest::run();
    assert!(report.passed, "{}", report.text);
    assert!(report.text.ends_with("vectors\n"));
}

#[test]
fn a_vector_that_is_wrong_is_told() {
    for case in cases::all() {
        let found = answer(&case.request);
        let wrong = match &case.expected {
            Expected::Refused(_) => Expected::Fields(json!({})),
            Expected::Fields(_) => Expected::Refused("field"),
        };
        assert!(difference(&found, &wrong).is_some(), "{}", case.name);
        if let Expected::Fields(fields) = &case.expected {
            let mut fields = fields.clone();
            fields["one_more"] = json!(1);
            let more = Expected::Fields(fields);
            assert!(difference(&found, &more).is_some(), "{}", case.name);
        }
    }
}

/// The table says what an answer has, and every operation is tried both ways.
#[test]
fn answers_have_the_fields_of_the_table() {
    let (mut done, mut refused) = (BTreeSet::new(), BTreeSet::new());
    for case in cases::all() {
        let (op, found) = (op_of(&case.request), answer(&case.request));
        if found["ok"] == false {
            let known = Kind::ALL.iter().any(|k| k.name() == kind(&found));
            assert!(known, "{found}");
            refused.insert(op.name);
            continue;
        }
        done.insert(op.name);
        let fields = found
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| *name != "ok");
        for name in fields {
            assert!(
                op.results.iter().any(|f| f.name == name),
                "{}: {name}",
                op.name
            );
        }
        for field in op.results.iter().filter(|f| !f.optional) {
            assert!(
                !found[field.name].is_null(),
                "{}: no {}",
                op.name,
                field.name
            );
        }
    }
    let all: BTreeSet<_> = op::all().map(|op| op.name).collect();
    // xml.sign and xml.verify have no published vector; `peers` gives them to xmlsec1.
    let without: Vec<_> = all.difference(&done).copied().collect();
    assert_eq!(without, ["xml.sign", "xml.verify"]);
    assert!(refused.len() > 12, "{refused:?}");
}

/// Whatever stands in the table is checked: a field left out, of another type, or one too many.
#[test]
fn every_field_is_needed_and_typed() {
    for case in cases::all() {
        let op = op_of(&case.request);
        let try_with = |name: &str, value: Option<Value>| {
            let mut request = case.request.clone();
            match value {
                Some(value) => request[name] = value,
                None => drop(request.as_object_mut().unwrap().remove(name)),
            }
            let found = answer(&request);
            (kind(&found).to_owned(), found)
        };
        for field in op.fields.iter().filter(|f| !f.optional) {
            let (kind, found) = try_with(field.name, None);
            assert_eq!(kind, "field", "{} without {}: {found}", op.name, field.name);
        }
        let typed = |field: &&Field| field.of != Type::Free;
        for field in op.fields.iter().chain(op.either).filter(typed) {
            let wrong = if field.of == Type::Boolean {
                json!("true")
            } else {
                json!(false)
            };
            let (kind, found) = try_with(field.name, Some(wrong));
            assert_eq!(
                kind, "field",
                "{} with a wrong {}: {found}",
                op.name, field.name
            );
        }
        let (kind, _) = try_with("one_more", Some(json!(1)));
        assert_eq!(kind, "field", "{}", op.name);
    }
}

#[test]
fn an_unknown_field_deep_inside_is_refused_too() {
    let open = cases::all()
        .into_iter()
        .find(|c| c.request["op"] == "mikey.open")
        .unwrap();
    for (list, name) in [("certificates", "colour"), ("keysets", "kms")] {
        let mut request = open.request.clone();
        request[list][0][name] = json!(1);
        let found = answer(&request);
        assert_eq!(
            (kind(&found), &found["error"]["index"]),
            ("field", &json!(0)),
            "{found}"
        );
    }
    let idle = json!({"type": "floor-idle", "ssrc": "00000001", "sequence_number": 1});
    for (name, value) in [
        ("cause", json!(1)),
        ("colour", json!(1)),
        ("resume", json!(true)),
    ] {
        let mut message = idle.clone();
        message[name] = value;
        let found = answer(&json!({"op": "floor.encode", "messages": [idle, message]}));
        assert_eq!(
            (kind(&found), &found["error"]["index"]),
            ("field", &json!(1)),
            "{found}"
        );
    }
}

#[test]
fn hostile_lines_are_answered_in_order() {
    let long = format!(
        "{{\"op\":\"uid\",\"x\":\"{}\"}}",
        "a".repeat(input::MAX_LINE)
    );
    let deep = format!("{{\"ref\":{}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let good = r#"{"op":"kdf.dpck","dppk":"07d1a1677ac36d8e81620484689b3c2d","dppk_id":"082c7b7a","ref":{"n":1}}"#;
    let lines: [(&[u8], &str); 18] = [
        (b"", "json"),
        (b"   ", "json"),
        (b"{", "json"),
        (b"[]", "json"),
        (b"1", "json"),
        (b"null", "json"),
        (b"{} {}", "json"),
        (b"{\"op\":\"uid\",\"op\":\"uid\"}", "json"),
        (b"{\"op\":\"uid\",\"ref\":{\"a\":1,\"a\":2}}", "json"),
        (b"\xff\xfe", "utf8"),
        (b"{\"op\":\"\xc3\x28\"}", "utf8"),
        (b"{}", "op"),
        (b"{\"op\":1}", "op"),
        (b"{\"op\":\"UID\"}", "op"),
        (b"{\"op\":\"uid\\u0000\"}", "op"),
        (long.as_bytes(), "too-long"),
        (deep.as_bytes(), "json"),
        (good.as_bytes(), "none"),
    ];
    for end in [&b"\n"[..], b"\r\n"] {
        let mut input = Vec::new();
        for (line, _) in lines {
            input.extend(line);
            input.extend(end);
        }
        let answers = serve_text(&input);
        assert_eq!(answers.len(), lines.len());
        for (answer, (line, expected)) in answers.iter().zip(lines) {
            assert_eq!(
                kind(answer),
                expected,
                "{:?}",
                String::from_utf8_lossy(line)
            );
        }
        assert_eq!(answers.last().unwrap()["ref"], json!({"n": 1}));
    }
}

#[test]
fn the_last_line_needs_no_end_and_no_input_no_answer() {
    assert_eq!(serve_text(b"").len(), 0);
    assert_eq!(serve_text(b"{}").len(), 1);
    assert_eq!(serve_text(b"\n").len(), 1);
    assert_eq!(serve_text(b"{}\n{}").len(), 2);
}

#[test]
fn a_reference_comes_back_with_a_refusal_too() {
    for reference in [
        json!(null),
        json!(0),
        json!("a\"b\n"),
        json!([1, {"x": 1.5}]),
    ] {
        let found = answer(&json!({"op": "nothing", "ref": reference}));
        assert_eq!(found["ref"], reference);
        assert_eq!(kind(&found), "op");
    }
}

/// A script that waits for the answer before it sends the next line is not kept waiting.
#[test]
fn each_answer_leaves_before_the_next_line_is_read() {
    struct Asking<'a> {
        answers: &'a std::cell::RefCell<Vec<u8>>,
        sent: usize,
    }
    impl Read for Asking<'_> {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let answered = self
                .answers
                .borrow()
                .iter()
                .filter(|o| **o == b'\n')
                .count();
            assert_eq!(answered, self.sent, "an answer is held back");
            if self.sent == 3 {
                return Ok(0);
            }
            self.sent += 1;
            out[..3].copy_from_slice(b"{}\n");
            Ok(3)
        }
    }
    struct Buffered<'a>(&'a std::cell::RefCell<Vec<u8>>, Vec<u8>);
    impl Write for Buffered<'_> {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            self.1.extend(octets);
            Ok(octets.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            self.0.borrow_mut().append(&mut self.1);
            Ok(())
        }
    }
    let answers = std::cell::RefCell::new(Vec::new());
    let asking = Asking {
        answers: &answers,
        sent: 0,
    };
    serve(asking, &mut Buffered(&answers, Vec::new())).unwrap();
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    struct Closed(ErrorKind);
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    assert!(quiet(serve(&b"{}\n{}"[..], &mut Closed(ErrorKind::BrokenPipe))).is_ok());
    assert!(quiet(serve(&b"{}\n{}"[..], &mut Closed(ErrorKind::StorageFull))).is_err());
}

#[test]
fn an_operation_that_panics_is_answered() {
    let answer = guarded(|| panic!("as a test"));
    assert_eq!(answer.unwrap_err().to_json()["kind"], "internal");
}

#[test]
fn one_refused_packet_refuses_the_list_and_is_named() {
    let keys =
        json!({"master_key": "00".repeat(16), "master_salt": "00".repeat(12), "mki": "00000001"});
    let mut request = keys.clone();
    request["op"] = json!("srtp.protect");
    let packet = |n: u8| format!("8060{n:04x}0000000000000001");
    request["packets"] = json!([packet(1), packet(2), packet(1)]);
    let found = answer(&request);
    assert_eq!(
        (kind(&found), &found["error"]["index"]),
        ("replay", &json!(2))
    );
    request["packets"] = json!(["00"]);
    assert_eq!(kind(&answer(&request)), "malformed");
    for (field, value) in [
        ("roc", json!(1)),
        ("rcc", json!(true)),
        ("index", json!(1_u64 << 31)),
    ] {
        let mut request = keys.clone();
        request["op"] = json!("srtcp.protect");
        request["packets"] = json!(["80cc0002000000014d435054"]);
        assert_eq!(kind(&answer(&request)), "none");
        request[field] = value;
        assert_ne!(kind(&answer(&request)), "none", "{field}");
    }
}

/// A length octet pair of TS 33.220 B.2 holds no more; a derivation from a shortened length would be
/// one that nobody else computes.
#[test]
fn an_identity_longer_than_its_length_field_is_refused() {
    let request = |octets| json!({"op": "uid", "uri": "x".repeat(octets), "kms_uri": "kms", "period": 1, "offset": 0, "number": 0});
    assert_eq!(kind(&answer(&request(65_535))), "none");
    assert_eq!(kind(&answer(&request(65_536))), "length");
    let guk_id = json!({"op": "kdf.guk_id", "gmk": "00".repeat(16), "gmk_id": "00000001", "uri": "x".repeat(65_536)});
    assert_eq!(kind(&answer(&guk_id)), "length");
}

/// A check of nothing must not hold, and a document not stay in clear by an empty list.
#[test]
fn protection_of_nothing_is_refused() {
    let with = |op: &str, name: &str, value: Value| {
        let mut request = json!({
            "op": op, "key": "00".repeat(16), "key_id": "20000001", "uri": "sip:alice@example.org",
        });
        request[name] = value;
        request
    };
    let mut protect = with("xml.protect", "xml", json!("<a><b>1</b></a>"));
    for (elements, expected) in [
        (json!([]), "field"),
        (json!(["b", "b"]), "field"),
        (json!(["b"]), "none"),
    ] {
        protect["elements"] = elements;
        assert_eq!(kind(&answer(&protect)), expected, "{protect}");
    }
    assert_eq!(
        kind(&answer(&with("xml.sign", "parts", json!([])))),
        "field"
    );
    let mut verify = with("xml.verify", "parts", json!([]));
    verify["xml"] = json!(r#"<signatures xmlns="urn:3gpp:ns:mcpttSignatures:1.0"/>"#);
    assert_eq!(kind(&answer(&verify)), "field");
}

/// What `mikey.open` refuses to read is not made.
#[test]
fn a_message_to_nobody_is_not_made() {
    let make = cases::all();
    let make = make
        .iter()
        .find(|case| case.request["op"] == "mikey.make")
        .unwrap();
    assert_eq!(kind(&answer(&make.request)), "none");
    for responder in ["", "sip:a\nb", &"b".repeat(256)] {
        let mut request = make.request.clone();
        request["responder"] = json!(responder);
        assert_eq!(kind(&answer(&request)), "field", "{responder:?}");
    }
}

/// One description may carry a message for each of its media.
#[test]
fn every_i_message_of_a_description_is_told() {
    let sdp = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
               a=key-mgmt:mikey AAAA\r\nm=audio 4000 RTP/SAVP 96\r\na=key-mgmt:mikey BBBB\r\n\
               m=video 4002 RTP/SAVP 97\r\na=key-mgmt:mikey CCCC\r\n";
    let message = format!(
        "INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bK1\r\n\
         From: <sip:alice@example.org>;tag=1\r\nTo: <sip:bob@example.org>\r\nCall-ID: 1\r\n\
         CSeq: 1 INVITE\r\nMax-Forwards: 70\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    let found = answer(&json!({"op": "sip.parse", "message": message}));
    assert_eq!(found["mikey"], json!(["AAAA", "BBBB", "CCCC"]), "{found}");
}

#[test]
fn a_wrong_length_to_unwrap_is_no_wrong_check_value() {
    for (op, octets, refusal) in [
        ("unwrap.kw", 16, "length"),
        ("unwrap.kw", 25, "length"),
        ("unwrap.kw", 24, "integrity"),
        ("unwrap.kwp", 8, "length"),
        ("unwrap.kwp", 16, "integrity"),
        ("unwrap.kwp", 1032, "integrity"),
        ("unwrap.kwp", 1040, "length"),
    ] {
        let request = json!({"op": op, "kek": "00".repeat(16), "data": "00".repeat(octets)});
        assert_eq!(kind(&answer(&request)), refusal, "{op} of {octets}");
    }
}

/// All of the floor control vectors, read and written again.
#[test]
fn floor_messages_survive_json() {
    let vectors = include_str!("../../../crates/floor-control/tests/vectors/floor_vectors.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let mut seen = 0;
    for vector in vectors["vectors"].as_array().unwrap() {
        let read = answer(&json!({"op": "floor.decode", "packet": vector["hex"]}));
        assert_eq!(read["ok"], true, "{read}");
        let written = answer(&json!({"op": "floor.encode", "messages": read["messages"]}));
        assert_eq!(written["packet"], vector["hex"], "{read}");
        seen += 1;
    }
    assert!(seen > 28, "{seen}");
}

/// Connect of a pre-established session (TS 24.380 8.3.4), every field of it.
#[test]
fn messages_of_pre_established_sessions_are_read_and_written() {
    let connect = json!({
        "type": "connect", "ssrc": "5e4e4f01", "ack_required": true,
        "media_stream": 1, "control_channel": 2, "session_type": 1,
        "session": "sip:s@mcptt.example.org", "warning": "late", "group": "sip:g@example.org",
        "answer_state": 1, "inviting_user": "sip:alice@example.org", "pck_i_message": "011a",
    });
    let idle = json!({"type": "floor-idle", "ssrc": "00000001", "sequence_number": 1});
    // Messages of both applications may share a datagram.
    let messages = json!([idle, connect]);
    let written = answer(&json!({"op": "floor.encode", "messages": messages}));
    let read = answer(&json!({"op": "floor.decode", "packet": written["packet"]}));
    assert_eq!(read["messages"], messages, "{written}");

    let acknowledgement = json!({"type": "acknowledgement", "ssrc": "00000001", "reason": 1});
    for (base, name, value) in [
        (&acknowledgement, "group", json!("sip:g@example.org")),
        (&acknowledgement, "reason", Value::Null),
        (&connect, "reason", json!(1)),
        (&connect, "cause", json!(1)),
        (&connect, "session_type", Value::Null),
        (&connect, "control_channel", Value::Null),
        (&connect, "pck_i_message", json!("0")),
    ] {
        let mut message = base.clone();
        message[name] = value;
        let found = answer(&json!({"op": "floor.encode", "messages": [message]}));
        assert_eq!(kind(&found), "field", "{name}: {found}");
        assert_eq!(found["error"]["index"], 0);
    }
    let cut = written["packet"].as_str().unwrap();
    let found = answer(&json!({"op": "floor.decode", "packet": cut[..cut.len() - 8]}));
    assert_eq!(
        (kind(&found), &found["error"]["index"]),
        ("malformed", &json!(1))
    );
}

/// Every sample message of the SIP crate is read; what it carries comes out.
#[test]
fn sip_samples_are_read() {
    let samples =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/mc-sip/tests/vectors");
    let mut mikey = 0;
    for file in std::fs::read_dir(samples)
        .unwrap()
        .map(|f| f.unwrap().path())
    {
        if file.extension().is_some_and(|e| e == "sip") {
            let octets = std::fs::read(&file).unwrap();
            let found = answer(&json!({"op": "sip.parse", "message": hex::encode(&octets)}));
            assert_eq!(found["ok"], true, "{}: {found}", file.display());
            let text =
                answer(&json!({"op": "sip.parse", "message": String::from_utf8(octets).unwrap()}));
            assert_eq!(text, found, "text and hexadecimal are the same");
            mikey += found["mikey"].as_array().unwrap().len();
        }
    }
    assert!(mikey >= 2, "{mikey}");
}

#[test]
fn documents_may_be_text_or_hexadecimal() {
    let xml = "<KmsCertificate xmlns=\"urn:3gpp:ns:mcsecKMSInterface:1.0\"/>";
    let text = answer(&json!({"op": "kms.parse", "xml": xml}));
    let octets = answer(&json!({"op": "kms.parse", "xml": hex::encode(xml)}));
    assert_eq!(text, octets);
    assert_eq!(kind(&text), "malformed");
}

/// `docs/raw.md` shows the table of the code.
#[test]
fn the_documentation_is_the_table() {
    let docs = include_str!("../../../docs/raw.md");
    let table = op::table();
    assert!(
        docs.contains(&table),
        "docs/raw.md differs from `mcbox raw --ops`; put this between its markers:\n{table}"
    );
}

proptest::proptest! {
    #[test]
    fn as_many_answers_as_lines(input in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let ends = input.iter().filter(|octet| **octet == b'\n').count();
        let lines = ends + usize::from(input.last().is_some_and(|octet| *octet != b'\n'));
        proptest::prop_assert_eq!(serve_text(&input).len(), lines);
    }

    /// Requests of the table with one value replaced by anything of its kind.
    #[test]
    fn no_value_breaks_an_operation(
        which in 0_usize..200,
        field in 0_usize..8,
        octets in proptest::collection::vec(proptest::num::u8::ANY, 0..80),
        number in proptest::num::u64::ANY,
    ) {
        let all = cases::all();
        let case = &all[which % all.len()];
        let op = op_of(&case.request);
        // The pairing takes too long for a property over everything.
        if op.name.starts_with("sakke") || op.name.starts_with("mikey") {
            return Ok(());
        }
        let field = &op.fields[field % op.fields.len()];
        let mut request = case.request.clone();
        let text = matches!(field.of, Type::Text | Type::Document);
        request[field.name] = if field.of == Type::Integer {
            json!(number)
        } else if field.of == Type::HexList {
            json!([hex::encode(&octets), hex::encode(&octets)])
        } else if text {
            json!(String::from_utf8_lossy(&octets))
        } else {
            json!(hex::encode(&octets))
        };
        let found = answer(&request);
        proptest::prop_assert!(found["ok"].is_boolean());
        proptest::prop_assert_ne!(kind(&found), "internal");
    }
}
