//! The encoder: it walks the rows of a table and the struct together, and writes to a sink.
//!
//! It is compiled once, here, for all types and all sinks. It collects what it writes in a chunk of its own, because a call of a
//! sink that it does not know costs more than a word does.
//!
//! **Proof.** The value is one that a [`View`] shows, so it is there, and the table says which type each field has. Fields are
//! read as the types that the machine writes and the reader reads.

use alloc::vec::Vec;
use core::fmt;
use core::mem::MaybeUninit;

use super::reader::View;
use super::slices::{AnySlice, OptAnySlice};
use crate::codegen::Encoded;
use crate::primitives::{BOOL_FALSE, BOOL_TRUE};
use crate::sink::Counter;
use crate::table::flags::{Flags, WINDOW};
use crate::table::layout::{Constructor, Payload};
use crate::table::{Described, Field, Kind, Line, RawObject, Tables, Type};
use crate::vectors::{MAX_EMPTY_ELEMENTS, VECTOR_ID};
use crate::{EncodeError, FlagGroup, Int512, Serializable, Sink};

/// Writes a value.
///
/// # Errors
///
/// Fails if the value has no encoding.
#[inline(never)]
pub(in crate::table) fn encode(view: View<'_>, sink: &mut dyn Sink) -> Encoded {
    let mut chunk = Chunk { sink, used: 0, bytes: [MaybeUninit::uninit(); CHUNK] };
    // SAFETY: the view shows a value that its type describes.
    unsafe { chunk.object(view.ty(), view.place()) }?;
    chunk.flush();
    Ok(())
}

/// Returns the length of the encoding of a value; of one that has none, something.
#[inline(never)]
pub(in crate::table) fn encoded_len(view: View<'_>) -> usize {
    let mut counter = Counter::default();
    let _ = encode(view, &mut counter);
    counter.len()
}

/// Writes a value into a new vector, with one allocation; a short one in one pass.
///
/// # Errors
///
/// Fails if the value has no encoding.
#[inline(never)]
pub(in crate::table) fn encode_to_vec(view: View<'_>) -> Result<Vec<u8>, EncodeError> {
    let mut counter = Counter::default();
    let mut chunk = Chunk { sink: &mut counter, used: 0, bytes: [MaybeUninit::uninit(); CHUNK] };
    // SAFETY: the view shows a value that its type describes.
    unsafe { chunk.object(view.ty(), view.place()) }?;
    if chunk.sink.position() == 0 {
        return Ok(chunk.written().to_vec());
    }
    chunk.flush();
    let mut bytes = Vec::with_capacity(counter.len());
    encode(view, &mut bytes)?;
    Ok(bytes)
}

/// Code that writes the values of one type: for types of which answers are full.
///
/// # Safety
///
/// A value of that type must be at the pointer.
pub type Native = unsafe fn(*const u8, &mut Chunk<'_>) -> Encoded;

/// The size of the chunk in bytes.
const CHUNK: usize = 2048;

/// Collects what is written, and hands it to a sink.
pub struct Chunk<'s> {
    sink: &'s mut dyn Sink,
    used: usize,
    bytes: [MaybeUninit<u8>; CHUNK],
}

impl Chunk<'_> {
    /// What is collected.
    fn written(&self) -> &[u8] {
        // SAFETY: the first `used` bytes were written.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast::<u8>(), self.used) }
    }

    #[inline(never)]
    fn flush(&mut self) {
        // SAFETY: the first `used` bytes were written. The sink does not see the chunk.
        let written = unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast::<u8>(), self.used) };
        self.sink.put(written);
        self.used = 0;
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self, bytes: [u8; N]) {
        if CHUNK - self.used < N {
            self.flush();
        }
        // SAFETY: there is room for `N` bytes behind the used ones.
        unsafe { self.bytes.as_mut_ptr().add(self.used).cast::<[u8; N]>().write(bytes) };
        self.used += N;
    }
}

