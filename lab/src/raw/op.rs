//! The table of operations, and the one place where a line meets it.

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::{eccsi, floor, kdf, kms, mikey, sakke, sip, srtp, uid, wrap, xml};
use serde_json::{Map, Value};
use std::fmt::Write as _;

/// What an operation answers.
pub(super) type Results = Result<Map<String, Value>, Error>;

/// One operation.
pub(super) struct Op {
    /// The value of `op`.
    pub(super) name: &'static str,
    /// Fields of the request, the optional ones marked.
    pub(super) fields: &'static [Field],
    /// Fields of which exactly one must be there.
    pub(super) either: &'static [Field],
    /// Fields of the answer.
    pub(super) results: &'static [Field],
    /// What it does, for the table.
    pub(super) about: &'static str,
    /// Does it.
    pub(super) run: fn(&Args<'_>) -> Results,
}

/// The operations, family by family.
const FAMILIES: [(&str, &[Op]); 11] = [
    ("ECCSI (RFC 6507)", eccsi::OPS),
    ("SAKKE (RFC 6508)", sakke::OPS),
    ("UID (TS 33.180 F.2.1)", uid::OPS),
    ("Key derivation (TS 33.180 F.1, 7.4)", kdf::OPS),
    ("MIKEY (TS 33.180 Annex E)", mikey::OPS),
    ("SRTP, SRTCP (TS 33.180 7.5, 9.4)", srtp::OPS),
    ("AES key wrap (RFC 3394, RFC 5649)", wrap::OPS),
    ("KMS documents (TS 33.180 Annex D)", kms::OPS),
    ("XML protection (TS 33.180 9.3)", xml::OPS),
    (
        "Floor control, pre-established sessions (TS 24.380 8.2, 8.3)",
        floor::OPS,
    ),
    ("SIP (RFC 3261, TS 24.379)", sip::OPS),
];

/// Every operation.
pub(super) fn all() -> impl Iterator<Item = &'static Op> {
    FAMILIES.iter().flat_map(|(_, ops)| ops.iter())
}

/// Runs one request, `ref` taken out.
pub(super) fn run(mut request: Map<String, Value>) -> Results {
    let name = match request.remove("op") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Error::new(Kind::Op, "`op` is not text")),
        None => return Err(Error::new(Kind::Op, "`op` is missing")),
    };
    let op = all().find(|op| op.name == name);
    let op = op.ok_or_else(|| {
        let short: String = name.chars().take(64).collect();
        Error::new(
            Kind::Op,
            format!("no operation {short:?}; `mcbox raw --ops` lists them"),
        )
    })?;
    let choices = op.either.iter().map(|field| field.optional());
    let fields: Vec<Field> = op.fields.iter().copied().chain(choices).collect();
    let args = Args::of(&request, &fields)?;
    let given = op
        .either
        .iter()
        .filter(|field| args.has(field.name))
        .count();
    if !op.either.is_empty() && given != 1 {
        let names: Vec<_> = op.either.iter().map(|field| field.name).collect();
        let detail = format!("exactly one is needed, {given} are given");
        return Err(Error::field(&names.join(" | "), detail));
    }
    (op.run)(&args)
}

/// An answer from its fields.
pub(super) fn results<const N: usize>(fields: [(&str, Value); N]) -> Results {
    Ok(fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect())
}

/// Octets as they stand in answers.
pub(super) fn hex(octets: impl AsRef<[u8]>) -> Value {
    hex::encode(octets).into()
}

/// The table and the error kinds as Markdown.
pub(super) fn table() -> String {
    let mut out = String::new();
    let _infallible = writeln!(
        out,
        "Fields are octets in hexadecimal unless a type follows the name; `?` marks optional ones, \
         `|` a choice of exactly one."
    );
    for (family, ops) in FAMILIES {
        let _infallible = writeln!(out, "\n### {family}\n");
        let _infallible = writeln!(out, "| op | fields | answer | what it does |");
        let _infallible = writeln!(out, "| --- | --- | --- | --- |");
        for op in ops {
            let mut fields: Vec<_> = op.fields.iter().map(describe).collect();
            if !op.either.is_empty() {
                let choice: Vec<_> = op.either.iter().map(describe).collect();
                fields.push(choice.join(" \\| "));
            }
            let answer: Vec<_> = op.results.iter().map(describe).collect();
            let _infallible = writeln!(
                out,
                "| `{}` | {} | {} | {} |",
                op.name,
                fields.join(", "),
                answer.join(", "),
                op.about
            );
        }
    }
    let _infallible = writeln!(
        out,
        "\n### Error kinds\n\n| kind | meaning |\n| --- | --- |"
    );
    for kind in Kind::ALL {
        let _infallible = writeln!(out, "| `{}` | {} |", kind.name(), kind.meaning());
    }
    out
}

fn describe(field: &Field) -> String {
    let mark = if field.optional { "?" } else { "" };
    let inner = |fields: &[Field]| {
        let all: Vec<_> = fields.iter().map(describe).collect();
        all.join(", ")
    };
    let of = match field.of {
        Type::Hex => return format!("`{}`{mark}", field.name),
        Type::Text => "text".to_owned(),
        Type::Base64 => "base64".to_owned(),
        Type::Integer => "integer".to_owned(),
        Type::Boolean => "boolean".to_owned(),
        Type::Time => "time".to_owned(),
        Type::Document => "text or hex".to_owned(),
        Type::Word(words) => words.join(" / "),
        Type::HexList => "list".to_owned(),
        Type::TextList => "list of text".to_owned(),
        Type::Objects(fields) => format!("list of {{{}}}", inner(fields)),
        Type::Object(fields) => format!("{{{}}}", inner(fields)),
        Type::Free => "JSON".to_owned(),
    };
    format!("`{}`{mark} ({of})", field.name)
}
