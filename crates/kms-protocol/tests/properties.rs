//! Properties of the documents for any content: what is written reads the same, what is read is
//! written so that it reads the same, bounds hold, and no octets make a reader panic.

#![expect(clippy::unwrap_used, reason = "what is drawn is valid")]

use kms_protocol::{
    CertCache, KMS_NS, KeyContent, KeyContentError, KeySet, KmsCertificate, KmsDocumentError,
    KmsError, KmsInit, KmsKeyProv, KmsMessage, KmsRequest, KmsResponse, ROOT, RedirectNames,
    RedirectResponse, Rejected, Resource, Role, TransportKey, TrkWrap, format_date, parse_date,
};
use mc_ids::{KeyPeriod, KmsUri, NtpTime};
use mc_xml::Element;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use time::OffsetDateTime;

/// Text of an element: white space around it does not count, all else does.
fn text() -> impl Strategy<Value = String> {
    "[!-~\u{a0}äß€😀]([ -~\u{a0}äß€😀]{0,24}[!-~\u{a0}äß€😀])?"
}

fn uri() -> impl Strategy<Value = KmsUri> {
    "[a-z0-9.:/&'@-]{1,40}".prop_map(|text| KmsUri::new(text).unwrap())
}

/// Whole seconds of the years that `xs:dateTime` writes with four digits.
fn date() -> impl Strategy<Value = OffsetDateTime> {
    (-62_135_596_800_i64..253_402_300_800)
        .prop_map(|seconds| OffsetDateTime::from_unix_timestamp(seconds).unwrap())
}

prop_compose! {
    fn certificate()(
        (role, is_security_gateway, revoked) in
            (option::of(prop_oneof![Just(Role::Root), Just(Role::External)]), any::<bool>(), any::<bool>()),
        (id, cert_uri, issuer) in (option::of(text()), option::of(text()), option::of(text())),
        (kms_uri, user_id_format) in (uri(), text()),
        (valid_from, valid_to) in (option::of(date()), option::of(date())),
        (period, offset, parameter_set) in (1_u64.., any::<u64>(), any::<Option<u64>>()),
        (pub_enc_key, pub_auth_key) in (vec(any::<u8>(), 1..300), vec(any::<u8>(), 1..70)),
        domains in vec(text(), 0..4),
    ) -> KmsCertificate {
        let period = KeyPeriod::new(period, offset).unwrap();
        KmsCertificate {
            role, is_security_gateway, id, cert_uri, kms_uri, issuer, valid_from, valid_to, revoked,
            user_id_format, period, pub_enc_key, pub_auth_key, parameter_set, domains,
        }
    }
}

fn key_content() -> impl Strategy<Value = KeyContent> {
    let octets = || vec(any::<u8>(), 1..300);
    prop_oneof![
        octets().prop_map(|key| KeyContent::Plain(key.into())),
        (option::of(text()), octets())
            .prop_map(|(key_name, octets)| KeyContent::Wrapped { key_name, octets }),
    ]
}

prop_compose! {
    fn key_set()(
        (kms_uri, user_uri, user_id) in (uri(), text(), text()),
        (cert_uri, issuer, revoked) in (option::of(text()), option::of(text()), any::<bool>()),
        (valid_from, valid_to) in (option::of(date()), option::of(date())),
        key_period_no in any::<u64>(),
        [decrypt_key, signing_key, token] in [key_content(), key_content(), key_content()],
    ) -> KeySet {
        KeySet {
            kms_uri, cert_uri, issuer, user_uri, user_id, valid_from, valid_to, key_period_no,
            revoked, decrypt_key, signing_key, token,
        }
    }
}

fn message() -> impl Strategy<Value = KmsMessage> {
    let cache = (any::<Option<u64>>(), vec(certificate(), 0..3));
    prop_oneof![
        certificate().prop_map(|certificate| KmsMessage::Init(Box::new(KmsInit { certificate }))),
        vec(key_set(), 0..3).prop_map(|key_sets| KmsMessage::KeyProv(KmsKeyProv { key_sets })),
        cache.prop_map(|(cache_num, certificates)| {
            KmsMessage::CertCache(CertCache {
                cache_num,
                certificates,
            })
        }),
    ]
}

