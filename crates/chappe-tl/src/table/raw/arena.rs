//! The arena: chunks of memory from which objects are allocated and never freed one by one.
//!
//! **Proof.** A chunk is a box of words that was leaked, so `next` and the `free` bytes behind it are memory of ours, aligned to 8
//! because every allocation is rounded up to 8. Chunks are freed by `drop`, and handed out a second time by `reset`; both need
//! the arena to itself, so no reference into it is alive. `alloc` through `&self` never returns the same byte twice. No code of a
//! caller runs while the arena's bump is borrowed.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::machine::{Machine, Stop};
use super::reader::View;
use crate::deserialize::{DecodeError, DecodeOptions};
use crate::table::layout::MAX_ALIGN;
use crate::table::{Family, Type};

/// The memory of decoded objects: filled by [`Arena::decode`](super::Arena), emptied by [`Arena::reset`].
///
/// A reset keeps the memory, so that an arena does not allocate any more after the largest answer.
pub struct Arena {
    bump: UnsafeCell<Bump>,
}

/// Where the next allocation goes. Chunks are freed when the arena is dropped, and never before.
pub(super) struct Bump {
    next: *mut u8,
    /// Bytes free at `next`.
    free: usize,
    /// Which chunk `next` is in.
    current: usize,
    chunks: Vec<Chunk>,
    pub(super) replaced: usize,
}

struct Chunk {
    first: NonNull<MaybeUninit<u64>>,
    words: usize,
}

const FIRST_CHUNK_WORDS: usize = 1 << 10;
const LARGEST_CHUNK_WORDS: usize = 1 << 17;

// SAFETY: the arena owns its chunks, and hands out memory of them through `&self` of one thread at a time, as
// it is not `Sync`. References into a chunk cannot outlive the arena, whatever owns it.
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
        // has no other user until `reset`, which needs the arena to itself.
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

    /// Copies a text into the arena.
    pub fn text(&self, text: &str) -> &str {
        core::str::from_utf8(self.slice(text.as_bytes())).expect("it is a copy of a `str`")
    }

    /// Moves what an iterator yields into the arena.
    ///
    /// For vectors whose length is known at run time only. The iterator may use the arena itself, for vectors in vectors.
    ///
    /// # Panics
    ///
    /// Panics if the values are aligned to more than 8 bytes.
    ///
    /// ```
    /// use chappe_tl::table::Arena;
    ///
    /// let (arena, words) = (Arena::new(), ["ab", "c"]);
    /// let rows: &[&[u8]] = arena.collect(words.iter().map(|word| arena.collect(word.bytes())));
    /// assert_eq!(rows, [&b"ab"[..], b"c"]);
    /// ```
    pub fn collect<T: Copy>(&self, values: impl IntoIterator<Item = T>) -> &[T] {
        // The arena is not borrowed while the iterator runs, which may use it or panic.
        self.slice(&values.into_iter().collect::<Vec<T>>())
    }

    /// Decodes one value of any type from the start of `source`. Returns it and how many bytes it took.
    pub(in crate::table) fn view_at<'a>(
        &'a self,
        ty: &'static Type,
        source: Source<'a>,
    ) -> Result<(View<'a>, usize), DecodeError> {
        // SAFETY: as in `decode_at`, except that no Rust type is claimed for the table: a view reads what was
        // written by the same table.
        unsafe {
            let bump = &mut *self.bump.get();
            let slot = bump.alloc(ty.size as usize);
            let mut machine = Machine::new(source, bump);
            match machine.object(source.input, ty, slot, source.options.max_depth) {
                Ok(rest) => Ok((View::at(ty, slot), source.input.len() - rest.len())),
                Err(Stop) => Err(machine.why().named(|id| ty.name_of(id))),
            }
        }
    }

    /// Decodes one value of type `T` from the start of `source`. Returns it and how many bytes it took.
    pub(in crate::table) fn decode_at<'a, T: Family>(
        &'a self,
        source: Source<'a>,
    ) -> Result<(&'a T::Of<'a>, usize), DecodeError> {
        const { T::TYPE.assert_is::<T>() };
        // SAFETY: the borrow as in `capacity`. The slot has the size of the type and is aligned to 8, which is as much
        // as any type asks for; `T::TYPE` describes `T::Of`, so when `object` returns Ok the slot holds a valid
        // `T::Of<'a>`, whose references point into the input and the arena, both borrowed for `'a`.
        unsafe {
            let bump = &mut *self.bump.get();
            let slot = bump.alloc(T::TYPE.size as usize);
            let mut machine = Machine::new(source, bump);
            match machine.object(source.input, T::TYPE, slot, source.options.max_depth) {
                Ok(rest) => Ok((&*slot.cast(), source.input.len() - rest.len())),
                Err(Stop) => Err(machine.why().named(|id| T::TYPE.name_of(id))),
            }
        }
    }
}

/// What to decode, and how.
#[derive(Clone, Copy, Debug)]
pub(in crate::table) struct Source<'a> {
    pub(in crate::table) input: &'a [u8],
    /// Where the input begins, for errors.
    pub(in crate::table) offset: usize,
    pub(in crate::table) options: DecodeOptions,
    /// Whether strings are copied into the arena, so that the input may go.
    pub(in crate::table) copy: bool,
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in self.bump.get_mut().chunks.drain(..) {
            // SAFETY: `add_chunk` took the pointer and the length from a box and nothing else frees it.
            drop(unsafe {
                Box::from_raw(core::ptr::slice_from_raw_parts_mut(chunk.first.as_ptr(), chunk.words))
            });
        }
    }
}

impl Bump {
    /// Returns room for `len` bytes, aligned to 8. It is not initialised.
    #[inline(always)]
    pub(super) fn alloc(&mut self, len: usize) -> *mut u8 {
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
