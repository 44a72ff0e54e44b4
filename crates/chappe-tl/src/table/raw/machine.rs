//! The interpreter: it walks the input and the rows of a table together, and fills an arena.
//!
//! **Proof.** For each row the interpreter reads a value, checks it, and writes it to the struct at the row's offset. There is one
//! write per kind of row, and it is *typed*: an optional `int` is written as an `Option<i32>`, so its layout is the compiler's
//! business and not ours. The place is inside the struct and aligned, because the table describes the struct and the arena's
//! rooms have its size. Rows that the flags leave out cost nothing: what follows the first flags word is made zero before
//! it is read, and that zeros are `None` is checked while compiling ([`ZEROS_ARE_NONE`]). The first flags word stands in front
//! of all conditional rows. When a struct was read without an error, all its fields were written.

use alloc::string::String;
use core::ptr::NonNull;

use super::arena::{Bump, Source};
use super::slices::{AnySlice, OptAnySlice, ZEROS_ARE_NONE};
use crate::Int512;
use crate::deserialize::{DecodeError, DecodeOptions, Place, Strictness};
use crate::primitives::{BOOL_FALSE, BOOL_TRUE};
use crate::table::flags::{Flags, WINDOW};
use crate::table::layout::Payload;
use crate::table::text::is_plain;
use crate::table::{Field, Kind, Line, RawObject, Tables, Type};
use crate::vectors::{MAX_EMPTY_ELEMENTS, VECTOR_ID};

/// Decoding ended. Why stands in [`Machine::error`].
pub(super) struct Stop;

/// What does not change while a value is decoded, and where it goes. What is left of the input is handed from function
/// to function, so that it stays in registers.
pub(super) struct Machine<'a, 'm> {
    source: Source<'a>,
    bump: &'m mut Bump,
    error: Option<DecodeError>,
    /// How many elements without bytes were announced.
    empty: usize,
}

impl<'a, 'm> Machine<'a, 'm> {
    /// A machine that fills an arena.
    pub(super) const fn new(source: Source<'a>, bump: &'m mut Bump) -> Self {
        Self { source, bump, error: None, empty: 0 }
    }

