//! What can be done with any object by its table: printing, comparing, encoding.

use core::fmt;

use super::raw::{Value, View, Views};
use super::{Described, Field, Kind, Line, Writer};
use crate::codegen::Encoded;
use crate::{EncodeError, FlagGroup, Serializable, Sink};

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
            Self::Int(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Double(value) => value.fmt(f),
            Self::Bool(value) => value.fmt(f),
            Self::Str(value) => value.fmt(f),
            Self::Bytes(value) => value.fmt(f),
            Self::Int128(value) => value.fmt(f),
            Self::Int256(value) => value.fmt(f),
            Self::Object(value) => value.fmt(f),
            Self::Ints(value) => value.fmt(f),
            Self::Longs(value) => value.fmt(f),
            Self::Doubles(value) => value.fmt(f),
            Self::Bools(value) => value.fmt(f),
            Self::Strs(value) => value.fmt(f),
            Self::ByteStrings(value) => value.fmt(f),
            Self::Int128s(value) => value.fmt(f),
            Self::Int256s(value) => value.fmt(f),
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

/// Writes any object by its table: slower than generated code, and needing none.
impl Serializable for View<'_> {
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        let mut writer = Writer::new(out);
        let w = &mut writer;
        let (line, rows) = self.rows();
        if let Some(line) = line.filter(|_| self.ty().boxed) {
            w.word(line.id());
        }
        for (field, value) in rows {
            match (field.kind, line) {
                (Kind::Word, Some(line)) => flags(*self, line, field.word(), w),
                (Kind::Word | Kind::Flag, _) => {}
                _ => put(field, value, w),
            }
        }
        writer.finish()
    }
}

/// Computes and writes a flags word. Fields that share a bit must agree (SEC-117).
fn flags<S: Sink + ?Sized>(view: View<'_>, line: Line, word: u8, w: &mut Writer<'_, S>) {
    let (mut set, mut unset) = (0, 0);
    for (field, value) in view.rows().1 {
        let is_there = match value {
            Value::Bool(set) if field.kind == Kind::Flag => set,
            Value::Absent => false,
            _ => true,
        };
        if field.word() == word && field.is_conditional() {
            set |= u32::from(is_there) << field.bit();
            unset |= u32::from(!is_there) << field.bit();
        }
    }
    if set & unset != 0 {
        let bit = (set & unset).trailing_zeros() as u8;
        w.fail(torn(line, word, bit));
    }
    w.word(set);
}

#[cold]
fn torn(line: Line, word: u8, bit: u8) -> EncodeError {
    let is_word = |field: &Field| field.kind == Kind::Word && field.word() == word;
    let row = line.fields().iter().position(is_word).unwrap_or_default();
    EncodeError::PartialFlagGroup(FlagGroup::at(line.text(), row + 1, bit))
}

fn put<S: Sink + ?Sized>(field: Field, value: Value<'_>, w: &mut Writer<'_, S>) {
    match value {
        Value::Absent => {}
        Value::Int(value) => w.put(&value),
        Value::Long(value) => w.put(&value),
        Value::Double(value) => w.put(&value),
        Value::Bool(value) => w.put(&value),
        Value::Str(value) => w.put(&value),
        Value::Bytes(value) => w.put(&value),
        Value::Int128(value) => w.put(value),
        Value::Int256(value) => w.put(value),
        Value::Object(value) => w.put(&value),
        Value::Ints(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Longs(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Doubles(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Bools(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Strs(values) => list(field, values.len(), values.iter().copied(), w),
        Value::ByteStrings(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Int128s(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Int256s(values) => list(field, values.len(), values.iter().copied(), w),
        Value::Objects(values) => list(field, values.len(), values.iter(), w),
        Value::Query(query) => w.put(&query),
    }
}

fn list<T: Serializable, S: Sink + ?Sized>(
    field: Field,
    len: usize,
    elements: impl Iterator<Item = T>,
    w: &mut Writer<'_, S>,
) {
    if !field.bare {
        w.word(crate::VECTOR_ID);
    }
    match i32::try_from(len) {
        Ok(count) => w.put(&count),
        Err(_) => w.fail(EncodeError::VectorTooLong { len }),
    }
    elements.for_each(|element| w.put(&element));
}
