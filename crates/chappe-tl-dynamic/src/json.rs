//! Objects as JSON. [`crate`] has the form.

use chappe_tl_parser::{ParameterKind, Type};
use data_encoding::HEXLOWER;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::object::{AnyObject, Value, Vector};

impl Serialize for AnyObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if self.is_ambiguous {
            map.serialize_entry("_", &format!("{}#{:08x}", self.definition.name, self.definition.id))?;
        } else {
            map.serialize_entry("_", &self.definition.name.to_string())?;
        }
        for field in &self.fields {
            if field.ty().is_none() && field.value == Value::Nat(self.explained_bits(&field.param.name)) {
                continue;
            }
            map.serialize_entry(&field.param.name, &field.value)?;
        }
        map.end()
    }
}

impl AnyObject<'_> {
    /// Returns the bits of a flags word that the fields which are there set.
    fn explained_bits(&self, word: &str) -> u32 {
        let bit = |field: &crate::Field<'_>| match &field.param.kind {
            ParameterKind::Value { condition: Some(condition), .. } if condition.word == word => {
                1 << condition.bit
            }
            _ => 0,
        };
        self.fields.iter().map(bit).fold(0, |bits, bit| bits | bit)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nat(value) => serializer.serialize_u32(*value),
            Self::Int(value) => serializer.serialize_i32(*value),
            Self::Long(value) => serializer.serialize_i64(*value),
            Self::Double(value) => double(*value, serializer),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::True => serializer.serialize_bool(true),
            Self::String(text) => match core::str::from_utf8(text) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => tagged("hex", text, serializer),
            },
            Self::Bytes(bytes) => hex(bytes, serializer),
            Self::Int128(bytes) => hex(bytes, serializer),
            Self::Int256(bytes) => hex(bytes, serializer),
            Self::Int512(bytes) => hex(&**bytes, serializer),
            Self::Vector(vector) => vector.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
            Self::Packed(packed) => packed.content.serialize(serializer),
            Self::Unread(bytes) => tagged("_raw", bytes, serializer),
        }
    }
}

impl Serialize for Vector<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elements = Elements(self);
        match &self.untyped {
            // Boxed objects carry their names.
            None | Some(Type::Object | Type::Boxed(_)) => elements.serialize(serializer),
            Some(ty) => {
                let mut map = serializer.serialize_map(Some(3))?;
                map.serialize_entry("_", "vector")?;
                map.serialize_entry("of", &ty.to_string())?;
                map.serialize_entry("elements", &elements)?;
                map.end()
            }
        }
    }
}

struct Elements<'v, 's>(&'v Vector<'s>);

impl Serialize for Elements<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.elements.iter().map(|(_, value)| value))
    }
}

fn hex<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&HEXLOWER.encode_display(bytes))
}

fn tagged<S: Serializer>(key: &'static str, bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, &HEXLOWER.encode(bytes))?;
    map.end()
}

fn double<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(value)
    } else if value.is_nan() && value.to_bits() != f64::NAN.to_bits() {
        tagged("hex", &value.to_le_bytes(), serializer)
    } else if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if value > 0.0 {
        serializer.serialize_str("Infinity")
    } else {
        serializer.serialize_str("-Infinity")
    }
}
