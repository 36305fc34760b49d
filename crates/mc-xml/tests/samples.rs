//! Every sample body parses into its typed document and survives a round trip.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test support code stops the test"
)]

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use mc_xml::affiliation::{AffiliationPresence, AffiliationStatus};
use mc_xml::affiliation_command::AffiliationCommand;
use mc_xml::conference_info::ConferenceInfo;
use mc_xml::config::service::ServiceConfig;
use mc_xml::config::ue_init::UeInitConfig;
use mc_xml::config::user_profile::UserProfile;
use mc_xml::gktp::GktpDocument;
use mc_xml::group::{AcknowledgementAction, GroupDocument, Member, Regrouped};
use mc_xml::mcptt_info::{Content, McpttInfo, SessionType};
use mc_xml::poc_settings::{AnswerMode, PocSettings};
use mc_xml::resource_lists::ResourceLists;
use mc_xml::xcap_diff::XcapDiff;
use mc_xml::xcap_error::XcapError;
use mc_xml::{XmlError, XmlProfile};

fn vector(name: &str) -> Vec<u8> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/xml");
    fs::read(root.join(name)).unwrap()
}

fn bodies(content_type: &str) -> Vec<(String, String)> {
    let all: serde_json::Value = serde_json::from_slice(&vector("sip_bodies.json")).unwrap();
    let of_type: Vec<_> = all["bodies"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|b| b["content_type"] == content_type)
        .map(|b| {
            (
                b["message"].as_str().unwrap().to_owned(),
                b["body"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert!(!of_type.is_empty(), "no {content_type} in the vectors");
    of_type
}

fn body(content_type: &str, message: &str) -> String {
    bodies(content_type)
        .into_iter()
        .find(|(m, _)| m.starts_with(message))
        .unwrap()
        .1
}

/// Element names in document order, to compare two documents by structure.
fn names(element: &mc_xml::Element) -> Vec<String> {
    let mut all = vec![format!("{{{}}}{}", element.ns, element.local)];
    element.elements().for_each(|e| all.extend(names(e)));
    all
}

#[test]
fn every_mcptt_info_keeps_its_schema_order() {
    for (message, body) in bodies(mc_xml::mcptt_info::MEDIA_TYPE) {
        let info = McpttInfo::parse(body.as_bytes()).unwrap_or_else(|e| panic!("{message}: {e}"));
        let written = info.to_xml();
        assert_eq!(
            McpttInfo::parse(written.as_bytes()).unwrap(),
            info,
            "{message}"
        );
        assert_eq!(
            names(&mc_xml::parse(written.as_bytes()).unwrap()),
            names(&mc_xml::parse(body.as_bytes()).unwrap()),
            "{message}: order of elements"
        );
    }
}

#[test]
fn mcptt_info_is_written_in_the_order_of_annex_f_1() {
    //= TS 24.379 F.1
    let mut info = McpttInfo {
        client_id: Some(Content::string_value("urn:uuid:1")),
        emergency_ind: Some(Content::boolean_value(true)),
        calling_user_id: Some(Content::uri_value("sip:alice@mc.example")),
        request_uri: Some(Content::uri_value("sip:fireground-1@mc.example")),
        session_type: Some(SessionType::Prearranged),
        access_token: Some(Content::string_value("a.b.c")),
        broadcast_ind: Some(false),
        ..McpttInfo::default()
    };
    info.set_ext_content(
        "functional-alias-URI",
        &Content::uri_value("sip:unit-1001@lmr.mc.example"),
    );
    assert_eq!(
        info.to_xml(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <mcpttinfo xmlns=\"urn:3gpp:ns:mcpttInfo:1.0\"><mcptt-Params>\
         <mcptt-access-token type=\"Normal\"><mcpttString>a.b.c</mcpttString></mcptt-access-token>\
         <session-type>prearranged</session-type>\
         <mcptt-request-uri type=\"Normal\"><mcpttURI>sip:fireground-1@mc.example</mcpttURI></mcptt-request-uri>\
         <mcptt-calling-user-id type=\"Normal\"><mcpttURI>sip:alice@mc.example</mcpttURI></mcptt-calling-user-id>\
         <emergency-ind type=\"Normal\"><mcpttBoolean>true</mcpttBoolean></emergency-ind>\
         <broadcast-ind>false</broadcast-ind>\
         <mcptt-client-id type=\"Normal\"><mcpttString>urn:uuid:1</mcpttString></mcptt-client-id>\
         <anyExt><functional-alias-URI type=\"Normal\"><mcpttURI>sip:unit-1001@lmr.mc.example</mcpttURI></functional-alias-URI></anyExt>\
         </mcptt-Params></mcpttinfo>\n"
    );
    assert_eq!(
        info.functional_alias().as_deref(),
        Some("sip:unit-1001@lmr.mc.example")
    );
    assert!(
        !format!("{info:?}").contains("a.b.c"),
        "a token must not reach a log"
    );
}

#[test]
fn an_encrypted_sample_is_recognised() {
    let info = McpttInfo::parse(body(mc_xml::mcptt_info::MEDIA_TYPE, "02_").as_bytes()).unwrap();
    assert!(info.is_protected());
    assert!(info.access_token.unwrap().is_encrypted());
    assert!(info.client_id.unwrap().is_encrypted());
}

#[test]
fn affiliation_of_a_client_and_of_a_user() {
    for (message, body) in bodies(mc_xml::affiliation::MEDIA_TYPE) {
        let presence = AffiliationPresence::parse(body.as_bytes())
            .unwrap_or_else(|e| panic!("{message}: {e}"));
        assert_eq!(
            AffiliationPresence::parse(presence.to_xml().as_bytes()).unwrap(),
            presence
        );
    }
    let body = |m| body(mc_xml::affiliation::MEDIA_TYPE, m);
    let publish = AffiliationPresence::parse(body("05_").as_bytes()).unwrap();
    assert_eq!(publish.entity, "sip:alice@mcptt.example.org");
    assert_eq!(publish.p_id.as_deref(), Some("aff-0001"));
    let groups: Vec<_> = publish.tuples[0]
        .affiliations
        .iter()
        .map(|a| a.group.as_deref().unwrap())
        .collect();
    assert_eq!(
        groups,
        [
            "sip:fire-1@mcptt.example.org",
            "sip:tac-2@mcptt.example.org"
        ]
    );
    let between = AffiliationPresence::parse(body("06_").as_bytes()).unwrap();
    assert_eq!(between.tuples[0].id, "sip:alice@mcptt.example.org");
    assert!(between.tuples[0].affiliations[0].client.is_some());
    let notify = AffiliationPresence::parse(body("08_").as_bytes()).unwrap();
    assert_eq!(
        notify.tuples[0].affiliations[0].status,
        Some(AffiliationStatus::Affiliated)
    );
}

#[test]
fn settings_lists_conference_and_diff() {
    let settings =
        PocSettings::parse(body(mc_xml::poc_settings::MEDIA_TYPE, "04_").as_bytes()).unwrap();
    assert_eq!(settings.answer_mode, Some(AnswerMode::Manual));
    assert_eq!(settings.user_profile_index, Some(1));
    assert_eq!(
        PocSettings::parse(settings.to_xml().as_bytes()).unwrap(),
        settings
    );

    for (message, body) in bodies(mc_xml::resource_lists::MEDIA_TYPE) {
        let lists = ResourceLists::parse(body.as_bytes()).unwrap();
        assert!(!lists.uris.is_empty(), "{message}");
        assert_eq!(
            ResourceLists::parse(lists.to_xml().as_bytes()).unwrap(),
            lists
        );
    }

    let info = body(mc_xml::conference_info::MEDIA_TYPE, "41_");
    let conference = ConferenceInfo::parse(info.as_bytes()).unwrap();
    assert_eq!(conference.users.len(), 2);
    assert_eq!(conference.users[1].status.as_deref(), Some("connected"));
    assert_eq!(
        ConferenceInfo::parse(conference.to_xml().as_bytes()).unwrap(),
        conference
    );

    let diff = XcapDiff::parse(body(mc_xml::xcap_diff::MEDIA_TYPE, "51_").as_bytes()).unwrap();
    assert_eq!(diff.documents[0].new_etag.as_deref(), Some("etag-1"));
    assert_eq!(XcapDiff::parse(diff.to_xml().as_bytes()).unwrap(), diff);

    let profile = XmlProfile::default();
    let command = AffiliationCommand {
        affiliate: vec!["sip:a@x".into()],
        deaffiliate: vec!["sip:b@x".into()],
    };
    assert_eq!(
        AffiliationCommand::parse(command.to_xml(&profile).as_bytes(), &profile).unwrap(),
        command
    );

    let other = XmlProfile {
        affiliation_command_ns: "urn:3gpp:ns:other:1.0".into(),
        ..XmlProfile::default()
    };
    let foreign = command.to_xml(&other);
    assert!(foreign.contains(r#"<command-list xmlns="urn:3gpp:ns:other:1.0">"#));
    assert_eq!(
        AffiliationCommand::parse(foreign.as_bytes(), &profile).unwrap(),
        command
    );
    let strict = XmlProfile {
        strict: true,
        ..profile
    };
    assert!(matches!(
        AffiliationCommand::parse(foreign.as_bytes(), &strict),
        Err(XmlError::UnexpectedRoot { .. })
    ));

    let conflict = XcapError::UniquenessFailure {
        field: "group/list-service/@uri".into(),
        alt_value: Some("sip:x-2@mc.example".into()),
    };
    assert_eq!(
        XcapError::parse(conflict.to_xml().as_bytes()).unwrap(),
        conflict
    );
}

#[test]
fn group_document_settings_members_and_rights() {
    let group = GroupDocument::parse(&vector("group_document.xml")).unwrap();
    assert_eq!(group.uri(), "sip:fire-1@mcptt.example.org");
    assert!(group.is_mcptt_group());
    assert_eq!(group.members().len(), 3);
    let scanner = group.member("sip:scanner@mcptt.example.org").unwrap();
    assert!(scanner.receive_only);
    assert_eq!(
        group
            .member("sip:alice@mcptt.example.org")
            .unwrap()
            .user_priority,
        200
    );
    let settings = group.settings();
    assert!(settings.prearranged && settings.protect_media && settings.protect_floor_control);
    assert_eq!(settings.hang_timer, Some(Duration::from_secs(30)));
    assert_eq!(settings.maximum_duration, Some(Duration::from_secs(3600)));
    assert_eq!(
        settings.acknowledgement_action,
        AcknowledgementAction::Proceed
    );
    assert_eq!(settings.max_participants, Some(50));
    assert_eq!(settings.voice_encodings, ["AMR-WB"]);
    assert!(
        group
            .actions_for("sip:alice@mcptt.example.org")
            .emergency_call
    );
    assert!(
        !group
            .actions_for("sip:mallory@mcptt.example.org")
            .emergency_call
    );
}

#[test]
fn absent_settings_mean_what_the_standard_says_and_protection_is_written() {
    //= TS 24.481 7.2.4.2
    let bare = br#"<group xmlns="urn:oma:xml:poc:list-service"><list-service uri="sip:g@mc.example"><x:keep xmlns:x="urn:x" a="1">y</x:keep></list-service></group>"#;
    let mut group = GroupDocument::parse(bare).unwrap();
    assert!(
        !group.settings().prearranged,
        "absent invite-members is a chat group"
    );
    assert!(group.settings().protect_media && group.settings().protect_floor_control);
    assert_eq!(group.settings().max_participants, None);
    assert!(!group.is_mcptt_group());
    let written = group.to_xml();
    let tree = mc_xml::parse(written.as_bytes()).unwrap();
    let service = tree.elements().next().unwrap();
    let gi = "urn:3gpp:ns:mcpttGroupInfo:1.0";
    assert_eq!(
        service.child_text(gi, "protect-media").as_deref(),
        Some("true")
    );
    assert_eq!(
        service
            .child_text(gi, "protect-floor-control-signalling")
            .as_deref(),
        Some("true")
    );
    assert!(
        written.contains(r#"<x:keep xmlns:x="urn:x" a="1">y</x:keep>"#),
        "unknown is kept"
    );

    group.set("protect-media", Some("false")).unwrap();
    assert!(!group.settings().protect_media);
    let before = group.clone();
    assert!(group.set("on-network-hang-timer", Some("soon")).is_err());
    assert_eq!(group, before, "a refused change leaves the document alone");

    group
        .put_member(&Member::new("sip:alice@mc.example"))
        .unwrap();
    group
        .put_member(&Member {
            user_priority: 9,
            ..Member::new("sip:alice@mc.example")
        })
        .unwrap();
    assert_eq!(group.members().len(), 1);
    assert_eq!(
        group.member("sip:alice@mc.example").unwrap().user_priority,
        9
    );
    assert!(group.remove_member("sip:alice@mc.example").unwrap());
    assert!(!group.remove_member("sip:alice@mc.example").unwrap());
    assert_eq!(
        GroupDocument::parse(group.to_xml().as_bytes())
            .unwrap()
            .members(),
        []
    );
}

#[test]
fn a_new_group_is_an_mcptt_group_with_protection() {
    let mut group = GroupDocument::new("sip:fireground-1@mc.example", "Fireground 1").unwrap();
    group
        .put_member(&Member::new("sip:alice@mc.example"))
        .unwrap();
    let read = GroupDocument::parse(group.to_xml().as_bytes()).unwrap();
    assert_eq!(read, group);
    assert!(read.is_mcptt_group() && read.settings().prearranged && read.settings().protect_media);
    assert!(read.actions_for("sip:alice@mc.example").initiate_conference);
    assert_eq!(read.without_members().members(), []);
}

#[test]
fn temporary_groups_and_their_constituents() {
    let group = GroupDocument::parse(&vector("temporary_group_fragment.xml")).unwrap();
    assert_eq!(
        group
            .settings()
            .temporary_constituents
            .as_ref()
            .unwrap()
            .len(),
        2
    );
    let fragment = mc_xml::parse(&vector("regrouped_constituent_fragment.xml")).unwrap();
    let regrouped = Regrouped::read(&fragment).unwrap();
    assert_eq!(regrouped.temporary_group, "sip:tgi-77@mcptt.example.org");
    assert_eq!(
        regrouped.constituents[1],
        "sip:police-3@partner.example.net"
    );
}

#[test]
fn gktp_document() {
    let document = GktpDocument::parse(&vector("gktp_document.xml")).unwrap();
    let gmk = document.gmk.as_ref().unwrap();
    assert_eq!(gmk.gktps[0].id, "gmk-1");
    assert_eq!(gmk.gktps[0].mikey, b"PLACEHOLDER-MIKEY");
    assert_eq!(
        gmk.regrouped[0].temporary_group,
        "sip:tgi-77@mcptt.example.org"
    );
    assert_eq!(
        GktpDocument::parse(document.to_xml().as_bytes()).unwrap(),
        document
    );
}

#[test]
fn configuration_documents() {
    let service = ServiceConfig::parse(&vector("service_config.xml")).unwrap();
    assert_eq!(service.transmit_time_limit, Some(Duration::from_secs(30)));
    assert_eq!(service.floor.timer("T7"), Some(Duration::from_secs(2)));
    assert_eq!(service.floor.timer("T16"), Some(Duration::from_millis(500)));
    assert_eq!(service.floor.counter("C7"), Some(10));
    assert_eq!(
        service.emergency_priority.as_ref().unwrap().namespace,
        "mcpttp"
    );
    let bare = br#"<service-configuration-info xmlns="urn:3gpp:ns:mcpttServiceConfig:1.0"><service-configuration-params domain="d"/></service-configuration-info>"#;
    let bare = ServiceConfig::parse(bare).unwrap();
    assert!(
        bare.confidentiality_protection && bare.integrity_protection,
        "absent means on"
    );

    let init = UeInitConfig::parse(&vector("ue_init_config.xml")).unwrap();
    assert_eq!(init.kms.as_deref(), Some("https://kms.example.org"));
    assert_eq!(init.gms_uri.as_deref(), Some("sip:gms@gms.example.org"));

    let profile = UserProfile::parse(&vector("user_profile.xml")).unwrap();
    assert_eq!(
        profile.mcptt_id.as_deref(),
        Some("sip:alice@mcptt.example.org")
    );
    assert_eq!(
        profile.groups[0].kms.as_deref(),
        Some("https://kms.example.org")
    );
    assert_eq!(
        profile.implicit_affiliations,
        ["sip:fire-1@mcptt.example.org"]
    );
    assert!(profile.allows("allow-private-call") && !profile.allows("allow-force-auto-answer"));
    assert!(!profile.allows("allow-never-mentioned"), "absent is false");
}
