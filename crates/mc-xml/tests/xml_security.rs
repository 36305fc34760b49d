//! TS 33.180 9.3 against byte-exact vectors and against `xmlsec1`, in both directions.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "test support code stops the test"
)]

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::Command;

use base64::prelude::{BASE64_STANDARD, Engine};
use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{Csk, KeyId};
use mc_xml::mcptt_info::{Content, McpttInfo};
use mc_xml::security::content::EncryptedData;
use mc_xml::security::keywrap;
use mc_xml::security::signature::{digest, sign_detached, verify_same_document};
use mc_xml::security::signed_body::{Part, sign_parts, verify_parts};
use mc_xml::security::uri::EncryptedUri;
use mc_xml::security::{SecurityError, XmlProtection};
use mc_xml::{Element, XmlError, XmlProfile};

/// Counts up, so the first IV is that of the vectors; real code hands in the operating system's.
struct Counting(u8);

impl rand_core::TryRng for Counting {
    type Error = Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut octets = [0; 4];
        self.try_fill_bytes(&mut octets)?;
        Ok(u32::from_le_bytes(octets))
    }
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut octets = [0; 8];
        self.try_fill_bytes(&mut octets)?;
        Ok(u64::from_le_bytes(octets))
    }
    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        for octet in octets {
            *octet = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counting {}

fn csk(first: u8) -> Csk {
    let mut octets = hex::decode("e06e65106183547342d3e8a6ce2540a8").unwrap();
    octets[0] = first;
    Csk::try_from(octets.as_slice()).unwrap()
}

fn protection() -> XmlProtection {
    let user = "sip:alice@example.org";
    XmlProtection::derive(&csk(0xe0), KeyId(0x2ddd_5bf0), user, XpkIdEncoding::Binary4)
}

#[test]
fn vectors_of_the_digest() {
    let keys = protection();
    assert_eq!(
        hex::encode(keys.integrity_key()),
        "ed48a33b5f65520194d249438377150e"
    );
    assert_eq!(keys.key_name(), "Ld1b8A==");
    let data = EncryptedData::seal(
        "<mcpttURI>sip:bob@example.org</mcpttURI>",
        &keys,
        &mut Counting(0),
    );
    let value = data.to_element();
    let ns = "http://www.w3.org/2001/04/xmlenc#";
    let value = value
        .descend(ns, &["CipherData", "CipherValue"])
        .unwrap()
        .raw_text();
    assert_eq!(
        value,
        "AAECAwQFBgcICQoL/Q41+6zkijYGUVKM3TKheQQMFbXbUywM8brbMNp/CTDptsC2sEpnvsvJ+Cpb6gwgd107e/OFD5A="
    );
    let uri = EncryptedUri::seal(
        "sip:bob@example.org",
        "confidential.example.org",
        &keys,
        &mut Counting(0),
    );
    let text = "sip:sgomsbr/vSQqF0CI3WSmOAk+FykbuWlKVOttwk+CCJN1d9Y=;iv=AAECAwQFBgcICQoL;key-id=Ld1b8A==;alg=128-aes-gcm@confidential.example.org";
    assert_eq!(uri.to_string(), text);
    assert!(EncryptedUri::recognises(text, "confidential.example.org"));
    assert_eq!(
        EncryptedUri::parse(text).unwrap().open(&keys).unwrap(),
        "sip:bob@example.org"
    );
    let escaped = text.replace('/', "%2F").replace('+', "%2B");
    assert_eq!(EncryptedUri::parse(&escaped).unwrap(), uri);
    assert_eq!(
        BASE64_STANDARD.encode(digest(b"<a>x</a>")),
        "JX5X9ndY3b7L709p4Wzo7ySZiOLg6oVikPgsbbGDFZE="
    );
}

#[test]
fn a_sealed_mcptt_info_opens_only_under_its_key() {
    let keys = protection();
    let mut info = McpttInfo {
        access_token: Some(Content::string_value("token & <more>")),
        client_id: Some(Content::string_value("urn:uuid:1")),
        request_uri: Some(Content::uri_value("sip:fireground-1@mc.example")),
        emergency_ind: Some(Content::boolean_value(true)),
        ..McpttInfo::default()
    };
    info.set_ext_content(
        "functional-alias-URI",
        &Content::uri_value("sip:unit-1001@lmr.mc.example"),
    );
    let plain = info.clone();
    info.encrypt(&keys, &mut Counting(7));
    assert!(plain.has_clear() && !info.has_clear());
    let mut half = info.clone();
    half.emergency_ind = Some(Content::boolean_value(true));
    assert!(half.has_clear());
    let mut half = info.clone();
    half.set_ext_content("called-functional-alias-URI", &Content::uri_value("sip:a"));
    assert!(half.has_clear());
    let wire = info.to_xml();
    for secret in ["token &", "fireground", "unit-1001", "urn:uuid"] {
        assert!(!wire.contains(secret), "{secret} is readable in {wire}");
    }
    let mut read = McpttInfo::parse(wire.as_bytes()).unwrap();
    assert!(read.is_protected());

    let other = XmlProtection::derive(
        &csk(0),
        KeyId(0x2ddd_5bf0),
        "sip:alice@example.org",
        XpkIdEncoding::Binary4,
    );
    let before = read.clone();
    assert_eq!(read.decrypt(&other), Err(SecurityError::PeerIntegrity));
    assert_eq!(read, before, "a refused body is unchanged");
    let renamed = XmlProtection::derive(
        &csk(0xe0),
        KeyId(0x2ddd_5bf1),
        "sip:alice@example.org",
        XpkIdEncoding::Binary4,
    );
    assert!(matches!(
        read.decrypt(&renamed),
        Err(SecurityError::PeerUnknownKey(_))
    ));

    assert_eq!(read.decrypt(&keys), Ok(true));
    // The fragment carries its own namespace declaration, so compare what it says.
    assert_eq!(read.functional_alias(), plain.functional_alias());
    let without_ext = |info: &McpttInfo| McpttInfo {
        any_ext: Vec::new(),
        ..info.clone()
    };
    assert_eq!(without_ext(&read), without_ext(&plain));
    assert_eq!(read.decrypt(&keys), Ok(false), "nothing is left to decrypt");
}

#[test]
fn every_flipped_octet_of_a_ciphertext_is_refused() {
    let keys = protection();
    let data = EncryptedData::seal("<a>x</a>", &keys, &mut Counting(0));
    for at in 0..data.cipher_value.len() {
        let mut bad = data.clone();
        bad.cipher_value[at] ^= 0x01;
        assert_eq!(
            bad.open(&keys, ""),
            Err(SecurityError::PeerIntegrity),
            "octet {at}"
        );
    }
    let short = EncryptedData {
        cipher_value: vec![0; 11],
        ..data
    };
    assert!(short.open(&keys, "").is_err());
}

#[test]
fn decrypted_content_is_read_under_the_same_bounds() {
    let keys = protection();
    let escape = EncryptedData::seal("</content><content>", &keys, &mut Counting(0));
    assert!(matches!(
        escape.open(&keys, ""),
        Err(SecurityError::PeerContent(_))
    ));
    let doctype = EncryptedData::seal("<!DOCTYPE a><a/>", &keys, &mut Counting(0));
    assert!(matches!(
        doctype.open(&keys, ""),
        Err(SecurityError::PeerContent(_))
    ));
}

#[test]
fn signed_body_covers_every_part_as_sent() {
    let (keys, profile) = (protection(), XmlProfile::default());
    let one = Part {
        content_id: "info@mc.example",
        octets: b"<a>1</a>",
    };
    let two = Part {
        content_id: "lists@mc.example",
        octets: b"<b>2</b>",
    };
    let signed = sign_parts(&[one, two], &keys, &profile);
    verify_parts(signed.as_bytes(), &[one, two], &keys, &profile).unwrap();
    let third = Part {
        content_id: "new@mc.example",
        octets: b"<c/>",
    };
    assert!(matches!(
        verify_parts(signed.as_bytes(), &[one, two, third], &keys, &profile),
        Err(SecurityError::PeerUnsigned(_))
    ));
    let changed = Part {
        octets: b"<a>2</a>",
        ..one
    };
    assert_eq!(
        verify_parts(signed.as_bytes(), &[changed], &keys, &profile),
        Err(SecurityError::PeerIntegrity)
    );
    let forged = signed.replace("cid:info@", "cid:exfo@");
    assert_eq!(
        verify_parts(forged.as_bytes(), &[two], &keys, &profile),
        Err(SecurityError::PeerIntegrity)
    );
    let other = XmlProfile {
        signed_root: "signature".into(),
        signed_ns: "urn:x".into(),
        ..XmlProfile::default()
    };
    let renamed = sign_parts(&[one, two], &keys, &other);
    assert!(renamed.contains(r#"<signature xmlns="urn:x">"#));
    verify_parts(renamed.as_bytes(), &[one, two], &keys, &profile).unwrap();
    let strict = XmlProfile {
        strict: true,
        ..profile.clone()
    };
    verify_parts(signed.as_bytes(), &[one, two], &keys, &strict).unwrap();
    assert!(matches!(
        verify_parts(renamed.as_bytes(), &[one, two], &keys, &strict),
        Err(SecurityError::PeerContent(XmlError::UnexpectedRoot { .. }))
    ));
    // A peer that digests the canonical form: same tree, other octets.
    let respelled = Part {
        octets: b"<?xml version='1.0'?><a >1</a>",
        ..one
    };
    verify_parts(signed.as_bytes(), &[respelled], &keys, &profile).unwrap();
}

fn kek_of(length: u8) -> Vec<u8> {
    (0..length).collect()
}

#[test]
fn key_wrap_vectors() {
    let mut kek = [0; 32];
    kek.iter_mut().zip(0..).for_each(|(o, i)| *o = i);
    // RFC 3394 4.6: 256 bits of key data with a 256 bit key.
    let key =
        hex::decode("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f").unwrap();
    let wrapped = keywrap::wrap(&kek, &key).unwrap();
    assert_eq!(
        hex::encode(&wrapped),
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"
    );
    assert_eq!(*keywrap::unwrap(&kek, &wrapped).unwrap(), key);
    // RFC 3394 4.1 and 4.2: 128 bits of key data with 128 and 192 bit keys; RFC 5649 6: a 192 bit key.
    for (kek, key, expected) in [
        (
            16,
            "00112233445566778899aabbccddeeff",
            "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5",
        ),
        (
            24,
            "00112233445566778899aabbccddeeff",
            "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d",
        ),
    ] {
        let wrapped = keywrap::wrap(&kek_of(kek), &hex::decode(key).unwrap()).unwrap();
        assert_eq!(hex::encode(&wrapped), expected);
        assert_eq!(
            hex::encode(&*keywrap::unwrap(&kek_of(kek), &wrapped).unwrap()),
            key
        );
    }
    let rfc_5649 = hex::decode("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8").unwrap();
    for (key, expected) in [
        (
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        ("466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ] {
        let wrapped = keywrap::wrap_padded(&rfc_5649, &hex::decode(key).unwrap()).unwrap();
        assert_eq!(hex::encode(&wrapped), expected);
        assert_eq!(
            hex::encode(&*keywrap::unwrap_padded(&rfc_5649, &wrapped).unwrap()),
            key
        );
    }
    assert_eq!(
        keywrap::wrap(&[0; 17], &[0; 16]),
        Err(SecurityError::LocalLength(17))
    );
    assert_eq!(
        keywrap::unwrap(&[0; 0], &[0; 24]),
        Err(SecurityError::LocalLength(0))
    );
    for length in [1, 7, 8, 9, 16, 32, 65, 257] {
        let key = vec![0xa5; length];
        let wrapped = keywrap::wrap_padded(&kek, &key).unwrap();
        assert_eq!(
            *keywrap::unwrap_padded(&kek, &wrapped).unwrap(),
            key,
            "{length}"
        );
        assert!(keywrap::unwrap(&kek, &wrapped).is_err(), "KWP is not KW");
        let mut bad = wrapped.clone();
        bad[0] ^= 1;
        assert!(keywrap::unwrap_padded(&kek, &bad).is_err());
    }
    assert!(
        keywrap::wrap(&kek, &[0; 257]).is_err(),
        "an RSK does not fit RFC 3394"
    );
    assert!(keywrap::unwrap(&kek, &[0; 16]).is_err() && keywrap::unwrap_padded(&kek, &[]).is_err());
}

// ---- foreign software ----

fn xmlsec1(directory: &Path, arguments: &[&str]) -> std::process::Output {
    Command::new("xmlsec1")
        .current_dir(directory)
        .args(arguments)
        .output()
        .expect("xmlsec1 is missing: run `make test`")
}

fn accepted(output: &std::process::Output) -> bool {
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(!text.contains("unrecognized"), "{text}");
    output.status.success()
}

const KMS: &str = "urn:3gpp:ns:mcsecKMSInterface:1.0";

fn kms_response() -> Element {
    Element::new(KMS, "SignedKmsResponse")
        .declare("se", "http://www.w3.org/2001/04/xmlenc#")
        .child(
            Element::new(KMS, "KmsResponse")
                .attr("Id", "xmldoc")
                .attr("Version", "1.0.0")
                .child(Element::new(KMS, "KmsUri").text("kms.mc.example"))
                .child(Element::new(KMS, "Note").text("a & b < c é \"q\"")),
        )
}

#[test]
fn xmlsec1_verifies_our_detached_signature() {
    let directory = tempfile::tempdir().unwrap();
    let key = [0x42; 32];
    fs::write(directory.path().join("key"), key).unwrap();
    let mut root = kms_response();
    sign_detached(&mut root, "xmldoc", &key, "ink.12.user@example.org").unwrap();
    let document = root.to_document();
    fs::write(directory.path().join("ours.xml"), &document).unwrap();
    let id = "--id-attr:Id";
    let element = format!("{KMS}:KmsResponse");
    let verify = ["--verify", "--hmackey", "key", id, &element, "ours.xml"];
    let output = xmlsec1(directory.path(), &verify);
    assert!(accepted(&output), "{output:?}\n{document}");
    assert_eq!(
        verify_same_document(&mc_xml::parse(document.as_bytes()).unwrap(), &key).unwrap(),
        "xmldoc"
    );

    fs::write(
        directory.path().join("ours.xml"),
        document.replace("kms.mc", "kms.mx"),
    )
    .unwrap();
    assert!(
        !accepted(&xmlsec1(directory.path(), &verify)),
        "xmlsec1 takes a changed document"
    );
    let changed = mc_xml::parse(document.replace("kms.mc", "kms.mx").as_bytes()).unwrap();
    assert_eq!(
        verify_same_document(&changed, &key),
        Err(SecurityError::PeerIntegrity)
    );
}

fn template(reference: &str, transforms: &str, c14n: &str) -> String {
    format!(
        "<ds:Signature xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\n <ds:SignedInfo>\n  \
         <ds:CanonicalizationMethod Algorithm=\"{c14n}\"/>\n  \
         <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#hmac-sha256\"/>\n  \
         <ds:Reference URI=\"{reference}\">{transforms}\
         <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><ds:DigestValue/></ds:Reference>\n \
         </ds:SignedInfo>\n <ds:SignatureValue/>\n <ds:KeyInfo><ds:KeyName>Ld1b8A==</ds:KeyName></ds:KeyInfo>\n</ds:Signature>"
    )
}

#[test]
fn we_verify_the_signatures_of_xmlsec1() {
    let directory = tempfile::tempdir().unwrap();
    let key = [0x17; 32];
    fs::write(directory.path().join("key"), key).unwrap();
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let transform = |uri: &str| format!("<ds:Transform Algorithm=\"{uri}\"/>");
    let enveloped = format!(
        "<ds:Transforms>{}{}</ds:Transforms>",
        transform("http://www.w3.org/2000/09/xmldsig#enveloped-signature"),
        transform(exclusive)
    );
    for (name, id_on_root, transforms, c14n) in [
        ("detached", false, String::new(), inclusive),
        (
            "detached exclusive",
            false,
            format!("<ds:Transforms>{}</ds:Transforms>", transform(exclusive)),
            exclusive,
        ),
        ("enveloped", true, enveloped, inclusive),
    ] {
        let (root_id, child_id) = if id_on_root {
            (" Id=\"xmldoc\"", "")
        } else {
            ("", " Id=\"xmldoc\"")
        };
        let document = format!(
            "<?xml version=\"1.0\"?>\n<k:SignedKmsResponse xmlns:k=\"{KMS}\" xmlns:unused=\"urn:u\"{root_id} b=\"2\" a=\"1\">\n\
             <k:KmsResponse{child_id} z='1'  y=\"&lt;\ttab\"><k:KmsUri>kms.mc.example</k:KmsUri><empty/><!-- note --><x xmlns=\"urn:x\"><y xmlns=\"\"/></x></k:KmsResponse>\n{}</k:SignedKmsResponse>",
            template("#xmldoc", &transforms, c14n)
        );
        fs::write(directory.path().join("t.xml"), document).unwrap();
        let id = "--id-attr:Id".to_owned();
        let element = format!(
            "{KMS}:{}",
            if id_on_root {
                "SignedKmsResponse"
            } else {
                "KmsResponse"
            }
        );
        let sign = [
            "--sign",
            "--hmackey",
            "key",
            &id,
            &element,
            "--output",
            "signed.xml",
            "t.xml",
        ];
        let output = xmlsec1(directory.path(), &sign);
        assert!(accepted(&output), "{name}: {output:?}");
        let signed = fs::read(directory.path().join("signed.xml")).unwrap();
        let tree = mc_xml::parse(&signed).unwrap();
        assert_eq!(
            verify_same_document(&tree, &key).as_deref(),
            Ok("xmldoc"),
            "{name}"
        );
        assert_eq!(
            verify_same_document(&tree, &[0; 32]),
            Err(SecurityError::PeerIntegrity)
        );
        let changed = String::from_utf8(signed)
            .unwrap()
            .replace("kms.mc", "kms.mx");
        let changed = mc_xml::parse(changed.as_bytes()).unwrap();
        assert_eq!(
            verify_same_document(&changed, &key),
            Err(SecurityError::PeerIntegrity),
            "{name}"
        );
    }
}

#[test]
fn signed_bodies_go_both_ways_with_xmlsec1() {
    let directory = tempfile::tempdir().unwrap();
    let keys = protection();
    fs::write(directory.path().join("key"), keys.integrity_key()).unwrap();
    let body = b"<mcpttinfo xmlns=\"urn:3gpp:ns:mcpttInfo:1.0\"><mcptt-Params/></mcpttinfo>";
    fs::write(directory.path().join("body.xml"), body).unwrap();
    let part = Part {
        content_id: "info@mc.example",
        octets: body,
    };
    fs::write(
        directory.path().join("ours.xml"),
        sign_parts(&[part], &keys, &XmlProfile::default()),
    )
    .unwrap();
    let map = "--url-map:cid:info@mc.example";
    let verify = ["--verify", "--hmackey", "key", map, "body.xml", "ours.xml"];
    let output = xmlsec1(directory.path(), &verify);
    assert!(accepted(&output), "{output:?}");

    let theirs = format!(
        "<signatures xmlns=\"urn:any\">{}</signatures>",
        template(
            "cid:info@mc.example",
            "",
            "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
        )
    );
    fs::write(directory.path().join("t.xml"), theirs).unwrap();
    let sign = [
        "--sign",
        "--hmackey",
        "key",
        map,
        "body.xml",
        "--output",
        "theirs.xml",
        "t.xml",
    ];
    let output = xmlsec1(directory.path(), &sign);
    assert!(accepted(&output), "{output:?}");
    let theirs = fs::read(directory.path().join("theirs.xml")).unwrap();
    verify_parts(&theirs, &[part], &keys, &XmlProfile::default()).unwrap();
    let changed = Part {
        octets: b"<mcpttinfo/>",
        ..part
    };
    assert_eq!(
        verify_parts(&theirs, &[changed], &keys, &XmlProfile::default()),
        Err(SecurityError::PeerIntegrity)
    );
}

#[test]
fn encrypted_content_goes_both_ways_with_xmlsec1() {
    let directory = tempfile::tempdir().unwrap();
    let keys = protection();
    let confidentiality = hex::decode("d28067cf2f7b6be064b685a0a2cd9ee2").unwrap();
    fs::write(directory.path().join("key"), confidentiality).unwrap();
    let mut info = McpttInfo {
        request_uri: Some(Content::uri_value("sip:bob@example.org")),
        ..McpttInfo::default()
    };
    let plain = info.clone();
    info.encrypt(&keys, &mut Counting(0));
    fs::write(directory.path().join("ours.xml"), info.to_xml()).unwrap();
    let decrypt = [
        "--decrypt",
        "--aeskey:Ld1b8A==",
        "key",
        "--output",
        "plain.xml",
        "ours.xml",
    ];
    let output = xmlsec1(directory.path(), &decrypt);
    assert!(accepted(&output), "{output:?}");
    let opened = fs::read_to_string(directory.path().join("plain.xml")).unwrap();
    let opened = opened.replace("type=\"Encrypted\"", "type=\"Normal\"");
    assert_eq!(McpttInfo::parse(opened.as_bytes()).unwrap(), plain);

    let data = "<EncryptedData xmlns=\"http://www.w3.org/2001/04/xmlenc#\" Type=\"http://www.w3.org/2001/04/xmlenc#Content\">\
        <EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes128-gcm\"/>\
        <KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><KeyName>Ld1b8A==</KeyName></KeyInfo>\
        <CipherData><CipherValue/></CipherData></EncryptedData>";
    fs::write(directory.path().join("t.xml"), data).unwrap();
    fs::write(directory.path().join("in.xml"), plain.to_xml()).unwrap();
    let path = "//*[local-name()='mcptt-request-uri']";
    let encrypt = [
        "--encrypt",
        "--aeskey:Ld1b8A==",
        "key",
        "--xml-data",
        "in.xml",
        "--node-xpath",
        path,
        "--output",
        "theirs.xml",
        "t.xml",
    ];
    let output = xmlsec1(directory.path(), &encrypt);
    assert!(accepted(&output), "{output:?}");
    let theirs = fs::read_to_string(directory.path().join("theirs.xml")).unwrap();
    assert!(!theirs.contains("bob"), "{theirs}");
    let theirs = theirs.replace("type=\"Normal\"", "type=\"Encrypted\"");
    let mut read = McpttInfo::parse(theirs.as_bytes()).unwrap();
    assert_eq!(read.decrypt(&keys), Ok(true));
    assert_eq!(read, plain);
}
