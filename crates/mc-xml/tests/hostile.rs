//! Hostile documents are refused with a typed error, quickly and without a panic.

use mc_xml::group::GroupDocument;
use mc_xml::mcptt_info::McpttInfo;
use mc_xml::{Limits, XmlError, parse, parse_with};
use proptest::prelude::*;

#[test]
fn entities_and_document_types() {
    let laughs = br#"<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;">]><lolz>&lol2;</lolz>"#;
    assert_eq!(parse(laughs), Err(XmlError::PeerDoctype));
    let external = br#"<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>"#;
    assert_eq!(parse(external), Err(XmlError::PeerDoctype));
    assert_eq!(
        parse(b"<a>&xxe;</a>"),
        Err(XmlError::PeerEntity("xxe".into()))
    );
    assert_eq!(
        parse(b"<a b='&xxe;'/>"),
        Err(XmlError::PeerEntity("xxe".into()))
    );
    for bad in [
        "&#0;",
        "&#x0;",
        "&#xD800;",
        "&#x110000;",
        "&#-1;",
        "&#;",
        "&#x;",
        "&#+65;",
    ] {
        let document = format!("<a>{bad}</a>");
        assert!(parse(document.as_bytes()).is_err(), "{bad}");
    }
    let five = parse(b"<a b='&quot;&#x41;'>&lt;&amp;&gt;&apos;&#66;</a>").unwrap();
    assert_eq!(five.raw_text(), "<&>'B");
    assert_eq!(five.attribute("b"), Some("\"A"));
}

#[test]
fn size_depth_and_counts() {
    let limits = Limits {
        octets: 100_000,
        ..Limits::default()
    };
    let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
    assert!(matches!(
        parse(deep.as_bytes()),
        Err(XmlError::PeerTooLarge { limit: 32, .. })
    ));
    let million = "<a>".repeat(30_000);
    assert!(matches!(
        parse_with(million.as_bytes(), &limits),
        Err(XmlError::PeerTooLarge { .. })
    ));
    let large = format!("<a>{}</a>", "x".repeat(100_000));
    assert!(matches!(
        parse_with(large.as_bytes(), &limits),
        Err(XmlError::PeerTooLarge { what: "octets", .. })
    ));
    let wide = format!(
        "<a {}/>",
        (0..65).map(|i| format!("a{i}='' ")).collect::<String>()
    );
    assert!(matches!(
        parse(wide.as_bytes()),
        Err(XmlError::PeerTooLarge {
            what: "attributes",
            ..
        })
    ));
    let many = format!("<a>{}</a>", "<b/>".repeat(20_000));
    assert!(matches!(
        parse(many.as_bytes()),
        Err(XmlError::PeerTooLarge { what: "nodes", .. })
    ));
    let name = format!("<{}/>", "n".repeat(257));
    assert!(matches!(
        parse(name.as_bytes()),
        Err(XmlError::PeerTooLarge { .. })
    ));
}

