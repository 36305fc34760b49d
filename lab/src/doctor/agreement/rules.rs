//! What the services of a lab have to agree on.

use std::borrow::Cow;

use crate::site::{Link, Site, UnitIs};
use crate::supervisor::Setup;
use crate::topology::Domain;

/// A place in a service's configuration: `tokens.issuer`, `users[].username`,
/// `partners[name=segy-7.3].psi`.
pub(super) type Place = (&'static str, Cow<'static, str>);

/// What is asked of the values at two places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Must {
    /// Each of the first is one of the second.
    BeAmong,
    /// The same; the values are secrets and not shown.
    BeAmongUnseen,
    /// None of the first is one of the second.
    Differ,
}

/// What one service is told, and what another one is.
pub(super) struct Rule {
    pub(super) is: Place,
    pub(super) must: Must,
    pub(super) of: Place,
    /// What goes wrong otherwise, with the clause.
    pub(super) else_: &'static str,
}

fn at(service: &'static str, place: impl Into<Cow<'static, str>>) -> Place {
    (service, place.into())
}

const fn rule(is: Place, of: Place, else_: &'static str) -> Rule {
    let must = Must::BeAmong;
    Rule {
        is,
        must,
        of,
        else_,
    }
}

const ISSUER: &str = "tokens of another issuer are refused (TS 33.180 B.2.2)";
const AUDIENCE: &str = "no token is ever issued for this server (TS 33.180 B.2.2)";
const ACCOUNT: &str = "the log-in is refused (TS 33.180 5.1.2)";
const KMS_URI: &str = "UIDs and keys do not fit together (TS 33.180 F.2.1)";
const GROUP: &str = "group documents are not found (TS 24.481 7.2.10)";
const GATEWAY: &str = "members are not told that keys are shared with a gateway (TS 33.180 E.6.9)";
const RADIO: &str = "the gateway does not reach the radio network (TS 33.180 L.4.1)";
const ROUTE: &str = "SIP requests do not arrive (TS 24.379 6.3)";
const BORDER: &str = "requests over the interconnection are refused (TS 24.379 6.8)";
const SPK: &str = "nothing opens that is protected under the SPK (TS 33.180 5.5)";
const SERVED: &str = "users are not served by the gateway (TS 33.180 5.1.4)";
const TRUST: &str = "users of one domain get no tokens of the other (TS 33.180 B.7)";
const SSRCS: &str = "both ends use the same SSRCs under one key (TS 33.180 7.5)";

