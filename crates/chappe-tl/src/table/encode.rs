//! Encoding: vectors, raw objects, and the writer that goes on after an error.
//!
//! All is generic over the sink: written into a counter an object gives its length, so nothing is there twice, and only
//! programs that use a type compile its encoding.
//!
//! Not here: structs ([`super::fields`]). Enums write their variants by generated code.

use super::fields::Row;
use crate::codegen::Encoded;
use crate::vectors::{VECTOR_ID, write_elements};
use crate::{Blob, EncodeError, RemoteCall, Serializable, Sink};

/// Writes values into a sink, and remembers the first that has no encoding.
///
/// So generated code is a list of calls without a way out between them.
#[derive(Debug)]
pub struct Writer<'s, S: ?Sized> {
    sink: &'s mut S,
    error: Option<EncodeError>,
}

impl<'s, S: Sink + ?Sized> Writer<'s, S> {
    /// Starts to write into a sink.
    #[inline]
    pub fn new(sink: &'s mut S) -> Self {
        Self { sink, error: None }
    }

    /// Writes a value.
    #[inline]
    pub fn put<T: Serializable + ?Sized>(&mut self, value: &T) {
        if let Err(error) = value.serialize(self.sink) {
            self.fail(error);
        }
    }

    /// Writes a constructor id, or another word.
    #[inline]
    pub fn word(&mut self, word: u32) {
        self.sink.put_u32(word);
    }

    /// Ends writing.
    ///
    /// # Errors
    ///
    /// Fails if a value had no encoding.
    #[inline]
    pub fn finish(self) -> Encoded {
        self.error.map_or(Ok(()), Err)
    }

    #[cold]
    pub(super) fn fail(&mut self, error: EncodeError) {
        self.error.get_or_insert(error);
    }
}

/// `Vector<T>`, with its id.
impl<T: Serializable> Serializable for &[T] {
    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        (**self).serialize(out)
    }
}

/// `Vector<T>`, with its id.
impl<T: Serializable> Serializable for [T] {
    #[inline]
    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        out.put_u32(VECTOR_ID);
        write_elements(self, out)
    }
}

/// `vector<T>`, without its id.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Bare<T>(pub T);

impl<T: Serializable> Row for Bare<&[T]> {
    #[inline]
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        write_elements(self.0, out)
    }
}

impl<T: Serializable> Row for Bare<Option<&[T]>> {
    #[inline(always)]
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    #[inline]
    fn put<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        self.0.map_or(Ok(()), |values| write_elements(values, out))
    }
}

/// One whole encoded object: the query of a wrapper such as `invokeWithLayer`, as a server finds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RawObject<'a>(pub &'a [u8]);

/// As a call: one whose answer stays raw.
impl RemoteCall for RawObject<'_> {
    type Return = Blob;
}

impl Serializable for RawObject<'_> {
    fn serialized_len(&self) -> usize {
        self.0.len()
    }

    fn serialize<S: Sink + ?Sized>(&self, out: &mut S) -> Encoded {
        out.put(self.0);
        Ok(())
    }
}
