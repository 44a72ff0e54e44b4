//! The unsafe core: the arena, the interpreter that fills it, and the reader of its objects.
//!
//! The interpreter walks the input and the rows of a table together. For each row it reads a value, checks
//! it, and writes it to the struct at the row's offset. There is one write per kind of row, and it is *typed*:
//! an optional `int` is written as an `Option<i32>`, so its layout is the compiler's business and not ours. Rows that the
//! flags say are absent cost nothing: what stands behind a flags word is made zero before it is read, and that zeros are
//! `None` is checked while compiling.
//!
//! The assumptions, and who guarantees them:
//!
//! * a table describes the type that names it: the `unsafe impl` of [`Described`](super::Described), printed by
//!   the generator from the same plan as the type; the types of its rows likewise ([`Struct`](super::Struct)), whose sizes
//!   are compared with the table besides;
//! * the bytes of rows and constructors are values of theirs ([`printed`]): the macro that the generator uses says so;
//! * `&T` and `Option<&T>` of a sized `T` are a pointer, null being `None` (documentation of
//!   `core::option`);
//! * an enum with `repr(C, u32)` is a C struct of its `u32` discriminant and a C union of its payloads; one with
//!   `repr(u32)` and no payload is its discriminant; one with `repr(transparent)` is its payload (Reference, "Type
//!   layout").
//!
//! Slices have no such guarantee, so their layout is checked for each type that stands in vectors, while compiling
//! ([`assert_slices`]). Every generated type is `Copy`: nothing needs dropping, and an error half-way leaves nothing
//! behind but used-up arena.
//!
//! Not here: what is done with a decoded object ([`super::value`]), encoding ([`super::encode`]).
#![allow(unsafe_code)]
#![allow(
    clippy::cast_ptr_alignment,
    reason = "every place is aligned as its table says, and the arena aligns to 8"
)]

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::flags::{Flags, WINDOW};
use super::layout::{Layout, MAX_ALIGN, Payload};
use super::text::is_plain;
use super::{Described, Family, Field, Kind, Line, RawObject, Tables, Type};
use crate::deserialize::{DecodeOptions, Error, Place, Strictness};
use crate::primitives::{BOOL_FALSE, BOOL_TRUE};
use crate::vectors::{MAX_EMPTY_ELEMENTS, VECTOR_ID};

// ---------------------------------------------------------------------------------------------- arena

/// The memory of decoded objects: filled by [`Arena::decode`](super::Arena), emptied by [`Arena::reset`].
///
/// A reset keeps the memory, so that an arena does not allocate any more after the largest answer.
pub struct Arena {
    bump: UnsafeCell<Bump>,
}

/// Where the next allocation goes. Chunks are freed when the arena is dropped, and never before.
struct Bump {
    next: *mut u8,
    /// Bytes free at `next`.
    free: usize,
    /// Which chunk `next` is in.
    current: usize,
    chunks: Vec<Chunk>,
    replaced: usize,
}

struct Chunk {
    first: NonNull<MaybeUninit<u64>>,
    words: usize,
}

const FIRST_CHUNK_WORDS: usize = 1 << 10;
const LARGEST_CHUNK_WORDS: usize = 1 << 17;

// SAFETY: the arena owns its chunks, and hands out memory of them through `&self` of one thread at a time, as
// it is not `Sync`. References into a chunk cannot outlive the arena, whoever owns it.
unsafe impl Send for Arena {}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("capacity", &self.capacity()).finish_non_exhaustive()
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl Arena {
    /// Creates an arena without memory.
    pub const fn new() -> Self {
        let bump = Bump {
            next: core::ptr::without_provenance_mut(MAX_ALIGN),
            free: 0,
            current: 0,
            chunks: Vec::new(),
            replaced: 0,
        };
        Self { bump: UnsafeCell::new(bump) }
    }

    /// Drops every object in the arena and keeps the memory.
    pub fn reset(&mut self) {
        let bump = self.bump.get_mut();
        bump.replaced = 0;
        bump.enter(0);
    }

    /// Returns the size of the arena's memory in bytes.
    pub fn capacity(&self) -> usize {
        // SAFETY: no other borrow of the bump is alive: every function of this file that makes one ends it before
        // it returns, and none calls code of a caller meanwhile.
        let bump = unsafe { &*self.bump.get() };
        bump.chunks.iter().map(|chunk| chunk.words * 8).sum()
    }

    /// Returns the number of strings since the last reset that were not UTF-8 and were decoded with replacement characters.
    pub fn replaced_strings(&self) -> usize {
        // SAFETY: as in `capacity`.
        unsafe { (*self.bump.get()).replaced }
    }

    /// Copies values into the arena.
    ///
    /// # Panics
    ///
    /// Panics if the values are aligned to more than 8 bytes.
    pub fn slice<T: Copy>(&self, values: &[T]) -> &[T] {
        const { assert!(align_of::<T>() <= MAX_ALIGN) };
        // SAFETY: as in `capacity` for the borrow. The allocation has room for the values, is aligned to 8 and
        // belongs to nobody else until `reset`, which needs the arena to itself.
        unsafe {
            let room = (*self.bump.get()).alloc(size_of_val(values)).cast::<T>();
            core::ptr::copy_nonoverlapping(values.as_ptr(), room, values.len());
            core::slice::from_raw_parts(room, values.len())
        }
    }

    /// Copies a value into the arena.
    ///
    /// # Panics
    ///
    /// Panics if the value is aligned to more than 8 bytes.
    pub fn value<T: Copy>(&self, value: T) -> &T {
        &self.slice(core::slice::from_ref(&value))[0]
    }

    /// Decodes one value of any type from the start of `source`. Returns it and how many bytes it took.
    pub(super) fn view_at<'a>(
        &'a self,
        ty: &'static Type,
        source: Source<'a>,
    ) -> Result<(View<'a>, usize), Error> {
        // SAFETY: as in `decode_at`, except that nobody says what Rust type the table describes: a view reads what was
        // written by the same table.
        unsafe {
            let bump = &mut *self.bump.get();
            let slot = bump.alloc(ty.size as usize);
            let mut machine = Machine { source, bump, error: None, empty: 0 };
            match machine.object(source.input, ty, slot, source.options.max_depth) {
                Ok(rest) => Ok((View { ty, at: slot, borrow: PhantomData }, source.input.len() - rest.len())),
                Err(Stop) => Err(machine.why()),
            }
        }
    }

    /// Decodes one value of type `T` from the start of `source`. Returns it and how many bytes it took.
    pub(super) fn decode_at<'a, T: Family>(
        &'a self,
        source: Source<'a>,
    ) -> Result<(&'a T::Of<'a>, usize), Error> {
        const { T::TYPE.assert_is::<T>() };
        // SAFETY: the borrow as in `capacity`. The slot has the size of the type and is aligned to 8, which is as much
        // as any type asks for; `T::TYPE` describes `T::Of`, so when `object` returns Ok the slot holds a valid
        // `T::Of<'a>`, whose references point into the input and the arena, both borrowed for `'a`.
        unsafe {
            let bump = &mut *self.bump.get();
            let slot = bump.alloc(T::TYPE.size as usize);
            let mut machine = Machine { source, bump, error: None, empty: 0 };
            match machine.object(source.input, T::TYPE, slot, source.options.max_depth) {
                Ok(rest) => Ok((&*slot.cast(), source.input.len() - rest.len())),
                Err(Stop) => Err(machine.why()),
            }
        }
    }
}

