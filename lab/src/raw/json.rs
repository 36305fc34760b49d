//! One JSON object from a line, with nothing skipped: a name that occurs twice is refused, which
//! `serde_json` alone would not do.

use super::error::{Error, Kind};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Reads the object of a line.
///
/// # Errors
/// `utf8` or `json`.
pub(super) fn object(line: &[u8]) -> Result<Map<String, Value>, Error> {
    let text = std::str::from_utf8(line).map_err(|e| Error::new(Kind::Utf8, e.to_string()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let refuse = |e: serde_json::Error| Error::new(Kind::Json, e.to_string());
    let value = Strict.deserialize(&mut reader).map_err(refuse)?;
    reader.end().map_err(refuse)?;
    let Value::Object(object) = value else {
        return Err(Error::new(Kind::Json, "a line holds one object"));
    };
    Ok(object)
}

struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            let value = entries.next_value_seed(Self)?;
            if map.insert(name.clone(), value).is_some() {
                return Err(A::Error::custom(format!("{name} occurs twice")));
            }
        }
        Ok(Value::Object(map))
    }
}
