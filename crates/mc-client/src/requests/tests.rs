use std::net::SocketAddr;

use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{ClientId, Csk, CskId, Key128, McServiceId};
use mc_sip::sdp::FloorParameters;
use mc_xml::security::XmlProtection;

use super::*;
use crate::SpkAssociation;
use crate::bodies::{BodyConfig, BodyRefused, Demand};

fn identity() -> Identity {
    Identity {
        role: Role::Client,
        impu: "sip:alice-impu@ims.mc.example".parse().unwrap(),
        mcptt_id: McServiceId::new("sip:alice@mc.example").unwrap(),
        client_id: ClientId::new("urn:uuid:6d1f9a40-0d6c-4c8e-9a53-1a2b3c4d5e6f").unwrap(),
        function: "sip:mcptt@mc.example".parse().unwrap(),
    }
}

fn keys() -> BodyProtection {
    let (csk, id) = (
        Csk::from_octets([7; 16]),
        CskId::random(&mut mc_runtime::rng()),
    );
    let user = "sip:alice@mc.example";
    let xml = XmlProtection::derive(&csk, id.key_id(), user, XpkIdEncoding::default());
    BodyProtection::new(xml, &BodyConfig::default())
}

fn with_requests<T>(
    seal: Seal<'_>,
    make: impl FnOnce(&mut Requests<'_, mc_runtime::OsRng>) -> T,
) -> T {
    let uri: Uri = "sip:alice-impu@127.0.0.1:5070;transport=tcp"
        .parse()
        .unwrap();
    let contact = mcptt::contact_features(NameAddr::new(uri));
    let (identity, mut rng) = (identity(), mc_runtime::rng());
    make(&mut Requests {
        identity: &identity,
        contact: &contact,
        seal,
        rng: &mut rng,
    })
}

fn parts(request: &Request) -> Multipart {
    Multipart::of(&request.headers, &request.body).unwrap()
}

fn leg(port: u16) -> McpttMedia {
    let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let floor = FloorParameters {
        queueing: true,
        granted: true,
        ..FloorParameters::default()
    };
    McpttMedia::new(address(port), Some(address(port + 2)), floor)
}

#[test]
fn register_carries_the_csk_and_the_token_only_under_it() {
    let keys = keys();
    let token = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
    let request = with_requests(Seal::CLEAR, |r| {
        r.register(600, vec![1, 2, 255], token, &keys)
    });
    assert_eq!(request.uri.to_string(), "sip:ims.mc.example");
    let octets = request.to_bytes();
    assert!(
        !octets
            .windows(token.len())
            .any(|window| window == token.as_bytes())
    );
    let parts = parts(&request);
    assert_eq!(parts.parts[0].media_type, media::MIKEY);
    assert_eq!(parts.parts[0].content, [1, 2, 255]);
    let mut info = McpttInfo::parse(&parts.get(media::MCPTT_INFO).unwrap().content).unwrap();
    info.decrypt(keys.xml()).unwrap();
    assert_eq!(info.access_token.unwrap().string(), Some(token));
    assert_eq!(
        info.client_id.unwrap().string(),
        Some(identity().client_id.as_str())
    );
    assert!(
        request
            .headers
            .get("Contact")
            .unwrap()
            .contains("+g.3gpp.mcptt")
    );
}

#[test]
fn affiliation_names_the_whole_set() {
    let groups = [
        GroupId::new("sip:a@mc.example").unwrap(),
        GroupId::new("sip:b@mc.example").unwrap(),
    ];
    let request = with_requests(Seal::CLEAR, |r| {
        r.publish_affiliation(&groups, "1f", EXPIRES_FOREVER)
    });
    assert_eq!(request.uri.to_string(), "sip:mcptt@mc.example");
    assert_eq!(request.headers.expires(), Some(u32::MAX));
    let pidf = parts(&request).get(media::PIDF).unwrap().content.clone();
    let presence = AffiliationPresence::parse(&pidf).unwrap();
    assert_eq!(presence.entity, "sip:alice@mc.example");
    let named = presence.tuples[0]
        .affiliations
        .iter()
        .filter_map(|a| a.group.as_deref());
    assert_eq!(
        named.collect::<Vec<_>>(),
        ["sip:a@mc.example", "sip:b@mc.example"]
    );
}

#[test]
fn invite_goes_to_the_participating_function_and_hides_the_group() {
    let (keys, group) = (keys(), GroupId::new("sip:fire@mc.example").unwrap());
    let alias = "sip:unit-1001@mc.example";
    let request = with_requests(Seal::full(&keys), |r| {
        r.invite(&group, &leg(40000), Some(alias), None)
    });
    assert_eq!(request.uri.to_string(), "sip:mcptt@mc.example");
    let text = String::from_utf8(request.to_bytes()).unwrap();
    assert!(!text.contains("sip:fire@mc.example") && !text.contains(alias));
    let info = parts(&request)
        .get(media::MCPTT_INFO)
        .unwrap()
        .content
        .clone();
    let mut info = McpttInfo::parse(&info).unwrap();
    info.decrypt(keys.xml()).unwrap();
    assert_eq!(info.functional_alias().as_deref(), Some(alias));
    assert_eq!(request.headers.get_all("Accept-Contact").count(), 2);
    assert!(request.headers.has_option("Supported", "timer"));
    assert_eq!(
        answer_media(&request.headers, &request.body),
        Some(leg(40000))
    );
}

#[test]
fn subscription_lists_the_documents() {
    let documents = ["org.openmobilealliance.groups/global/byGroupID/sip:a@mc.example".to_owned()];
    let gms = "sip:gms@mc.example".parse().unwrap();
    let request = with_requests(Seal::CLEAR, |r| {
        r.subscribe_groups(&gms, &documents, "token")
    });
    assert_eq!(request.uri.to_string(), "sip:gms@mc.example");
    let lists = parts(&request)
        .get(media::RESOURCE_LISTS)
        .unwrap()
        .content
        .clone();
    assert_eq!(ResourceLists::parse(&lists).unwrap().uris, documents);
}

/// The INVITE a server sends to a member, as in the samples.
fn member_invite(info: McpttInfo, seal: Seal<'_>) -> Request {
    with_requests(seal, |r| {
        let uri = r.identity.impu.clone();
        let request = r.outside_dialog(Method::Invite, &uri, &uri);
        let sdp = leg(43000).to_sdp(1, 1).to_string().into_bytes();
        let info = r.info(info);
        {
            let parts = Multipart::default()
                .with(BodyPart::new(media::SDP, sdp))
                .with(info);
            r.with_parts(request, parts)
        }
    })
}

fn member_info() -> McpttInfo {
    McpttInfo {
        session_type: Some(SessionType::Prearranged),
        request_uri: Some(Content::uri_value("sip:alice@mc.example")),
        calling_user_id: Some(Content::uri_value("sip:bob@mc.example")),
        calling_group_id: Some(Content::uri_value("sip:fire@mc.example")),
        ..McpttInfo::default()
    }
}

#[test]
fn an_incoming_call_is_read_in_clear_and_under_the_csk() {
    let keys = keys();
    for (seal, demand) in [
        (Seal::CLEAR, Demand::NOTHING),
        (Seal::full(&keys), BodyConfig::default().demand()),
    ] {
        let call = incoming_call(&member_invite(member_info(), seal), demand, &keys).unwrap();
        let group = GroupId::new("sip:fire@mc.example").unwrap();
        assert_eq!(call.kind, CallKind::Group(group));
        assert_eq!(call.caller.unwrap().as_str(), "sip:bob@mc.example");
        assert_eq!(call.media, leg(43000));
    }
}

#[test]
fn calls_that_cannot_be_understood_are_refused() {
    let (ours, others) = (keys(), keys());
    let refused = |invite: &Request, demand| incoming_call(invite, demand, &ours).unwrap_err();
    let undecryptable = Refused::Body(BodyRefused::Undecryptable);
    let under_another_key = member_invite(member_info(), Seal::full(&others));
    assert_eq!(refused(&under_another_key, Demand::NOTHING), undecryptable);
    let demand = BodyConfig::default().demand();
    let in_clear = member_invite(member_info(), Seal::CLEAR);
    assert_eq!(refused(&in_clear, demand), undecryptable);
    let unsigned = BodyConfig {
        sign: false,
        ..BodyConfig::default()
    };
    let unsigned = Seal::configured(Some(&ours), &unsigned);
    let unsigned = member_invite(member_info(), unsigned);
    assert_eq!(
        refused(&unsigned, demand),
        Refused::Body(BodyRefused::Unsigned)
    );
    let adhoc = McpttInfo {
        session_type: Some(SessionType::Adhoc),
        ..member_info()
    };
    assert_eq!(
        refused(&member_invite(adhoc, Seal::CLEAR), Demand::NOTHING),
        Refused::NotAcceptable
    );
    let groupless = McpttInfo {
        calling_group_id: None,
        ..member_info()
    };
    assert_eq!(
        refused(&member_invite(groupless, Seal::CLEAR), Demand::NOTHING),
        Refused::Malformed
    );
    let mut empty = member_invite(member_info(), Seal::CLEAR);
    empty.body.clear();
    assert_eq!(
        refused(&empty, Demand::NOTHING),
        Refused::Body(BodyRefused::Malformed)
    );
}

fn offer_with_pck() -> McpttMedia {
    McpttMedia {
        key_mgmt: Some("AAECAw==".to_owned()),
        ..leg(40000)
    }
}

#[test]
fn a_private_invite_names_one_callee_and_carries_the_pck_message() {
    let keys = keys();
    let uses = AliasUse {
        calling: Some("sip:duty@mc.example"),
        called: CalledAlias::Resolved("sip:unit-7@mc.example"),
    };
    let request = with_requests(Seal::full(&keys), |r| {
        r.private_invite(
            "sip:bob@mc.example",
            uses,
            Commencement::Manual,
            &offer_with_pck(),
        )
    });
    assert_eq!(request.uri.to_string(), "sip:mcptt@mc.example");
    assert_eq!(request.headers.get("Answer-Mode"), Some("Manual"));
    let parts = parts(&request);
    let lists = parts.get(media::RESOURCE_LISTS).unwrap();
    let uris = ResourceLists::parse(&lists.content).unwrap().uris;
    let entry = keys.open_uri(&uris[0]).unwrap();
    assert_eq!(entry.as_deref(), Some("sip:bob@mc.example"));
    assert_eq!(keys.verify(&parts), Ok(true));
    assert_eq!(
        lists.headers.get("Content-Disposition"),
        Some("recipient-list")
    );
    let mut info = McpttInfo::parse(&parts.get(media::MCPTT_INFO).unwrap().content).unwrap();
    info.decrypt(keys.xml()).unwrap();
    assert_eq!(info.session_type, Some(SessionType::Private));
    assert_eq!(
        info.functional_alias().as_deref(),
        Some("sip:duty@mc.example")
    );
    let called = info.ext_content("called-functional-alias-URI").unwrap();
    assert_eq!(called.unwrap().uri(), Some("sip:unit-7@mc.example"));
    assert_eq!(info.ext_text("call-to-functional-alias-ind"), None);
    let media = answer_media(&request.headers, &request.body).unwrap();
    assert_eq!(media.key_mgmt.as_deref(), Some("AAECAw=="));
}

#[test]
fn an_alias_to_resolve_is_said_to_be_one() {
    let uses = AliasUse {
        calling: None,
        called: CalledAlias::ToResolve,
    };
    let alias = "sip:unit-7@mc.example";
    let request = with_requests(Seal::CLEAR, |r| {
        r.private_invite(alias, uses, Commencement::Automatic, &leg(40000))
    });
    assert_eq!(request.headers.get("Answer-Mode"), Some("Auto"));
    let info = parts(&request)
        .get(media::MCPTT_INFO)
        .unwrap()
        .content
        .clone();
    let info = McpttInfo::parse(&info).unwrap();
    let indicated = info.ext_text("call-to-functional-alias-ind");
    assert_eq!(indicated.as_deref(), Some("true"));
}

#[test]
fn an_incoming_private_call_tells_who_calls_whom_and_how() {
    let mut info = McpttInfo {
        session_type: Some(SessionType::Private),
        calling_group_id: None,
        ..member_info()
    };
    let alias = Content::uri_value("sip:unit-7@mc.example");
    info.set_ext_content("called-functional-alias-URI", &alias);
    let read = |commencement: Commencement| {
        let (field, value) = commencement.header();
        let request = member_invite(info.clone(), Seal::CLEAR).with(field, value);
        incoming_call(&request, Demand::NOTHING, &keys()).unwrap()
    };
    let call = read(Commencement::Manual);
    assert_eq!(call.caller.unwrap().as_str(), "sip:bob@mc.example");
    let kind = |automatic| CallKind::Private {
        called_alias: Some("sip:unit-7@mc.example".to_owned()),
        automatic,
    };
    assert_eq!(call.kind, kind(false));
    assert_eq!(read(Commencement::ForcedAutomatic).kind, kind(true));
}

#[test]
fn aliases_are_published_as_the_whole_set() {
    let aliases = ["sip:unit-7@mc.example".to_owned()];
    let request = with_requests(Seal::CLEAR, |r| {
        r.publish_aliases(&aliases, EXPIRES_FOREVER)
    });
    assert_eq!(request.headers.expires(), Some(u32::MAX));
    let pidf = parts(&request).get(media::PIDF).unwrap().content.clone();
    let presence = AffiliationPresence::parse(&pidf).unwrap();
    assert!(presence.is_about_aliases() && presence.p_id_fa.is_some());
    assert_eq!(presence.tuples[0].functional_aliases, aliases);
}

fn spk() -> SpkAssociation {
    let secret = |octet: &str| mc_runtime::config::Secret::new(octet.repeat(16));
    let config = crate::SpkConfig::new("3ddd5bf0", secret("0a"), secret("0b"));
    SpkAssociation::new(&config).unwrap()
}

/// Requests of a function for its user alice, under an SPK.
fn as_function(
    spk: &SpkAssociation,
    make: impl FnOnce(&mut Requests<'_, mc_runtime::OsRng>) -> Request,
) -> Request {
    let identity = Identity {
        role: Role::ParticipatingFunction,
        impu: "sip:mcptt@partner.example".parse().unwrap(),
        function: "sip:mcptt-ctrl@mc.example".parse().unwrap(),
        ..identity()
    };
    let uri: Uri = "sip:u-1@127.0.0.1:5066;transport=tcp".parse().unwrap();
    let contact = mcptt::contact_features(NameAddr::new(uri)).with_param(mcptt::ISFOCUS, None);
    make(&mut Requests {
        identity: &identity,
        contact: &contact,
        seal: Seal::full(spk.bodies()),
        rng: &mut mc_runtime::rng(),
    })
}

fn opened(request: &Request, spk: &SpkAssociation) -> McpttInfo {
    assert_eq!(spk.bodies().verify(&parts(request)), Ok(true));
    let part = parts(request).get(media::MCPTT_INFO).unwrap().clone();
    let mut info = McpttInfo::parse(&part.content).unwrap();
    assert!(info.is_protected());
    info.decrypt(spk.bodies().xml()).unwrap();
    info
}

/// What nobody between the functions may read.
fn hides(request: &Request, secrets: &[&str]) {
    let octets = String::from_utf8(request.to_bytes()).unwrap();
    for secret in secrets {
        assert!(!octets.contains(secret), "{secret} in\n{octets}");
    }
}

/// Header fields and body of the INVITE from participating to controlling function (6.3.2.1.3).
#[test]
fn a_function_calls_a_group_for_its_user() {
    let (spk, group) = (spk(), GroupId::new("sip:fire@mc.example").unwrap());
    let request = as_function(&spk, |r| r.invite(&group, &leg(40_000), None, None));
    assert_eq!(request.uri.to_string(), "sip:mcptt-ctrl@mc.example");
    let headers = &request.headers;
    let from = headers.from().unwrap().uri.to_string();
    assert_eq!(from, "sip:mcptt@partner.example");
    let asserted = headers.get(name::P_ASSERTED_IDENTITY);
    assert_eq!(asserted, Some("<sip:mcptt@partner.example>"));
    assert_eq!(headers.get(name::P_ASSERTED_SERVICE), Some(ICSI));
    assert_eq!(headers.get(name::P_PREFERRED_SERVICE), None);
    assert!(mcptt::is_focus(&headers.contact().unwrap()));
    assert!(mcptt::accepts_mcptt(headers) && headers.has_option(name::SUPPORTED, "tdialog"));
    let info = opened(&request, &spk);
    assert_eq!(info.session_type, Some(SessionType::Prearranged));
    let uri = |content: Option<Content>| content.unwrap().uri().unwrap().to_owned();
    assert_eq!(uri(info.request_uri), "sip:fire@mc.example");
    assert_eq!(uri(info.calling_user_id), "sip:alice@mc.example");
    assert!(info.client_id.is_some());
    hides(&request, &["sip:alice", "sip:fire"]);
}

#[test]
fn a_function_affiliates_its_user_to_one_group() {
    let (spk, group) = (spk(), GroupId::new("sip:fire@mc.example").unwrap());
    let request = as_function(&spk, |r| r.publish_member(&group, "1f", EXPIRES_FOREVER));
    assert_eq!(request.uri, request.headers.to().unwrap().uri);
    let event = request.headers.event().unwrap();
    assert_eq!(event.package, "presence");
    let info = opened(&request, &spk);
    let about = info.request_uri.unwrap();
    assert_eq!(about.uri(), Some("sip:fire@mc.example"));
    let pidf = parts(&request).get(media::PIDF).unwrap().content.clone();
    let presence = AffiliationPresence::parse(&pidf).unwrap();
    let clear = |uri: &str| spk.bodies().open_uri(uri).unwrap().unwrap();
    assert_eq!(clear(&presence.entity), "sip:fire@mc.example");
    let tuple = &presence.tuples[0];
    assert_eq!(clear(&tuple.id), "sip:alice@mc.example");
    let client = tuple.affiliations[0].client.as_deref();
    assert_eq!(client, Some(identity().client_id.as_str()));
    hides(&request, &["sip:alice", "sip:fire"]);
}

#[test]
fn a_function_hides_whom_its_user_calls() {
    let spk = spk();
    let uses = AliasUse {
        calling: None,
        called: CalledAlias::None,
    };
    let entry = "sip:bob@mc.example";
    let request = as_function(&spk, |r| {
        r.private_invite(entry, uses, Commencement::Manual, &leg(40_000))
    });
    let lists = parts(&request).get(media::RESOURCE_LISTS).unwrap().clone();
    let lists = ResourceLists::parse(&lists.content).unwrap();
    assert_eq!(
        spk.bodies().open_uri(&lists.uris[0]).unwrap().as_deref(),
        Some(entry)
    );
    hides(&request, &["sip:alice", "sip:bob"]);
}

#[test]
fn an_emergency_is_indicated_with_its_priority_and_without_alert() {
    let (keys, group) = (keys(), GroupId::new("sip:fire@mc.example").unwrap());
    let priority = Some("mcpttp.15".to_owned());
    let call = with_requests(Seal::full(&keys), |r| {
        r.invite(&group, &leg(40_000), None, Some(&priority))
    });
    let raised = with_requests(Seal::full(&keys), |r| {
        let re_invite = r.bare_invite();
        let sdp = leg(40_000).to_sdp(1, 1).to_string().into_bytes();
        r.emergency(re_invite, &group, sdp, Some(&priority))
    });
    let ended = with_requests(Seal::full(&keys), |r| {
        let re_invite = r.bare_invite();
        let sdp = leg(40_000).to_sdp(1, 1).to_string().into_bytes();
        r.emergency(re_invite, &group, sdp, None)
    });
    let demand = BodyConfig::default().demand();
    for (request, active) in [(call, true), (raised, true), (ended, false)] {
        let indicated = emergency_of(&request, demand, &keys);
        assert_eq!(indicated, Ok(Some(active)));
        let priority = request.headers.get(name::RESOURCE_PRIORITY);
        assert_eq!(priority, active.then_some("mcpttp.15"));
        let info = demand.open(&parts(&request), Some(&keys)).unwrap();
        assert_eq!(info.alert_ind, Some(Content::boolean_value(false)));
        assert_eq!(info.request_uri.unwrap().uri(), Some("sip:fire@mc.example"));
    }
}