/// What to decode, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) input: &'a [u8],
    /// Where the input begins, for errors.
    pub(super) offset: usize,
    pub(super) options: DecodeOptions,
    /// Whether strings are copied into the arena, so that the input may go.
    pub(super) copy: bool,
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in self.bump.get_mut().chunks.drain(..) {
            // SAFETY: `add_chunk` took the pointer and the length from a box and nobody else frees it.
            drop(unsafe {
                Box::from_raw(core::ptr::slice_from_raw_parts_mut(chunk.first.as_ptr(), chunk.words))
            });
        }
    }
}

impl Bump {
    /// Returns room for `len` bytes, aligned to 8. It is not initialised.
    #[inline(always)]
    fn alloc(&mut self, len: usize) -> *mut u8 {
        let padded = (len + MAX_ALIGN - 1) & !(MAX_ALIGN - 1);
        if padded > self.free {
            self.make_room(padded);
        }
        let room = self.next;
        // `free` bytes follow `next` in its chunk, so this stays within the chunk or at its end.
        self.next = room.wrapping_add(padded);
        self.free -= padded;
        room
    }

    #[cold]
    fn make_room(&mut self, len: usize) {
        loop {
            let next = if self.chunks.is_empty() { 0 } else { self.current + 1 };
            if next == self.chunks.len() {
                self.add_chunk(len / 8);
            }
            self.enter(next);
            if self.free >= len {
                return;
            }
        }
    }

    fn add_chunk(&mut self, at_least: usize) {
        let usual =
            self.chunks.last().map_or(FIRST_CHUNK_WORDS, |last| (last.words * 2).min(LARGEST_CHUNK_WORDS));
        let words = usual.max(at_least);
        let chunk = Box::leak(Box::<[u64]>::new_uninit_slice(words));
        self.chunks.push(Chunk { first: NonNull::from(chunk).cast(), words });
    }

    fn enter(&mut self, index: usize) {
        if let Some(chunk) = self.chunks.get(index) {
            self.current = index;
            self.next = chunk.first.as_ptr().cast();
            self.free = chunk.words * 8;
        }
    }
}

// ------------------------------------------------------------------------------------------ interpreter

/// Decoding ended. Why stands in [`Machine::error`].
struct Stop;

/// What does not change while a value is decoded, and where it goes. What is left of the input is handed from function
/// to function, so that it stays in registers.
struct Machine<'a, 'm> {
    source: Source<'a>,
    bump: &'m mut Bump,
    error: Option<Error>,
    /// How many elements without bytes were announced.
    empty: usize,
}

