//! `mcbox raw`, the program itself, against software we did not write: Python's `cryptography` and
//! big integers, libsrtp, xmlsec1 and tshark.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a step that fails fails the test"
)]

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

const MCBOX: &str = env!("CARGO_BIN_EXE_mcbox");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program that answers a line for a line.
struct Peer {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { child, answers }
    }

    fn mcbox() -> Self {
        Self::start(Command::new(MCBOX).arg("raw"))
    }

    fn line(&mut self, line: &str) -> String {
        let stdin = self.child.stdin.as_mut().unwrap();
        writeln!(stdin, "{line}").unwrap();
        stdin.flush().unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().to_owned()
    }

    fn ask(&mut self, request: &Value) -> Value {
        let answer: Value = serde_json::from_str(&self.line(&request.to_string())).unwrap();
        assert_eq!(answer["ok"], true, "{request}\n{answer}");
        answer
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
    }
}

#[test]
fn python_agrees() {
    let default = || root().join(".venv/bin/python");
    let python = std::env::var_os("MCBOX_PYTHON").map_or_else(default, PathBuf::from);
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/raw_peers/judge.py"))
        .arg(MCBOX)
        .arg(root().join("tests/vectors/rfc6508.json"))
        .output()
        .expect(".venv missing: run `make test`");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(output.stdout.ends_with(b" checks\n"), "{said}");
}

fn libsrtp(dir: &Path) -> Peer {
    let program = dir.join("peer");
    let built = Command::new("cc")
        .args(["-O1", "-o"])
        .arg(&program)
        .arg(root().join("crates/mc-media/tests/libsrtp/peer.c"))
        .arg("-lsrtp2")
        .status()
        .expect("a C compiler: run `make test`");
    assert!(built.success(), "libsrtp2-dev is needed: run `make test`");
    Peer::start(&mut Command::new(program))
}

#[test]
fn libsrtp_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let (mut libsrtp, mut mcbox) = (libsrtp(dir.path()), Peer::mcbox());
    let (key, salt, mki) = ("0f".repeat(16), "a5".repeat(12), "16992638");
    let request = |op: &str, packets: &[String]| json!({"op": op, "master_key": key, "master_salt": salt, "mki": mki, "packets": packets});
    // CSRC list, header extension, marker, a sequence number that rolls over, one packet lost.
    let rtp: Vec<String> = [0xfffe_u16, 0xffff, 0, 2]
        .iter()
        .map(|sequence| {
            let sequence = format!("{sequence:04x}");
            format!(
                "92e0{sequence}00000140deadbeef0000000100000002bede000110ff000073706565{sequence}"
            )
        })
        .collect();
    // libsrtp takes the RTCP header's word for nothing but the SSRC.
    let rtcp: Vec<String> = (0..4)
        .map(|n| format!("80cc0003deadbeef4d435054{n:08x}"))
        .collect();
    for (op, verb, plain) in [("srtp", "rtp", &rtp), ("srtcp", "rtcp", &rtcp)] {
        let sealed = mcbox.ask(&request(&format!("{op}.protect"), plain));
        let ours = sealed["packets"].as_array().unwrap();
        let mut theirs = Vec::new();
        for (packet, ours) in plain.iter().zip(ours) {
            let ours = ours.as_str().unwrap();
            let line = |verb: String, packet: &str| format!("{verb} {mki} {key}{salt} {packet}");
            let opened = libsrtp.line(&line(format!("{verb}-unprotect"), ours));
            assert_eq!(opened, *packet, "libsrtp opens ours");
            let sealed = libsrtp.line(&line(format!("{verb}-protect"), packet));
            assert_eq!(sealed, ours, "the same octets");
            theirs.push(sealed);
        }
        let opened = mcbox.ask(&request(&format!("{op}.unprotect"), &theirs));
        assert_eq!(opened["packets"], json!(plain), "we open theirs");
    }
}