fn error() -> impl Strategy<Value = KmsError> {
    (any::<i64>(), text()).prop_map(|(code, message)| KmsError { code, message })
}

prop_compose! {
    fn response()(
        (user_uri, client_req_url) in (text(), text()),
        (kms_uri, time, kms_id) in (uri(), date(), option::of(text())),
        (message, error) in (option::of(message()), option::of(error())),
        trk_id in option::of(text()),
    ) -> KmsResponse {
        KmsResponse { user_uri, kms_uri, time, kms_id, client_req_url, message, error, trk_id }
    }
}

prop_compose! {
    fn request()(
        [user_uri, kms_uri, client_req_url] in [text(), text(), text()],
        (time, client_error) in (date(), option::of(error())),
        [id, client_id, device_id, trk_id, signature_id] in
            [option::of(text()), option::of(text()), option::of(text()), option::of(text()), option::of(text())],
        krr_list in option::of(text().prop_map(|text| Element::new(KMS_NS, "KrrList").text(&text))),
    ) -> KmsRequest {
        KmsRequest {
            id, user_uri, kms_uri, time, client_id, device_id, client_req_url, krr_list,
            client_error, trk_id, signature_id,
        }
    }
}

prop_compose! {
    fn redirect()(
        [initiator, receiver, processor] in
            [option::of(text()), option::of(text()), option::of(text())],
        rejected in option::of(prop_oneof![
            uri().prop_map(Rejected::Initiator), uri().prop_map(Rejected::Receiver),
        ]),
        acceptable in vec(uri(), 0..4),
        time in option::of(date()),
    ) -> RedirectResponse {
        RedirectResponse { initiator, receiver, rejected, acceptable, time, processor }
    }
}

fn resource() -> impl Strategy<Value = Resource> {
    let time = any::<Option<u64>>().prop_map(|time| time.map(NtpTime));
    prop_oneof![
        Just(Resource::Init),
        Just(Resource::Redirect),
        Just(Resource::KeyProv {
            user: None,
            time: None
        }),
        (text(), time).prop_map(|(user, time)| Resource::KeyProv {
            user: Some(user),
            time
        }),
        any::<Option<u64>>().prop_map(|held| Resource::CertCache { held }),
        text().prop_map(|kms_uri| Resource::Cert { kms_uri }),
        text().prop_map(|user| Resource::Lookup { user }),
    ]
}

