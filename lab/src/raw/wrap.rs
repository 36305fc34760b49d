//! AES key wrap (RFC 3394 and RFC 5649), keys of 16, 24 or 32 octets.

use super::args::{Args, Field};
use super::error::{Error, Kind};
use super::op::{Op, Results, hex, results};
use mc_xml::security::{SecurityError, keywrap};

const FIELDS: &[Field] = &[Field::hex("kek"), Field::hex("data")];
const RESULTS: &[Field] = &[Field::hex("data")];

pub(super) const OPS: &[Op] = &[
    Op {
        name: "wrap.kw",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "wraps a multiple of 8 octets, 16 to 1024 (RFC 3394)",
        run: |args| done(keywrap::wrap(&args.octets("kek")?, &args.octets("data")?)),
    },
    Op {
        name: "unwrap.kw",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "unwraps and checks (RFC 3394)",
        run: |args| done(keywrap::unwrap(&args.octets("kek")?, &wrapped(args, 24)?)),
    },
    Op {
        name: "wrap.kwp",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "wraps 1 to 1024 octets (RFC 5649)",
        run: |args| {
            done(keywrap::wrap_padded(
                &args.octets("kek")?,
                &args.octets("data")?,
            ))
        },
    },
    Op {
        name: "unwrap.kwp",
        fields: FIELDS,
        either: &[],
        results: RESULTS,
        about: "unwraps and checks (RFC 5649)",
        run: |args| {
            done(keywrap::unwrap_padded(
                &args.octets("kek")?,
                &wrapped(args, 16)?,
            ))
        },
    },
];

/// What is to be unwrapped: a length that no wrapping has is told apart from a wrong check value.
fn wrapped(args: &Args<'_>, shortest: usize) -> Result<Vec<u8>, Error> {
    let data = args.octets("data")?;
    let length = data.len();
    if length < shortest || !length.is_multiple_of(8) || length > keywrap::MAX_KEY + 8 {
        let detail = format!("{length} octets are no wrapped data");
        return Err(Error::new(Kind::Length, detail));
    }
    Ok(data)
}

fn done(data: Result<impl AsRef<[u8]>, SecurityError>) -> Results {
    let data = data.map_err(|error| {
        let kind = if matches!(error, SecurityError::LocalLength(_)) {
            Kind::Length
        } else {
            Kind::Integrity
        };
        Error::new(kind, error.to_string())
    })?;
    results([("data", hex(data))])
}
