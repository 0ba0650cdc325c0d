//! Values from JSON, and from whatever else serde reads.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::value::{Map, Value};

/// Lists and maps inside one another in one value, at most: comparing values recurses.
pub const VALUE_DEPTH_MAX: usize = 32;

const TWO_TO_THE_63: f64 = 9_223_372_036_854_775_808.0;
const TWO_TO_THE_64: f64 = 2.0 * TWO_TO_THE_63;

/// A JSON number without fraction and exponent is a whole number, exactly: an `int` if one can hold it, else a
/// `uint`, else a double. All others are doubles. Numbers compare across these types as on one line, so
/// nobody who writes a condition has to know, and an id of more than 53 bits is not taken for its neighbour. A number of
/// 2^64 and more, or of -2^63 and less but for that itself, is refused: it could be a whole one that was rounded.
///
/// A member that is there twice is refused, not guessed at, and so is nesting beyond [`VALUE_DEPTH_MAX`].
///
/// Source: langdef, *JSON Data Conversion*, and *Equality* on numbers that come as `double` or as `int`.
impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Nested { room: VALUE_DEPTH_MAX }.deserialize(deserializer)
    }
}

/// Reads a value that has room for so many levels of lists and maps.
#[derive(Clone, Copy)]
struct Nested {
    room: usize,
}

impl Nested {
    fn within<E: Error>(self) -> Result<Self, E> {
        let room = self.room.checked_sub(1);
        let too_deep = || E::custom(format!("more than {VALUE_DEPTH_MAX} levels of lists and objects"));
        room.map(|room| Self { room }).ok_or_else(too_deep)
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a truth, a number, a text, a list or an object")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Uint(value), Value::Int))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        // Readers of JSON round whole numbers beyond 64 bits before anybody sees them.
        if value >= TWO_TO_THE_64 || value <= -TWO_TO_THE_63 {
            return Err(E::custom("a number beyond 64 bits, which is rounded"));
        }
        Ok(Value::Double(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.within()?;
        let mut values = Vec::new();
        while let Some(value) = elements.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.within()?;
        let mut map = Map::new();
        while let Some(name) = members.next_key::<Box<str>>()? {
            let value = members.next_value_seed(inner)?;
            if map.contains_key(&name) {
                let name = crate::time::Excerpt::of(&name);
                return Err(A::Error::custom(format!("member `{name}` is there twice")));
            }
            map.insert(name, value);
        }
        Ok(map.into())
    }
}
