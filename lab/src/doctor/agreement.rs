//! Whether the services' configurations agree with each other: most failed registrations are two
//! ends that were told different things.
//!
//! The rules are data: what one service is told must be, or be among, what another one is told. The
//! configurations are those the lab would start with, environment overrides included.

use std::collections::BTreeMap;

use std::path::Path;

use toml::{Table, Value};

use super::Finding;
use crate::render::render;
use crate::topology::{Addresses, SERVICES};

/// Configuration of each service of the lab, by name.
type Configurations = BTreeMap<&'static str, Table>;

/// A place in a service's configuration: `tokens.issuer`, `users[].username`.
type Place = (&'static str, &'static str);

/// Every value at `is` must be one of the values at `among`.
struct Rule {
    is: Place,
    among: Place,
    /// What goes wrong otherwise, with the clause.
    else_: &'static str,
}

const fn rule(is: Place, among: Place, else_: &'static str) -> Rule {
    Rule { is, among, else_ }
}

const ISSUER: &str = "tokens of another issuer are refused (TS 33.180 B.2.2)";
const AUDIENCE: &str = "no token is ever issued for this server (TS 33.180 B.2.2)";
const ACCOUNT: &str = "the log-in is refused (TS 33.180 5.1.2)";
const KMS_URI: &str = "UIDs and keys do not fit together (TS 33.180 F.2.1)";
const GROUP: &str = "group documents are not found (TS 24.481 7.2.10)";
const GATEWAY: &str = "members are not told that keys are shared with a gateway (TS 33.180 E.6.9)";
const RADIO: &str = "the gateway does not reach the radio network (TS 33.180 L.4.1)";
const ROUTE: &str = "SIP requests do not arrive (TS 24.379 6.3)";