/// Reads octets as every document there is; what is read is written so that it reads the same.
fn read(octets: &[u8]) {
    let _ = KmsRequest::parse(octets);
    if let Ok(certificate) = KmsCertificate::parse(octets) {
        let again = certificate.to_element().to_document();
        assert_eq!(KmsCertificate::parse(again.as_bytes()), Ok(certificate));
    }
    if let Ok(response) = KmsResponse::parse(octets) {
        assert_eq!(
            KmsResponse::parse(response.to_xml().as_bytes()),
            Ok(response)
        );
    }
    let names = RedirectNames::default();
    if let Ok(redirect) = RedirectResponse::parse(octets, &names) {
        assert_eq!(
            RedirectResponse::parse(redirect.to_xml(&names).as_bytes(), &names),
            Ok(redirect)
        );
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(
        (certificate, request) in (certificate(), request()),
        (response, redirect) in (response(), redirect()),
    ) {
        let xml = certificate.to_element().to_document();
        prop_assert_eq!(KmsCertificate::parse(xml.as_bytes()), Ok(certificate));
        prop_assert_eq!(KmsRequest::parse(request.to_xml().as_bytes()), Ok(request));
        prop_assert_eq!(KmsResponse::parse(response.to_xml().as_bytes()), Ok(response));
        let names = RedirectNames::default();
        let read = RedirectResponse::parse(redirect.to_xml(&names).as_bytes(), &names);
        prop_assert_eq!(read, Ok(redirect));
    }

    #[test]
    fn a_resource_is_its_path(resource in resource()) {
        let path = resource.path();
        prop_assert_eq!(Resource::parse(path.strip_prefix(ROOT).unwrap()), Ok(resource));
    }

    #[test]
    fn a_changed_document_is_refused_or_reads_the_same_again(
        response in response(),
        at in any::<prop::sample::Index>(),
        (octet, cut) in (any::<u8>(), any::<bool>()),
    ) {
        let mut octets = response.to_xml().into_bytes();
        let at = at.index(octets.len());
        octets[at] = octet;
        if cut {
            octets.truncate(at + 1);
        }
        read(&octets);
    }

    #[test]
    fn no_octets_make_a_reader_panic(octets in vec(any::<u8>(), 0..200), path in "\\PC{0,60}") {
        read(&octets);
        let _ = (Resource::parse(&path), parse_date(&path));
        let root = format!(r#"<KmsResponse xmlns="{KMS_NS}">{path}</KmsResponse>"#);
        read(root.as_bytes());
    }

    /// Zones and fractions, also at both ends of the calendar.
    #[test]
    fn a_date_that_is_read_is_written_so_that_it_reads_the_same(
        text in "(0000|0001|2026|9999)-(01|12)-(01|31)T(00|23):(00|59):(00|59|60)(\\.[0-9]{1,9})?(Z|[+-](00|14|23):(00|59))?",
    ) {
        if let Some(date) = parse_date(&text) {
            prop_assert_eq!(parse_date(&format_date(date)), Some(date));
        }
    }

    #[test]
    fn a_wrapped_key_unwraps_with_its_transport_key_only(
        (ssk, kek, other) in (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 32]>()),
        token in vec(any::<u8>(), 64),
        how in prop_oneof![Just(TrkWrap::None), Just(TrkWrap::Kwp), Just(TrkWrap::KwStrip04)],
    ) {
        let token = [&[4], token.as_slice()].concat();
        let trk = [TransportKey::new("trk", kek)];
        let protect = |key: &[u8]| KeyContent::protect(key, how, trk.first()).unwrap();
        prop_assert_eq!(*protect(&ssk).scalar(&trk).unwrap(), ssk);
        prop_assert_eq!(&*protect(&token).eccsi_point(&trk).unwrap(), &token);
        prop_assume!(kek != other && how != TrkWrap::None);
        let refused = protect(&ssk).scalar(&[TransportKey::new("trk", other)]);
        prop_assert_eq!(refused, Err(KeyContentError::Integrity));
        let refused = protect(&ssk).scalar(&[TransportKey::new("another", kek)]);
        prop_assert_eq!(refused, Err(KeyContentError::NoTransportKey("trk".to_owned())));
    }
}

#[test]
fn lists_and_texts_have_bounds() {
    let certificate = |domains: usize, issuer: usize| {
        format!(
            r#"<KmsCertificate xmlns="{KMS_NS}"><KmsUri>k</KmsUri><Issuer>{}</Issuer>
            <UserIdFormat>2</UserIdFormat><UserKeyPeriod>1</UserKeyPeriod>
            <UserKeyOffset>0</UserKeyOffset><PubEncKey>04</PubEncKey><PubAuthKey>04</PubAuthKey>
            <KmsDomainList>{}</KmsDomainList></KmsCertificate>"#,
            "i".repeat(issuer),
            "<KmsDomain>d</KmsDomain>".repeat(domains),
        )
    };
    let parse = |xml: String| KmsCertificate::parse(xml.as_bytes());
    assert_eq!(parse(certificate(256, 2048)).unwrap().domains.len(), 256);
    let wrong = KmsDocumentError::PeerValue;
    assert_eq!(parse(certificate(257, 1)), Err(wrong("KmsDomainList")));
    assert_eq!(parse(certificate(1, 2049)), Err(wrong("Issuer")));
    let cache = |count: usize| {
        let one = certificate(1, 1).replace(&format!(r#" xmlns="{KMS_NS}""#), "");
        let xml = format!(
            r#"<KmsResponse xmlns="{KMS_NS}"><UserUri>u</UserUri><KmsUri>k</KmsUri>
            <Time>2026-11-25T00:00:00Z</Time><ClientReqUrl>r</ClientReqUrl>
            <KmsMessage><KmsCertCache>{}</KmsCertCache></KmsMessage></KmsResponse>"#,
            one.repeat(count),
        );
        KmsResponse::parse(xml.as_bytes())
    };
    assert!(cache(512).is_ok());
    assert_eq!(cache(513), Err(wrong("KmsMessage")));
}
