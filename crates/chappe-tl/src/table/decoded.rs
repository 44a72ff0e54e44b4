//! Objects that own their memory.
#![allow(unsafe_code)]

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use super::arena::nothing_left;
use super::raw::{Owned, Source};
use super::{Arena, Family, View};
use crate::deserialize::{Buffer, DecodeOptions, Deserializable, Result};
use crate::{EncodeError, Serializable, Sink};

/// An object together with its buffer and arena.
///
/// It is `Send` and `Sync`, and a clone shares the memory. [`get`](Self::get) returns the object. There is no `Deref`,
/// because its target type could not have the lifetime of the borrow.
///
/// ```
/// use chappe_tl::table::Decoded;
///
/// let bytes = vec![0x15, 0xc4, 0xb5, 0x1c, 1, 0, 0, 0, 5, b'h', b'e', b'l', b'l', b'o', 0, 0];
/// let words: Decoded<&[&str]> = Decoded::from_vec(bytes)?;
/// let elsewhere = std::thread::spawn({ let words = words.clone(); move || words.get()[0].len() });
/// assert_eq!(*words.get(), ["hello"]);
/// assert_eq!(elsewhere.join().ok(), Some(5));
/// # Ok::<(), chappe_tl::DecodeError>(())
/// ```
pub struct Decoded<T> {
    owned: Arc<Owned>,
    /// The number of strings that were not UTF-8.
    replaced: usize,
    family: PhantomData<fn() -> T>,
}

impl<T: Family> Decoded<T> {
    /// Decodes an object that fills `bytes` exactly, and keeps the bytes for its strings.
    ///
    /// # Errors
    ///
    /// Fails if the bytes are not an encoding of the type, or if bytes remain.
    pub fn from_vec(bytes: Vec<u8>) -> Result<Self> {
        Self::from_vec_with(bytes, DecodeOptions::default())
    }

    /// Decodes an object that fills `bytes` exactly, with the given options, and keeps the bytes for its strings.
    ///
    /// # Errors
    ///
    /// Those of [`from_vec`](Self::from_vec).
    pub fn from_vec_with(bytes: Vec<u8>, options: DecodeOptions) -> Result<Self> {
        let whole = bytes.len();
        let source = Source { input: &[], offset: 0, options, copy: false };
        let (owned, taken, replaced) = Owned::decode::<T>(source, bytes)?;
        nothing_left(whole, taken)?;
        Ok(Self { owned: Arc::new(owned), replaced, family: PhantomData })
    }

    /// Returns the object.
    pub fn get(&self) -> &T::Of<'_> {
        // SAFETY: both functions that make a `Decoded<T>` decode a `T`.
        unsafe { self.owned.get::<T>() }
    }

    /// Returns the number of strings that were not UTF-8 and were decoded with replacement characters.
    pub fn replaced_strings(&self) -> usize {
        self.replaced
    }
}

/// Copies the strings, so that the object does not need the buffer any more.
impl<T: Family> Deserializable for Decoded<T> {
    const LEAST_LEN: usize = T::TYPE.least as usize;

    fn deserialize(buf: Buffer<'_, '_>) -> Result<Self> {
        let source = Source { input: buf.rest(), offset: buf.pos(), options: buf.options(), copy: true };
        let (owned, taken, replaced) = Owned::decode::<T>(source, Vec::new())?;
        buf.take(taken)?;
        (0..replaced).for_each(|_| buf.count_lossy_string());
        Ok(Self { owned: Arc::new(owned), replaced, family: PhantomData })
    }

    fn from_owned(bytes: Vec<u8>) -> Result<Self> {
        Self::from_vec(bytes)
    }
}

/// Reads a value that borrows nothing.
///
/// # Errors
///
/// Fails if the bytes are not an encoding of the type.
pub fn whole<T: Copy + for<'a> Family<Of<'a> = T>>(buf: Buffer<'_, '_>) -> Result<T> {
    let arena = Arena::new();
    let source = Source { input: buf.rest(), offset: buf.pos(), options: buf.options(), copy: false };
    let (object, taken) = arena.decode_at::<T>(source)?;
    let object = *object;
    buf.take(taken)?;
    Ok(object)
}

impl<T> Clone for Decoded<T> {
    fn clone(&self) -> Self {
        Self { owned: Arc::clone(&self.owned), ..*self }
    }
}

impl<T: Family> fmt::Debug for Decoded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&View::of_family::<T>(self.get()), f)
    }
}

impl<T: Family> PartialEq for Decoded<T> {
    fn eq(&self, other: &Self) -> bool {
        View::of_family::<T>(self.get()) == View::of_family::<T>(other.get())
    }
}

impl<T: Family> Serializable for Decoded<T>
where
    for<'a> T::Of<'a>: Serializable,
{
    fn serialized_len(&self) -> usize {
        self.get().serialized_len()
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> core::result::Result<(), EncodeError> {
        self.get().serialize(out)
    }
}

/// An owned result type, and the corresponding type in an arena.
///
/// Generic code that calls a function can decode the answer in place:
/// `arena.decode::<<F::Return as OwnedAnswer>::Borrowed>(bytes)`.
pub trait OwnedAnswer: Deserializable {
    /// The same answer, borrowed from an arena.
    type Borrowed: Family;
}

impl<T: Family> OwnedAnswer for Decoded<T> {
    type Borrowed = T;
}

impl OwnedAnswer for bool {
    type Borrowed = Self;
}

impl OwnedAnswer for Vec<i32> {
    type Borrowed = &'static [i32];
}

impl OwnedAnswer for Vec<i64> {
    type Borrowed = &'static [i64];
}
