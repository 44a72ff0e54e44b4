//! serde for generated types, by their tables.
//!
//! An object is a map: `_` first, with the name of the constructor, then the fields, named as in the schema. What is not
//! there is left out. `bytes`, `int128`, `int256` and `int512` are byte strings: in JSON, lists of numbers.
//!
//! Reading needs memory for what is read, so it is [`Decoded`] that is read: the map is written in TL by the table, and
//! decoded as any answer.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap as _;
pub use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::raw::{Value, View};
use super::{Decoded, Described, Family, Field, Kind, Line, Type};
use crate::codegen::put;
use crate::deserialize::DecodeOptions;

/// Serialises an object by its table.
///
/// # Errors
///
/// Fails if the serializer does.
pub fn serialize<T: Described, S: Serializer>(object: &T, serializer: S) -> Result<S::Ok, S::Error> {
    View::new(object).serialize(serializer)
}

impl Serialize for View<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (line, mut rows) = self.rows();
        let Some(line) = line else {
            return match rows.next() {
                Some((_, value)) => value.serialize(serializer),
                None => serializer.serialize_unit(),
            };
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("_", line.name())?;
        for (name, (field, value)) in line.names().skip(1).zip(rows) {
            if field.kind != Kind::Word && value != Value::Absent {
                map.serialize_entry(name, &value)?;
            }
        }
        map.end()
    }
}

struct Bytes<'v>(&'v [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Absent => serializer.serialize_none(),
            Self::Nat(value) => value.serialize(serializer),
            Self::Int(value) => value.serialize(serializer),
            Self::Long(value) => value.serialize(serializer),
            Self::Double(value) => value.serialize(serializer),
            Self::Bool(value) => value.serialize(serializer),
            Self::Str(value) => value.serialize(serializer),
            Self::Bytes(value) => Bytes(value).serialize(serializer),
            Self::Int128(value) => Bytes(*value).serialize(serializer),
            Self::Int256(value) => Bytes(*value).serialize(serializer),
            Self::Int512(value) => Bytes(&value.0).serialize(serializer),
            Self::Object(value) => value.serialize(serializer),
            Self::Nats(values) => values.serialize(serializer),
            Self::Ints(values) => values.serialize(serializer),
            Self::Longs(values) => values.serialize(serializer),
            Self::Doubles(values) => values.serialize(serializer),
            Self::Bools(values) => values.serialize(serializer),
            Self::Strs(values) => values.serialize(serializer),
            Self::ByteStrings(values) => serializer.collect_seq(values.iter().map(|one| Bytes(one))),
            Self::Int128s(values) => serializer.collect_seq(values.iter().map(|one| Bytes(one))),
            Self::Int256s(values) => serializer.collect_seq(values.iter().map(|one| Bytes(one))),
            Self::Int512s(values) => serializer.collect_seq(values.iter().map(|one| Bytes(&one.0))),
            Self::Objects(values) => serializer.collect_seq(values.iter()),
            Self::Query(query) => Bytes(query.0).serialize(serializer),
        }
    }
}

impl<T: Family> Serialize for Decoded<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        View::of_family::<T>(self.get()).serialize(serializer)
    }
}

/// The name of the constructor must come before the fields.
impl<'de, T: Family> Deserialize<'de> for Decoded<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Vec::new();
        let depth = DecodeOptions::default().max_depth;
        Object { ty: T::TYPE, depth, out: &mut bytes }.deserialize(deserializer)?;
        Self::from_vec(bytes).map_err(D::Error::custom)
    }
}

/// Writes a value of a type in TL.
struct Object<'o> {
    ty: &'static Type,
    depth: u16,
    out: &'o mut Vec<u8>,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self.ty.value {
            Some(field) => Plain { field, target: self.ty.target(), depth: self.depth, out: self.out }
                .deserialize(deserializer),
            None => deserializer.deserialize_map(self),
        }
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of the type {}, with its constructor's name as `_` first", self.ty.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some(depth) = self.depth.checked_sub(1) else {
            return Err(A::Error::custom("objects are nested too deep"));
        };
        if map.next_key::<String>()?.as_deref() != Some("_") {
            return Err(A::Error::custom("the name of the constructor, `_`, comes first"));
        }
        let name = map.next_value::<String>()?;
        let Some(line) = self.ty.lines().find(|line| line.name() == name) else {
            return Err(A::Error::custom(format_args!("{} has no constructor `{name}`", self.ty.name)));
        };
        let mut rows: Vec<Option<Vec<u8>>> = alloc::vec![None; line.fields().len()];
        while let Some(name) = map.next_key::<String>()? {
            let index = line.names().skip(1).position(|field| field == name);
            let Some((index, field)) = index.and_then(|index| Some((index, *line.fields().get(index)?)))
            else {
                return Err(A::Error::custom(format_args!("{} has no field `{name}`", line.name())));
            };
            let (mut bytes, target) = (Vec::new(), line.target(field));
            let is_there = match field.kind {
                Kind::Flag => map.next_value()?,
                _ => map.next_value_seed(Row(Plain { field, target, depth, out: &mut bytes }))?,
            };
            rows[index] = is_there.then_some(bytes);
        }
        if self.ty.boxed {
            self.out.extend(line.id().to_le_bytes());
        }
        put_rows(line, &rows, self.out).map_err(A::Error::custom)
    }
}