impl Sink for Chunk<'_> {
    #[inline(always)]
    fn put(&mut self, bytes: &[u8]) {
        if CHUNK - self.used < bytes.len() {
            self.flush();
            if bytes.len() > CHUNK / 2 {
                return self.sink.put(bytes);
            }
        }
        // SAFETY: there is room behind the used bytes, and it is not what is copied.
        unsafe {
            let room = self.bytes.as_mut_ptr().add(self.used).cast::<u8>();
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
        }
        self.used += bytes.len();
    }

    #[inline(always)]
    fn put_u32(&mut self, word: u32) {
        self.array(word.to_le_bytes());
    }

    #[inline(always)]
    fn put_u64(&mut self, number: u64) {
        self.array(number.to_le_bytes());
    }

    fn position(&self) -> usize {
        self.sink.position() + self.used
    }

    fn patch_u32(&mut self, position: usize, word: u32) {
        self.flush();
        self.sink.patch_u32(position, word);
    }
}

impl fmt::Debug for Chunk<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunk").field("used", &self.used).finish_non_exhaustive()
    }
}

impl Chunk<'_> {
    /// Writes a value.
    ///
    /// # Errors
    ///
    /// Fails if it has no encoding.
    #[inline]
    pub fn value<T: Described>(&mut self, value: &T) -> Encoded {
        // SAFETY: the type describes the value.
        unsafe { self.object(T::TYPE, core::ptr::from_ref(value).cast()) }
    }

    /// Writes a value by its table, even if its type has code.
    ///
    /// # Errors
    ///
    /// Fails if it has no encoding.
    #[inline]
    pub fn by_table<T: Described>(&mut self, value: &T) -> Encoded {
        // SAFETY: the type describes the value.
        unsafe { self.tabled(T::TYPE, core::ptr::from_ref(value).cast()) }
    }

    /// Writes the elements of a vector behind its head.
    ///
    /// # Errors
    ///
    /// Fails if one has no encoding.
    #[inline]
    pub fn elements<T: Described>(&mut self, values: &[T]) -> Encoded {
        values.iter().try_for_each(|value| self.value(value))
    }

    /// Writes the head of a vector, with its id if it is boxed.
    ///
    /// # Errors
    ///
    /// Fails if there are too many elements.
    #[inline]
    pub fn head(&mut self, boxed: bool, len: usize) -> Encoded {
        let count = i32::try_from(len).map_err(|_| EncodeError::VectorTooLong { len })?;
        if boxed {
            self.put_u32(VECTOR_ID);
        }
        self.put_u32(count.cast_unsigned());
        Ok(())
    }

    /// Writes a value.
    ///
    /// # Safety
    ///
    /// A value that the type describes must be at `at`.
    #[inline(always)]
    unsafe fn object(&mut self, ty: &'static Type, at: *const u8) -> Encoded {
        // SAFETY: passed on from the caller; the code is for values of this type.
        unsafe { if let Some(native) = ty.native { native(at, self) } else { self.tabled(ty, at) } }
    }

    /// Writes a value by its table.
    ///
    /// # Safety
    ///
    /// A value that the type describes must be at `at`.
    #[inline(never)]
    unsafe fn tabled(&mut self, ty: &'static Type, at: *const u8) -> Encoded {
        if let Some(field) = ty.value {
            // SAFETY: a type with `value` is that field, at offset 0. It is not conditional.
            return unsafe { self.row(field, ty.tables(), at) };
        }
        // SAFETY: with `payload` there is a discriminant at the start of the value, and the payload is the struct or a reference
        // to it, as the constructor says.
        unsafe {
            let tag = if ty.payload == 0 { 0 } else { at.cast::<u32>().read() };
            let Some(constructor) = ty.tagged_as(tag) else { return Ok(()) };
            if ty.boxed {
                self.put_u32(constructor.id);
            }
            let rows = ty.tables().rows_of(constructor);
            let mut base = at.wrapping_add(ty.payload as usize);
            if constructor.payload == Payload::Reference && !ty.is_struct && !rows.is_empty() {
                base = base.cast::<*const u8>().read();
            }
            self.fields(rows, ty.tables(), constructor, base)
        }
    }

    /// Writes the rows of one constructor. As in the machine, what is looked at are only the rows that are there.
    ///
    /// # Safety
    ///
    /// The struct that the rows describe must be at `base`.
    #[inline(always)]
    unsafe fn fields(
        &mut self,
        fields: &'static [Field],
        tables: &'static Tables,
        constructor: &'static Constructor,
        base: *const u8,
    ) -> Encoded {
        let mut flags = Flags::new();
        let mut words = Words::default();
        let (mut rows, mut there) = (fields, u64::MAX);
        loop {
            while there != 0 {
                let index = there.trailing_zeros() as usize;
                let Some(field) = rows.get(index).copied() else { return Ok(()) };
                there &= there - 1;
                if field.kind == Kind::Word {
                    rows = &rows[index + 1..];
                    if field.word() == 0 {
                        // SAFETY: passed on from the caller.
                        words = unsafe { Words::of(rows, base) };
                    }
                    let number = usize::from(field.word() & 3);
                    let (set, unset) = (words.set[number], words.unset[number]);
                    if set & unset != 0 {
                        return Err(torn(Line::new(tables, constructor), field, set & unset));
                    }
                    self.put_u32(set);
                    flags.set(field, set);
                    there = flags.choose_behind(field, rows);
                } else {
                    // SAFETY: passed on from the caller. The row is there: its bit is set.
                    unsafe { self.row(field, tables, base.wrapping_add(field.offset())) }?;
                }
            }
            if rows.len() <= WINDOW {
                return Ok(());
            }
            rows = &rows[WINDOW..];
            there = flags.choose(rows);
        }
    }

    /// Writes a row that is there.
    ///
    /// # Safety
    ///
    /// The field of this row must be at `place`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn row(&mut self, field: Field, tables: &'static Tables, place: *const u8) -> Encoded {
        // SAFETY of every read: the table says that the field at this place has this type, and the struct is initialised.
        macro_rules! get {
            ($type:ty) => {
                // SAFETY: see above.
                unsafe { &*place.cast::<$type>() }
            };
        }
        macro_rules! opt {
            ($type:ty, $put:expr) => {
                match get!(Option<$type>) {
                    Some(value) => $put(value),
                    None => return Ok(()),
                }
            };
        }
        let out = &mut *self;
        match field.kind {
            // A flags word is written by `fields`.
            Kind::Word | Kind::Flag => {}
            Kind::Nat => out.put_u32(*get!(u32)),
            Kind::Int => out.put_u32(get!(i32).cast_unsigned()),
            Kind::Long => out.put_u64(get!(i64).cast_unsigned()),
            Kind::Double => out.put_u64(get!(f64).to_bits()),
            Kind::Bool => out.put_u32(id_of(*get!(bool))),
            Kind::Str => return get!(&str).serialize(out),
            Kind::Bytes => return get!(&[u8]).serialize(out),
            Kind::Int128 => out.put(get!([u8; 16])),
            Kind::Int256 => out.put(get!([u8; 32])),
            Kind::Int512 => out.put(&get!(Int512).0),
            // SAFETY: the place is that of a value of the target type.
            Kind::Object => return unsafe { self.object(tables.target(field), place) },
            Kind::OptNat => opt!(u32, |value: &u32| out.put_u32(*value)),
            Kind::OptInt => opt!(i32, |value: &i32| out.put_u32(value.cast_unsigned())),
            Kind::OptLong => opt!(i64, |value: &i64| out.put_u64(value.cast_unsigned())),
            Kind::OptDouble => opt!(f64, |value: &f64| out.put_u64(value.to_bits())),
            Kind::OptBool => opt!(bool, |value: &bool| out.put_u32(id_of(*value))),
            Kind::OptStr => return opt!(&str, |value: &&str| value.serialize(out)),
            Kind::OptBytes => return opt!(&[u8], |value: &&[u8]| value.serialize(out)),
            Kind::OptInt128 => opt!([u8; 16], |value: &[u8; 16]| out.put(value)),
            Kind::OptInt256 => opt!([u8; 32], |value: &[u8; 32]| out.put(value)),
            Kind::OptInt512 => opt!(Int512, |value: &Int512| out.put(&value.0)),
            Kind::OptObject => {
                let at = *get!(*const u8);
                // SAFETY: `Option<&T>` is a pointer that may be null; what it points to is of the target type.
                return if at.is_null() { Ok(()) } else { unsafe { self.object(tables.target(field), at) } };
            }
            Kind::ListNat => return self.values(field, get!(&[u32])),
            Kind::ListInt => return self.values(field, get!(&[i32])),
            Kind::ListLong => return self.values(field, get!(&[i64])),
            Kind::ListDouble => return self.values(field, get!(&[f64])),
            Kind::ListBool => return self.values(field, get!(&[bool])),
            Kind::ListStr => return self.values(field, get!(&[&str])),
            Kind::ListBytes => return self.values(field, get!(&[&[u8]])),
            Kind::ListInt128 => return self.values(field, get!(&[[u8; 16]])),
            Kind::ListInt256 => return self.values(field, get!(&[[u8; 32]])),
            Kind::ListInt512 => return self.values(field, get!(&[Int512])),
            Kind::OptListNat => return opt!(&[u32], |values: &&[u32]| self.values(field, values)),
            Kind::OptListInt => return opt!(&[i32], |values: &&[i32]| self.values(field, values)),
            Kind::OptListLong => return opt!(&[i64], |values: &&[i64]| self.values(field, values)),
            Kind::OptListDouble => return opt!(&[f64], |values: &&[f64]| self.values(field, values)),
            Kind::OptListBool => return opt!(&[bool], |values: &&[bool]| self.values(field, values)),
            Kind::OptListStr => return opt!(&[&str], |values: &&[&str]| self.values(field, values)),
            Kind::OptListBytes => return opt!(&[&[u8]], |values: &&[&[u8]]| self.values(field, values)),
            Kind::OptListInt128 => {
                return opt!(&[[u8; 16]], |values: &&[[u8; 16]]| self.values(field, values));
            }
            Kind::OptListInt256 => {
                return opt!(&[[u8; 32]], |values: &&[[u8; 32]]| self.values(field, values));
            }
            Kind::OptListInt512 => return opt!(&[Int512], |values: &&[Int512]| self.values(field, values)),
            Kind::ListObject => {
                let values = *get!(AnySlice);
                // SAFETY: `assert_slices` compared `&[T]` with this; the elements are of the target type.
                return unsafe { self.objects(field, tables.target(field), values.cast(), values.len()) };
            }
            Kind::OptListObject => {
                let Some(values) = *get!(OptAnySlice) else { return Ok(()) };
                let first = values.as_ptr().cast_const().cast();
                // SAFETY: as for `ListObject`.
                return unsafe { self.objects(field, tables.target(field), first, values.len()) };
            }
            Kind::Query => out.put(get!(RawObject<'_>).0),
        }
        Ok(())
    }

    /// Writes a vector of values that are no objects.
    #[inline(never)]
    fn values<T: Serializable>(&mut self, field: Field, values: &[T]) -> Encoded {
        self.head(!field.bare, values.len())?;
        values.iter().try_for_each(|value| value.serialize(self))
    }

    /// Writes a vector of objects.
    ///
    /// # Safety
    ///
    /// So many values that the type describes must be at `first`, one behind the other.
    #[inline(always)]
    unsafe fn objects(&mut self, field: Field, ty: &'static Type, first: *const u8, len: usize) -> Encoded {
        if ty.least == 0 && len > MAX_EMPTY_ELEMENTS {
            return Err(EncodeError::TooManyEmptyElements { len });
        }
        self.head(!field.bare, len)?;
        for index in 0..len {
            // SAFETY: passed on from the caller; the elements are `size` bytes apart.
            unsafe { self.object(ty, first.wrapping_add(index * ty.size as usize)) }?;
        }
        Ok(())
    }
}

