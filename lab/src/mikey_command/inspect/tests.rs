//! What a person sees, and from which inputs.

use super::*;
use crate::mikey_command::source::messages;

const VECTORS: &str = include_str!("../../../../tests/vectors/mikey.json");

fn vectors() -> Value {
    serde_json::from_str(VECTORS).unwrap()
}

fn text(kind: &str) -> String {
    vectors()["annex_e"][kind]["I_MESSAGE_base64"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn octets(kind: &str) -> Vec<u8> {
    messages(text(kind).as_bytes()).unwrap().remove(0).octets
}

/// The key file of the Annex E domain, its key sets numbered and stated as given.
fn keys(number: u64, with_uid: bool) -> Keys {
    let v = vectors();
    let v = &v["provisioning"];
    let sets = v["identities"].as_array().unwrap().iter().map(|k| {
        let mut set = json!({"uri": k["uri"], "decrypt_key": k["rsk"], "ssk": k["ssk"], "pvt": k["pvt"],
            "number": number});
        if with_uid {
            set["uid"] = k["uid"].clone();
        }
        set
    });
    let file = json!({
        "certificates": [{"kms_uri": "kms.example.org", "public_encryption": v["PubEncKey"],
            "public_authentication": v["PubAuthKey"], "period": 2_592_000, "offset": 0}],
        "keysets": sets.collect::<Vec<_>>(),
        "certificate_details": [],
    });
    Keys::read(file.to_string().as_bytes()).unwrap()
}

fn shown(octets: &[u8], keys: &Keys, colour: bool) -> (String, bool) {
    let looked = look(Found::new("a test", octets.to_vec()), keys, None);
    (to_text(&looked, colour), looked.is_fine())
}

const RED: &str = "\x1b[31m";

#[test]
fn a_good_message_shows_no_red() {
    for kind in ["gmk", "csk", "pck"] {
        let (page, fine) = shown(&octets(kind), &keys(1531, true), true);
        assert!(fine && !page.contains(RED), "{page}");
        assert!(page.contains("Nothing wrong was found.\n"));
        assert!(page.contains("ok   sealed key"), "{page}");
    }
    let (page, fine) = shown(&octets("csk"), &Keys::default(), true);
    assert!(fine && page.contains("give --keys"), "{page}");
}

#[test]
fn the_first_wrong_input_is_red_and_only_with_colours() {
    // Certificate with another period: the signer's and the receiver's P3 differ.
    let mut wrong = keys(1531, true);
    wrong.certificates[0].period = mc_ids::KeyPeriod::new(604_800, 0).unwrap();
    let (page, fine) = shown(&octets("csk"), &wrong, true);
    assert!(!fine);
    let red: Vec<&str> = page.lines().filter(|l| l.starts_with(RED)).collect();
    let inputs: Vec<_> = red
        .iter()
        .filter(|l| l.contains("the other side took"))
        .collect();
    assert_eq!(inputs.len(), 2, "one for each UID: {red:#?}");
    assert!(
        inputs
            .iter()
            .all(|l| l.contains("P3 UserKeyPeriod") && l.contains("2592000"))
    );
    assert!(
        page.contains("the signer took 2592000 for P3 UserKeyPeriod, not 604800"),
        "{page}"
    );
    let (plain, _) = shown(&octets("csk"), &wrong, false);
    assert!(!plain.contains('\x1b'));
    assert_eq!(plain, page.replace(RED, "").replace("\x1b[0m", ""));
}

#[test]
fn colours_need_a_terminal_and_no_no_color() {
    assert!(colours(true, None) && colours(true, Some(OsStr::new(""))));
    assert!(!colours(true, Some(OsStr::new("1"))) && !colours(false, None));
}

#[test]
fn a_wrong_field_shows_what_it_should_be() {
    let mut octets = octets("csk");
    octets[1] = 25;
    let (page, fine) = shown(&octets, &Keys::default(), false);
    assert!(!fine);
    assert!(
        page.contains("! ") && page.contains("expected: 26 (SAKKE)"),
        "{page}"
    );
    assert!(
        page.contains("Not an I_MESSAGE that can be verified: the data type is 25"),
        "{page}"
    );
}

#[test]
fn json_says_the_same() {
    let looked = look(Found::new("x", octets("gmk")), &keys(1530, false), None);
    let value = to_json(&looked);
    assert_eq!(value["items"][0]["children"][4]["seen"], "082c7b7a (Gmk)");
    let cause = value["why"]["cause"].as_str().unwrap();
    assert!(cause.starts_with("key period of the key set"), "{cause}");
    let findings = value["why"]["findings"].as_array().unwrap();
    assert!(findings.iter().any(|f| f["outcome"] == "fails"));
}

#[test]
fn every_kind_of_input_gives_the_same_octets() {
    let expected = octets("pck");
    let base64 = text("pck");
    let sip = "INVITE sip:bob@mc.example SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1\r\n\
        From: <sip:alice@mc.example>;tag=1\r\nTo: <sip:bob@mc.example>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\
        Max-Forwards: 70\r\nContact: <sip:127.0.0.1>\r\nContent-Type: application/sdp\r\nContent-Length: LENGTH\r\n\r\nBODY";
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
        m=audio 4000 RTP/SAVP 0\r\na=key-mgmt:mikey {base64}\r\n"
    );
    let sip = sip
        .replace("LENGTH", &sdp.len().to_string())
        .replace("BODY", &sdp);
    let start = sip.split("Content-Type").next().unwrap();
    let body = "Content-Type: application/mikey\r\n\r\n";
    let octets_in_sip = [start.as_bytes(), body.as_bytes(), &expected].concat();
    let gktp = format!("<gktps xmlns=\"x\">{base64}</gktps>");
    let inputs: [(&str, Vec<u8>); 9] = [
        ("octets", expected.clone()),
        ("hexadecimal", hex::encode(&expected).into_bytes()),
        ("upper case", hex::encode_upper(&expected).into_bytes()),
        ("base64", base64.clone().into_bytes()),
        (
            "folded base64",
            base64
                .as_bytes()
                .chunks(64)
                .collect::<Vec<_>>()
                .join(&b"\n"[..]),
        ),
        (
            "attribute",
            format!("a=key-mgmt:mikey {base64}\n").into_bytes(),
        ),
        ("SIP", sip.clone().into_bytes()),
        ("SIP from an editor", sip.replace("\r\n", "\n").into_bytes()),
        ("SIP with application/mikey", octets_in_sip),
    ];
    for (name, input) in inputs {
        let found = messages(&input).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].octets, expected, "{name}");
    }
    assert!(messages(gktp.as_bytes()).unwrap_err().contains("GKTP"));
    for (input, says) in [
        (&b""[..], "empty"),
        (b"hello there", "base64"),
        (b"\xff\x00", "neither"),
        (b"OPTIONS sip:a@b SIP/2.0\r\n\r\n", "SIP"),
    ] {
        let error = messages(input).unwrap_err();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn a_gktp_document_gives_its_keys() {
    let sample = include_str!("../../../../tests/vectors/xml/gktp_document.xml");
    let found = messages(sample.as_bytes()).unwrap();
    assert_eq!(
        (found[0].origin.as_str(), &found[0].octets[..]),
        ("GKTP gmk-1", &b"PLACEHOLDER-MIKEY"[..])
    );
}
