//! Writing objects.
//!
//! Not here: the destinations ([`Sink`]) and the encodings of the built-in types.

use alloc::vec::Vec;
use core::fmt;

use crate::Sink;
use crate::sink::Counter;

/// An object that can be written in TL.
///
/// References and boxes do not implement the trait, because it is implemented for all generated structs. Method calls work
/// through both.
pub trait Serializable {
    /// Returns the exact number of bytes that [`serialize`](Self::serialize) writes.
    ///
    /// By default it is computed by writing to a counting sink.
    fn serialized_len(&self) -> usize {
        let mut counter = Counter::default();
        // An object without encoding has no length; `serialize` returns the error.
        let _ = self.serialize(&mut counter);
        counter.len()
    }

    /// Writes the object. Functions and `enums::X` begin with their constructor id, `types::X` do not.
    ///
    /// # Errors
    ///
    /// Fails if the object has no encoding. The sink then contains an unusable beginning.
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError>;

    /// Writes the object into a new vector, with one allocation.
    ///
    /// # Errors
    ///
    /// Fails if the object has no encoding.
    fn try_to_bytes(&self) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(self.serialized_len());
        self.serialize(&mut bytes)?;
        Ok(bytes)
    }

    /// Writes the object into a new vector, which is **empty** if the object has no encoding.
    ///
    /// These values have no encoding, and no server produces them: strings longer than 2^24 - 1 bytes, vectors longer than
    /// 2^31 - 1 elements, and flag groups of which only a part is set. Use [`try_to_bytes`](Self::try_to_bytes) if such
    /// values can come from outside.
    fn to_bytes(&self) -> Vec<u8> {
        self.try_to_bytes().unwrap_or_default()
    }
}

/// Writes a conditional field.
impl<T: Serializable> Serializable for Option<T> {
    #[inline]
    fn serialized_len(&self) -> usize {
        self.as_ref().map_or(0, T::serialized_len)
    }

    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Result<(), EncodeError> {
        match self {
            Some(value) => value.serialize(out),
            None => Ok(()),
        }
    }
}

/// Why an object has no encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// A string or bytes field exceeds its length prefix ([`MAX_STRING_LEN`](crate::MAX_STRING_LEN)).
    StringTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// A vector has more than 2^31 - 1 elements.
    VectorTooLong {
        /// The number of elements.
        len: usize,
    },
    /// A vector has more than [`MAX_EMPTY_ELEMENTS`](crate::MAX_EMPTY_ELEMENTS) elements that take no bytes. No reader accepts
    /// it.
    TooManyEmptyElements {
        /// The number of elements.
        len: usize,
    },
    /// Several fields share one flag bit, and only some of them are set.
    PartialFlagGroup(FlagGroup),
}

/// Fields that share one flag bit.
///
/// It is small, because every result of writing contains it: the names are looked up on request.
#[derive(Clone, Copy)]
pub struct FlagGroup {
    /// Where the names are: that of the constructor, then others, with a space between them, up to the end of the line.
    text: &'static &'static str,
    at: u32,
    /// Which of the names is that of the flags word.
    word: u16,
    bit: u8,
}

impl FlagGroup {
    /// Describes a group: `names` begins with that of the constructor and has that of the flags word at index `word`.
    #[doc(hidden)]
    #[cold]
    pub const fn new(names: &'static &'static str, word: usize, bit: u8) -> Self {
        Self::at((names, 0), word, bit)
    }

    /// The same with names that begin somewhere in a text.
    #[cold]
    pub(crate) const fn at((text, at): (&'static &'static str, u32), word: usize, bit: u8) -> Self {
        Self { text, at, word: word as u16, bit }
    }

    /// Returns the constructor, as named in the schema.
    pub fn ty(&self) -> &'static str {
        self.name(0)
    }

    /// Returns the flags word, as named in the schema.
    pub fn word(&self) -> &'static str {
        self.name(usize::from(self.word))
    }

    /// Returns the bit, 0 to 31.
    pub const fn bit(&self) -> u8 {
        self.bit
    }

    fn name(&self, index: usize) -> &'static str {
        names_at(self.text, self.at).nth(index).unwrap_or_default()
    }
}

/// Returns the names of a line of a text, which begins at `at` and has a space between two names.
pub(crate) fn names_at(text: &'static str, at: u32) -> impl Iterator<Item = &'static str> {
    let line = text.get(at as usize..).unwrap_or_default().lines().next().unwrap_or_default();
    line.split(' ')
}

impl fmt::Debug for FlagGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// `messageFwdHeader, flags.4`
impl fmt::Display for FlagGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}.{}", self.ty(), self.word(), self.bit)
    }
}

impl PartialEq for FlagGroup {
    fn eq(&self, other: &Self) -> bool {
        (self.ty(), self.word(), self.bit) == (other.ty(), other.word(), other.bit)
    }
}

impl Eq for FlagGroup {}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StringTooLong { len } => {
                write!(f, "string of {len} bytes, the longest encodable has {}", crate::MAX_STRING_LEN)
            }
            Self::VectorTooLong { len } => {
                write!(f, "vector of {len} elements, the longest encodable has {}", i32::MAX)
            }
            Self::TooManyEmptyElements { len } => {
                write!(
                    f,
                    "vector of {len} elements without bytes, readers accept {}",
                    crate::MAX_EMPTY_ELEMENTS
                )
            }
            Self::PartialFlagGroup(group) => {
                write!(f, "{}: only some of the fields of {}.{} are set", group.ty(), group.word(), group.bit)
            }
        }
    }
}

impl core::error::Error for EncodeError {}
