//! Empty values: what `Default` returns.
//!
//! **Proof.** The struct is made zero first, which is `0`, `false` and, as is checked while compiling ([`ZEROS_ARE_NONE`]), `None` of
//! every optional type but `Option<bool>`. Fields of which zeros are no value are then written as the type that the table
//! says. A value is returned only if all of its fields were written.

use core::mem::MaybeUninit;

use super::slices::{AnySlice, ZEROS_ARE_NONE};
use crate::table::layout::{MAX_ALIGN, Payload};
use crate::table::{Described, Field, Kind, RawObject, Tables, Type};

/// How deep values nest that stand in each other.
const DEPTH: u32 = 64;

/// Returns the value with empty fields: zeros, empty strings and vectors, nothing that is conditional; of a type, its first
/// constructor without fields, or the first one whose fields can be empty.
///
/// # Panics
///
/// Panics if there is none: the generator asks for it only where there is one.
pub fn empty<T: Described>() -> T {
    const { T::TYPE.assert_is::<T>() };
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: there is room for a `T`, which the table describes, and it is returned only if it was written.
    unsafe {
        assert!(
            write(T::TYPE, value.as_mut_ptr().cast(), DEPTH),
            "the generator knows which types have an empty value"
        );
        value.assume_init()
    }
}

/// Writes the empty value of a type, and returns whether there is one.
///
/// # Safety
///
/// `at` must be valid for writes of a value of the type.
unsafe fn write(ty: &'static Type, at: *mut u8, depth: u32) -> bool {
    const { ZEROS_ARE_NONE };
    let Some(depth) = depth.checked_sub(1) else { return false };
    // SAFETY: passed on from the caller.
    unsafe {
        at.write_bytes(0, ty.size as usize);
        if let Some(field) = ty.value {
            return row(field, ty.tables(), at, depth);
        }
        let alternatives = (0..).map_while(|tag| Some((tag, ty.tagged_as(tag)?)));
        let is_unit = |tag: u32| ty.tagged_as(tag).is_some_and(|one| ty.tables().rows_of(one).is_empty());
        let unit = alternatives.clone().find(|(tag, _)| is_unit(*tag));
        for (tag, constructor) in unit.into_iter().chain(alternatives) {
            let rows = ty.tables().rows_of(constructor);
            if constructor.payload == Payload::Reference && !ty.is_struct && !rows.is_empty() {
                continue;
            }
            if ty.payload != 0 {
                at.cast::<u32>().write(tag);
            }
            let base = at.add(ty.payload as usize);
            if rows.iter().all(|field| row(*field, ty.tables(), base.wrapping_add(field.offset()), depth)) {
                return true;
            }
        }
    }
    false
}

/// Writes an empty field into memory that is zero, and returns whether there is one.
///
/// # Safety
///
/// `place` must be valid for writes of the field that the row describes.
unsafe fn row(field: Field, tables: &'static Tables, place: *mut u8, depth: u32) -> bool {
    // SAFETY of every write: the table says that the field at this place has this type.
    macro_rules! put {
        ($type:ty, $value:expr) => {{
            let value: $type = $value;
            // SAFETY: see above.
            unsafe { place.cast::<$type>().write(value) }
        }};
    }
    match field.kind {
        Kind::Word | Kind::Flag => {}
        // SAFETY: the place is that of a value of the target type.
        Kind::Object => return unsafe { write(tables.target(field), place, depth) },
        Kind::OptBool => put!(Option<bool>, None),
        Kind::Str => put!(&str, ""),
        Kind::Bytes => put!(&[u8], &[]),
        Kind::Query => put!(RawObject<'_>, RawObject(&[])),
        // Slices of every type are laid out as this one, and an empty one needs nothing but an aligned pointer.
        kind if kind.is_slice() => {
            put!(AnySlice, core::ptr::slice_from_raw_parts(core::ptr::without_provenance(MAX_ALIGN), 0));
        }
        _ => {}
    }
    true
}
