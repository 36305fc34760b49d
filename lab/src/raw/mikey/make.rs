//! `mikey.make`: the inverse of `mikey.open`.

use super::{KIND, PARAMETERS, base64, purpose_of};
use crate::raw::args::{Args, Field, Type};
use crate::raw::error::{Error, Kind};
use crate::raw::keys::{CERTIFICATES, KEYSETS, Keys, kms_uri, time_of};
use crate::raw::op::{Results, hex, results};
use ::mikey::{
    BuildError, CsIdMap, Distribution, Form, Identities, KeyParameters, KeyStatus, KmsCertificate,
    Policy, SrtpSession, UidType,
};
use mc_ids::annex_f::guk_id;
use mc_ids::{Gmk, GmkId, Key128 as _, KeyId, KeyPurpose};

/// CS-ID and SPI of the GENERIC-ID map, or policy, SSRC and ROC of the SRTP-ID map.
const SESSION: &[Field] = &[
    Field::new("cs_id", Type::Integer).optional(),
    Field::hex("spi").optional(),
    Field::new("policy", Type::Integer).optional(),
    Field::hex("ssrc").optional(),
    Field::new("roc", Type::Integer).optional(),
];
const POLICY: &[Field] = &[Field::new("type", Type::Integer), Field::hex("value")];

pub(super) const FIELDS: &[Field] = &[
    KIND,
    Field::hex("key"),
    Field::hex("key_id"),
    Field::hex("rand"),
    Field::new("time", Type::Time),
    Field::new("initiator", Type::Text),
    Field::new("responder", Type::Text),
    CERTIFICATES,
    KEYSETS,
    Field::new("kms_initiator", Type::Text).optional(),
    Field::new("kms_responder", Type::Text).optional(),
    PARAMETERS,
    Field::new("to_self", Type::Boolean).optional(),
    Field::new("identities", Type::Word(&["uri", "uid", "both"])).optional(),
    Field::new("uid_type", Type::Integer).optional(),
    Field::new("sessions", Type::Objects(SESSION)).optional(),
    Field::new("policy", Type::Objects(POLICY)).optional(),
    Field::hex("iv").optional(),
    Field::hex("j").optional(),
];

pub(super) fn make(args: &Args<'_>) -> Results {
    let keys = Keys::of(args)?;
    let kms_initiator = kms(args, &keys, "kms_initiator")?;
    let kms_responder = kms(args, &keys, "kms_responder")?;
    let time = time_of("time", args.text("time"))?;
    let number = kms_initiator.period.number_at(time);
    let initiator = keys.user(args.text("initiator"), kms_initiator, number)?;
    let distribution = Distribution {
        initiator: &initiator,
        kms_initiator,
        responder: args.text("responder"),
        kms_responder,
        time,
        rand: args.array("rand")?,
        to_self: args.boolean("to_self"),
        key_parameters: parameters(args)?,
    };
    let (key, csb_id) = (args.array("key")?, csb_id(args)?);
    let form = form(args)?;
    let formed = distribution.in_form(&form);
    let message = match (args.has("iv"), args.has("j")) {
        (true, true) => {
            formed.key_reproducibly(&key, csb_id, args.array("iv")?, &args.octets("j")?)
        }
        (false, false) => formed.key(&key, csb_id, &mut mc_runtime::rng()),
        _ => return Err(Error::field("iv, j", "both or neither")),
    };
    let message = message.map_err(|e| build_error(&e))?;
    results([
        ("message", base64(&message)),
        ("csb_id", hex(csb_id.octets())),
    ])
}

/// The certificate a field names, or the only one.
fn kms<'k>(args: &Args<'_>, keys: &'k Keys, name: &str) -> Result<&'k KmsCertificate, Error> {
    if args.has(name) {
        return keys.certificate(&kms_uri(args.text(name))?);
    }
    match keys.certificates.as_slice() {
        [only] => Ok(only),
        _ => Err(Error::field(
            name,
            "missing, and not exactly one certificate is given",
        )),
    }
}

/// The key identifier, diversified for the receiver when it is a GMK's (5.2.3).
fn csb_id(args: &Args<'_>) -> Result<KeyId, Error> {
    let (id, purpose) = (KeyId(args.u32("key_id")?), purpose_of(args.text("kind")));
    if id.purpose() != Some(purpose) {
        let detail = format!(
            "key_id {id} has tag {}, a {} has {}",
            id.tag(),
            args.text("kind"),
            purpose as u8
        );
        return Err(Error::new(Kind::Purpose, detail));
    }
    if purpose != KeyPurpose::Gmk {
        return Ok(id);
    }
    let gmk_id = GmkId::try_from(id).map_err(|e| Error::new(Kind::Purpose, e.to_string()))?;
    let gmk = Gmk::from_octets(args.array("key")?);
    Ok(guk_id(&gmk, gmk_id, args.text("responder")).key_id())
}