const RULES: &[Rule] = &[
    rule(("kms", "tokens.issuer"), ("idms", "issuer"), ISSUER),
    rule(("gms", "tokens.issuer"), ("idms", "issuer"), ISSUER),
    rule(
        ("mcptt-server", "tokens.issuer"),
        ("idms", "issuer"),
        ISSUER,
    ),
    rule(
        ("kms", "tokens.audiences[]"),
        ("idms", "resource_servers[].audience"),
        AUDIENCE,
    ),
    rule(
        ("gms", "tokens.audiences[]"),
        ("idms", "resource_servers[].audience"),
        AUDIENCE,
    ),
    rule(
        ("mcptt-server", "tokens.audiences[]"),
        ("idms", "resource_servers[].audience"),
        AUDIENCE,
    ),
    rule(("gms", "login.issuer"), ("idms", "issuer"), ACCOUNT),
    rule(
        ("mcptt-server", "login.issuer"),
        ("idms", "issuer"),
        ACCOUNT,
    ),
    rule(
        ("gms", "login.username"),
        ("idms", "users[].username"),
        ACCOUNT,
    ),
    rule(
        ("mcptt-server", "login.username"),
        ("idms", "users[].username"),
        ACCOUNT,
    ),
    rule(
        ("gms", "login.client_id"),
        ("idms", "clients[].client_id"),
        ACCOUNT,
    ),
    rule(
        ("mcptt-server", "login.client_id"),
        ("idms", "clients[].client_id"),
        ACCOUNT,
    ),
    rule(("gms", "kms.kms_uri"), ("kms", "kms_uri"), KMS_URI),
    rule(("mcptt-server", "kms.kms_uri"), ("kms", "kms_uri"), KMS_URI),
    rule(("gms", "kms.url"), ("kms", "http.listen"), KMS_URI),
    rule(("mcptt-server", "kms.url"), ("kms", "http.listen"), KMS_URI),
    rule(
        ("mcptt-server", "groups.xcap_root"),
        ("gms", "xcap_root"),
        GROUP,
    ),
    rule(
        ("gms", "outbound_proxy"),
        ("mcptt-server", "sip.bind"),
        ROUTE,
    ),
    rule(("mcptt-server", "routes.*"), ("gms", "sip.bind"), ROUTE),
    rule(("segy", "mc.login.issuer"), ("idms", "issuer"), ACCOUNT),
    rule(
        ("segy", "mc.login.username"),
        ("idms", "users[].username"),
        ACCOUNT,
    ),
    rule(("segy", "mcptt_id"), ("idms", "users[].mcptt_id"), ACCOUNT),
    rule(("segy", "mc.kms.kms_uri"), ("kms", "kms_uri"), KMS_URI),
    rule(("segy", "mc.kms.url"), ("kms", "http.listen"), KMS_URI),
    rule(("segy", "mc.gms.xcap_root"), ("gms", "xcap_root"), GROUP),
    rule(
        ("segy", "talkgroups[].group"),
        ("gms", "groups[].uri"),
        GROUP,
    ),
    rule(("segy", "mcptt_id"), ("gms", "groups[].members[]"), GROUP),
    rule(("segy", "mcptt_id"), ("gms", "gateways[]"), GATEWAY),
    rule(
        ("segy", "mc.sip.server"),
        ("mcptt-server", "sip.bind"),
        ROUTE,
    ),
    rule(("segy", "external.server"), ("lmr-sim", "sip.bind"), RADIO),
    rule(
        ("segy", "talkgroups[].talkgroup"),
        ("lmr-sim", "network.talkgroups[]"),
        RADIO,
    ),
    rule(
        ("segy", "users[].unit"),
        ("lmr-sim", "network.units[].unit"),
        RADIO,
    ),
    rule(
        ("lmr-sim", "unit_calls.gateway"),
        ("segy", "external.sip.bind"),
        RADIO,
    ),
    rule(("segy-7.2", "mc.login.issuer"), ("idms", "issuer"), ACCOUNT),
    rule(
        ("segy-7.2", "users[].mcptt_id"),
        ("idms", "users[].mcptt_id"),
        ACCOUNT,
    ),
    rule(("segy-7.2", "mc.kms.kms_uri"), ("kms", "kms_uri"), KMS_URI),
    rule(("segy-7.2", "mc.kms.url"), ("kms", "http.listen"), KMS_URI),
    rule(
        ("segy-7.2", "mc.gms.xcap_root"),
        ("gms", "xcap_root"),
        GROUP,
    ),
    rule(
        ("segy-7.2", "talkgroups[].group"),
        ("gms", "groups[].uri"),
        GROUP,
    ),
    rule(
        ("segy-7.2", "users[].mcptt_id"),
        ("gms", "groups[].members[]"),
        GROUP,
    ),
    rule(
        ("segy-7.2", "users[].mcptt_id"),
        ("gms", "gateways[]"),
        GATEWAY,
    ),
    rule(
        ("segy-7.2", "mc.sip.server"),
        ("mcptt-server", "sip.bind"),
        ROUTE,
    ),
    rule(
        ("segy-7.2", "external.server"),
        ("lmr-7.2", "sip.bind"),
        RADIO,
    ),
    rule(
        ("segy-7.2", "talkgroups[].talkgroup"),
        ("lmr-7.2", "network.talkgroups[]"),
        RADIO,
    ),
    rule(
        ("segy-7.2", "users[].unit"),
        ("lmr-7.2", "network.units[].unit"),
        RADIO,
    ),
    rule(
        ("lmr-7.2", "unit_calls.gateway"),
        ("segy-7.2", "external.sip.bind"),
        RADIO,
    ),
];