    /// Reads one value of type `ty` into `slot`. Returns what is left of the input.
    ///
    /// # Safety
    ///
    /// `slot` must be valid for writes of `ty.size` bytes and aligned to 8; `ty` must describe what is read from it
    /// afterwards.
    pub(super) unsafe fn object(
        &mut self,
        mut rest: &'a [u8],
        ty: &'static Type,
        slot: *mut u8,
        depth: u16,
    ) -> Result<&'a [u8], Stop> {
        let Some(depth) = depth.checked_sub(1) else {
            return self
                .stop(rest, |place, options| DecodeError::TooDeep { place, limit: options.max_depth });
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
            Kind::Nat => put!(u32, self.u32(rest)?),
            Kind::Int => put!(i32, self.int(rest)?),
            Kind::Long => put!(i64, self.long(rest)?),
            Kind::Double => put!(f64, self.double(rest)?),
            Kind::Bool => put!(bool, self.bool(rest)?),
            Kind::Str => put!(&'a str, self.str(rest)?),
            Kind::Bytes => put!(&'a [u8], self.bytes(rest)?),
            Kind::Int128 => put!([u8; 16], self.array(rest)?),
            Kind::Int256 => put!([u8; 32], self.array(rest)?),
            Kind::Int512 => put!(Int512, Int512(self.array(rest)?)),
            // SAFETY: the place is that of a value of the target type.
            Kind::Object => *rest = unsafe { self.object(rest, tables.target(field), place, depth)? },
            Kind::OptNat => opt!(u32, self.u32(rest)?),
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
            Kind::OptInt512 => opt!(Int512, Int512(self.array(rest)?)),
            Kind::OptObject => {
                let target = tables.target(field);
                let room = self.bump.alloc(target.size as usize);
                // SAFETY: the room is new and has the size of the type. `Option<&T>` of a sized `T` is a pointer.
                unsafe {
                    *rest = self.object(rest, target, room, depth)?;
                    place.cast::<*const u8>().write(room);
                }
            }
            Kind::ListNat => put!(&'a [u32], self.numbers(rest, field, u32::from_le_bytes)?),
            Kind::ListInt => put!(&'a [i32], self.numbers(rest, field, i32::from_le_bytes)?),
            Kind::ListLong => put!(&'a [i64], self.numbers(rest, field, i64::from_le_bytes)?),
            Kind::ListDouble => put!(&'a [f64], self.numbers(rest, field, f64::from_le_bytes)?),
            Kind::ListBool => put!(&'a [bool], self.values(rest, field, 4, Self::bool)?),
            Kind::ListStr => put!(&'a [&'a str], self.values(rest, field, 4, Self::str)?),
            Kind::ListBytes => put!(&'a [&'a [u8]], self.values(rest, field, 4, Self::bytes)?),
            Kind::ListInt128 => put!(&'a [[u8; 16]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::ListInt256 => put!(&'a [[u8; 32]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::ListInt512 => put!(&'a [Int512], self.numbers(rest, field, Int512)?),
            Kind::OptListNat => opt!(&'a [u32], self.numbers(rest, field, u32::from_le_bytes)?),
            Kind::OptListInt => opt!(&'a [i32], self.numbers(rest, field, i32::from_le_bytes)?),
            Kind::OptListLong => opt!(&'a [i64], self.numbers(rest, field, i64::from_le_bytes)?),
            Kind::OptListDouble => opt!(&'a [f64], self.numbers(rest, field, f64::from_le_bytes)?),
            Kind::OptListBool => opt!(&'a [bool], self.values(rest, field, 4, Self::bool)?),
            Kind::OptListStr => opt!(&'a [&'a str], self.values(rest, field, 4, Self::str)?),
            Kind::OptListBytes => opt!(&'a [&'a [u8]], self.values(rest, field, 4, Self::bytes)?),
            Kind::OptListInt128 => opt!(&'a [[u8; 16]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::OptListInt256 => opt!(&'a [[u8; 32]], self.numbers(rest, field, |bytes| bytes)?),
            Kind::OptListInt512 => opt!(&'a [Int512], self.numbers(rest, field, Int512)?),
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
            _ => self.stop_before(rest, 4, |place, _| DecodeError::BadCount { place, count, most }),
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
            255 => return self.stop(rest, |place, _| DecodeError::BadStringPrefix { place }),
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
            return self.stop(&start[header..], |place, _| DecodeError::InvalidUtf8 { place, valid_up_to });
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
            return self.stop(rest, |place, _| DecodeError::LongStringForm { place, len });
        }
        if rest[header + len..whole].iter().any(|byte| *byte != 0) {
            return self.stop(&rest[header + len..], |place, _| DecodeError::NonZeroPadding { place });
        }
        Ok(())
    }

    #[inline(always)]
    fn flags(&mut self, rest: &mut &'a [u8], field: Field) -> Result<u32, Stop> {
        let word = self.u32(rest)?;
        let bits = word & !field.known();
        if bits != 0 && self.source.options.canonical == Strictness::Strict {
            return self.stop_before(rest, 4, |place, _| DecodeError::UnknownFlags { place, bits });
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
        self.stop(rest, |place, _| DecodeError::UnexpectedEof { place, needed, remaining })
    }

    /// Stops at an id that was just read.
    #[cold]
    #[inline(never)]
    fn unknown<T>(&mut self, rest: &'a [u8], id: u32, wanted: &'static str) -> Result<T, Stop> {
        self.stop_before(rest, 4, |place, _| {
            let name = None;
            DecodeError::UnexpectedConstructor { id, name, wanted, place }
        })
    }

    /// Stops where what is left of the input begins.
    #[cold]
    #[inline(never)]
    fn stop<T>(
        &mut self,
        rest: &'a [u8],
        error: impl FnOnce(Place, DecodeOptions) -> DecodeError,
    ) -> Result<T, Stop> {
        self.stop_before(rest, 0, error)
    }

    /// Stops at something that was read already, is `back` bytes long, and stands in front of what is left.
    #[cold]
    fn stop_before<T>(
        &mut self,
        rest: &'a [u8],
        back: usize,
        error: impl FnOnce(Place, DecodeOptions) -> DecodeError,
    ) -> Result<T, Stop> {
        let offset = self.source.offset + self.source.input.len() - rest.len() - back;
        self.error = Some(error(Place::at(offset), self.source.options));
        Err(Stop)
    }

    /// The reason of a stop.
    pub(super) fn why(self) -> DecodeError {
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