fn parameters(args: &Args<'_>) -> Result<Option<KeyParameters>, Error> {
    let Some(inner) = args.object("key_parameters") else {
        return Ok(None);
    };
    let default = purpose_of(args.text("kind")) as u8;
    let seconds = |name| -> Result<u64, Error> {
        let seconds = inner.integer(name).unwrap_or_default();
        let fits = Some(seconds).filter(|seconds| seconds >> 40 == 0);
        fits.ok_or_else(|| Error::new(Kind::Range, format!("{name} has 40 bits")))
    };
    Ok(Some(KeyParameters {
        key_type: inner.small("key_type")?.unwrap_or(default),
        status: KeyStatus(inner.small("status")?.unwrap_or_default()),
        activation: seconds("activation")?,
        expiry: seconds("expiry")?,
        text: inner.text("text").to_owned(),
        groups: inner.has("groups").then(|| inner.texts("groups")),
    }))
}

fn form(args: &Args<'_>) -> Result<Form, Error> {
    let identities = match args.text("identities") {
        "uid" => Identities::Uid,
        "both" => Identities::Both,
        _ => Identities::Uri,
    };
    let uid_type = match args.integer("uid_type") {
        None | Some(1) => UidType::Uri,
        Some(2) => UidType::Bytes,
        Some(other) => {
            return Err(Error::field(
                "uid_type",
                format!("{other} is neither 1 nor 2"),
            ));
        }
    };
    Ok(Form {
        identities,
        uid_type,
        sessions: sessions(args)?,
        policy: policy(args)?,
    })
}

fn sessions(args: &Args<'_>) -> Result<CsIdMap, Error> {
    let items = args.objects("sessions");
    let Some(first) = items.first() else {
        return Ok(CsIdMap::Empty);
    };
    let wrong = || {
        Error::field(
            "sessions",
            "each has cs_id and spi, or each policy, ssrc and roc",
        )
    };
    let is = |item: &Args<'_>, names: &[&str]| {
        SESSION
            .iter()
            .all(|field| names.contains(&field.name) == item.has(field.name))
    };
    let generic: &[&str] = &["cs_id", "spi"];
    let legacy: &[&str] = &["policy", "ssrc", "roc"];
    let names = if first.has("cs_id") { generic } else { legacy };
    if !items.iter().all(|item| is(item, names)) {
        return Err(wrong());
    }
    if names == generic {
        let session = |item: &Args<'_>| -> Result<(u8, Vec<u8>), Error> {
            Ok((item.small("cs_id")?.ok_or_else(wrong)?, item.octets("spi")?))
        };
        let sessions: Result<_, Error> = items.iter().map(session).collect();
        return sessions.map(CsIdMap::Generic);
    }
    let session = |item: &Args<'_>| -> Result<SrtpSession, Error> {
        Ok(SrtpSession {
            policy: item.small("policy")?.ok_or_else(wrong)?,
            ssrc: item.u32("ssrc")?,
            roc: item.small("roc")?.ok_or_else(wrong)?,
        })
    };
    let sessions: Result<_, Error> = items.iter().map(session).collect();
    sessions.map(CsIdMap::SrtpId)
}

fn policy(args: &Args<'_>) -> Result<Option<Policy>, Error> {
    if !args.has("policy") {
        return Ok(None);
    }
    let items = args.objects("policy");
    let parameter = |item: &Args<'_>| -> Result<(u8, Vec<u8>), Error> {
        let kind = item.small("type")?.unwrap_or_default();
        Ok((kind, item.octets("value")?))
    };
    let policy: Result<_, Error> = items.iter().map(parameter).collect();
    policy.map(Some)
}

fn build_error(error: &BuildError) -> Error {
    let text = error.to_string();
    match error {
        BuildError::Period { .. } | BuildError::ForeignResponder { .. } => {
            Error::new(Kind::Mismatch, text)
        }
        BuildError::Identity(_) => Error::field("responder", text),
        BuildError::PolicyWithEmptyMap => Error::field("policy", text),
        BuildError::TooLong(_) => Error::new(Kind::Length, text),
        BuildError::Crypto(error) => (*error).into(),
    }
}
