//! An object with the memory that it refers to.
//!
//! **Proof.** The object's references point into chunks of the arena and into the bytes of the input, both of which stay where they
//! are when their owner moves, and live as long as it. Nothing changes them: no function but `drop` touches either again.

use alloc::vec::Vec;

use super::arena::{Arena, Source};
use crate::deserialize::DecodeError;
use crate::table::Family;

/// An object and the memory it lives in.
pub(in crate::table) struct Owned {
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
    pub(in crate::table) fn decode<T: Family>(
        source: Source<'_>,
        buffer: Vec<u8>,
    ) -> Result<(Self, usize, usize), DecodeError> {
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
    pub(in crate::table) unsafe fn get<T: Family>(&self) -> &T::Of<'_> {
        // SAFETY: `decode` found a valid `T::Of` here. Its references point into the arena and the input; moving `Owned` moves
        // neither the chunks of the one nor the bytes of the other, and both live as long as `self`.
        unsafe { &*self.object.cast() }
    }
}
