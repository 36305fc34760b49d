//! I_MESSAGEs, opened and made (TS 33.180 Annex E).

mod make;

use super::args::{Args, Field, Type};
use super::error::{Error, Kind};
use super::keys::{CERTIFICATES, KEYSETS, Keys, time_of};
use super::op::{Op, Results, hex};
use ::mikey::{
    DistributedKey, KeyParameters, OpenError, OpenPolicy, Opened, ParseError, Party, ReplayCache,
    Unverified, VerifyError, VerifyPolicy,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_ids::{Key128 as _, KeyPurpose, NtpTime};
use serde_json::{Map, Value, json};

/// The purposes of keys, as `kind` names them.
pub(super) const KINDS: &[(&str, KeyPurpose)] = &[
    ("gmk", KeyPurpose::Gmk),
    ("pck", KeyPurpose::Pck),
    ("csk", KeyPurpose::Csk),
    ("spk", KeyPurpose::Spk),
    ("mkfc", KeyPurpose::Mkfc),
    ("mscck", KeyPurpose::Mscck),
    ("musik", KeyPurpose::Musik),
];
const KIND: Field = Field::new(
    "kind",
    Type::Word(&["gmk", "pck", "csk", "spk", "mkfc", "mscck", "musik"]),
);
const KEY_PARAMETERS: &[Field] = &[
    Field::new("key_type", Type::Integer).optional(),
    Field::new("status", Type::Integer),
    Field::new("activation", Type::Integer),
    Field::new("expiry", Type::Integer),
    Field::new("text", Type::Text),
    Field::new("groups", Type::TextList).optional(),
];
const PARAMETERS: Field = Field::new("key_parameters", Type::Object(KEY_PARAMETERS)).optional();
const MESSAGE: Field = Field::new("message", Type::Base64);

pub(super) const OPS: &[Op] = &[
    Op {
        name: "mikey.open",
        fields: &[
            MESSAGE,
            CERTIFICATES,
            KEYSETS,
            Field::new("at", Type::Time).optional(),
            Field::new("to_self", Type::Boolean).optional(),
            Field::new("lenient_sign", Type::Boolean).optional(),
            Field::new("shortened_mask", Type::Boolean).optional(),
            Field::new("plain_key_parameters", Type::Boolean).optional(),
        ],
        either: &[],
        results: &[
            KIND,
            Field::hex("key"),
            Field::hex("key_id"),
            Field::hex("csb_id"),
            Field::hex("rand"),
            Field::new("initiator", Type::Text),
            Field::new("responder", Type::Text),
            Field::new("kms_initiator", Type::Text),
            Field::new("kms_responder", Type::Text),
            Field::new("variants", Type::TextList),
            PARAMETERS,
        ],
        about: "verifies and opens. `at`: the time must be within 120 s of it; `to_self`: opens \
                the sender's own copy; the other three overlook known peer defects. A hidden party \
                is told by its UID. Times of `key_parameters` are seconds since 1970, 0 for none",
        run: open,
    },
    Op {
        name: "mikey.make",
        fields: make::FIELDS,
        either: &[],
        results: &[MESSAGE, Field::hex("csb_id")],
        about: "makes a message with chosen RAND and time; `iv` and `j` (together) reproduce \
                published ones. `kms_*` may be left out when one certificate is given; `sessions` \
                and `policy` (type and value) write a map and an SP payload",
        run: make::make,
    },
];

/// The purpose a `kind` names.
fn purpose_of(kind: &str) -> KeyPurpose {
    let found = KINDS.iter().find(|(name, _)| *name == kind);
    found.map_or(KeyPurpose::Gmk, |(_, purpose)| *purpose)
}

fn open(args: &Args<'_>) -> Results {
    let message = Unverified::parse(&args.base64("message")?).map_err(|e| parse_error(&e))?;
    let keys = Keys::of(args)?;
    let now = match args.has("at") {
        true => Some(time_of("at", args.text("at"))?),
        false => None,
    };
    let policy = VerifyPolicy {
        max_skew: VerifyPolicy::default().max_skew.filter(|_| now.is_some()),
        lenient_sign: args.boolean("lenient_sign"),
    };
    let (kmsi, kmsr) = (
        message.claimed_kms_initiator().clone(),
        message.claimed_kms_responder().clone(),
    );
    let now = now.unwrap_or(NtpTime(0));
    let verified = message.verify(&keys.certificates, policy, now, &mut ReplayCache::new(1));
    let verified = verified.map_err(|e| verify_error(&e))?;
    let opened = if args.boolean("to_self") {
        let kms = keys.certificate(&kmsi)?;
        verified.open_to_self(kms, &keys.users(kms)?)
    } else {
        let kms = keys.certificate(&kmsr)?;
        let policy = OpenPolicy {
            shortened_mask: args.boolean("shortened_mask"),
            plain_key_parameters: args.boolean("plain_key_parameters"),
        };
        verified.open_with(kms, &keys.users(kms)?, policy)
    };
    Ok(answer(&opened.map_err(|e| open_error(&e))?))
}

fn answer(opened: &Opened) -> Map<String, Value> {
    let (purpose, key, id) = match &opened.key {
        DistributedKey::Gmk { key, id, .. } => (KeyPurpose::Gmk, key.octets(), id.key_id()),
        DistributedKey::Pck { key, id } => (KeyPurpose::Pck, key.octets(), id.key_id()),
        DistributedKey::Csk { key, id } => (KeyPurpose::Csk, key.octets(), id.key_id()),
        DistributedKey::Spk { key, id } => (KeyPurpose::Spk, key.octets(), id.key_id()),
        DistributedKey::Other { purpose, key, id } => (*purpose, key.octets(), *id),
    };
    let kind = KINDS
        .iter()
        .find(|(_, p)| *p == purpose)
        .map(|(name, _)| *name);
    let variants: Vec<_> = opened.variants.iter().map(|v| v.name()).collect();
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("kind", kind.into());
    put("key", hex(key));
    put("key_id", hex(id.octets()));
    put("csb_id", hex(opened.csb_id.octets()));
    put("rand", hex(&opened.rand));
    put("initiator", party(&opened.initiator));
    put("responder", party(&opened.responder));
    put("kms_initiator", opened.kms_initiator.as_str().into());
    put("kms_responder", opened.kms_responder.as_str().into());
    put("variants", variants.into());
    if let Some(parameters) = &opened.key_parameters {
        put("key_parameters", parameters_json(parameters));
    }
    fields
}

/// A party by its URI, or by its UID when it is hidden.
fn party(party: &Party) -> Value {
    match (&party.uri, &party.uid) {
        (Some(uri), _) => uri.as_str().into(),
        (None, Some(uid)) => hex(uid.octets()),
        (None, None) => Value::Null,
    }
}

fn parameters_json(parameters: &KeyParameters) -> Value {
    let mut value = json!({
        "key_type": parameters.key_type,
        "status": parameters.status.0,
        "activation": parameters.activation,
        "expiry": parameters.expiry,
        "text": parameters.text,
    });
    if let (Some(groups), Some(object)) = (&parameters.groups, value.as_object_mut()) {
        object.insert("groups".to_owned(), groups.as_slice().into());
    }
    value
}

fn base64(octets: &[u8]) -> Value {
    BASE64_STANDARD.encode(octets).into()
}

fn parse_error(error: &ParseError) -> Error {
    let kind = match error {
        ParseError::Unsupported { .. } => Kind::Unsupported,
        ParseError::TooLong(_)
        | ParseError::Truncated { .. }
        | ParseError::Twice { .. }
        | ParseError::Missing(_)
        | ParseError::Identity { .. }
        | ParseError::Trailing { .. } => Kind::Malformed,
    };
    Error::new(kind, error.to_string())
}

fn verify_error(error: &VerifyError) -> Error {
    let kind = match error {
        VerifyError::UnknownKms(_) => Kind::KeyMissing,
        VerifyError::Skew { .. } => Kind::Time,
        VerifyError::Replay => Kind::Replay,
        VerifyError::HiddenMismatch(_) | VerifyError::ForeignInitiator { .. } => Kind::Mismatch,
        VerifyError::Signature { .. } => Kind::Signature,
    };
    Error::new(kind, error.to_string())
}

fn open_error(error: &OpenError) -> Error {
    let kind = match error {
        OpenError::NotForUs { .. } | OpenError::NoToSelf => Kind::KeyMissing,
        OpenError::OtherKms { .. } => Kind::Mismatch,
        OpenError::Decapsulate { .. } => Kind::Decapsulation,
        OpenError::Purpose(_) => Kind::Purpose,
    };
    Error::new(kind, error.to_string())
}
