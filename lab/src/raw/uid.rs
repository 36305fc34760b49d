//! The MC UID (TS 33.180 F.2.1).

use super::args::{Args, Field, Type};
use super::error::Error;
use super::keys::kms_uri;
use super::op::{Op, Results, hex, results};
use mc_ids::annex_f::Uid;
use mc_ids::{KeyPeriod, NtpTime};

pub(super) const OPS: &[Op] = &[Op {
    name: "uid",
    fields: &[
        Field::new("uri", Type::Text),
        Field::new("kms_uri", Type::Text),
        Field::new("period", Type::Integer),
        Field::new("offset", Type::Integer),
    ],
    either: &[
        Field::new("number", Type::Integer),
        Field::new("ntp_seconds", Type::Integer),
    ],
    results: &[Field::hex("uid"), Field::new("number", Type::Integer)],
    about: "UID of an identity in a key period, by number or by NTP seconds",
    run: uid,
}];

/// `UserKeyPeriod` and `UserKeyOffset`.
pub(super) fn key_period(args: &Args<'_>) -> Result<KeyPeriod, Error> {
    let integer = |name| args.integer(name).unwrap_or_default();
    KeyPeriod::new(integer("period"), integer("offset")).map_err(|e| Error::field("period", e))
}

fn uid(args: &Args<'_>) -> Results {
    let (kms, period) = (kms_uri(args.text("kms_uri"))?, key_period(args)?);
    let number = match args.small::<u32>("ntp_seconds")? {
        Some(seconds) => period.number_at(NtpTime::from_seconds(seconds)),
        None => args.integer("number").unwrap_or_default(),
    };
    let uid = Uid::of_period(args.identity("uri")?, &kms, period, number);
    results([("uid", hex(uid.octets())), ("number", number.into())])
}
