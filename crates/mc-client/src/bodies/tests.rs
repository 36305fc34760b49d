use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{Csk, Key128 as _, KeyId};
use mc_xml::affiliation::{Affiliation, Tuple};
use mc_xml::mcptt_info::Content;

use super::*;

fn keys(octet: u8) -> BodyProtection {
    let (csk, id) = (Csk::from_octets([octet; 16]), KeyId(0x2ddd_5bf0));
    let user = "sip:alice@mc.example";
    let xml = XmlProtection::derive(&csk, id, user, XpkIdEncoding::default());
    BodyProtection::new(xml, &BodyConfig::default())
}

/// As the far end reads it.
fn transmitted(parts: &Multipart) -> Multipart {
    let (kind, body) = parts.write("b1");
    let mut headers = mc_sip::Headers::new();
    headers.push("Content-Type", kind);
    Multipart::of(&headers, &body).unwrap()
}

#[test]
fn a_uri_in_an_attribute_is_open_to_both_parties_only() {
    let (keys, others) = (keys(7), keys(8));
    let clear = "sip:unit-1001@mc.example";
    let sealed = keys.seal_uri(clear, &mut mc_runtime::rng());
    assert!(sealed.ends_with("@mc-encrypted.invalid"), "{sealed}");
    let opened = keys.open_uri(&sealed).unwrap();
    assert_eq!(opened.as_deref(), Some(clear));
    assert_eq!(keys.open_uri(clear).unwrap(), None);
    assert!(others.open_uri(&sealed).is_err());
}

#[test]
fn a_signature_covers_every_xml_part() {
    let (keys, others) = (keys(7), keys(8));
    let parts = || {
        Multipart::default()
            .with(BodyPart::new(media::SDP, "v=0\r\n"))
            .with(BodyPart::new(media::MCPTT_INFO, "<a>x</a>"))
            .with(BodyPart::new(media::PIDF, "<b>y</b>"))
    };
    assert_eq!(keys.verify(&parts()), Ok(false));
    let sent = keys.sign(parts(), &mut mc_runtime::rng());
    let read = || transmitted(&sent);
    assert_eq!(keys.verify(&read()), Ok(true));
    let mut changed = read();
    changed.parts[2].transmitted = b"<b>z</b>".to_vec();
    assert!(keys.verify(&changed).is_err());
    let added = read().with(BodyPart::new(media::RESOURCE_LISTS, "<c/>"));
    assert!(keys.verify(&added).is_err());
    assert!(others.verify(&read()).is_err());
}

#[test]
fn a_message_without_xml_needs_no_signature() {
    let keys = keys(7);
    let parts = Multipart::default().with(BodyPart::new(media::SDP, "v=0\r\n"));
    let signed = Seal::full(&keys).sign(parts.clone(), &mut mc_runtime::rng());
    assert_eq!(signed, parts);
    let demand = BodyConfig::default().demand();
    assert_eq!(demand.verify(&parts, Some(&keys)), Ok(()));
}

#[test]
fn what_is_demanded_is_refused_with_its_own_warning() {
    let (keys, others) = (keys(7), keys(8));
    let rng = &mut mc_runtime::rng();
    let mut made = |seal: Seal<'_>| {
        let info = McpttInfo {
            request_uri: Some(Content::uri_value("sip:bob@mc.example")),
            ..McpttInfo::default()
        };
        let parts = Multipart::default().with(seal.info(info, rng));
        transmitted(&seal.sign(parts, rng))
    };
    let signed_only = BodyConfig {
        encrypt: false,
        ..BodyConfig::default()
    };
    let encrypted_only = BodyConfig {
        sign: false,
        ..BodyConfig::default()
    };
    let demand = BodyConfig::default().demand();
    let full = made(Seal::full(&keys));
    assert!(demand.open(&full, Some(&keys)).is_ok());
    let refusals = [
        (full.clone(), Some(&others), BodyRefused::Undecryptable),
        (full, None, BodyRefused::Undecryptable),
        (made(Seal::CLEAR), Some(&keys), BodyRefused::Undecryptable),
        (
            made(Seal::configured(Some(&keys), &signed_only)),
            Some(&keys),
            BodyRefused::Undecryptable,
        ),
        (
            made(Seal::configured(Some(&keys), &encrypted_only)),
            Some(&keys),
            BodyRefused::Unsigned,
        ),
        (Multipart::default(), Some(&keys), BodyRefused::Malformed),
    ];
    for (parts, keys, refused) in refusals {
        assert_eq!(demand.open(&parts, keys), Err(refused));
    }
    // Who demands nothing still refuses a signature that is wrong.
    let mut changed = made(Seal::configured(Some(&keys), &signed_only));
    changed.parts[0].transmitted.push(b' ');
    let opened = Demand::NOTHING.open(&changed, Some(&keys));
    assert_eq!(opened, Err(BodyRefused::Unsigned));
    assert!(Demand::NOTHING.open(&made(Seal::CLEAR), None).is_ok());
}

#[test]
fn affiliations_name_nobody_in_clear() {
    let (keys, demand) = (keys(7), BodyConfig::default().demand());
    let rng = &mut mc_runtime::rng();
    let client = "urn:uuid:6d1f9a40-0d6c-4c8e-9a53-1a2b3c4d5e6f";
    let presence = AffiliationPresence {
        entity: "sip:alice@mc.example".to_owned(),
        tuples: vec![Tuple {
            id: client.to_owned(),
            affiliations: vec![Affiliation {
                group: Some("sip:fire@mc.example".to_owned()),
                ..Affiliation::default()
            }],
            functional_aliases: vec!["sip:duty@mc.example".to_owned()],
        }],
        ..AffiliationPresence::default()
    };
    let part = Seal::full(&keys).presence(presence.clone(), rng);
    let text = String::from_utf8(part.content.clone()).unwrap();
    assert!(
        text.contains(client) && !text.contains("sip:alice"),
        "{text}"
    );
    assert!(!text.contains("sip:fire") && !text.contains("sip:duty"));
    assert_eq!(demand.presence(&part, Some(&keys)), Ok(presence.clone()));
    let clear = Seal::CLEAR.presence(presence, rng);
    let refused = demand.presence(&clear, Some(&keys));
    assert_eq!(refused, Err(BodyRefused::Undecryptable));
}