/// Writes the rows in their order, with the flags words that belong to them.
fn put_rows(line: Line, rows: &[Option<Vec<u8>>], out: &mut Vec<u8>) -> Result<(), String> {
    for (index, field) in line.fields().iter().enumerate() {
        let name = || alloc::format!("{}.{}", line.name(), line.field_name(index));
        match &rows[index] {
            _ if field.kind == Kind::Word => {
                let bits = |is_there: bool| {
                    let fields = line.fields().iter().zip(rows);
                    let own = fields.filter(|(one, row)| {
                        one.is_conditional() && one.word() == field.word() && row.is_some() == is_there
                    });
                    own.fold(0_u32, |word, (one, _)| word | 1 << one.bit())
                };
                if bits(true) & bits(false) != 0 {
                    return Err(alloc::format!("{}: only some of the fields of one bit are set", name()));
                }
                out.extend(bits(true).to_le_bytes());
            }
            Some(bytes) => out.extend(bytes),
            None if field.is_conditional() => {}
            None => return Err(alloc::format!("{} is missing", name())),
        }
    }
    Ok(())
}

/// A field that may not be there; says whether it is.
struct Row<'o>(Plain<'o>);

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        if self.0.field.kind.is_optional() {
            return deserializer.deserialize_option(self);
        }
        self.0.deserialize(deserializer).map(|()| true)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        self.0.deserialize(deserializer).map(|()| true)
    }
}

/// A field that is there: a value, or a vector of them.
struct Plain<'o> {
    field: Field,
    target: Option<&'static Type>,
    depth: u16,
    out: &'o mut Vec<u8>,
}

impl Plain<'_> {
    /// Reads one value.
    fn one<'de, D: Deserializer<'de>>(&mut self, deserializer: D) -> Result<(), D::Error> {
        match self.field.kind.element() {
            Kind::Nat => self.out.extend(u32::deserialize(deserializer)?.to_le_bytes()),
            Kind::Int => self.out.extend(i32::deserialize(deserializer)?.to_le_bytes()),
            Kind::Long => self.out.extend(i64::deserialize(deserializer)?.to_le_bytes()),
            Kind::Double => self.out.extend(f64::deserialize(deserializer)?.to_le_bytes()),
            Kind::Bool => put(&bool::deserialize(deserializer)?, self.out).map_err(D::Error::custom)?,
            Kind::Str => put(&String::deserialize(deserializer)?, self.out).map_err(D::Error::custom)?,
            Kind::Object => {
                let Some(ty) = self.target else {
                    return Err(D::Error::custom("a field without a type"));
                };
                Object { ty, depth: self.depth, out: self.out }.deserialize(deserializer)?;
            }
            kind => {
                let bytes = deserializer.deserialize_byte_buf(ByteString)?;
                match kind {
                    Kind::Bytes => put(&bytes, self.out).map_err(D::Error::custom)?,
                    Kind::Int128 if bytes.len() != 16 => {
                        return Err(D::Error::invalid_length(bytes.len(), &"16"));
                    }
                    Kind::Int256 if bytes.len() != 32 => {
                        return Err(D::Error::invalid_length(bytes.len(), &"32"));
                    }
                    Kind::Int512 if bytes.len() != 64 => {
                        return Err(D::Error::invalid_length(bytes.len(), &"64"));
                    }
                    _ => self.out.extend(bytes),
                }
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(mut self, deserializer: D) -> Result<(), D::Error> {
        if self.field.kind.is_list() { deserializer.deserialize_seq(self) } else { self.one(deserializer) }
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.target {
            Some(ty) => write!(f, "{:?} of {}", self.field.kind, ty.name),
            None => write!(f, "{:?}", self.field.kind),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        if !self.field.bare {
            self.out.extend(crate::VECTOR_ID.to_le_bytes());
        }
        let at = self.out.len();
        self.out.extend([0; 4]);
        let mut count = 0_i32;
        while seq.next_element_seed(Element(&mut self))?.is_some() {
            count = count.checked_add(1).ok_or_else(|| A::Error::custom("too many elements"))?;
        }
        self.out[at..at + 4].copy_from_slice(&count.to_le_bytes());
        Ok(())
    }
}

struct Element<'p, 'o>(&'p mut Plain<'o>);

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        self.0.one(deserializer)
    }
}

/// A byte string, or a list of numbers.
struct ByteString;

impl<'de> Visitor<'de> for ByteString {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = seq.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}