fn xmlsec1(dir: &Path, arguments: &[&str]) -> bool {
    let output = Command::new("xmlsec1")
        .current_dir(dir)
        .args(arguments)
        .output()
        .expect("xmlsec1 missing: run `make test`");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("unrecognized"), "{said}");
    output.status.success()
}

#[test]
fn xmlsec1_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, octets: &[u8]| std::fs::write(dir.path().join(name), octets).unwrap();
    let mut mcbox = Peer::mcbox();
    let xml = "<r xmlns=\"urn:x\"><d Id=\"xmldoc\"><v>a &amp; b \u{e9}</v></d></r>";
    let key = [0x42; 32];
    write("key", &key);
    let signed = mcbox.ask(&json!({"op": "xml.sign", "xml": xml, "id": "xmldoc",
        "key_name": "ink", "key": hex::encode(key)}));
    let signed = signed["xml"].as_str().unwrap();
    let verify = [
        "--verify",
        "--hmackey",
        "key",
        "--id-attr:Id",
        "urn:x:d",
        "signed.xml",
    ];
    for (text, good) in [
        (signed.to_owned(), true),
        (signed.replace("a &amp; b", "a &amp; c"), false),
    ] {
        write("signed.xml", text.as_bytes());
        assert_eq!(xmlsec1(dir.path(), &verify), good, "{text}");
        let request = json!({"op": "xml.verify", "xml": text, "key": hex::encode(key)});
        let found: Value = serde_json::from_str(&mcbox.line(&request.to_string())).unwrap();
        assert_eq!(found["ok"], good, "{found}");
        assert!(!good || found["id"] == "xmldoc");
    }
    // Content encrypted under the derived key, decrypted by xmlsec1.
    let xpk = json!({"key": "e06e65106183547342d3e8a6ce2540a8", "key_id": "2ddd5bf0",
        "uri": "sip:alice@example.org"});
    let with = |more: Value| {
        let mut request = xpk.clone();
        request
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        request
    };
    write(
        "xck",
        &hex::decode("d28067cf2f7b6be064b685a0a2cd9ee2").unwrap(),
    );
    let sealed = mcbox.ask(&with(
        json!({"op": "xml.protect", "xml": xml, "elements": ["v"]}),
    ));
    write("sealed.xml", sealed["xml"].as_str().unwrap().as_bytes());
    let decrypt = [
        "--decrypt",
        "--aeskey",
        "xck",
        "--output",
        "plain.xml",
        "sealed.xml",
    ];
    assert!(xmlsec1(dir.path(), &decrypt));
    let plain = std::fs::read_to_string(dir.path().join("plain.xml")).unwrap();
    assert!(plain.contains("a &amp; b \u{e9}"), "{plain}");
    signed_body(&mut mcbox, dir.path(), with);
}

/// An mcptt-signed body refers to the other bodies by Content-ID, which xmlsec1 can map to files.
fn signed_body(mcbox: &mut Peer, dir: &Path, with: impl Fn(Value) -> Value) {
    let write = |name: &str, octets: &[u8]| std::fs::write(dir.join(name), octets).unwrap();
    write(
        "xik",
        &hex::decode("ed48a33b5f65520194d249438377150e").unwrap(),
    );
    let parts = json!([{"content_id": "info@mc.example", "body": "<a>1</a>"}]);
    let body = mcbox.ask(&with(json!({"op": "xml.sign", "parts": parts})));
    write("body.xml", body["xml"].as_str().unwrap().as_bytes());
    let verify = [
        "--verify",
        "--hmackey",
        "xik",
        "--url-map:cid:info@mc.example",
        "part.xml",
        "body.xml",
    ];
    for (part, good) in [("<a>1</a>", true), ("<a>2</a>", false)] {
        write("part.xml", part.as_bytes());
        assert_eq!(xmlsec1(dir, &verify), good, "{part}");
        let parts = json!([{"content_id": "info@mc.example", "body": part}]);
        let request = with(json!({"op": "xml.verify", "xml": body["xml"], "parts": parts}));
        let found: Value = serde_json::from_str(&mcbox.line(&request.to_string())).unwrap();
        assert_eq!(found["ok"], good, "{found}");
    }
}