const fn id_of(value: bool) -> u32 {
    if value { BOOL_TRUE } else { BOOL_FALSE }
}

/// The flags words of a struct: the bits of the rows that are there, and those of rows that are not.
#[derive(Clone, Copy, Default)]
struct Words {
    set: [u32; 4],
    unset: [u32; 4],
}

impl Words {
    /// Looks at all rows behind the first word: rows of the others stand among them.
    ///
    /// # Safety
    ///
    /// The struct that the rows describe must be at `base`.
    #[inline(always)]
    unsafe fn of(rows: &[Field], base: *const u8) -> Self {
        let mut words = Self::default();
        for row in rows {
            if row.is_conditional() {
                // SAFETY: passed on from the caller.
                let is_there = unsafe { is_there(*row, base.wrapping_add(row.offset())) };
                let (number, bit) = (usize::from(row.word() & 3), row.bit());
                words.set[number] |= u32::from(is_there) << bit;
                words.unset[number] |= u32::from(!is_there) << bit;
            }
        }
        words
    }
}

/// Returns whether a conditional row is there.
///
/// # Safety
///
/// The field of this row must be at `place`.
#[inline(always)]
unsafe fn is_there(row: Field, place: *const u8) -> bool {
    macro_rules! some {
        ($type:ty) => {
            // SAFETY: the table says that the field at this place has this type.
            unsafe { &*place.cast::<Option<$type>>() }.is_some()
        };
    }
    match row.kind {
        // SAFETY: as above.
        Kind::Flag => unsafe { place.cast::<bool>().read() },
        Kind::OptNat => some!(u32),
        Kind::OptInt => some!(i32),
        Kind::OptLong => some!(i64),
        Kind::OptDouble => some!(f64),
        Kind::OptBool => some!(bool),
        Kind::OptInt128 => some!([u8; 16]),
        Kind::OptInt256 => some!([u8; 32]),
        Kind::OptInt512 => some!(Int512),
        // SAFETY: `Option<&T>` is a pointer that may be null.
        Kind::OptObject => unsafe { !place.cast::<*const u8>().read().is_null() },
        // Slices of every type are laid out alike, strings included.
        // SAFETY: as above.
        _ => unsafe { place.cast::<OptAnySlice>().read() }.is_some(),
    }
}