/// Checks every rule in the configurations the lab would start with at these addresses.
pub(super) fn examine(
    addresses: &Addresses,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<Finding> {
    match configurations(addresses, environment) {
        Ok(configurations) => RULES
            .iter()
            .map(|rule| check(rule, &configurations))
            .collect(),
        Err(problem) => vec![Finding::new("configurations", Some(problem), "")],
    }
}

/// The templates, filled in, with what the environment overrides. Files and passwords, which no
/// rule looks at, stay empty.
fn configurations(
    addresses: &Addresses,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Configurations, (String, String)> {
    let mut values = addresses.values();
    const EMPTY: [&str; 10] = [
        "ca",
        "cert",
        "key",
        "data",
        "secrets",
        "trust",
        "logs",
        "password",
        "spk-partner-key",
        "spk-partner-rand",
    ];
    for file in EMPTY {
        values.insert(file.to_owned(), String::new());
    }
    values.insert("lab_keys".to_owned(), false.to_string());
    let environment: Vec<_> = environment.into_iter().collect();
    let mut all = Configurations::new();
    for service in SERVICES {
        let fix = || format!("correct deploy/lab/{}.toml or the variable", service.name);
        let text = render(service.template, &values).map_err(|e| (e.to_string(), fix()))?;
        let prefix = service.name.to_ascii_uppercase().replace('-', "_");
        let path = Path::new(service.name);
        let table = mc_runtime::config::parse(&text, path, &prefix, environment.clone());
        all.insert(service.name, table.map_err(|e| (e.to_string(), fix()))?);
    }
    Ok(all)
}

fn check(rule: &Rule, configurations: &Configurations) -> Finding {
    let (service, place) = rule.is;
    let (other, source) = rule.among;
    let found = values(configurations, rule.is);
    let known = values(configurations, rule.among);
    let stranger = found
        .iter()
        .find(|value| !known.iter().any(|k| same(value, k)));
    let problem = stranger.map(|value| {
        let known = if known.is_empty() {
            "nothing".to_owned()
        } else {
            known.join(", ")
        };
        (
            format!(
                "{service} says {value:?}, {other} says {known}: {}",
                rule.else_
            ),
            format!("make {place} of {service} one of {source} of {other}"),
        )
    });
    Finding::new(
        format!("{service} {place} = {other} {source}"),
        problem,
        "agree",
    )
}

/// Whether two values name the same thing; addresses may be written as URLs or SIP URIs.
fn same(a: &str, b: &str) -> bool {
    a == b || bare(a) == bare(b)
}

fn bare(text: &str) -> &str {
    let scheme = ["https://", "http://", "sip:"];
    let text = scheme
        .iter()
        .find_map(|s| text.strip_prefix(s))
        .unwrap_or(text);
    let text = text.split_once(';').map_or(text, |(before, _)| before);
    text.trim_end_matches('/')
}

fn values(configurations: &Configurations, (service, place): Place) -> Vec<String> {
    let Some(table) = configurations.get(service) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let whole = Value::Table(table.clone());
    collect(&whole, place, &mut found);
    found
}

fn collect(value: &Value, place: &str, found: &mut Vec<String>) {
    if place.is_empty() {
        let text = value.as_str().map(str::to_owned);
        found.push(text.unwrap_or_else(|| value.to_string()));
        return;
    }
    let (step, rest) = place.split_once('.').unwrap_or((place, ""));
    if step == "*" {
        for inner in value.as_table().into_iter().flat_map(Table::values) {
            collect(inner, rest, found);
        }
        return;
    }
    let (key, many) = step
        .strip_suffix("[]")
        .map_or((step, false), |key| (key, true));
    let Some(inner) = value.get(key) else { return };
    if !many {
        return collect(inner, rest, found);
    }
    for element in inner.as_array().into_iter().flatten() {
        collect(element, rest, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lab_agrees_with_itself_and_every_rule_has_something_to_check() {
        let lab = configurations(&Addresses::default(), []).unwrap();
        for rule in RULES {
            assert!(!values(&lab, rule.is).is_empty(), "{:?}", rule.is);
            let finding = check(rule, &lab);
            assert!(finding.ok, "{finding:?}");
        }
    }

    #[test]
    fn a_difference_names_both_ends_and_the_cure() {
        let variable = ("GMS__KMS__KMS_URI", "kms.other.example");
        let environment = [(variable.0.to_owned(), variable.1.to_owned())];
        let findings = examine(&Addresses::default(), environment);
        let bad: Vec<_> = findings.into_iter().filter(|f| !f.ok).collect();
        assert_eq!(bad.len(), 1, "{bad:?}");
        assert!(bad[0].found.contains("kms.other.example"), "{bad:?}");
        assert!(bad[0].found.contains("kms.mc.example"), "{bad:?}");
        assert!(bad[0].fix.contains("kms.kms_uri of gms"), "{bad:?}");
    }

    #[test]
    fn a_variable_that_names_no_place_is_reported() {
        let environment = [("KMS__KMS_URI__X".to_owned(), "1".to_owned())];
        let findings = examine(&Addresses::default(), environment);
        assert!(findings.len() == 1 && !findings[0].ok, "{findings:?}");
    }
}