/// A classic capture of UDP datagrams on raw IP.
fn capture(port: u16, payloads: &[Vec<u8>]) -> Vec<u8> {
    let mut out = hex::decode("a1b2c3d400020004000000000000000000040000").unwrap();
    out.extend(101_u32.to_be_bytes());
    for payload in payloads {
        let length = u16::try_from(payload.len()).unwrap();
        let mut packet = vec![0x45, 0];
        packet.extend((length + 28).to_be_bytes());
        packet.extend(hex::decode("000040004011000001020304").unwrap());
        packet.extend([5, 6, 7, 8]);
        packet.extend(port.to_be_bytes());
        packet.extend(port.to_be_bytes());
        packet.extend((length + 8).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        out.extend([0; 8]);
        let total = u32::try_from(packet.len()).unwrap().to_be_bytes();
        out.extend(total);
        out.extend(total);
        out.extend(packet);
    }
    out
}

fn tshark(capture: &[u8], decode_as: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("capture.pcap");
    std::fs::write(&file, capture).unwrap();
    let mut command = Command::new("tshark");
    command
        .args(["-n", "-d", decode_as, "-T", "fields", "-r"])
        .arg(&file);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().expect("tshark missing: run `make test`");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| line.split('\t').map(str::to_owned).collect())
        .collect()
}

