//! `mcbox raw`: one step of the standards at a time, as JSON lines, so that any script can check a
//! step of its own against ours.
//!
//! Invariants: exactly one line goes out for each line that comes in, in order, whatever it holds;
//! an operation or field that is not in the table is an error, never skipped; nothing of a line is
//! remembered for the next one. The table in `op` is the only place that names fields: reading,
//! `--ops` and the documentation come from it.

mod args;
mod eccsi;
mod error;
mod floor;
mod input;
mod json;
mod kdf;
mod keys;
mod kms;
mod mikey;
mod op;
mod sakke;
mod selftest;
mod sip;
mod srtp;
mod uid;
mod wrap;
mod xml;

pub(crate) use keys::Keys;
pub(crate) use sip::mikey_of;

use clap::Args;
use error::{Error, Kind};
use input::{Line, Lines};
use serde_json::{Map, Value};
use std::io::{BufReader, ErrorKind, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Arguments of `mcbox raw`.
#[derive(Debug, Args)]
pub struct Raw {
    /// Prints the table of operations, fields and error kinds, as Markdown.
    #[arg(long, conflicts_with = "selftest")]
    ops: bool,
    /// Runs the published vectors through the operations and prints what each came to.
    #[arg(long)]
    selftest: bool,
}

/// Examples under `mcbox raw --help`.
pub const EXAMPLES: &str = "Each line is one object: {\"op\": NAME, ...}. Octets are hexadecimal \
    unless the table says otherwise; a field `ref` comes back as it went in.\n\n\
    Examples:\n  \
    echo '{\"op\":\"kdf.dpck\",\"dppk\":\"07d1a1677ac36d8e81620484689b3c2d\",\
    \"dppk_id\":\"082c7b7a\",\"ref\":1}' | mcbox raw\n  \
    mcbox raw --ops\n  mcbox raw --selftest";

/// Runs `mcbox raw` on the standard streams.
///
/// # Errors
/// When standard input cannot be read or standard output cannot be written for another reason than
/// that nobody reads it any more.
pub fn run(raw: &Raw) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    if raw.ops {
        return quiet(write!(out, "{}", op::table()).and_then(|()| out.flush()));
    }
    if raw.selftest {
        let report = selftest::run();
        let code = quiet(write!(out, "{}", report.text).and_then(|()| out.flush()))?;
        return Ok(if report.passed {
            code
        } else {
            ExitCode::FAILURE
        });
    }
    quiet(serve(std::io::stdin().lock(), &mut out))
}

/// A reader that went away is no failure of ours.
fn quiet(result: std::io::Result<()>) -> anyhow::Result<ExitCode> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Answers every line of `input` on `out`.
///
/// # Errors
/// Those of the two streams.
pub fn serve(input: impl Read, out: &mut impl Write) -> std::io::Result<()> {
    let mut lines = Lines::new(BufReader::with_capacity(64 * 1024, input));
    while let Some(line) = lines.next_line()? {
        let mut answer = match line {
            Line::Complete(octets) => answer(&octets),
            Line::TooLong => Answer::refused(Error::new(
                Kind::TooLong,
                format!("a line has at most {} octets", input::MAX_LINE),
            )),
        }
        .to_line();
        answer.push('\n');
        out.write_all(answer.as_bytes())?;
        // A script that waits for each answer gets it; one that sends many does not pay for it.
        if !lines.has_more() {
            out.flush()?;
        }
    }
    out.flush()
}

/// Runs one request made inside `mcbox`.
///
/// # Errors
/// The error of the answer, in words.
pub(crate) fn request(request: Map<String, Value>) -> Result<Map<String, Value>, String> {
    op::run(request).map_err(|error| error.to_string())
}

/// Reads a time as the fields of requests have it.
///
/// # Errors
/// The error of the answer, in words.
pub(crate) fn time(text: &str) -> Result<mc_ids::NtpTime, String> {
    keys::time_of("time", text).map_err(|error| error.to_string())
}

/// What a line came to.
struct Answer {
    reference: Option<Value>,
    result: Result<Map<String, Value>, Error>,
}

impl Answer {
    const fn refused(error: Error) -> Self {
        Self {
            reference: None,
            result: Err(error),
        }
    }

    /// `ok` first, then `ref`, then the fields in their order.
    fn to_line(&self) -> String {
        let mut text = format!("{{\"ok\":{}", self.result.is_ok());
        if let Some(reference) = &self.reference {
            text.push_str(&format!(",\"ref\":{reference}"));
        }
        match &self.result {
            Ok(fields) => {
                for (name, value) in fields {
                    text.push_str(&format!(",{}:{value}", Value::from(name.as_str())));
                }
            }
            Err(error) => text.push_str(&format!(",\"error\":{}", error.to_json())),
        }
        text.push('}');
        text
    }
}

fn answer(line: &[u8]) -> Answer {
    let mut request = match json::object(line) {
        Ok(request) => request,
        Err(error) => return Answer::refused(error),
    };
    let reference = request.remove("ref");
    Answer {
        reference,
        result: guarded(|| op::run(request)),
    }
}

/// No operation panics on any input that we know of; one that did must not end the process.
fn guarded(operation: impl FnOnce() -> op::Results) -> op::Results {
    let panicked = || Error::new(Kind::Internal, "the operation failed inside mcbox");
    catch_unwind(AssertUnwindSafe(operation)).unwrap_or_else(|_| Err(panicked()))
}

#[cfg(test)]
mod tests;
