//! What commands print.

use std::io::Write as _;

use serde::Serialize;

use crate::doctor::Finding;
use crate::health::Health;
use crate::supervisor::Setup;

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Ok(writeln!(std::io::stdout(), "{text}")?)
}

/// A service's health with its address.
#[derive(Debug, Serialize)]
struct Placed<'a> {
    #[serde(flatten)]
    health: &'a Health,
    address: String,
}

/// How every service is.
pub(super) fn health(all: &[Health], setup: &Setup, as_json: bool) -> anyhow::Result<()> {
    let placed = |health: &'_ Health| {
        let service = setup.services().find(|s| s.name == health.service);
        service.map_or_else(String::new, |s| setup.addresses.of(s.health).to_string())
    };
    let all = all.iter().map(|health| Placed {
        health,
        address: placed(health),
    });
    let all: Vec<_> = all.collect();
    if as_json {
        return json(&all);
    }
    let mut out = std::io::stdout();
    writeln!(
        out,
        "{:<14} {:<22} {:<12} detail",
        "service", "address", "health"
    )?;
    for Placed { health, address } in all {
        let Health {
            service,
            status,
            detail,
            ..
        } = health;
        writeln!(out, "{service:<14} {address:<22} {status:<12} {detail}")?;
    }
    Ok(())
}

/// What doctor found: what is in order first, so that the rest is what is seen last.
pub(super) fn findings(all: &[Finding], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        return json(&all);
    }
    let mut out = std::io::stdout();
    for fine in all.iter().filter(|finding| finding.ok) {
        writeln!(out, "ok    {:<32} {}", fine.check, fine.found)?;
    }
    write!(out, "{}", wrong(all))?;
    let failed = all.iter().filter(|finding| !finding.ok).count();
    let summary = match failed {
        0 => format!("all {} checks passed", all.len()),
        _ => format!("{failed} of {} checks FAILED, shown above", all.len()),
    };
    Ok(writeln!(out, "{summary}")?)
}

/// What is not in order, each with its cure; nothing when all is.
pub(super) fn wrong(all: &[Finding]) -> String {
    let wrong = all.iter().filter(|finding| !finding.ok);
    let lines = wrong.map(
        |Finding {
             check, found, fix, ..
         }| { format!("FAIL  {check:<32} {found}\n      {:<32} fix: {fix}\n", "") },
    );
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_its_cure_and_nothing_else() {
        let finding = |check: &str, ok: bool| Finding {
            check: check.to_owned(),
            ok,
            found: "found".to_owned(),
            fix: "cure".to_owned(),
        };
        let text = wrong(&[finding("a", true), finding("b", false)]);
        assert!(
            text.starts_with("FAIL  b ") && text.contains("fix: cure"),
            "{text}"
        );
        assert_eq!(wrong(&[finding("a", true)]), "");
    }
}
