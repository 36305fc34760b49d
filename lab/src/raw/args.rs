//! The fields of a request, checked against the table, then read by name.

use super::error::{Error, Kind};
use serde_json::{Map, Value};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    /// Octets in hexadecimal.
    Hex,
    /// Text.
    Text,
    /// Octets in base64.
    Base64,
    /// A whole number from 0.
    Integer,
    /// `true` or `false`.
    Boolean,
    /// `2026-11-24T01:02:03Z`, or an NTP timestamp of 16 hexadecimal digits.
    Time,
    /// XML or SIP as text, or its octets in hexadecimal.
    Document,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of octets in hexadecimal.
    HexList,
    /// A list of texts.
    TextList,
    /// A list of objects with these fields.
    Objects(&'static [Field]),
    /// An object with these fields.
    Object(&'static [Field]),
    /// A list of objects described in the prose.
    Free,
}

/// One field of a request or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    /// Its name.
    pub(super) name: &'static str,
    /// Its type.
    pub(super) of: Type,
    /// Whether it may be left out.
    pub(super) optional: bool,
}

impl Field {
    pub(super) const fn new(name: &'static str, of: Type) -> Self {
        Self {
            name,
            of,
            optional: false,
        }
    }

    pub(super) const fn hex(name: &'static str) -> Self {
        Self::new(name, Type::Hex)
    }

    pub(super) const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }
}

/// The fields of an object, all of them known.
#[derive(Debug, Clone)]
pub(super) struct Args<'v>(&'v Map<String, Value>);

impl<'v> Args<'v> {
    /// Takes an object in which every field is known, of its type, and none is missing.
    pub(super) fn of(object: &'v Map<String, Value>, fields: &[Field]) -> Result<Self, Error> {
        for (name, value) in object {
            let field = fields.iter().find(|f| f.name == name);
            let field = field.ok_or_else(|| {
                let known: Vec<_> = fields.iter().map(|f| f.name).collect();
                Error::field(
                    name,
                    format!("unknown; the fields are {}", known.join(", ")),
                )
            })?;
            check(field, value)?;
        }
        let missing = |f: &&Field| !f.optional && !object.contains_key(f.name);
        match fields.iter().find(missing) {
            Some(field) => Err(Error::field(field.name, "missing")),
            None => Ok(Self(object)),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(super) fn value(&self, name: &str) -> &'v Value {
        self.0.get(name).unwrap_or(&Value::Null)
    }

    pub(super) fn octets(&self, name: &str) -> Result<Vec<u8>, Error> {
        hex_of(name, self.value(name))
    }

    pub(super) fn array<const N: usize>(&self, name: &str) -> Result<[u8; N], Error> {
        let octets = self.octets(name)?;
        let length = octets.len();
        octets.try_into().map_err(|_| {
            Error::new(
                Kind::Length,
                format!("{name} has {length} octets, {N} are needed"),
            )
        })
    }

    pub(super) fn u32(&self, name: &str) -> Result<u32, Error> {
        self.array(name).map(u32::from_be_bytes)
    }

    pub(super) fn base64(&self, name: &str) -> Result<Vec<u8>, Error> {
        base64_of(name, self.text(name))
    }

    pub(super) fn text(&self, name: &str) -> &'v str {
        self.value(name).as_str().unwrap_or_default()
    }

