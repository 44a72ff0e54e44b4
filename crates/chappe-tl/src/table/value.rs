//! What can be done with any object by its table: printing, comparing, encoding.

use alloc::vec::Vec;
use core::fmt;

use super::raw::{Value, View, Views, encode, encode_to_vec, encoded_len};
use super::{Described, Kind, Line};
use crate::codegen::Encoded;
use crate::{EncodeError, Serializable, Sink};

/// Prints an object as a derived `Debug` would, with the names of the schema.
///
/// # Errors
///
/// Fails if the formatter does.
pub fn debug<T: Described>(object: &T, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    fmt::Debug::fmt(&View::new(object), f)
}

/// Compares two objects of one type, field by field.
pub fn is_same<T: Described>(one: &T, other: &T) -> bool {
    View::new(one) == View::new(other)
}

impl fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(*self, f)
    }
}

fn print(view: View<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (line, rows) = view.rows();
    let Some(line) = line else {
        return rows.map(|(_, value)| value).try_for_each(|value| fmt::Debug::fmt(&value, f));
    };
    let mut names = line.names();
    let mut object = f.debug_struct(names.next().unwrap_or_default());
    for (name, (field, value)) in names.zip(rows) {
        match (field.kind, value) {
            (Kind::Word, _) => {}
            (_, Value::Absent) => drop(object.field(name, &None::<()>)),
            (kind, value) if kind.is_optional() => drop(object.field(name, &Some(value))),
            (_, value) => drop(object.field(name, &value)),
        }
    }
    object.finish()
}

fn same(one: View<'_>, other: View<'_>) -> bool {
    let ((one, mut ours), (other, mut theirs)) = (one.rows(), other.rows());
    one.map(Line::id) == other.map(Line::id)
        && ours.all(|(_, value)| theirs.next().is_some_and(|(_, other)| value == other))
}

impl PartialEq for View<'_> {
    fn eq(&self, other: &Self) -> bool {
        same(*self, *other)
    }
}

impl fmt::Debug for Views<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for Views<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().zip(other.iter()).all(|(one, other)| one == other)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("None"),
            Self::Nat(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Str(value) => value.fmt(f),
            Self::Bytes(value) => value.fmt(f),
            Self::Int128(value) => value.fmt(f),
            Self::Int256(value) => value.fmt(f),
            Self::Int512(value) => value.fmt(f),
            Self::Object(value) => value.fmt(f),
            Self::Nats(value) => value.fmt(f),
            Self::Ints(value) => value.fmt(f),
            Self::Longs(value) => value.fmt(f),
            Self::Doubles(value) => value.fmt(f),
            Self::Bools(value) => value.fmt(f),
            Self::Strs(value) => value.fmt(f),
            Self::ByteStrings(value) => value.fmt(f),
            Self::Int128s(value) => value.fmt(f),
            Self::Int256s(value) => value.fmt(f),
            Self::Int512s(value) => value.fmt(f),
            Self::Objects(value) => value.fmt(f),
            Self::Query(value) => value.fmt(f),
        }
    }
}

impl fmt::Debug for super::raw::Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rows")
    }
}

impl Serializable for View<'_> {
    fn serialized_len(&self) -> usize {
        encoded_len(*self)
    }

    fn try_to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        encode_to_vec(*self)
    }

    fn serialize<S: Sink + ?Sized>(&self, mut out: &mut S) -> Encoded {
        encode(*self, &mut out)
    }
}