/// A rule as it is written: service and place, twice, and what goes wrong otherwise.
type Written = ([&'static str; 2], [&'static str; 2], &'static str);

/// What the services of the primary domain agree on.
const OF_PRIMARY: &[Written] = &[
    (["kms", "tokens.issuer"], ["idms", "issuer"], ISSUER),
    (["gms", "tokens.issuer"], ["idms", "issuer"], ISSUER),
    (
        ["mcptt-server", "tokens.issuer"],
        ["idms", "issuer"],
        ISSUER,
    ),
    (
        ["kms", "tokens.audiences[]"],
        ["idms", "resource_servers[].audience"],
        AUDIENCE,
    ),
    (
        ["gms", "tokens.audiences[]"],
        ["idms", "resource_servers[].audience"],
        AUDIENCE,
    ),
    (
        ["mcptt-server", "tokens.audiences[]"],
        ["idms", "resource_servers[].audience"],
        AUDIENCE,
    ),
    (["gms", "login.issuer"], ["idms", "issuer"], ACCOUNT),
    (
        ["mcptt-server", "login.issuer"],
        ["idms", "issuer"],
        ACCOUNT,
    ),
    (
        ["gms", "login.username"],
        ["idms", "users[].username"],
        ACCOUNT,
    ),
    (
        ["mcptt-server", "login.username"],
        ["idms", "users[].username"],
        ACCOUNT,
    ),
    (
        ["gms", "login.client_id"],
        ["idms", "clients[].client_id"],
        ACCOUNT,
    ),
    (
        ["mcptt-server", "login.client_id"],
        ["idms", "clients[].client_id"],
        ACCOUNT,
    ),
    (["gms", "kms.kms_uri"], ["kms", "kms_uri"], KMS_URI),
    (["mcptt-server", "kms.kms_uri"], ["kms", "kms_uri"], KMS_URI),
    (["gms", "kms.url"], ["kms", "http.listen"], KMS_URI),
    (["mcptt-server", "kms.url"], ["kms", "http.listen"], KMS_URI),
    (
        ["mcptt-server", "groups.xcap_root"],
        ["gms", "xcap_root"],
        GROUP,
    ),
    (
        ["gms", "outbound_proxy"],
        ["mcptt-server", "sip.bind"],
        ROUTE,
    ),
    (["gms", "sip.bind"], ["mcptt-server", "routes.*"], ROUTE),
];

/// What the gateway's domain agrees on, in itself and with the primary one.
const OF_GATEWAY: &[Written] = &[
    (
        ["segy-kms", "tokens.issuer"],
        ["segy-idms", "issuer"],
        ISSUER,
    ),
    (
        ["segy-gms", "tokens.issuer"],
        ["segy-idms", "issuer"],
        ISSUER,
    ),
    (
        ["segy-kms", "tokens.audiences[]"],
        ["segy-idms", "resource_servers[].audience"],
        AUDIENCE,
    ),
    (
        ["segy-gms", "tokens.audiences[]"],
        ["segy-idms", "resource_servers[].audience"],
        AUDIENCE,
    ),
    (
        ["segy-gms", "login.issuer"],
        ["segy-idms", "issuer"],
        ACCOUNT,
    ),
    (
        ["segy-gms", "login.username"],
        ["segy-idms", "users[].username"],
        ACCOUNT,
    ),
    (
        ["segy-gms", "kms.kms_uri"],
        ["segy-kms", "kms_uri"],
        KMS_URI,
    ),
    (
        ["segy-gms", "kms.url"],
        ["segy-kms", "http.listen"],
        KMS_URI,
    ),
    (
        ["segy-gms", "routes.*"],
        ["mcptt-server", "sip.bind"],
        ROUTE,
    ),
    (
        ["idms", "partners[].issuer"],
        ["segy-idms", "issuer"],
        TRUST,
    ),
    (
        ["segy-idms", "partners[].issuer"],
        ["idms", "issuer"],
        TRUST,
    ),
    (
        ["segy-gms", "sip.bind"],
        ["mcptt-server", "routes.*"],
        ROUTE,
    ),
];

/// Every rule for a lab that is set up like this.
pub(super) fn of(setup: &Setup) -> Vec<Rule> {
    let written = |(is, of, else_): &Written| {
        let [(is, place), (of, source)] = [is, of].map(|[service, place]| (*service, *place));
        rule(at(is, place), at(of, source), else_)
    };
    let of_domains = setup.domains.iter().flat_map(|domain| match domain {
        Domain::Primary => OF_PRIMARY,
        Domain::Gateway => OF_GATEWAY,
    });
    let of_domains = of_domains.map(written);
    of_domains.chain(setup.sites().flat_map(of_site)).collect()
}

/// What a gateway with its radios agrees on with the rest.
fn of_site(site: &Site) -> Vec<Rule> {
    let gateway = |place: &'static str| at(site.gateway().name, place);
    let radios = |place: &'static str| at(site.radios().name, place);
    let gms = |place: &'static str| at("gms", place);
    let (idms, kms) = match site.domain {
        Domain::Primary => ("idms", "kms"),
        Domain::Gateway => ("segy-idms", "segy-kms"),
    };
    let identity = || match site.unit_is {
        UnitIs::FunctionalAlias => gateway("mcptt_id"),
        UnitIs::User => gateway("users[].mcptt_id"),
    };
    let mut rules = vec![
        rule(gateway("mc.login.issuer"), at(idms, "issuer"), ACCOUNT),
        rule(identity(), at(idms, "users[].mcptt_id"), ACCOUNT),
        rule(gateway("mc.kms.kms_uri"), at(kms, "kms_uri"), KMS_URI),
        rule(gateway("mc.kms.url"), at(kms, "http.listen"), KMS_URI),
        rule(gateway("mc.gms.xcap_root"), gms("xcap_root"), GROUP),
        rule(
            gateway("talkgroups[talkgroup=1].group"),
            gms("groups[].uri"),
            GROUP,
        ),
        rule(identity(), gms("groups[].members[]"), GROUP),
        rule(gateway("external.server"), radios("sip.bind"), RADIO),
        rule(
            gateway("talkgroups[].talkgroup"),
            radios("network.talkgroups[]"),
            RADIO,
        ),
        rule(
            gateway("users[].unit"),
            radios("network.units[].unit"),
            RADIO,
        ),
        rule(
            radios("unit_calls.gateway"),
            gateway("external.sip.bind"),
            RADIO,
        ),
    ];
    match site.domain {
        Domain::Primary => rules.push(rule(identity(), gms("gateways[]"), GATEWAY)),
        // That these are a gateway's is known by their KMS's certificate.
        Domain::Gateway => rules.push(rule(
            gateway("mc.gms.partner.token_endpoint"),
            at("segy-idms", "partners[].token_endpoint"),
            TRUST,
        )),
    }
    // Only its own users are in groups of the gateway's domain.
    if site.domain == Domain::Gateway && site.unit_is == UnitIs::User {
        rules.push(rule(
            gateway("talkgroups[talkgroup=2].group"),
            at("segy-gms", "groups[].uri"),
            GROUP,
        ));
    }
    match site.link {
        Link::Registered => {
            let server = at("mcptt-server", "sip.bind");
            rules.push(rule(gateway("mc.sip.server"), server, ROUTE));
        }
        Link::Interconnected => rules.extend(of_interconnection(site.gateway().name)),
    }
    rules
}

/// What both ends of an interconnection agree on; the MCPTT server has it under the gateway's name.
fn of_interconnection(name: &'static str) -> Vec<Rule> {
    let gateway = |place: &'static str| at(name, place);
    let server = |place: &'static str| at("mcptt-server", place);
    let partner = |field: &str| at("mcptt-server", format!("partners[name={name}].{field}"));
    let mut rules = vec![
        rule(gateway("interconnection.server"), server("sip.bind"), ROUTE),
        rule(
            partner("address"),
            gateway("interconnection.endpoint.bind"),
            ROUTE,
        ),
        rule(
            gateway("interconnection.controlling"),
            server("identities.controlling"),
            BORDER,
        ),
        rule(gateway("interconnection.psi"), partner("psi"), BORDER),
        rule(gateway("talkgroups[].group"), partner("groups[]"), BORDER),
        rule(gateway("interconnection.spk.id"), partner("spk.id"), SPK),
        Rule {
            is: gateway("interconnection.ssrcs"),
            must: Must::Differ,
            of: partner("ssrcs"),
            else_: SSRCS,
        },
    ];
    for (place, source) in [
        ("interconnection.authorisation.tokens.issuer", "issuer"),
        (
            "interconnection.authorisation.tokens.audiences[]",
            "resource_servers[].audience",
        ),
    ] {
        rules.push(rule(gateway(place), at("segy-idms", source), SERVED));
    }
    for (own, field) in [
        ("interconnection.spk.key", "spk.key"),
        ("interconnection.spk.rand", "spk.rand"),
    ] {
        rules.push(Rule {
            is: gateway(own),
            must: Must::BeAmongUnseen,
            of: partner(field),
            else_: SPK,
        });
    }
    rules
}