    /// An identity, which enters UIDs and derivations with its length in 16 bits (TS 33.220 B.2).
    pub(super) fn identity(&self, name: &str) -> Result<&'v str, Error> {
        let text = self.text(name);
        match u16::try_from(text.len()) {
            Ok(_) => Ok(text),
            Err(_) => Err(Error::new(
                Kind::Length,
                format!("{name} has {} octets, at most 65535 fit", text.len()),
            )),
        }
    }

    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        self.value(name).as_u64()
    }

    /// An integer that must not be larger than its type.
    pub(super) fn small<T: TryFrom<u64>>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(integer) = self.integer(name) else {
            return Ok(None);
        };
        let small = T::try_from(integer)
            .map_err(|_| Error::new(Kind::Range, format!("{name}: {integer} is too large")))?;
        Ok(Some(small))
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.value(name).as_bool().unwrap_or_default()
    }

    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, Error> {
        document_of(name, self.text(name))
    }

    pub(super) fn items(&self, name: &str) -> &'v [Value] {
        self.value(name)
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
    }

    pub(super) fn octets_list(&self, name: &str) -> Result<Vec<Vec<u8>>, Error> {
        let items = self.items(name).iter();
        items.map(|item| hex_of(name, item)).collect()
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        let items = self.items(name).iter();
        items.filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// The objects of a list; the table has checked their fields.
    pub(super) fn objects(&self, name: &str) -> Vec<Self> {
        let items = self.items(name).iter();
        items.filter_map(Value::as_object).map(Args).collect()
    }

    pub(super) fn object(&self, name: &str) -> Option<Self> {
        self.value(name).as_object().map(Args)
    }
}

fn check(field: &Field, value: &Value) -> Result<(), Error> {
    let wrong = |expected: &str| Err(Error::field(field.name, format!("{expected} is needed")));
    let name = field.name;
    match field.of {
        Type::Hex => hex_of(name, value).map(drop),
        Type::Text if value.is_string() => Ok(()),
        Type::Text => wrong("text"),
        Type::Base64 => match value.as_str() {
            Some(text) => base64_of(name, text).map(drop),
            None => wrong("base64"),
        },
        Type::Integer if value.is_u64() => Ok(()),
        Type::Integer => wrong("a whole number from 0"),
        Type::Boolean if value.is_boolean() => Ok(()),
        Type::Boolean => wrong("true or false"),
        Type::Time => match value.as_str() {
            Some(text) => super::keys::time_of(name, text).map(drop),
            None => wrong("a time"),
        },
        Type::Document => match value.as_str() {
            Some(text) => document_of(name, text).map(drop),
            None => wrong("text or hexadecimal"),
        },
        Type::Word(words) => match value.as_str() {
            Some(word) if words.contains(&word) => Ok(()),
            _ => wrong(&format!("one of {}", words.join(", "))),
        },
        Type::HexList => each(field, value, |item| hex_of(name, item).map(drop)),
        Type::TextList => each(field, value, |item| match item.as_str() {
            Some(_) => Ok(()),
            None => wrong("a list of texts"),
        }),
        Type::Objects(fields) => each(field, value, |item| match item.as_object() {
            Some(object) => Args::of(object, fields).map(drop),
            None => wrong("a list of objects"),
        }),
        Type::Object(fields) => match value.as_object() {
            Some(object) => Args::of(object, fields).map(drop),
            None => wrong("an object"),
        },
        Type::Free => Ok(()),
    }
}

fn each(
    field: &Field,
    value: &Value,
    check: impl Fn(&Value) -> Result<(), Error>,
) -> Result<(), Error> {
    let list = value.as_array();
    let list = list.ok_or_else(|| Error::field(field.name, "a list is needed"))?;
    list.iter()
        .enumerate()
        .try_for_each(|(at, item)| check(item).map_err(|e| e.at(at)))
}

fn hex_of(name: &str, value: &Value) -> Result<Vec<u8>, Error> {
    let text = value.as_str();
    let text = text.ok_or_else(|| Error::field(name, "hexadecimal text is needed"))?;
    hex::decode(text).map_err(|e| Error::field(name, e))
}

fn base64_of(name: &str, text: &str) -> Result<Vec<u8>, Error> {
    use base64::Engine as _;
    let packed: String = text.split_ascii_whitespace().collect();
    let octets = base64::prelude::BASE64_STANDARD.decode(packed);
    octets.map_err(|e| Error::field(name, e))
}

/// No XML document and no SIP message is made of hexadecimal digits only, so the two cannot be
/// confused.
fn document_of(name: &str, text: &str) -> Result<Vec<u8>, Error> {
    if !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return hex::decode(text).map_err(|e| Error::field(name, e));
    }
    Ok(text.as_bytes().to_vec())
}
