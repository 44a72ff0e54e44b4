//! The functions that generated code calls. Hand-written code does not need them.

pub use alloc::boxed::Box;
pub use alloc::string::String;
pub use alloc::vec::Vec;
pub use core::convert::{From, TryFrom};
pub use core::marker::Sized;
pub use core::option::Option;
pub use core::result::Result as CoreResult;

pub use crate::deserialize::{Buffer, Result};
pub use crate::vectors::write_elements;
pub use crate::{
    Blob, Deserializable, EncodeError, FlagGroup, Identifiable, Int512, RawVec, RemoteCall, Serializable,
    Sink,
};

/// The result of writing.
pub type Encoded = CoreResult<(), EncodeError>;

/// The version of the agreement between generated code and this crate.
const VERSION: u32 = 6;

/// Has no values: in an enum of functions that have no parameters, it keeps a lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Never {}

/// Fails to compile if the code was generated for another version of this crate.
pub const fn assert_version(generated_for: u32) {
    assert!(generated_for == VERSION, "generated for another version of chappe-tl: run the generator again");
}

/// Returns whether `bit` is set in `flags`.
#[inline]
pub const fn is_set(flags: u32, bit: u8) -> bool {
    flags & (1 << bit) != 0
}

/// Returns the length of a field's encoding.
#[inline]
pub fn len<T: Serializable + ?Sized>(field: &T) -> usize {
    field.serialized_len()
}

/// Writes a field.
///
/// # Errors
///
/// Fails if the value has no encoding.
#[inline]
pub fn put<T: Serializable + ?Sized, S: Sink + ?Sized>(field: &T, out: &mut S) -> Encoded {
    field.serialize(out)
}

/// Returns the length of a field that stands in a `Box` and is conditional.
#[inline]
pub fn len_optional<T: Serializable>(field: Option<&T>) -> usize {
    field.map_or(0, T::serialized_len)
}

/// Writes a field that stands in a `Box` and is conditional.
///
/// # Errors
///
/// Fails if the value has no encoding.
#[inline]
pub fn put_optional<T: Serializable, S: Sink + ?Sized>(field: Option<&T>, out: &mut S) -> Encoded {
    field.map_or(Ok(()), |value| value.serialize(out))
}

/// Writes a flags word from its bits.
#[inline]
pub fn put_flags<S: Sink + ?Sized>(bits: &[(u8, bool)], out: &mut S) {
    let word = bits.iter().fold(0, |word, (bit, is_set)| word | u32::from(*is_set) << bit);
    out.put_u32(word);
}

/// Writes a flags word from its bits, and others that are in it besides.
#[inline]
pub fn put_flags_among<S: Sink + ?Sized>(others: u32, bits: &[(u8, bool)], out: &mut S) {
    out.put_u32(bits.iter().fold(others, |word, (bit, is_set)| word | u32::from(*is_set) << bit));
}

/// Reads a value of type `T`.
///
/// # Errors
///
/// Fails if the bytes are not an encoding of the type.
#[inline]
pub fn read<T: Deserializable>(buf: Buffer<'_, '_>) -> Result<T> {
    T::deserialize(buf)
}

/// Writes a boxed value: its constructor id and its fields.
///
/// # Errors
///
/// Fails if the value has no encoding.
#[inline]
pub fn boxed<T: Serializable, S: Sink + ?Sized>(id: u32, fields: &T, out: &mut S) -> Encoded {
    out.put_u32(id);
    fields.serialize(out)
}

/// Writes a boxed value without fields.
///
/// # Errors
///
/// Never fails; it has the signature of [`boxed`].
#[inline]
pub fn unit<S: Sink + ?Sized>(id: u32, out: &mut S) -> Encoded {
    out.put_u32(id);
    Ok(())
}

/// Returns whether all or none of the fields that share a flag bit are set (SEC-117). The names are those of the constructor and
/// of the flags word.
///
/// # Errors
///
/// Fails if only some are.
#[inline]
pub fn flag_group(names: &'static &'static str, bit: u8, set: &[bool]) -> Encoded {
    if set.iter().any(|one| *one != set[0]) {
        return Err(EncodeError::PartialFlagGroup(FlagGroup::new(names, 1, bit)));
    }
    Ok(())
}

/// Returns the name that belongs to `id` in a table sorted by id.
pub fn find_name(table: &[(u32, &'static str)], id: u32) -> Option<&'static str> {
    let index = table.binary_search_by_key(&id, |(id, _)| *id).ok()?;
    table.get(index).map(|(_, name)| *name)
}
