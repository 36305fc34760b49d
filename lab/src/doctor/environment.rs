//! Environment variables that were meant to override something and do not.

use std::collections::BTreeSet;

use super::Finding;
use crate::supervisor::Setup;

/// Variables that begin with `MCBOX_` and mean something, to the programs or to their tests.
const OURS: [&str; 10] = [
    "MCBOX_STATE",
    "MCBOX_LAB_KEYS",
    "MCBOX_SPEECH",
    "MCBOX_CONFIG",
    "MCBOX_CA",
    "MCBOX_LOG",
    "MCBOX_PYTHON",
    "MCBOX_XSD",
    "MCBOX_SCREENSHOTS",
    "MCBOX_CONTEXT",
];
/// Most single changes by which a name is taken for another one mistyped.
const MISTYPED: usize = 2;

/// Looks for names that are nearly ours; one finding for each, or one that all is well.
pub(super) fn examine(setup: &Setup, names: impl IntoIterator<Item = String>) -> Vec<Finding> {
    let prefixes: BTreeSet<String> = setup.services().map(|service| service.prefix()).collect();
    let wrong = names.into_iter().filter_map(|name| {
        let meant = meant(setup, &prefixes, &name)?;
        let problem = ("no program reads it".to_owned(), meant);
        Some(Finding::new(format!("variable {name}"), Some(problem), ""))
    });
    let wrong: Vec<_> = wrong.collect();
    if wrong.is_empty() {
        return vec![Finding::new("environment", None, "no variable is mistyped")];
    }
    wrong
}

/// What to do about a variable; `None` for one that is right, or somebody else's.
fn meant(setup: &Setup, prefixes: &BTreeSet<String>, name: &str) -> Option<String> {
    if name.starts_with("MCBOX_") {
        let unknown = !OURS.contains(&name);
        return unknown.then(|| format!("unset it, or take one of {}", OURS[..6].join(", ")));
    }
    let (prefix, field) = name
        .split_once("__")
        .filter(|(prefix, _)| !prefix.is_empty())?;
    if prefixes.contains(prefix) {
        // Its fields are the program's to judge.
        return None;
    }
    let instance = |name: &str| name.to_ascii_uppercase().replace(['-', '.'], "_");
    if let Some(service) = setup.services().find(|s| instance(s.name) == prefix) {
        let (name, program, right) = (service.name, service.binary, service.prefix());
        return Some(format!(
            "{name} runs the program {program}: {right}__{field}"
        ));
    }
    let near = prefixes.iter().find(|right| {
        let longer = prefix.strip_prefix(right.as_str());
        distance(right, prefix) <= MISTYPED || longer.is_some_and(|rest| rest.starts_with('_'))
    });
    near.map(|right| format!("unset it, or write {right}__ and the field"))
}

/// Levenshtein's distance.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.chars().zip(row.iter().skip(1)) {
            let here = (diagonal + usize::from(x != y))
                .min(above + 1)
                .min(left + 1);
            diagonal = *above;
            left = here;
            next.push(here);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(name: &str) -> Option<String> {
        let found = examine(&Setup::complete(), [name.to_owned()]);
        found.into_iter().find(|f| !f.ok).map(|f| f.fix)
    }

    #[test]
    fn names_that_are_nearly_ours_are_told_and_others_left_alone() {
        for right in [
            "KMS__HTTP__LISTEN",
            "MCPTT_SERVER__X",
            "MCBOX_STATE",
            "PATH",
            "__CF",
            "A__B",
        ] {
            assert_eq!(wrong(right), None, "{right}");
        }
        assert!(wrong("KSM__HTTP__LISTEN").unwrap().contains("KMS__"));
        assert!(wrong("MCPTTSERVER__X").unwrap().contains("MCPTT_SERVER__"));
        assert!(wrong("KMS_HTTP__LISTEN").unwrap().contains("KMS__"));
        assert!(
            wrong("SEGY_KMS__HTTP__LISTEN")
                .unwrap()
                .contains("KMS__HTTP__LISTEN")
        );
        assert!(wrong("MCBOX_LABKEYS").unwrap().contains("MCBOX_LAB_KEYS"));
    }
}
