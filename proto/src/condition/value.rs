//! The values that conditions compute with.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Members by name, in the order of their bytes.
pub type Map = BTreeMap<Box<str>, Value>;

/// A value of a request, or a literal of a condition.
///
/// CEL's types without bytes, times and types; the keys of maps are texts, as in JSON. `==` of Rust tells
/// whether two values are written the same, `1` and `1.0` are not; conditions compare as CEL does. A copy shares what
/// it holds.
///
/// Source: langdef, *Values*.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that is not negative: `1u`.
    Uint(u64),
    /// A number of 64 bits after IEEE 754.
    Double(f64),
    /// A text of Unicode code points.
    String(Box<str>),
    /// Values in order.
    List(Arc<[Value]>),
    /// Values by name.
    Map(Arc<Map>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::Uint(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::String(value.into())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::String(value.into())
    }
}

impl From<Vec<Value>> for Value {
    fn from(value: Vec<Value>) -> Self {
        Self::List(value.into())
    }
}

impl From<Map> for Value {
    fn from(value: Map) -> Self {
        Self::Map(value.into())
    }
}