#[cold]
fn torn(line: Line, word: Field, bits: u32) -> EncodeError {
    let is_word = |field: &Field| field.kind == Kind::Word && field.word() == word.word();
    let row = line.fields().iter().position(is_word).unwrap_or_default();
    EncodeError::PartialFlagGroup(FlagGroup::at(line.text(), row + 1, bits.trailing_zeros() as u8))
}

/// The most rows of a struct that is written without a table.
const FLAT: usize = 4;

/// Kind and offset of each row of a struct that [is flat](is_flat); of others, nothing.
struct Flat<T>(T);

impl<T: Described> Flat<T> {
    const COUNT: usize = if is_flat::<T>() { T::TYPE.only_rows().len() } else { 0 };
    const ROWS: [(Kind, usize); FLAT] = {
        let (mut flat, mut index) = ([(Kind::Word, 0); FLAT], 0);
        while index < Self::COUNT {
            let row = T::TYPE.only_rows()[index];
            flat[index] = (row.kind, row.offset());
            index += 1;
        }
        flat
    };
    const ID: u32 = if is_flat::<T>() { T::TYPE.only().id } else { 0 };
}

/// Returns whether a struct has so few rows, all always there and numbers, that code for it is smaller than a call of the encoder.
pub(in crate::table) const fn is_flat<T: Described>() -> bool {
    if !T::TYPE.is_struct {
        return false;
    }
    let (rows, mut index) = (T::TYPE.only_rows(), 0);
    while index < rows.len() && index <= FLAT {
        if !matches!(rows[index].kind, Kind::Nat | Kind::Int | Kind::Long | Kind::Double) {
            return false;
        }
        index += 1;
    }
    rows.len() <= FLAT
}

