use mc_ids::annex_f::XpkIdEncoding;
use mc_ids::{Csk, Key128 as _, KeyId};
use mc_sip::{Method, Request, StatusCode};
use mc_xml::security::XmlProtection;

use super::*;
use crate::bodies::BodyConfig;

const FORMS: [ResolvedAlias; 3] = [
    ResolvedAlias::McpttInfo,
    ResolvedAlias::ResourceLists,
    ResolvedAlias::Contact,
];
const SEGY: &str = "sip:segy@mc.example";
const FULL: Demand = Demand {
    encryption: true,
    signature: true,
};

fn keys(octet: u8) -> BodyProtection {
    let (csk, id) = (Csk::from_octets([octet; 16]), KeyId(0x2ddd_5bf0));
    let xml = XmlProtection::derive(&csk, id, "sip:alice@mc.example", XpkIdEncoding::default());
    BodyProtection::new(xml, &BodyConfig::default())
}

fn redirected(form: ResolvedAlias, seal: &Seal<'_>) -> Response {
    let uri = |uri: &str| uri.parse::<Uri>().unwrap();
    let (from, function) = (uri("sip:alice@ims.mc.example"), uri("sip:mcptt@mc.example"));
    let (from, to) = (NameAddr::new(from).with_tag("a"), function.clone().into());
    let request = Request::new(Method::Invite, function.clone(), &from, &to, "call", 1);
    let user = McServiceId::new(SEGY).unwrap();
    let response = request.response(StatusCode::MULTIPLE_CHOICES, "b");
    form.write(response, (&function, &user), seal, &mut mc_runtime::rng())
}

#[test]
fn the_user_is_named_as_both_ends_are_told_and_to_nobody_else() {
    let (own, others) = (keys(7), keys(8));
    for form in FORMS {
        let response = redirected(form, &Seal::full(&own));
        let wire = String::from_utf8(response.to_bytes()).unwrap();
        assert!(!wire.contains("segy"), "{wire}");
        for read_as in FORMS {
            let read = read_as.read(&response.headers, &response.body, FULL, &own);
            let read = read.filter(|user| user.as_str() == SEGY);
            assert_eq!(read.is_some(), read_as == form, "{form:?} {read_as:?}");
        }
        let read = form.read(&response.headers, &response.body, FULL, &others);
        assert_eq!(read, None, "{form:?}");
    }
}

#[test]
fn in_clear_it_is_taken_only_where_that_is_asked_for() {
    let own = keys(7);
    for form in FORMS {
        let response = redirected(form, &Seal::CLEAR);
        let read = |demand| form.read(&response.headers, &response.body, demand, &own);
        assert_eq!(read(FULL), None, "{form:?}");
        let taken = read(Demand::NOTHING);
        assert_eq!(taken.unwrap().as_str(), SEGY, "{form:?}");
    }
}

#[test]
fn it_is_configured_by_name() {
    let of = |name: &str| {
        serde_json::from_value::<BodyConfig>(serde_json::json!({"resolved_alias": name}))
    };
    assert_eq!(
        BodyConfig::default().resolved_alias,
        ResolvedAlias::McpttInfo
    );
    for (form, name) in FORMS
        .iter()
        .zip(["mcptt_info", "resource_lists", "contact"])
    {
        assert_eq!(of(name).unwrap().resolved_alias, *form);
    }
    assert!(of("body").is_err());
}