#[test]
fn encodings() {
    assert_eq!(parse(b"<a>\xff\xfe</a>"), Err(XmlError::PeerEncoding));
    assert_eq!(
        parse(b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a/>"),
        Err(XmlError::PeerEncoding)
    );
    assert_eq!(
        parse(b"<?xml version=\"1.0\" encoding=\"UTF-16\"?><a/>"),
        Err(XmlError::PeerEncoding)
    );
    let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(parse(&utf16).is_err());
    assert!(parse(b"\xef\xbb\xbf<?xml version='1.0' encoding='utf-8'?><a/>").is_ok());
}

#[test]
fn namespaces() {
    let ns = |d: &str| matches!(parse(d.as_bytes()), Err(XmlError::PeerNamespace(_)));
    assert!(ns("<p:a/>"));
    assert!(ns("<a p:b=''/>"));
    assert!(
        ns("<a xmlns:p='urn:x' xmlns:q='urn:x' p:b='' q:b=''/>"),
        "same expanded name"
    );
    assert!(ns("<a xmlns:xml='urn:x'/>"));
    assert!(ns("<a xmlns:p=''/>"));
    assert!(ns("<a xmlns='http://www.w3.org/2000/xmlns/'/>"));
    assert!(parse(b"<a b='' b=''/>").is_err(), "duplicate attribute");
    let wrong = br#"<mcpttinfo xmlns="urn:3gpp:ns:mcpttInfo:2.0"><mcptt-Params/></mcpttinfo>"#;
    assert!(matches!(
        McpttInfo::parse(wrong),
        Err(XmlError::UnexpectedRoot { .. })
    ));
    let none = b"<mcpttinfo><mcptt-Params/></mcpttinfo>";
    assert!(matches!(
        McpttInfo::parse(none),
        Err(XmlError::UnexpectedRoot { .. })
    ));
}

#[test]
fn well_formedness() {
    for bad in [
        "",
        " ",
        "text",
        "<a>",
        "</a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>x",
        "x<a/>",
        "<a b=c/>",
        "<a b='<'/>",
        "<a>]]></a>",
        "<1a/>",
        "<a:b:c xmlns:a='urn:x'/>",
        "<a>&</a>",
        "<a>&amp</a>",
        "<a\u{1}/>",
        "<a>\u{0}</a>",
        "<a>\u{b}</a>",
        "<a><!-- -- --></a>",
        "<a/><?xml version='1.0'?>",
        "<?xml version='1.1'?><a/>",
        "<a><![CDATA[x</a>",
        "<![CDATA[x]]><a/>",
        "<a b='&'/>",
    ] {
        assert!(parse(bad.as_bytes()).is_err(), "{bad:?} was accepted");
    }
}

#[test]
fn values() {
    let info = |inner: &str| {
        let document = format!(
            "<mcpttinfo xmlns=\"urn:3gpp:ns:mcpttInfo:1.0\"><mcptt-Params>{inner}</mcptt-Params></mcpttinfo>"
        );
        McpttInfo::parse(document.as_bytes())
    };
    assert!(
        info("<mcptt-request-uri type='Normal'><mcpttURI>sip:a@b</mcpttURI></mcptt-request-uri>")
            .is_ok()
    );
    // Plain text where contentType is demanded, two values, a wrong type, twice the same element.
    assert!(info("<mcptt-request-uri>sip:a@b</mcptt-request-uri>").is_err());
    assert!(
        info("<mcptt-request-uri><mcpttURI>a</mcpttURI><mcpttURI>b</mcpttURI></mcptt-request-uri>")
            .is_err()
    );
    assert!(
        info("<mcptt-request-uri type='Encrypted'><mcpttURI>a</mcpttURI></mcptt-request-uri>")
            .is_err()
    );
    assert!(info("<emergency-ind><mcpttBoolean>maybe</mcpttBoolean></emergency-ind>").is_err());
    assert!(matches!(
        info("<mc-org>a</mc-org><mc-org>b</mc-org>"),
        Err(XmlError::PeerDuplicate(_))
    ));
    // Rel-13 wrote these two as simple types.
    assert!(info("<imminentperil-ind>true</imminentperil-ind>").is_ok());

    let twice = br#"<group xmlns="urn:oma:xml:poc:list-service"><list-service uri="sip:g@x"><list><entry uri="sip:a@x"/><entry uri="sip:a@x"/></list></list-service></group>"#;
    assert!(matches!(
        GroupDocument::parse(twice),
        Err(XmlError::PeerDuplicate(_))
    ));
}

proptest! {
    #[test]
    fn no_octets_panic(octets in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&octets);
    }

    #[test]
    fn markup_like_text_never_panics_and_what_is_read_is_written_the_same(
        text in "(<|>|/|a|b|:|=|'|\"|&|;|amp|#|x|!|-|\\[|\\]|CDATA|\\?|xmlns| |\n|é){0,60}"
    ) {
        let document = format!("<a>{text}</a>");
        if let Ok(tree) = parse(document.as_bytes()) {
            prop_assert_eq!(parse(tree.to_document().as_bytes()).unwrap(), tree);
        }
    }
}
