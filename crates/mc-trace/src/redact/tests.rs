use serde_json::json;

use super::*;
use crate::event::Endpoint;
use crate::names;

const TOKEN: &str = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl";

fn http(raw: &str) -> Event {
    Event::received(
        &names::HTTP_REQUEST,
        Endpoint::default(),
        Endpoint::default(),
        raw,
    )
}

#[test]
fn every_place_a_secret_stands_is_masked_and_no_length_changes() {
    let cases = [
        (format!("POST / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"), "Bearer ***"),
        ("A: 1\r\nSet-Cookie: sid=s3cret; Path=/\r\n\r\n".to_owned(), "Set-Cookie: ***"),
        ("Location: https://a/cb?code=s3cret&state=1\r\n\r\n".to_owned(), "https://a/cb?***"),
        ("\r\n\r\nuser=alice&password=s3cret".to_owned(), "user=alice&password=***"),
        (r#"{"access_token": "s3cret", "a":1}"#.to_owned(), r#""access_token": "***"#),
        ("<kms:UserDecryptKey type=\"x\">s3cret</kms:UserDecryptKey>".to_owned(), ">***"),
        (
            "<mcptt-access-token type=\"Normal\"><mcpttString>s3cret</mcpttString></mcptt-access-token>".to_owned(),
            "<mcptt-access-token type=\"Normal\">***",
        ),
        (format!("<x>{TOKEN}</x>"), "<x>***"),
    ];
    for (text, expected) in cases {
        let mut event = http(&text);
        event.redact(false);
        let masked = String::from_utf8(event.raw).unwrap();
        assert_eq!(masked.len(), text.len());
        assert!(event.redacted, "{text}");
        assert!(
            !masked.contains("s3cret") && !masked.contains("eyJ"),
            "{masked}"
        );
        assert!(masked.contains(expected), "{masked}");
    }
}

#[test]
fn closing_tags_stay_and_two_elements_are_both_masked() {
    let mut event =
        http("<UserDecryptKey>one</UserDecryptKey><b/><UserDecryptKey>two</UserDecryptKey>");
    event.redact(false);
    assert_eq!(
        event.raw,
        b"<UserDecryptKey>***</UserDecryptKey><b/><UserDecryptKey>***</UserDecryptKey>"
    );
}

#[test]
fn views_are_masked_even_when_the_octets_are_kept() {
    let mut event = http(&format!("Authorization: Bearer {TOKEN}\r\n"))
        .summary(format!("token {TOKEN}"))
        .decoded(json!({"body": [{"password": "s3cret"}, format!("x {TOKEN}")]}));
    event.redact(true);
    assert!(event.redacted);
    assert!(!event.summary.contains("eyJ"));
    assert!(!event.decoded.to_string().contains("s3cret"));
    assert!(!event.decoded.to_string().contains("eyJ"));
    assert!(String::from_utf8(event.raw).unwrap().contains(TOKEN));
}

#[test]
fn decrypted_speech_leaves_only_with_the_keys() {
    let speech = || {
        Event::received(
            &names::MEDIA_RECEIVED,
            Endpoint::default(),
            Endpoint::default(),
            [1],
        )
        .clear([2])
    };
    let (mut kept, mut masked) = (speech(), speech());
    kept.redact(true);
    masked.redact(false);
    assert_eq!(kept.clear, [2]);
    assert_eq!(masked.clear, [0_u8; 0]);
    assert_eq!(masked.raw, [1]);
}

#[test]
fn innocent_text_is_untouched() {
    let text = "INVITE sip:a@b SIP/2.0\r\nUser-Agent: codec\r\n\r\nthe code of conduct, eyJ alone";
    let mut event = http(text);
    event.redact(false);
    assert_eq!(event.raw, text.as_bytes());
    assert!(!event.redacted);
}