/// Writes a struct that [is flat](is_flat). It is also compiled, and not called, for those that are not.
#[inline(always)]
pub(in crate::table) fn encode_flat<T: Described, S: Sink + ?Sized>(object: &T, boxed: bool, out: &mut S) {
    let base = core::ptr::from_ref(object).cast::<u8>();
    let (mut space, mut used) = ([0; 4 + 8 * FLAT], 0);
    if boxed {
        space[..4].copy_from_slice(&Flat::<T>::ID.to_le_bytes());
        used = 4;
    }
    macro_rules! row {
        ($index:literal) => {
            if const { $index < Flat::<T>::COUNT } {
                let place = base.wrapping_add(const { Flat::<T>::ROWS[$index].1 });
                if const { matches!(Flat::<T>::ROWS[$index].0, Kind::Long | Kind::Double) } {
                    // SAFETY: the table says that the field at this place is a number of eight bytes.
                    let bytes = unsafe { place.cast::<u64>().read() }.to_le_bytes();
                    space[used..used + 8].copy_from_slice(&bytes);
                    used += 8;
                } else {
                    // SAFETY: the table says that the field at this place is a number of four bytes.
                    let bytes = unsafe { place.cast::<u32>().read() }.to_le_bytes();
                    space[used..used + 4].copy_from_slice(&bytes);
                    used += 4;
                }
            }
        };
    }
    row!(0);
    row!(1);
    row!(2);
    row!(3);
    out.put(&space[..used]);
}