impl<'a> Machine<'a, '_> {
    /// Reads one value of type `ty` into `slot`. Returns what is left of the input.
    ///
    /// # Safety
    ///
    /// `slot` must be valid for writes of `ty.size` bytes and aligned to 8; `ty` must describe what is read from it
    /// afterwards.
    unsafe fn object(
        &mut self,
        mut rest: &'a [u8],
        ty: &'static Type,
        slot: *mut u8,
        depth: u16,
    ) -> Result<&'a [u8], Stop> {
        let Some(depth) = depth.checked_sub(1) else {
            return self.stop(rest, |place, options| Error::TooDeep { place, limit: options.max_depth });
        };
        let (tag, constructor) = if ty.boxed {
            let id = self.u32(&mut rest)?;
            match ty.find(id) {
                Some(found) => found,
                None => return self.unknown(rest, id, ty.name),
            }
        } else if let Some(field) = &ty.value {
            // SAFETY: a type with `value` is that field, at offset 0.
            return unsafe { self.value(rest, field, ty.tables(), slot, depth) };
        } else {
            (0, ty.only())
        };
        // SAFETY: the discriminant of a `repr(C, u32)` enum is an `u32` at its start, and `payload` is where the union of
        // its payloads starts; a type without discriminant has `payload` 0 and is its payload. The payload is
        // the struct itself or a reference to it, as the constructor says.
        unsafe {
            if ty.payload != 0 {
                slot.cast::<u32>().write(tag);
            }
            let fields = ty.tables().rows_of(constructor);
            if fields.is_empty() {
                return Ok(rest);
            }
            let mut base = slot.add(ty.payload as usize);
            if constructor.payload == Payload::Reference && !ty.is_struct {
                let body = self.bump.alloc(usize::from(constructor.size));
                base.cast::<*const u8>().write(body);
                base = body;
            }
            match self.fields(rest, fields, ty.tables(), &constructor.size, base, depth) {
                Ok(rest) => Ok(rest),
                Err(row) => Err(self.note(Line::new(ty.tables(), constructor), row)),
            }
        }
    }

    /// Reads a value that is one row. Returns what is left of the input.
    ///
    /// # Safety
    ///
    /// `slot` must be valid for writes of what the row describes.
    #[inline(never)]
    unsafe fn value(
        &mut self,
        rest: &'a [u8],
        field: &'static Field,
        tables: &'static Tables,
        slot: *mut u8,
        depth: u16,
    ) -> Result<&'a [u8], Stop> {
        // SAFETY: passed on from the caller.
        unsafe { self.fields(rest, core::slice::from_ref(field), tables, &0, slot, depth) }.map_err(|_| Stop)
    }

    /// Reads the rows of one constructor into the struct at `base`, which is `size` bytes long: by reference, since only
    /// structs with flags have it looked at. Returns what is left of the input, or fails with the index of the row.
    ///
    /// # Safety
    ///
    /// `base` must be valid for writes of the struct that the rows describe.
    #[inline(always)]
    unsafe fn fields(
        &mut self,
        mut rest: &'a [u8],
        fields: &'static [Field],
        tables: &'static Tables,
        size: &'static u16,
        base: *mut u8,
        depth: u16,
    ) -> Result<&'a [u8], usize> {
        let mut flags = Flags::new();
        // The rows from some row on, and which of them are to be read.
        let (mut rows, mut there) = (fields, u64::MAX);
        loop {
            while there != 0 {
                let index = there.trailing_zeros() as usize;
                let Some(field) = rows.get(index).copied() else {
                    return Ok(rest);
                };
                there &= there - 1;
                // SAFETY: passed on from the caller. Rows that are left out are conditional; the flags word is in front of
                // them, and `clear` has made their fields `None` or `false`.
                let read = unsafe {
                    if field.kind == Kind::Word {
                        self.flags(&mut rest, field).map(|word| {
                            flags.set(field, word);
                            rows = &rows[index + 1..];
                            there = flags.choose_behind(field, rows);
                            if field.word() == 0 {
                                Self::clear(rows, base, usize::from(*size));
                            }
                        })
                    } else {
                        let place = base.wrapping_add(field.offset());
                        self.row(&mut rest, field, tables, &flags, place, depth)
                    }
                };
                if let Err(Stop) = read {
                    return Err(fields.len() - rows.len() + index);
                }
            }
            if rows.len() <= WINDOW {
                return Ok(rest);
            }
            rows = &rows[WINDOW..];
            there = flags.choose(rows);
        }
    }

    /// Makes a struct zero from the first of these rows on: so all that is conditional is `None` or `false`
    /// ([`ZEROS_ARE_NONE`]).
    ///
    /// # Safety
    ///
    /// The rows must be the last ones of the struct at `base`, which is `size` bytes long.
    #[inline(always)]
    unsafe fn clear(rows: &[Field], base: *mut u8, size: usize) {
        const { ZEROS_ARE_NONE };
        if let Some(next) = rows.iter().find(|row| row.kind != Kind::Word) {
            let from = next.offset();
            // SAFETY: passed on from the caller.
            unsafe { base.wrapping_add(from).write_bytes(0, size - from) };
        }
    }

    /// Reads a row that is there.
    ///
    /// # Safety
    ///
    /// The field of this row must be at `place`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    unsafe fn row(
        &mut self,
        rest: &mut &'a [u8],
        field: Field,
        tables: &'static Tables,
        flags: &Flags,
        place: *mut u8,
        depth: u16,
    ) -> Result<(), Stop> {
        // SAFETY of every write below: the table says that the field at this offset of the struct has the type that is
        // written, so the place is inside the struct, aligned for it, and the value is valid for it.
        macro_rules! put {
            ($type:ty, $value:expr) => {{
                let value: $type = $value;
                // SAFETY: see above.
                unsafe { place.cast::<$type>().write(value) }
            }};
        }
        macro_rules! opt {
            ($type:ty, $value:expr) => {
                put!(Option<$type>, Some($value))
            };
        }
        match field.kind {
            // `fields` reads it.
            Kind::Word => {}
            Kind::Flag => put!(bool, true),
            Kind::Int => put!(i32, self.int(rest)?),
            Kind::Long => put!(i64, self.long(rest)?),
            Kind::Double => put!(f64, self.double(rest)?),
            Kind::Bool => put!(bool, self.bool(rest)?),
            Kind::Str => put!(&'a str, self.str(rest)?),
            Kind::Bytes => put!(&'a [u8], self.bytes(rest)?),
            Kind::Int128 => put!([u8; 16], self.array(rest)?),
            Kind::Int256 => put!([u8; 32], self.array(rest)?),
            // SAFETY: the place is that of a value of the target type.
            Kind::Object => *rest = unsafe { self.object(rest, tables.target(field), place, depth)? },
            Kind::OptInt => opt!(i32, self.int(rest)?),
            Kind::OptLong => opt!(i64, self.long(rest)?),
            Kind::OptDouble => opt!(f64, self.double(rest)?),
            // The table has it read always, because `None` of it is not made of zeros.
            Kind::OptBool if !flags.has(field.condition) => put!(Option<bool>, None),
            Kind::OptBool => opt!(bool, self.bool(rest)?),
            Kind::OptStr => opt!(&'a str, self.str(rest)?),
            Kind::OptBytes => opt!(&'a [u8], self.bytes(rest)?),
            Kind::OptInt128 => opt!([u8; 16], self.array(rest)?),
            Kind::OptInt256 => opt!([u8; 32], self.array(rest)?),
            Kind::OptObject => {
                let target = tables.target(field);
                let room = self.bump.alloc(target.size as usize);
                // SAFETY: the room is new and has the size of the type. `Option<&T>` of a sized `T` is a pointer.
                unsafe {
                    *rest = self.object(rest, target, room, depth)?;
                    place.cast::<*const u8>().write(room);
                }
            }
            Kind::ListInt => put!(&'a [i32], self.numbers(rest, field, i32::from_le_bytes)?),
            Kind::ListLong => put!(&'a [i64], self.numbers(rest, field, i64::from_le_bytes)?),
            Kind::ListDouble => put!(&'a [f64], self.numbers(rest, field, f64::from_le_bytes)?),
            Kind::ListBool => put!(&'a [bool], self.values(rest, field, 4, Self::bool)?),
            Kind::ListStr => put!(&'a [&'a str], self.values(rest, field, 4, Self::str)?),
            Kind::ListBytes => put!(&'a [&'a [u8]], self.values(rest, field, 4, Self::bytes)?),
            Kind::ListInt128 => put!(&'a [[u8; 16]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::ListInt256 => put!(&'a [[u8; 32]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::OptListInt => opt!(&'a [i32], self.numbers(rest, field, i32::from_le_bytes)?),
            Kind::OptListLong => opt!(&'a [i64], self.numbers(rest, field, i64::from_le_bytes)?),
            Kind::OptListDouble => opt!(&'a [f64], self.numbers(rest, field, f64::from_le_bytes)?),
            Kind::OptListBool => opt!(&'a [bool], self.values(rest, field, 4, Self::bool)?),
            Kind::OptListStr => opt!(&'a [&'a str], self.values(rest, field, 4, Self::str)?),
            Kind::OptListBytes => opt!(&'a [&'a [u8]], self.values(rest, field, 4, Self::bytes)?),
            Kind::OptListInt128 => opt!(&'a [[u8; 16]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::OptListInt256 => opt!(&'a [[u8; 32]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::ListObject | Kind::OptListObject => {
                // SAFETY: the place is that of such a slice.
                *rest = unsafe { self.objects(rest, field, tables.target(field), place, depth)? };
            }
            Kind::Query => {
                let all = core::mem::take(rest);
                put!(RawObject<'a>, RawObject(if self.source.copy { self.copied(all) } else { all }));
            }
        }
        Ok(())
    }

    /// Reads a vector of objects and writes the slice to `place`. Returns what is left of the input.
    ///
    /// # Safety
    ///
    /// The field of this row must be at `place`.
    unsafe fn objects(
        &mut self,
        mut rest: &'a [u8],
        field: Field,
        target: &'static Type,
        place: *mut u8,
        depth: u16,
    ) -> Result<&'a [u8], Stop> {
        let count = self.count(&mut rest, field, target.least as usize)?;
        let size = target.size as usize;
        // Only a machine of 32 bits could get too far here: `count` is at most the number of bytes that are left, and values of
        // a type without bytes take no memory.
        let Some(len) = count.checked_mul(size).filter(|len| isize::try_from(*len).is_ok()) else {
            return self.end(rest, usize::MAX);
        };
        let first = self.bump.alloc(len);
        for index in 0..count {
            // SAFETY: the room holds `count` values. A value's size is a multiple of its alignment, so each is aligned.
            rest = unsafe { self.object(rest, target, first.add(index * size), depth)? };
        }
        // SAFETY: the place is that of a `&[T]` or an `Option<&[T]>`, which `assert_slices` compared with what is written.
        // `count` values of the target type stand at `first`, all of them written; the arena keeps them for 'a.
        unsafe {
            if field.kind == Kind::ListObject {
                place.cast::<AnySlice>().write(core::ptr::slice_from_raw_parts(first.cast(), count));
            } else {
                let first = NonNull::new_unchecked(first.cast());
                place.cast::<OptAnySlice>().write(Some(NonNull::slice_from_raw_parts(first, count)));
            }
        }
        Ok(rest)
    }

    /// Reads a vector of numbers or other things of fixed length.
    #[inline(always)]
    fn numbers<T: Copy, const N: usize>(
        &mut self,
        rest: &mut &'a [u8],
        field: Field,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<&'a [T], Stop> {
        let (values, behind) = self.numbers_of(rest, field, read)?;
        *rest = behind;
        Ok(values)
    }

    #[inline(never)]
    fn numbers_of<T: Copy, const N: usize>(
        &mut self,
        mut rest: &'a [u8],
        field: Field,
        read: impl Fn([u8; N]) -> T,
    ) -> Result<(&'a [T], &'a [u8]), Stop> {
        let count = self.count(&mut rest, field, N)?;
        let (bytes, rest) = rest.split_at(count * N);
        let first = self.bump.alloc(count * size_of::<T>()).cast::<T>();
        for (index, bytes) in bytes.as_chunks().0.iter().enumerate() {
            // SAFETY: there is room for `count` values, and `bytes` has `count` chunks.
            unsafe { first.add(index).write(read(*bytes)) };
        }
        // SAFETY: `count` values were written; the arena keeps them for 'a.
        Ok((unsafe { core::slice::from_raw_parts(first, count) }, rest))
    }

    /// Reads a vector of values that `read` takes one by one, each of at least `least` bytes.
    #[inline(always)]
    fn values<T: Copy>(
        &mut self,
        rest: &mut &'a [u8],
        field: Field,
        least: usize,
        read: impl Fn(&mut Self, &mut &'a [u8]) -> Result<T, Stop>,
    ) -> Result<&'a [T], Stop> {
        let (values, behind) = self.values_of(rest, field, least, read)?;
        *rest = behind;
        Ok(values)
    }

    #[inline(never)]
    fn values_of<T: Copy>(
        &mut self,
        mut rest: &'a [u8],
        field: Field,
        least: usize,
        read: impl Fn(&mut Self, &mut &'a [u8]) -> Result<T, Stop>,
    ) -> Result<(&'a [T], &'a [u8]), Stop> {
        let count = self.count(&mut rest, field, least)?;
        let first = self.bump.alloc(count * size_of::<T>()).cast::<T>();
        for index in 0..count {
            let value = read(self, &mut rest)?;
            // SAFETY: there is room for `count` values.
            unsafe { first.add(index).write(value) };
        }
        // SAFETY: as in `numbers_of`.
        Ok((unsafe { core::slice::from_raw_parts(first, count) }, rest))
    }

    /// Reads the head of a vector. The count is no larger than what is left can hold.
    #[inline(always)]
    fn count(&mut self, rest: &mut &'a [u8], field: Field, least: usize) -> Result<usize, Stop> {
        if !field.bare {
            let id = self.u32(rest)?;
            if id != VECTOR_ID {
                return self.unknown(rest, id, "Vector");
            }
        }
        let count = self.int(rest)?;
        let most = rest.len().checked_div(least).unwrap_or(MAX_EMPTY_ELEMENTS - self.empty);
        match usize::try_from(count) {
            Ok(len) if len <= most => {
                if least == 0 {
                    self.empty += len;
                }
                Ok(len)
            }
            _ => self.stop_before(rest, 4, |place, _| Error::BadCount { place, count, most }),
        }
    }

    #[inline(always)]
    fn array<const N: usize>(&mut self, rest: &mut &'a [u8]) -> Result<[u8; N], Stop> {
        match rest.split_first_chunk::<N>() {
            Some((bytes, behind)) => {
                *rest = behind;
                Ok(*bytes)
            }
            None => self.end(rest, N),
        }
    }

    #[inline(always)]
    fn u32(&mut self, rest: &mut &'a [u8]) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array(rest)?))
    }

    #[inline(always)]
    fn int(&mut self, rest: &mut &'a [u8]) -> Result<i32, Stop> {
        Ok(i32::from_le_bytes(self.array(rest)?))
    }

    #[inline(always)]
    fn long(&mut self, rest: &mut &'a [u8]) -> Result<i64, Stop> {
        Ok(i64::from_le_bytes(self.array(rest)?))
    }

    #[inline(always)]
    fn double(&mut self, rest: &mut &'a [u8]) -> Result<f64, Stop> {
        Ok(f64::from_le_bytes(self.array(rest)?))
    }

    #[inline(always)]
    fn bool(&mut self, rest: &mut &'a [u8]) -> Result<bool, Stop> {
        match self.u32(rest)? {
            BOOL_TRUE => Ok(true),
            BOOL_FALSE => Ok(false),
            id => self.unknown(rest, id, "Bool"),
        }
    }

    #[inline(always)]
    fn bytes(&mut self, rest: &mut &'a [u8]) -> Result<&'a [u8], Stop> {
        let bytes = self.borrowed_bytes(rest)?;
        Ok(if self.source.copy { self.copied(bytes) } else { bytes })
    }

    /// Reads a string without copying it. TL: one byte of length up to 253, or `fe` and three bytes; zero bytes
    /// up to a multiple of four.
    #[inline(always)]
    fn borrowed_bytes(&mut self, rest: &mut &'a [u8]) -> Result<&'a [u8], Stop> {
        let Some(&[short, a, b, c]) = rest.first_chunk() else {
            return self.end(rest, 4);
        };
        let (header, len) = match short {
            0..=253 => (1, usize::from(short)),
            254 => (4, u32::from_le_bytes([a, b, c, 0]) as usize),
            255 => return self.stop(rest, |place, _| Error::BadStringPrefix { place }),
        };
        let whole = (header + len).next_multiple_of(4);
        let Some((bytes, behind)) = rest.split_at_checked(whole) else {
            return self.end(rest, whole);
        };
        if self.source.options.canonical == Strictness::Strict {
            self.check_canonical(rest, whole, header, len)?;
        }
        *rest = behind;
        Ok(&bytes[header..header + len])
    }

    #[inline(always)]
    fn str(&mut self, rest: &mut &'a [u8]) -> Result<&'a str, Stop> {
        let start = *rest;
        let bytes = self.borrowed_bytes(rest)?;
        if !is_plain(bytes)
            && let Err(error) = core::str::from_utf8(bytes)
        {
            return self.replaced(bytes, start, error.valid_up_to());
        }
        // SAFETY: one of both checks found it to be UTF-8.
        let text = unsafe { core::str::from_utf8_unchecked(bytes) };
        Ok(if self.source.copy { self.copied_str(text) } else { text })
    }

    #[cold]
    fn replaced(&mut self, bytes: &[u8], start: &'a [u8], valid_up_to: usize) -> Result<&'a str, Stop> {
        if self.source.options.utf8 == Strictness::Strict {
            let header = if start[0] < 254 { 1 } else { 4 };
            return self.stop(&start[header..], |place, _| Error::InvalidUtf8 { place, valid_up_to });
        }
        self.bump.replaced += 1;
        let text = String::from_utf8_lossy(bytes);
        Ok(self.copied_str(&text))
    }

    /// Checks that the padding is zero and the short form was taken where it can be, of the string at the start of `rest`,
    /// of which `whole` bytes are the string.
    #[cold]
    fn check_canonical(
        &mut self,
        rest: &'a [u8],
        whole: usize,
        header: usize,
        len: usize,
    ) -> Result<(), Stop> {
        if header == 4 && len <= 253 {
            return self.stop(rest, |place, _| Error::LongStringForm { place, len });
        }
        if rest[header + len..whole].iter().any(|byte| *byte != 0) {
            return self.stop(&rest[header + len..], |place, _| Error::NonZeroPadding { place });
        }
        Ok(())
    }

    #[inline(always)]
    fn flags(&mut self, rest: &mut &'a [u8], field: Field) -> Result<u32, Stop> {
        let word = self.u32(rest)?;
        let bits = word & !field.known();
        if bits != 0 && self.source.options.canonical == Strictness::Strict {
            return self.stop_before(rest, 4, |place, _| Error::UnknownFlags { place, bits });
        }
        Ok(word)
    }

    #[inline(never)]
    fn copied_str(&mut self, text: &str) -> &'a str {
        let copy = self.copied(text.as_bytes());
        // SAFETY: the bytes are those of a `str`.
        unsafe { core::str::from_utf8_unchecked(copy) }
    }

    #[inline(never)]
    fn copied(&mut self, bytes: &[u8]) -> &'a [u8] {
        let room = self.bump.alloc(bytes.len());
        // SAFETY: the room is new, has this length, and stays for 'a.
        unsafe {
            core::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
            core::slice::from_raw_parts(room, bytes.len())
        }
    }

    #[cold]
    #[inline(never)]
    fn end<T>(&mut self, rest: &'a [u8], needed: usize) -> Result<T, Stop> {
        let remaining = rest.len();
        self.stop(rest, |place, _| Error::UnexpectedEof { place, needed, remaining })
    }

    /// Stops at an id that was just read.
    #[cold]
    #[inline(never)]
    fn unknown<T>(&mut self, rest: &'a [u8], id: u32, wanted: &'static str) -> Result<T, Stop> {
        self.stop_before(rest, 4, |place, _| Error::UnexpectedConstructor { id, wanted, place })
    }

    /// Stops where what is left of the input begins.
    #[cold]
    #[inline(never)]
    fn stop<T>(
        &mut self,
        rest: &'a [u8],
        error: impl FnOnce(Place, DecodeOptions) -> Error,
    ) -> Result<T, Stop> {
        self.stop_before(rest, 0, error)
    }

    /// Stops at something that was read already, is `back` bytes long, and stands in front of what is left.
    #[cold]
    fn stop_before<T>(
        &mut self,
        rest: &'a [u8],
        back: usize,
        error: impl FnOnce(Place, DecodeOptions) -> Error,
    ) -> Result<T, Stop> {
        let offset = self.source.offset + self.source.input.len() - rest.len() - back;
        self.error = Some(error(Place::at(offset), self.source.options));
        Err(Stop)
    }

    /// The reason of a stop.
    fn why(self) -> Error {
        self.error.expect("every stop is made by `stop_before`, which says why")
    }

    /// Adds to the error in which field it arose, unless an inner type did.
    #[cold]
    #[inline(never)]
    fn note(&mut self, line: Line, row: usize) -> Stop {
        let error = self.error.take();
        self.error = error.map(|error| error.within(line.name(), line.field_name(row)));
        Stop
    }
}

// ------------------------------------------------------------------------------------------------ slices

/// `&[T]`, whatever `T` is.
///
/// Rust does not say how a slice reference is laid out, only that it is like the raw pointer. So whoever describes a type
/// that stands in vectors has [`assert_slices`] compare its slices with these.
type AnySlice = *const [()];

/// `Option<&[T]>`, whatever `T` is.
type OptAnySlice = Option<NonNull<[()]>>;

/// Checks, while compiling, that `&[T]` and `Option<&[T]>` can be written and read as [`AnySlice`] and [`OptAnySlice`].
///
/// # Panics
///
/// Panics, at compile time, if they cannot.
#[allow(
    clippy::transmute_ptr_to_ptr,
    reason = "a cast would convert what is to be compared as it lies in memory"
)]
pub(super) const fn assert_slices<T>() {
    const LEN: usize = 0x0123_4567;
    let any = core::ptr::slice_from_raw_parts(NonNull::<T>::dangling().as_ptr().cast_const(), LEN);
    // A slice reference is a pointer and a length. Where one of them is as in `AnySlice`, so is the other.
    assert!(size_of::<AnySlice>() == 2 * size_of::<usize>() && align_of::<AnySlice>() == align_of::<&[T]>());
    // SAFETY: every value of two words is a raw slice pointer.
    assert!(unsafe { core::mem::transmute::<*const [T], AnySlice>(any) }.len() == LEN);
    // SAFETY: as above; the pointer is null or it is not.
    let (none, some) = unsafe {
        (
            core::mem::transmute::<Option<&[T]>, OptAnySlice>(None),
            core::mem::transmute::<Option<&[T]>, OptAnySlice>(Some(&[])),
        )
    };
    assert!(none.is_none());
    assert_zeros_are_none::<&[T]>();
    assert!(matches!(some, Some(slice) if slice.is_empty()));
}

/// Returns `count` elements from the one with the index `first`.
///
/// There are thousands of such parts in the tables of a large schema, and `split_at` takes what evaluates it while compiling
/// five times as long.
///
/// # Panics
///
/// Panics, at compile time, if there are not as many.
pub(super) const fn part_of<T>(all: &'static [T], first: usize, count: usize) -> &'static [T] {
    assert!(first <= all.len() && count <= all.len() - first);
    // SAFETY: the elements are in the slice, as was just checked.
    unsafe { core::slice::from_raw_parts(all.as_ptr().add(first), count) }
}

/// Reads rows and constructors from the bytes that the generator prints. They are not laid out yet
/// ([`layout`](super::layout())).
///
/// # Panics
///
/// Panics, at compile time, if there are not so many rows and lines.
///
/// # Safety
///
/// The first byte of each row must be the number of a [`Kind`], and the fourth one 0 or 1; of each constructor, the byte at
/// index 18 must be 0 or 1.
pub const unsafe fn printed<const ROWS: usize, const LINES: usize>(
    rows: &[u8],
    constructors: &[u8],
) -> Layout<ROWS, LINES> {
    // SAFETY: both consist of numbers, besides what the caller promises.
    unsafe { Layout { rows: from_bytes(rows), constructors: from_bytes(constructors) } }
}

/// Reads numbers from the bytes that the generator prints, as if the lowest one came first on every machine.
///
/// # Panics
///
/// Panics, at compile time, if there are not so many.
pub(super) const fn numbers<const N: usize>(bytes: &[u8]) -> [u16; N] {
    // SAFETY: every two bytes are a number.
    unsafe { from_bytes(bytes) }
}

/// Reads values that stand one behind the other.
///
/// # Panics
///
/// Panics, at compile time, if the bytes are not as many as `N` values take.
///
/// # Safety
///
/// The bytes must be values of `T`, one behind the other.
const unsafe fn from_bytes<T: Copy, const N: usize>(bytes: &[u8]) -> [T; N] {
    assert!(bytes.len() == size_of::<[T; N]>(), "as many bytes as the values take");
    // SAFETY: the bytes are there, as was just checked, and values, as the caller promises.
    unsafe { bytes.as_ptr().cast::<[T; N]>().read_unaligned() }
}

/// Checks, while compiling, that zeros are `None` of every optional type but `Option<bool>`: the decoder makes a struct
/// zero where it would otherwise write each field that is absent. Slices of other types are checked by
/// [`assert_slices`].
const ZEROS_ARE_NONE: () = {
    assert_zeros_are_none::<i32>();
    assert_zeros_are_none::<i64>();
    assert_zeros_are_none::<f64>();
    assert_zeros_are_none::<&str>();
    assert_zeros_are_none::<&[u8]>();
    assert_zeros_are_none::<[u8; 16]>();
    assert_zeros_are_none::<[u8; 32]>();
    assert_zeros_are_none::<&[i32]>();
    assert_zeros_are_none::<&[i64]>();
    assert_zeros_are_none::<&[f64]>();
    assert_zeros_are_none::<&[bool]>();
    assert_zeros_are_none::<&[&str]>();
    assert_zeros_are_none::<&[&[u8]]>();
    assert_zeros_are_none::<&[[u8; 16]]>();
    assert_zeros_are_none::<&[[u8; 32]]>();
};

/// # Panics
///
/// Panics, at compile time, if zeros are not `None` of `Option<T>`.
const fn assert_zeros_are_none<T: Copy>() {
    // SAFETY: this is only called while compiling, where the compiler refuses to look at what is no value of the type.
    assert!(unsafe { MaybeUninit::<Option<T>>::zeroed().assume_init() }.is_none());
}

// ---------------------------------------------------------------------------------------------- reader

/// A value of a described type, which is read by its table.
#[derive(Clone, Copy)]
pub struct View<'v> {
    ty: &'static Type,
    at: *const u8,
    borrow: PhantomData<&'v ()>,
}

/// The value of a row.
#[derive(Clone, Copy, PartialEq)]
pub enum Value<'v> {
    /// Nothing: an absent optional field, or a flags word.
    Absent,
    /// `int`.
    Int(i32),
    /// `long`.
    Long(i64),
    /// `double`.
    Double(f64),
    /// `Bool`, or the value of a `true` flag.
    Bool(bool),
    /// `string`.
    Str(&'v str),
    /// `bytes`.
    Bytes(&'v [u8]),
    /// `int128`.
    Int128(&'v [u8; 16]),
    /// `int256`.
    Int256(&'v [u8; 32]),
    /// Any other type.
    Object(View<'v>),
    /// `Vector<int>`.
    Ints(&'v [i32]),
    /// `Vector<long>`.
    Longs(&'v [i64]),
    /// `Vector<double>`.
    Doubles(&'v [f64]),
    /// `Vector<Bool>`.
    Bools(&'v [bool]),
    /// `Vector<string>`.
    Strs(&'v [&'v str]),
    /// `Vector<bytes>`.
    ByteStrings(&'v [&'v [u8]]),
    /// `Vector<int128>`.
    Int128s(&'v [[u8; 16]]),
    /// `Vector<int256>`.
    Int256s(&'v [[u8; 32]]),
    /// A vector of any other type.
    Objects(Views<'v>),
    /// `!X`.
    Query(RawObject<'v>),
}

/// The elements of a vector of objects.
#[derive(Clone, Copy)]
pub struct Views<'v> {
    first: View<'v>,
    len: usize,
}

impl<'v> View<'v> {
    /// Views a value.
    pub fn new<T: Described>(value: &'v T) -> Self {
        const { T::TYPE.assert_is::<T>() };
        Self { ty: T::TYPE, at: core::ptr::from_ref(value).cast(), borrow: PhantomData }
    }

    /// Views a value, given as a member of its family.
    pub(super) fn of_family<T: Family>(value: &'v T::Of<'v>) -> Self {
        const { T::TYPE.assert_is::<T>() };
        Self { ty: T::TYPE, at: core::ptr::from_ref(value).cast(), borrow: PhantomData }
    }

    /// Returns the type of the value.
    pub fn ty(self) -> &'static Type {
        self.ty
    }

    /// Returns the constructor of the value, or `None` if its type has none, and the rows with their values.
    pub fn rows(self) -> (Option<Line>, Rows<'v>) {
        let tables = self.ty.tables();
        if let Some(field) = &self.ty.value {
            return (None, Rows { fields: core::slice::from_ref(field).iter(), tables, base: self });
        }
        // SAFETY: a view is made of a reference to the value (`new`) or of a pointer read from one, so the value is there
        // and valid for 'v, and the table describes it: with `payload` there is a discriminant at its start, and
        // the payload is the struct or a reference to it, as the constructor says.
        unsafe {
            let tag = if self.ty.payload == 0 { 0 } else { self.at.cast::<u32>().read() };
            let Some(constructor) = self.ty.tagged_as(tag) else {
                return (None, Rows { fields: [].iter(), tables, base: self });
            };
            let fields = tables.rows_of(constructor);
            let mut base = self.at.wrapping_add(self.ty.payload as usize);
            if constructor.payload == Payload::Reference && !self.ty.is_struct && !fields.is_empty() {
                base = base.cast::<*const u8>().read();
            }
            let base = Self { at: base, ..self };
            (Some(Line::new(tables, constructor)), Rows { fields: fields.iter(), tables, base })
        }
    }
}

/// The rows of a value, in the order of the wire.
pub struct Rows<'v> {
    fields: core::slice::Iter<'static, Field>,
    tables: &'static Tables,
    /// The struct of the rows.
    base: View<'v>,
}

impl<'v> Iterator for Rows<'v> {
    type Item = (Field, Value<'v>);

    fn next(&mut self) -> Option<Self::Item> {
        let field = *self.fields.next()?;
        // SAFETY: `rows` made `base` the struct that these fields describe.
        Some((field, unsafe { read(field, self.tables, self.base) }))
    }
}

/// Reads one row: the counterpart of [`Machine::field`].
///
/// # Safety
///
/// The struct that the row describes must be at `base.at`, valid for 'v.
unsafe fn read<'v>(field: Field, tables: &'static Tables, base: View<'v>) -> Value<'v> {
    let place = base.at.wrapping_add(field.offset());
    let view = |ty, at| View { ty, at, borrow: base.borrow };
    // SAFETY of every read: the table says that the field at this offset has this type, and the struct is initialised.
    macro_rules! get {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            Value::$variant(unsafe { place.cast::<$type>().read() })
        };
    }
    macro_rules! opt {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            unsafe { place.cast::<Option<$type>>().read() }.map_or(Value::Absent, Value::$variant)
        };
    }
    // SAFETY: see above; references to fields live as long as the struct.
    macro_rules! by_ref {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            Value::$variant(unsafe { &*place.cast::<$type>() })
        };
    }
    macro_rules! opt_by_ref {
        ($type:ty, $variant:ident) => {
            // SAFETY: see above.
            unsafe { &*place.cast::<Option<$type>>() }.as_ref().map_or(Value::Absent, Value::$variant)
        };
    }
    match field.kind {
        Kind::Int => get!(i32, Int),
        Kind::Long => get!(i64, Long),
        Kind::Double => get!(f64, Double),
        Kind::Flag | Kind::Bool => get!(bool, Bool),
        Kind::Str => get!(&'v str, Str),
        Kind::Bytes => get!(&'v [u8], Bytes),
        Kind::Int128 => by_ref!([u8; 16], Int128),
        Kind::Int256 => by_ref!([u8; 32], Int256),
        Kind::Object => Value::Object(view(tables.target(field), place)),
        Kind::OptInt => opt!(i32, Int),
        Kind::OptLong => opt!(i64, Long),
        Kind::OptDouble => opt!(f64, Double),
        Kind::OptBool => opt!(bool, Bool),
        Kind::OptStr => opt!(&'v str, Str),
        Kind::OptBytes => opt!(&'v [u8], Bytes),
        Kind::OptInt128 => opt_by_ref!([u8; 16], Int128),
        Kind::OptInt256 => opt_by_ref!([u8; 32], Int256),
        Kind::OptObject => {
            // SAFETY: see above; `Option<&T>` is a pointer that may be null.
            let at = unsafe { place.cast::<*const u8>().read() };
            if at.is_null() { Value::Absent } else { Value::Object(view(tables.target(field), at)) }
        }
        Kind::ListInt => get!(&'v [i32], Ints),
        Kind::ListLong => get!(&'v [i64], Longs),
        Kind::ListDouble => get!(&'v [f64], Doubles),
        Kind::ListBool => get!(&'v [bool], Bools),
        Kind::ListStr => get!(&'v [&'v str], Strs),
        Kind::ListBytes => get!(&'v [&'v [u8]], ByteStrings),
        Kind::ListInt128 => get!(&'v [[u8; 16]], Int128s),
        Kind::ListInt256 => get!(&'v [[u8; 32]], Int256s),
        Kind::OptListInt => opt!(&'v [i32], Ints),
        Kind::OptListLong => opt!(&'v [i64], Longs),
        Kind::OptListDouble => opt!(&'v [f64], Doubles),
        Kind::OptListBool => opt!(&'v [bool], Bools),
        Kind::OptListStr => opt!(&'v [&'v str], Strs),
        Kind::OptListBytes => opt!(&'v [&'v [u8]], ByteStrings),
        Kind::OptListInt128 => opt!(&'v [[u8; 16]], Int128s),
        Kind::OptListInt256 => opt!(&'v [[u8; 32]], Int256s),
        Kind::ListObject => {
            // SAFETY: see above; `assert_slices` compared `&[T]` with this.
            let slice = unsafe { place.cast::<AnySlice>().read() };
            Value::Objects(Views { first: view(tables.target(field), slice.cast()), len: slice.len() })
        }
        Kind::OptListObject => {
            // SAFETY: see above; `assert_slices` compared `Option<&[T]>` with this.
            unsafe { place.cast::<OptAnySlice>().read() }.map_or(Value::Absent, |slice| {
                Value::Objects(Views {
                    first: view(tables.target(field), slice.as_ptr().cast_const().cast()),
                    len: slice.len(),
                })
            })
        }
        Kind::Query => get!(RawObject<'v>, Query),
        Kind::Word => Value::Absent,
    }
}

impl<'v> Views<'v> {
    /// Returns the number of elements.
    pub fn len(self) -> usize {
        self.len
    }

    /// Returns whether there is no element.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the elements in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = View<'v>> {
        let Self { first, len } = self;
        // The elements stand one after the other, `size` bytes apart.
        (0..len).map(move |index| View { at: first.at.wrapping_add(index * first.ty.size as usize), ..first })
    }
}

// ----------------------------------------------------------------------------------------------- owner

/// An object and the memory it lives in.
pub(super) struct Owned {
    object: *const u8,
    /// Kept alive for `object`, never touched again.
    _arena: Arena,
    _input: Vec<u8>,
}

// SAFETY: nothing of the arena, the input or the object changes after `Owned::decode` returned, and `Family::Of` is
// `Send` and `Sync`. The arena's `UnsafeCell` is out of reach: no function of `Owned` touches it but drop.
unsafe impl Send for Owned {}
// SAFETY: as above.
unsafe impl Sync for Owned {}

impl Owned {
    /// Decodes a value that owns its input: `buffer`, or copies of the strings of `source`. Returns how many bytes it took and
    /// how many strings were replaced.
    pub(super) fn decode<T: Family>(
        source: Source<'_>,
        buffer: Vec<u8>,
    ) -> Result<(Self, usize, usize), Error> {
        let arena = Arena::new();
        // Either the strings are in `buffer`, which is kept, or they are copied into the arena.
        let source = if source.copy { source } else { Source { input: &buffer, ..source } };
        let (object, taken) = arena.decode_at::<T>(source)?;
        let (object, replaced) = (core::ptr::from_ref(object).cast(), arena.replaced_strings());
        Ok((Self { object, _arena: arena, _input: buffer }, taken, replaced))
    }

    /// Returns the object.
    ///
    /// # Safety
    ///
    /// `T` must be the type it was decoded as.
    pub(super) unsafe fn get<T: Family>(&self) -> &T::Of<'_> {
        // SAFETY: `decode` found a valid `T::Of` here. Its references point into the arena and the input; moving `Owned` moves
        // neither the chunks of the one nor the bytes of the other, and both live as long as `self`.
        unsafe { &*self.object.cast() }
    }
}

// ------------------------------------------------------------------------------------------ single fields

/// Where a row of a struct has its field, and what the field can be read as.
pub(super) struct FieldOf<T, R> {
    offset: usize,
    types: PhantomData<fn(&T) -> &R>,
}

impl<T: super::Struct, R> FieldOf<T, R> {
    /// Finds the row with this index, which must be one of type `R` of [`Struct::Rows`](super::Struct::Rows).
    ///
    /// # Panics
    ///
    /// Panics, at compile time, if values of `R` have another size or alignment than the table says: then `R` is not the type
    /// of this row.
    pub(super) const fn of_row(index: usize) -> Self {
        let field = T::TYPE.only_rows()[index];
        let (mut size, mut align) = field.kind.memory();
        if matches!(field.kind, Kind::Object) {
            let target = T::TYPE.tables().target(field);
            (size, align) = (target.size, target.align);
        }
        assert!(size_of::<R>() == size as usize && align_of::<R>() == align as usize);
        // A flags word stands nowhere.
        let offset = if matches!(field.kind, Kind::Word) { 0 } else { field.offset() };
        Self { offset, types: PhantomData }
    }

    /// Returns the field.
    #[inline(always)]
    pub(super) const fn read<'v>(&self, object: &'v T) -> &'v R {
        // SAFETY: `Struct` promises that the table gives the offset of the row's field in a `T`, and that the field can be
        // read as the type that stands for the row, which is `R` as `of_row` asks for. A row without a field is of a type
        // without size, which can be read anywhere.
        unsafe { &*core::ptr::from_ref(object).cast::<u8>().add(self.offset).cast() }
    }
}

/// Returns the struct that a [`One`](super::One) holds, itself or by reference.
#[inline(always)]
pub(super) const fn sole<T: super::Sole>(holder: &T) -> &T::Struct {
    let holder = core::ptr::from_ref(holder);
    // SAFETY: `Sole` promises that the table says whether a `T` is the struct or a reference to it.
    unsafe {
        match const { <T::Struct as Described>::TYPE.only().payload } {
            Payload::Value => &*holder.cast(),
            Payload::Reference => *holder.cast::<&T::Struct>(),
        }
    }
}
