//! Whether the services' configurations agree with each other: most failed registrations are two
//! ends that were told different things.
//!
//! The rules are data: what one service is told must fit what another one is told. The
//! configurations are those the lab would start with, environment overrides included.

mod rules;

use std::collections::BTreeMap;
use std::path::Path;

use toml::{Table, Value};

use self::rules::{Must, Place, Rule};
use super::Finding;
use crate::configure;
use crate::render::render;
use crate::supervisor::Setup;

/// Configuration of each service of the lab, by name.
type Configurations = BTreeMap<&'static str, Table>;

/// Checks every rule in the configurations that a lab would start with.
pub(super) fn examine(
    setup: &Setup,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<Finding> {
    match configurations(setup, environment) {
        Ok(configurations) => rules::of(setup)
            .iter()
            .map(|rule| check(rule, &configurations))
            .collect(),
        Err(problem) => vec![Finding::new("configurations", Some(problem), "")],
    }
}

/// The templates, filled in, with what the environment overrides.
fn configurations(
    setup: &Setup,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Configurations, (String, String)> {
    let values = configure::without_state(setup);
    let environment: Vec<_> = environment.into_iter().collect();
    let mut all = Configurations::new();
    for service in setup.services() {
        let fix = || format!("correct the template of {} or the variable", service.name);
        let text = render(service.template, &values).map_err(|e| (e.to_string(), fix()))?;
        let prefix = service.prefix();
        let path = Path::new(service.name);
        let table = mc_runtime::config::parse(&text, path, &prefix, environment.clone());
        all.insert(service.name, table.map_err(|e| (e.to_string(), fix()))?);
    }
    Ok(all)
}

fn check(rule: &Rule, configurations: &Configurations) -> Finding {
    let ((service, place), (other, source)) = (&rule.is, &rule.of);
    let found = values(configurations, &rule.is);
    let known = values(configurations, &rule.of);
    let is_known = |value: &&String| known.iter().any(|k| same(value, k));
    let (wrong, sign, cure) = match rule.must {
        Must::BeAmong | Must::BeAmongUnseen => (found.iter().find(|v| !is_known(v)), "=", "one of"),
        Must::Differ => (found.iter().find(is_known), "is not", "another one than"),
    };
    let problem = wrong.map(|value| {
        let said = match rule.must {
            Must::BeAmongUnseen => format!("{service} and {other} were told different ones"),
            Must::BeAmong | Must::Differ if known.is_empty() => {
                format!("{service} says {value:?}, {other} says nothing")
            }
            Must::BeAmong | Must::Differ => {
                format!(
                    "{service} says {value:?}, {other} says {}",
                    known.join(", ")
                )
            }
        };
        (
            format!("{said}: {}", rule.else_),
            format!("make {place} of {service} {cure} {source} of {other}"),
        )
    });
    let check = format!("{service} {place} {sign} {other} {source}");
    Finding::new(check, problem, "agree")
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

fn values(configurations: &Configurations, (service, place): &Place) -> Vec<String> {
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
    let (step, rest) = first_step(place);
    if step == "*" {
        for inner in value.as_table().into_iter().flat_map(Table::values) {
            collect(inner, rest, found);
        }
        return;
    }
    let Some((key, which)) = step.split_once('[') else {
        if let Some(inner) = value.get(step) {
            collect(inner, rest, found);
        }
        return;
    };
    let wanted = which.trim_end_matches(']').split_once('=');
    let meant = |element: &&Value| {
        wanted.is_none_or(|(field, text)| element.get(field).and_then(Value::as_str) == Some(text))
    };
    let elements = value.get(key).and_then(Value::as_array);
    for element in elements.into_iter().flatten().filter(meant) {
        collect(element, rest, found);
    }
}

/// A place's first step and what follows; a dot in brackets separates nothing.
fn first_step(place: &str) -> (&str, &str) {
    let mut depth = 0_u8;
    let end = place.find(|c| {
        match c {
            '[' => depth = 1,
            ']' => depth = 0,
            _ => {}
        }
        c == '.' && depth == 0
    });
    let split = end.and_then(|end| Some((place.get(..end)?, place.get(end + 1..)?)));
    split.unwrap_or((place, ""))
}

#[cfg(test)]
mod tests;
