//! `mcbox mikey inspect`: the tree, the checks, and the first thing that is wrong.

use super::source::{self, Found};
use crate::raw::{self, Keys};
use anyhow::{Context as _, anyhow};
use clap::Args;
use mc_ids::NtpTime;
use mikey::{Finding, Item, Outcome, UidInput, Unverified, Why, anatomy, why};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `mcbox mikey inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// What to look into; `-` is standard input.
    file: PathBuf,
    /// Certificates and key sets (JSON). May be given several times.
    #[arg(long)]
    keys: Vec<PathBuf>,
    /// Compares the time of each message with this one (RFC 3339).
    #[arg(long)]
    at: Option<String>,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

/// One message with everything found out.
struct Looked {
    found: Found,
    items: Vec<Item>,
    refused: Option<String>,
    why: Option<Why>,
}

impl Looked {
    fn is_fine(&self) -> bool {
        let cause = self.why.as_ref().and_then(|why| why.cause.as_ref());
        self.refused.is_none() && cause.is_none()
    }
}

pub(super) fn run(inspect: &Inspect) -> anyhow::Result<ExitCode> {
    let keys = serde_json::to_vec(&super::key_files(&inspect.keys)?)?;
    let keys = Keys::read(&keys).map_err(|e| anyhow!("key file: {e}"))?;
    let at = inspect.at.as_deref().map(raw::time).transpose();
    let at = at.map_err(|e| anyhow!(e))?;
    let found = source::messages(&super::read(&inspect.file)?);
    let found = found
        .map_err(|e| anyhow!(e))
        .with_context(|| inspect.file.display().to_string())?;
    let looked: Vec<_> = found
        .into_iter()
        .map(|found| look(found, &keys, at))
        .collect();
    let mut out = std::io::stdout();
    if inspect.json {
        let all: Vec<_> = looked.iter().map(to_json).collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&all)?)?;
    } else {
        let colour = colours(out.is_terminal(), std::env::var_os("NO_COLOR").as_deref());
        for looked in &looked {
            write!(out, "{}", to_text(looked, colour))?;
        }
    }
    let fine = looked.iter().all(Looked::is_fine);
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Colours are for terminals, and only where `NO_COLOR` is not set to anything.
fn colours(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

fn look(found: Found, keys: &Keys, at: Option<NtpTime>) -> Looked {
    let items = anatomy(&found.octets);
    let (refused, why) = match Unverified::parse(&found.octets) {
        Err(error) => (Some(error.to_string()), None),
        Ok(message) => {
            let variants = message.variants().to_vec();
            let mut found = why(&message, &keys.certificates, &keys.keysets, at);
            for variant in variants {
                found.findings.push(Finding {
                    what: "form",
                    expected: "that of TS 33.180 Annex E".to_owned(),
                    seen: variant.to_string(),
                    outcome: Outcome::Overlooked,
                });
            }
            (None, Some(found))
        }
    };
    Looked {
        found,
        items,
        refused,
        why,
    }
}

/// Text with the wrong things in red.
struct Page {
    text: String,
    colour: bool,
}

impl Page {
    fn line(&mut self, wrong: bool, line: &str) {
        if wrong && self.colour {
            let _infallible = writeln!(self.text, "\x1b[31m{line}\x1b[0m");
        } else {
            let _infallible = writeln!(self.text, "{line}");
        }
    }

    fn item(&mut self, item: &Item, depth: usize) {
        let (mark, indent) = (if item.fits { ' ' } else { '!' }, "  ".repeat(depth));
        let place = match item.length {
            0 | 1 => format!("{}", item.at),
            length => format!("{}..{}", item.at, item.at + length - 1),
        };
        let name = format!("{indent}{}", item.name);
        let mut line = format!("{mark} {name:<34} {place:<10} {}", item.seen);
        if let (false, Some(expected)) = (item.fits, &item.expected) {
            let _infallible = write!(line, "   expected: {expected}");
        }
        self.line(!item.fits, line.trim_end());
        for child in &item.children {
            self.item(child, depth + 1);
        }
    }

    /// The inputs of a UID; the first wrong one is red.
    fn inputs(&mut self, title: &str, inputs: &[UidInput]) {
        if inputs.is_empty() {
            return;
        }
        self.line(false, &format!("\nUID of the {title} (TS 33.180 F.2.1)"));
        let first_wrong = inputs.iter().position(|input| !input.fits());
        for (at, input) in inputs.iter().enumerate() {
            let (mark, other) = match &input.seen {
                _ if input.fits() => (if input.seen.is_some() { "ok" } else { "?" }, String::new()),
                Some(seen) => ("no", format!("   the other side took: {seen}")),
                None => ("?", String::new()),
            };
            let line = format!("  {mark:<4} {:<20} {}{other}", input.name, input.expected);
            self.line(first_wrong == Some(at), &line);
        }
    }

    fn finding(&mut self, finding: &Finding) {
        let mark = match finding.outcome {
            Outcome::Holds => "ok",
            Outcome::Overlooked => "form",
            Outcome::Fails => "FAIL",
            Outcome::NotChecked => "-",
        };
        let Finding {
            what,
            expected,
            seen,
            ..
        } = finding;
        let line = format!("  {mark:<4} {what:<26} {seen}");
        let line = match finding.outcome {
            Outcome::Holds => line,
            Outcome::Overlooked | Outcome::Fails | Outcome::NotChecked => {
                format!("{line}   expected: {expected}")
            }
        };
        self.line(finding.outcome == Outcome::Fails, &line);
    }
}

fn to_text(looked: &Looked, colour: bool) -> String {
    let mut page = Page {
        text: String::new(),
        colour,
    };
    let (origin, length) = (&looked.found.origin, looked.found.octets.len());
    page.line(
        false,
        &format!("I_MESSAGE from {origin}, {length} octets\n"),
    );
    for item in &looked.items {
        page.item(item, 0);
    }
    if let Some(refused) = &looked.refused {
        page.line(
            true,
            &format!("\nNot an I_MESSAGE that can be verified: {refused}"),
        );
    }
    if let Some(why) = &looked.why {
        page.line(false, "\nChecks");
        for finding in &why.findings {
            page.finding(finding);
        }
        page.inputs("signer", &why.signer);
        page.inputs("receiver", &why.receiver);
        match &why.cause {
            Some(cause) => page.line(true, &format!("\nFirst thing wrong: {cause}\n")),
            None => page.line(false, nothing_wrong(why)),
        }
    }
    page.text
}

fn nothing_wrong(why: &Why) -> &'static str {
    let unchecked = |f: &Finding| f.outcome == Outcome::NotChecked;
    if why.findings.iter().any(unchecked) {
        "\nNothing wrong was found, but not everything could be checked: give --keys.\n"
    } else {
        "\nNothing wrong was found.\n"
    }
}

fn to_json(looked: &Looked) -> Value {
    json!({
        "origin": looked.found.origin,
        "octets": hex::encode(&looked.found.octets),
        "items": looked.items.iter().map(item_json).collect::<Vec<_>>(),
        "refused": looked.refused,
        "why": looked.why.as_ref().map(why_json),
    })
}

fn item_json(item: &Item) -> Value {
    json!({
        "at": item.at,
        "length": item.length,
        "name": item.name,
        "seen": item.seen,
        "expected": item.expected,
        "fits": item.fits,
        "children": item.children.iter().map(item_json).collect::<Vec<_>>(),
    })
}

fn why_json(why: &Why) -> Value {
    let finding = |f: &Finding| {
        let outcome = match f.outcome {
            Outcome::Holds => "holds",
            Outcome::Overlooked => "overlooked",
            Outcome::Fails => "fails",
            Outcome::NotChecked => "not-checked",
        };
        json!({"what": f.what, "expected": f.expected, "seen": f.seen, "outcome": outcome})
    };
    let input = |i: &UidInput| json!({"name": i.name, "expected": i.expected, "seen": i.seen, "fits": i.fits()});
    json!({
        "findings": why.findings.iter().map(finding).collect::<Vec<_>>(),
        "signer": why.signer.iter().map(input).collect::<Vec<_>>(),
        "receiver": why.receiver.iter().map(input).collect::<Vec<_>>(),
        "cause": why.cause,
    })
}

#[cfg(test)]
mod tests;
