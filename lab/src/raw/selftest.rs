//! `mcbox raw --selftest`: the published vectors, line by line through the operations.

pub(super) mod cases;

use super::serve;
use serde_json::Value;
use std::fmt::Write as _;

/// A request and what it must come to.
pub(super) struct Case {
    /// Where the values come from.
    pub(super) name: String,
    /// The line.
    pub(super) request: Value,
    /// What the answer must say.
    pub(super) expected: Expected,
}

/// What an answer must say.
pub(super) enum Expected {
    /// Success with these fields, others may stand beside them.
    Fields(Value),
    /// A refusal of this kind.
    Refused(&'static str),
}

/// What the self test found.
pub(super) struct Report {
    /// One line for each vector and a last one that counts.
    pub(super) text: String,
    /// Whether every vector came out.
    pub(super) passed: bool,
}

/// Runs every vector.
pub(super) fn run() -> Report {
    let (mut text, mut passed) = (String::new(), 0);
    let cases = cases::all();
    for case in &cases {
        let found = answer(&case.request);
        let wrong = difference(&found, &case.expected);
        let op = case.request.get("op").and_then(Value::as_str);
        let (mark, why) = match &wrong {
            None => ("ok  ", String::new()),
            Some(why) => ("FAIL", format!(": {why}")),
        };
        let _infallible = writeln!(
            text,
            "{mark} {:<18} {}{why}",
            op.unwrap_or_default(),
            case.name
        );
        passed += usize::from(wrong.is_none());
    }
    let _infallible = writeln!(text, "{passed} of {} vectors", cases.len());
    Report {
        text,
        passed: passed == cases.len(),
    }
}

/// The answer to one line, by the same way as from standard input.
pub(super) fn answer(request: &Value) -> Value {
    let mut out = Vec::new();
    let line = request.to_string();
    match serve(line.as_bytes(), &mut out) {
        Ok(()) => serde_json::from_slice(&out).unwrap_or(Value::Null),
        Err(_) => Value::Null,
    }
}

/// How an answer differs from what it must be.
pub(super) fn difference(found: &Value, expected: &Expected) -> Option<String> {
    match expected {
        Expected::Refused(kind) => {
            let seen = found.pointer("/error/kind").and_then(Value::as_str);
            (seen != Some(kind)).then(|| format!("{kind} is needed, seen is {found}"))
        }
        Expected::Fields(_) if found.get("ok") != Some(&Value::Bool(true)) => {
            Some(format!("{}", found.get("error").unwrap_or(&Value::Null)))
        }
        Expected::Fields(fields) => {
            let fields = fields.as_object().into_iter().flatten();
            let mut wrong = fields.filter(|(name, value)| found.get(name.as_str()) != Some(*value));
            wrong.next().map(|(name, value)| {
                let seen = found.get(name.as_str()).unwrap_or(&Value::Null);
                format!("{name}: {value} is needed, seen is {seen}")
            })
        }
    }
}