#[test]
fn tshark_reads_the_same_floor_messages() {
    let file = root().join("crates/floor-control/tests/vectors/floor_vectors.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let vectors = vectors["vectors"].as_array().unwrap();
    let packets: Vec<Vec<u8>> = vectors
        .iter()
        .map(|v| hex::decode(v["hex"].as_str().unwrap()).unwrap())
        .collect();
    let fields = [
        "rtcp.app.subtype",
        "rtcp.ssrc.identifier",
        "rtcp.app_data.mcptt.priority",
        "rtcp.app_data.mcptt.duration",
        "rtcp.app.name",
    ];
    let rows = tshark(&capture(5000, &packets), "udp.port==5000,rtcp", &fields);
    assert_eq!(rows.len(), packets.len());
    let (mut mcbox, mut compared, mut sessions) = (Peer::mcbox(), 0, 0);
    for (packet, row) in packets.iter().zip(rows) {
        let found = mcbox.ask(&json!({"op": "floor.decode", "packet": hex::encode(packet)}));
        let messages = found["messages"].as_array().unwrap();
        let cell = |at: usize| row.get(at).cloned().unwrap_or_default();
        let each = |at: usize| cell(at).split(',').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(each(0).len(), messages.len(), "{found}");
        for (ssrc, message) in each(1).iter().zip(messages) {
            assert_eq!(ssrc.trim_start_matches("0x"), message["ssrc"], "{found}");
        }
        if let ([message], true) = (messages.as_slice(), cell(4).contains("MCPC")) {
            let types = ["connect", "disconnect", "acknowledgement"];
            let subtype: usize = cell(0).parse().unwrap();
            assert_eq!(message["type"], types[subtype], "{found}");
            sessions += 1;
        }
        if let ([message], false) = (messages.as_slice(), cell(3).is_empty()) {
            assert_eq!(cell(3), message["duration"].to_string(), "{found}");
            compared += 1;
        }
    }
    assert!(compared > 0, "no duration was compared");
    assert_eq!(sessions, 3, "messages of pre-established sessions");
}

#[test]
fn tshark_reads_the_same_sip_messages() {
    let samples = root().join("crates/mc-sip/tests/vectors");
    let files = std::fs::read_dir(samples)
        .unwrap()
        .map(|f| f.unwrap().path());
    let mut files: Vec<PathBuf> = files
        .filter(|f| f.extension().is_some_and(|e| e == "sip"))
        .collect();
    files.sort();
    let messages: Vec<Vec<u8>> = files.iter().map(|f| std::fs::read(f).unwrap()).collect();
    let fields = ["sip.Method", "sip.Status-Code", "sip.r-uri", "sip.Call-ID"];
    let rows = tshark(&capture(5060, &messages), "udp.port==5060,sip", &fields);
    assert_eq!(rows.len(), messages.len());
    let mut mcbox = Peer::mcbox();
    for ((octets, row), file) in messages.iter().zip(rows).zip(&files) {
        let found = mcbox.ask(&json!({"op": "sip.parse", "message": hex::encode(octets)}));
        let cell = |at: usize| row.get(at).cloned().unwrap_or_default();
        let text = |name: &str| found[name].as_str().unwrap_or_default().to_owned();
        let headers = found["headers"].as_array().unwrap();
        let call_id = headers
            .iter()
            .find(|h| h[0].as_str().unwrap().eq_ignore_ascii_case("call-id"));
        assert_eq!(cell(3), call_id.unwrap()[1], "{}", file.display());
        if found["kind"] == "request" {
            assert_eq!(
                (cell(0), cell(2)),
                (text("method"), text("uri")),
                "{}",
                file.display()
            );
        } else {
            assert_eq!(cell(1), found["status"].to_string(), "{}", file.display());
        }
    }
}

/// The command line itself: a message made is one that is read.
#[test]
fn what_mikey_make_makes_mikey_inspect_reads() {
    let dir = tempfile::tempdir().unwrap();
    let file = std::fs::read(root().join("tests/vectors/mikey.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let v = &file["provisioning"];
    let sets = v["identities"].as_array().unwrap().iter().map(|k| {
        json!({"uri": k["uri"], "uid": k["uid"], "decrypt_key": k["rsk"], "ssk": k["ssk"], "pvt": k["pvt"], "number": 1531})
    });
    let keys = json!({"certificates": [{"kms_uri": "kms.example.org", "public_encryption": v["PubEncKey"],
        "public_authentication": v["PubAuthKey"], "period": 2_592_000, "offset": 0}],
        "keysets": sets.collect::<Vec<_>>()});
    let path = dir.path().join("keys.json");
    std::fs::write(&path, keys.to_string()).unwrap();
    let mcbox = |arguments: &[&str]| {
        Command::new(MCBOX)
            .arg("mikey")
            .args(arguments)
            .arg("--keys")
            .arg(&path)
            .output()
            .unwrap()
    };
    let made = mcbox(&[
        "make",
        "--kind",
        "gmk",
        "--from",
        "sip:gms@example.org",
        "--to",
        "sip:bob@example.org",
        "--group",
        "sip:g1@example.org",
        "--group",
        "sip:g2@example.org",
        "--time",
        "ec898da800000000",
        "--identities",
        "both",
        "--to-self",
    ]);
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let message = dir.path().join("message.b64");
    std::fs::write(&message, &made.stdout).unwrap();
    let inspected = mcbox(&["inspect", "--json", message.to_str().unwrap()]);
    assert!(inspected.status.success());
    let found: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    let outcomes: Vec<_> = found[0]["why"]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| &f["outcome"])
        .collect();
    assert!(
        outcomes.iter().filter(|o| **o == "holds").count() >= 7,
        "{found}"
    );
    assert_eq!(found[0]["why"]["cause"], Value::Null);
    let late = mcbox(&[
        "inspect",
        "--at",
        "2026-11-24T00:00:00Z",
        message.to_str().unwrap(),
    ]);
    assert!(!late.status.success());
    assert!(String::from_utf8_lossy(&late.stdout).contains("First thing wrong: time"));
    let nothing = mcbox(&["inspect", "/dev/null"]);
    let said = String::from_utf8_lossy(&nothing.stderr);
    assert_eq!(said, "mcbox: /dev/null: the input is empty\n");
    let unknown = mcbox(&[
        "make",
        "--kind",
        "csk",
        "--from",
        "sip:nobody@example.org",
        "--to",
        "x",
        "--time",
        "ec898da800000000",
    ]);
    let said = String::from_utf8_lossy(&unknown.stderr);
    assert!(
        !unknown.status.success() && said.contains("no key set of sip:nobody@example.org"),
        "{said}"
    );
}
